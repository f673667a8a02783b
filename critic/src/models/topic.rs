//! Whether a question is of the deployment's own topics.
//!
//! Two witnesses, both made from the deployment's labelled examples (`weir critic train`): a text
//! classifier over hashed words, and, where the embedding model is there, the nearness of the
//! question's vector to the mean vector of a topic (Rocchio 1971; for finding what is out of
//! scope: Larson et al., "An Evaluation Dataset for Intent Classification", EMNLP 2019).

use serde::{Deserialize, Serialize};

use super::file::ModelFile;
use crate::classify::Artefact;
use crate::config::Fault;
use crate::{Case, Critic, Effort, Finding, Judgement, Outcome, Place, Role, Skip};

/// Which topics there are, and how strictly they are held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The classifier that was trained on the deployment's topics.
    pub classifier: ModelFile,
    /// Probability of the likeliest topic under which a question is out of scope, 0 to 1.
    pub threshold: f64,
    /// Mean vectors of the topics; then the scope is judged by them, which tells far better what is outside.
    #[cfg(feature = "onnx")]
    pub centroids: Option<ModelFile>,
    /// Nearness (cosine) to a topic under which a question is out of scope, -1 to 1; only with `centroids`.
    #[cfg(feature = "onnx")]
    pub nearness: f64,
    /// The model that makes vectors; only with `centroids`.
    #[cfg(feature = "onnx")]
    pub embedding: crate::embed::Config,
    /// Topics that are known and not wanted: `politics`, say.
    pub forbidden: Vec<String>,
}

/// The critic.
#[derive(Debug)]
pub struct Topic {
    config: Config,
    classifier: Artefact,
    #[cfg(feature = "onnx")]
    space: Option<Space>,
    version: String,
}

/// Where topics lie, and what finds out where a question lies.
#[cfg(feature = "onnx")]
#[derive(Debug)]
struct Space {
    centroids: crate::embed::Centroids,
    service: std::sync::Arc<crate::embed::Service>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            classifier: ModelFile::default(),
            threshold: 0.5,
            #[cfg(feature = "onnx")]
            centroids: None,
            #[cfg(feature = "onnx")]
            nearness: 0.45,
            #[cfg(feature = "onnx")]
            embedding: crate::embed::Config::default(),
            forbidden: Vec::new(),
        }
    }
}

impl Config {
    /// What is wrong with the values, found without reading files.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.classifier.path.as_os_str().is_empty() {
            faults.push(Fault::new("classifier", "names no file", "train one from labels with `weir critic train`"));
        }
        if !self.classifier.is_well_formed() {
            faults.push(Fault::new("classifier", "has a sha256 that is none", "give 64 hexadecimal digits"));
        }
        if !(0.0..=1.0).contains(&self.threshold) {
            faults.push(Fault::new("threshold", format!("is {}", self.threshold), "give a probability"));
        }
        #[cfg(feature = "onnx")]
        faults.extend(self.embedding.faults());
        #[cfg(feature = "onnx")]
        if !(-1.0..=1.0).contains(&self.nearness) {
            faults.push(Fault::new("nearness", format!("is {}", self.nearness), "give a cosine, -1 to 1"));
        }
        faults
    }
}

impl Topic {
    /// A critic with these settings. Reads the classifier.
    pub fn new(config: Config) -> Result<Self, String> {
        let name = config.classifier.path.display();
        let classifier = Artefact::read(&config.classifier.read()?).map_err(|fault| format!("{name}: {fault}"))?;
        let labels = &classifier.card().labels;
        if let Some(unknown) = config.forbidden.iter().find(|topic| !labels.contains(topic)) {
            return Err(format!("{name}: knows no topic {unknown:?} that could be forbidden"));
        }
        let version = format!("topic-1-{}", &classifier.checksum()[..12]);
        #[cfg(feature = "onnx")]
        let space = config.centroids.as_ref().map(|file| Space::read(file, &config.embedding)).transpose()?;
        Ok(Self {
            config,
            classifier,
            #[cfg(feature = "onnx")]
            space,
            version,
        })
    }
}

impl Critic for Topic {
    fn version(&self) -> &str {
        &self.version
    }

    fn effort(&self) -> Effort {
        #[cfg(feature = "onnx")]
        if self.space.is_some() {
            return Effort::Model;
        }
        Effort::Rule
    }

    fn judge(&self, case: &Case) -> Judgement {
        let Some(turn) = case.conversation.iter().rposition(|turn| turn.role == Role::User) else {
            return Judgement::skipped(Skip::NotApplicable);
        };
        let (label, probability) = self.classifier.likeliest(&case.conversation[turn].text);
        let topic = &self.classifier.card().labels[label];
        let place = Place::Turn { turn };
        if self.config.forbidden.contains(topic) && probability >= self.config.threshold {
            let found = Finding::new(
                "forbidden_topic",
                place,
                format!("the question is about {topic}, which is not talked about here"),
            );
            return Judgement::scored(probability, self.config.threshold, vec![found]);
        }
        match self.inside(&case.conversation[turn].text, probability) {
            Ok((inside, least)) => scope(place, inside, least),
            Err(skip) => Judgement::skipped(skip),
        }
    }
}

impl Topic {
    /// How surely a question is of any topic, 0 to 1, and what it must be at least.
    #[cfg(feature = "onnx")]
    fn inside(&self, question: &str, probability: f64) -> Result<(f64, f64), Skip> {
        let Some(space) = &self.space else { return Ok((probability, self.config.threshold)) };
        let vector = space.service.embed(question).map_err(|refused| match refused {
            crate::embed::Refused::Full | crate::embed::Refused::Ended => Skip::Shed,
            crate::embed::Refused::Failed(_) => Skip::Failed,
        })?;
        let (_, near) = space.centroids.nearest(&vector);
        Ok(((1.0 + f64::from(near).clamp(-1.0, 1.0)) / 2.0, (1.0 + self.config.nearness) / 2.0))
    }

    #[cfg(not(feature = "onnx"))]
    fn inside(&self, _question: &str, probability: f64) -> Result<(f64, f64), Skip> {
        Ok((probability, self.config.threshold))
    }
}

#[cfg(feature = "onnx")]
impl Space {
    fn read(file: &ModelFile, embedding: &crate::embed::Config) -> Result<Self, String> {
        let name = file.path.display();
        let centroids = crate::embed::Centroids::read(&file.read()?).map_err(|fault| format!("{name}: {fault}"))?;
        if centroids.model != embedding.checksum() {
            return Err(format!("{name}: was made with another embedding model; train it anew"));
        }
        Ok(Self { centroids, service: embedding.service()? })
    }
}

/// Bad is far from every topic: the score turns what is inside round.
fn scope(place: Place, inside: f64, least: f64) -> Judgement {
    let inside_enough = inside >= least;
    let found = Finding::new("out_of_scope", place, "the question is of no topic that is served here");
    let findings = if inside_enough { Vec::new() } else { vec![found] };
    let outcome = if inside_enough { Outcome::Pass } else { Outcome::Fail };
    Judgement { outcome, score: Some((1.0 - inside).clamp(0.0, 1.0)), findings }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Turn;
    use crate::classify::Shape;
    use crate::classify::train::{Row, Settings, train};

    fn critic(forbidden: &[&str]) -> Result<Topic, String> {
        let kinds = [
            ("оплата", "как оплатить счёт картой"),
            ("доставка", "где мой заказ и курьер"),
            ("politics", "who wins the election"),
        ];
        let row = |at: usize| {
            let (label, text) = kinds[at % 3];
            Row { text: format!("{text} {}", at / 3), label: label.to_owned(), group: None }
        };
        let rows: Vec<Row> = (0..60).map(row).collect();
        let shape = Shape { buckets_log2: 12, ..Shape::default() };
        let made = train(&rows, &Settings { shape, folds: 3, ..Settings::default() }, &mut |_| ()).unwrap();
        let path = std::env::temp_dir().join(format!("weir-topic-{}-{}.weircls", std::process::id(), forbidden.len()));
        std::fs::write(&path, made.to_bytes()).unwrap();
        let sha256 = Some(made.checksum().to_owned());
        let forbidden = forbidden.iter().map(|topic| (*topic).to_owned()).collect();
        let critic =
            Topic::new(Config { classifier: ModelFile { path: path.clone(), sha256 }, forbidden, ..Config::default() });
        std::fs::remove_file(path).unwrap();
        critic
    }

    fn judged(critic: &Topic, text: &str) -> Judgement {
        let turn = Turn { text: text.to_owned(), ..Turn::default() };
        critic.judge(&Case { conversation: vec![turn], ..Case::default() })
    }

    #[test]
    fn own_topics_pass_and_forbidden_ones_fail() {
        let critic = critic(&["politics"]).unwrap();
        assert_eq!(judged(&critic, "как оплатить счёт картой").outcome, Outcome::Pass);
        let forbidden = judged(&critic, "who wins the election");
        assert_eq!((forbidden.outcome, &*forbidden.findings[0].code), (Outcome::Fail, "forbidden_topic"));
    }

    #[test]
    fn a_threshold_over_every_probability_puts_all_out_of_scope() {
        let mut critic = critic(&[]).unwrap();
        critic.config.threshold = 1.0;
        let out = judged(&critic, "zzz qqq");
        assert_eq!((out.outcome, &*out.findings[0].code), (Outcome::Fail, "out_of_scope"));
    }

    #[test]
    fn a_topic_that_nobody_trained_cannot_be_forbidden() {
        assert!(critic(&["sport", "politics"]).unwrap_err().contains("sport"));
    }
}
