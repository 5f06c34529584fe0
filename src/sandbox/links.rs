//! The truth about memberships: who belongs to what, whole, whatever answers leave out.

use std::sync::Arc;

use serde_json::Value;

use super::generate::Kind;
use super::row::{Hidden, Row, id_order};
use super::world::World;

/// Pairs of parent and child id of a link table, ordered; none if there is no such table.
pub(crate) fn of(world: &World, table: &str) -> Option<Vec<(String, String)>> {
    let hidden = |list: fn(&Row) -> &[Arc<str>]| {
        pairs(world, Kind::Contacts, |row| list(row).iter().map(ToString::to_string).collect())
    };
    let shown =
        |kind, outer: &'static str, inner: &'static str| pairs(world, kind, |row| ids(row, outer, inner));
    let mut links = match table {
        "contact_tags" => hidden(|row| &row.hidden.tags),
        "contact_segments" => hidden(|row| &row.hidden.segments),
        "contact_companies" => hidden(|row| &row.hidden.companies),
        "contact_notes" => hidden(|row| &row.hidden.notes),
        "contact_subscriptions" => hidden(|row| &row.hidden.subscriptions),
        "company_tags" => pairs(world, Kind::Companies, |row| of_company(row, "tags")),
        "company_segments" => pairs(world, Kind::Companies, |row| of_company(row, "segments")),
        "conversation_tags" => shown(Kind::Conversations, "tags", "tags"),
        "conversation_contacts" => shown(Kind::Conversations, "contacts", "contacts"),
        "conversation_teammates" => shown(Kind::Conversations, "teammates", "admins"),
        "newsfeed_items" => pairs(world, Kind::Newsfeeds, |feed| {
            of_newsfeed(world, &feed.id).into_iter().map(|item| item.id.to_string()).collect()
        }),
        "team_admins" => pairs(world, Kind::Teams, admin_ids),
        _ => return None,
    };
    links.sort_unstable();
    links.dedup();
    Some(links)
}

fn pairs(world: &World, kind: Kind, children: impl Fn(&Row) -> Vec<String>) -> Vec<(String, String)> {
    let rows = world.table(kind).live().rows();
    rows.iter().flat_map(|row| children(row).into_iter().map(|child| (row.id.to_string(), child))).collect()
}

/// The ids in a company's `tags` or `segments`: what its JSON says, and where that says it is cut, all there were.
pub(crate) fn of_company(company: &Row, list: &str) -> Vec<String> {
    if document(company)[list]["has_more"] != true {
        return ids(company, list, list);
    }
    let Hidden { tags, segments, .. } = &company.hidden;
    let whole = if list == "tags" { tags } else { segments };
    whole.iter().map(ToString::to_string).collect()
}

/// The news items that are live on a newsfeed, ordered by id.
pub(crate) fn of_newsfeed(world: &World, newsfeed: &str) -> Vec<Arc<Row>> {
    let is_in = |item: &Value| {
        let assignments = item["newsfeed_assignments"].as_array();
        let mut feeds = assignments.into_iter().flatten().map(|assignment| text(&assignment["newsfeed_id"]));
        item["state"] == "live" && feeds.any(|feed| feed == newsfeed)
    };
    let items = world.table(Kind::NewsItems).live().rows();
    let mut live: Vec<_> = items.iter().filter(|item| is_in(&document(item))).cloned().collect();
    live.sort_by(|a, b| id_order(&a.id).cmp(&id_order(&b.id)));
    live
}

/// The ids in a list the row's JSON holds whole, `outer.inner[].id`.
fn ids(row: &Row, outer: &str, inner: &str) -> Vec<String> {
    let entries = |value: &Value| {
        let items = value.get(outer)?.get(inner)?.as_array()?;
        Some(items.iter().filter_map(|item| item.get("id").map(text)).collect())
    };
    entries(&document(row)).unwrap_or_default()
}

fn admin_ids(row: &Row) -> Vec<String> {
    document(row).get("admin_ids").and_then(Value::as_array).into_iter().flatten().map(text).collect()
}

fn document(row: &Row) -> Value {
    serde_json::from_str(&row.text).unwrap_or_default()
}

/// An id, which some objects write as a number.
fn text(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;

    #[test]
    fn every_link_table_has_links_and_no_other_exists() {
        let world = World::generate(&Settings { contact_links: true, ..Settings::default() });
        for table in [
            "contact_tags",
            "contact_companies",
            "contact_segments",
            "contact_subscriptions",
            "contact_notes",
            "company_tags",
            "company_segments",
            "conversation_tags",
            "conversation_contacts",
            "conversation_teammates",
            "newsfeed_items",
            "team_admins",
        ] {
            let links = of(&world, table).unwrap();
            assert!(links.len() > 5, "{table}");
            assert!(links.iter().all(|(parent, child)| !parent.is_empty() && !child.is_empty()), "{table}");
        }
        assert_eq!(of(&world, "contacts"), None);
    }
}
