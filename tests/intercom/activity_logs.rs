//! The log of teammates' activities: windows that shrink, joints that hold, increments that ask little.

use std::time::Duration;

use ingest::report::Outcome;
use ingest::sandbox::{Comparison, Settings};

use crate::support::world::{DAY, HOUR, World, of};

const LOGS: &[&str] = &["activity_logs"];

fn requests(world: &World) -> usize {
    world.requests("/admins/activity_logs").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_are_too_wide_shrink_until_they_are_answered() {
    for comparison in [Comparison::Exclusive, Comparison::Inclusive] {
        for widest in [10 * DAY, 7 * HOUR * 24 + HOUR, 3 * DAY] {
            let settings = Settings { activity_log_window: widest, comparison, ..Settings::default() };
            let world = World::start(settings).await;
            let report = world.load(LOGS).await;
            world.assert_truth(LOGS);
            assert_eq!(of(&report, "activity_logs").read, 120, "each entry once, {comparison:?}, {widest:?}");
            let refused =
                world.requests("/admins/activity_logs").iter().filter(|one| one.status == 500).count();
            assert!(refused > 0, "wider ones were tried");
            let answered = requests(&world) - refused;
            assert!(refused * 3 < answered, "{refused} of {} were refused", requests(&world));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_at_the_joints_are_read_exactly_once() {
    for comparison in [Comparison::Exclusive, Comparison::Inclusive] {
        let world = World::start(Settings { comparison, ..Settings::default() }).await;
        // The log is read from a day before the workspace was made, four years ago, a month at a time.
        let begins = world.sandbox.now().as_second() / 60 * 60 - 86_400 * (4 * 365 + 1);
        let step: i64 = 30 * 86_400;
        let joints = (20..40).map(|step_number| begins + step * step_number);
        let seconds: Vec<i64> = joints.flat_map(|joint| [joint - 1, joint, joint + 1]).collect();
        for (id, second) in world.ids("activity_logs").into_iter().zip(&seconds) {
            world.set_quietly("activity_logs", &id, "created_at", *second);
        }
        let report = world.run().tables(LOGS).log_step(Duration::from_secs(step.unsigned_abs())).go().await;
        let asked: Vec<_> = world.requests("/admins/activity_logs");
        let bound = format!("created_at_before={}&", seconds[1] + 1);
        assert!(asked.iter().any(|one| one.path_and_query.contains(&bound)), "these are the joints");
        assert_eq!(of(&report, "activity_logs").read, 120, "{comparison:?}");
        world.assert_truth(LOGS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_with_more_entries_than_a_page_is_read_to_its_end() {
    let settings = Settings { activity_logs: 2_000, activity_log_window: 500 * DAY, ..Settings::default() };
    let world = World::start(settings).await;
    let report = world.run().tables(LOGS).log_step(400 * DAY).go().await;
    assert_eq!(of(&report, "activity_logs").outcome, Outcome::Complete);
    world.assert_truth(LOGS);
    assert!(requests(&world) < 20, "{}", requests(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn increments_ask_for_what_is_new_and_nothing_is_ever_read_again() {
    let world = World::start(Settings::default()).await;
    world.load(LOGS).await;
    for wait in [Duration::ZERO, 5 * HOUR, 9 * DAY] {
        world.sandbox.advance(wait);
        for _ in 0..3 {
            world.insert("activity_logs");
        }
        let report = world.load(LOGS).await;
        let logs = of(&report, "activity_logs");
        assert_eq!((logs.mode.as_str(), logs.committed.new), ("changes since the last run", 3), "{wait:?}");
        assert_eq!(requests(&world), 1, "{wait:?}");
        world.assert_truth(LOGS);
    }
    // After months it takes as many windows.
    world.sandbox.advance(100 * DAY);
    world.insert("activity_logs");
    world.load(LOGS).await;
    assert_eq!(requests(&world), 4);
    world.assert_truth(LOGS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_that_was_stopped_goes_on_where_it_was() {
    let world = World::start(Settings::default()).await;
    world.run().tables(LOGS).stopped_at_request("/admins/activity_logs", 30).go().await;
    let before = world.rows("activity_logs").len();
    assert!(before > 0, "what came is kept");
    let report = world.load(LOGS).await;
    assert_eq!(of(&report, "activity_logs").mode, "resuming a refresh");
    assert!(requests(&world) < 30, "{} requests", requests(&world));
    world.assert_truth(LOGS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_date_cuts_the_log_and_an_earlier_one_reads_what_is_missing() {
    let mut world = World::start(Settings::default()).await;
    let now = world.sandbox.now();
    // Days until now from the start, and from the earliest entry that is there afterwards.
    for (days, reach, mode) in [
        (200, 200, "first load"),
        (500, 500, "start_date moved earlier"),
        (300, 500, "changes since the last run"),
    ] {
        world.rules.start_date = Some(now - days * DAY);
        let report = world.load(LOGS).await;
        assert_eq!(of(&report, "activity_logs").mode, mode);
        let start = (now - reach * DAY).as_second();
        let is_since = |row: &&serde_json::Value| row["created_at"].as_i64() >= Some(start);
        let expected = world.sandbox.truth("activity_logs").iter().filter(is_since).count();
        assert_eq!(world.rows("activity_logs").len(), expected, "{days} days");
        let differences = world.differences("activity_logs");
        assert!(differences.wrong.is_empty() && differences.extra.is_empty());
    }
    world.rules.start_date = None;
    world.load(LOGS).await;
    world.assert_truth(LOGS);
}
