//! `ingest check`: everything a run needs, tried.

use crate::support::binary::{OTHER_TOKEN, Project, assert_shows};

#[test]
fn a_connection_that_is_right_is_confirmed_point_by_point() {
    let project = Project::small();
    assert_shows!(project.ingest(&["check"]).run(), @r"
    exit code: 0
    ----- stdout -----
    connection intercom         ok  workspace sb0x2wrk (Sandbox), region US, time zone UTC, API 2.14
    clock                     note  is [SECONDS] s ahead of the server's; harmless, since the earlier of the two counts
    intercom.contacts           ok  Read and list users and companies
    intercom.companies          ok  Read and list users and companies
    intercom.conversations      ok  Read conversations
    intercom.articles           ok  Read and list articles
    intercom.tags               ok  Read tags
    intercom.segments           ok  Read and list users and companies
    intercom.admins             ok  Read admins
    intercom.teams              ok  Read and list users and companies
    intercom.data_attributes    ok  Read and list users and companies
    destination                 ok  [DIR]/ingest.duckdb can be created
    ");
    assert!(!project.has("ingest.duckdb"));
    project.ingest(&["intercom.tags"]).run().exits(0);
    let again = project.ingest(&["check", "intercom"]).run().exits(0);
    assert!(again.stdout.contains("can be written"), "{again}");
}

#[test]
fn a_missing_permission_is_named_beside_its_table() {
    let project = Project::small();
    project.sandbox().deny("/conversations", 403);
    assert_shows!(project.ingest(&["check"]).run(), @r#"
    exit code: 3
    ----- stdout -----
    connection intercom           ok  workspace sb0x2wrk (Sandbox), region US, time zone UTC, API 2.14
    clock                       note  is [SECONDS] s ahead of the server's; harmless, since the earlier of the two counts
    intercom.contacts             ok  Read and list users and companies
    intercom.companies            ok  Read and list users and companies
    intercom.conversations    FAILED  the token lacks the permission "Read conversations"
    intercom.articles             ok  Read and list articles
    intercom.tags                 ok  Read tags
    intercom.segments             ok  Read and list users and companies
    intercom.admins               ok  Read admins
    intercom.teams                ok  Read and list users and companies
    intercom.data_attributes      ok  Read and list users and companies
    destination                   ok  [DIR]/ingest.duckdb can be created
    hint: intercom.conversations: grant "Read conversations" to the app in Intercom's Developer Hub (Configure, Authentication), then run again
    "#);
}

#[test]
fn a_wrong_token_is_named_and_the_destination_tried_all_the_same() {
    let project = Project::small();
    assert_shows!(project.ingest(&["check", "-vv"]).with("INTERCOM_ACCESS_TOKEN", OTHER_TOKEN).run(), @r#"
    exit code: 3
    ----- stdout -----
    connection intercom  FAILED  the token is refused by http://127.0.0.1:[PORT]: GET /me: answered 401 token_unauthorized (Access Token Invalid)
    destination              ok  [DIR]/ingest.duckdb can be created
    hint: connection intercom: check that the token is complete and not revoked, and that region (us, eu, au) is the workspace's own: a token of another region is refused like a wrong one
    ----- stderr -----
    [INSTANT] DEBUG answered call="GET /me" status=401 bytes=147 elapsed=[TIME]
    "#);
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
