//! What did not fit a declaration: never lost a row, always counted.

use std::collections::BTreeMap;

use super::reject::Rejects;
/// Paths that are told apart.
const MOST_PATHS: usize = 1_000;
/// Where all others are counted.
const OTHERS: &str = "(others)";
/// What is noted of one page. Nobody has so many fields without a column.
const MOST_ODDITIES: usize = 100_000;

/// What did not fit the declaration, counted by dotted path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// Fields without a column.
    pub unknown: BTreeMap<String, u64>,
    /// Values that their column could not take.
    pub misfits: BTreeMap<String, u64>,
    /// What stands in the place of a list inside another row, or of an entry of one, and is no row.
    pub unread: BTreeMap<String, u64>,
    /// Rows without a key, which are not stored.
    pub keyless: Rejects,
    /// Rows with text that is not UTF-8, which are stored with the odd bytes written out.
    pub not_text: Rejects,
}

impl Shape {
    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        self.keyless.add(&other.keyless);
        self.not_text.add(&other.not_text);
        let all = [
            (&mut self.unknown, &other.unknown),
            (&mut self.misfits, &other.misfits),
            (&mut self.unread, &other.unread),
        ];
        for (counts, others) in all {
            for (path, count) in others {
                add(counts, path, *count);
            }
        }
    }
}

/// What did not fit in the rows of one page, row by row.
#[derive(Debug, Default)]
pub struct Oddities {
    noted: Vec<Oddity>,
    rejected: Vec<Rejected>,
}

/// A row without a key.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) row: usize,
    place: String,
    text: String,
}

#[derive(Debug)]
struct Oddity {
    row: usize,
    what: What,
    path: String,
}

/// In which way something does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Unknown,
    Misfit,
    Unread,
}

impl Oddities {
    pub(super) fn note(&mut self, row: usize, what: What, path: String) {
        if self.noted.len() < MOST_ODDITIES {
            self.noted.push(Oddity { row, what, path });
        }
    }

    /// Notes a row that has no key, with its text.
    pub(super) fn reject(&mut self, row: usize, place: String, text: &str) {
        self.rejected.push(Rejected { row, place, text: text.to_owned() });
    }

    /// The rows without a key, in their order.
    pub(super) fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    /// Whether a row, by position, has a key.
    pub fn has_key(&self, row: usize) -> bool {
        self.rejected.binary_search_by_key(&row, |rejected| rejected.row).is_err()
    }

    /// The counts of the rows, by position, that are kept.
    pub fn of_rows(&self, is_kept: impl Fn(usize) -> bool) -> Shape {
        let mut shape = Shape::default();
        for Oddity { what, path, .. } in self.noted.iter().filter(|oddity| is_kept(oddity.row)) {
            let counts = match what {
                What::Unknown => &mut shape.unknown,
                What::Misfit => &mut shape.misfits,
                What::Unread => &mut shape.unread,
            };
            add(counts, path, 1);
        }
        for Rejected { place, text, .. } in self.rejected.iter().filter(|rejected| is_kept(rejected.row)) {
            shape.keyless.push(place.clone(), "a row without its key", text);
        }
        shape
    }
}

/// Counts what was found under a path; under [`OTHERS`], once there are very many.
fn add(counts: &mut BTreeMap<String, u64>, path: &str, count: u64) {
    if let Some(known) = counts.get_mut(path) {
        *known += count;
    } else {
        let path = if counts.len() < MOST_PATHS { path } else { OTHERS };
        *counts.entry(path.to_owned()).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_without_number_are_counted_together_from_some_on() {
        let mut oddities = Oddities::default();
        for row in 0..2 * MOST_ODDITIES {
            oddities.note(row, What::Unknown, format!("field_{row}"));
        }
        let shape = oddities.of_rows(|_| true);
        assert_eq!(shape.unknown.len(), MOST_PATHS + 1);
        assert_eq!(shape.unknown.values().sum::<u64>(), MOST_ODDITIES as u64);
        let mut sum = Shape::default();
        for _ in 0..2 {
            sum.add(&shape);
        }
        assert!(sum.unknown.len() <= MOST_PATHS + 1);
        assert_eq!(sum.unknown.values().sum::<u64>(), 2 * MOST_ODDITIES as u64);
    }
}
