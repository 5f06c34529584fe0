//! What the server said last of its current window. Pure.

use super::quota::Number;
use crate::client::headers::RateHeaders;

/// The current window, as of the request that was counted last among those answered. Times are local, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) reset: i64,
    pub(super) limit: u32,
    /// Left after request `as_of` was counted, and requests before it.
    pub(super) remaining: u32,
    pub(super) as_of: Number,
    /// When that request was sent.
    pub(super) known_at: i64,
    /// The first request known to be counted in this window, and when it was sent.
    pub(super) first: Number,
    pub(super) first_sent: i64,
    /// Our answered requests that are in `limit - remaining`.
    pub(super) own: u32,
    /// Since when the window is over for certain, and nothing is known of the one that followed.
    pub(super) lapsed: Option<i64>,
}

impl Window {
    /// What one answer says to a request sent at `at`. A refusal leaves nothing, whatever it says remains.
    pub(super) fn told(number: Number, rate: RateHeaders, refused: bool, at: i64) -> Self {
        Self {
            reset: rate.reset,
            limit: rate.limit,
            remaining: if refused { 0 } else { rate.remaining.min(rate.limit) },
            as_of: number,
            known_at: at,
            first: number,
            first_sent: at,
            own: u32::from(!refused),
            lapsed: None,
        }
    }

    /// Adds what another answer says of the same window. Answers come in any order; the one with the least left was
    /// counted last.
    pub(super) fn hear(&mut self, told: Self) {
        self.own += told.own;
        self.first = self.first.min(told.first);
        self.first_sent = self.first_sent.min(told.first_sent);
        if told.remaining < self.remaining || told.limit != self.limit {
            self.remaining = told.remaining;
            self.limit = told.limit;
            self.known_at = self.known_at.max(told.known_at);
            self.as_of = self.as_of.max(told.as_of);
        }
    }

    /// A request ended without a word about the budget: it may have been counted.
    pub(super) fn lose(&mut self, number: Number) {
        self.own += u32::from(number >= self.first);
        if number > self.as_of {
            self.remaining = self.remaining.saturating_sub(1);
        }
    }

    /// The next one, of which nothing is known but that it has begun by `at`.
    pub(super) fn lapse(self, at: i64) -> Self {
        Self { remaining: self.limit, as_of: 0, own: 0, lapsed: Some(at), ..self }
    }
}
