//! Lists that grow, shrink and shift while their pages are read come out complete, and right.

use std::time::Duration;

use ingest::report::Outcome;
use ingest::sandbox::{Change, Churn, ContactList, Settings};

use crate::support::world::{HOUR, World, also_over_lakes, of};
use crate::support::wrapped::Moment;

/// Time that a request takes.
const TICK: Duration = Duration::from_millis(150);

fn churn(tables: &[&str], every_requests: u32, (updates, inserts, deletes): (u32, u32, u32)) -> Churn {
    let tables = tables.iter().map(|&table| table.to_owned()).collect();
    Churn { every_requests, updates, inserts, deletes, tables }
}

fn update_all(world: &World, contacts: &[String]) {
    for contact in contacts {
        world.update("contacts", contact);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_grows_while_it_is_read_is_complete() {
    for newest_first in [false, true] {
        // Sixty pages of 150 ms, and a call every five seconds.
        let world =
            World::start(Settings { calls: 1_500, newest_first, tick: TICK, ..Settings::default() }).await;
        world.sandbox.set_churn(Some(churn(&["calls"], 33, (0, 1, 0))));
        for _ in 0..3 {
            let report = world.load(&["calls"]).await;
            assert!(world.requests("/calls?").len() < 70, "{} requests", world.requests("/calls?").len());
            assert!(of(&report, "calls").read >= 1_500);
        }
        world.sandbox.set_churn(None);
        world.load(&["calls"]).await;
        world.assert_truth(&["calls"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_missed_that_was_there_all_the_time() {
    for (newest_first, changes) in
        [(true, (0, 2, 1)), (true, (0, 0, 1)), (false, (0, 1, 1)), (true, (3, 1, 1))]
    {
        let settings =
            Settings { calls: 400, articles: 500, newest_first, tick: TICK, ..Settings::default() };
        let world = World::start(settings).await;
        let before = [world.ids("calls"), world.ids("articles")];
        world.sandbox.set_churn(Some(churn(&["calls", "articles"], 3, changes)));
        let report = world.run().tables(&["calls", "articles"]).go().await;
        world.sandbox.set_churn(None);
        for (table, before) in ["calls", "articles"].iter().zip(before) {
            assert_eq!(of(&report, table).outcome, Outcome::Complete, "{:?}", of(&report, table).error);
            let missing = world.differences(table).missing;
            let was_there = |id: &&String| before.contains(*id);
            assert_eq!(missing.iter().filter(was_there).count(), 0, "{table}: {missing:?}, {changes:?}");
        }
        world.load(&["calls", "articles"]).await;
        world.assert_nothing_lost(&["calls", "articles"], "after the last change");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_grows_while_it_is_read_is_complete() {
    let world = World::start(Settings { contacts: 2_000, ..Settings::default() }).await;
    let segment = world.ids("segments").remove(0);
    let enter = |contact: &String| {
        let (contact, segment) = (contact.clone(), segment.clone());
        world.sandbox.change(Change::EnterSegment { contact, segment });
    };
    let ids = world.ids("contacts");
    ids.iter().step_by(2).for_each(enter);
    world.load(&["contact_segments"]).await;
    for round in 0..5 {
        // Anywhere in the order, all the time.
        let (sandbox, segment, ids) = (world.sandbox.clone(), segment.clone(), ids.clone());
        let joining = tokio::spawn(async move {
            for contact in ids.into_iter().skip(1).step_by(2).skip(round * 60).take(60) {
                sandbox.change(Change::EnterSegment { contact, segment: segment.clone() });
                // Not a wait for something to have happened, only a pace.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        let report = world.run().tables(&["contact_segments"]).concurrency(1).go().await;
        assert_eq!(report.exit_code(), 0, "{:?}", report.tables[0].error);
        joining.await.unwrap();
    }
    world.load(&["contact_segments"]).await;
    world.assert_truth(&["contact_segments"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_joins_companies_while_its_list_is_read_has_them_all() {
    let settings =
        Settings { companies: 130, many_companies: true, contact_links: true, ..Settings::default() };
    let world = World::start(settings).await;
    let companies = world.ids("companies");
    let busy = |row: &&serde_json::Value| row["companies"]["has_more"] == serde_json::json!(true);
    let rows = world.sandbox.truth("contacts");
    let contacts: Vec<String> =
        rows.iter().filter(busy).map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    assert!(!contacts.is_empty());
    world.load(&["contact_companies"]).await;
    for company in companies.iter().take(6) {
        world.sandbox.advance(HOUR);
        update_all(&world, &contacts);
        let (sandbox, contacts, company) = (world.sandbox.clone(), contacts.clone(), company.clone());
        let join = move |moment| {
            if moment == Moment::Before(0) {
                let (sandbox, contacts, company) = (sandbox.clone(), contacts.clone(), company.clone());
                // Some time while the pages are read.
                std::thread::spawn(move || {
                    for contact in contacts {
                        let (list, id) = (ContactList::Companies, company.clone());
                        sandbox.change(Change::Attach { contact, list, id });
                    }
                });
            }
        };
        let report = world.run().tables(&["contact_companies"]).watching(join).go().await;
        assert_eq!(report.exit_code(), 0);
    }
    world.sandbox.advance(HOUR);
    update_all(&world, &contacts);
    world.load(&["contact_companies"]).await;
    world.assert_truth(&["contact_companies"]);
}

also_over_lakes!(
    a_list_that_grows_while_it_is_read_is_complete,
    no_row_is_missed_that_was_there_all_the_time,
);
