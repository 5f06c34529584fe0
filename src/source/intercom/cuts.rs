//! Where a range of dates is cut, so that several cursors read it at once. Pure.
//!
//! ```text
//!   a cursor reads on ──▶ at            cut        end
//!   [=====================|- - - - - - - -X- - - - - -)      asked: what lies after X
//!                                            f               the first row that is shown
//!   [======================- - - - - - - - - -)[=====- -)    joint: the second after f
//! ```
//!
//! Whatever the server takes "after X" to mean, by the second or by the day of any time zone, it shows every row
//! from some moment on. So the new cursor has every row after the second of its first one, and the old cursor reads
//! on to there: exact by value, without a margin.

use std::time::Duration;

pub use super::sequence::Until;
use crate::window::Window;

/// Rows of a full page.
const PAGE: u64 = 150;
/// One more page for so many may be spent on cutting: at each joint there is about one that is not full.
const PAGES_PER_CUT: u64 = 10;
/// Pages a second that are decoded and written, about: more cursors than that takes would only wait.
const FASTEST: f64 = 500.0;
/// Requests that it costs beside to know whether all rows have dates.
const COUNTS: u64 = 2;
/// What is left of a stretch should at least be so many pages, or a cut saves nothing.
const WORTH_CUTTING: u64 = 4;
/// Cuts that may be unanswered for each stretch whose rows are counted: how dense the others are is not known.
const CUTS_AHEAD: usize = 5;

/// The stretches of one read, each with a cursor of its own.
#[derive(Debug)]
pub struct Cuts {
    /// In the order of their dates within a group.
    stretches: Vec<Stretch>,
    /// The present, in epoch seconds: open ends are taken to end there.
    now: i64,
    made: u64,
    /// Rows of the groups whose first page has come.
    rows: u64,
    next_id: usize,
}

#[derive(Debug)]
struct Stretch {
    id: usize,
    /// The window it was cut from.
    group: usize,
    from: Option<i64>,
    to: Option<i64>,
    until: Until,
    /// The last date that was read.
    at: Option<i64>,
    /// Rows from its beginning to the end of the group, as stated with its first page.
    total: Option<u64>,
    read: u64,
    /// No cut at or after this second can succeed.
    cut_below: i64,
    is_done: bool,
}

/// A cut to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The new stretch.
    pub id: usize,
    /// The window it lies in.
    pub group: usize,
    /// The second after which rows are asked for.
    pub after: i64,
}

/// What a page says about its stretch.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// The first date on it, in epoch seconds.
    pub first: Option<i64>,
    /// The last date so far.
    pub at: Option<i64>,
    /// Rows from the beginning of the stretch on, as stated.
    pub total: Option<u64>,
    /// Rows on it.
    pub rows: u64,
    /// Whether nothing of the stretch comes after it.
    pub ended: bool,
}

impl Cuts {
    /// Nothing is cut yet: one stretch, and one group, for each window.
    pub fn new(windows: &[(Window, Until)], now: i64) -> Self {
        let stretch = |(id, (window, until)): (usize, &(Window, Until))| Stretch {
            id,
            group: id,
            from: window.from,
            to: window.to,
            until: until.clone(),
            at: window.from,
            total: None,
            read: 0,
            cut_below: i64::MAX,
            is_done: false,
        };
        let stretches: Vec<Stretch> = windows.iter().enumerate().map(stretch).collect();
        let next_id = stretches.len();
        Self { stretches, now, made: 0, rows: 0, next_id }
    }

    /// Pages still to be read, at least.
    pub fn pages_left(&self) -> u64 {
        let left = |at| self.rows_left(at).div_ceil(PAGE);
        (0..self.stretches.len()).filter(|at| !self.stretches[*at].is_done).map(left).sum()
    }

    /// Whether all is one stretch, and always was.
    pub fn is_whole(&self) -> bool {
        self.next_id == 1
    }

    /// The next cut, if another cursor is wanted beside those there are: `wanted` at once.
    pub fn next(&mut self, wanted: usize) -> Option<Cut> {
        let active = self.stretches.iter().filter(|stretch| !stretch.is_done).count();
        let unanswered = self.stretches.iter().filter(|stretch| stretch.total.is_none()).count();
        let answered = self.stretches.len() - unanswered;
        if active >= wanted || self.made >= self.allowed() || unanswered >= CUTS_AHEAD * answered {
            return None;
        }
        let (at, after) = self.widest()?;
        let (id, group) = (self.next_id, self.stretches[at].group);
        self.next_id += 1;
        self.made += 1;
        let until = Until::new(None);
        let new = Stretch {
            id,
            group,
            from: Some(after),
            to: None,
            until,
            at: None,
            total: None,
            read: 0,
            cut_below: i64::MAX,
            is_done: false,
        };
        self.stretches.insert(at + 1, new);
        Some(Cut { id, group, after })
    }

    /// Says where the cursor of a new stretch ends.
    pub fn ends_at(&mut self, id: usize, until: Until) {
        if let Some(stretch) = self.stretches.iter_mut().find(|stretch| stretch.id == id) {
            stretch.until = until;
        }
    }

    /// Takes notice of a page; false if its cursor is not to go on.
    pub fn take(&mut self, id: usize, seen: Seen) -> bool {
        let Some(at) = self.stretches.iter().position(|stretch| stretch.id == id) else { return false };
        let is_first = self.stretches[at].total.is_none();
        let is_cut = is_first && id >= self.groups();
        if is_first {
            self.stretches[at].total = Some(seen.total.unwrap_or(seen.rows));
            if !is_cut {
                self.rows += seen.total.unwrap_or_default();
            }
        }
        if is_cut && !self.join(at, (seen.first, seen.at)) {
            self.stretches.remove(at);
            return false;
        }
        let stretch = &mut self.stretches[at];
        stretch.read += seen.rows;
        stretch.at = seen.at.or(stretch.at);
        stretch.is_done = seen.ended;
        !seen.ended
    }

    /// Puts a stretch whose first page is dated from `first` to `last` behind the one that was cut. False if there is
    /// nothing left to cut off: then the old one reads on.
    fn join(&mut self, at: usize, (first, last): (Option<i64>, Option<i64>)) -> bool {
        let group = self.stretches[at].group;
        let cut = self.stretches[at].from.unwrap_or(i64::MIN);
        let known = |stretch: &Stretch| stretch.group == group && stretch.total.is_some();
        let Some(old) = (0..at).rev().find(|old| known(&self.stretches[*old])) else { return false };
        let old = &mut self.stretches[old];
        let joint = first.map(|first| first.saturating_add(1));
        // Where the old one has come by already, or where a page shows but one second, both would read the same.
        let is_inside = |joint: i64| {
            old.to.is_none_or(|to| joint < to)
                && old.at.max(old.from).is_none_or(|at| joint > at)
                && last.is_some_and(|last| last >= joint)
        };
        let Some(joint) = joint.filter(|joint| !old.is_done && is_inside(*joint)) else {
            old.cut_below = old.cut_below.min(cut);
            return false;
        };
        let (to, cut_below) = (old.to.replace(joint), std::mem::replace(&mut old.cut_below, i64::MAX));
        old.until.set(joint);
        let new = &mut self.stretches[at];
        (new.from, new.to, new.cut_below) = (Some(joint), to, cut_below);
        if let Some(to) = to {
            new.until.set(to);
        }
        true
    }

    /// The place in the order and the moment of the next cut: the middle, in time, of where most rows are left. Behind
    /// cuts that are not answered, rows are taken to be spread evenly.
    fn widest(&self) -> Option<(usize, i64)> {
        let mut best: Option<(u64, usize, i64)> = None;
        for (index, stretch) in self.stretches.iter().enumerate() {
            let (Some(at), Some(_), false) = (stretch.at, stretch.total, stretch.is_done) else { continue };
            // Whether a server takes a bound before the epoch is not documented.
            let at = at.max(0);
            let end = stretch.to.unwrap_or(self.now).min(self.now).min(stretch.cut_below);
            let width = end.saturating_sub(at);
            if width <= 0 {
                continue;
            }
            let following = self.stretches[index + 1..].iter().take_while(|next| next.group == stretch.group);
            let pending = following.take_while(|next| next.total.is_none()).filter_map(|next| next.from);
            let bounds: Vec<i64> = std::iter::once(at).chain(pending).chain([end]).collect();
            for (place, bound) in bounds.windows(2).enumerate() {
                let part = bound[1].saturating_sub(bound[0]);
                if part < 4 {
                    continue;
                }
                let share = self.rows_left(index).saturating_mul(part.unsigned_abs()) / width.unsigned_abs();
                if share >= WORTH_CUTTING * PAGE && best.is_none_or(|(most, ..)| share > most) {
                    best = Some((share, index + place, bound[0] + part / 2));
                }
            }
        }
        best.map(|(_, index, after)| (index, after))
    }

    /// Rows that the cursor of a stretch has not yet read, unless a cut that is unanswered takes some of them.
    fn rows_left(&self, at: usize) -> u64 {
        let stretch = &self.stretches[at];
        let Some(total) = stretch.total else { return 0 };
        let mut following = self.stretches[at + 1..].iter().take_while(|next| next.group == stretch.group);
        let others = following.find_map(|next| next.total).unwrap_or(0);
        total.saturating_sub(others).saturating_sub(stretch.read)
    }

    fn allowed(&self) -> u64 {
        (self.rows / PAGE / PAGES_PER_CUT).saturating_sub(COUNTS)
    }

    /// How many windows there were; their stretches have the first numbers.
    fn groups(&self) -> usize {
        self.next_id - usize::try_from(self.made).unwrap_or(usize::MAX)
    }
}

/// How long answers take to be there, if any has come.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// The mean of the latest.
    pub typical: Option<Duration>,
    /// The least of those of this read that brought a page in the middle of a stretch.
    pub shortest: Option<Duration>,
}

/// How many cursors are worth having: as many as keep the allowed rate in use at this latency or, while the requests
/// that are left fit into what the current rate window still allows, as many as we can keep up with.
pub fn cursors_wanted(
    pages_left: u64,
    (permits_left, per_second): (u32, f64),
    Latency { typical, shortest }: Latency,
    most: usize,
) -> usize {
    let typical = typical.unwrap_or(Duration::from_secs(1));
    // Where nothing holds requests up, answers take longer for being so many: each of more cursors would only hold a page.
    let unhurried = shortest.map_or(typical, |shortest| typical.min(shortest * 2));
    let fastest = FASTEST * unhurried.as_secs_f64();
    let is_burst = pages_left <= u64::from(permits_left);
    let steady = per_second * typical.as_secs_f64();
    let busy = if per_second >= FASTEST {
        fastest
    } else if is_burst {
        fastest.max(steady)
    } else {
        steady
    };
    // A fifth more, since answers do not come evenly.
    let busy = (busy * 1.2).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded on both sides")]
    let busy = busy.clamp(1.0, 10_000.0) as usize;
    (busy + 1).min(most)
}

#[cfg(test)]
mod tests;
