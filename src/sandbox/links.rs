//! The truth about memberships: who belongs to what, whole, whatever answers leave out.

use std::sync::Arc;

use serde_json::Value;

use super::generate::Kind;
use super::row::Row;
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
        "company_tags" => shown(Kind::Companies, "tags", "tags"),
        "company_segments" => shown(Kind::Companies, "segments", "segments"),
        "conversation_tags" => shown(Kind::Conversations, "tags", "tags"),
        "conversation_contacts" => shown(Kind::Conversations, "contacts", "contacts"),
        "conversation_teammates" => shown(Kind::Conversations, "teammates", "admins"),
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

/// The ids in a list the row's JSON holds whole, `outer.inner[].id`.
pub(crate) fn ids(row: &Row, outer: &str, inner: &str) -> Vec<String> {
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
            "team_admins",
        ] {
            let links = of(&world, table).unwrap();
            assert!(links.len() > 5, "{table}");
            assert!(links.iter().all(|(parent, child)| !parent.is_empty() && !child.is_empty()), "{table}");
        }
        assert_eq!(of(&world, "contacts"), None);
    }
}
