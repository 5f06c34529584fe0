//! What one read has to bring tables that are read together, decided from what is known of each. Pure.

use jiff::Timestamp;

use super::plan::{Reading, Reason, Situation, decide, whole};
use crate::state::Refresh;
use crate::window::union;

/// What one read has to bring tables that are read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Together {
    /// What is to be read.
    pub reading: Reading,
    /// Of a refresh, in the order of the situations: for which tables it counts. The others take its rows, and
    /// need no more than what changed since they were last read.
    pub counts_for: Vec<bool>,
    /// Of a refresh, in the order of the situations: which tables cannot do without it.
    pub needed_by: Vec<bool>,
    /// Where the increment that closes a refresh has to begin at the latest, inclusive, for the others' sake.
    pub from_at_most: Option<Timestamp>,
    /// From where on, inclusive, the others need what changed should none of those be left that need a refresh.
    pub else_from: Option<Timestamp>,
}

/// Decides for tables that are read together, each in a situation of its own. There is at least one.
pub fn decide_together(situations: &[Situation<'_>]) -> Together {
    let readings: Vec<Reading> = situations.iter().map(decide).collect();
    let increment = |reading: &Reading| match reading {
        Reading::Increment { from } => Some(*from),
        Reading::Refresh(..) => None,
    };
    let refresh = |reading: &Reading| match reading {
        Reading::Increment { .. } => None,
        Reading::Refresh(refresh, reason) => Some((refresh.clone(), *reason)),
    };
    let earliest = readings.iter().filter_map(increment).min();
    let needed_by: Vec<bool> = readings.iter().map(|reading| increment(reading).is_none()).collect();
    let refreshes: Vec<(Refresh, Reason)> = readings.iter().filter_map(refresh).collect();
    let Some((first, reason)) = refreshes.first() else {
        let reading = Reading::Increment { from: earliest.unwrap_or(Timestamp::MIN) };
        let counts_for = vec![false; situations.len()];
        return Together { reading, counts_for, needed_by, from_at_most: None, else_from: None };
    };
    // What one of them has begun, or lacks, serves the others only if it is the same for all.
    let agrees = |(other, why): &(Refresh, Reason)| {
        (other.by, other.start, other.whole, *why) == (first.by, first.start, first.whole, *reason)
    };
    if reason.is_partial() && refreshes.iter().all(agrees) {
        let mut refresh = first.clone();
        let all = refreshes.iter().flat_map(|(refresh, _)| refresh.remaining.iter().copied());
        refresh.remaining = union(all.collect());
        for (other, _) in &refreshes {
            refresh.closes_from = refresh.closes_from.min(other.closes_from);
            refresh.started_at = refresh.started_at.min(other.started_at);
            refresh.anew |= other.anew;
        }
        return Together {
            reading: Reading::Refresh(refresh, *reason),
            counts_for: needed_by.clone(),
            needed_by,
            from_at_most: earliest,
            else_from: earliest,
        };
    }
    // Everything, from now on: that is enough for each of them.
    let fresh = refreshes.iter().map(|(_, reason)| *reason).find(|reason| !reason.is_partial());
    let mut reading = whole(&situations[0], fresh.unwrap_or(*reason));
    if let Reading::Refresh(refresh, _) = &mut reading {
        refresh.anew = refreshes.iter().any(|(refresh, _)| refresh.anew);
    }
    Together {
        reading,
        counts_for: vec![true; situations.len()],
        needed_by,
        from_at_most: None,
        else_from: earliest,
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::{at, reason, situation, state};
    use super::*;
    use crate::state::TableState;
    use crate::window::Window;

    #[test]
    fn tables_that_agree_are_read_as_each_would_be() {
        let stored = state();
        let later = TableState { checkpoint: Some(at("2026-01-15T11:30:00Z")), ..state() };
        let together = decide_together(&[situation(Some(&later)), situation(Some(&stored))]);
        assert_eq!(together.reading, Reading::Increment { from: at("2026-01-15T10:00:00Z") });
        let together = decide_together(&[situation(None), situation(None)]);
        assert_eq!(reason(&together.reading), Some(Reason::FirstLoad));
        assert_eq!((together.counts_for, together.from_at_most), (vec![true, true], None));
    }

    #[test]
    fn a_table_that_joins_later_is_loaded_together_with_the_others() {
        let stored = state();
        let together = decide_together(&[situation(Some(&stored)), situation(None)]);
        assert_eq!(reason(&together.reading), Some(Reason::FirstLoad));
        assert_eq!((together.counts_for, together.from_at_most), (vec![true, true], None));
    }

    #[test]
    fn a_refresh_that_only_one_has_begun_counts_for_that_one_alone() {
        let Reading::Refresh(mut refresh, _) = decide(&situation(None)) else { panic!() };
        refresh.cover(Window { from: None, to: Some(1_600_000_000) });
        let begun = TableState { refresh: Some(refresh.clone()), checkpoint: None, ..state() };
        let older = TableState { checkpoint: Some(at("2026-01-10T11:00:00Z")), ..state() };
        let together = decide_together(&[situation(Some(&begun)), situation(Some(&older))]);
        assert_eq!(together.reading, Reading::Refresh(refresh, Reason::Resumed));
        assert_eq!(together.counts_for, [true, false]);
        assert_eq!(together.from_at_most, Some(at("2026-01-10T10:00:00Z")));
    }

    #[test]
    fn refreshes_that_were_cut_short_at_different_places_go_on_with_what_any_of_them_lacks() {
        let Reading::Refresh(refresh, _) = decide(&situation(None)) else { panic!() };
        let window = |from, to| Window { from, to };
        let cut = |covered: &[Window], closes: &str| {
            let mut refresh = Refresh { closes_from: at(closes), ..refresh.clone() };
            for window in covered {
                refresh.cover(*window);
            }
            TableState { refresh: Some(refresh), checkpoint: None, ..state() }
        };
        let a = cut(&[window(None, Some(1600)), window(Some(1700), Some(1800))], "2026-01-14T00:00:00Z");
        let b = cut(&[window(None, Some(1500)), window(Some(1700), Some(1900))], "2026-01-15T00:00:00Z");
        let together = decide_together(&[situation(Some(&a)), situation(Some(&b))]);
        let Reading::Refresh(refresh, Reason::Resumed) = together.reading else { panic!() };
        assert_eq!(refresh.remaining, [window(Some(1500), Some(1700)), window(Some(1800), None)]);
        assert_eq!(refresh.closes_from, at("2026-01-14T00:00:00Z"));
    }

    #[test]
    fn refreshes_of_different_kinds_become_one_of_everything() {
        let Reading::Refresh(refresh, _) = decide(&situation(None)) else { panic!() };
        let begun = TableState { refresh: Some(refresh), checkpoint: None, ..state() };
        let narrower = TableState { proven_from: Some(at("2025-01-01T00:00:00Z")), ..state() };
        let together = decide_together(&[situation(Some(&begun)), situation(Some(&narrower))]);
        let Reading::Refresh(refresh, _) = together.reading else { panic!() };
        assert_eq!((refresh.whole, refresh.remaining), (true, vec![Window::default()]));
        assert_eq!(together.counts_for, [true, true]);
    }

    #[test]
    fn what_one_table_wants_read_anew_is_read_anew_for_all() {
        let stored = state();
        let asked = |stored| Situation { full_refresh: true, ..situation(stored) };
        let Reading::Refresh(begun, _) = decide(&asked(Some(&stored))) else { panic!() };
        let begun = TableState { refresh: Some(begun), ..state() };
        for (first, second) in
            [(asked(None), asked(Some(&stored))), (situation(None), situation(Some(&begun)))]
        {
            let Reading::Refresh(refresh, reason) = decide_together(&[first, second]).reading else {
                panic!()
            };
            assert_eq!((refresh.anew, reason), (true, Reason::FirstLoad));
        }
        let other = Situation { columns: "d", ..situation(Some(&begun)) };
        let Reading::Refresh(refresh, _) = decide(&other) else { panic!() };
        assert!(refresh.anew, "another reason takes nothing away from the first");
    }
}
