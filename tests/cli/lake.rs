//! Folders of Parquet files, as far as they differ from DuckDB files: not at all, for whoever types commands.

use std::time::Duration;

use ingest::sandbox::{Change, Settings};
use ingest::source::intercom::tables;
use ingest::table::Kind;

use crate::support::binary::{Project, assert_shows};

/// What a query says of files in the folder, cells joined with a bar.
fn rows(project: &Project, sql: &str) -> Vec<String> {
    let config = duckdb::Config::default().enable_autoload_extension(false).unwrap();
    let connection = duckdb::Connection::open_in_memory_with_flags(config).unwrap();
    let sql = sql.replace("[DIR]", project.path("").to_str().unwrap());
    let mut statement = connection.prepare(&format!("SELECT to_json(t)::VARCHAR FROM ({sql}) AS t")).unwrap();
    let found = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    found.map(|row| row.unwrap()).collect()
}

fn count(project: &Project, folder: &str, table: &str) -> String {
    rows(
        project,
        &format!("SELECT count(*) AS n FROM read_parquet('[DIR]{folder}/intercom/{table}/*.parquet')"),
    )
    .remove(0)
}

/// A project whose `connections.yml` has a folder, and nothing else to write to.
fn with_a_lake() -> Project {
    let project = Project::small();
    project.configure(&project.sandbox().base_url(), "  parquet:\n    - { name: lake, path: ./lake }\n");
    project
}

#[test]
fn a_folder_is_loaded_and_kept_current() {
    let project = Project::small();
    let run = |arguments: &[&str]| {
        project
            .ingest(&[&["intercom.tags", "intercom.contacts", "--to", "parquet:lake"], arguments].concat())
            .run()
    };
    assert_shows!(run(&["--progress", "off"]), @r"
    exit code: 0
    ----- stdout -----
    table              new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.tags       12        0          0        0        12         1  [TIME]  complete as of [INSTANT]
    intercom.contacts   40        0          0        0        40         3  [TIME]  complete as of [INSTANT]
    note: intercom.contacts: kept in _extra because it did not fit its column: signed_up_at (2)
    ");
    assert_eq!(count(&project, "lake", "contacts"), r#"{"n":40}"#);
    project.sandbox().advance(Duration::from_secs(7200));
    project.sandbox().change(Change::UpdateSome { table: "contacts".into(), count: 3 });
    project.sandbox().change(Change::Insert { table: "contacts".into() });
    let again = run(&["--output", "json", "--progress", "off"]).exits(0).json();
    assert_eq!(again["tables"][1]["mode"], "changes since the last run");
    assert_eq!(
        (&again["tables"][1]["rows"]["new"], &again["tables"][1]["rows"]["changed"]),
        (&1.into(), &3.into())
    );
    assert_eq!(count(&project, "lake", "contacts"), r#"{"n":41}"#);
    let deep = "SELECT count(DISTINCT id) AS n, count(*) AS rows FROM read_parquet('[DIR]lake/**/contacts/*.parquet')";
    assert_eq!(rows(&project, deep), [r#"{"n":41,"rows":41}"#]);
}

#[test]
fn it_is_found_by_name_and_as_the_only_destination() {
    let project = with_a_lake();
    project.ingest(&["intercom.tags"]).run().exits(0);
    assert_eq!(count(&project, "lake", "tags"), r#"{"n":12}"#);
    assert!(!project.has("ingest.duckdb"));
    let again = project.ingest(&["intercom.tags", "--to", "lake"]).run().exits(0);
    assert!(again.stdout.contains("complete as of"), "{again}");
    // A folder may be called whatever a schema is called.
    project.ingest(&["intercom.tags", "--to", "parquet:intercom"]).run().exits(0);
    assert_eq!(count(&project, "intercom", "tags"), r#"{"n":12}"#);
}

#[test]
fn status_says_what_it_holds() {
    let project = with_a_lake();
    let nothing = project.ingest(&["status"]).run().exits(4);
    assert!(nothing.stderr.contains("hint: run ingest for a table first"), "{nothing}");
    project.ingest(&["intercom.tags"]).run().exits(0);
    project.sandbox().deny("/teams", 403);
    project.ingest(&["intercom.tags", "intercom.teams"]).run().exits(1);
    assert_shows!(project.ingest(&["status"]).run(), @r#"
    exit code: 0
    ----- stdout -----
    table          rows  deleted        complete as of  age  state
    intercom.tags    12        0  [INSTANT]  [AGE]  complete

    last runs
    finished              new  changed  removed  table and outcome
    [INSTANT]    0        0        0  intercom.tags complete
    [INSTANT]    0        0        0  intercom.teams failed: the token lacks the permission "Read and list users and companies"
    [INSTANT]   12        0        0  intercom.tags complete
    "#);
    let json = project.ingest(&["status", "--to", "parquet:lake", "--output", "json"]).run().exits(0).json();
    assert_eq!((&json["tables"][0]["table"], &json["tables"][0]["rows"]), (&"tags".into(), &12.into()));
    assert_eq!(json["runs"].as_array().unwrap().len(), 3);
    project.ingest(&["status", "intercon"]).run().exits(2);
}

#[test]
fn a_plan_and_a_check_write_nothing() {
    let project = with_a_lake();
    let plan = || {
        let run = project.ingest(&["intercom.contacts", "--dry-run"]).run().exits(0);
        run.stdout.lines().nth(1).unwrap().to_owned()
    };
    assert!(plan().contains("first load"), "{}", plan());
    let check = project.ingest(&["check"]).run().exits(0);
    assert!(check.stdout.contains("lake can be created"), "{check}");
    assert!(!project.has("lake"));
    project.ingest(&["intercom.contacts"]).run().exits(0);
    assert!(plan().contains("changes: updated_at from"), "{}", plan());
    let check = project.ingest(&["check", "--to", "parquet:./lake"]).run().exits(0);
    assert!(check.stdout.contains("lake can be written"), "{check}");
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_grow_ends_the_run_and_what_was_saved_stays() {
    let project = Project::new(Settings { contacts: 400, contact_bytes: 40_000, ..Settings::default() });
    let contacts = ["intercom.contacts", "--to", "parquet:lake", "--progress", "off"];
    project.ingest(&["intercom.tags", "--to", "parquet:lake"]).run().exits(0);
    let full = project.ingest_after("ulimit -f 256", &contacts).run().exits(4);
    assert!(full.stderr.contains("hint: there is no room; nothing was lost"), "{full}");
    assert_eq!(count(&project, "lake", "tags"), r#"{"n":12}"#);
    project.ingest(&contacts).run().exits(0);
    assert_eq!(count(&project, "lake", "contacts"), r#"{"n":400}"#);
}

#[test]
fn a_path_that_is_no_folder_is_refused() {
    let project = Project::small();
    project.write("notes", "somebody's");
    for typed in [&["intercom.tags"][..], &["check"]] {
        let refused = project.ingest(&[typed, &["--to", "parquet:notes"]].concat()).run().exits(4);
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert!(said.contains("notes"), "{refused}");
    }
    assert_eq!(std::fs::read_to_string(project.path("notes")).unwrap(), "somebody's");
}

#[test]
fn another_run_on_the_folder_is_named_and_waited_for_if_asked() {
    let project = with_a_lake();
    project.stall("/conversations");
    let first = project.ingest(&["intercom.conversations"]).start();
    project.asked_for("/conversations");
    assert_shows!(project.ingest(&["intercom.tags"]).run(), @r"
    exit code: 75
    ----- stderr -----
    error: another run is writing [DIR]/lake (PID [PID], started [INSTANT])
      hint: let it finish; cron may simply try again, --wait waits for it
    ");
    // Whoever only looks is not kept out.
    project.ingest(&["intercom.tags", "--dry-run"]).run().exits(0);
    let both = ["intercom.tags", "--to", "duckdb:local.duckdb", "--to", "lake"];
    project.ingest(&both).run().exits(75);
    assert!(!project.has("local.duckdb"));
    let patient = project.ingest(&["intercom.tags", "--wait"]).start();
    patient.says("waiting for another run");
    first.signal("KILL");
    assert_eq!(first.wait().code, None);
    let patient = patient.wait().exits(0);
    assert!(patient.stdout.contains("complete as of"), "{patient}");
}

#[test]
fn a_file_and_a_folder_are_written_at_once() {
    let project = Project::small();
    let lines = "  duckdb:\n    - { name: local, path: ./local.duckdb }\n  parquet:\n    - { name: lake, path: ./lake }\n";
    project.configure(&project.sandbox().base_url(), lines);
    let tables =
        ["intercom.contacts", "intercom.tags", "intercom.contact_tags", "intercom.conversation_parts"];
    let run =
        |to: &[&str]| project.ingest(&[&tables[..], to, &["--progress", "off"]].concat()).run().exits(0);
    let assert_equal = || {
        for table in tables {
            let of = |what: &str| {
                rows(&project, &format!("SELECT * EXCLUDE (_ingested_at) FROM {what} ORDER BY ALL"))
            };
            let name = table.trim_start_matches("intercom.");
            // The same values, through the same eyes: in files, what is JSON is text.
            let stored = tables::find(name).unwrap().stored_columns();
            let json = stored.iter().filter(|column| column.kind == Kind::Json);
            let json: Vec<String> = json.map(|c| format!("{0}::JSON AS {0}", c.name)).collect();
            let replaced =
                if json.is_empty() { String::new() } else { format!("REPLACE ({})", json.join(", ")) };
            let lake = of(&format!(
                "(SELECT * {replaced} FROM read_parquet('[DIR]lake/intercom/{name}/*.parquet'))"
            ));
            let sql = format!(
                "SELECT to_json(t)::VARCHAR FROM (SELECT * EXCLUDE (_ingested_at) FROM {table} ORDER BY ALL) AS t"
            );
            assert!(!lake.is_empty(), "{table}");
            assert_eq!(project.rows_in("local.duckdb", &sql), lake, "{table}");
        }
    };
    let both = ["--to", "local", "--to", "lake"];
    run(&both);
    assert_equal();
    project.sandbox().advance(Duration::from_secs(7200));
    project.sandbox().change(Change::UpdateSome { table: "contacts".into(), count: 5 });
    run(&both[..2]);
    run(&both);
    assert_equal();
    std::fs::remove_dir_all(project.path("lake")).unwrap();
    run(&both);
    assert_equal();
    std::fs::remove_file(project.path("local.duckdb")).unwrap();
    run(&both);
    assert_equal();
    let check = project.ingest(&[&["check"], &both[..]].concat()).run().exits(0);
    for name in ["destination local", "destination lake"] {
        assert!(check.stdout.lines().any(|line| line.starts_with(name) && line.contains(" ok ")), "{check}");
    }
    let status = project.ingest(&[&["status", "--output", "json"], &both[..]].concat()).run().exits(0).json();
    for (at, name) in ["local", "lake"].into_iter().enumerate() {
        assert_eq!(status["destinations"][at]["name"], name);
        assert_eq!(status["destinations"][at]["tables"].as_array().unwrap().len(), tables.len());
    }
}
