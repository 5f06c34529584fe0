//! DuckDB: a schema per connection, tables merged in place, states and the log of runs beside them in
//! `_ingest`, all in one file.
//!
//! The file is open only while a transaction runs, so that readers get in between. What was learnt by trying
//! DuckDB 2.0 decides much of the SQL here; the reasons stand beside it.

mod connect;
mod feed;
mod merge;
mod parents;
mod run_lock;
mod sql;
mod stage;
mod views;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::duckdb::{Connection, OptionalExt, params};
use arrow::array::RecordBatch;

pub use connect::Options;

use super::{Committed, Destination, Reduced, RunRecord, Scope, TableCommit, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::Entry;
use crate::progress::Progress;
use crate::state::{StateChange, Stored, TableState, conflict};
use connect::failed;
use feed::Feed;
use merge::{Merged, Rows};
use run_lock::RunLock;

/// A commit with so many rows is part of a load, and more are likely to follow.
const LARGE: usize = 10_000;

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
    stood: HashSet<(String, &'static str)>,
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
        connect::remove_empty(&path)?;
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
            None => connect::open(&self.path, &self.options, &self.progress)?,
        };
        let done = work(&connection)?;
        self.connection = Some(connection);
        Ok(done)
    }

    /// Proves that the file can be written; one that does not exist is not created, since the lock file
    /// beside it already is.
    pub fn try_out(&mut self) -> Result<()> {
        if !self.exists() {
            return Ok(());
        }
        self.with_connection(|connection| {
            connection.execute_batch("BEGIN TRANSACTION; ROLLBACK").map_err(|e| failed("begin", &e))
        })
    }

    /// Publishes commits, whose rows are in `batches` and let go of as they are written.
    fn publish(&mut self, commits: &[TableCommit], batches: Vec<Vec<RecordBatch>>) -> Result<Vec<Committed>> {
        let mut notes = Vec::new();
        let stood = self.stood.clone();
        // After an error nothing is settled: what was made is undone.
        let mut settled = std::mem::take(&mut self.settled);
        let rows: usize = batches.iter().flatten().map(RecordBatch::num_rows).sum();
        let done = self.with_connection(|connection| {
            if settled.is_large != Some(rows >= LARGE) {
                connect::tidy_up(connection, rows < LARGE).map_err(|e| failed("prepare", &e))?;
                settled.is_large = Some(rows >= LARGE);
            }
            let done = in_transaction(connection, || {
                if !settled.own {
                    sql::prepare_own_tables(connection).map_err(|e| failed("prepare", &e))?;
                }
                let mut apply_one = |(commit, batches)| {
                    prepare(connection, commit, &stood, &mut settled.tables)?;
                    apply(connection, commit, batches, commits)
                };
                commits.iter().zip(batches).map(&mut apply_one).collect::<Result<Vec<_>>>()
            })?;
            // COMMIT after an aborted transaction answers Ok with nothing saved; only what is read back counts.
            for (commit, done) in commits.iter().zip(&done) {
                let stored = read_state(connection, &commit.target)?.map(|stored| stored.revision);
                if done.revision.is_some() && stored != done.revision {
                    let message = format!("table {}: the commit was not saved", commit.target.table.name);
                    return Err(Error::new(ErrorKind::Destination, message));
                }
            }
            notes = refresh_views(connection, commits, &done, &mut settled.views);
            Ok(done)
        })?;
        settled.own = true;
        self.settled = settled;
        for note in notes {
            if !self.told.contains(&note) {
                tracing::warn!("{note}");
                self.told.push(note);
            }
        }
        Ok(done)
    }

    /// Whether there is a database at all. The file itself is never touched for that.
    fn exists(&self) -> bool {
        self.path.exists()
    }
}

/// What is known of a file that is open.
#[derive(Debug, Default)]
struct Settled {
    /// Tables that are there with all their columns.
    tables: HashSet<(String, &'static str)>,
    /// Tables whose views are as declared.
    views: HashSet<(String, &'static str)>,
    /// Whether our own tables are there.
    own: bool,
    /// Whether DuckDB is set up for large commits.
    is_large: Option<bool>,
}

/// A table as `ingest status` shows it.
#[derive(Debug, Clone)]
pub struct TableStatus {
    /// Schema of the table.
    pub schema: String,
    /// Name of the table.
    pub table: String,
    /// Its state.
    pub state: TableState,
    /// Rows without a stamp; `None` if the table is gone.
    pub live: Option<u64>,
    /// Rows with one.
    pub deleted: u64,
}

/// A line of the log of runs as `ingest status` shows it.
#[derive(Debug, Clone)]
pub struct PastRun {
    /// When it ended, in epoch microseconds.
    pub finished_at: i64,
    /// Schema and table.
    pub table: String,
    /// `complete`, `failed`, `interrupted` or `partial`.
    pub outcome: String,
    /// Rows that were new, changed, removed.
    pub rows: (u64, u64, u64),
    /// Why it failed.
    pub error: Option<String>,
}

/// What a file says about its tables and its latest runs (`runs` at most), newest first. Takes no lock on
/// runs, so it works beside one.
pub fn status(path: &Path, options: &Options, runs: usize) -> Result<(Vec<TableStatus>, Vec<PastRun>)> {
    let path = connect::canonical(path)?;
    let connection = connect::open_to_read(&path, options)?;
    if !sql::has_table(&connection, "_ingest", "state").map_err(|e| failed("read", &e))? {
        return Ok((Vec::new(), Vec::new()));
    }
    let mut tables = Vec::new();
    for (schema, table, text) in sql::all_states(&connection).map_err(|e| failed("read the state", &e))? {
        let mut live = None;
        let mut deleted = 0;
        if sql::has_table(&connection, &schema, &table).map_err(|e| failed("read", &e))? {
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
    if !path.exists() {
        return Ok(vec![None; targets.len()]);
    }
    let connection = connect::open_to_read(&path, options)?;
    let states = load_states(&connection, targets)?;
    Ok(states.into_iter().map(|stored| stored.map(|stored| stored.state)).collect())
}

/// Names of the columns and values, as text, of a query's rows. Opens the file to read only.
pub fn query(path: &Path, options: &Options, sql: &str) -> Result<Vec<Vec<String>>> {
    let connection = connect::open_to_read(&connect::canonical(path)?, options)?;
    sql::text_rows(&connection, sql).map_err(|e| failed("answer the query", &e))
}

fn load_states(connection: &Connection, targets: &[Target]) -> Result<Vec<Option<Stored>>> {
    if !sql::has_table(connection, "_ingest", "state").map_err(|e| failed("read", &e))? {
        return Ok(vec![None; targets.len()]);
    }
    let load = |target: &Target| {
        let Some(stored) = read_state(connection, target)? else { return Ok(None) };
        let has_table = sql::has_table(connection, &target.schema, target.table.name);
        // Whoever drops a table to have it loaded again has not dropped what we remember of it.
        let state = if has_table.map_err(|e| failed("read", &e))? {
            stored.state
        } else {
            stored.state.without_table()
        };
        Ok(Some(Stored { state, ..stored }))
    };
    targets.iter().map(load).collect()
}

impl Destination for DuckDb {
    fn load(&mut self, targets: &[Target]) -> Result<Vec<Option<Stored>>> {
        if !self.exists() {
            return Ok(vec![None; targets.len()]);
        }
        let (states, stood) = self.with_connection(|connection| {
            let states = load_states(connection, targets)?;
            let mut stood = HashSet::new();
            for target in targets {
                if sql::has_table(connection, &target.schema, target.table.name)
                    .map_err(|e| failed("read", &e))?
                {
                    stood.insert(identity(target));
                }
            }
            Ok((states, stood))
        })?;
        self.stood = stood;
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

    fn live_keys(&mut self, target: &Target) -> Result<Vec<String>> {
        if !self.exists() {
            return Ok(Vec::new());
        }
        self.with_connection(|connection| {
            parents::live_keys(connection, target).map_err(|e| failed("read the keys", &e))
        })
    }

    fn entries(&mut self, target: &Target, each: &mut dyn FnMut(Entry)) -> Result<()> {
        if !self.exists() {
            return Ok(());
        }
        self.with_connection(|connection| {
            parents::entries(connection, target, each).map_err(|e| failed("read the ledger", &e))
        })
    }

    fn record(&mut self, runs: &[RunRecord]) -> Result<()> {
        self.with_connection(|connection| {
            in_transaction(connection, || {
                sql::prepare_own_tables(connection).map_err(|e| failed("prepare", &e))?;
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

/// Brings the views of custom attributes up to date where a commit changed what they show, or ended a pass: a
/// view may be missing for other reasons. In a transaction of its own, after the rows are safe: no view is worth
/// a row.
fn refresh_views(
    connection: &Connection,
    commits: &[TableCommit],
    done: &[Committed],
    settled: &mut HashSet<(String, &'static str)>,
) -> Vec<String> {
    let mut schemas: Vec<&str> = Vec::new();
    for (commit, done) in commits.iter().zip(done) {
        let (schema, table) = (&*commit.target.schema, commit.target.table.name);
        let has_changed = done.new + done.changed + done.removed > 0;
        // A view of a table follows from what is declared elsewhere, and from the table's being there.
        let is_declared_anew = has_changed && views::depends_on_rows_of(table);
        let is_open = views::concerns(table) && !settled.contains(&identity(&commit.target));
        let is_due = is_declared_anew || (is_open && (has_changed || done.revision.is_some()));
        if is_due && !schemas.contains(&schema) {
            schemas.push(schema);
        }
        if is_due {
            settled.insert(identity(&commit.target));
        }
    }
    let refresh = |schema: &&str| {
        let refreshed = in_transaction(connection, || {
            views::refresh(connection, schema).map_err(|e| failed("make the views of custom attributes", &e))
        });
        refreshed.unwrap_or_else(|error| vec![error.to_string()])
    };
    schemas.iter().flat_map(refresh).collect()
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

/// Makes sure that the table of a commit is there with all its columns.
fn prepare(
    connection: &Connection,
    commit: &TableCommit,
    stood: &HashSet<(String, &'static str)>,
    settled: &mut HashSet<(String, &'static str)>,
) -> Result<()> {
    let target = &commit.target;
    let identity = identity(target);
    if settled.contains(&identity) {
        return Ok(());
    }
    let context = |e| failed("read", &e).within(format!("table {}", target.table.name));
    if sql::is_view(connection, target).map_err(context)? {
        let message =
            format!("table {}: a view of that name is in the schema {}", target.table.name, target.schema);
        return Err(Error::new(ErrorKind::Destination, message)
            .with_hint("rename the view, or write to another schema with --schema"));
    }
    if !sql::is_as_declared(connection, target).map_err(context)? {
        prepare_table(connection, target, stood.contains(&identity))?;
    }
    settled.insert(identity);
    Ok(())
}

fn apply(
    connection: &Connection,
    commit: &TableCommit,
    batches: Vec<RecordBatch>,
    all: &[TableCommit],
) -> Result<Committed> {
    let target = &commit.target;
    let context =
        |what: &'static str| move |e| failed(what, &e).within(format!("table {}", target.table.name));
    let mut done = Committed::default();
    let rows = commit
        .reduced(batches)
        .map_err(|e| Error::new(ErrorKind::Destination, "batch is not readable").with_source(e))?;
    write_rows(connection, commit, all, rows, &mut done).map_err(context("write rows"))?;
    if let Scope::Parents(keys) = &commit.scope {
        stage::keys(connection, keys).map_err(context("stage keys"))?;
        done.removed += parents::remove_others(connection, target).map_err(context("remove rows"))?;
    }
    if !commit.stamps.is_empty() {
        stage::stamps(connection, &commit.stamps).map_err(context("stage stamps"))?;
        if target.table.has_stamps() {
            done.stamped = parents::stamp_staged(connection, target).map_err(context("stamp rows"))?;
            parents::unsettle(connection, target).map_err(context("correct the ledger"))?;
        } else {
            done.removed +=
                parents::remove_with_parents(connection, target).map_err(context("remove rows"))?;
        }
    }
    if !commit.entries.is_empty() {
        stage::entries(connection, &commit.entries).map_err(context("stage entries"))?;
        parents::unstamp_found(connection, target).map_err(context("take stamps off"))?;
        parents::save_entries(connection, target).map_err(context("save the ledger"))?;
        parents::fill_from_entries(connection, target).map_err(context("note what is missing"))?;
    }
    stage::clear(connection).map_err(context("clear the stage"))?;
    done.live = sql::count_live(connection, target).map_err(context("count rows"))?;
    if let Some(change) = &commit.state {
        done.revision = Some(save_state(connection, target, change)?);
    }
    Ok(done)
}

/// A table as DuckDB tells it from others, ignoring case.
fn identity(target: &Target) -> (String, &'static str) {
    (target.schema.to_lowercase(), target.table.name)
}

/// Creates the table, or adds the columns it lacks. What was noted of the parents of its rows, and of a table that
/// was dropped what its state says, was true of other rows than those that it will have.
fn prepare_table(connection: &Connection, target: &Target, has_stood: bool) -> Result<()> {
    let context =
        |what: &'static str| move |e| failed(what, &e).within(format!("table {}", target.table.name));
    let stood = sql::has_table(connection, &target.schema, target.table.name).map_err(context("read"))?;
    if has_stood && !stood {
        let message = format!("table {}: somebody dropped it while this run went on", target.table.name);
        return Err(Error::new(ErrorKind::Conflict, message).with_hint("run again; it is loaded anew"));
    }
    sql::prepare_table(connection, target).map_err(context("create the table or its columns"))?;
    parents::forget_entries(connection, target).map_err(context("correct the ledger"))?;
    if !stood && let Some(Stored { revision, state }) = read_state(connection, target)? {
        let state = state.without_table();
        sql::write_state(connection, target, revision, &state.to_json()?, state.checkpoint)
            .map_err(context("correct the state"))?;
    }
    Ok(())
}

/// Writes the rows of a commit, one per key, and removes those that they take the place of.
fn write_rows(
    connection: &Connection,
    commit: &TableCommit,
    all: &[TableCommit],
    rows: Reduced,
    done: &mut Committed,
) -> ::duckdb::Result<()> {
    let target = &commit.target;
    let Reduced { batches, parents } = rows;
    if !parents.is_empty() {
        stage::rows(connection, target, batches)?;
        stage::parents(connection, &parents)?;
        if commit.comes_with_its_parents(all) {
            parents::leave_out_outdated(connection, target)?;
        }
        done.removed = parents::remove_absent(connection, target)?;
        let staged = Rows::Staged(sql::count_staged(connection)?);
        return merge_rows(connection, commit, &staged, done);
    }
    let rows = Rows::Fed(Feed::of(target.table, batches));
    if commit.scope == Scope::All {
        done.removed = merge::remove_all_but(connection, target, &rows)?;
    }
    // Where none is known they are inserted at once; DuckDB stores large portions best. Comparing them takes
    // memory, and so is done by portions.
    let is_any_known = rows.count() > 0 && merge::is_any_known(connection, target, &rows)?;
    match rows {
        Rows::Fed(feed) if is_any_known => {
            for portion in feed.into_portions() {
                merge_rows(connection, commit, &Rows::Fed(portion), done)?;
            }
            Ok(())
        }
        rows => merge_rows(connection, commit, &rows, done),
    }
}

fn merge_rows(
    connection: &Connection,
    commit: &TableCommit,
    rows: &Rows,
    done: &mut Committed,
) -> ::duckdb::Result<()> {
    if rows.count() == 0 {
        return Ok(());
    }
    let Merged { new, changed, unchanged } =
        merge::merge(connection, &commit.target, rows, commit.supersedes_before)?;
    done.new += new;
    done.changed += changed;
    done.unchanged += unchanged;
    if new > 0 {
        parents::fill(connection, &commit.target, rows)?;
    }
    Ok(())
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

/// Compare and swap: the revision that was read at the start must still be there.
fn save_state(connection: &Connection, target: &Target, change: &StateChange) -> Result<u64> {
    let stored = read_state(connection, target)?.map(|stored| stored.revision);
    if stored != change.expected {
        return Err(conflict(target.table.name));
    }
    let revision = stored.unwrap_or(0) + 1;
    sql::write_state(connection, target, revision, &change.state.to_json()?, change.state.checkpoint)
        .map_err(|e| failed("save the state", &e))?;
    Ok(revision)
}
