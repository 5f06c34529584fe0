//! `ingest status`: what a destination holds.

use ingest::sandbox::{Fault, FaultKind};

use crate::support::binary::{Project, assert_shows};

#[test]
fn tables_and_runs_are_shown_newest_run_first() {
    let project = Project::small();
    project.ingest(&["intercom.tags"]).run().exits(0);
    project.sandbox().deny("/teams", 403);
    project.ingest(&["intercom.tags", "intercom.teams"]).run().exits(1);
    assert_shows!(project.ingest(&["status"]).run(), @"");
}

#[test]
fn json_says_the_same() {
    let project = Project::small();
    project.ingest(&["intercom.contacts"]).run().exits(0);
    let mut status = project.ingest(&["status", "--output", "json"]).run().exits(0).json();
    for member in ["checkpoint", "refreshed_at"] {
        assert!(status["tables"][0][member].take().is_string(), "{member}");
    }
    assert!(status["runs"][0]["finished_at"].take().is_string());
    insta::assert_snapshot!(format!("{status:#}"), @"");
}

#[test]
fn a_connection_narrows_it() {
    let project = Project::small();
    project.ingest(&["intercom.tags"]).run().exits(0);
    project.ingest(&["intercom.tags", "--schema", "crm"]).run().exits(0);
    let both = project.ingest(&["status"]).run().exits(0);
    assert!(both.stdout.contains("crm.tags") && both.stdout.contains("intercom.tags"), "{both}");
    let one = project.ingest(&["status", "intercom"]).run().exits(0);
    assert!(!one.stdout.contains("crm.tags") && one.stdout.contains("intercom.tags"), "{one}");
    project.ingest(&["status", "intercon"]).run().exits(2);
}

#[test]
fn an_unfinished_first_load_is_called_so() {
    let project = Project::small();
    let broken = FaultKind::Status { code: 400, error_code: "odd".into(), retry_after: None, headers: true };
    // The first page comes, the closing increment does not.
    project.sandbox().fault(Fault { matching: "/contacts/search".into(), after: 1, times: 1, what: broken });
    project.ingest(&["intercom.contacts"]).run().exits(1);
    let status = project.ingest(&["status"]).run().exits(0);
    assert!(status.stdout.contains("first load unfinished"), "{status}");
    assert!(status.stdout.contains("intercom.contacts failed: table contacts: "), "{status}");
}

#[test]
fn without_a_database_the_way_to_one_is_named() {
    let project = Project::small();
    assert_shows!(project.ingest(&["status"]).run(), @"");
    assert_eq!(project.files(), ["connections.yml"]);
}

#[test]
fn somebody_elses_database_has_no_tables_of_ours() {
    let project = Project::small();
    duckdb::Connection::open(project.path("ingest.duckdb")).unwrap().execute_batch("CREATE TABLE t (x INT)").unwrap();
    assert_shows!(project.ingest(&["status"]).run(), @"");
    assert_shows!(project.ingest(&["status", "intercom"]).run(), @"");
}
