//! Rows of one table that wait for their commit, and when that is due.

use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use jiff::Timestamp;

use super::writer::TableRows;
use crate::batch::Owner;
use crate::destination::{Committed, Scope, Stamp, TableCommit, Target};
use crate::ledger::Entry;
use crate::state::{StateChange, TableState};

/// When rows that wait are committed: whichever is reached first.
#[derive(Debug, Clone, Copy)]
pub struct CommitEvery {
    /// Rows of one table.
    pub rows: usize,
    /// Bytes of Arrow memory of one table.
    pub bytes: usize,
    /// Age of the oldest row.
    pub age: Duration,
}

impl Default for CommitEvery {
    fn default() -> Self {
        Self { rows: 60_000, bytes: 64 << 20, age: Duration::from_secs(30) }
    }
}
/// Rows of one table that are not yet committed.
pub(super) struct Pending {
    pub(super) target: Target,
    pub(super) revision: Option<u64>,
    pub(super) batches: Vec<RecordBatch>,
    pub(super) owners: Vec<Vec<Owner>>,
    pub(super) entries: Vec<Entry>,
    pub(super) rows: usize,
    pub(super) bytes: usize,
    pub(super) since: Option<Instant>,
    pub(super) hold: bool,
    pub(super) supersedes_before: Timestamp,
    pub(super) state: Option<TableState>,
    /// See [`TableCommit::is_beside_parents`].
    pub(super) is_beside_parents: bool,
    /// What commits since the last flush did.
    pub(super) done: Committed,
}

impl Pending {
    pub(super) fn new(target: Target, revision: Option<u64>) -> Self {
        Self {
            target,
            revision,
            batches: Vec::new(),
            owners: Vec::new(),
            entries: Vec::new(),
            rows: 0,
            bytes: 0,
            since: None,
            hold: false,
            supersedes_before: Timestamp::MIN,
            state: None,
            is_beside_parents: false,
            done: Committed::default(),
        }
    }

    pub(super) fn add(&mut self, rows: TableRows, supersedes_before: Timestamp, hold: bool) {
        self.rows += rows.batch.num_rows();
        self.bytes += rows.batch.get_array_memory_size();
        // A parent without rows has a word to say as well: that it has none.
        if rows.batch.num_rows() > 0 || !rows.owners.is_empty() {
            self.batches.push(rows.batch);
            self.owners.push(rows.owners);
        }
        self.entries.extend(rows.entries);
        if self.has_something() {
            self.since.get_or_insert_with(Instant::now);
        }
        self.hold = hold;
        self.supersedes_before = supersedes_before;
        if rows.state.is_some() {
            self.state = rows.state;
        }
    }

    pub(super) fn has_something(&self) -> bool {
        !self.batches.is_empty() || !self.entries.is_empty()
    }

    /// Everything that waits, as a part of a commit.
    pub(super) fn hand_over(&mut self, scope: Scope, stamps: Vec<Stamp>) -> TableCommit {
        let state = self.state.take().map(|state| StateChange { expected: self.revision, state });
        (self.rows, self.bytes, self.since, self.hold) = (0, 0, None, false);
        TableCommit {
            batches: std::mem::take(&mut self.batches),
            owners: std::mem::take(&mut self.owners),
            entries: std::mem::take(&mut self.entries),
            scope,
            stamps,
            state,
            is_beside_parents: self.is_beside_parents,
            ..TableCommit::to(self.target.clone(), self.supersedes_before)
        }
    }

    pub(super) fn note(&mut self, done: &Committed) {
        self.revision = done.revision.or(self.revision);
        self.done.new += done.new;
        self.done.changed += done.changed;
        self.done.unchanged += done.unchanged;
        self.done.removed += done.removed;
        self.done.stamped += done.stamped;
        self.done.live = done.live;
        self.done.revision = self.revision;
    }

    pub(super) fn is_due(&self, every: CommitEvery) -> bool {
        let is_old = self.since.is_some_and(|since| since.elapsed() >= every.age);
        !self.hold
            && (self.rows >= every.rows || self.bytes >= every.bytes || (is_old && self.has_something()))
    }

    /// Whether the rows of `inner` stand inside these.
    pub(super) fn is_parent_of(&self, inner: &Self) -> bool {
        inner.target.table.inside().is_some_and(|inside| inside.parent.name == self.target.table.name)
            && self.belongs_with(inner)
    }

    /// Whether the rows of both are read, and so committed, together.
    pub(super) fn belongs_with(&self, other: &Self) -> bool {
        self.target.table.lead().name == other.target.table.lead().name
            && self.target.schema == other.target.schema
    }
}
