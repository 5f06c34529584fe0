//! The rate limit: fixed windows, each with its own allowance.

use jiff::Timestamp;

use super::settings::RateLimit;

/// How much of the window in progress is used up.
#[derive(Debug, Default)]
pub(crate) struct RateWindow {
    number: i128,
    used: u32,
}

/// What one request is told about the limit; the three numbers go into the answer's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) granted: bool,
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    /// Unix second at (or within a second after) which the window ends.
    pub(crate) reset: i64,
}

impl RateWindow {
    /// Counts one request at `now`. A refused one does not count.
    pub(crate) fn take(&mut self, rate: RateLimit, now: Timestamp) -> Allowance {
        let length = i128::try_from(rate.per.as_nanos()).unwrap_or(i128::MAX).max(1);
        let number = now.as_nanosecond().div_euclid(length);
        if number != self.number {
            *self = Self { number, used: 0 };
        }
        let granted = self.used < rate.requests;
        self.used += u32::from(granted);
        let end = number.saturating_add(1).saturating_mul(length);
        let reset =
            i64::try_from(end.saturating_add(999_999_999).div_euclid(1_000_000_000)).unwrap_or(i64::MAX);
        Allowance { granted, limit: rate.requests, remaining: rate.requests - self.used, reset }
    }
}

/// The sentence of a 429.
pub(crate) fn exceeded(rate: RateLimit) -> String {
    format!("Exceeded rate limit of {} in {}_seconds", rate.requests, rate.per.as_secs().max(1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn windows_are_aligned_and_refusals_cost_nothing() {
        let rate = RateLimit { requests: 2, per: Duration::from_secs(10) };
        let mut window = RateWindow::default();
        let told = |a: Allowance| (a.granted, a.remaining, a.reset);
        assert_eq!(told(window.take(rate, at(1_019_000))), (true, 1, 1_020));
        assert_eq!(told(window.take(rate, at(1_019_999))), (true, 0, 1_020));
        assert_eq!(told(window.take(rate, at(1_019_999))), (false, 0, 1_020));
        assert_eq!(told(window.take(rate, at(1_020_000))), (true, 1, 1_030));
    }

    #[test]
    fn a_window_shorter_than_a_second_ends_within_the_stated_one() {
        let rate = RateLimit { requests: 1, per: Duration::from_millis(300) };
        assert_eq!(RateWindow::default().take(rate, at(10_100)).reset, 11);
    }
}
