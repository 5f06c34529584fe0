//! Budget, concurrency and queue together: who goes out now. Pure.

use std::time::{Duration, Instant};

use super::Pace;
use super::concurrency::Concurrency;
use super::queue::Queue;
use super::quota::{Closed, Number, Priority, Quota};
use crate::client::headers::RateHeaders;

/// Lets requests through one by one.
#[derive(Debug)]
pub(super) struct Gate<W> {
    quota: Quota,
    concurrency: Concurrency,
    queue: Queue<W>,
}

/// An answer, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    pub(super) rate: Option<RateHeaders>,
    /// Whether it was a 429.
    pub(super) refused: bool,
    pub(super) sent: Instant,
}

impl<W> Gate<W> {
    pub(super) fn new(quota: Quota, most_in_flight: u32) -> Self {
        Self { quota, concurrency: Concurrency::new(most_in_flight), queue: Queue::new() }
    }

    /// Joins the queue.
    pub(super) fn join(&mut self, lane: usize, priority: Priority, who: W) {
        self.queue.join(lane, priority, who);
    }

    /// Takes out whoever gave up.
    pub(super) fn keep(&mut self, stays: impl Fn(&W) -> bool) {
        self.queue.keep(stays);
    }

    /// Lets the next one through, if there is one that may.
    pub(super) fn next(&mut self, now: Instant) -> Option<(Number, W)> {
        let priority = self.queue.next_priority()?;
        if !self.concurrency.has_room() {
            if self.quota.check(priority, now).is_ok() {
                self.concurrency.held_up();
            }
            return None;
        }
        let number = self.quota.take(priority, now).ok()?;
        self.concurrency.enter();
        self.queue.next().map(|who| (number, who))
    }

    /// What those who wait wait for, if it is a time.
    pub(super) fn closed(&self, now: Instant) -> Option<Closed> {
        let priority = self.queue.next_priority()?;
        if self.concurrency.has_room() { self.quota.check(priority, now).err() } else { None }
    }

    /// The head of an answer came.
    pub(super) fn answered(&mut self, number: Number, answered: Answered, now: Instant) {
        let Answered { rate, refused, sent } = answered;
        self.quota.answered(number, rate, refused, sent, now);
    }

    /// A request ended without an answer.
    pub(super) fn unanswered(&mut self, number: Number) {
        self.quota.unanswered(number);
    }

    /// The slot of a request that was let through and never sent is free again.
    pub(super) fn give_back(&mut self, number: Number) {
        self.quota.give_back(number);
        self.concurrency.leave();
    }

    /// The slot of a request is free again; `kind`, time to the head and to the end of a whole answer.
    pub(super) fn leave(&mut self, whole: Option<(u64, Duration, Duration)>, troubled: bool, now: Instant) {
        self.concurrency.leave();
        let rate = self.quota.per_second();
        if troubled {
            self.concurrency.troubled(rate);
        } else if let Some((kind, head, end)) = whole {
            self.concurrency.answered(kind, head, end, rate, now);
        }
    }

    pub(super) fn quota(&self) -> &Quota {
        &self.quota
    }

    pub(super) fn quota_mut(&mut self) -> &mut Quota {
        &mut self.quota
    }

    /// The first of each lane.
    pub(super) fn heads(&self) -> impl Iterator<Item = &W> {
        self.queue.heads()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queue.next_priority().is_none()
    }

    pub(super) fn pace(&self, now: Instant) -> Pace {
        Pace {
            left: self.quota.left(now),
            per_second: self.quota.per_second(),
            latency: self.concurrency.latency(),
            in_flight: self.concurrency.in_use(),
            most_in_flight: self.concurrency.most(),
            waiting: u32::try_from(self.queue.len()).unwrap_or(u32::MAX),
        }
    }
}
