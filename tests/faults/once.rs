//! Trouble that passes leaves no trace.

use ingest::sandbox::FaultKind;

use super::{NAMES, PATIENCE, TABLES, open, script, transient};

#[tokio::test(flavor = "multi_thread")]
async fn on_the_first_or_a_later_request_of_a_first_load() {
    let mut world = open().await;
    world.patience = PATIENCE;
    for (turn, what) in (0..).zip(transient()) {
        world.forget();
        for (place, (_, path)) in (0..).zip(TABLES) {
            // Another position for each table; tags are but one request.
            let after = if path == "/tags" { 0 } else { (turn + place) % 3 };
            script(&world.sandbox, path, after, 1, &what);
        }
        let report = world.run().tables(&NAMES).go().await;
        assert_eq!(report.exit_code(), 0, "{what:?}: {report:?}");
        assert_eq!(world.assert_nothing_lost(&NAMES, &format!("{what:?}")), 0);
        world.sandbox.clear_faults();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_increment() {
    let mut world = open().await;
    world.patience = PATIENCE;
    world.load(&NAMES).await;
    // Every other kind, without those that make everybody wait a second.
    for what in transient().into_iter().skip(3).step_by(2) {
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
    for what in [FaultKind::RepeatCursor, FaultKind::AlternateCursor] {
        world.forget();
        script(&world.sandbox, "/contacts/search", 0, 1, &what);
        world.load(&["contacts"]).await;
        world.assert_truth(&["contacts"]);
        // Among the newest first as well.
        let ids = world.ids("contacts");
        world.sandbox.change(ingest::sandbox::Change::BulkUpdate { table: "contacts".into(), ids });
        script(&world.sandbox, "/contacts/search", 0, 1, &what);
        world.load(&["contacts"]).await;
        world.assert_truth(&["contacts"]);
    }
}
