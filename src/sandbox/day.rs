//! Calendar days in the workspace's time zone: what a contact search makes of a date.

use std::ops::Range;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::filter::Op;

/// The seconds a contact search matches for `<date field> op value`; `None` where the operator is not for dates
/// or the value lies outside the calendar (years -9999 to 9999).
///
/// ```text
///              start of value's day     value          start of next day
///   <  ------------------)
///   =                    [------------------------------)
///   >                                                   [---------------
/// ```
///
/// So a value inside a day never cuts that day: `>` shows nothing dated the value's own day.
pub(crate) fn matched_seconds(op: Op, value: i64, zone: &TimeZone) -> Option<Range<i64>> {
    let day = day_around(value, zone)?;
    match op {
        Op::Equal => Some(day),
        Op::Greater => Some(day.end..i64::MAX),
        Op::Lower => Some(i64::MIN..day.start),
        _ => None,
    }
}

/// First second of `second`'s day, and of the day after; 23 or 25 hours apart where the clocks change.
fn day_around(second: i64, zone: &TimeZone) -> Option<Range<i64>> {
    let date = Timestamp::from_second(second).ok()?.to_zoned(zone.clone()).date();
    let start = date.to_zoned(zone.clone()).ok()?;
    let end = date.tomorrow().ok()?.to_zoned(zone.clone()).ok()?;
    Some(start.timestamp().as_second()..end.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn a_day_is_the_workspaces_not_utcs() {
        for (zone, value, start, end) in [
            ("UTC", "2026-01-15T12:00:00Z", "2026-01-15T00:00:00Z", "2026-01-16T00:00:00Z"),
            ("UTC", "2026-01-15T00:00:00Z", "2026-01-15T00:00:00Z", "2026-01-16T00:00:00Z"),
            ("UTC", "2026-01-14T23:59:59Z", "2026-01-14T00:00:00Z", "2026-01-15T00:00:00Z"),
            // UTC+14: the day began the morning before, by UTC.
            ("Pacific/Kiritimati", "2026-01-15T12:00:00Z", "2026-01-15T10:00:00Z", "2026-01-16T10:00:00Z"),
            ("Pacific/Kiritimati", "2026-01-15T09:59:59Z", "2026-01-14T10:00:00Z", "2026-01-15T10:00:00Z"),
            // UTC-8 in winter.
            ("America/Los_Angeles", "2026-01-15T07:59:59Z", "2026-01-14T08:00:00Z", "2026-01-15T08:00:00Z"),
            ("America/Los_Angeles", "2026-01-15T08:00:00Z", "2026-01-15T08:00:00Z", "2026-01-16T08:00:00Z"),
            // The day the clocks go forward has 23 hours, the day they go back 25.
            ("America/Los_Angeles", "2026-03-08T20:00:00Z", "2026-03-08T08:00:00Z", "2026-03-09T07:00:00Z"),
            ("Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            // Clocks that skip midnight itself: the day starts at 01:00.
            ("Africa/Cairo", "2026-04-24T12:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"),
        ] {
            let tz = TimeZone::get(zone).unwrap();
            assert_eq!(day_around(second(value), &tz), Some(second(start)..second(end)), "{zone} {value}");
        }
    }

    #[test]
    fn greater_starts_at_the_next_midnight_and_lower_ends_before_the_day() {
        let nine = second("2026-01-15T09:00:00Z");
        let matched = |op| matched_seconds(op, nine, &TimeZone::UTC);
        assert_eq!(matched(Op::Greater), Some(second("2026-01-16T00:00:00Z")..i64::MAX));
        assert_eq!(matched(Op::Lower), Some(i64::MIN..second("2026-01-15T00:00:00Z")));
        assert_eq!(matched(Op::Equal), Some(second("2026-01-15T00:00:00Z")..second("2026-01-16T00:00:00Z")));
        for op in [Op::GreaterOrEqual, Op::LowerOrEqual, Op::NotEqual, Op::In, Op::NotIn, Op::Contains] {
            assert_eq!(matched(op), None, "{op:?}");
        }
        assert_eq!(matched_seconds(Op::Greater, i64::MAX, &TimeZone::UTC), None);
    }

    #[test]
    fn no_date_is_too_odd_in_any_zone() {
        const DAYS: i64 = 3 * 86_400;
        let odd = [
            0,
            -1,
            -5,
            -86_400,
            i64::from(i32::MIN),
            i64::from(i32::MAX) + 1,
            second("3000-01-01T00:00:00Z"),
        ];
        let beyond = [i64::MIN, Timestamp::MIN.as_second(), Timestamp::MAX.as_second(), i64::MAX];
        let zones = jiff::tz::db().available().filter_map(|name| TimeZone::get(name.as_str()).ok());
        let zones: Vec<_> = zones.chain([TimeZone::UTC]).collect();
        for zone in &zones {
            for value in odd {
                let matched = |op| matched_seconds(op, value, zone).unwrap();
                let (lower, greater) = (matched(Op::Lower), matched(Op::Greater));
                assert!(lower.contains(&(value - DAYS)) && !lower.contains(&value), "{zone:?} {value}");
                assert!(greater.contains(&(value + DAYS)) && !greater.contains(&(value - DAYS)), "{zone:?}");
                assert!(
                    lower.end < greater.start && lower.end == matched(Op::Equal).start,
                    "{zone:?} {value}"
                );
            }
            for (value, op) in beyond.into_iter().zip([Op::Equal, Op::Greater, Op::Lower, Op::Equal]) {
                // Whether the calendar still holds them, they may not be more than nothing.
                assert!(matched_seconds(op, value, zone).is_none_or(|matched| matched.start < matched.end));
            }
        }
    }
}
