//! Missing permissions fail their tables; a refused token ends the run.

use ingest::error::ErrorKind;
use ingest::report::Outcome;
use ingest::sandbox::Settings;

use super::{NAMES, TABLES, open};
use crate::support::world::{HOUR, World, of};
use crate::support::wrapped::Moment;

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_fails_its_table_by_name_and_no_other() {
    for (status, (table, path)) in [401, 403, 403, 401].into_iter().zip(TABLES) {
        let world = open().await;
        world.sandbox.deny(path, status);
        let report = world.run().tables(&NAMES).go().await;
        for one in &report.tables {
            let Some(error) = &one.error else {
                world.assert_truth(&[&one.table]);
                continue;
            };
            assert_eq!((one.table.as_str(), error.kind()), (table, ErrorKind::Permission), "{error}");
            assert!(error.to_string().contains("lacks the permission"), "{error}");
            assert_eq!(world.state(table), None);
        }
        assert_eq!((of(&report, table).outcome, report.exit_code()), (Outcome::Failed, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_permission_at_all_is_exit_code_3() {
    let world = open().await;
    for (_, path) in TABLES {
        world.sandbox.deny(path, 403);
    }
    assert_eq!(world.run().tables(&NAMES).go().await.exit_code(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_taken_away_and_given_back_costs_nothing_but_time() {
    let mut world = World::start(Settings::default()).await;
    world.load(&["contacts", "companies"]).await;
    let twin = Settings {
        denied: vec![ingest::sandbox::Denied { path_prefix: "/companies".into(), status: 403 }],
        ..Settings::default()
    };
    let whole = std::mem::replace(&mut world.sandbox, ingest::sandbox::Sandbox::start(twin).await.unwrap());
    world.sandbox.advance(HOUR);
    let before = world.state("companies");
    let report = world.run().tables(&["contacts", "companies"]).go().await;
    assert_eq!(report.exit_code(), 1);
    assert_eq!(world.state("companies"), before);
    world.sandbox = whole;
    world.load(&["contacts", "companies"]).await;
    world.assert_truth(&["contacts", "companies"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_revoked_in_mid_run_stops_the_run() {
    let world = open().await;
    world.load(&NAMES).await;
    world.sandbox.advance(HOUR);
    world.update_some("contacts", 300);
    let states: Vec<_> = NAMES.iter().map(|table| world.state(table)).collect();
    let sandbox = world.sandbox.clone();
    let revoked = move |moment| {
        if moment == Moment::Before(0) {
            sandbox.revoke_token();
        }
    };
    let report = world.run().tables(&NAMES).watching(revoked).go().await;
    assert_eq!(report.exit_code(), 3);
    for table in &report.tables {
        assert_eq!(
            table.error.as_ref().map(ingest::error::Error::kind),
            Some(ErrorKind::Auth),
            "{}",
            table.table
        );
    }
    let after: Vec<_> = NAMES.iter().map(|table| world.state(table)).collect();
    assert_eq!(after, states);
    assert!(world.sandbox.requests().len() < 20, "nobody goes on asking");
}
