//! Other API versions, other workspaces.

use std::collections::BTreeSet;

use ingest::error::ErrorKind;
use ingest::sandbox::{Sandbox, Settings};

use crate::support::truth::Cells;
use crate::support::world::{HOUR, World, of};

/// A workspace with everything that versions write differently, in both spellings of its keys.
fn settings(later_fields: bool, published_keys: bool) -> Settings {
    Settings {
        contacts: 130,
        conversations: 110,
        tickets: 60,
        contact_links: true,
        odd_attributes: true,
        subscription_types: 24,
        later_fields,
        published_keys,
        ..Settings::default()
    }
}

async fn open(version: &str, settings: Settings) -> World {
    let mut world = World::start(settings).await;
    version.clone_into(&mut world.rules.api_version);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_fills_every_table_it_has_with_the_truth() {
    for (version, later_fields, published_keys) in [
        ("2.11", false, true),
        ("2.14", false, true),
        ("2.15", true, false),
        ("2.16", false, false),
        ("2.16", true, true),
    ] {
        let world = open(version, settings(later_fields, published_keys)).await;
        let tables = world.tables();
        assert_eq!(tables.contains(&"calls"), version != "2.11");
        let report = world.load(&tables).await;
        world.assert_truth(&tables);
        for table in &report.tables {
            assert!(table.shape.unknown.is_empty(), "{version}, {}: {:?}", table.table, table.shape);
        }
        world.sandbox.advance(2 * HOUR);
        for table in ["contacts", "conversations", "tickets", "articles", "companies", "ticket_types"] {
            world.update_some(table, 5);
            world.insert(table);
        }
        world.load(&tables).await;
        world.assert_truth(&tables);
    }
}

/// What a version says otherwise, and not only in other words.
fn is_said_otherwise(table: &str, column: &str) -> bool {
    match table {
        // Of five priorities since 2.16, and where the source is not known, it says so.
        "conversations" => matches!(column, "priority" | "source_type" | "source_id"),
        // Up to 2.11 only the category; since 2.16 more.
        "tickets" => {
            matches!(column, "ticket_state_type" | "ticket_state_id" | "previous_ticket_state_id" | "channel")
        }
        "articles" => matches!(column, "parent_id" | "parent_type"),
        "help_centers" => matches!(column, "default" | "locales"),
        "content_import_sources" => column == "audience_ids",
        "internal_articles" => column.starts_with("ai_") || column == "audience_ids",
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_workspace_is_stored_the_same_whatever_the_version() {
    let plain = open("2.14", settings(false, false)).await;
    plain.load(&plain.tables()).await;
    for version in ["2.11", "2.15", "2.16"] {
        let world = open(version, settings(false, false)).await;
        world.load(&world.tables()).await;
        for table in world.tables() {
            let comparable = |world: &World| -> BTreeSet<Vec<(String, Option<String>)>> {
                let told = |row: Cells| {
                    let cells = row.into_iter();
                    cells
                        .filter(|(name, _)| name != "_ingested_at" && !is_said_otherwise(table, name))
                        .collect()
                };
                let is_of_conversations = |row: &Cells| {
                    table == "data_attributes" && row["model"].as_deref() == Some("conversation")
                };
                world.rows(table).into_iter().filter(|row| !is_of_conversations(row)).map(told).collect()
            };
            assert!(comparable(&world) == comparable(&plain), "{version}, {table}");
        }
        let priorities: BTreeSet<_> =
            world.rows("conversations").into_iter().map(|row| row["priority"].clone()).collect();
        let spelled = if version == "2.16" { "high" } else { "priority" };
        assert_eq!(priorities, [spelled, "not_priority"].map(|word| Some(word.to_owned())).into());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_and_nothing_are_null_in_every_version() {
    for version in ["2.11", "2.14", "2.16"] {
        let world = open(version, settings(true, false)).await;
        world.load(&["conversations", "tickets", "data_attributes"]).await;
        for table in ["conversations", "tickets"] {
            for column in ["admin_assignee_id", "team_assignee_id"] {
                let cells: Vec<_> = world.rows(table).into_iter().map(|row| row[column].clone()).collect();
                let nobody = cells.iter().filter(|cell| cell.is_none()).count();
                assert!(nobody > 5 && nobody < cells.len(), "{version}, {table}.{column}: {nobody}");
                assert!(!cells.contains(&Some("0".to_owned())), "{version}, {table}.{column}");
            }
        }
        for row in world.rows("tickets") {
            let state =
                ["ticket_state_category", "ticket_state_internal_label", "ticket_state_external_label"];
            assert!(state.iter().all(|column| row[*column].is_some()), "{version}: {row:?}");
        }
        let models: BTreeSet<_> =
            world.rows("data_attributes").into_iter().map(|row| row["model"].clone()).collect();
        let all = ["contact", "company", "conversation"].map(|model| Some(model.to_owned()));
        assert_eq!(models, all.into(), "{version}");
        let asked = world.requests("/conversations/attributes").len();
        assert_eq!(asked, usize::from(version == "2.16"), "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_than_the_last_runs_means_reading_everything_again() {
    const TABLES: [&str; 3] = ["contacts", "conversations", "tickets"];
    let mut world = World::start(Settings::default()).await;
    world.load(&TABLES).await;
    "2.16".clone_into(&mut world.rules.api_version);
    world.sandbox.advance(2 * HOUR);
    let report = world.load(&TABLES).await;
    for table in TABLES {
        assert_eq!(of(&report, table).mode, "refresh: another API version");
    }
    world.assert_truth(&TABLES);
    let priorities =
        world.rows("conversations").iter().filter(|row| row["priority"].as_deref() == Some("high")).count();
    assert!(priorities > 0, "rows have the new version's values");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_workspace_behind_the_same_connection_is_refused_before_anything_is_read() {
    let mut world = World::start(Settings::default()).await;
    world.load(&["contacts", "tags"]).await;
    let before = (world.rows("contacts"), world.rows("tags"));
    let other = Settings { workspace: "another1".into(), seed: 2, ..Settings::default() };
    world.sandbox = Sandbox::start(other).await.unwrap();
    let error = world.run().tables(&["tags", "contacts"]).try_to_go().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("another1"), "{error}");
    assert!((world.rows("contacts"), world.rows("tags")) == before);
    assert!(world.sandbox.requests().iter().all(|request| request.path_and_query == "/me"));
}
