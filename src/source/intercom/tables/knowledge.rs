//! What the AI agent answers from besides articles: pages of other sites, and where they come from.

use crate::table::{
    Endpoint, PLAIN, TableSpec, WriteDisposition, body, boolean, json, reference, text, timestamp,
};

/// The only permission there is for this; nothing is ever written with it here.
const AI_CONTENT: &str = "Read and write AI content";

/// Sites and systems that pages are taken from.
pub(super) const CONTENT_IMPORT_SOURCES: TableSpec = TableSpec {
    name: "content_import_sources",
    cursor: Some("updated_at"),
    disposition: WriteDisposition::Merge,
    // There is no permission to read without one to write, which few tokens have.
    opt_in: true,
    endpoint: Endpoint::Pages { path: "/ai/content_import_sources", records: "data", per_page: 50 },
    permission: AI_CONTENT,
    object: Some("/ai/content_import_sources"),
    columns: &[
        text("type"),
        text("id"),
        timestamp("last_synced_at"),
        text("sync_behavior"),
        text("status"),
        text("url"),
        timestamp("created_at"),
        timestamp("updated_at"),
        // Documented since 2.15:
        json("audience_ids"),
    ],
    ..PLAIN
};

/// The pages taken from them.
pub(super) const EXTERNAL_PAGES: TableSpec = TableSpec {
    name: "external_pages",
    cursor: Some("updated_at"),
    disposition: WriteDisposition::Merge,
    // There is no permission to read without one to write, which few tokens have.
    opt_in: true,
    endpoint: Endpoint::Pages { path: "/ai/external_pages", records: "data", per_page: 50 },
    permission: AI_CONTENT,
    object: Some("/ai/external_pages"),
    columns: &[
        text("type"),
        text("id"),
        text("title"),
        body("html"),
        text("url"),
        boolean("ai_agent_availability"),
        boolean("ai_copilot_availability"),
        boolean("ai_sales_agent_availability"),
        boolean("fin_availability"),
        text("locale"),
        reference("source_id"),
        text("external_id"),
        timestamp("created_at"),
        timestamp("updated_at"),
        timestamp("last_ingested_at"),
    ],
    ..PLAIN
};
