//! A limit that we keep by ourselves. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Moments of sending that are remembered at most.
const MOMENTS: u32 = 1_000;

/// At most so many requests in any span of time of one length, wherever it begins.
///
/// So it also holds for windows of a server that does not say when they begin. Of more than
/// a thousand requests, moments are rounded up by a thousandth of the period, so that little has to be remembered.
#[derive(Debug)]
pub(super) struct Ceiling {
    requests: u32,
    period: Duration,
    /// Requests by the moment from which on they no longer count, the earliest first.
    spent: VecDeque<(Instant, u32)>,
    sum: u32,
}

impl Ceiling {
    pub(super) fn new(requests: u32, period: Duration) -> Self {
        Self { requests, period, spent: VecDeque::new(), sum: 0 }
    }

    /// Requests that may still go out at `now`.
    pub(super) fn left(&self, now: Instant) -> u32 {
        let over: u32 = self.spent.iter().take_while(|(until, _)| *until <= now).map(|(_, n)| n).sum();
        self.requests.saturating_sub(self.sum - over)
    }

    /// When the next request may go out, if none may now.
    pub(super) fn free_at(&self, now: Instant) -> Option<Instant> {
        if self.left(now) > 0 { None } else { self.spent.iter().map(|(at, _)| *at).find(|at| *at > now) }
    }

    /// Counts a request.
    pub(super) fn take(&mut self, now: Instant) {
        while let Some((until, requests)) = self.spent.front().copied()
            && until <= now
        {
            self.sum -= requests;
            self.spent.pop_front();
        }
        self.sum += 1;
        let until = now + self.period;
        match self.spent.back_mut() {
            Some((last, requests)) if *last >= until => *requests += 1,
            _ if self.requests > MOMENTS => self.spent.push_back((until + self.period / MOMENTS, 1)),
            _ => self.spent.push_back((until, 1)),
        }
    }

    /// Requests per second that this allows.
    pub(super) fn per_second(&self) -> f64 {
        f64::from(self.requests) / self.period.as_secs_f64().max(1e-3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn no_span_holds_more_than_allowed_and_nothing_is_given_away() {
        let start = Instant::now();
        for (requests, period, every) in [(5, 1_000, 10), (166, 10_000, 13), (3_000, 3_000, 1), (1, 300, 7)] {
            let period = MS * period;
            let mut ceiling = Ceiling::new(requests, period);
            let mut taken = Vec::new();
            for step in 0..4_000 {
                let now = start + MS * every * step;
                if ceiling.left(now) > 0 {
                    assert_eq!(ceiling.free_at(now), None);
                    ceiling.take(now);
                    taken.push(now);
                } else {
                    assert!(ceiling.free_at(now).is_some_and(|at| at > now && at <= now + period));
                }
            }
            let most = usize::try_from(requests).unwrap();
            assert!(taken.windows(most + 1).all(|span| span[most] - span[0] >= period), "{requests}");
            let spans = u32::try_from((MS * every * 4_000).as_millis() / period.as_millis()).unwrap();
            assert!(
                taken.len() + most >= usize::try_from(spans * requests).unwrap() * 98 / 100,
                "{requests}"
            );
            assert!(ceiling.spent.len() <= usize::try_from(MOMENTS).unwrap() + 2);
        }
    }
}
