//! What every invented row depends on: the seed, the workspace's size, and when things happened.

use fastrand::Rng;

use super::super::settings::Settings;
use super::{DAY, Kind, data_attributes};

/// How far back the oldest row was created.
const SPAN: i64 = 3 * 365 * DAY;
/// Rows that share one second, in tables large enough to have them.
const BURST: u32 = 24;
/// Tables smaller than this have no burst.
const BURST_FROM: u32 = 60;

/// What every invention depends on.
#[derive(Debug)]
pub(crate) struct Context {
    seed: u64,
    pub(super) started_at: i64,
    pub(super) workspace: String,
    pub(super) contact_bytes: usize,
    pub(super) contacts: u32,
    pub(super) companies: u32,
    pub(super) conversations: u32,
    /// One in so many conversations is a ticket; none if this is 0.
    pub(super) ticket_conversations: u32,
    pub(super) articles: u32,
    pub(super) tags: u32,
    pub(super) segments: u32,
    pub(super) admins: u32,
    pub(super) teams: u32,
    pub(super) tickets: u32,
    pub(super) ticket_types: u32,
    pub(super) ticket_states: u32,
    pub(super) collections: u32,
    pub(super) help_centers: u32,
    pub(super) subscription_types: u32,
    pub(super) news_items: u32,
    pub(super) newsfeeds: u32,
    pub(super) internal_articles: u32,
    pub(super) away_status_reasons: u32,
    pub(super) calls: u32,
    pub(super) activity_logs: u32,
    pub(super) content_import_sources: u32,
    pub(super) external_pages: u32,
    /// Contacts carry notes and subscription choices.
    pub(super) contact_links: bool,
    /// Some contacts belong to more companies than a page shows.
    pub(super) many_companies: bool,
    /// Segments and tags a company shows.
    pub(super) shown_segments: Option<usize>,
    pub(super) shown_tags: Option<usize>,
    /// Rows carry attributes that are hard to read.
    pub(super) odd_attributes: bool,
}

impl Context {
    pub(crate) fn new(settings: &Settings) -> Self {
        let count = |rows: usize| u32::try_from(rows).unwrap_or(u32::MAX);
        Self {
            seed: settings.seed,
            started_at: settings.started_at.as_second(),
            workspace: settings.workspace.clone(),
            contact_bytes: settings.contact_bytes,
            contacts: count(settings.contacts),
            companies: count(settings.companies),
            conversations: count(settings.conversations),
            ticket_conversations: count(settings.ticket_conversations),
            articles: count(settings.articles),
            tags: count(settings.tags),
            segments: count(settings.segments),
            admins: count(settings.admins),
            teams: count(settings.teams),
            tickets: count(settings.tickets),
            ticket_types: count(settings.ticket_types),
            ticket_states: count(settings.ticket_states),
            collections: count(settings.collections),
            help_centers: count(settings.help_centers),
            subscription_types: count(settings.subscription_types),
            news_items: count(settings.news_items),
            newsfeeds: count(settings.newsfeeds),
            internal_articles: count(settings.internal_articles),
            away_status_reasons: count(settings.away_status_reasons),
            calls: count(settings.calls),
            activity_logs: count(settings.activity_logs),
            content_import_sources: count(settings.content_import_sources),
            external_pages: count(settings.external_pages),
            contact_links: settings.contact_links,
            many_companies: settings.many_companies,
            shown_segments: settings.cut_company_segments,
            shown_tags: settings.cut_company_tags,
            odd_attributes: settings.odd_attributes,
        }
    }

    /// Rows of `kind` there are at the start.
    pub(crate) fn count(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Contacts => self.contacts,
            Kind::Companies => self.companies,
            Kind::Conversations => self.conversations,
            Kind::Articles => self.articles,
            Kind::Tags => self.tags,
            Kind::Segments => self.segments,
            Kind::Admins => self.admins,
            Kind::Teams => self.teams,
            Kind::DataAttributes => data_attributes::count(self),
            Kind::Tickets => self.tickets,
            Kind::TicketTypes => self.ticket_types,
            Kind::TicketStates => self.ticket_states,
            Kind::Collections => self.collections,
            Kind::HelpCenters => self.help_centers,
            Kind::SubscriptionTypes => self.subscription_types,
            Kind::NewsItems => self.news_items,
            Kind::Newsfeeds => self.newsfeeds,
            Kind::InternalArticles => self.internal_articles,
            Kind::AwayStatusReasons => self.away_status_reasons,
            Kind::Calls => self.calls,
            Kind::ActivityLogs => self.activity_logs,
            Kind::ContentImportSources => self.content_import_sources,
            Kind::ExternalPages => self.external_pages,
        }
    }

    /// The dice of one row.
    pub(super) fn rng(&self, kind: Kind, index: u32) -> Rng {
        let mut mixed = self.seed ^ ((kind as u64 + 1) << 40) ^ u64::from(index);
        for _ in 0..2 {
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        }
        Rng::with_seed(mixed)
    }

    /// When row `index` was created: evenly over the three years before the start, in the order of the rows,
    /// except for a burst in the middle that was imported within one second.
    pub(super) fn created_at(&self, kind: Kind, index: u32, rng: &mut Rng) -> i64 {
        let count = self.count(kind).max(1);
        let nth = |index: u32| self.started_at - SPAN + SPAN * i64::from(index) / i64::from(count);
        let jitter = rng.i64(0..(SPAN / i64::from(count)).max(1));
        let middle = count / 2;
        if count >= BURST_FROM && (middle..middle + BURST).contains(&index) {
            return nth(middle);
        }
        (nth(index) + jitter).min(self.started_at - 1)
    }

    /// When row `index` was last changed: never again, or any time up to the start, except for a burst that was
    /// edited in bulk within one second.
    pub(super) fn updated_at(&self, kind: Kind, index: u32, created_at: i64, rng: &mut Rng) -> i64 {
        let count = self.count(kind);
        let quarter = count / 4;
        let share = rng.i64(0..1_000);
        if count >= BURST_FROM && (quarter..quarter + BURST).contains(&index) {
            return self.started_at - 40 * DAY;
        }
        if share < 200 {
            return created_at;
        }
        created_at + (self.started_at - 1 - created_at) * share / 1_000
    }

    /// Both dates of a row: `now` for one created while the sandbox runs.
    pub(super) fn dates(&self, kind: Kind, index: u32, now: Option<i64>, rng: &mut Rng) -> (i64, i64) {
        let created_at = self.created_at(kind, index, rng);
        let updated_at = self.updated_at(kind, index, created_at, rng);
        now.map_or((created_at, updated_at), |now| (now, now))
    }
}
