//! Which failures are worth another attempt, and when. Pure.

use std::time::Duration;

use super::failure::CallError;

/// How attempts are spaced and when it is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait; each next one is twice as long, and each is shortened by up to half at random.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// Attempts that may end in trouble before the call fails.
    pub attempts: u32,
    /// How long refusals for the rate (429) are waited out in all.
    pub refusals: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            attempts: 6,
            refusals: Duration::from_secs(15 * 60),
        }
    }
}

impl Backoff {
    /// The wait after `earlier` attempts of the same kind.
    pub fn wait(&self, earlier: u32) -> Duration {
        let full = self.first.saturating_mul(2u32.saturating_pow(earlier.min(20))).min(self.longest);
        full.mul_f64(1.0 - fastrand::f64() / 2.0)
    }
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Try again after the wait.
    Again {
        /// What the attempt ended in.
        after: After,
        /// How long to wait first.
        wait: Duration,
    },
    /// No retry cures this, or it was tried often enough.
    Fail,
}

/// The two ways in which an attempt ends that is worth repeating.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// 429: not carried out.
    RateLimited,
    /// An error of the server, a broken answer, silence.
    Trouble,
}

/// Decides about `failure`, given how often this call met trouble and refusals before, and for how long
/// it has been tried. A wait asked for by the server is never shortened.
pub(super) fn judge(
    failure: &CallError,
    troubled: u32,
    refused: u32,
    elapsed: Duration,
    backoff: Backoff,
) -> Verdict {
    let asked = failure.refusal().and_then(|refusal| refusal.wait);
    match failure.status() {
        Some(429) if elapsed < backoff.refusals => {
            // A server that asks to come back at once and refuses again is given more time than it asks for.
            let own = if refused == 0 && asked.is_some() { Duration::ZERO } else { backoff.wait(refused) };
            let wait = asked.unwrap_or_default().max(own) + jitter();
            Verdict::Again { after: After::RateLimited, wait }
        }
        Some(429) => Verdict::Fail,
        Some(status) if !is_transient(status) => Verdict::Fail,
        // Another handshake shows the same certificate.
        None if failure.is_untrusted() => Verdict::Fail,
        _ => {
            // Nobody listens: cron comes back sooner than a long series of attempts ends.
            let limit = if failure.is_unreachable() { backoff.attempts.min(4) } else { backoff.attempts };
            if troubled + 1 >= limit {
                return Verdict::Fail;
            }
            let wait = asked.unwrap_or_default().max(backoff.wait(troubled));
            Verdict::Again { after: After::Trouble, wait }
        }
    }
}

/// Error statuses that may be gone the next time.
fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..)
}

/// Keeps clients that were refused together from coming back together.
fn jitter() -> Duration {
    Duration::from_millis(fastrand::u64(10..120))
}

#[cfg(test)]
mod tests {
    use super::super::failure::Refusal;
    use super::*;

    fn refusal(status: u16, wait: Option<u64>) -> CallError {
        let wait = wait.map(Duration::from_secs);
        CallError::refused(
            "GET /x".into(),
            Refusal { status, code: None, message: None, wait, canonical: None },
        )
    }

    fn decide(failure: &CallError, troubled: u32) -> Verdict {
        judge(failure, troubled, 0, Duration::ZERO, Backoff::default())
    }

    #[test]
    fn these_statuses_and_no_others_are_tried_again() {
        let again: Vec<u16> =
            (300..=599).filter(|status| decide(&refusal(*status, None), 0) != Verdict::Fail).collect();
        let expected: Vec<u16> = [408, 429].into_iter().chain(500..=599).collect();
        assert_eq!(again, expected);
    }

    #[test]
    fn trouble_ends_after_the_set_number_of_attempts() {
        assert!(matches!(decide(&refusal(503, None), 4), Verdict::Again { .. }));
        assert_eq!(decide(&refusal(503, None), 5), Verdict::Fail);
    }

    #[test]
    fn a_wait_the_server_asks_for_is_kept() {
        let Verdict::Again { wait, .. } = decide(&refusal(503, Some(40)), 0) else { panic!("must retry") };
        assert_eq!(wait, Duration::from_secs(40));
        let Verdict::Again { wait, .. } = decide(&refusal(429, Some(40)), 0) else { panic!("must retry") };
        assert!(wait >= Duration::from_secs(40));
    }

    #[test]
    fn a_server_that_keeps_asking_back_at_once_is_asked_ever_less_often() {
        let waits = (0..4).map(|refused| {
            let failure = refusal(429, Some(0));
            match judge(&failure, 0, refused, Duration::ZERO, Backoff::default()) {
                Verdict::Again { wait, .. } => wait,
                Verdict::Fail => panic!("must retry"),
            }
        });
        let waits: Vec<Duration> = waits.collect();
        assert!(waits[0] < Duration::from_millis(200), "{waits:?}");
        assert!(waits[3] >= Duration::from_secs(2), "{waits:?}");
    }

    #[test]
    fn refusals_for_the_rate_are_waited_out_for_a_quarter_of_an_hour() {
        let late = judge(&refusal(429, None), 0, 9, Duration::from_secs(900), Backoff::default());
        assert_eq!(late, Verdict::Fail);
        let earlier = judge(&refusal(429, None), 99, 99, Duration::from_secs(899), Backoff::default());
        assert!(matches!(earlier, Verdict::Again { after: After::RateLimited, .. }));
    }

    #[test]
    fn waits_double_up_to_the_longest_and_vary() {
        let backoff = Backoff::default();
        for (earlier, full) in [(0, 500), (1, 1000), (3, 4000), (20, 30_000)] {
            let wait = backoff.wait(earlier);
            assert!(
                wait <= Duration::from_millis(full) && wait >= Duration::from_millis(full / 2),
                "{wait:?}"
            );
        }
    }
}
