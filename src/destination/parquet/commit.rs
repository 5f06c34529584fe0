//! One commit: the rows, stamps, entries and states of all tables in it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use super::change::{Change, Filled};
use super::entries::after;
use super::keys::{text, text_column};
use super::storage::{Name, Storage};
use super::table::{Table, entries_in, filled};
use crate::batch::filter;
use crate::destination::{Committed, Identity, Parent, Reduced, TableCommit, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::Entry;

/// The tables of a commit.
struct Tables<'l> {
    storage: &'l mut dyn Storage,
    file_bytes: u64,
    /// Tables of which more is to come.
    underway: &'l HashSet<Identity>,
    open: Vec<Table>,
}

/// Completes the next versions of all tables that `commits`, whose rows are in `batches`, change; what was done to
/// each. `stood` says which tables were there before, `underway` of which more is to come.
pub(super) fn build(
    storage: &mut dyn Storage,
    file_bytes: u64,
    commits: &[TableCommit],
    batches: Vec<Vec<RecordBatch>>,
    stood: &HashSet<Identity>,
    underway: &HashSet<Identity>,
) -> Result<Vec<Committed>> {
    let mut tables = Tables { storage, file_bytes, underway, open: Vec::new() };
    let mut all = Vec::with_capacity(commits.len());
    for (at, (commit, batches)) in commits.iter().zip(batches).enumerate() {
        all.push(tables.carry_out(commit, batches, (&commits[at + 1..], commits), stood)?);
    }
    let Tables { storage, open, .. } = tables;
    open.into_iter().try_for_each(|table| table.finish(storage))?;
    Ok(all)
}

impl Tables<'_> {
    /// The place of a table among those that are open.
    fn open(&mut self, target: &Target) -> Result<usize> {
        let is_it = |table: &Table| table.target.identity() == target.identity();
        if let Some(at) = self.open.iter().position(is_it) {
            return Ok(at);
        }
        self.open.push(Table::open(self.storage, target, self.file_bytes)?);
        Ok(self.open.len() - 1)
    }

    fn carry_out(
        &mut self,
        commit: &TableCommit,
        batches: Vec<RecordBatch>,
        (later, all): (&[TableCommit], &[TableCommit]),
        stood: &HashSet<Identity>,
    ) -> Result<Committed> {
        let target = &commit.target;
        let at = self.open(target)?;
        if !self.open[at].is_there() && stood.contains(&target.identity()) {
            let message = format!("table {}: somebody removed it while this run went on", target.table.name);
            return Err(Error::new(ErrorKind::Conflict, message).with_hint("run again; it is loaded anew"));
        }
        if !self.open[at].is_there() {
            self.storage.check_free(target.into())?;
        }
        if commit.begins() {
            self.open[at].forget_entries();
        }
        let Reduced { mut batches, mut parents } = commit.reduced(batches).map_err(unreadable)?;
        if commit.comes_with_its_parents(all) {
            (batches, parents) = self.without_outdated(commit, batches, parents)?;
        }
        let mut change = Change {
            has_stamps: target.table.has_stamps(),
            stamps: commit.stamps.iter().rev().map(|stamp| (stamp.key.as_str(), stamp)).collect(),
            whole_parents: parents.iter().filter(|p| p.is_whole).map(|p| p.key.as_str()).collect(),
            found: commit.entries.iter().filter(|e| e.total.is_some()).map(|e| e.key.as_str()).collect(),
            totals: self.totals(commit, &batches, later)?,
            supersedes_before: commit.supersedes_before.as_microsecond(),
            ..Change::default()
        };
        change.scoped(&commit.scope);
        let is_underway = self.underway.contains(&target.identity());
        let mut done = self.open[at].apply(self.storage, batches, (&change, is_underway))?;
        let noted = self.note(at, commit)?;
        self.fill_lead(target, &noted)?;
        if let Some(change) = &commit.state {
            done.revision = Some(self.open[at].save_state(change)?);
        }
        Ok(done)
    }

    /// The rows of parents whose stored row is not newer.
    fn without_outdated(
        &mut self,
        commit: &TableCommit,
        batches: Vec<RecordBatch>,
        mut parents: Vec<Parent>,
    ) -> Result<(Vec<RecordBatch>, Vec<Parent>)> {
        let target = &commit.target;
        let lead = Target { schema: Arc::clone(&target.schema), table: target.table.lead() };
        let at = self.open(&lead)?;
        let keys: HashSet<&str> = parents.iter().map(|parent| parent.key.as_str()).collect();
        let stored = self.open[at].cursors(self.storage, &keys)?;
        let is_outdated = |parent: &Parent| {
            let stored = stored.get(&parent.key).copied().flatten();
            matches!((stored, parent.version), (Some(stored), Some(version)) if stored > version)
        };
        let outdated: HashSet<String> =
            parents.iter().filter(|p| is_outdated(p)).map(|p| p.key.clone()).collect();
        if outdated.is_empty() {
            return Ok((batches, parents));
        }
        parents.retain(|parent| !outdated.contains(&parent.key));
        let lead_key = target.table.lead_key();
        let left = batches.iter().map(|batch| {
            let place = batch.schema().index_of(&lead_key)?;
            let keys = text_column(batch, place)?;
            Ok(filter(batch, |row| text(&keys, row).is_none_or(|key| !outdated.contains(key))))
        });
        let left = left.collect::<Result<_, ArrowError>>();
        Ok((left.map_err(unreadable)?, parents))
    }

    /// What the ledger of the table that fills this one says about the rows that come, and what later parts of the
    /// commit are going to say: rows are written once, then.
    fn totals(
        &mut self,
        commit: &TableCommit,
        batches: &[RecordBatch],
        later: &[TableCommit],
    ) -> Result<HashMap<String, Filled>> {
        let target = &commit.target;
        let Some(filling) = target.table.filled_by else { return Ok(HashMap::new()) };
        let filling = Name { schema: &target.schema, table: filling };
        let is_filling = |other: &Target| other.identity() == filling.identity();
        let mut columns = Vec::new();
        for batch in batches {
            let place = batch.schema().index_of(&target.table.lead_key());
            let keys = place.and_then(|place| text_column(batch, place));
            columns.push(keys.map_err(unreadable)?);
        }
        let coming = columns.iter().flat_map(|keys| keys.iter().flatten());
        let of_it = later.iter().filter(|later| is_filling(&later.target));
        let new: Vec<&Entry> = of_it.flat_map(|later| &later.entries).collect();
        let keys: HashSet<&str> = coming.chain(new.iter().map(|entry| entry.key.as_str())).collect();
        let known = match self.open.iter().find(|table| is_filling(&table.target)) {
            Some(table) => table.entries_about(self.storage, &keys)?,
            None => entries_in(self.storage, filling, &keys)?,
        };
        let entries = after(known, std::iter::empty(), new.into_iter());
        Ok(entries.into_iter().filter_map(|entry| Some((entry.key.clone(), filled(&entry)?))).collect())
    }

    /// Saves what a commit notes about parents; what is known of them then.
    fn note(&mut self, at: usize, commit: &TableCommit) -> Result<Vec<Entry>> {
        let stamped = || commit.stamps.iter().map(|stamp| stamp.key.as_str());
        let keys: HashSet<&str> =
            commit.entries.iter().map(|entry| entry.key.as_str()).chain(stamped()).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let table = &mut self.open[at];
        let known = table.entries_about(self.storage, &keys)?;
        let entries = after(known, stamped(), commit.entries.iter());
        table.save_entries(self.storage, &entries)?;
        Ok(entries)
    }

    /// Brings what was noted about parents into the rows of the lead table, if there is one.
    fn fill_lead(&mut self, target: &Target, noted: &[Entry]) -> Result<()> {
        let lead = target.table.lead();
        if lead.filled_by != Some(target.table.name) || noted.is_empty() {
            return Ok(());
        }
        let lead = Target { schema: Arc::clone(&target.schema), table: lead };
        let at = self.open(&lead)?;
        if !self.open[at].is_there() && !self.storage.is_begun((&lead).into()) {
            return Ok(());
        }
        let totals = noted.iter().filter_map(|entry| Some((entry.key.clone(), filled(entry)?)));
        let change = Change { totals: totals.collect(), has_stamps: true, ..Change::default() };
        let is_underway = self.underway.contains(&lead.identity());
        self.open[at].apply(self.storage, Vec::new(), (&change, is_underway)).map(|_| ())
    }
}

fn unreadable(error: ArrowError) -> Error {
    Error::new(ErrorKind::Destination, "batch is not readable").with_source(error)
}
