//! The headers that answers are led by.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, LINK, RETRY_AFTER};

/// No clock shows more: the end of the year 9999, in epoch seconds.
const LAST_SECOND: i64 = 253_402_300_799;

/// What an answer says about the current rate window.
///
/// Source: Intercom developer docs, "Rate limiting" (read 2026-11-20): the limit is cut into windows of
/// 10 seconds, and the headers speak of the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateHeaders {
    /// Requests allowed in this window.
    pub limit: u32,
    /// Requests left in this window when the answer was made.
    pub remaining: u32,
    /// The window's end in epoch seconds by the server's clock; tells windows apart.
    pub reset: i64,
    /// The server's clock when it answered, in epoch seconds, cut to the second.
    pub date: i64,
}

impl RateHeaders {
    /// Time left in the window: `Reset - Date` of the same answer, so that clocks need not agree;
    /// within 0 to 60 s.
    pub fn resets_in(&self) -> Duration {
        let seconds = self.reset.saturating_sub(self.date).clamp(0, 60);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }
}

/// The rate headers, if all are there. `local` stands in for a server that does not say its time.
pub(super) fn rate(headers: &HeaderMap, local: Timestamp) -> Option<RateHeaders> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    Some(RateHeaders {
        limit: u32::try_from(number("x-ratelimit-limit")?.max(1)).ok()?,
        remaining: u32::try_from(number("x-ratelimit-remaining")?.max(0)).ok()?,
        reset: number("x-ratelimit-reset")?.clamp(0, LAST_SECOND),
        date: date(headers).unwrap_or(local).as_second(),
    })
}

/// The server's clock, to the second.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

/// `Retry-After` in seconds or as a date, at most a quarter of an hour.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = if let Ok(seconds) = text.parse::<i64>() {
        seconds
    } else if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        i64::MAX
    } else {
        let moment = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        moment.as_second() - date(headers)?.as_second()
    };
    Some(Duration::from_secs(u64::try_from(seconds.clamp(0, 900)).unwrap_or(0)))
}

/// The id at the end of the path under which an object that was merged into another is to be found:
/// `Link: </contacts/5>; rel="canonical"`.
pub(super) fn canonical_id(headers: &HeaderMap) -> Option<String> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let (path, relation) = link.strip_prefix('<')?.split_once('>')?;
    let id = path.split('?').next()?.rsplit('/').next().filter(|id| !id.is_empty())?;
    relation.contains("canonical").then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_window_ends_by_the_servers_own_clock() {
        let answer = headers(&[
            ("date", "Thu, 15 Jan 2026 12:00:03 GMT"),
            ("x-ratelimit-limit", "167"),
            ("x-ratelimit-remaining", "12"),
            ("x-ratelimit-reset", "1768478410"),
        ]);
        let read = rate(&answer, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!((read.limit, read.remaining, read.resets_in()), (167, 12, Duration::from_secs(7)));
        assert_eq!(rate(&headers(&[("x-ratelimit-limit", "167")]), Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn without_a_date_the_local_clock_stands_in() {
        let answer = headers(&[
            ("x-ratelimit-limit", "167"),
            ("x-ratelimit-remaining", "12"),
            ("x-ratelimit-reset", "1768478410"),
        ]);
        let local = Timestamp::from_second(1_768_478_405).unwrap();
        assert_eq!(rate(&answer, local).unwrap().resets_in(), Duration::from_secs(5));
    }

    #[test]
    fn a_reset_far_away_or_past_is_bounded() {
        for (reset, seconds) in [
            ("1768478000", 0),
            ("1768999999", 60),
            ("4102444800", 60),
            ("9223372036854775807", 60),
            ("-9223372036854775808", 0),
        ] {
            let answer = headers(&[
                ("date", "Thu, 15 Jan 2026 12:00:03 GMT"),
                ("x-ratelimit-limit", "1"),
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", reset),
            ]);
            assert_eq!(
                rate(&answer, Timestamp::UNIX_EPOCH).unwrap().resets_in(),
                Duration::from_secs(seconds)
            );
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let date = ("date", "Thu, 15 Jan 2026 12:00:03 GMT");
        for (value, seconds) in [
            ("7", Some(7)),
            ("Thu, 15 Jan 2026 12:00:08 GMT", Some(5)),
            ("99999", Some(900)),
            ("1000000000", Some(900)),
            ("99999999999999999999", Some(900)),
            ("-3", Some(0)),
            ("Fri, 15 Jan 2100 12:00:00 GMT", Some(900)),
            ("soon", None),
            ("", None),
        ] {
            let read = retry_after(&headers(&[date, ("retry-after", value)]));
            assert_eq!(read, seconds.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn a_link_names_the_object_that_is_left() {
        for (link, expected) in [
            (r#"</contacts/5f0a>; rel="canonical""#, Some("5f0a")),
            ("<https://api.intercom.io/contacts/5f0a>; rel=canonical", Some("5f0a")),
            (r#"</contacts/5f0a>; rel="next""#, None),
            (r#"</contacts/>; rel="canonical""#, None),
            ("nonsense", None),
        ] {
            assert_eq!(canonical_id(&headers(&[("link", link)])).as_deref(), expected, "{link}");
        }
    }
}
