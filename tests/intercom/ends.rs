//! Answers that end before everything was shown, once or always.

use ingest::report::Outcome;
use ingest::sandbox::{Fault, FaultKind, Settings};

use crate::support::world::{DAY, HOUR, World, also_over_lakes, of};

/// The `after`-th and following requests, `times` in all, whose path begins so.
fn fault(world: &World, matching: &str, (after, times): (u32, u32), what: FaultKind) {
    world.sandbox.fault(Fault { matching: matching.to_owned(), after, times, what });
}

const ALWAYS: u32 = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_page_before_the_stated_rows_were_shown_is_not_the_end() {
    let world = World::start(Settings { contacts: 140, ..Settings::default() }).await;
    let tables = ["contacts", "contact_tags", "contact_companies"];
    fault(&world, "/contacts/search", (0, 1), FaultKind::EmptyPage);
    world.load(&tables).await;
    world.assert_truth(&tables);
    world.sandbox.advance(DAY);
    // Fewer than a tolerance would forgive, and more.
    for count in [6, 37] {
        world.update_some("contacts", count);
        world.sandbox.advance(HOUR);
        fault(&world, "/contacts/search", (0, 1), FaultKind::EmptyPage);
        world.load(&["contacts"]).await;
        world.assert_truth(&["contacts"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_whose_members_are_not_shown_keeps_its_links() {
    let world = World::start(Settings::default()).await;
    world.load(&["contact_tags", "contact_segments"]).await;
    for (after, times) in [(0, 1), (2, 3)] {
        world.sandbox.advance(HOUR);
        fault(&world, "/contacts/search", (after, times), FaultKind::EmptyPage);
        world.load(&["contact_tags", "contact_segments"]).await;
        world.assert_truth(&["contact_tags", "contact_segments"]);
    }
    fault(&world, "/contacts/search", (0, ALWAYS), FaultKind::EmptyPage);
    let report = world.run().tables(&["contact_tags"]).go().await;
    assert_eq!(of(&report, "contact_tags").outcome, Outcome::Failed);
    world.assert_truth(&["contact_tags"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_page_before_the_stated_rows_were_shown_is_not_the_end() {
    let world = World::start(Settings { contacts: 4_000, ..Settings::default() }).await;
    fault(&world, "/contacts/search", (2, 1), FaultKind::ShortPage(93));
    world.load(&["contacts"]).await;
    world.assert_truth(&["contacts"]);
    world.sandbox.advance(DAY);
    let ids = world.ids("contacts")[..2_000].to_vec();
    world.sandbox.change(ingest::sandbox::Change::BulkUpdate { table: "contacts".to_owned(), ids });
    world.sandbox.advance(HOUR);
    fault(&world, "/contacts/search", (2, 1), FaultKind::ShortPage(93));
    world.load(&["contacts"]).await;
    world.assert_truth(&["contacts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_always_ends_early_is_never_complete() {
    for (path, table) in [
        ("/contacts/search", "contacts"),
        ("/conversations/search", "conversations"),
        ("/companies/scroll", "companies"),
        ("/articles", "articles"),
        ("/calls", "calls"),
        ("/tags", "tags"),
        ("/admins", "admins"),
    ] {
        let settings = Settings { companies: 500, articles: 120, ..Settings::default() };
        let world = World::start(settings).await;
        world.load(&[table]).await;
        let checkpoint = world.state(table).and_then(|state| state.checkpoint);
        world.sandbox.advance(DAY);
        world.update_some(table, 40);
        fault(&world, path, (0, ALWAYS), FaultKind::ShortPage(3));
        let report = world.run().tables(&[table]).go().await;
        assert_eq!(of(&report, table).outcome, Outcome::Failed, "{table}: {:?}", of(&report, table).notes);
        assert_eq!(report.exit_code(), 1, "{table}");
        assert_eq!(world.state(table).and_then(|state| state.checkpoint), checkpoint, "{table}");
        let differences = world.differences(table);
        assert_eq!((differences.missing, differences.stamped), (vec![], vec![]), "{table}");
        world.sandbox.clear_faults();
        world.load(&[table]).await;
        world.assert_truth(&[table]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_rows_are_hidden_an_early_end_is_no_end_either() {
    let world = World::start(Settings { ticket_conversations: 4, ..Settings::default() }).await;
    world.sandbox.deny("/tickets", 403);
    fault(&world, "/conversations/search", (0, ALWAYS), FaultKind::EmptyPage);
    let report = world.run().tables(&["conversations"]).go().await;
    assert_eq!(of(&report, "conversations").outcome, Outcome::Failed);
    world.sandbox.clear_faults();
    world.load(&["conversations"]).await;
    assert_eq!(world.differences("conversations").missing.len(), 30, "only what is hidden is missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_table_of_which_nothing_is_shown_is_not_complete() {
    let world = World::start(Settings { companies: 8, ..Settings::default() }).await;
    world.load(&["companies"]).await;
    (0..3).for_each(|_| drop(world.insert("companies")));
    fault(&world, "/companies/scroll", (0, ALWAYS), FaultKind::EmptyPage);
    let report = world.run().tables(&["companies"]).go().await;
    assert_eq!(of(&report, "companies").outcome, Outcome::Failed);
    world.sandbox.clear_faults();
    world.load(&["companies"]).await;
    world.assert_truth(&["companies"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_contradict_themselves_once_are_read_again() {
    let settings = Settings {
        companies: 500,
        articles: 120,
        tags: 50,
        bare_away_status_reasons: true,
        ..Settings::default()
    };
    let world = World::start(settings).await;
    let tables = [
        "companies",
        "articles",
        "calls",
        "tags",
        "admins",
        "away_status_reasons",
        "contact_tags",
        "activity_logs",
    ];
    world.load(&tables).await;
    for (path, after, what) in [
        ("/tags", 0, FaultKind::ShortPage(10)),
        ("/tags", 0, FaultKind::EmptyPage),
        ("/tags", 0, FaultKind::BareEmpty),
        ("/admins", 0, FaultKind::EmptyPage),
        ("/away_status_reasons", 0, FaultKind::BareEmpty),
        ("/articles", 0, FaultKind::ShortPage(4)),
        ("/articles", 1, FaultKind::EmptyPage),
        ("/calls", 1, FaultKind::ShortPage(4)),
        ("/admins/activity_logs", 0, FaultKind::EmptyPage),
        ("/companies/scroll", 0, FaultKind::EmptyPage),
        ("/companies/scroll", 1, FaultKind::EmptyPage),
        ("/companies/scroll", 3, FaultKind::EmptyPage),
    ] {
        world.sandbox.advance(HOUR);
        for table in ["companies", "articles", "calls"] {
            world.update_some(table, 40);
        }
        (0..3).for_each(|_| drop(world.insert("activity_logs")));
        fault(&world, path, (after, 1), what.clone());
        world.load(&tables).await;
        world.assert_truth(&tables);
        world.sandbox.clear_faults();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_answer_is_not_believed_where_there_is_always_a_row() {
    let world = World::start(Settings { bare_away_status_reasons: true, ..Settings::default() }).await;
    let tables = ["admins", "away_status_reasons", "tags", "teams"];
    world.load(&tables).await;
    fault(&world, "/admins", (0, ALWAYS), FaultKind::EmptyPage);
    fault(&world, "/away_status_reasons", (0, ALWAYS), FaultKind::BareEmpty);
    fault(&world, "/tags", (0, ALWAYS), FaultKind::BareEmpty);
    // A proper list without a row is one.
    fault(&world, "/teams", (0, ALWAYS), FaultKind::EmptyPage);
    let report = world.run().tables(&tables).go().await;
    let outcomes: Vec<Outcome> = tables.iter().map(|table| of(&report, table).outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Failed, Outcome::Failed, Outcome::Complete]);
    world.sandbox.clear_faults();
    world.assert_truth(&tables[..3]);
    assert!(world.rows("teams").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_without_such_rows_is_complete() {
    let settings = Settings {
        away_status_reasons: 0,
        bare_away_status_reasons: true,
        tags: 0,
        contacts: 0,
        companies: 0,
        articles: 0,
        calls: 0,
        conversations: 0,
        ..Settings::default()
    };
    let world = World::start(settings).await;
    let tables =
        ["away_status_reasons", "tags", "contacts", "contact_tags", "companies", "articles", "calls"];
    for _ in 0..3 {
        world.load(&tables).await;
        world.sandbox.advance(8 * DAY);
    }
    world.assert_truth(&tables);
}

also_over_lakes!(
    an_empty_page_before_the_stated_rows_were_shown_is_not_the_end,
    a_tag_whose_members_are_not_shown_keeps_its_links,
    lists_that_contradict_themselves_once_are_read_again,
    an_empty_answer_is_not_believed_where_there_is_always_a_row,
);
