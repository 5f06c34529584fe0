//! Which failures are worth another attempt, and when. Pure.

use std::time::{Duration, Instant};

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
    /// How long refusals for the rate (429) are waited out in all, and errors of a server that says when to come back. The
    /// last wait may begin just before, and be as long as the server asks for: a quarter of an hour at most.
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

/// What a call has met with so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct History {
    troubled: u32,
    refused: u32,
    troubled_since: Option<Instant>,
    refused_since: Option<Instant>,
}

/// The same at some moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Past {
    /// Attempts that ended in trouble, and how long ago the first of them did.
    pub(super) troubled: u32,
    pub(super) troubled_for: Duration,
    /// Attempts that were refused for the rate, and how long ago the first of them was.
    pub(super) refused: u32,
    pub(super) refused_for: Duration,
}

impl History {
    /// An attempt has ended like this.
    pub(super) fn note(&mut self, after: After, now: Instant) {
        let (count, since) = match after {
            After::RateLimited => (&mut self.refused, &mut self.refused_since),
            After::Trouble => (&mut self.troubled, &mut self.troubled_since),
        };
        *count += 1;
        since.get_or_insert(now);
    }

    pub(super) fn at(&self, now: Instant) -> Past {
        let ago = |since: Option<Instant>| since.map_or(Duration::ZERO, |since| now.duration_since(since));
        Past {
            troubled: self.troubled,
            troubled_for: ago(self.troubled_since),
            refused: self.refused,
            refused_for: ago(self.refused_since),
        }
    }
}

/// Decides about `failure`, given what this call has met with before. A wait asked for by the server is never shortened;
/// no new one is begun once the server has been waited for as long as [`Backoff::refusals`].
pub(super) fn judge(failure: &CallError, past: Past, backoff: Backoff) -> Verdict {
    let Past { troubled, troubled_for, refused, refused_for } = past;
    let asked = failure.refusal().and_then(|refusal| refusal.wait);
    match failure.status() {
        Some(429) if refused_for < backoff.refusals => {
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
            let is_put_off = asked.is_some() && troubled_for >= backoff.refusals;
            if troubled + 1 >= limit || is_put_off {
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
        judge(failure, Past { troubled, ..Past::default() }, Backoff::default())
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
            match judge(&failure, Past { refused, ..Past::default() }, Backoff::default()) {
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
        let past =
            |seconds| Past { refused: 9, refused_for: Duration::from_secs(seconds), ..Past::default() };
        assert_eq!(judge(&refusal(429, None), past(900), Backoff::default()), Verdict::Fail);
        let earlier = judge(&refusal(429, None), Past { troubled: 99, ..past(899) }, Backoff::default());
        assert!(matches!(earlier, Verdict::Again { after: After::RateLimited, .. }));
    }

    #[test]
    fn a_server_that_puts_off_again_and_again_is_not_waited_for_any_longer_than_that() {
        let past =
            |seconds| Past { troubled: 1, troubled_for: Duration::from_secs(seconds), ..Past::default() };
        for (wait, seconds, is_over) in
            [(Some(900), 0, false), (Some(900), 899, false), (Some(900), 900, true), (None, 900, false)]
        {
            let verdict = judge(&refusal(503, wait), past(seconds), Backoff::default());
            assert_eq!(verdict == Verdict::Fail, is_over, "{wait:?} after {seconds} s");
        }
    }

    #[test]
    fn what_a_call_has_met_with_is_counted_by_its_kind_from_the_first_time_on() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut history = History::default();
        history.note(After::RateLimited, at(0));
        history.note(After::Trouble, at(5));
        history.note(After::RateLimited, at(7));
        let past = history.at(at(9));
        assert_eq!((past.refused, past.refused_for), (2, Duration::from_secs(9)));
        assert_eq!((past.troubled, past.troubled_for), (1, Duration::from_secs(4)));
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
