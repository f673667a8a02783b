//! The list of metrics, read from the source: `dashboards/METRICS.md`.
//!
//! A registry cannot give it: a metric with labels shows there only after its first event.
//! So the source is read: a metric is a string `weir_...` in product code, followed by its
//! help text, and, where it has labels, by `&["..."]` before the statement ends. The type
//! is the last counter, gauge or histogram named before it.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::File;

/// How far before the name its type may stand, and how far behind the help its labels.
const BEFORE: usize = 400;
const BEHIND: usize = 300;

/// One metric as the source describes it.
#[derive(Debug, PartialEq, Eq)]
struct Metric {
    kind: &'static str,
    labels: Vec<String>,
    help: String,
}

/// The page.
pub(crate) fn reference(files: &[File]) -> String {
    let mut page = "\
# Metrics

Generated from the source; do not edit (`make references` writes it anew).

Served in the Prometheus text format at `/metrics` of the console port.
Units are base units: seconds, bytes, ratios from 0 to 1.
Labels come from closed sets or from configured names; prompt text is in none of them.
The process's own figures (`process_*`) have the names that Prometheus client libraries share.

| metric | type | labels | meaning |
| --- | --- | --- | --- |
"
    .to_owned();
    for (name, metric) in all(files) {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let help = metric.help.replace('|', "\\|");
        let _ = writeln!(page, "| `{name}` | {} | {} | {help} |", metric.kind, labels.join(", "));
    }
    page
}

/// Names of metrics that stand in the source without a help text beside them anywhere.
pub(crate) fn undescribed(files: &[File]) -> Vec<String> {
    let known = all(files);
    let named = product(files).flat_map(|(path, text)| strings(text).into_iter().map(move |found| (path, found)));
    let unknown = named.filter(|(_, found)| is_metric(&found.text) && !known.contains_key(&found.text));
    unknown.map(|(path, found)| format!("{path}: {} has no help text beside its name", found.text)).collect()
}

fn all(files: &[File]) -> BTreeMap<String, Metric> {
    product(files).flat_map(|(_, text)| described(text)).collect()
}

/// Product code of the proxy, without its tests.
fn product(files: &[File]) -> impl Iterator<Item = (&str, &str)> {
    let is_product = |file: &&File| {
        file.path.starts_with("proxy/src/") && file.path.ends_with(".rs") && !file.path.contains("tests")
    };
    files.iter().filter(is_product).map(|file| {
        let end = file.text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(file.text.len());
        (file.path.as_str(), &file.text[..end])
    })
}

/// Metrics that a source describes.
fn described(source: &str) -> Vec<(String, Metric)> {
    let strings = strings(source);
    let mut found = Vec::new();
    for pair in strings.windows(2) {
        let [name, help] = pair else { continue };
        let between = source[name.end..help.start].trim();
        // A name alone (in a query, a comparison) is no description.
        if !is_name(&name.text) || between != "," || !help.text.contains(' ') {
            continue;
        }
        // `let x = Opts::new(name, help)` gets type and labels where `x` is taken.
        let taken = variable(&source[..name.start]).and_then(|variable| taken(source, help.end, variable));
        let (before, behind) = taken.unwrap_or((name.start, help.end));
        let mut labels = labels(&source[behind..]);
        if labels.is_empty() {
            labels = handed_over(source, behind);
        }
        let kind = kind(&source[..before]);
        found.push((name.text.clone(), Metric { kind, labels, help: help.text.clone() }));
    }
    found
}

fn is_name(text: &str) -> bool {
    text.strip_prefix("weir_").is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    })
}

/// Whether a name ends as only metrics do; a table or a cookie may begin with `weir_` too.
fn is_metric(name: &str) -> bool {
    is_name(name) && ["_total", "_seconds", "_bytes", "_ratio", "_info"].iter().any(|end| name.ends_with(end))
}

/// The variable that a statement binds, where the statement has only begun `let x = ...Opts::new(`.
fn variable(before: &str) -> Option<&str> {
    let statement = &before[before.rfind(';').map_or(0, |at| at + 1)..];
    let bound = statement.rsplit_once("let ")?.1;
    let (name, rest) = bound.split_once('=')?;
    rest.trim().ends_with("Opts::new(").then(|| name.trim())
}

/// Where a variable is handed to a constructor: before and behind its name.
fn taken(source: &str, from: usize, variable: &str) -> Option<(usize, usize)> {
    let call = format!("new({variable}, &[");
    let at = from + source[from..].find(&call)?;
    Some((at, at + call.len() - 3))
}

/// The type named last before a metric.
fn kind(before: &str) -> &'static str {
    let mut start = before.len().saturating_sub(BEFORE);
    while !before.is_char_boundary(start) {
        start += 1;
    }
    let near = before[start..].to_ascii_lowercase();
    let kinds = ["counter", "gauge", "histogram"];
    let last = kinds.iter().filter_map(|kind| near.rfind(kind).map(|at| (at, *kind))).max();
    last.map_or("untyped", |(_, kind)| kind)
}

/// The labels behind a help text: the first `&["..."]` before the statement ends or the next
/// metric begins.
fn labels(behind: &str) -> Vec<String> {
    let mut end = behind.len().min(BEHIND);
    while !behind.is_char_boundary(end) {
        end -= 1;
    }
    let statement = &behind[..end];
    let end = [";", "\"weir_", "?,\n"].iter().filter_map(|mark| statement.find(mark)).min().unwrap_or(end);
    let list = statement[..end].find("&[").map(|at| &statement[at + 2..end]);
    let list = list.and_then(|list| list.split(']').next()).unwrap_or_default();
    strings(list).into_iter().map(|found| found.text).collect()
}

/// Labels that are handed over in another way: as a further string, as in
/// `counters(name, help, "table")`, or as a variable bound to a list.
fn handed_over(source: &str, behind: usize) -> Vec<String> {
    let after = source[behind..].trim_start().trim_start_matches(')').trim_start();
    let Some(next) = after.strip_prefix(',').map(str::trim_start) else { return Vec::new() };
    let end = next.find([',', ')']).unwrap_or(0);
    let word = next[..end].trim().trim_start_matches('&');
    if let Some(label) = word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
        return vec![label.to_owned()];
    }
    let bound = source[..behind].rfind(&format!("let {word} = ")).filter(|_| !word.is_empty());
    let statement = bound.map_or("", |at| source[at..behind].split(';').next().unwrap_or_default());
    let list = statement.split_once('[').map_or("", |(_, list)| list);
    strings(list).into_iter().map(|found| found.text).collect()
}

/// A string literal and where it stands.
struct Literal {
    text: String,
    start: usize,
    end: usize,
}

/// The plain string literals of a source; comments and characters are skipped.
fn strings(source: &str) -> Vec<Literal> {
    let bytes = source.as_bytes();
    let (mut at, mut found) = (0, Vec::new());
    while at < bytes.len() {
        match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => at = source[at..].find('\n').map_or(bytes.len(), |n| at + n),
            b'\'' if bytes.get(at + 1) == Some(&b'\\') => at += 4,
            b'\'' if bytes.get(at + 2) == Some(&b'\'') => at += 3,
            b'"' => {
                let start = at;
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                let raw = source.get(start + 1..at.min(bytes.len())).unwrap_or_default();
                found.push(Literal { text: unescaped(raw), start, end: (at + 1).min(bytes.len()) });
                at += 1;
            }
            _ => at += 1,
        }
    }
    found
}

/// A literal's text: continued lines joined, quotes plain.
fn unescaped(raw: &str) -> String {
    let mut text = String::new();
    let mut lines = raw.split("\\\n");
    text.push_str(lines.next().unwrap_or_default());
    lines.for_each(|line| text.push_str(line.trim_start()));
    text.replace("\\\"", "\"")
}

#[cfg(test)]
fn sources(text: &str) -> Vec<File> {
    vec![File { path: "proxy/src/a.rs".to_owned(), text: text.to_owned() }]
}

#[test]
fn metrics_are_read_however_they_are_made() {
    let text = r#"
        let a = IntCounterVec::new(Opts::new("weir_a_total", "Count of a."), &["kind", "source"])?;
        let b = Gauge::new("weir_b_bytes", "Bytes of b.")?;
        let c = histogram(registry, "weir_c_seconds", "Time \
            of c.", BUCKETS, &["route"])?;
        // "weir_d_total", "Not a metric."
        let opts = Opts::new("weir_e_total", "Count of e.");
        let f = Gauge::new("weir_f", "Level of f.")?;
        let names = &["engine", "replica"];
        let g = GaugeVec::new(Opts::new("weir_g", "Level of g."), names)?;
        rows: counters("weir_h_total", "Count of h.", "table")?,
        add(registry, IntCounterVec::new(opts, &["engine"])?)?;
    "#;
    let metric = |kind, labels: &[&str], help: &str| Metric {
        kind,
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        help: help.to_owned(),
    };
    let expected = BTreeMap::from([
        ("weir_a_total".to_owned(), metric("counter", &["kind", "source"], "Count of a.")),
        ("weir_b_bytes".to_owned(), metric("gauge", &[], "Bytes of b.")),
        ("weir_c_seconds".to_owned(), metric("histogram", &["route"], "Time of c.")),
        ("weir_e_total".to_owned(), metric("counter", &["engine"], "Count of e.")),
        ("weir_f".to_owned(), metric("gauge", &[], "Level of f.")),
        ("weir_g".to_owned(), metric("gauge", &["engine", "replica"], "Level of g.")),
        ("weir_h_total".to_owned(), metric("counter", &["table"], "Count of h.")),
    ]);
    assert_eq!(all(&sources(text)), expected);
}

#[test]
fn a_metric_without_help_is_found() {
    let found = undescribed(&sources("fn a() { counter(\"weir_lonely_total\"); }"));
    assert_eq!(found, ["proxy/src/a.rs: weir_lonely_total has no help text beside its name"]);
    assert!(undescribed(&sources("Gauge::new(\"weir_b_bytes\", \"Bytes of b.\"); sum(\"weir_b_bytes\")")).is_empty());
}
