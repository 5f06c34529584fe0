//! When the server's window ends. Pure.
//!
//! What matters is not when the window ends there, but from when on a request sent *here* is counted in the
//! next one. Each answer says by `Reset` in which window its request was counted, so requests sent before and
//! after the change of window mark that moment directly, the way to the server included, however the
//! server rounds and whatever its clock shows. Until a change was seen, `Date` has to do.

use std::collections::VecDeque;

use super::server_clock::{SECOND, ServerClock};

/// Length of a window while no change from one to the next was seen. Source: see
/// [`RateHeaders`](super::super::headers::RateHeaders).
const LENGTH: i64 = 10 * SECOND;
/// Longest and shortest length that is believed.
const LENGTHS: std::ops::RangeInclusive<i64> = SECOND..=60 * SECOND;
/// Windows that are remembered.
const REMEMBERED: usize = 4;
/// Time after the supposed end for the way of one request being shorter than that of another.
const MARGIN: i64 = 20_000;
/// The first gap after a request that came too early; each next one is twice as long.
const GAP: i64 = 250_000;
/// No gap is more than this many times the first.
const LONGEST_GAP: i64 = 32;

/// Learns where windows end. Times are local, in microseconds.
#[derive(Debug)]
pub(super) struct WindowEnd {
    clock: ServerClock,
    /// Whether a request was still counted in a window after the second that was told as its end.
    is_rounded_down: bool,
    length: i64,
    /// What the last two windows differed by, if nothing can have gone by unseen in between.
    step: Option<i64>,
    /// By rising `reset`, the current window last.
    seen: VecDeque<Seen>,
    /// Requests in a row that were sent after the supposed end and counted before it.
    too_early: u32,
}

/// A window by its name, with the first and last moment of sending a request that was counted in it.
#[derive(Debug, Clone, Copy)]
struct Seen {
    reset: i64,
    first: i64,
    last: i64,
}

impl WindowEnd {
    pub(super) fn new() -> Self {
        Self {
            clock: ServerClock::default(),
            is_rounded_down: false,
            length: LENGTH,
            step: None,
            seen: VecDeque::new(),
            too_early: 0,
        }
    }

    /// Learns from an answer: its request was counted in the window `reset`.
    pub(super) fn learn(&mut self, reset: i64, date: i64, sent: i64, received: i64) {
        if self.seen.back().is_some_and(|now| now.reset == reset) && sent >= self.end() {
            self.too_early += 1;
        }
        self.clock.learn(date, sent, received);
        self.is_rounded_down |= self.clock.latest(reset).is_some_and(|end| sent > end);
        if let Some(known) = self.seen.iter_mut().find(|seen| seen.reset == reset) {
            known.first = known.first.min(sent);
            known.last = known.last.max(sent);
            return;
        }
        let Some(before) = self.seen.back().copied() else {
            self.seen.push_back(Seen { reset, first: sent, last: sent });
            return;
        };
        if reset < before.reset {
            return;
        }
        let step = reset.saturating_sub(before.reset).saturating_mul(SECOND);
        // With less than half a step between two requests no window can have gone by in between. One step
        // proves nothing: a server may name the same window by one second or the next.
        let step = Some(step).filter(|step| LENGTHS.contains(step) && sent - before.last < step / 2);
        self.length = step.filter(|_| step == self.step).unwrap_or(self.length);
        self.step = step;
        self.too_early = 0;
        self.seen.push_back(Seen { reset, first: sent, last: sent });
        if self.seen.len() > REMEMBERED {
            self.seen.pop_front();
        }
    }

    /// Forgets everything but the length: the server's clock was set back.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
        self.clock = ServerClock::default();
        self.is_rounded_down = false;
        self.too_early = 0;
    }

    /// Length of a window.
    pub(super) fn length(&self) -> i64 {
        self.length
    }

    /// From when on a request is probably counted in the window after the current one; the distant past
    /// before the first answer. Tends to be late rather than early.
    pub(super) fn end(&self) -> i64 {
        let Some(now) = self.seen.back() else { return i64::MIN };
        // Where the end would be if it fell as in an earlier window.
        let shifted = |seen: &Seen, moment: i64| moment + (now.reset - seen.reset).saturating_mul(SECOND);
        let not_before = self.seen.iter().map(|seen| shifted(seen, seen.last)).max();
        let not_after = self.seen.iter().map(|seen| shifted(seen, seen.first) + self.length).min();
        let told = self.clock.latest(now.reset).filter(|_| !self.is_rounded_down);
        let latest = not_after.into_iter().chain(told).min().unwrap_or(i64::MIN);
        if self.too_early > 0 {
            let gap = GAP * (1_i64 << (self.too_early - 1).min(5)).min(LONGEST_GAP);
            return now.last + gap;
        }
        let end = latest.max(not_before.unwrap_or(i64::MIN));
        // Whatever earlier windows say, none is longer than its length.
        end.min(now.first + self.length) + MARGIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000;

    /// Requests every `every` to a server whose windows end at `phase` after every tenth second and who says
    /// the end as a second, rounded up.
    struct Server {
        ahead: i64,
        phase: i64,
        there: i64,
        back: i64,
    }

    impl Server {
        fn answer(&self, end: &mut WindowEnd, sent: i64) {
            let counted = sent + self.there + self.ahead;
            let window = (counted - self.phase).div_euclid(10 * SECOND);
            let reset = (self.ends(window) + SECOND - 1).div_euclid(SECOND);
            end.learn(reset, counted.div_euclid(SECOND), sent, sent + self.there + self.back);
        }

        fn ends(&self, window: i64) -> i64 {
            (window + 1) * 10 * SECOND + self.phase
        }

        /// When to send so as to arrive as the window in which `sent` was counted ends.
        fn true_end(&self, sent: i64) -> i64 {
            let counted = sent + self.there + self.ahead;
            self.ends((counted - self.phase).div_euclid(10 * SECOND)) - self.ahead - self.there
        }
    }

    #[test]
    fn after_a_change_of_window_the_next_is_known_to_the_time_between_two_requests() {
        for ahead in [0, 3_600 * SECOND + 77 * MS, -86_400 * SECOND] {
            for phase in [0, 1, 370 * MS, 999 * MS] {
                for (there, back) in [(10 * MS, 10 * MS), (300 * MS, 300 * MS), (0, 600 * MS), (600 * MS, 0)]
                {
                    let server = Server { ahead, phase, there, back };
                    let mut end = WindowEnd::new();
                    let mut sent = 0;
                    while sent < 25 * SECOND {
                        server.answer(&mut end, sent);
                        sent += 30 * MS;
                    }
                    let error = end.end() - server.true_end(sent - 30 * MS);
                    let case = (ahead, phase, there, back);
                    assert!((0..=30 * MS + MARGIN).contains(&error), "{case:?}: {error}");
                }
            }
        }
    }

    #[test]
    fn the_first_end_is_known_by_the_date_never_too_early_if_the_server_rounds_up() {
        for phase in [0, 370 * MS, 999 * MS] {
            for (there, back) in [(10 * MS, 10 * MS), (300 * MS, 300 * MS)] {
                let server = Server { ahead: 4_000 * MS, phase, there, back };
                let mut end = WindowEnd::new();
                (0..100).for_each(|number| server.answer(&mut end, SECOND + number * 37 * MS));
                let error = end.end() - server.true_end(SECOND);
                assert!((0..=SECOND + there + back + 50 * MS).contains(&error), "{phase} {there}: {error}");
            }
        }
    }

    #[test]
    fn a_date_of_another_clock_costs_no_more_than_a_window() {
        for (date, case) in [(0, "hours behind"), (1_000_000, "days ahead")] {
            let mut end = WindowEnd::new();
            end.learn(50_000, date, SECOND, SECOND + 20 * MS);
            assert!(end.end() <= 11 * SECOND + MARGIN, "{case}");
            assert!(end.end() > SECOND, "{case}");
        }
    }

    #[test]
    fn too_early_means_later_by_ever_more() {
        let mut end = WindowEnd::new();
        end.learn(100, 100, 0, 0);
        let mut sent = end.end();
        let mut gaps = Vec::new();
        for _ in 0..8 {
            end.learn(100, 100, sent, sent);
            gaps.push((end.end() - sent) / MS);
            sent = end.end();
        }
        assert_eq!(gaps, [250, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
    }

    #[test]
    fn the_length_is_what_neighbours_differ_by_twice() {
        for (answers, expected) in [
            (&[(1_000, 10), (9_900, 10), (10_000, 20), (19_900, 20), (20_000, 30)][..], 10),
            (&[(1_900, 10), (2_000, 11), (2_900, 11), (3_000, 12)], 1),
            (&[(1_900, 10), (2_000, 11), (2_900, 11)], 10),
            (&[(1_900, 10), (2_000, 11), (10_000, 20), (11_000, 21), (20_000, 30)], 10),
            (&[(10_000, 10), (20_000, 70), (70_000, 70), (80_000, 130)], 60),
            (&[(1_000, 10), (50_000, 70), (110_000, 130)], 10),
            (&[(1_900, 10), (2_000, 10_000), (2_100, 20_000)], 10),
        ] {
            let mut end = WindowEnd::new();
            for (at, reset) in answers {
                end.learn(*reset, 0, at * MS, at * MS);
            }
            assert_eq!(end.length(), expected * SECOND, "{answers:?}");
        }
    }

    #[test]
    fn a_late_answer_of_an_earlier_window_is_taken_for_what_it_is() {
        let mut end = WindowEnd::new();
        end.learn(10, 5, 5 * SECOND, 5 * SECOND);
        end.learn(20, 10, 10 * SECOND, 10 * SECOND);
        let before = end.end();
        end.learn(10, 9, 9_990 * MS, 11 * SECOND);
        assert!((end.end() - before).abs() <= 20 * MS);
    }
}
