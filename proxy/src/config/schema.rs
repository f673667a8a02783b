//! The JSON Schema of the configuration, and the check against it in our words.
//!
//! The schema comes from the types by schemars, with all references inlined, so that a
//! node can be found by walking keys. The check finds all faults, not the first one; the
//! texts are ours, because a validator speaks of schemas and a reader thinks of keys.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::place;
use crate::exchange::{ByteSize, Fault, Period};

/// The schema (draft 2020-12) of a configuration type.
pub fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    drop_null(&mut schema);
    schema
}

/// TOML has no null: an optional key is one that may be absent. Without the null
/// alternative, a fault inside an optional table is found as such.
fn drop_null(schema: &mut Value) {
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            schema["type"] = only.clone();
        }
    }
    for word in ["anyOf", "oneOf", "enum"] {
        let Some(Value::Array(choices)) = schema.get_mut(word) else { continue };
        choices.retain(|choice| !choice.is_null() && choice.get("type").is_none_or(|kind| kind != "null"));
        if word != "enum" && choices.len() == 1 {
            let only = choices.remove(0);
            merge(schema, word, only);
        }
    }
    if schema.get("default").is_some_and(Value::is_null)
        && let Value::Object(map) = schema
    {
        map.remove("default");
    }
    match schema {
        Value::Object(map) => map.iter_mut().filter(|(key, _)| *key != "default").for_each(|(_, v)| drop_null(v)),
        Value::Array(items) => items.iter_mut().for_each(drop_null),
        _ => {}
    }
}

/// Replaces a choice of one by that one; what stands beside the choice wins.
fn merge(schema: &mut Value, word: &str, only: Value) {
    if let (Value::Object(outer), Value::Object(inner)) = (schema, only) {
        outer.remove(word);
        for (key, value) in inner {
            outer.entry(key).or_insert(value);
        }
    }
}

/// The schema below a key; null where the schema knows no such key.
pub fn child<'a>(schema: &'a Value, key: &str) -> &'a Value {
    if let Some(found) = schema.get("properties").and_then(|properties| properties.get(key)) {
        return found;
    }
    if let Some(rest) = named(schema) {
        return rest;
    }
    choices(schema).map(|choice| child(choice, key)).find(|found| !found.is_null()).unwrap_or(&Value::Null)
}

/// The schema of the values of a map: tables under names that the user gives.
pub fn named(schema: &Value) -> Option<&Value> {
    let by_pattern = schema.get("patternProperties").and_then(Value::as_object).and_then(|map| map.values().next());
    by_pattern.or_else(|| schema.get("additionalProperties").filter(|rest| rest.is_object()))
}

/// The alternatives of a schema.
pub fn choices(schema: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|word| schema.get(word)?.as_array()).flatten()
}

/// The JSON types that a schema takes.
pub fn types(schema: &Value) -> Vec<&str> {
    let mut found: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => choices(schema).flat_map(types).collect(),
    };
    found.dedup();
    found
}

/// The words of a closed set; empty where the schema is none.
pub fn words(schema: &Value) -> Vec<&str> {
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return vec![word];
    }
    if let Some(Value::Array(options)) = schema.get("enum") {
        return options.iter().filter_map(Value::as_str).collect();
    }
    let parts: Vec<Vec<&str>> = choices(schema).map(words).collect();
    if parts.iter().any(Vec::is_empty) { Vec::new() } else { parts.concat() }
}

/// Checks a tree of values; all faults at once, in our words.
pub fn check(schema: &Value, value: &Value) -> Vec<Fault> {
    let validator = match jsonschema::draft202012::new(schema) {
        Ok(validator) => validator,
        Err(error) => return vec![Fault::new("", format!("the schema is broken: {error}"), "report this as a bug")],
    };
    let mut faults = Vec::new();
    for error in validator.iter_errors(value) {
        explain(schema, &error, &mut faults);
    }
    faults
}

fn explain(schema: &Value, error: &ValidationError<'_>, faults: &mut Vec<Fault>) {
    let path = key_path(error);
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let node = node_around(schema, error);
            let known = known_keys(node);
            let is_map = named(node).is_some();
            faults.extend(
                unexpected
                    .iter()
                    .map(|key| if is_map { bad_name(&path, key) } else { unknown_key(&path, key, &known) }),
            );
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            explain_choice(schema, error, context, faults);
        }
        _ => {
            let (problem, cure) = said(schema, error, &path);
            faults.push(Fault::new(path, problem, cure));
        }
    }
}

/// A value that fits none of several shapes: a word outside a closed set is told the set;
/// otherwise the shape that it comes nearest to speaks.
fn explain_choice(
    schema: &Value,
    error: &ValidationError<'_>,
    context: &[Vec<ValidationError<'static>>],
    faults: &mut Vec<Fault>,
) {
    let path = key_path(error);
    let choices = pointed(schema, error).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let known: Vec<&str> = choices.iter().flat_map(words).collect();
    if !known.is_empty() && choices.iter().all(|choice| !words(choice).is_empty()) {
        faults.push(bad_word(path, error.instance(), &known));
        return;
    }
    let distance = |errors: &&Vec<ValidationError<'static>>| -> usize {
        errors.iter().map(|error| if is_other_shape(error) { 100 } else { 1 }).sum()
    };
    let Some(nearest) = context.iter().min_by_key(distance) else { return };
    if context.iter().all(|errors| errors.iter().any(is_tag)) {
        let tags: Vec<&ValidationError<'_>> = context.iter().flatten().filter(|error| is_tag(error)).collect();
        let known: Vec<&str> = tags.iter().filter_map(|error| constant(error)).collect();
        faults.push(bad_word(key_path(tags[0]), tags[0].instance(), &known));
        return;
    }
    nearest.iter().for_each(|error| explain(schema, error, faults));
}

/// Whether an error says "not this alternative at all".
fn is_other_shape(error: &ValidationError<'_>) -> bool {
    is_tag(error) || matches!(error.kind(), ValidationErrorKind::Type { .. })
}

fn is_tag(error: &ValidationError<'_>) -> bool {
    constant(error).is_some()
}

fn constant<'a>(error: &'a ValidationError<'_>) -> Option<&'a str> {
    match error.kind() {
        ValidationErrorKind::Constant { expected_value } => expected_value.as_str(),
        _ => None,
    }
}

fn bad_word(path: String, instance: &Value, known: &[&str]) -> Fault {
    let near = instance.as_str().and_then(|word| nearest(word, known));
    let hint = near.map(|word| format!("did you mean \"{word}\"? ")).unwrap_or_default();
    let problem = format!("{} is no word of this key", shown(&path, instance));
    Fault::new(path, problem, format!("{hint}write one of {}", quoted(known)))
}

/// Problem and cure of an error about one value.
fn said(schema: &Value, error: &ValidationError<'_>, path: &str) -> (String, String) {
    let value = shown(path, error.instance());
    match error.kind() {
        ValidationErrorKind::Type { .. } => {
            let node = node_around(schema, error);
            (format!("{value} is {}", kind_of(error.instance())), format!("write {}", wanted(node)))
        }
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            (format!("the key '{key}' is missing"), format!("add {key} = ..."))
        }
        ValidationErrorKind::Enum { options } => {
            let words: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let fault = bad_word(path.to_owned(), error.instance(), &words);
            (fault.problem, fault.cure)
        }
        ValidationErrorKind::Constant { expected_value } => {
            (format!("{value} is not what this key takes"), format!("write {expected_value}"))
        }
        ValidationErrorKind::Pattern { pattern } => pattern_words(pattern, error.instance(), &value),
        ValidationErrorKind::Minimum { limit } => (format!("{value} is too small"), format!("write at least {limit}")),
        ValidationErrorKind::Maximum { limit } => (format!("{value} is too large"), format!("write at most {limit}")),
        ValidationErrorKind::ExclusiveMinimum { limit } => {
            (format!("{value} is too small"), format!("write more than {limit}"))
        }
        ValidationErrorKind::ExclusiveMaximum { limit } => {
            (format!("{value} is too large"), format!("write less than {limit}"))
        }
        ValidationErrorKind::MinLength { limit } => {
            (format!("{value} is too short"), format!("write at least {limit} characters"))
        }
        ValidationErrorKind::MaxLength { limit } => {
            (format!("{value} is too long"), format!("write at most {limit} characters"))
        }
        ValidationErrorKind::MinItems { limit } => ("too few items".to_owned(), format!("give at least {limit}")),
        ValidationErrorKind::MaxItems { limit } => ("too many items".to_owned(), format!("give at most {limit}")),
        ValidationErrorKind::UniqueItems => ("an item stands here twice".to_owned(), "give each item once".to_owned()),
        _ => (error.masked().to_string(), "see the reference in deploy/CONFIG.md".to_owned()),
    }
}

/// Our units say best themselves what they take.
fn pattern_words(pattern: &str, instance: &Value, value: &str) -> (String, String) {
    let text = instance.as_str().unwrap_or_default();
    let unit = match pattern {
        _ if pattern == pattern_of::<Period>() => text.parse::<Period>().err(),
        _ if pattern == pattern_of::<ByteSize>() => text.parse::<ByteSize>().err(),
        _ => None,
    };
    match unit.as_deref().and_then(|text| text.split_once(": ")) {
        Some((problem, cure)) => (problem.to_owned(), cure.to_owned()),
        None => (format!("{value} does not fit"), format!("write text that matches {pattern}")),
    }
}

/// The pattern by which a unit's schema is known.
pub fn pattern_of<T: JsonSchema>() -> String {
    of::<T>().get("pattern").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn unknown_key(path: &str, key: &str, known: &[&str]) -> Fault {
    let here = if path.is_empty() { "the top level".to_owned() } else { format!("[{path}]") };
    let cure = match nearest(key, known) {
        Some(near) => format!("did you mean '{near}'?"),
        None if known.is_empty() => "remove it".to_owned(),
        None => format!("{here} knows {}", known.join(", ")),
    };
    Fault::new(place::join(path, key), format!("unknown key '{key}'"), cure)
}

/// A key of a map that is no name.
fn bad_name(path: &str, key: &str) -> Fault {
    let problem = format!("'{key}' is no name");
    Fault::new(place::join(path, key), problem, "use 1 to 64 letters, digits, '.', '_' or '-'")
}

/// The keys of a table.
fn known_keys(node: &Value) -> Vec<&str> {
    let properties = node.get("properties").and_then(Value::as_object);
    properties.map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// The schema node whose keyword failed.
fn node_around<'a>(schema: &'a Value, error: &ValidationError<'_>) -> &'a Value {
    let pointer = error.schema_path().as_str();
    let node = pointer.rfind('/').and_then(|cut| schema.pointer(&pointer[..cut]));
    node.unwrap_or(&Value::Null)
}

/// The keyword's own value.
fn pointed<'a>(schema: &'a Value, error: &ValidationError<'_>) -> Option<&'a Value> {
    schema.pointer(error.schema_path().as_str())
}

fn key_path(error: &ValidationError<'_>) -> String {
    error.instance_path().segments().fold(String::new(), |path, segment| match segment {
        LocationSegment::Property(key) => place::join(&path, &key),
        LocationSegment::Index(at) => place::index(&path, at),
    })
}

/// A value as a fault may repeat it: never a secret, never long.
fn shown(path: &str, value: &Value) -> String {
    let secret = path.split(['.', '[']).any(place::is_secret);
    match value {
        _ if secret => "the value".to_owned(),
        Value::String(text) if text.contains("://") => "the address".to_owned(),
        Value::String(text) if text.chars().count() <= 60 => format!("\"{text}\""),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        _ => "the value".to_owned(),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a whole number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

/// What a node takes, in words with an example.
fn wanted(schema: &Value) -> String {
    let pattern = schema.get("pattern").and_then(Value::as_str).unwrap_or_default();
    if pattern == pattern_of::<Period>() {
        return "a period in quotes, as in \"15s\"".to_owned();
    }
    if pattern == pattern_of::<ByteSize>() {
        return "a size, as in \"64MiB\"".to_owned();
    }
    let word = |kind: &&str| match *kind {
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "text in quotes",
        "array" => "a list, as in [\"a\", \"b\"]",
        "object" => "a table",
        _ => "another value",
    };
    types(schema).iter().map(word).collect::<Vec<_>>().join(" or ")
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

/// The known word that was probably meant: at most half of its letters differ.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|known| (distance(word, known), *known)).min()?;
    (near.0 <= near.1.chars().count() / 2).then_some(near.1)
}

/// Levenshtein distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
