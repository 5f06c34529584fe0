//! News, the feeds they are shown in, and which is live where.

use crate::table::{
    Address, Endpoint, Inside, KeyColumn, More, PLAIN, TableSpec, Unknown, WriteDisposition, body, boolean,
    json, reference, text, timestamp,
};

const READ_NEWS: &str = "Read and list news items and newsfeeds";

/// News items, drafts included.
pub(super) const NEWS_ITEMS: TableSpec = TableSpec {
    name: "news_items",
    cursor: Some("updated_at"),
    disposition: WriteDisposition::Merge,
    endpoint: Endpoint::Pages { path: "/news/news_items", records: "data", per_page: 50 },
    permission: READ_NEWS,
    object: Some("/news/news_items"),
    columns: &[
        text("type"),
        text("id"),
        text("workspace_id"),
        text("title"),
        body("body"),
        reference("sender_id"),
        text("state"),
        json("newsfeed_assignments"),
        json("labels"),
        text("cover_image_url"),
        json("reactions"),
        boolean("deliver_silently"),
        timestamp("created_at"),
        timestamp("updated_at"),
    ],
    ..PLAIN
};

/// Newsfeeds.
pub(super) const NEWSFEEDS: TableSpec = TableSpec {
    name: "newsfeeds",
    cursor: Some("updated_at"),
    disposition: WriteDisposition::Merge,
    endpoint: Endpoint::Pages { path: "/news/newsfeeds", records: "data", per_page: 50 },
    permission: READ_NEWS,
    object: Some("/news/newsfeeds"),
    columns: &[text("id"), text("type"), text("name"), timestamp("created_at"), timestamp("updated_at")],
    ..PLAIN
};

/// Which items are live in which feed. Where a draft is to appear stands in the item itself.
pub(super) const NEWSFEED_ITEMS: TableSpec = TableSpec {
    name: "newsfeed_items",
    key: &[
        KeyColumn::required("newsfeed_id").of("newsfeeds"),
        KeyColumn::required("news_item_id").of("news_items"),
    ],
    disposition: WriteDisposition::PerParent { parent: "newsfeed_id" },
    endpoint: Endpoint::Inside(Inside {
        parent: &NEWSFEEDS,
        lists: &[],
        is_union: false,
        total: None,
        more: More::Always(Address { path: "/news/newsfeeds/{id}/items", records: &["data"] }),
    }),
    permission: READ_NEWS,
    unknown: Unknown::LeftOut,
    columns: &[text("id").of_parent().named("newsfeed_id"), text("id").named("news_item_id")],
    ..PLAIN
};
