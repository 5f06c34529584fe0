//! Many rows in one second, and nothing to do.

use std::time::Duration;

use ingest::sandbox::{Change, RequestRecord, Settings};

use crate::support::world::{DATED, HOUR, SEARCHED, World, of};

const BULK: usize = 400;

/// The one field that a search filters by.
fn filtered_by(search: &RequestRecord) -> &str {
    search.body["query"]["field"].as_str().unwrap_or_default()
}

fn busy() -> Settings {
    Settings { contacts: 900, conversations: 700, ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_update_within_one_second_is_read_over_page_edges() {
    let world = World::start(busy()).await;
    world.load(&SEARCHED).await;
    world.sandbox.advance(HOUR);
    for table in SEARCHED {
        let ids = world.ids(table).into_iter().step_by(2).take(BULK).collect();
        let changed = world.sandbox.change(Change::BulkUpdate { table: table.to_owned(), ids });
        assert!(changed.len() > 300, "more than two pages");
    }
    world.load(&SEARCHED).await;
    world.assert_truth(&SEARCHED);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_created_within_one_second_are_read_over_page_edges_also_after_a_stop_among_them() {
    let mut world = World::start(busy()).await;
    let second = world.sandbox.truth("contacts")[200]["created_at"].as_i64().unwrap();
    for id in world.ids("contacts").into_iter().skip(100).take(BULK) {
        world.set_quietly("contacts", &id, "created_at", second);
    }
    // That second begins in the first or second page and ends three pages later.
    for pages in [1, 2, 3, 4] {
        world.forget();
        world.run().tables(&["contacts"]).stopped_at_request("/contacts/search", pages).go().await;
        world.load(&["contacts"]).await;
        world.assert_truth(&["contacts"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_news_asks_little_and_rewrites_nothing() {
    let world = World::start(busy()).await;
    world.run().go().await;
    let before: Vec<_> = world.tables().into_iter().map(|table| (table, world.rows(table))).collect();
    let an_hour_ago = world.sandbox.now().as_second() - 3_600;
    let recent = |row: &serde_json::Value| row["updated_at"].as_i64() >= Some(an_hour_ago);
    let recent = world.sandbox.truth("conversations").iter().filter(|row| recent(row)).count();
    assert!(recent < 4, "{recent}");
    for wait in [Duration::ZERO, 3 * HOUR, 100 * HOUR] {
        world.sandbox.advance(wait);
        let report = world.run().go().await;
        for table in DATED {
            let mut searches = world.requests(&format!("/{table}/search"));
            // Who carries a tag or is in a segment is asked in every run.
            searches.retain(|search| !["tag_id", "segment_id"].contains(&filtered_by(search)));
            // Whether conversations that are tickets are shown is asked of that search, before and after.
            let most = if table == "tickets" { 4 } else { 3 };
            assert!(searches.len() <= most, "{table}: {} requests", searches.len());
        }
        assert!(world.requests("/conversations/2").len() <= recent, "only what may have changed unseen");
        assert_eq!(world.requests("/admins/activity_logs").len(), 1);
        for table in &report.tables {
            let done = table.committed;
            let written = (done.new, done.changed, done.removed, done.stamped);
            assert_eq!(written, (0, 0, 0, 0), "{}: {:?}", table.table, table.error);
        }
        for (table, rows) in &before {
            // `_ingested_at` is among the cells: it says when a row was last written.
            assert!(world.rows(table) == *rows, "{table} was rewritten");
        }
        assert_eq!(of(&report, "contacts").mode, "changes since the last run");
    }
}
