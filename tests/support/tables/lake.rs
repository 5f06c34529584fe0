//! A lake of Parquet files, read back by DuckDB.

use std::path::{Path, PathBuf};
use std::time::Duration;

use duckdb::Connection;
use ingest::destination::parquet::{Lake, table_folder};
use ingest::destination::{Committed, Destination, RunRecord, TextRow};
use ingest::progress::{Mode, Progress};
use ingest::table::Kind;
use jiff::Timestamp;
use tempfile::TempDir;

use super::{Subject, Target, as_texts, in_key_order, named, texts};

/// A lake with files of the usual size.
pub(crate) type InParquet = InLake<{ 128 << 20 }>;
/// One in which every file is full with its first rows, so that a table has many of them.
pub(crate) type InSmallFiles = InLake<1>;

/// A lake, in a folder of its own, with files of so many bytes.
#[derive(Debug)]
pub(crate) struct InLake<const FILE_BYTES: u64> {
    destination: Lake,
    path: PathBuf,
    _folder: TempDir,
}

impl<const FILE_BYTES: u64> InLake<FILE_BYTES> {
    /// The lake.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The files of a table, for DuckDB; `None` if there are none.
    pub(crate) fn glob(&self, target: &Target) -> Option<String> {
        let folder = table_folder(&self.path, target);
        let is_there = folder.is_dir();
        let pattern = folder.join("*.parquet").display().to_string().replace('\'', "''");
        is_there.then_some(pattern)
    }
}

/// Takes a lake for a run that waits for nobody.
pub(crate) fn begin(path: &Path) -> ingest::error::Result<Lake> {
    Lake::begin(path, Duration::ZERO, &Progress::new(Mode::Off))
}

impl<const FILE_BYTES: u64> Subject for InLake<FILE_BYTES> {
    fn fresh() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lake");
        let destination = begin(&path).expect("the run lock").with_file_bytes(FILE_BYTES);
        Self { destination, path, _folder: folder }
    }

    fn destination(&mut self) -> &mut dyn Destination {
        &mut self.destination
    }

    fn rows(&mut self, target: &Target) -> Option<Vec<TextRow>> {
        Some(rows_of(target, &format!("'{}'", self.glob(target)?)))
    }

    fn columns(&mut self, target: &Target) -> Option<Vec<(String, String)>> {
        Some(columns_of(&format!("'{}'", self.glob(target)?)))
    }

    fn sql_type(&self, kind: Kind) -> &'static str {
        type_in_files(kind)
    }

    fn runs(&mut self) -> Vec<RunRecord> {
        let text = std::fs::read_to_string(self.path.join("_ingest/runs.jsonl")).unwrap_or_default();
        text.lines().map(record).collect()
    }
}

/// In files, JSON is text: not all tools take the type that Parquet has for it for text.
pub(super) fn type_in_files(kind: Kind) -> &'static str {
    if kind == Kind::Json { Kind::Text.sql() } else { kind.sql() }
}

/// A line of the log of runs.
pub(super) fn record(line: &str) -> RunRecord {
    let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
    let text = |name: &str| line[name].as_str().map(str::to_owned);
    let number = |name: &str| line[name].as_u64().expect("a count");
    let moment = |name: &str| text(name).expect("a moment").parse::<Timestamp>().expect("a moment");
    RunRecord {
        run_id: text("run_id").expect("an id"),
        schema: text("schema_name").expect("a schema"),
        table: text("table_name").expect("a table"),
        outcome: text("outcome").expect("an outcome"),
        error: text("error"),
        rejected: serde_json::from_value(line["rejected"].clone()).unwrap_or_default(),
        started_at: moment("started_at"),
        finished_at: moment("finished_at"),
        committed: Committed {
            new: number("rows_new"),
            changed: number("rows_changed"),
            unchanged: number("rows_unchanged"),
            removed: number("rows_removed"),
            stamped: number("rows_stamped"),
            live: number("rows_live"),
            revision: None,
        },
        requests: number("requests"),
    }
}

/// The rows of a table in files that are named as DuckDB takes them: a pattern, or a list.
pub(super) fn rows_of(target: &Target, files: &str) -> Vec<TextRow> {
    let connection = Connection::open_in_memory().expect("a database");
    let found = texts(&connection, &format!("SELECT {} FROM read_parquet({files})", as_texts(target)));
    in_key_order(target, found.into_iter().map(|values| named(target, values)).collect())
}

/// Names and types of the columns of files that are named so.
pub(super) fn columns_of(files: &str) -> Vec<(String, String)> {
    let connection = Connection::open_in_memory().expect("a database");
    let sql = format!("SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet({files}))");
    let pair = |row: Vec<Option<String>>| {
        let [name, kind] = row.try_into().expect("two columns");
        (name.expect("a name"), kind.expect("a type"))
    };
    texts(&connection, &sql).into_iter().map(pair).collect()
}
