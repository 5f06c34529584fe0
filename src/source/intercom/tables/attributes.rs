//! What attributes people, companies and conversations have, built in and custom.

use super::contacts::PEOPLE_AND_COMPANIES;
use crate::table::{
    Column, Endpoint, KeyColumn, List, PLAIN, TableSpec, boolean, json, text, timestamp, word,
};

const OF_CONTACTS: List = List::of("/data_attributes?model=contact&include_archived=true");
const OF_COMPANIES: List = List::of("/data_attributes?model=company&include_archived=true");

/// The attributes of all three.
pub(super) const DATA_ATTRIBUTES: TableSpec = TableSpec {
    name: "data_attributes",
    key: KEY,
    endpoint: Endpoint::Lists {
        records: "data",
        lists: &[
            OF_CONTACTS,
            OF_COMPANIES,
            List {
                path: "/data_attributes?model=conversation&include_archived=true",
                from_minor: 0,
                until_minor: 15,
            },
            // Rows of another kind, custom all of them, which say neither model nor full name.
            List {
                path: "/conversations/attributes?include_archived=true",
                from_minor: 16,
                until_minor: u8::MAX,
            },
        ],
    },
    permission: PEOPLE_AND_COMPANIES,
    columns: COLUMNS,
    ..PLAIN
};

/// The attributes of people alone.
pub(super) const CONTACT_ATTRIBUTES: TableSpec = TableSpec {
    name: "contact_attributes",
    key: KEY,
    endpoint: Endpoint::Lists { records: "data", lists: &[OF_CONTACTS] },
    permission: PEOPLE_AND_COMPANIES,
    columns: COLUMNS,
    ..PLAIN
};

/// The attributes of companies alone.
pub(super) const COMPANY_ATTRIBUTES: TableSpec = TableSpec {
    name: "company_attributes",
    key: KEY,
    endpoint: Endpoint::Lists { records: "data", lists: &[OF_COMPANIES] },
    permission: PEOPLE_AND_COMPANIES,
    columns: COLUMNS,
    ..PLAIN
};

/// A name may repeat within a model and between models, and built-in attributes have no id.
const KEY: &[KeyColumn] =
    &[KeyColumn::required("model"), KeyColumn::required("full_name"), KeyColumn::optional("id")];

const COLUMNS: &[Column] = &[
    text("type"),
    text("id"),
    word("model", &[("conversation_attribute", "conversation")]).or_at(&["type"]),
    text("name"),
    text("full_name").or_at(&["name"]),
    text("label"),
    text("description"),
    text("data_type"),
    json("options"),
    boolean("api_writable"),
    boolean("messenger_writable"),
    boolean("ui_writable"),
    boolean("custom"),
    boolean("archived"),
    timestamp("created_at"),
    timestamp("updated_at"),
    text("admin_id"),
    // Documented since 2.16, for conversations:
    boolean("required"),
    json("visible_to_team_ids"),
    boolean("multiline"),
    text("reference.type"),
    text("reference.object_type_id"),
];
