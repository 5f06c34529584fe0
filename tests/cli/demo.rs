//! `ingest demo`: what a newcomer sees.

use crate::support::binary::{Project, assert_shows};

#[test]
fn everything_is_shown_without_an_account() {
    let project = Project::empty();
    let demo = project.ingest(&["demo"]).without("INTERCOM_ACCESS_TOKEN").run();
    assert_eq!(demo.stdout.matches("complete as of").count(), 18, "{demo}");
    assert_shows!(demo, @"");
    assert_eq!(project.files(), ["demo.duckdb", "demo.duckdb.lock"]);
}

#[test]
fn what_it_recommends_works() {
    let project = Project::empty();
    let demo = project.ingest(&["demo", "--path", "tour.duckdb"]).without("INTERCOM_ACCESS_TOKEN").run().exits(0);
    let recommended = demo.stdout.lines().find_map(|line| line.trim().strip_prefix("ingest status ")).unwrap();
    let arguments: Vec<&str> = recommended.split("  ").next().unwrap().split(' ').collect();
    let status = project.ingest(&[&["status"], arguments.as_slice()].concat()).without("INTERCOM_ACCESS_TOKEN");
    let status = status.run().exits(0);
    assert_eq!(status.stdout.matches("  complete\n").count(), 9, "{status}");
}

#[test]
fn it_replaces_its_own_file_and_no_other() {
    let project = Project::small();
    project.ingest(&["demo"]).run().exits(0);
    let again = project.ingest(&["demo"]).run().exits(0);
    assert!(again.stdout.contains("intercom.contacts         250"), "{again}");

    duckdb::Connection::open(project.path("mine.duckdb")).unwrap().execute_batch("CREATE TABLE t (x INT)").unwrap();
    project.write("notes.duckdb", "somebody's notes");
    assert_shows!(project.ingest(&["demo", "--path", "mine.duckdb"]).run(), @"");
    assert_shows!(project.ingest(&["demo", "--path", "notes.duckdb"]).run(), @"");
    project.ingest(&["demo", "--path", "intercom.duckdb"]).run().exits(2);
    let mine = duckdb::Connection::open(project.path("mine.duckdb")).unwrap();
    mine.execute_batch("SELECT x FROM t").unwrap();
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    Project::empty().ingest(&["demo", "--path", "nowhere/demo.duckdb"]).run().exits(4);
}
