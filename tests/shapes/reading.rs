//! A run over some server, and the rows it leaves.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use duckdb::Connection;
use duckdb::types::ValueRef;
use ingest::client::{Backoff, Client, ClientSettings};
use ingest::config::secret::Secret;
use ingest::destination::duckdb::{DuckDb, Options};
use ingest::pipeline::{self, Job, ReadingRules, RunOptions, Stop};
use ingest::progress::{Mode, Progress, TableProgress};
use ingest::report::RunReport;
use ingest::source::intercom::{Intercom, tables};
use ingest::table::{INGESTED_AT, Kind, TableSpec};
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::truth;
use crate::support::world::SCHEMA;

/// A run that has ended, with the file it wrote.
pub(super) struct Reading {
    pub(super) report: RunReport,
    folder: TempDir,
}

/// A stored row: the cells of its columns in their order, `_ingested_at` aside. Moments are ISO 8601 text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row(pub(super) Vec<(String, Kind, Option<String>)>);

impl Row {
    /// The text of a cell.
    pub(super) fn cell(&self, column: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, ..)| name == column);
        found.unwrap_or_else(|| panic!("there is no column {column}")).2.as_deref()
    }

    /// A cell that holds JSON; null if it is NULL.
    pub(super) fn json(&self, column: &str) -> Value {
        self.cell(column).map_or(Value::Null, |text| serde_json::from_str(text).expect("JSON"))
    }

    /// What identifies the row.
    pub(super) fn key(&self, table: &TableSpec) -> String {
        let parts = table.key.iter().map(|key| self.cell(key.name).unwrap_or("-"));
        parts.collect::<Vec<_>>().join(" ")
    }
}

/// The minor of a version.
pub(super) fn minor(version: &str) -> u8 {
    version.split_once('.').and_then(|(_, minor)| minor.parse().ok()).expect("a version")
}

/// Reads tables from the server at `base_url` into a file of their own.
pub(super) async fn read(base_url: &str, version: &str, names: &[&str]) -> Reading {
    let folder = TempDir::new().unwrap();
    let report = run(folder.path(), base_url, version, names).await;
    Reading { report, folder }
}

async fn run(folder: &Path, base_url: &str, version: &str, names: &[&str]) -> RunReport {
    let settings = ClientSettings {
        base_url: base_url.to_owned(),
        token: Secret::new("odd-token".to_owned()),
        api_version: version.to_owned(),
        rate_limit: None,
        concurrency: 8,
        patience: Duration::from_secs(20),
        backoff: Backoff {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(2),
            attempts: 3,
            refusals: Duration::from_secs(10),
        },
    };
    let client = Client::new(settings, TableProgress::silent()).unwrap();
    let source = Intercom::new(client, minor(version), None);
    let job = Job {
        schema: SCHEMA.into(),
        // In one step from the beginning to whenever this test is run.
        source: Arc::new(source.with_log_step(Duration::from_secs(1_000_000_000))),
        tables: names.iter().map(|name| tables::find(name).expect(name)).collect(),
        reading: ReadingRules { refresh_every: None, parts_refresh_every: None, ..ReadingRules::of(version) },
    };
    let progress = Progress::new(Mode::Off);
    let options = Options { threads: 1, ..Options::default() };
    let file = DuckDb::begin(&file(folder), options, Duration::ZERO, progress.clone()).unwrap();
    let stop = Stop::new();
    let run = pipeline::run(vec![job], Box::new(file), RunOptions::default(), &progress, &stop);
    // A hang is a failure too, and a test that hangs tells nobody.
    tokio::time::timeout(Duration::from_secs(60), run).await.expect("the run ends").unwrap()
}

fn file(folder: &Path) -> std::path::PathBuf {
    folder.join("data.duckdb")
}

impl Reading {
    /// Reads the tables again into the same file, from any server.
    pub(super) async fn again(self, base_url: &str, names: &[&str]) -> Self {
        let report = run(self.folder.path(), base_url, "2.14", names).await;
        Self { report, ..self }
    }

    /// The rows of a table in the order of their keys; none if there is no such table.
    pub(super) fn rows(&self, name: &str) -> Vec<Row> {
        self.rows_of(&[name]).remove(0)
    }

    /// The same for several tables.
    pub(super) fn rows_of(&self, names: &[&str]) -> Vec<Vec<Row>> {
        let connection = truth::open(&file(self.folder.path()));
        names.iter().map(|name| stored(&connection, name)).collect()
    }
}

fn stored(connection: &Connection, name: &str) -> Vec<Row> {
    let table = tables::find(name).expect(name);
    let columns: Vec<_> =
        table.stored_columns().into_iter().filter(|column| column.name != INGESTED_AT).collect();
    let list: Vec<String> = columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
    let order: Vec<String> = table.key.iter().map(|key| format!("\"{}\"", key.name)).collect();
    let sql = format!("SELECT {} FROM {SCHEMA}.{name} ORDER BY {}", list.join(", "), order.join(", "));
    let mut statement = match connection.prepare(&sql) {
        Ok(statement) => statement,
        Err(error) if error.to_string().contains("Catalog Error") => return Vec::new(),
        Err(error) => panic!("{name}: {error}"),
    };
    let mut found = statement.query([]).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = found.next().unwrap() {
        let cell = |at: usize| shown(row.get_ref(at).unwrap());
        let cells =
            columns.iter().enumerate().map(|(at, column)| (column.name.clone(), column.kind, cell(at)));
        rows.push(Row(cells.collect()));
    }
    rows
}

fn shown(value: ValueRef<'_>) -> Option<String> {
    Some(match value {
        ValueRef::Null => return None,
        ValueRef::Boolean(value) => value.to_string(),
        ValueRef::BigInt(value) => value.to_string(),
        ValueRef::Double(value) => value.to_string(),
        ValueRef::Timestamp(_, micros) => Timestamp::from_microsecond(micros).unwrap().to_string(),
        ValueRef::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
        other => panic!("no table has a column of type {:?}", other.data_type()),
    })
}
