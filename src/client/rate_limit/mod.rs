//! One budget per connection: how many requests may go out now, and whose.
//!
//! What decides is pure (time is handed in): [`quota`] says whether one more may go, led by the rate headers
//! ([`window`]); [`window_end`] and [`server_clock`] when the next window begins; [`others`] what to leave to other clients;
//! [`concurrency`] how many are worth having in flight; [`queue`] whose turn it is. [`Limiter`] waits.

mod ceiling;
mod concurrency;
mod gate;
mod others;
mod queue;
mod quota;
mod server_clock;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod window;
mod window_end;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use self::gate::{Answered, Gate};
use self::quota::{Number, Quota};
use super::headers::RateHeaders;
use crate::progress::TableProgress;

pub use self::quota::Priority;

/// How fast a connection may be read at the moment.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Requests left in the current window.
    pub left: u32,
    /// Sustained requests per second allowed.
    pub per_second: f64,
    /// Typical time until an answer has been read; `None` before the first.
    pub latency: Option<Duration>,
    /// Requests in flight now, those whose answer is still being read included.
    pub in_flight: u32,
    /// Most in flight at once.
    pub most_in_flight: u32,
    /// Requests that wait for a permit.
    pub waiting: u32,
}

/// Hands out permits to everything that talks to one connection.
#[derive(Debug, Clone)]
pub(super) struct Limiter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Rings when the time to look again has come nearer.
    sooner: Notify,
}

#[derive(Debug)]
struct State {
    gate: Gate<Waiting>,
    /// Tables that were told to wait for the rate.
    told: Vec<TableProgress>,
    /// Whether somebody watches the clock for those who wait, and for when.
    watch: Option<Instant>,
}

/// A request that waits.
#[derive(Debug)]
struct Waiting {
    permit: oneshot::Sender<Permit>,
    progress: TableProgress,
}

/// Waits for the rate up to this long go by unnoticed.
const WORTH_MENTIONING: Duration = Duration::from_millis(200);
/// How long the clock is left alone at most while somebody waits.
const LONGEST_WATCH: Duration = Duration::from_secs(1);

impl Limiter {
    /// A limiter that is led by what answers say, with an optional ceiling of requests per duration and at most
    /// `concurrency` requests in flight.
    pub(super) fn new(ceiling: Option<(u32, Duration)>, concurrency: usize) -> Self {
        let most_in_flight = u32::try_from(concurrency).unwrap_or(u32::MAX);
        let gate = Gate::new(Quota::new(ceiling, Instant::now()), most_in_flight);
        let state = State { gate, told: Vec::new(), watch: None };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), sooner: Notify::new() }) }
    }

    /// Waits until one more request may go out. Nothing is held while waiting, and whoever stops waiting
    /// leaves the queue. All with one `progress` share a lane.
    pub(super) async fn acquire(&self, priority: Priority, progress: &TableProgress) -> Permit {
        loop {
            let (permit, granted) = oneshot::channel();
            let waiting = Waiting { permit, progress: progress.clone() };
            let mut place = Place { limiter: self, granted };
            self.shared.state().gate.join(progress.key(), priority, waiting);
            self.advance();
            // The other end is dropped only together with the queue, or by whoever finds that nobody listens.
            if let Ok(mut permit) = (&mut place.granted).await {
                permit.sent = Some(Instant::now());
                return permit;
            }
        }
    }

    /// Lets nothing out for `wait`.
    pub(super) fn hold_back(&self, now: Instant, wait: Duration) {
        self.shared.state().gate.quota_mut().hold_back(now, wait);
    }

    /// Requests left in the current window.
    pub(super) fn left(&self, now: Instant) -> u32 {
        self.shared.state().gate.quota().left(now)
    }

    /// Time until what follows the window `reset` begins: none at all if that has been seen.
    pub(super) fn to_end_of(&self, reset: i64, now: Instant) -> Duration {
        self.shared.state().gate.quota().to_end_of(reset, now)
    }

    /// How fast it goes.
    pub(super) fn pace(&self) -> Pace {
        self.shared.state().gate.pace(Instant::now())
    }

    /// Lets everybody through who may go now, and sees to it that the others are looked after.
    fn advance(&self) {
        let now = Instant::now();
        let mut state = self.shared.state();
        let mut freed = Vec::new();
        while let Some((number, waiting)) = state.gate.next(now) {
            let permit = Permit::new(self.clone(), number);
            if let Err(permit) = waiting.permit.send(permit) {
                state.gate.give_back(permit.disarm());
                continue;
            }
            if let Some(place) = state.told.iter().position(|told| told.key() == waiting.progress.key()) {
                freed.push(state.told.swap_remove(place));
            }
        }
        let held = if state.gate.is_idle() { Vec::new() } else { self.look_after(&mut state, now) };
        drop(state);
        freed.iter().for_each(TableProgress::working);
        for (progress, wait) in held {
            progress.waiting("the rate limit", wait);
        }
    }

    /// Sets the watch for those who wait. Returns who is to be told for how long.
    fn look_after(&self, state: &mut State, now: Instant) -> Vec<(TableProgress, Duration)> {
        let closed = state.gate.closed(now);
        let longest = now + LONGEST_WATCH;
        let until = closed.map_or(longest, |closed| closed.until.min(longest));
        match state.watch.replace(until) {
            None => drop(tokio::spawn(Watch { limiter: self.clone(), is_over: false }.keep())),
            Some(before) if until < before => self.shared.sooner.notify_one(),
            // Sleeps until then anyway and looks again.
            Some(before) => state.watch = Some(before),
        }
        let Some(closed) = closed.filter(|closed| closed.used_up) else { return Vec::new() };
        let wait = closed.until.saturating_duration_since(now);
        if wait <= WORTH_MENTIONING {
            return Vec::new();
        }
        let is_told = |told: &[TableProgress], key| told.iter().any(|progress| progress.key() == key);
        let mut held = Vec::new();
        for progress in state.gate.heads().map(|head| &head.progress) {
            if !is_told(&state.told, progress.key()) {
                held.push((progress.clone(), wait));
                state.told.push(progress.clone());
            }
        }
        held
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves the state sound, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches the clock while somebody waits.
struct Watch {
    limiter: Limiter,
    is_over: bool,
}

impl Watch {
    async fn keep(mut self) {
        loop {
            let shared = &self.limiter.shared;
            let until = {
                let mut state = shared.state();
                if state.gate.is_idle() {
                    state.watch = None;
                    self.is_over = true;
                    return;
                }
                state.watch.unwrap_or_else(Instant::now)
            };
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {
                    // The next look is set anew, later than this one.
                    shared.state().watch = Some(Instant::now() + LONGEST_WATCH);
                    self.limiter.advance();
                }
                () = shared.sooner.notified() => {}
            }
        }
    }
}

impl Drop for Watch {
    /// Also if the runtime ends first: the next one who waits sets another.
    fn drop(&mut self) {
        if !self.is_over {
            self.limiter.shared.state().watch = None;
        }
    }
}

/// A place in the queue, given up when dropped.
struct Place<'l> {
    limiter: &'l Limiter,
    granted: oneshot::Receiver<Permit>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.granted.is_terminated() {
            self.granted.close();
            self.limiter.shared.state().gate.keep(|waiting| !waiting.permit.is_closed());
        }
    }
}

/// Leave to send one request. Dropped without a word, it counts as unanswered, or, if nobody took it,
/// as not sent.
#[derive(Debug)]
pub(super) struct Permit {
    limiter: Limiter,
    number: Option<Number>,
    sent: Option<Instant>,
    answered: Option<Instant>,
    /// Kind of call, and when its answer had been read.
    whole: Option<(u64, Instant)>,
    troubled: bool,
}

impl Permit {
    fn new(limiter: Limiter, number: Number) -> Self {
        Self { limiter, number: Some(number), sent: None, answered: None, whole: None, troubled: false }
    }

    /// The head of the answer came; `refused` means a 429. What it says holds from now on.
    pub(super) fn answered(&mut self, rate: Option<RateHeaders>, refused: bool, now: Instant) {
        let (Some(number), Some(sent), None) = (self.number, self.sent, self.answered) else { return };
        self.answered = Some(now);
        self.limiter.shared.state().gate.answered(number, Answered { rate, refused, sent }, now);
        self.limiter.advance();
    }

    /// The request met an error of the server or no answer at all.
    pub(super) fn troubled(&mut self) {
        self.troubled = true;
    }

    /// The answer has been read. `kind` tells calls apart that take differently long by nature.
    pub(super) fn done(mut self, kind: u64, now: Instant) {
        self.whole = Some((kind, now));
    }

    /// Makes dropping it mean nothing.
    fn disarm(mut self) -> Number {
        self.number.take().unwrap_or_default()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.limiter.shared.state();
        if let Some(sent) = self.sent {
            if self.answered.is_none() {
                state.gate.unanswered(number);
            }
            let times = self.whole.zip(self.answered).map(|((kind, end), head)| {
                (kind, head.saturating_duration_since(sent), end.saturating_duration_since(sent))
            });
            state.gate.leave(times, self.troubled, Instant::now());
        } else {
            state.gate.give_back(number);
        }
        drop(state);
        self.limiter.advance();
    }
}
