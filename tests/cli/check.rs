//! `ingest check`: everything a run needs, tried.

use ingest::source::intercom::tables::TABLES;

use crate::support::binary::{Finished, OTHER_TOKEN, Project, assert_shows};

#[test]
fn a_connection_that_is_right_is_confirmed_point_by_point() {
    let project = Project::small();
    assert_shows!(project.ingest(&["check"]).run(), @r"
    exit code: 0
    ----- stdout -----
    connection intercom                ok  workspace sb0x2wrk (Sandbox), region US, time zone UTC, API 2.14
    clock                            note  is [SECONDS] s ahead of the server's; harmless, since the earlier of the two counts
    intercom.contacts                  ok  Read and list users and companies
    intercom.companies                 ok  Read and list users and companies
    intercom.segments                  ok  Read and list users and companies
    intercom.teams                     ok  Read and list users and companies
    intercom.data_attributes           ok  Read and list users and companies
    intercom.contact_attributes        ok  Read and list users and companies
    intercom.company_attributes        ok  Read and list users and companies
    intercom.subscription_types        ok  Read and list users and companies
    intercom.contact_companies         ok  Read and list users and companies (its own request is not tried)
    intercom.contact_segments          ok  Read and list users and companies
    intercom.contact_subscriptions     ok  Read and list users and companies (its own request is not tried)
    intercom.contact_tags              ok  Read and list users and companies, Read tags
    intercom.contact_notes             ok  Read and list users and companies (its own request is not tried)
    intercom.company_segments          ok  Read and list users and companies (its own request is not tried)
    intercom.company_tags              ok  Read and list users and companies
    intercom.team_admins               ok  Read and list users and companies
    intercom.conversations             ok  Read conversations
    intercom.conversation_parts        ok  Read conversations (its own request is not tried)
    intercom.calls                     ok  Read conversations
    intercom.conversation_contacts     ok  Read conversations
    intercom.conversation_tags         ok  Read conversations
    intercom.conversation_teammates    ok  Read conversations
    intercom.tickets                   ok  Read tickets
    intercom.ticket_parts              ok  Read tickets
    intercom.ticket_types              ok  Read tickets
    intercom.ticket_type_attributes    ok  Read tickets
    intercom.ticket_states             ok  Read tickets
    intercom.articles                  ok  Read and list articles
    intercom.collections               ok  Read and list articles
    intercom.help_centers              ok  Read and list articles
    intercom.internal_articles         ok  Read and list articles
    intercom.article_statistics        ok  Read and list articles (its own request is not tried) (is read only when named)
    intercom.tags                      ok  Read tags
    intercom.admins                    ok  Read admins
    intercom.away_status_reasons       ok  Read admins
    intercom.ip_allowlist              ok  Manage IP allowlist (is read only when named)
    intercom.news_items                ok  Read and list news items and newsfeeds
    intercom.newsfeeds                 ok  Read and list news items and newsfeeds
    intercom.newsfeed_items            ok  Read and list news items and newsfeeds (its own request is not tried)
    intercom.content_import_sources    ok  Read and write AI content (is read only when named)
    intercom.external_pages            ok  Read and write AI content (is read only when named)
    intercom.activity_logs             ok  Read admin activity logs
    destination                        ok  [DIR]/ingest.duckdb can be created
    ");
    assert!(!project.has("ingest.duckdb"));
    project.ingest(&["intercom.tags"]).run().exits(0);
    let again = project.ingest(&["check", "intercom"]).run().exits(0);
    assert!(again.stdout.contains("can be written"), "{again}");
}

#[test]
fn every_table_is_tried_and_nothing_is_asked_twice() {
    let project = Project::small();
    let check = project.ingest(&["check"]).run().exits(0);
    for table in TABLES {
        let name = format!("intercom.{}", table.name);
        let line = check.stdout.lines().find(|line| line.split(' ').next() == Some(&name));
        assert!(line.is_some_and(|line| line.contains(" ok ") && line.contains(table.permission)), "{check}");
    }
    let mut asked: Vec<String> =
        project.sandbox().requests().into_iter().map(|request| request.path_and_query).collect();
    let sent = asked.len();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked.len(), sent, "{asked:#?}");
}

/// The tables that are said to have failed.
fn failed(check: &Finished) -> Vec<&str> {
    let lines = check.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.filter(|words| words.get(1) == Some(&"FAILED")).map(|words| words[0]).collect()
}

#[test]
fn a_missing_permission_is_named_beside_its_tables() {
    let project = Project::small();
    project.sandbox().deny("/tags", 401);
    project.sandbox().deny("/news", 403);
    let check = project.ingest(&["check"]).run().exits(3);
    let expected = ["contact_tags", "tags", "news_items", "newsfeeds", "newsfeed_items"];
    assert_eq!(failed(&check), expected.map(|name| format!("intercom.{name}")), "{check}");
    let said: Vec<&str> = check
        .stdout
        .lines()
        .filter(|line| line.starts_with("intercom.tags") || line.starts_with("hint:"))
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    intercom.tags                    FAILED  the token lacks the permission "Read tags"
    hint: intercom.contact_tags, intercom.tags: grant "Read tags" to the app in Intercom's Developer Hub (Configure, Authentication), then run again
    hint: intercom.news_items, intercom.newsfeeds, intercom.newsfeed_items: grant "Read and list news items and newsfeeds" to the app in Intercom's Developer Hub (Configure, Authentication), then run again
    "#);
}

#[test]
fn many_tables_with_one_hint_share_it() {
    let project = Project::small();
    project.sandbox().deny("/conversations", 403);
    let check = project.ingest(&["check"]).run().exits(3);
    let inside = TABLES.iter().filter(|table| table.lead().name == "conversations").count();
    assert_eq!(failed(&check).len(), inside, "{check}");
    let hints: Vec<&str> = check.stdout.lines().filter(|line| line.starts_with("hint:")).collect();
    insta::assert_snapshot!(hints.join("\n"), @r#"hint: intercom.conversations and 4 more: grant "Read conversations" to the app in Intercom's Developer Hub (Configure, Authentication), then run again"#);
}

#[test]
fn tables_that_the_api_version_lacks_are_said_and_not_tried() {
    let project = Project::small();
    project.configure(&project.sandbox().base_url(), "      api_version: \"2.11\"\n");
    let check = project.ingest(&["check"]).run().exits(0);
    let notes: Vec<&str> = check.stdout.lines().filter(|line| line.contains("is not in API")).collect();
    insta::assert_snapshot!(notes.join("\n"), @r"
    intercom.calls                   note  is not in API 2.11, but from 2.14 on
    intercom.internal_articles       note  is not in API 2.11, but from 2.13 on
    intercom.away_status_reasons     note  is not in API 2.11, but from 2.14 on
    intercom.ip_allowlist            note  is not in API 2.11, but from 2.14 on
    ");
    let asked = project.sandbox().requests();
    assert!(asked.iter().all(|request| !request.path_and_query.starts_with("/calls")), "{check}");
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
        ("parquet:file://bucket", 2, "expected a path in the local file system"),
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
