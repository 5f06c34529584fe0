//! What a run has to read of a table, decided from what is known before it. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::state::{Refresh, TableState};
pub use crate::window::LAG;
use crate::window::{DateField, Window};

/// A `--full-refresh` goes on with one that was asked for and cut short less than this ago.
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
    pub(super) fn is_partial(self) -> bool {
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

/// Where an increment begins: the checkpoint minus the lag minus the look-back, inclusive.
pub fn increment_start(checkpoint: Timestamp, lookback: SignedDuration) -> Timestamp {
    earlier_by(earlier_by(checkpoint, LAG), lookback)
}

/// Whether the source counts so many rows more than the table holds that it cannot be by chance.
pub fn is_shortfall(counted: u64, live: u64) -> bool {
    let tolerance = (live / 1000).max(10);
    counted > live + tolerance
}

/// Whether a pass over everything cannot have been complete, since it did not show so many of the `known` rows that are
/// there.
pub fn is_incomplete(known: u64, not_shown: u64) -> bool {
    is_shortfall(known, known.saturating_sub(not_shown)) || not_shown.saturating_mul(2) > known
}

/// Whether absences are too many to believe where no row is known that has to be there: more than 1 % of the table, and
/// more than 100.
pub fn is_mass_absence(candidates: usize, live: u64) -> bool {
    candidates as u64 > (live / 100).max(100)
}

/// Since when, exclusive, a group has to have been swept for the number of its members to be enough, given the start of
/// the last complete pass: so lately that it is still within `every` when the next run comes, if that comes as long
/// after this one as this one came after the last. Without any such pass, half of `every`.
pub fn swept_since(now: Timestamp, last: Option<Timestamp>, every: SignedDuration) -> Timestamp {
    // A distance beyond half of it makes no difference: the group was not swept since the last pass.
    let half = every / 2;
    let distance = last.map_or(half, |last| now.duration_since(last).clamp(SignedDuration::ZERO, half));
    earlier_by(now, every - distance)
}

/// How many objects that are due are read again in a run: as many as come due in the time since the last run, and at
/// least 100.
pub fn objects_to_reread(objects: u64, since_last: SignedDuration, every: SignedDuration) -> usize {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count, bounded by it"
    )]
    let share =
        (objects as f64 * (since_last.as_secs_f64() / every.as_secs_f64()).clamp(0.0, 1.0)).ceil() as usize;
    share.max(FEWEST_REREAD)
}

/// Objects that are due and read again in any run, a few seconds' worth of the usual rate.
const FEWEST_REREAD: usize = 100;

fn is_due(last: Option<Timestamp>, every: Option<SignedDuration>, now: Timestamp) -> bool {
    let Some(every) = every else { return false };
    last.is_none_or(|last| now.duration_since(last) >= every)
}

/// Whether a refresh that reads everything anew was cut short so lately that asking for one means going on with it.
fn is_under_way(situation: &Situation<'_>, stored: &TableState) -> bool {
    let refresh = stored.refresh.as_ref().filter(|refresh| refresh.whole && refresh.anew);
    refresh.is_some_and(|refresh| situation.now.duration_since(refresh.started_at) < GO_ON_WITHIN)
}

/// A refresh of every row. Without a `start_date` its windows are about `created_at`. With one they are
/// about `updated_at`, so that rows created before it and changed since are in the table too.
pub(super) fn whole(situation: &Situation<'_>, reason: Reason) -> Reading {
    let from = situation.start_date.map(Timestamp::as_second);
    let begun = situation.stored.and_then(|stored| stored.refresh.as_ref());
    let refresh = Refresh {
        started_at: situation.now,
        closes_from: situation.now,
        by: if from.is_some() { situation.changes_by } else { DateField::CreatedAt },
        start: situation.start_date,
        whole: true,
        anew: situation.full_refresh
            || matches!(reason, Reason::Asked | Reason::ApiVersion | Reason::Columns)
            || begun.is_some_and(|refresh| refresh.anew),
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
pub(super) mod tests {
    use super::*;

    const NOW: &str = "2026-01-15T12:00:00Z";

    pub(in crate::pipeline) fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    pub(in crate::pipeline) fn state() -> TableState {
        TableState {
            checkpoint: Some(at("2026-01-15T11:00:00Z")),
            refreshed_at: Some(at("2026-01-14T12:00:00Z")),
            ..TableState::new("w", "2.14", "c".into())
        }
    }

    pub(in crate::pipeline) fn situation(stored: Option<&TableState>) -> Situation<'_> {
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

    pub(in crate::pipeline) fn reason(reading: &Reading) -> Option<Reason> {
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
    fn groups_are_swept_before_the_run_that_would_be_too_late() {
        let hours = SignedDuration::from_hours;
        let ago = |age: i64| earlier_by(at(NOW), hours(age));
        // With a run every so many hours and a sweep every 24, groups are swept anew at this age.
        for (distance, age_swept) in [(1, 23), (6, 18), (7, 21), (11, 22), (13, 13), (24, 24), (48, 48)] {
            let since = swept_since(at(NOW), Some(ago(distance)), hours(24));
            let swept = (1..100).map(|runs| runs * distance).find(|age| ago(*age) <= since).unwrap();
            assert_eq!(swept, age_swept, "every {distance} hours");
        }
        assert_eq!(swept_since(at(NOW), Some(ago(1)), hours(0)), at(NOW), "in every run");
        assert_eq!(swept_since(at(NOW), None, hours(24)), ago(12));
        assert_eq!(swept_since(at(NOW), Some(ago(-5)), hours(24)), ago(24), "a pass from the future");
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
        refresh.cover(Window { from: None, to: Some(1_600_000_000) });
        let stored = TableState { refresh: Some(refresh.clone()), checkpoint: None, ..state() };
        let later = Situation { now: at("2026-01-18T12:00:00Z"), ..situation(Some(&stored)) };
        assert_eq!(decide(&later), Reading::Refresh(refresh, Reason::Resumed));
    }

    #[test]
    fn who_asks_for_a_full_refresh_goes_on_with_one_that_was_asked_for_too() {
        for (was_asked, now, expected) in [
            (true, "2026-01-16T11:00:00Z", Reason::Resumed),
            (true, "2026-01-16T12:00:00Z", Reason::Asked),
            (false, "2026-01-15T13:00:00Z", Reason::Asked),
        ] {
            let begun = Situation { full_refresh: was_asked, ..situation(None) };
            let Reading::Refresh(mut refresh, _) = decide(&begun) else { panic!() };
            refresh.cover(Window { from: None, to: Some(1_600_000_000) });
            let stored = TableState { refresh: Some(refresh), checkpoint: None, ..state() };
            let asked = Situation { now: at(now), full_refresh: true, ..situation(Some(&stored)) };
            assert_eq!(reason(&decide(&asked)), Some(expected), "{now}");
        }
    }

    #[test]
    fn as_many_objects_are_read_again_as_come_due_meanwhile() {
        let hours = SignedDuration::from_hours;
        for (objects, since_last, expected) in [
            (72_000, hours(1), 100),
            (720_000, hours(1), 1_000),
            (720_000, hours(24), 24_000),
            (720_000, hours(24_000), 720_000),
            (720_000, hours(-1), 100),
            (0, hours(1), 100),
        ] {
            assert_eq!(
                objects_to_reread(objects, since_last, hours(720)),
                expected,
                "{objects} {since_last}"
            );
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
        for (known, not_shown, expected) in [
            (8, 0, false),
            (8, 4, false),
            (8, 5, true),
            (60, 10, false),
            (60, 11, true),
            (20_000, 19, false),
            (20_000, 20, true),
            (0, 0, false),
        ] {
            assert_eq!(is_incomplete(known, not_shown), expected, "{known} {not_shown}");
        }
        for (nominees, live, expected) in
            [(100, 10, false), (101, 10, true), (200, 20_000, false), (201, 20_000, true)]
        {
            assert_eq!(is_mass_absence(nominees, live), expected, "{nominees} {live}");
        }
    }
}
