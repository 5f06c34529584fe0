//! Pages become smaller while the server has trouble making them, and larger again.

use ingest::sandbox::Settings;

use super::{script, status};
use crate::support::world::World;

/// Page sizes asked for by searches for rows; a count asks for one row.
fn sizes(world: &World) -> Vec<i64> {
    let requests = world.requests("/contacts/search");
    let sizes = requests.iter().filter_map(|request| request.body["pagination"]["per_page"].as_i64());
    sizes.filter(|size| *size > 1).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_second_trouble_on_each_attempt_asks_for_a_quarter() {
    let world = World::start(Settings { contacts: 1_500, ..Settings::default() }).await;
    script(&world.sandbox, "/contacts/search", 1, 4, &status(502, None, true));
    world.load(&["contacts"]).await;
    let sizes = sizes(&world);
    assert_eq!(sizes[..7], [150, 150, 150, 37, 9, 2, 2], "and what worked is kept");
    assert!(sizes[7..].contains(&8), "until ten pages came without trouble: {sizes:?}");
    world.assert_truth(&["contacts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trouble_now_and_then_changes_nothing() {
    let world = World::start(Settings { contacts: 700, ..Settings::default() }).await;
    for _ in 0..3 {
        script(&world.sandbox, "/contacts/search", 1, 1, &status(500, None, true));
    }
    world.load(&["contacts"]).await;
    assert!(sizes(&world).iter().all(|size| *size == 150), "{:?}", sizes(&world));
    world.assert_truth(&["contacts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_for_the_rate_are_no_such_trouble() {
    let world = World::start(Settings { contacts: 700, ..Settings::default() }).await;
    script(&world.sandbox, "/contacts/search", 1, 4, &status(429, None, false));
    world.load(&["contacts"]).await;
    assert!(sizes(&world).iter().all(|size| *size == 150), "{:?}", sizes(&world));
    world.assert_truth(&["contacts"]);
}
