//! How many requests are worth having in flight at once. Pure.
//!
//! As many as the allowed rate and the latency ask for (their product), doubled so that what was missed can be caught
//! up with; but only as long as more requests do not just wait longer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Where it begins, before anything is known.
const FIRST: u32 = 16;
/// Where slowness stops lowering it to, and where trouble does.
const SLOW_LEAST: u32 = 16;
const LEAST: u32 = 2;
/// Requests in flight beyond what rate and latency ask for.
const SPARE: f64 = 8.0;
/// How long a latency counts as what the server can do.
const REMEMBERED: Duration = Duration::from_secs(120);
/// Waits this short say nothing about the server.
const NOISE: Duration = Duration::from_millis(50);
/// Kinds of calls told apart.
const KINDS: usize = 64;

/// Adapts the number of requests in flight. A request holds its slot until its answer has been read whole, so that the
/// number also bounds the memory that answers take.
#[derive(Debug)]
pub(super) struct Concurrency {
    most: u32,
    limit: u32,
    in_use: u32,
    /// Mean time that a slot is held.
    latency: Option<Duration>,
    usual: HashMap<u64, Usual>,
    round: Round,
}

/// What happened since the limit was set last: about as many answers as it lets be in flight.
#[derive(Debug, Default, Clone, Copy)]
struct Round {
    answers: u32,
    /// Errors of the server and requests without an answer.
    troubled: u32,
    /// Answers that took more than twice as long as usual.
    slow: u32,
    /// Whether a request was held up by the limit.
    held_up: bool,
}

/// The shortest latencies of one kind of call, of the current and of the span before.
#[derive(Debug, Clone, Copy)]
struct Usual {
    since: Instant,
    now: Duration,
    before: Duration,
}

impl Concurrency {
    /// At most `most` in flight, at least one.
    pub(super) fn new(most: u32) -> Self {
        let most = most.max(1);
        Self {
            most,
            limit: FIRST.min(most),
            in_use: 0,
            latency: None,
            usual: HashMap::new(),
            round: Round::default(),
        }
    }

    /// Whether one more may be in flight.
    pub(super) fn has_room(&self) -> bool {
        self.in_use < self.limit
    }

    /// A request that the budget had allowed found no room: a reason to grow.
    pub(super) fn held_up(&mut self) {
        self.round.held_up = true;
    }

    pub(super) fn enter(&mut self) {
        self.in_use += 1;
    }

    /// A slot is free again.
    pub(super) fn leave(&mut self) {
        self.in_use = self.in_use.saturating_sub(1);
    }

    /// An answer of a kind of call came after `latency`; `held` is how long its slot was taken.
    pub(super) fn answered(&mut self, kind: u64, latency: Duration, held: Duration, rate: f64, now: Instant) {
        let mean = self.latency.map_or(held, |mean| mean * 7 / 8 + held / 8);
        self.latency = Some(mean);
        let usual = self.usual(kind, latency, now);
        self.round.slow += u32::from(latency > usual * 2 + NOISE);
        self.ended(rate);
    }

    /// A request got an error of the server or no answer.
    pub(super) fn troubled(&mut self, rate: f64) {
        self.round.troubled += 1;
        self.ended(rate);
    }

    fn ended(&mut self, rate: f64) {
        self.round.answers += 1;
        if self.round.answers >= self.limit {
            let enough = self.latency.map_or(self.most, |latency| enough(rate, latency)).min(self.most);
            self.limit = next(self.limit, enough, self.round).clamp(LEAST.min(self.most), self.most);
            self.round = Round::default();
        }
    }

    /// The shortest latency of this kind of call lately.
    fn usual(&mut self, kind: u64, latency: Duration, now: Instant) -> Duration {
        // Beyond what any API has, kinds are not told apart.
        let kind = if self.usual.len() < KINDS || self.usual.contains_key(&kind) { kind } else { 0 };
        let usual = self.usual.entry(kind).or_insert(Usual { since: now, now: latency, before: latency });
        if now.saturating_duration_since(usual.since) > REMEMBERED {
            *usual = Usual { since: now, now: latency, before: usual.now };
        }
        usual.now = usual.now.min(latency);
        usual.now.min(usual.before)
    }

    /// Mean time until an answer has been read; none before the first.
    pub(super) fn latency(&self) -> Option<Duration> {
        self.latency
    }

    pub(super) fn in_use(&self) -> u32 {
        self.in_use
    }

    /// The bound that nothing exceeds.
    pub(super) fn most(&self) -> u32 {
        self.most
    }

    /// How many are worth having now.
    #[cfg(test)]
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }
}

/// Twice as many as `rate` requests a second that take `latency` each keep in flight, and some.
fn enough(rate: f64, latency: Duration) -> u32 {
    let wanted = (rate * latency.as_secs_f64()).mul_add(2.0, SPARE);
    if wanted.is_finite() && wanted < f64::from(u16::MAX) { whole(wanted) } else { u32::from(u16::MAX) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 65,535")]
fn whole(number: f64) -> u32 {
    number.ceil() as u32
}

/// The next limit. Trouble lowers it by a third, latency by a quarter; without either it doubles if requests were
/// held up by it, up to what is enough, and slowly returns to that from above.
fn next(limit: u32, enough: u32, round: Round) -> u32 {
    let Round { answers, troubled, slow, held_up } = round;
    if troubled * 10 > answers {
        limit - limit.div_ceil(3)
    } else if slow * 2 > answers {
        (limit - limit.div_ceil(4)).max(SLOW_LEAST.min(limit))
    } else if limit > enough {
        limit - (limit - enough).div_ceil(4)
    } else if held_up {
        limit.saturating_mul(2).min(enough)
    } else {
        limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_limit_follows_what_a_round_showed() {
        let calm = Round { answers: 16, ..Round::default() };
        for (name, limit, enough, round, expected) in [
            ("nobody held up", 16, 100, calm, 16),
            ("held up", 16, 100, Round { held_up: true, ..calm }, 32),
            ("held up, nearly enough", 64, 100, Round { held_up: true, ..calm }, 100),
            ("more than enough", 100, 60, Round { held_up: true, ..calm }, 90),
            ("slower", 64, 100, Round { slow: 9, held_up: true, ..calm }, 48),
            ("slower, and few", 18, 100, Round { slow: 9, held_up: true, ..calm }, 16),
            ("slower, and fewer", 8, 100, Round { slow: 9, held_up: true, ..calm }, 8),
            ("a few slow ones", 16, 100, Round { slow: 8, held_up: true, ..calm }, 32),
            ("trouble", 16, 100, Round { troubled: 2, held_up: true, ..calm }, 10),
            ("one error", 16, 100, Round { troubled: 1, held_up: true, ..calm }, 32),
            ("trouble and slow", 3, 100, Round { troubled: 9, slow: 9, ..calm }, 2),
        ] {
            assert_eq!(next(limit, enough, round), expected, "{name}");
        }
    }

    #[test]
    fn rate_and_latency_say_what_is_enough() {
        for (rate, latency, expected) in
            [(166.6, 20, 15), (166.6, 150, 58), (166.6, 600, 208), (16.6, 20, 9), (1e12, 1, 65_535)]
        {
            assert_eq!(enough(rate, MS * latency), expected, "{rate} {latency}");
        }
    }

    /// A server that answers at most `able` requests a second, in 100 ms if it is not busy.
    fn settles_at(most: u32, able: f64, rate: f64) -> u32 {
        let mut concurrency = Concurrency::new(most);
        let mut now = Instant::now();
        for _ in 0..20_000 {
            while concurrency.has_room() {
                concurrency.enter();
            }
            concurrency.held_up();
            let latency = Duration::from_secs_f64((f64::from(concurrency.in_use()) / able).max(0.1));
            now += latency / concurrency.in_use();
            concurrency.leave();
            concurrency.answered(1, latency, latency, rate, now);
        }
        concurrency.limit()
    }

    #[test]
    fn it_settles_where_more_would_only_wait() {
        assert_eq!(settles_at(256, 1e6, 166.6), 42);
        assert_eq!(settles_at(24, 1e6, 166.6), 24);
        assert_eq!(settles_at(1, 1e6, 166.6), 1);
        // Able to answer 100 a second: 10 are in flight without waiting, and 25 wait for 250 ms.
        let settled = settles_at(256, 100.0, 1_666.0);
        assert!((10..=50).contains(&settled), "{settled}");
    }

    #[test]
    fn calls_that_are_slow_by_nature_do_not_count_as_slow() {
        let mut concurrency = Concurrency::new(256);
        for number in 0..2_000_u64 {
            assert!(concurrency.limit() >= FIRST);
            while concurrency.has_room() {
                concurrency.enter();
            }
            concurrency.held_up();
            concurrency.leave();
            let latency = if number % 3 == 0 { MS * 20 } else { MS * 900 };
            concurrency.answered(number % 3, latency, latency, 166.6, Instant::now());
        }
        assert!(concurrency.limit() >= 150);
    }
}
