//! Trouble that stays fails its table, keeps the checkpoint where it was, and leaves the others alone.

use std::time::Duration;

use ingest::report::Outcome;
use ingest::sandbox::{Change, FaultKind};

use super::{NAMES, PATIENCE, TABLES, open, script, status};
use crate::support::world::{HOUR, World, of};

const ALWAYS: u32 = u32::MAX;

async fn fails_alone(world: &World, table: &str, path: &str, what: &FaultKind) {
    let context = format!("{what:?} on {path}");
    world.sandbox.advance(HOUR);
    for changing in ["contacts", "companies", "articles"] {
        world.update_some(changing, 10);
    }
    let before = world.state(table);
    script(&world.sandbox, path, 0, ALWAYS, what);
    let report = world.run().tables(&NAMES).go().await;
    for one in &report.tables {
        if one.table == table {
            assert_eq!(one.outcome, Outcome::Failed, "{context}");
            assert_eq!(one.checkpoint, None, "{context}");
            assert_eq!(
                world.state(table).map(|s| s.checkpoint),
                before.as_ref().map(|s| s.checkpoint),
                "{context}"
            );
        } else {
            assert!(one.error.is_none(), "{}: {context}: {:?}", one.table, one.error);
        }
    }
    let others: Vec<&str> = NAMES.into_iter().filter(|other| *other != table).collect();
    world.assert_nothing_lost(&others, &context);
    assert_eq!(report.exit_code(), 1, "{context}");
    world.sandbox.clear_faults();
}

/// Once the trouble is over, nothing reminds of it.
async fn recovers(world: &World) {
    // A scroll left behind by a failure has expired by then.
    world.sandbox.advance(HOUR);
    world.load(&NAMES).await;
    world.assert_truth(&NAMES);
}

/// For each of `kinds`, each table in turn.
async fn each_fails_alone(kinds: &[FaultKind]) {
    let mut world = open().await;
    world.patience = PATIENCE;
    world.backoff.refusals = Duration::from_millis(200);
    world.backoff.attempts = 3;
    world.load(&NAMES).await;
    for what in kinds {
        for (table, path) in TABLES {
            fails_alone(&world, table, path, what).await;
        }
        recovers(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_server() {
    each_fails_alone(&[status(503, None, true), status(404, None, true)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_for_the_rate() {
    // The others wait for the shared budget while the refused one gives up.
    let mut world = open().await;
    world.backoff.refusals = Duration::from_millis(200);
    world.load(&NAMES).await;
    fails_alone(&world, "tags", "/tags", &status(429, None, false)).await;
    recovers(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_no_pages() {
    each_fails_alone(&[FaultKind::MissingRecords, FaultKind::NotJson]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_that_fails_leaves_no_checkpoint_and_the_next_one_is_right() {
    let kinds = [
        status(429, None, false),
        status(408, None, true),
        status(500, None, false),
        status(400, None, true),
        FaultKind::ResetBeforeAnswer,
        FaultKind::EmptyBody,
        FaultKind::BadRow,
    ];
    for what in kinds {
        let mut world = open().await;
        world.backoff.refusals = Duration::from_millis(100);
        script(&world.sandbox, "/contacts/search", 1, ALWAYS, &what);
        let report = world.run().tables(&["contacts", "tags"]).go().await;
        assert_eq!(of(&report, "contacts").outcome, Outcome::Failed, "{what:?}");
        assert_eq!(world.state("contacts").and_then(|state| state.checkpoint), None, "{what:?}");
        world.assert_truth(&["tags"]);
        world.sandbox.clear_faults();
        world.load(&["contacts"]).await;
        world.assert_truth(&["contacts"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_that_always_lead_back_end_in_failure_and_never_in_a_loop_or_a_loss() {
    for what in [FaultKind::RepeatCursor, FaultKind::AlternateCursor] {
        let world = open().await;
        // With every row in the same second no pass gets anywhere, whatever it has proven before.
        for id in world.ids("contacts") {
            world.set_quietly("contacts", &id, "created_at", 1_700_000_000);
        }
        world.load(&["tags"]).await;
        script(&world.sandbox, "/contacts/search", 0, ALWAYS, &what);
        let report = world.run().tables(&["contacts", "tags"]).go().await;
        let contacts = of(&report, "contacts");
        // A, B, A needs a third page, and there are but three.
        if contacts.outcome == Outcome::Failed {
            assert_eq!(world.state("contacts").and_then(|state| state.checkpoint), None);
        } else {
            world.assert_truth(&["contacts"]);
        }
        assert!(world.requests("/contacts").len() < 20, "{what:?}");
        world.sandbox.clear_faults();
        world.load(&["contacts"]).await;
        let ids = world.ids("contacts");
        world.sandbox.change(Change::BulkUpdate { table: "contacts".into(), ids });
        script(&world.sandbox, "/contacts/search", 0, ALWAYS, &what);
        let before = world.state("contacts").unwrap().checkpoint;
        let report = world.run().tables(&["contacts"]).go().await;
        if of(&report, "contacts").outcome == Outcome::Failed {
            assert_eq!(world.state("contacts").unwrap().checkpoint, before);
        }
        world.sandbox.clear_faults();
        world.load(&["contacts"]).await;
        world.assert_truth(&["contacts"]);
    }
}
