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

/// Conversations and all that stands inside them.
const CONVERSATIONS: [&str; 5] = [
    "conversations",
    "conversation_parts",
    "conversation_tags",
    "conversation_contacts",
    "conversation_teammates",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_was_gained_makes_a_refresh_due_once() {
    let world = World::start(Settings { ticket_conversations: 4, ..Settings::default() }).await;
    world.sandbox.deny("/tickets", 403);
    let modes = |report: &ingest::report::RunReport| of(report, "conversations").mode.clone();
    let first = world.load(&["conversations"]).await;
    assert!(of(&first, "conversations").notes[0].contains("without \"Read tickets\""));
    assert_eq!(world.differences("conversations").missing.len(), 30);
    assert_eq!(modes(&world.load(&["conversations"]).await), "changes since the last run");
    world.sandbox.allow("/tickets");
    let gained = world.load(&["conversations"]).await;
    assert_eq!(modes(&gained), "refresh: a permission was gained");
    assert!(of(&gained, "conversations").notes.is_empty());
    assert_eq!(modes(&world.load(&["conversations"]).await), "changes since the last run");
    assert_eq!(world.requests("/tickets").len(), 2, "before and after: permissions come and go");
    world.assert_truth(&["conversations"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_lost_marks_nothing_and_what_was_missed_is_read_when_it_is_back() {
    let world = World::start(Settings { ticket_conversations: 4, ..Settings::default() }).await;
    world.load(&CONVERSATIONS).await;
    world.assert_truth(&CONVERSATIONS);
    let hidden: Vec<String> = world.ids("conversations").into_iter().step_by(4).collect();
    for asks in [false, true] {
        world.sandbox.deny("/tickets", 403);
        world.sandbox.advance(8 * DAY);
        let run = world.run().tables(&CONVERSATIONS);
        let report = if asks { run.full_refresh().go().await } else { run.go().await };
        assert_eq!(report.exit_code(), 0);
        let notes = &of(&report, "conversations").notes;
        assert!(notes.iter().any(|note| note.contains("without \"Read tickets\"")), "{notes:?}");
        // Whatever is not shown is still there.
        world.assert_truth(&CONVERSATIONS);
        for id in &hidden[..4] {
            world.update("conversations", id);
            let (table, id) = ("conversations".to_owned(), id.clone());
            world.sandbox.change(Change::AddPart { table, id });
        }
        world.sandbox.advance(HOUR);
        world.load(&CONVERSATIONS).await;
        assert!(!world.differences("conversations").wrong.is_empty(), "nobody could see that");
        world.sandbox.allow("/tickets");
        world.sandbox.advance(2 * HOUR);
        world.load(&CONVERSATIONS).await;
        world.assert_truth(&CONVERSATIONS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_lost_while_a_refresh_reads_marks_nothing_either() {
    let world = World::start(Settings { ticket_conversations: 4, ..Settings::default() }).await;
    world.load(&CONVERSATIONS).await;
    world.sandbox.advance(8 * DAY);
    let sandbox = world.sandbox.clone();
    let lose = move |moment| {
        if moment == crate::support::wrapped::Moment::Before(0) {
            sandbox.deny("/tickets", 403);
        }
    };
    let report = world.run().tables(&CONVERSATIONS).watching(lose).go().await;
    assert_eq!(report.exit_code(), 0);
    world.assert_truth(&CONVERSATIONS);
    world.update("conversations", &world.ids("conversations")[0]);
    world.sandbox.allow("/tickets");
    let report = world.load(&CONVERSATIONS).await;
    assert_eq!(of(&report, "conversations").mode, "refresh: a permission was gained");
    world.assert_truth(&CONVERSATIONS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_refresh_that_is_asked_for_does_not_go_on_with_one_that_was_only_due() {
    let tables = ["conversations", "conversation_parts"];
    let world = World::start(Settings { conversations: 300, ..Settings::default() }).await;
    world.load(&tables).await;
    let id = world.ids("conversations").remove(5);
    let redact = Change::RedactPart { table: "conversations".into(), id, at: 0 };
    assert_eq!(world.sandbox.change(redact).len(), 1);
    world.sandbox.advance(8 * DAY);
    let run = world.run().tables(&tables).commit_every(1).concurrency(1);
    run.stopped_at_request("/conversations/search", 2).go().await;
    assert!(world.state("conversation_parts").unwrap().refresh.is_some());
    let asked = || world.run().tables(&tables).full_refresh();
    let report = asked().go().await;
    assert_eq!(of(&report, "conversation_parts").mode, "full refresh");
    world.assert_truth(&tables);
    // One that was asked for is gone on with.
    world.sandbox.advance(DAY);
    asked().commit_every(1).concurrency(1).stopped_at_request("/conversations/2", 260).go().await;
    let report = asked().go().await;
    assert_eq!(of(&report, "conversation_parts").mode, "resuming a refresh");
    world.assert_truth(&tables);
}

also_over_lakes!(
    a_due_refresh_heals_values_whose_date_stood_still_or_moved_back,
    without_due_refreshes_one_that_is_asked_for_heals_as_well,
    a_shortfall_twice_running_is_answered_with_a_refresh_at_once,
    a_permission_that_was_gained_makes_a_refresh_due_once,
    a_permission_that_is_lost_marks_nothing_and_what_was_missed_is_read_when_it_is_back,
    a_full_refresh_that_is_asked_for_does_not_go_on_with_one_that_was_only_due,
);
