//! Worlds that move while they are read, or show their changes late.

use std::time::Duration;

use ingest::report::Outcome;
use ingest::sandbox::{Change, Churn, Settings};

use crate::support::world::{DATED, HOUR, MINUTE, World, of};
use crate::support::wrapped::Moment;

fn churn(tables: &[&str], updates: u32, inserts: u32, deletes: u32) -> Churn {
    let tables = tables.iter().map(|&table| table.to_owned()).collect();
    Churn { every_requests: 1, updates, inserts, deletes, tables }
}

/// What is searched, and what stands inside it.
const LATE: [&str; 7] = [
    "contacts",
    "conversations",
    "tickets",
    "conversation_parts",
    "ticket_parts",
    "contact_companies",
    "conversation_contacts",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_shows_late_is_read_by_a_later_run() {
    for lag in [20 * MINUTE, 59 * MINUTE] {
        let world = World::start(Settings { index_lag: lag, ..Settings::default() }).await;
        for table in DATED {
            world.update_some(table, 5);
            world.insert(table);
        }
        world.load(&LATE).await;
        for table in DATED {
            let missing = world.differences(table).missing;
            assert_eq!(missing.len(), 1, "{table}: the search cannot show the new row yet");
        }
        // Runs far closer together than the lag: each leaves changes behind that nobody could see.
        for minutes in [1, 7, 30, 15] {
            for table in DATED {
                world.update_some(table, 3);
                world.insert(table);
            }
            world.sandbox.advance(minutes * MINUTE);
            world.load(&LATE).await;
        }
        world.sandbox.advance(lag);
        world.load(&LATE).await;
        world.assert_truth(&LATE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_a_refresh_and_an_increment_amid_changes_lose_nothing() {
    const MOVING: [&str; 4] = ["contacts", "conversations", "tickets", "companies"];
    let tables = [&LATE[..], &["companies", "company_tags"]].concat();
    for lag in [Duration::ZERO, 10 * MINUTE] {
        let settings = Settings {
            contacts: 700,
            conversations: 500,
            companies: 450,
            index_lag: lag,
            ..Settings::default()
        };
        let world = World::start(settings).await;
        world.sandbox.set_churn(Some(churn(&MOVING, 6, 2, 1)));
        world.load(&tables).await;
        world.sandbox.advance(11 * MINUTE);
        let report = world.run().tables(&tables).full_refresh().go().await;
        assert_eq!(report.exit_code(), 0);
        world.sandbox.advance(11 * MINUTE);
        world.load(&tables).await;
        world.sandbox.set_churn(None);
        world.sandbox.advance(lag + MINUTE);
        world.load(&tables).await;
        world.assert_nothing_lost(&tables, "after the last change");
        let companies = world.differences("companies");
        assert_eq!(companies.extra, [""; 0], "every company that went is stamped");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn articles_that_change_while_their_pages_are_read_are_not_skipped() {
    let world = World::start(Settings { articles: 260, ..Settings::default() }).await;
    // One change in the pages still to come is enough to push them all over a page edge.
    world.sandbox.set_churn(Some(churn(&["articles"], 1, 0, 0)));
    let report = world.run().tables(&["articles"]).go().await;
    assert_eq!(of(&report, "articles").outcome, Outcome::Complete, "{:?}", of(&report, "articles").error);
    world.sandbox.set_churn(None);
    world.load(&["articles"]).await;
    world.assert_truth(&["articles"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn articles_that_come_and_go_while_they_are_read_are_complete_or_fail_loudly() {
    let world = World::start(Settings { articles: 260, ..Settings::default() }).await;
    world.sandbox.set_churn(Some(churn(&["articles"], 2, 1, 1)));
    let report = world.run().tables(&["articles"]).go().await;
    let checkpoint = world.state("articles").and_then(|state| state.checkpoint);
    assert_eq!(of(&report, "articles").outcome == Outcome::Complete, checkpoint.is_some());
    world.sandbox.set_churn(None);
    world.load(&["articles"]).await;
    world.assert_nothing_lost(&["articles"], "after the last change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_took_longer_than_the_lag_is_followed_by_another() {
    let world = World::start(Settings::default()).await;
    world.load(&["contacts"]).await;
    let id = world.ids("contacts").remove(0);
    let sandbox = world.sandbox.clone();
    let change = Change::Update { table: "contacts".into(), id };
    let slow = move |moment| match moment {
        Moment::Before(0) => sandbox.advance(2 * HOUR),
        Moment::After(0) => drop(sandbox.change(change.clone())),
        _ => {}
    };
    let began = world.sandbox.now();
    let report = world.run().tables(&["contacts"]).watching(slow).go().await;
    assert!(of(&report, "contacts").checkpoint > Some(began + HOUR), "complete as of the last pass");
    world.assert_truth(&["contacts"]);
}
