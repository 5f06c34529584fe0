//! One row per key. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;

use crate::batch::key_texts;
use crate::table::TableSpec;

/// The rows of `batches` as one batch with one row per key: the one with the newest cursor, and of equal or
/// unreadable cursors the one that came last. Rows keep their order.
pub fn reduce(table: &TableSpec, batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let schema = batches.first().map_or_else(|| table.schema(), |batch| Arc::clone(batch.schema_ref()));
    let all = concat_batches(&schema, batches)?;
    let cursors = table.cursor.and_then(|cursor| all.column_by_name(cursor)).map(|column| {
        let dates = column.as_primitive::<TimestampMicrosecondType>();
        dates.iter().collect::<Vec<Option<i64>>>()
    });
    let cursor = |row: usize| cursors.as_ref().and_then(|cursors| cursors[row]);
    let mut best: HashMap<Vec<Option<&str>>, usize> = HashMap::with_capacity(all.num_rows());
    for row in 0..all.num_rows() {
        let kept = best.entry(key_texts(table, &all, row)).or_insert(row);
        if cursor(row).is_none_or(|newer| cursor(*kept).is_none_or(|older| newer >= older)) {
            *kept = row;
        }
    }
    if best.len() == all.num_rows() {
        drop(best);
        return Ok(all);
    }
    let mut keep = vec![false; all.num_rows()];
    for row in best.into_values() {
        keep[row] = true;
    }
    filter_record_batch(&all, &BooleanArray::from(keep))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde::de::DeserializeSeed;

    use super::*;
    use crate::batch::{Decoder, Layout};
    use crate::source::intercom::tables;

    fn batch(table: &'static TableSpec, rows: &str) -> RecordBatch {
        let mut page = Decoder::new(Layout::new(table)).rows(4);
        page.deserialize(&mut serde_json::Deserializer::from_str(rows)).unwrap();
        page.finish(Timestamp::UNIX_EPOCH).unwrap().0
    }

    fn names(batch: &RecordBatch) -> Vec<String> {
        batch
            .column_by_name("name")
            .unwrap()
            .as_string::<i32>()
            .iter()
            .map(|n| n.unwrap().to_owned())
            .collect()
    }

    #[test]
    fn the_newest_row_of_a_key_wins_and_of_equals_the_last() {
        let contacts = tables::find("contacts").unwrap();
        for (rows, expected) in [
            (r#"[{"id":"a","updated_at":2,"name":"x"},{"id":"a","updated_at":1,"name":"y"}]"#, vec!["x"]),
            (r#"[{"id":"a","updated_at":1,"name":"x"},{"id":"a","updated_at":1,"name":"y"}]"#, vec!["y"]),
            (r#"[{"id":"a","updated_at":9,"name":"x"},{"id":"a","name":"y"}]"#, vec!["y"]),
            (r#"[{"id":"a","name":"x"},{"id":"a","updated_at":1,"name":"y"}]"#, vec!["y"]),
            (
                r#"[{"id":"a","updated_at":1,"name":"x"},{"id":"b","updated_at":1,"name":"y"}]"#,
                vec!["x", "y"],
            ),
        ] {
            let reduced = reduce(contacts, &[batch(contacts, rows)]).unwrap();
            assert_eq!(names(&reduced), expected, "{rows}");
        }
    }

    #[test]
    fn every_part_of_a_key_counts() {
        let attributes = tables::find("data_attributes").unwrap();
        let rows = r#"[{"model":"contact","full_name":"name","name":"a"},{"model":"company","full_name":"name","name":"b"},
            {"model":"company","full_name":"plan.name","name":"c"},{"model":"company","full_name":"x","id":1,"name":"d"},
            {"model":"company","full_name":"x","id":2,"name":"e"},{"model":"company","full_name":"x","id":2,"name":"f"}]"#;
        let reduced = reduce(attributes, &[batch(attributes, rows)]).unwrap();
        assert_eq!(names(&reduced), ["a", "b", "c", "d", "f"]);
        assert_eq!(reduce(attributes, &[]).unwrap().num_rows(), 0);
    }
}
