//! One thread per destination: it gathers the rows of all tables and decides when a commit is due.
//!
//! DuckDB is synchronous and a commit takes a while; reading goes on meanwhile, as far as the bounded
//! channel lets it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::batch::Owner;
use crate::destination::{Committed, Destination, RunRecord, Scope, Stamp, TableCommit, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{Entry, Ledger};
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

/// Messages that may wait for the thread.
const UNDERWAY: usize = 16;
/// A destination that was not used for this long is let go of. Opening it again costs about as much.
const GRACE: Duration = Duration::from_millis(60);

/// The way to the thread; clones lead to the same one.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    sender: mpsc::Sender<Message>,
    failures: Arc<Mutex<Failures>>,
}

/// The thread itself; ends when every [`Writer`] is gone.
#[derive(Debug)]
pub(super) struct WriterThread {
    thread: std::thread::JoinHandle<Box<dyn Destination>>,
}

/// The rows of one page.
#[derive(Debug)]
pub(super) struct Rows {
    /// For each table that gets any; tables that are read together are committed together.
    pub(super) tables: Vec<TableRows>,
    /// See [`TableCommit::supersedes_before`]; the same for all rows between two flushes.
    pub(super) supersedes_before: Timestamp,
    /// Whether to keep the rows until the flush, come what may.
    pub(super) hold: bool,
}

/// The rows of one page that belong to one table.
#[derive(Debug)]
pub(super) struct TableRows {
    /// Position of the table among the targets.
    pub(super) table: usize,
    /// The rows.
    pub(super) batch: RecordBatch,
    /// See [`TableCommit::owners`].
    pub(super) owners: Vec<Owner>,
    /// See [`TableCommit::entries`].
    pub(super) entries: Vec<Entry>,
    /// The state that everything written so far supports, if it supports a new one.
    pub(super) state: Option<TableState>,
}

/// The end of a pass for one table.
#[derive(Debug)]
pub(super) struct Flush {
    /// Position of the table among the targets.
    pub(super) table: usize,
    /// What the rows since the last flush say about all others.
    pub(super) scope: Scope,
    /// Rows found to be gone.
    pub(super) stamps: Vec<Stamp>,
    /// See [`TableCommit::supersedes_before`].
    pub(super) supersedes_before: Timestamp,
    /// The new state, if there is one.
    pub(super) state: Option<TableState>,
}

enum Message {
    Rows(Rows),
    Flush(Vec<Flush>, Reply<Vec<Result<Committed>>>),
    LiveKeys(usize, Reply<Vec<String>>),
    Ledger(usize, Option<Timestamp>, Reply<Ledger>),
    Record(Vec<RunRecord>, Reply<()>),
}

/// Whoever asked may have been stopped meanwhile, so that an answer may find nobody.
type Reply<T> = oneshot::Sender<Result<T>>;

/// Why nothing more is written: nothing at all, or nothing of one table.
#[derive(Debug, Default)]
struct Failures {
    all: Option<Error>,
    tables: HashMap<usize, Error>,
}

impl Failures {
    fn of(&self, table: usize) -> Option<Error> {
        self.all.as_ref().or_else(|| self.tables.get(&table)).cloned()
    }
}

impl Writer {
    /// Starts the thread over `targets`, each with the revision of its state. Targets with the same lead table
    /// in the same schema are committed together, in this order.
    pub(super) fn start(
        destination: Box<dyn Destination>,
        targets: Vec<(Target, Option<u64>)>,
        every: CommitEvery,
    ) -> (Self, WriterThread) {
        let (sender, receiver) = mpsc::channel(UNDERWAY);
        let failures = Arc::new(Mutex::new(Failures::default()));
        let mut tables: Vec<Pending> =
            targets.into_iter().map(|(target, revision)| Pending::new(target, revision)).collect();
        for at in 0..tables.len() {
            tables[at].is_beside_parents = tables.iter().any(|other| other.is_parent_of(&tables[at]));
        }
        let desk =
            Desk { destination, used: Some(Instant::now()), tables, every, failures: Arc::clone(&failures) };
        let handle = Handle::current();
        let thread = std::thread::spawn(move || desk.work(receiver, &handle));
        (Self { sender, failures }, WriterThread { thread })
    }

    /// Hands rows over, waiting while the thread is behind.
    pub(super) async fn rows(&self, rows: Rows) -> Result<()> {
        self.sender.send(Message::Rows(rows)).await.map_err(|_| self.gone())
    }

    /// Why nothing more is written of a table, if that is so.
    pub(super) fn failure(&self, table: usize) -> Option<Error> {
        locked(&self.failures).of(table)
    }

    /// Commits what is gathered for these tables together; what was done to each since its last flush.
    pub(super) async fn flush(&self, flushes: Vec<Flush>) -> Result<Vec<Result<Committed>>> {
        self.ask(|reply| Message::Flush(flushes, reply)).await
    }

    /// The keys of the lead rows that a table's rows without a stamp are about.
    pub(super) async fn live_keys(&self, table: usize) -> Result<Vec<String>> {
        self.ask(|reply| Message::LiveKeys(table, reply)).await
    }

    /// What need not be read again of a table that is read one object at a time, as far as it was read at or
    /// after `since`.
    pub(super) async fn ledger(&self, table: usize, since: Option<Timestamp>) -> Result<Ledger> {
        self.ask(|reply| Message::Ledger(table, since, reply)).await
    }

    /// Adds to the log of runs.
    pub(super) async fn record(&self, runs: Vec<RunRecord>) -> Result<()> {
        self.ask(|reply| Message::Record(runs, reply)).await
    }

    async fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(message(reply)).await.map_err(|_| self.gone())?;
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    /// Why the thread has ended.
    fn gone(&self) -> Error {
        let failure = locked(&self.failures).all.clone();
        failure.unwrap_or_else(|| Error::new(ErrorKind::Destination, "the writer ended unexpectedly"))
    }
}

fn locked(failures: &Mutex<Failures>) -> MutexGuard<'_, Failures> {
    failures.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WriterThread {
    /// Waits for the thread and takes the destination back. Every [`Writer`] must be gone.
    pub(super) async fn join(self) -> Result<Box<dyn Destination>> {
        let joined = tokio::task::spawn_blocking(|| self.thread.join()).await;
        match joined {
            Ok(Ok(destination)) => Ok(destination),
            _ => Err(Error::new(ErrorKind::Destination, "the writer ended unexpectedly")),
        }
    }
}

/// What the thread works on.
struct Desk {
    destination: Box<dyn Destination>,
    /// When the destination was last used, unless it has been let go of since.
    used: Option<Instant>,
    tables: Vec<Pending>,
    every: CommitEvery,
    failures: Arc<Mutex<Failures>>,
}

/// Rows of one table that are not yet committed.
struct Pending {
    target: Target,
    revision: Option<u64>,
    batches: Vec<RecordBatch>,
    owners: Vec<Vec<Owner>>,
    entries: Vec<Entry>,
    rows: usize,
    bytes: usize,
    since: Option<Instant>,
    hold: bool,
    supersedes_before: Timestamp,
    state: Option<TableState>,
    /// See [`TableCommit::is_beside_parents`].
    is_beside_parents: bool,
    /// What commits since the last flush did.
    done: Committed,
}

impl Pending {
    fn new(target: Target, revision: Option<u64>) -> Self {
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

    fn add(&mut self, rows: TableRows, supersedes_before: Timestamp, hold: bool) {
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

    fn has_something(&self) -> bool {
        !self.batches.is_empty() || !self.entries.is_empty()
    }

    /// Everything that waits, as a part of a commit.
    fn hand_over(&mut self, scope: Scope, stamps: Vec<Stamp>) -> TableCommit {
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

    fn note(&mut self, done: &Committed) {
        self.revision = done.revision.or(self.revision);
        self.done.new += done.new;
        self.done.changed += done.changed;
        self.done.unchanged += done.unchanged;
        self.done.removed += done.removed;
        self.done.stamped += done.stamped;
        self.done.live = done.live;
        self.done.revision = self.revision;
    }

    fn is_due(&self, every: CommitEvery) -> bool {
        let is_old = self.since.is_some_and(|since| since.elapsed() >= every.age);
        !self.hold
            && (self.rows >= every.rows || self.bytes >= every.bytes || (is_old && self.has_something()))
    }

    /// Whether the rows of `inner` stand inside these.
    fn is_parent_of(&self, inner: &Self) -> bool {
        inner.target.table.inside().is_some_and(|inside| inside.parent.name == self.target.table.name)
            && self.belongs_with(inner)
    }

    /// Whether the rows of both are read, and so committed, together.
    fn belongs_with(&self, other: &Self) -> bool {
        self.target.table.lead().name == other.target.table.lead().name
            && self.target.schema == other.target.schema
    }
}

/// Flushes whose sender waits for the outcome.
struct Asked {
    flushes: Vec<Flush>,
    reply: Reply<Vec<Result<Committed>>>,
}

impl Desk {
    fn work(mut self, mut receiver: mpsc::Receiver<Message>, handle: &Handle) -> Box<dyn Destination> {
        loop {
            let wait = self.until_next_deed();
            let first = match handle.block_on(async { tokio::time::timeout(wait, receiver.recv()).await }) {
                Ok(Some(message)) => Some(message),
                Ok(None) => return self.destination,
                Err(_elapsed) => None,
            };
            // What else has arrived meanwhile shares the next commit; what arrives later has to wait for it.
            let others = std::iter::from_fn(|| receiver.try_recv().ok()).take(UNDERWAY);
            if let Err(error) = self.take(first.into_iter().chain(others)) {
                locked(&self.failures).all = Some(error);
                return self.destination;
            }
            if self.used.is_some_and(|used| used.elapsed() >= GRACE) {
                self.destination.rest();
                self.used = None;
            }
        }
    }

    /// How long nothing has to be done if no message comes.
    fn until_next_deed(&self) -> Duration {
        let waiting = self.tables.iter().filter(|table| !table.hold && table.has_something());
        let oldest = waiting.filter_map(|table| table.since).min();
        let commit = oldest.map_or(self.every.age, |since| self.every.age.saturating_sub(since.elapsed()));
        self.used.map_or(commit, |used| commit.min(GRACE.saturating_sub(used.elapsed())))
    }

    /// Carries messages out. An error concerns everything and ends the thread; all who wait have been told.
    fn take(&mut self, messages: impl Iterator<Item = Message>) -> Result<()> {
        let mut asked = Vec::new();
        for message in messages {
            match message {
                Message::Rows(Rows { tables, supersedes_before, hold }) => {
                    let first = tables.first().map(|rows| rows.table);
                    for rows in tables {
                        if locked(&self.failures).of(rows.table).is_none() {
                            self.tables[rows.table].add(rows, supersedes_before, hold);
                        }
                    }
                    // Looked at after every page, so that memory stays bounded however many have arrived.
                    let parts = first.map(|table| self.due_with(table)).unwrap_or_default();
                    if let Err(error) = self.commit(parts) {
                        for Asked { reply, .. } in asked {
                            reply.send(Err(error.clone())).ok();
                        }
                        return Err(error);
                    }
                }
                Message::Flush(flushes, reply) => asked.push(Asked { flushes, reply }),
                Message::Ledger(table, since, reply) => {
                    let target = self.tables[table].target.clone();
                    let mut ledger = Ledger::default();
                    let read = self.destination.entries(&target, &mut |entry| {
                        if since.is_none_or(|since| entry.fetched_at >= since) {
                            ledger.note(&entry);
                        }
                    });
                    reply.send(read.map(|()| ledger)).ok();
                    self.used = Some(Instant::now());
                }
                Message::LiveKeys(table, reply) => {
                    let target = self.tables[table].target.clone();
                    reply.send(self.destination.live_keys(&target)).ok();
                    self.used = Some(Instant::now());
                }
                Message::Record(runs, reply) => {
                    reply.send(self.destination.record(&runs)).ok();
                    self.used = Some(Instant::now());
                }
            }
        }
        self.flush(asked)
    }

    /// The tables that are committed together with `table` if one of them is due.
    fn due_with(&self, table: usize) -> Vec<Part> {
        let family: Vec<usize> = (0..self.tables.len())
            .filter(|other| self.tables[*other].belongs_with(&self.tables[table]))
            .collect();
        if !family.iter().any(|table| self.tables[*table].is_due(self.every)) {
            return Vec::new();
        }
        let waits = |table: &usize| {
            let pending = &self.tables[*table];
            !pending.hold && (pending.has_something() || pending.state.is_some())
        };
        family.into_iter().filter(waits).map(Part::due).collect()
    }

    /// Commits the tables that were asked for and those that are due, together.
    fn flush(&mut self, asked: Vec<Asked>) -> Result<()> {
        let mut parts: Vec<Part> = Vec::new();
        let mut replies = Vec::new();
        for Asked { flushes, reply } in asked {
            replies.push((flushes.iter().map(|flush| flush.table).collect::<Vec<_>>(), reply));
            for flush in flushes {
                if locked(&self.failures).of(flush.table).is_some() {
                    continue;
                }
                let pending = &mut self.tables[flush.table];
                pending.supersedes_before = flush.supersedes_before;
                pending.state = flush.state.or(pending.state.take());
                parts.push(Part { table: flush.table, scope: flush.scope, stamps: flush.stamps });
            }
        }
        for table in 0..self.tables.len() {
            for part in self.due_with(table) {
                if !parts.iter().any(|known| known.table == part.table) {
                    parts.push(part);
                }
            }
        }
        parts.sort_by_key(|part| part.table);
        let outcome = self.commit(parts);
        for (tables, reply) in replies {
            let answer = match &outcome {
                Err(error) => Err(error.clone()),
                Ok(()) => Ok(tables.into_iter().map(|table| self.done(table)).collect()),
            };
            reply.send(answer).ok();
        }
        outcome
    }

    /// What was done to a table since this was asked for the last time, or why nothing more is.
    fn done(&mut self, table: usize) -> Result<Committed> {
        let failure = locked(&self.failures).of(table);
        let done = std::mem::take(&mut self.tables[table].done);
        failure.map_or(Ok(done), Err)
    }

    /// Commits in one transaction or, if that fails, each table in its own, so that a table that cannot be
    /// written does not take the others with it. An error concerns all of them.
    fn commit(&mut self, parts: Vec<Part>) -> Result<()> {
        if parts.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        let tables: Vec<usize> = parts.iter().map(|part| part.table).collect();
        let commits: Vec<TableCommit> = parts
            .into_iter()
            .map(|part| self.tables[part.table].hand_over(part.scope, part.stamps))
            .collect();
        match self.destination.commit(&commits) {
            Ok(committed) => {
                for (table, done) in tables.iter().zip(&committed) {
                    self.tables[*table].note(done);
                }
            }
            Err(error) if error.kind() == ErrorKind::Locked => return Err(error),
            Err(error) if commits.len() == 1 => self.give_up(tables[0], error),
            Err(error) => self.commit_one_by_one(&tables, &commits, &error),
        }
        self.used = Some(Instant::now());
        let rows: usize = commits.iter().flat_map(|commit| &commit.batches).map(RecordBatch::num_rows).sum();
        tracing::debug!(tables = commits.len(), rows, elapsed = ?started.elapsed(), "committed");
        Ok(())
    }

    fn commit_one_by_one(&mut self, tables: &[usize], commits: &[TableCommit], together: &Error) {
        for (table, commit) in tables.iter().zip(commits) {
            match self.destination.commit(std::slice::from_ref(commit)) {
                Ok(committed) => committed.iter().for_each(|done| self.tables[*table].note(done)),
                // If nobody else had moved the checkpoint before, the commit landed although it looked failed.
                Err(error)
                    if error.kind() == ErrorKind::Conflict && together.kind() != ErrorKind::Conflict =>
                {
                    self.give_up(*table, together.clone());
                }
                Err(error) => self.give_up(*table, error),
            }
        }
    }

    /// Nothing more of this table is written; whoever sends rows of it is told.
    fn give_up(&self, table: usize, error: Error) {
        locked(&self.failures).tables.insert(table, error);
    }
}

/// One table's part of the next commit.
struct Part {
    table: usize,
    scope: Scope,
    stamps: Vec<Stamp>,
}

impl Part {
    /// Rows that cannot wait any longer, in the middle of a pass.
    fn due(table: usize) -> Self {
        Self { table, scope: Scope::Some, stamps: Vec::new() }
    }
}
