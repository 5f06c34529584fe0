//! Any history of changes, waits and runs ends in the truth.

use std::time::Duration;

use fastrand::Rng;
use ingest::sandbox::{Change, Settings};
use jiff::tz::TimeZone;

use crate::support::world::{DATED, DAY, HOUR, MINUTE, World, also_over_lakes};

/// What changes.
const MOVING: [&str; 7] =
    ["contacts", "conversations", "tickets", "companies", "articles", "tags", "ticket_types"];
/// What is read and compared: that, what stands inside it, and who belongs to it.
const TABLES: [&str; 18] = [
    "contacts",
    "conversations",
    "tickets",
    "companies",
    "articles",
    "tags",
    "ticket_types",
    "conversation_parts",
    "ticket_parts",
    "ticket_type_attributes",
    "contact_companies",
    "contact_notes",
    "contact_tags",
    "company_tags",
    "company_segments",
    "conversation_contacts",
    "conversation_tags",
    "conversation_teammates",
];

fn change(world: &World, rng: &mut Rng) {
    let table = MOVING[rng.usize(0..MOVING.len())];
    match rng.u32(0..8) {
        0 | 1 => drop(world.insert(table)),
        2 if !DATED.contains(&table) => {
            let ids = world.ids(table);
            world.delete(table, &ids[rng.usize(0..ids.len())]);
        }
        3 => {
            let mut ids = world.ids(table);
            rng.shuffle(&mut ids);
            ids.truncate(rng.usize(1..200));
            world.sandbox.change(Change::BulkUpdate { table: table.to_owned(), ids });
        }
        _ => world.update_some(table, rng.u32(1..30)),
    }
}

async fn history(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let zones = ["America/Los_Angeles", "Europe/Dublin", "Asia/Kolkata", "Pacific/Kiritimati"];
    let lags = [Duration::ZERO, Duration::ZERO, 20 * MINUTE, 59 * MINUTE];
    let lag = lags[rng.usize(0..lags.len())];
    let settings = Settings {
        seed,
        time_zone: TimeZone::get(zones[rng.usize(0..zones.len())]).unwrap(),
        index_lag: lag,
        contacts: rng.usize(1..400),
        conversations: rng.usize(1..300),
        tickets: rng.usize(1..200),
        ticket_types: 9,
        contact_links: true,
        ..Settings::default()
    };
    let world = World::start(settings).await;
    let waits = [Duration::ZERO, Duration::from_secs(1), 10 * MINUTE, 59 * MINUTE, 3 * HOUR, DAY, 8 * DAY];
    for round in 0..4 {
        for _ in 0..rng.u32(0..6) {
            change(&world, &mut rng);
            world.sandbox.advance(waits[rng.usize(0..4)]);
        }
        world.load(&TABLES).await;
        // What shows late can only be asked for at the end.
        if lag.is_zero() {
            world.assert_nothing_lost(&TABLES, &format!("seed {seed}, round {round}"));
        }
        world.sandbox.advance(waits[rng.usize(0..waits.len())]);
    }
    world.sandbox.advance(HOUR);
    world.load(&TABLES).await;
    world.assert_nothing_lost(&TABLES, &format!("seed {seed}, at the end"));
    for differences in world.all_differences(&TABLES) {
        assert_eq!(differences.extra, [""; 0], "seed {seed}: what is gone is stamped");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_history_ends_in_the_truth() {
    for seed in 1..=4 {
        history(seed).await;
    }
}

also_over_lakes!(any_history_ends_in_the_truth,);
