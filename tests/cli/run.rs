//! `ingest TABLE...`: runs that end well.

use std::collections::BTreeSet;

use ingest::sandbox::Change;
use serde_json::Value;

use crate::support::binary::{Project, assert_shows};

/// Every table, with how many rows the workspace has of it.
const TABLES: [&str; 9] = [
    "contacts",
    "companies",
    "conversations",
    "articles",
    "tags",
    "segments",
    "admins",
    "teams",
    "data_attributes",
];

/// The entry of a table in the summary.
fn table<'a>(summary: &'a Value, name: &str) -> &'a Value {
    let tables = summary["tables"].as_array().unwrap();
    tables.iter().find(|table| table["table"] == name).unwrap_or_else(|| panic!("no {name} in {summary}"))
}

fn json(project: &Project, arguments: &[&str]) -> Value {
    let run = project.ingest(&[arguments, &["--output", "json"]].concat()).run().exits(0);
    run.json()
}

#[test]
fn a_first_run_brings_every_table_and_a_second_finds_nothing_new() {
    let project = Project::small();
    assert_shows!(project.ingest(&["intercom"]).run().sorted(), @r"
    exit code: 0
    ----- stdout -----
    table                     new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.contacts          40        0          0        0        40         3  [TIME]  complete as of [INSTANT]
    intercom.companies         20        0          0        0        20         2  [TIME]  complete as of [INSTANT]
    intercom.conversations     30        0          0        0        30         4  [TIME]  complete as of [INSTANT]
    intercom.articles          10        0          0        0        10         1  [TIME]  complete as of [INSTANT]
    intercom.tags              12        0          0        0        12         1  [TIME]  complete as of [INSTANT]
    intercom.segments           6        0          0        0         6         1  [TIME]  complete as of [INSTANT]
    intercom.admins             5        0          0        0         5         1  [TIME]  complete as of [INSTANT]
    intercom.teams              3        0          0        0         3         1  [TIME]  complete as of [INSTANT]
    intercom.data_attributes   46        0          0        0        46         3  [TIME]  complete as of [INSTANT]
    note: intercom.contacts: kept in _extra because it has no column: enabled_push_messaging (24)
    note: intercom.contacts: kept in _extra because it did not fit its column: signed_up_at (2)
    ----- stderr -----
    intercom.admins: complete
    intercom.admins: reading everything
    intercom.articles: complete
    intercom.articles: reading everything
    intercom.companies: complete
    intercom.companies: reading everything
    intercom.contacts: complete
    intercom.contacts: first load
    intercom.conversations: complete
    intercom.conversations: first load
    intercom.data_attributes: complete
    intercom.data_attributes: reading everything
    intercom.segments: complete
    intercom.segments: reading everything
    intercom.tags: complete
    intercom.tags: reading everything
    intercom.teams: complete
    intercom.teams: reading everything
    ");
    for name in TABLES {
        let truth = project.sandbox().truth(name).len();
        assert_eq!(
            project.rows(&format!("SELECT count(*) FROM intercom.{name}")),
            [truth.to_string()],
            "{name}"
        );
    }
    assert_shows!(project.ingest(&["intercom"]).run().sorted(), @r"
    exit code: 0
    ----- stdout -----
    table                     new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.contacts           0        0          0        0        40         2  [TIME]  complete as of [INSTANT]
    intercom.companies          0        0         20        0        20         2  [TIME]  complete as of [INSTANT]
    intercom.conversations      0        0          0        0        30         2  [TIME]  complete as of [INSTANT]
    intercom.articles           0        0         10        0        10         1  [TIME]  complete as of [INSTANT]
    intercom.tags               0        0         12        0        12         1  [TIME]  complete as of [INSTANT]
    intercom.segments           0        0          6        0         6         1  [TIME]  complete as of [INSTANT]
    intercom.admins             0        0          5        0         5         1  [TIME]  complete as of [INSTANT]
    intercom.teams              0        0          3        0         3         1  [TIME]  complete as of [INSTANT]
    intercom.data_attributes    0        0         46        0        46         3  [TIME]  complete as of [INSTANT]
    ----- stderr -----
    intercom.admins: complete
    intercom.admins: reading everything
    intercom.articles: complete
    intercom.articles: reading everything
    intercom.companies: complete
    intercom.companies: reading everything
    intercom.contacts: changes since the last run
    intercom.contacts: complete
    intercom.conversations: changes since the last run
    intercom.conversations: complete
    intercom.data_attributes: complete
    intercom.data_attributes: reading everything
    intercom.segments: complete
    intercom.segments: reading everything
    intercom.tags: complete
    intercom.tags: reading everything
    intercom.teams: complete
    intercom.teams: reading everything
    ");
}

#[test]
fn changes_are_counted_where_they_happened() {
    let project = Project::small();
    project.ingest(&["intercom"]).run().exits(0);
    let contact = project.sandbox().truth("contacts")[0]["id"].as_str().unwrap().to_owned();
    let company = project.sandbox().truth("companies")[0]["id"].as_str().unwrap().to_owned();
    project.sandbox().advance(std::time::Duration::from_secs(7200));
    project.sandbox().change(Change::Update { table: "contacts".into(), id: contact });
    project.sandbox().change(Change::Insert { table: "conversations".into() });
    project.sandbox().change(Change::Delete { table: "companies".into(), id: company });
    let summary = json(&project, &["intercom"]);
    for (name, row, count) in [
        ("contacts", "changed", 1),
        ("contacts", "new", 0),
        ("conversations", "new", 1),
        ("companies", "deleted", 1),
        ("companies", "live", 19),
    ] {
        assert_eq!(table(&summary, name)["rows"][row], count, "{name} {row} in {summary:#}");
    }
    assert_eq!(project.rows("SELECT count(*) FROM intercom.companies WHERE _deleted_at IS NOT NULL"), ["1"]);
}

#[test]
fn the_summary_as_json_has_everything_a_program_needs() {
    let project = Project::small();
    let run = project.ingest(&["intercom.tags", "--output", "json", "--progress", "off"]).run().exits(0);
    assert_eq!(run.stderr, "");
    let mut summary = run.json();
    assert!(summary["finished_at"].as_str() >= summary["started_at"].as_str(), "{summary:#}");
    for member in ["run_id", "started_at", "finished_at"] {
        assert!(summary[member].take().is_string(), "{member}");
    }
    assert!(summary["tables"][0]["checkpoint"].take().is_string());
    assert!(summary["tables"][0]["seconds"].take().is_number());
    insta::assert_snapshot!(format!("{summary:#}"), @r#"
    {
      "run_id": null,
      "started_at": null,
      "finished_at": null,
      "exit_code": 0,
      "tables": [
        {
          "schema": "intercom",
          "table": "tags",
          "outcome": "complete",
          "mode": "reading everything",
          "checkpoint": null,
          "rows": {
            "read": 12,
            "new": 12,
            "changed": 0,
            "unchanged": 0,
            "removed": 0,
            "deleted": 0,
            "live": 12,
            "source_count": null
          },
          "requests": 1,
          "retries": 0,
          "seconds": null,
          "unknown_fields": {},
          "misfit_values": {},
          "notes": [],
          "error": null
        }
      ]
    }
    "#);
}

#[test]
fn stdout_is_data_and_stderr_is_for_whoever_watches() {
    let project = Project::small();
    let run = |arguments: &[&str]| project.ingest(&[&["intercom.tags"], arguments].concat()).run().exits(0);
    assert_shows!(run(&["--progress", "plain"]), @r"
    exit code: 0
    ----- stdout -----
    table          new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.tags   12        0          0        0        12         1  [TIME]  complete as of [INSTANT]
    ----- stderr -----
    intercom.tags: reading everything
    intercom.tags: complete
    ");
    assert_eq!(run(&["--progress", "off"]).stderr, "");
    assert_eq!(run(&["-q"]).stderr, "");
    assert!(run(&["-q"]).stdout.contains("complete as of"));
    let verbose = run(&["-v"]);
    assert!(verbose.stderr.contains("INFO") && !verbose.stderr.contains("DEBUG"), "{verbose}");
}

#[test]
fn every_request_is_told_to_whoever_asks_twice_and_the_token_to_nobody() {
    let project = Project::small();
    let told = project.ingest(&["intercom", "-vv"]).run().exits(0);
    let lines = told.stderr.lines().filter(|line| line.contains("answered call=")).count();
    assert_eq!(lines, project.sandbox().requests().len(), "{told}");
    assert!(told.stderr.contains("call=\"POST /contacts/search\" status=200"), "{told}");
}

#[test]
fn tables_are_chosen_by_name_by_type_and_by_star() {
    let project = Project::small();
    project.configure(&project.sandbox().base_url().clone(), "");
    let text = std::fs::read_to_string(project.path("connections.yml")).unwrap();
    project.write("connections.yml", &text.replace("name: intercom", "name: acme"));
    let chosen = |typed: &[&str]| -> Vec<String> {
        let summary = json(&project, typed);
        let names = summary["tables"].as_array().unwrap().iter();
        names.map(|t| format!("{}.{}", t["schema"].as_str().unwrap(), t["table"].as_str().unwrap())).collect()
    };
    assert_eq!(chosen(&["acme.tags", "intercom.teams", "acme.tags"]), ["acme.tags", "acme.teams"]);
    let all: Vec<String> = TABLES.iter().map(|name| format!("acme.{name}")).collect();
    for typed in ["acme", "intercom", "acme.*", "intercom.*"] {
        assert_eq!(chosen(&[typed]), all, "{typed}");
    }
}

#[test]
fn run_spelled_out_is_the_same_command() {
    let project = Project::small();
    let spelled = project.ingest(&["run", "intercom.tags", "--output", "json"]).run().exits(0).json();
    assert_eq!(table(&spelled, "tags")["outcome"], "complete");
}

#[test]
fn a_limit_merges_so_many_rows_and_claims_nothing() {
    let project = Project::small();
    let summary = json(&project, &["intercom", "--limit", "3"]);
    for name in TABLES {
        let table = table(&summary, name);
        assert_eq!((&table["outcome"], &table["checkpoint"]), (&"partial".into(), &Value::Null), "{table:#}");
        assert_eq!(table["rows"]["live"], 3, "{table:#}");
    }
    assert_eq!(table(&json(&project, &["intercom.contacts"]), "contacts")["mode"], "first load");
}

#[test]
fn an_interval_merges_the_rows_changed_in_it_and_claims_nothing() {
    let project = Project::small();
    let (from, to) = ("2025-06-01", "2026-01-01T00:00:00Z");
    let seconds = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
    let inside = |row: &&Value| {
        let updated_at = row["updated_at"].as_i64().unwrap();
        updated_at >= seconds("2025-06-01T00:00:00Z") && updated_at < seconds(to)
    };
    let typed = ["intercom.contacts", "intercom.companies", "--interval-start", from, "--interval-end", to];
    let summary = json(&project, &typed);
    for name in ["contacts", "companies"] {
        let expected = project.sandbox().truth(name).iter().filter(inside).count();
        let table = table(&summary, name);
        assert_eq!(table["rows"]["live"], expected, "{name}");
        assert_eq!((&table["outcome"], &table["checkpoint"]), (&"partial".into(), &Value::Null), "{table:#}");
    }
    assert_eq!(table(&json(&project, &["intercom.contacts"]), "contacts")["mode"], "first load");
}

#[test]
fn a_full_refresh_reads_everything_again() {
    let project = Project::small();
    project.ingest(&["intercom.contacts"]).run().exits(0);
    let summary = json(&project, &["intercom.contacts", "--full-refresh"]);
    let contacts = table(&summary, "contacts");
    assert_eq!(
        (&contacts["mode"], &contacts["rows"]["unchanged"]),
        (&"full refresh".into(), &40.into()),
        "{summary:#}"
    );
}

#[test]
fn a_dry_run_says_what_would_be_read_and_writes_nothing() {
    let project = Project::small();
    assert_shows!(project.ingest(&["intercom", "--dry-run"]).run(), @r"
    exit code: 0
    ----- stdout -----
    table                     rows at most  requests about  would read
    intercom.contacts                   40               3  first load: created_at of any time
    intercom.companies             unknown         unknown  everything, as in every run
    intercom.conversations              30               3  first load: created_at of any time
    intercom.articles              unknown         unknown  everything, as in every run
    intercom.tags                  unknown         unknown  everything, as in every run
    intercom.segments              unknown         unknown  everything, as in every run
    intercom.admins                unknown         unknown  everything, as in every run
    intercom.teams                 unknown         unknown  everything, as in every run
    intercom.data_attributes       unknown         unknown  everything, as in every run
    ");
    assert_eq!(project.files(), ["connections.yml"]);
    project.ingest(&["intercom.contacts"]).run().exits(0);
    let state = || project.rows("SELECT revision, state FROM _ingest.state");
    let before = state();
    assert_shows!(project.ingest(&["intercom.contacts", "--dry-run"]).run(), @r"
    exit code: 0
    ----- stdout -----
    table              rows at most  requests about  would read
    intercom.contacts             0               2  changes: updated_at from [INSTANT]
    ");
    let typed =
        ["intercom.contacts", "--dry-run", "--interval-start", "2026-01-01", "--interval-end", "2026-01-02"];
    assert_shows!(project.ingest(&typed).run(), @r"
    exit code: 0
    ----- stdout -----
    table              rows at most  requests about  would read
    intercom.contacts             1               3  updated_at from [INSTANT] to before [INSTANT]
    ");
    assert_shows!(project.ingest(&["intercom.contacts", "--dry-run", "--full-refresh"]).run(), @r"
    exit code: 0
    ----- stdout -----
    table              rows at most  requests about  would read
    intercom.contacts            40               3  full refresh: created_at of any time
    ");
    assert_eq!(state(), before);
}

#[test]
fn the_schema_is_the_connections_name_unless_said_otherwise() {
    let project = Project::small();
    project.ingest(&["intercom.tags"]).run().exits(0);
    project.ingest(&["intercom.tags", "--schema", "crm"]).run().exits(0);
    let schemas = project.rows("SELECT schema_name FROM _ingest.state ORDER BY 1");
    assert_eq!(schemas, ["crm", "intercom"]);
    assert_eq!(
        project.rows("SELECT count(*) FROM crm.tags"),
        project.rows("SELECT count(*) FROM intercom.tags")
    );
}

#[test]
fn nothing_but_the_database_and_its_lock_is_left_behind() {
    let project = Project::small();
    project.ingest(&["intercom"]).run().exits(0);
    let expected: BTreeSet<_> =
        ["connections.yml", "ingest.duckdb", "ingest.duckdb.lock"].map(str::to_owned).into();
    assert_eq!(project.files().into_iter().collect::<BTreeSet<_>>(), expected);
}
