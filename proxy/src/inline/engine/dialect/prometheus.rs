//! Reader of the Prometheus text format (version 0.0.4; OpenMetrics 1.0 reads the same way).
//!
//! Pure and bounded: of a larger body the first 8 MiB are read, a line that is no
//! sample is passed over, and nothing is allocated but label values with escapes.

use std::borrow::Cow;

/// Largest body that is read: an engine with many adapters stays far below.
const MAX_BYTES: usize = 8 << 20;

/// One sample: a line of the text. Timestamps and exemplars are ignored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Name of the series, with its suffix (`_total`, `_sum` ...).
    pub name: &'a str,
    /// What stands between the braces.
    labels: &'a str,
    /// Value; may be NaN or infinite.
    pub value: f64,
}

/// The samples of a body.
pub fn samples(body: &[u8]) -> impl Iterator<Item = Sample<'_>> {
    let body = &body[..body.len().min(MAX_BYTES)];
    body.split(|byte| *byte == b'\n').filter_map(|line| sample(std::str::from_utf8(line).ok()?.trim()))
}

fn sample(line: &str) -> Option<Sample<'_>> {
    if line.starts_with('#') {
        return None;
    }
    let (name, rest) = line.split_at(line.find(|c: char| c == '{' || c.is_whitespace())?);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => {
            let end = end_of_labels(rest)?;
            (&rest[..end], &rest[end + 1..])
        }
        None => ("", rest),
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    (!name.is_empty()).then_some(Sample { name, labels, value })
}

/// Place of the brace that ends the labels: the first outside quotes.
fn end_of_labels(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.bytes().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'}' => return !quoted,
            _ => {}
        }
        false
    })
}

impl<'a> Sample<'a> {
    /// Value of a label.
    pub fn label(&self, key: &str) -> Option<Cow<'a, str>> {
        self.labels().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Labels in the order of the text.
    pub fn labels(&self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> + use<'a> {
        let mut rest = self.labels;
        std::iter::from_fn(move || {
            let (name, after) = rest.trim_start_matches([',', ' ']).split_once('=')?;
            let text = after.trim_start().strip_prefix('"')?;
            let end = end_of_quote(text)?;
            rest = &text[end + 1..];
            Some((name.trim(), unescape(&text[..end])))
        })
    }
}

fn end_of_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => plain.push('\n'),
                Some(other) => plain.push(other),
                None => plain.push('\\'),
            },
            c => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_text_format_is_read_as_specified() {
        let body = "# HELP http_requests_total The total.\n# TYPE http_requests_total counter\n\
            http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n\
            msdos_file_access_time_seconds{path=\"C:\\\\DIR\\\\F}.TXT\",error=\"no:\\n\\\"F\\\"\"} 1.458255915e9\n\
            metric_without_timestamp_and_labels 12.47\nsomething_weird{problem=\"division by zero\"} +Inf -3982045\n\
            rpc_duration_seconds_count 2693 # {trace_id=\"a\"} 1\n\nx{ a = \"1\" , } NaN\nbroken{a=\"1\nbroken 1x\n{} 1\n";
        let seen: Vec<_> = samples(body.as_bytes()).collect();
        let names: Vec<&str> = seen.iter().map(|s| s.name).collect();
        assert_eq!(
            names,
            [
                "http_requests_total",
                "msdos_file_access_time_seconds",
                "metric_without_timestamp_and_labels",
                "something_weird",
                "rpc_duration_seconds_count",
                "x"
            ]
        );
        assert_eq!((seen[0].value, seen[0].label("code").as_deref()), (1027.0, Some("200")));
        assert_eq!(seen[1].label("path").as_deref(), Some("C:\\DIR\\F}.TXT"));
        assert_eq!(seen[1].label("error").as_deref(), Some("no:\n\"F\""));
        assert_eq!((seen[3].value, seen[4].value), (f64::INFINITY, 2693.0));
        assert_eq!((seen[5].label("a").as_deref(), seen[5].label("b")), (Some("1"), None));
        assert!(seen[5].value.is_nan());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in r#"([a-z_:]{1,5}|\{|\}|"|\\|=|,| |1|é|\n|#){0,40}"#) {
            for sample in samples(text.as_bytes()) {
                let _ = sample.labels().count();
            }
        }
    }
}
