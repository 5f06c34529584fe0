//! Client, server and a second client in simulated time: what share of each window is used, what is refused.
//!
//! The server counts requests as they arrive, in windows of 10 s that begin at any fraction of a second, and says
//! whole seconds. Part of the latency lies before the counting, part behind it, and it varies.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

use super::gate::{Answered, Gate};
use super::quota::{Number, Priority, Quota};
use crate::client::headers::RateHeaders;

const MS: i64 = 1_000;
const SECOND: i64 = 1_000 * MS;
const WINDOW: i64 = 10 * SECOND;
const WINDOWS: i64 = 14;

#[derive(Debug, Clone, Copy)]
struct Setup {
    limit: u32,
    /// Milliseconds from sending to the head of the answer.
    latency: i64,
    /// Part of the latency that lies before the counting, in percent.
    there: i64,
    /// A request takes up to this much longer, in percent of the latency.
    jitter: i64,
    /// When windows begin, in milliseconds after a full ten seconds.
    phase: i64,
    /// The server's clock less ours, in milliseconds.
    ahead: i64,
    rounding: Rounding,
    second: Second,
}

/// How the server makes a second of a window's end.
#[derive(Debug, Clone, Copy)]
enum Rounding {
    Up,
    Down,
}

/// What another client with the same token does; a half of the budget each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Second {
    None,
    Steady,
    /// At random moments.
    Random,
    /// So many requests at once, every so many milliseconds, beginning at.
    Bursts(u32, i64, i64),
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    ours: u32,
    refused: u32,
    others: u32,
    others_refused: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives(Number, i64),
    Answered { number: Number, sent: i64, refused: bool, limit: u32, remaining: u32, reset: i64, date: i64 },
    Other,
    Again,
    Look,
}

struct World {
    setup: Setup,
    origin: Instant,
    now: i64,
    gate: Gate<()>,
    events: BinaryHeap<Reverse<(i64, u64, Event)>>,
    scheduled: u64,
    windows: BTreeMap<i64, Tally>,
    random: fastrand::Rng,
    most_in_flight: u32,
    looks: u64,
    look_at: i64,
}

impl World {
    fn new(setup: Setup) -> Self {
        let origin = Instant::now();
        let mut world = Self {
            setup,
            origin,
            now: 0,
            gate: Gate::new(Quota::new(None, origin), 256),
            events: BinaryHeap::new(),
            scheduled: 0,
            windows: BTreeMap::new(),
            random: fastrand::Rng::with_seed(7),
            most_in_flight: 0,
            looks: 0,
            look_at: 0,
        };
        (0..400).for_each(|number| world.gate.join(number % 3, Priority::Normal, ()));
        if setup.second != Second::None {
            world.at(0, Event::Other);
        }
        world.at(0, Event::Look);
        world
    }

    fn at(&mut self, time: i64, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((time, self.scheduled, event)));
    }

    fn instant(&self, time: i64) -> Instant {
        self.origin + Duration::from_micros(time.unsigned_abs())
    }

    fn run(mut self) -> Self {
        while let Some(Reverse((time, _, event))) = self.events.pop().filter(|e| e.0.0 < WINDOWS * WINDOW) {
            self.now = time;
            self.happen(event);
            self.send();
        }
        self
    }

    fn happen(&mut self, event: Event) {
        let now = self.instant(self.now);
        match event {
            Event::Arrives(number, sent) => self.count(number, sent),
            Event::Answered { number, sent, refused, limit, remaining, reset, date } => {
                let sent = self.instant(sent);
                let rate = Some(RateHeaders { limit, remaining, reset, date });
                self.gate.answered(number, Answered { rate, refused, sent }, now);
                let took = now - sent;
                self.gate.leave(Some((1, took, took)), false, now);
                if refused {
                    let wait = self.gate.quota().to_end_of(reset, now) + Duration::from_millis(60);
                    self.gate.quota_mut().hold_back(now, wait);
                    self.at(self.now + i64::try_from(wait.as_micros()).unwrap(), Event::Again);
                } else {
                    self.gate.join(1, Priority::Normal, ());
                }
            }
            Event::Again => self.gate.join(2, Priority::Normal, ()),
            Event::Other => self.other(),
            Event::Look => {
                self.looks += 1;
                self.look_at = -1;
            }
        }
    }

    fn send(&mut self) {
        let now = self.instant(self.now);
        while let Some((number, ())) = self.gate.next(now) {
            let there = self.setup.latency * MS * self.setup.there / 100;
            let there = there + self.vary(self.setup.there);
            self.at(self.now + there, Event::Arrives(number, self.now));
        }
        self.most_in_flight = self.most_in_flight.max(self.gate.pace(now).in_flight);
        if let Some(closed) = self.gate.closed(now) {
            let until = i64::try_from(closed.until.duration_since(self.origin).as_micros()).unwrap();
            assert!(until > self.now, "{:?}: waits for what has passed at {}", self.setup, self.now);
            if !(self.now..=until).contains(&self.look_at) {
                self.look_at = until;
                self.at(until, Event::Look);
            }
        }
    }

    fn vary(&mut self, percent: i64) -> i64 {
        self.random.i64(0..=self.setup.latency * MS * self.setup.jitter / 100) * percent / 100
    }

    fn window(&self) -> i64 {
        (self.now + (self.setup.ahead - self.setup.phase) * MS).div_euclid(WINDOW)
    }

    fn count(&mut self, number: Number, sent: i64) {
        let Setup { limit, phase, ahead, .. } = self.setup;
        let window = self.window();
        let tally = self.windows.entry(window).or_default();
        let refused = tally.ours + tally.others >= limit;
        *(if refused { &mut tally.refused } else { &mut tally.ours }) += 1;
        let remaining = limit - tally.ours - tally.others;
        let ends = (window + 1) * WINDOW + phase * MS;
        let reset = match self.setup.rounding {
            Rounding::Up => (ends + SECOND - 1).div_euclid(SECOND),
            Rounding::Down => ends.div_euclid(SECOND),
        };
        let date = (self.now + ahead * MS).div_euclid(SECOND);
        let back = 100 - self.setup.there;
        let took = self.setup.latency * MS * back / 100 + self.vary(back);
        self.at(self.now + took, Event::Answered { number, sent, refused, limit, remaining, reset, date });
    }

    fn other(&mut self) {
        let half = i64::from(self.setup.limit / 2);
        let (requests, next) = match self.setup.second {
            Second::None => return,
            Second::Steady => (1, WINDOW / half),
            Second::Random => (1, self.random.i64(0..=2 * WINDOW / half)),
            Second::Bursts(_, _, begins) if self.now < begins * MS => (0, begins * MS - self.now),
            Second::Bursts(requests, every, _) => (requests, every * MS),
        };
        let window = self.window();
        let tally = self.windows.entry(window).or_default();
        let granted = requests.min(self.setup.limit - tally.ours - tally.others);
        tally.others += granted;
        tally.others_refused += requests - granted;
        self.at(self.now + next, Event::Other);
    }

    /// The windows that were seen from beginning to end.
    fn full(&self) -> Vec<Tally> {
        let all: Vec<Tally> = self.windows.values().copied().collect();
        all[1..all.len() - 1].to_vec()
    }

    /// The share of what was available in a window that we got, in percent.
    fn share(&self, tally: Tally) -> f64 {
        f64::from(tally.ours) * 100.0 / f64::from(self.setup.limit - tally.others)
    }
}

/// What came out of one setup.
#[derive(Debug)]
struct Outcome {
    /// Least and mean share of a window, in percent.
    least: f64,
    mean: f64,
    /// Refusals, in percent of our requests.
    refused: f64,
    /// Mean share of a window that the second client got once its habits were known, in percent.
    others: f64,
}

impl Outcome {
    fn of(setup: Setup) -> Self {
        let world = World::new(setup).run();
        let full = world.full();
        let windows = f64::from(u32::try_from(full.len()).unwrap());
        let shares: Vec<f64> = full.iter().map(|tally| world.share(*tally)).collect();
        let sum = |of: fn(&Tally) -> u32| f64::from(full.iter().map(of).sum::<u32>());
        let refused = sum(|tally| tally.refused);
        Self {
            least: shares.iter().copied().fold(100.0, f64::min),
            mean: shares.iter().sum::<f64>() / windows,
            refused: refused * 100.0 / (refused + sum(|tally| tally.ours)),
            others: Self::others(&full[LEARNING..], setup.limit),
        }
    }

    fn others(windows: &[Tally], limit: u32) -> f64 {
        let taken: u32 = windows.iter().map(|tally| tally.others).sum();
        f64::from(taken) * 100.0 / f64::from(u32::try_from(windows.len()).unwrap() * limit)
    }
}

/// Windows in which the habits of a second client are learnt.
const LEARNING: usize = 3;

/// Where in the latency requests are counted, how far the clocks are apart, when windows begin, how their end is told.
const SERVERS: [(i64, i64, i64, Rounding); 4] = [
    (0, 0, 0, Rounding::Up),
    (50, 370, 3_700_123, Rounding::Up),
    (30, 999, -7_234, Rounding::Up),
    (50, 420, 12_345, Rounding::Down),
];

/// Runs every combination of limit, latency and server with a second client, and checks each outcome.
fn check(second: impl Fn(u32) -> Second, holds: impl Fn(&Outcome) -> bool) {
    for limit in [166, 1_666] {
        for latency in [20, 150, 600] {
            for (there, phase, ahead, rounding) in SERVERS {
                let second = second(limit);
                let setup = Setup { limit, latency, there, jitter: 20, phase, ahead, rounding, second };
                let outcome = Outcome::of(setup);
                assert!(holds(&outcome), "{setup:?}: {outcome:?}");
            }
        }
    }
}

#[test]
fn alone_every_window_is_used_up() {
    check(|_| Second::None, |outcome| outcome.least >= 99.0 && outcome.refused < 0.1);
}

#[test]
fn a_second_client_that_goes_on_steadily_gets_its_half_and_we_get_the_other() {
    check(
        |_| Second::Steady,
        |outcome| outcome.least >= 95.0 && outcome.refused < 0.5 && outcome.others >= 44.0,
    );
}

#[test]
fn a_second_client_that_comes_at_random_gets_its_half_and_we_get_the_other() {
    check(
        |_| Second::Random,
        |outcome| {
            outcome.mean >= 97.0 && outcome.least >= 90.0 && outcome.refused < 0.5 && outcome.others >= 40.0
        },
    );
}

#[test]
fn a_second_client_that_takes_a_twentieth_of_a_window_every_second() {
    for every in [1_000, 970] {
        check(
            |limit| Second::Bursts(limit / 20, every, 0),
            |outcome| outcome.least >= 95.0 && outcome.refused < 1.0 && outcome.others >= 40.0,
        );
    }
}

/// What cannot be foreseen costs something: requests that were under way when all was taken at once.
#[test]
fn a_second_client_that_takes_a_large_part_of_a_window_at_once() {
    // The last of them finds little left, and so cannot be seen either.
    for (begins, others) in [(300, 40.0), (5_100, 40.0), (8_900, 4.0)] {
        check(
            |limit| Second::Bursts(limit / 2, 10_000, begins),
            |outcome| outcome.least >= 95.0 && outcome.refused < 2.5 && outcome.others >= others,
        );
    }
    check(
        |limit| Second::Bursts(limit / 4, 5_000, 130),
        |outcome| outcome.least >= 95.0 && outcome.refused < 2.5 && outcome.others >= 22.0,
    );
}
