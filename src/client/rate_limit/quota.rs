//! How many requests may go out now. Pure: time is handed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::ceiling::Ceiling;
use super::others::{Others, SLOTS};
use super::window::Window;
use super::window_end::WindowEnd;
use crate::client::headers::RateHeaders;

/// Requests per window while no answer has said otherwise: 1,000 a minute in windows of 10 s.
const UNTOLD: (u32, Duration) = (166, Duration::from_secs(10));
/// How long after its supposed end a window is over for certain, whatever clocks and ways do.
const CERTAIN: i64 = 1_000_000;
/// The part of a window's allowance that is handed out evenly over the window, so that whoever else uses the
/// same token finds something left: one in so many.
const SPREAD: u32 = 5;
/// The same if there is probably nothing left.
const LATE_TO_RISK: i64 = 20;
/// With more than this share of the window left, it is worth the risk at any time: one in so many.
const AT_STAKE: u32 = 12;
/// So many requests are allowed between two that go ahead at risk.
const RISKED: u32 = 500;
/// Requests that were sent so much later, as a share of the latency, may arrive before others: one in so many.
const OVERTAKEN: i64 = 4;
/// The last part of a window, in which nobody looks any more what is left of it: one in so many.
const LATE: i64 = 50;
/// The last part of a window, in which nothing is kept free for its own sake any more: one in so many.
const END_GAME: i64 = 20;

/// Names a request while it is under way; later requests have higher numbers.
pub(super) type Number = u64;

/// Who goes first when permits are scarce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Waits its turn.
    Normal,
    /// Goes ahead of everything that waits; for calls that expire.
    First,
}

/// Why nothing may go out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closed {
    /// When to ask again, unless an answer comes before.
    pub(super) until: Instant,
    /// Whether all there is has been used up, rather than kept free for a moment.
    pub(super) used_up: bool,
}

/// How a request goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    /// It is in the budget.
    Freely,
    /// It goes ahead of the others, to see whether there is a new window, or what is left of this one.
    Ahead,
    /// It goes ahead although there is probably nothing left: somebody has to look now and then.
    AtRisk,
}

/// The budget of one connection.
///
/// Led by the rate headers of the answers, bounded by the ceiling a user has set. What is left is what the server said
/// last less the requests that it cannot have counted by then, so that the requests of others are seen. A new
/// window is believed when an answer tells of it, or when the old one is over for certain; in between one request
/// goes ahead to see.
///
/// ```text
///  |== as fast as latency allows ==|== a trickle, others find some left ==| last 5 % |
///  reset                                            what is kept free falls to nothing  reset + 10 s
/// ```
#[derive(Debug)]
pub(super) struct Quota {
    origin: Instant,
    ceiling: Option<Ceiling>,
    untold: Ceiling,
    end: WindowEnd,
    others: Others,
    window: Option<Window>,
    /// Requests without an answer, by number and time.
    under_way: VecDeque<(Number, i64)>,
    /// Mean time from sending to the head of the answer.
    latency: i64,
    next: Number,
    /// A request that went ahead.
    scout: Option<Number>,
    /// The last request that went ahead although there should have been nothing left.
    scout_at_risk: Option<Number>,
    /// Windows since a request went ahead although there should have been nothing left.
    since_risk: u32,
    held_back_until: Option<Instant>,
}

impl Quota {
    /// The full budget, with an optional ceiling of requests per duration.
    pub(super) fn new(ceiling: Option<(u32, Duration)>, now: Instant) -> Self {
        Self {
            origin: now,
            ceiling: ceiling.map(|(requests, period)| Ceiling::new(requests, period)),
            untold: Ceiling::new(UNTOLD.0, UNTOLD.1),
            end: WindowEnd::new(),
            others: Others::new(),
            window: None,
            under_way: VecDeque::new(),
            latency: 0,
            next: 1,
            scout: None,
            scout_at_risk: None,
            since_risk: 0,
            held_back_until: None,
        }
    }

    /// Takes one request out of the budget, or says when to ask again.
    pub(super) fn take(&mut self, priority: Priority, now: Instant) -> Result<Number, Closed> {
        self.lapse(now);
        let go = self.check(priority, now)?;
        let number = self.next;
        self.next += 1;
        if go != Go::Freely {
            self.scout = Some(number);
        }
        if go == Go::AtRisk {
            self.since_risk = 0;
            self.scout_at_risk = Some(number);
        }
        self.under_way.push_back((number, self.micros(now)));
        self.untold.take(now);
        if let Some(ceiling) = &mut self.ceiling {
            ceiling.take(now);
        }
        Ok(number)
    }

    /// Whether a request may go out now; if not, when to ask again.
    pub(super) fn check(&self, priority: Priority, now: Instant) -> Result<Go, Closed> {
        let used_up = |until| Err(Closed { until, used_up: true });
        if let Some(until) = self.held_back_until.filter(|until| now < *until) {
            return used_up(until);
        }
        let untold = if self.window.is_none() { Some(&self.untold) } else { None };
        if let Some(until) = untold.into_iter().chain(&self.ceiling).filter_map(|c| c.free_at(now)).max() {
            return used_up(until);
        }
        let Some(window) = self.window else { return Ok(Go::Freely) };
        let (at, end) = (self.micros(now), self.end_of(&window));
        let left = self.left_in_window(now);
        let is_free = window.lapsed.is_some() || priority == Priority::First;
        if left > 0 && (is_free || left > i64::from(self.kept_free(&window, at))) {
            return Ok(Go::Freely);
        }
        // What is known is older than what is left of the window: worth a look.
        let look = window.known_at + (end - window.known_at) / 2;
        let gone = self.others.between(self.slot(window.known_at), self.slot(at) + 1);
        let is_safe = gone > 0 && left > i64::from(gone + self.others.margin(window.limit));
        let late = self.end.length() / if is_safe { LATE } else { LATE_TO_RISK };
        let is_worth_it = left > 0
            && end - look > late
            && (is_safe
                || self.since_risk > RISKED / window.limit
                || left > i64::from(window.limit / AT_STAKE));
        let ahead = if is_worth_it { look } else { end };
        match self.scout {
            None if at >= end || at >= ahead && is_safe => Ok(Go::Ahead),
            None if at >= ahead => Ok(Go::AtRisk),
            _ if left <= 0 => {
                let until = if self.scout.is_some() { at.max(end + CERTAIN) } else { end };
                used_up(self.instant(until))
            }
            scout => {
                let ahead = if scout.is_some() { i64::MAX } else { ahead };
                let until = self.freed_at(&window, left, at).min(ahead);
                Err(Closed { until: self.instant(until), used_up: false })
            }
        }
    }

    /// What is kept free at `at`: some for whoever comes, more for those who were seen, half at most.
    fn kept_free(&self, window: &Window, at: i64) -> u32 {
        let (length, to_go) = (self.end.length(), (self.end.end() - at).max(0));
        let game = length / END_GAME;
        let spread = i64::from(window.limit / SPREAD) * (to_go - game).max(0) / (length - game).max(1);
        let spread = u32::try_from(spread).unwrap_or(u32::MAX);
        spread.min(window.limit / SPREAD).max(self.others.rest(self.slot(window.known_at), window.limit))
    }

    /// When the evenly spread part will have fallen below `left`, or a while later if others are what is waited for.
    fn freed_at(&self, window: &Window, left: i64, at: i64) -> i64 {
        let length = self.end.length();
        let game = length / END_GAME;
        let share = i64::from(window.limit / SPREAD).max(1);
        let to_go = game + (left - 1).max(0).saturating_mul(length - game) / share;
        (self.end.end() - to_go).max(at + length / 1_000)
    }

    /// Learns from an answer to a request sent at `sent`. `refused` means that it was a 429.
    pub(super) fn answered(
        &mut self,
        number: Number,
        rate: Option<RateHeaders>,
        refused: bool,
        sent: Instant,
        now: Instant,
    ) {
        let Some(rate) = rate else { return self.unanswered(number) };
        self.settle(number);
        let at = self.micros(sent);
        let took = self.micros(now) - at;
        self.latency = if self.latency == 0 { took } else { (self.latency * 7 + took) / 8 };
        if let Some(window) = self.window {
            let is_late =
                rate.reset < window.reset && (number < window.first || at < window.first_sent + CERTAIN);
            let is_before_lapse =
                rate.reset == window.reset && window.lapsed.is_some_and(|lapsed| at < lapsed);
            if is_late || is_before_lapse {
                self.end.learn(rate.reset, rate.date, at, self.micros(now));
                return;
            }
            if rate.reset < window.reset {
                self.end.forget();
                self.others.forget();
            }
        }
        self.end.learn(rate.reset, rate.date, at, self.micros(now));
        self.adopt(Window::told(number, rate, refused, at));
    }

    fn adopt(&mut self, told: Window) {
        let mut is_surprise = false;
        match &mut self.window {
            Some(window) if window.reset == told.reset && window.lapsed.is_none() => {
                let is_at_risk = self.scout_at_risk == Some(told.as_of);
                is_surprise = told.own == 0 && window.remaining > 0 && !is_at_risk;
                if window.limit != told.limit {
                    self.others.forget();
                }
                window.hear(told);
            }
            _ => {
                self.others.turn();
                self.since_risk = self.since_risk.saturating_add(1);
                self.window = Some(told);
            }
        }
        self.note_others(is_surprise);
    }

    /// Notes what others have taken by now: all that is gone, less what we took.
    fn note_others(&mut self, is_surprise: bool) {
        let Some(window) = self.window else { return };
        let ours = |(number, _): &&(Number, i64)| (window.first..window.as_of).contains(number);
        let earlier = u32::try_from(self.under_way.iter().filter(ours).count()).unwrap_or(u32::MAX);
        let gone = window.limit - window.remaining;
        let slot = self.slot(window.known_at);
        let taken = gone.saturating_sub(window.own).saturating_sub(earlier);
        if is_surprise {
            self.others.surprise(slot, taken, window.limit);
        } else if window.remaining > 0 || self.scout_at_risk == Some(window.as_of) {
            self.others.saw(slot, taken, window.limit);
        }
    }

    /// A request that ended without an answer, or with one that says nothing of the budget: it may have been counted.
    pub(super) fn unanswered(&mut self, number: Number) {
        self.settle(number);
        if let Some(window) = &mut self.window {
            window.lose(number);
        }
    }

    /// Gives a request back that was never sent.
    pub(super) fn give_back(&mut self, number: Number) {
        self.settle(number);
    }

    fn settle(&mut self, number: Number) {
        if let Ok(place) = self.under_way.binary_search_by_key(&number, |(number, _)| *number) {
            self.under_way.remove(place);
        }
        self.scout = self.scout.filter(|scout| *scout != number);
    }

    /// Lets nothing out for `wait`.
    pub(super) fn hold_back(&mut self, now: Instant, wait: Duration) {
        let until = now + wait;
        self.held_back_until = Some(self.held_back_until.map_or(until, |known| known.max(until)));
    }

    /// Requests left in the current window, whether or not some of them are kept free.
    pub(super) fn left(&self, now: Instant) -> u32 {
        let own = self.ceiling.as_ref().map_or(u32::MAX, |ceiling| ceiling.left(now));
        let told = match self.window {
            None => self.untold.left(now),
            Some(_) => u32::try_from(self.left_in_window(now).max(0)).unwrap_or(u32::MAX),
        };
        told.min(own)
    }

    /// Requests per second that are allowed in the long run.
    pub(super) fn per_second(&self) -> f64 {
        let length = Duration::from_micros(self.end.length().unsigned_abs()).as_secs_f64();
        let told = self.window.map_or(self.untold.per_second(), |window| f64::from(window.limit) / length);
        self.ceiling.as_ref().map_or(told, |ceiling| told.min(ceiling.per_second()))
    }

    /// Time until what follows the window `reset` begins: none at all if that has been seen.
    pub(super) fn to_end_of(&self, reset: i64, now: Instant) -> Duration {
        let current = self.window.filter(|window| window.reset == reset);
        let end = current.map(|window| self.instant(self.end_of(&window)));
        end.map_or(Duration::ZERO, |end| end.saturating_duration_since(now))
    }

    /// What is left of the window known, or of the next one if that is over for certain.
    fn left_in_window(&self, now: Instant) -> i64 {
        let Some(window) = self.window else { return i64::MAX };
        let is_over = self.micros(now) >= self.over_at(&window);
        let (full, as_of, until) = match window.lapsed {
            None if !is_over => (window.remaining, window.as_of, window.known_at - self.latency / OVERTAKEN),
            _ if is_over => (window.limit, 0, i64::MIN),
            _ => (window.remaining, 0, i64::MIN),
        };
        // Those sent shortly before the one that was counted last may have been overtaken by it.
        let is_counted = |(number, sent): &(Number, i64)| *number <= as_of && *sent <= until;
        let newer = self.under_way.len() - self.under_way.partition_point(is_counted);
        i64::from(full) - i64::try_from(newer).unwrap_or(i64::MAX)
    }

    /// When a window probably ends.
    fn end_of(&self, window: &Window) -> i64 {
        window.lapsed.map_or_else(|| self.end.end(), |lapsed| lapsed + self.end.length())
    }

    /// When a window is over for certain.
    fn over_at(&self, window: &Window) -> i64 {
        self.end_of(window) + if window.lapsed.is_some() { 0 } else { CERTAIN }
    }

    /// Goes on without being told, once the window known is over for certain.
    fn lapse(&mut self, now: Instant) {
        let at = self.micros(now);
        let Some(window) = self.window.filter(|window| at >= self.over_at(window)) else { return };
        self.others.turn();
        self.scout = None;
        self.window = Some(window.lapse(at));
    }

    /// The part of the window in which `at` lies.
    fn slot(&self, at: i64) -> usize {
        let (length, to_go) = (self.end.length(), self.end.end() - at);
        let slots = i64::try_from(SLOTS).unwrap_or(1);
        usize::try_from(((length - to_go) * slots / length).clamp(0, slots - 1)).unwrap_or(0)
    }

    fn micros(&self, at: Instant) -> i64 {
        match at.checked_duration_since(self.origin) {
            Some(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            None => -i64::try_from(self.origin.duration_since(at).as_micros()).unwrap_or(i64::MAX),
        }
    }

    fn instant(&self, at: i64) -> Instant {
        self.origin + Duration::from_micros(u64::try_from(at.max(0)).unwrap_or(0))
    }
}

#[cfg(test)]
#[path = "quota_tests.rs"]
mod tests;
