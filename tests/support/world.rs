//! Sandboxes and runs against them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ingest::client::{Backoff, Client, ClientSettings};
use ingest::config::secret::Secret;
use ingest::destination::duckdb::{DuckDb, Options, read_states};
use ingest::destination::{Destination, Target};
use ingest::error::{ErrorKind, Result};
use ingest::pipeline::{self, CommitEvery, Job, ReadingRules, RunOptions, Stop};
use ingest::progress::{Mode, Progress, TableProgress};
use ingest::report::{Outcome, RunReport, TableReport};
use ingest::sandbox::{Change, Fault, FaultKind, RequestRecord, Sandbox, Settings};
use ingest::source::Source;
use ingest::source::intercom::{Intercom, tables};
use ingest::state::TableState;
use ingest::table::TableSpec;
use ingest::window::Window;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use super::truth::{self, Cells, Differences};
use super::wrapped::{Faulty, Mishap, Moment, Watched};

/// Schema the tables are written to.
pub(crate) const SCHEMA: &str = "crm";
/// Tables read by search.
pub(crate) const SEARCHED: [&str; 2] = ["contacts", "conversations"];

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// A sandbox, a file to bring it to, and how that is done.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) rules: ReadingRules,
    pub(crate) patience: Duration,
    pub(crate) backoff: Backoff,
    folder: TempDir,
}

impl World {
    /// A workspace as `settings` has it, and no file yet. Retries hardly wait.
    pub(crate) async fn start(settings: Settings) -> Self {
        Self {
            sandbox: Sandbox::start(settings).await.expect("the sandbox listens"),
            rules: ReadingRules {
                api_version: "2.14".to_owned(),
                start_date: None,
                lookback: SignedDuration::ZERO,
                refresh_every: Some(SignedDuration::from_hours(7 * 24)),
            },
            patience: Duration::from_secs(30),
            backoff: Backoff {
                first: Duration::from_millis(4),
                longest: Duration::from_millis(40),
                attempts: 6,
                refusals: Duration::from_secs(20),
            },
            folder: TempDir::new().expect("a folder"),
        }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("data.duckdb")
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Goes on with a new, empty folder.
    pub(crate) fn forget(&mut self) {
        self.folder = TempDir::new().expect("a folder");
    }

    /// A run that reads every table, unless told otherwise.
    pub(crate) fn run(&self) -> Run<'_> {
        Run {
            world: self,
            tables: tables::TABLES.to_vec(),
            options: RunOptions::default(),
            stop: Stop::new(),
            mishap: None,
            watching: None,
        }
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
        let connection = truth::open(&self.file());
        let differences = |table: &&str| {
            let stored = truth::stored(&connection, SCHEMA, spec(table));
            Differences::between(spec(table), &self.sandbox.truth_text(table), stored, &[])
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
        if !self.file().exists() {
            return Vec::new();
        }
        truth::stored(&truth::open(&self.file()), SCHEMA, spec(table))
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
        let mut states =
            read_states(&self.file(), &Options::default(), &[target]).expect("states are readable");
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
        let id = |row: &serde_json::Value| row["id"].as_str().expect("ids are text").to_owned();
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
        self.sandbox.change(Change::Delete { table: table.to_owned(), id: id.to_owned() });
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

/// A run to be configured and started.
pub(crate) struct Run<'w> {
    world: &'w World,
    tables: Vec<&'static TableSpec>,
    options: RunOptions,
    stop: Stop,
    mishap: Option<(usize, Mishap)>,
    watching: Option<Arc<dyn Fn(Moment) + Send + Sync>>,
}

impl Run<'_> {
    pub(crate) fn tables(mut self, names: &[&str]) -> Self {
        self.tables = names.iter().map(|name| spec(name)).collect();
        self
    }

    pub(crate) fn full_refresh(mut self) -> Self {
        self.options.full_refresh = true;
        self
    }

    pub(crate) fn interval(mut self, from: Timestamp, to: Timestamp) -> Self {
        self.options.interval = Some(Window { from: Some(from.as_second()), to: Some(to.as_second()) });
        self
    }

    pub(crate) fn limit(mut self, rows: u64) -> Self {
        self.options.limit = Some(rows);
        self
    }

    /// Commits whenever so many rows have come.
    pub(crate) fn commit_every(mut self, rows: usize) -> Self {
        self.options.commit_every = CommitEvery { rows, ..CommitEvery::default() };
        self
    }

    /// The `at`-th commit, from 0, meets with a mishap.
    pub(crate) fn mishap(mut self, at: usize, mishap: Mishap) -> Self {
        self.mishap = Some((at, mishap));
        self
    }

    /// The run is asked to stop while it waits for an answer from `path`, after `answered` others.
    pub(crate) fn stopped_at_request(self, path: &str, answered: u32) -> Self {
        let (sandbox, stop) = (self.world.sandbox.clone(), self.stop.clone());
        let matching = path.to_owned();
        let what = FaultKind::Stall(HOUR);
        sandbox.fault(Fault { matching: matching.clone(), after: answered, times: 1, what });
        sandbox.clear_requests();
        tokio::spawn(async move {
            let is_asked = |request: &RequestRecord| request.path_and_query.starts_with(&matching);
            while sandbox.requests().iter().filter(|one| is_asked(one)).count() <= answered as usize {
                // Not a wait for something to have happened, only a pause between two looks.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            stop.ask(ErrorKind::Interrupted);
        });
        self
    }

    /// Lets something happen around passes.
    pub(crate) fn watching(mut self, hook: impl Fn(Moment) + Send + Sync + 'static) -> Self {
        self.watching = Some(Arc::new(hook));
        self
    }

    /// Runs; the sandbox's log of requests afterwards holds this run's alone.
    pub(crate) async fn go(self) -> RunReport {
        self.try_to_go().await.expect("the run begins")
    }

    pub(crate) async fn try_to_go(self) -> Result<RunReport> {
        let Self { world, tables, options, stop, mishap, watching } = self;
        world.sandbox.clear_requests();
        let settings = ClientSettings {
            base_url: world.sandbox.base_url(),
            token: Secret::new(Settings::default().token),
            api_version: world.rules.api_version.clone(),
            rate_limit: None,
            concurrency: 16,
            patience: world.patience,
            backoff: world.backoff,
        };
        let (_, minor) = world.rules.api_version.split_once('.').expect("a version");
        let client = Client::new(settings, TableProgress::silent())?;
        let mut source: Arc<dyn Source> =
            Arc::new(Intercom::new(client, minor.parse().expect("a version"), None));
        if let Some(hook) = watching {
            source = Arc::new(Watched::new(source, hook));
        }
        let progress = Progress::new(Mode::Off);
        // Tests run beside each other already.
        let options_of_file = Options { threads: 1, ..Options::default() };
        let file = DuckDb::begin(&world.file(), options_of_file, Duration::ZERO, progress.clone())?;
        let mut destination: Box<dyn Destination> = Box::new(file);
        if let Some((at, mishap)) = mishap {
            destination = Box::new(Faulty::new(destination, at, mishap));
        }
        let job = Job { schema: SCHEMA.into(), source, tables, reading: world.rules.clone() };
        pipeline::run(vec![job], destination, options, &progress, &stop).await
    }
}
