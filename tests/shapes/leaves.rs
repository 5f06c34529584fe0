//! What a piece of JSON says, value by value.

use std::collections::HashMap;

use ingest::table::Kind;
use jiff::Timestamp;
use serde_json::Value;

use super::reading::Row;

/// A value that is neither null nor a list nor an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Leaf {
    /// The keys that lead to it, joined with dots; lists add none.
    pub(super) path: String,
    /// Text as it is, numbers by their digits, booleans by their words.
    pub(super) text: String,
}

/// Every value in there.
pub(super) fn leaves(value: &Value) -> Vec<Leaf> {
    let mut found = Vec::new();
    gather(value, String::new(), &mut found);
    found
}

fn gather(value: &Value, path: String, found: &mut Vec<Leaf>) {
    match value {
        Value::Null => {}
        Value::Object(members) => {
            for (name, value) in members {
                let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                gather(value, inner, found);
            }
        }
        Value::Array(entries) => entries.iter().for_each(|entry| gather(entry, path.clone(), found)),
        Value::String(text) => found.push(Leaf { path, text: text.clone() }),
        // As doubles are shown.
        Value::Number(number) if number.is_f64() => {
            found.push(Leaf { path, text: number.as_f64().expect("a double").to_string() });
        }
        other => found.push(Leaf { path, text: other.to_string() }),
    }
}

/// Values that stand in rows, each as often as it stands there.
#[derive(Debug, Default)]
pub(super) struct Pool(HashMap<String, usize>);

impl Pool {
    /// All that the rows hold.
    pub(super) fn of<'r>(rows: impl Iterator<Item = &'r Row>) -> Self {
        let mut pool = Self::default();
        for (name, kind, cell) in rows.flat_map(|row| &row.0) {
            match (kind, cell) {
                (Kind::Json, Some(_)) => {
                    let value = cell.as_deref().map(serde_json::from_str::<Value>);
                    let value = value.unwrap().unwrap_or_else(|error| panic!("{name}: {error}"));
                    for leaf in leaves(&value) {
                        pool.add(leaf.text);
                    }
                }
                (_, Some(text)) => pool.add(text.clone()),
                (_, None) => {}
            }
        }
        pool
    }

    fn add(&mut self, text: String) {
        *self.0.entry(text).or_default() += 1;
    }

    /// Takes a value out, as it is or as the moment that it means; whether it was there.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let mut candidates = vec![text.to_owned()];
        let seconds = text.parse::<i64>().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        candidates.extend(seconds.or_else(|| text.parse().ok()).map(|moment| moment.to_string()));
        candidates.iter().any(|candidate| match self.0.get_mut(candidate) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        })
    }
}
