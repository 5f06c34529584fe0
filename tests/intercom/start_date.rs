//! `start_date` and `lookback_window`.

use std::collections::BTreeSet;

use ingest::sandbox::{Churn, Settings};
use jiff::{SignedDuration, Timestamp};

use crate::support::truth::Cells;
use crate::support::world::{DAY, HOUR, SEARCHED, World, of};

/// The moment before which `share` percent of a table's rows were last changed.
fn quantile(world: &World, table: &str, share: usize) -> Timestamp {
    let mut dates: Vec<i64> =
        world.sandbox.truth(table).iter().filter_map(|row| row["updated_at"].as_i64()).collect();
    dates.sort_unstable();
    Timestamp::from_second(dates[dates.len() * share / 100]).unwrap()
}

/// Fails unless the searched tables hold exactly the true rows changed at or after `start`.
fn assert_truth_since(world: &World, start: Timestamp) {
    for table in SEARCHED {
        let differences = world.differences(table);
        assert!(differences.wrong.is_empty() && differences.extra.is_empty(), "{table}: {differences:?}");
        let truth = world.sandbox.truth(table);
        let older = truth.iter().filter(|row| row["updated_at"].as_i64() < Some(start.as_second()));
        let older: Vec<&str> = older.filter_map(|row| row["id"].as_str()).collect();
        assert!(!older.is_empty() && older.len() < truth.len(), "{table}: the start divides the rows");
        assert_eq!(differences.missing.iter().map(String::as_str).collect::<Vec<_>>(), older, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_rows_changed_since_the_start_are_read_and_an_earlier_start_reads_what_is_missing() {
    let settings = Settings { contacts: 900, conversations: 600, ..Settings::default() };
    let mut world = World::start(settings).await;
    let (late, early) = (quantile(&world, "contacts", 60), quantile(&world, "contacts", 30));

    world.rules.start_date = Some(late);
    world.load(&SEARCHED).await;
    assert_truth_since(&world, late);

    world.sandbox.advance(HOUR);
    world.update_some("contacts", 20);
    world.load(&SEARCHED).await;
    assert_truth_since(&world, late);

    world.rules.start_date = Some(early);
    world.update_some("contacts", 20);
    let report = world.load(&SEARCHED).await;
    assert_truth_since(&world, early);
    let contacts = of(&report, "contacts");
    assert_eq!(contacts.mode, "start_date moved earlier");
    assert!(contacts.read < 900 * 30 / 100 + 50, "{} rows read for what was missing", contacts.read);

    // A later start takes nothing away, and none at all means everything.
    world.rules.start_date = Some(late);
    let report = world.load(&SEARCHED).await;
    assert_eq!(of(&report, "contacts").mode, "changes since the last run");
    assert_truth_since(&world, early);
    world.rules.start_date = None;
    world.load(&SEARCHED).await;
    world.assert_truth(&SEARCHED);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_change_while_only_changed_rows_are_read_are_not_lost() {
    let mut world = World::start(Settings { contacts: 900, conversations: 600, ..Settings::default() }).await;
    let start = quantile(&world, "contacts", 30);
    world.rules.start_date = Some(start);
    let tables = SEARCHED.map(str::to_owned).to_vec();
    world.sandbox.set_churn(Some(Churn { every_requests: 1, updates: 9, inserts: 1, deletes: 0, tables }));
    for table in SEARCHED {
        // One after the other: what was answered two requests before the one that it stops at is stored by then.
        let run = world.run().tables(&[table]).concurrency(1);
        run.stopped_at_request(&format!("/{table}/search"), 3).go().await;
    }
    world.sandbox.advance(DAY);
    let resumed = world.load(&SEARCHED).await;
    assert_eq!(of(&resumed, "contacts").mode, "resuming a refresh");
    world.sandbox.set_churn(None);
    world.load(&SEARCHED).await;
    assert_truth_since(&world, start);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_inside_rows_is_cut_with_them() {
    let inside = ["conversation_parts", "conversation_contacts", "contact_companies"];
    let tables = [&SEARCHED[..], &inside].concat();
    let mut world = World::start(Settings { contacts: 500, conversations: 300, ..Settings::default() }).await;
    let starts = [60, 30].map(|share| quantile(&world, "conversations", share));
    for (start, mode) in starts.into_iter().zip(["first load", "start_date moved earlier"]) {
        world.rules.start_date = Some(start);
        let report = world.load(&tables).await;
        assert_eq!(of(&report, "conversation_parts").mode, mode);
        assert_truth_since(&world, start);
        for table in inside {
            let (parents, of) = if table == "contact_companies" {
                ("contacts", "contact_id")
            } else {
                ("conversations", "conversation_id")
            };
            let read: BTreeSet<_> = world.rows(parents).into_iter().map(|row| row["id"].clone()).collect();
            let differences = world.differences(table);
            assert!(differences.wrong.is_empty() && differences.extra.is_empty(), "{table}: {differences:?}");
            let of_them = |row: &Cells| read.contains(&row[of]);
            assert!(world.rows(table).iter().all(of_them), "{table}: of nobody else");
        }
        world.sandbox.advance(2 * HOUR);
        world.update_some("conversations", 20);
    }
    world.rules.start_date = None;
    world.load(&tables).await;
    world.assert_truth(&tables);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_read_whole_are_not_cut_by_a_start_date() {
    let mut world = World::start(Settings::default()).await;
    world.rules.start_date = Some(quantile(&world, "companies", 50));
    world.load(&["companies", "articles", "tags"]).await;
    world.assert_truth(&["companies", "articles", "tags"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_back_reads_again_what_lies_before_the_checkpoint() {
    let mut world = World::start(Settings::default()).await;
    let ids: Vec<String> = SEARCHED.iter().map(|table| world.ids(table).remove(7)).collect();
    for (table, id) in SEARCHED.iter().zip(&ids) {
        world.update(table, id);
    }
    world.sandbox.advance(10 * HOUR);
    world.load(&SEARCHED).await;
    for (table, field) in SEARCHED.iter().zip(["name", "title"]) {
        world.set_quietly(table, &ids[usize::from(field == "title")], field, "Seen late");
    }
    world.load(&SEARCHED).await;
    for table in SEARCHED {
        assert_eq!(world.differences(table).wrong.len(), 1, "{table}: nothing says that the row changed");
    }
    world.rules.lookback = SignedDuration::from_hours(12);
    world.load(&SEARCHED).await;
    world.assert_truth(&SEARCHED);
}
