//! What other clients take out of the same budget. Pure.

use std::collections::VecDeque;

/// Parts a window is cut into.
pub(super) const SLOTS: usize = 100;
/// Windows that are remembered.
const REMEMBERED: usize = 3;
/// What is kept free beyond what is expected, once there are others, as a share of the allowance: one in so many...
const MARGIN: u32 = 200;
/// ... and so many times that after refusals that came as a surprise.
const MOST_CAUTION: u32 = 3;
/// How far a habit may wander within the window, in slots.
const WOBBLE: usize = 2;
/// Slots within which all came at once.
const AT_ONCE: usize = 3;
/// What comes at once and is more than this share of the allowance is a burst: one in so many.
const BURST: u32 = 20;
/// Windows without a surprise after which less is enough.
const CALM: u32 = 3;

/// Requests of others, window by window, by the time within the window.
///
/// Most clients keep a habit: so many a second, or so many whenever their own window begins. So what they will take
/// of the rest of this window is supposed to be the most that they took of the same rest of one of the last
/// windows. In the first window, where nothing is known, they are supposed to go on as so far.
#[derive(Debug)]
pub(super) struct Others {
    past: VecDeque<Course>,
    current: Option<Course>,
    /// 0 as long as there are no others, then 1 and more by each surprise.
    caution: u32,
    /// Windows in a row without a surprise.
    calm: u32,
    surprised: bool,
}

/// Requests of others since the window's beginning, up to the slot looked at last.
#[derive(Debug, Clone, Copy)]
struct Course {
    sums: [u32; SLOTS],
    upto: usize,
    /// Whether many came at once.
    in_bursts: bool,
}

impl Course {
    fn total(&self) -> u32 {
        self.sums[SLOTS - 1]
    }

    /// What comes in `slots` slots if they go on as lately. Nothing if too little was seen, or if they came at once.
    fn in_slots(&self, slots: usize) -> u32 {
        if self.in_bursts || self.upto < SLOTS / 10 {
            return 0;
        }
        let since = self.upto * 2 / 3;
        let lately = u64::from(self.sums[self.upto] - self.sums[since]);
        let [slots, seen] = [slots, self.upto - since].map(|slots| u64::try_from(slots).unwrap_or(1));
        u32::try_from(lately * slots / seen).unwrap_or(u32::MAX)
    }
}

impl Others {
    pub(super) fn new() -> Self {
        Self { past: VecDeque::new(), current: None, caution: 0, calm: 0, surprised: false }
    }

    /// In slot `slot` of the current window of `limit` requests, others had taken `taken` since its beginning.
    pub(super) fn saw(&mut self, slot: usize, taken: u32, limit: u32) {
        let slot = slot.min(SLOTS - 1);
        let is_burst = self.is_burst(slot, taken, limit);
        let course = self.current.get_or_insert(Course { sums: [0; SLOTS], upto: 0, in_bursts: false });
        let from = course.upto;
        let at_once = slot <= from + AT_ONCE && taken > course.sums[from].saturating_add(limit / BURST);
        course.in_bursts |= is_burst || at_once;
        // What was answered since may show that it was less.
        course.sums[..=from].iter_mut().for_each(|sum| *sum = (*sum).min(taken));
        let known = course.sums[from];
        if slot > from {
            let steps = u32::try_from(slot - from).unwrap_or(u32::MAX);
            for (step, sum) in (1..steps).zip(&mut course.sums[from + 1..slot]) {
                // Nobody looked in between. Few came evenly; many may have come at once, and late is safe.
                let share =
                    if is_burst { 0 } else { u64::from(taken - known) * u64::from(step) / u64::from(steps) };
                *sum = known + u32::try_from(share).unwrap_or(u32::MAX);
            }
            course.upto = slot;
        }
        course.sums[course.upto] = taken;
    }

    /// Whether they took far more than expected since they were seen last.
    fn is_burst(&self, slot: usize, taken: u32, limit: u32) -> bool {
        let (before, since) = self.current.map_or((0, 0), |course| (course.sums[course.upto], course.upto));
        let expected = self.between(since, slot).saturating_mul(2) + limit / BURST;
        taken.saturating_sub(before) > expected
    }

    /// The window is over.
    pub(super) fn turn(&mut self) {
        if let Some(mut course) = self.current {
            // What was not looked at went on much as in earlier windows (a little less, for habits end), or as before
            // if that was long.
            let is_cut_short = course.upto < SLOTS * 9 / 10;
            for slot in course.upto + 1..SLOTS {
                let as_ever = if self.past.is_empty() { 0 } else { self.between(course.upto, slot) };
                let as_before = if is_cut_short { course.in_slots(slot - course.upto) } else { 0 };
                course.sums[slot] = course.sums[course.upto] + (as_ever - as_ever / 4).max(as_before);
            }
            self.current = None;
            self.past.push_back(course);
            if self.past.len() > REMEMBERED {
                self.past.pop_front();
            }
        }
        self.calm = if std::mem::take(&mut self.surprised) { 0 } else { self.calm + 1 };
        let has_others = self.past.iter().any(|course| course.total() > 0);
        if self.calm >= CALM && self.caution > u32::from(has_others) {
            self.caution -= 1;
            self.calm = 0;
        }
        self.caution = self.caution.max(u32::from(has_others));
    }

    /// What was seen no longer says anything.
    pub(super) fn forget(&mut self) {
        self.past.clear();
        self.current = None;
    }

    /// A request was refused although some should have been left of `limit`: others took the rest. If that was far
    /// more than expected, they would have taken more still: half the window is supposed.
    pub(super) fn surprise(&mut self, slot: usize, taken: u32, limit: u32) {
        let is_burst = self.is_burst(slot, taken, limit);
        self.saw(slot, if is_burst { taken.max(limit / 2) } else { taken }, limit);
        if !std::mem::replace(&mut self.surprised, true) {
            self.caution = (self.caution + 1).min(MOST_CAUTION);
        }
    }

    /// What to keep free for others in the current window of `limit` requests, given that they were seen in `slot`
    /// last: what they will take, half the window at most together with what they had, and a margin for being wrong.
    pub(super) fn rest(&self, slot: usize, limit: u32) -> u32 {
        let fair = (limit / 2).saturating_sub(self.so_far());
        // And one more to look with.
        self.between(slot, SLOTS - 1).min(fair) + self.margin(limit) + u32::from(self.caution > 0)
    }

    /// What others have taken of the current window, as far as it was seen.
    fn so_far(&self) -> u32 {
        self.current.map_or(0, |course| course.sums[course.upto])
    }

    /// What others will take from slot `slot`, in which they were seen last, until slot `to`.
    pub(super) fn between(&self, slot: usize, to: usize) -> u32 {
        let slot = slot.min(SLOTS - 1);
        let to = to.clamp(slot, SLOTS - 1);
        let so_far = self.so_far();
        let expected = |past: &Course| {
            if past.in_bursts {
                // What falls so near to now may be what has just been seen.
                let about_now = past.sums[to] - past.sums[slot.saturating_sub(WOBBLE)];
                about_now.min(past.total().saturating_sub(so_far))
            } else {
                past.sums[to] - past.sums[slot]
            }
        };
        let current = || self.current.map_or(0, |course| course.in_slots(to - slot));
        let mut seen: Vec<u32> = self.past.iter().map(expected).collect();
        seen.sort_unstable_by(|a, b| b.cmp(a));
        // Of three the middle one, for a single window may have been unlike any other; but a burst may come again.
        let in_bursts = self.past.iter().any(|past| past.in_bursts);
        let place = if in_bursts { 0 } else { seen.len() / REMEMBERED };
        seen.get(place).copied().unwrap_or_else(current)
    }

    /// What to keep free in case that others take more than expected; 0 if there are none.
    pub(super) fn margin(&self, limit: u32) -> u32 {
        (limit / MARGIN).max(1) * self.caution
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(windows: &[&[(usize, u32)]]) -> Others {
        let mut others = Others::new();
        for window in windows {
            window.iter().for_each(|(slot, taken)| others.saw(*slot, *taken, 2_000));
            others.turn();
        }
        others
    }

    const BURST: &[(usize, u32)] = &[(0, 0), (49, 0), (50, 800), (99, 800)];
    const NONE: &[(usize, u32)] = &[(0, 0), (99, 0)];

    fn steady() -> Vec<(usize, u32)> {
        (0..100).zip((0..).step_by(8)).collect()
    }

    #[test]
    fn what_is_to_come_is_what_came_in_the_same_rest() {
        let steady = steady();
        for (windows, margin, rests) in [
            (&[NONE, NONE][..], 0, [0, 0, 0, 0]),
            (&[&steady], 11, [792, 392, 192, 0]),
            (&[BURST], 11, [800, 800, 0, 0]),
            (&[&steady, BURST], 11, [800, 800, 192, 0]),
            (&[&steady, NONE, &steady], 11, [792, 392, 192, 0]),
            (&[NONE, &steady, NONE], 11, [0, 0, 0, 0]),
            (&[NONE, BURST, NONE], 11, [800, 800, 0, 0]),
            (&[BURST, NONE, NONE, NONE, NONE], 0, [0, 0, 0, 0]),
        ] {
            let others = after(windows);
            let kept = [0, 50, 75, 99].map(|slot| others.rest(slot, 2_000));
            assert_eq!(kept, rests.map(|rest| rest + margin), "{windows:?}");
        }
        assert_eq!(after(&[BURST]).rest(0, 166), 83 + 2);
    }

    #[test]
    fn what_was_just_seen_is_not_expected_again() {
        for (now, rest) in [((48, 0), 800), ((49, 800), 0), ((51, 800), 0), ((51, 300), 500), ((53, 0), 0)] {
            let mut others = after(&[BURST]);
            others.saw(now.0, now.1, 2_000);
            assert_eq!(others.rest(now.0, 2_000), rest + 11, "{now:?}");
        }
    }

    #[test]
    fn what_they_had_counts_towards_their_half() {
        for (seen, rest) in [((20, 0), 1_000), ((49, 600), 400), ((49, 1_200), 0)] {
            let mut others = after(&[&[(0, 0), (50, 800), (99, 1_900)]]);
            others.saw(seen.0, seen.1, 2_000);
            assert_eq!(others.rest(seen.0, 2_000) - 11, rest, "{seen:?}");
        }
    }

    #[test]
    fn without_a_past_they_go_on_as_so_far() {
        for (upto, rest) in [(5, 0), (20, 8 * 79), (90, 8 * 9)] {
            let mut others = Others::new();
            steady().into_iter().take(upto + 1).for_each(|(slot, taken)| others.saw(slot, taken, 10_000));
            assert_eq!(others.rest(upto, 10_000), rest, "{upto}");
        }
    }

    #[test]
    fn what_turns_out_to_be_less_is_corrected() {
        let mut others = after(&[&[(10, 50), (20, 20), (99, 20)]]);
        others.saw(0, 0, 2_000);
        assert_eq!([0, 30].map(|slot| others.rest(slot, 100)), [20 + 2, 2]);
    }

    #[test]
    fn what_nobody_looked_at_fades() {
        let mut others = after(&[BURST]);
        let mut kept = Vec::new();
        for _ in 0..8 {
            others.saw(10, 0, 2_000);
            others.turn();
            kept.push(others.rest(0, 2_000) - others.margin(2_000) - 1);
        }
        assert!(kept.is_sorted_by(|a, b| a >= b) && kept[1] == 800 && kept[7] < 400, "{kept:?}");
    }

    #[test]
    fn who_was_cut_short_is_expected_to_have_gone_on() {
        let mut others = Others::new();
        steady().into_iter().take(50).for_each(|(slot, taken)| others.saw(slot, taken, 2_000));
        others.turn();
        assert!((780..=800).contains(&(others.rest(0, 2_000) - 11)));
    }

    #[test]
    fn a_surprise_widens_the_margin_until_it_is_calm_again() {
        let mut others = after(&[&[(99, 100)]]);
        let mut kept = Vec::new();
        for window in 0..14 {
            if window < 4 {
                others.surprise(99, 0, 1_000);
                others.surprise(99, 0, 1_000);
            }
            others.saw(99, 100, 2_000);
            others.turn();
            kept.push(others.rest(0, 1_000) - 101);
        }
        assert_eq!(kept, [10, 15, 15, 15, 15, 15, 10, 10, 10, 5, 5, 5, 5, 5]);
    }

    #[test]
    fn whoever_took_all_there_was_at_once_would_have_taken_more() {
        let steady = steady();
        for (past, seen, refused, supposed) in
            [(NONE, 0, 30, 30), (NONE, 0, 130, 500), (&steady, 392, 402, 402), (&steady, 392, 480, 500)]
        {
            let mut others = after(&[past]);
            others.saw(49, seen, 1_000);
            others.surprise(50, refused, 1_000);
            assert_eq!(others.current.unwrap().sums[50], supposed, "{seen} {refused}");
        }
    }
}
