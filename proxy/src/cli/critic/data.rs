//! The labelled cases of a command line: files, their format, and how many.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use weir_critic::evaluate::split::place;
use weir_critic::evaluate::{Filter, Format, Input, Labelled, load};

/// Which cases are used.
#[derive(Debug, Args)]
pub(super) struct Data {
    /// Files of labelled cases, one JSON object a line. A response.jsonl of RAGTruth brings the
    /// source_info.jsonl beside it.
    #[arg(long = "data", value_name = "FILE", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
    /// How their lines look.
    #[arg(long, default_value = "auto", value_parser = PossibleValuesParser::new(Format::ALL.map(|(word, _)| word)))]
    format: String,
    /// Use only rows whose field has this value, as in split=test; may be given again.
    #[arg(long = "only", value_name = "FIELD=VALUE", value_parser = filter)]
    filters: Vec<Filter>,
    /// Use at most so many cases, drawn by whole source texts.
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// Decides every draw, so that figures come out again.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(super) seed: u64,
}

/// Cases, and where they are from.
pub(super) struct Loaded {
    /// Names of the files, without their folders.
    pub(super) files: Vec<String>,
    /// BLAKE3 of their content, in order.
    pub(super) digest: String,
    /// The cases.
    pub(super) cases: Vec<Labelled>,
}

fn filter(text: &str) -> Result<Filter, String> {
    let (field, value) = text.split_once('=').ok_or("give FIELD=VALUE, as in split=test")?;
    Ok(Filter { field: field.to_owned(), value: value.to_owned() })
}

impl Data {
    /// Reads all files.
    pub(super) fn load(&self) -> Result<Loaded, String> {
        let format =
            Format::ALL.into_iter().find(|(word, _)| *word == self.format).map_or(Format::Auto, |known| known.1);
        let files = with_sources(&self.files);
        let mut digest = blake3::Hasher::new();
        let mut inputs = Vec::new();
        for file in &files {
            let open = || File::open(file).map_err(|error| format!("{}: {error}", file.display()));
            digest.update_reader(open()?).map_err(|error| format!("{}: {error}", file.display()))?;
            inputs.push(Input { name: file.display().to_string(), reader: Box::new(BufReader::new(open()?)) });
        }
        let cases = load(inputs, format, &self.filters).map_err(|error| error.to_string())?;
        if cases.is_empty() {
            return Err("there is no case; check --data and --only".to_owned());
        }
        let name = |file: &PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let cases = match self.limit {
            Some(limit) => drawn(cases, limit, self.seed),
            None => cases,
        };
        Ok(Loaded { files: files.iter().map(name).collect(), digest: digest.finalize().to_hex().to_string(), cases })
    }
}

/// A file of responses without its sources brings the one beside it.
fn with_sources(files: &[PathBuf]) -> Vec<PathBuf> {
    let is_named = |file: &Path, name: &str| file.file_name().is_some_and(|own| own == name);
    let mut all = files.to_vec();
    if !files.iter().any(|file| is_named(file, "source_info.jsonl")) {
        let beside = files.iter().filter(|file| is_named(file, "response.jsonl"));
        all.extend(beside.map(|file| file.with_file_name("source_info.jsonl")).filter(|file| file.exists()));
    }
    all
}

/// The source texts that a seed draws first, whole, until there are enough cases.
fn drawn(mut cases: Vec<Labelled>, limit: usize, seed: u64) -> Vec<Labelled> {
    let order = |case: &Labelled| place(&case.group, seed);
    cases.sort_by(|a, b| order(a).total_cmp(&order(b)).then_with(|| a.group.cmp(&b.group)));
    cases.truncate(limit);
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_critic::Case;

    #[test]
    fn a_limit_draws_whole_source_texts_whatever_their_order() {
        let case =
            |i: usize| Labelled::new(Case::default(), false).named(Some(i.to_string()), Some(format!("g{}", i % 20)));
        let cases: Vec<Labelled> = (0..100).map(case).collect();
        let groups =
            |cases: &[Labelled]| cases.iter().map(|case| case.group.clone()).collect::<std::collections::BTreeSet<_>>();
        let some = drawn(cases.clone(), 25, 1);
        assert_eq!((some.len(), groups(&some).len()), (25, 5));
        let backwards: Vec<Labelled> = cases.iter().rev().cloned().collect();
        assert_eq!(groups(&drawn(backwards, 25, 1)), groups(&some));
        assert_ne!(groups(&drawn(cases, 25, 2)), groups(&some));
    }

    #[test]
    fn responses_bring_the_sources_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("source_info.jsonl"), "").unwrap();
        assert_eq!(with_sources(&[path("response.jsonl")]), [path("response.jsonl"), path("source_info.jsonl")]);
        assert_eq!(with_sources(&[path("a.jsonl")]), [path("a.jsonl")]);
        assert!(filter("split").is_err() && filter("a=b=c").unwrap().value == "b=c");
    }
}
