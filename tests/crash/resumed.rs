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

#[tokio::test(flavor = "multi_thread")]
async fn at_any_page_without_starting_over() {
    for table in SEARCHED {
        let mut world = World::start(settings()).await;
        for commit in [0, 3, 8, 9] {
            world.forget();
            let stopped = world.run().tables(&[table]).commit_every(1).stopped_at_commit(commit).go().await;
            assert_eq!(of(&stopped, table).outcome, Outcome::Interrupted);
            let kept = world.rows(table).len();
            assert!(kept >= (commit + 1) * 150, "what was proven is kept");
            let resumed = world.load(&[table]).await;
            assert_eq!(of(&resumed, table).mode, "resuming a refresh");
            // The widened bound brings up to a page more, and the last proven second is read again.
            let left = PAGES - kept / 150;
            assert!(pages(&world, table) <= left + 2, "{} pages for {left} that were left", pages(&world, table));
            world.assert_truth(&[table]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_later_after_changes_to_what_was_and_was_not_read() {
    let world = World::start(settings()).await;
    let stopped = world.run().tables(&SEARCHED).commit_every(1).stopped_at_commit(6).go().await;
    assert!(stopped.tables.iter().all(|table| table.outcome == Outcome::Interrupted));
    for days in [0, 3] {
        world.sandbox.advance(days * DAY);
        for table in SEARCHED {
            world.update_some(table, 120);
            for _ in 0..5 {
                world.insert(table);
            }
        }
        // Stopped once more on the way.
        if days == 0 {
            world.run().tables(&SEARCHED).commit_every(1).stopped_at_commit(3).go().await;
        }
    }
    let resumed = world.load(&SEARCHED).await;
    assert_eq!(of(&resumed, "contacts").mode, "resuming a refresh");
    world.assert_truth(&SEARCHED);
    let next = world.load(&SEARCHED).await;
    assert_eq!(of(&next, "contacts").committed.new, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_refresh_of_a_known_table_keeps_its_checkpoint() {
    let world = World::start(settings()).await;
    world.load(&["contacts"]).await;
    let checkpoint = world.state("contacts").unwrap().checkpoint;
    world.sandbox.advance(HOUR);
    world.update_some("contacts", 50);
    world.run().tables(&["contacts"]).full_refresh().commit_every(1).stopped_at_commit(4).go().await;
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
    world.run().tables(&["contacts"]).commit_every(1).stopped_at_commit(1).go().await;
    assert_eq!(world.state("contacts").unwrap().checkpoint, checkpoint);
    world.load(&SEARCHED).await;
    world.assert_truth(&SEARCHED);
}
