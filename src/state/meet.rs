//! What holds for a table in several destinations at once, from what each of them remembers. Pure.
//!
//! A run that writes several destinations reads once, for the one that lacks most. What it starts from has to be true of
//! every one of them, so that what it proves on top of that is as well. Each component is therefore the weaker of
//! two:
//!
//! - `checkpoint`, `refreshed_at`: the older. What holds up to a moment holds up to every earlier one.
//! - `proven_from`: the later. What holds for rows since a date holds for the rows since every later one.
//! - `refresh`: of two, what either of them has left to read; of one, what it has left, closed from where the complete
//!   table's changes begin to be missing. Where neither is possible, nothing at all is proven.
//! - `api_version`, `columns`: the same, else none, which makes a refresh due.
//! - `shortfalls`: the larger, `unexplained`: the smaller. Both make a refresh more likely.
//! - `sees_hidden`: rows that are hidden from one are hidden.
//! - `unconfirmed`: those of both; asking for a row that one does not have changes nothing there.
//! - `unread`: those of both, too.
//! - `workspace`: the one that is known. Two that differ are for the caller to refuse.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Object, Refresh, TableState, Unconfirmed, VERSION};
use crate::window::union;

impl TableState {
    /// What holds for a table everywhere, if these are its states. `None` if nothing was ever saved anywhere; where it
    /// was saved in some of the places only, nothing is proven but whose the rows are.
    pub fn of_all(states: &[Option<&Self>]) -> Option<Self> {
        let known = states.iter().copied().flatten().cloned();
        let met = known.reduce(|met, other| met.meet(&other))?;
        let is_everywhere = states.iter().all(Option::is_some);
        Some(if is_everywhere { met } else { met.nothing_in_common(&met) })
    }

    /// What is to be saved where this was known, now that what `common` says holds there as well. `None` if this says
    /// more: then it stays.
    ///
    /// As long as others are behind, `common` is about what they lack. A place that lacks nothing of it takes the
    /// rows, and neither gives up its own checkpoint nor takes part in their refresh.
    pub fn followed_by(&self, common: &Self) -> Option<Self> {
        if common.checkpoint >= self.checkpoint {
            return Some(common.clone());
        }
        let refresh = common.refresh.as_ref()?;
        let is_alike = self.api_version == common.api_version
            && self.columns == common.columns
            && self.sees_hidden == common.sees_hidden;
        if is_alike && self.joining(refresh).is_some() {
            return None;
        }
        Some(Self { checkpoint: self.checkpoint, proven_from: self.proven_from, ..common.clone() })
    }

    fn meet(&self, other: &Self) -> Self {
        if self == other {
            return self.clone();
        }
        let refresh = match (&self.refresh, &other.refresh) {
            (None, None) => None,
            (Some(one), Some(two)) => match one.meet(two) {
                None => return self.nothing_in_common(other),
                both => both,
            },
            (Some(refresh), None) => match other.joining(refresh) {
                None => return self.nothing_in_common(other),
                both => both,
            },
            (None, Some(refresh)) => match self.joining(refresh) {
                None => return self.nothing_in_common(other),
                both => both,
            },
        };
        Self {
            version: VERSION,
            workspace: known(&self.workspace, &other.workspace),
            api_version: same(&self.api_version, &other.api_version),
            columns: same(&self.columns, &other.columns),
            // Nothing, `None`, is less than any moment.
            checkpoint: self.checkpoint.min(other.checkpoint),
            proven_from: self.proven_from.max(other.proven_from),
            refreshed_at: self.refreshed_at.min(other.refreshed_at),
            refresh,
            shortfalls: self.shortfalls.max(other.shortfalls),
            unexplained: self.unexplained.min(other.unexplained),
            sees_hidden: match (self.sees_hidden, other.sees_hidden) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (one, two) if one == two => one,
                _ => None,
            },
            unconfirmed: match (&self.unconfirmed, &other.unconfirmed) {
                (Some(one), Some(two)) => Some(Arc::new(one.joined(two))),
                (one, two) => one.clone().or(two.clone()),
            },
            unread: match (&self.unread, &other.unread) {
                (Some(one), Some(two)) => Some(Arc::new(Object::joined(one, two))),
                (one, two) => one.clone().or(two.clone()),
            },
        }
    }

    /// Only whose the rows are, and how they were read. A refresh that reads every object anew leaves rows of two
    /// readings behind where it stops; that it has to be done stays known, because no version is.
    fn nothing_in_common(&self, other: &Self) -> Self {
        let is_half_anew = |state: &Self| state.refresh.as_ref().is_some_and(|refresh| refresh.anew);
        let api_version = same(&self.api_version, &other.api_version);
        let api_version = if is_half_anew(self) || is_half_anew(other) { "" } else { &api_version };
        let columns = same(&self.columns, &other.columns);
        Self::new(&known(&self.workspace, &other.workspace), api_version, columns)
    }

    /// A refresh that was begun elsewhere, as it stands for this table as well; `None` if it says more than what holds
    /// here.
    ///
    /// A complete table has all that the refresh has read, as of its own checkpoint: what changed since is read when
    /// the refresh closes. It was not read as a whole since the refresh began, so that this counts from its own last
    /// refresh on. One that reads every object anew has been carried out here only if that last refresh is the same.
    fn joining(&self, refresh: &Refresh) -> Option<Refresh> {
        let (checkpoint, refreshed_at) = (self.checkpoint?, self.refreshed_at?);
        let reaches_back = match (self.proven_from, refresh.start) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(proven), Some(start)) => proven <= start,
        };
        let is_done = !refresh.anew || refreshed_at == refresh.started_at;
        (self.refresh.is_none() && reaches_back && is_done).then(|| Refresh {
            started_at: refresh.started_at.min(refreshed_at),
            closes_from: refresh.closes_from.min(checkpoint),
            ..refresh.clone()
        })
    }
}

impl Unconfirmed {
    /// The keys of both, each once, with the canaries of the first.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Self {
        let keys: BTreeSet<&String> = self.keys.iter().chain(&other.keys).collect();
        Self { keys: keys.into_iter().cloned().collect(), canaries: self.canaries.clone() }
    }
}

impl Object {
    /// The objects of both, each once: as the second knows it where both do.
    #[must_use]
    pub fn joined(one: &[Self], two: &[Self]) -> Vec<Self> {
        let all = one.iter().chain(two).map(|object| (&object.key, object));
        all.collect::<BTreeMap<_, _>>().into_values().cloned().collect()
    }
}

impl Refresh {
    /// What is left to read for both, if they are about the same rows. Objects that one of them has read anew since it
    /// began, the other has so only if both began together.
    fn meet(&self, other: &Self) -> Option<Self> {
        let about = |refresh: &Self| (refresh.by, refresh.start, refresh.whole, refresh.anew);
        let is_same = about(self) == about(other) && (!self.anew || self.started_at == other.started_at);
        is_same.then(|| Self {
            started_at: self.started_at.min(other.started_at),
            closes_from: self.closes_from.min(other.closes_from),
            remaining: union([&*self.remaining, &*other.remaining].concat()),
            ..self.clone()
        })
    }
}

/// Whichever is not empty.
fn known(one: &str, two: &str) -> String {
    (if one.is_empty() { two } else { one }).to_owned()
}

/// What both are, or nothing.
fn same(one: &str, two: &str) -> String {
    (if one == two { one } else { "" }).to_owned()
}

#[cfg(test)]
mod tests;
