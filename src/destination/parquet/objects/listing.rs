//! A listing, page after page, and what shows that it does not end. Pure.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

/// Names in a listing at most. A lake has one for every 128 MiB or so.
const MOST: usize = 1_000_000;
/// Bytes of them at most.
const MOST_BYTES: usize = 128 << 20;
/// Pages at most, most of which may be empty: a thousand names are on one that is not.
const MOST_PAGES: usize = 10_000;

/// What is said of a listing that says the same again.
const GOES_IN_CIRCLES: &str = "the store lists the same again and again";
/// What is said of one that is too long to be true.
const HAS_NO_END: &str = "the store lists more than 1,000,000 names, or does not come to an end";

/// What was listed so far.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Names and sizes in bytes.
    found: HashMap<String, u64>,
    /// Bytes of the names.
    bytes: usize,
    pages: usize,
    /// Cursors of the pages, as numbers: nobody says how long one may be.
    cursors: HashSet<u64>,
    hasher: RandomState,
}

impl Listing {
    /// Takes a page and the cursor of the next; that cursor, if there is a next page. If there is, a page that brings nothing
    /// new is an error, and so is a cursor that was there before; a listing without end is one in any case.
    pub(super) fn take(
        &mut self,
        page: impl IntoIterator<Item = (String, u64)>,
        cursor: Option<String>,
    ) -> Result<Option<String>, &'static str> {
        self.pages += 1;
        let (before, mut is_empty) = (self.found.len(), true);
        for (name, size) in page {
            is_empty = false;
            let bytes = name.len();
            if self.found.insert(name, size).is_none() {
                self.bytes += bytes;
            }
        }
        let cursor = cursor.filter(|cursor| !cursor.is_empty());
        if let Some(cursor) = &cursor {
            let is_again = !self.cursors.insert(self.hasher.hash_one(cursor));
            if is_again || (!is_empty && self.found.len() == before) {
                return Err(GOES_IN_CIRCLES);
            }
        }
        let is_endless = self.pages == MOST_PAGES && cursor.is_some();
        if self.found.len() > MOST || self.bytes > MOST_BYTES || is_endless {
            return Err(HAS_NO_END);
        }
        Ok(cursor)
    }

    /// Names and sizes in bytes, in any order.
    pub(super) fn into_found(self) -> HashMap<String, u64> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(names: &[&str]) -> Vec<(String, u64)> {
        names.iter().map(|name| ((*name).to_owned(), 1)).collect()
    }

    #[test]
    fn pages_are_taken_until_there_is_no_cursor() {
        let mut listing = Listing::default();
        for (names, cursor, next) in [
            (&["a", "b"][..], Some("1"), Some("1")),
            // Stores may list nothing for a while.
            (&[], Some("2"), Some("2")),
            // Some begin a page with the last name of the one before.
            (&["b", "c"], Some("3"), Some("3")),
            (&["d"], Some("4"), Some("4")),
            (&["d"], Some(""), None),
        ] {
            let taken = listing.take(page(names), cursor.map(str::to_owned));
            assert_eq!(taken, Ok(next.map(str::to_owned)));
        }
        assert_eq!(listing.into_found().len(), 4);
        assert_eq!(Listing::default().take(page(&[]), None), Ok(None));
    }

    #[test]
    fn what_comes_again_is_no_listing() {
        for (names, cursor) in [(&["a"][..], Some("2")), (&["b"], Some("1")), (&[], Some("1"))] {
            let mut listing = Listing::default();
            listing.take(page(&["a"]), Some("1".to_owned())).unwrap();
            let taken = listing.take(page(names), cursor.map(str::to_owned));
            assert_eq!(taken, Err(GOES_IN_CIRCLES), "{names:?} {cursor:?}");
        }
    }

    #[test]
    fn a_listing_without_end_is_given_up() {
        let mut empty = Listing::default();
        let pages = (1..=2 * MOST_PAGES).find(|n| empty.take([], Some(n.to_string())).is_err());
        assert_eq!(pages, Some(MOST_PAGES));
        let mut long = Listing::default();
        let names = (0..=MOST).map(|n| (n.to_string(), 1));
        assert_eq!(long.take(names, None), Err(HAS_NO_END));
        let mut wide = Listing::default();
        let names = (0..5).map(|n| (format!("{n}{}", "x".repeat(30 << 20)), 1));
        assert_eq!(wide.take(names, None), Err(HAS_NO_END));
    }
}
