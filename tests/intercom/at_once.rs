//! Large tables are read in several places at once: exact at every joint, in any zone, over stops and changes.

use std::collections::BTreeSet;
use std::time::Duration;

use ingest::report::Outcome;
use ingest::sandbox::{Churn, Comparison, Settings};
use jiff::tz::TimeZone;

use crate::support::world::{DATED, DAY, HOUR, World, of};

const CONTACTS: &[&str] = &["contacts"];
const PAGES: usize = 80;

/// Without any latency one or two cursors would do.
const LATENCY: Duration = Duration::from_millis(40);

fn settings() -> Settings {
    Settings {
        contacts: PAGES * 150,
        conversations: 0,
        companies: 10,
        latency: LATENCY,
        ..Settings::default()
    }
}

/// Queries, oldest rows first, that pages were asked for in the last run; each belongs to one cursor.
fn cursors(world: &World, table: &str) -> BTreeSet<String> {
    let is_page = |body: &serde_json::Value| {
        body["sort"]["order"] == "ascending" && body["pagination"]["per_page"].as_i64() > Some(1)
    };
    let requests = world.requests(&format!("/{table}/search"));
    requests.iter().filter(|one| is_page(&one.body)).map(|one| one.body["query"].to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_comes_once_whatever_a_day_is_and_a_tenth_more_requests_at_most() {
    for (zone, comparison) in [
        ("UTC", Comparison::Exclusive),
        ("America/Los_Angeles", Comparison::Inclusive),
        ("Pacific/Kiritimati", Comparison::Exclusive),
    ] {
        let time_zone = TimeZone::get(zone).unwrap();
        let world = World::start(Settings { time_zone, comparison, ..settings() }).await;
        let report = world.load(CONTACTS).await;
        world.assert_truth(CONTACTS);
        let contacts = of(&report, "contacts");
        assert_eq!(contacts.committed.new, (PAGES * 150) as u64, "{zone}");
        let places = cursors(&world, "contacts").len();
        assert!(places > 3, "{places} cursors in {zone}");
        // The token, the increment that closes a refresh, the count at the end.
        let needed = PAGES + 3;
        let requests = world.requests("/").len();
        assert!(requests <= needed + PAGES / 10, "{requests} requests where {needed} would do, in {zone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_handed_out_at_both_sides_of_a_joint() {
    let world = World::start(settings()).await;
    // So that the increment that closes the refresh brings nothing.
    world.sandbox.advance(2 * HOUR);
    let report = world.load(CONTACTS).await;
    let places = cursors(&world, "contacts").len();
    let contacts = of(&report, "contacts");
    assert!(places > 3, "{places} cursors");
    assert_eq!(contacts.committed.new, (PAGES * 150) as u64);
    // Only a cursor that comes too late to cut anything off shows a page that is read by another as well.
    let twice = contacts.committed.unchanged;
    assert!(twice == 0 || twice > 100, "{twice} rows were read twice by {places} cursors");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_seconds_count_for_is_cut_as_well() {
    for comparison in [Comparison::Exclusive, Comparison::Inclusive] {
        let settings = Settings {
            contacts: 10,
            conversations: 6_000,
            tickets: 6_000,
            comparison,
            ..Settings::default()
        };
        let world = World::start(settings).await;
        world.load(&["conversations", "tickets"]).await;
        world.assert_truth(&["conversations", "tickets"]);
        for table in ["conversations", "tickets"] {
            assert!(cursors(&world, table).len() > 1, "{table}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_table_is_read_by_one_cursor() {
    let world = World::start(Settings { contacts: 10 * 150, ..Settings::default() }).await;
    world.load(CONTACTS).await;
    assert_eq!(cursors(&world, "contacts").len(), 1);
    // The token, ten pages, the increment, the count.
    assert_eq!(world.requests("/").len(), 13);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_at_a_time_means_one_cursor() {
    let world = World::start(settings()).await;
    let report = world.run().tables(CONTACTS).concurrency(1).go().await;
    assert_eq!(of(&report, "contacts").outcome, Outcome::Complete);
    assert_eq!(cursors(&world, "contacts").len(), 1);
    world.assert_truth(CONTACTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_load_goes_on_in_every_place_where_it_was() {
    let world = World::start(settings()).await;
    for pages in [30, 20] {
        let stopped = world.run().tables(CONTACTS).commit_every(1);
        let stopped = stopped.stopped_at_request("/contacts/search", pages).go().await;
        assert_eq!(of(&stopped, "contacts").outcome, Outcome::Interrupted);
        world.update_some("contacts", 300);
        world.insert("contacts");
        world.sandbox.advance(3 * HOUR);
    }
    let left = world.state("contacts").unwrap().refresh.unwrap().remaining;
    assert!(left.len() > 2, "{left:?}");
    let resumed = world.load(CONTACTS).await;
    assert_eq!(of(&resumed, "contacts").mode, "resuming a refresh");
    let pages = world.requests("/contacts/search").len();
    assert!(pages < PAGES, "{pages} requests: what was read is not read again");
    world.assert_truth(CONTACTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_and_change_while_they_are_read_are_not_lost() {
    for (table, start_date) in [("contacts", false), ("contacts", true), ("tickets", false)] {
        let mut world = World::start(Settings { tickets: 6_000, ..settings() }).await;
        if start_date {
            world.rules.start_date = Some(world.sandbox.now() - 700 * DAY);
        }
        let tables = vec![table.to_owned()];
        world.sandbox.set_churn(Some(Churn {
            every_requests: 1,
            updates: 3,
            inserts: 1,
            deletes: 0,
            tables,
        }));
        world.load(&[table]).await;
        world.sandbox.set_churn(None);
        world.sandbox.advance(HOUR);
        world.load(&[table]).await;
        let differences = world.differences(table);
        assert!(differences.wrong.is_empty(), "{table}: {:?}", differences.wrong);
        if !start_date {
            differences.assert_nothing_lost(table);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_increment_of_many_pages_reads_its_rest_in_several_places() {
    let world = World::start(Settings { tickets: 100, ..settings() }).await;
    world.load(&DATED).await;
    for _ in 0..60 {
        world.sandbox.advance(HOUR);
        world.update_some("contacts", 180);
    }
    let report = world.load(CONTACTS).await;
    assert_eq!(of(&report, "contacts").mode, "changes since the last run");
    assert!(cursors(&world, "contacts").len() > 1, "{:?}", cursors(&world, "contacts"));
    world.assert_truth(CONTACTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_of_the_log_are_read_side_by_side() {
    let settings = Settings { latency: LATENCY, ..Settings::default() };
    let world = World::start(settings).await;
    world.load(&["activity_logs"]).await;
    world.assert_truth(&["activity_logs"]);
    let asked = world.requests("/admins/activity_logs");
    assert!(asked.len() > 40, "{}", asked.len());
}
