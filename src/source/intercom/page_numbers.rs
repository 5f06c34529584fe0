//! What is known of a list while it is read by page numbers. Pure.
//!
//! Such pages shift while they are read. Rows that come at the front push the others back, so that the next page begins
//! with rows that were shown already: no harm, and what came stands at the front. Rows that go pull the others forward,
//! over page edges and past the reader: the total says so, and the pages they slipped onto are read again.

use std::collections::{HashMap, HashSet};

use super::trouble::{ENDLESS, is_endless};

/// A list, over all times that it is read.
#[derive(Debug, Default)]
pub(super) struct NumberedPages {
    /// When each row shown so far last changed.
    seen: HashMap<u64, Option<i64>>,
    /// The rows shown since the list was begun last.
    now: HashSet<u64>,
    /// Those shown the time before, once there was one.
    before: Option<HashSet<u64>>,
    /// Rows of the list, as stated last.
    total: Option<u64>,
    /// Rows that came since the list was begun last, as the totals tell.
    grown: u64,
    /// Pages in a row that brought nothing new.
    quiet: u64,
    /// Rows of the largest page.
    size: u64,
    /// Pages up to this one are read again, so that they need not bring anything new.
    again_until: u64,
    /// How often pages were read again.
    rewinds: u32,
    /// Whether rows went more often than pages were read again for.
    is_unsure: bool,
    /// Rows of the list, as stated first in this reading.
    first_total: u64,
    /// Rows shown that came since the list was begun, beyond the first page.
    new: u64,
    /// Whether rows were shown that an earlier reading had missed.
    was_lacking: bool,
    readings: u32,
}

/// Pages in a row without anything new that are borne at most, however many rows came at the front.
const QUIET: u64 = 100;
/// How often pages are read again in one reading, because rows went.
const REWINDS: u32 = 10;
/// Readings after which a list that loses rows all the time is given up.
const READINGS: u32 = 8;

/// A page of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct NumberedPage<'p> {
    /// Its number, from 1.
    pub(super) number: u64,
    /// One hash per row, and when the row last changed.
    pub(super) keys: &'p [u64],
    pub(super) dates: &'p [Option<i64>],
    /// Per row: whether it was made since the list was begun.
    pub(super) is_new: &'p [bool],
    /// Rows of the list, as stated.
    pub(super) total: Option<u64>,
    /// Whether there is a next page.
    pub(super) has_next: bool,
}

impl NumberedPages {
    /// Begins with the first page; what was shown before counts.
    pub(super) fn begin(&mut self) {
        if !self.now.is_empty() {
            self.before = Some(std::mem::take(&mut self.now));
        }
        (self.total, self.grown, self.quiet, self.again_until) = (None, 0, 0, 0);
        (self.size, self.rewinds, self.is_unsure, self.was_lacking) = (0, 0, false, false);
        (self.first_total, self.new) = (0, 0);
        self.readings += 1;
    }

    /// Whether the list has to be read once more before it is known that nothing slipped past: where rows come at its far
    /// end, one that goes leaves no trace in the totals. An error if there is no end to that.
    pub(super) fn is_to_be_read_again(&self) -> Result<bool, &'static str> {
        // What came at the far end was shown. Where the total has grown by less, other rows went meanwhile.
        let has_lost = self.total.is_some_and(|total| self.first_total.saturating_add(self.new) > total);
        let is_unsure = self.is_unsure || (self.new > 0 && has_lost);
        let is_wanted = is_unsure && (self.readings == 1 || self.was_lacking);
        if is_wanted && self.readings >= READINGS {
            return Err("rows that come and go all the time");
        }
        Ok(is_wanted)
    }

    /// Takes a page; the number of the page to read next, if there is one. An error says why the list leads nowhere.
    pub(super) fn take(&mut self, page: NumberedPage<'_>) -> Result<Option<u64>, &'static str> {
        let NumberedPage { number, keys, has_next, .. } = page;
        self.size = self.size.max(keys.len() as u64);
        let size = self.size.max(1);
        let shown = self.now.len();
        let is_lacking = |(key, is_new): (&u64, &bool)| !is_new && !self.seen.contains_key(key);
        self.was_lacking |= self.readings > 1 && keys.iter().zip(page.is_new).any(is_lacking);
        for (key, is_new) in keys.iter().zip(page.is_new) {
            self.new += u64::from(self.now.insert(*key) && *is_new && number > 1);
        }
        let before = self.total.unwrap_or_default();
        self.note(page);
        let total = self.total.unwrap_or_default();
        if number == 1 && self.again_until == 0 {
            self.first_total = total;
        }
        if number > 1 && total < before {
            if self.rewinds == REWINDS {
                self.is_unsure = true;
                return Ok(has_next.then_some(number + 1));
            }
            self.rewinds += 1;
            // The last rows of the pages before this one are others by now.
            self.again_until = self.again_until.max(number);
            return Ok(Some(number.saturating_sub((before - total).div_ceil(size)).max(1)));
        }
        if number > 1 {
            self.grown += total.saturating_sub(before);
        }
        let is_quiet = self.now.len() == shown && number > self.again_until;
        self.quiet = if is_quiet { self.quiet + 1 } else { 0 };
        // As many rows as came at the front are shown once more.
        if has_next && self.quiet > self.grown.div_ceil(size).min(QUIET) {
            return Err("a page that brought nothing new");
        }
        if has_next && is_endless(self.seen.len() as u64, self.total) {
            return Err(ENDLESS);
        }
        Ok(has_next.then_some(number + 1))
    }

    /// Takes a page that is read again to see what came or changed meanwhile; whether it brought anything.
    pub(super) fn note(&mut self, page: NumberedPage<'_>) -> bool {
        self.total = page.total.or(self.total);
        let mut is_news = false;
        for (key, date) in page.keys.iter().zip(page.dates) {
            is_news |= self.seen.insert(*key, *date) != Some(*date);
        }
        is_news
    }

    /// At the end: why it cannot be said that all rows were shown, if so.
    pub(super) fn doubt(&self) -> Option<String> {
        let shown = self.seen.len() as u64;
        match self.total {
            Some(total) if total > shown => {
                Some(format!("a list that states {total} rows and shows {shown}"))
            }
            Some(_) => None,
            // Without a word about it, two readings that agree have to do.
            None if self.before.as_ref() == Some(&self.now) => None,
            None => Some("rows that no total confirms".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::trouble::MOST_BEYOND;

    use super::*;

    const SIZE: usize = 4;
    /// Rows from here on are made while the list is read.
    const NEW: u64 = 100;

    fn take(
        pages: &mut NumberedPages,
        number: u64,
        list: &[u64],
        total: Option<u64>,
    ) -> Result<Option<u64>, &'static str> {
        let from = (usize::try_from(number).unwrap() - 1) * SIZE;
        let keys: Vec<u64> = list.iter().skip(from).take(SIZE).copied().collect();
        let (dates, has_next) = (vec![None; keys.len()], list.len() > from + SIZE);
        let is_new: Vec<bool> = keys.iter().map(|key| *key >= NEW).collect();
        let is_new = &is_new;
        pages.take(NumberedPage { number, keys: &keys, dates: &dates, is_new, total, has_next })
    }

    #[test]
    fn rows_that_come_at_the_front_are_no_trouble() {
        let mut list: Vec<u64> = (0..10).collect();
        let mut pages = NumberedPages::default();
        pages.begin();
        assert_eq!(take(&mut pages, 1, &list, Some(list.len() as u64)), Ok(Some(2)));
        list.splice(0..0, 100..106);
        // Page 2 shows only what page 1 has shown, and what came.
        assert_eq!(take(&mut pages, 2, &list, Some(list.len() as u64)), Ok(Some(3)));
        assert_eq!(take(&mut pages, 3, &list, Some(list.len() as u64)), Ok(Some(4)));
        assert_eq!(take(&mut pages, 4, &list, Some(list.len() as u64)), Ok(None));
        assert!(pages.doubt().unwrap().contains("states 16 rows and shows 12"));
    }

    #[test]
    fn what_slips_onto_a_page_that_was_read_is_read_again() {
        let mut list: Vec<u64> = (0..12).collect();
        let mut pages = NumberedPages::default();
        pages.begin();
        assert_eq!(take(&mut pages, 1, &list, Some(list.len() as u64)), Ok(Some(2)));
        list.remove(1);
        assert_eq!(
            take(&mut pages, 2, &list, Some(list.len() as u64)),
            Ok(Some(1)),
            "row 4 is on page 1 by now"
        );
        assert_eq!(take(&mut pages, 1, &list, Some(list.len() as u64)), Ok(Some(2)));
        assert_eq!(take(&mut pages, 2, &list, Some(list.len() as u64)), Ok(Some(3)));
        assert_eq!(take(&mut pages, 3, &list, Some(list.len() as u64)), Ok(None));
        assert_eq!(pages.doubt(), None);
        assert!(list.iter().all(|row| pages.seen.contains_key(row)));
    }

    #[test]
    fn a_list_that_leads_nowhere_or_ends_early_is_not_believed() {
        let list: Vec<u64> = (0..12).collect();
        let mut pages = NumberedPages::default();
        pages.begin();
        take(&mut pages, 1, &list, Some(12)).unwrap();
        let again = NumberedPage {
            number: 2,
            keys: &[0, 1, 2, 3],
            dates: &[None; 4],
            is_new: &[false; 4],
            total: Some(12),
            has_next: true,
        };
        assert!(pages.take(again).is_err());
        let mut pages = NumberedPages::default();
        pages.begin();
        let only = NumberedPage { number: 1, has_next: false, ..again };
        assert_eq!(pages.take(only), Ok(None));
        assert_eq!(pages.doubt().unwrap(), "a list that states 12 rows and shows 4");
    }

    #[test]
    fn a_list_without_end_is_not_read_for_ever() {
        // A total that grows with every page explains only so many pages without news.
        let mut pages = NumberedPages::default();
        pages.begin();
        let page = NumberedPage {
            number: 1,
            keys: &[0, 1, 2, 3],
            dates: &[None; 4],
            is_new: &[false; 4],
            total: Some(4),
            has_next: true,
        };
        let refused = (1..1_000).find(|number| {
            pages.take(NumberedPage { number: *number, total: Some(number * 4), ..page }).is_err()
        });
        assert_eq!(refused, Some(QUIET + 2));
        // Rows that are all new, many times as many as are stated.
        let mut pages = NumberedPages::default();
        pages.begin();
        let refused = (1..MOST_BEYOND).find(|number| {
            let keys = [4, 5, 6, 7].map(|key| number * 4 + key);
            pages.take(NumberedPage { number: *number, keys: &keys, total: Some(50), ..page }).is_err()
        });
        assert_eq!(refused, Some((2 * 50 + MOST_BEYOND) / 4 + 1));
    }

    #[test]
    fn without_a_total_two_readings_have_to_agree() {
        let mut pages = NumberedPages::default();
        for (list, is_believed) in [(0..3, false), (0..4, false), (0..4, true)] {
            pages.begin();
            assert_eq!(take(&mut pages, 1, &list.clone().collect::<Vec<u64>>(), None), Ok(None));
            assert_eq!(pages.doubt().is_none(), is_believed, "{list:?}");
        }
    }

    #[test]
    fn a_list_that_grows_at_its_far_end_is_read_until_nothing_is_found_to_be_missing() {
        let mut list: Vec<u64> = (0..12).collect();
        let mut pages = NumberedPages::default();
        pages.begin();
        take(&mut pages, 1, &list, Some(12)).unwrap();
        // Row 4 slips onto the first page, and the total stays as it is.
        list.remove(1);
        list.push(NEW);
        take(&mut pages, 2, &list, Some(12)).unwrap();
        assert_eq!(take(&mut pages, 3, &list, Some(12)), Ok(None));
        assert_eq!((pages.doubt(), pages.seen.contains_key(&4)), (None, false));
        assert_eq!(pages.is_to_be_read_again(), Ok(true));
        pages.begin();
        take(&mut pages, 1, &list, Some(12)).unwrap();
        assert!(pages.seen.contains_key(&4));
        // The same once more: row 5 slips past, which was shown before.
        list.remove(1);
        list.push(NEW + 1);
        take(&mut pages, 2, &list, Some(12)).unwrap();
        take(&mut pages, 3, &list, Some(12)).unwrap();
        assert_eq!(pages.is_to_be_read_again(), Ok(true), "row 4 was lacking");
        pages.begin();
        for number in 1..=3 {
            take(&mut pages, number, &list, Some(12)).unwrap();
        }
        assert_eq!(pages.is_to_be_read_again(), Ok(false), "nothing was");
    }

    #[test]
    fn a_list_that_only_grows_at_its_far_end_is_read_once() {
        let mut list: Vec<u64> = (0..7).collect();
        let mut pages = NumberedPages::default();
        pages.begin();
        take(&mut pages, 1, &list, Some(7)).unwrap();
        list.extend([NEW, NEW + 1, NEW + 2]);
        take(&mut pages, 2, &list, Some(10)).unwrap();
        assert_eq!(take(&mut pages, 3, &list, Some(10)), Ok(None));
        assert_eq!((pages.doubt(), pages.is_to_be_read_again()), (None, Ok(false)));
    }

    #[test]
    fn totals_that_disagree_for_ever_come_to_an_end() {
        let list: Vec<u64> = (0..12).collect();
        let mut pages = NumberedPages::default();
        pages.begin();
        let (mut number, mut answers) = (1, 0);
        while let Some(next) = take(&mut pages, number, &list, Some(12 + answers % 2)).unwrap() {
            (number, answers) = (next, answers + 1);
        }
        assert!(answers < 60, "{answers}");
    }

    /// What happens to the list before an answer.
    #[derive(Debug, Clone)]
    enum Event {
        Nothing,
        Comes,
        Goes(usize),
        Moves(usize),
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        /// One thing at a time may happen between two answers: no row that is there at the end and is not at the front
        /// has been missed where there is no doubt.
        #[test]
        fn nothing_is_missed_without_a_doubt(
            rows in 1u64..40,
            events in prop::collection::vec(prop_oneof![
                4 => Just(Event::Nothing),
                1 => Just(Event::Comes),
                1 => (0usize..40).prop_map(Event::Goes),
                1 => (0usize..40).prop_map(Event::Moves),
            ], 60),
        ) {
            let mut list: Vec<u64> = (0..rows).collect();
            let mut pages = NumberedPages::default();
            pages.begin();
            let (mut number, mut new, mut has_ended) = (1, 1_000, false);
            let mut touched: HashSet<u64> = HashSet::new();
            for event in events {
                match event {
                    Event::Comes => {
                        list.insert(0, new);
                        touched.insert(new);
                        new += 1;
                    }
                    Event::Goes(at) if at < list.len() => drop(list.remove(at)),
                    Event::Moves(at) if at < list.len() => {
                        let row = list.remove(at);
                        list.insert(0, row);
                        touched.insert(row);
                    }
                    _ => {}
                }
                let following = take(&mut pages, number, &list, Some(list.len() as u64)).unwrap();
                has_ended = following.is_none();
                let Some(following) = following else { break };
                number = following;
            }
            if has_ended && pages.doubt().is_none() {
                let missed: Vec<&u64> =
                    list.iter().filter(|row| !pages.seen.contains_key(row) && !touched.contains(row)).collect();
                prop_assert!(missed.is_empty(), "{missed:?}");
            }
        }
    }
}
