//! Fields that API versions after 2.14 add, for workspaces that show them.

use super::generate::Kind;
use super::json::{Json, Members, NULL, Object, Raw, array};
use super::shape::inside;
use super::version::Version;

/// Whether rows of `kind` have more fields, or other words in them, in `version`.
pub(crate) fn adds(kind: Kind, version: Version) -> bool {
    match kind {
        Kind::Conversations => version >= Version::V2_15,
        Kind::Contacts | Kind::Companies | Kind::Admins | Kind::Articles => version >= Version::V2_16,
        _ => false,
    }
}

/// Adds them to a row in the shape of 2.14.
pub(crate) fn add(kind: Kind, version: Version, members: &mut Members) {
    match kind {
        Kind::Conversations => conversation(version, members),
        Kind::Contacts => contact(members),
        Kind::Companies => {
            let id = members.get("id").unwrap_or_default().trim_matches('"').to_owned();
            let notes = Object::new()
                .put("type", "list")
                .put("data", Raw("[]"))
                .put("url", format!("/companies/{id}/notes"))
                .put("total_count", 0_i64)
                .put("has_more", false)
                .done();
            members.set("notes", Raw(&notes));
        }
        Kind::Admins => {
            members.set("role", Raw("{\"type\":\"role\",\"id\":\"7\",\"name\":\"Einsatzleitung\"}"));
        }
        _ => article(members),
    }
}

fn conversation(version: Version, members: &mut Members) {
    members.set("company", NULL);
    inside(members, "ai_agent", |agent| {
        let renamed = match agent.get("resolution_state") {
            Some("\"routed_to_team\"") => "escalated",
            Some("\"abandoned\"") => "negative_feedback",
            _ => return,
        };
        agent.set("resolution_state", renamed);
    });
    if version < Version::V2_16 {
        return;
    }
    let mut channel = "messenger";
    inside(members, "source", |source| {
        if source.get("type") == Some("\"email\"") {
            channel = "email";
            let to = "[{\"type\":\"to\",\"email\":\"help@example.com\",\"drop_reason\":null}]";
            let message = "{\"message_id\":null,\"subject\":\"Über my order\",\"email_address_headers\":[],\"history\":\"\"}";
            source.set("recipients", Raw(to));
            source.set("reply_to", NULL);
            source.set("email_message_metadata", Raw(message));
        }
    });
    let channel = Object::new().put("initial", channel).put("current", "messenger").done();
    members.set("channel", Raw(&channel));
    members.set("external_references", Raw("[]"));
    members.set("sales_agent_participated", false);
    members.set("sales_agent", NULL);
    inside(members, "statistics", |statistics| {
        let adjusted = statistics.integer("handling_time").map(|time| time - 40);
        statistics.set("adjusted_handling_time", adjusted);
    });
}

/// Answers of 2.16 always name the domain.
fn contact(members: &mut Members) {
    if members.get("email_domain").is_none() {
        let email = members.get("email").unwrap_or_default().trim_matches('"');
        let domain = email.split_once('@').map(|(_, domain)| domain.to_owned());
        members.set("email_domain", domain);
    }
}

fn article(members: &mut Members) {
    let parent = members.integer("parent_id").map(|parent| parent.json());
    members.set("parent_ids", Raw(&array(parent)));
    let author = members.integer("author_id");
    members.set("body_markdown", "# Auf einen Blick\n\n- one\n- two");
    members.set("has_unpublished_changes", false);
    members.set("draft_updated_at", NULL);
    for audience in ["chatbot", "copilot", "sales_agent"] {
        members.set(&format!("ai_{audience}_availability"), audience != "sales_agent");
    }
    members.set("created_by_id", author);
    members.set("updated_by_id", author);
    members.set("exclude_from_article_suggestions", false);
    members.set("help_center_audience", "everyone");
    members.set("scheduled_publish_at", NULL);
    members.set("scheduled_unpublish_at", NULL);
}

/// What the AI agent made of an article.
pub(crate) fn add_statistics(statistics: &mut Members) {
    statistics.set("fin_involvements", 12_i64);
    statistics.set("fin_resolutions", 9_i64);
    statistics.set("fin_resolution_rate", Raw("75.0"));
}

/// The list of a company's notes as the published schema has it.
pub(crate) fn publish_notes(notes: &mut Members) {
    notes.set("type", "note.list");
    notes.rename("data", "notes");
    for key in ["url", "total_count", "has_more"] {
        notes.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::version::Dialect;
    use super::*;

    fn shape(minor: u8, kind: Kind, row: &Value) -> Value {
        let later = Dialect { later_fields: true, ..Dialect::default() };
        serde_json::from_str(&Version::of(minor).spoken(later).shape(kind, &row.to_string())).unwrap()
    }

    #[test]
    fn conversations_gain_fields_with_2_15_and_2_16() {
        let row = json!({
            "source": {"type": "email", "subject": ""},
            "priority": "not_priority",
            "statistics": {"handling_time": 310},
            "ai_agent": {"resolution_state": "abandoned"},
        });
        assert_eq!(shape(14, Kind::Conversations, &row), row);
        let old = shape(15, Kind::Conversations, &row);
        assert_eq!((&old["company"], old.get("channel")), (&Value::Null, None));
        assert_eq!(old["ai_agent"]["resolution_state"], "negative_feedback");
        let new = shape(16, Kind::Conversations, &row);
        assert_eq!(new["channel"], json!({"initial": "email", "current": "messenger"}));
        assert_eq!((&new["priority"], &new["source"]["subject"]), (&json!("none"), &Value::Null));
        assert_eq!(new["statistics"]["adjusted_handling_time"], 270);
        assert_eq!(new["source"]["recipients"][0]["type"], "to");
        let unknown = shape(16, Kind::Conversations, &json!({"source": null, "statistics": null}));
        assert_eq!((&unknown["source"]["type"], &unknown["statistics"]), (&json!("unknown"), &Value::Null));
    }

    #[test]
    fn other_rows_gain_theirs_with_2_16() {
        for (kind, row, field, value) in [
            (Kind::Contacts, json!({"email": "a@example.com"}), "email_domain", json!("example.com")),
            (Kind::Contacts, json!({"email": null}), "email_domain", Value::Null),
            (Kind::Articles, json!({"parent_id": 143, "author_id": 7}), "parent_ids", json!([143])),
            (Kind::Articles, json!({"parent_id": null, "author_id": 7}), "created_by_id", json!(7)),
            (
                Kind::Admins,
                json!({"id": "1"}),
                "role",
                json!({"type": "role", "id": "7", "name": "Einsatzleitung"}),
            ),
        ] {
            assert_eq!(shape(15, kind, &row), row, "{kind:?}");
            assert_eq!(shape(16, kind, &row)[field], value, "{kind:?}");
        }
        let company = json!({"id": "c"});
        assert_eq!(shape(16, Kind::Companies, &company)["notes"]["url"], "/companies/c/notes");
        let both = Dialect { later_fields: true, published_keys: true };
        assert_eq!(
            Version::of(16).spoken(both).shape(Kind::Companies, "{\"id\":\"c\"}"),
            "{\"id\":\"c\",\"notes\":{\"type\":\"note.list\",\"notes\":[]}}"
        );
    }
}
