//! Every table: read, changed in every way there is, read again.

use std::collections::{BTreeMap, BTreeSet};

use ingest::sandbox::{Change, Comparison, ContactList, Settings};
use jiff::tz::TimeZone;

use crate::support::world::{DATED, HOUR, World};

/// Tables that are read whole and whose rows are stamped when they are gone.
const WHOLE: [&str; 9] = [
    "companies",
    "articles",
    "collections",
    "news_items",
    "newsfeeds",
    "internal_articles",
    "calls",
    "content_import_sources",
    "external_pages",
];
/// Tables that are replaced.
const REPLACED: [&str; 9] = [
    "tags",
    "segments",
    "admins",
    "teams",
    "ticket_types",
    "ticket_states",
    "help_centers",
    "subscription_types",
    "away_status_reasons",
];

/// A workspace in which every list is cut somewhere.
fn rich(seed: u64, zone: &str, comparison: Comparison) -> Settings {
    Settings {
        seed,
        time_zone: TimeZone::get(zone).unwrap(),
        comparison,
        companies: 70,
        tags: 14,
        segments: 9,
        subscription_types: 24,
        ticket_types: 6,
        contact_links: true,
        many_companies: true,
        cut_company_segments: Some(1),
        odd_attributes: true,
        ..Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_brings_the_truth_of_every_table() {
    for (seed, zone, comparison) in [
        (1, "UTC", Comparison::Exclusive),
        (2, "America/Los_Angeles", Comparison::Inclusive),
        (3, "Pacific/Kiritimati", Comparison::Exclusive),
    ] {
        let settings = Settings { bare_away_status_reasons: seed == 2, ..rich(seed, zone, comparison) };
        let world = World::start(settings).await;
        let tables = world.tables();
        world.load(&tables).await;
        for table in &tables {
            assert!(world.expected_rows(table) > 0, "{table} has nothing to compare");
        }
        world.assert_truth(&tables);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_with_nothing_in_it_fills_every_table_with_nothing() {
    let nothing = Settings {
        contacts: 0,
        companies: 0,
        conversations: 0,
        articles: 0,
        tags: 0,
        segments: 0,
        teams: 0,
        tickets: 0,
        ticket_types: 0,
        ticket_states: 0,
        collections: 0,
        help_centers: 0,
        subscription_types: 0,
        news_items: 0,
        newsfeeds: 0,
        internal_articles: 0,
        away_status_reasons: 0,
        calls: 0,
        activity_logs: 0,
        content_import_sources: 0,
        external_pages: 0,
        ip_allowlist: Vec::new(),
        ..Settings::default()
    };
    let world = World::start(nothing).await;
    for _ in 0..2 {
        world.load(&world.tables()).await;
        world.assert_truth(&world.tables());
    }
}

type Stamped = BTreeMap<&'static str, BTreeSet<String>>;

/// Changes that the next run sees. Rows that are gone are noted in `stamped` where they stay with a stamp.
fn change_what_is_seen(world: &World, stamped: &mut Stamped) {
    for table in DATED {
        world.update_some(table, 9);
        world.insert(table);
    }
    world.insert("activity_logs");
    for table in WHOLE.into_iter().chain(REPLACED) {
        world.update_some(table, 2);
        world.insert(table);
        let id = world.ids(table).remove(1);
        world.delete(table, &id);
        if WHOLE.contains(&table) {
            stamped.entry(table).or_default().insert(id);
        }
    }
    let gone = ["contact:browser", "contact:phone"].into_iter().any(|id| {
        let (table, id) = ("data_attributes".to_owned(), id.to_owned());
        !world.sandbox.change(Change::Delete { table, id }).is_empty()
    });
    assert!(gone, "an attribute is gone");
    world.update("data_attributes", "contact:email");
    world.insert("data_attributes");
    world.sandbox.change(Change::ViewArticle { id: world.ids("articles").remove(4) });
    let contact = world.ids("contacts").remove(5);
    let (tag, segment) = (world.ids("tags").remove(3), world.ids("segments").remove(3));
    world.sandbox.change(Change::EnterSegment { contact: contact.clone(), segment });
    for (list, id) in [
        (ContactList::Companies, world.ids("companies").remove(6)),
        (ContactList::Notes, "777001".to_owned()),
        (ContactList::Subscriptions, world.ids("subscription_types").remove(2)),
    ] {
        world.sandbox.change(Change::Attach { contact: contact.clone(), list, id });
    }
    world.sandbox.change(Change::AddTag { contact: contact.clone(), tag });
    world.update("contacts", &contact);
}

/// Changes that only a refresh sees.
fn change_what_is_not_seen(world: &World, stamped: &mut Stamped) {
    for table in DATED {
        let id = world.ids(table).remove(11);
        let parts = match table {
            "conversations" => Some(("conversation_parts", "conversation_id")),
            "tickets" => Some(("ticket_parts", "ticket_id")),
            _ => None,
        };
        if let Some((parts, of)) = parts {
            let rows = world.rows(parts).into_iter().filter(|part| part[of].as_ref() == Some(&id));
            stamped.entry(parts).or_default().extend(rows.map(|part| part["id"].clone().unwrap()));
        }
        world.delete(table, &id);
        stamped.entry(table).or_default().insert(id);
    }
    let contacts = world.ids("contacts");
    world.sandbox.change(Change::Merge { from: contacts[20].clone(), into: contacts[21].clone() });
    stamped.entry("contacts").or_default().insert(contacts[20].clone());
    for (place, table) in [(40, "conversations"), (30, "tickets")] {
        let (table, id) = (table.to_owned(), world.ids(table).remove(place));
        world.sandbox.change(Change::AddPart { table, id });
    }
    for link in world.sandbox.links("contact_companies").into_iter().take(3) {
        let (contact, id) = link;
        world.sandbox.change(Change::Detach { contact, list: ContactList::Companies, id });
    }
    for link in world.sandbox.links("contact_notes").into_iter().take(3) {
        let (contact, id) = link;
        world.sandbox.change(Change::Detach { contact, list: ContactList::Notes, id });
    }
    for link in world.sandbox.links("contact_tags").into_iter().take(3) {
        let (contact, tag) = link;
        world.sandbox.change(Change::RemoveTag { contact, tag });
    }
    for (place, table) in [(50, "contacts"), (51, "conversations"), (52, "tickets")] {
        world.set_quietly(
            table,
            &world.ids(table)[place],
            "custom_attributes",
            serde_json::json!({ "x": 1 }),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_every_kind_reach_every_table() {
    for (seed, zone) in [(4, "Asia/Kolkata"), (5, "UTC")] {
        let world = World::start(rich(seed, zone, Comparison::Exclusive)).await;
        let tables = world.tables();
        let mut stamped = Stamped::new();
        world.load(&tables).await;
        for _ in 0..2 {
            world.sandbox.advance(5 * HOUR);
            change_what_is_seen(&world, &mut stamped);
            world.load(&tables).await;
            world.assert_truth_but_for(&tables, &stamped);
        }
        world.sandbox.advance(5 * HOUR);
        change_what_is_not_seen(&world, &mut stamped);
        let report = world.run().full_refresh().go().await;
        assert_eq!(report.exit_code(), 0);
        world.assert_truth_but_for(&tables, &stamped);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_is_the_same_when_it_is_read_alone() {
    let world = World::start(rich(6, "Europe/Dublin", Comparison::Inclusive)).await;
    for table in world.tables() {
        world.load(&[table]).await;
    }
    // What counts the parts of a table tells that table too, also where that came first.
    world.assert_truth(&world.tables());
}
