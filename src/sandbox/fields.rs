//! Which fields the searches know, of what type they are, and where a row holds them.

use super::generate::data_attributes::CUSTOM;

/// What a search can be asked about.
#[derive(Debug)]
pub(crate) struct Subject {
    /// Value of `model` of the custom attributes that can be searched; none means none can.
    pub(crate) custom_model: Option<&'static str>,
    /// Dates are compared by calendar day instead of by second.
    pub(crate) by_day: bool,
    pub(crate) fields: &'static [Field],
}

/// A searchable field.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: FieldKind,
    /// Keys to follow through the row, lists fanning out; `tags` and `segments` are kept outside the row's text.
    pub(crate) path: &'static str,
}

/// The type of a field, which decides the operators and the JSON type of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldKind {
    /// Unix seconds.
    Date,
    Integer,
    Text,
    /// Text whose words are matched one by one.
    Words,
    Flag,
    /// A tag of a contact: only `=` and `!=`.
    Tag,
    /// A segment a contact is in: only `=` and `!=`.
    Segment,
    /// Integer up to API 2.15, text from 2.16.
    Owner,
    /// Category of a ticket, asked for under other words than rows show.
    Category,
}

const fn field(name: &'static str, kind: FieldKind, path: &'static str) -> Field {
    Field { name, kind, path }
}

const fn same(name: &'static str, kind: FieldKind) -> Field {
    Field { name, kind, path: name }
}

use FieldKind::{Category, Date, Flag, Integer, Owner, Segment, Tag, Text, Words};

/// `POST /contacts/search`.
pub(crate) const CONTACTS: Subject = Subject {
    custom_model: Some("contact"),
    by_day: true,
    fields: &[
        same("id", Text),
        same("role", Text),
        same("name", Text),
        field("avatar", Text, "avatar.image_url"),
        same("owner_id", Owner),
        same("email", Text),
        same("email_domain", Text),
        same("phone", Text),
        same("external_id", Text),
        same("created_at", Date),
        same("signed_up_at", Date),
        same("updated_at", Date),
        same("last_seen_at", Date),
        same("last_contacted_at", Date),
        same("last_replied_at", Date),
        same("last_email_opened_at", Date),
        same("last_email_clicked_at", Date),
        same("language_override", Text),
        same("browser", Text),
        same("browser_language", Text),
        same("os", Text),
        same("location.country", Text),
        same("location.region", Text),
        same("location.city", Text),
        same("unsubscribed_from_emails", Flag),
        same("marked_email_as_spam", Flag),
        same("has_hard_bounced", Flag),
        same("ios_last_seen_at", Date),
        same("ios_app_version", Text),
        same("ios_device", Text),
        field("ios_app_device", Text, "ios_device"),
        same("ios_os_version", Text),
        same("ios_app_name", Text),
        same("ios_sdk_version", Text),
        same("android_last_seen_at", Date),
        same("android_app_version", Text),
        same("android_device", Text),
        same("android_app_name", Text),
        // Spelled so by the API.
        field("andoid_sdk_version", Text, "android_sdk_version"),
        same("segment_id", Segment),
        same("tag_id", Tag),
    ],
};

/// `POST /conversations/search`.
pub(crate) const CONVERSATIONS: Subject = Subject {
    custom_model: None,
    by_day: false,
    fields: &[
        same("id", Text),
        same("created_at", Date),
        same("updated_at", Date),
        same("source.type", Text),
        same("source.id", Text),
        same("source.delivered_as", Text),
        same("source.subject", Text),
        same("source.body", Words),
        same("source.author.id", Text),
        same("source.author.type", Text),
        same("source.author.name", Text),
        same("source.author.email", Text),
        same("source.url", Text),
        field("contact_ids", Text, "contacts.contacts.id"),
        field("teammate_ids", Text, "teammates.admins.id"),
        same("admin_assignee_id", Integer),
        same("team_assignee_id", Integer),
        same("channel_initiated", Text),
        same("open", Flag),
        same("read", Flag),
        same("state", Text),
        same("waiting_since", Date),
        same("snoozed_until", Date),
        field("tag_ids", Text, "tags.tags.id"),
        same("priority", Text),
        same("statistics.time_to_assignment", Integer),
        same("statistics.time_to_admin_reply", Integer),
        same("statistics.time_to_first_close", Integer),
        same("statistics.time_to_last_close", Integer),
        same("statistics.median_time_to_reply", Integer),
        same("statistics.first_contact_reply_at", Date),
        same("statistics.first_assignment_at", Date),
        same("statistics.first_admin_reply_at", Date),
        same("statistics.first_close_at", Date),
        same("statistics.last_assignment_at", Date),
        same("statistics.last_assignment_admin_reply_at", Date),
        same("statistics.last_contact_reply_at", Date),
        same("statistics.last_admin_reply_at", Date),
        same("statistics.last_close_at", Date),
        same("statistics.last_closed_by_id", Text),
        same("statistics.count_reopens", Integer),
        same("statistics.count_assignments", Integer),
        same("statistics.count_conversation_parts", Integer),
        field("conversation_rating.requested_at", Date, "conversation_rating.created_at"),
        field("conversation_rating.replied_at", Date, "conversation_rating.updated_at"),
        field("conversation_rating.score", Integer, "conversation_rating.rating"),
        same("conversation_rating.remark", Text),
        field("conversation_rating.contact_id", Text, "conversation_rating.contact.id"),
        // Spelled so by the API.
        field("conversation_rating.admin_d", Text, "conversation_rating.teammate.id"),
        same("ai_agent_participated", Flag),
        same("ai_agent.resolution_state", Text),
        same("ai_agent.last_answer_type", Text),
        same("ai_agent.rating", Integer),
        same("ai_agent.rating_remark", Text),
        same("ai_agent.source_type", Text),
        same("ai_agent.source_title", Text),
    ],
};

/// `POST /tickets/search`. Assignees are text in searches of every version here.
pub(crate) const TICKETS: Subject = Subject {
    custom_model: None,
    by_day: false,
    fields: &[
        same("id", Text),
        same("created_at", Date),
        same("updated_at", Date),
        field("title", Text, "ticket_attributes._default_title_"),
        field("description", Text, "ticket_attributes._default_description_"),
        same("category", Category),
        field("ticket_type_id", Text, "ticket_type.id"),
        field("contact_ids", Text, "contacts.contacts.id"),
        field("teammate_ids", Text, "admin_assignee_id"),
        same("admin_assignee_id", Text),
        same("team_assignee_id", Text),
        same("open", Flag),
        field("state", Text, "ticket_state.category"),
        same("snoozed_until", Date),
    ],
};

impl Subject {
    /// The field of that name, or the custom attribute declared under it: kind and path.
    pub(crate) fn find(&self, name: &str) -> Option<(FieldKind, Path)> {
        if let Some(field) = self.fields.iter().find(|field| field.name == name) {
            return Some((field.kind, Path::of(field.path)));
        }
        let (model, key) = (self.custom_model?, name.strip_prefix("custom_attributes.")?);
        let attribute =
            CUSTOM.iter().find(|custom| custom.model == model && custom.name == key && !custom.archived)?;
        let kind = match attribute.data_type {
            "date" => Date,
            "integer" | "float" => Integer,
            "boolean" => Flag,
            _ => Text,
        };
        // Attribute names may hold dots, so the key is one step however it is written.
        Some((kind, Path(vec!["custom_attributes".to_owned(), key.to_owned()])))
    }
}

/// Keys to follow into a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) Vec<String>);

impl Path {
    fn of(dotted: &str) -> Self {
        Self(dotted.split('.').map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_field_is_declared_twice() {
        for subject in [&CONTACTS, &CONVERSATIONS, &TICKETS] {
            let names: HashSet<_> = subject.fields.iter().map(|field| field.name).collect();
            assert_eq!(names.len(), subject.fields.len());
        }
    }

    #[test]
    fn custom_attributes_are_found_by_their_exact_name() {
        assert_eq!(CONTACTS.find("custom_attributes.renewal_date").unwrap().0, Date);
        assert_eq!(CONTACTS.find("custom_attributes.Plan Tier").unwrap().0, Text);
        assert!(CONTACTS.find("custom_attributes.PLAN TIER").is_none());
        assert!(CONTACTS.find("company_id").is_none());
        assert!(CONVERSATIONS.find("custom_attributes.renewal_date").is_none());
    }
}
