//! `--to` more than once.

use std::time::Duration;

use ingest::sandbox::Change;

use crate::support::binary::{Project, assert_shows};

const BOTH: [&str; 4] = ["--to", "duckdb:a.duckdb", "--to", "duckdb:b.duckdb"];
/// A table that is searched, one read whole, one inside another.
const TABLES: [&str; 4] =
    ["intercom.contacts", "intercom.tags", "intercom.contact_tags", "intercom.conversation_parts"];

/// Everything that is stored of a table, but for when.
fn stored(project: &Project, file: &str, table: &str) -> Vec<String> {
    project.rows_in(file, &format!("SELECT * EXCLUDE (_ingested_at) FROM {table} ORDER BY ALL"))
}

fn assert_equal(project: &Project) {
    for table in TABLES {
        let rows = stored(project, "a.duckdb", table);
        assert!(!rows.is_empty(), "{table}");
        assert_eq!(rows, stored(project, "b.duckdb", table), "{table}");
    }
}

fn ingest(project: &Project, arguments: &[&str]) -> crate::support::binary::Finished {
    let typed = [&TABLES, arguments, &["--progress", "off"]].concat();
    project.ingest(&typed).run()
}

#[test]
fn both_hold_what_was_read_once() {
    let project = Project::small();
    ingest(&project, &BOTH[..2]).exits(0);
    let alone = project.sandbox().requests().len();
    let project = Project::small();
    ingest(&project, &BOTH).exits(0);
    assert_eq!(project.sandbox().requests().len(), alone, "requests");
    assert_equal(&project);
    let rows = |file| project.rows_in(file, "SELECT table_name, checkpoint FROM _ingest.state ORDER BY ALL");
    assert_eq!(rows("a.duckdb"), rows("b.duckdb"));
    assert_eq!(
        project.files(),
        ["a.duckdb", "a.duckdb.lock", "b.duckdb", "b.duckdb.lock", "connections.yml"]
    );
}

#[test]
fn the_one_that_is_behind_is_brought_up_to_date() {
    let project = Project::small();
    ingest(&project, &BOTH).exits(0);
    let change = || {
        project.sandbox().advance(Duration::from_secs(7200));
        for (table, count) in [("contacts", 7), ("conversations", 5)] {
            project.sandbox().change(Change::UpdateSome { table: table.into(), count });
            project.sandbox().change(Change::Insert { table: table.into() });
        }
    };
    change();
    ingest(&project, &BOTH[..2]).exits(0);
    assert_ne!(stored(&project, "a.duckdb", TABLES[0]), stored(&project, "b.duckdb", TABLES[0]));
    change();
    ingest(&project, &BOTH).exits(0);
    assert_equal(&project);
    assert_eq!(project.rows_in("b.duckdb", "SELECT count(*) FROM intercom.contacts"), ["42"]);

    // What is gone is loaded whole; the other has it already.
    std::fs::remove_file(project.path("b.duckdb")).unwrap();
    let before = stored(&project, "a.duckdb", TABLES[0]);
    let run = ingest(&project, &[&BOTH[..], &["--output", "json"]].concat()).exits(0).json();
    assert_eq!(run["tables"][0]["mode"], "first load");
    let rows = &run["tables"][0]["rows"];
    assert_eq!(
        (&rows["new"], &rows["changed"]),
        (&0.into(), &0.into()),
        "what is told happened to the first"
    );
    assert_eq!(stored(&project, "a.duckdb", TABLES[0]), before);
    assert_equal(&project);
    let logged = |file| {
        let sql = "SELECT rows_new, rows_changed FROM _ingest.runs WHERE table_name = 'contacts'
                   ORDER BY started_at DESC LIMIT 1";
        project.rows_in(file, sql)
    };
    assert_eq!((logged("a.duckdb"), logged("b.duckdb")), (vec!["0|0".to_owned()], vec!["42|0".to_owned()]));
}

#[test]
fn one_destination_under_two_names_is_refused() {
    let project = Project::small();
    let configured = "  duckdb:\n    - { name: local, path: ./crm.duckdb }\n  parquet:\n    - { name: lake, path: ./lake }\n";
    project.configure(&project.sandbox().base_url(), configured);
    let run = |to: [&str; 2]| project.ingest(&["intercom.tags", "--to", to[0], "--to", to[1]]).run();
    assert_shows!(run(["local", "local"]), @r"
    exit code: 2
    ----- stderr -----
    error: destination local is named twice
      hint: name each destination once
    ");
    assert_shows!(run(["local", "duckdb:./crm.duckdb"]), @r"
    exit code: 2
    ----- stderr -----
    error: destinations local and duckdb:./crm.duckdb are the same place, [DIR]/crm.duckdb
      hint: name each destination once
    ");
    std::fs::create_dir(project.path("there")).unwrap();
    assert_shows!(run(["lake", "parquet:there/../lake"]), @r"
    exit code: 2
    ----- stderr -----
    error: destinations lake and parquet:there/../lake are the same place, [DIR]/lake
      hint: name each destination once
    ");
    assert_shows!(run(["local", "pond"]), @r"
    exit code: 2
    ----- stderr -----
    error: destination pond: unknown
      hint: known destinations: local, lake; or write duckdb:PATH, parquet:PATH or s3://BUCKET
    ");
    for command in ["status", "check"] {
        project.ingest(&[command, "--to", "local", "--to", "local"]).run().exits(2);
    }
    assert_eq!(project.files(), ["connections.yml", "there"]);
}

#[test]
fn a_file_named_like_the_schema_is_refused_wherever_it_is_named() {
    let project = Project::small();
    let to = ["--to", "duckdb:a.duckdb", "--to", "duckdb:intercom.duckdb"];
    let run = ingest(&project, &to).exits(2);
    assert!(run.stderr.contains("intercom.duckdb: a file called"), "{run}");
    assert_eq!(project.files(), ["connections.yml"]);
}

#[test]
fn nothing_is_done_unless_all_can_be_taken() {
    let project = Project::small();
    project.stall("/conversations");
    let first = project.ingest(&["intercom.conversations", "--to", "duckdb:b.duckdb"]).start();
    project.asked_for("/conversations");
    let asked = project.sandbox().requests().len();
    assert_shows!(ingest(&project, &BOTH), @r"
    exit code: 75
    ----- stderr -----
    error: another run is writing [DIR]/b.duckdb (PID [PID], started [INSTANT])
      hint: let it finish; cron may simply try again, --wait waits for it
    ");
    assert_eq!(project.sandbox().requests().len(), asked);
    assert!(!project.has("a.duckdb"));
    // The other one is not held any longer.
    project.ingest(&["intercom.tags", "--to", "duckdb:a.duckdb"]).run().exits(0);
    drop(first);
}

#[cfg(unix)]
#[test]
fn the_one_that_fails_is_named_and_the_other_keeps_what_it_has() {
    let project = Project::small();
    project.ingest(&["intercom.tags", "--to", "duckdb:b.duckdb"]).run().exits(0);
    // Somebody's view stands where a table should be.
    duckdb::Connection::open(project.path("b.duckdb"))
        .unwrap()
        .execute_batch("CREATE VIEW intercom.contacts AS SELECT 1 AS x")
        .unwrap();
    let tables = ["intercom.contacts", "intercom.tags", "--progress", "off"];
    assert_shows!(project.ingest(&[&tables[..], &BOTH[..]].concat()).run(), @r"
    exit code: 4
    ----- stdout -----
    table              new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.contacts    0        0          0        0         -         1  [TIME]  failed
    intercom.tags       12        0          0        0        12         1  [TIME]  complete as of [INSTANT]
    note: intercom.contacts: kept in _extra because it did not fit its column: signed_up_at (2)
    ----- stderr -----
    error: table intercom.contacts: destination duckdb:b.duckdb: table contacts: a view of that name is in the schema intercom
      hint: rename the view, or write to another schema with --schema
    ");
    assert_eq!(project.rows_in("a.duckdb", "SELECT count(*) FROM intercom.contacts"), ["40"]);
    assert_eq!(project.rows_in("b.duckdb", "SELECT count(*) FROM intercom.tags"), ["12"]);
    duckdb::Connection::open(project.path("b.duckdb"))
        .unwrap()
        .execute_batch("DROP VIEW intercom.contacts")
        .unwrap();
    ingest(&project, &BOTH).exits(0);
    assert_equal(&project);
}

#[test]
fn a_plan_is_about_what_either_of_them_lacks() {
    let project = Project::small();
    project.ingest(&["intercom.contacts", "--to", "duckdb:a.duckdb"]).run().exits(0);
    let plan = |to: &[&str]| {
        let run = project.ingest(&[&["intercom.contacts", "--dry-run"], to].concat()).run().exits(0);
        run.stdout.lines().nth(1).unwrap().to_owned()
    };
    assert!(plan(&BOTH[..2]).contains("changes: updated_at from"), "{}", plan(&BOTH[..2]));
    assert_eq!(plan(&BOTH), plan(&BOTH[2..]), "all of it, for the sake of the second");
    assert!(!project.has("b.duckdb"));
}

#[test]
fn check_tries_each() {
    let project = Project::small();
    project.ingest(&["intercom.tags", "--to", "duckdb:b.duckdb"]).run().exits(0);
    let to = [&BOTH[..], &["--to", "duckdb:nowhere/c.duckdb"]].concat();
    let check = project.ingest(&[&["check"], &to[..]].concat()).run().exits(4);
    let lines: Vec<&str> = check.stdout.lines().filter(|line| line.contains("destination ")).collect();
    insta::assert_snapshot!(lines.join("\n").replace(project.path("").to_str().unwrap(), "[DIR]/"), @r"
    destination duckdb:a.duckdb              ok  [DIR]/a.duckdb can be created
    destination duckdb:b.duckdb              ok  [DIR]/b.duckdb can be written
    destination duckdb:nowhere/c.duckdb  FAILED  destination [DIR]/nowhere/c.duckdb cannot be used
    hint: destination duckdb:nowhere/c.duckdb: create the folder [DIR]/nowhere first
    ");
}

#[test]
fn status_shows_one_after_the_other() {
    let project = Project::small();
    project.ingest(&["intercom.tags", "--to", "duckdb:a.duckdb"]).run().exits(0);
    let typed = [&["status"], &BOTH[..]].concat();
    assert_shows!(project.ingest(&typed).run(), @r"
    exit code: 4
    ----- stdout -----
    destination duckdb:a.duckdb ([DIR]/a.duckdb)
    table          rows  deleted        complete as of  age  state
    intercom.tags    12        0  [INSTANT]  [AGE]  complete

    last runs
    finished              new  changed  removed  table and outcome
    [INSTANT]   12        0        0  intercom.tags complete

    destination duckdb:b.duckdb ([DIR]/b.duckdb)
    not readable
    ----- stderr -----
    error: destination duckdb:b.duckdb: there is no database at [DIR]/b.duckdb
      hint: run ingest for a table first, or name another destination with --to
    ");
    let status = project.ingest(&[&typed[..], &["--output", "json"]].concat()).run().exits(4).json();
    assert_eq!(status["destinations"][0]["name"], "duckdb:a.duckdb");
    assert_eq!(status["destinations"][0]["tables"][0]["rows"], 12);
    assert!(status["destinations"][1]["error"]["message"].is_string(), "{status:#}");
    project.ingest(&["intercom.tags", "--to", "duckdb:b.duckdb"]).run().exits(0);
    let both = project.ingest(&typed).run().exits(0);
    assert_eq!(both.stdout.matches("intercom.tags    12").count(), 2, "{both}");
    let one =
        project.ingest(&["status", "--to", "duckdb:a.duckdb", "--output", "json"]).run().exits(0).json();
    assert!(one["destinations"].is_null() && one["tables"].is_array(), "{one:#}");
}
