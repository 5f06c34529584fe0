//! The thread's own work: which rows wait, what is committed together, and what fails alone.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::pending::{CommitEvery, Pending};
use super::seen::Seen;
use super::writer::{AT_ONCE, AbsentKeys, CANARIES, Failures, Flush, Message, Reply, Rows, locked};
use crate::batch::hash_of_key;
use crate::destination::{Committed, Destination, Scope, Stamp, TableCommit};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::Ledger;

/// A destination that was not used for this long is let go of. Opening it again costs about as much.
const GRACE: Duration = Duration::from_millis(60);

/// What the thread works on.
pub(super) struct Desk {
    pub(super) destination: Box<dyn Destination>,
    /// When the destination was last used, unless it has been let go of since.
    pub(super) used: Option<Instant>,
    pub(super) tables: Vec<Pending>,
    pub(super) every: CommitEvery,
    pub(super) failures: Arc<Mutex<Failures>>,
}
/// Flushes whose sender waits for the outcome.
struct Asked {
    flushes: Vec<Flush>,
    reply: Reply<Vec<Result<Committed>>>,
}
impl Desk {
    pub(super) fn work(
        mut self,
        mut receiver: mpsc::Receiver<Message>,
        handle: &Handle,
    ) -> Box<dyn Destination> {
        loop {
            let wait = self.until_next_deed();
            let first = match handle.block_on(async { tokio::time::timeout(wait, receiver.recv()).await }) {
                Ok(Some(message)) => Some(message),
                Ok(None) => return self.destination,
                Err(_elapsed) => None,
            };
            // What else has arrived meanwhile shares the next commit; what arrives later has to wait for it.
            let others = std::iter::from_fn(|| receiver.try_recv().ok()).take(AT_ONCE);
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
                Message::Rows(Rows { tables, supersedes_before, hold }, room) => {
                    let first = tables.first().map(|rows| rows.table);
                    for rows in tables {
                        if locked(&self.failures).of(rows.table).is_none() {
                            self.tables[rows.table].add(rows, supersedes_before, hold, self.every.rows);
                        }
                    }
                    // Looked at after every page, so that memory stays bounded however many have arrived.
                    drop(room);
                    let mut parts = first.map(|table| self.due_with(table)).unwrap_or_default();
                    if parts.is_empty() {
                        parts = self.largest_if_too_much();
                    }
                    if let Err(error) = self.commit(parts) {
                        for Asked { reply, .. } in asked {
                            reply.send(Err(error.clone())).ok();
                        }
                        return Err(error);
                    }
                }
                Message::Flush(flushes, reply) => asked.push(Asked { flushes, reply }),
                Message::Ledger(table, rules, reply) => {
                    let target = self.tables[table].target.clone();
                    let mut ledger = Ledger::new(rules);
                    let read = self.destination.entries(&target, &mut |entry| ledger.note(&entry));
                    reply.send(read.map(|()| ledger)).ok();
                    self.used = Some(Instant::now());
                }
                Message::AbsentKeys(table, seen, reply) => {
                    reply.send(self.absent_keys(table, &seen)).ok();
                    self.used = Some(Instant::now());
                }
                Message::KeysBeside(table, others, reply) => {
                    reply.send(self.keys_beside(table, &others)).ok();
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

    /// Which of the lead rows that a table's rows are about are not among those `seen` in the pass that is under way.
    fn absent_keys(&mut self, table: usize, seen: &Seen) -> Result<AbsentKeys> {
        let mut absent = AbsentKeys::default();
        let Pending { target, done, .. } = &self.tables[table];
        let is_own = target.table.lead().name == target.table.name && target.table.key.len() == 1;
        let has_only_grown = done.new > 0 && done.removed == 0 && done.stamped == 0;
        // Where all rows that are there came since the last flush, as in a first load, no key has to be read.
        if is_own && self.destination.is_one_place() && has_only_grown && done.new == done.live {
            absent.of = done.live;
            return Ok(absent);
        }
        let mut present = 0;
        self.destination.live_keys(&target.clone(), &mut |key| {
            absent.of += 1;
            if seen.contains(hash_of_key(key)) {
                present += 1;
                draw(&mut absent.present, key, present);
            } else {
                absent.keys.push(key.to_owned());
            }
        })?;
        Ok(absent)
    }

    /// Some of the lead rows that a table's rows are about, beside `others`.
    fn keys_beside(&mut self, table: usize, others: &Seen) -> Result<AbsentKeys> {
        let mut sample = AbsentKeys::default();
        let mut present = 0;
        let target = self.tables[table].target.clone();
        self.destination.live_keys(&target, &mut |key| {
            sample.of += 1;
            if !others.contains(hash_of_key(key)) {
                present += 1;
                draw(&mut sample.present, key, present);
            }
        })?;
        Ok(sample)
    }

    /// The tables that are committed together with `table` if one of them is due.
    fn due_with(&self, table: usize) -> Vec<Part> {
        if self.family(table).any(|table| self.tables[table].is_due(self.every)) {
            self.waiting_with(table)
        } else {
            Vec::new()
        }
    }

    /// The table with the most rows waiting, and those committed with it, if all tables together have too many.
    fn largest_if_too_much(&self) -> Vec<Part> {
        let free = || (0..self.tables.len()).filter(|table| !self.tables[*table].hold);
        if free().map(|table| self.tables[table].bytes).sum::<usize>() < self.every.bytes {
            return Vec::new();
        }
        let largest = free().max_by_key(|table| self.tables[*table].bytes);
        largest.map(|table| self.waiting_with(table)).unwrap_or_default()
    }

    fn family(&self, table: usize) -> impl Iterator<Item = usize> {
        (0..self.tables.len()).filter(move |other| self.tables[*other].belongs_with(&self.tables[table]))
    }

    /// Those of the tables committed together with `table` that have something to commit.
    fn waiting_with(&self, table: usize) -> Vec<Part> {
        let waits = |table: &usize| {
            let pending = &self.tables[*table];
            !pending.hold && (pending.has_something() || pending.state.is_some())
        };
        self.family(table).filter(waits).map(Part::due).collect()
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
                pending.take_rest();
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
        let (count, rows) = (
            commits.len(),
            commits.iter().flat_map(|commit| &commit.batches).map(RecordBatch::num_rows).sum::<usize>(),
        );
        // Alone it is not tried again, so that its rows may go as they are written.
        let (outcome, commits) = match commits.len() {
            1 => (self.destination.commit_and_forget(commits), Vec::new()),
            _ => (self.destination.commit(&commits), commits),
        };
        match outcome {
            Ok(committed) => {
                for (table, done) in tables.iter().zip(&committed) {
                    self.tables[*table].note(done);
                }
            }
            Err(error) if error.kind() == ErrorKind::Locked => return Err(error),
            Err(error) if count == 1 => self.give_up(tables[0], error),
            Err(error) => self.commit_one_by_one(&tables, &commits, &error),
        }
        self.used = Some(Instant::now());
        tracing::debug!(tables = count, rows, elapsed = ?started.elapsed(), "committed");
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

/// Draws the `number`-th key, from 1, so that in the end each of all keys is among those drawn with the same chance.
fn draw(drawn: &mut Vec<String>, key: &str, number: usize) {
    if drawn.len() < CANARIES {
        drawn.push(key.to_owned());
    } else if let Some(place) = drawn.get_mut(fastrand::usize(0..number)) {
        key.clone_into(place);
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
