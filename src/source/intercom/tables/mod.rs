//! The tables of an Intercom workspace, as declarations.
//!
//! Columns follow Intercom's published contract for API 2.14 (read 2026-11-20), in its order, plus the
//! fields that real answers carry without being documented and those that came with 2.15 and 2.16. What
//! else arrives goes into `_extra`.

mod activity;
mod attributes;
mod calls;
mod companies;
mod contacts;
mod conversations;
mod help_center;
mod knowledge;
mod links;
mod news;
mod parts;
mod reference;
mod tickets;

use crate::table::TableSpec;

/// Every table, in the order in which `ingest intercom` reads and lists them: tables before those inside them,
/// links last.
pub const TABLES: &[&TableSpec] = &[
    &contacts::CONTACTS,
    &companies::COMPANIES,
    &conversations::CONVERSATIONS,
    &tickets::TICKETS,
    &help_center::ARTICLES,
    &parts::CONVERSATION_PARTS,
    &parts::TICKET_PARTS,
    &reference::TAGS,
    &reference::SEGMENTS,
    &reference::ADMINS,
    &reference::TEAMS,
    &attributes::DATA_ATTRIBUTES,
    &attributes::CONTACT_ATTRIBUTES,
    &attributes::COMPANY_ATTRIBUTES,
    &tickets::TICKET_TYPES,
    &tickets::TICKET_TYPE_ATTRIBUTES,
    &tickets::TICKET_STATES,
    &reference::SUBSCRIPTION_TYPES,
    &reference::AWAY_STATUS_REASONS,
    &reference::IP_ALLOWLIST,
    &help_center::COLLECTIONS,
    &help_center::HELP_CENTERS,
    &help_center::INTERNAL_ARTICLES,
    &help_center::ARTICLE_STATISTICS,
    &news::NEWS_ITEMS,
    &news::NEWSFEEDS,
    &news::NEWSFEED_ITEMS,
    &knowledge::CONTENT_IMPORT_SOURCES,
    &knowledge::EXTERNAL_PAGES,
    &calls::CALLS,
    &activity::ACTIVITY_LOGS,
    &links::CONTACT_COMPANIES,
    &links::CONTACT_SEGMENTS,
    &links::CONTACT_SUBSCRIPTIONS,
    &links::CONTACT_TAGS,
    &links::CONTACT_NOTES,
    &links::COMPANY_SEGMENTS,
    &links::COMPANY_TAGS,
    &links::CONVERSATION_CONTACTS,
    &links::CONVERSATION_TAGS,
    &links::CONVERSATION_TEAMMATES,
    &links::TEAM_ADMINS,
];

/// The table of that name.
pub fn find(name: &str) -> Option<&'static TableSpec> {
    TABLES.iter().copied().find(|table| table.name == name)
}

#[cfg(test)]
mod tests;
