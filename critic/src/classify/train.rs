//! Trains a text classifier from labelled rows.
//!
//! Promises: the same rows and settings give the same bytes; rows of one group (one source
//! text, one conversation) are never on both sides of a split; what the card says of quality
//! and calibration comes from rows that the judging model had not seen.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::artefact::{Artefact, Card, MAX_LABELS, Output, Provenance};
use super::features::{Feature, Shape, hash, mix};
use super::{fit, quality};

/// Rows that are trained on at once: their features stay in memory, some kilobytes each.
pub const MAX_ROWS: usize = 1_000_000;

/// One labelled text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The text.
    pub text: String,
    /// Its label.
    pub label: String,
    /// What it shares with rows that must not be on the other side of a split; its text where none is named.
    #[serde(default)]
    pub group: Option<String>,
}

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What the classifier is called.
    pub name: String,
    /// Where the rows come from and under which licences; goes into the card.
    pub sources: Vec<String>,
    /// Features; more buckets for more rows.
    pub shape: Shape,
    /// Of two labels the one whose probability is said; the later in order where none is named.
    pub positive: Option<String>,
    /// Share of the positive label in traffic where it is not as in the rows, 0..1 exclusive.
    pub prior: Option<f64>,
    /// Whether each label weighs alike, however many rows it has.
    pub balance: bool,
    /// Passes over the rows.
    pub epochs: u32,
    /// Size of the first steps.
    pub rate: f32,
    /// How much weights shrink at each step that uses them: more for fewer rows.
    pub decay: f32,
    /// Splits for quality and calibration: 2..=20.
    pub folds: usize,
    /// Decides order and splits.
    pub seed: u64,
}

/// How far training is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Passes that are done, over all splits and the final model.
    pub done: usize,
    /// Passes there will be.
    pub total: usize,
}

/// Why nothing was trained.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting cannot be.
    #[error("{0}")]
    Setting(&'static str),
    /// There are too many rows.
    #[error("{0} rows are more than are trained on at once ({MAX_ROWS}): take a sample")]
    Rows(usize),
    /// The labels tell nothing apart, or are too many.
    #[error("rows have {0} labels; there must be 2 to {MAX_LABELS}")]
    Labels(usize),
    /// No row has the label that was named as positive.
    #[error("no row has the positive label {0:?}, or there are more than two labels")]
    Positive(String),
    /// A label has too few groups to be split.
    #[error("label {label:?} has rows of {groups} groups only, fewer than the {folds} splits")]
    Groups {
        /// The label.
        label: String,
        /// Its groups.
        groups: usize,
        /// The splits asked for.
        folds: usize,
    },
}

/// Rows made ready: what fitting sees.
pub(super) struct Prepared {
    pub(super) features: Vec<Vec<Feature>>,
    pub(super) labels: Vec<usize>,
    pub(super) folds: Vec<usize>,
    /// What a row weighs, by label.
    pub(super) weights: Vec<f32>,
    pub(super) buckets: usize,
    pub(super) outputs: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "classifier".to_owned(),
            sources: Vec::new(),
            shape: Shape::default(),
            positive: None,
            prior: None,
            balance: true,
            epochs: 10,
            rate: 0.5,
            decay: 1e-6,
            folds: 5,
            seed: 1,
        }
    }
}

impl Settings {
    fn check(&self) -> Result<(), Error> {
        if let Some(fault) = self.shape.fault() {
            return Err(Error::Setting(fault));
        }
        let checks = [
            (!(1..=200).contains(&self.epochs), "epochs must be 1..=200"),
            (!(2..=20).contains(&self.folds), "folds must be 2..=20"),
            (!(self.rate > 0.0 && self.rate <= 10.0), "rate must be over 0 and at most 10"),
            (!(0.0..0.1).contains(&self.decay), "decay must be 0..0.1"),
            (self.prior.is_some_and(|prior| !(prior > 0.0 && prior < 1.0)), "prior must be over 0 and under 1"),
        ];
        checks.iter().find(|(wrong, _)| *wrong).map_or(Ok(()), |(_, problem)| Err(Error::Setting(problem)))
    }
}

/// Trains a classifier; `progress` is told after each pass over the rows.
pub fn train(rows: &[Row], settings: &Settings, progress: &mut dyn FnMut(Progress)) -> Result<Artefact, Error> {
    settings.check()?;
    if rows.len() > MAX_ROWS {
        return Err(Error::Rows(rows.len()));
    }
    let labels = labels(rows, settings)?;
    let groups = check_groups(rows, settings)?;
    let prepared = prepare(rows, &labels, settings);
    let total = settings.epochs as usize * (settings.folds + 1);
    let mut done = 0;
    let mut pass = || {
        done += 1;
        progress(Progress { done, total });
    };
    let mut decided = vec![Vec::new(); rows.len()];
    for fold in 0..settings.folds {
        let model = fit::fit(&prepared, Some(fold), settings, &mut pass);
        for row in (0..rows.len()).filter(|row| prepared.folds[*row] == fold) {
            decided[row] = model.decide(&prepared.features[row]);
        }
    }
    let model = fit::fit(&prepared, None, settings, &mut pass);
    let (mut calibration, quality) = quality::measure(&decided, &prepared.labels, settings.folds);
    let rows_by_label: Vec<usize> =
        (0..labels.len()).map(|label| prepared.labels.iter().filter(|own| **own == label).count()).collect();
    if let (Some(prior), 2) = (settings.prior, labels.len()) {
        let share = rows_by_label[1] as f64 / rows.len() as f64;
        calibration.offset += (prior / (1.0 - prior)).ln() - (share / (1.0 - share)).ln();
    }
    let (weights, scales) = model.quantise();
    let outputs = model.biases.iter().zip(scales).map(|(&bias, scale)| Output { bias, scale }).collect();
    let training = Provenance {
        sources: settings.sources.clone(),
        rows: rows.len(),
        rows_by_label,
        groups,
        seed: settings.seed,
        epochs: settings.epochs,
    };
    let name = settings.name.clone();
    Ok(Artefact::new(Card { name, labels, shape: settings.shape, outputs, calibration, training, quality }, weights))
}

/// Labels in order; of two the positive one is second.
fn labels(rows: &[Row], settings: &Settings) -> Result<Vec<String>, Error> {
    let labels: BTreeSet<&str> = rows.iter().map(|row| row.label.as_str()).collect();
    let mut labels: Vec<String> = labels.into_iter().map(str::to_owned).collect();
    if !(2..=MAX_LABELS).contains(&labels.len()) {
        return Err(Error::Labels(labels.len()));
    }
    if let Some(positive) = &settings.positive {
        let found = labels.iter().position(|label| label == positive);
        match (labels.len(), found) {
            (2, Some(at)) => labels.swap(at, 1),
            _ => return Err(Error::Positive(positive.clone())),
        }
    }
    Ok(labels)
}

fn group(row: &Row) -> &str {
    row.group.as_deref().unwrap_or(&row.text)
}

/// How many groups there are; each label must have one for each split.
fn check_groups(rows: &[Row], settings: &Settings) -> Result<usize, Error> {
    let mut by_label: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in rows {
        by_label.entry(&row.label).or_default().insert(group(row));
    }
    for (label, groups) in &by_label {
        if groups.len() < settings.folds {
            let (label, groups) = ((*label).to_owned(), groups.len());
            return Err(Error::Groups { label, groups, folds: settings.folds });
        }
    }
    Ok(rows.iter().map(group).collect::<BTreeSet<_>>().len())
}

fn prepare(rows: &[Row], labels: &[String], settings: &Settings) -> Prepared {
    let index: BTreeMap<&str, usize> =
        labels.iter().enumerate().map(|(index, label)| (label.as_str(), index)).collect();
    let own: Vec<usize> = rows.iter().map(|row| index[row.label.as_str()]).collect();
    let mut counts = vec![0usize; labels.len()];
    own.iter().for_each(|label| counts[*label] += 1);
    let even = |count: &usize| rows.len() as f32 / (labels.len() * count) as f32;
    let weights = counts.iter().map(|count| if settings.balance { even(count) } else { 1.0 }).collect();
    Prepared {
        features: rows.iter().map(|row| settings.shape.features(&row.text)).collect(),
        folds: split(rows, &own, settings),
        labels: own,
        weights,
        buckets: settings.shape.buckets(),
        outputs: if labels.len() == 2 { 1 } else { labels.len() },
    }
}

/// The split of each row: groups in an order by the seed, dealt out label by label, so that
/// every split has rows of every label.
fn split(rows: &[Row], labels: &[usize], settings: &Settings) -> Vec<usize> {
    let order = |row: &Row| mix(hash(b'g', group(row).as_bytes()) ^ mix(settings.seed));
    let groups: BTreeSet<(usize, u64, &str)> =
        rows.iter().zip(labels).map(|(row, label)| (*label, order(row), group(row))).collect();
    let mut fold_of: BTreeMap<&str, usize> = BTreeMap::new();
    let mut next = 0;
    for (_, _, group) in groups {
        fold_of.entry(group).or_insert_with(|| {
            next += 1;
            (next - 1) % settings.folds
        });
    }
    rows.iter().map(|row| fold_of[group(row)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize) -> Vec<Row> {
        let kinds = [
            ("weather", "will it rain or snow in"),
            ("money", "transfer my money and pay in"),
            ("еда", "где поесть в городе"),
        ];
        let row = |at: usize| {
            let (label, text) = kinds[at % kinds.len()];
            Row { text: format!("{text} place{}", at / 3), label: label.to_owned(), group: None }
        };
        (0..count).map(row).collect()
    }

    fn quick() -> Settings {
        let shape = Shape { buckets_log2: 12, ..Shape::default() };
        Settings { shape, folds: 3, ..Settings::default() }
    }

    #[test]
    fn the_same_rows_and_settings_give_the_same_bytes_and_another_seed_does_not() {
        let made = |seed| train(&rows(60), &Settings { seed, ..quick() }, &mut |_| ()).unwrap().to_bytes();
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
    }

    #[test]
    fn a_model_tells_its_labels_apart_and_lives_through_its_file() {
        let made = train(&rows(60), &quick(), &mut |_| ()).unwrap();
        let read = Artefact::read(&made.to_bytes()).unwrap();
        assert_eq!((read.card(), read.checksum()), (made.card(), made.checksum()));
        for row in rows(9) {
            let (label, probability) = read.likeliest(&row.text);
            assert_eq!((read.card().labels[label].as_str(), probability > 0.5), (row.label.as_str(), true));
        }
        assert!(made.card().quality.accuracy > 0.95, "{:?}", made.card().quality);
    }

    #[test]
    fn the_positive_label_is_the_one_whose_probability_is_said() {
        let two: Vec<Row> = rows(60).into_iter().filter(|row| row.label != "еда").collect();
        for positive in ["weather", "money"] {
            let settings = Settings { positive: Some(positive.to_owned()), ..quick() };
            let made = train(&two, &settings, &mut |_| ()).unwrap();
            assert!((made.probability("rain and snow") > 0.5) == (positive == "weather"));
        }
    }

    #[test]
    fn rows_of_one_group_are_on_one_side_of_a_split_and_labels_on_all() {
        let mut rows = rows(90);
        for (at, row) in rows.iter_mut().enumerate() {
            row.group = Some(format!("source {}", at / 6));
        }
        let labels: Vec<usize> = (0..90).map(|at| at % 3).collect();
        let folds = split(&rows, &labels, &quick());
        assert!(folds.chunks(6).all(|group| group.iter().all(|fold| *fold == group[0])));
        assert_eq!(folds.iter().collect::<BTreeSet<_>>().len(), 3);
    }

    #[test]
    fn what_cannot_be_trained_on_is_refused_with_its_reason() {
        let one: Vec<Row> = rows(9).into_iter().filter(|row| row.label == "money").collect();
        let told = |rows: &[Row], settings: &Settings| train(rows, settings, &mut |_| ()).unwrap_err().to_string();
        assert!(told(&one, &quick()).contains("1 labels"));
        assert!(told(&rows(6), &quick()).contains("2 groups only"));
        assert!(told(&rows(60), &Settings { folds: 1, ..quick() }).contains("folds must be"));
        let named = Settings { positive: Some("sport".to_owned()), ..quick() };
        assert!(told(&rows(60), &named).contains("\"sport\""));
    }

    #[test]
    fn a_prior_moves_probabilities_as_bayes_says() {
        let two: Vec<Row> = rows(60).into_iter().filter(|row| row.label != "еда").collect();
        let odds = |prior| {
            let made = train(&two, &Settings { prior, ..quick() }, &mut |_| ()).unwrap();
            let probability = made.probability("and");
            probability / (1.0 - probability)
        };
        assert!((odds(None) / odds(Some(0.1)) - 9.0).abs() < 0.1, "{} {}", odds(None), odds(Some(0.1)));
    }

    #[test]
    fn progress_counts_every_pass_once() {
        let mut told = Vec::new();
        train(&rows(30), &quick(), &mut |progress| told.push(progress)).unwrap();
        assert_eq!((told.len(), told.last()), (40, Some(&Progress { done: 40, total: 40 })));
    }
}
