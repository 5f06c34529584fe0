//! What a run has to read of a table, decided from what is known before it. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::state::{Refresh, TableState};
pub use crate::window::LAG;
use crate::window::{DateField, Window};

/// A `--full-refresh` goes on with one that was cut short less than this ago.
const GO_ON_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// Everything the decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// State of the last run that got that far.
    pub stored: Option<&'a TableState>,
    /// Start of this pass by the server's clock.
    pub now: Timestamp,
    /// API version of the connection.
    pub api_version: &'a str,
    /// Fingerprint of the table's columns today.
    pub columns: &'a str,
    /// The date by which changes are found; one that never changes if rows never do.
    pub changes_by: DateField,
    /// The connection's `start_date`.
    pub start_date: Option<Timestamp>,
    /// The connection's `lookback_window`.
    pub lookback: SignedDuration,
    /// The connection's `full_refresh_every`; `None` means never.
    pub refresh_every: Option<SignedDuration>,
    /// Whether rows are shown now that were hidden at the last run.
    pub permission_gained: bool,
    /// Whether `--full-refresh` was typed.
    pub full_refresh: bool,
}

/// What is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Windows, then the closing increment.
    Refresh(Refresh, Reason),
    /// What changed at or after this moment.
    Increment {
        /// Inclusive.
        from: Timestamp,
    },
}

/// Why a table is read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nothing is known yet.
    FirstLoad,
    /// `--full-refresh`.
    Asked,
    /// A refresh that was cut short.
    Resumed,
    /// `full_refresh_every` has passed.
    Due,
    /// The API version differs from the last run's.
    ApiVersion,
    /// The table has other columns than at the last run.
    Columns,
    /// The token is shown rows that were hidden from it.
    Permission,
    /// `start_date` moved earlier.
    EarlierStart,
    /// The source counted more rows than the table holds, twice running.
    Shortfall,
}

impl Reason {
    /// Whether such a refresh reads less than everything, from now on.
    fn is_partial(self) -> bool {
        matches!(self, Self::Resumed | Self::EarlierStart)
    }

    /// Words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstLoad => "first load",
            Self::Asked => "full refresh",
            Self::Resumed => "resuming a refresh",
            Self::Due => "refresh is due",
            Self::ApiVersion => "refresh: another API version",
            Self::Columns => "refresh: the table has new columns",
            Self::Permission => "refresh: a permission was gained",
            Self::EarlierStart => "start_date moved earlier",
            Self::Shortfall => "refresh: the source counts more rows than the table holds",
        }
    }
}

/// Shortfalls in a row after which a refresh is due at once.
pub const SHORTFALLS_UNTIL_REFRESH: u32 = 2;

/// Decides for a table whose dates the server filters.
pub fn decide(situation: &Situation<'_>) -> Reading {
    let Some(stored) = situation.stored else { return whole(situation, Reason::FirstLoad) };
    if situation.full_refresh && !is_under_way(situation, stored) {
        return whole(situation, Reason::Asked);
    }
    if stored.api_version != situation.api_version {
        return whole(situation, Reason::ApiVersion);
    }
    if stored.columns != situation.columns {
        return whole(situation, Reason::Columns);
    }
    if situation.permission_gained {
        return whole(situation, Reason::Permission);
    }
    if let Some(refresh) = &stored.refresh {
        if !is_earlier(situation.start_date, refresh.start) {
            return Reading::Refresh(refresh.clone(), Reason::Resumed);
        }
        return whole(situation, Reason::EarlierStart);
    }
    let Some(checkpoint) = stored.checkpoint else { return whole(situation, Reason::FirstLoad) };
    if is_earlier(situation.start_date, stored.proven_from) {
        return missing_part(situation, stored, checkpoint);
    }
    if stored.shortfalls >= SHORTFALLS_UNTIL_REFRESH {
        return whole(situation, Reason::Shortfall);
    }
    if is_due(stored.refreshed_at, situation.refresh_every, situation.now) {
        return whole(situation, Reason::Due);
    }
    Reading::Increment { from: increment_start(checkpoint, situation.lookback) }
}

/// What one read has to bring tables that are read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Together {
    /// What is to be read.
    pub reading: Reading,
    /// Of a refresh, in the order of the situations: for which tables it counts. The others take its rows, and
    /// need no more than what changed since they were last read.
    pub counts_for: Vec<bool>,
    /// Where the increment that closes a refresh has to begin at the latest, inclusive, for the others' sake.
    pub from_at_most: Option<Timestamp>,
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
    let refreshes: Vec<(Refresh, Reason)> = readings.iter().filter_map(refresh).collect();
    let Some((first, reason)) = refreshes.first() else {
        let reading = Reading::Increment { from: earliest.unwrap_or(Timestamp::MIN) };
        return Together { reading, counts_for: vec![false; situations.len()], from_at_most: None };
    };
    // What one of them has begun, or lacks, serves the others only if it is the same for all.
    let agrees = |(other, why): &(Refresh, Reason)| {
        let ends = |refresh: &Refresh| refresh.remaining.last().map(|window| window.to);
        (other.by, other.start, other.whole, *why) == (first.by, first.start, first.whole, *reason)
            && (other.remaining.len(), ends(other)) == (first.remaining.len(), ends(first))
    };
    if reason.is_partial() && refreshes.iter().all(agrees) {
        let begins = |refresh: &Refresh| refresh.remaining.first().map(|window| window.from);
        let least = refreshes.iter().map(|(refresh, _)| refresh).min_by_key(|refresh| begins(refresh));
        let mut refresh = least.unwrap_or(first).clone();
        for (other, _) in &refreshes {
            refresh.closes_from = refresh.closes_from.min(other.closes_from);
            refresh.started_at = refresh.started_at.min(other.started_at);
            refresh.anew |= other.anew;
        }
        return Together {
            reading: Reading::Refresh(refresh, *reason),
            counts_for: readings.iter().map(|reading| increment(reading).is_none()).collect(),
            from_at_most: earliest,
        };
    }
    // Everything, from now on: that is enough for each of them.
    let fresh = refreshes.iter().map(|(_, reason)| *reason).find(|reason| !reason.is_partial());
    Together {
        reading: whole(&situations[0], fresh.unwrap_or(*reason)),
        counts_for: vec![true; situations.len()],
        from_at_most: None,
    }
}

/// Where an increment begins: the checkpoint minus the lag minus the look-back, inclusive.
pub fn increment_start(checkpoint: Timestamp, lookback: SignedDuration) -> Timestamp {
    earlier_by(earlier_by(checkpoint, LAG), lookback)
}

/// Whether the source counts so many rows more than the table holds that it cannot be by chance.
pub fn is_shortfall(counted: u64, live: u64) -> bool {
    let tolerance = (live / 1000).max(10);
    counted > live + tolerance
}

/// Whether absences are too many to believe: more than 1 % of the table, and more than 100.
pub fn is_mass_absence(nominees: usize, live: u64) -> bool {
    nominees as u64 > (live / 100).max(100)
}

fn is_due(last: Option<Timestamp>, every: Option<SignedDuration>, now: Timestamp) -> bool {
    let Some(every) = every else { return false };
    last.is_none_or(|last| now.duration_since(last) >= every)
}

/// Whether a refresh of everything was cut short so lately that asking for one means going on with it.
fn is_under_way(situation: &Situation<'_>, stored: &TableState) -> bool {
    let refresh = stored.refresh.as_ref().filter(|refresh| refresh.whole);
    refresh.is_some_and(|refresh| situation.now.duration_since(refresh.started_at) < GO_ON_WITHIN)
}

/// A refresh of every row. Without a `start_date` its windows are about `created_at`. With one they are
/// about `updated_at`, so that rows created before it and changed since are in the table too.
fn whole(situation: &Situation<'_>, reason: Reason) -> Reading {
    let from = situation.start_date.map(Timestamp::as_second);
    let refresh = Refresh {
        started_at: situation.now,
        closes_from: situation.now,
        by: if from.is_some() { situation.changes_by } else { DateField::CreatedAt },
        start: situation.start_date,
        whole: true,
        anew: matches!(reason, Reason::Asked | Reason::ApiVersion),
        remaining: vec![Window { from, to: None }],
    };
    Reading::Refresh(refresh, reason)
}

/// The rows between an earlier `start_date` and the proven range; those changed since are in the table
/// already, by way of the increments.
fn missing_part(situation: &Situation<'_>, stored: &TableState, checkpoint: Timestamp) -> Reading {
    let window = Window {
        from: situation.start_date.map(Timestamp::as_second),
        to: stored.proven_from.map(Timestamp::as_second),
    };
    let refresh = Refresh {
        started_at: situation.now,
        closes_from: checkpoint,
        by: situation.changes_by,
        start: situation.start_date,
        whole: false,
        anew: false,
        remaining: vec![window],
    };
    Reading::Refresh(refresh, Reason::EarlierStart)
}

/// Whether `start` reaches further back than `proven`; `None` reaches back to the beginning.
fn is_earlier(start: Option<Timestamp>, proven: Option<Timestamp>) -> bool {
    match (start, proven) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(start), Some(proven)) => start < proven,
    }
}

/// `moment` minus `duration`, or the earliest moment there is.
pub fn earlier_by(moment: Timestamp, duration: SignedDuration) -> Timestamp {
    moment.checked_sub(duration).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-01-15T12:00:00Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn state() -> TableState {
        TableState {
            checkpoint: Some(at("2026-01-15T11:00:00Z")),
            refreshed_at: Some(at("2026-01-14T12:00:00Z")),
            ..TableState::new("w", "2.14", "c".into())
        }
    }

    fn situation(stored: Option<&TableState>) -> Situation<'_> {
        Situation {
            stored,
            now: at(NOW),
            api_version: "2.14",
            columns: "c",
            changes_by: DateField::UpdatedAt,
            start_date: None,
            lookback: SignedDuration::ZERO,
            refresh_every: Some(SignedDuration::from_hours(7 * 24)),
            permission_gained: false,
            full_refresh: false,
        }
    }

    fn reason(reading: &Reading) -> Option<Reason> {
        match reading {
            Reading::Refresh(_, reason) => Some(*reason),
            Reading::Increment { .. } => None,
        }
    }

    #[test]
    fn a_fresh_checkpoint_means_an_increment_from_one_lag_before_it() {
        let stored = state();
        assert_eq!(
            decide(&situation(Some(&stored))),
            Reading::Increment { from: at("2026-01-15T10:00:00Z") }
        );
        let longer = Situation { lookback: SignedDuration::from_hours(48), ..situation(Some(&stored)) };
        assert_eq!(decide(&longer), Reading::Increment { from: at("2026-01-13T10:00:00Z") });
    }

    #[test]
    fn the_reasons_for_reading_everything() {
        let stored = state();
        let base = || situation(Some(&stored));
        let old = TableState { refreshed_at: Some(at("2026-01-08T12:00:00Z")), ..state() };
        let short = TableState { shortfalls: 2, ..state() };
        let never = TableState { checkpoint: None, ..state() };
        let cases: Vec<(Situation<'_>, Option<Reason>)> = vec![
            (situation(None), Some(Reason::FirstLoad)),
            (base(), None),
            (Situation { full_refresh: true, ..base() }, Some(Reason::Asked)),
            (Situation { api_version: "2.16", ..base() }, Some(Reason::ApiVersion)),
            (Situation { columns: "d", ..base() }, Some(Reason::Columns)),
            (Situation { permission_gained: true, ..base() }, Some(Reason::Permission)),
            (situation(Some(&old)), Some(Reason::Due)),
            (Situation { refresh_every: None, ..situation(Some(&old)) }, None),
            (situation(Some(&short)), Some(Reason::Shortfall)),
            (situation(Some(&never)), Some(Reason::FirstLoad)),
        ];
        for (situation, expected) in cases {
            assert_eq!(reason(&decide(&situation)), expected, "{situation:?}");
        }
    }

    #[test]
    fn a_start_date_counts_changes_and_no_start_date_counts_creation() {
        let Reading::Refresh(all, _) = decide(&situation(None)) else { panic!() };
        assert_eq!((all.by, all.remaining[0]), (DateField::CreatedAt, Window::default()));
        let start = at("2025-01-01T00:00:00Z");
        let since = Situation { start_date: Some(start), ..situation(None) };
        let Reading::Refresh(some, _) = decide(&since) else { panic!() };
        assert_eq!(some.by, DateField::UpdatedAt);
        assert_eq!(some.remaining, [Window { from: Some(start.as_second()), to: None }]);
    }

    #[test]
    fn an_earlier_start_date_reads_only_what_is_missing() {
        let stored = TableState { proven_from: Some(at("2025-01-01T00:00:00Z")), ..state() };
        for (start, missing) in [
            (Some("2024-01-01T00:00:00Z"), true),
            (None, true),
            (Some("2025-01-01T00:00:00Z"), false),
            (Some("2025-06-01T00:00:00Z"), false),
        ] {
            let start_date = start.map(at);
            let reading = decide(&Situation { start_date, ..situation(Some(&stored)) });
            match reading {
                Reading::Refresh(refresh, Reason::EarlierStart) if missing => {
                    assert_eq!(refresh.remaining[0].to, Some(at("2025-01-01T00:00:00Z").as_second()));
                    assert_eq!(refresh.remaining[0].from, start_date.map(Timestamp::as_second));
                    assert_eq!(refresh.closes_from, at("2026-01-15T11:00:00Z"));
                    assert!(!refresh.whole);
                }
                Reading::Increment { .. } if !missing => {}
                other => panic!("{start:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_refresh_that_was_cut_short_goes_on_where_it_was() {
        let Reading::Refresh(mut refresh, _) = decide(&situation(None)) else { panic!() };
        refresh.advance_to(1_600_000_000);
        let stored = TableState { refresh: Some(refresh.clone()), checkpoint: None, ..state() };
        let later = Situation { now: at("2026-01-18T12:00:00Z"), ..situation(Some(&stored)) };
        assert_eq!(decide(&later), Reading::Refresh(refresh, Reason::Resumed));
        for (now, expected) in
            [("2026-01-16T11:00:00Z", Reason::Resumed), ("2026-01-16T12:00:00Z", Reason::Asked)]
        {
            let asked = Situation { now: at(now), full_refresh: true, ..situation(Some(&stored)) };
            assert_eq!(reason(&decide(&asked)), Some(expected), "{now}");
        }
    }

    #[test]
    fn tolerances() {
        for (counted, live, expected) in [
            (100, 100, false),
            (110, 100, false),
            (111, 100, true),
            (100_100, 100_000, false),
            (100_101, 100_000, true),
        ] {
            assert_eq!(is_shortfall(counted, live), expected, "{counted} {live}");
        }
        for (nominees, live, expected) in
            [(100, 10, false), (101, 10, true), (200, 20_000, false), (201, 20_000, true)]
        {
            assert_eq!(is_mass_absence(nominees, live), expected, "{nominees} {live}");
        }
    }

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
        refresh.advance_to(1_600_000_000);
        let begun = TableState { refresh: Some(refresh.clone()), checkpoint: None, ..state() };
        let older = TableState { checkpoint: Some(at("2026-01-10T11:00:00Z")), ..state() };
        let together = decide_together(&[situation(Some(&begun)), situation(Some(&older))]);
        assert_eq!(together.reading, Reading::Refresh(refresh, Reason::Resumed));
        assert_eq!(together.counts_for, [true, false]);
        assert_eq!(together.from_at_most, Some(at("2026-01-10T10:00:00Z")));
    }

    #[test]
    fn refreshes_that_were_cut_short_at_different_places_go_on_at_the_first() {
        let Reading::Refresh(refresh, _) = decide(&situation(None)) else { panic!() };
        let cut = |second: i64, closes: &str| {
            let mut refresh = Refresh { closes_from: at(closes), ..refresh.clone() };
            refresh.advance_to(second);
            TableState { refresh: Some(refresh), checkpoint: None, ..state() }
        };
        let (a, b) = (cut(1_600_000_000, "2026-01-14T00:00:00Z"), cut(1_500_000_000, "2026-01-15T00:00:00Z"));
        let together = decide_together(&[situation(Some(&a)), situation(Some(&b))]);
        let Reading::Refresh(refresh, Reason::Resumed) = together.reading else { panic!() };
        assert_eq!(refresh.remaining[0].from, Some(1_500_000_000));
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
}
