//! Who belongs to what. The rows of one parent are all it has: what is taken away from it is removed here.
//!
//! Lists inside people end after ten entries and are then read whole at their own address; those inside
//! companies, conversations and teams are whole. Putting a tag on a person leaves the person's `updated_at`
//! as it was, and segments stand in no person: these two are asked for group by group.

use super::companies::COMPANIES;
use super::contacts::{CONTACTS, PEOPLE_AND_COMPANIES};
use super::conversations::{CONVERSATIONS, READ_CONVERSATIONS};
use super::reference::{SEGMENTS, TAGS, TEAMS};
use crate::table::{
    Address, Column, Endpoint, Inside, KeyColumn, More, PLAIN, TableSpec, Unknown, WriteDisposition, body,
    boolean, json, reference, text, timestamp,
};

const OF_CONTACT: Column = text("id").of_parent().named("contact_id");
const OF_COMPANY: Column = text("id").of_parent().named("company_id");
const OF_CONVERSATION: Column = text("id").of_parent().named("conversation_id");

/// What the links have in common; the rest of each is added to it.
const LINK: TableSpec = TableSpec { unknown: Unknown::LeftOut, ..PLAIN };

const fn inside(parent: &'static TableSpec, lists: &'static [&'static str], more: More) -> Endpoint {
    Endpoint::Inside(Inside { parent, lists, is_union: false, total: None, more })
}

/// The companies of people.
pub(super) const CONTACT_COMPANIES: TableSpec = TableSpec {
    name: "contact_companies",
    key: &[
        KeyColumn::required("contact_id").of("contacts"),
        KeyColumn::required("company_id").of("companies"),
    ],
    disposition: WriteDisposition::PerParent { parent: "contact_id" },
    endpoint: inside(
        &CONTACTS,
        &["companies.data"],
        // The first is what is answered, the second what the contract says.
        More::WhereCut(Address { path: "/contacts/{id}/companies", records: &["data", "companies"] }),
    ),
    permission: PEOPLE_AND_COMPANIES,
    columns: &[OF_CONTACT, text("id").named("company_id")],
    ..LINK
};

/// The segments people are in.
pub(super) const CONTACT_SEGMENTS: TableSpec = TableSpec {
    name: "contact_segments",
    key: &[
        KeyColumn::required("contact_id").of("contacts"),
        KeyColumn::required("segment_id").of("segments"),
    ],
    disposition: WriteDisposition::PerParent { parent: "segment_id" },
    endpoint: Endpoint::Sweep {
        groups: &SEGMENTS,
        path: "/contacts/search",
        records: "data",
        field: "segment_id",
    },
    permission: PEOPLE_AND_COMPANIES,
    columns: &[text("id").named("contact_id"), text("id").of_parent().named("segment_id")],
    ..LINK
};

/// What people chose to get or not to get; what they left as it was is not here. Which of the two it is
/// follows from the `consent_type` of the subscription type.
pub(super) const CONTACT_SUBSCRIPTIONS: TableSpec = TableSpec {
    name: "contact_subscriptions",
    key: &[
        KeyColumn::required("contact_id").of("contacts"),
        KeyColumn::required("subscription_type_id").of("subscription_types"),
    ],
    disposition: WriteDisposition::PerParent { parent: "contact_id" },
    endpoint: Endpoint::Inside(Inside {
        parent: &CONTACTS,
        lists: &["opted_out_subscription_types.data", "opted_in_subscription_types.data"],
        is_union: true,
        total: None,
        more: More::WhereCut(Address { path: "/contacts/{id}/subscriptions", records: &["data"] }),
    }),
    permission: PEOPLE_AND_COMPANIES,
    columns: &[OF_CONTACT, text("id").named("subscription_type_id")],
    ..LINK
};

/// The tags on people.
pub(super) const CONTACT_TAGS: TableSpec = TableSpec {
    name: "contact_tags",
    key: &[KeyColumn::required("contact_id").of("contacts"), KeyColumn::required("tag_id").of("tags")],
    disposition: WriteDisposition::PerParent { parent: "tag_id" },
    endpoint: Endpoint::Sweep { groups: &TAGS, path: "/contacts/search", records: "data", field: "tag_id" },
    permission: PEOPLE_AND_COMPANIES,
    columns: &[text("id").named("contact_id"), text("id").of_parent().named("tag_id")],
    ..LINK
};

/// What teammates wrote down about people. The list inside a person only names the notes.
pub(super) const CONTACT_NOTES: TableSpec = TableSpec {
    name: "contact_notes",
    key: &[KeyColumn::required("contact_id").of("contacts"), KeyColumn::required("note_id")],
    disposition: WriteDisposition::PerParent { parent: "contact_id" },
    endpoint: inside(
        &CONTACTS,
        &["notes.data"],
        More::WhereAny(Address { path: "/contacts/{id}/notes", records: &["data"] }),
    ),
    permission: PEOPLE_AND_COMPANIES,
    // The parent once more.
    elsewhere: &["contact"],
    columns: OF_NOTES,
    ..PLAIN
};

const OF_NOTES: &[Column] = &[
    text("type"),
    text("id").named("note_id"),
    OF_CONTACT,
    timestamp("created_at"),
    text("author.type"),
    text("author.id"),
    text("author.name"),
    text("author.email"),
    text("author.job_title"),
    boolean("author.away_mode_enabled"),
    boolean("author.away_mode_reassign"),
    text("author.away_status_reason_id"),
    boolean("author.has_inbox_seat"),
    json("author.team_ids"),
    text("author.avatar"),
    json("author.team_priority_level"),
    body("body"),
    // Documented since 2.16:
    text("author.role.type"),
    text("author.role.id"),
    text("author.role.name"),
    text("company.type"),
    reference("company.id"),
];

/// The segments companies are in.
pub(super) const COMPANY_SEGMENTS: TableSpec = TableSpec {
    name: "company_segments",
    key: &[
        KeyColumn::required("company_id").of("companies"),
        KeyColumn::required("segment_id").of("segments"),
    ],
    disposition: WriteDisposition::PerParent { parent: "company_id" },
    endpoint: inside(
        &COMPANIES,
        &["segments.segments"],
        More::WhereCut(Address { path: "/companies/{id}/segments", records: &["data"] }),
    ),
    permission: PEOPLE_AND_COMPANIES,
    columns: &[OF_COMPANY, text("id").named("segment_id")],
    ..LINK
};

/// The tags on companies.
pub(super) const COMPANY_TAGS: TableSpec = TableSpec {
    name: "company_tags",
    key: &[KeyColumn::required("company_id").of("companies"), KeyColumn::required("tag_id").of("tags")],
    disposition: WriteDisposition::PerParent { parent: "company_id" },
    endpoint: inside(&COMPANIES, &["tags.tags"], More::Nothing),
    permission: PEOPLE_AND_COMPANIES,
    columns: &[OF_COMPANY, text("id").named("tag_id"), text("name").named("tag_name")],
    ..LINK
};

/// The people in conversations.
pub(super) const CONVERSATION_CONTACTS: TableSpec = TableSpec {
    name: "conversation_contacts",
    key: &[
        KeyColumn::required("conversation_id").of("conversations"),
        KeyColumn::required("contact_id").of("contacts"),
    ],
    disposition: WriteDisposition::PerParent { parent: "conversation_id" },
    endpoint: inside(&CONVERSATIONS, &["contacts.contacts"], More::Nothing),
    permission: READ_CONVERSATIONS,
    columns: &[OF_CONVERSATION, text("id").named("contact_id"), text("external_id")],
    ..LINK
};

/// The tags on conversations, with who put them there.
pub(super) const CONVERSATION_TAGS: TableSpec = TableSpec {
    name: "conversation_tags",
    key: &[
        KeyColumn::required("conversation_id").of("conversations"),
        KeyColumn::required("tag_id").of("tags"),
    ],
    disposition: WriteDisposition::PerParent { parent: "conversation_id" },
    endpoint: inside(&CONVERSATIONS, &["tags.tags"], More::Nothing),
    permission: READ_CONVERSATIONS,
    columns: &[
        OF_CONVERSATION,
        text("id").named("tag_id"),
        text("name").named("tag_name"),
        timestamp("applied_at"),
        text("applied_by.type"),
        reference("applied_by.id"),
    ],
    ..LINK
};

/// The teammates who took part in conversations.
pub(super) const CONVERSATION_TEAMMATES: TableSpec = TableSpec {
    name: "conversation_teammates",
    key: &[
        KeyColumn::required("conversation_id").of("conversations"),
        KeyColumn::required("admin_id").of("admins"),
    ],
    disposition: WriteDisposition::PerParent { parent: "conversation_id" },
    // The first is what the contract says, the second what is answered.
    endpoint: inside(&CONVERSATIONS, &["teammates.teammates", "teammates.admins"], More::Nothing),
    permission: READ_CONVERSATIONS,
    columns: &[OF_CONVERSATION, text("id").named("admin_id")],
    ..LINK
};

/// The teammates in teams.
pub(super) const TEAM_ADMINS: TableSpec = TableSpec {
    name: "team_admins",
    key: &[KeyColumn::required("team_id").of("teams"), KeyColumn::required("admin_id").of("admins")],
    endpoint: inside(&TEAMS, &["admin_ids"], More::Nothing),
    permission: PEOPLE_AND_COMPANIES,
    columns: &[text("id").of_parent().named("team_id"), text("").named("admin_id")],
    ..LINK
};
