//! `ingest TABLE...`: runs that end well.

use std::collections::BTreeSet;

use ingest::sandbox::{Change, Settings};
use ingest::source::intercom::tables::TABLES;
use ingest::table::WriteDisposition;
use serde_json::Value;

use crate::support::binary::{Project, assert_shows};

/// Every table that need not be named.
fn tables() -> impl Iterator<Item = &'static str> {
    TABLES.iter().filter(|table| !table.opt_in).map(|table| table.name)
}

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
    let settings = Settings { contacts: 60, conversations: 30, contact_links: true, ..Settings::default() };
    let project = Project::new(settings);
    let first = json(&project, &["intercom"]);
    let second = json(&project, &["intercom"]);
    let read = |summary: &Value| summary["tables"].as_array().unwrap().len();
    assert_eq!((read(&first), read(&second)), (tables().count(), tables().count()));
    for name in tables() {
        let (first, second) = (table(&first, name), table(&second, name));
        let rows = &first["rows"]["live"];
        assert!(rows.as_u64() > Some(0), "{first:#}");
        assert_eq!(project.rows(&format!("SELECT count(*) FROM intercom.{name}")), [rows.to_string()]);
        assert_eq!(&first["rows"]["new"], rows, "{first:#}");
        assert_eq!(&second["rows"]["live"], rows, "{second:#}");
        for change in ["new", "changed", "removed", "deleted"] {
            assert_eq!(second["rows"][change], 0, "{second:#}");
        }
        for summary in [first, second] {
            assert_eq!(summary["outcome"], "complete", "{summary:#}");
            assert!(summary["checkpoint"].is_string(), "{summary:#}");
        }
    }
    for name in ["contacts", "companies", "conversations", "tickets", "articles", "tags", "calls"] {
        let truth = project.sandbox().truth(name).len();
        assert_eq!(table(&first, name)["rows"]["live"], truth, "{name}");
    }
}

#[test]
fn the_summary_tells_each_table_apart_from_what_is_read_with_it() {
    let project = Project::small();
    let typed = ["intercom.companies", "intercom.company_tags", "intercom.tickets", "intercom.ticket_parts"];
    assert_shows!(project.ingest(&typed).run().sorted(), @r"
    exit code: 0
    ----- stdout -----
    table                  new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.companies      20        0          0        0        20         2  [TIME]  complete as of [INSTANT]
    intercom.company_tags   37        0          0        0        37         0  [TIME]  complete as of [INSTANT]
    intercom.tickets        80        0          0        0        80         3  [TIME]  complete as of [INSTANT]
    intercom.ticket_parts  799        0          0        0       799         0  [TIME]  complete as of [INSTANT]
    ----- stderr -----
    intercom.companies: complete
    intercom.companies: reading everything
    intercom.company_tags: complete
    intercom.company_tags: reading everything
    intercom.ticket_parts: complete
    intercom.ticket_parts: first load
    intercom.tickets: complete
    intercom.tickets: first load
    ");
    assert_shows!(project.ingest(&typed).run().sorted(), @r"
    exit code: 0
    ----- stdout -----
    table                  new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.companies       0        0         20        0        20         2  [TIME]  complete as of [INSTANT]
    intercom.company_tags    0        0         37        0        37         0  [TIME]  complete as of [INSTANT]
    intercom.tickets         0        0          0        0        80         2  [TIME]  complete as of [INSTANT]
    intercom.ticket_parts    0        0          0        0       799         0  [TIME]  complete as of [INSTANT]
    ----- stderr -----
    intercom.companies: complete
    intercom.companies: reading everything
    intercom.company_tags: complete
    intercom.company_tags: reading everything
    intercom.ticket_parts: changes since the last run
    intercom.ticket_parts: complete
    intercom.tickets: changes since the last run
    intercom.tickets: complete
    ");
}

#[test]
fn a_table_inside_another_is_read_without_it() {
    let project = Project::small();
    for (inside, lead) in [("conversation_tags", "conversations"), ("company_segments", "companies")] {
        let summary = json(&project, &[&format!("intercom.{inside}")]);
        let links = project.sandbox().links(inside).len();
        assert!(links > 0);
        assert_eq!(table(&summary, inside)["rows"]["live"], links, "{summary:#}");
        let stored = format!("SELECT count(*) FROM duckdb_tables() WHERE table_name = '{lead}'");
        assert_eq!(project.rows(&stored), ["0"]);
    }
}

#[test]
fn a_table_that_costs_a_request_for_each_row_is_read_when_it_is_named() {
    let project = Project::small();
    let summary = json(&project, &["intercom", "intercom.article_statistics"]);
    assert_eq!(summary["tables"].as_array().unwrap().len(), tables().count() + 1);
    assert_eq!(table(&summary, "article_statistics")["rows"]["live"], 10, "{summary:#}");
    let again = json(&project, &["intercom"]);
    assert!(again["tables"].as_array().unwrap().iter().all(|table| table["table"] != "article_statistics"));
    assert_eq!(project.rows("SELECT count(*) FROM intercom.article_statistics"), ["10"]);
}

/// A small workspace that is asked in the words of API 2.11.
fn small_in_2_11() -> Project {
    let project = Project::small();
    project.configure(&project.sandbox().base_url(), "      api_version: \"2.11\"\n");
    project
}

#[test]
fn tables_that_an_older_api_version_lacks_are_left_out_with_a_word() {
    let project = small_in_2_11();
    let run = project.ingest(&["intercom", "--output", "json", "--progress", "off"]).run().exits(0);
    let missing: Vec<&str> =
        TABLES.iter().filter(|t| t.since_minor > 11 && !t.opt_in).map(|table| table.name).collect();
    assert!(missing.contains(&"calls"), "{missing:?}");
    let warning = format!("warning: API 2.11 does not have {}; left out", missing.join(", "));
    assert!(run.stderr.contains(&warning), "{run}");
    let summary = run.json();
    let read: Vec<&str> =
        summary["tables"].as_array().unwrap().iter().map(|table| table["table"].as_str().unwrap()).collect();
    let expected: Vec<&str> = tables().filter(|name| !missing.contains(name)).collect();
    assert_eq!(read, expected);
}

#[test]
fn naming_a_table_that_an_older_api_version_lacks_is_a_mistake() {
    let project = small_in_2_11();
    assert_shows!(project.ingest(&["intercom.tags", "intercom.calls"]).run(), @r#"
    exit code: 2
    ----- stderr -----
    error: table calls is not in API 2.11
      hint: set api_version: "2.14" or newer
    "#);
    assert!(project.sandbox().requests().is_empty());
}

#[test]
fn changes_are_counted_where_they_happened() {
    let project = Project::small();
    project.ingest(&["intercom"]).run().exits(0);
    let contact = project.sandbox().truth("contacts")[0]["id"].as_str().unwrap().to_owned();
    let (tagged, tag) = project.sandbox().links("contact_tags")[0].clone();
    let company = project.sandbox().truth("companies")[0]["id"].as_str().unwrap().to_owned();
    project.sandbox().advance(std::time::Duration::from_secs(7200));
    project.sandbox().change(Change::Update { table: "contacts".into(), id: contact });
    project.sandbox().change(Change::Insert { table: "conversations".into() });
    project.sandbox().change(Change::Delete { table: "companies".into(), id: company });
    project.sandbox().change(Change::RemoveTag { contact: tagged, tag });
    let summary = json(&project, &["intercom"]);
    for (name, row, count) in [
        ("contacts", "changed", 1),
        ("contacts", "new", 0),
        ("conversations", "new", 1),
        ("companies", "deleted", 1),
        ("companies", "live", 19),
        ("contact_tags", "removed", 1),
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
          "not_due_until": null,
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
          "unread_lists": {},
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
    let all: Vec<String> = tables().map(|name| format!("acme.{name}")).collect();
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
    for spec in TABLES.iter().filter(|table| !table.opt_in) {
        let table = table(&summary, spec.name);
        assert_eq!((&table["outcome"], &table["checkpoint"]), (&"partial".into(), &Value::Null), "{table:#}");
        let live = table["rows"]["live"].as_u64().unwrap();
        // What is replaced per parent comes with all rows of a parent or none.
        let is_limited = live <= 3 || matches!(spec.disposition, WriteDisposition::PerParent { .. });
        assert!(is_limited, "{table:#}");
        assert!(
            live == 3 || !["contacts", "companies", "articles", "tags"].contains(&spec.name),
            "{table:#}"
        );
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
    table                            rows at most  requests about  would read
    intercom.contacts                          40               3  first load: created_at of any time
    intercom.companies                    unknown         unknown  everything, as in every run
    intercom.conversations                     30               3  first load: created_at of any time
    intercom.tickets                           80               3  first load: created_at of any time
    intercom.articles                     unknown         unknown  everything, as in every run
    intercom.conversation_parts           unknown         unknown  with conversations, and for each of the conversations that has changed
    intercom.ticket_parts                 unknown               0  with tickets
    intercom.tags                         unknown         unknown  everything, as in every run
    intercom.segments                     unknown         unknown  everything, as in every run
    intercom.admins                       unknown         unknown  everything, as in every run
    intercom.teams                        unknown         unknown  everything, as in every run
    intercom.data_attributes              unknown         unknown  everything, as in every run
    intercom.contact_attributes           unknown         unknown  everything, as in every run
    intercom.company_attributes           unknown         unknown  everything, as in every run
    intercom.ticket_types                 unknown         unknown  everything, as in every run
    intercom.ticket_type_attributes       unknown               0  with ticket_types
    intercom.ticket_states                unknown         unknown  everything, as in every run
    intercom.subscription_types           unknown         unknown  everything, as in every run
    intercom.away_status_reasons          unknown         unknown  everything, as in every run
    intercom.collections                  unknown         unknown  everything, as in every run
    intercom.help_centers                 unknown         unknown  everything, as in every run
    intercom.internal_articles            unknown         unknown  everything, as in every run
    intercom.news_items                   unknown         unknown  everything, as in every run
    intercom.newsfeeds                    unknown         unknown  everything, as in every run
    intercom.newsfeed_items               unknown         unknown  with newsfeeds, and for each of the newsfeeds
    intercom.calls                        unknown         unknown  everything, as in every run
    intercom.activity_logs                unknown         unknown  first load: created_at of any time
    intercom.contact_companies            unknown         unknown  with contacts, and where contacts show too few
    intercom.contact_segments             unknown         unknown  everything, one search for each of the segments
    intercom.contact_subscriptions        unknown         unknown  with contacts, and where contacts show too few
    intercom.contact_tags                 unknown         unknown  everything, one search for each of the tags
    intercom.contact_notes                unknown         unknown  with contacts, and for each of the contacts that has any
    intercom.company_segments             unknown         unknown  with companies, and where companies show too few
    intercom.company_tags                 unknown               0  with companies
    intercom.conversation_contacts        unknown               0  with conversations
    intercom.conversation_tags            unknown               0  with conversations
    intercom.conversation_teammates       unknown               0  with conversations
    intercom.team_admins                  unknown               0  with teams
    ");
    assert_eq!(project.files(), ["connections.yml"]);
    project.ingest(&["intercom.contacts"]).run().exits(0);
    let state = || project.rows("SELECT revision, state FROM _ingest.state");
    let before = state();
    // What is read together is decided together: whatever is new needs all contacts.
    assert_shows!(project.ingest(&["intercom.contact_notes", "intercom.contacts", "--dry-run"]).run(), @r"
    exit code: 0
    ----- stdout -----
    table                   rows at most  requests about  would read
    intercom.contact_notes       unknown         unknown  with contacts, and for each of the contacts that has any
    intercom.contacts                 40               3  first load: created_at of any time
    ");
    assert_shows!(project.ingest(&["intercom.conversation_parts", "intercom.conversation_tags", "--dry-run"]).run(), @r"
    exit code: 0
    ----- stdout -----
    table                        rows at most  requests about  would read
    intercom.conversation_parts       unknown              33  first load: created_at of any time, of conversations, and for each of the conversations that has changed
    intercom.conversation_tags        unknown               0  with conversation_parts
    ");
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
