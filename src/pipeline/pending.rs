//! Rows of one table that wait for their commit, and when that is due.

use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use jiff::Timestamp;

use super::writer::TableRows;
use crate::batch::Owner;
use crate::destination::{Committed, Scope, Stamp, TableCommit, Target};
use crate::ledger::Entry;
use crate::state::{StateChange, TableState};

/// Rows that are joined as they come, while a processor still has them at hand: so that they take no more memory than
/// they need, and that of the pages is free for the next ones.
const CHUNK: usize = 2048;

/// When rows that wait are committed: whichever is reached first.
#[derive(Debug, Clone, Copy)]
pub struct CommitEvery {
    /// Rows of one table. A table that is read alone is committed by exactly that many.
    pub rows: usize,
    /// Bytes of Arrow memory of all tables together; the table with the most goes first.
    pub bytes: usize,
    /// Age of the oldest row.
    pub age: Duration,
}

impl Default for CommitEvery {
    fn default() -> Self {
        // As many rows as DuckDB has in a row group: it then writes each of them once. Contacts of 2 KB take up to 170 MB.
        Self { rows: 122_880, bytes: 192 << 20, age: Duration::from_secs(60) }
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
    /// Whether nothing else is committed together with this.
    pub(super) is_alone: bool,
    /// What was left of a page when enough rows for a commit had gathered.
    rest: Option<Rest>,
    /// Batches at the end that are still small, and their rows.
    loose: (usize, usize),
    /// What commits since the last flush did.
    pub(super) done: Committed,
}

/// Rows of the last page that wait for the commit after the next, and the state that they complete.
struct Rest {
    batch: RecordBatch,
    state: Option<TableState>,
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
            is_alone: false,
            rest: None,
            loose: (0, 0),
            done: Committed::default(),
        }
    }

    /// Takes in a page's rows. Those beyond `most` wait for the commit after the next, where that is possible.
    pub(super) fn add(&mut self, mut rows: TableRows, supersedes_before: Timestamp, hold: bool, most: usize) {
        self.take_rest();
        self.hold = hold;
        self.supersedes_before = supersedes_before;
        let room = most.saturating_sub(self.rows);
        let is_cut = self.is_alone
            && !hold
            && rows.owners.is_empty()
            && rows.entries.is_empty()
            && rows.batch.num_rows() <= most
            && (1..rows.batch.num_rows()).contains(&room);
        if is_cut {
            let batch = rows.batch.slice(room, rows.batch.num_rows() - room);
            self.rest = Some(Rest { batch, state: rows.state.take() });
            rows.batch = rows.batch.slice(0, room);
        }
        self.take_in(rows);
    }

    fn take_in(&mut self, rows: TableRows) {
        self.rows += rows.batch.num_rows();
        self.bytes += rows.batch.get_array_memory_size();
        // A parent without rows has a word to say as well: that it has none.
        if rows.batch.num_rows() > 0 || !rows.owners.is_empty() {
            self.loose = (self.loose.0 + 1, self.loose.1 + rows.batch.num_rows());
            self.batches.push(rows.batch);
            self.owners.push(rows.owners);
            self.join();
        }
        self.entries.extend(rows.entries);
        if self.has_something() {
            self.since.get_or_insert_with(Instant::now);
        }
        if rows.state.is_some() {
            self.state = rows.state;
        }
    }

    /// Joins the small batches at the end once they are worth it.
    fn join(&mut self) {
        let (count, rows) = self.loose;
        if rows < CHUNK {
            return;
        }
        self.loose = (0, 0);
        let small = self.batches.len() - count;
        // Whose rows a batch holds is said batch by batch.
        if self.owners[small..].iter().any(|owners| !owners.is_empty()) {
            return;
        }
        let Some(first) = self.batches.get(small) else { return };
        // Never an error: all have the table's columns.
        if let Ok(joined) = concat_batches(first.schema_ref(), &self.batches[small..]) {
            let before: usize = self.batches[small..].iter().map(RecordBatch::get_array_memory_size).sum();
            self.bytes = self.bytes.saturating_sub(before) + joined.get_array_memory_size();
            self.batches.truncate(small);
            self.owners.truncate(small);
            self.batches.push(joined);
            self.owners.push(Vec::new());
        }
    }

    /// Takes in what was left of the last page.
    pub(super) fn take_rest(&mut self) {
        if let Some(Rest { batch, state }) = self.rest.take() {
            let table = 0;
            self.take_in(TableRows { table, batch, owners: Vec::new(), entries: Vec::new(), state });
        }
    }

    pub(super) fn has_something(&self) -> bool {
        !self.batches.is_empty() || !self.entries.is_empty()
    }

    /// Everything that waits, as a part of a commit.
    pub(super) fn hand_over(&mut self, scope: Scope, stamps: Vec<Stamp>) -> TableCommit {
        let state = self.state.take().map(|state| StateChange { expected: self.revision, state });
        (self.rows, self.bytes, self.since, self.hold, self.loose) = (0, 0, None, false, (0, 0));
        let commit = TableCommit {
            batches: std::mem::take(&mut self.batches),
            owners: std::mem::take(&mut self.owners),
            entries: std::mem::take(&mut self.entries),
            scope,
            stamps,
            state,
            is_beside_parents: self.is_beside_parents,
            ..TableCommit::to(self.target.clone(), self.supersedes_before)
        };
        self.take_rest();
        commit
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
        !self.hold && (self.rows >= every.rows || (is_old && self.has_something()))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, StringArray, new_null_array};

    use super::*;
    use crate::source::intercom::tables;

    fn pending(is_alone: bool) -> Pending {
        let target = Target { schema: "crm".into(), table: tables::find("tags").unwrap() };
        Pending { is_alone, ..Pending::new(target, Some(3)) }
    }

    /// A page of tags with these ids, and the state that it completes.
    fn page(ids: std::ops::Range<usize>, state: &str) -> TableRows {
        let schema = tables::find("tags").unwrap().schema();
        let columns = schema.fields().iter().map(|field| -> ArrayRef {
            match field.name().as_str() {
                "id" => Arc::new(ids.clone().map(|id| Some(id.to_string())).collect::<StringArray>()),
                _ => new_null_array(field.data_type(), ids.len()),
            }
        });
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap();
        let state = Some(TableState::new(state, "2.14", String::new()));
        TableRows { table: 0, batch, owners: Vec::new(), entries: Vec::new(), state }
    }

    fn add(pending: &mut Pending, rows: TableRows, most: usize) {
        pending.add(rows, Timestamp::UNIX_EPOCH, false, most);
    }

    /// The ids of a commit, and the state it saves.
    fn contents(commit: &TableCommit) -> (Vec<usize>, Option<String>) {
        let ids = commit.batches.iter().flat_map(|batch| {
            let ids = batch.column_by_name("id").unwrap().as_string::<i32>();
            ids.iter().map(|id| id.unwrap().parse().unwrap()).collect::<Vec<usize>>()
        });
        (ids.collect(), commit.state.as_ref().map(|change| change.state.workspace.clone()))
    }

    #[test]
    fn a_table_read_alone_is_committed_by_exactly_so_many_rows() {
        let every = CommitEvery { rows: 10, ..CommitEvery::default() };
        let mut pending = pending(true);
        add(&mut pending, page(0..4, "one"), 10);
        add(&mut pending, page(4..8, "two"), 10);
        assert!(!pending.is_due(every));
        add(&mut pending, page(8..12, "three"), 10);
        assert!(pending.is_due(every));
        let commit = pending.hand_over(Scope::Some, Vec::new());
        // The third page is not all there, so what it completes waits with its rest.
        assert_eq!(contents(&commit), ((0..10).collect(), Some("two".into())));
        assert!(!pending.is_due(every));
        assert!(pending.has_something());
        add(&mut pending, page(12..14, "four"), 10);
        let commit = pending.hand_over(Scope::Some, Vec::new());
        assert_eq!(contents(&commit), ((10..14).collect(), Some("four".into())));
        assert!(!pending.has_something());
    }

    #[test]
    fn at_the_end_of_a_pass_nothing_is_left_behind() {
        let mut pending = pending(true);
        add(&mut pending, page(0..6, "one"), 10);
        add(&mut pending, page(6..12, "two"), 10);
        pending.take_rest();
        let commit = pending.hand_over(Scope::All, Vec::new());
        assert_eq!(contents(&commit), ((0..12).collect(), Some("two".into())));
    }

    #[test]
    fn pages_are_cut_only_where_nothing_else_depends_on_them() {
        for (what, is_alone, hold, first, most) in [
            ("together with others", false, false, 6, 10),
            ("held until the flush", true, true, 6, 10),
            ("a page larger than a commit", true, false, 1, 5),
            ("a page that ends where the commit does", true, false, 4, 10),
        ] {
            let mut pending = pending(is_alone);
            pending.add(page(0..first, "one"), Timestamp::UNIX_EPOCH, hold, most);
            pending.add(page(first..first + 6, "two"), Timestamp::UNIX_EPOCH, hold, most);
            let commit = pending.hand_over(Scope::Some, Vec::new());
            assert_eq!(contents(&commit), ((0..first + 6).collect(), Some("two".into())), "{what}");
        }
    }

    #[test]
    fn small_pages_are_joined_and_keep_their_order() {
        let mut pending = pending(true);
        for at in 0..30 {
            add(&mut pending, page(at * 100..(at + 1) * 100, "state"), usize::MAX);
        }
        let sizes: Vec<usize> = pending.batches.iter().map(RecordBatch::num_rows).collect();
        assert_eq!((sizes[0], sizes.len()), (2100, 10));
        assert_eq!(pending.owners.len(), sizes.len());
        assert_eq!(pending.rows, 3000);
        assert_eq!(contents(&pending.hand_over(Scope::Some, Vec::new())).0, (0..3000).collect::<Vec<_>>());
    }
}
