//! A set of files that hold one row per key: what a change does to them, and where rows are found.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use super::change::{Change, Edit};
use super::columns::Columns;
use super::file::{self, Writer};
use super::keys::{Incoming, Place, text, text_column};
use super::layout::{Group, Stretch, plan};
use super::manifest::FileEntry;
use super::rewrite::Output;
use super::sequence::{Naming, Sequence};
use super::storage::{Files, Part};
use super::survey::{Findings, count, survey};
use super::waiting::{Gathering, is_worth};
use crate::batch::filter;
use crate::destination::Committed;
use crate::error::Result;

/// How many times smaller rows become when they are written, as a first guess.
const COMPRESSION: usize = 6;

/// Files of one table, or of one ledger.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) columns: Columns,
    pub(super) files: Vec<FileEntry>,
    /// Files with rows that are not to be seen yet, the smallest first.
    pub(super) waiting: Vec<FileEntry>,
    /// What the files are.
    pub(super) part: Part,
    /// Whether all files have to be written anew: they lack columns, have others, or have other types.
    pub(super) is_older: bool,
    /// Bytes that a file should have.
    pub(super) file_bytes: u64,
}

/// What a change does to the rows that can be seen.
pub(super) struct Seen {
    /// Files without rows, and the others.
    empty: Vec<FileEntry>,
    known: Vec<FileEntry>,
    /// Where incoming rows stand among those, and the rows before, between and after them.
    pub(super) places: Vec<Place>,
    gaps: Vec<Range<usize>>,
    pub(super) findings: Vec<Findings>,
    done: Committed,
}

impl Seen {
    /// The incoming rows that met none.
    fn newcomers(&self) -> impl Iterator<Item = usize> {
        let inside = self.findings.iter().flat_map(|findings| findings.inserts.iter().map(|(_, at)| *at));
        self.gaps.iter().cloned().flatten().chain(inside)
    }

    /// Leaves incoming rows that met none out, which were dealt with otherwise: all of them.
    fn forget_new(&mut self, dealt_with: &[bool]) {
        for findings in &mut self.findings {
            findings.inserts.retain(|(_, at)| !dealt_with[*at]);
        }
        for gap in &mut self.gaps {
            *gap = gap.start..gap.start;
        }
    }
}

impl Rows {
    /// Carries a change out; new files go into the next version, under names made by `name`. There is a file afterwards
    /// even if there is no row, so that every tool finds the columns. If more is to come (`is_underway`), rows may wait
    /// until [`Rows::settle`]. Whether anything was written.
    pub(super) fn apply(
        &mut self,
        files: Files<'_>,
        incoming: &Incoming,
        (change, is_underway): (&Change<'_>, bool),
        name: Naming<'_>,
        done: &mut Committed,
    ) -> Result<bool> {
        let may_wait = !self.is_older && !change.concerns_all() && !self.files.is_empty();
        let mut is_written = false;
        if !may_wait {
            is_written |= self.gather(files, Gathering::All, name)?;
        }
        let mut seen = self.look(files, incoming, change)?;
        if may_wait && (!self.waiting.is_empty() || (is_underway && self.is_worth(incoming, &seen))) {
            let (new, is_put) = self.put_aside(files, incoming, (change, &seen), name, done)?;
            seen.forget_new(&new);
            is_written |= is_put;
        }
        Ok(self.merge(files, incoming, (change, seen), name, done)? | is_written)
    }

    /// What a change does to the rows that can be seen.
    fn look(&self, files: Files<'_>, incoming: &Incoming, change: &Change<'_>) -> Result<Seen> {
        let (empty, known): (Vec<FileEntry>, Vec<FileEntry>) =
            self.files.iter().cloned().partition(|file| file.rows == 0);
        let (places, rest) = incoming.among(known.iter().map(|file| (&file.first, &file.last)));
        let mut done = Committed::default();
        let findings = self.survey(files, &known, (incoming, &places), change, &mut done)?;
        let gaps = places.iter().map(|place| place.before.clone()).chain([rest]).collect();
        Ok(Seen { empty, known, places, gaps, findings, done })
    }

    /// Whether new rows had better wait than be put into the files that they fall into.
    fn is_worth(&self, incoming: &Incoming, seen: &Seen) -> bool {
        let new = seen.newcomers().count() as u64 * width(incoming, &seen.known);
        let touched = seen.known.iter().zip(&seen.findings).filter(|(_, found)| !found.inserts.is_empty());
        let all: u64 = self.files.iter().map(|file| file.bytes).sum();
        is_worth(new, touched.map(|(file, _)| file.bytes).sum(), all)
    }

    fn merge(
        &mut self,
        files: Files<'_>,
        incoming: &Incoming,
        (change, seen): (&Change<'_>, Seen),
        name: Naming<'_>,
        done: &mut Committed,
    ) -> Result<bool> {
        let fates = fates(incoming, seen.newcomers(), change, done);
        let Seen { empty, known, gaps, findings, done: counted, .. } = seen;
        done.changed += counted.changed;
        done.unchanged += counted.unchanged;
        done.removed += counted.removed;
        done.stamped += counted.stamped;
        let stretches = self.stretches(incoming, &known, &gaps, &findings);
        let groups = plan(&stretches, self.file_bytes);
        let mut written = Vec::new();
        let mut next = 0;
        for Group { stretches: range, files: planned } in &groups {
            let (first, last) = (range.start / 2, range.end / 2);
            written.extend_from_slice(&known[next..first]);
            let bytes: u64 = stretches[range.clone()].iter().map(|stretch| stretch.bytes()).sum();
            let sequence = Sequence::new(files, &self.columns, self.part, &mut *name, (bytes, *planned));
            let mut output = Output { sequence, incoming, fates: &fates };
            for at in range.clone() {
                if at % 2 == 0 {
                    output.insert(gaps[at / 2].clone())?;
                } else {
                    output.copy(&known[at / 2], &findings[at / 2])?;
                }
            }
            written.append(&mut output.sequence.finish()?);
            next = last;
        }
        written.extend_from_slice(&known[next..]);
        let is_written = if !written.is_empty() {
            !groups.is_empty()
        } else if !empty.is_empty() && !self.is_older {
            written = empty;
            false
        } else {
            written.push(Writer::create(files, name(self.part), &self.columns, self.part)?.finish()?);
            true
        };
        self.take_up(files, written, self.waiting.clone())?;
        self.is_older = false;
        Ok(is_written)
    }

    /// What a change does to the rows of `known`, among which incoming rows stand at `places`.
    pub(super) fn survey(
        &self,
        files: Files<'_>,
        known: &[FileEntry],
        (incoming, places): (&Incoming, &[Place]),
        change: &Change<'_>,
        done: &mut Committed,
    ) -> Result<Vec<Findings>> {
        let mut leads: Vec<&str> = change.leads().collect();
        leads.sort_unstable();
        let found = known.iter().zip(places).map(|(entry, place)| {
            let is_concerned = !place.within.is_empty()
                || change.concerns_all()
                || entry.leads.as_ref().is_some_and(|bounds| is_any_among(&leads, bounds));
            if is_concerned {
                survey(files, entry, &self.columns, (incoming, place), change, done)
            } else {
                Ok(Findings::default())
            }
        });
        found.collect()
    }

    /// Has these be the files, and removes from the next version what an earlier change of the same commit had written
    /// and this one replaced.
    pub(super) fn take_up(
        &mut self,
        files: Files<'_>,
        rows: Vec<FileEntry>,
        waiting: Vec<FileEntry>,
    ) -> Result<()> {
        for file in self.files.iter().chain(&self.waiting) {
            if !rows.contains(file) && !waiting.contains(file) {
                files.storage.remove(files.table, &file.name)?;
            }
        }
        (self.files, self.waiting) = (rows, waiting);
        Ok(())
    }

    /// New rows and files by turns, in the order of their keys.
    fn stretches(
        &self,
        incoming: &Incoming,
        files: &[FileEntry],
        gaps: &[Range<usize>],
        findings: &[Findings],
    ) -> Vec<Stretch> {
        let width = width(incoming, files);
        let of = |rows: usize| rows as u64 * width;
        let mut stretches = Vec::with_capacity(2 * files.len() + 1);
        for (at, gap) in gaps.iter().enumerate() {
            stretches.push(Stretch::New(of(gap.len())));
            if let Some(file) = files.get(at) {
                let is_due = self.is_older || !findings[at].is_empty();
                stretches.push(Stretch::File(file.bytes + of(findings[at].inserts.len()), is_due));
            }
        }
        stretches
    }

    /// Hands `each` some columns of all rows.
    pub(super) fn scan(
        &self,
        files: Files<'_>,
        places: &[usize],
        each: &mut dyn FnMut(&RecordBatch) -> Result<(), ArrowError>,
    ) -> Result<()> {
        for entry in self.files.iter().chain(&self.waiting) {
            self.scan_file(files, entry, places, each)?;
        }
        Ok(())
    }

    /// Some columns of the rows with these keys, of which there is one part; all other columns are NULL.
    pub(super) fn find(
        &self,
        files: Files<'_>,
        keys: &HashSet<&str>,
        places: &[usize],
    ) -> Result<Vec<RecordBatch>> {
        let Some(key) = self.columns.key.first().copied() else { return Ok(Vec::new()) };
        let mut sorted: Vec<&str> = keys.iter().copied().collect();
        sorted.sort_unstable();
        let mut found = Vec::new();
        for entry in self.files.iter().chain(&self.waiting).filter(|entry| entry.rows > 0) {
            let part = |key: &super::keys::Key| key.first().cloned().flatten().unwrap_or_default();
            if !is_any_among(&sorted, &(part(&entry.first), part(&entry.last))) {
                continue;
            }
            let with_key: Vec<usize> = places.iter().copied().chain([key]).collect();
            self.scan_file(files, entry, &with_key, &mut |batch| {
                let names = text_column(batch, key)?;
                let rows = filter(batch, |row| text(&names, row).is_some_and(|name| keys.contains(name)));
                if rows.num_rows() > 0 {
                    found.push(rows);
                }
                Ok(())
            })?;
        }
        Ok(found)
    }

    fn scan_file(
        &self,
        files: Files<'_>,
        entry: &FileEntry,
        places: &[usize],
        each: &mut dyn FnMut(&RecordBatch) -> Result<(), ArrowError>,
    ) -> Result<()> {
        let names: Vec<&str> =
            places.iter().map(|place| self.columns.stored.field(*place).name().as_str()).collect();
        for batch in files.read(entry, Some(&names), None)? {
            let handed = batch.and_then(|batch| self.columns.conform(&batch)).and_then(|batch| each(&batch));
            handed.map_err(|e| file::failed("read", &files.shown(entry), e))?;
        }
        Ok(())
    }
}

/// Bytes of a row in a file, on average.
fn width(incoming: &Incoming, files: &[FileEntry]) -> u64 {
    let (rows, bytes) =
        files.iter().fold((0, 0), |(rows, bytes), file| (rows + file.rows, bytes + file.bytes));
    let guess = (incoming.width() / COMPRESSION) as u64;
    bytes.checked_div(rows).unwrap_or(guess).max(1)
}

/// What becomes of the rows that come and meet none.
pub(super) fn fates(
    incoming: &Incoming,
    new: impl Iterator<Item = usize>,
    change: &Change<'_>,
    done: &mut Committed,
) -> HashMap<usize, Edit> {
    let mut fates = HashMap::new();
    for at in new {
        done.new += 1;
        let mut edit = Edit::default();
        count(change.follow(incoming.lead(at), false, None, &mut edit), done);
        if !edit.is_nothing() {
            fates.insert(at, edit);
        }
    }
    fates
}

/// Whether any of these texts, in their order, is neither below nor above the bounds.
fn is_any_among(sorted: &[&str], (least, greatest): &(String, String)) -> bool {
    let at = sorted.partition_point(|text| *text < least.as_str());
    sorted.get(at).is_some_and(|text| *text <= greatest.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_looked_at_if_a_key_may_be_in_it() {
        let bounds = ("b".to_owned(), "d".to_owned());
        for (sorted, expected) in [
            (vec![], false),
            (vec!["a"], false),
            (vec!["a", "e"], false),
            (vec!["b"], true),
            (vec!["a", "c", "e"], true),
            (vec!["d"], true),
        ] {
            assert_eq!(is_any_among(&sorted, &bounds), expected, "{sorted:?}");
        }
    }
}
