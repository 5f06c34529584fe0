//! The API version a request asks for, and what it changes in the rows shown.

use std::borrow::Cow;

use super::errors::ApiError;
use super::generate::Kind;
use super::json::{Json, Members, Raw};

/// API 2.`minor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) minor: u8,
}

impl Version {
    /// Where the state of a ticket became an object.
    pub(crate) const V2_12: Self = Self { minor: 12 };
    /// Where internal articles came.
    pub(crate) const V2_13: Self = Self { minor: 13 };
    /// Where calls and away status reasons came.
    pub(crate) const V2_14: Self = Self { minor: 14 };
    /// Where a contact's owner became text, unassigned became 0 and priorities got names.
    pub(crate) const V2_16: Self = Self { minor: 16 };

    /// Reads the `Intercom-Version` header. Without one an app gets whatever ancient version it was made with, which
    /// no client can want, so that is refused too.
    pub(crate) fn read(header: Option<&str>) -> Result<Self, ApiError> {
        header
            .and_then(|text| (7..=16).find(|minor| text == format!("2.{minor}")))
            .map(|minor| Self { minor })
            .ok_or_else(ApiError::version)
    }

    /// A row kept in the shape of 2.14, in the shape of this version.
    pub(crate) fn shape(self, kind: Kind, text: &str) -> Cow<'_, str> {
        let changed = match kind {
            Kind::Tickets => self < Self::V2_12 || self >= Self::V2_16,
            Kind::Contacts
            | Kind::Conversations
            | Kind::Articles
            | Kind::HelpCenters
            | Kind::InternalArticles => self >= Self::V2_16,
            _ => false,
        };
        if !changed {
            return Cow::Borrowed(text);
        }
        let mut members = Members::of(text);
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
            Kind::Tickets if self < Self::V2_12 => flatten_state(&mut members),
            Kind::Tickets => reshape_ticket(&mut members),
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
            _ => reshape_conversation(&mut members),
        }
        Cow::Owned(members.text())
    }
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
    } else if let Some(source) = members.get("source") {
        let mut source = Members::of(source);
        if source.get("subject") == Some("".json().as_str()) {
            source.set("subject", None::<&str>);
        }
        let source = source.text();
        members.set("source", Raw(&source));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_2_7_to_2_16_exist() {
        assert_eq!(Version::read(Some("2.14")), Ok(Version { minor: 14 }));
        assert_eq!(Version::read(Some("2.7")), Ok(Version { minor: 7 }));
        for refused in
            [None, Some(""), Some("2.6"), Some("2.17"), Some("2.014"), Some("1.4"), Some("Preview")]
        {
            assert_eq!(Version::read(refused).unwrap_err().code, "intercom_version_invalid", "{refused:?}");
        }
    }

    #[test]
    fn tickets_change_their_shape_with_2_12_and_2_16() {
        let shape = |minor, text| Version { minor }.shape(Kind::Tickets, text).into_owned();
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
        let shape = |minor, kind, text| Version { minor }.shape(kind, text).into_owned();
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
}
