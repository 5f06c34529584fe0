//! Rows that go in.

use arrow::array::RecordBatch;
use ingest::batch::{Decoder, Embedded, Layout, Owner};
use ingest::destination::{Scope, Stamp, TableCommit, Target};
use ingest::table::{Inside, More, TableSpec, WriteDisposition};
use jiff::Timestamp;

/// The start of the pass with this number, a thousand seconds after the one before.
pub(crate) fn pass(number: i64) -> Timestamp {
    Timestamp::from_second(1000 * number).expect("a moment")
}

/// A JSON list of rows as one batch of a pass.
pub(crate) fn batch(table: &'static TableSpec, ingested_at: Timestamp, rows: &str) -> RecordBatch {
    let mut page = Decoder::new(Layout::new(table)).rows(16);
    page.push_list(rows).expect(rows);
    page.finish(ingested_at).expect(rows).0
}

/// Rows of one page of a pass, which give way to stored ones by their dates alone.
pub(crate) fn upsert(target: &Target, ingested_at: Timestamp, rows: &str) -> TableCommit {
    TableCommit {
        batches: vec![batch(target.table, ingested_at, rows)],
        ..TableCommit::to(target.clone(), Timestamp::MIN)
    }
}

/// Rows that are the whole table.
pub(crate) fn replace(target: &Target, ingested_at: Timestamp, rows: &str) -> TableCommit {
    TableCommit { scope: Scope::All, ..upsert(target, ingested_at, rows) }
}

/// The rows inside one parent as they come: ids, or whole rows as JSON.
#[derive(Debug, Clone)]
pub(crate) struct Of<'r> {
    key: &'r str,
    version: Option<i64>,
    is_whole: bool,
    rows: Vec<&'r str>,
}

/// All rows inside a parent (ids divided by spaces) that last changed in this second.
pub(crate) fn of<'r>(key: &'r str, version: i64, ids: &'r str) -> Of<'r> {
    Of { key, version: Some(version), is_whole: true, rows: ids.split_whitespace().collect() }
}

impl<'r> Of<'r> {
    /// The same, but perhaps not all rows it has.
    pub(crate) fn in_part(self) -> Self {
        Self { is_whole: false, ..self }
    }

    /// The same of a parent that does not say when it changed.
    pub(crate) fn undated(self) -> Self {
        Self { version: None, ..self }
    }

    /// The same with these rows.
    pub(crate) fn with(self, rows: Vec<&'r str>) -> Self {
        Self { rows, ..self }
    }
}

/// Rows inside their parents, as one page of a pass.
pub(crate) fn inside(target: &Target, ingested_at: Timestamp, parents: &[Of<'_>]) -> TableCommit {
    let table = target.table;
    let nowhere = Inside { parent: table, lists: &[], is_union: false, total: None, more: More::Nothing };
    let embedded = Embedded::new(table, &nowhere);
    let is_bare = table.columns.iter().any(|column| column.path.is_empty());
    let mut page = embedded.rows(8);
    let mut owners = Vec::new();
    for Of { key, version, is_whole, rows } in parents {
        let values = embedded.values_of_id(key);
        for row in rows {
            let is_whole = is_bare || row.starts_with('{');
            let row = if is_whole { (*row).to_owned() } else { format!(r#"{{"id":"{row}"}}"#) };
            assert!(page.push(&row, &values, String::new).expect("a row"), "a key");
        }
        let version = version.map(|second| second * 1_000_000);
        owners.push(Owner { key: (*key).to_owned(), version, rows: rows.len(), is_whole: *is_whole });
    }
    let batch = page.finish(ingested_at).expect("rows with keys").0;
    let is_replaced = matches!(table.disposition, WriteDisposition::PerParent { .. });
    let owners = if is_replaced { vec![owners] } else { vec![Vec::new()] };
    TableCommit { batches: vec![batch], owners, ..TableCommit::to(target.clone(), Timestamp::MIN) }
}

/// Rows of the lead table found to be gone, for a table that they matter to.
pub(crate) fn gone(target: &Target, number: i64, keys: &[&str]) -> TableCommit {
    let stamp = |key: &&str| Stamp { key: (*key).to_owned(), deleted_at: pass(number), merged_into: None };
    TableCommit { stamps: keys.iter().map(stamp).collect(), ..nothing(target) }
}

/// Nothing for a table, which is there afterwards all the same.
pub(crate) fn nothing(target: &Target) -> TableCommit {
    TableCommit { batches: Vec::new(), ..upsert(target, pass(0), "[]") }
}
