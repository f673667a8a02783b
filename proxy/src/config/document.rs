//! A configuration file as a tree of values, with the place of every key.
//!
//! The tree is JSON so that the JSON Schema can be checked; TOML's dates become text,
//! because no key of Weir is a date.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use super::place::{self, Place, Placed};
use crate::exchange::Fault;

/// The values and where they were written.
#[derive(Debug, Default)]
pub struct Document {
    /// A JSON object.
    pub value: Value,
    places: BTreeMap<String, Place>,
}

/// Reads TOML.
///
/// # Errors
/// Every syntax error with its line and column.
pub fn parse(text: &str) -> Result<Document, Vec<Placed>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.iter().map(|error| syntax_fault(text, error)).collect());
    }
    let mut places = BTreeMap::new();
    let value = table_value(text, "", table.get_ref(), &mut places);
    Ok(Document { value, places })
}

/// Reads one TOML value, as in `3`, `true` or `["a", "b"]`; none where it is none.
pub fn parse_value(text: &str) -> Option<Value> {
    let value = DeValue::parse(text).ok()?;
    Some(json(text, "", value.get_ref(), &mut BTreeMap::new()))
}

/// Every leaf with its path, alone in a tree that has nothing else. A list is one leaf.
pub fn leaves(value: &Value) -> Vec<(String, Value)> {
    let Value::Object(map) = value else { return Vec::new() };
    let mut found = Vec::new();
    for (key, value) in map {
        let wrap = |inner: Value| Value::Object(Map::from_iter([(key.clone(), inner)]));
        if value.is_object() {
            let below = leaves(value).into_iter();
            found.extend(below.map(|(path, alone)| (place::join_path(key, &path), wrap(alone))));
        } else {
            found.push((place::join("", key), wrap(value.clone())));
        }
    }
    found
}

impl Document {
    /// Says that the value at a path came from an override.
    pub fn overridden(&mut self, path: &str, origin: &str) {
        self.places.insert(path.to_owned(), Place::Override(origin.to_owned()));
    }

    /// Finds the place of a fault: of its key, or of the nearest table around it.
    pub fn locate(&self, fault: Fault) -> Placed {
        let mut path = Some(fault.path.as_str());
        while let Some(here) = path {
            if let Some(found) = self.places.get(here) {
                let found = found.clone();
                return Placed::new(fault, found);
            }
            path = place::parent(here);
        }
        Placed::new(fault, Place::Unknown)
    }
}

fn syntax_fault(text: &str, error: &toml::de::Error) -> Placed {
    let problem = error.message().trim().replace('\n', ", ");
    // The parser marks the end of the file with an empty range, or with none.
    let span = error.span().unwrap_or(text.len()..text.len());
    let fault = Fault::new("", format!("this is not TOML: {problem}"), "correct the syntax (https://toml.io)");
    Placed::new(fault, position(text, &span))
}

/// Line and column of a byte range, from 1.
fn position(text: &str, span: &Range<usize>) -> Place {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let before = &text[..start];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Place::File { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}

fn table_value(text: &str, path: &str, table: &DeTable<'_>, places: &mut BTreeMap<String, Place>) -> Value {
    let mut map = Map::new();
    for (key, value) in table {
        let path = place::join(path, key.get_ref());
        places.insert(path.clone(), position(text, &key.span()));
        map.insert(key.get_ref().to_string(), json(text, &path, value.get_ref(), places));
    }
    Value::Object(map)
}

fn json(text: &str, path: &str, value: &DeValue<'_>, places: &mut BTreeMap<String, Place>) -> Value {
    match value {
        DeValue::String(word) => Value::String(word.to_string()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(moment) => Value::String(moment.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Number(number.into()),
            // Past 64 bits: kept as a float so that the range check, not the parser, refuses it.
            Err(_) => float(number.as_str()),
        },
        DeValue::Float(number) => float(number.as_str()),
        DeValue::Array(items) => {
            let items = items.iter().enumerate().map(|(at, item)| {
                let path = place::index(path, at);
                places.insert(path.clone(), position(text, &item.span()));
                json(text, &path, item.get_ref(), places)
            });
            Value::Array(items.collect())
        }
        DeValue::Table(table) => table_value(text, path, table, places),
    }
}

/// A float as JSON; `inf` and `nan`, which JSON lacks, stay text and fail the type check.
fn float(digits: &str) -> Value {
    let number = digits.parse().ok().and_then(Number::from_f64);
    number.map_or_else(|| Value::String(digits.to_owned()), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_is_read_with_its_place() {
        let text = "a = 0x10\n[s]\nb = [1.5, true]\n\n[[s.t]]\nc = \"ü\"\n d = 2026-01-02\n";
        let document = parse(text).unwrap();
        let expected = serde_json::json!({"a": 16, "s": {"b": [1.5, true], "t": [{"c": "ü", "d": "2026-01-02"}]}});
        assert_eq!(document.value, expected);
        let table = [("a", 1, 1), ("s.b", 3, 1), ("s.b[1]", 3, 11), ("s.t[0].d", 7, 2), ("s.t[0].missing", 5, 1)];
        for (path, line, column) in table {
            let placed = document.locate(Fault::new(path, "p", "c"));
            assert_eq!(placed.place, Place::File { line, column }, "{path}");
        }
        assert_eq!(document.locate(Fault::new("other", "p", "c")).place, Place::Unknown);
    }

    #[test]
    fn all_syntax_errors_come_at_once() {
        let faults = parse("a = \nb = 1\nc = [1,\n").unwrap_err();
        let places: Vec<&Place> = faults.iter().map(|placed| &placed.place).collect();
        assert!(places.contains(&&Place::File { line: 1, column: 5 }), "{faults:?}");
        assert!(places.contains(&&Place::File { line: 3, column: 8 }), "{faults:?}");
    }
}
