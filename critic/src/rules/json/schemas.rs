//! Compiled JSON Schemas, made once for a schema that many requests carry.
//!
//! Promises: bounded in number; nothing is fetched, so a reference that leaves the schema (and
//! is no published metaschema) cannot be compiled; patterns cannot take for ever.
//! A schema comes from a client: deep and large ones are refused before they are compiled.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// Deepest nesting of a schema, as serde_json's own limit of a parsed text has it.
const DEPTH: usize = 128;

/// Values in a schema, itself and all within it: compiling takes time and memory for each.
const VALUES: usize = 10_000;

/// Steps that one pattern may take back on one string.
const BACKTRACKS: usize = 100_000;

/// The cache.
#[derive(Debug)]
pub(super) struct Schemas {
    capacity: usize,
    hasher: RandomState,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_hash: HashMap<u64, Entry>,
    /// Counts looks, so that the entry that was not used for the longest time is known.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    schema: Arc<Value>,
    /// None where it cannot be compiled: that is not tried again either.
    validator: Option<Arc<Validator>>,
    used: u64,
}

impl Schemas {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), hasher: RandomState::new(), entries: Mutex::default() }
    }

    /// The compiled schema; none where it is no schema that can be judged by.
    pub(super) fn compiled(&self, schema: &Arc<Value>) -> Option<Arc<Validator>> {
        let hash = self.hasher.hash_one(&**schema);
        {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            entries.clock += 1;
            let clock = entries.clock;
            if let Some(entry) = entries.by_hash.get_mut(&hash).filter(|entry| entry.schema == *schema) {
                entry.used = clock;
                return entry.validator.clone();
            }
        }
        // Compiled without the lock: others' schemas must not wait for it.
        let validator = compile(schema).map(Arc::new);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.by_hash.len() >= self.capacity {
            let oldest = entries.by_hash.iter().min_by_key(|(_, entry)| entry.used).map(|(hash, _)| *hash);
            oldest.map(|hash| entries.by_hash.remove(&hash));
        }
        let entry = Entry { schema: schema.clone(), validator: validator.clone(), used: entries.clock };
        entries.by_hash.insert(hash, entry);
        validator
    }
}

fn compile(schema: &Value) -> Option<Validator> {
    // A dialect that is not known may turn keywords off.
    let known =
        schema.get("$schema").and_then(Value::as_str).is_none_or(|dialect| dialect.contains("//json-schema.org/"));
    if !known || !fits(schema, DEPTH, &mut { VALUES }) {
        return None;
    }
    jsonschema::options()
        .offline()
        .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(BACKTRACKS))
        .build(schema)
        .ok()
}

/// Whether no value lies deeper than `depth`, and there are no more than are `left`.
fn fits(value: &Value, depth: usize, left: &mut usize) -> bool {
    let Some(less) = left.checked_sub(1) else { return false };
    *left = less;
    match (value, depth) {
        (Value::Array(_) | Value::Object(_), 0) => false,
        (Value::Array(items), _) => items.iter().all(|item| fits(item, depth - 1, left)),
        (Value::Object(members), _) => members.values().all(|member| fits(member, depth - 1, left)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_cache_keeps_what_is_used_and_no_more_than_it_may() {
        let schemas = Schemas::new(2);
        let schema = |n: u64| Arc::new(json!({"maximum": n}));
        for n in [1, 2, 1, 3, 1, 4] {
            assert!(schemas.compiled(&schema(n)).unwrap().is_valid(&json!(n)));
        }
        let entries = schemas.entries.lock().unwrap();
        let mut kept: Vec<_> = entries.by_hash.values().map(|entry| entry.schema["maximum"].clone()).collect();
        kept.sort_by_key(Value::as_u64);
        assert_eq!(kept, [json!(1), json!(4)]);
    }

    #[test]
    fn a_schema_that_cannot_be_judged_by_is_none() {
        let mut deep = json!({});
        for _ in 0..200 {
            deep = json!({"items": deep});
        }
        let remote = json!({"$ref": "http://example.org/schema.json"});
        let large = |n: usize| json!({ "enum": (0..n).collect::<Vec<_>>() });
        assert!(Schemas::new(4).compiled(&Arc::new(large(VALUES - 2))).is_some());
        for schema in [large(VALUES), deep, remote, json!({"type": 7}), json!("text")] {
            assert!(Schemas::new(4).compiled(&Arc::new(schema.clone())).is_none(), "{schema}");
        }
    }
}
