//! Destinations to try, the rows that go in and what is found in them afterwards.

mod lake;
mod objects;
mod rows;
mod underway;

use std::path::{Path, PathBuf};
use std::time::Duration;

use duckdb::{AccessMode, Config, Connection};
use ingest::destination::duckdb::{DuckDb, Options};
use ingest::destination::{Committed, Destination, Memory, RunRecord, TableCommit, TextRow};
use ingest::progress::{Mode, Progress};
use ingest::source::intercom::tables;
use ingest::table::Kind;
use jiff::Timestamp;
use tempfile::TempDir;

pub(crate) use ingest::destination::Target;
pub(crate) use lake::{InParquet, InSmallFiles, begin as begin_lake};
pub(crate) use objects::{InObjectStore, begin as begin_in_objects};
pub(crate) use rows::{Of, batch, gone, inside, nothing, of, pass, replace, upsert};
pub(crate) use underway::Underway;

/// A destination with the means to look into it from outside.
pub(crate) trait Subject {
    /// One with nothing in it.
    fn fresh() -> Self
    where
        Self: Sized;
    /// The destination itself.
    fn destination(&mut self) -> &mut dyn Destination;
    /// Everything in a table in the order of the keys; moments are epoch seconds. `None` if there is no such table.
    fn rows(&mut self, target: &Target) -> Option<Vec<TextRow>>;
    /// Names and SQL types of a table's columns in their order; `None` where a destination has no types.
    fn columns(&mut self, target: &Target) -> Option<Vec<(String, String)>>;
    /// The SQL type of columns of a kind.
    fn sql_type(&self, kind: Kind) -> &'static str {
        kind.sql()
    }
    /// The log of runs.
    fn runs(&mut self) -> Vec<RunRecord>;
}

impl dyn Subject + '_ {
    /// Carries out a commit of one table that must succeed.
    pub(crate) fn commit(&mut self, commit: TableCommit) -> Committed {
        self.destination().commit(&[commit]).expect("a commit")[0]
    }

    /// The live keys of a table, in their order.
    pub(crate) fn live_keys(&mut self, target: &Target) -> Vec<String> {
        let mut keys = Vec::new();
        self.destination().live_keys(target, &mut |key| keys.push(key.to_owned())).expect("the keys");
        keys.sort();
        keys
    }

    /// What stands in some columns (names divided by spaces), a line per row; NULL is `-`.
    pub(crate) fn see(&mut self, target: &Target, columns: &str) -> Vec<String> {
        let rows = self.rows(target).unwrap_or_else(|| panic!("no table {}", target.table.name));
        let cell = |row: &TextRow, column: &str| row[column].clone().unwrap_or_else(|| "-".into());
        let line =
            |row: &TextRow| columns.split(' ').map(|column| cell(row, column)).collect::<Vec<_>>().join(" ");
        rows.iter().map(line).collect()
    }
}

/// What a commit did, without the zeros.
pub(crate) fn tally(done: &Committed) -> String {
    let counts = [
        ("new", done.new),
        ("changed", done.changed),
        ("unchanged", done.unchanged),
        ("removed", done.removed),
        ("stamped", done.stamped),
        ("live", done.live),
    ];
    let words =
        counts.into_iter().filter(|(_, count)| *count > 0).map(|(word, count)| format!("{count} {word}"));
    words.collect::<Vec<_>>().join(", ")
}

/// A declared table in the schema `crm`.
pub(crate) fn target(table: &str) -> Target {
    target_in("crm", table)
}

/// A declared table in some schema.
pub(crate) fn target_in(schema: &str, table: &str) -> Target {
    Target { schema: schema.into(), table: tables::find(table).expect(table) }
}

/// The reference.
#[derive(Debug)]
pub(crate) struct InMemory(Memory);

impl Subject for InMemory {
    fn fresh() -> Self {
        Self(Memory::new())
    }

    fn destination(&mut self) -> &mut dyn Destination {
        &mut self.0
    }

    fn rows(&mut self, target: &Target) -> Option<Vec<TextRow>> {
        let mut rows = self.0.rows(target)?;
        for column in target.table.stored_columns().iter().filter(|c| c.kind == Kind::Timestamp) {
            for value in rows.iter_mut().filter_map(|row| row.get_mut(&column.name)?.as_mut()) {
                *value = seconds(value.parse::<Timestamp>().expect("a moment").as_microsecond());
            }
        }
        Some(in_key_order(target, rows))
    }

    fn columns(&mut self, _target: &Target) -> Option<Vec<(String, String)>> {
        None
    }

    fn runs(&mut self) -> Vec<RunRecord> {
        self.0.runs().to_vec()
    }
}

/// A DuckDB file in a folder of its own.
#[derive(Debug)]
pub(crate) struct InDuckDb {
    destination: DuckDb,
    path: PathBuf,
    folder: TempDir,
}

impl InDuckDb {
    /// One whose file was made by hand with this SQL.
    pub(crate) fn with(sql: &str) -> Self {
        Self::prepared(|path| by_hand(path, sql))
    }

    /// One whose file, or what lies beside it, is prepared before the run begins.
    pub(crate) fn prepared(prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data.duckdb");
        prepare(&path);
        let destination = begin(&path).expect("the run lock");
        Self { destination, path, folder }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the run, and with it the right to the file. The folder goes with what is returned.
    pub(crate) fn end_run(self) -> TempDir {
        self.folder
    }

    /// The rows of a query, each value as text.
    pub(crate) fn query(&mut self, sql: &str) -> Vec<Vec<Option<String>>> {
        // The file must not be open twice in one process.
        self.destination.rest();
        let connection = open(&self.path, AccessMode::ReadOnly);
        texts(&connection, sql)
    }
}

/// The rows of a query, each value as text.
fn texts(connection: &Connection, sql: &str) -> Vec<Vec<Option<String>>> {
    let mut statement = connection.prepare(sql).expect(sql);
    let mut rows = statement.query([]).expect(sql);
    let mut found = Vec::new();
    while let Some(row) = rows.next().expect(sql) {
        let width = row.as_ref().column_count();
        found.push((0..width).map(|at| row.get(at).expect(sql)).collect());
    }
    found
}

/// A SELECT's list of all columns. No cast for text, so that nothing can be lost in one; moments as numbers, free of
/// time zones.
fn as_texts(target: &Target) -> String {
    let list = target.table.stored_columns().into_iter().map(|column| match column.kind {
        Kind::Timestamp => format!(r#"epoch_us("{}")::VARCHAR"#, column.name),
        Kind::Text | Kind::Body | Kind::Reference | Kind::Word(_) | Kind::Json => {
            format!(r#""{}""#, column.name)
        }
        _ => format!(r#""{}"::VARCHAR"#, column.name),
    });
    list.collect::<Vec<_>>().join(", ")
}

/// What such a SELECT found, by column.
fn named(target: &Target, values: Vec<Option<String>>) -> TextRow {
    let pairs = target.table.stored_columns().into_iter().zip(values).map(|(column, value)| {
        match (column.kind, value) {
            (Kind::Timestamp, Some(micros)) => {
                (column.name, Some(seconds(micros.parse().expect("a number"))))
            }
            (_, value) => (column.name, value),
        }
    });
    pairs.collect()
}

impl Subject for InDuckDb {
    fn fresh() -> Self {
        Self::prepared(|_| ())
    }

    fn destination(&mut self) -> &mut dyn Destination {
        &mut self.destination
    }

    fn rows(&mut self, target: &Target) -> Option<Vec<TextRow>> {
        self.columns(target)?;
        let (list, schema) = (as_texts(target), target.schema.replace('"', "\"\""));
        let found = self.query(&format!(r#"SELECT {list} FROM "{schema}"."{}""#, target.table.name));
        Some(in_key_order(target, found.into_iter().map(|values| named(target, values)).collect()))
    }

    fn columns(&mut self, target: &Target) -> Option<Vec<(String, String)>> {
        if !self.path.exists() {
            return None;
        }
        let found = self.query(&format!(
            "SELECT column_name, data_type FROM duckdb_columns()
             WHERE lower(schema_name) = lower('{}') AND lower(table_name) = '{}' ORDER BY column_index",
            target.schema.replace('\'', "''"),
            target.table.name
        ));
        let pair = |row: Vec<Option<String>>| {
            let [name, kind] = row.try_into().expect("two columns");
            (name.expect("a name"), kind.expect("a type"))
        };
        (!found.is_empty()).then(|| found.into_iter().map(pair).collect())
    }

    fn runs(&mut self) -> Vec<RunRecord> {
        let found = self.query(
            "SELECT run_id, schema_name, table_name, outcome, error,
                    epoch_us(started_at)::VARCHAR, epoch_us(finished_at)::VARCHAR, rows_new::VARCHAR,
                    rows_changed::VARCHAR, rows_unchanged::VARCHAR, rows_removed::VARCHAR,
                    rows_stamped::VARCHAR, rows_live::VARCHAR, requests::VARCHAR, rejected::VARCHAR
             FROM _ingest.runs ORDER BY rowid",
        );
        let record = |row: Vec<Option<String>>| {
            let text = |at: usize| row[at].clone().expect("text");
            let number = |at: usize| text(at).parse::<u64>().expect("a count");
            let moment = |at: usize| {
                Timestamp::from_microsecond(text(at).parse().expect("a number")).expect("a moment")
            };
            RunRecord {
                run_id: text(0),
                schema: text(1),
                table: text(2),
                outcome: text(3),
                error: row[4].clone(),
                rejected: row[14].as_deref().map_or_else(Vec::new, |text| {
                    serde_json::from_str(text).expect("rows that could not be stored")
                }),
                started_at: moment(5),
                finished_at: moment(6),
                committed: Committed {
                    new: number(7),
                    changed: number(8),
                    unchanged: number(9),
                    removed: number(10),
                    stamped: number(11),
                    live: number(12),
                    revision: None,
                },
                requests: number(13),
            }
        };
        found.into_iter().map(record).collect()
    }
}

/// Takes a file for a run that waits for nobody.
pub(crate) fn begin(path: &Path) -> ingest::error::Result<DuckDb> {
    let options = Options { threads: 1, patience: Duration::ZERO, ..Options::default() };
    DuckDb::begin(path, options, Duration::ZERO, Progress::new(Mode::Off))
}

/// Runs SQL in a file, as a person with a DuckDB of their own would between two runs.
pub(crate) fn by_hand(path: &Path, sql: &str) {
    let connection = open(path, AccessMode::ReadWrite);
    connection.execute_batch(sql).expect(sql);
    connection.close().expect("close");
}

fn open(path: &Path, mode: AccessMode) -> Connection {
    let config = Config::default().access_mode(mode).and_then(|config| config.threads(1));
    let config = config.and_then(|config| config.enable_autoload_extension(false)).expect("a configuration");
    Connection::open_with_flags(path, config).expect("a database")
}

fn in_key_order(target: &Target, mut rows: Vec<TextRow>) -> Vec<TextRow> {
    rows.sort_by_cached_key(|row| {
        target.table.key.iter().map(|part| row[part.name].clone()).collect::<Vec<_>>()
    });
    rows
}

/// Microseconds as decimal seconds.
pub(crate) fn seconds(micros: i64) -> String {
    let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    let text = format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
