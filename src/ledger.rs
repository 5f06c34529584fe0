//! What is known of rows that are read one object at a time, so that only changed objects are asked for.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use crate::window::LAG;

/// One object that was read for the rows inside it.
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

/// The objects that need not be read again unless they change.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Hashes of key, version and stated count: 8 bytes an object.
    settled: HashSet<u64>,
}

impl Ledger {
    /// Takes an entry up.
    pub fn note(&mut self, entry: &Entry) {
        if entry.is_settled() {
            self.settled.insert(hash(&entry.key, entry.version, entry.stated));
        }
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
