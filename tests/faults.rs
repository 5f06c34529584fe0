//! What goes wrong on the way, on script.

mod once;
mod pages;
mod permissions;
mod persisting;
mod scroll;

use std::time::Duration;

use ingest::sandbox::{Fault, FaultKind, RateLimit, Sandbox, Settings};

use crate::support::world::World;

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

/// A workspace of a few pages per table. Its scroll expires soon, so that a lost one can be opened again.
async fn open() -> World {
    let settings = Settings {
        contacts: 320,
        companies: 250,
        articles: 120,
        scroll_expiry: Duration::from_millis(150),
        rate_limit: Some(RateLimit { requests: 1_000, per: Duration::from_secs(1) }),
        ..Settings::default()
    };
    World::start(settings).await
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
