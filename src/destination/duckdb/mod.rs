//! DuckDB: a schema per connection, tables merged in place, states and the log of runs beside them in
//! `_ingest`, all in one file.
//!
//! The file is open only while a transaction runs, so that readers get in between. What was learnt by trying
//! DuckDB 2.0 decides much of the SQL here; the reasons stand beside it.

mod commit;
mod connect;
mod feed;
mod merge;
mod parents;
mod sql;
mod stage;
mod views;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::duckdb::{Connection, OptionalExt, params};
use arrow::array::RecordBatch;

pub use connect::{HALF_GROUP, Options};

use super::run_lock::RunLock;
use super::{Committed, Destination, Identity, PastRun, RunRecord, TableCommit, TableStatus, Target};
use crate::error::Result;
use crate::ledger::Entry;
use crate::progress::Progress;
use crate::state::{Stored, TableState};
use commit::Settled;
use connect::failed;

/// Tables in one DuckDB file, held for one run.
#[derive(Debug)]
pub struct DuckDb {
    path: PathBuf,
    options: Options,
    progress: Progress,
    /// Open while there is work; see [`Destination::rest`].
    connection: Option<Connection>,
    /// What was said already about views.
    told: Vec<String>,
    /// Schema and name of the tables that were there when their states were read.
    stood: HashSet<Identity>,
    /// What need not be looked at again while the file stays open, since nobody else can change it.
    settled: Settled,
    _lock: RunLock,
}

impl DuckDb {
    /// Takes the file for this run, waiting up to `wait` while another run has it. Nothing is created but
    /// the lock file beside it.
    pub fn begin(path: &Path, options: Options, wait: Duration, progress: Progress) -> Result<Self> {
        let path = connect::canonical(path)?;
        let lock = RunLock::take(&path, wait, &progress)?;
        connect::remove_leftovers(&path)?;
        Ok(Self {
            path,
            options,
            progress,
            connection: None,
            told: Vec::new(),
            stood: HashSet::new(),
            settled: Settled::default(),
            _lock: lock,
        })
    }

    /// Runs `work` on the open file. After an error the file is closed, so that nothing half-done stays.
    fn with_connection<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.open()?,
        };
        let done = work(&connection);
        connect::share_log(&self.path);
        let done = done?;
        self.connection = Some(connection);
        Ok(done)
    }

    /// Opens the file; with more memory if what a run before has left to do needs it.
    fn open(&mut self) -> Result<Connection> {
        loop {
            match connect::open(&self.path, &self.options, &self.progress) {
                Err(error) if connect::is_out_of_memory(&error) && self.options.take_more() => {}
                opened => return opened,
            }
        }
    }

    /// Publishes commits, whose rows are in `batches` and let go of as they are written.
    fn publish(&mut self, commits: &[TableCommit], batches: Vec<Vec<RecordBatch>>) -> Result<Vec<Committed>> {
        let widest = batches.iter().map(|batches| feed::widest(batches)).max().unwrap_or(0);
        if self.options.make_room_for(widest) {
            self.rest();
        }
        let rows: usize = batches.iter().flatten().map(RecordBatch::num_rows).sum();
        // Where rows are wide enough to be too much, there are few of them.
        let kept = (rows < commit::LARGE && self.options.may_take_more).then(|| batches.clone());
        let (mut commits, mut batches, mut saved) = (Cow::Borrowed(commits), Some(batches), None);
        loop {
            let done = self.publish_once(&commits, batches.take().unwrap_or_default());
            match (&done, &kept) {
                (Err(error), Some(kept)) if connect::is_out_of_memory(error) && self.options.take_more() => {
                    tracing::debug!(limit = self.options.memory_limit, "rows need more memory");
                    self.rest();
                    batches = Some(kept.clone());
                    // What failed may be what comes after the rows were saved.
                    if saved.is_none() {
                        saved = self.saved(&commits)?;
                        if saved.is_some() {
                            commits.to_mut().iter_mut().for_each(|commit| commit.state = None);
                        }
                    }
                }
                _ => {
                    let mut done = done?;
                    for (done, revision) in done.iter_mut().zip(saved.into_iter().flatten()) {
                        done.revision = revision;
                    }
                    return Ok(done);
                }
            }
        }
    }

    /// The revisions of the states that the commits save, if they are saved.
    fn saved(&mut self, commits: &[TableCommit]) -> Result<Option<Vec<Option<u64>>>> {
        let revisions: Vec<Option<u64>> = commits
            .iter()
            .map(|commit| commit.state.as_ref().map(|change| change.expected.unwrap_or(0) + 1))
            .collect();
        if !self.exists() || revisions.iter().all(Option::is_none) {
            return Ok(None);
        }
        self.with_connection(|connection| {
            if !sql::has_table(connection, "_ingest", "state").map_err(|e| failed("read", &e))? {
                return Ok(None);
            }
            for (commit, revision) in
                commits.iter().zip(&revisions).filter(|(_, revision)| revision.is_some())
            {
                if read_state(connection, &commit.target)?.map(|stored| stored.revision) != *revision {
                    return Ok(None);
                }
            }
            Ok(Some(revisions))
        })
    }

    fn publish_once(
        &mut self,
        commits: &[TableCommit],
        batches: Vec<Vec<RecordBatch>>,
    ) -> Result<Vec<Committed>> {
        let is_in_halves = self.is_best_in_halves(commits, &batches)?;
        if is_in_halves {
            self.rest();
            self.connection = Some(connect::open_in_halves(&self.path, &self.options, &self.progress)?);
        }
        let mut notes = Vec::new();
        let (stood, options) = (self.stood.clone(), self.options.clone());
        // After an error nothing is settled: what was made is undone.
        let settled = std::mem::take(&mut self.settled);
        // Nor is anything while the file was closed.
        let mut settled = if self.connection.is_some() { settled } else { Settled::default() };
        let done = self.with_connection(|connection| {
            let (done, told) = commit::publish(connection, &options, commits, batches, &stood, &mut settled)?;
            notes = told;
            Ok(done)
        })?;
        self.settled = settled;
        if is_in_halves {
            self.rest();
        }
        for note in notes {
            if !self.told.contains(&note) {
                tracing::warn!("{note}");
                self.told.push(note);
            }
        }
        Ok(done)
    }

    /// Whether a commit is written best by [`connect::open_in_halves`].
    fn is_best_in_halves(&mut self, commits: &[TableCommit], batches: &[Vec<RecordBatch>]) -> Result<bool> {
        let rows: usize = batches.iter().flatten().map(RecordBatch::num_rows).sum();
        let [commit] = commits else { return Ok(false) };
        if !(HALF_GROUP..2 * HALF_GROUP).contains(&rows) || self.path.to_str().is_none() {
            return Ok(false);
        }
        let (schema, table) = (&*commit.target.schema, commit.target.table.name);
        let stands = |connection: &Connection| {
            sql::has_table(connection, schema, table).map_err(|e| failed("read", &e))
        };
        Ok(!self.exists() || !self.with_connection(stands)?)
    }

    /// Whether there is a database at all.
    fn exists(&self) -> bool {
        connect::is_there(&self.path)
    }
}

/// Fails where a run could not have the file, could not write it, or make it. Writes nothing, and takes nothing from a run
/// that begins meanwhile but the blink of an eye.
pub fn try_out(path: &Path, options: &Options) -> Result<()> {
    let path = connect::canonical(path)?;
    RunLock::look(&path)?;
    connect::try_out(&path, options)
}

/// What a file says about its tables and its latest runs (`runs` at most), newest first. Takes no lock on
/// runs, so it works beside one.
pub fn status(path: &Path, options: &Options, runs: usize) -> Result<(Vec<TableStatus>, Vec<PastRun>)> {
    let path = connect::canonical(path)?;
    let connection = connect::open_to_read(&path, options)?;
    let standing = sql::tables(&connection).map_err(|e| failed("read", &e))?;
    if !sql::contains(&standing, "_ingest", "state") {
        return Ok((Vec::new(), Vec::new()));
    }
    let mut tables = Vec::new();
    for (schema, table, _, text) in sql::all_states(&connection).map_err(|e| failed("read the state", &e))? {
        let mut live = None;
        let mut deleted = 0;
        if sql::contains(&standing, &schema, &table) {
            let (alive, gone) =
                sql::count_rows(&connection, &schema, &table).map_err(|e| failed("count rows", &e))?;
            (live, deleted) = (Some(alive), gone);
        }
        tables.push(TableStatus { schema, table, state: TableState::from_json(&text)?, live, deleted });
    }
    let past = sql::latest_runs(&connection, runs).map_err(|e| failed("read the log of runs", &e))?;
    Ok((tables, past))
}

/// The states of the targets without taking the file for a run; `None` where nothing was ever saved.
pub fn read_states(path: &Path, options: &Options, targets: &[Target]) -> Result<Vec<Option<TableState>>> {
    let path = connect::canonical(path)?;
    if !connect::is_there(&path) {
        return Ok(vec![None; targets.len()]);
    }
    let connection = connect::open_to_read(&path, options)?;
    let all = sql::tables(&connection).map_err(|e| failed("read", &e))?;
    let stands = |target: &&Target| sql::contains(&all, &target.schema, target.table.name);
    let standing = targets.iter().filter(stands).map(Target::identity).collect();
    let states = load_states(&connection, targets, &standing)?;
    Ok(states.into_iter().map(|stored| stored.map(|stored| stored.state)).collect())
}

/// Names of the columns and values, as text, of a query's rows. Opens the file to read only.
pub fn query(path: &Path, options: &Options, sql: &str) -> Result<Vec<Vec<String>>> {
    let connection = connect::open_to_read(&connect::canonical(path)?, options)?;
    sql::text_rows(&connection, sql).map_err(|e| failed("answer the query", &e))
}

/// Those of the targets that have a table, of a file that is open to be written.
fn with_table(connection: &Connection, targets: &[Target]) -> Result<HashSet<Identity>> {
    let mut standing = HashSet::new();
    for target in targets {
        if sql::has_table(connection, &target.schema, target.table.name).map_err(|e| failed("read", &e))? {
            standing.insert(target.identity());
        }
    }
    Ok(standing)
}

/// The states of the targets, of which those in `standing` have a table.
fn load_states(
    connection: &Connection,
    targets: &[Target],
    standing: &HashSet<Identity>,
) -> Result<Vec<Option<Stored>>> {
    if !sql::has_table(connection, "_ingest", "state").map_err(|e| failed("read", &e))? {
        return Ok(vec![None; targets.len()]);
    }
    let mut states = HashMap::new();
    for (schema, table, revision, text) in
        sql::all_states(connection).map_err(|e| failed("read the state", &e))?
    {
        states.insert((schema.to_lowercase(), table), (revision, text));
    }
    let load = |target: &Target| {
        let named = (target.schema.to_lowercase(), target.table.name.to_owned());
        let Some((revision, text)) = states.get(&named) else { return Ok(None) };
        let state = TableState::from_json(text)?;
        // Whoever drops a table to have it loaded again has not dropped what we remember of it.
        let state = if standing.contains(&target.identity()) { state } else { state.without_table() };
        Ok(Some(Stored { revision: *revision, state }))
    };
    targets.iter().map(load).collect()
}

impl Destination for DuckDb {
    fn load(&mut self, targets: &[Target]) -> Result<Vec<Option<Stored>>> {
        if !self.exists() {
            return Ok(vec![None; targets.len()]);
        }
        let (states, stood, has_own) = self.with_connection(|connection| {
            let mut has_own = true;
            for table in sql::OWN_TABLES {
                has_own &= sql::has_table(connection, "_ingest", table).map_err(|e| failed("read", &e))?;
            }
            let stood = with_table(connection, targets)?;
            Ok((load_states(connection, targets, &stood)?, stood, has_own))
        })?;
        self.stood = stood;
        self.settled.own = has_own;
        Ok(states)
    }

    fn commit(&mut self, commits: &[TableCommit]) -> Result<Vec<Committed>> {
        let batches = commits.iter().map(|commit| commit.batches.clone()).collect();
        self.publish(commits, batches)
    }

    fn commit_and_forget(&mut self, mut commits: Vec<TableCommit>) -> Result<Vec<Committed>> {
        let batches = commits.iter_mut().map(|commit| std::mem::take(&mut commit.batches)).collect();
        self.publish(&commits, batches)
    }

    fn is_one_place(&self) -> bool {
        true
    }

    fn live_keys(&mut self, target: &Target, each: &mut dyn FnMut(&str)) -> Result<()> {
        if !self.exists() {
            return Ok(());
        }
        self.with_connection(|connection| {
            parents::live_keys(connection, target, each).map_err(|e| failed("read the keys", &e))
        })
    }

    fn entries(&mut self, target: &Target, each: &mut dyn FnMut(Entry)) -> Result<()> {
        if !self.exists() {
            return Ok(());
        }
        self.with_connection(|connection| {
            let has_state = sql::has_table(connection, "_ingest", "state").map_err(|e| failed("read", &e))?
                && read_state(connection, target)?.is_some();
            if !has_state {
                return Ok(());
            }
            parents::entries(connection, target, each).map_err(|e| failed("read the ledger", &e))
        })
    }

    fn record(&mut self, runs: &[RunRecord]) -> Result<()> {
        // Not while it was closed: anybody may have changed it then.
        let is_prepared = self.connection.is_some() && self.settled.own;
        self.with_connection(|connection| {
            in_transaction(connection, || {
                if !is_prepared {
                    sql::prepare_own_tables(connection).map_err(|e| failed("prepare", &e))?;
                }
                runs.iter()
                    .try_for_each(|run| sql::insert_run(connection, run))
                    .map_err(|e| failed("log the run", &e))
            })
        })
    }

    fn rest(&mut self) {
        self.connection = None;
        self.settled = Settled::default();
    }
}

/// Runs `work` in a transaction. Any error means ROLLBACK and failure.
fn in_transaction<T>(connection: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    connection.execute_batch("BEGIN TRANSACTION").map_err(|e| failed("begin", &e))?;
    match work() {
        Ok(done) => {
            connection.execute_batch("COMMIT").map_err(|e| failed("commit", &e))?;
            Ok(done)
        }
        Err(error) => {
            // The first error is the one that matters; closing without COMMIT discards the rest too.
            drop(connection.execute_batch("ROLLBACK"));
            Err(error)
        }
    }
}

fn read_state(connection: &Connection, target: &Target) -> Result<Option<Stored>> {
    let row = connection
        .query_row(
            "SELECT revision, state::VARCHAR FROM _ingest.state WHERE lower(schema_name) = lower(?) AND table_name = ?",
            params![&*target.schema, target.table.name],
            |row| Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?)),
        )
        .optional()
        .map_err(|e| failed("read the state", &e))?;
    row.map(|(revision, text)| Ok(Stored { revision, state: TableState::from_json(&text)? })).transpose()
}
