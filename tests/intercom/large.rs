//! More rows than a page, a list or a rate window holds.

use std::time::Duration;

use ingest::sandbox::{RateLimit, Settings};

use crate::support::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn more_than_ten_thousand_companies_come_also_those_without_users() {
    let world = World::start(Settings { companies: 10_250, ..Settings::default() }).await;
    world.load(&["companies"]).await;
    world.assert_truth(&["companies"]);
    let lonely =
        world.rows("companies").iter().filter(|row| row["user_count"].as_deref() == Some("0")).count();
    assert!(lonely > 1_000, "{lonely} companies without users");
}

/// Large tables without what takes a request for each row.
const TABLES: &[&str] = &[
    "contacts",
    "conversations",
    "companies",
    "articles",
    "tags",
    "contact_tags",
    "company_tags",
    "conversation_tags",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_tight_rate_limit_is_kept_and_everything_arrives() {
    let rate_limit = Some(RateLimit { requests: 25, per: Duration::from_secs(1) });
    let settings = Settings {
        contacts: 3_000,
        conversations: 2_000,
        companies: 1_500,
        articles: 400,
        rate_limit,
        ..Settings::default()
    };
    let world = World::start(settings).await;
    world.load(TABLES).await;
    world.assert_truth(TABLES);
    let requests = world.sandbox.requests();
    let refused = requests.iter().filter(|request| request.status == 429).count();
    assert!(requests.len() > 60, "{} requests are more than two windows hold", requests.len());
    // Each of the five windows ends once, and a busy machine is late now and then.
    assert!(refused <= 8, "{refused} of {} requests were refused", requests.len());
}
