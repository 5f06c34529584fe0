//! `ingest demo`: what a newcomer sees.

use crate::support::binary::{Project, assert_shows};

#[test]
fn everything_is_shown_without_an_account() {
    let project = Project::empty();
    let demo = project.ingest(&["demo"]).without("INTERCOM_ACCESS_TOKEN").run();
    assert_eq!(demo.stdout.matches("complete as of").count(), 18, "{demo}");
    assert_shows!(demo, @r#"
    exit code: 0
    ----- stdout -----
    A workspace is served on loopback. First load of every table:

    table                     new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.contacts         250        0          0        0       250         4  [TIME]  complete as of [INSTANT]
    intercom.companies         60        0          0        0        60         2  [TIME]  complete as of [INSTANT]
    intercom.conversations    120        0          0        0       120         4  [TIME]  complete as of [INSTANT]
    intercom.articles          30        0          0        0        30         1  [TIME]  complete as of [INSTANT]
    intercom.tags              12        0          0        0        12         1  [TIME]  complete as of [INSTANT]
    intercom.segments           6        0          0        0         6         1  [TIME]  complete as of [INSTANT]
    intercom.admins             5        0          0        0         5         1  [TIME]  complete as of [INSTANT]
    intercom.teams              3        0          0        0         3         1  [TIME]  complete as of [INSTANT]
    intercom.data_attributes   46        0          0        0        46         3  [TIME]  complete as of [INSTANT]
    note: intercom.contacts: kept in _extra because it has no column: enabled_push_messaging (133)
    note: intercom.contacts: kept in _extra because it did not fit its column: signed_up_at (9)

    Three hours later some rows are new, some have changed, a company is gone. The same command again:

    table                     new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.contacts           1       12          0        0       251         2  [TIME]  complete as of [INSTANT]
    intercom.companies          0        0         59        1        59         3  [TIME]  complete as of [INSTANT]
    intercom.conversations      1        5          0        0       121         2  [TIME]  complete as of [INSTANT]
    intercom.articles           0        1         29        0        30         1  [TIME]  complete as of [INSTANT]
    intercom.tags               0        0         12        0        12         1  [TIME]  complete as of [INSTANT]
    intercom.segments           0        2          4        0         6         1  [TIME]  complete as of [INSTANT]
    intercom.admins             0        0          5        0         5         1  [TIME]  complete as of [INSTANT]
    intercom.teams              0        0          3        0         3         1  [TIME]  complete as of [INSTANT]
    intercom.data_attributes    0        0         46        0        46         3  [TIME]  complete as of [INSTANT]
    note: intercom.contacts: kept in _extra because it has no column: enabled_push_messaging (8)
    note: intercom.contacts: kept in _extra because it did not fit its column: signed_up_at (1)

    Everything is in demo.duckdb. Three things to ask it:

    How quickly are conversations answered?

    SELECT state, count(*) AS conversations,
           round(median(statistics_time_to_admin_reply) / 60, 1) AS median_minutes_to_reply
    FROM intercom.conversations
    GROUP BY state
    ORDER BY conversations DESC, state

    state    conversations  median_minutes_to_reply
    closed              65  [MINUTES]
    open                39  [MINUTES]
    snoozed             17  [MINUTES]

    Where are the people who were seen last?

    SELECT location_country AS country, count(*) AS people, max(last_seen_at)::VARCHAR AS last_seen
    FROM intercom.contacts
    WHERE _deleted_at IS NULL AND location_country IS NOT NULL
    GROUP BY location_country
    ORDER BY people DESC, country
    LIMIT 5

    country        people  last_seen
    Ireland            29  [INSTANT]
    Japan              27  [INSTANT]
    Germany            25  [INSTANT]
    United States      25  [INSTANT]
    Australia          24  [INSTANT]

    Which companies bring most, and which of them are gone?

    SELECT name, monthly_spend, user_count, _deleted_at IS NOT NULL AS deleted
    FROM intercom.companies
    ORDER BY monthly_spend DESC NULLS LAST, name
    LIMIT 5

    name                  monthly_spend  user_count  deleted
    Globex S.A.                    4981          20  true
    Vandelay Inc.                  4955          32  false
    Blue "Door" Ltd S.A.           4954           3  false
    Vandelay AB                    4876          13  false
    Northwind S.A.                 4875          29  false

    Where to go next:
      ingest status --to duckdb:demo.duckdb  what the file holds and how fresh it is
      ingest init                            a connections.yml for your own workspace
      ingest check                           does the token work, and for which tables?
      ingest intercom                        all of it, into ./ingest.duckdb
    "#);
    assert_eq!(project.files(), ["demo.duckdb", "demo.duckdb.lock"]);
}

#[test]
fn what_it_recommends_works() {
    let project = Project::empty();
    let demo =
        project.ingest(&["demo", "--path", "tour.duckdb"]).without("INTERCOM_ACCESS_TOKEN").run().exits(0);
    let recommended =
        demo.stdout.lines().find_map(|line| line.trim().strip_prefix("ingest status ")).unwrap();
    let arguments: Vec<&str> = recommended.split("  ").next().unwrap().split(' ').collect();
    let status =
        project.ingest(&[&["status"], arguments.as_slice()].concat()).without("INTERCOM_ACCESS_TOKEN");
    let status = status.run().exits(0);
    assert_eq!(status.stdout.matches("  complete\n").count(), 9, "{status}");
}

#[test]
fn it_replaces_its_own_file_and_no_other() {
    let project = Project::small();
    project.ingest(&["demo"]).run().exits(0);
    let again = project.ingest(&["demo"]).run().exits(0);
    assert!(again.stdout.contains("intercom.contacts         250"), "{again}");

    duckdb::Connection::open(project.path("mine.duckdb"))
        .unwrap()
        .execute_batch("CREATE TABLE t (x INT)")
        .unwrap();
    project.write("notes.duckdb", "somebody's notes");
    assert_shows!(project.ingest(&["demo", "--path", "mine.duckdb"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: mine.duckdb holds something else than an earlier demonstration
      hint: name another file with --path
    ");
    assert_shows!(project.ingest(&["demo", "--path", "notes.duckdb"]).run(), @r#"
    exit code: 4
    ----- stderr -----
    error: destination [DIR]/notes.duckdb: DuckDB could not open the database: IO Error: The file "[DIR]/notes.duckdb" exists, but it is not a valid DuckDB database file!
      hint: check that the file is a DuckDB database and may be written, and that the disk is not full
    "#);
    project.ingest(&["demo", "--path", "intercom.duckdb"]).run().exits(2);
    let mine = duckdb::Connection::open(project.path("mine.duckdb")).unwrap();
    mine.execute_batch("SELECT x FROM t").unwrap();
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    Project::empty().ingest(&["demo", "--path", "nowhere/demo.duckdb"]).run().exits(4);
}
