//! Changes on their way into the search index, which shows them late.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;

use super::generate::Kind;
use super::row::Row;
use super::settings::Settings;

/// What searches of one table are still to learn, in the order in which they learn it.
#[derive(Debug)]
pub(crate) struct Pending {
    lag: Duration,
    spread: Duration,
    /// Decides each change's share of the spread.
    rng: Rng,
    queue: VecDeque<Arrival>,
}

/// A change: from when on searches show it, what it changes, and to what; `None` removes the row.
#[derive(Debug)]
pub(crate) struct Arrival {
    at: Timestamp,
    pub(crate) id: Arc<str>,
    pub(crate) row: Option<Arc<Row>>,
}

impl Pending {
    /// None where searches learn everything at once.
    pub(crate) fn of(settings: &Settings, kind: Kind) -> Option<Self> {
        let (lag, spread) = (settings.index_lag, settings.index_lag_spread);
        let rng = Rng::with_seed(settings.seed ^ ((kind as u64 + 1) << 48));
        let is_late = !(lag.is_zero() && spread.is_zero());
        is_late.then(|| Self { lag, spread, rng, queue: VecDeque::new() })
    }

    /// Takes in a change made at `now`. One of the same row that would show after it never will: the index does not
    /// go back.
    pub(crate) fn add(&mut self, now: Timestamp, id: &Arc<str>, row: Option<&Arc<Row>>) {
        let at = now.checked_add(self.wait()).unwrap_or(Timestamp::MAX);
        let arrival = Arrival { at, id: Arc::clone(id), row: row.cloned() };
        if self.spread.is_zero() {
            self.queue.push_back(arrival);
            return;
        }
        self.queue.retain(|other| other.id != arrival.id || other.at < at);
        let place = self.queue.partition_point(|other| other.at <= at);
        self.queue.insert(place, arrival);
    }

    /// The next change that shows at `now`, if there is one; it is pending no more.
    pub(crate) fn due(&mut self, now: Timestamp) -> Option<Arrival> {
        let is_due = self.queue.front().is_some_and(|first| first.at <= now);
        if is_due { self.queue.pop_front() } else { None }
    }

    /// How long the next change takes.
    fn wait(&mut self) -> Duration {
        if self.spread.is_zero() {
            return self.lag;
        }
        let longest = u64::try_from(self.spread.as_nanos()).unwrap_or(u64::MAX);
        self.lag.saturating_add(Duration::from_nanos(self.rng.u64(0..=longest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: u64 = 10;
    const SPREAD: u64 = 100;

    fn pending(seed: u64, lag: u64, spread: u64) -> Option<Pending> {
        let settings = Settings {
            seed,
            index_lag: Duration::from_secs(lag),
            index_lag_spread: Duration::from_secs(spread),
            ..Settings::default()
        };
        Pending::of(&settings, Kind::Contacts)
    }

    fn at(second: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(second)
    }

    /// Ids of fifty rows, each changed a second after the one before, with the second in which the change shows.
    fn shown(seed: u64, spread: u64) -> Vec<(usize, u64)> {
        let mut pending = pending(seed, LAG, spread).unwrap();
        for nth in 0..50_u64 {
            pending.add(at(nth), &Arc::from(nth.to_string()), None);
        }
        let mut shown = Vec::new();
        for second in 0..=50 + LAG + spread {
            while let Some(arrival) = pending.due(at(second)) {
                shown.push((arrival.id.parse().unwrap(), second));
            }
        }
        shown
    }

    #[test]
    fn without_a_lag_nothing_is_pending() {
        assert!(pending(1, 0, 0).is_none());
        assert!(pending(1, 1, 0).is_some() && pending(1, 0, 1).is_some());
    }

    #[test]
    fn without_a_spread_changes_show_in_their_order_each_after_the_lag() {
        let expected: Vec<_> = (0..50_u64).map(|nth| (nth.try_into().unwrap(), nth + LAG)).collect();
        assert_eq!(shown(1, 0), expected);
    }

    #[test]
    fn changes_of_different_rows_show_out_of_their_order_and_none_too_late() {
        let shown_by_seed = shown(1, SPREAD);
        assert_eq!(shown_by_seed.len(), 50);
        assert!(!shown_by_seed.is_sorted());
        for (nth, second) in &shown_by_seed {
            let made = *nth as u64;
            assert!((made + LAG..=made + LAG + SPREAD).contains(second), "{nth} at {second}");
        }
        assert_eq!(shown(1, SPREAD), shown_by_seed);
        assert_ne!(shown(2, SPREAD), shown_by_seed);
    }

    #[test]
    fn a_row_never_goes_back_to_what_it_was() {
        let mut pending = pending(1, LAG, SPREAD).unwrap();
        let (id, other) = (Arc::from("a"), Arc::from("b"));
        let (mut seen, mut others, last) = (Vec::new(), 0, 60);
        for second in 0..=last + LAG + SPREAD {
            if second <= last {
                let row = Row::undated("a".to_owned(), second.to_string());
                pending.add(at(second), &id, Some(&Arc::new(row)));
                pending.add(at(second), &other, None);
            }
            while let Some(arrival) = pending.due(at(second)) {
                match arrival.row {
                    Some(row) => seen.push(row.text.parse::<u64>().unwrap()),
                    None => others += 1,
                }
            }
        }
        assert!(seen.is_sorted(), "{seen:?}");
        assert_eq!(seen.last(), Some(&last));
        assert!(seen.len() > 1 && others > 1);
        assert!(seen.len() < 61, "some are overtaken");
    }
}
