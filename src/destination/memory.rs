//! A destination in memory: the reference that the others are measured against.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use jiff::Timestamp;

use super::{Committed, Destination, RunRecord, Scope, Stamp, TableCommit, Target, in_utc, reduce};
use crate::batch::key_texts;
use crate::error::{Error, ErrorKind, Result};
use crate::state::{Stored, conflict};
use crate::table::{DELETED_AT, INGESTED_AT, TableSpec, WriteDisposition};

/// Rows by column name, values as text.
pub type TextRow = BTreeMap<String, Option<String>>;
type Key = Vec<Option<String>>;

/// Tables as maps. Nothing survives the process.
#[derive(Debug, Default)]
pub struct Memory {
    tables: BTreeMap<(String, &'static str), BTreeMap<Key, Row>>,
    states: BTreeMap<(String, &'static str), Stored>,
    runs: Vec<RunRecord>,
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    values: TextRow,
    cursor: Option<i64>,
    ingested_at: Timestamp,
    deleted_at: Option<Timestamp>,
}

impl Memory {
    /// No tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// The rows of a table in the order of their keys; `None` if there is no such table.
    pub fn rows(&self, target: &Target) -> Option<Vec<TextRow>> {
        let table = self.tables.get(&name(target))?;
        let with_stamp = |row: &Row| {
            let mut values = row.values.clone();
            values.insert(INGESTED_AT.into(), Some(row.ingested_at.to_string()));
            if target.table.disposition == WriteDisposition::Merge {
                values.insert(DELETED_AT.into(), row.deleted_at.map(|at| at.to_string()));
            }
            values
        };
        Some(table.values().map(with_stamp).collect())
    }

    /// The log of runs.
    pub fn runs(&self) -> &[RunRecord] {
        &self.runs
    }

    fn apply(&mut self, commit: &TableCommit, rows: Vec<(Key, Row)>) -> Committed {
        let mut done = Committed::default();
        let table = self.tables.entry(name(&commit.target)).or_default();
        if commit.scope == Scope::All {
            let before = table.len();
            table.retain(|key, _| rows.iter().any(|(new, _)| new == key));
            done.removed = (before - table.len()) as u64;
        }
        for (key, new) in rows {
            let Some(old) = table.get_mut(&key) else {
                table.insert(key, new);
                done.new += 1;
                continue;
            };
            let wins = match (old.cursor, new.cursor) {
                (Some(stored), Some(arrived)) if arrived < stored => {
                    old.ingested_at < commit.supersedes_before
                }
                _ => true,
            };
            if wins && old.values != new.values {
                *old = new;
                done.changed += 1;
            } else if old.deleted_at.take().is_some() {
                done.changed += 1;
            } else {
                done.unchanged += 1;
            }
        }
        for Stamp { key, deleted_at } in &commit.stamps {
            let row = table.get_mut(&vec![Some(key.clone())]);
            if let Some(row) = row.filter(|row| row.deleted_at.is_none()) {
                row.deleted_at = Some(*deleted_at);
                done.stamped += 1;
            }
        }
        done.live = table.values().filter(|row| row.deleted_at.is_none()).count() as u64;
        done
    }
}

impl Destination for Memory {
    fn load(&mut self, targets: &[Target]) -> Result<Vec<Option<Stored>>> {
        Ok(targets.iter().map(|target| self.states.get(&name(target)).cloned()).collect())
    }

    fn commit(&mut self, commits: &[TableCommit]) -> Result<Vec<Committed>> {
        let stored = |target: &Target| self.states.get(&name(target)).map(|stored| stored.revision);
        for commit in commits {
            if let Some(change) = &commit.state
                && change.expected != stored(&commit.target)
            {
                return Err(conflict(commit.target.table.name));
            }
        }
        // Everything that can fail comes before the first change.
        let readable = |commit: &TableCommit| {
            reduce(commit.target.table, &commit.batches)
                .and_then(|batches| {
                    let rows = batches.iter().map(|batch| read_rows(commit.target.table, batch));
                    Ok(rows.collect::<Result<Vec<_>, _>>()?.concat())
                })
                .map_err(|e| Error::new(ErrorKind::Destination, "batch is not readable").with_source(e))
        };
        let rows = commits.iter().map(readable).collect::<Result<Vec<_>>>()?;
        let mut all = Vec::new();
        for (commit, rows) in commits.iter().zip(rows) {
            let mut done = self.apply(commit, rows);
            if let Some(change) = &commit.state {
                let revision = change.expected.unwrap_or(0) + 1;
                self.states.insert(name(&commit.target), Stored { revision, state: change.state.clone() });
                done.revision = Some(revision);
            }
            all.push(done);
        }
        Ok(all)
    }

    fn live_keys(&mut self, target: &Target) -> Result<Vec<String>> {
        let Some(table) = self.tables.get(&name(target)) else { return Ok(Vec::new()) };
        let live = table.iter().filter(|(_, row)| row.deleted_at.is_none());
        Ok(live.filter_map(|(key, _)| key.first().cloned().flatten()).collect())
    }

    fn record(&mut self, runs: &[RunRecord]) -> Result<()> {
        self.runs.extend_from_slice(runs);
        Ok(())
    }
}

fn name(target: &Target) -> (String, &'static str) {
    (target.schema.to_lowercase(), target.table.name)
}

fn read_rows(table: &TableSpec, batch: &RecordBatch) -> Result<Vec<(Key, Row)>, arrow::error::ArrowError> {
    let options = FormatOptions::default();
    let columns = batch.schema();
    let readable: Vec<_> = batch.columns().iter().map(in_utc).collect();
    let formatters: Vec<_> =
        readable.iter().map(|column| ArrayFormatter::try_new(column, &options)).collect::<Result<_, _>>()?;
    let micros = |column: &str, row: usize| {
        let dates = batch.column_by_name(column)?.as_primitive::<TimestampMicrosecondType>();
        dates.is_valid(row).then(|| dates.value(row))
    };
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let mut values = TextRow::new();
        for (position, field) in columns.fields().iter().enumerate() {
            if field.name() != INGESTED_AT {
                let is_valid = batch.column(position).is_valid(row);
                values.insert(
                    field.name().clone(),
                    is_valid.then(|| formatters[position].value(row).to_string()),
                );
            }
        }
        let ingested = micros(INGESTED_AT, row).and_then(|micros| Timestamp::from_microsecond(micros).ok());
        let key = key_texts(table, batch, row).into_iter().map(|part| part.map(str::to_owned)).collect();
        let row = Row {
            values,
            cursor: table.cursor.and_then(|cursor| micros(cursor, row)),
            ingested_at: ingested.unwrap_or(Timestamp::UNIX_EPOCH),
            deleted_at: None,
        };
        rows.push((key, row));
    }
    Ok(rows)
}
