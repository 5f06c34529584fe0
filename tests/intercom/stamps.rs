//! Rows that are gone from the workspace: found by a refresh, confirmed one by one, stamped and never dropped.

use ingest::sandbox::{Change, Fault, FaultKind, Settings};

use crate::support::world::{HOUR, MINUTE, World, also_over_lakes, of, spec};

const CONVERSATIONS: [&str; 5] = [
    "conversations",
    "conversation_parts",
    "conversation_tags",
    "conversation_contacts",
    "conversation_teammates",
];

async fn refresh(world: &World, tables: &[&str]) -> ingest::report::RunReport {
    let report = world.run().tables(tables).full_refresh().go().await;
    assert_eq!(report.exit_code(), 0, "{:?}", report.tables);
    report
}

/// Statuses of the requests for one row in the last run.
fn look_ups(world: &World, table: &str, id: &str) -> Vec<u16> {
    let path = format!("{}/{id}", spec(table).object.unwrap());
    let requests = world.requests(&path).into_iter().filter(|request| request.path_and_query == path);
    requests.map(|request| request.status).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_with_an_address_of_its_own_is_stamped_once_that_says_it_is_gone() {
    let stampable: Vec<&str> = [
        "contacts",
        "conversations",
        "tickets",
        "companies",
        "articles",
        "collections",
        "news_items",
        "newsfeeds",
        "internal_articles",
        "calls",
        "content_import_sources",
        "external_pages",
    ]
    .into();
    let world = World::start(Settings::default()).await;
    for table in world.tables() {
        assert_eq!(spec(table).object.is_some(), stampable.contains(&table), "{table}");
    }
    world.load(&stampable).await;
    world.sandbox.advance(2 * HOUR);
    let gone: Vec<String> = stampable.iter().map(|table| world.ids(table).remove(1)).collect();
    for (table, id) in stampable.iter().zip(&gone) {
        world.delete(table, id);
    }
    let began = world.sandbox.now();
    let report = refresh(&world, &stampable).await;
    for (table, id) in stampable.iter().zip(&gone) {
        assert_eq!(of(&report, table).committed.stamped, 1, "{table}");
        assert_eq!(world.differences(table).stamped, [id.as_str()], "{table}");
        assert_eq!(look_ups(&world, table, id), [404], "{table}");
        let stamp: i64 = world.cell(table, id, "_deleted_at").unwrap().parse().unwrap();
        assert!((stamp - began.as_microsecond()).abs() < 60_000_000, "{table}: by the server's clock");
    }
    // What is known to be gone is not asked for again.
    refresh(&world, &stampable).await;
    for (table, id) in stampable.iter().zip(&gone) {
        assert_eq!(look_ups(&world, table, id), [0; 0], "{table}");
        world.restore(table, id);
    }
    refresh(&world, &stampable).await;
    world.assert_truth(&stampable);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_increment_stamps_nothing() {
    let world = World::start(Settings::default()).await;
    world.load(&["contacts"]).await;
    let id = world.ids("contacts").remove(9);
    world.delete("contacts", &id);
    world.sandbox.advance(2 * HOUR);
    world.load(&["contacts"]).await;
    assert_eq!(world.cell("contacts", &id, "_deleted_at"), None);
    world.sandbox.advance(7 * 24 * HOUR);
    world.load(&["contacts"]).await;
    assert!(world.cell("contacts", &id, "_deleted_at").is_some(), "the refresh that is due does");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_parts_go_with_their_conversation_and_come_back_with_it() {
    let world = World::start(Settings::default()).await;
    world.load(&CONVERSATIONS).await;
    let tagged = world.sandbox.links("conversation_tags").remove(0).0;
    let belongs = |row: &crate::support::truth::Cells| row["conversation_id"].as_ref() == Some(&tagged);
    let parts = world.rows("conversation_parts").iter().filter(|row| belongs(row)).count();
    assert!(parts > 0);
    world.delete("conversations", &tagged);
    world.sandbox.advance(2 * HOUR);
    refresh(&world, &CONVERSATIONS).await;
    for table in ["conversation_tags", "conversation_contacts", "conversation_teammates"] {
        assert!(!world.rows(table).iter().any(belongs), "{table}");
    }
    world.assert_nothing_lost(&CONVERSATIONS, "deletions aside");
    assert_eq!(world.differences("conversation_parts").stamped.len(), parts);
    assert_eq!(world.differences("conversations").stamped, [tagged.as_str()]);

    world.restore("conversations", &tagged);
    world.sandbox.advance(2 * HOUR);
    refresh(&world, &CONVERSATIONS).await;
    world.assert_truth(&CONVERSATIONS);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_and_links_that_are_read_without_their_conversations_are_stamped_too() {
    let world = World::start(Settings::default()).await;
    let tables = ["conversation_parts", "conversation_contacts"];
    world.load(&tables).await;
    let gone = world.ids("conversations").remove(17);
    world.delete("conversations", &gone);
    world.sandbox.advance(2 * HOUR);
    refresh(&world, &tables).await;
    assert_eq!(look_ups(&world, "conversations", &gone), [404]);
    assert_eq!(world.differences("conversation_parts").stamped.len(), 500);
    world.assert_truth(&["conversation_contacts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_contact_names_the_one_that_is_left() {
    for version in ["2.14", "2.16"] {
        let mut world = World::start(Settings { contact_links: true, ..Settings::default() }).await;
        version.clone_into(&mut world.rules.api_version);
        let tables = ["contacts", "contact_tags", "contact_notes", "contact_companies"];
        world.load(&tables).await;
        let ids = world.ids("contacts");
        // One into another, and that into a third.
        let merge = |from: usize, into: usize| {
            let (from, into) = (ids[from].clone(), ids[into].clone());
            assert_eq!(world.sandbox.change(Change::Merge { from, into }).len(), 2);
        };
        merge(3, 7);
        merge(10, 11);
        merge(11, 12);
        world.delete("contacts", &ids[20]);
        world.sandbox.advance(2 * HOUR);
        refresh(&world, &tables).await;
        let into = |at: usize| world.cell("contacts", &ids[at], "_merged_into");
        let named = |at: usize| (version == "2.16").then(|| ids[at].clone());
        assert_eq!(
            [into(3), into(10), into(11), into(20)],
            [named(7), named(12), named(12), None],
            "{version}"
        );
        let mut stamped = [3, 10, 11, 20].map(|at| ids[at].clone());
        stamped.sort();
        assert_eq!(world.differences("contacts").stamped, stamped);
        world.assert_truth(&tables[1..]);

        world.restore("contacts", &ids[3]);
        refresh(&world, &tables).await;
        assert_eq!((into(3), world.cell("contacts", &ids[3], "_deleted_at")), (None, None), "{version}");
        world.assert_nothing_lost(&tables, version);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_that_are_gone_are_stamped_like_few() {
    let world = World::start(Settings { contacts: 2_000, ..Settings::default() }).await;
    let tables = ["contacts", "contact_companies", "contact_tags"];
    world.load(&tables).await;
    let ids = world.ids("contacts");
    for id in &ids[50..200] {
        world.delete("contacts", id);
    }
    world.sandbox.advance(2 * HOUR);
    let report = refresh(&world, &tables).await;
    assert_eq!(of(&report, "contacts").committed.stamped, 150);
    assert_eq!(world.differences("contacts").stamped.len(), 150);
    world.assert_truth(&["contact_companies", "contact_tags"]);
    // One that goes afterwards is no exception.
    world.delete("contacts", &ids[300]);
    world.sandbox.advance(2 * HOUR);
    refresh(&world, &tables).await;
    assert!(world.cell("contacts", &ids[300], "_deleted_at").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn look_ups_that_find_nothing_at_all_prove_nothing() {
    let world = World::start(Settings { contacts: 300, ..Settings::default() }).await;
    world.load(&["contacts"]).await;
    let ids = world.ids("contacts");
    for id in &ids[50..60] {
        world.delete("contacts", id);
    }
    let what =
        FaultKind::Status { code: 404, error_code: "not_found".into(), retry_after: None, headers: true };
    // The search answers, and every contact's own address says that there is none.
    for beginning in ids.iter().map(|id| format!("/contacts/{id}")) {
        world.sandbox.fault(Fault { matching: beginning, after: 0, times: 10_000, what: what.clone() });
    }
    world.sandbox.advance(2 * HOUR);
    let report = refresh(&world, &["contacts"]).await;
    let contacts = of(&report, "contacts");
    assert_eq!(contacts.committed.stamped, 0);
    let is_told =
        |note: &String| note.contains("10 contacts of 300") && note.contains("not found one by one either");
    assert!(contacts.notes.iter().any(is_told), "{:?}", contacts.notes);
    // They are not forgotten: the next run asks for them, whatever it reads.
    world.sandbox.clear_faults();
    world.sandbox.advance(2 * HOUR);
    let report = world.load(&["contacts"]).await;
    assert_eq!(of(&report, "contacts").mode, "changes since the last run");
    assert_eq!(of(&report, "contacts").committed.stamped, 10);
    assert_eq!(world.state("contacts").unwrap().unconfirmed, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_rows_than_a_run_asks_for_are_left_to_the_next_ones() {
    let world = World::start(Settings { contacts: 6_200, ..Settings::default() }).await;
    world.load(&["contacts"]).await;
    let ids = world.ids("contacts");
    for id in &ids[..6_000] {
        world.delete("contacts", id);
    }
    world.sandbox.advance(2 * HOUR);
    let report = refresh(&world, &["contacts"]).await;
    assert_eq!(of(&report, "contacts").committed.stamped, 5_000);
    let left = world.state("contacts").unwrap().unconfirmed.unwrap();
    assert_eq!((left.keys.len(), left.canaries.len()), (1_000, 3));
    // One of them is back meanwhile.
    let back = left.keys[0].clone();
    world.restore("contacts", &back);
    world.sandbox.advance(2 * HOUR);
    let report = world.load(&["contacts"]).await;
    assert_eq!(of(&report, "contacts").committed.stamped, 999);
    assert_eq!(world.differences("contacts").extra, [""; 0]);
    world.assert_nothing_lost(&["contacts"], "deletions aside");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_conversation_is_stamped_while_some_may_be_hidden() {
    let settings = Settings::default();
    let mut world = World::start(settings.clone()).await;
    world.sandbox.deny("/tickets", 403);
    world.load(&CONVERSATIONS).await;
    let gone = world.ids("conversations").remove(30);
    world.delete("conversations", &gone);
    world.sandbox.advance(2 * HOUR);
    refresh(&world, &CONVERSATIONS).await;
    assert_eq!(look_ups(&world, "conversations", &gone), [0; 0]);
    assert_eq!(world.cell("conversations", &gone, "_deleted_at"), None);
    // The same workspace, where tickets may be read.
    world.sandbox = ingest::sandbox::Sandbox::start(settings).await.unwrap();
    world.delete("conversations", &gone);
    world.load(&CONVERSATIONS).await;
    assert_eq!(world.differences("conversations").stamped, [gone]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absence_that_nobody_confirms_is_told_and_not_stamped() {
    let world = World::start(Settings::default()).await;
    world.load(&["contacts"]).await;
    let ids = world.ids("contacts");
    for id in &ids[10..12] {
        world.delete("contacts", id);
    }
    world.sandbox.deny(&format!("/contacts/{}", ids[10]), 403);
    world.sandbox.advance(2 * HOUR);
    let report = refresh(&world, &["contacts"]).await;
    assert_eq!(world.differences("contacts").stamped, [ids[11].as_str()]);
    let notes = &of(&report, "contacts").notes;
    assert!(notes.iter().any(|note| note.starts_with("1 contacts are no longer shown")), "{notes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_search_does_not_show_yet_is_not_taken_for_gone() {
    let world = World::start(Settings { index_lag: 10 * MINUTE, ..Settings::default() }).await;
    let tables = ["contacts", "tickets", "ticket_parts", "contact_companies"];
    world.load(&tables).await;
    let (contact, ticket) = (world.ids("contacts").remove(9), world.ids("tickets").remove(23));
    world.delete("contacts", &contact);
    world.delete("tickets", &ticket);
    world.sandbox.advance(2 * HOUR);
    world.restore("contacts", &contact);
    world.restore("tickets", &ticket);
    refresh(&world, &tables).await;
    assert_eq!(look_ups(&world, "contacts", &contact), [200]);
    assert_eq!(look_ups(&world, "tickets", &ticket), [200]);
    world.assert_truth(&tables);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_was_cut_short_stamps_nothing_that_is_there() {
    let world = World::start(Settings { contacts: 700, ..Settings::default() }).await;
    world.load(&["contacts"]).await;
    let gone = world.ids("contacts").remove(600);
    world.delete("contacts", &gone);
    world.sandbox.advance(2 * HOUR);
    let run = world.run().tables(&["contacts"]).full_refresh();
    run.stopped_at_request("/contacts/search", 3).go().await;
    let report = world.load(&["contacts"]).await;
    assert_eq!(of(&report, "contacts").mode, "resuming a refresh");
    world.assert_nothing_lost(&["contacts"], "after going on");
    let stamped = world.differences("contacts").stamped;
    assert!(stamped.is_empty() || stamped == [gone.as_str()], "{stamped:?}");
    refresh(&world, &["contacts"]).await;
    assert_eq!(world.differences("contacts").stamped, [gone]);
}

also_over_lakes!(
    every_row_with_an_address_of_its_own_is_stamped_once_that_says_it_is_gone,
    an_increment_stamps_nothing,
    links_and_parts_go_with_their_conversation_and_come_back_with_it,
    parts_and_links_that_are_read_without_their_conversations_are_stamped_too,
    a_merged_contact_names_the_one_that_is_left,
    many_rows_that_are_gone_are_stamped_like_few,
    look_ups_that_find_nothing_at_all_prove_nothing,
    no_conversation_is_stamped_while_some_may_be_hidden,
    an_absence_that_nobody_confirms_is_told_and_not_stamped,
    a_row_that_the_search_does_not_show_yet_is_not_taken_for_gone,
    a_refresh_that_was_cut_short_stamps_nothing_that_is_there,
);
