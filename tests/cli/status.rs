//! `ingest status`: what a destination holds.

use ingest::sandbox::FaultKind;
use ingest::source::intercom::tables::TABLES;

use crate::support::binary::{Project, assert_shows};

#[test]
fn tables_and_runs_are_shown_newest_run_first() {
    let project = Project::small();
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
}

#[test]
fn tables_that_are_complete_together_are_one_line_and_the_failed_one_is_told() {
    let project = Project::small();
    project.sandbox().deny("/admins/activity_logs", 403);
    project.ingest(&["intercom"]).run().exits(1);
    let status = project.ingest(&["status"]).run().exits(0);
    let runs = status.stdout.split("last runs\n").nth(1).unwrap();
    let told: Vec<&str> = runs.lines().skip(1).map(|line| line.split_once("  ").unwrap().1.trim()).collect();
    let others = TABLES.iter().filter(|table| !table.opt_in).count() - 1;
    assert_eq!(told.len(), 2, "{status}");
    assert!(told[0].ends_with(&format!("  {others} tables complete")), "{status}");
    let failed = "intercom.activity_logs failed: the token lacks the permission \"Read admin activity logs\"";
    assert!(told[1].ends_with(failed), "{status}");
    let json = project.ingest(&["status", "--output", "json"]).run().exits(0).json();
    assert_eq!(json["runs"].as_array().unwrap().len(), others + 1);
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
    insta::assert_snapshot!(format!("{status:#}"), @r#"
    {
      "tables": [
        {
          "schema": "intercom",
          "table": "contacts",
          "rows": 40,
          "deleted": 0,
          "checkpoint": null,
          "refreshed_at": null,
          "proven_from": null,
          "api_version": "2.14",
          "workspace": "sb0x2wrk",
          "state": "complete",
          "unread_objects": 0,
          "not_due_until": null
        }
      ],
      "runs": [
        {
          "finished_at": null,
          "table": "intercom.contacts",
          "outcome": "complete",
          "rows": {
            "new": 40,
            "changed": 0,
            "removed": 0
          },
          "error": null
        }
      ]
    }
    "#);
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
    project.fault("/contacts/search", 1, 1, broken);
    project.ingest(&["intercom.contacts"]).run().exits(1);
    let status = project.ingest(&["status"]).run().exits(0);
    assert!(status.stdout.contains("first load unfinished"), "{status}");
    assert!(
        status.stdout.contains("intercom.contacts failed: POST /contacts/search: answered 400"),
        "{status}"
    );
}

#[test]
fn without_a_database_the_way_to_one_is_named() {
    let project = Project::small();
    assert_shows!(project.ingest(&["status"]).run(), @r"
    exit code: 4
    ----- stderr -----
    error: there is no database at [DIR]/ingest.duckdb
      hint: run ingest for a table first, or name another destination with --to
    ");
    assert_eq!(project.files(), ["connections.yml"]);
}

#[test]
fn somebody_elses_database_has_no_tables_of_ours() {
    let project = Project::small();
    duckdb::Connection::open(project.path("ingest.duckdb"))
        .unwrap()
        .execute_batch("CREATE TABLE t (x INT)")
        .unwrap();
    assert_shows!(project.ingest(&["status"]).run(), @r"
    exit code: 0
    ----- stdout -----
    no table has been read yet
    ");
    assert_shows!(project.ingest(&["status", "intercom"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: [DIR]/ingest.duckdb holds no table of intercom
      hint: run: ingest intercom
    ");
}

#[test]
fn objects_that_could_not_be_read_are_told() {
    let project = Project::small();
    let tables = ["intercom.conversations", "intercom.conversation_parts"];
    let broken =
        FaultKind::Status { code: 400, error_code: "scripted".into(), retry_after: None, headers: true };
    project.ingest(&tables[..1]).run().exits(0);
    let id = project.rows("SELECT max(id) FROM intercom.conversations").remove(0);
    project.fault(&format!("/conversations/{id}"), 0, u32::MAX, broken);
    let run = project.ingest(&tables).run().exits(1);
    assert!(run.stderr.contains(&format!("could not be read ({id})")), "{run}");
    let status = project.ingest(&["status"]).run().exits(0);
    assert!(status.stdout.contains("complete but for objects that could not be read"), "{status}");
    let status = project.ingest(&["status", "--output", "json"]).run().exits(0);
    assert!(status.stdout.contains("\"unread_objects\": 1"), "{status}");
}
