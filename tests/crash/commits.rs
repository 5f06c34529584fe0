//! A destination that fails: before a commit, or after it was carried out.

use ingest::report::RunReport;
use ingest::sandbox::Settings;

use crate::support::world::{HOUR, MINUTE, World};
use crate::support::wrapped::Mishap;

const TABLES: [&str; 4] = ["contacts", "companies", "conversations", "tags"];

fn has_failed(report: &RunReport) -> bool {
    report.exit_code() == 4
}

async fn the_run_after_a_failure_at_any_commit_is_right(mishap: Mishap) {
    let mut world = World::start(Settings { contacts: 400, ..Settings::default() }).await;
    for at in 0.. {
        world.forget();
        let first = world.run().tables(&TABLES).commit_every(120).mishap(at, mishap.clone()).go().await;
        if !has_failed(&first) {
            assert!(at > 4, "there are several commits to fail at");
            break;
        }
        // The company scroll was left open.
        world.sandbox.advance(MINUTE);
        world.load(&TABLES).await;
        world.assert_truth(&TABLES);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nothing_was_written() {
    the_run_after_a_failure_at_any_commit_is_right(Mishap::Refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_answer_was_lost() {
    the_run_after_a_failure_at_any_commit_is_right(Mishap::AnswerLost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn increments_survive_it_as_well() {
    for mishap in [Mishap::Refused, Mishap::AnswerLost] {
        let world = World::start(Settings { contacts: 400, ..Settings::default() }).await;
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
            world.run().tables(&TABLES).commit_every(80).mishap(at, mishap.clone()).go().await;
            world.sandbox.advance(MINUTE);
            world.load(&TABLES).await;
            gone += 1;
            assert_eq!(world.assert_nothing_lost(&TABLES, &format!("{mishap:?} at {at}")), gone);
            assert_eq!(world.differences("companies").stamped.len(), gone, "companies that went");
        }
    }
}
