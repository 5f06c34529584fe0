//! Parts of conversations, asked for one conversation at a time, and of tickets, which show their own.

use ingest::report::Outcome;
use ingest::sandbox::{Change, Fault, FaultKind, Settings};
use tempfile::TempDir;

use crate::support::world::{DAY, HOUR, MINUTE, World, also_over_lakes, of};

const BOTH: [&str; 2] = ["conversations", "conversation_parts"];
/// Begins every request for one conversation.
const ONE: &str = "/conversations/2";

/// The conversations that the last run asked for, in order, as often as it did.
fn asked_for(world: &World) -> Vec<String> {
    let path = |request: ingest::sandbox::RequestRecord| request.path_and_query;
    let id = |path: String| path.trim_start_matches("/conversations/").to_owned();
    let mut ids: Vec<String> = world.requests(ONE).into_iter().map(path).map(id).collect();
    ids.sort();
    ids
}

fn add_parts(world: &World, table: &str, id: &str, count: usize) {
    for _ in 0..count {
        let (table, id) = (table.to_owned(), id.to_owned());
        assert_eq!(world.sandbox.change(Change::AddPart { table, id }).len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_conversations_that_changed_are_asked_for() {
    let world = World::start(Settings::default()).await;
    world.load(&BOTH).await;
    assert_eq!(asked_for(&world), world.ids("conversations"), "each once");

    world.sandbox.advance(2 * HOUR);
    world.load(&BOTH).await;
    assert_eq!(asked_for(&world), [""; 0], "nothing changed");

    let mut changed: Vec<String> = [3, 50, 90].map(|at| world.ids("conversations").remove(at)).into();
    for id in &changed {
        world.update("conversations", id);
    }
    changed.push(world.insert("conversations"));
    changed.sort();
    world.sandbox.advance(MINUTE);
    world.load(&BOTH).await;
    assert_eq!(asked_for(&world), changed);
    world.assert_truth(&BOTH);

    // What was read so soon after the change may have lacked some of it: once more, and then no more.
    world.sandbox.advance(2 * HOUR);
    world.load(&BOTH).await;
    assert_eq!(asked_for(&world), changed);
    for (wait, mode) in [(2, "changes since the last run"), (7 * 24, "refresh is due")] {
        world.sandbox.advance(wait * HOUR);
        let report = world.load(&BOTH).await;
        assert_eq!((of(&report, "conversation_parts").mode.as_str(), asked_for(&world).len()), (mode, 0));
    }
    world.run().tables(&BOTH).full_refresh().go().await;
    assert_eq!(asked_for(&world), world.ids("conversations"), "each once, for whoever asks for everything");
    world.assert_truth(&BOTH);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_only_the_statistics_count_is_fetched_by_a_refresh() {
    let world = World::start(Settings::default()).await;
    let tables = ["conversations", "conversation_parts", "tickets", "ticket_parts"];
    world.load(&tables).await;
    world.sandbox.advance(2 * HOUR);
    let conversation = world.ids("conversations").remove(60);
    add_parts(&world, "conversations", &conversation, 1);
    add_parts(&world, "tickets", &world.ids("tickets")[40], 1);
    world.load(&tables).await;
    assert_eq!(asked_for(&world), [""; 0], "no increment sees it");
    world.sandbox.advance(7 * 24 * HOUR);
    world.load(&tables).await;
    assert_eq!(asked_for(&world), [conversation.as_str()]);
    world.assert_truth(&tables);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_are_no_longer_shown_stay_and_what_is_missing_is_told() {
    let world = World::start(Settings::default()).await;
    let tables = ["conversations", "conversation_parts", "tickets", "ticket_parts"];
    world.load(&tables).await;
    world.assert_truth(&tables);
    // One conversation and one ticket were too long from the beginning; another two are when nobody looks.
    let (conversations, tickets) = (world.ids("conversations"), world.ids("tickets"));
    let long = [("conversations", &conversations[17]), ("tickets", &tickets[23])];
    let grown = [("conversations", &conversations[30]), ("tickets", &tickets[30])];
    let counted = |table: &str, id: &String| {
        (world.cell(table, id, "parts_truncated"), world.cell(table, id, "parts_total_count"))
    };
    let told = |is_cut: &str, total: usize| (Some(is_cut.to_owned()), Some(total.to_string()));
    let stored = |table: &str, id: &String| {
        let (parts, of) = match table {
            "tickets" => ("ticket_parts", "ticket_id"),
            _ => ("conversation_parts", "conversation_id"),
        };
        world.rows(parts).iter().filter(|row| row[of].as_ref() == Some(id)).count()
    };
    for (table, id) in long {
        assert_eq!((counted(table, id), stored(table, id)), (told("true", 520), 500), "{table}");
    }
    let mut before = Vec::new();
    for (table, id) in grown {
        let parts = world.sandbox.parts(id).len();
        assert_eq!((counted(table, id), stored(table, id)), (told("false", parts), parts), "{table}");
        before.push(parts);
    }

    world.sandbox.advance(2 * HOUR);
    for (table, id) in long {
        add_parts(&world, table, id, 7);
    }
    for (table, id) in grown {
        add_parts(&world, table, id, 505);
    }
    for (table, id) in long.into_iter().chain(grown) {
        // That is one part more.
        world.update(table, id);
    }
    world.load(&tables).await;
    world.assert_truth(&tables);
    for (table, id) in long {
        assert_eq!((counted(table, id), stored(table, id)), (told("true", 528), 508), "{table}");
    }
    for ((table, id), before) in grown.into_iter().zip(before) {
        let total = before + 506;
        let seen = before + 500;
        assert_eq!(
            (counted(table, id), stored(table, id)),
            (told("true", total), seen.min(total)),
            "{table}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_may_be_asked_for_later_or_alone() {
    let world = World::start(Settings::default()).await;
    world.load(&["conversations"]).await;
    assert_eq!(world.cell("conversations", &world.ids("conversations")[0], "parts_total_count"), None);
    world.sandbox.advance(3 * HOUR);
    world.update_some("conversations", 5);
    world.load(&["conversation_parts"]).await;
    world.assert_truth(&["conversation_parts"]);
    world.load(&BOTH).await;
    world.assert_truth(&BOTH);
    world.sandbox.advance(3 * HOUR);
    let new = world.insert("conversations");
    world.update("conversations", &new);
    world.load(&["conversation_parts"]).await;
    // The conversation comes after its parts, and is told what was counted.
    world.load(&["conversations"]).await;
    world.assert_truth(&BOTH);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_files_do_not_know_of_each_other() {
    let mut world = World::start(Settings::default()).await;
    world.load(&BOTH).await;
    let first = world.go_on_in(TempDir::new().unwrap());
    world.sandbox.advance(2 * HOUR);
    world.load(&["conversation_parts"]).await;
    assert_eq!(asked_for(&world).len(), 120);
    world.assert_truth(&["conversation_parts"]);
    let second = world.go_on_in(first);
    world.update("conversations", &world.ids("conversations")[5]);
    world.sandbox.advance(2 * HOUR);
    for folder in [None, Some(second)] {
        if let Some(folder) = folder {
            drop(world.go_on_in(folder));
        }
        world.load(&BOTH).await;
        assert_eq!(asked_for(&world), [world.ids("conversations").remove(5)]);
        world.assert_truth(&BOTH);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_the_search_shows_and_nobody_finds_costs_no_other_its_parts() {
    let world = World::start(Settings { index_lag: 30 * MINUTE, ..Settings::default() }).await;
    let gone = world.ids("conversations").remove(40);
    world.delete("conversations", &gone);
    let report = world.load(&BOTH).await;
    let parts = of(&report, "conversation_parts");
    assert_eq!(parts.outcome, Outcome::Complete);
    assert!(
        parts.notes.iter().any(|note| note.starts_with("1 conversations were not found")),
        "{:?}",
        parts.notes
    );
    world.assert_nothing_lost(&BOTH, "but for the one that is gone");
    assert_eq!(world.differences("conversation_parts").extra, [""; 0]);
    world.sandbox.advance(2 * HOUR);
    world.load(&BOTH).await;
    assert_eq!(asked_for(&world), [""; 0], "nobody asks for it again");

    // It comes back exactly as it was.
    world.restore("conversations", &gone);
    world.sandbox.advance(2 * HOUR);
    for _ in 0..2 {
        world.run().tables(&BOTH).full_refresh().go().await;
        world.sandbox.advance(2 * HOUR);
    }
    world.assert_truth(&BOTH);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_some_parts_is_no_reason_to_leave_the_others_out() {
    let world = World::start(Settings::default()).await;
    world.sandbox.advance(2 * HOUR);
    for limit in [3, 40] {
        world.run().tables(&BOTH).limit(limit).go().await;
    }
    let now = world.sandbox.now();
    world.run().tables(&BOTH).interval(now - 300 * 24 * HOUR, now - 100 * 24 * HOUR).go().await;
    world.load(&BOTH).await;
    world.assert_truth(&BOTH);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_stopped_among_parts_goes_on_where_it_was() {
    let world = World::start(Settings { conversations: 450, ..Settings::default() }).await;
    world.sandbox.advance(2 * HOUR);
    let stopped = world.run().tables(&BOTH).commit_every(100).stopped_at_request(ONE, 330);
    assert_eq!(stopped.go().await.exit_code(), 130);
    assert!(!world.rows("conversation_parts").is_empty());
    world.load(&BOTH).await;
    let again = asked_for(&world).len();
    assert!((1..450).contains(&again), "{again} conversations are asked for again");
    world.assert_truth(&BOTH);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_was_cut_short_for_both_may_be_finished_for_one_first() {
    let world = World::start(Settings { conversations: 450, ..Settings::default() }).await;
    world.sandbox.advance(2 * HOUR);
    world.run().tables(&BOTH).commit_every(100).stopped_at_request(ONE, 330).go().await;
    world.load(&["conversations"]).await;
    world.sandbox.advance(2 * HOUR);
    world.update_some("conversations", 20);
    world.load(&["conversations"]).await;
    world.sandbox.advance(2 * HOUR);
    world.load(&BOTH).await;
    world.assert_truth(&BOTH);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_in_a_conversation_without_moving_its_date_is_read_within_a_month() {
    let tables = ["conversations", "conversation_parts", "tickets", "ticket_parts"];
    let mut world = World::start(Settings { conversations: 300, ..Settings::default() }).await;
    world.load(&tables).await;
    for table in ["conversations", "tickets"] {
        let of_many = |id: &&String| world.sandbox.shown_parts(id).len() > 1;
        let ids = world.ids(table);
        for id in ids.iter().filter(of_many).take(40) {
            let (table, id) = (table.to_owned(), id.clone());
            assert_eq!(world.sandbox.change(Change::RedactPart { table, id, at: 0 }).len(), 1);
        }
    }
    world.sandbox.advance(2 * HOUR);
    world.load(&tables).await;
    assert!(!world.differences("conversation_parts").wrong.is_empty(), "nothing says so");
    // Tickets show their parts themselves, so that a refresh brings them.
    world.sandbox.advance(8 * DAY);
    world.load(&tables).await;
    world.assert_truth(&["ticket_parts"]);
    assert!(!world.differences("conversation_parts").wrong.is_empty(), "what was read is not read again");

    world.sandbox.advance(25 * DAY);
    let mut asked = Vec::new();
    for _ in 0..4 {
        world.load(&tables).await;
        asked.push(asked_for(&world).len());
    }
    // As many as came due since the last run, then the rest.
    assert!((245..=255).contains(&asked[0]), "{asked:?}");
    assert_eq!((asked[0] + asked[1], asked[2], asked[3]), (300, 0, 0), "a month after they were read");
    world.assert_truth(&tables);
    world.rules.parts_refresh_every = None;
    world.sandbox.advance(90 * DAY);
    world.load(&tables).await;
    assert_eq!(asked_for(&world), [""; 0], "never, if that is wanted");
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_that_are_due_are_read_a_share_at_a_time_the_youngest_first() {
    let world = World::start(Settings { conversations: 400, ..Settings::default() }).await;
    world.load(&BOTH).await;
    world.sandbox.advance(31 * DAY);
    // Nearly all of the month has passed since the last run; then an hour.
    world.load(&BOTH).await;
    assert_eq!(asked_for(&world).len(), 400);
    world.sandbox.advance(29 * DAY);
    world.load(&BOTH).await;
    assert_eq!(asked_for(&world), [""; 0]);
    world.sandbox.advance(2 * DAY);
    world.load(&BOTH).await;
    let first = asked_for(&world);
    assert_eq!(first.len(), 100, "a hundred at least");
    let changed =
        |id: &String| world.cell("conversations", id, "updated_at").unwrap().parse::<i64>().unwrap();
    let oldest = first.iter().map(changed).min().unwrap();
    let others = world.ids("conversations").into_iter().filter(|id| !first.contains(id));
    assert!(others.map(|id| changed(&id)).all(|other| other <= oldest));
    for _ in 0..3 {
        world.sandbox.advance(HOUR);
        world.load(&BOTH).await;
    }
    world.sandbox.advance(HOUR);
    world.load(&BOTH).await;
    assert_eq!(asked_for(&world), [""; 0], "each once a month");
    world.assert_truth(&BOTH);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_cannot_be_read_again_fails_nothing() {
    let world = World::start(Settings::default()).await;
    world.load(&BOTH).await;
    let ids = world.ids("conversations");
    let what = FaultKind::Status { code: 403, error_code: "x".into(), retry_after: None, headers: true };
    let matching = format!("/conversations/{}", ids[9]);
    world.sandbox.fault(Fault { matching, after: 0, times: 1_000, what });
    world.sandbox.advance(31 * DAY);
    let report = world.load(&BOTH).await;
    let is_told = |note: &String| note.contains("could not be read again");
    assert!(report.tables.iter().any(|table| table.notes.iter().any(is_told)));
    world.assert_truth(&BOTH);
}

also_over_lakes!(
    what_changes_in_a_conversation_without_moving_its_date_is_read_within_a_month,
    only_conversations_that_changed_are_asked_for,
    a_part_that_only_the_statistics_count_is_fetched_by_a_refresh,
    parts_that_are_no_longer_shown_stay_and_what_is_missing_is_told,
    parts_may_be_asked_for_later_or_alone,
    a_conversation_that_the_search_shows_and_nobody_finds_costs_no_other_its_parts,
    a_look_at_some_parts_is_no_reason_to_leave_the_others_out,
    a_run_stopped_among_parts_goes_on_where_it_was,
    a_load_that_was_cut_short_for_both_may_be_finished_for_one_first,
);
