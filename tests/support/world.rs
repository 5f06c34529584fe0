//! Sandboxes and runs against them.

mod place;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use ingest::client::Backoff;
use ingest::destination::Target;
use ingest::pipeline::ReadingRules;
use ingest::report::{Outcome, RunReport, TableReport};
use ingest::sandbox::{Change, RequestRecord, Sandbox, Settings};
use ingest::source::intercom::tables;
use ingest::state::TableState;
use ingest::table::TableSpec;
use jiff::Timestamp;
use tempfile::TempDir;

use super::truth::{self, Cells, Differences};
pub(crate) use place::{Kind, Place, also_over_lakes, over};
pub(crate) use run::Run;

/// Schema the tables are written to.
pub(crate) const SCHEMA: &str = "crm";
/// Large tables read by search.
pub(crate) const SEARCHED: [&str; 2] = ["contacts", "conversations"];
/// Every table read by search.
pub(crate) const DATED: [&str; 3] = ["contacts", "conversations", "tickets"];

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// A sandbox, something to bring it to, and how that is done.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) rules: ReadingRules,
    pub(crate) patience: Duration,
    pub(crate) backoff: Backoff,
    folder: TempDir,
    place: Place,
    copies: TempDir,
}

impl World {
    /// A workspace as `settings` has it, and nothing written yet. Retries hardly wait.
    pub(crate) async fn start(settings: Settings) -> Self {
        Self {
            sandbox: Sandbox::start(settings).await.expect("the sandbox listens"),
            rules: ReadingRules::of("2.14"),
            patience: Duration::from_secs(30),
            backoff: Backoff {
                first: Duration::from_millis(4),
                longest: Duration::from_millis(40),
                attempts: 6,
                refusals: Duration::from_secs(20),
            },
            folder: TempDir::new().expect("a folder"),
            place: Place::new(),
            copies: TempDir::new().expect("a folder"),
        }
    }

    /// What runs write to.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// A DuckDB file with all that was written.
    fn as_file(&self) -> PathBuf {
        self.place.as_file(self.folder(), self.copies.path())
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("data.duckdb")
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Goes on with a new, empty folder.
    pub(crate) fn forget(&mut self) {
        drop(self.go_on_in(TempDir::new().expect("a folder")));
        self.place = Place::new();
    }

    /// Goes on in another folder; the one until now.
    pub(crate) fn go_on_in(&mut self, folder: TempDir) -> TempDir {
        std::mem::replace(&mut self.folder, folder)
    }

    /// The minor of the API version, 2.x.
    pub(crate) fn minor(&self) -> u8 {
        let (_, minor) = self.rules.api_version.split_once('.').expect("a version");
        minor.parse().expect("a version")
    }

    /// The names of every table that the API version has.
    pub(crate) fn tables(&self) -> Vec<&'static str> {
        let in_version = tables::TABLES.iter().filter(|table| table.since_minor <= self.minor());
        in_version.map(|table| table.name).collect()
    }

    /// A run that reads every table of the API version, unless told otherwise.
    pub(crate) fn run(&self) -> Run<'_> {
        Run::of(self).tables(&self.tables())
    }

    /// Reads the tables; every one has to come out complete.
    pub(crate) async fn load(&self, tables: &[&str]) -> RunReport {
        let report = self.run().tables(tables).go().await;
        for table in &report.tables {
            assert_eq!(table.outcome, Outcome::Complete, "{}: {:?}", table.table, table.error);
        }
        report
    }

    /// Where the stored table and the truth part ways.
    pub(crate) fn differences(&self, table: &str) -> Differences {
        self.all_differences(&[table]).remove(0)
    }

    /// The same for several tables.
    pub(crate) fn all_differences(&self, tables: &[&str]) -> Vec<Differences> {
        let connection = truth::open(&self.as_file());
        let differences = |table: &&str| {
            let table = spec(table);
            let knows_parts =
                table.filled_by.is_some_and(|parts| truth::is_there(&connection, SCHEMA, parts));
            let truth = truth::of(&self.sandbox, table, self.minor(), knows_parts);
            Differences::between(table, truth, truth::stored(&connection, SCHEMA, table))
        };
        tables.iter().map(differences).collect()
    }

    /// Fails unless each table holds the truth, all of it, and nothing else.
    #[track_caller]
    pub(crate) fn assert_truth(&self, tables: &[&str]) {
        for (table, differences) in tables.iter().zip(self.all_differences(tables)) {
            differences.assert_nothing_lost(table);
            assert_eq!(differences, Differences::default(), "{table}");
        }
    }

    /// Fails unless each table holds the truth, all of it, and beside it only rows with a stamp: the keys, by
    /// table, in `stamped`.
    #[track_caller]
    pub(crate) fn assert_truth_but_for(&self, tables: &[&str], stamped: &BTreeMap<&str, BTreeSet<String>>) {
        for (table, differences) in tables.iter().zip(self.all_differences(tables)) {
            differences.assert_nothing_lost(table);
            assert_eq!(differences.extra, [""; 0], "{table}: what is gone is still there");
            let keys: BTreeSet<String> = differences.stamped.into_iter().collect();
            assert_eq!(keys, stamped.get(table).cloned().unwrap_or_default(), "{table}: stamps");
        }
    }

    /// How many rows each table should have.
    pub(crate) fn expected_rows(&self, table: &str) -> usize {
        truth::of(&self.sandbox, spec(table), self.minor(), false).len()
    }

    /// Fails unless each table holds the truth, all of it; rows that are gone may still be there. How many
    /// that are.
    #[track_caller]
    pub(crate) fn assert_nothing_lost(&self, tables: &[&str], context: &str) -> usize {
        let mut gone = 0;
        for (table, differences) in tables.iter().zip(self.all_differences(tables)) {
            differences.assert_nothing_lost(&format!("{table}, {context}"));
            gone += differences.extra.len() + differences.stamped.len();
        }
        gone
    }

    /// The stored rows of a table.
    pub(crate) fn rows(&self, table: &str) -> Vec<Cells> {
        let file = self.as_file();
        if !file.exists() {
            return Vec::new();
        }
        truth::stored(&truth::open(&file), SCHEMA, spec(table))
    }

    /// One cell of a stored row.
    pub(crate) fn cell(&self, table: &str, id: &str, column: &str) -> Option<String> {
        let rows = self.rows(table);
        let row = rows.iter().find(|row| row["id"].as_deref() == Some(id));
        row.unwrap_or_else(|| panic!("{table} has no row {id}"))[column].clone()
    }

    /// The state saved for a table.
    pub(crate) fn state(&self, table: &str) -> Option<TableState> {
        let target = Target { schema: SCHEMA.into(), table: spec(table) };
        let mut states = self.place.states(self.folder(), &[target]).expect("states are readable");
        states.remove(0)
    }

    /// Requests of the last run whose path and query begin so.
    pub(crate) fn requests(&self, beginning: &str) -> Vec<RequestRecord> {
        let mut requests = self.sandbox.requests();
        requests.retain(|request| request.path_and_query.starts_with(beginning));
        requests
    }

    /// Ids of a table's rows, in their order.
    pub(crate) fn ids(&self, table: &str) -> Vec<String> {
        let text = |id: &serde_json::Value| id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        let id = |row: &serde_json::Value| text(&row["id"]);
        self.sandbox.truth(table).iter().map(id).collect()
    }

    /// Changes one row, or makes one.
    pub(crate) fn update(&self, table: &str, id: &str) {
        let changed = self.sandbox.change(Change::Update { table: table.to_owned(), id: id.to_owned() });
        assert_eq!(changed, [id], "{table} has no row {id}");
    }

    pub(crate) fn update_some(&self, table: &str, count: u32) {
        self.sandbox.change(Change::UpdateSome { table: table.to_owned(), count });
    }

    pub(crate) fn insert(&self, table: &str) -> String {
        self.sandbox.change(Change::Insert { table: table.to_owned() }).remove(0)
    }

    pub(crate) fn delete(&self, table: &str, id: &str) {
        let gone = self.sandbox.change(Change::Delete { table: table.to_owned(), id: id.to_owned() });
        assert_eq!(gone, [id], "{table} has no row {id}");
    }

    pub(crate) fn restore(&self, table: &str, id: &str) {
        let back = self.sandbox.change(Change::Restore { table: table.to_owned(), id: id.to_owned() });
        assert_eq!(back, [id], "{table} never had a row {id}");
    }

    /// Sets a value without moving `updated_at`: no increment can see that.
    pub(crate) fn set_quietly(
        &self,
        table: &str,
        id: &str,
        field: &str,
        value: impl Into<serde_json::Value>,
    ) {
        let (table, id, field) = (table.to_owned(), id.to_owned(), field.to_owned());
        self.sandbox.change(Change::SetField { table, id, field, value: value.into() });
    }

    /// Pushes the clock ahead to `moment`, if that is still to come.
    pub(crate) fn advance_to(&self, moment: Timestamp) {
        let ahead = moment.duration_since(self.sandbox.now());
        self.sandbox.advance(Duration::try_from(ahead).unwrap_or_default());
    }
}

/// The declaration of a table.
pub(crate) fn spec(table: &str) -> &'static TableSpec {
    tables::find(table).unwrap_or_else(|| panic!("there is no table {table}"))
}

/// The names of every table there is.
pub(crate) fn all_tables() -> Vec<&'static str> {
    tables::TABLES.iter().map(|table| table.name).collect()
}

/// The report of one table.
pub(crate) fn of<'r>(report: &'r RunReport, table: &str) -> &'r TableReport {
    let found = report.tables.iter().find(|one| one.table == table);
    found.unwrap_or_else(|| panic!("table {table} was not read"))
}
