//! Small lists that describe the workspace itself; each is read whole and replaced.

use super::contacts::PEOPLE_AND_COMPANIES;
use crate::table::{Endpoint, KeyColumn, List, PLAIN, TableSpec, boolean, integer, json, text, timestamp};

const READ_ADMINS: &str = "Read admins";

/// Tags by name.
pub(super) const TAGS: TableSpec = TableSpec {
    name: "tags",
    endpoint: Endpoint::Lists { records: "data", lists: &[List::of("/tags")] },
    permission: "Read tags",
    columns: &[text("type"), text("id"), text("name")],
    ..PLAIN
};

/// Segments of people, with how many are in each.
pub(super) const SEGMENTS: TableSpec = TableSpec {
    name: "segments",
    endpoint: Endpoint::Lists { records: "segments", lists: &[List::of("/segments?include_count=true")] },
    permission: PEOPLE_AND_COMPANIES,
    columns: &[
        text("type"),
        text("id"),
        text("name"),
        timestamp("created_at"),
        timestamp("updated_at"),
        text("person_type"),
        integer("count"),
    ],
    ..PLAIN
};

/// Teammates.
pub(super) const ADMINS: TableSpec = TableSpec {
    name: "admins",
    is_never_empty: true,
    endpoint: Endpoint::Lists { records: "admins", lists: &[List::of("/admins")] },
    permission: READ_ADMINS,
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
        // Documented since 2.16:
        text("role.type"),
        text("role.id"),
        text("role.name"),
    ],
    ..PLAIN
};

/// Teams and who is in them.
pub(super) const TEAMS: TableSpec = TableSpec {
    name: "teams",
    endpoint: Endpoint::Lists { records: "teams", lists: &[List::of("/teams")] },
    permission: PEOPLE_AND_COMPANIES,
    columns: &[
        text("type"),
        text("id"),
        text("name"),
        json("admin_ids"),
        json("admin_priority_level"),
        integer("assignment_limit"),
        text("distribution_method"),
    ],
    ..PLAIN
};

/// What people can subscribe to. Which of the two ways is in `consent_type`: in with `opt_in`, out with
/// `opt_out`.
pub(super) const SUBSCRIPTION_TYPES: TableSpec = TableSpec {
    name: "subscription_types",
    endpoint: Endpoint::Lists { records: "data", lists: &[List::of("/subscription_types")] },
    permission: PEOPLE_AND_COMPANIES,
    columns: &[
        text("type"),
        text("id"),
        text("state"),
        text("default_translation.name"),
        text("default_translation.description"),
        text("default_translation.locale"),
        json("translations"),
        text("consent_type"),
        json("content_types"),
    ],
    ..PLAIN
};

/// Why teammates are away, reasons that were deleted included.
pub(super) const AWAY_STATUS_REASONS: TableSpec = TableSpec {
    name: "away_status_reasons",
    since_minor: 14,
    // The contract's own example has no id.
    key: &[KeyColumn::optional("id"), KeyColumn::optional("label")],
    endpoint: Endpoint::Lists { records: "data", lists: &[List::of("/away_status_reasons")] },
    permission: READ_ADMINS,
    columns: &[
        text("type"),
        text("id"),
        text("label"),
        text("emoji"),
        integer("order"),
        boolean("deleted"),
        timestamp("created_at"),
        timestamp("updated_at"),
    ],
    ..PLAIN
};

/// From which addresses the workspace may be used: one row.
pub(super) const IP_ALLOWLIST: TableSpec = TableSpec {
    name: "ip_allowlist",
    since_minor: 14,
    key: &[KeyColumn::required("type")],
    endpoint: Endpoint::Lists { records: "", lists: &[List::of("/ip_allowlist")] },
    permission: "Manage IP allowlist",
    // Few tokens have that permission, or should.
    opt_in: true,
    columns: &[text("type"), boolean("enabled"), json("ip_allowlist")],
    ..PLAIN
};
