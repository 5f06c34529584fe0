//! What is written for people to read by themselves: articles, where they stand, and articles for
//! teammates alone.

use crate::table::{
    Column, Endpoint, Inside, KeyColumn, List, More, PLAIN, TableSpec, WriteDisposition, body, boolean,
    float, integer, json, reference, text, timestamp,
};

const READ_ARTICLES: &str = "Read and list articles";

/// Articles, read whole, most recently updated first.
pub(super) const ARTICLES: TableSpec = TableSpec {
    name: "articles",
    cursor: Some("updated_at"),
    disposition: WriteDisposition::Merge,
    endpoint: Endpoint::Pages { path: "/articles", records: "data", per_page: 50 },
    permission: READ_ARTICLES,
    object: Some("/articles"),
    // In the object alone, not in the list.
    elsewhere: &["statistics"],
    columns: OF_ARTICLES,
    ..PLAIN
};

const OF_ARTICLES: &[Column] = &[
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
    // Up to 2.15; `parent_ids` stays.
    reference("parent_id"),
    json("parent_ids"),
    text("parent_type"),
    text("default_locale"),
    json("translated_content"),
    json("tags"),
    // Documented since 2.16:
    body("body_markdown"),
    boolean("has_unpublished_changes"),
    timestamp("draft_updated_at"),
    boolean("ai_chatbot_availability"),
    boolean("ai_copilot_availability"),
    boolean("ai_sales_agent_availability"),
    reference("created_by_id"),
    reference("updated_by_id"),
    boolean("exclude_from_article_suggestions"),
    text("help_center_audience"),
    timestamp("scheduled_publish_at"),
    timestamp("scheduled_unpublish_at"),
];

/// How articles are received. They change without a trace in `updated_at` and are only shown one article at
/// a time: a request for each, in every run that reads them.
pub(super) const ARTICLE_STATISTICS: TableSpec = TableSpec {
    name: "article_statistics",
    key: &[KeyColumn::required("article_id")],
    disposition: WriteDisposition::PerParent { parent: "article_id" },
    endpoint: Endpoint::Inside(Inside {
        parent: &ARTICLES,
        lists: &["statistics"],
        is_union: false,
        total: None,
        more: More::Object { stated: None },
    }),
    permission: READ_ARTICLES,
    opt_in: true,
    columns: &[
        text("type"),
        text("id").of_parent().named("article_id"),
        integer("views"),
        // The contract has the first name, its examples have the second.
        integer("conversions"),
        integer("conversations"),
        integer("reactions"),
        float("happy_reaction_percentage"),
        float("neutral_reaction_percentage"),
        float("sad_reaction_percentage"),
        // Documented since 2.16:
        integer("fin_involvements"),
        integer("fin_resolutions"),
        float("fin_resolution_rate"),
    ],
    ..PLAIN
};

/// The collections of all help centers; one inside another names it as its parent.
pub(super) const COLLECTIONS: TableSpec = TableSpec {
    name: "collections",
    cursor: Some("updated_at"),
    disposition: WriteDisposition::Merge,
    endpoint: Endpoint::Pages { path: "/help_center/collections", records: "data", per_page: 50 },
    permission: READ_ARTICLES,
    object: Some("/help_center/collections"),
    columns: &[
        text("id"),
        text("workspace_id"),
        text("name"),
        text("description"),
        timestamp("created_at"),
        timestamp("updated_at"),
        text("url"),
        text("icon"),
        integer("order"),
        text("default_locale"),
        json("translated_content"),
        reference("parent_id"),
        reference("help_center_id"),
    ],
    ..PLAIN
};

/// Help centers.
pub(super) const HELP_CENTERS: TableSpec = TableSpec {
    name: "help_centers",
    endpoint: Endpoint::Lists { records: "data", lists: &[List::of("/help_center/help_centers")] },
    permission: READ_ARTICLES,
    columns: &[
        text("id"),
        text("workspace_id"),
        timestamp("created_at"),
        timestamp("updated_at"),
        text("identifier"),
        boolean("website_turned_on"),
        text("display_name"),
        text("url"),
        text("custom_domain"),
        // Documented since 2.16:
        boolean("default"),
        json("locales"),
    ],
    ..PLAIN
};

/// Articles for teammates. Exist since API 2.13.
pub(super) const INTERNAL_ARTICLES: TableSpec = TableSpec {
    name: "internal_articles",
    since_minor: 13,
    cursor: Some("updated_at"),
    disposition: WriteDisposition::Merge,
    endpoint: Endpoint::Pages { path: "/internal_articles", records: "data", per_page: 50 },
    permission: READ_ARTICLES,
    object: Some("/internal_articles"),
    columns: &[
        text("type"),
        text("id"),
        text("title"),
        body("body"),
        reference("owner_id"),
        reference("author_id"),
        timestamp("created_at"),
        timestamp("updated_at"),
        text("locale"),
        // Documented since 2.16:
        body("body_markdown"),
        json("audience_ids"),
        boolean("ai_chatbot_availability"),
        boolean("ai_copilot_availability"),
        boolean("ai_sales_agent_availability"),
    ],
    ..PLAIN
};
