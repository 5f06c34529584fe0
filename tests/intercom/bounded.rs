//! Runs that merge some rows and do nothing else.

use std::collections::BTreeMap;

use ingest::report::Outcome;
use ingest::sandbox::Settings;
use ingest::table::WriteDisposition;
use jiff::Timestamp;

use crate::support::world::{DATED, DAY, HOUR, MINUTE, World, also_over_lakes, of, spec};

fn second_of(row: &serde_json::Value) -> i64 {
    row["updated_at"].as_i64().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_merges_its_rows_and_touches_nothing_else() {
    let world = World::start(Settings::default()).await;
    let tables = ["contacts", "conversations", "companies", "articles", "tags"];
    world.load(&tables).await;
    world.sandbox.advance(2 * HOUR);
    world.update_some("contacts", 5);
    world.load(&tables).await;
    let states: Vec<_> = tables.iter().map(|table| world.state(table)).collect();

    // Values that moved without their date: only whoever reads the row again sees them.
    let contacts = world.sandbox.truth("contacts");
    let mut dates: Vec<i64> = contacts.iter().map(second_of).collect();
    dates.sort_unstable();
    let (from, to) = (dates[60], dates[120]);
    for contact in &contacts {
        world.set_quietly("contacts", contact["id"].as_str().unwrap(), "name", "Moved");
    }
    let company = world.ids("companies").remove(0);
    world.delete("companies", &company);
    world.sandbox.advance(MINUTE);
    let at = |second| Timestamp::from_second(second).unwrap();
    let report = world.run().tables(&tables).interval(at(from), at(to)).go().await;

    assert!(
        report.tables.iter().all(|table| table.outcome == Outcome::Partial && table.checkpoint.is_none())
    );
    let inside = |row: &&serde_json::Value| (from..to).contains(&second_of(row));
    let expected = contacts.iter().filter(inside).count();
    let moved = world.rows("contacts").iter().filter(|row| row["name"].as_deref() == Some("Moved")).count();
    assert_eq!(moved, expected, "the start belongs to the interval, the end does not");
    assert_eq!(of(&report, "contacts").committed.changed, expected as u64);
    assert_eq!(world.cell("companies", &company, "_deleted_at"), None, "nothing is stamped");
    for (table, state) in tables.iter().zip(states) {
        assert_eq!(world.state(table), state, "{table}");
    }

    // The next ordinary run goes on where the last one was.
    world.update_some("contacts", 3);
    let report = world.load(&tables).await;
    assert_eq!(of(&report, "contacts").mode, "changes since the last run");
    assert_eq!(world.differences("companies").stamped, [company]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_into_an_empty_file_is_no_first_load() {
    let world = World::start(Settings::default()).await;
    let now = world.sandbox.now();
    let report = world.run().interval(now - 365 * DAY, now).go().await;
    assert_eq!(report.exit_code(), 0);
    assert!(!world.rows("contacts").is_empty());
    for table in DATED {
        assert_eq!(world.state(table), None);
    }
    world.sandbox.advance(MINUTE);
    world.run().go().await;
    world.assert_truth(&world.tables());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_look_brings_the_newest_rows_and_claims_nothing() {
    let world = World::start(Settings { contacts: 400, companies: 250, ..Settings::default() }).await;
    let report = world.run().limit(10).go().await;
    assert_eq!(report.exit_code(), 0);
    for table in &report.tables {
        let (name, spec) = (&table.table, spec(&table.table));
        let (rows, wanted) = (world.rows(name), 10.min(world.expected_rows(name)));
        if let WriteDisposition::PerParent { parent } = spec.disposition {
            // What a parent has is shown whole or not at all, and of no more parents than it takes.
            let mut of_each: BTreeMap<&Option<String>, usize> = BTreeMap::new();
            for row in &rows {
                *of_each.entry(&row[parent]).or_default() += 1;
            }
            let most = of_each.values().max().copied().unwrap_or(0);
            assert!(rows.len() >= wanted && rows.len() < 10 + most, "{name}: {}", rows.len());
        } else {
            assert_eq!(rows.len(), wanted, "{name}");
        }
        assert_eq!(world.state(name), None, "{name}");
    }
    let mut newest: Vec<_> = world.sandbox.truth("contacts").iter().map(second_of).collect();
    newest.sort_unstable();
    let oldest_shown =
        world.rows("contacts").iter().map(|row| row["updated_at"].clone().unwrap()).min().unwrap();
    assert_eq!(oldest_shown, format!("{}000000", newest[newest.len() - 10]));

    // A scroll that was left open is gone after its minute.
    world.sandbox.advance(MINUTE);
    let report = world.run().go().await;
    assert_eq!(of(&report, "contacts").mode, "first load");
    world.assert_truth(&world.tables());
}

also_over_lakes!(
    an_interval_merges_its_rows_and_touches_nothing_else,
    an_interval_into_an_empty_file_is_no_first_load,
    a_first_look_brings_the_newest_rows_and_claims_nothing,
);
