//! The configuration reference, generated from the schema: `deploy/CONFIG.md` and
//! `deploy/config.schema.json`. Pure functions; a tidy test keeps the files current.

use std::fmt::Write;

use serde_json::Value;

use super::{place, schema};
use crate::exchange::{ByteSize, Name, Period};

/// Opening of the reference.
const PREFACE: &str = "\
# Configuration reference

Generated from the types by `weir config-reference`; do not edit (`make references` writes it anew).

Weir reads one TOML file.
A key that is not given has the default shown; an unknown key is refused; all faults are told at once (`weir check`).
Each key can be set from the environment: `WEIR__SECTION__KEY=value`, with two underscores between the steps, case ignored, numbers as indexes into lists.
Stronger wins: default, file, environment, command line.
Weir reads the file again on SIGHUP and when it changes; a faulty file changes nothing, and the last good configuration stays.

Periods are written as `\"250ms\"`, `\"15s\"`, `\"1m 30s\"`, `\"2h\"`, `\"14d\"`; sizes as a number of bytes or as `\"64KiB\"`, `\"10MiB\"`, `\"1GiB\"`.
";

/// The reference as Markdown: one table per section.
pub fn markdown(schema: &Value, environment: &[(&str, &str)], needs_restart: &[&str]) -> String {
    let mut page = PREFACE.to_owned();
    page.push_str("\n## Environment variables of other products\n\n| variable | key |\n| --- | --- |\n");
    for (variable, path) in environment {
        let _ = writeln!(page, "| `{variable}` | `{path}` |");
    }
    page.push_str("\n## Keys that need a restart\n\n");
    for path in needs_restart {
        let _ = writeln!(page, "- `{path}`");
    }
    section(&mut page, schema, "");
    page
}

/// The JSON Schema as text, for editors.
pub fn json_schema(schema: &Value) -> String {
    format!("{schema:#}\n")
}

/// Writes the table of one section, then the sections below it.
fn section(page: &mut String, schema: &Value, path: &str) {
    let (tables, keys): (Vec<_>, Vec<_>) = properties(schema).into_iter().partition(|(_, node)| is_table(node));
    if !path.is_empty() {
        let _ = write!(page, "\n## `{path}`\n\n");
        if let Some(text) = description(schema) {
            let _ = writeln!(page, "{}", text.replace('\n', " "));
            page.push_str(if keys.is_empty() { "" } else { "\n" });
        }
    }
    if !keys.is_empty() {
        page.push_str(if path.is_empty() { "\n## Top level\n\n" } else { "" });
        page.push_str("| key | type | default | what for |\n| --- | --- | --- | --- |\n");
        let required = schema.get("required").and_then(Value::as_array);
        for (key, node) in &keys {
            let is_required = required.is_some_and(|list| list.iter().any(|name| name == key.as_str()));
            row(page, key, node, is_required);
        }
    }
    for (key, node) in &tables {
        let path = join(path, key);
        if let Some(item) = node.get("items").filter(|item| is_table(item)) {
            section(page, &described(item, node), &format!("[[{path}]]"));
        } else if let Some(item) = schema::named(node).filter(|item| is_table(item)) {
            section(page, &described(item, node), &format!("[{path}.<name>]"));
        } else {
            section(page, node, &format!("[{path}]"));
        }
    }
}

/// `[a]` and `b` give `a.b`; the brackets belong to headings only.
fn join(path: &str, key: &str) -> String {
    let path = path.trim_start_matches('[').trim_end_matches(']');
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The item's schema with the description of the key that holds it, which says what it is for.
fn described(item: &Value, key: &Value) -> Value {
    let mut item = item.clone();
    if let Some(text) = key.get("description") {
        item["description"] = text.clone();
    }
    item
}

/// Keys of a table; those of every alternative where there are several, a key that tells
/// alternatives apart with the words of all.
fn properties(schema: &Value) -> Vec<(String, Value)> {
    let own = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let mut found: Vec<(String, Value)> = own.map(|(key, node)| (key.clone(), node.clone())).collect();
    for choice in schema::choices(schema) {
        for (key, node) in properties(choice) {
            match found.iter_mut().find(|(known, _)| *known == key) {
                Some((_, known)) => {
                    let words = [schema::words(known), schema::words(&node)].concat();
                    if !words.is_empty() {
                        *known = serde_json::json!({ "enum": words });
                    }
                }
                None => found.push((key, node)),
            }
        }
    }
    found
}

/// Whether a key gets a section of its own rather than a row.
fn is_table(schema: &Value) -> bool {
    !properties(schema).is_empty()
        || schema.get("items").is_some_and(is_table)
        || schema::named(schema).is_some_and(is_table)
}

fn row(page: &mut String, key: &str, node: &Value, is_required: bool) {
    let default = match node.get("default") {
        _ if is_required => "required".to_owned(),
        Some(value) if !place::is_secret(key) => format!("`{}`", toml_text(value)),
        _ => "none".to_owned(),
    };
    let text = description(node).unwrap_or_default().replace('\n', " ").replace('|', "\\|");
    let kind = kind(node).replace('|', "\\|");
    let _ = writeln!(page, "| `{key}` | {kind} | {} | {text} |", default.replace('|', "\\|"));
}

fn description(schema: &Value) -> Option<&str> {
    schema.get("description").and_then(Value::as_str)
}

/// The type in a word or two.
fn kind(schema: &Value) -> String {
    let words = schema::words(schema);
    if !words.is_empty() {
        return words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ");
    }
    let pattern = schema.get("pattern").and_then(Value::as_str).unwrap_or_default();
    let units = [
        ("period", schema::pattern_of::<Period>()),
        ("size", schema::pattern_of::<ByteSize>()),
        ("name", schema::pattern_of::<Name>()),
    ];
    if let Some((unit, _)) = units.iter().find(|(_, known)| !pattern.is_empty() && known == pattern) {
        return (*unit).to_owned();
    }
    if let Some(items) = schema.get("items") {
        return format!("list of {}", kind(items));
    }
    if let Some(rest) = schema::named(schema) {
        return format!("table of {}", kind(rest));
    }
    let types = schema::types(schema);
    let types: Vec<&str> = types.iter().map(|kind| type_word(kind)).collect();
    format!("{}{}", types.join(" or "), range(schema))
}

fn type_word(kind: &str) -> &str {
    match kind {
        "boolean" => "true or false",
        "integer" => "whole number",
        "string" => "text",
        "array" => "list",
        "object" => "table",
        other => other,
    }
}

/// The range of a number, as in `, 0 to 1`.
fn range(schema: &Value) -> String {
    let bound = |word: &str| schema.get(word).filter(|limit| limit.is_number());
    match (bound("minimum"), bound("maximum")) {
        (Some(low), Some(high)) => format!(", {low} to {high}"),
        (Some(low), None) if low.as_f64() != Some(0.0) => format!(", at least {low}"),
        (None, Some(high)) => format!(", at most {high}"),
        _ => String::new(),
    }
}

/// A default as it would be written in the file.
fn toml_text(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(toml_text).collect::<Vec<_>>().join(", ")),
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Object(map) => {
            let pairs = map.iter().filter(|(_, value)| !value.is_null());
            let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key} = {}", toml_text(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}
