//! One budget per connection: how many requests may go out now.
//!
//! [`Quota`] decides and is pure (time is handed in); [`Limiter`] waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::headers::RateHeaders;
use crate::progress::TableProgress;

/// Requests per window while no answer has said otherwise: 1,000 a minute in windows of 10 s.
const UNTOLD: (u32, Duration) = (166, Duration::from_secs(10));

/// Who goes first when permits are scarce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Waits its turn.
    Normal,
    /// Goes ahead of everything that waits; for calls that expire.
    First,
}

/// The budget of one connection.
///
/// Led by the rate headers of the answers, bounded by the ceiling a user has set. A window is
/// `[start, ends)`; at its end the full allowance is there again.
#[derive(Debug)]
pub struct Quota {
    allowed: Window,
    /// The server's name for the current window: its end in epoch seconds.
    reset: Option<i64>,
    ceiling: Option<Window>,
    in_flight: u32,
    held_back_until: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    allowance: u32,
    length: Duration,
    left: u32,
    ends: Instant,
}

impl Window {
    fn new((allowance, length): (u32, Duration), now: Instant) -> Self {
        Self { allowance, length, left: allowance, ends: now + length }
    }

    /// Starts the next window if this one is over. `spent` requests count against the new one.
    fn roll(&mut self, now: Instant, spent: u32) {
        if now >= self.ends {
            self.left = self.allowance.saturating_sub(spent);
            self.ends = now + self.length;
        }
    }
}

impl Quota {
    /// The full budget, with an optional ceiling of requests per duration.
    pub fn new(ceiling: Option<(u32, Duration)>, now: Instant) -> Self {
        Self {
            allowed: Window::new(UNTOLD, now),
            reset: None,
            ceiling: ceiling.map(|ceiling| Window::new(ceiling, now)),
            in_flight: 0,
            held_back_until: None,
        }
    }

    /// Takes one request out of the budget, or says how long to wait before asking again.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        if let Some(until) = self.held_back_until {
            if now < until {
                return Err(until - now);
            }
            self.held_back_until = None;
        }
        let in_flight = self.in_flight;
        self.allowed.roll(now, in_flight);
        if let Some(ceiling) = &mut self.ceiling {
            ceiling.roll(now, 0);
        }
        for window in std::iter::once(&self.allowed).chain(&self.ceiling) {
            if window.left == 0 {
                return Err(window.ends - now);
            }
        }
        self.allowed.left -= 1;
        if let Some(ceiling) = &mut self.ceiling {
            ceiling.left -= 1;
        }
        self.in_flight += 1;
        Ok(())
    }

    /// Learns from an answer. Requests still in flight are taken as not yet counted by the server.
    pub fn answered(&mut self, rate: Option<RateHeaders>, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(rate) = rate else { return };
        let left = rate.remaining.saturating_sub(self.in_flight);
        let ends = now + rate.resets_in;
        match self.reset {
            // An answer that was overtaken by one of a later window.
            Some(current) if rate.reset < current => return,
            // `Date` has whole seconds, so the end is known ever better: the earliest reading is closest.
            Some(current) if rate.reset == current => {
                self.allowed.left = self.allowed.left.min(left);
                self.allowed.ends = self.allowed.ends.min(ends);
            }
            _ => {
                self.allowed.left = left;
                self.allowed.ends = ends;
                self.reset = Some(rate.reset);
            }
        }
        self.allowed.allowance = rate.limit;
    }

    /// Gives a request back that was never answered; it may have been counted, so the permit stays spent.
    pub fn unanswered(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Lets nothing out for `wait`.
    pub fn hold_back(&mut self, now: Instant, wait: Duration) {
        let until = now + wait;
        self.held_back_until = Some(self.held_back_until.map_or(until, |known| known.max(until)));
    }

    /// Requests left in the current window.
    pub fn left(&self, now: Instant) -> u32 {
        let left = |window: &Window| if now >= window.ends { window.allowance } else { window.left };
        self.ceiling.as_ref().map_or(u32::MAX, left).min(left(&self.allowed))
    }
}

/// Hands out permits to everything that talks to one connection.
#[derive(Debug, Clone)]
pub struct Limiter {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    quota: Quota,
    most_in_flight: u32,
    /// Calls of [`Priority::First`] that wait; all others stand back for them.
    first_in_line: u32,
}

/// How long a call sleeps at most before it looks again, when it waits for others and not for a time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Waits for the rate up to this long go by unnoticed.
const WORTH_MENTIONING: Duration = Duration::from_millis(200);

impl State {
    /// Takes a request out of the budget, or says how long to wait unless something changes before.
    fn take(&mut self, priority: Priority, now: Instant) -> Result<(), Duration> {
        let stands_back = priority == Priority::Normal && self.first_in_line > 0;
        if stands_back || self.quota.in_flight >= self.most_in_flight {
            return Err(LOOK_AGAIN);
        }
        self.quota.take(now)
    }
}

/// Leave to send one request. Dropped without a word, it counts as unanswered.
#[derive(Debug)]
pub struct Permit {
    limiter: Limiter,
    settled: bool,
}

impl Limiter {
    /// A limiter over `quota` with at most `concurrency` requests in flight.
    pub fn new(quota: Quota, concurrency: usize) -> Self {
        let most_in_flight = u32::try_from(concurrency.max(1)).unwrap_or(u32::MAX);
        let state = State { quota, most_in_flight, first_in_line: 0 };
        Self { state: Arc::new(Mutex::new(state)), changed: Arc::new(Notify::new()) }
    }

    /// Waits until one more request may go out. Nothing is held while waiting.
    pub async fn acquire(&self, priority: Priority, progress: &TableProgress) -> Permit {
        let first = (priority == Priority::First).then(|| FirstInLine::new(self));
        let mut is_told = false;
        loop {
            // Listens before it looks, so that no change is missed in between.
            let changed = self.changed.notified();
            let taken = self.state().take(priority, Instant::now());
            let Err(wait) = taken else { break };
            // Every answer wakes whoever waits; that is no reason to say the same again.
            if !is_told && wait != LOOK_AGAIN && wait > WORTH_MENTIONING {
                progress.waiting("the rate limit", wait);
                is_told = true;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = changed => {}
            }
        }
        if is_told {
            progress.working();
        }
        drop(first);
        Permit { limiter: self.clone(), settled: false }
    }

    /// Lets nothing out for `wait`.
    pub fn hold_back(&self, now: Instant, wait: Duration) {
        self.state().quota.hold_back(now, wait);
    }

    /// Requests left in the current window.
    pub fn left(&self, now: Instant) -> u32 {
        self.state().quota.left(now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves the state sound, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The request was answered.
    pub fn answered(mut self, rate: Option<RateHeaders>, now: Instant) {
        self.settled = true;
        self.limiter.state().quota.answered(rate, now);
        self.limiter.changed.notify_waiters();
    }

    /// The request ended without an answer.
    pub fn unanswered(self) {
        drop(self);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.settled {
            self.limiter.state().quota.unanswered();
            self.limiter.changed.notify_waiters();
        }
    }
}

/// A place ahead of everybody else, given up when dropped.
struct FirstInLine<'l> {
    limiter: &'l Limiter,
}

impl<'l> FirstInLine<'l> {
    fn new(limiter: &'l Limiter) -> Self {
        limiter.state().first_in_line += 1;
        Self { limiter }
    }
}

impl Drop for FirstInLine<'_> {
    fn drop(&mut self) {
        self.limiter.state().first_in_line -= 1;
        self.limiter.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "an answer may come without them")]
    fn headers(limit: u32, remaining: u32, reset: i64, seconds: u64) -> Option<RateHeaders> {
        Some(RateHeaders { limit, remaining, reset, resets_in: Duration::from_secs(seconds) })
    }

    fn take_all(quota: &mut Quota, now: Instant) -> u32 {
        let mut taken = 0;
        while quota.take(now).is_ok() {
            taken += 1;
        }
        taken
    }

    #[test]
    fn without_headers_166_requests_go_out_in_ten_seconds() {
        let start = Instant::now();
        let mut quota = Quota::new(None, start);
        assert_eq!(take_all(&mut quota, start), 166);
        assert_eq!(quota.take(start + Duration::from_secs(4)), Err(Duration::from_secs(6)));
        for _ in 0..166 {
            quota.answered(None, start);
        }
        assert_eq!(take_all(&mut quota, start + Duration::from_secs(10)), 166);
    }

    #[test]
    fn headers_lead_and_requests_in_flight_count() {
        let start = Instant::now();
        let mut quota = Quota::new(None, start);
        for _ in 0..3 {
            quota.take(start).unwrap();
        }
        quota.answered(headers(1667, 1000, 10, 7), start);
        assert_eq!(take_all(&mut quota, start), 998);
        // Another client's requests show in what remains.
        quota.answered(headers(1667, 999, 20, 10), start + Duration::from_secs(8));
        assert_eq!(take_all(&mut quota, start + Duration::from_secs(8)), 0);
    }

    #[test]
    fn a_window_ends_when_the_server_says_and_a_late_answer_changes_nothing() {
        let start = Instant::now();
        let mut quota = Quota::new(None, start);
        quota.take(start).unwrap();
        quota.take(start).unwrap();
        quota.answered(headers(100, 0, 20, 3), start);
        assert_eq!(quota.take(start), Err(Duration::from_secs(3)));
        quota.answered(headers(100, 50, 10, 9), start);
        assert_eq!(quota.take(start), Err(Duration::from_secs(3)));
        assert_eq!(take_all(&mut quota, start + Duration::from_secs(3)), 100);
    }

    #[test]
    fn the_ceiling_holds_below_what_the_headers_allow() {
        let start = Instant::now();
        let mut quota = Quota::new(Some((5, Duration::from_secs(1))), start);
        assert_eq!(take_all(&mut quota, start), 5);
        for _ in 0..5 {
            quota.answered(headers(1000, 990, 10, 9), start);
        }
        assert_eq!(quota.take(start), Err(Duration::from_secs(1)));
        assert_eq!(take_all(&mut quota, start + Duration::from_secs(1)), 5);
    }

    #[test]
    fn held_back_means_nothing_goes_out() {
        let start = Instant::now();
        let mut quota = Quota::new(None, start);
        quota.hold_back(start, Duration::from_secs(2));
        quota.hold_back(start, Duration::from_secs(1));
        assert_eq!(quota.take(start), Err(Duration::from_secs(2)));
        assert!(quota.take(start + Duration::from_secs(2)).is_ok());
    }

    #[tokio::test]
    async fn a_call_that_goes_first_overtakes_those_that_wait() {
        let limiter = Limiter::new(Quota::new(Some((1, Duration::from_millis(60))), Instant::now()), 8);
        let progress = TableProgress::silent();
        limiter.acquire(Priority::Normal, &progress).await.answered(None, Instant::now());
        let order = Arc::new(Mutex::new(Vec::new()));
        let run = |name: &'static str, priority| {
            let (limiter, order, progress) = (limiter.clone(), Arc::clone(&order), progress.clone());
            async move {
                let permit = limiter.acquire(priority, &progress).await;
                order.lock().unwrap().push(name);
                permit.answered(None, Instant::now());
            }
        };
        tokio::join!(run("normal", Priority::Normal), run("first", Priority::First));
        assert_eq!(order.lock().unwrap().first(), Some(&"first"));
    }

    #[tokio::test]
    async fn a_call_that_goes_first_and_one_slot_do_not_block_each_other() {
        let limiter = Limiter::new(Quota::new(None, Instant::now()), 1);
        let progress = TableProgress::silent();
        let calls = (0..20).map(|number| {
            let (limiter, progress) = (limiter.clone(), progress.clone());
            tokio::spawn(async move {
                let priority = if number % 3 == 0 { Priority::First } else { Priority::Normal };
                let permit = limiter.acquire(priority, &progress).await;
                tokio::task::yield_now().await;
                permit.answered(None, Instant::now());
            })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap();
        }
        assert_eq!(limiter.left(Instant::now()), 146);
    }
}
