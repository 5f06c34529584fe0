//! One test per bug that reached a reviewer, named after what went wrong.

use std::time::Duration;

use ingest::destination::duckdb::{Options, query};
use ingest::report::Outcome;
use ingest::sandbox::{Fault, FaultKind, Settings};

use crate::support::binary::Project;
use crate::support::world::{HOUR, World, of};
use crate::support::wrapped::Mishap;

/// Ends a run that hangs, which would otherwise tell nobody.
async fn in_time<T>(run: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), run).await.expect("the run ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_fails_in_mid_pass_hung_the_run() {
    let world = World::start(Settings { contacts: 6000, ..Settings::default() }).await;
    let run = world.run().tables(&["contacts"]).commit_every(150).mishap(0, Mishap::RefusedForGood);
    let report = in_time(run.go()).await;
    assert_eq!(of(&report, "contacts").outcome, Outcome::Failed);
    assert_eq!(report.exit_code(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_reached_while_pages_wait_hung_the_run() {
    let world = World::start(Settings { contacts: 6000, ..Settings::default() }).await;
    let report = in_time(world.run().tables(&["contacts"]).limit(10).go()).await;
    assert_eq!(of(&report, "contacts").outcome, Outcome::Partial);
    assert_eq!(world.rows("contacts").len(), 10);
}

#[test]
fn few_slots_and_a_scroll_blocked_each_other() {
    for concurrency in ["1", "2", "3"] {
        let project = Project::small();
        let run = project.ingest(&["intercom", "--concurrency", concurrency, "--progress", "off"]).run();
        run.exits(0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_was_dropped_was_believed_to_be_complete() {
    for looks_first in [false, true] {
        let world = World::start(Settings::default()).await;
        world.load(&["contacts", "companies"]).await;
        by_hand(&world, "DROP TABLE crm.contacts");
        if looks_first {
            // Then it is there again, and still not complete.
            world.run().tables(&["contacts"]).limit(10).go().await;
        }
        world.load(&["contacts", "companies"]).await;
        world.assert_truth(&["contacts", "companies"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_that_were_dropped_were_believed_to_be_there() {
    let tables = ["conversations", "conversation_parts"];
    for stopped_after in [None, Some(60)] {
        let world = World::start(Settings::default()).await;
        world.load(&tables).await;
        world.sandbox.advance(3 * HOUR);
        by_hand(&world, "DROP TABLE crm.conversation_parts");
        // The table is there again, in part, when the next run looks what is missing.
        if let Some(requests) = stopped_after {
            let run = world.run().tables(&tables).commit_every(1);
            run.stopped_at_request("/conversations/2", requests).go().await;
        }
        world.load(&tables).await;
        world.assert_truth(&tables);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_a_conversation_that_came_back_kept_their_stamps() {
    let tables = ["conversations", "conversation_parts"];
    let world = World::start(Settings::default()).await;
    world.load(&tables).await;
    let id = world.ids("conversations").remove(17);
    world.delete("conversations", &id);
    world.sandbox.advance(3 * HOUR);
    world.run().tables(&tables).full_refresh().go().await;
    assert_eq!(world.differences("conversation_parts").stamped.len(), 500);
    world.restore("conversations", &id);
    world.run().tables(&tables).full_refresh().go().await;
    world.assert_truth(&tables);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_cannot_be_written_took_all_others_with_it() {
    let world = World::start(Settings::default()).await;
    world.load(&["teams"]).await;
    by_hand(&world, "CREATE VIEW crm.tags AS SELECT 1 AS id");
    let report = world.run().go().await;
    assert_eq!(of(&report, "tags").outcome, Outcome::Failed);
    assert_eq!(report.exit_code(), 4);
    let others: Vec<&str> = report.tables.iter().map(|t| t.table.as_str()).filter(|t| *t != "tags").collect();
    for table in &others {
        assert_eq!(of(&report, table).outcome, Outcome::Complete, "{table}");
    }
    world.assert_truth(&others);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_in_the_place_of_a_lead_table_took_its_family_with_it() {
    let world = World::start(Settings::default()).await;
    world.load(&["teams"]).await;
    by_hand(&world, "CREATE VIEW crm.conversations AS SELECT 1 AS id");
    by_hand(&world, "CREATE VIEW crm.contacts AS SELECT 1 AS id");
    // Alone, and beside tables that cannot be written.
    let family = ["tags", "contacts", "contact_tags", "conversations", "conversation_parts"];
    for tables in [&["conversation_parts", "contact_tags"][..], &family] {
        let report = world.run().tables(tables).go().await;
        for table in ["conversation_parts", "contact_tags"] {
            assert_eq!(of(&report, table).outcome, Outcome::Complete, "{table} of {tables:?}");
        }
    }
    world.assert_truth(&["conversation_parts", "contact_tags", "tags"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_counted_but_never_shown_meant_a_refresh_at_every_run() {
    let world = World::start(Settings { contacts: 400, ..Settings::default() }).await;
    world.load(&["contacts"]).await;
    // Rows stamped by hand stand for rows that the source counts and does not show.
    by_hand(
        &world,
        "UPDATE crm.contacts SET _deleted_at = '2020-01-01 00:00:00+00', updated_at = '2999-01-01 00:00:00+00', _ingested_at = '2999-01-01 00:00:00+00' WHERE id IN (SELECT id FROM crm.contacts ORDER BY updated_at LIMIT 50)",
    );
    let mut modes = Vec::new();
    for _ in 0..5 {
        let report = world.run().tables(&["contacts"]).go().await;
        modes.push(of(&report, "contacts").mode.clone());
    }
    let refreshes = modes.iter().filter(|mode| mode.starts_with("refresh")).count();
    assert!(refreshes <= 1, "{modes:?}");
}

#[test]
fn schemas_of_our_own_and_of_duckdb_could_be_written_to() {
    let project = Project::small();
    for schema in ["_ingest", "temp", "information_schema", ""] {
        project.ingest(&["intercom.tags", "--schema", schema, "--progress", "off"]).run().exits(2);
    }
    project.ingest(&["intercom.tags", "--to", "duckdb:_ingest.duckdb", "--progress", "off"]).run().exits(2);
    assert!(!project.has("_ingest.duckdb"));
}

#[cfg(unix)]
#[test]
fn a_link_to_a_file_named_like_the_schema_passed() {
    let project = Project::small();
    std::os::unix::fs::symlink(project.path("intercom.duckdb"), project.path("data.duckdb")).unwrap();
    project.write("intercom.duckdb", "");
    project.ingest(&["intercom.tags", "--to", "duckdb:data.duckdb", "--progress", "off"]).run().exits(2);
}

#[test]
fn an_empty_file_was_refused_for_ever() {
    let project = Project::small();
    project.write("made.duckdb", "");
    project.ingest(&["intercom.tags", "--to", "duckdb:made.duckdb", "--progress", "off"]).run().exits(0);
}

#[test]
fn a_refused_token_left_a_database_behind() {
    let project = Project::small();
    project.sandbox().revoke_token();
    project.ingest(&["intercom.tags", "--to", "duckdb:new.duckdb", "--progress", "off"]).run().exits(3);
    assert!(!project.has("new.duckdb"));
}

#[cfg(unix)]
#[test]
fn a_lock_file_of_somebody_else_was_emptied() {
    let project = Project::small();
    let theirs = "# This file is automatically @generated.\n".repeat(1_200);
    project.write("Cargo.lock", &theirs);
    project.write("target", "PID of nobody, and much more: the target of a link");
    std::os::unix::fs::symlink(project.path("target"), project.path("linked.lock")).unwrap();
    for (destination, exit_code) in
        [("duckdb:Cargo", 2), ("parquet:Cargo", 2), ("duckdb:linked", 4), ("parquet:linked", 4)]
    {
        for arguments in [&["check"][..], &["intercom.tags", "--progress", "off"]] {
            let run = project.ingest(&[arguments, &["--to", destination]].concat()).run();
            run.exits(exit_code);
        }
    }
    assert_eq!(std::fs::read_to_string(project.path("Cargo.lock")).unwrap(), theirs);
    assert!(std::fs::read_to_string(project.path("target")).unwrap().ends_with("of a link"));
    // One that a run has left is taken again.
    for _ in 0..2 {
        project.ingest(&["intercom.tags", "--progress", "off"]).run().exits(0);
    }
}

#[cfg(unix)]
#[test]
fn a_run_with_few_descriptors_aborted_with_nothing_saved() {
    let latency = Duration::from_millis(300);
    for (limit, destination) in [(64, "duckdb:few.duckdb"), (64, "parquet:few"), (256, "duckdb:more.duckdb")]
    {
        let settings = Settings { contacts: 3_000, conversations: 900, latency, ..Settings::default() };
        let project = Project::new(settings);
        let tables = ["intercom.contacts", "intercom.conversation_parts", "intercom.contact_companies"];
        let arguments = [&tables[..], &["--to", destination, "--progress", "off"]].concat();
        // Both limits, so that it cannot be raised.
        project.ingest_after(&format!("ulimit -n {limit}"), &arguments).run().exits(0);
    }
}

/// Changes a world's file between two runs, as a person would.
fn by_hand(world: &World, sql: &str) {
    let connection = duckdb::Connection::open(world.file()).unwrap();
    connection.execute_batch(sql).unwrap();
    drop(connection);
    let tables = query(&world.file(), &Options::default(), "SELECT count(*) FROM duckdb_tables()");
    tables.expect("the file is sound");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_whose_rows_and_state_were_deleted_by_hand_were_believed_to_be_there() {
    let tables = ["conversations", "conversation_parts"];
    for stopped_after in [None, Some(60)] {
        let world = World::start(Settings::default()).await;
        world.load(&tables).await;
        world.sandbox.advance(3 * HOUR);
        by_hand(
            &world,
            "DELETE FROM crm.conversation_parts WHERE rowid % 2 = 0;
             DELETE FROM _ingest.state WHERE table_name = 'conversation_parts'",
        );
        assert!(world.differences("conversation_parts").missing.len() > 400);
        if let Some(requests) = stopped_after {
            let run = world.run().tables(&tables).commit_every(1);
            run.stopped_at_request("/conversations/2", requests).go().await;
        }
        world.load(&tables).await;
        world.assert_truth(&tables);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_was_copied_by_hand_stayed_twice_after_a_full_refresh() {
    let tables = ["contacts", "companies", "tags", "contact_tags", "conversations", "conversation_parts"];
    let world = World::start(Settings::default()).await;
    world.load(&tables).await;
    for table in tables {
        by_hand(&world, &format!("INSERT INTO crm.{table} SELECT * FROM crm.{table} WHERE rowid % 7 = 3"));
        // And once more, with an older date or another value.
        let cursor =
            if ["tags", "contact_tags"].contains(&table) { "_extra = '{}'" } else { "updated_at = NULL" };
        by_hand(
            &world,
            &format!(
                "CREATE TEMP TABLE copies AS SELECT * FROM crm.{table} WHERE rowid % 11 = 3;
                 UPDATE copies SET {cursor}; INSERT INTO crm.{table} SELECT * FROM copies"
            ),
        );
        assert!(!world.differences(table).repeated.is_empty(), "{table}");
    }
    world.sandbox.advance(3 * HOUR);
    let report = world.run().tables(&tables).full_refresh().go().await;
    assert_eq!(report.exit_code(), 0);
    world.assert_truth(&tables);
}

/// A table that cannot be had must not make every run read all that is read with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_table_without_permission_made_every_run_a_full_load_of_its_family() {
    let tables = ["conversations", "conversation_parts"];
    let world = World::start(Settings { conversations: 1_800, ..Settings::default() }).await;
    world.load(&["conversations"]).await;
    // Objects alone are refused; the search is not.
    let what =
        || FaultKind::Status { code: 403, error_code: "forbidden".into(), retry_after: None, headers: true };
    for id in world.ids("conversations") {
        let matching = format!("/conversations/{id}");
        world.sandbox.fault(Fault { matching, after: 0, times: u32::MAX, what: what() });
    }
    for _ in 0..2 {
        world.sandbox.advance(3 * HOUR);
        world.update_some("conversations", 3);
        let report = world.run().tables(&tables).go().await;
        assert_eq!(of(&report, "conversations").outcome, Outcome::Complete);
        assert_eq!(of(&report, "conversation_parts").outcome, Outcome::Failed);
        let pages = world.requests("/conversations/search").len();
        assert!(pages <= 9, "{pages} requests, where a full load takes more than 12");
        world.assert_nothing_lost(&["conversations"], "parts aside");
    }
    world.sandbox.clear_faults();
    world.load(&tables).await;
    world.assert_truth(&tables);
}
