//! `ingest demo`: everything at work against the built-in workspace, without an account.

use std::path::Path;
use std::time::Duration;

use super::{destinations, print, read, setup, signals};
use crate::cli::{DemoArgs, Output, ProgressMode};
use crate::config::secret::Secret;
use crate::config::{DestinationConfig, DuckDbConfig, IntercomConnection, Region};
use crate::destination::duckdb::{self, Options};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::{self, RunOptions, Stop};
use crate::printable;
use crate::report::{RunReport, TableReport, aligned};
use crate::sandbox::{Change, Sandbox, Settings};
use crate::source::intercom::tables::TABLES;

const QUERIES: &[(&str, &str)] = &[
    (
        "Who answers, and how much?",
        "SELECT a.name AS teammate, count(DISTINCT p.conversation_id) AS conversations, count(*) AS answers
FROM intercom.conversation_parts AS p
JOIN intercom.admins AS a ON a.id = p.author_id
WHERE p.author_type = 'admin' AND p.part_type = 'comment'
GROUP BY a.name
ORDER BY answers DESC, teammate
LIMIT 5",
    ),
    (
        "Which tags do people on which plan have, and how many seats?",
        "SELECT t.name AS tag, c.\"Plan Tier\" AS plan, count(*) AS people, sum(c.seats) AS seats
FROM intercom.contacts_custom AS c
JOIN intercom.contact_tags AS l ON l.contact_id = c.id
JOIN intercom.tags AS t ON t.id = l.tag_id
WHERE c.\"Plan Tier\" IS NOT NULL
GROUP BY ALL
ORDER BY people DESC, tag, plan
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
    let config = DestinationConfig::DuckDb(DuckDbConfig::new("demo", &args.path));
    destinations::check_schema(&config, "intercom")?;
    let settings = Settings { contact_links: true, ..Settings::default() };
    make_room(&args.path, &settings.workspace)?;
    setup::serving_runtime()?.block_on(async {
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
        print("\nThree hours later some rows are new, some have changed, a company and a tag on a person are gone. The \
               same command again:\n\n")?;
        let mut second = ingest(&sandbox, &config, &stop).await?;
        let (code, all) = (second.exit_code(), second.tables.len());
        second.tables.retain(has_news);
        read::show(&second, Output::Text)?;
        print(&format!("The other {} tables are as they were.\n", all - second.tables.len()))?;
        if code == 0 {
            ask(&args.path)?;
        }
        sandbox.stop();
        Ok(code)
    })
}

/// Whether the run changed the table, or failed to read it.
fn has_news(table: &TableReport) -> bool {
    let done = table.committed;
    table.error.is_some() || done.new + done.changed + done.removed + done.stamped > 0
}

async fn ingest(sandbox: &Sandbox, config: &DestinationConfig, stop: &Stop) -> Result<RunReport> {
    let token = Secret::new(Settings::default().token);
    let mut connection = IntercomConnection::new("intercom", token, Region::Us);
    connection.base_url = url::Url::parse(&sandbox.base_url())
        .map_err(|e| Error::new(ErrorKind::Config, "the sandbox has no address").with_source(e))?;
    let client = setup::client(&connection, None, 16)?;
    let job = setup::job(&connection, client, TABLES.to_vec(), None);
    let common = crate::cli::CommonArgs { config: None, verbose: 0, quiet: true };
    let progress = setup::progress(ProgressMode::Off, &common);
    let destination = destinations::begin(std::slice::from_ref(config), None, &progress)?;
    pipeline::run(vec![job], destination, RunOptions::default(), &progress, stop).await
}

fn changes(sandbox: &Sandbox) -> Vec<Change> {
    let mut changes = vec![
        Change::Insert { table: "contacts".into() },
        Change::Insert { table: "conversations".into() },
        Change::UpdateSome { table: "contacts".into(), count: 12 },
        Change::UpdateSome { table: "conversations".into(), count: 5 },
        Change::UpdateSome { table: "articles".into(), count: 1 },
    ];
    // Which does not move the person's `updated_at`.
    let is_tagged = |row: &&serde_json::Value| row["tags"]["data"][0]["id"].is_string();
    if let Some(row) = sandbox.truth("contacts").iter().find(is_tagged) {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let (contact, tag) = (text(&row["id"]), text(&row["tags"]["data"][0]["id"]));
        changes.push(Change::RemoveTag { contact, tag });
    }
    let by_spend = |row: &serde_json::Value| row["monthly_spend"].as_i64();
    let richest = sandbox.truth("companies").into_iter().max_by_key(by_spend);
    if let Some(id) = richest.and_then(|row| row["id"].as_str().map(str::to_owned)) {
        changes.push(Change::Delete { table: "companies".into(), id });
    }
    changes
}

fn ask(path: &Path) -> Result<()> {
    let shown = printable::line(&path.display().to_string());
    print(&format!("\nEverything is in {shown}. Three things to ask it:\n"))?;
    for (question, sql) in QUERIES {
        let rows = duckdb::query(path, &Options::default(), sql)?;
        print(&format!("\n{question}\n\n{sql}\n\n{}", aligned(&rows)))?;
    }
    let status = format!("ingest status --to duckdb:{shown}");
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
