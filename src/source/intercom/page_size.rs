//! How many rows to ask a search for at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::client::{Attempts, LARGEST};

/// The most rows a search hands out at once.
const LARGEST_PAGE: u32 = 150;
/// The largest answer with a page of several rows that is read, in bytes: fewer rows are asked for instead.
const LARGEST_ANSWER: usize = 64 << 20;
/// Pages without trouble after which a larger page is tried again; twice as many after each time that it is refused.
const PAGES_UNTIL_LARGER: u32 = 10;
const MOST_UNTIL_LARGER: u32 = 320;

/// How many rows to ask for. Large pages are cheap until the server cannot make them any more. Pure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageSize {
    rows: u32,
    calm: u32,
    needed: u32,
}

impl Default for PageSize {
    fn default() -> Self {
        Self { rows: LARGEST_PAGE, calm: 0, needed: PAGES_UNTIL_LARGER }
    }
}

impl PageSize {
    /// Rows asked for at present.
    pub(super) fn rows(self) -> usize {
        self.rows as usize
    }

    /// A quarter as many from the second trouble with the same page on, and each time that its answer is too large, down to
    /// one row: a call is tried six times.
    pub(super) fn for_attempt(self, attempts: Attempts) -> u32 {
        let quarters = attempts.troubled.saturating_sub(1).saturating_add(attempts.too_large).min(8);
        (self.rows >> (2 * quarters)).max(1)
    }

    /// Keeps what worked after these attempts, and dares more after a calm time.
    pub(super) fn settle(&mut self, attempts: Attempts) {
        if attempts.troubled > 1 || attempts.too_large > 0 {
            if self.rows < LARGEST_PAGE {
                self.needed = (self.needed * 2).min(MOST_UNTIL_LARGER);
            }
            self.rows = self.for_attempt(attempts);
            self.calm = 0;
            return;
        }
        self.calm += 1;
        if self.calm >= self.needed {
            self.rows = (self.rows * 4).min(LARGEST_PAGE);
            self.calm = 0;
        }
    }
}

/// Bytes of the largest answer with so many rows that is read. One row cannot be asked for in parts.
pub(super) fn largest_answer(rows: u32) -> usize {
    if rows > 1 { LARGEST_ANSWER } else { LARGEST }
}

/// The sizes that worked last, by path: whoever asks the same search next begins with them.
#[derive(Debug, Default)]
pub(super) struct PageSizes(Mutex<HashMap<String, PageSize>>);

impl PageSizes {
    /// The size to begin with.
    pub(super) fn of(&self, path: &str) -> PageSize {
        let sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.get(path).copied().unwrap_or_default()
    }

    /// Notes a size that worked.
    pub(super) fn note(&self, path: &str, size: PageSize) {
        let mut sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.insert(path.to_owned(), size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_shrink_from_the_second_trouble_to_a_single_row_and_grow_again_later() {
        let mut size = PageSize::default();
        let after = |troubled| Attempts { troubled, too_large: 0 };
        let asked: Vec<u32> = (0..6).map(|troubled| size.for_attempt(after(troubled))).collect();
        assert_eq!(asked, [150, 150, 37, 9, 2, 1]);
        size.settle(after(1));
        assert_eq!(size.rows, 150);
        size.settle(after(3));
        assert_eq!(size.rows, 9);
        (0..PAGES_UNTIL_LARGER).for_each(|_| size.settle(after(0)));
        assert_eq!(size.rows, 36);
        size.settle(after(2));
        assert_eq!((size.rows, size.needed), (9, 2 * PAGES_UNTIL_LARGER), "less often");
        for expected in [36, 144, 150] {
            (0..size.needed).for_each(|_| size.settle(after(0)));
            assert_eq!(size.rows, expected);
        }
    }

    #[test]
    fn pages_shrink_at_once_where_the_answer_is_too_large() {
        let mut size = PageSize::default();
        let after = |troubled, too_large| Attempts { troubled, too_large };
        let asked: Vec<u32> = (0..6).map(|too_large| size.for_attempt(after(0, too_large))).collect();
        assert_eq!(asked, [150, 37, 9, 2, 1, 1]);
        assert_eq!(size.for_attempt(after(2, 1)), 9);
        size.settle(after(1, 1));
        assert_eq!(size.rows, 37);
        assert!(largest_answer(2) < largest_answer(1));
    }
}
