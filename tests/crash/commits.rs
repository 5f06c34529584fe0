//! A destination that fails: before a commit, or after it was carried out.

use ingest::error::ErrorKind;
use ingest::sandbox::Settings;

use crate::support::world::{HOUR, MINUTE, World};
use crate::support::wrapped::Mishap;

const TABLES: [&str; 4] = ["contacts", "companies", "conversations", "tags"];
/// Commits to fail at. With a few rows to each, a run has more, though how many tables share one is chance.
const COMMITS: [usize; 4] = [0, 1, 2, 4];

/// Fails a first load at each commit in turn and runs again; how many of the first runs failed.
async fn first_loads_that_failed(mishap: Mishap) -> usize {
    let mut world = World::start(Settings { contacts: 200, ..Settings::default() }).await;
    let mut failed = 0;
    for at in COMMITS {
        world.forget();
        let first = world.run().tables(&TABLES).commit_every(60).mishap(at, mishap).go().await;
        failed += usize::from(first.exit_code() != 0);
        for table in &first.tables {
            let kind = table.error.as_ref().map(ingest::error::Error::kind);
            assert!(
                matches!(kind, None | Some(ErrorKind::Destination)),
                "{mishap:?} at {at}: {:?}",
                table.error
            );
            if kind.is_none() {
                world.assert_truth(&[&table.table]);
            }
        }
        // The company scroll may have been left open.
        world.sandbox.advance(MINUTE);
        world.load(&TABLES).await;
        world.assert_truth(&TABLES);
    }
    failed
}

#[tokio::test(flavor = "multi_thread")]
async fn when_one_was_refused() {
    // Where several tables shared the commit, each has one of its own before it gives up.
    assert!(first_loads_that_failed(Mishap::Refused).await <= COMMITS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nothing_could_be_written_from_then_on() {
    assert_eq!(first_loads_that_failed(Mishap::RefusedForGood).await, COMMITS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_answer_was_lost() {
    assert!(first_loads_that_failed(Mishap::AnswerLost).await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn increments_survive_it_as_well() {
    for mishap in [Mishap::RefusedForGood, Mishap::AnswerLost] {
        let world = World::start(Settings { contacts: 300, ..Settings::default() }).await;
        world.load(&TABLES).await;
        let mut gone = 0;
        for at in [0, 2, 3] {
            world.sandbox.advance(HOUR);
            for table in ["contacts", "companies", "conversations"] {
                world.update_some(table, 200);
                world.insert(table);
            }
            let company = world.ids("companies").remove(7);
            world.delete("companies", &company);
            world.run().tables(&TABLES).commit_every(80).mishap(at, mishap).go().await;
            world.sandbox.advance(MINUTE);
            world.load(&TABLES).await;
            gone += 1;
            assert_eq!(world.assert_nothing_lost(&TABLES, &format!("{mishap:?} at {at}")), gone);
            assert_eq!(world.differences("companies").stamped.len(), gone, "companies that went");
        }
    }
}
