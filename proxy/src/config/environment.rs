//! Settings from the environment and the command line, laid over the file.
//!
//! `WEIR__SECTION__KEY=value` sets `section.key`: two underscores separate the steps, case
//! does not matter, a number is an index into an array (`WEIR__ROUTES__0__MODEL`). The
//! value is text where the key takes text, otherwise a TOML value (`3`, `true`, `["a"]`).
//! Names of other products are honoured too: see [`FOREIGN`].

use serde_json::{Map, Value};

use super::document::{self, Document};
use super::{place, schema};
use crate::exchange::Fault;

/// Variables of other products that set a key of ours; they are weaker than `WEIR__` ones.
///
/// `OTEL_EXPORTER_OTLP_ENDPOINT` is the OpenTelemetry specification's own variable.
pub const FOREIGN: &[(&str, &str)] =
    &[("CLICKHOUSE_URL", "store.url"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.traces.endpoint")];

/// Most items that an index may make an array grow to.
const MAX_ITEMS: usize = 1024;

/// One setting from outside the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The variable or flag, for faults.
    pub origin: String,
    /// Steps from the top: keys, or an index in digits.
    pub steps: Vec<String>,
    /// The value as written.
    pub text: String,
}

impl Override {
    /// A setting of the key at a dotted path, as in `listen.address`.
    pub fn new(origin: &str, path: &str, text: &str) -> Self {
        let steps = path.split('.').map(str::to_owned).collect();
        Self { origin: origin.to_owned(), steps, text: text.to_owned() }
    }
}

/// The overrides that an environment holds, weakest first.
pub fn overrides(environment: impl IntoIterator<Item = (String, String)>) -> Vec<Override> {
    let mut foreign = Vec::new();
    let mut own = Vec::new();
    for (name, text) in environment {
        if let Some(rest) = name.strip_prefix("WEIR__") {
            let steps = rest.split("__").map(str::to_ascii_lowercase).collect();
            own.push(Override { origin: name, steps, text });
        } else if let Some((_, path)) = FOREIGN.iter().find(|(foreign, _)| *foreign == name)
            && !text.is_empty()
        {
            foreign.push(Override::new(&name, path, &text));
        }
    }
    // The environment has no order; names give one, so that the same environment always reads the same.
    foreign.sort_by(|a, b| a.origin.cmp(&b.origin));
    own.sort_by(|a, b| a.origin.cmp(&b.origin));
    foreign.extend(own);
    foreign
}

/// Lays overrides over a document; returns those that fit nowhere.
pub fn apply(document: &mut Document, schema: &Value, overrides: &[Override]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for setting in overrides {
        match put(&mut document.value, schema, &setting.steps, &setting.text, String::new()) {
            Ok(path) => document.overridden(&path, &setting.origin),
            Err(fault) => {
                document.overridden(&fault.path, &setting.origin);
                faults.push(fault);
            }
        }
    }
    faults
}

/// Sets the value below `node`; returns the path that it got.
fn put(node: &mut Value, schema: &Value, steps: &[String], text: &str, path: String) -> Result<String, Fault> {
    let Some((step, rest)) = steps.split_first() else {
        *node = typed(schema, text);
        return Ok(path);
    };
    if schema.get("type").is_some_and(|kind| kind == "array") {
        let items = schema.get("items").unwrap_or(&Value::Null);
        let (slot, path) = item(node, step, &path)?;
        return put(slot, items, rest, text, path);
    }
    let below = schema::child(schema, step);
    let path = place::join(&path, step);
    if !node.is_object() {
        *node = Value::Object(Map::new());
    }
    // Made an object just above.
    let Value::Object(map) = node else { return Ok(path) };
    put(map.entry(step.clone()).or_insert(Value::Null), below, rest, text, path)
}

/// The item at an index, or a new one behind the last.
fn item<'a>(node: &'a mut Value, step: &str, path: &str) -> Result<(&'a mut Value, String), Fault> {
    if !node.is_array() {
        *node = Value::Array(Vec::new());
    }
    let items = node.as_array_mut().map(|items| (items.len(), items));
    let (Some((length, items)), Ok(at)) = (items, step.parse::<usize>()) else {
        return Err(Fault::new(path, format!("'{step}' is no index"), "write a number from 0"));
    };
    if at > length || at >= MAX_ITEMS {
        let problem = format!("index {at} leaves a hole: there are {length} items");
        return Err(Fault::new(path, problem, format!("write at most {}", length.min(MAX_ITEMS - 1))));
    }
    if at == length {
        items.push(Value::Null);
    }
    Ok((&mut items[at], place::index(path, at)))
}

/// Text as the type that the schema wants; where it does not fit, text, for the check to refuse.
fn typed(schema: &Value, text: &str) -> Value {
    let types = schema::types(schema);
    // Text that could also be read as a number stays text where only text is taken; where a
    // quoted value is written for a key that takes text, the quotes belong to the text.
    let is_text = |value: &Value| types == ["string"] || (types.contains(&"string") && value.is_string());
    match document::parse_value(text) {
        Some(value) if !is_text(&value) => value,
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Value {
        serde_json::json!({"type": "object", "properties": {
            "spool": {"type": "object", "properties": {
                "dir": {"type": "string"}, "size": {"type": ["string", "integer"]}, "count": {"type": "integer"}}},
            "routes": {"type": "array", "items": {"type": "object", "properties": {"model": {"type": "string"}}}},
            "tags": {"type": "array", "items": {"type": "string"}},
            "engines": {"type": "object", "additionalProperties":
                {"type": "object", "properties": {"url": {"type": "string"}}}}}})
    }

    fn applied(text: &str, variables: &[(&str, &str)]) -> (Value, Vec<Fault>) {
        let mut document = document::parse(text).unwrap();
        let variables = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let faults = apply(&mut document, &schema(), &overrides(variables));
        (document.value, faults)
    }

    #[test]
    fn variables_win_over_the_file_and_are_typed_by_the_schema() {
        let text = "[spool]\ndir = \"a\"\n[[routes]]\nmodel = \"x\"";
        let variables = [
            ("WEIR__SPOOL__DIR", "7"),
            ("WEIR__SPOOL__SIZE", "4MiB"),
            ("WEIR__SPOOL__COUNT", "12"),
            ("WEIR__ROUTES__0__MODEL", "y"),
            ("WEIR__ROUTES__1__MODEL", "z"),
            ("WEIR__TAGS", "[\"a\", \"b\"]"),
            ("WEIR__ENGINES__MAIN__URL", "http://e:1"),
            ("WEIR_HOME", "ignored"),
            ("PATH", "/bin"),
        ];
        let expected = serde_json::json!({
            "spool": {"dir": "7", "size": "4MiB", "count": 12}, "routes": [{"model": "y"}, {"model": "z"}],
            "tags": ["a", "b"], "engines": {"main": {"url": "http://e:1"}}});
        assert_eq!(applied(text, &variables), (expected, vec![]));
    }

    #[test]
    fn an_index_with_a_hole_before_it_is_a_fault() {
        let (_, faults) = applied("", &[("WEIR__ROUTES__3__MODEL", "y"), ("WEIR__TAGS__X", "y")]);
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "routes: index 3 leaves a hole: there are 0 items; write at most 0",
                "tags: 'x' is no index; write a number from 0"
            ]
        );
    }

    #[test]
    fn names_of_other_products_are_weaker_than_ours() {
        let variables = [("WEIR__STORE__URL", "b"), ("CLICKHOUSE_URL", "a"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "")];
        let list = overrides(variables.map(|(name, text)| (name.to_owned(), text.to_owned())));
        let origins: Vec<&str> = list.iter().map(|setting| setting.origin.as_str()).collect();
        assert_eq!(origins, ["CLICKHOUSE_URL", "WEIR__STORE__URL"]);
        assert_eq!(list[0].steps, ["store", "url"]);
    }
}
