//! Other API versions, other workspaces.

use ingest::error::ErrorKind;
use ingest::sandbox::{Sandbox, Settings};
use ingest::source::intercom::tables;

use crate::support::truth::Differences;
use crate::support::world::{HOUR, World, of, spec};

/// Columns whose values 2.16 writes differently, or no longer writes.
const CHANGED: &[&str] =
    &["priority", "source_type", "source_id", "source_subject", "parent_id", "parent_type"];

#[tokio::test(flavor = "multi_thread")]
async fn every_version_fills_the_same_tables() {
    for version in ["2.11", "2.15", "2.16"] {
        let mut world = World::start(Settings::default()).await;
        version.clone_into(&mut world.rules.api_version);
        let report = world.run().go().await;
        assert_eq!(report.exit_code(), 0, "{version}: {:?}", report.tables);
        for table in tables::TABLES {
            let mut truth = world.sandbox.truth_text(table.name);
            if table.name == "data_attributes" && version == "2.16" {
                truth.retain(|row| !row.contains(r#""model":"conversation""#));
            }
            let ignored = if version == "2.16" { CHANGED } else { &[] };
            let differences = Differences::between(spec(table.name), &truth, world.rows(table.name), ignored);
            assert_eq!(differences, Differences::default(), "{version}, {}", table.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_than_the_last_runs_means_reading_everything_again() {
    let mut world = World::start(Settings::default()).await;
    world.load(&["contacts", "conversations"]).await;
    "2.16".clone_into(&mut world.rules.api_version);
    world.sandbox.advance(2 * HOUR);
    let report = world.load(&["contacts", "conversations"]).await;
    for table in ["contacts", "conversations"] {
        assert_eq!(of(&report, table).mode, "refresh: another API version");
    }
    let truth = world.sandbox.truth_text("conversations");
    let rows = world.rows("conversations");
    let differences = Differences::between(spec("conversations"), &truth, rows, CHANGED);
    assert_eq!(differences, Differences::default());
    let priorities =
        world.rows("conversations").iter().filter(|row| row["priority"].as_deref() == Some("none")).count();
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
