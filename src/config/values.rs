//! Durations, rates and instants as people write them. All pure; none of the errors repeats the value.

use std::time::Duration;

use jiff::civil::Date;
use jiff::fmt::friendly::SpanParser;
use jiff::tz::TimeZone;
use jiff::{SpanRelativeTo, Timestamp};

/// What should have been written instead; the message never repeats what was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct Expected(pub &'static str);

/// 100 years of 365 days: far beyond any use, and far from overflowing a timestamp.
const LONGEST: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);

/// At most `requests` in any stretch of time `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many requests; at least 1.
    pub requests: u32,
    /// In how long; never zero.
    pub per: Duration,
}

/// Reads `7d`, `12h`, `1d12h`, `90s`, `150ms`, `0d`, `1 hour 30 minutes`. A day is 24 h, a week 7 days; months
/// and years have no fixed length and are refused, as are negative durations and those above 36,500 days.
pub fn parse_duration(text: &str) -> Result<Duration, Expected> {
    const DURATION: Expected = Expected("a duration such as 7d, 12h, 1d12h, 90s or 150ms");
    let span = SpanParser::new().parse_span(text).map_err(|_| DURATION)?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| DURATION)?;
    let duration = Duration::try_from(signed).map_err(|_| Expected("a duration that is not negative"))?;
    if duration > LONGEST { Err(Expected("a duration of at most 36500d")) } else { Ok(duration) }
}

/// Reads `166/10s`, `1000/min`, `10/s`: requests, a slash, and a duration whose number may be left out.
pub fn parse_rate(text: &str) -> Result<Rate, Expected> {
    const RATE: Expected = Expected("requests per time such as 166/10s or 1000/min");
    let (requests, per) = text.split_once('/').ok_or(RATE)?;
    let requests = requests.trim().parse().ok().filter(|requests| *requests > 0).ok_or(RATE)?;
    let per = per.trim();
    let per = if per.starts_with(|c: char| c.is_ascii_digit()) {
        parse_duration(per)
    } else {
        parse_duration(&format!("1{per}"))
    };
    let per = per.ok().filter(|per| !per.is_zero()).ok_or(RATE)?;
    Ok(Rate { requests, per })
}

/// Reads an RFC 3339 instant (`2023-01-01T00:00:00Z`, any offset) or a date, which means its midnight in UTC.
/// A time of day without an offset is refused, since it could mean any of 26 hours.
pub fn parse_instant(text: &str) -> Result<Timestamp, Expected> {
    const INSTANT: Expected =
        Expected("a date such as 2023-01-01 or an instant such as 2023-01-01T00:00:00Z");
    if text.len() == "2023-01-01".len() {
        let date: Date = text.parse().map_err(|_| INSTANT)?;
        return Ok(date.to_zoned(TimeZone::UTC).map_err(|_| INSTANT)?.timestamp());
    }
    text.parse().map_err(|_| INSTANT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        const HOUR: u64 = 3600;
        for (text, seconds) in [
            ("7d", 7 * 24 * HOUR),
            ("12h", 12 * HOUR),
            ("30m", 1800),
            ("1d12h", 36 * HOUR),
            ("1d 12h", 36 * HOUR),
            ("90s", 90),
            ("0d", 0),
            ("1w", 7 * 24 * HOUR),
            ("1 hour 30 minutes", 5400),
            ("36500d", LONGEST.as_secs()),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse_duration("150ms"), Ok(Duration::from_millis(150)));
    }

    #[test]
    fn what_is_no_duration() {
        let such_as = "expected a duration such as 7d, 12h, 1d12h, 90s or 150ms";
        for (text, message) in [
            ("", such_as),
            ("7", such_as),
            ("d", such_as),
            ("seven days", such_as),
            ("1mo", such_as),
            ("1y", such_as),
            ("7d;", such_as),
            ("-1d", "expected a duration that is not negative"),
            ("1d ago", "expected a duration that is not negative"),
            ("36501d", "expected a duration of at most 36500d"),
            ("99999999999999d", such_as),
        ] {
            assert_eq!(parse_duration(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn rates() {
        for (text, requests, seconds) in [
            ("166/10s", 166, 10),
            ("1000/min", 1000, 60),
            ("10/s", 10, 1),
            ("1/h", 1, 3600),
            ("1000 / 1m", 1000, 60),
        ] {
            assert_eq!(parse_rate(text), Ok(Rate { requests, per: Duration::from_secs(seconds) }), "{text}");
        }
        for text in ["", "166", "166/", "/10s", "0/10s", "-1/s", "1.5/s", "166/0s", "166/10", "5000000000/s"]
        {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn instants() {
        for (text, expected) in [
            ("2023-01-01", "2023-01-01T00:00:00Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z"),
            ("2023-01-01T00:00:00Z", "2023-01-01T00:00:00Z"),
            ("2023-01-01 06:30:00Z", "2023-01-01T06:30:00Z"),
            ("2023-01-01T01:00:00+02:00", "2022-12-31T23:00:00Z"),
        ] {
            assert_eq!(parse_instant(text).unwrap().to_string(), expected, "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2023-02-29",
            "2023-1-1",
            "20230101",
            "2023-01-01T00:00:00",
            "1672531200",
            "2023-01-01x",
            "01.01.2023",
        ] {
            assert!(parse_instant(text).is_err(), "{text}");
        }
    }
}
