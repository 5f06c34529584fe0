//! One thread per destination: it gathers the rows of all tables and decides when a commit is due.
//!
//! DuckDB is synchronous and a commit takes a while; reading goes on meanwhile, as far as the bounded
//! channel lets it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::destination::{Committed, Destination, RunRecord, Scope, Stamp, TableCommit, Target};
use crate::error::{Error, ErrorKind, Result};
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
        Self { rows: 60_000, bytes: 96 << 20, age: Duration::from_secs(30) }
    }
}

/// Messages that may wait for the thread.
const UNDERWAY: usize = 16;

/// The way to the thread; clones lead to the same one.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    sender: mpsc::Sender<Message>,
    failure: Arc<Mutex<Option<Error>>>,
}

/// The thread itself; ends when every [`Writer`] is gone.
#[derive(Debug)]
pub(super) struct WriterThread {
    thread: std::thread::JoinHandle<Box<dyn Destination>>,
}

/// Rows of one page.
#[derive(Debug)]
pub(super) struct Rows {
    /// Position of the table among the targets.
    pub(super) table: usize,
    /// The rows.
    pub(super) batch: RecordBatch,
    /// See [`TableCommit::supersedes_before`]; the same for all rows between two flushes.
    pub(super) supersedes_before: Timestamp,
    /// The state that everything written so far supports, if it supports a new one.
    pub(super) state: Option<TableState>,
    /// Whether to keep the rows until the flush, come what may.
    pub(super) hold: bool,
}

/// The end of a pass.
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
    Rows(Box<Rows>),
    Flush(Box<Flush>, oneshot::Sender<Committed>),
    LiveKeys(usize, oneshot::Sender<Vec<String>>),
    Record(Vec<RunRecord>),
}

impl Writer {
    /// Starts the thread over `targets`, whose states have the given revisions.
    pub(super) fn start(
        destination: Box<dyn Destination>,
        targets: Vec<Target>,
        revisions: Vec<Option<u64>>,
        every: CommitEvery,
    ) -> (Self, WriterThread) {
        let (sender, receiver) = mpsc::channel(UNDERWAY);
        let failure = Arc::new(Mutex::new(None));
        let tables = targets.into_iter().zip(revisions);
        let desk = Desk {
            destination,
            tables: tables.map(|(target, revision)| Pending::new(target, revision)).collect(),
            every,
            failure: Arc::clone(&failure),
        };
        let handle = Handle::current();
        let thread = std::thread::spawn(move || desk.work(receiver, &handle));
        (Self { sender, failure }, WriterThread { thread })
    }

    /// Hands rows over, waiting while the thread is behind.
    pub(super) async fn rows(&self, rows: Rows) -> Result<()> {
        self.sender.send(Message::Rows(Box::new(rows))).await.map_err(|_| self.failure())
    }

    /// Commits what is gathered for a table; what was done to it since its last flush.
    pub(super) async fn flush(&self, flush: Flush) -> Result<Committed> {
        let (reply, answer) = oneshot::channel();
        let sent = self.sender.send(Message::Flush(Box::new(flush), reply)).await;
        sent.map_err(|_| self.failure())?;
        answer.await.map_err(|_| self.failure())
    }

    /// The keys of a table's rows that are not stamped.
    pub(super) async fn live_keys(&self, table: usize) -> Result<Vec<String>> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(Message::LiveKeys(table, reply)).await.map_err(|_| self.failure())?;
        answer.await.map_err(|_| self.failure())
    }

    /// Adds to the log of runs.
    pub(super) async fn record(&self, runs: Vec<RunRecord>) -> Result<()> {
        self.sender.send(Message::Record(runs)).await.map_err(|_| self.failure())
    }

    /// Why the thread has ended.
    fn failure(&self) -> Error {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.clone().unwrap_or_else(|| Error::new(ErrorKind::Destination, "the writer ended unexpectedly"))
    }
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
    tables: Vec<Pending>,
    every: CommitEvery,
    failure: Arc<Mutex<Option<Error>>>,
}

/// Rows of one table that are not yet committed.
struct Pending {
    target: Target,
    revision: Option<u64>,
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    since: Option<Instant>,
    hold: bool,
    supersedes_before: Timestamp,
    state: Option<TableState>,
    /// What commits since the last flush did.
    done: Committed,
}

impl Pending {
    fn new(target: Target, revision: Option<u64>) -> Self {
        Self {
            target,
            revision,
            batches: Vec::new(),
            rows: 0,
            bytes: 0,
            since: None,
            hold: false,
            supersedes_before: Timestamp::MIN,
            state: None,
            done: Committed::default(),
        }
    }

    fn add(&mut self, rows: Rows) {
        self.rows += rows.batch.num_rows();
        self.bytes += rows.batch.get_array_memory_size();
        if rows.batch.num_rows() > 0 {
            self.batches.push(rows.batch);
        }
        self.since.get_or_insert_with(Instant::now);
        self.hold = rows.hold;
        self.supersedes_before = rows.supersedes_before;
        if rows.state.is_some() {
            self.state = rows.state;
        }
    }

    fn is_due(&self, every: CommitEvery) -> bool {
        let is_old = self.since.is_some_and(|since| since.elapsed() >= every.age);
        !self.hold && (self.rows >= every.rows || self.bytes >= every.bytes || (is_old && self.rows > 0))
    }
}

impl Desk {
    fn work(mut self, mut receiver: mpsc::Receiver<Message>, handle: &Handle) -> Box<dyn Destination> {
        loop {
            let wait = self.until_next_commit();
            let message = match handle.block_on(async { tokio::time::timeout(wait, receiver.recv()).await }) {
                Ok(Some(message)) => Some(message),
                Ok(None) => return self.destination,
                Err(_elapsed) => None,
            };
            let outcome = message.map_or(Ok(()), |message| self.take(message)).and_then(|()| self.commit_due());
            if let Err(error) = outcome {
                // Whoever sends next, or waits for an answer, finds the channel closed and looks here.
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                return self.destination;
            }
        }
    }

    fn until_next_commit(&self) -> Duration {
        let waiting = self.tables.iter().filter(|table| !table.hold && table.rows > 0);
        let oldest = waiting.filter_map(|table| table.since).min();
        oldest.map_or(self.every.age, |since| self.every.age.saturating_sub(since.elapsed()))
    }

    fn take(&mut self, message: Message) -> Result<()> {
        match message {
            Message::Rows(rows) => self.tables[rows.table].add(*rows),
            Message::Flush(flush, reply) => {
                let table = flush.table;
                self.flush(*flush)?;
                // Nobody waits any more if the table was stopped; the commit stands all the same.
                reply.send(std::mem::take(&mut self.tables[table].done)).ok();
            }
            Message::LiveKeys(table, reply) => {
                let target = self.tables[table].target.clone();
                reply.send(self.destination.live_keys(&target)?).ok();
            }
            Message::Record(runs) => self.destination.record(&runs)?,
        }
        Ok(())
    }

    fn flush(&mut self, flush: Flush) -> Result<()> {
        let pending = &mut self.tables[flush.table];
        pending.supersedes_before = flush.supersedes_before;
        if flush.state.is_some() {
            pending.state = flush.state;
        }
        self.commit(flush.table, flush.scope, flush.stamps)
    }

    fn commit_due(&mut self) -> Result<()> {
        for table in 0..self.tables.len() {
            if self.tables[table].is_due(self.every) {
                self.commit(table, Scope::Some, Vec::new())?;
            }
        }
        Ok(())
    }

    fn commit(&mut self, table: usize, scope: Scope, stamps: Vec<Stamp>) -> Result<()> {
        let pending = &mut self.tables[table];
        let state = pending.state.take().map(|state| StateChange { expected: pending.revision, state });
        let commit = TableCommit {
            target: pending.target.clone(),
            batches: std::mem::take(&mut pending.batches),
            scope,
            supersedes_before: pending.supersedes_before,
            stamps,
            state,
        };
        (pending.rows, pending.bytes, pending.since, pending.hold) = (0, 0, None, false);
        let started = Instant::now();
        let rows: usize = commit.batches.iter().map(RecordBatch::num_rows).sum();
        let committed = self.destination.commit(std::slice::from_ref(&commit))?;
        tracing::debug!(table = commit.target.table.name, rows, elapsed = ?started.elapsed(), "committed");
        let Some(last) = committed.first() else { return Ok(()) };
        let pending = &mut self.tables[table];
        pending.revision = last.revision.or(pending.revision);
        pending.done.new += last.new;
        pending.done.changed += last.changed;
        pending.done.unchanged += last.unchanged;
        pending.done.removed += last.removed;
        pending.done.stamped += last.stamped;
        pending.done.live = last.live;
        pending.done.revision = pending.revision;
        Ok(())
    }
}
