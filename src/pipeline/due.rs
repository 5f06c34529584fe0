//! Tables that are not read in a run because they are fresh enough. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::plan::{self, Reading, Situation};
use super::{ReadingRules, RunOptions};
use crate::state::TableState;
use crate::table::TableSpec;
use crate::window::DateField;

/// Until when tables that are read together need not be read, in their order; `None` if they are to be read now, because
/// one of them is.
pub fn family_not_due<'s>(
    members: impl IntoIterator<Item = (&'static TableSpec, Option<&'s TableState>)>,
    rules: &ReadingRules,
    options: &RunOptions,
    now: Timestamp,
) -> Option<Vec<Timestamp>> {
    // Who asks for everything, or for some rows, asks for them now.
    if options.full_refresh || options.is_bounded() {
        return None;
    }
    let not_due = |(table, stored): (&'static TableSpec, Option<&TableState>)| {
        let every = every_of(table, &rules.tables_every).max(options.if_older_than)?;
        not_due_until(&table_situation(stored, &table.fingerprint(), rules, now), every)
    };
    members.into_iter().map(not_due).collect()
}

/// How often at most a table is read, if that is said: of a table that stands inside another, as often as that one unless
/// it has a word of its own.
pub fn every_of<D: Copy>(table: &'static TableSpec, every: &BTreeMap<&'static str, D>) -> Option<D> {
    every.get(table.name).or_else(|| every.get(table.lead().name)).copied()
}

/// Until when a table that is read at most `every` so often need not be read; `None` if it is to be read now, also
/// because it is not complete, or complete as of a moment that is still to come.
pub fn not_due_until(situation: &Situation<'_>, every: SignedDuration) -> Option<Timestamp> {
    let usual =
        Situation { refresh_every: None, permission_gained: false, full_refresh: false, ..*situation };
    let is_complete = matches!(plan::decide(&usual), Reading::Increment { .. });
    let stored = situation.stored.filter(|stored| stored.unread.is_none())?;
    let checkpoint = stored.checkpoint.filter(|at| is_complete && *at <= situation.now)?;
    let until = checkpoint.checked_add(every).unwrap_or(Timestamp::MAX);
    (until > situation.now).then_some(until)
}

/// The situation of a table, as far as it matters here.
fn table_situation<'a>(
    stored: Option<&'a TableState>,
    columns: &'a str,
    rules: &'a ReadingRules,
    now: Timestamp,
) -> Situation<'a> {
    Situation {
        stored,
        now,
        api_version: &rules.api_version,
        columns,
        changes_by: DateField::UpdatedAt,
        start_date: rules.start_date,
        lookback: rules.lookback,
        refresh_every: rules.refresh_every,
        permission_gained: false,
        full_refresh: false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::plan::tests::{at, situation, state};
    use super::*;
    use crate::source::intercom::tables;
    use crate::state::Refresh;
    use crate::window::Window;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    /// A refresh that was cut short.
    fn begun() -> Refresh {
        let started_at = at("2026-01-15T11:00:00Z");
        let by = DateField::CreatedAt;
        let remaining = vec![Window::default()];
        Refresh { started_at, closes_from: started_at, by, start: None, whole: true, anew: false, remaining }
    }

    #[test]
    fn a_complete_table_is_fresh_for_so_long() {
        // Complete as of 11:00; it is 12:00.
        let stored = state();
        for (every, until) in [
            (2 * HOUR, Some("2026-01-15T13:00:00Z")),
            (HOUR + SignedDuration::from_secs(1), Some("2026-01-15T12:00:01Z")),
            (HOUR, None),
            (SignedDuration::ZERO, None),
        ] {
            assert_eq!(not_due_until(&situation(Some(&stored)), every), until.map(at), "{every:?}");
        }
        assert_eq!(not_due_until(&situation(Some(&stored)), SignedDuration::MAX), Some(Timestamp::MAX));
    }

    #[test]
    fn a_table_that_lacks_something_is_due() {
        let of = |change: fn(&mut TableState)| {
            let mut state = state();
            change(&mut state);
            state
        };
        for (stored, is_due) in [
            (of(|_| ()), false),
            (of(|state| state.refreshed_at = Some(at("2025-01-01T00:00:00Z"))), false),
            (of(|state| state.shortfalls = 1), false),
            (of(|state| state.checkpoint = None), true),
            (of(|state| state.checkpoint = Some(at("2026-01-15T12:00:01Z"))), true),
            (of(|state| state.refresh = Some(begun())), true),
            (of(|state| state.columns = "d".into()), true),
            (of(|state| state.api_version = "2.13".into()), true),
            (of(|state| state.proven_from = Some(at("2025-01-01T00:00:00Z"))), true),
            (of(|state| state.shortfalls = 2), true),
            (of(|state| state.unread = Some(Arc::default())), true),
        ] {
            let until = not_due_until(&situation(Some(&stored)), 24 * HOUR);
            assert_eq!(until.is_none(), is_due, "{stored:?}");
        }
        assert_eq!(not_due_until(&situation(None), 24 * HOUR), None);
    }

    #[test]
    fn tables_that_are_read_together_are_due_together() {
        let (contacts, notes) = (tables::find("contacts").unwrap(), tables::find("contact_notes").unwrap());
        let stored = |table: &TableSpec, checkpoint| {
            let state = TableState::new("w", "2.14", table.fingerprint());
            TableState { checkpoint: Some(at(checkpoint)), ..state }
        };
        let (lead, inside) =
            (stored(contacts, "2026-01-15T11:00:00Z"), stored(notes, "2026-01-15T10:00:00Z"));
        let now = at("2026-01-15T12:00:00Z");
        let hours = |hours: Option<i64>| hours.map(SignedDuration::from_hours);
        for (of_lead, of_inside, older_than, expected) in [
            (Some(6), Some(6), None, Some(["2026-01-15T17:00:00Z", "2026-01-15T16:00:00Z"])),
            (None, None, Some(3), Some(["2026-01-15T14:00:00Z", "2026-01-15T13:00:00Z"])),
            (Some(6), None, None, Some(["2026-01-15T17:00:00Z", "2026-01-15T16:00:00Z"])),
            (Some(2), None, Some(3), Some(["2026-01-15T14:00:00Z", "2026-01-15T13:00:00Z"])),
            (None, None, None, None),
            (Some(2), None, None, None),
            (None, Some(6), None, None),
            (Some(6), Some(2), None, None),
            (None, None, Some(2), None),
        ] {
            let every = [("contacts", hours(of_lead)), ("contact_notes", hours(of_inside))];
            let tables_every = every.into_iter().filter_map(|(table, every)| Some((table, every?))).collect();
            let rules = ReadingRules { tables_every, ..ReadingRules::of("2.14") };
            let options = RunOptions { if_older_than: hours(older_than), ..RunOptions::default() };
            let members = || [(contacts, Some(&lead)), (notes, Some(&inside))];
            let until = family_not_due(members(), &rules, &options, now);
            let expected = expected.map(|moments| moments.map(at).to_vec());
            assert_eq!(until, expected, "{of_lead:?} {of_inside:?} {older_than:?}");
            for asked in [
                RunOptions { full_refresh: true, ..options.clone() },
                RunOptions { limit: Some(9), ..options.clone() },
                RunOptions { interval: Some(Window::default()), ..options.clone() },
            ] {
                assert_eq!(family_not_due(members(), &rules, &asked, now), None);
            }
        }
    }
}
