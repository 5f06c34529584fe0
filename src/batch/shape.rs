//! What did not fit a declaration: never lost a row, always counted.

use std::collections::BTreeMap;

/// What did not fit the declaration, counted by dotted path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// Fields without a column.
    pub unknown: BTreeMap<String, u64>,
    /// Values that their column could not take.
    pub misfits: BTreeMap<String, u64>,
    /// What stands in the place of a list inside another row, or of an entry of one, and is no row.
    pub unread: BTreeMap<String, u64>,
}

impl Shape {
    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        let all = [
            (&mut self.unknown, &other.unknown),
            (&mut self.misfits, &other.misfits),
            (&mut self.unread, &other.unread),
        ];
        for (counts, others) in all {
            for (path, count) in others {
                *counts.entry(path.clone()).or_default() += count;
            }
        }
    }
}

/// What did not fit in the rows of one page, row by row.
#[derive(Debug, Default)]
pub struct Oddities(Vec<Oddity>);

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
        self.0.push(Oddity { row, what, path });
    }

    /// The counts of the rows, by position, that are kept.
    pub fn of_rows(&self, is_kept: impl Fn(usize) -> bool) -> Shape {
        let mut shape = Shape::default();
        for Oddity { what, path, .. } in self.0.iter().filter(|oddity| is_kept(oddity.row)) {
            let counts = match what {
                What::Unknown => &mut shape.unknown,
                What::Misfit => &mut shape.misfits,
                What::Unread => &mut shape.unread,
            };
            *counts.entry(path.clone()).or_default() += 1;
        }
        shape
    }
}
