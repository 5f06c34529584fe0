//! Everything requests share, behind one lock that is never held while waiting.

use std::sync::Mutex;

use super::call::RequestRecord;
use super::change::Churn;
use super::clock::Clock;
use super::faults::Faults;
use super::limits::RateWindow;
use super::scroll::Scroll;
use super::settings::{Denied, Settings};
use super::world::World;

/// What never changes, the clock, and the rest.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) base_url: String,
    pub(crate) state: Mutex<State>,
}

/// What requests and tests change.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) scroll: Scroll,
    pub(crate) window: RateWindow,
    pub(crate) faults: Faults,
    pub(crate) denied: Vec<Denied>,
    pub(crate) revoked: bool,
    churn: Option<Churn>,
    /// Search and list requests answered since churn was set.
    reads: u32,
    pub(crate) log: Vec<RequestRecord>,
    /// Requests received so far; numbers their ids.
    pub(crate) received: u64,
}

impl State {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            world: World::generate(settings),
            scroll: Scroll::default(),
            window: RateWindow::default(),
            faults: Faults::default(),
            denied: settings.denied.clone(),
            revoked: false,
            churn: None,
            reads: 0,
            log: Vec::new(),
            received: 0,
        }
    }

    pub(crate) fn set_churn(&mut self, churn: Option<Churn>) {
        (self.churn, self.reads) = (churn, 0);
    }

    /// What refuses requests of that path and query, if anything.
    pub(crate) fn denial(&self, path_and_query: &str) -> Option<&Denied> {
        self.denied.iter().find(|denied| path_and_query.starts_with(&denied.path_prefix))
    }

    /// Counts an answered search or list request, and changes rows when it is time to.
    pub(crate) fn count_read(&mut self, now: jiff::Timestamp) {
        let Some(churn) = self.churn.clone() else { return };
        self.reads += 1;
        if self.reads.is_multiple_of(churn.every_requests.max(1)) {
            self.world.churn(&churn, now);
        }
    }
}
