//! `ingest demo`: everything at work against the built-in workspace, without an account.

use std::path::Path;
use std::time::Duration;

use super::{print, read, setup, signals};
use crate::cli::{DemoArgs, Output, ProgressMode};
use crate::config::secret::Secret;
use crate::config::{DuckDbConfig, IntercomConnection, Region};
use crate::destination::duckdb::{self, DuckDb, Options};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::{self, RunOptions, Stop};
use crate::report::{RunReport, aligned};
use crate::sandbox::{Change, Sandbox, Settings};
use crate::source::intercom::tables::TABLES;

const QUERIES: &[(&str, &str)] = &[
    (
        "How quickly are conversations answered?",
        "SELECT state, count(*) AS conversations,
       round(median(statistics_time_to_admin_reply) / 60, 1) AS median_minutes_to_reply
FROM intercom.conversations
GROUP BY state
ORDER BY conversations DESC, state",
    ),
    (
        "Where are the people who were seen last?",
        "SELECT location_country AS country, count(*) AS people, max(last_seen_at)::VARCHAR AS last_seen
FROM intercom.contacts
WHERE _deleted_at IS NULL AND location_country IS NOT NULL
GROUP BY location_country
ORDER BY people DESC, country
LIMIT 5",
    ),
    (
        "Which companies bring most, and which of them are gone?",
        "SELECT name, monthly_spend, user_count, _deleted_at IS NOT NULL AS deleted
FROM intercom.companies
ORDER BY monthly_spend DESC NULLS LAST, name
LIMIT 5",
    ),
];

/// Shows a first load, a second run after some changes, and what can be asked then.
pub(super) fn demo(args: &DemoArgs) -> Result<u8> {
    let config = DuckDbConfig::new("demo", &args.path);
    setup::check_schema(&config, "intercom")?;
    let settings = Settings::default();
    make_room(&args.path, &settings.workspace)?;
    setup::runtime()?.block_on(async {
        let stop = Stop::new();
        signals::watch(&stop, "stopping");
        let sandbox = Sandbox::start(settings).await?;
        print("A workspace is served on loopback. First load of every table:\n\n")?;
        let first = ingest(&sandbox, &config, &stop).await?;
        read::show(&first, Output::Text)?;
        if first.exit_code() != 0 {
            return Ok(first.exit_code());
        }
        sandbox.advance(Duration::from_secs(3 * 3600));
        for change in changes(&sandbox) {
            sandbox.change(change);
        }
        print("\nThree hours later some rows are new, some have changed, a company is gone. The same command again:\n\n")?;
        let second = ingest(&sandbox, &config, &stop).await?;
        read::show(&second, Output::Text)?;
        if second.exit_code() == 0 {
            ask(&args.path)?;
        }
        sandbox.stop();
        Ok(second.exit_code())
    })
}

async fn ingest(sandbox: &Sandbox, config: &DuckDbConfig, stop: &Stop) -> Result<RunReport> {
    let token = Secret::new(Settings::default().token);
    let mut connection = IntercomConnection::new("intercom", token, Region::Us);
    connection.base_url = url::Url::parse(&sandbox.base_url())
        .map_err(|e| Error::new(ErrorKind::Config, "the sandbox has no address").with_source(e))?;
    let client = setup::client(&connection, None, 16)?;
    let job = setup::job(&connection, client, TABLES.to_vec(), None);
    let (options, wait) = setup::duckdb_options(config, None);
    let common = crate::cli::CommonArgs { config: None, verbose: 0, quiet: true };
    let progress = setup::progress(ProgressMode::Off, &common);
    let destination = DuckDb::begin(&config.path, options, wait, progress.clone())?;
    pipeline::run(vec![job], Box::new(destination), RunOptions::default(), &progress, stop).await
}

fn changes(sandbox: &Sandbox) -> Vec<Change> {
    let mut changes = vec![
        Change::Insert { table: "contacts".into() },
        Change::Insert { table: "conversations".into() },
        Change::UpdateSome { table: "contacts".into(), count: 12 },
        Change::UpdateSome { table: "conversations".into(), count: 5 },
        Change::UpdateSome { table: "articles".into(), count: 1 },
    ];
    let by_spend = |row: &serde_json::Value| row["monthly_spend"].as_i64();
    let richest = sandbox.truth("companies").into_iter().max_by_key(by_spend);
    if let Some(id) = richest.and_then(|row| row["id"].as_str().map(str::to_owned)) {
        changes.push(Change::Delete { table: "companies".into(), id });
    }
    changes
}

fn ask(path: &Path) -> Result<()> {
    print(&format!("\nEverything is in {}. Three things to ask it:\n", path.display()))?;
    for (question, sql) in QUERIES {
        let rows = duckdb::query(path, &Options::default(), sql)?;
        print(&format!("\n{question}\n\n{sql}\n\n{}", aligned(&rows)))?;
    }
    let status = format!("ingest status --to duckdb:{}", path.display());
    let next = [
        (status.as_str(), "what the file holds and how fresh it is"),
        ("ingest init", "a connections.yml for your own workspace"),
        ("ingest check", "does the token work, and for which tables?"),
        ("ingest intercom", "all of it, into ./ingest.duckdb"),
    ];
    let next: Vec<Vec<String>> =
        next.map(|(command, why)| vec![format!("  {command}"), why.to_owned()]).to_vec();
    print(&format!("\nWhere to go next:\n{}", aligned(&next)))
}

/// Removes the database of an earlier demonstration, and nothing else.
fn make_room(path: &Path, workspace: &str) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let (tables, _) = duckdb::status(path, &Options::default(), 0)?;
    if tables.is_empty() || tables.iter().any(|table| table.state.workspace != workspace) {
        let message = format!("{} holds something else than an earlier demonstration", path.display());
        return Err(Error::new(ErrorKind::Usage, message).with_hint("name another file with --path"));
    }
    std::fs::remove_file(path).map_err(|e| {
        Error::new(ErrorKind::Destination, format!("{} cannot be replaced", path.display())).with_source(e)
    })
}
