//! The keys of a batch's rows.

use std::hash::{DefaultHasher, Hash, Hasher};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};

use crate::table::TableSpec;

/// One hash per row of its key. The same in every run of this process, and not beyond it.
pub fn key_hashes(table: &TableSpec, batch: &RecordBatch) -> Vec<u64> {
    let columns = key_columns(table, batch);
    let hash_of = |row: usize| {
        let mut hasher = DefaultHasher::new();
        for column in &columns {
            text(column, row).hash(&mut hasher);
        }
        hasher.finish()
    };
    (0..batch.num_rows()).map(hash_of).collect()
}

/// One hash of a key that is a single text, equal to that of a row with this key.
pub fn hash_of_key(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    Some(key).hash(&mut hasher);
    hasher.finish()
}

/// The key of one row, part by part.
pub fn key_texts<'b>(table: &TableSpec, batch: &'b RecordBatch, row: usize) -> Vec<Option<&'b str>> {
    key_columns(table, batch).into_iter().map(|column| text(column, row)).collect()
}

/// Key columns are text; [`crate::source::intercom::tables`] is tested for it.
fn key_columns<'b>(table: &TableSpec, batch: &'b RecordBatch) -> Vec<&'b StringArray> {
    table.key.iter().filter_map(|key| batch.column_by_name(key.name)?.as_string_opt::<i32>()).collect()
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}
