//! Which files are written anew, and what goes into them. Pure.
//!
//! Keys of different files do not overlap, so a file that holds a changed row is written anew as a whole, and so is one
//! that a new row falls into. New rows between two files could become a file of their own each time; they would pile
//! up. So a file next to what is written anyway is taken along if it is no larger, or small: sizes then fall by half from file to
//! file, and a row is written anew about as often as its file can double before it is full.

use std::ops::Range;

/// A file of up to so many bytes is taken along in any case: writing it anew costs next to nothing.
const SMALL: u64 = 1 << 20;

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
                && stretch.bytes() <= (*bytes).max(SMALL)
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
            if left.bytes() > bytes.max(SMALL) || left.bytes() + bytes > target {
                break;
            }
            bytes += left.bytes();
            range.start -= 1;
        }
        groups.push((range, bytes));
    }
    let group = |(stretches, bytes)| Group { stretches, files: files_of(bytes, target) };
    groups.into_iter().map(group).collect()
}

/// How many files of about `target` bytes there are of so many; at least one.
pub(super) fn files_of(bytes: u64, target: u64) -> u64 {
    ((bytes + target / 2) / target.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::Stretch::{File, New};
    use super::*;

    #[test]
    fn only_what_changed_and_small_neighbours_are_written() {
        let mb = |stretch: Stretch| match stretch {
            New(bytes) => New(bytes << 20),
            File(bytes, is_due) => File(bytes << 20, is_due),
        };
        let (none, kept, changed) = (New(0), |bytes| File(bytes, false), |bytes| File(bytes, true));
        for (case, stretches, expected) in [
            ("nothing", vec![none, kept(80), none], vec![]),
            ("a first load", vec![New(30)], vec![(0..1, 1)]),
            ("a large first load", vec![New(320)], vec![(0..1, 3)]),
            (
                "one changed file of three",
                vec![none, kept(90), none, changed(90), none, kept(90), none],
                vec![(2..5, 1)],
            ),
            ("new rows at the end", vec![none, kept(90), New(5)], vec![(2..3, 1)]),
            ("as many as before", vec![none, kept(90), none, kept(5), New(5)], vec![(2..5, 1)]),
            ("halves add up", vec![none, kept(20), none, kept(10), none, kept(5), New(5)], vec![(0..7, 1)]),
            (
                "small files do not count",
                vec![none, kept(1), none, kept(1), none, changed(1), none],
                vec![(0..7, 1)],
            ),
            ("up to a full file", vec![none, kept(60), none, kept(40), New(40)], vec![(2..5, 1)]),
            ("a small file behind", vec![New(20), kept(10), none], vec![(0..3, 1)]),
            ("a large file behind", vec![New(20), kept(30), none], vec![(0..1, 1)]),
            (
                "two full files that changed",
                vec![none, changed(90), none, changed(90), none],
                vec![(0..3, 1), (3..5, 1)],
            ),
            ("rows fall into a full file", vec![none, changed(170), none], vec![(1..2, 2)]),
        ] {
            let stretches: Vec<Stretch> = stretches.into_iter().map(mb).collect();
            let found: Vec<_> =
                plan(&stretches, 100 << 20).into_iter().map(|group| (group.stretches, group.files)).collect();
            assert_eq!(found, expected, "{case}");
        }
    }

    #[test]
    fn files_double_until_they_are_full() {
        let mb = 1 << 20;
        let mut files: Vec<u64> = Vec::new();
        let mut written = 0;
        for _ in 0..1024 {
            let mut stretches: Vec<Stretch> =
                files.iter().flat_map(|bytes| [New(0), File(*bytes, false)]).collect();
            stretches.push(New(2 * mb));
            let [group] = plan(&stretches, 256 * mb).try_into().unwrap();
            let bytes: u64 = stretches[group.stretches.clone()].iter().map(|stretch| stretch.bytes()).sum();
            files.truncate(group.stretches.start / 2);
            files.push(bytes);
            written += bytes;
        }
        assert_eq!(files, [256 * mb; 8]);
        // Each row four and a half times; the file that they end in is 128 times larger than what comes at once.
        assert_eq!(written, 9 * 1024 * mb);
    }
}
