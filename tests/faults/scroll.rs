//! The company scroll: its place is lost with an answer, and only one may be open.

use std::time::Duration;

use ingest::sandbox::{FaultKind, Settings};

use super::{PATIENCE, STALL, open, script, status};
use crate::support::world::{World, of};

const COMPANIES: &[&str] = &["companies"];
const SCROLL: &str = "/companies/scroll";

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_complete_answer_is_never_repeated() {
    let lost = [
        FaultKind::LostScrollAnswer,
        FaultKind::ResetBeforeAnswer,
        FaultKind::TruncatedBody,
        FaultKind::EmptyBody,
        FaultKind::NotJson,
        FaultKind::MissingRecords,
        FaultKind::BadRow,
        FaultKind::Stall(STALL),
        status(500, None, true),
        status(404, None, true),
    ];
    let mut world = open().await;
    world.patience = PATIENCE;
    for (turn, what) in lost.into_iter().enumerate() {
        // Pages 2, 3, or the empty one at the end, which has no row that could be bad.
        let positions = match what {
            FaultKind::LostScrollAnswer => vec![1, 2, 3],
            FaultKind::BadRow => vec![2],
            _ => vec![1 + turn % 3],
        };
        for at in positions {
            world.forget();
            script(&world.sandbox, SCROLL, u32::try_from(at).unwrap(), 1, &what);
            world.load(COMPANIES).await;
            world.assert_truth(COMPANIES);
            let asked: Vec<String> =
                world.requests(SCROLL).into_iter().map(|request| request.path_and_query).collect();
            assert_ne!(asked[at], SCROLL, "{what:?}: the fault hit a page within the scroll");
            assert_eq!(asked[at + 1], SCROLL, "{what:?}: starts over");
            assert!(!asked[at + 1..].contains(&asked[at]), "{what:?}: the lost scroll is left alone");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_refusal_for_the_rate_is_followed_by_the_same_request() {
    let world = open().await;
    script(&world.sandbox, SCROLL, 2, 3, &status(429, None, false));
    world.load(COMPANIES).await;
    world.assert_truth(COMPANIES);
    let fresh = world.requests(SCROLL).iter().filter(|request| request.path_and_query == SCROLL).count();
    assert_eq!(fresh, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tools_scroll_is_waited_for() {
    let settings =
        Settings { companies: 250, scroll_expiry: Duration::from_millis(300), ..Settings::default() };
    let world = World::start(settings).await;
    assert!(world.sandbox.open_foreign_scroll());
    let report = world.load(COMPANIES).await;
    world.assert_truth(COMPANIES);
    let statuses: Vec<u16> = world.requests(SCROLL).iter().map(|request| request.status).collect();
    assert_eq!(statuses[0], 400);
    assert_eq!(statuses[statuses.len() - 4..], [200; 4], "three pages and the end");
    assert!(of(&report, "companies").elapsed >= Duration::from_millis(250));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scroll_whose_answers_keep_getting_lost_fails_after_ten_restarts() {
    let world = open().await;
    script(&world.sandbox, SCROLL, 0, u32::MAX, &FaultKind::ResetBeforeAnswer);
    let report = world.run().tables(COMPANIES).go().await;
    let error = of(&report, "companies").error.as_ref().unwrap();
    assert!(error.to_string().contains("scroll restarted 10 times"), "{error}");
    assert_eq!(world.requests(SCROLL).len(), 11);
    assert_eq!(world.state("companies"), None);
}
