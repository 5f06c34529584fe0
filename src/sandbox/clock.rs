//! The simulated clock: real time that can be pushed ahead, never back.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::locked;

/// `started_at` + real time since then + everything it was advanced by.
#[derive(Debug)]
pub(crate) struct Clock {
    started_at: Timestamp,
    started: Instant,
    advanced: Mutex<Duration>,
}

impl Clock {
    pub(crate) fn new(started_at: Timestamp) -> Self {
        Self { started_at, started: Instant::now(), advanced: Mutex::new(Duration::ZERO) }
    }

    /// The simulated present; stands still at the end of time.
    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = self.started.elapsed().saturating_add(*locked(&self.advanced));
        self.started_at.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn advance(&self, by: Duration) {
        let mut advanced = locked(&self.advanced);
        *advanced = advanced.saturating_add(by);
    }
}

/// `at` as an HTTP date (RFC 9110, IMF-fixdate), cut to the second.
pub(crate) fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_jumps_by_what_it_is_advanced_by() {
        let start = Timestamp::from_second(1_000).unwrap();
        let clock = Clock::new(start);
        clock.advance(Duration::from_secs(90));
        assert!(clock.now().as_second() >= 1_090);
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), Timestamp::MAX);
    }

    #[test]
    fn dates_are_written_as_http_wants_them() {
        assert_eq!(http_date(Timestamp::from_second(784_111_777).unwrap()), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
