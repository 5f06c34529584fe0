//! Lakes in object stores, for whoever types commands.

use std::time::Duration;

use ingest::sandbox::Change;

use crate::support::binary::{Invocation, Project, assert_shows};
use crate::support::object_store::ObjectStore;
use crate::support::tables::target_in;

/// A command that finds its way into the store by the environment.
fn with_keys<'p>(store: &ObjectStore, invocation: Invocation<'p>) -> Invocation<'p> {
    store.variables().into_iter().fold(invocation, |invocation, (name, value)| invocation.with(name, &value))
}

/// What a query says of the files of a table, of which `FILES` is the list.
fn ask(store: &ObjectStore, table: &str, sql: &str) -> String {
    let files = store.files(&target_in("intercom", table)).expect("a table");
    let connection = duckdb::Connection::open_in_memory().unwrap();
    connection.query_row(&sql.replace("FILES", &files), [], |row| row.get(0)).unwrap()
}

#[test]
fn a_bucket_is_loaded_and_kept_current() {
    let (project, store) = (Project::small(), ObjectStore::start());
    let run = |arguments: &[&str]| {
        let to = ["--to", "s3://bucket/data/lake", "--progress", "off"];
        with_keys(&store, project.ingest(&[arguments, &to].concat())).run()
    };
    let plan = run(&["intercom.contacts", "--dry-run"]).exits(0);
    assert!(plan.stdout.contains("first load"), "{plan}");
    let check = with_keys(&store, project.ingest(&["check", "--to", "s3://bucket/data/lake"])).run().exits(0);
    assert!(check.stdout.contains("s3://bucket/data/lake can be created"), "{check}");
    assert!(store.names().is_empty());
    assert_shows!(run(&["intercom.tags", "intercom.contacts"]), @r"
    exit code: 0
    ----- stdout -----
    table              new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.tags       12        0          0        0        12         1  [TIME]  complete as of [INSTANT]
    intercom.contacts   40        0          0        0        40         3  [TIME]  complete as of [INSTANT]
    note: intercom.contacts: kept in _extra because it did not fit its column: signed_up_at (2)
    ");
    project.sandbox().advance(Duration::from_secs(7200));
    project.sandbox().change(Change::UpdateSome { table: "contacts".into(), count: 3 });
    project.sandbox().change(Change::Insert { table: "contacts".into() });
    let again = run(&["intercom.tags", "intercom.contacts", "--output", "json"]).exits(0).json();
    assert_eq!(again["tables"][1]["mode"], "changes since the last run");
    assert_eq!(
        (&again["tables"][1]["rows"]["new"], &again["tables"][1]["rows"]["changed"]),
        (&1.into(), &3.into())
    );
    let count = "SELECT concat(count(*), ' ', count(DISTINCT id)) FROM read_parquet(FILES)";
    assert_eq!(ask(&store, "contacts", count), "41 41");
    assert_eq!(project.files(), ["connections.yml"]);
    store.assert_nothing_left_behind();
    let plan = run(&["intercom.contacts", "--dry-run"]).exits(0);
    assert!(plan.stdout.contains("changes: updated_at from"), "{plan}");
}

#[test]
fn status_says_what_is_in_a_bucket() {
    let (project, store) = (Project::small(), ObjectStore::start());
    let [(_, key), (_, secret), (_, endpoint)] = store.variables();
    let lake = format!(
        "  parquet:\n    - {{ name: lake, path: \"s3://bucket/data/lake\", endpoint: \"{endpoint}\", access_key_id: {key}, \
         secret_access_key: \"${{LAKE_SECRET}}\" }}\n"
    );
    project.configure(&project.sandbox().base_url(), &lake);
    let run = |arguments: &[&str]| project.ingest(arguments).with("LAKE_SECRET", &secret).run();
    let nothing = run(&["status"]).exits(4);
    assert!(nothing.stderr.contains("there is no lake at s3://bucket/data/lake"), "{nothing}");
    run(&["intercom.tags"]).exits(0);
    project.sandbox().deny("/teams", 403);
    run(&["intercom.tags", "intercom.teams"]).exits(1);
    assert_shows!(run(&["status"]), @r#"
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
    let json = run(&["status", "--output", "json"]).exits(0).json();
    assert_eq!(json["runs"].as_array().unwrap().len(), 3);
    let wrong = project.ingest(&["intercom.tags"]).with("LAKE_SECRET", "another-secret").run().exits(4);
    assert!(
        wrong.stderr.contains("hint: give access_key_id and secret_access_key in connections.yml"),
        "{wrong}"
    );
    assert!(!wrong.stderr.contains("another-secret") && !wrong.stderr.contains("WARN"), "{wrong}");
}

#[test]
fn another_run_is_waited_for_or_told_of() {
    let (project, store) = (Project::small(), ObjectStore::start());
    project.stall("/tags");
    let to = ["intercom.tags", "--to", "s3://bucket/data/lake"];
    let first = with_keys(&store, project.ingest(&to)).start();
    project.asked_for("/tags");
    let second = with_keys(&store, project.ingest(&to)).run().exits(75);
    assert!(second.stderr.contains("another run is writing s3://bucket/data/lake (PID"), "{second}");
    first.signal("KILL");
    first.wait();
    // What is killed is in nobody's way on the same machine.
    with_keys(&store, project.ingest(&to)).run().exits(0);
    store.assert_nothing_left_behind();
}

#[test]
fn a_file_and_a_bucket_are_written_at_once() {
    let (project, store) = (Project::small(), ObjectStore::start());
    let both = ["intercom.contacts", "--to", "duckdb:ingest.duckdb", "--to", "s3://bucket/data/lake"];
    with_keys(&store, project.ingest(&both)).run().exits(0);
    assert_eq!(project.rows("SELECT count(*) FROM intercom.contacts"), ["40"]);
    assert_eq!(ask(&store, "contacts", "SELECT count(*)::VARCHAR FROM read_parquet(FILES)"), "40");
    let twice =
        ["intercom.contacts", "--to", "s3://bucket/data/lake", "--to", "parquet:s3://bucket/data/lake/"];
    let refused = with_keys(&store, project.ingest(&twice)).run().exits(2);
    assert!(refused.stderr.contains("are the same place, s3://bucket/data/lake"), "{refused}");
}
