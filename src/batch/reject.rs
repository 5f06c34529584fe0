//! Rows that cannot be stored as they came, and are kept beside their table.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

/// A row that cannot be stored as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Where it stood.
    pub place: String,
    /// Why it cannot be stored.
    pub reason: String,
    /// The row as it came, up to 64 KB of it.
    pub row: String,
}

/// Rows that cannot be stored as they came: how many, and the first 100 of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejects {
    /// All.
    pub count: u64,
    /// The first of them.
    pub kept: Vec<Reject>,
}

/// Rows of one table that are kept in one run.
const MOST_KEPT: usize = 100;
/// Bytes that are kept of one row.
const MOST_BYTES: usize = 64 << 10;

impl Rejects {
    /// Takes a row up.
    pub fn push(&mut self, place: String, reason: &str, row: &str) {
        self.count += 1;
        if self.kept.len() < MOST_KEPT {
            let row = beginning(row).to_owned();
            self.kept.push(Reject { place, reason: reason.to_owned(), row });
        }
    }

    /// A hash of each of those that are kept.
    pub fn hashes(&self) -> impl Iterator<Item = u64> {
        self.kept.iter().map(|reject| {
            let mut hasher = DefaultHasher::new();
            reject.row.hash(&mut hasher);
            hasher.finish()
        })
    }

    /// Adds those of `other`. A row that is kept already is the same, read once more.
    pub(super) fn add(&mut self, other: &Self) {
        self.count += other.count - other.kept.len() as u64;
        for reject in &other.kept {
            if self.kept.iter().any(|kept| kept.row == reject.row) {
                continue;
            }
            self.count += 1;
            if self.kept.len() < MOST_KEPT {
                self.kept.push(reject.clone());
            }
        }
    }
}

/// As much of a text as is kept.
fn beginning(text: &str) -> &str {
    let end = (0..=MOST_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_the_first_are_kept_up_to_a_bound() {
        let mut rejects = Rejects::default();
        let long = "é".repeat(MOST_BYTES);
        (0..150).for_each(|number| rejects.push(number.to_string(), "no id", &long));
        assert_eq!((rejects.count, rejects.kept.len()), (150, MOST_KEPT));
        assert_eq!(rejects.kept[0].row.len(), MOST_BYTES);
        let mut all = Rejects::default();
        all.push("first".into(), "no id", "{}");
        let mut others = Rejects::default();
        (0..150).for_each(|number| others.push(number.to_string(), "no id", &format!("{{{number}}}")));
        for _ in 0..2 {
            all.add(&others);
            assert_eq!((all.kept.len(), &*all.kept[1].place), (MOST_KEPT, "0"));
        }
        // What is beyond those that are kept counts as often as it comes.
        assert_eq!(all.count, 202);
    }
}
