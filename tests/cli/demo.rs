//! `ingest demo`: what a newcomer sees.

use ingest::source::intercom::tables::TABLES;

use crate::support::binary::{Project, assert_shows};

#[test]
#[expect(clippy::too_many_lines, reason = "the output of one command")]
fn everything_is_shown_without_an_account() {
    let project = Project::empty();
    let demo = project.ingest(&["demo"]).without("INTERCOM_ACCESS_TOKEN").run();
    let first = demo.stdout.split("Three hours later").next().unwrap();
    assert_eq!(first.matches("complete as of").count(), TABLES.len(), "{demo}");
    assert_shows!(demo, @r#"
    exit code: 0
    ----- stdout -----
    A workspace is served on loopback. First load of every table:

    table                              new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.contacts                  250        0          0        0       250         5  [TIME]  complete as of [INSTANT]
    intercom.companies                  60        0          0        0        60         2  [TIME]  complete as of [INSTANT]
    intercom.conversations             120        0          0        0       120         5  [TIME]  complete as of [INSTANT]
    intercom.tickets                    80        0          0        0        80         3  [TIME]  complete as of [INSTANT]
    intercom.articles                   30        0          0        0        30         1  [TIME]  complete as of [INSTANT]
    intercom.conversation_parts      1,240        0          0        0     1,240       120  [TIME]  complete as of [INSTANT]
    intercom.ticket_parts              799        0          0        0       799         0  [TIME]  complete as of [INSTANT]
    intercom.tags                       12        0          0        0        12         2  [TIME]  complete as of [INSTANT]
    intercom.segments                    6        0          0        0         6         2  [TIME]  complete as of [INSTANT]
    intercom.admins                      5        0          0        0         5         2  [TIME]  complete as of [INSTANT]
    intercom.teams                       3        0          0        0         3         1  [TIME]  complete as of [INSTANT]
    intercom.data_attributes            46        0          0        0        46         3  [TIME]  complete as of [INSTANT]
    intercom.contact_attributes         27        0          0        0        27         1  [TIME]  complete as of [INSTANT]
    intercom.company_attributes         13        0          0        0        13         1  [TIME]  complete as of [INSTANT]
    intercom.ticket_types                4        0          0        0         4         1  [TIME]  complete as of [INSTANT]
    intercom.ticket_type_attributes     24        0          0        0        24         0  [TIME]  complete as of [INSTANT]
    intercom.ticket_states               5        0          0        0         5         1  [TIME]  complete as of [INSTANT]
    intercom.subscription_types          5        0          0        0         5         2  [TIME]  complete as of [INSTANT]
    intercom.away_status_reasons         4        0          0        0         4         1  [TIME]  complete as of [INSTANT]
    intercom.ip_allowlist                1        0          0        0         1         1  [TIME]  complete as of [INSTANT]
    intercom.collections                24        0          0        0        24         1  [TIME]  complete as of [INSTANT]
    intercom.help_centers                2        0          0        0         2         1  [TIME]  complete as of [INSTANT]
    intercom.internal_articles          30        0          0        0        30         1  [TIME]  complete as of [INSTANT]
    intercom.article_statistics         30        0          0        0        30        30  [TIME]  complete as of [INSTANT]
    intercom.news_items                 14        0          0        0        14         1  [TIME]  complete as of [INSTANT]
    intercom.newsfeeds                   3        0          0        0         3         1  [TIME]  complete as of [INSTANT]
    intercom.newsfeed_items             16        0          0        0        16         3  [TIME]  complete as of [INSTANT]
    intercom.content_import_sources      3        0          0        0         3         1  [TIME]  complete as of [INSTANT]
    intercom.external_pages             12        0          0        0        12         1  [TIME]  complete as of [INSTANT]
    intercom.calls                      40        0          0        0        40         3  [TIME]  complete as of [INSTANT]
    intercom.activity_logs             120        0          0        0       120        50  [TIME]  complete as of [INSTANT]
    intercom.contact_companies         298        0          0        0       298         5  [TIME]  complete as of [INSTANT]
    intercom.contact_segments          630        0          0        0       630         7  [TIME]  complete as of [INSTANT]
    intercom.contact_subscriptions     286        0          0        0       286        32  [TIME]  complete as of [INSTANT]
    intercom.contact_tags              436        0          0        0       436        13  [TIME]  complete as of [INSTANT]
    intercom.contact_notes             259        0          0        0       259        96  [TIME]  complete as of [INSTANT]
    intercom.company_segments           90        0          0        0        90         0  [TIME]  complete as of [INSTANT]
    intercom.company_tags               95        0          0        0        95         0  [TIME]  complete as of [INSTANT]
    intercom.conversation_contacts     120        0          0        0       120         0  [TIME]  complete as of [INSTANT]
    intercom.conversation_tags         117        0          0        0       117         0  [TIME]  complete as of [INSTANT]
    intercom.conversation_teammates     77        0          0        0        77         0  [TIME]  complete as of [INSTANT]
    intercom.team_admins                10        0          0        0        10         0  [TIME]  complete as of [INSTANT]
    note: intercom.contacts: kept in _extra because it did not fit its column: signed_up_at (9)

    Three hours later some rows are new, some have changed, a company and a tag on a person are gone. The same command again:

    table                            new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.contacts                  1       12          0        0       251         3  [TIME]  complete as of [INSTANT]
    intercom.companies                 0        0         59        1        59         6  [TIME]  complete as of [INSTANT]
    intercom.conversations             1        5          0        0       121         4  [TIME]  complete as of [INSTANT]
    intercom.articles                  0        1         29        0        30         1  [TIME]  complete as of [INSTANT]
    intercom.conversation_parts        5        0        521        0     1,245         6  [TIME]  complete as of [INSTANT]
    intercom.segments                  0        2          4        0         6         2  [TIME]  complete as of [INSTANT]
    intercom.contact_segments          2        0        630        0       632         7  [TIME]  complete as of [INSTANT]
    intercom.contact_tags              1        0        435        1       436        13  [TIME]  complete as of [INSTANT]
    intercom.contact_notes             3        0         12        0       262        16  [TIME]  complete as of [INSTANT]
    intercom.company_segments          0        0         88        2        88         0  [TIME]  complete as of [INSTANT]
    intercom.company_tags              0        0         94        1        94         0  [TIME]  complete as of [INSTANT]
    intercom.conversation_contacts     1        0          5        0       121         0  [TIME]  complete as of [INSTANT]
    intercom.conversation_teammates    1        0          4        0        78         0  [TIME]  complete as of [INSTANT]
    note: intercom.contacts: kept in _extra because it did not fit its column: signed_up_at (2)
    The other 29 tables are as they were.

    Everything is in demo.duckdb. Three things to ask it:

    Who answers, and how much?

    SELECT a.name AS teammate, count(DISTINCT p.conversation_id) AS conversations, count(*) AS answers
    FROM intercom.conversation_parts AS p
    JOIN intercom.admins AS a ON a.id = p.author_id
    WHERE p.author_type = 'admin' AND p.part_type = 'comment'
    GROUP BY a.name
    ORDER BY answers DESC, teammate
    LIMIT 5

    teammate        conversations  answers
    Björn 雷                    40  74
    Jürgen Öztürk              31  70
    Chloé Silva                31  66
    Kwame Petrović             41  65
    Ada Silva                  29  60

    Which tags do people on which plan have, and how many seats?

    SELECT t.name AS tag, c."Plan Tier" AS plan, count(*) AS people, sum(c.seats) AS seats
    FROM intercom.contacts_custom AS c
    JOIN intercom.contact_tags AS l ON l.contact_id = c.id
    JOIN intercom.tags AS t ON t.id = l.tag_id
    WHERE c."Plan Tier" IS NOT NULL
    GROUP BY ALL
    ORDER BY people DESC, tag, plan
    LIMIT 5

    tag                plan  people  seats
    Find webhook 4     free      14  1162
    Cannot webhook 11  free      13  956
    Order order 1      free      13  1781
    Order the 9        free      12  1149
    Delivery find 10   free      11  1058

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
    assert_eq!(status.stdout.matches("  complete\n").count(), TABLES.len(), "{status}");
}

#[test]
fn it_replaces_its_own_file_and_no_other() {
    let project = Project::small();
    project.ingest(&["demo"]).run().exits(0);
    let again = project.ingest(&["demo"]).run().exits(0);
    let contacts = again.stdout.lines().find(|line| line.starts_with("intercom.contacts "));
    let cells = contacts.map(|line| line.split_whitespace().take(2).collect::<Vec<_>>());
    assert_eq!(cells, Some(vec!["intercom.contacts", "250"]), "{again}");

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
