//! What changes do, and what they leave alone.

use super::super::settings::Settings;
use super::*;

fn world() -> (World, Timestamp, Vec<String>) {
    let settings = Settings::default();
    let world = World::generate(&settings);
    let ids = world.table(Kind::Contacts).live().rows().iter().map(|row| row.id.to_string()).collect();
    (world, settings.started_at, ids)
}

fn updated_at(world: &World, id: &str) -> Option<i64> {
    world.table(Kind::Contacts).live().get(id)?.updated_at
}

#[test]
fn updating_moves_the_date_and_tagging_does_not() {
    let (mut world, now, ids) = world();
    let before = updated_at(&world, &ids[0]);
    let tagged = Change::AddTag { contact: ids[0].clone(), tag: "70001".to_owned() };
    assert_eq!(world.apply(&tagged, now), [ids[0].clone()]);
    assert_eq!(updated_at(&world, &ids[0]), before);
    let bulk = Change::BulkUpdate { table: "contacts".to_owned(), ids: ids[..30].to_vec() };
    assert_eq!(world.apply(&bulk, now).len(), 30);
    assert!(ids[..30].iter().all(|id| updated_at(&world, id) == Some(now.as_second())));
    let unknown = Change::Update { table: "contacts".to_owned(), id: "nobody".to_owned() };
    assert!(world.apply(&unknown, now).is_empty());
}

#[test]
fn a_merged_contact_is_gone_and_remembers_where_it_went() {
    let (mut world, now, ids) = world();
    world.apply(&Change::Merge { from: ids[7].clone(), into: ids[1].clone() }, now);
    let table = world.table(Kind::Contacts);
    assert!(table.live().get(&ids[7]).is_none());
    assert_eq!(table.gone(&ids[7]).unwrap().into.as_deref(), Some(ids[1].as_str()));
    assert!(table.live().get(&ids[1]).unwrap().hidden.tags.len() >= 12);
    assert_eq!(updated_at(&world, &ids[1]), Some(now.as_second()));
}

#[test]
fn a_restored_row_is_what_it_was() {
    let (mut world, now, ids) = world();
    let (table, id) = ("contacts".to_owned(), ids[0].clone());
    let before = world.table(Kind::Contacts).live().get(&id).unwrap().text.clone();
    assert_eq!(
        world.apply(&Change::Delete { table: table.clone(), id: id.clone() }, now),
        std::slice::from_ref(&id)
    );
    assert_eq!(world.apply(&Change::Restore { table, id: id.clone() }, now), std::slice::from_ref(&id));
    assert_eq!(world.table(Kind::Contacts).live().get(&id).unwrap().text, before);
}

#[test]
fn a_date_can_be_taken_away() {
    let (mut world, now, ids) = world();
    let change = Change::SetField {
        table: "contacts".to_owned(),
        id: ids[0].clone(),
        field: "updated_at".to_owned(),
        value: Value::Null,
    };
    world.apply(&change, now);
    assert_eq!(updated_at(&world, &ids[0]), None);
}

#[test]
fn churn_follows_from_the_seed() {
    let churn =
        Churn { every_requests: 1, updates: 3, inserts: 2, deletes: 4, tables: vec!["contacts".to_owned()] };
    let ids = || {
        let (mut world, now, _) = world();
        world.churn(&churn, now);
        world.table(Kind::Contacts).live().rows().iter().map(|row| row.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids(), ids());
    assert_eq!(ids().len(), 248);
}
