//! The server's clock, to a fraction of the second it tells. Pure.

/// One second in the unit of this module, microseconds.
pub(super) const SECOND: i64 = 1_000_000;
/// How far two clocks may drift apart: 200 microseconds in a second.
const DRIFT: i64 = 5_000;

/// Bounds of `server - local`, in microseconds.
///
/// `Date` is the server's clock cut to the second, read at some moment between sending and receiving:
///
/// ```text
///   date - received  <  server - local  <  date + 1 s - sent
/// ```
///
/// One answer leaves a second and its own latency open. Answers fall everywhere within the second, so a
/// few dozen of them leave little more than the latency. Bounds that contradict each other mean that a
/// clock was set; then the newest answer counts alone.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct ServerClock {
    known: Option<Bounds>,
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    least: i64,
    most: i64,
    /// Local time of the answer seen last.
    at: i64,
}

impl ServerClock {
    /// Learns from an answer whose `Date` is `date`, in epoch seconds.
    pub(super) fn learn(&mut self, date: i64, sent: i64, received: i64) {
        let date = date.saturating_mul(SECOND);
        let new = Bounds {
            least: date.saturating_sub(received),
            most: date.saturating_add(SECOND).saturating_sub(sent),
            at: received,
        };
        let narrowed = self.known.map(|known| {
            let drift = (received - known.at).max(0) / DRIFT;
            Bounds {
                least: (known.least - drift).max(new.least),
                most: (known.most + drift).min(new.most),
                at: received.max(known.at),
            }
        });
        self.known = Some(narrowed.filter(|bounds| bounds.least <= bounds.most).unwrap_or(new));
    }

    /// The latest local time at which the server's clock shows `second`.
    pub(super) fn latest(&self, second: i64) -> Option<i64> {
        self.known.map(|known| second.saturating_mul(SECOND).saturating_sub(known.least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000;

    /// A server `ahead` of us whose answers take `latency`, asked every `every`; the latest local time of second 100
    /// against the true one.
    fn error_after(answers: i64, ahead: i64, latency: i64, every: i64) -> i64 {
        let mut clock = ServerClock::default();
        for number in 0..answers {
            let sent = number * every;
            let date = (sent + latency / 2 + ahead).div_euclid(SECOND);
            clock.learn(date, sent, sent + latency);
        }
        clock.latest(100).unwrap() - (100 * SECOND - ahead)
    }

    #[test]
    fn answers_narrow_the_bounds_to_less_than_their_latency() {
        for (answers, ahead, latency, at_most) in [
            (1, 0, 20 * MS, 1_020 * MS),
            (40, 0, 20 * MS, 47 * MS),
            (40, 7_340 * MS, 20 * MS, 47 * MS),
            (40, -3_600 * SECOND - 123, 20 * MS, 47 * MS),
            (400, 7_340 * MS, 600 * MS, 340 * MS),
        ] {
            let error = error_after(answers, ahead, latency, 37 * MS);
            assert!((0..=at_most).contains(&error), "{answers} answers, {latency}: {error}");
        }
    }

    #[test]
    fn a_clock_that_is_set_is_followed_and_drift_is_allowed_for() {
        let mut clock = ServerClock::default();
        clock.learn(50, 0, 10 * MS);
        clock.learn(20, SECOND, SECOND + 10 * MS);
        assert_eq!(clock.latest(21), Some(2 * SECOND + 10 * MS));
        // A day later, 10 s apart because of drift.
        let day = 86_400 * SECOND;
        clock.learn(86_409, day, day + 10 * MS);
        assert!(clock.latest(86_410).is_some_and(|at| at >= day && at <= day + SECOND + 10 * MS));
        assert_eq!(ServerClock::default().latest(1), None);
    }
}
