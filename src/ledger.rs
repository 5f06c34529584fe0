//! What is known of rows that are read one object at a time, so that only changed objects are asked for.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use crate::window::{DAY, LAG};

/// One object that was read for the rows inside it, or a group for its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Key of the parent.
    pub key: String,
    /// When the parent had last changed, in microseconds since the epoch.
    pub version: Option<i64>,
    /// How many rows the parent's row stated.
    pub stated: Option<i64>,
    /// How many rows the object itself stated.
    pub total: Option<i64>,
    /// How many rows it showed.
    pub shown: i64,
    /// When it was asked for, by the server's clock.
    pub fetched_at: Timestamp,
}

impl Entry {
    /// Whether the object has rows that it no longer shows; `None` if it does not say how many it has.
    pub fn is_truncated(&self) -> Option<bool> {
        self.total.map(|total| total > self.shown)
    }

    /// This entry in the place of `known`: one of an object that was not found says nothing about its rows.
    #[must_use]
    pub fn after(&self, known: Option<&Self>) -> Self {
        match known.filter(|_| self.total.is_none()) {
            Some(known) => Self { total: known.total, shown: known.shown, ..self.clone() },
            None => self.clone(),
        }
    }

    /// Whether the object was read so long after its last change that nothing of that change can have been
    /// missing.
    fn is_settled(&self) -> bool {
        self.version.is_some_and(|version| {
            let lag = i64::try_from(LAG.as_micros()).unwrap_or(i64::MAX);
            self.fetched_at.as_microsecond() >= version.saturating_add(lag)
        })
    }
}

/// What of a ledger counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LedgerRules {
    /// Objects that were read before this moment are to be read again, changed or not.
    pub since: Option<Timestamp>,
    /// Objects that were read before this moment are due to be read again some time, changed or not.
    pub due_before: Option<Timestamp>,
    /// Whether the entries themselves are kept in mind. For those of groups, of which there are few.
    pub keeps: bool,
}

/// The objects that need not be read again unless they change.
#[derive(Debug, Default)]
pub struct Ledger {
    rules: LedgerRules,
    /// Hashes of key, version and stated count: 8 bytes an object.
    settled: HashSet<u64>,
    /// Objects noted.
    entries: u64,
    /// Of those that are due the [`MOST_DUE`] that come first, the last of them on top.
    due: BinaryHeap<Due>,
    /// All entries, if the rules say so.
    kept: HashMap<String, Entry>,
}

/// An object that is due to be read again, as it was noted. In the order in which they are read: by the day on which they
/// were read last, of one day those first that changed last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// The day on which it was read last, counted from the epoch.
    day: i64,
    /// When the parent had last changed, in microseconds since the epoch.
    pub version: Reverse<i64>,
    /// Key of the parent.
    pub key: String,
    /// How many rows the parent's row stated.
    pub stated: Option<i64>,
}

/// Objects that are due and kept in mind at most.
pub const MOST_DUE: usize = 50_000;

impl Ledger {
    /// An empty one.
    pub fn new(rules: LedgerRules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Takes an entry up.
    pub fn note(&mut self, entry: &Entry) {
        self.entries += 1;
        let is_before = |moment: Option<Timestamp>| moment.is_some_and(|moment| entry.fetched_at < moment);
        if entry.is_settled() && !is_before(self.rules.since) {
            self.settled.insert(hash(&entry.key, entry.version, entry.stated));
        }
        // One that is gone has no version.
        if let Some(version) = entry.version.filter(|_| is_before(self.rules.due_before)) {
            let day = entry.fetched_at.as_second().div_euclid(DAY);
            let (key, stated) = (entry.key.clone(), entry.stated);
            self.due.push(Due { day, version: Reverse(version), key, stated });
            if self.due.len() > MOST_DUE {
                self.due.pop();
            }
        }
        if self.rules.keeps {
            self.kept.insert(entry.key.clone(), entry.clone());
        }
    }

    /// What was noted of a group, whenever that was.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.kept.get(key)
    }

    /// What was noted of all groups, in no order.
    pub fn kept(&self) -> impl Iterator<Item = &Entry> {
        self.kept.values()
    }

    /// See [`LedgerRules::since`].
    pub fn since(&self) -> Option<Timestamp> {
        self.rules.since
    }

    /// Objects noted.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Of the objects that are due, the first `most`.
    pub fn due(&self, most: usize) -> Vec<Due> {
        let mut due: Vec<Due> = self.due.iter().cloned().collect();
        due.sort_unstable();
        due.truncate(most);
        due
    }

    /// Whether this version of the object was read when it could not change any more.
    pub fn knows(&self, key: &str, version: Option<i64>, stated: Option<i64>) -> bool {
        self.settled.contains(&hash(key, version, stated))
    }
}

fn hash(key: &str, version: Option<i64>, stated: Option<i64>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, version, stated).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn only_what_was_read_after_the_lag_and_has_not_changed_is_known() {
        let entry = |version, fetched_at| Entry {
            key: "a".into(),
            version,
            stated: Some(3),
            total: Some(3),
            shown: 3,
            fetched_at: Timestamp::from_microsecond(fetched_at).unwrap(),
        };
        for (noted, asked, expected) in [
            (entry(Some(0), HOUR), ("a", Some(0), Some(3)), true),
            (entry(Some(0), HOUR - 1), ("a", Some(0), Some(3)), false),
            (entry(Some(0), HOUR), ("a", Some(1), Some(3)), false),
            (entry(Some(0), HOUR), ("a", Some(0), Some(4)), false),
            (entry(Some(0), HOUR), ("b", Some(0), Some(3)), false),
            (entry(None, HOUR), ("a", None, Some(3)), false),
        ] {
            let mut ledger = Ledger::default();
            ledger.note(&noted);
            assert_eq!(ledger.knows(asked.0, asked.1, asked.2), expected, "{noted:?} {asked:?}");
        }
    }

    #[test]
    fn what_was_read_longest_ago_comes_first_and_of_one_day_the_youngest_objects() {
        let moment = |hours: i64| Timestamp::from_microsecond(hours * HOUR).unwrap();
        let rules = LedgerRules { since: Some(moment(50)), due_before: Some(moment(100)), keeps: false };
        let mut ledger = Ledger::new(rules);
        for (key, version, fetched_at) in [
            ("long ago", Some(10), 40),
            ("older", Some(20), 60),
            ("younger", Some(30), 60),
            ("gone", None, 60),
            ("lately", Some(40), 100),
        ] {
            let version = version.map(|hours: i64| hours * HOUR);
            let (total, fetched_at) = (Some(3), moment(fetched_at));
            ledger.note(&Entry { key: key.into(), version, stated: Some(2), total, shown: 3, fetched_at });
        }
        let keys = |most| ledger.due(most).into_iter().map(|due| due.key).collect::<Vec<_>>();
        assert_eq!(keys(9), ["long ago", "younger", "older"]);
        assert_eq!(keys(2), ["long ago", "younger"]);
        assert_eq!(ledger.entries(), 5);
        let knows = |key, version: i64| ledger.knows(key, Some(version * HOUR), Some(2));
        assert_eq!([knows("long ago", 10), knows("younger", 30), knows("lately", 40)], [false, true, true]);
        for number in 0..2 * i64::try_from(MOST_DUE).unwrap() {
            let entry = Entry {
                key: number.to_string(),
                version: Some(number),
                stated: None,
                total: Some(0),
                shown: 0,
                fetched_at: moment(60),
            };
            ledger.note(&entry);
        }
        assert_eq!(ledger.due(usize::MAX).len(), MOST_DUE);
        assert_eq!(ledger.due(1)[0].key, "long ago");
    }

    #[test]
    fn rows_are_missing_where_more_are_stated_than_shown() {
        let entry = |total, shown| Entry {
            key: "a".into(),
            version: None,
            stated: None,
            total,
            shown,
            fetched_at: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(entry(Some(520), 500).is_truncated(), Some(true));
        assert_eq!(entry(Some(500), 500).is_truncated(), Some(false));
        assert_eq!(entry(None, 500).is_truncated(), None);
    }
}
