//! Rows whose dates are ahead of the clock, zero, negative or missing.

use ingest::sandbox::{Change, Settings};
use serde_json::{Value, json};

use crate::support::world::{DAY, HOUR, World, also_over_lakes, of};

const YEAR: i64 = 365 * 86_400;

/// Sets `created_at` of some rows without moving anything else.
fn created_at(world: &World, table: &str, ids: &[String], at: impl Fn(i64) -> Value) {
    for (number, id) in (0..).zip(ids) {
        world.set_quietly(table, id, "created_at", at(number));
    }
}

/// Sets `updated_at` of some rows.
fn updated_at(world: &World, table: &str, ids: &[String], at: impl Fn(i64) -> Value) {
    for (number, id) in (0..).zip(ids) {
        world.set_quietly(table, id, "updated_at", at(number));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_dated_ahead_of_the_clock_are_rows_like_others() {
    for ahead in [3 * 3600, 3 * YEAR] {
        let world = World::start(Settings { contacts: 1_400, ..Settings::default() }).await;
        let now = world.sandbox.now().as_second();
        let ids = world.ids("contacts");
        // Made "today" by a migration that set their dates, and ahead of that.
        created_at(&world, "contacts", &ids[..400], |number| json!(now - 3_600 + number));
        created_at(&world, "contacts", &ids[400..], |number| json!(now + ahead + number));
        world.load(&["contacts"]).await;
        world.assert_truth(&["contacts"]);
        world.sandbox.advance(DAY);
        world.set_quietly("contacts", &ids[1_300], "name", "Quiet");
        world.run().tables(&["contacts"]).full_refresh().go().await;
        world.assert_truth(&["contacts"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_dated_ahead_of_the_clock_are_read_too() {
    let world = World::start(Settings { contacts: 700, ..Settings::default() }).await;
    let ids = world.ids("contacts");
    let ahead = world.sandbox.now().as_second() + 3 * YEAR;
    updated_at(&world, "contacts", &ids[..400], |number| json!(ahead + number));
    world.load(&["contacts"]).await;
    world.assert_truth(&["contacts"]);
    // Far enough from the last reading for dates that move backwards to count.
    world.sandbox.advance(2 * HOUR);
    world.update_some("contacts", 20);
    world.load(&["contacts"]).await;
    world.assert_truth(&["contacts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_of_rows_ahead_of_the_clock_goes_on_where_it_was_stopped() {
    let world = World::start(Settings { contacts: 1_200, ..Settings::default() }).await;
    let now = world.sandbox.now().as_second();
    let ids = world.ids("contacts");
    created_at(&world, "contacts", &ids[300..], |number| json!(now + YEAR + number));
    let run = world.run().tables(&["contacts"]).commit_every(1).concurrency(1);
    run.stopped_at_request("/contacts/search", 5).go().await;
    world.sandbox.advance(HOUR);
    // Made after the first run, and dated before what that one had come to.
    let late = world.insert("contacts");
    world.set_quietly("contacts", &late, "created_at", now + YEAR - 5);
    world.load(&["contacts"]).await;
    world.assert_truth(&["contacts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dates_of_zero_and_before_are_dates() {
    for zone in ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"] {
        let settings = Settings {
            contacts: 701,
            conversations: 701,
            time_zone: jiff::tz::TimeZone::get(zone).unwrap(),
            ..Settings::default()
        };
        let world = World::start(settings).await;
        let tables = ["contacts", "conversations"];
        for table in tables {
            let ids = world.ids(table);
            let dates = [0, -1, -5 * 86_400, -40 * YEAR, 86_399, 40_000];
            let date = |number: i64| json!(dates[usize::try_from(number).unwrap() % dates.len()]);
            created_at(&world, table, &ids[..467], date);
            updated_at(&world, table, &ids[..467], date);
        }
        world.load(&tables).await;
        world.assert_truth(&tables);
        world.sandbox.advance(8 * DAY);
        for table in tables {
            world.set_quietly(table, &world.ids(table)[7], "read", true);
        }
        world.load(&tables).await;
        world.assert_truth(&tables);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_shows_entries_ahead_of_the_clock() {
    let world = World::start(Settings { activity_logs: 400, ..Settings::default() }).await;
    let now = world.sandbox.now().as_second();
    let ids = world.ids("activity_logs");
    created_at(&world, "activity_logs", &ids[..300], |number| json!(now + 3 * 3_600 + number));
    world.load(&["activity_logs"]).await;
    world.assert_truth(&["activity_logs"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_on_rows_ahead_of_the_clock_is_swept_to_its_end() {
    let world = World::start(Settings { contacts: 500, ..Settings::default() }).await;
    let now = world.sandbox.now().as_second();
    let (ids, tags, segments) = (world.ids("contacts"), world.ids("tags"), world.ids("segments"));
    created_at(&world, "contacts", &ids, |number| json!(now + YEAR + number));
    for contact in &ids {
        let (contact, tag, segment) = (contact.clone(), tags[0].clone(), segments[0].clone());
        world.sandbox.change(Change::AddTag { contact: contact.clone(), tag });
        world.sandbox.change(Change::EnterSegment { contact, segment });
    }
    world.load(&["contact_tags", "contact_segments"]).await;
    world.assert_truth(&["contact_tags", "contact_segments"]);
}

/// Takes the `created_at` of every hundredth row away; some of these rows have links.
fn undate(world: &World) -> Vec<String> {
    let ids: Vec<String> = world.ids("contacts").into_iter().step_by(95).collect();
    created_at(world, "contacts", &ids, |_| Value::Null);
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_date_are_there_after_a_load_that_was_stopped() {
    let tables = ["contacts", "contact_companies"];
    for undated_last in [false, true] {
        for (contacts, concurrency) in [(4_000, 1), (12_000, 16)] {
            let settings = Settings { contacts, undated_last, contact_links: true, ..Settings::default() };
            let world = World::start(settings).await;
            undate(&world);
            let run = world.run().tables(&tables).commit_every(150).concurrency(concurrency);
            run.stopped_at_request("/contacts/search", 12).go().await;
            assert!(!world.rows("contacts").is_empty());
            let report = world.load(&tables).await;
            assert_eq!(of(&report, "contacts").mode, "resuming a refresh");
            world.assert_truth(&tables);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_date_are_as_new_as_others_after_a_refresh_that_was_stopped() {
    let tables = ["contacts", "contact_companies"];
    for undated_last in [false, true] {
        let settings = Settings { contacts: 1_500, undated_last, contact_links: true, ..Settings::default() };
        let world = World::start(settings).await;
        let ids = undate(&world);
        world.load(&tables).await;
        world.assert_truth(&tables);
        world.sandbox.advance(DAY);
        let company = world.ids("companies").remove(40);
        let run = world.run().tables(&tables).full_refresh().commit_every(150).concurrency(1);
        run.stopped_at_request("/contacts/search", 7).go().await;
        for id in &ids {
            world.set_quietly("contacts", id, "name", "Quiet");
            let (contact, list) = (id.clone(), ingest::sandbox::ContactList::Companies);
            world.sandbox.change(Change::Attach { contact, list, id: company.clone() });
        }
        let report = world.load(&tables).await;
        assert_eq!(of(&report, "contacts").mode, "resuming a refresh");
        let wrong = world.differences("contacts").wrong;
        assert!(!wrong.iter().any(|cell| ids.iter().any(|id| cell.starts_with(id.as_str()))), "{wrong:?}");
        let missing = world.differences("contact_companies").missing;
        assert!(missing.is_empty(), "{missing:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_rows_without_a_date_are_read_does_not_leave_them_out() {
    let begin = async || {
        let settings = Settings { contacts: 2_000, undated_last: true, ..Settings::default() };
        let world = World::start(settings).await;
        undate(&world);
        let run = world.run().tables(&["contacts"]).commit_every(150).concurrency(1);
        run.stopped_at_request("/contacts/search", 5).go().await;
        world
    };
    let resumed = |world: &World| {
        let requests = world.requests("/contacts/search");
        requests.iter().position(|request| request.body["pagination"]["per_page"] == json!(1))
    };
    let world = begin().await;
    world.run().tables(&["contacts"]).commit_every(150).concurrency(1).go().await;
    let counts = u32::try_from(resumed(&world).expect("rows are counted")).unwrap();
    for stopped_after in [counts, counts + 1, counts + 2] {
        let world = begin().await;
        let run = world.run().tables(&["contacts"]).commit_every(150).concurrency(1);
        run.stopped_at_request("/contacts/search", stopped_after).go().await;
        world.load(&["contacts"]).await;
        world.assert_truth(&["contacts"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_date_survive_a_pass_that_fails_in_the_middle() {
    for undated_last in [false, true] {
        let settings = Settings { contacts: 2_000, undated_last, ..Settings::default() };
        let world = World::start(settings).await;
        undate(&world);
        let (matching, what) = ("/contacts/search".to_owned(), ingest::sandbox::FaultKind::NotJson);
        world.sandbox.fault(ingest::sandbox::Fault { matching, after: 6, times: 1, what });
        world.load(&["contacts"]).await;
        world.assert_truth(&["contacts"]);
    }
}

also_over_lakes!(
    rows_dated_ahead_of_the_clock_are_rows_like_others,
    dates_of_zero_and_before_are_dates,
    rows_without_a_date_are_there_after_a_load_that_was_stopped,
);
