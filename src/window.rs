//! Interval arithmetic on dates, in whole epoch seconds. Pure.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// How late a change may become visible to searches.
pub const LAG: SignedDuration = SignedDuration::from_hours(1);

/// One day in seconds.
pub const DAY: i64 = 86_400;

/// How far a bound is moved outwards before it is sent.
///
/// Contact search cuts a bound to a calendar day in the workspace's time zone: `>` starts at the next
/// midnight, `<` ends before the given day. Two days cover every zone and days of 25 hours, and also
/// servers that compare by the second, inclusive or not. What comes too much is left out by value.
pub const MARGIN: i64 = 2 * DAY;

/// The date a window is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateField {
    /// Never changes, so no row moves between windows.
    CreatedAt,
    /// Moves to the present whenever a row changes.
    UpdatedAt,
}

impl DateField {
    /// The field's name in queries, which is also the column's.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
        }
    }
}

/// The seconds from `from`, inclusive, to `to`, exclusive; a missing bound is open.
///
/// ```text
///           from                          to
///  - - - - - [=============================) - - - - ->
///    margin  |  rows belong here by value  |  margin
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Window {
    /// First second, inclusive.
    pub from: Option<i64>,
    /// First second that no longer belongs, exclusive.
    pub to: Option<i64>,
}

impl Window {
    /// Whether a row with this date belongs here. A row without a readable date belongs everywhere.
    pub fn contains(&self, date: Option<i64>) -> bool {
        date.is_none_or(|date| {
            self.from.is_none_or(|from| date >= from) && self.to.is_none_or(|to| date < to)
        })
    }

    /// Whether no second can belong here.
    pub fn is_empty(&self) -> bool {
        matches!((self.from, self.to), (Some(from), Some(to)) if from >= to)
    }

    /// The bounds to ask the server for, both exclusive: `margin` wider on each bounded side, and no
    /// upper bound that would come near `now`, where rows appear and move.
    pub fn bounds_to_ask(&self, now: i64) -> (Option<i64>, Option<i64>) {
        let after = self.from.map(|from| (from - MARGIN).max(0));
        let before = self.to.map(|to| to + MARGIN).filter(|before| *before < now);
        (after, before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_768_478_400;

    #[test]
    fn bounds_are_two_days_wider_and_never_near_the_present() {
        for (from, to, expected) in [
            (None, None, (None, None)),
            (Some(NOW - 10 * DAY), None, (Some(NOW - 12 * DAY), None)),
            (Some(NOW - 10 * DAY), Some(NOW - 5 * DAY), (Some(NOW - 12 * DAY), Some(NOW - 3 * DAY))),
            (None, Some(NOW - 2 * DAY - 1), (None, Some(NOW - 1))),
            (None, Some(NOW - 2 * DAY), (None, None)),
            (None, Some(NOW), (None, None)),
            (Some(100), None, (Some(0), None)),
        ] {
            assert_eq!(Window { from, to }.bounds_to_ask(NOW), expected, "{from:?} {to:?}");
        }
    }

    #[test]
    fn rows_belong_by_value_and_undated_rows_everywhere() {
        let window = Window { from: Some(10), to: Some(20) };
        for (date, expected) in
            [(Some(9), false), (Some(10), true), (Some(19), true), (Some(20), false), (None, true)]
        {
            assert_eq!(window.contains(date), expected, "{date:?}");
        }
        assert!(Window { from: Some(5), to: Some(5) }.is_empty());
        assert!(!Window::default().is_empty());
    }

    /// The promise behind [`MARGIN`]: whatever rule the server follows, in whatever zone, no row of the
    /// window is missing from its answer.
    #[test]
    fn every_rule_in_every_zone_returns_at_least_the_window() {
        let day_of = |second: i64, offset: i64| (second + offset).div_euclid(DAY);
        for offset in [-12, -8, 0, 9, 14].map(|hours| hours * 3600) {
            for hour in 0..60 {
                let window =
                    Window { from: Some(1_000_000 + hour * 3600), to: Some(1_400_000 + hour * 1800) };
                let (after, before) = window.bounds_to_ask(NOW);
                let (after, before) = (after.unwrap(), before.unwrap());
                for date in [window.from.unwrap(), window.to.unwrap() - 1] {
                    assert!(day_of(date, offset) > day_of(after, offset), "> by day at {offset}");
                    assert!(day_of(date, offset) < day_of(before, offset), "< by day at {offset}");
                    assert!(date > after && date < before, "by second");
                }
            }
        }
    }
}
