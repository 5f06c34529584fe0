//! What teammates did in the workspace's settings and elsewhere.

use crate::table::{Endpoint, PLAIN, TableSpec, WriteDisposition, json, text, timestamp};

/// Activities of teammates. They never change, so that their creation is their cursor.
pub(super) const ACTIVITY_LOGS: TableSpec = TableSpec {
    name: "activity_logs",
    cursor: Some("created_at"),
    disposition: WriteDisposition::Merge,
    endpoint: Endpoint::Log { path: "/admins/activity_logs", records: "activity_logs" },
    permission: "Read admin activity logs",
    columns: &[
        text("id"),
        text("performed_by.type"),
        text("performed_by.id"),
        text("performed_by.email"),
        text("performed_by.ip"),
        // Of a shape that depends on `activity_type`.
        json("metadata"),
        timestamp("created_at"),
        text("activity_type"),
        text("activity_description"),
    ],
    ..PLAIN
};
