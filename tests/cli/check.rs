//! `ingest check`: everything a run needs, tried.

use crate::support::binary::{OTHER_TOKEN, Project, assert_shows};

#[test]
fn a_connection_that_is_right_is_confirmed_point_by_point() {
    let project = Project::small();
    assert_shows!(project.ingest(&["check"]).run(), @"");
    assert!(!project.has("ingest.duckdb"));
    project.ingest(&["intercom.tags"]).run().exits(0);
    let again = project.ingest(&["check", "intercom"]).run().exits(0);
    assert!(again.stdout.contains("can be written"), "{again}");
}

#[test]
fn a_missing_permission_is_named_beside_its_table() {
    let project = Project::small();
    project.sandbox().deny("/conversations", 403);
    assert_shows!(project.ingest(&["check"]).run(), @"");
}

#[test]
fn a_wrong_token_is_named_and_the_destination_tried_all_the_same() {
    let project = Project::small();
    assert_shows!(project.ingest(&["check", "-vv"]).with("INTERCOM_ACCESS_TOKEN", OTHER_TOKEN).run(), @"");
}

#[test]
fn a_destination_that_will_not_do_is_named() {
    let project = Project::small();
    project.write("notes.duckdb", "somebody's notes");
    for (to, code, says) in [
        ("duckdb:notes.duckdb", 4, "is not a valid DuckDB database file"),
        ("duckdb:nowhere/x.duckdb", 4, "create the folder"),
        ("duckdb:intercom.duckdb", 2, "makes intercom.contacts ambiguous"),
        ("parquet:lake", 2, "Parquet is not available"),
    ] {
        let check = project.ingest(&["check", "--to", to]).run().exits(code);
        assert!(check.stdout.contains(says) || check.stderr.contains(says), "{says:?} in {check}");
    }
}

#[test]
fn one_bad_connection_does_not_hide_the_others() {
    let project = Project::small();
    let other = "    - { name: other, access_token: $UNSET }\n";
    project.configure(&project.sandbox().base_url(), other);
    let check = project.ingest(&["check"]).run().exits(2);
    assert!(check.stdout.contains("environment variable UNSET is not set"), "{check}");
    assert!(check.stdout.contains("workspace sb0x2wrk"), "{check}");
    project.ingest(&["check", "intercom"]).run().exits(0);
}
