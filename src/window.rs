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

    /// What of this window lies outside `other`: nothing, one window, or one on each side of it.
    pub fn without(&self, other: Self) -> impl Iterator<Item = Self> + use<> {
        let before = other
            .from
            .map(|from| Self { from: self.from, to: self.to.map_or(Some(from), |to| Some(to.min(from))) });
        let after = other
            .to
            .map(|to| Self { from: self.from.map_or(Some(to), |from| Some(from.max(to))), to: self.to });
        before.into_iter().chain(after).filter(|window| !window.is_empty())
    }

    /// The bounds to ask the server for, both exclusive and positive: [`MARGIN`] wider on each bounded side, and no
    /// upper bound that would come near `now`, where rows appear and move. A bound at or before the epoch is left
    /// out: rows may be dated zero or less, and whether a server takes such a bound is not documented.
    pub fn bounds_to_ask(&self, now: i64) -> (Option<i64>, Option<i64>) {
        let after = self.from.map(|from| from.saturating_sub(MARGIN)).filter(|after| *after > 0);
        let before = self.to.map(|to| to.saturating_add(MARGIN)).filter(|before| (1..now).contains(before));
        (after, before)
    }
}

/// The same seconds in as few windows as possible, in their order.
pub fn union(mut windows: Vec<Window>) -> Vec<Window> {
    windows.retain(|window| !window.is_empty());
    windows.sort_by_key(|window| window.from);
    let mut joined: Vec<Window> = Vec::with_capacity(windows.len());
    for window in windows {
        match joined.last_mut() {
            Some(last) if last.to.is_none_or(|to| window.from.is_none_or(|from| from <= to)) => {
                last.to = last.to.and_then(|to| window.to.map(|other| to.max(other)));
            }
            _ => joined.push(window),
        }
    }
    joined
}

/// The one window from the beginning of the first to the end of the last of `windows`, which are in order.
pub fn hull(windows: &[Window]) -> Window {
    Window {
        from: windows.first().and_then(|window| window.from),
        to: windows.last().and_then(|window| window.to),
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
            (Some(100), None, (None, None)),
            (Some(MARGIN), None, (None, None)),
            (Some(MARGIN + 1), None, (Some(1), None)),
            (Some(i64::MIN), Some(-MARGIN), (None, None)),
            (None, Some(1 - MARGIN), (None, Some(1))),
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

    #[test]
    fn what_is_left_of_a_window_without_another() {
        let window = |from, to| Window { from, to };
        let all = Window::default();
        for (this, other, left) in [
            (
                window(Some(0), Some(9)),
                window(Some(3), Some(5)),
                vec![window(Some(0), Some(3)), window(Some(5), Some(9))],
            ),
            (window(Some(0), Some(9)), window(None, Some(5)), vec![window(Some(5), Some(9))]),
            (window(Some(0), Some(9)), window(Some(5), None), vec![window(Some(0), Some(5))]),
            (window(Some(0), Some(9)), window(Some(9), None), vec![window(Some(0), Some(9))]),
            (window(Some(0), Some(9)), window(None, Some(0)), vec![window(Some(0), Some(9))]),
            (window(Some(3), Some(5)), window(Some(0), Some(9)), vec![]),
            (window(Some(3), Some(5)), all, vec![]),
            (all, window(Some(3), Some(5)), vec![window(None, Some(3)), window(Some(5), None)]),
            (all, all, vec![]),
        ] {
            assert_eq!(this.without(other).collect::<Vec<_>>(), left, "{this:?} without {other:?}");
        }
    }

    #[test]
    fn windows_that_touch_are_one() {
        let window = |from, to| Window { from, to };
        for (windows, expected) in [
            (vec![], vec![]),
            (vec![window(Some(5), Some(9)), window(Some(0), Some(5))], vec![window(Some(0), Some(9))]),
            (
                vec![window(Some(5), None), window(Some(0), Some(4))],
                vec![window(Some(0), Some(4)), window(Some(5), None)],
            ),
            (vec![window(Some(0), None), window(Some(3), Some(4))], vec![window(Some(0), None)]),
            (
                vec![window(Some(3), Some(4)), window(None, Some(2))],
                vec![window(None, Some(2)), window(Some(3), Some(4))],
            ),
            (vec![window(Some(3), Some(3))], vec![]),
        ] {
            assert_eq!(union(windows.clone()), expected, "{windows:?}");
        }
        assert_eq!(hull(&[window(None, Some(2)), window(Some(5), Some(9))]), window(None, Some(9)));
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
