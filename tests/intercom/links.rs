//! Who belongs to what: what is added appears, and what is taken away is gone.

use std::collections::BTreeSet;

use ingest::sandbox::{Change, ContactList, Settings};
use serde_json::json;

use crate::support::world::{HOUR, MINUTE, World, also_over_lakes, of, spec};

const OF_CONTACTS: &[&str] =
    &["contact_companies", "contact_notes", "contact_segments", "contact_subscriptions", "contact_tags"];

fn linked() -> Settings {
    Settings {
        companies: 70,
        subscription_types: 24,
        contact_links: true,
        many_companies: true,
        ..Settings::default()
    }
}

/// The stored links of a table, as pairs.
fn stored(world: &World, table: &str) -> BTreeSet<(String, String)> {
    let key = spec(table).key;
    let value = |row: &crate::support::truth::Cells, at: usize| row[key[at].name].clone().unwrap();
    world.rows(table).iter().map(|row| (value(row, 0), value(row, 1))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_and_segments_of_people_are_right_after_every_run() {
    let world = World::start(linked()).await;
    let tables = ["contacts", "tags", "segments", "contact_tags", "contact_segments"];
    let links = ["contact_tags", "contact_segments"];
    world.load(&tables).await;
    world.assert_truth(&tables);
    let tagged = world.sandbox.links("contact_tags");
    let ((contact, tag), other) = (tagged[0].clone(), tagged[1].0.clone());
    let (member, segment) = world.sandbox.links("contact_segments").remove(0);

    // Neither moves the contact's date, so that nothing but asking for the tag shows it.
    world.sandbox.advance(MINUTE);
    world.sandbox.change(Change::RemoveTag { contact: contact.clone(), tag: tag.clone() });
    world.sandbox.change(Change::LeaveSegment { contact: member.clone(), segment: segment.clone() });
    let report = world.load(&tables).await;
    world.assert_truth(&links);
    assert_eq!(
        (of(&report, "contact_tags").committed.removed, of(&report, "contacts").committed.changed),
        (1, 0)
    );
    assert!(!stored(&world, "contact_tags").contains(&(contact.clone(), tag.clone())));

    world.sandbox.change(Change::AddTag { contact: contact.clone(), tag: tag.clone() });
    world.sandbox.change(Change::EnterSegment { contact: member, segment: segment.clone() });
    world.load(&tables).await;
    world.assert_truth(&links);
    assert!(stored(&world, "contact_tags").contains(&(contact, tag.clone())));

    // A tag that is gone, one that nobody has any more, and one that is new.
    world.delete("tags", &tag);
    world.delete("segments", &segment);
    let new = world.insert("tags");
    world.sandbox.change(Change::AddTag { contact: other, tag: new.clone() });
    let lonely = world.ids("tags").into_iter().find(|id| *id != new).unwrap();
    for (contact, tag) in world.sandbox.links("contact_tags").into_iter().filter(|(_, tag)| *tag == lonely) {
        world.sandbox.change(Change::RemoveTag { contact, tag });
    }
    world.load(&tables).await;
    world.assert_truth(&links);
    let tags: BTreeSet<String> = stored(&world, "contact_tags").into_iter().map(|(_, tag)| tag).collect();
    assert!(tags.contains(&new) && !tags.contains(&tag) && !tags.contains(&lonely));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_people_follow_with_the_change_that_shows_them() {
    let world = World::start(linked()).await;
    let tables = [&["contacts"], OF_CONTACTS].concat();
    world.load(&tables).await;
    world.assert_truth(&tables);
    // Few, exactly as many as are shown, more than are shown, more than a page of the list itself.
    for (list, table) in [
        (ContactList::Companies, "contact_companies"),
        (ContactList::Notes, "contact_notes"),
        (ContactList::Subscriptions, "contact_subscriptions"),
    ] {
        let links = world.sandbox.links(table);
        let count = |contact: &String| links.iter().filter(|(parent, _)| parent == contact).count();
        let contacts = world.ids("contacts");
        let most = contacts.iter().max_by_key(|contact| count(contact)).unwrap().clone();
        let least = contacts.iter().min_by_key(|contact| count(contact)).unwrap().clone();
        assert!(count(&most) > 10 && count(&least) == 0, "{table}");
        let child = links.iter().find(|(parent, _)| *parent == most).unwrap().1.clone();
        for (contact, is_new) in [(&most, false), (&least, true)] {
            let (contact, id) = (contact.clone(), child.clone());
            let changed = if is_new {
                world.sandbox.change(Change::Attach { contact: contact.clone(), list, id })
            } else {
                world.sandbox.change(Change::Detach { contact: contact.clone(), list, id })
            };
            assert_eq!(changed.len(), 1, "{table}");
            world.sandbox.advance(MINUTE);
            world.update("contacts", &contact);
        }
        let report = world.load(&tables).await;
        world.assert_truth(&tables);
        assert_eq!(of(&report, table).committed.removed, 1, "{table}");
        assert!(stored(&world, table).contains(&(least, child.clone())));
        assert!(!stored(&world, table).contains(&(most, child)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_people_that_changed_in_silence_follow_with_the_next_refresh() {
    let world = World::start(linked()).await;
    let tables = [&["contacts"], OF_CONTACTS].concat();
    world.load(&tables).await;
    world.sandbox.advance(3 * HOUR);
    let mut silent = 0;
    for (list, table) in
        [(ContactList::Companies, "contact_companies"), (ContactList::Notes, "contact_notes")]
    {
        for (contact, id) in world.sandbox.links(table).into_iter().step_by(9) {
            silent += world.sandbox.change(Change::Detach { contact, list, id }).len();
        }
    }
    assert!(silent > 20);
    world.run().tables(&tables).full_refresh().go().await;
    world.assert_truth(&tables);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_companies_conversations_and_teams_follow_their_rows() {
    let world = World::start(Settings { segments: 9, cut_company_segments: Some(1), ..linked() }).await;
    let tables = [
        "companies",
        "company_tags",
        "company_segments",
        "conversations",
        "conversation_tags",
        "conversation_contacts",
        "conversation_teammates",
        "teams",
        "team_admins",
        "newsfeeds",
        "newsfeed_items",
        "news_items",
    ];
    world.load(&tables).await;
    world.assert_truth(&tables);
    assert!(world.rows("company_segments").len() > 90, "lists that are cut are followed");
    world.sandbox.advance(2 * HOUR);

    let parent_of = |table: &str| world.sandbox.links(table).remove(0).0;
    let company = parent_of("company_tags");
    world.set_quietly(
        "companies",
        &company,
        "tags",
        json!({ "type": "tag.list", "tags": [{ "id": "8", "name": "neu" }] }),
    );
    world.set_quietly("companies", &company, "segments", json!({ "type": "segment.list", "segments": [] }));
    for (table, field, value) in [
        ("conversation_tags", "tags", json!({ "type": "tag.list", "tags": [] })),
        (
            "conversation_teammates",
            "teammates",
            json!({ "type": "admin.list", "admins": [{ "id": "1" }, { "id": "2" }] }),
        ),
        (
            "conversation_contacts",
            "contacts",
            json!({ "type": "contact.list", "contacts": [{ "id": "c", "external_id": "e" }] }),
        ),
    ] {
        let conversation = parent_of(table);
        world.set_quietly("conversations", &conversation, field, value);
        world.update("conversations", &conversation);
    }
    let team = parent_of("team_admins");
    world.set_quietly("teams", &team, "admin_ids", json!([991_267]));
    let item = world.sandbox.links("newsfeed_items").remove(0).1;
    world.set_quietly("news_items", &item, "state", "draft");
    world.load(&tables).await;
    world.assert_truth(&tables);
    assert_eq!(
        world.rows("team_admins").iter().filter(|row| row["team_id"].as_ref() == Some(&team)).count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_embedded_lists_say_of_their_length_is_not_believed() {
    // Their `total_count` is too high for some contacts: nobody asks for what is not there, and none is missed.
    let world = World::start(Settings { many_companies: false, ..linked() }).await;
    world.load(&["contact_companies"]).await;
    world.assert_truth(&["contact_companies"]);
    let cut =
        world.sandbox.truth("contacts").iter().filter(|one| one["companies"]["has_more"] == true).count();
    let lists = world.sandbox.requests();
    let lists = lists.iter().filter(|request| request.path_and_query.contains("/companies"));
    assert_eq!(lists.count(), cut);
    assert!(world.rows("contacts").is_empty(), "only what was asked for is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_cut_and_stands_nowhere_else_is_told_and_removes_nothing() {
    let mut world = World::start(Settings { companies: 40, ..Settings::default() }).await;
    world.load(&["companies", "company_tags"]).await;
    let before = world.rows("company_tags").len();
    // The same workspace, which from now on shows one tag of each company.
    let cut = Settings { companies: 40, cut_company_tags: Some(1), ..Settings::default() };
    world.sandbox = ingest::sandbox::Sandbox::start(cut).await.unwrap();
    let report = world.load(&["companies", "company_tags"]).await;
    assert_eq!(world.rows("company_tags").len(), before);
    let notes = &of(&report, "company_tags").notes;
    assert!(notes.iter().any(|note| note.contains("companies show only some of their rows")), "{notes:?}");
}

also_over_lakes!(
    tags_and_segments_of_people_are_right_after_every_run,
    lists_of_people_follow_with_the_change_that_shows_them,
    lists_of_people_that_changed_in_silence_follow_with_the_next_refresh,
    links_of_companies_conversations_and_teams_follow_their_rows,
    what_embedded_lists_say_of_their_length_is_not_believed,
    a_list_that_is_cut_and_stands_nowhere_else_is_told_and_removes_nothing,
);
