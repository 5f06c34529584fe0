//! A destination in memory: the reference that the others are measured against.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use jiff::Timestamp;

use super::{
    Committed, Destination, Identity, Parent, Reduced, RunRecord, Scope, Stamp, TableCommit, Target, in_utc,
};
use crate::batch::key_texts;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::Entry;
use crate::state::{Stored, conflict};
use crate::table::{DELETED_AT, INGESTED_AT, MERGED_INTO, PARTS_TOTAL, PARTS_TRUNCATED, TableSpec};

/// Rows by column name, values as text.
pub type TextRow = BTreeMap<String, Option<String>>;
type Key = Vec<Option<String>>;

/// Tables as maps. Nothing survives the process.
#[derive(Debug, Default)]
pub struct Memory {
    tables: BTreeMap<Identity, BTreeMap<Key, Row>>,
    states: BTreeMap<Identity, Stored>,
    entries: BTreeMap<Identity, BTreeMap<String, Entry>>,
    runs: Vec<RunRecord>,
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    values: TextRow,
    cursor: Option<i64>,
    ingested_at: Timestamp,
    deleted_at: Option<Timestamp>,
    merged_into: Option<String>,
}

impl Memory {
    /// No tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// The rows of a table in the order of their keys; `None` if there is no such table.
    pub fn rows(&self, target: &Target) -> Option<Vec<TextRow>> {
        let table = self.tables.get(&target.identity())?;
        let with_stamp = |row: &Row| {
            let mut values = row.values.clone();
            values.insert(INGESTED_AT.into(), Some(row.ingested_at.to_string()));
            if target.table.has_stamps() {
                values.insert(DELETED_AT.into(), row.deleted_at.map(|at| at.to_string()));
            }
            if target.table.is_merged {
                values.insert(MERGED_INTO.into(), row.merged_into.clone());
            }
            if !target.table.filled.is_empty() {
                let id = row.values.get("id").cloned().flatten().unwrap_or_default();
                let entry = self.entry_about(target, &id);
                let truncated = entry.and_then(Entry::is_truncated).map(|truncated| truncated.to_string());
                let total = entry.and_then(|entry| entry.total).map(|total| total.to_string());
                values.insert(PARTS_TRUNCATED.into(), truncated);
                values.insert(PARTS_TOTAL.into(), total);
            }
            values
        };
        Some(table.values().map(with_stamp).collect())
    }

    /// The log of runs.
    pub fn runs(&self) -> &[RunRecord] {
        &self.runs
    }

    /// What was noted, by the pass over a table inside it, about a row.
    fn entry_about(&self, target: &Target, id: &str) -> Option<&Entry> {
        self.entries.get(&(target.schema.to_lowercase(), target.table.filled_by?))?.get(id)
    }

    /// The parents whose stored row is newer than the one that the rows were read from.
    fn outdated(&self, commit: &TableCommit, parents: &[Parent]) -> Vec<String> {
        let lead = Target { schema: Arc::clone(&commit.target.schema), table: commit.target.table.lead() };
        let Some(rows) = self.tables.get(&lead.identity()) else { return Vec::new() };
        let is_outdated = |parent: &&Parent| {
            let stored = rows.get(&vec![Some(parent.key.clone())]).and_then(|row| row.cursor);
            matches!((stored, parent.version), (Some(stored), Some(version)) if stored > version)
        };
        parents.iter().filter(is_outdated).map(|parent| parent.key.clone()).collect()
    }

    fn apply(&mut self, commit: &TableCommit, rows: Vec<(Key, Row)>, parents: &[Parent]) -> Committed {
        let mut done = Committed::default();
        let lead_key = commit.target.table.lead_key();
        let of = |row: &Row| row.values.get(&lead_key).cloned().flatten().unwrap_or_default();
        let table = self.tables.entry(commit.target.identity()).or_default();
        let before = table.len();
        let arrives = |key: &Key| rows.iter().any(|(new, _)| new == key);
        if commit.scope == Scope::All {
            table.retain(|key, _| arrives(key));
        }
        let is_replaced = |key: &str| parents.iter().any(|parent| parent.is_whole && parent.key == key);
        table.retain(|key, row| arrives(key) || !is_replaced(&of(row)));
        done.removed = (before - table.len()) as u64;
        for (key, new) in rows {
            let Some(old) = table.get_mut(&key) else {
                table.insert(key, new);
                done.new += 1;
                continue;
            };
            let wins = match (old.cursor, new.cursor) {
                (Some(stored), Some(new)) if new < stored => old.ingested_at < commit.supersedes_before,
                _ => true,
            };
            if wins && old.values != new.values {
                *old = new;
                done.changed += 1;
            } else if old.deleted_at.take().is_some() {
                old.merged_into = None;
                done.changed += 1;
            } else {
                done.unchanged += 1;
            }
        }
        if let Scope::Parents(parents) = &commit.scope {
            let before = table.len();
            table.retain(|_, row| parents.contains(&of(row)));
            done.removed += (before - table.len()) as u64;
        }
        for Stamp { key, deleted_at, merged_into } in &commit.stamps {
            if !commit.target.table.has_stamps() {
                let before = table.len();
                table.retain(|_, row| of(row) != *key);
                done.removed += (before - table.len()) as u64;
                continue;
            }
            for row in table.values_mut().filter(|row| row.deleted_at.is_none() && of(row) == *key) {
                row.deleted_at = Some(*deleted_at);
                row.merged_into = merged_into.clone().filter(|_| commit.target.table.is_merged);
                done.stamped += 1;
            }
        }
        for entry in commit.entries.iter().filter(|entry| entry.total.is_some()) {
            for row in table.values_mut().filter(|row| row.deleted_at.is_some() && of(row) == entry.key) {
                row.deleted_at = None;
            }
        }
        done.live = table.values().filter(|row| row.deleted_at.is_none()).count() as u64;
        let entries = self.entries.entry(commit.target.identity()).or_default();
        if commit.begins() {
            entries.clear();
        }
        for stamp in &commit.stamps {
            if let Some(entry) = entries.get_mut(&stamp.key) {
                entry.version = None;
            }
        }
        for entry in &commit.entries {
            let entry = entry.after(entries.get(&entry.key));
            entries.insert(entry.key.clone(), entry);
        }
        done
    }
}

impl Destination for Memory {
    fn load(&mut self, targets: &[Target]) -> Result<Vec<Option<Stored>>> {
        Ok(targets.iter().map(|target| self.states.get(&target.identity()).cloned()).collect())
    }

    fn commit(&mut self, commits: &[TableCommit]) -> Result<Vec<Committed>> {
        let stored = |target: &Target| self.states.get(&target.identity()).map(|stored| stored.revision);
        for commit in commits {
            if let Some(change) = &commit.state
                && change.expected != stored(&commit.target)
            {
                return Err(conflict(commit.target.table.name));
            }
        }
        // Everything that can fail comes before the first change.
        let readable = |commit: &TableCommit| {
            commit
                .reduced(commit.batches.clone())
                .and_then(|Reduced { batches, parents }| {
                    let rows = batches.iter().map(|batch| read_rows(commit.target.table, batch));
                    Ok((rows.collect::<Result<Vec<_>, _>>()?.concat(), parents))
                })
                .map_err(|e| Error::new(ErrorKind::Destination, "batch is not readable").with_source(e))
        };
        let rows = commits.iter().map(readable).collect::<Result<Vec<_>>>()?;
        let mut all = Vec::new();
        for (commit, (mut rows, mut parents)) in commits.iter().zip(rows) {
            if commit.comes_with_its_parents(commits) {
                let outdated = self.outdated(commit, &parents);
                let lead_key = commit.target.table.lead_key();
                parents.retain(|parent| !outdated.contains(&parent.key));
                rows.retain(|(_, row)| {
                    let parent = row.values.get(&lead_key).cloned().flatten().unwrap_or_default();
                    !outdated.contains(&parent)
                });
            }
            let mut done = self.apply(commit, rows, &parents);
            if let Some(change) = &commit.state {
                let revision = change.expected.unwrap_or(0) + 1;
                self.states
                    .insert(commit.target.identity(), Stored { revision, state: change.state.clone() });
                done.revision = Some(revision);
            }
            all.push(done);
        }
        Ok(all)
    }

    fn is_one_place(&self) -> bool {
        true
    }

    fn live_keys(&mut self, target: &Target, each: &mut dyn FnMut(&str)) -> Result<()> {
        let Some(table) = self.tables.get(&target.identity()) else { return Ok(()) };
        let lead_key = target.table.lead_key();
        let live = table.values().filter(|row| row.deleted_at.is_none());
        let keys: BTreeSet<String> =
            live.filter_map(|row| row.values.get(&lead_key).cloned().flatten()).collect();
        for key in &keys {
            each(key);
        }
        Ok(())
    }

    fn entries(&mut self, target: &Target, each: &mut dyn FnMut(Entry)) -> Result<()> {
        let has_state = self.states.contains_key(&target.identity());
        let entries = self.entries.get(&target.identity()).filter(|_| has_state);
        entries.into_iter().flat_map(BTreeMap::values).cloned().for_each(each);
        Ok(())
    }

    fn record(&mut self, runs: &[RunRecord]) -> Result<()> {
        self.runs.extend_from_slice(runs);
        Ok(())
    }
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
            merged_into: None,
        };
        rows.push((key, row));
    }
    Ok(rows)
}
