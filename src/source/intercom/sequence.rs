//! Whether a sequence of pages goes anywhere, and what it proves. Pure.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::reader::Contents;
use super::trouble::{ENDLESS, is_endless};
use crate::source::{Order, Proof};
use crate::window::Window;

/// Where a sequence ends, exclusive; may move towards its beginning while it is read. Clones share it.
#[derive(Debug, Clone)]
pub struct Until(Arc<AtomicI64>);

impl Until {
    /// At this second, exclusive; open if there is none.
    pub fn new(to: Option<i64>) -> Self {
        Self(Arc::new(AtomicI64::new(to.unwrap_or(i64::MAX))))
    }

    /// Where it is now; `None` while it is open.
    pub fn get(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|to| *to != i64::MAX)
    }

    /// Moves it.
    pub fn set(&self, to: i64) {
        self.0.store(to, Ordering::Relaxed);
    }
}

/// Where a sequence begins, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    At(Option<i64>),
    /// With its first row; before that has come, nothing is proven.
    WithFirstRow,
}

/// The pages of one pass so far, in the order of one date.
#[derive(Debug)]
pub(super) struct Sequence {
    order: Order,
    start: Start,
    until: Until,
    /// Whether the date that the pages are sorted by is the one that the window is about. If not, nothing
    /// follows from a page but that the pages go on.
    is_sorted_by_window: bool,
    /// The pass's start, up to which something may be proven: more rows may still get dates after it.
    now: i64,
    /// The last date seen, in the direction of the order.
    last: Option<i64>,
    /// Whether the dates have ever moved in that direction: one second alone shows no order.
    has_moved: bool,
    /// Keys of the previous page and of all rows dated `last`.
    recent: HashSet<u64>,
    cursors: HashSet<u64>,
    in_order: bool,
    /// Rows on the pages so far; only different ones where keys are known.
    rows: u64,
    /// Rows on the pages so far, and the most that were ever stated.
    shown: u64,
    most_stated: Option<u64>,
    /// The keys of all rows, those of earlier passes included, if they count: what comes or changes behind the reader is
    /// found by another pass.
    known: Option<HashSet<u64>>,
    /// How many of them earlier passes have shown, which came to an end that was none.
    known_before: usize,
    /// Rows that match the query, as stated first and last.
    first_total: Option<u64>,
    total: Option<u64>,
}

/// An end at which fewer rows were shown than are stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shortage {
    pub(super) rows: u64,
    pub(super) total: u64,
}

/// What a page says beside its rows' dates.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Envelope<'p> {
    /// One hash per row.
    pub(super) keys: &'p [u64],
    /// The way to the next page.
    pub(super) next: Option<&'p str>,
    /// Rows that match the query, as stated.
    pub(super) total: Option<u64>,
}

impl<'p> Envelope<'p> {
    /// That of a page, whose next page begins after `next`.
    pub(super) fn of(contents: &'p Contents, next: Option<&'p str>) -> Self {
        Self { keys: &contents.keys, next, total: contents.total_count }
    }
}

/// What follows from a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// Nothing of the window can come after this page.
    pub(super) ended: bool,
    pub(super) proof: Proof,
}

/// A sequence that cannot be trusted to reach its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stuck {
    #[error("the server repeated a cursor")]
    RepeatedCursor,
    #[error("an empty page that claims not to be the last")]
    EmptyPage,
    #[error("a page that brought nothing new")]
    NothingNew,
    #[error("{ENDLESS}")]
    Endless,
    #[error("a last page that comes too early: {} rows where {} are stated", .0.rows, .0.total)]
    EndsEarly(Shortage),
}

impl Sequence {
    /// The pages of the window that begins at `from`, inclusive.
    pub(super) fn new(
        order: Order,
        (from, until): (Option<i64>, Until),
        is_sorted_by_window: bool,
        now: i64,
    ) -> Self {
        Self {
            order,
            start: Start::At(from),
            until,
            is_sorted_by_window,
            now,
            last: None,
            has_moved: false,
            recent: HashSet::new(),
            cursors: HashSet::new(),
            in_order: true,
            rows: 0,
            shown: 0,
            most_stated: None,
            known: (order == Order::NewestFirst).then(HashSet::new),
            known_before: 0,
            first_total: None,
            total: None,
        }
    }

    /// The same, where rows may come anywhere in the order while it is read.
    #[must_use]
    pub(super) fn keeping_keys(self) -> Self {
        Self { known: Some(HashSet::new()), ..self }
    }

    /// The pages of another pass, after those of `earlier`.
    #[must_use]
    pub(super) fn after(self, earlier: &mut Self) -> Self {
        let known = earlier.known.take();
        Self { known_before: known.as_ref().map_or(0, HashSet::len), known, ..self }
    }

    /// The same, where only its first row tells where what it proves begins: see [`Self::begin_at`].
    #[must_use]
    pub(super) fn beginning_with_its_first_row(self) -> Self {
        Self { start: Start::WithFirstRow, ..self }
    }

    /// What it proves begins at `from`, inclusive.
    pub(super) fn begin_at(&mut self, from: i64) {
        self.start = Start::At(Some(from));
    }

    /// The last date seen.
    pub(super) fn at(&self) -> Option<i64> {
        self.last
    }

    /// Takes the next page, with the date it is sorted by row by row.
    pub(super) fn take(&mut self, page: Envelope<'_>, dates: &[Option<i64>]) -> Result<Step, Stuck> {
        if let Some(cursor) = page.next {
            let mut hasher = DefaultHasher::new();
            cursor.hash(&mut hasher);
            if !self.cursors.insert(hasher.finish()) {
                return Err(Stuck::RepeatedCursor);
            }
            if page.keys.is_empty() {
                return Err(Stuck::EmptyPage);
            }
        }
        let was_in_order = self.in_order;
        let advanced = self.follow(dates);
        if !page.keys.is_empty() && !advanced && page.keys.iter().all(|key| self.recent.contains(key)) {
            return Err(Stuck::NothingNew);
        }
        if advanced {
            self.recent.clear();
        }
        self.recent.extend(page.keys);
        self.total = page.total.or(self.total);
        self.first_total = self.first_total.or(page.total);
        self.rows += page.keys.len() as u64;
        if let Some(known) = &mut self.known {
            known.extend(page.keys);
            self.rows = known.len() as u64;
        }
        self.shown += page.keys.len() as u64;
        self.most_stated = self.most_stated.max(page.total);
        if page.next.is_none() {
            self.check_end()?;
        } else if is_endless(self.shown, self.most_stated) {
            return Err(Stuck::Endless);
        }
        let ended = page.next.is_none() || self.is_behind_us(dates) || self.has_all_again();
        let proof = match self.order {
            Order::OldestFirst if was_in_order && !self.in_order => Proof::Withdrawn,
            Order::OldestFirst if self.in_order && self.is_sorted_by_window => self.covered(ended),
            _ => Proof::Nothing,
        };
        Ok(Step { ended, proof })
    }

    /// What lies behind, or all there is.
    fn covered(&self, ended: bool) -> Proof {
        let Start::At(from) = self.start else { return Proof::Nothing };
        let to = if ended { self.until.get() } else { self.last.map(|last| last.min(self.now)) };
        let covered = Window { from, to };
        let is_nothing = (to.is_none() && !ended) || covered.is_empty();
        if is_nothing { Proof::Nothing } else { Proof::Covered(covered) }
    }

    /// Follows the dates of a page; true if they went on in the order's direction.
    fn follow(&mut self, dates: &[Option<i64>]) -> bool {
        let before = self.last;
        for date in dates.iter().flatten() {
            match self.last {
                Some(last) if self.goes_back(last, *date) => self.in_order = false,
                Some(last) => {
                    self.has_moved |= last != *date;
                    self.last = Some(*date);
                }
                None => self.last = Some(*date),
            }
        }
        self.last != before
    }

    /// Whether dates ever went against the order, so that nothing may be concluded from it.
    pub(super) fn is_out_of_order(&self) -> bool {
        !self.in_order
    }

    fn goes_back(&self, last: i64, date: i64) -> bool {
        match self.order {
            Order::OldestFirst => date < last,
            Order::NewestFirst => date > last,
        }
    }

    /// An end is one only if as many rows were shown as match the query, at its first or at its last page: what goes
    /// meanwhile is no longer counted by the last, and what comes was not yet by the first. What changes may move to
    /// behind the reader; then another pass shows it.
    fn check_end(&self) -> Result<(), Stuck> {
        let Some(total) = self.total.min(self.first_total) else { return Ok(()) };
        let shortage = Shortage { rows: self.rows, total };
        if total > self.rows { Err(Stuck::EndsEarly(shortage)) } else { Ok(()) }
    }

    /// Whether another pass has brought what the one before it had missed.
    fn has_all_again(&self) -> bool {
        self.known_before > 0 && self.total.is_some_and(|total| self.rows >= total)
    }

    /// Whether every later row lies beyond the window's far end.
    fn is_behind_us(&self, dates: &[Option<i64>]) -> bool {
        if !self.in_order || !self.has_moved || dates.iter().any(Option::is_none) {
            return false;
        }
        match self.order {
            Order::OldestFirst => {
                let end = self.until.get().filter(|_| self.is_sorted_by_window);
                // What lies beyond the end is read by somebody else, or not asked for: one row of it tells.
                end.is_some_and(|end| self.last.is_some_and(|last| last >= end))
            }
            Order::NewestFirst => {
                let Start::At(Some(from)) = self.start else { return false };
                self.is_sorted_by_window && dates.iter().flatten().all(|date| *date < from)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trouble::MOST_BEYOND;
    use super::*;

    const NOW: i64 = 1000;

    fn some(dates: &[i64]) -> Vec<Option<i64>> {
        dates.iter().copied().map(Some).collect()
    }

    fn page<'p>(keys: &'p [u64], next: Option<&'p str>) -> Envelope<'p> {
        Envelope { keys, next, ..Envelope::default() }
    }

    fn increment() -> Sequence {
        Sequence::new(Order::NewestFirst, (Some(100), Until::new(None)), true, NOW)
    }

    fn backfill(to: Option<i64>) -> Sequence {
        Sequence::new(Order::OldestFirst, (None, Until::new(to)), true, NOW)
    }

    #[test]
    fn an_increment_ends_after_a_whole_page_of_older_rows() {
        let mut pages = increment();
        assert!(!pages.take(page(&[1, 2], Some("a")), &some(&[900, 120])).unwrap().ended);
        assert!(!pages.take(page(&[3, 4], Some("b")), &some(&[100, 99])).unwrap().ended);
        assert!(pages.take(page(&[5, 6], Some("c")), &some(&[99, 98])).unwrap().ended);
    }

    #[test]
    fn an_increment_out_of_order_is_read_to_the_end() {
        let mut pages = increment();
        assert!(!pages.take(page(&[1, 2], Some("a")), &some(&[120, 900])).unwrap().ended);
        assert!(!pages.take(page(&[3, 4], Some("b")), &some(&[99, 98])).unwrap().ended);
        assert!(pages.take(page(&[5], None), &some(&[97])).unwrap().ended);
    }

    #[test]
    fn one_second_alone_shows_no_order() {
        let mut pages = increment();
        assert!(!pages.take(page(&[1, 2], Some("a")), &some(&[99, 99])).unwrap().ended);
        assert!(pages.take(page(&[3, 4], Some("b")), &some(&[98, 98])).unwrap().ended);
    }

    #[test]
    fn a_row_without_a_date_keeps_the_page_from_being_the_last() {
        let mut pages = increment();
        assert!(!pages.take(page(&[1, 2, 3], Some("a")), &[Some(99), None, Some(98)]).unwrap().ended);
    }

    #[test]
    fn a_backfill_proves_everything_before_its_last_date() {
        let mut pages = backfill(None);
        let proof = |step: Step| step.proof;
        assert_eq!(
            proof(pages.take(page(&[1, 2], Some("a")), &some(&[10, 20])).unwrap()),
            Proof::Covered(Window { from: None, to: Some(20) })
        );
        // Twenty rows may share a second, over a page edge too.
        assert_eq!(
            proof(pages.take(page(&[3, 4], Some("b")), &some(&[20, 20])).unwrap()),
            Proof::Covered(Window { from: None, to: Some(20) })
        );
    }

    #[test]
    fn a_sequence_ends_where_another_began_meanwhile() {
        let until = Until::new(None);
        let mut pages = Sequence::new(Order::OldestFirst, (Some(5), until.clone()), true, NOW);
        assert!(!pages.take(page(&[1, 2], Some("a")), &some(&[10, 20])).unwrap().ended);
        until.set(31);
        assert!(!pages.take(page(&[3, 4], Some("b")), &some(&[25, 30])).unwrap().ended);
        let step = pages.take(page(&[5, 6], Some("c")), &some(&[30, 31])).unwrap();
        let covered = Proof::Covered(Window { from: Some(5), to: Some(31) });
        assert_eq!(step, Step { ended: true, proof: covered });
    }

    #[test]
    fn what_begins_with_its_first_page_proves_nothing_before_it() {
        let sequence = || {
            Sequence::new(Order::OldestFirst, (Some(5), Until::new(None)), true, NOW)
                .beginning_with_its_first_row()
        };
        let step = sequence().take(page(&[], None), &[]).unwrap();
        assert_eq!(
            step,
            Step { ended: true, proof: Proof::Nothing },
            "rows before the first may not be shown"
        );
        let mut pages = sequence();
        pages.begin_at(11);
        let proof = pages.take(page(&[1, 2], Some("a")), &some(&[10, 10])).unwrap().proof;
        assert_eq!(proof, Proof::Nothing, "the window is empty as yet");
        let proof = pages.take(page(&[3], Some("b")), &some(&[20])).unwrap().proof;
        assert_eq!(proof, Proof::Covered(Window { from: Some(11), to: Some(20) }));
        let proof = pages.take(page(&[4], None), &some(&[21])).unwrap().proof;
        assert_eq!(proof, Proof::Covered(Window { from: Some(11), to: None }));
    }

    #[test]
    fn an_order_that_breaks_takes_back_what_was_proven_by_it() {
        let mut pages = backfill(None);
        pages.take(page(&[1, 2], Some("a")), &some(&[10, 20])).unwrap();
        assert_eq!(pages.take(page(&[3], Some("b")), &some(&[15])).unwrap().proof, Proof::Withdrawn);
        assert_eq!(pages.take(page(&[4], Some("c")), &some(&[30])).unwrap().proof, Proof::Nothing);
    }

    #[test]
    fn a_backfill_ends_past_its_window_and_not_at_the_present() {
        for (to, dates, ended) in [
            (Some(50), [50, 51], true),
            (Some(50), [49, 50], true),
            (Some(50), [48, 49], false),
            (None, [1001, 1002], false),
            (None, [1000, 1001], false),
        ] {
            let step = backfill(to).take(page(&[1, 2], Some("a")), &some(&dates)).unwrap();
            assert_eq!(step.ended, ended, "{dates:?}");
        }
    }

    #[test]
    fn rows_dated_ahead_of_the_clock_prove_nothing_beyond_it_before_the_end() {
        let mut pages = backfill(None);
        let step = pages.take(page(&[1, 2], Some("a")), &some(&[10, NOW + 500])).unwrap();
        let covered = |to| Proof::Covered(Window { from: None, to });
        assert_eq!(step, Step { ended: false, proof: covered(Some(NOW)) });
        let step = pages.take(page(&[3], None), &some(&[NOW + 900])).unwrap();
        assert_eq!(step, Step { ended: true, proof: covered(None) });
    }

    #[test]
    fn pages_sorted_by_another_date_prove_nothing() {
        let mut pages = Sequence::new(Order::OldestFirst, (None, Until::new(Some(50))), false, NOW);
        let step = pages.take(page(&[1, 2], Some("a")), &some(&[60, 70])).unwrap();
        assert_eq!(step, Step { ended: false, proof: Proof::Nothing });
        assert!(!pages.take(page(&[3], Some("b")), &some(&[1001])).unwrap().ended);
        assert!(pages.take(page(&[4], None), &some(&[1002])).unwrap().ended);
    }

    #[test]
    fn sequences_that_go_nowhere_are_stuck() {
        let mut pages = backfill(None);
        pages.take(page(&[1], Some("a")), &some(&[10])).unwrap();
        pages.take(page(&[2], Some("b")), &some(&[11])).unwrap();
        assert_eq!(pages.take(page(&[3], Some("a")), &some(&[12])), Err(Stuck::RepeatedCursor));

        let mut pages = backfill(None);
        pages.take(page(&[1, 2], Some("a")), &some(&[10, 10])).unwrap();
        assert_eq!(pages.take(page(&[1, 2], Some("b")), &some(&[10, 10])), Err(Stuck::NothingNew));

        assert_eq!(backfill(None).take(page(&[], Some("a")), &[]), Err(Stuck::EmptyPage));
        assert!(backfill(None).take(page(&[], None), &[]).unwrap().ended);
    }

    #[test]
    fn a_last_page_before_all_rows_were_shown_is_not_the_end() {
        for (order, total, rows, is_end) in [
            (Order::OldestFirst, Some(3), &[3][..], true),
            (Order::OldestFirst, Some(4), &[3], false),
            (Order::OldestFirst, Some(4), &[], false),
            // One that was shown is gone by now.
            (Order::OldestFirst, Some(2), &[3], true),
            // So many came while the pages were read.
            (Order::OldestFirst, Some(12), &[3, 4, 5, 6, 7, 8, 9], true),
            (Order::NewestFirst, Some(3), &[3], true),
            (Order::NewestFirst, Some(4), &[3], false),
            // What moved to the front is not another row.
            (Order::NewestFirst, Some(4), &[2, 3], false),
        ] {
            let mut pages = Sequence::new(order, (None, Until::new(None)), true, NOW);
            pages.take(Envelope { total: Some(9), ..page(&[1, 2], Some("a")) }, &some(&[10, 10])).unwrap();
            let last = Envelope { total, ..page(rows, None) };
            assert_eq!(pages.take(last, &vec![Some(10); rows.len()]).is_ok(), is_end, "{order:?} {total:?}");
        }
        let empty = Envelope { total: Some(37), ..page(&[], None) };
        let shortage = Shortage { rows: 0, total: 37 };
        assert_eq!(increment().take(empty, &[]), Err(Stuck::EndsEarly(shortage)));
    }

    #[test]
    fn rows_whose_dates_go_on_for_ever_come_to_an_end() {
        let mut pages = backfill(None);
        let keys: Vec<u64> = (0..150).collect();
        let refused = (1..10_000).find(|number| {
            let next = number.to_string();
            let envelope = Envelope { total: Some(300), ..page(&keys, Some(&next)) };
            match pages.take(envelope, &vec![Some(*number); keys.len()]) {
                Ok(_) => false,
                Err(stuck) => stuck == Stuck::Endless,
            }
        });
        assert_eq!(refused, Some(i64::try_from((600 + MOST_BEYOND) / 150 + 1).unwrap()));
    }

    #[test]
    fn what_moved_to_the_front_meanwhile_is_found_by_another_pass() {
        let mut pages = increment();
        let of = |keys: &'static [u64], next| Envelope { total: Some(4), ..page(keys, next) };
        pages.take(of(&[1, 2], Some("a")), &some(&[900, 800])).unwrap();
        // The third row changed before its page came.
        let shortage = Shortage { rows: 3, total: 4 };
        assert_eq!(pages.take(of(&[4], None), &some(&[600])), Err(Stuck::EndsEarly(shortage)));
        let mut again = increment().after(&mut pages);
        assert!(again.take(of(&[3, 1], Some("b")), &some(&[950, 900])).unwrap().ended);
    }

    #[test]
    fn what_came_behind_the_reader_is_found_by_another_pass_where_keys_are_kept() {
        let group = || backfill(None).keeping_keys();
        let of = |keys: &'static [u64], total, next| Envelope { total: Some(total), ..page(keys, next) };
        let mut pages = group();
        pages.take(of(&[1, 2], 5, Some("a")), &some(&[10, 20])).unwrap();
        // One moved to between the first two.
        assert!(pages.take(of(&[3, 4], 5, None), &some(&[30, 40])).is_err());
        let mut again = group().after(&mut pages);
        assert!(!again.take(of(&[1, 2], 6, Some("b")), &some(&[10, 20])).unwrap().ended);
        assert!(again.take(of(&[5, 3], 5, Some("c")), &some(&[25, 30])).unwrap().ended);
    }
}
