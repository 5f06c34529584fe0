//! Small lists that describe the workspace itself; each is read whole and replaced.

use super::contacts::PEOPLE_AND_COMPANIES;
use crate::table::{
    Endpoint, ID, KeyColumn, ListQuery, TableSpec, WriteDisposition, boolean, integer, json, text, timestamp,
};

const PLAIN: &[ListQuery] = &[ListQuery { query: "", until_minor: None }];

/// Tags by name.
pub(super) const TAGS: TableSpec = TableSpec {
    name: "tags",
    key: ID,
    cursor: None,
    disposition: WriteDisposition::Replace,
    endpoint: Endpoint::Lists { path: "/tags", records: "data", queries: PLAIN },
    permission: "Read tags",
    hidden: None,
    columns: &[text("type"), text("id"), text("name")],
};

/// Segments of people, with how many are in each.
pub(super) const SEGMENTS: TableSpec = TableSpec {
    name: "segments",
    key: ID,
    cursor: None,
    disposition: WriteDisposition::Replace,
    endpoint: Endpoint::Lists {
        path: "/segments",
        records: "segments",
        queries: &[ListQuery { query: "include_count=true", until_minor: None }],
    },
    permission: PEOPLE_AND_COMPANIES,
    hidden: None,
    columns: &[
        text("type"),
        text("id"),
        text("name"),
        timestamp("created_at"),
        timestamp("updated_at"),
        text("person_type"),
        integer("count"),
    ],
};

/// Teammates.
pub(super) const ADMINS: TableSpec = TableSpec {
    name: "admins",
    key: ID,
    cursor: None,
    disposition: WriteDisposition::Replace,
    endpoint: Endpoint::Lists { path: "/admins", records: "admins", queries: PLAIN },
    permission: "Read admins",
    hidden: None,
    columns: &[
        text("type"),
        text("id"),
        text("name"),
        text("email"),
        text("job_title"),
        boolean("away_mode_enabled"),
        boolean("away_mode_reassign"),
        text("away_status_reason_id"),
        boolean("has_inbox_seat"),
        json("team_ids"),
        text("avatar"),
        json("team_priority_level"),
    ],
};

/// Teams and who is in them.
pub(super) const TEAMS: TableSpec = TableSpec {
    name: "teams",
    key: ID,
    cursor: None,
    disposition: WriteDisposition::Replace,
    endpoint: Endpoint::Lists { path: "/teams", records: "teams", queries: PLAIN },
    permission: PEOPLE_AND_COMPANIES,
    hidden: None,
    columns: &[
        text("type"),
        text("id"),
        text("name"),
        json("admin_ids"),
        json("admin_priority_level"),
        integer("assignment_limit"),
        text("distribution_method"),
    ],
};

/// What attributes people, companies and conversations have, built in and custom. A name may repeat
/// within a model and between models, and built-in attributes have no id: hence the key.
pub(super) const DATA_ATTRIBUTES: TableSpec = TableSpec {
    name: "data_attributes",
    key: &[
        KeyColumn { name: "model", optional: false },
        KeyColumn { name: "full_name", optional: false },
        KeyColumn { name: "id", optional: true },
    ],
    cursor: None,
    disposition: WriteDisposition::Replace,
    endpoint: Endpoint::Lists {
        path: "/data_attributes",
        records: "data",
        queries: &[
            ListQuery { query: "model=contact&include_archived=true", until_minor: None },
            ListQuery { query: "model=company&include_archived=true", until_minor: None },
            ListQuery { query: "model=conversation&include_archived=true", until_minor: Some(15) },
        ],
    },
    permission: PEOPLE_AND_COMPANIES,
    hidden: None,
    columns: &[
        text("type"),
        text("id"),
        text("model"),
        text("name"),
        text("full_name"),
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
    ],
};
