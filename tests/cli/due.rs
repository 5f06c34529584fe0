//! Tables that are fresh enough: `tables: { ...: { every: ... } }` in `connections.yml`, and `--if-older-than`.

use std::time::Duration;

use serde_json::Value;

use crate::support::binary::{Project, assert_shows};

const HOUR: Duration = Duration::from_secs(3600);

/// A small workspace, of which single tables are read as these lines say.
fn project(tables: &[&str]) -> Project {
    let project = Project::small();
    let tables = tables.join("\n        ");
    project.configure(&project.sandbox().base_url(), &format!("      tables:\n        {tables}\n"));
    project
}

/// The outcome of each table of a run, and until when it is not due.
fn outcomes(project: &Project, arguments: &[&str]) -> Vec<(String, String, Option<String>)> {
    let run = project.ingest(&[arguments, &["--output", "json", "-q"]].concat()).run().exits(0);
    let summary = run.json();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let outcome = |table: &Value| {
        (text(&table["table"]).unwrap(), text(&table["outcome"]).unwrap(), text(&table["not_due_until"]))
    };
    summary["tables"].as_array().unwrap().iter().map(outcome).collect()
}

/// The tables of a run that were read.
fn read(project: &Project, arguments: &[&str]) -> Vec<String> {
    let outcomes = outcomes(project, arguments).into_iter();
    outcomes
        .filter(|(_, outcome, until)| outcome == "complete" && until.is_none())
        .map(|(table, ..)| table)
        .collect()
}

fn asked_for(project: &Project, path: &str) -> usize {
    let requests = project.sandbox().requests();
    requests.iter().filter(|request| request.path_and_query.starts_with(path)).count()
}

#[test]
fn a_table_is_read_at_most_so_often() {
    let project = project(&["companies: { every: 6h }"]);
    let typed = ["intercom.companies", "intercom.tags"];
    assert_eq!(read(&project, &typed), ["companies", "tags"]);
    let scrolls = asked_for(&project, "/companies/scroll");
    assert!(scrolls > 0);

    project.sandbox().advance(5 * HOUR);
    assert_shows!(project.ingest(&typed).run().sorted(), @r"
    exit code: 0
    ----- stdout -----
    table               new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.companies    0        0          0        0         -         0  [TIME]  not due until [INSTANT]
    intercom.tags         0        0         12        0        12         1  [TIME]  complete as of [INSTANT]
    ----- stderr -----
    intercom.companies: skipped
    intercom.tags: complete
    intercom.tags: reading everything
    ");
    assert_eq!(asked_for(&project, "/companies/scroll"), scrolls);
    assert_shows!(project.ingest(&["intercom.companies", "intercom.tags", "--dry-run"]).run(), @r"
    exit code: 0
    ----- stdout -----
    table               rows at most  requests about  would read
    intercom.companies             -               0  not due until [INSTANT]
    intercom.tags            unknown         unknown  everything, as in every run
    ");
    let outcomes = outcomes(&project, &typed);
    assert_eq!((outcomes[0].1.as_str(), outcomes[1].1.as_str()), ("skipped", "complete"), "{outcomes:?}");
    assert!(outcomes[0].2.as_ref().unwrap().ends_with('Z'), "{outcomes:?}");

    project.sandbox().advance(HOUR);
    assert_eq!(read(&project, &typed), ["companies", "tags"]);
    // Nothing was done to it when it was not due, so nothing is logged of that.
    let logged = "SELECT count(*) FROM _ingest.runs WHERE table_name = 'companies'";
    assert_eq!(project.rows(logged), ["2"]);
}

#[test]
fn what_stands_inside_a_table_is_read_as_often() {
    let project = project(&["companies: { every: 6h }"]);
    project.ingest(&["intercom"]).run().exits(0);
    let scrolls = asked_for(&project, "/companies/scroll");
    project.sandbox().advance(5 * HOUR);
    let outcomes = outcomes(&project, &["intercom"]);
    assert_eq!(asked_for(&project, "/companies/scroll"), scrolls);
    let skipped = outcomes.iter().filter(|(_, outcome, _)| outcome == "skipped").map(|(table, ..)| &**table);
    assert_eq!(skipped.collect::<Vec<_>>(), ["companies", "company_segments", "company_tags"]);
}

#[test]
fn who_asks_for_everything_or_for_some_rows_gets_them() {
    let project = project(&["tags: { every: 6h }"]);
    project.ingest(&["intercom.tags"]).run().exits(0);
    for (arguments, is_read) in [
        (&[][..], false),
        (&["--full-refresh"], true),
        (&["--limit", "3"], true),
        (&["--interval-start", "2026-01-01"], true),
    ] {
        let before = asked_for(&project, "/tags");
        project.ingest(&[&["intercom.tags"], arguments].concat()).run().exits(0);
        assert_eq!(asked_for(&project, "/tags") > before, is_read, "{arguments:?}");
    }
}

#[test]
fn a_family_is_read_if_any_of_its_tables_is_due() {
    let project = project(&["companies: { every: 6h }", "company_tags: { every: 2h }"]);
    let typed = ["intercom.companies", "intercom.company_tags"];
    project.ingest(&typed).run().exits(0);
    project.sandbox().advance(HOUR);
    assert_eq!(read(&project, &typed), [""; 0]);
    project.sandbox().advance(HOUR);
    assert_eq!(read(&project, &typed), ["companies", "company_tags"]);
    project.sandbox().advance(3 * HOUR);
    assert_eq!(read(&project, &typed[..1]), [""; 0], "it was read three hours ago, and has three to go");
}

#[test]
fn tables_that_are_fresh_are_left_to_other_workers() {
    let project = Project::small();
    let fresh = ["intercom.contacts", "intercom.tags", "--if-older-than", "10m"];
    assert_eq!(read(&project, &["intercom.contacts", "--if-older-than", "10m"]), ["contacts"]);
    let requests = project.sandbox().requests().len();
    assert_eq!(read(&project, &["intercom.contacts", "--if-older-than", "10m"]), [""; 0]);
    // Whose workspace it is, and nothing more.
    assert_eq!(project.sandbox().requests().len(), requests + 1);
    assert_eq!(read(&project, &fresh), ["tags"]);
    project.sandbox().advance(HOUR);
    assert_eq!(read(&project, &fresh), ["contacts", "tags"]);
    // One that failed is asked for again.
    project.sandbox().advance(HOUR);
    project.sandbox().deny("/tags", 403);
    project.ingest(&fresh).run().exits(1);
    project.sandbox().allow("/tags");
    assert_eq!(read(&project, &fresh), ["tags"]);
    assert_eq!(read(&project, &["intercom.tags", "--if-older-than", "0s"]), ["tags"]);
    project.ingest(&["intercom.tags", "--if-older-than", "10m", "--full-refresh"]).run().exits(2);
}

#[test]
fn a_table_is_fresh_if_it_is_in_every_destination() {
    let project = Project::small();
    let typed = |to: &[&str]| -> Vec<String> {
        let to = to.iter().flat_map(|to| ["--to", *to]);
        let typed: Vec<&str> = ["intercom.tags", "--if-older-than", "10m"].into_iter().chain(to).collect();
        read(&project, &typed)
    };
    assert_eq!(typed(&["duckdb:a.duckdb"]), ["tags"]);
    assert_eq!(typed(&["duckdb:a.duckdb", "duckdb:b.duckdb"]), ["tags"]);
    assert_eq!(typed(&["duckdb:a.duckdb", "duckdb:b.duckdb"]), [""; 0]);
    project.sandbox().advance(HOUR);
    assert_eq!(typed(&["duckdb:b.duckdb"]), ["tags"]);
    assert_eq!(typed(&["duckdb:a.duckdb", "duckdb:b.duckdb"]), ["tags"]);
}

#[test]
fn how_often_is_shown() {
    // A hundred years, since the status is as of today and the workspace of another day.
    let project = project(&["companies: { every: 36500d }", "tags:"]);
    project.ingest(&["intercom.companies", "intercom.tags"]).run().exits(0);
    assert_shows!(project.ingest(&["status"]).run(), @r"
    exit code: 0
    ----- stdout -----
    table               rows  deleted        complete as of  age  state
    intercom.companies    20        0  [INSTANT]  [AGE]  complete, not due until [INSTANT]
    intercom.tags         12        0  [INSTANT]  [AGE]  complete

    last runs
    finished              new  changed  removed  table and outcome
    [INSTANT]   20        0        0  intercom.companies complete
    [INSTANT]   12        0        0  intercom.tags complete
    ");
    let status = project.ingest(&["status", "--output", "json"]).run().exits(0).json();
    assert!(status["tables"][0]["not_due_until"].is_string(), "{status:#}");
    assert!(status["tables"][1]["not_due_until"].is_null(), "{status:#}");
    // It is known without a token.
    let tables = |arguments: &[&str]| {
        project.ingest(&[&["tables"], arguments].concat()).without("INTERCOM_ACCESS_TOKEN").run().exits(0)
    };
    let listed = tables(&["intercom"]).stdout;
    let companies = listed.lines().find(|line| line.starts_with("intercom.companies ")).unwrap();
    assert!(companies.ends_with("at most every 876000h"), "{companies}");
    let json = tables(&["intercom", "--output", "json"]).json();
    assert_eq!(
        (&json[1]["every_seconds"], &json[0]["every_seconds"]),
        (&3_153_600_000_u64.into(), &Value::Null)
    );
}
