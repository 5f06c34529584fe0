//! Tickets, and what describes them: their types, the attributes of these and their states.

use crate::table::{
    Column, Endpoint, Inside, List, More, PARTS_TOTAL, PARTS_TRUNCATED, PLAIN, TableSpec, WriteDisposition,
    boolean, integer, json, reference, text, timestamp,
};

pub(super) const READ_TICKETS: &str = "Read tickets";

/// Tickets, read through the ticket search, which shows their parts as well.
pub(super) const TICKETS: TableSpec = TableSpec {
    name: "tickets",
    cursor: Some("updated_at"),
    disposition: WriteDisposition::Merge,
    endpoint: Endpoint::Search { path: "/tickets/search", records: "tickets" },
    permission: READ_TICKETS,
    object: Some("/tickets"),
    elsewhere: &["ticket_parts"],
    columns: COLUMNS,
    filled: &[boolean(PARTS_TRUNCATED), integer(PARTS_TOTAL)],
    filled_by: Some("ticket_parts"),
    ..PLAIN
};

const COLUMNS: &[Column] = &[
    text("type"),
    text("id"),
    text("ticket_id"),
    text("category"),
    json("ticket_attributes"),
    text("ticket_state.type"),
    text("ticket_state.id"),
    // Up to 2.11 the state is its category alone, with the labels beside it.
    text("ticket_state.category").or_at(&["ticket_state"]),
    text("ticket_state.internal_label").or_at(&["ticket_state_internal_label"]),
    text("ticket_state.external_label").or_at(&["ticket_state_external_label"]),
    text("ticket_type.type"),
    text("ticket_type.id"),
    text("ticket_type.category"),
    text("ticket_type.name"),
    text("ticket_type.description"),
    text("ticket_type.icon"),
    text("ticket_type.workspace_id"),
    json("ticket_type.ticket_type_attributes"),
    json("ticket_type.ticket_states"),
    boolean("ticket_type.archived"),
    timestamp("ticket_type.created_at"),
    timestamp("ticket_type.updated_at"),
    json("contacts"),
    reference("admin_assignee_id"),
    reference("team_assignee_id"),
    timestamp("created_at"),
    timestamp("updated_at"),
    boolean("open"),
    timestamp("snoozed_until"),
    json("linked_objects"),
    boolean("is_shared"),
    // In real answers, not in the contract:
    boolean("ticket_type.is_internal"),
    text("channel"),
    // Documented since 2.16:
    reference("previous_ticket_state_id"),
];

/// The kinds of tickets, archived ones included.
pub(super) const TICKET_TYPES: TableSpec = TableSpec {
    name: "ticket_types",
    endpoint: Endpoint::Lists { records: "data", lists: &[List::of("/ticket_types")] },
    permission: READ_TICKETS,
    elsewhere: &["ticket_type_attributes"],
    columns: &[
        text("type"),
        text("id"),
        text("category"),
        text("name"),
        text("description"),
        text("icon"),
        text("workspace_id"),
        json("ticket_states"),
        boolean("archived"),
        timestamp("created_at"),
        timestamp("updated_at"),
        // In real answers, not in the contract:
        boolean("is_internal"),
    ],
    ..PLAIN
};

/// What can be filled in for tickets of each type.
pub(super) const TICKET_TYPE_ATTRIBUTES: TableSpec = TableSpec {
    name: "ticket_type_attributes",
    endpoint: Endpoint::Inside(Inside {
        parent: &TICKET_TYPES,
        // The first is what is answered, the second what the contract says.
        lists: &["ticket_type_attributes.data", "ticket_type_attributes.ticket_type_attributes"],
        is_union: false,
        total: None,
        more: More::Nothing,
    }),
    permission: READ_TICKETS,
    // The parent's id once more.
    elsewhere: &["ticket_type_id"],
    columns: &[
        text("type"),
        text("id"),
        text("workspace_id"),
        text("name"),
        text("description"),
        text("data_type"),
        json("input_options"),
        integer("order"),
        boolean("required_to_create"),
        boolean("required_to_create_for_contacts"),
        boolean("visible_on_create"),
        boolean("visible_to_contacts"),
        boolean("default"),
        text("id").of_parent().named("ticket_type_id"),
        boolean("archived"),
        timestamp("created_at"),
        timestamp("updated_at"),
    ],
    ..PLAIN
};

/// The states a ticket can be in, with the types that have them; archived ones included.
pub(super) const TICKET_STATES: TableSpec = TableSpec {
    name: "ticket_states",
    endpoint: Endpoint::Lists { records: "data", lists: &[List::of("/ticket_states")] },
    permission: READ_TICKETS,
    columns: &[
        text("type"),
        text("id"),
        text("category"),
        text("internal_label"),
        text("external_label"),
        boolean("archived"),
        json("ticket_types"),
    ],
    ..PLAIN
};
