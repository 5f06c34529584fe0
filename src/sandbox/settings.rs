//! What a sandbox workspace is like: its size, its clock, its moods.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::version::Dialect;

/// 2026-01-15T12:00:00Z, so that two sandboxes with one seed hold the same rows on any day.
const STARTED_AT: i64 = 1_768_478_400;

/// One sandbox workspace. [`Settings::default`] is a small US workspace without latency.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "moods that have nothing to do with each other")]
pub struct Settings {
    /// Port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// The only access token that is let in.
    pub token: String,
    /// Every invented value, and every change made by churn, follows from this number.
    pub seed: u64,
    /// The simulated clock at the start. It runs with real time and jumps with
    /// [`Sandbox::advance`](super::Sandbox::advance). No generated row is younger.
    pub started_at: Timestamp,
    /// The workspace's time zone: decides what a day is for contact searches, shown as `me.app.timezone`.
    pub time_zone: TimeZone,
    /// `me.app.region`: US, EU or AU.
    pub region: String,
    /// `me.app.id_code`, and the workspace id inside rows.
    pub workspace: String,
    /// What `>` and `<` on dates mean where seconds count (conversations, tickets, the activity log).
    pub comparison: Comparison,
    /// Simulated time until a change of a contact, conversation or ticket, its creation and its deletion included,
    /// shows in searches. Tagging a contact, and its entering or leaving a segment, are changes like any other: a
    /// search by `tag_id` or `segment_id` shows them as late. A row's own GET, and lists, show it at once.
    pub index_lag: Duration,
    /// Simulated time that changes may take beyond [`Settings::index_lag`]: each takes a share of it, from nothing to
    /// all, that follows from the seed, so changes of different rows show in searches out of their order. A single
    /// row never goes back there: a change that a newer one of the same row has overtaken never shows.
    pub index_lag_spread: Duration,
    /// Simulated time by which every request received, refused ones included, pushes the clock ahead just before it
    /// is answered.
    pub tick: Duration,
    /// Real time added to every answer.
    pub latency: Duration,
    /// Requests allowed per window; `None` means no limit and no rate headers.
    pub rate_limit: Option<RateLimit>,
    /// Idle simulated time after which the company scroll is gone.
    pub scroll_expiry: Duration,
    /// Whether answers are compressed for clients that accept gzip.
    pub gzip: bool,
    /// Contacts generated at the start.
    pub contacts: usize,
    /// Companies generated at the start; every ninth has no user.
    pub companies: usize,
    /// Conversations generated at the start.
    pub conversations: usize,
    /// One in so many conversations, in the order they are made and beginning with the first, is a ticket, which its
    /// `ticket` shows; with 0 none is. While `POST /tickets/search` is refused by [`Settings::denied`] or
    /// [`Sandbox::deny`](super::Sandbox::deny), searches leave these conversations out of rows and `total_count`, and
    /// their own GET answers 404. The truth always has them.
    pub ticket_conversations: usize,
    /// Help center articles generated at the start.
    pub articles: usize,
    /// Tags. With more than ten, some contacts carry more than an embedded list shows.
    pub tags: usize,
    /// Segments of contacts.
    pub segments: usize,
    /// Teammates.
    pub admins: usize,
    /// Teams.
    pub teams: usize,
    /// Tickets generated at the start.
    pub tickets: usize,
    /// Ticket types; every fifth is archived.
    pub ticket_types: usize,
    /// Ticket states; the fifth and what follows are archived.
    pub ticket_states: usize,
    /// Help center collections.
    pub collections: usize,
    /// Help centers.
    pub help_centers: usize,
    /// Subscription types. With more than twenty, some contacts have chosen more than an embedded list shows, given
    /// [`Settings::contact_links`].
    pub subscription_types: usize,
    /// News items.
    pub news_items: usize,
    /// Newsfeeds.
    pub newsfeeds: usize,
    /// Internal articles.
    pub internal_articles: usize,
    /// Away status reasons; every fourth is deleted, and listed all the same.
    pub away_status_reasons: usize,
    /// Calls.
    pub calls: usize,
    /// Entries of the teammates' activity log.
    pub activity_logs: usize,
    /// Places the AI agent learns from.
    pub content_import_sources: usize,
    /// Pages learnt from those places.
    pub external_pages: usize,
    /// Addresses and ranges teammates may come from; without any, `GET /ip_allowlist` says it is not enabled.
    pub ip_allowlist: Vec<String>,
    /// Whether rows without the date that a search sorts by count as later than all others, last in ascending order
    /// and first in descending. Off, they count as earlier than all others.
    pub undated_last: bool,
    /// Whether calls, internal articles, news items and the places the AI agent learns from are listed with the row
    /// made last first. Off, they are listed by id, ascending.
    pub newest_first: bool,
    /// Whether contacts carry notes and subscription choices, and embedded lists whose `total_count` is too high.
    /// Off, those lists are empty and the counts right.
    pub contact_links: bool,
    /// Whether every 106th contact, beginning with the tenth, belongs to 65 companies, or to all if there are fewer.
    pub many_companies: bool,
    /// How many segments a company shows at most. With a limit, its list says by `has_more` whether there are more,
    /// as [`Settings::cut_company_tags`] does for tags; without one it is whole and has no such member.
    pub cut_company_segments: Option<usize>,
    /// How many tags a company shows at most. Only `GET /companies?tag_id=` tells the others.
    pub cut_company_tags: Option<usize>,
    /// Whether contacts, companies and conversations carry attributes of every type there is, under names with
    /// spaces, quotes and dots that are also those of columns or differ only in case, now and then with values that
    /// do not fit the declared type. Searches do not know these attributes.
    pub odd_attributes: bool,
    /// Whether answers to API 2.15 and 2.16 have the fields those versions added to conversations, contacts,
    /// companies, admins, articles and their statistics, and the words 2.15 changed for what the AI agent achieved.
    /// Off, they only write differently what 2.14 has; other tables have their new fields either way.
    pub later_fields: bool,
    /// Whether the keys that real answers and the published schema name differently are the schema's: teammates of
    /// conversations under `teammates` instead of `admins`, attributes of ticket types under
    /// `ticket_type_attributes` instead of `data`, companies of a contact under `companies` instead of `data`,
    /// `conversions` instead of `conversations` in statistics of articles.
    pub published_keys: bool,
    /// The widest window of the activity log that is answered; a wider one is a 500.
    pub activity_log_window: Duration,
    /// Whether `GET /away_status_reasons` answers a bare array instead of an envelope.
    pub bare_away_status_reasons: bool,
    /// About how many bytes of JSON a contact takes, within 10 %. Custom attributes fill up to it; without any
    /// filling a contact already takes about 2,000, so smaller numbers change nothing.
    pub contact_bytes: usize,
    /// What the token may not read.
    pub denied: Vec<Denied>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 0,
            token: "sandbox-token".to_owned(),
            seed: 1,
            started_at: Timestamp::from_second(STARTED_AT).unwrap_or(Timestamp::UNIX_EPOCH),
            time_zone: TimeZone::UTC,
            region: "US".to_owned(),
            workspace: "sb0x2wrk".to_owned(),
            comparison: Comparison::Exclusive,
            index_lag: Duration::ZERO,
            index_lag_spread: Duration::ZERO,
            tick: Duration::ZERO,
            latency: Duration::ZERO,
            rate_limit: Some(RateLimit { requests: 10_000, per: Duration::from_secs(10) }),
            scroll_expiry: Duration::from_secs(60),
            gzip: true,
            contacts: 250,
            companies: 60,
            conversations: 120,
            ticket_conversations: 0,
            articles: 30,
            tags: 12,
            segments: 6,
            admins: 5,
            teams: 3,
            tickets: 80,
            ticket_types: 4,
            ticket_states: 5,
            collections: 24,
            help_centers: 2,
            subscription_types: 5,
            news_items: 14,
            newsfeeds: 3,
            internal_articles: 30,
            away_status_reasons: 4,
            calls: 40,
            activity_logs: 120,
            content_import_sources: 3,
            external_pages: 12,
            ip_allowlist: vec!["192.0.2.0/24".to_owned(), "198.51.100.7".to_owned()],
            undated_last: false,
            newest_first: false,
            contact_links: false,
            many_companies: false,
            cut_company_segments: None,
            cut_company_tags: None,
            odd_attributes: false,
            later_fields: false,
            published_keys: false,
            activity_log_window: Duration::from_secs(180 * 86_400),
            bare_away_status_reasons: false,
            contact_bytes: 1_200,
            denied: Vec::new(),
        }
    }
}

impl Settings {
    pub(crate) fn dialect(&self) -> Dialect {
        Dialect { later_fields: self.later_fields, published_keys: self.published_keys }
    }
}

/// Whether `>` and `<` on dates include equality where seconds count. Intercom's own table calls them
/// "greater (or equal)", its signs say otherwise; a client has to be right under both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Comparison {
    /// `>` is greater, `<` is lower.
    #[default]
    Exclusive,
    /// `>` is greater or equal, `<` is lower or equal.
    Inclusive,
}

/// How many requests one window allows. Windows start at whole multiples of `per` since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests per window.
    pub requests: u32,
    /// Length of a window, simulated time.
    pub per: Duration,
}

/// A permission the token lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// Beginning of the path and query of every request that is refused, such as `/conversations`.
    pub path_prefix: String,
    /// 401 or 403.
    pub status: u16,
}
