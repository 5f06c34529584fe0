//! Trouble that passes leaves no trace.

use ingest::sandbox::FaultKind;

use super::{NAMES, PATIENCE, TABLES, open, script, transient};
use crate::support::world::World;

/// Meets with `what` on every table, at the request after `after` others.
async fn passes_without_a_trace(world: &mut World, after: u32, what: &FaultKind) {
    world.forget();
    for (_, path) in TABLES {
        // Tags are one request.
        script(&world.sandbox, path, if path == "/tags" { 0 } else { after }, 1, what);
    }
    let report = world.run().tables(&NAMES).go().await;
    for table in &report.tables {
        assert!(table.error.is_none(), "{what:?} after {after}: {:?}", table.error);
    }
    assert_eq!(world.assert_nothing_lost(&NAMES, &format!("{what:?} after {after}")), 0);
    world.sandbox.clear_faults();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_first_request() {
    let mut world = open().await;
    world.patience = PATIENCE;
    for what in transient() {
        passes_without_a_trace(&mut world, 0, &what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_later_request() {
    let mut world = open().await;
    world.patience = PATIENCE;
    for what in transient() {
        passes_without_a_trace(&mut world, 2, &what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_increment() {
    let mut world = open().await;
    world.patience = PATIENCE;
    world.load(&NAMES).await;
    for what in transient() {
        world.update_some("contacts", 200);
        world.update_some("companies", 20);
        for (_, path) in TABLES {
            script(&world.sandbox, path, 0, 1, &what);
        }
        world.load(&NAMES).await;
        world.assert_truth(&NAMES);
        world.sandbox.clear_faults();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_that_lead_back_once() {
    let mut world = open().await;
    for (what, after) in [(FaultKind::RepeatCursor, 0), (FaultKind::AlternateCursor, 0)] {
        world.forget();
        script(&world.sandbox, "/contacts/search", after, 1, &what);
        world.load(&["contacts"]).await;
        world.assert_truth(&["contacts"]);
        // Among the newest first as well.
        let ids = world.ids("contacts");
        world.sandbox.change(ingest::sandbox::Change::BulkUpdate { table: "contacts".into(), ids });
        script(&world.sandbox, "/contacts/search", after, 1, &what);
        world.load(&["contacts"]).await;
        world.assert_truth(&["contacts"]);
    }
}
