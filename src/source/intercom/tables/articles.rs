//! Help center articles. Their statistics are only shown one article at a time and are not read here.

use crate::table::{Endpoint, ID, TableSpec, WriteDisposition, body, json, reference, text, timestamp};

/// Articles, read whole, most recently updated first.
pub(super) const ARTICLES: TableSpec = TableSpec {
    name: "articles",
    key: ID,
    cursor: Some("updated_at"),
    disposition: WriteDisposition::Merge,
    endpoint: Endpoint::Pages { path: "/articles", records: "data" },
    permission: "Read and list articles",
    hidden: None,
    columns: &[
        text("type"),
        text("id"),
        text("workspace_id"),
        text("title"),
        text("description"),
        body("body"),
        reference("author_id"),
        text("state"),
        timestamp("created_at"),
        timestamp("updated_at"),
        text("url"),
        reference("parent_id"),
        json("parent_ids"),
        text("parent_type"),
        text("default_locale"),
        json("translated_content"),
        json("tags"),
    ],
};
