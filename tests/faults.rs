//! What goes wrong on the way, on script.

mod once;
mod pages;
mod permissions;
mod persisting;
mod scroll;

use std::time::Duration;

use ingest::sandbox::{Fault, FaultKind, RateLimit, Sandbox, Settings};

use crate::support::world::{MINUTE, World};

/// One table of each kind of endpoint, and the path it is read by.
const TABLES: [(&str, &str); 4] = [
    ("contacts", "/contacts/search"),
    ("companies", "/companies/scroll"),
    ("articles", "/articles"),
    ("tags", "/tags"),
];
const NAMES: [&str; 4] = ["contacts", "companies", "articles", "tags"];

/// How long a stalled answer takes; more than anybody waits here.
const STALL: Duration = Duration::from_millis(900);
const PATIENCE: Duration = Duration::from_millis(250);

/// A workspace of a few pages per table, where a scroll that was lost does not stand in the way for a minute.
async fn open() -> World {
    let settings = Settings {
        contacts: 320,
        companies: 250,
        articles: 120,
        rate_limit: Some(RateLimit { requests: 1_000, per: Duration::from_secs(1) }),
        ..Settings::default()
    };
    let world = World::start(settings).await;
    tokio::spawn(let_lost_scrolls_expire(world.sandbox.clone()));
    world
}

/// Pushes the clock over a scroll's expiry whenever one was found open.
async fn let_lost_scrolls_expire(sandbox: Sandbox) {
    let found_open = || {
        let requests = sandbox.requests();
        let refused =
            requests.iter().filter(|one| one.path_and_query == "/companies/scroll" && one.status == 400);
        refused.count()
    };
    let mut known = 0;
    loop {
        if found_open() > known {
            sandbox.advance(MINUTE);
        }
        known = found_open();
        // Not a wait for something to have happened, only a pause between two looks.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn status(code: u16, retry_after: Option<u64>, headers: bool) -> FaultKind {
    FaultKind::Status { code, error_code: "scripted".to_owned(), retry_after, headers }
}

/// From the request after `after` others on, `times` requests to `path` meet with `what`.
fn script(sandbox: &Sandbox, path: &str, after: u32, times: u32, what: &FaultKind) {
    sandbox.fault(Fault { matching: path.to_owned(), after, times, what: what.clone() });
}

/// Everything that may happen to any request and is worth another one.
fn transient() -> Vec<FaultKind> {
    vec![
        status(429, None, true),
        status(429, None, false),
        status(429, Some(1), false),
        status(408, None, true),
        status(500, None, true),
        status(502, None, false),
        status(503, Some(1), true),
        status(504, None, true),
        FaultKind::ResetBeforeAnswer,
        FaultKind::TruncatedBody,
        FaultKind::NotJson,
        FaultKind::EmptyBody,
        FaultKind::MissingRecords,
        FaultKind::BadRow,
        FaultKind::Stall(STALL),
    ]
}
