//! One object that cannot be read, one row that cannot be stored: all others are.

use std::collections::BTreeSet;

use ingest::error::ErrorKind;
use ingest::report::{Outcome, TableReport};
use ingest::sandbox::{Fault, FaultKind, Settings};

use crate::support::world::{HOUR, World, also_over_lakes, of};

fn settings() -> Settings {
    Settings { contacts: 60, conversations: 450, articles: 30, ..Settings::default() }
}

fn status(code: u16) -> FaultKind {
    FaultKind::Status { code, error_code: "scripted".into(), retry_after: None, headers: true }
}

fn always(world: &World, path: &str, what: &FaultKind) {
    world.sandbox.fault(Fault { matching: path.to_owned(), after: 0, times: u32::MAX, what: what.clone() });
}

/// Fails unless the table is red for the sake of this object alone.
#[track_caller]
fn assert_names(table: &TableReport, id: &str) {
    assert_eq!(table.outcome, Outcome::Failed, "{}", table.table);
    let error = table.error.as_ref().expect("an error");
    assert_eq!(error.kind(), ErrorKind::Api, "{error}");
    assert!(error.to_string().contains(&format!("({id})")), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("asks for these again")), "{error:?}");
}

fn parents_of_parts(world: &World) -> BTreeSet<String> {
    world.rows("conversation_parts").iter().filter_map(|row| row["conversation_id"].clone()).collect()
}

/// One of the ids that no other begins with.
fn one_of(world: &World, table: &str, at: usize) -> String {
    let ids = world.ids(table);
    let is_alone = |id: &&String| ids.iter().filter(|other| other.starts_with(id.as_str())).count() == 1;
    ids.iter().skip(at).find(is_alone).expect("an id").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_cannot_be_read_takes_its_parts_alone() {
    let tables = ["conversations", "conversation_parts"];
    for what in [status(500), status(400), status(403), status(422), FaultKind::NotJson, FaultKind::EmptyBody]
    {
        let world = World::start(settings()).await;
        let bad = one_of(&world, "conversations", 200);
        let address = format!("/conversations/{bad}");
        always(&world, &address, &what);
        let report = world.run().tables(&tables).go().await;
        assert_eq!(report.exit_code(), 1, "{what:?}");
        assert_names(of(&report, "conversation_parts"), &bad);
        assert_eq!(of(&report, "conversations").outcome, Outcome::Complete, "{what:?}");
        let parents = parents_of_parts(&world);
        assert!(parents.len() > 400 && !parents.contains(&bad), "{what:?}: {}", parents.len());

        // Nothing but that object is asked for again, and it stays red.
        world.sandbox.advance(HOUR);
        let report = world.run().tables(&tables).go().await;
        assert_names(of(&report, "conversation_parts"), &bad);
        assert!(world.requests("/conversations/").iter().all(|one| {
            one.path_and_query.starts_with(&address) || one.path_and_query.ends_with("/search")
        }));

        world.sandbox.clear_faults();
        world.load(&tables).await;
        world.assert_truth(&tables);
        world.load(&tables).await;
        assert_eq!(world.requests(&address).len(), 0, "it is not asked for any more");
    }
}

also_over_lakes!(a_conversation_that_cannot_be_read_takes_its_parts_alone);

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_gone_is_not_asked_for_any_more() {
    let tables = ["conversations", "conversation_parts"];
    let world = World::start(settings()).await;
    let bad = one_of(&world, "conversations", 7);
    always(&world, &format!("/conversations/{bad}"), &status(500));
    assert_eq!(world.run().tables(&tables).go().await.exit_code(), 1);
    world.sandbox.clear_faults();
    world.delete("conversations", &bad);
    world.load(&tables).await;
    assert_eq!(world.state("conversation_parts").unwrap().unread, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_cannot_be_read_are_asked_for_again_by_themselves() {
    let tables = ["contacts", "contact_companies", "contact_notes"];
    let mut world = World::start(Settings { companies: 30, contact_links: true, ..settings() }).await;
    world.load(&tables).await;
    let bad = world.rows("contact_notes")[0]["contact_id"].clone().expect("whose note it is");
    world.forget();
    always(&world, &format!("/contacts/{bad}/notes"), &status(500));
    let report = world.run().tables(&tables).go().await;
    assert_names(of(&report, "contact_notes"), &bad);
    world.assert_truth(&["contacts", "contact_companies"]);
    let report = world.run().tables(&tables).go().await;
    assert_names(of(&report, "contact_notes"), &bad);
    let of_others = |path: &str| !path.contains(&bad) && !path.starts_with("/contacts/search");
    assert!(!world.requests("/contacts/").iter().any(|one| of_others(&one.path_and_query)));
    world.sandbox.clear_faults();
    world.load(&tables).await;
    world.assert_truth(&tables);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_read_whole_keep_what_is_stored_of_an_object_that_cannot_be_read() {
    let tables = ["articles", "article_statistics"];
    let world = World::start(settings()).await;
    world.load(&tables).await;
    let before = world.rows("article_statistics").len();
    assert!(before > 0);
    let bad = one_of(&world, "articles", 3);
    always(&world, &format!("/articles/{bad}"), &status(500));
    let report = world.run().tables(&tables).go().await;
    assert_names(of(&report, "article_statistics"), &bad);
    assert_eq!(world.rows("article_statistics").len(), before);
    world.sandbox.clear_faults();
    world.load(&tables).await;
    world.assert_truth(&tables);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_missing_for_all_objects_is_said_as_such() {
    let tables = ["contacts", "contact_notes"];
    for contacts in [20, 60] {
        let world = World::start(Settings { contacts, contact_links: true, ..settings() }).await;
        for id in world.ids("contacts") {
            always(&world, &format!("/contacts/{id}/notes"), &status(403));
        }
        let report = world.run().tables(&tables).go().await;
        let error = of(&report, "contact_notes").error.as_ref().expect("an error");
        assert_eq!(error.kind(), ErrorKind::Permission, "{contacts}: {error}");
        let asked =
            world.sandbox.requests().iter().filter(|one| one.path_and_query.ends_with("/notes")).count();
        assert!(asked <= 60 * 2, "{asked}");
        assert_eq!(world.state("contact_notes"), None);
        world.assert_truth(&["contacts"]);
    }
}
