//! What happened in a conversation or on a ticket, one row per message, note or event. Only the newest 500
//! are ever shown, so rows are never removed for being absent.

use super::conversations::{CONVERSATIONS, READ_CONVERSATIONS};
use super::tickets::{READ_TICKETS, TICKETS};
use crate::table::{
    Column, Endpoint, Inside, More, PLAIN, TableSpec, WriteDisposition, body, boolean, json, reference, text,
    timestamp,
};

/// The parts of conversations, which only the object of each conversation shows. Its first message is not
/// among them: that is the conversation's source.
pub(super) const CONVERSATION_PARTS: TableSpec = TableSpec {
    name: "conversation_parts",
    cursor: Some("updated_at"),
    disposition: WriteDisposition::Merge,
    endpoint: Endpoint::Inside(Inside {
        parent: &CONVERSATIONS,
        lists: &["conversation_parts.conversation_parts"],
        is_union: false,
        total: Some("conversation_parts.total_count"),
        more: More::Object { stated: Some("statistics.count_conversation_parts") },
    }),
    permission: READ_CONVERSATIONS,
    columns: OF_CONVERSATIONS,
    ..PLAIN
};

const OF_CONVERSATIONS: &[Column] = &[
    text("type"),
    text("id"),
    text("id").of_parent().named("conversation_id"),
    text("part_type"),
    body("body"),
    timestamp("created_at"),
    timestamp("updated_at"),
    timestamp("notified_at"),
    text("assigned_to.type"),
    reference("assigned_to.id"),
    text("author.type"),
    text("author.id"),
    text("author.name"),
    text("author.email"),
    boolean("author.from_ai_agent"),
    boolean("author.is_ai_answer"),
    json("attachments"),
    text("external_id"),
    boolean("redacted"),
    text("email_message_metadata.subject"),
    json("email_message_metadata.email_address_headers"),
    json("metadata.quick_reply_options"),
    text("metadata.quick_reply_uuid"),
    text("state"),
    json("tags"),
    // Of a shape that depends on `part_type`.
    json("event_details"),
    text("app_package_code"),
    // In real answers, not in the contract:
    json("translations"),
    // Documented since 2.15:
    text("email_message_metadata.message_id"),
];

/// The parts of tickets, which stand inside the tickets themselves.
pub(super) const TICKET_PARTS: TableSpec = TableSpec {
    name: "ticket_parts",
    cursor: Some("updated_at"),
    disposition: WriteDisposition::Merge,
    endpoint: Endpoint::Inside(Inside {
        parent: &TICKETS,
        lists: &["ticket_parts.ticket_parts"],
        is_union: false,
        total: Some("ticket_parts.total_count"),
        more: More::Nothing,
    }),
    permission: READ_TICKETS,
    columns: OF_TICKETS,
    ..PLAIN
};

const OF_TICKETS: &[Column] = &[
    text("type"),
    text("id"),
    text("id").of_parent().named("ticket_id"),
    text("part_type"),
    body("body"),
    text("previous_ticket_state"),
    text("ticket_state"),
    timestamp("created_at"),
    timestamp("updated_at"),
    text("assigned_to.type"),
    reference("assigned_to.id"),
    text("author.type"),
    text("author.id"),
    text("author.name"),
    text("author.email"),
    json("attachments"),
    text("external_id"),
    boolean("redacted"),
    text("app_package_code"),
    text("updated_attribute_data.attribute.type"),
    text("updated_attribute_data.attribute.id"),
    text("updated_attribute_data.attribute.label"),
    text("updated_attribute_data.value.type"),
    // A text, or a list for attributes that hold files.
    json("updated_attribute_data.value.id"),
    json("updated_attribute_data.value.label"),
    // In real answers, not in the contract:
    json("translations"),
];
