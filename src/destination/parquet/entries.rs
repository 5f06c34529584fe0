//! The ledger's entries as rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use jiff::Timestamp;

use super::columns::OF_LEDGER;
use crate::ledger::Entry;

/// Entries in one batch, as [`OF_LEDGER`] has them.
pub(super) fn to_rows(entries: &[Entry]) -> Result<RecordBatch, ArrowError> {
    let keys: StringArray = entries.iter().map(|entry| Some(entry.key.as_str())).collect();
    let moments = |of: fn(&Entry) -> Option<i64>| -> ArrayRef {
        Arc::new(entries.iter().map(of).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    let numbers = |of: fn(&Entry) -> Option<i64>| -> ArrayRef {
        Arc::new(entries.iter().map(of).collect::<Int64Array>())
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(keys),
        moments(|entry| entry.version),
        numbers(|entry| entry.stated),
        numbers(|entry| entry.total),
        numbers(|entry| Some(entry.shown)),
        moments(|entry| Some(entry.fetched_at.as_microsecond())),
    ];
    RecordBatch::try_new(Arc::clone(&OF_LEDGER.stored), columns)
}

/// Hands `each` the entries in a batch.
pub(super) fn of_rows(batch: &RecordBatch, each: &mut dyn FnMut(Entry)) {
    let keys = batch.column(0).as_string::<i32>();
    let moments = |place: usize| batch.column(place).as_primitive::<TimestampMicrosecondType>();
    let numbers = |place: usize| batch.column(place).as_primitive::<Int64Type>();
    let (versions, fetched) = (moments(1), moments(5));
    let (stated, totals, shown) = (numbers(2), numbers(3), numbers(4));
    for row in 0..batch.num_rows() {
        each(Entry {
            key: keys.value(row).to_owned(),
            version: versions.is_valid(row).then(|| versions.value(row)),
            stated: stated.is_valid(row).then(|| stated.value(row)),
            total: totals.is_valid(row).then(|| totals.value(row)),
            shown: shown.value(row),
            fetched_at: Timestamp::from_microsecond(fetched.value(row)).unwrap_or(Timestamp::MIN),
        });
    }
}

/// `known` entries after new ones, in the order in which they came, and after lead rows were stamped: what is about
/// those is to be read again.
pub(super) fn after<'e>(
    mut known: HashMap<String, Entry>,
    stamped: impl Iterator<Item = &'e str>,
    new: impl Iterator<Item = &'e Entry>,
) -> Vec<Entry> {
    for key in stamped {
        if let Some(entry) = known.get_mut(key) {
            entry.version = None;
        }
    }
    for entry in new {
        let entry = entry.after(known.get(&entry.key));
        known.insert(entry.key.clone(), entry);
    }
    let mut entries: Vec<Entry> = known.into_values().collect();
    entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    entries
}
