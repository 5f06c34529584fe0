//! What the API version changes in the rows shown, and what the dialect does.
//!
//! Rows are kept in the shape of 2.14 under the keys real answers have.

use std::borrow::Cow;

use super::generate::Kind;
use super::json::{Json, Members, Raw};
use super::later;
use super::version::Version;

impl Version {
    /// A row kept in the shape of 2.14, in the shape of this version.
    pub(crate) fn shape(self, kind: Kind, text: &str) -> Cow<'_, str> {
        let changed = match kind {
            Kind::Tickets => self < Self::V2_12 || self >= Self::V2_16,
            Kind::Contacts
            | Kind::Conversations
            | Kind::Articles
            | Kind::HelpCenters
            | Kind::InternalArticles => self >= Self::V2_16,
            Kind::ContentImportSources => self >= Self::V2_15,
            _ => false,
        };
        let adds = self.dialect.later_fields && later::adds(kind, self);
        let renames = self.dialect.published_keys && has_published_keys(kind);
        if !(changed || adds || renames) {
            return Cow::Borrowed(text);
        }
        let mut members = Members::of(text);
        if adds {
            later::add(kind, self, &mut members);
        }
        if changed {
            self.change(kind, &mut members);
        }
        if renames {
            publish(kind, &mut members);
        }
        Cow::Owned(members.text())
    }

    /// The statistics of an article, which only its own endpoint shows.
    pub(crate) fn shape_statistics(self, text: &str) -> String {
        let mut members = Members::of(text);
        if self.dialect.later_fields && self >= Self::V2_16 {
            later::add_statistics(&mut members);
        }
        if self.dialect.published_keys {
            members.rename("conversations", "conversions");
        }
        members.text()
    }

    fn change(self, kind: Kind, members: &mut Members) {
        match kind {
            Kind::Contacts => {
                if let Some(owner) = members.integer("owner_id") {
                    members.set("owner_id", owner.to_string());
                }
            }
            Kind::Articles => {
                members.remove("parent_id");
                members.remove("parent_type");
            }
            Kind::Tickets if self < Self::V2_12 => flatten_state(members),
            Kind::Tickets => reshape_ticket(members),
            Kind::HelpCenters => {
                let first = members.get("website_turned_on") == Some("true");
                members.set("default", first);
                members.set("locales", Raw("[\"en\",\"de\"]"));
            }
            Kind::InternalArticles => {
                members.set("body_markdown", None::<&str>);
                members.set("audience_ids", Raw("[]"));
                for audience in ["chatbot", "copilot", "sales_agent"] {
                    members.set(&format!("ai_{audience}_availability"), audience == "copilot");
                }
            }
            Kind::ContentImportSources => members.set("audience_ids", Raw("[]")),
            _ => reshape_conversation(members),
        }
    }
}

/// Kinds whose rows real answers write under other keys than the published schema.
fn has_published_keys(kind: Kind) -> bool {
    matches!(kind, Kind::Conversations | Kind::Tickets | Kind::TicketTypes | Kind::Companies)
}

/// Puts the keys of the published schema in the place of those real answers have.
fn publish(kind: Kind, members: &mut Members) {
    match kind {
        Kind::Conversations => {
            inside(members, "teammates", |teammates| teammates.rename("admins", "teammates"));
        }
        Kind::Companies => inside(members, "notes", later::publish_notes),
        Kind::TicketTypes => inside(members, "ticket_type_attributes", publish_attributes),
        _ => inside(members, "ticket_type", |kind| {
            inside(kind, "ticket_type_attributes", publish_attributes);
        }),
    }
}

fn publish_attributes(list: &mut Members) {
    if list.get("data").is_some() {
        list.set("type", "ticket_type_attributes.list");
        list.rename("data", "ticket_type_attributes");
    }
}

/// Changes the object under `key`; anything else there stays as it is.
pub(crate) fn inside(members: &mut Members, key: &str, change: impl FnOnce(&mut Members)) {
    let Some(text) = members.get(key).filter(|text| text.starts_with('{')) else { return };
    let mut object = Members::of(text);
    change(&mut object);
    members.set(key, Raw(&object.text()));
}

/// Up to 2.11 the state was its category, with the labels beside it.
fn flatten_state(members: &mut Members) {
    let state = members.get("ticket_state").map(Members::of);
    let Some(state) = state.filter(|state| state.get("category").is_some()) else { return };
    for (key, inside) in [
        ("ticket_state", "category"),
        ("ticket_state_internal_label", "internal_label"),
        ("ticket_state_external_label", "external_label"),
    ] {
        members.set(key, Raw(state.get(inside).unwrap_or("null")));
    }
}

fn reshape_ticket(members: &mut Members) {
    for key in ["admin_assignee_id", "team_assignee_id"] {
        if let Some(number) = members.get(key).and_then(|text| text.trim_matches('"').parse::<i64>().ok()) {
            members.set(key, number);
        }
    }
    members.set("previous_ticket_state_id", None::<&str>);
    members.set("channel", "conversation");
}

fn reshape_conversation(members: &mut Members) {
    for key in ["admin_assignee_id", "team_assignee_id"] {
        if members.get(key) == Some("null") {
            members.set(key, 0_i64);
        }
    }
    let priority = if members.get("priority") == Some("\"priority\"") { "high" } else { "none" };
    members.set("priority", priority);
    if members.get("source") == Some("null") {
        members.set("source", Raw("{\"type\":\"unknown\",\"id\":null}"));
    }
    inside(members, "source", |source| {
        if source.get("subject") == Some("".json().as_str()) {
            source.set("subject", None::<&str>);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::version::Dialect;
    use super::*;

    #[test]
    fn tickets_change_their_shape_with_2_12_and_2_16() {
        let shape = |minor, text| Version::of(minor).shape(Kind::Tickets, text).into_owned();
        let ticket = r#"{"ticket_state":{"id":"1","category":"resolved","internal_label":"Done","external_label":"Gelöst"},"admin_assignee_id":"0","team_assignee_id":"7"}"#;
        assert_eq!(shape(12, ticket), ticket);
        assert_eq!(shape(15, ticket), ticket);
        assert_eq!(
            shape(11, ticket),
            r#"{"ticket_state":"resolved","admin_assignee_id":"0","team_assignee_id":"7","ticket_state_internal_label":"Done","ticket_state_external_label":"Gelöst"}"#
        );
        assert!(shape(16, ticket).contains(r#""admin_assignee_id":0,"team_assignee_id":7,"#));
        assert_eq!(shape(11, r#"{"ticket_state":null}"#), r#"{"ticket_state":null}"#);
    }

    #[test]
    fn rows_change_their_shape_with_2_16() {
        let shape = |minor, kind, text| Version::of(minor).shape(kind, text).into_owned();
        let contact = r#"{"id":"a","owner_id":7}"#;
        assert_eq!(shape(15, Kind::Contacts, contact), contact);
        assert_eq!(shape(16, Kind::Contacts, contact), r#"{"id":"a","owner_id":"7"}"#);
        assert_eq!(shape(16, Kind::Contacts, r#"{"owner_id":null}"#), r#"{"owner_id":null}"#);
        let conversation = r#"{"source":{"subject":""},"admin_assignee_id":null,"team_assignee_id":5,"priority":"not_priority"}"#;
        assert_eq!(
            shape(16, Kind::Conversations, conversation),
            r#"{"source":{"subject":null},"admin_assignee_id":0,"team_assignee_id":5,"priority":"none"}"#
        );
        assert_eq!(
            shape(16, Kind::Articles, r#"{"id":"1","parent_id":1,"parent_type":"x"}"#),
            r#"{"id":"1"}"#
        );
    }

    #[test]
    fn keys_are_those_of_the_published_schema_where_that_is_the_dialect() {
        let published = Version::of(14).spoken(Dialect { published_keys: true, ..Dialect::default() });
        for (kind, live, schema) in [
            (
                Kind::Conversations,
                r#"{"teammates":{"type":"admin.list","admins":[{"id":"1"}]},"title":null}"#,
                r#"{"teammates":{"type":"admin.list","teammates":[{"id":"1"}]},"title":null}"#,
            ),
            (Kind::Conversations, r#"{"teammates":null}"#, r#"{"teammates":null}"#),
            (
                Kind::TicketTypes,
                r#"{"ticket_type_attributes":{"type":"list","data":[]}}"#,
                r#"{"ticket_type_attributes":{"type":"ticket_type_attributes.list","ticket_type_attributes":[]}}"#,
            ),
            (
                Kind::Tickets,
                r#"{"ticket_type":{"id":"1","ticket_type_attributes":{"type":"list","data":[]}}}"#,
                r#"{"ticket_type":{"id":"1","ticket_type_attributes":{"type":"ticket_type_attributes.list","ticket_type_attributes":[]}}}"#,
            ),
            (Kind::Tickets, r#"{"ticket_type":null}"#, r#"{"ticket_type":null}"#),
        ] {
            assert_eq!(published.shape(kind, live), schema, "{kind:?}");
            assert_eq!(Version::of(14).shape(kind, live), live, "{kind:?}");
        }
        let statistics = r#"{"views":3,"conversations":1}"#;
        assert_eq!(published.shape_statistics(statistics), r#"{"views":3,"conversions":1}"#);
        assert_eq!(Version::of(16).shape_statistics(statistics), statistics);
    }
}
