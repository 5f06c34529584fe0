//! One thread per destination: it gathers the rows of all tables and decides when a commit is due.
//!
//! DuckDB is synchronous and a commit takes a while; reading goes on meanwhile, as far as the bounded
//! channel lets it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arrow::array::RecordBatch;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::desk::Desk;
use super::pending::{CommitEvery, Pending};
use super::seen::Seen;
use crate::batch::Owner;
use crate::destination::{Committed, Destination, RunRecord, Scope, Stamp, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{Entry, Ledger, LedgerRules};
use crate::state::TableState;

/// Messages that may wait for the thread: more than a second's worth of requests at the highest rate. What they
/// may weigh is bounded by [`UNDERWAY`].
const MESSAGES: usize = 256;
/// Messages that the thread takes at once.
pub(super) const AT_ONCE: usize = 16;
/// Kilobytes of rows that may wait for the thread: half of what comes at the highest rate during a commit. The other half
/// is caught up with before the rate's window ends.
const UNDERWAY: u32 = 16 << 10;

/// The way to the thread; clones lead to the same one.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    sender: mpsc::Sender<Message>,
    /// Room for rows on their way, by the kilobyte.
    room: Arc<Semaphore>,
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

/// Keys of rows that were not seen.
#[derive(Debug, Default)]
pub(super) struct AbsentKeys {
    pub(super) keys: Vec<String>,
    /// Some of the keys that were seen, at most [`CANARIES`].
    pub(super) present: Vec<String>,
    /// Of how many.
    pub(super) of: u64,
}

/// Keys that are drawn from those that were seen.
pub(super) const CANARIES: usize = 3;

pub(super) enum Message {
    /// With the room that they take up.
    Rows(Rows, Option<OwnedSemaphorePermit>),
    Flush(Vec<Flush>, Reply<Vec<Result<Committed>>>),
    AbsentKeys(usize, Arc<Seen>, Reply<AbsentKeys>),
    KeysBeside(usize, Arc<Seen>, Reply<AbsentKeys>),
    Ledger(usize, LedgerRules, Reply<Ledger>),
    Record(Vec<RunRecord>, Reply<()>),
}

/// Whoever asked may have been stopped meanwhile, so that an answer may find nobody.
pub(super) type Reply<T> = oneshot::Sender<Result<T>>;

/// Why nothing more is written: nothing at all, or nothing of one table.
#[derive(Debug, Default)]
pub(super) struct Failures {
    pub(super) all: Option<Error>,
    pub(super) tables: HashMap<usize, Error>,
}

impl Failures {
    pub(super) fn of(&self, table: usize) -> Option<Error> {
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
        let (sender, receiver) = mpsc::channel(MESSAGES);
        let failures = Arc::new(Mutex::new(Failures::default()));
        let mut tables: Vec<Pending> =
            targets.into_iter().map(|(target, revision)| Pending::new(target, revision)).collect();
        for at in 0..tables.len() {
            let others = tables.iter().filter(|other| other.belongs_with(&tables[at]));
            tables[at].is_alone = others.count() == 1;
            tables[at].is_beside_parents = tables.iter().any(|other| other.is_parent_of(&tables[at]));
        }
        let every = CommitEvery { bytes: every.bytes.min(destination.most_bytes()), ..every };
        let desk =
            Desk { destination, used: Some(Instant::now()), tables, every, failures: Arc::clone(&failures) };
        let handle = Handle::current();
        let thread = std::thread::spawn(move || desk.work(receiver, &handle));
        let room = Arc::new(Semaphore::new(UNDERWAY as usize));
        (Self { sender, room, failures }, WriterThread { thread })
    }

    /// Hands rows over, waiting while the thread is behind.
    pub(super) async fn rows(&self, rows: Rows) -> Result<()> {
        // What is held is kept until the flush in any case, and whoever reads it cannot wait.
        let room = if rows.hold {
            None
        } else {
            // Never an error: the room is never closed.
            Arc::clone(&self.room).acquire_many_owned(weight(&rows)).await.ok()
        };
        self.sender.send(Message::Rows(rows, room)).await.map_err(|_| self.gone())
    }

    /// Why nothing more is written of a table, if that is so.
    pub(super) fn failure(&self, table: usize) -> Option<Error> {
        locked(&self.failures).of(table)
    }

    /// Commits what is gathered for these tables together; what was done to each since its last flush.
    pub(super) async fn flush(&self, flushes: Vec<Flush>) -> Result<Vec<Result<Committed>>> {
        self.ask(|reply| Message::Flush(flushes, reply)).await
    }

    /// Which of the lead rows that a table's rows without a stamp are about are not among those `seen`.
    pub(super) async fn absent_keys(&self, table: usize, seen: Arc<Seen>) -> Result<AbsentKeys> {
        self.ask(|reply| Message::AbsentKeys(table, seen, reply)).await
    }

    /// Some of the lead rows that a table's rows without a stamp are about, beside `others`: among those `present`.
    pub(super) async fn keys_beside(&self, table: usize, others: Arc<Seen>) -> Result<AbsentKeys> {
        self.ask(|reply| Message::KeysBeside(table, others, reply)).await
    }

    /// What need not be read again of a table that is read one object at a time, as far as `rules` say.
    pub(super) async fn ledger(&self, table: usize, rules: LedgerRules) -> Result<Ledger> {
        self.ask(|reply| Message::Ledger(table, rules, reply)).await
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

/// Kilobytes of rows, as far as there is room at all.
fn weight(rows: &Rows) -> u32 {
    let bytes: usize = rows.tables.iter().map(|rows| rows.batch.get_array_memory_size()).sum();
    u32::try_from(bytes >> 10).unwrap_or(UNDERWAY).min(UNDERWAY)
}

pub(super) fn locked(failures: &Mutex<Failures>) -> MutexGuard<'_, Failures> {
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
