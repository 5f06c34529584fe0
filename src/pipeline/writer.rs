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
        Self { rows: 60_000, bytes: 64 << 20, age: Duration::from_secs(30) }
    }
}

/// Messages that may wait for the thread.
const UNDERWAY: usize = 16;
/// Without a message for this long, the destination is let go of. Opening it again costs about as much.
const GRACE: Duration = Duration::from_millis(60);

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

    /// Everything that waits, as a part of a commit.
    fn hand_over(&mut self, scope: Scope, stamps: Vec<Stamp>) -> TableCommit {
        let state = self.state.take().map(|state| StateChange { expected: self.revision, state });
        (self.rows, self.bytes, self.since, self.hold) = (0, 0, None, false);
        TableCommit {
            target: self.target.clone(),
            batches: std::mem::take(&mut self.batches),
            scope,
            supersedes_before: self.supersedes_before,
            stamps,
            state,
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
        !self.hold && (self.rows >= every.rows || self.bytes >= every.bytes || (is_old && self.rows > 0))
    }
}

/// A flush whose sender waits for the outcome.
struct Asked {
    flush: Flush,
    reply: oneshot::Sender<Committed>,
}

impl Desk {
    fn work(mut self, mut receiver: mpsc::Receiver<Message>, handle: &Handle) -> Box<dyn Destination> {
        loop {
            let due = self.until_next_commit();
            let first = match handle.block_on(next_message(&mut receiver, due, || self.destination.rest())) {
                Next::Message(message) => Some(message),
                Next::Nothing => None,
                Next::End => return self.destination,
            };
            // Whatever else has arrived meanwhile shares the next commit.
            let messages = first.into_iter().chain(std::iter::from_fn(|| receiver.try_recv().ok()));
            if self.take(messages).is_err() {
                return self.destination;
            }
        }
    }

    /// Keeps an error where whoever sends next, or waits for an answer, looks once the channel is closed. So it
    /// has to be there before the first of the answers is given up.
    fn keep<T>(&self, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        }
        outcome
    }

    fn until_next_commit(&self) -> Duration {
        let waiting = self.tables.iter().filter(|table| !table.hold && table.rows > 0);
        let oldest = waiting.filter_map(|table| table.since).min();
        oldest.map_or(self.every.age, |since| self.every.age.saturating_sub(since.elapsed()))
    }

    fn take(&mut self, messages: impl Iterator<Item = Message>) -> Result<()> {
        let mut asked = Vec::new();
        for message in messages {
            match message {
                Message::Rows(rows) => {
                    let table = rows.table;
                    self.tables[table].add(*rows);
                    // Looked at after every page, so that memory stays bounded however many have arrived.
                    if self.tables[table].is_due(self.every) {
                        self.commit(vec![Part::due(table)])?;
                    }
                }
                Message::Flush(flush, reply) => asked.push(Asked { flush: *flush, reply }),
                Message::LiveKeys(table, reply) => {
                    let target = self.tables[table].target.clone();
                    let keys = self.destination.live_keys(&target);
                    // Nobody waits any more if the table was stopped.
                    reply.send(self.keep(keys)?).ok();
                }
                Message::Record(runs) => {
                    let recorded = self.destination.record(&runs);
                    self.keep(recorded)?;
                }
            }
        }
        let mut parts: Vec<Part> = Vec::new();
        let mut replies = Vec::new();
        for Asked { flush, reply } in asked {
            let pending = &mut self.tables[flush.table];
            pending.supersedes_before = flush.supersedes_before;
            pending.state = flush.state.or(pending.state.take());
            replies.push((flush.table, reply));
            parts.push(Part { table: flush.table, scope: flush.scope, stamps: flush.stamps });
        }
        for (table, pending) in self.tables.iter().enumerate() {
            if pending.is_due(self.every) && !parts.iter().any(|part| part.table == table) {
                parts.push(Part::due(table));
            }
        }
        self.commit(parts)?;
        for (table, reply) in replies {
            reply.send(std::mem::take(&mut self.tables[table].done)).ok();
        }
        Ok(())
    }

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
        let committed = self.destination.commit(&commits);
        let committed = self.keep(committed)?;
        for (table, done) in tables.into_iter().zip(&committed) {
            self.tables[table].note(done);
        }
        let rows: usize = commits.iter().flat_map(|commit| &commit.batches).map(RecordBatch::num_rows).sum();
        tracing::debug!(tables = commits.len(), rows, elapsed = ?started.elapsed(), "committed");
        Ok(())
    }
}

enum Next {
    Message(Message),
    /// None came until a commit was due.
    Nothing,
    /// Every sender is gone.
    End,
}

/// Waits for a message until a commit is `due`; calls `rest` once if none comes for a moment.
async fn next_message(receiver: &mut mpsc::Receiver<Message>, due: Duration, mut rest: impl FnMut()) -> Next {
    let or_end = |message: Option<Message>| message.map_or(Next::End, Next::Message);
    if let Ok(message) = tokio::time::timeout(due.min(GRACE), receiver.recv()).await {
        return or_end(message);
    }
    if due <= GRACE {
        return Next::Nothing;
    }
    rest();
    match tokio::time::timeout(due.saturating_sub(GRACE), receiver.recv()).await {
        Ok(message) => or_end(message),
        Err(_elapsed) => Next::Nothing,
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
