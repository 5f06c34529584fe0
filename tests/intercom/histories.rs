//! Random histories of a workspace that is dated oddly, shows changes out of order, takes permissions away and gives
//! them back, and whose answers lie once: after every run that says so, the tables are complete.
//!
//! `HISTORIES=100 cargo test --release histories` runs a hundred over each destination instead of a few.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use ingest::error::{Error, ErrorKind};
use ingest::report::{Outcome, RunReport};
use ingest::sandbox::{Change, Churn, Fault, FaultKind, Settings};
use jiff::tz::TimeZone;
use serde_json::json;

use crate::support::truth::{self, Differences};
use crate::support::world::{DATED, DAY, HOUR, Kind, MINUTE, Run, SCHEMA, World, of, over, spec};

/// What is read and compared.
const TABLES: [&str; 22] = [
    "contacts",
    "conversations",
    "tickets",
    "companies",
    "articles",
    "calls",
    "tags",
    "admins",
    "away_status_reasons",
    "internal_articles",
    "conversation_parts",
    "ticket_parts",
    "contact_companies",
    "contact_notes",
    "contact_tags",
    "contact_segments",
    "company_tags",
    "conversation_contacts",
    "conversation_tags",
    "conversation_teammates",
    "activity_logs",
    "ticket_types",
];
/// Who is in a group: read again where the number of members has changed, and once a day in any case.
const SWEPT: [&str; 2] = ["contact_tags", "contact_segments"];
/// What changes.
const MOVING: [&str; 8] =
    ["contacts", "conversations", "tickets", "companies", "articles", "calls", "tags", "internal_articles"];
/// Paths whose answers may lie.
const PATHS: [&str; 9] = [
    "/contacts/search",
    "/conversations/search",
    "/tickets/search",
    "/companies/scroll",
    "/articles",
    "/calls",
    "/tags",
    "/admins",
    "/away_status_reasons",
];

/// A workspace in the middle of its history.
struct History {
    world: World,
    rng: Rng,
    seed: u64,
    /// Whether searches show changes late.
    lags: bool,
    /// Whether "Read tickets" is taken away.
    is_denied: bool,
    /// Whether values have changed that only a refresh can see.
    has_quiet_changes: bool,
}

impl History {
    async fn begin(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let zones = ["UTC", "America/Los_Angeles", "Europe/Dublin", "Asia/Kolkata", "Pacific/Kiritimati"];
        let lags = [Duration::ZERO, Duration::ZERO, 20 * MINUTE];
        let index_lag = lags[rng.usize(0..lags.len())];
        let settings = Settings {
            seed,
            time_zone: TimeZone::get(zones[rng.usize(0..zones.len())]).unwrap(),
            index_lag,
            index_lag_spread: if index_lag.is_zero() { Duration::ZERO } else { 30 * MINUTE },
            tick: Duration::from_millis(rng.u64(0..400)),
            contacts: rng.usize(1..700),
            conversations: rng.usize(1..250),
            tickets: rng.usize(1..150),
            companies: rng.usize(1..250),
            articles: rng.usize(1..120),
            calls: rng.usize(1..90),
            ticket_conversations: rng.usize(0..6),
            contact_links: true,
            many_companies: rng.bool(),
            undated_last: rng.bool(),
            newest_first: rng.bool(),
            bare_away_status_reasons: rng.bool(),
            ..Settings::default()
        };
        let world = World::start(settings).await;
        Self { world, rng, seed, lags: !index_lag.is_zero(), is_denied: false, has_quiet_changes: false }
    }

    fn some_id(&mut self, table: &str) -> Option<String> {
        let ids = self.world.ids(table);
        (!ids.is_empty()).then(|| ids[self.rng.usize(0..ids.len())].clone())
    }

    fn change(&mut self) {
        let table = MOVING[self.rng.usize(0..MOVING.len())];
        let now = self.world.sandbox.now().as_second();
        match self.rng.u32(0..14) {
            0 | 1 => drop(self.world.insert(table)),
            2 => {
                let Some(id) = self.some_id(table) else { return };
                self.world.delete(table, &id);
            }
            3 => {
                let mut ids = self.world.ids(table);
                self.rng.shuffle(&mut ids);
                ids.truncate(self.rng.usize(1..250));
                self.world.sandbox.change(Change::BulkUpdate { table: table.to_owned(), ids });
            }
            4 => {
                // Many go at once.
                let mut ids = self.world.ids("contacts");
                self.rng.shuffle(&mut ids);
                ids.truncate(self.rng.usize(0..180).min(ids.len() / 2));
                for id in &ids {
                    self.world.delete("contacts", id);
                }
            }
            5 | 6 => {
                // Odd dates, of rows that change with it so that an increment can see them.
                let table = DATED[self.rng.usize(0..DATED.len())];
                let dates =
                    [json!(null), json!(0), json!(-86_400), json!(now + 3 * 3_600), json!(now + 90_000_000)];
                for _ in 0..self.rng.u32(1..12) {
                    let Some(id) = self.some_id(table) else { return };
                    let date = dates[self.rng.usize(0..dates.len())].clone();
                    self.world.set_quietly(table, &id, "created_at", date);
                    self.world.update(table, &id);
                }
            }
            7 => {
                let Some(id) = self.some_id("conversations") else { return };
                let parts = self.world.sandbox.parts(&id).len();
                if parts > 0 {
                    let at = self.rng.usize(0..parts);
                    self.world.sandbox.change(Change::RedactPart { table: "conversations".into(), id, at });
                    self.has_quiet_changes = true;
                }
            }
            8 => {
                let (Some(contact), Some(tag)) = (self.some_id("contacts"), self.some_id("tags")) else {
                    return;
                };
                self.world.sandbox.change(Change::AddTag { contact: contact.clone(), tag });
                self.world.update("contacts", &contact);
            }
            9 => {
                if self.is_denied {
                    self.world.sandbox.allow("/tickets");
                } else {
                    self.world.sandbox.deny("/tickets", 403);
                }
                self.is_denied = !self.is_denied;
            }
            _ => self.world.update_some(table, self.rng.u32(1..30)),
        }
    }

    /// Lets some answers of the next run lie, each once.
    fn lie(&mut self) {
        self.world.sandbox.clear_faults();
        for _ in 0..self.rng.u32(0..3) {
            let path = PATHS[self.rng.usize(0..PATHS.len())];
            let what = match self.rng.u32(0..4) {
                0 => FaultKind::EmptyPage,
                1 => FaultKind::ShortPage(self.rng.usize(0..4)),
                2 => FaultKind::NotJson,
                _ => FaultKind::MissingRecords,
            };
            let matching = path.to_owned();
            self.world.sandbox.fault(Fault { matching, after: self.rng.u32(0..5), times: 1, what });
        }
    }

    /// Reads everything; now and then it is stopped on the way and run again. Without a report where rows came while
    /// it was read.
    async fn run(&mut self, beside: Option<&Path>) -> Option<RunReport> {
        self.lie();
        if self.rng.u32(0..4) == 0 {
            let path = PATHS[self.rng.usize(0..3)];
            let run = self.world.run().tables(&TABLES).commit_every(self.rng.usize(1..400));
            let run = if self.rng.bool() { run.full_refresh() } else { run };
            let run = with(run, beside);
            // Not every run asks so often; then it is not stopped.
            let stopped = run.stopped_at_request(path, self.rng.u32(0..6));
            let limit = Duration::from_secs(120);
            drop(tokio::time::timeout(limit, stopped.go()).await.expect("the run ends"));
            self.world.sandbox.clear_faults();
        }
        let grows = self.rng.u32(0..3) == 0;
        if grows {
            let tables = ["calls", "articles", "internal_articles"].map(str::to_owned).to_vec();
            let churn = Churn { every_requests: 7, updates: 0, inserts: 1, deletes: 0, tables };
            self.world.sandbox.set_churn(Some(churn));
        }
        let report = with(self.world.run().tables(&TABLES), beside).go().await;
        self.world.sandbox.set_churn(None);
        self.world.sandbox.clear_faults();
        (!grows).then_some(report)
    }

    /// Fails unless every table could be read that may be.
    fn check_outcomes(&self, report: &RunReport, context: &str) {
        for table in &report.tables {
            let lacks = |error: &Error| error.kind() == ErrorKind::Permission;
            let is_denied = self.is_denied && table.error.as_ref().is_some_and(lacks);
            let is_complete = table.outcome == Outcome::Complete;
            let seed = self.seed;
            assert!(is_complete || is_denied, "seed {seed}, {context}: {}: {:?}", table.table, table.error);
        }
    }

    /// Fails unless every table that is said to be complete is.
    fn check(&self, report: &RunReport, beside: Option<&Path>, context: &str) {
        let context = format!("seed {}, {context}", self.seed);
        let is_compared = |table: &&str| {
            let hides = self.is_denied && (table.starts_with("conversation") || table.starts_with("ticket"));
            let is_quiet = self.has_quiet_changes && *table == "conversation_parts";
            let is_green = of(report, table).outcome == Outcome::Complete;
            is_green && !hides && !is_quiet
        };
        let tables: Vec<&str> = TABLES.iter().copied().filter(is_compared).collect();
        for (table, differences) in tables.iter().zip(self.world.all_differences(&tables)) {
            assert_complete(table, &differences, &context);
        }
        if let Some(file) = beside {
            let connection = truth::open(file);
            for table in tables {
                let knows_parts = spec(table).filled_by.is_some();
                let truth = truth::of(&self.world.sandbox, spec(table), 14, knows_parts);
                let stored = truth::stored(&connection, SCHEMA, spec(table));
                let differences = Differences::between(spec(table), truth, stored);
                assert_complete(table, &differences, &format!("{context}, in the second destination"));
            }
        }
    }

    async fn play(mut self, has_second: bool) {
        let folder = tempfile::TempDir::new().unwrap();
        let second = folder.path().join("second.duckdb");
        let beside = has_second.then_some(second.as_path());
        let waits = [Duration::ZERO, MINUTE, 59 * MINUTE, 3 * HOUR, DAY, 8 * DAY, 31 * DAY];
        for round in 0..4 {
            for _ in 0..self.rng.u32(0..7) {
                self.change();
                self.world.sandbox.advance(waits[self.rng.usize(0..3)]);
            }
            let lying = self.run(beside).await;
            // What shows late can only be asked for at the end.
            if !self.lags {
                if let Some(report) = lying {
                    self.check(&report, beside, &format!("round {round}, with lies"));
                }
                let report = with(self.world.run().tables(&TABLES), beside).go().await;
                self.check_outcomes(&report, &format!("round {round}"));
                self.check(&report, beside, &format!("round {round}"));
            }
            self.world.sandbox.advance(waits[self.rng.usize(0..waits.len())]);
        }
        self.world.sandbox.allow("/tickets");
        self.is_denied = false;
        self.world.sandbox.clear_faults();
        self.world.sandbox.advance(2 * HOUR);
        let report = with(self.world.run().tables(&TABLES), beside).go().await;
        self.check_outcomes(&report, "at the end");
        self.check(&report, beside, "at the end");
        // Who came while as many went is there after a day.
        self.world.sandbox.advance(DAY);
        let report = with(self.world.run().tables(&TABLES), beside).go().await;
        self.check_outcomes(&report, "a day later");
        for (table, differences) in SWEPT.iter().zip(self.world.all_differences(&SWEPT)) {
            let is_right = differences == Differences::default();
            assert!(is_right, "seed {}: {table}, a day later: {differences:#?}", self.seed);
        }
        self.has_quiet_changes = false;
        let report = with(self.world.run().tables(&TABLES).full_refresh(), beside).go().await;
        self.check_outcomes(&report, "after a full refresh");
        self.check(&report, beside, "after a full refresh");
        for (table, differences) in TABLES.iter().zip(self.world.all_differences(&TABLES)) {
            assert_eq!(differences.extra, [""; 0], "seed {}: {table}: what is gone is stamped", self.seed);
        }
    }
}

/// Fails unless every true row is there. Who came to a group while as many went may be missing: as many as are still
/// there.
#[track_caller]
fn assert_complete(table: &str, differences: &Differences, context: &str) {
    let context = format!("{table}, {context}");
    if !SWEPT.contains(&table) {
        return differences.assert_nothing_lost(&context);
    }
    let by_group = |keys: &[String]| {
        let mut groups: BTreeMap<String, usize> = BTreeMap::new();
        for key in keys {
            let (_, group) = key.split_once('/').unwrap();
            *groups.entry(group.to_owned()).or_default() += 1;
        }
        groups
    };
    assert_eq!(by_group(&differences.missing), by_group(&differences.extra), "{context}: members of groups");
    Differences { missing: Vec::new(), ..differences.clone() }.assert_nothing_lost(&context);
}

fn with<'w>(run: Run<'w>, beside: Option<&Path>) -> Run<'w> {
    match beside {
        Some(file) => run.beside(file.to_owned()),
        None => run,
    }
}

/// Histories over each destination.
#[expect(clippy::disallowed_methods, reason = "how long to go on is a matter of who runs the tests")]
fn histories() -> u64 {
    std::env::var("HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(3)
}

async fn play(first: u64, has_second: bool) {
    for seed in first..first + histories() {
        History::begin(seed).await.play(has_second).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_green_run_is_right() {
    play(1_000, false).await;
}

#[test]
fn every_green_run_is_right_in_a_lake() {
    over(Kind::Lake, || {
        tokio::runtime::Runtime::new().unwrap().block_on(play(2_000, false));
    });
}

#[test]
fn every_green_run_is_right_in_both() {
    over(Kind::Lake, || {
        tokio::runtime::Runtime::new().unwrap().block_on(play(3_000, true));
    });
}
