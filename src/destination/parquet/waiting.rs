//! Rows of a refresh that is under way, which are saved and not to be seen yet.
//!
//! The commits of a large refresh come from many places of the table at once, so each of them falls into every file. As
//! long as more is to come, rows that are new are put aside, in files of their own that nobody lists, together with the
//! state that they support. They become part of the table once they are as many as it has, and with the commit that
//! ends the refresh. So a row is written a few times, however many commits there are.

use std::ops::Range;

/// So many files of about one size are put together.
const FEW: usize = 8;
/// Files are of about one size if none has so many times the bytes of another.
const FACTOR: u64 = 4;
/// No more files than this wait: each is open while all are put together.
const MOST: usize = 16;
/// Rows are put aside if files of so many times their bytes would have to be written anew for them, and if these are not
/// few: in the end all files are.
const WORTH: u64 = 2;

/// Whether it is worth while to put new rows of `new` bytes aside, where they fall into files of `touched` bytes, out of
/// `all` bytes that can be seen.
pub(super) fn is_worth(new: u64, touched: u64, all: u64) -> bool {
    new > 0 && touched > WORTH * new && 2 * touched >= all
}

/// What is put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gathering {
    Nothing,
    /// Everything that waits, and the rows that can be seen.
    All,
    /// The smallest files that wait, so many of them.
    Smallest(usize),
}

/// What is to be put together, where files of these sizes wait, in their order, beside `seen` bytes that can be seen.
pub(super) fn gathering(seen: u64, waiting: &[u64], is_last: bool) -> Gathering {
    if waiting.is_empty() {
        return Gathering::Nothing;
    }
    if is_last || waiting.iter().sum::<u64>() >= seen {
        return Gathering::All;
    }
    let alike = waiting.iter().take_while(|bytes| **bytes < FACTOR * waiting[0].max(1)).count();
    if alike >= FEW {
        return Gathering::Smallest(alike);
    }
    if waiting.len() >= MOST { Gathering::Smallest(FEW) } else { Gathering::Nothing }
}

/// The incoming rows that met none: those of `within` that are not in `inserts`, which are in order, were met.
pub(super) fn unmet(is_new: &mut [bool], within: &Range<usize>, inserts: &[(usize, usize)]) {
    let mut inserts = inserts.iter().map(|(_, at)| *at).peekable();
    for at in within.clone() {
        if inserts.next_if_eq(&at).is_none() {
            is_new[at] = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Gathering::{All, Nothing, Smallest};
    use super::*;

    #[test]
    fn what_waits_is_put_together_as_seldom_as_can_be() {
        for (case, seen, waiting, is_last, expected) in [
            ("nothing waits", 100, vec![], true, Nothing),
            ("more is to come", 100, vec![10], false, Nothing),
            ("it is the last", 100, vec![10], true, All),
            ("as much as can be seen", 100, vec![10, 40, 50], false, All),
            ("many small ones", 1000, vec![10; 8], false, Smallest(8)),
            ("many small ones and a large one", 1000, [vec![10; 7], vec![90]].concat(), false, Nothing),
            ("small ones beside large ones", 1000, [vec![10; 9], vec![90]].concat(), false, Smallest(9)),
            (
                "too many, whatever their sizes",
                1 << 40,
                (0..16).map(|at| 10 * 2_u64.pow(2 * at)).collect(),
                false,
                Smallest(8),
            ),
        ] {
            assert_eq!(gathering(seen, &waiting, is_last), expected, "{case}");
        }
    }

    #[test]
    fn a_row_is_written_a_few_times_however_many_commits_there_are() {
        let (mut seen, mut waiting, mut written) = (12, Vec::new(), 12);
        let commits = 1_000;
        for number in 2..=commits {
            waiting.push(12);
            waiting.sort_unstable();
            written += 12;
            loop {
                match gathering(seen, &waiting, number == commits) {
                    Nothing => break,
                    All => {
                        seen += waiting.drain(..).sum::<u64>();
                        written += seen;
                    }
                    Smallest(count) => {
                        let together = waiting.drain(..count).sum();
                        written += together;
                        waiting.push(together);
                        waiting.sort_unstable();
                    }
                }
                assert!(waiting.len() < MOST);
            }
        }
        assert_eq!(seen, 12 * commits);
        assert!(written < 7 * seen, "{} times", written / seen);
    }

    #[test]
    fn rows_wait_if_they_fall_everywhere() {
        for (new, touched, all, expected) in [
            (0, 100, 100, false),
            (10, 100, 100, true),
            (10, 20, 100, false),
            (10, 49, 100, false),
            (10, 50, 100, true),
            (60, 100, 100, false),
        ] {
            assert_eq!(is_worth(new, touched, all), expected, "{new} into {touched} of {all}");
        }
    }

    #[test]
    fn rows_that_were_met_are_not_new() {
        let mut is_new = [true; 6];
        unmet(&mut is_new, &(1..5), &[(0, 2), (9, 4)]);
        assert_eq!(is_new, [true, false, true, false, true, true]);
    }
}
