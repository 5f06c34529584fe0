//! A small Intercom that answers over real HTTP on loopback.
//!
//! It is the workspace of `ingest demo`, of the tests and of the benchmarks, and stricter than the real one: where
//! the API forgives (a missing version, a mistyped parameter, a short sort word), the sandbox refuses, so that what
//! works here works there. It is written from the published contract and from what practitioners reported, and
//! knows nothing of this project's client.
//!
//! What it holds follows from a seed; what it does follows from its [`Settings`], from [`Change`]s made while it is
//! read, and from [`Fault`]s that make it misbehave on script. Time is simulated: it runs with the real clock and
//! jumps with [`Sandbox::advance`], so expiry, lag and rate windows are tested without waiting.
//!
//! A request passes the token, the rate limit, the version and the permissions (`routes`), may meet a fault
//! (`faults`), and is then answered by a search (`search`, `filter`, `cursor`), the company scroll (`scroll`) or a
//! list (`lists`, `catalog`, `sublists`, `attributes`, `activity`) over the rows (`world`, invented by `generate`;
//! searches learn of changes through `pending`),
//! written as the version and the workspace's dialect have them (`version`, `shape`, `later`). `server` turns the
//! answer into bytes, well or badly.

mod activity;
mod attributes;
mod call;
mod catalog;
mod change;
mod clock;
mod cursor;
mod day;
mod errors;
mod faults;
mod fields;
mod filter;
mod generate;
mod json;
mod later;
mod limits;
mod links;
mod lists;
mod pending;
mod probe;
mod reply;
mod routes;
mod row;
mod scroll;
mod search;
mod server;
mod settings;
mod shape;
mod state;
mod sublists;
mod version;
mod workspace;
mod world;

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use self::call::RequestRecord;
pub use self::change::{Change, Churn, ContactList};
pub use self::faults::{Fault, FaultKind};
pub use self::settings::{Comparison, Denied, RateLimit, Settings};

use self::clock::Clock;
use self::generate::Kind;
use self::state::{Shared, State};
use self::version::Version;
use crate::error::{Error, ErrorKind, Result};

/// A running sandbox. Clones are handles to the same one; it stops with [`Sandbox::stop`], or when the last handle
/// is dropped.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
    stop: Arc<watch::Sender<bool>>,
}

impl Sandbox {
    /// Invents the workspace and listens on 127.0.0.1. Needs a Tokio runtime, which also serves the requests.
    pub async fn start(settings: Settings) -> Result<Self> {
        let address = (Ipv4Addr::LOCALHOST, settings.port);
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Network, format!("127.0.0.1:{}: cannot listen", address.1))
                .with_source(error)
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let base_url = format!("http://{}", listener.local_addr().map_err(failed)?);
        let generated = tokio::task::spawn_blocking(move || (State::new(&settings), settings)).await;
        let (state, settings) = generated.map_err(|error| failed(std::io::Error::other(error)))?;
        let clock = Clock::new(settings.started_at);
        let shared = Arc::new(Shared { settings, clock, base_url, state: Mutex::new(state) });
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(server::accept(listener, Arc::clone(&shared), stopped));
        Ok(Self { shared, stop: Arc::new(stop) })
    }

    /// `http://127.0.0.1:<port>`, without a slash at the end.
    pub fn base_url(&self) -> String {
        self.shared.base_url.clone()
    }

    /// The simulated present, which the `Date` header shows.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Pushes the simulated clock ahead.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// Every request received since the start, or since [`Sandbox::clear_requests`], in the order answered.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.state().log.clone()
    }

    /// Forgets the requests received so far.
    pub fn clear_requests(&self) {
        self.state().log.clear();
    }

    /// Every live row of a table, ordered by id, as its list or search would show it to API 2.14 with the index up
    /// to date: articles without statistics, conversations without parts, tickets with theirs (the newest 500),
    /// segments with their count, data attributes of all three models with the archived ones. [`Value`] rounds
    /// numbers a float cannot hold; see [`Sandbox::truth_text`].
    ///
    /// # Panics
    ///
    /// If there is no such table.
    pub fn truth(&self, table: &str) -> Vec<Value> {
        self.truth_text(table).iter().map(|text| value(text)).collect()
    }

    /// [`Sandbox::truth`] as JSON text, digit for digit what is served.
    ///
    /// # Panics
    ///
    /// If there is no such table.
    pub fn truth_text(&self, table: &str) -> Vec<String> {
        self.truth_text_at(table, 14)
    }

    /// [`Sandbox::truth_text`] as API 2.`minor` shows it, 7 to 16.
    ///
    /// # Panics
    ///
    /// If there is no such table.
    pub fn truth_text_at(&self, table: &str, minor: u8) -> Vec<String> {
        let kind = kind_named(table);
        let version = self.version(minor);
        let rows = lists::all(&mut self.state().world, kind);
        rows.iter().map(|row| version.shape(kind, &row.text).into_owned()).collect()
    }

    /// What `GET /conversations/attributes` of API 2.16 shows with `include_archived`, ordered by id.
    pub fn conversation_attributes(&self) -> Vec<Value> {
        let rows = attributes::conversation(&mut self.state().world, self.version(16)).unwrap_or_default();
        rows.iter().map(|row| value(&row.text)).collect()
    }

    /// The statistics that an article's own GET shows to API 2.14; none if it is not there.
    pub fn article_statistics(&self, id: &str) -> Option<Value> {
        let state = self.state();
        let row = state.world.table(Kind::Articles).live().get(id)?;
        Some(value(&self.version(14).shape_statistics(&row.hidden.statistics)))
    }

    /// Every note on a contact, newest first; none if the contact is not there.
    pub fn notes(&self, contact: &str) -> Vec<Value> {
        let world = &self.state().world;
        let Some(row) = world.table(Kind::Contacts).live().get(contact) else { return Vec::new() };
        let ids = row.hidden.notes.iter().rev();
        ids.map(|id| value(&generate::notes::text(&world.context, row, id))).collect()
    }

    /// Every link of a link table such as `contact_tags`: id of the parent that is live, id of the child, ordered.
    /// All of them, whatever embedded lists leave out; of contacts also links to children that were removed, because
    /// rows that refer to a removed row are left alone. Links of companies, conversations, newsfeeds (by the
    /// assignments of live news items) and teams are what the JSON says, so [`Change::SetField`] changes them; where
    /// a list in the JSON of a company says that it has more, they are what the company was invented with.
    ///
    /// # Panics
    ///
    /// If there is no such link table.
    pub fn links(&self, table: &str) -> Vec<(String, String)> {
        let links = links::of(&self.state().world, table);
        links.unwrap_or_else(|| panic!("the sandbox has no link table {table}"))
    }

    /// Every part of a conversation or ticket, oldest first, also those no answer shows any more; none if it is not
    /// there.
    pub fn parts(&self, id: &str) -> Vec<Value> {
        let world = &self.state().world;
        let live = |kind| world.table(kind).live().get(id);
        let texts = match (live(Kind::Conversations), live(Kind::Tickets)) {
            (Some(row), _) => generate::parts::all(&world.context, row),
            (None, Some(row)) => generate::ticket_parts::all(&world.context, id, &row.hidden),
            (None, None) => Vec::new(),
        };
        texts.iter().map(|text| value(text)).collect()
    }

    /// The parts an answer shows: the newest 500 of [`Sandbox::parts`].
    pub fn shown_parts(&self, id: &str) -> Vec<Value> {
        let all = self.parts(id);
        let hidden = all.len().saturating_sub(generate::parts::SHOWN);
        all.into_iter().skip(hidden).collect()
    }

    /// Changes the workspace, now. Returns the ids of the rows changed, created or removed; none where the row was
    /// not there.
    ///
    /// # Panics
    ///
    /// If there is no such table.
    #[expect(clippy::needless_pass_by_value, reason = "a change is written where it is made")]
    pub fn change(&self, change: Change) -> Vec<String> {
        self.state().world.apply(&change, self.now())
    }

    /// Changes the workspace while it is read; `None` ends it.
    ///
    /// # Panics
    ///
    /// If there is no such table.
    pub fn set_churn(&self, churn: Option<Churn>) {
        churn.iter().flat_map(|churn| &churn.tables).for_each(|table| {
            kind_named(table);
        });
        self.state().set_churn(churn);
    }

    /// Adds a fault to the end of the script.
    pub fn fault(&self, fault: Fault) {
        self.state().faults.add(fault);
    }

    /// Takes everything that is left of the script away.
    pub fn clear_faults(&self) {
        self.state().faults = faults::Faults::default();
    }

    /// From now on the token is answered `token_revoked`.
    pub fn revoke_token(&self) {
        self.state().revoked = true;
    }

    /// From now on requests whose path and query begin so are refused with `status`, 401 or 403.
    pub fn deny(&self, path_prefix: &str, status: u16) {
        self.state().denied.push(Denied { path_prefix: path_prefix.to_owned(), status });
    }

    /// Takes back every refusal of exactly this prefix, whether by [`Sandbox::deny`] or by [`Settings::denied`].
    pub fn allow(&self, path_prefix: &str) {
        self.state().denied.retain(|denied| denied.path_prefix != path_prefix);
    }

    /// Lets another tool open the company scroll and leave it: ours is refused until that one has been idle for
    /// [`Settings::scroll_expiry`]. False, and no effect, while one of ours is open.
    pub fn open_foreign_scroll(&self) -> bool {
        self.state().scroll.open_foreign(self.now(), self.shared.settings.scroll_expiry)
    }

    /// Stops listening and drops every connection.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    fn version(&self, minor: u8) -> Version {
        Version::of(minor).spoken(self.shared.settings.dialect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.shared.state)
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("base_url", &self.shared.base_url).finish_non_exhaustive()
    }
}

/// The kind a table name stands for; a name that stands for none is a mistake in the calling program.
fn kind_named(table: &str) -> Kind {
    Kind::named(table).unwrap_or_else(|| panic!("the sandbox has no table {table}"))
}

/// What was written here is JSON.
fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// Locks, also after a panic elsewhere: every change under these locks is whole or not begun.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod http_tests;
