//! Who has a tag and who is in a segment: asked for by number first, and read where that has moved or is old.

use std::collections::{BTreeMap, BTreeSet};

use ingest::report::Outcome;
use ingest::sandbox::{Change, Settings};
use jiff::SignedDuration;

use crate::support::world::{DAY, HOUR, MINUTE, World, also_over_lakes, of};

const SWEPT: [&str; 2] = ["contact_tags", "contact_segments"];

/// Groups that no single answer holds.
fn large() -> Settings {
    Settings { contacts: 600, tags: 2, segments: 2, ..Settings::default() }
}

/// How many members each group of a table has.
fn members(world: &World, table: &str) -> BTreeMap<String, usize> {
    let mut members = BTreeMap::new();
    for (_, group) in world.sandbox.links(table) {
        *members.entry(group).or_default() += 1;
    }
    members
}

/// Searches of the last run.
fn searches(world: &World) -> usize {
    world.requests("/contacts/search").len()
}

/// Searches for all members of groups with so many.
fn pages<'m>(members: impl IntoIterator<Item = &'m usize>) -> usize {
    members.into_iter().map(|members| members.div_ceil(150)).sum()
}

/// Tags of all groups with their members, each of which is too large for one answer.
fn large_groups(world: &World) -> Vec<usize> {
    let groups: Vec<usize> = SWEPT.iter().flat_map(|table| members(world, table).into_values()).collect();
    assert!(groups.len() == 4 && groups.iter().all(|members| *members > 200), "{groups:?}");
    groups
}

/// Takes a tag from one contact and puts it on another, so that it is on as many as before: its id.
fn swap(world: &World) -> String {
    let links = world.sandbox.links("contact_tags");
    let (from, tag) = links[0].clone();
    let has: BTreeSet<&String> =
        links.iter().filter(|(_, other)| *other == tag).map(|(contact, _)| contact).collect();
    let to = world.ids("contacts").into_iter().find(|contact| !has.contains(contact)).unwrap();
    world.sandbox.change(Change::RemoveTag { contact: from, tag: tag.clone() });
    world.sandbox.change(Change::AddTag { contact: to, tag: tag.clone() });
    tag
}

#[tokio::test(flavor = "multi_thread")]
async fn of_groups_with_as_many_members_as_before_only_the_number_is_asked() {
    let world = World::start(large()).await;
    world.load(&SWEPT).await;
    let groups = large_groups(&world);
    assert_eq!(searches(&world), pages(&groups));
    world.assert_truth(&SWEPT);
    let swept_at = world.state("contact_tags").unwrap().refreshed_at;

    world.sandbox.advance(10 * MINUTE);
    let report = world.load(&SWEPT).await;
    assert_eq!(searches(&world), groups.len());
    assert!(world.requests("/contacts/search").iter().all(|one| one.body["pagination"]["per_page"] == 1));
    assert_eq!((of(&report, "contact_tags").read, of(&report, "contact_tags").committed.removed), (0, 0));
    world.assert_truth(&SWEPT);
    let state = world.state("contact_tags").unwrap();
    assert!(state.checkpoint > swept_at && state.refreshed_at == swept_at, "{state:?}");

    world.sandbox.advance(10 * MINUTE);
    let (contact, tag) = world.sandbox.links("contact_tags")[0].clone();
    world.sandbox.change(Change::RemoveTag { contact, tag: tag.clone() });
    let report = world.load(&SWEPT).await;
    assert_eq!(searches(&world), groups.len() + pages([&members(&world, "contact_tags")[&tag]]));
    assert_eq!(of(&report, "contact_tags").committed.removed, 1);
    world.assert_truth(&SWEPT);

    // What it has now is what its next number is compared with.
    world.sandbox.advance(10 * MINUTE);
    world.load(&SWEPT).await;
    assert_eq!(searches(&world), groups.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_came_while_another_went_is_found_within_sweep_every() {
    for (sweep_every, distance) in [(DAY, HOUR), (DAY, 5 * HOUR), (3 * HOUR, 50 * MINUTE)] {
        let mut world = World::start(large()).await;
        world.rules.sweep_every = SignedDuration::try_from(sweep_every).unwrap();
        world.load(&SWEPT).await;
        let groups = large_groups(&world);
        let swept_at = world.sandbox.now();
        world.sandbox.advance(MINUTE);
        swap(&world);
        let mut is_late = false;
        loop {
            world.sandbox.advance(distance);
            let run_at = world.sandbox.now();
            world.load(&SWEPT).await;
            if searches(&world) == pages(&groups) {
                world.assert_truth(&SWEPT);
                break;
            }
            assert_eq!(searches(&world), groups.len());
            let age = run_at.duration_since(swept_at).unsigned_abs();
            assert!(age < sweep_every, "not swept within {sweep_every:?}");
            is_late = true;
            let differences = world.differences("contact_tags");
            assert_eq!((differences.missing.len(), differences.extra.len()), (1, 1));
        }
        assert!(is_late, "the number was enough at first");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_farther_apart_than_half_of_sweep_every_read_all_members() {
    let world = World::start(large()).await;
    world.load(&SWEPT).await;
    for _ in 0..2 {
        world.sandbox.advance(13 * HOUR);
        swap(&world);
        world.load(&SWEPT).await;
        world.assert_truth(&SWEPT);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_all_members_gets_them() {
    let mut world = World::start(large()).await;
    world.load(&SWEPT).await;
    swap(&world);
    let report = world.run().tables(&SWEPT).full_refresh().go().await;
    assert_eq!(report.exit_code(), 0);
    world.assert_truth(&SWEPT);
    swap(&world);
    world.rules.sweep_every = SignedDuration::ZERO;
    world.load(&SWEPT).await;
    world.assert_truth(&SWEPT);
    swap(&world);
    "2.13".clone_into(&mut world.rules.api_version);
    world.rules.sweep_every = SignedDuration::from_hours(24);
    world.load(&SWEPT).await;
    world.assert_truth(&SWEPT);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_one_answer_holds_are_right_after_every_run_and_cost_one_request() {
    let world = World::start(Settings::default()).await;
    world.load(&SWEPT).await;
    let groups = world.ids("tags").len() + world.ids("segments").len();
    for _ in 0..2 {
        world.sandbox.advance(MINUTE);
        swap(&world);
        world.load(&SWEPT).await;
        assert_eq!(searches(&world), groups);
        world.assert_truth(&SWEPT);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_goes_and_returns_has_its_members_again() {
    let world = World::start(large()).await;
    world.load(&SWEPT).await;
    let tag = world.ids("tags").remove(0);
    world.delete("tags", &tag);
    world.sandbox.advance(MINUTE);
    let report = world.load(&SWEPT).await;
    assert!(of(&report, "contact_tags").committed.removed > 200);
    world.assert_truth(&SWEPT);
    world.restore("tags", &tag);
    world.sandbox.advance(MINUTE);
    let report = world.load(&SWEPT).await;
    assert!(of(&report, "contact_tags").committed.new > 200);
    world.assert_truth(&SWEPT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_that_was_cut_short_goes_on_with_the_groups_it_lacks() {
    let world = World::start(Settings { contacts: 1_600, tags: 12, ..Settings::default() }).await;
    let tables = ["contact_tags"];
    let groups = members(&world, "contact_tags");
    assert!(groups.values().all(|members| *members > 150), "{groups:?}");
    let all = pages(groups.values());
    let run = world.run().tables(&tables).commit_every(100).stopped_at_request("/contacts/search", 20);
    let report = run.go().await;
    assert_eq!(of(&report, "contact_tags").outcome, Outcome::Interrupted);
    world.sandbox.clear_faults();
    let state = world.state("contact_tags").expect("what was read is noted");
    assert_eq!((state.checkpoint, state.refreshed_at), (None, None));
    world.load(&tables).await;
    assert!(searches(&world) < all, "{} of {all} searches", searches(&world));
    world.assert_truth(&tables);
    world.sandbox.advance(MINUTE);
    world.load(&tables).await;
    assert_eq!(searches(&world), groups.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_added_later_gets_all_members() {
    let world = World::start(large()).await;
    world.load(&SWEPT).await;
    let groups = large_groups(&world);
    let second = world.folder().join("second.duckdb");
    for expected in [pages(&groups), groups.len()] {
        world.sandbox.advance(MINUTE);
        let report = world.run().tables(&SWEPT).beside(second.clone()).go().await;
        assert_eq!((report.exit_code(), searches(&world)), (0, expected));
    }
    world.assert_truth(&SWEPT);
    let connection = crate::support::truth::open(&second);
    let sql = "SELECT (SELECT count(*) FROM crm.contact_tags) + (SELECT count(*) FROM crm.contact_segments)";
    let rows: usize = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(rows, groups.iter().sum::<usize>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_look_and_an_interval_leave_the_memory_as_it_is() {
    let world = World::start(large()).await;
    world.run().tables(&SWEPT).limit(10).go().await;
    world.load(&SWEPT).await;
    let groups = large_groups(&world);
    assert_eq!(searches(&world), pages(&groups), "a first look is no sweep");
    swap(&world);
    let now = world.sandbox.now();
    world.run().tables(&SWEPT).interval(now - DAY, now).go().await;
    world.assert_truth(&SWEPT);
}

also_over_lakes!(
    of_groups_with_as_many_members_as_before_only_the_number_is_asked,
    a_group_that_goes_and_returns_has_its_members_again,
    a_first_load_that_was_cut_short_goes_on_with_the_groups_it_lacks,
    a_destination_that_is_added_later_gets_all_members,
);
