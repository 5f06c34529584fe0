//! Companies, including those without users, which only the scroll shows.

use super::contacts::PEOPLE_AND_COMPANIES;
use crate::table::{Endpoint, PLAIN, TableSpec, WriteDisposition, integer, json, text, timestamp};

/// Companies, read whole through the scroll.
pub(super) const COMPANIES: TableSpec = TableSpec {
    name: "companies",
    cursor: Some("updated_at"),
    disposition: WriteDisposition::Merge,
    endpoint: Endpoint::Scroll { path: "/companies/scroll", records: "data" },
    permission: PEOPLE_AND_COMPANIES,
    object: Some("/companies"),
    columns: &[
        text("type"),
        text("id"),
        text("name"),
        text("app_id"),
        text("plan.type"),
        text("plan.id"),
        text("plan.name"),
        text("company_id"),
        timestamp("remote_created_at"),
        timestamp("created_at"),
        timestamp("updated_at"),
        timestamp("last_request_at"),
        integer("size"),
        text("website"),
        text("industry"),
        integer("monthly_spend"),
        integer("session_count"),
        integer("user_count"),
        json("custom_attributes"),
        json("tags"),
        json("segments"),
        // Documented since 2.16:
        json("notes"),
    ],
    ..PLAIN
};
