//! Whether a sequence of pages goes anywhere, and what it proves. Pure.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::source::Order;
use crate::window::Window;

/// The pages of one pass so far, in the order of one date.
#[derive(Debug)]
pub(super) struct Sequence {
    order: Order,
    window: Window,
    /// The pass's start: rows that are younger belong to the next pass.
    now: i64,
    /// The last date seen, in the direction of the order.
    last: Option<i64>,
    /// Keys of the previous page and of all rows dated `last`.
    recent: HashSet<u64>,
    cursors: HashSet<u64>,
    in_order: bool,
}

/// What follows from a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// Nothing of the window can come after this page.
    pub(super) ended: bool,
    /// Every row of the window dated before this second has been seen.
    pub(super) complete_to: Option<i64>,
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
}

impl Sequence {
    pub(super) fn new(order: Order, window: Window, now: i64) -> Self {
        Self {
            order,
            window,
            now,
            last: None,
            recent: HashSet::new(),
            cursors: HashSet::new(),
            in_order: true,
        }
    }

    /// Takes the next page: key and date of each row, and the cursor to the page after it.
    pub(super) fn take(
        &mut self,
        keys: &[u64],
        dates: &[Option<i64>],
        next: Option<&str>,
    ) -> Result<Step, Stuck> {
        if let Some(cursor) = next {
            let mut hasher = DefaultHasher::new();
            cursor.hash(&mut hasher);
            if !self.cursors.insert(hasher.finish()) {
                return Err(Stuck::RepeatedCursor);
            }
            if keys.is_empty() {
                return Err(Stuck::EmptyPage);
            }
        }
        let before = self.last;
        for date in dates.iter().flatten() {
            match self.last {
                Some(last) if self.goes_back(last, *date) => self.in_order = false,
                _ => self.last = Some(*date),
            }
        }
        let advanced = self.last != before;
        if !keys.is_empty() && !advanced && keys.iter().all(|key| self.recent.contains(key)) {
            return Err(Stuck::NothingNew);
        }
        if advanced {
            self.recent.clear();
        }
        self.recent.extend(keys);
        let ended = next.is_none() || (self.in_order && self.is_behind_us(dates));
        let complete_to = match self.order {
            Order::OldestFirst if self.in_order => self.last,
            _ => None,
        };
        Ok(Step { ended, complete_to })
    }

    fn goes_back(&self, last: i64, date: i64) -> bool {
        match self.order {
            Order::OldestFirst => date < last,
            Order::NewestFirst => date > last,
        }
    }

    /// Whether every row of the page, and so every later one, lies beyond the window's far end.
    fn is_behind_us(&self, dates: &[Option<i64>]) -> bool {
        let beyond = |date: i64| match self.order {
            Order::OldestFirst => date > self.now || self.window.to.is_some_and(|to| date >= to),
            Order::NewestFirst => self.window.from.is_some_and(|from| date < from),
        };
        dates.iter().all(|date| date.is_some_and(beyond))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1000;

    fn some(dates: &[i64]) -> Vec<Option<i64>> {
        dates.iter().copied().map(Some).collect()
    }

    fn increment() -> Sequence {
        Sequence::new(Order::NewestFirst, Window { from: Some(100), to: None }, NOW)
    }

    fn backfill(to: Option<i64>) -> Sequence {
        Sequence::new(Order::OldestFirst, Window { from: None, to }, NOW)
    }

    #[test]
    fn an_increment_ends_after_a_whole_page_of_older_rows() {
        let mut pages = increment();
        assert!(!pages.take(&[1, 2], &some(&[900, 120]), Some("a")).unwrap().ended);
        assert!(!pages.take(&[3, 4], &some(&[100, 99]), Some("b")).unwrap().ended);
        assert!(pages.take(&[5, 6], &some(&[99, 98]), Some("c")).unwrap().ended);
    }

    #[test]
    fn an_increment_out_of_order_is_read_to_the_end() {
        let mut pages = increment();
        assert!(!pages.take(&[1, 2], &some(&[120, 900]), Some("a")).unwrap().ended);
        assert!(!pages.take(&[3, 4], &some(&[99, 98]), Some("b")).unwrap().ended);
        assert!(pages.take(&[5], &some(&[97]), None).unwrap().ended);
    }

    #[test]
    fn a_row_without_a_date_keeps_the_page_from_being_the_last() {
        let mut pages = increment();
        assert!(!pages.take(&[1, 2], &[Some(99), None], Some("a")).unwrap().ended);
    }

    #[test]
    fn a_backfill_proves_everything_before_its_last_date() {
        let mut pages = backfill(None);
        assert_eq!(pages.take(&[1, 2], &some(&[10, 20]), Some("a")).unwrap().complete_to, Some(20));
        // Twenty rows may share a second, over a page edge too.
        assert_eq!(pages.take(&[3, 4], &some(&[20, 20]), Some("b")).unwrap().complete_to, Some(20));
        assert_eq!(pages.take(&[5], &some(&[15]), Some("c")).unwrap().complete_to, None);
    }

    #[test]
    fn a_backfill_ends_past_its_window_and_past_the_start_of_the_pass() {
        for (to, dates, ended) in [
            (Some(50), [50, 51], true),
            (Some(50), [49, 50], false),
            (None, [1001, 1002], true),
            (None, [1000, 1001], false),
        ] {
            assert_eq!(
                backfill(to).take(&[1, 2], &some(&dates), Some("a")).unwrap().ended,
                ended,
                "{dates:?}"
            );
        }
    }

    #[test]
    fn sequences_that_go_nowhere_are_stuck() {
        let mut pages = backfill(None);
        pages.take(&[1], &some(&[10]), Some("a")).unwrap();
        pages.take(&[2], &some(&[11]), Some("b")).unwrap();
        assert_eq!(pages.take(&[3], &some(&[12]), Some("a")), Err(Stuck::RepeatedCursor));

        let mut pages = backfill(None);
        pages.take(&[1, 2], &some(&[10, 10]), Some("a")).unwrap();
        assert_eq!(pages.take(&[1, 2], &some(&[10, 10]), Some("b")), Err(Stuck::NothingNew));

        assert_eq!(backfill(None).take(&[], &[], Some("a")), Err(Stuck::EmptyPage));
        assert!(backfill(None).take(&[], &[], None).unwrap().ended);
    }
}
