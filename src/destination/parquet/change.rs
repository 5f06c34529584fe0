//! What a commit says about the rows of a table, and what becomes of each. Pure.

use std::collections::{HashMap, HashSet};

use super::super::{Scope, Stamp};

/// What is said about stored rows, beside the rows that come.
#[derive(Debug, Default)]
pub(super) struct Change<'c> {
    /// Whether rows that do not come are gone, all of them.
    pub(super) is_whole: bool,
    /// Parents whose rows that do not come are gone.
    pub(super) whole_parents: HashSet<&'c str>,
    /// The only parents whose rows stay.
    pub(super) parents: Option<HashSet<&'c str>>,
    /// Lead rows found to be gone, and whether rows about them are stamped, or removed.
    pub(super) stamps: HashMap<&'c str, &'c Stamp>,
    pub(super) has_stamps: bool,
    /// Lead rows that were seen: what is about them is there.
    pub(super) found: HashSet<&'c str>,
    /// Of lead rows, whether parts are missing, and how many there are.
    pub(super) totals: HashMap<String, Filled>,
    /// Rows ingested before this moment lose, whatever their dates.
    pub(super) supersedes_before: i64,
}

/// Whether parts are missing, and how many there are.
pub(super) type Filled = (bool, i64);

/// A stamp, or that there is none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stamped {
    Cleared,
    /// Since when, in microseconds, and what the row was merged into.
    Since(i64, Option<String>),
}

/// What becomes of one row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) is_gone: bool,
    /// The incoming row that takes its place; columns that do not come are carried over.
    pub(super) with: Option<usize>,
    pub(super) stamp: Option<Stamped>,
    pub(super) fill: Option<Filled>,
}

impl Edit {
    /// Whether the row stays as it is.
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What is known of a stored row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) cursor: Option<i64>,
    pub(super) ingested: Option<i64>,
    pub(super) is_stamped: bool,
    pub(super) fill: Option<Filled>,
}

/// What becomes of a stored row whose key comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meeting {
    Replaced,
    /// If it differs.
    ReplacedIfDifferent,
    Stays,
}

impl<'c> Change<'c> {
    /// Says what `scope` does.
    pub(super) fn scoped(&mut self, scope: &'c Scope) {
        match scope {
            Scope::Some => {}
            Scope::All => self.is_whole = true,
            Scope::Parents(keys) => self.parents = Some(keys.iter().map(String::as_str).collect()),
        }
    }

    /// Whether it may concern any row, whatever its key.
    pub(super) fn concerns_all(&self) -> bool {
        self.is_whole || self.parents.is_some()
    }

    /// The lead rows that it says something about.
    pub(super) fn leads(&self) -> impl Iterator<Item = &str> {
        let named = self.whole_parents.iter().chain(self.stamps.keys()).chain(&self.found).copied();
        named.chain(self.totals.keys().map(String::as_str))
    }

    /// How a stored row meets one with the same key; of a table without a date the newcomer counts.
    pub(super) fn meet(&self, stored: Facts, new: Option<i64>, is_dated: bool) -> Meeting {
        if !is_dated {
            return Meeting::ReplacedIfDifferent;
        }
        let is_newer = match (stored.cursor, new) {
            (Some(stored), Some(new)) => new >= stored,
            _ => true,
        };
        let is_old = stored.ingested.is_none_or(|ingested| ingested < self.supersedes_before);
        match (is_newer || is_old, stored.cursor == new) {
            (false, _) => Meeting::Stays,
            (true, false) => Meeting::Replaced,
            (true, true) => Meeting::ReplacedIfDifferent,
        }
    }

    /// Whether a stored row that does not come is gone.
    pub(super) fn removes(&self, lead: &str) -> bool {
        self.is_whole || self.whole_parents.contains(lead)
    }

    /// What else becomes of a row, after the rows have met, whether it was stored or comes; `is_stamped` says how it
    /// stands then. Says what was done.
    pub(super) fn follow(
        &self,
        lead: &str,
        is_stamped: bool,
        known: Option<Filled>,
        edit: &mut Edit,
    ) -> Followed {
        let mut done = Followed::Nothing;
        if self.parents.as_ref().is_some_and(|parents| !parents.contains(lead)) {
            edit.is_gone = true;
            return Followed::Removed;
        }
        let mut is_stamped = is_stamped;
        if let Some(stamp) = self.stamps.get(lead) {
            if !self.has_stamps {
                edit.is_gone = true;
                return Followed::Removed;
            }
            if !is_stamped {
                let since = stamp.deleted_at.as_microsecond();
                edit.stamp = Some(Stamped::Since(since, stamp.merged_into.clone()));
                (done, is_stamped) = (Followed::Stamped, true);
            }
        }
        if self.has_stamps && is_stamped && self.found.contains(lead) {
            edit.stamp = Some(Stamped::Cleared);
        }
        if let Some(fill) = self.totals.get(lead).filter(|fill| known != Some(**fill)) {
            edit.fill = Some(*fill);
        }
        done
    }
}

/// What was done to a row after the rows had met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Followed {
    Nothing,
    Removed,
    Stamped,
}

#[cfg(test)]
mod tests {
    use super::Meeting::{Replaced, ReplacedIfDifferent, Stays};
    use super::*;

    #[test]
    fn the_newer_row_wins_and_the_old_one_heals() {
        let change = Change { supersedes_before: 100, ..Change::default() };
        let stored = |cursor, ingested| Facts { cursor, ingested, ..Facts::default() };
        for (facts, new, expected) in [
            (stored(Some(5), Some(100)), Some(6), Replaced),
            (stored(Some(5), Some(100)), Some(5), ReplacedIfDifferent),
            (stored(Some(5), Some(100)), Some(4), Stays),
            (stored(Some(5), Some(99)), Some(4), Replaced),
            (stored(Some(5), None), Some(4), Replaced),
            (stored(None, Some(100)), Some(4), Replaced),
            (stored(Some(5), Some(100)), None, Replaced),
            (stored(None, Some(100)), None, ReplacedIfDifferent),
        ] {
            assert_eq!(change.meet(facts, new, true), expected, "{facts:?} {new:?}");
            assert_eq!(change.meet(facts, new, false), ReplacedIfDifferent);
        }
    }

    #[test]
    fn a_stamp_is_set_once_and_a_row_that_was_found_has_none() {
        let stamp = Stamp {
            key: "a".into(),
            deleted_at: jiff::Timestamp::from_second(2).unwrap(),
            merged_into: Some("b".into()),
        };
        let set = Some(Stamped::Since(2_000_000, Some("b".into())));
        for (is_stamped, is_found, expected) in [
            (false, false, (set.clone(), Followed::Stamped)),
            (true, false, (None, Followed::Nothing)),
            (true, true, (Some(Stamped::Cleared), Followed::Nothing)),
            (false, true, (Some(Stamped::Cleared), Followed::Stamped)),
        ] {
            let found = if is_found { HashSet::from(["a"]) } else { HashSet::new() };
            let change = Change {
                stamps: HashMap::from([("a", &stamp)]),
                has_stamps: true,
                found,
                ..Change::default()
            };
            let mut edit = Edit::default();
            let done = change.follow("a", is_stamped, None, &mut edit);
            assert_eq!((edit.stamp, done), expected, "{is_stamped} {is_found}");
        }
    }
}
