//! How many rows to ask a search for at once. Pure.

use crate::client::Attempts;

/// The most rows a search hands out at once.
const LARGEST_PAGE: u32 = 150;
/// Below this a page is not what overwhelms the server.
const SMALLEST_PAGE: u32 = 5;
/// Pages without trouble after which a larger page is tried again.
const PAGES_UNTIL_LARGER: u32 = 10;

/// How many rows to ask for. Large pages are cheap until the server cannot make them any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageSize {
    rows: u32,
    calm: u32,
}

impl Default for PageSize {
    fn default() -> Self {
        Self { rows: LARGEST_PAGE, calm: 0 }
    }
}

impl PageSize {
    /// Rows asked for at present.
    #[cfg(test)]
    pub(super) fn rows(self) -> usize {
        self.rows as usize
    }

    /// Half as many from the second trouble with the same page on.
    pub(super) fn for_attempt(self, attempts: Attempts) -> u32 {
        let halvings = attempts.troubled.saturating_sub(1).min(8);
        (self.rows >> halvings).max(SMALLEST_PAGE.min(self.rows))
    }

    /// Keeps what worked after `troubled` attempts, and dares more after a calm time.
    pub(super) fn settle(&mut self, troubled: u32) {
        if troubled > 1 {
            self.rows = self.for_attempt(Attempts { troubled });
            self.calm = 0;
            return;
        }
        self.calm += 1;
        if self.calm >= PAGES_UNTIL_LARGER {
            self.rows = (self.rows * 2).min(LARGEST_PAGE);
            self.calm = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_shrink_from_the_second_trouble_and_grow_again_later() {
        let mut size = PageSize::default();
        let asked: Vec<u32> = (0..6).map(|troubled| size.for_attempt(Attempts { troubled })).collect();
        assert_eq!(asked, [150, 150, 75, 37, 18, 9]);
        size.settle(1);
        assert_eq!(size.rows, 150);
        size.settle(3);
        assert_eq!(size.rows, 37);
        for _ in 0..PAGES_UNTIL_LARGER {
            size.settle(0);
        }
        assert_eq!(size.rows, 74);
    }
}
