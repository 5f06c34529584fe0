//! Who goes next: first those in a hurry, then each table in turn.

use std::collections::VecDeque;

use super::quota::Priority;

/// Requests that wait for a permit.
///
/// One lane per table, first come first served within it, and one from each lane in turn: a table with hundreds of
/// requests holds up one with a single request for no more than one round. [`Priority::First`] is a lane of its own
/// ahead of all.
#[derive(Debug)]
pub(super) struct Queue<W> {
    first: VecDeque<W>,
    /// None of them empty; the one whose turn it is in front.
    lanes: VecDeque<Lane<W>>,
}

#[derive(Debug)]
struct Lane<W> {
    key: usize,
    waiting: VecDeque<W>,
}

impl<W> Queue<W> {
    pub(super) fn new() -> Self {
        Self { first: VecDeque::new(), lanes: VecDeque::new() }
    }

    /// Joins the end of a lane.
    pub(super) fn join(&mut self, lane: usize, priority: Priority, who: W) {
        if priority == Priority::First {
            self.first.push_back(who);
        } else if let Some(lane) = self.lanes.iter_mut().find(|known| known.key == lane) {
            lane.waiting.push_back(who);
        } else {
            self.lanes.push_back(Lane { key: lane, waiting: VecDeque::from([who]) });
        }
    }

    /// The priority of whoever is next.
    pub(super) fn next_priority(&self) -> Option<Priority> {
        if !self.first.is_empty() {
            Some(Priority::First)
        } else if self.lanes.is_empty() {
            None
        } else {
            Some(Priority::Normal)
        }
    }

    /// Takes whoever is next out of the queue.
    pub(super) fn next(&mut self) -> Option<W> {
        if let Some(who) = self.first.pop_front() {
            return Some(who);
        }
        let mut lane = self.lanes.pop_front()?;
        let who = lane.waiting.pop_front();
        if !lane.waiting.is_empty() {
            self.lanes.push_back(lane);
        }
        who
    }

    /// Takes out whoever gave up.
    pub(super) fn keep(&mut self, stays: impl Fn(&W) -> bool) {
        self.first.retain(&stays);
        self.lanes.iter_mut().for_each(|lane| lane.waiting.retain(&stays));
        self.lanes.retain(|lane| !lane.waiting.is_empty());
    }

    pub(super) fn len(&self) -> usize {
        self.first.len() + self.lanes.iter().map(|lane| lane.waiting.len()).sum::<usize>()
    }

    /// The first of each lane.
    pub(super) fn heads(&self) -> impl Iterator<Item = &W> {
        self.first.front().into_iter().chain(self.lanes.iter().filter_map(|lane| lane.waiting.front()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(queue: &mut Queue<&'static str>) -> String {
        std::iter::from_fn(|| queue.next()).collect::<Vec<_>>().join(" ")
    }

    fn waiting(joined: &[(usize, &'static str)]) -> Queue<&'static str> {
        let mut queue = Queue::new();
        for (lane, who) in joined {
            let priority = if who.starts_with('!') { Priority::First } else { Priority::Normal };
            queue.join(*lane, priority, *who);
        }
        queue
    }

    #[test]
    fn lanes_take_turns_and_the_hurried_go_first() {
        for (joined, order) in [
            (&[(1, "a1"), (1, "a2"), (1, "a3"), (2, "b1"), (3, "c1"), (3, "c2")][..], "a1 b1 c1 a2 c2 a3"),
            (&[(1, "a1"), (2, "b1"), (2, "!b2"), (1, "!a2")], "!b2 !a2 a1 b1"),
            (&[(7, "x")], "x"),
            (&[], ""),
        ] {
            let mut queue = waiting(joined);
            assert_eq!(queue.len(), joined.len());
            assert_eq!(drained(&mut queue), order);
            assert_eq!(queue.next_priority(), None);
        }
    }

    #[test]
    fn a_table_that_asks_one_by_one_waits_for_one_request_of_each_other_table() {
        let mut queue = waiting(&[(1, "a"); 100]);
        let mut small = 0;
        queue.join(2, Priority::Normal, "b");
        for _ in 0..20 {
            if queue.next() == Some("b") {
                small += 1;
                queue.join(2, Priority::Normal, "b");
            }
        }
        assert_eq!(small, 10);
    }

    #[test]
    fn whoever_gives_up_leaves_no_gap() {
        let mut queue = waiting(&[(1, "a1"), (2, "b1"), (1, "a2"), (3, "!c1")]);
        queue.keep(|who| !["b1", "!c1", "a1"].contains(who));
        assert_eq!((queue.len(), queue.heads().count()), (1, 1));
        assert_eq!(drained(&mut queue), "a2");
    }
}
