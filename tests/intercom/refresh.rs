//! What increments cannot see, refreshes bring.

use ingest::sandbox::{Change, Settings};
use jiff::Timestamp;

use crate::support::world::{DAY, HOUR, SEARCHED, World, also_over_lakes, of};

/// Moves values of a table in every way that increments cannot see; the rows that were hit.
fn move_unseen(world: &World, table: &str) -> usize {
    let ids = world.ids(table);
    let rows = world.sandbox.truth(table);
    let field = if table == "contacts" { "name" } else { "title" };
    world.set_quietly(table, &ids[10], field, "Quiet");
    // A date that moves backwards, with another value or without.
    for (place, value) in [(20, Some("Backwards")), (30, None)] {
        let id = ids[place].clone();
        let created = rows[place]["created_at"].as_i64().unwrap();
        let at = Timestamp::from_second(created - 86_400).unwrap();
        world.sandbox.change(Change::SetUpdatedAt { table: table.to_owned(), id: id.clone(), at });
        if let Some(value) = value {
            world.set_quietly(table, &id, field, value);
        }
    }
    if table != "contacts" {
        return 3;
    }
    let tags = |row: &serde_json::Value| row["tags"]["data"].as_array().map_or(0, Vec::len);
    let untagged = rows.iter().skip(40).find(|row| tags(row) == 0).unwrap();
    let tag = world.ids("tags").remove(0);
    world.sandbox.change(Change::AddTag { contact: untagged["id"].as_str().unwrap().to_owned(), tag });
    4
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_refresh_heals_values_whose_date_stood_still_or_moved_back() {
    let world = World::start(Settings::default()).await;
    world.load(&SEARCHED).await;
    world.sandbox.advance(DAY);
    let hit: Vec<usize> = SEARCHED.iter().map(|table| move_unseen(&world, table)).collect();
    world.load(&SEARCHED).await;
    for (table, hit) in SEARCHED.iter().zip(hit) {
        let mut rows: Vec<_> = world.differences(table).wrong;
        for cell in &mut rows {
            cell.truncate(cell.find(':').unwrap());
        }
        rows.dedup();
        assert_eq!(rows.len(), hit, "{table}: increments cannot see these");
    }
    world.sandbox.advance(6 * DAY);
    let report = world.load(&SEARCHED).await;
    assert_eq!(of(&report, "contacts").mode, "refresh is due");
    world.assert_truth(&SEARCHED);
    let report = world.load(&SEARCHED).await;
    assert_eq!(of(&report, "contacts").mode, "changes since the last run");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_due_refreshes_one_that_is_asked_for_heals_as_well() {
    let mut world = World::start(Settings::default()).await;
    world.rules.refresh_every = None;
    world.load(&SEARCHED).await;
    world.sandbox.advance(30 * DAY);
    for table in SEARCHED {
        move_unseen(&world, table);
    }
    let report = world.load(&SEARCHED).await;
    assert_eq!(of(&report, "contacts").mode, "changes since the last run");
    let report = world.run().tables(&SEARCHED).full_refresh().go().await;
    assert_eq!(of(&report, "contacts").mode, "full refresh");
    world.assert_truth(&SEARCHED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shortfall_twice_running_is_answered_with_a_refresh_at_once() {
    let world = World::start(Settings::default()).await;
    world.load(&SEARCHED).await;
    world.sandbox.advance(HOUR);
    // Rows that appear with dates long past, as an import brings them.
    let past = world.sandbox.now() - 300 * DAY;
    for _ in 0..20 {
        let (table, id) = ("contacts".to_owned(), world.insert("contacts"));
        world.sandbox.change(Change::SetUpdatedAt { table, id, at: past });
    }
    world.sandbox.advance(HOUR);
    let first = world.load(&SEARCHED).await;
    assert_eq!(of(&first, "contacts").mode, "changes since the last run");
    assert_eq!(world.differences("contacts").missing.len(), 20);
    let second = world.load(&SEARCHED).await;
    let contacts = of(&second, "contacts");
    assert_eq!(contacts.mode, "refresh: the source counts more rows than the table holds");
    assert_eq!(of(&second, "conversations").mode, "changes since the last run");
    world.assert_truth(&SEARCHED);
    assert_eq!(world.state("contacts").unwrap().shortfalls, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_was_gained_makes_a_refresh_due_once() {
    let settings = Settings::default();
    let mut world = World::start(settings.clone()).await;
    world.sandbox.deny("/tickets", 403);
    let modes = |report: &ingest::report::RunReport| of(report, "conversations").mode.clone();
    let first = world.load(&["conversations"]).await;
    assert!(of(&first, "conversations").notes[0].contains("without \"Read tickets\""));
    assert_eq!(modes(&world.load(&["conversations"]).await), "changes since the last run");
    // The same workspace, where the token may now do more.
    world.sandbox = ingest::sandbox::Sandbox::start(settings).await.unwrap();
    let gained = world.load(&["conversations"]).await;
    assert_eq!(modes(&gained), "refresh: a permission was gained");
    assert!(of(&gained, "conversations").notes.is_empty());
    assert_eq!(modes(&world.load(&["conversations"]).await), "changes since the last run");
    assert!(world.requests("/tickets").is_empty(), "what is known is not asked again");
    world.assert_truth(&["conversations"]);
}

also_over_lakes!(
    a_due_refresh_heals_values_whose_date_stood_still_or_moved_back,
    without_due_refreshes_one_that_is_asked_for_heals_as_well,
    a_shortfall_twice_running_is_answered_with_a_refresh_at_once,
    a_permission_that_was_gained_makes_a_refresh_due_once,
);
