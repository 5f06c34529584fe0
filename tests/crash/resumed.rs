//! A refresh that was stopped goes on where it was.

use ingest::report::Outcome;
use ingest::sandbox::Settings;

use crate::support::world::{DAY, HOUR, SEARCHED, World, of};

const PAGES: usize = 10;

fn settings() -> Settings {
    Settings { contacts: PAGES * 150, conversations: PAGES * 150, ..Settings::default() }
}

/// Requests of the last run that asked for a page of rows, oldest first.
fn pages(world: &World, table: &str) -> usize {
    let of_refresh = |body: &serde_json::Value| {
        body["sort"]["order"] == "ascending" && body["pagination"]["per_page"].as_i64() > Some(1)
    };
    world.requests(&format!("/{table}/search")).iter().filter(|request| of_refresh(&request.body)).count()
}

/// Stops a run of one table after so many pages.
async fn stop_after(world: &World, table: &str, pages: u32) {
    let path = format!("/{table}/search");
    // One after the other: what was answered before the request that it stops at has been read by then.
    let run = world.run().tables(&[table]).commit_every(1).concurrency(1);
    let stopped = run.stopped_at_request(&path, pages).go().await;
    assert_eq!(of(&stopped, table).outcome, Outcome::Interrupted);
    assert_eq!(of(&stopped, table).checkpoint, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_any_page_without_starting_over() {
    for (table, stops) in [("contacts", vec![1, 8]), ("conversations", vec![4])] {
        let mut world = World::start(settings()).await;
        for read in stops {
            world.forget();
            stop_after(&world, table, read).await;
            // A stop gives up what still waits for room in front of the writer, or for a list that a row has shown in part.
            let (read, kept) = (read as usize * 150, world.rows(table).len());
            assert!(kept == read || kept + 150 == read, "{kept} of {read} rows that were read are kept");
            let resumed = world.load(&[table]).await;
            let mode = if kept > 0 { "resuming a refresh" } else { "first load" };
            assert_eq!(of(&resumed, table).mode, mode);
            // The widened bound brings up to a page more, and the last proven second is read again.
            let left = PAGES - kept / 150;
            assert!(
                pages(&world, table) <= left + 1,
                "{} pages for {left} that were left",
                pages(&world, table)
            );
            world.assert_truth(&[table]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_later_after_changes_to_what_was_and_was_not_read() {
    for table in SEARCHED {
        let world = World::start(settings()).await;
        stop_after(&world, table, 3).await;
        let changes = || {
            world.update_some(table, 120);
            (0..5).for_each(|_| drop(world.insert(table)));
        };
        changes();
        world.sandbox.advance(HOUR);
        stop_after(&world, table, 3).await;
        world.sandbox.advance(3 * DAY);
        changes();
        let resumed = world.load(&[table]).await;
        assert_eq!(of(&resumed, table).mode, "resuming a refresh");
        assert!(pages(&world, table) < PAGES, "what was read twice ago is not read again");
        world.assert_truth(&[table]);
        let next = world.load(&[table]).await;
        assert_eq!(of(&next, table).committed.new, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_known_table_keeps_the_checkpoint_it_had() {
    let world = World::start(settings()).await;
    world.load(&["contacts"]).await;
    let checkpoint = world.state("contacts").unwrap().checkpoint;
    world.sandbox.advance(HOUR);
    world.update_some("contacts", 50);
    let run = world.run().tables(&["contacts"]).full_refresh().stopped_at_request("/contacts/search", 4);
    run.go().await;
    let state = world.state("contacts").unwrap();
    assert_eq!(state.checkpoint, checkpoint);
    assert!(state.refresh.is_some());
    let resumed = world.load(&["contacts"]).await;
    assert_eq!(of(&resumed, "contacts").mode, "resuming a refresh");
    assert!(pages(&world, "contacts") < PAGES);
    world.assert_truth(&["contacts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_increment_starts_again_from_the_old_checkpoint() {
    let world = World::start(settings()).await;
    world.load(&SEARCHED).await;
    let checkpoint = world.state("contacts").unwrap().checkpoint;
    world.sandbox.advance(HOUR);
    world.update_some("contacts", 700);
    stop_after(&world, "contacts", 2).await;
    assert_eq!(world.state("contacts").unwrap().checkpoint, checkpoint);
    assert!(!world.differences("contacts").wrong.is_empty(), "it was stopped before the end");
    world.load(&SEARCHED).await;
    world.assert_truth(&SEARCHED);
}
