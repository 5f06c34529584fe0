//! One row per key. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;

use crate::batch::{filter, key_texts};
use crate::table::TableSpec;

/// Rows that a batch should at least have to be worth its overhead; what DuckDB handles at once.
const CHUNK: usize = 2048;

/// The rows of `batches` with one row per key: the one with the newest cursor, and of equal or unreadable
/// cursors the one that came last. Rows keep their order; batches may be joined.
pub fn reduce(table: &TableSpec, batches: &[RecordBatch]) -> Result<Vec<RecordBatch>, ArrowError> {
    let cursors: Vec<Vec<Option<i64>>> = batches.iter().map(|batch| cursors(table, batch)).collect();
    let mut best: HashMap<Vec<Option<&str>>, (usize, usize)> = HashMap::new();
    let mut is_repeated = false;
    for (number, batch) in batches.iter().enumerate() {
        for row in 0..batch.num_rows() {
            let here = (number, row);
            let kept = best.entry(key_texts(table, batch, row)).or_insert(here);
            if *kept == here {
                continue;
            }
            is_repeated = true;
            let stays = matches!(
                (cursors[kept.0][kept.1], cursors[number][row]),
                (Some(older), Some(newer)) if newer < older
            );
            if !stays {
                *kept = here;
            }
        }
    }
    if !is_repeated {
        return joined(batches);
    }
    let mut keep: Vec<Vec<bool>> = batches.iter().map(|batch| vec![false; batch.num_rows()]).collect();
    for (number, row) in best.into_values() {
        keep[number][row] = true;
    }
    let kept: Vec<RecordBatch> =
        batches.iter().zip(&keep).map(|(batch, keep)| filter(batch, |row| keep[row])).collect();
    joined(&kept)
}

fn cursors(table: &TableSpec, batch: &RecordBatch) -> Vec<Option<i64>> {
    match table.cursor.and_then(|cursor| batch.column_by_name(cursor)) {
        Some(column) => column.as_primitive::<TimestampMicrosecondType>().iter().collect(),
        None => vec![None; batch.num_rows()],
    }
}

/// The same rows in batches that are neither tiny nor as large as everything together.
fn joined(batches: &[RecordBatch]) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut joined = Vec::new();
    let mut start = 0;
    let mut rows = 0;
    for (at, batch) in batches.iter().enumerate() {
        rows += batch.num_rows();
        let is_last = at + 1 == batches.len();
        if rows >= CHUNK || (is_last && rows > 0) {
            let group = &batches[start..=at];
            joined.push(match group {
                [single] => single.clone(),
                _ => concat_batches(&Arc::clone(batch.schema_ref()), group)?,
            });
            (start, rows) = (at + 1, 0);
        }
    }
    Ok(joined)
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

    fn names(batches: &[RecordBatch]) -> Vec<String> {
        batches.iter().flat_map(names_of).collect()
    }

    fn names_of(batch: &RecordBatch) -> Vec<String> {
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
        assert!(reduce(attributes, &[]).unwrap().is_empty());
    }
}
