//! Which files are written anew, and what goes into them. Pure.
//!
//! Keys of different files do not overlap, so a file that holds a changed row is written anew as a whole, and so is one
//! that a new row falls into. New rows between two files could become a file of their own each time; they would pile
//! up. So a file next to what is written anyway is taken along if it is no larger: sizes then fall by half from file to
//! file, and a row is written anew about as often as its file can double before it is full.

use std::ops::Range;

/// A stretch of the keys, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stretch {
    /// Bytes of new rows between two files, before the first, or after the last; may be none.
    New(u64),
    /// A file, its bytes, and whether it has to be written anew.
    File(u64, bool),
}

impl Stretch {
    pub(super) fn bytes(self) -> u64 {
        match self {
            Self::New(bytes) | Self::File(bytes, _) => bytes,
        }
    }

    fn is_due(self) -> bool {
        match self {
            Self::New(bytes) => bytes > 0,
            Self::File(_, is_due) => is_due,
        }
    }
}

/// Stretches that are written together, and into how many files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) stretches: Range<usize>,
    pub(super) files: u64,
}

/// Gathers what has to be written, with files of about `target` bytes as the aim.
pub(super) fn plan(stretches: &[Stretch], target: u64) -> Vec<Group> {
    let mut groups: Vec<(Range<usize>, u64)> = Vec::new();
    for (at, stretch) in stretches.iter().enumerate() {
        if !stretch.is_due() {
            // A file to the right of what is written.
            if let Some((range, bytes)) = groups.last_mut()
                && range.end == at
                && stretch.bytes() <= *bytes
                && *bytes + stretch.bytes() <= target
            {
                *bytes += stretch.bytes();
                range.end = at + 1;
            }
            continue;
        }
        let (mut range, mut bytes) = (at..at + 1, stretch.bytes());
        loop {
            if let Some((left, left_bytes)) = groups.last()
                && left.end == range.start
            {
                if left_bytes + bytes > target {
                    break;
                }
                bytes += left_bytes;
                range.start = left.start;
                groups.pop();
                continue;
            }
            let Some(left) = range.start.checked_sub(1).map(|left| stretches[left]) else { break };
            if left.bytes() > bytes || left.bytes() + bytes > target {
                break;
            }
            bytes += left.bytes();
            range.start -= 1;
        }
        groups.push((range, bytes));
    }
    let files = |bytes: u64| ((bytes + target / 2) / target.max(1)).max(1);
    groups.into_iter().map(|(stretches, bytes)| Group { stretches, files: files(bytes) }).collect()
}

#[cfg(test)]
mod tests {
    use super::Stretch::{File, New};
    use super::*;

    #[test]
    fn only_what_changed_and_small_neighbours_are_written() {
        for (case, stretches, expected) in [
            ("nothing", vec![New(0), File(80, false), New(0)], vec![]),
            ("a first load", vec![New(30)], vec![(0..1, 1)]),
            ("a large first load", vec![New(320)], vec![(0..1, 3)]),
            ("one changed file of three", vec![
                New(0), File(90, false), New(0), File(90, true), New(0), File(90, false), New(0),
            ], vec![(3..4, 1)]),
            ("new rows at the end", vec![New(0), File(90, false), New(5)], vec![(2..3, 1)]),
            ("as many as before", vec![New(0), File(90, false), New(0), File(5, false), New(5)], vec![(2..5, 1)]),
            ("halves add up", vec![
                New(0), File(20, false), New(0), File(10, false), New(0), File(5, false), New(5),
            ], vec![(0..7, 1)]),
            ("up to a full file", vec![
                New(0), File(60, false), New(0), File(40, false), New(40),
            ], vec![(2..5, 1)]),
            ("a small file behind", vec![New(20), File(10, false), New(0)], vec![(0..3, 1)]),
            ("a large file behind", vec![New(20), File(30, false), New(0)], vec![(0..1, 1)]),
            ("two full files that changed", vec![
                New(0), File(90, true), New(0), File(90, true), New(0),
            ], vec![(1..2, 1), (2..4, 1)]),
            ("rows fall into a full file", vec![New(0), File(170, true), New(0)], vec![(1..2, 2)]),
        ] {
            let found: Vec<_> = plan(&stretches, 100).into_iter().map(|g| (g.stretches, g.files)).collect();
            assert_eq!(found, expected, "{case}");
        }
    }

    #[test]
    fn files_double_until_they_are_full() {
        let mut files: Vec<u64> = Vec::new();
        let mut written = 0;
        for _ in 0..1024 {
            let mut stretches: Vec<Stretch> = files.iter().flat_map(|bytes| [New(0), File(*bytes, false)]).collect();
            stretches.push(New(1));
            let [group] = plan(&stretches, 128).try_into().unwrap();
            let bytes: u64 = stretches[group.stretches.clone()].iter().map(|stretch| stretch.bytes()).sum();
            files.truncate(group.stretches.start / 2);
            files.push(bytes);
            written += bytes;
        }
        assert_eq!(files, [128; 8]);
        assert!(written <= 1024 * 8, "{written}");
    }
}
