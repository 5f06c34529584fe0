//! What Intercom does not let us do, and not reaching it at all.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use ingest::sandbox::FaultKind;
use ingest::source::intercom::tables::TABLES;
use serde_json::Value;

use crate::support::binary::{OTHER_TOKEN, Project, assert_shows};

#[test]
fn a_wrong_token_is_named_once_with_what_to_look_at() {
    let project = Project::small();
    let refused =
        project.ingest(&["intercom", "--progress", "off", "-vv"]).with("INTERCOM_ACCESS_TOKEN", OTHER_TOKEN);
    let refused = refused.run().exits(3);
    assert_eq!(refused.stderr.matches("error:").count(), 1, "{refused}");
    let refused =
        project.ingest(&["intercom.tags", "--progress", "off"]).with("INTERCOM_ACCESS_TOKEN", OTHER_TOKEN);
    assert_shows!(refused.run(), @r"
    exit code: 3
    ----- stdout -----
    table          new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.tags    0        0          0        0         -         0  [TIME]  failed
    ----- stderr -----
    error: table intercom.tags: the token is refused by http://127.0.0.1:[PORT]: GET /me: answered 401 token_unauthorized (Access Token Invalid)
      hint: check that the token is complete and not revoked, and that region (us, eu, au) is the workspace's own: a token of another region is refused like a wrong one
    ");
}

#[test]
fn a_token_revoked_in_the_middle_ends_the_run_and_keeps_what_is_there() {
    let project = Project::small();
    project.ingest(&["intercom.tags"]).run().exits(0);
    let before = project.rows("SELECT id, name FROM intercom.tags ORDER BY id");
    // Contacts wait for an answer while the token is revoked, then are asked for again.
    let what = FaultKind::Status {
        code: 503,
        error_code: "unavailable".into(),
        retry_after: Some(1),
        headers: true,
    };
    project.fault("/contacts/search", 0, 1, what);
    let run = project.ingest(&["intercom.contacts", "intercom.tags", "--progress", "off"]).start();
    project.asked_for("/contacts/search");
    project.sandbox().revoke_token();
    let ended = run.wait();
    assert!(ended.stdout.contains("intercom.contacts    0"), "{ended}");
    assert!(ended.stderr.contains("answered 401 token_revoked"), "{ended}");
    ended.exits(3);
    assert_eq!(project.rows("SELECT id, name FROM intercom.tags ORDER BY id"), before);
    assert_eq!(project.rows("SELECT count(*) FROM _ingest.state WHERE table_name = 'contacts'"), ["0"]);
}

/// The tables of a summary with this outcome.
fn with_outcome<'a>(summary: &'a Value, outcome: &str) -> Vec<&'a str> {
    let tables = summary["tables"].as_array().unwrap().iter();
    tables.filter(|table| table["outcome"] == outcome).map(|table| table["table"].as_str().unwrap()).collect()
}

#[test]
fn a_missing_permission_fails_its_tables_by_name_and_lets_the_others_land() {
    let all = TABLES.iter().filter(|table| !table.opt_in).count();
    for (path, status, failing, permission) in [
        (
            "/conversations",
            403,
            "conversations conversation_parts conversation_contacts conversation_tags conversation_teammates",
            "Read conversations",
        ),
        (
            "/contacts/search",
            401,
            "contacts contact_companies contact_segments contact_subscriptions contact_tags contact_notes",
            "Read and list users and companies",
        ),
        ("/tickets", 403, "tickets ticket_parts", "Read tickets"),
        // Whose members are asked for tag by tag.
        ("/tags", 403, "tags contact_tags", "Read tags"),
        ("/help_center/collections", 403, "collections", "Read and list articles"),
        ("/admins/activity_logs", 401, "activity_logs", "Read admin activity logs"),
        ("/news/newsfeeds/", 401, "newsfeed_items", "Read and list news items and newsfeeds"),
    ] {
        let project = Project::small();
        project.sandbox().deny(path, status);
        let run = project.ingest(&["intercom", "--progress", "off", "--output", "json"]).run().exits(1);
        let summary = run.json();
        let failing: Vec<&str> = failing.split(' ').collect();
        assert_eq!(with_outcome(&summary, "failed"), failing, "{path}: {run}");
        assert_eq!(with_outcome(&summary, "complete").len(), all - failing.len(), "{path}: {run}");
        assert!(run.stderr.contains(&format!("the token lacks the permission \"{permission}\"")), "{run}");
        assert_eq!(run.stderr.matches("error:").count(), 1, "{path}: {run}");
    }
}

#[test]
fn a_missing_permission_is_told_with_what_to_grant() {
    let project = Project::small();
    project.sandbox().deny("/conversations", 403);
    assert_shows!(project.ingest(&["intercom.conversations", "intercom.tags", "--progress", "off"]).run(), @r#"
    exit code: 1
    ----- stdout -----
    table                   new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.conversations    0        0          0        0         -         2  [TIME]  failed
    intercom.tags            12        0          0        0        12         1  [TIME]  complete as of [INSTANT]
    ----- stderr -----
    error: table intercom.conversations: the token lacks the permission "Read conversations"
      caused by: POST /conversations/search: answered 403 forbidden (You do not have the required scope to access this resource)
      hint: grant "Read conversations" to the app in Intercom's Developer Hub (Configure, Authentication), then run again
    "#);
}

#[test]
fn no_table_at_all_is_a_matter_of_permission() {
    let project = Project::small();
    for path in ["/contacts", "/tags"] {
        project.sandbox().deny(path, 403);
    }
    assert_shows!(project.ingest(&["intercom.contacts", "intercom.tags", "--progress", "off"]).run(), @r#"
    exit code: 3
    ----- stdout -----
    table              new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.contacts    0        0          0        0         -         1  [TIME]  failed
    intercom.tags        0        0          0        0         -         1  [TIME]  failed
    ----- stderr -----
    error: table intercom.contacts: the token lacks the permission "Read and list users and companies"
      caused by: POST /contacts/search: answered 403 forbidden (You do not have the required scope to access this resource)
      hint: grant "Read and list users and companies" to the app in Intercom's Developer Hub (Configure, Authentication), then run again
    error: table intercom.tags: the token lacks the permission "Read tags"
      caused by: GET /tags: answered 403 forbidden (You do not have the required scope to access this resource)
      hint: grant "Read tags" to the app in Intercom's Developer Hub (Configure, Authentication), then run again
    "#);
}

#[test]
fn nobody_listening_is_told_within_seconds() {
    let project = Project::empty();
    // A port that was free a moment ago, and is again.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    project.configure(&format!("http://127.0.0.1:{port}"), "");
    let started = Instant::now();
    assert_shows!(project.ingest(&["intercom.tags", "--progress", "off"]).run(), @r"
    exit code: 1
    ----- stdout -----
    table          new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.tags    0        0          0        0         -         0  [TIME]  failed
    ----- stderr -----
    error: table intercom.tags: GET /me: cannot connect (Connection refused (os error [N])), after 4 attempts
      hint: check the network, proxy settings and base_url
    ");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn an_answer_that_no_retry_cures_fails_the_table_and_leaves_its_checkpoint() {
    let project = Project::small();
    project.ingest(&["intercom.articles"]).run().exits(0);
    let state = || project.rows("SELECT state FROM _ingest.state");
    let before = state();
    let what = FaultKind::Status {
        code: 400,
        error_code: "parameter_invalid".into(),
        retry_after: None,
        headers: true,
    };
    project.fault("/articles", 0, 1, what);
    assert_shows!(project.ingest(&["intercom.articles", "--progress", "off"]).run(), @r"
    exit code: 1
    ----- stdout -----
    table              new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.articles    0        0          0        0         -         1  [TIME]  failed
    ----- stderr -----
    error: table intercom.articles: GET /articles: answered 400 parameter_invalid (scripted failure)
    ");
    assert_eq!(state(), before);
}
