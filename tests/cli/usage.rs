//! What was typed: chosen, mistyped, or taken from the environment.

use crate::support::binary::{Project, assert_shows};

#[test]
fn an_unknown_option_is_named() {
    assert_shows!(Project::small().ingest(&["intercom.tags", "--full-refersh"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: unexpected argument '--full-refersh' found

      tip: a similar argument exists: '--full-refresh'

    Usage: ingest [OPTIONS] <TABLE>...
           ingest <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn options_without_a_table_are_incomplete() {
    assert_shows!(Project::small().ingest(&["--limit", "5"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: the following required arguments were not provided:
      <TABLE>...

    Usage: ingest [OPTIONS] <TABLE>...
           ingest <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn what_cannot_be_a_value_is_refused_with_an_example() {
    let project = Project::small();
    for (arguments, says) in [
        (&["--limit", "0"][..], "0 is not in 1.."),
        (&["--interval-start", "yesterday"], "expected a date such as 2023-01-01 or an instant"),
        (&["--rate-limit", "fast"], "expected requests per time such as 166/10s"),
        (&["--wait=long"], "expected a duration such as 7d"),
        (&["--concurrency", "0"], "0 is not in 1..=256"),
        (&["--progress", "loud"], "[possible values: auto, plain, off]"),
        (&["--output", "csv"], "[possible values: text, json]"),
        (&["--full-refresh", "--limit", "5"], "'--full-refresh' cannot be used with '--limit <ROWS>'"),
    ] {
        let refused = project.ingest(&[&["intercom.tags"], arguments].concat()).run().exits(2);
        assert!(refused.stderr.contains(says), "{says:?} in {refused}");
        assert_eq!(refused.stdout, "");
    }
    assert_eq!(project.files(), ["connections.yml"]);
}

#[test]
fn an_interval_that_ends_before_it_starts_is_refused() {
    let project = Project::small();
    let typed = ["intercom.contacts", "--interval-start", "2026-01-02", "--interval-end", "2026-01-02"];
    assert_shows!(project.ingest(&typed).run(), @r"
    exit code: 2
    ----- stderr -----
    error: --interval-end is not after --interval-start
      hint: the start belongs to the interval, the end does not
    ");
}

#[test]
fn a_misspelt_table_is_answered_with_the_nearest() {
    assert_shows!(Project::small().ingest(&["intercom.contcats"]).run(), @r#"
    exit code: 2
    ----- stderr -----
    error: connection intercom has no table "contcats"
      hint: did you mean intercom.contacts? all of them: ingest tables
    "#);
}

#[test]
fn one_misspelt_table_among_several_stops_the_run_before_it_begins() {
    let project = Project::small();
    project.ingest(&["intercom.tags", "intercom.tickts"]).run().exits(2);
    assert_eq!(project.files(), ["connections.yml"]);
    assert!(project.sandbox().requests().is_empty());
}

#[test]
fn an_unknown_connection_is_answered_with_the_nearest() {
    assert_shows!(Project::small().ingest(&["intercon.contacts"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: connection intercon: unknown
      hint: did you mean intercom? known connections: intercom
    ");
}

#[test]
fn an_unknown_destination_is_answered_with_the_known_ones() {
    let project = Project::small();
    project
        .configure(&project.sandbox().base_url(), "  duckdb:\n    - { name: local, path: ./crm.duckdb }\n");
    assert_shows!(project.ingest(&["intercom.contacts", "--to", "locl"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: destination locl: unknown
      hint: did you mean local? known destinations: local; or write duckdb:PATH, parquet:PATH or s3://BUCKET
    ");
    assert_shows!(project.ingest(&["intercom.contacts", "--to", "crm.duckdb"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: destination crm.duckdb: unknown
      hint: for a file, write duckdb:crm.duckdb
    ");
    assert_shows!(project.ingest(&["intercom.contacts", "--to", "intercom"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: connection intercom is a source (intercom)
      hint: known destinations: local; or write duckdb:PATH, parquet:PATH or s3://BUCKET
    ");
}

#[test]
fn a_destination_with_slashes_is_refused_since_tools_disagree_on_it() {
    assert_shows!(Project::small().ingest(&["intercom.contacts", "--to", "duckdb:///srv/x.duckdb"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: destination duckdb: tools disagree on what the slashes after the colon mean
      hint: write duckdb:PATH with one colon and no slashes of its own: duckdb:./ingest.duckdb
    ");
}

#[test]
fn a_file_named_like_the_schema_is_refused() {
    let project = Project::small();
    assert_shows!(project.ingest(&["intercom.contacts", "--to", "duckdb:./Intercom.v2.duckdb"]).run(), @r#"
    exit code: 2
    ----- stderr -----
    error: destination [DIR]/Intercom.v2.duckdb: a file called "Intercom" makes intercom.contacts ambiguous in DuckDB, which calls the database Intercom too
      hint: name the file Intercom_data.duckdb, or the schema otherwise with --schema
    "#);
    assert_shows!(project.ingest(&["intercom.contacts", "--to", "duckdb:crm.duckdb", "--schema", "crm"]).run(), @r#"
    exit code: 2
    ----- stderr -----
    error: destination [DIR]/crm.duckdb: a file called "crm" makes crm.contacts ambiguous in DuckDB, which calls the database crm too
      hint: name the file crm_data.duckdb, or the schema otherwise with --schema
    "#);
    assert_eq!(project.files(), ["connections.yml"]);
}

#[test]
fn urls_that_are_not_known_are_refused() {
    let project = Project::small();
    assert_shows!(project.ingest(&["intercom.contacts", "--to", "parquet:file:///bucket/lake"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: destination parquet: expected a path in the local file system (a lake may also be at s3://, gs:// or az://)
      hint: write parquet:PATH with one colon and no slashes of its own: parquet:./lake
    ");
    assert_shows!(project.ingest(&["intercom.contacts", "--to", "s3://bucket//lake"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: destination s3://...: expected a bucket and a folder in it, such as s3://bucket/lake
    ");
    project.configure(
        &project.sandbox().base_url(),
        "  parquet:\n    - { name: lake, path: \"hdfs://bucket/lake\" }\n",
    );
    assert_shows!(project.ingest(&["intercom.contacts", "--to", "lake"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: [DIR]/connections.yml:7:27: connection lake: path: expected a path in the local file system (a lake may also be at s3://, gs:// or az://)
    ");
    assert_eq!(project.files(), ["connections.yml"]);
}

#[test]
fn options_may_stand_before_a_command() {
    let project = Project::small();
    std::fs::rename(project.path("connections.yml"), project.path("other.yml")).unwrap();
    let before =
        project.ingest(&["--config", "other.yml", "--output", "json", "tables", "intercom"]).run().exits(0);
    let after =
        project.ingest(&["tables", "intercom", "--config", "other.yml", "--output", "json"]).run().exits(0);
    assert_eq!(before.stdout, after.stdout);
    let run = project.ingest(&["--config=other.yml", "-q", "run", "intercom.tags"]).run().exits(0);
    assert!(run.stdout.contains("intercom.tags"), "{run}");
}

#[test]
fn environment_twins_count_like_their_options_and_less_than_them() {
    let project = Project::small();
    std::fs::rename(project.path("connections.yml"), project.path("other.yml")).unwrap();
    let with = |arguments: &[&str]| {
        let typed = [&["intercom.tags"], arguments].concat();
        project.ingest(&typed).with("INGEST_CONFIG", "other.yml").with("INGEST_OUTPUT", "json")
    };
    let run = with(&[]).with("INGEST_TO", "duckdb:twin.duckdb").with("INGEST_PROGRESS", "off").run().exits(0);
    assert_eq!(run.json()["tables"][0]["table"], "tags");
    assert_eq!(run.stderr, "");
    assert!(project.has("twin.duckdb") && !project.has("ingest.duckdb"));

    let typed = ["--to", "duckdb:typed.duckdb", "--output", "text"];
    let run =
        with(&typed).with("INGEST_TO", "duckdb:twin2.duckdb").with("INGEST_SCHEMA", "crm").run().exits(0);
    assert!(run.stdout.contains("crm.tags"), "{run}");
    assert!(project.has("typed.duckdb") && !project.has("twin2.duckdb"));

    // Empty is unset; nonsense is refused, and only by the command that owns the option.
    let run = with(&[]).with("INGEST_TO", "").with("INGEST_CONCURRENCY", "").run().exits(0);
    assert_eq!(run.json()["exit_code"], 0);
    assert!(project.has("ingest.duckdb"));
    assert!(with(&[]).with("INGEST_QUIET", "0").run().exits(0).stderr.contains("complete"));
    assert_eq!(with(&[]).with("INGEST_QUIET", "1").run().exits(0).stderr, "");
    assert!(with(&[]).with("INGEST_VERBOSE", "2").run().exits(0).stderr.contains("DEBUG"));
    with(&[]).with("INGEST_CONCURRENCY", "many").run().exits(2);
    project.ingest(&["tables"]).with("INGEST_CONCURRENCY", "many").run().exits(0);
}
