//! A set of files that hold one row per key: what a change does to them, and where rows are found.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use super::change::{Change, Edit};
use super::columns::Columns;
use super::file::{self, Writer};
use super::keys::{Incoming, text, text_column};
use super::layout::{Group, Stretch, plan};
use super::manifest::FileEntry;
use super::rewrite::Output;
use super::storage::Files;
use super::survey::{Findings, count, survey};
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
    /// Whether files lack columns, or have others.
    pub(super) is_older: bool,
    /// Bytes that a file should have.
    pub(super) file_bytes: u64,
}

impl Rows {
    /// Carries a change out; new files go into the next version, under names made by `name`. There is a file afterwards even if
    /// there is no row, so that every tool finds the columns. Whether anything was written.
    pub(super) fn apply(
        &mut self,
        files: Files<'_>,
        incoming: &Incoming,
        change: &Change<'_>,
        name: &mut dyn FnMut() -> String,
        done: &mut Committed,
    ) -> Result<bool> {
        let (empty, known): (Vec<FileEntry>, Vec<FileEntry>) =
            self.files.iter().cloned().partition(|file| file.rows == 0);
        let (places, rest) = incoming.among(known.iter().map(|file| (&file.first, &file.last)));
        let mut leads: Vec<&str> = change.leads().collect();
        leads.sort_unstable();
        let mut findings = Vec::with_capacity(known.len());
        for (entry, place) in known.iter().zip(&places) {
            let is_concerned = !place.within.is_empty()
                || change.concerns_all()
                || entry.leads.as_ref().is_some_and(|bounds| is_any_among(&leads, bounds));
            findings.push(if is_concerned {
                survey(files, entry, &self.columns, (incoming, place), change, done)?
            } else {
                Findings::default()
            });
        }
        let gaps: Vec<Range<usize>> = places.iter().map(|place| place.before.clone()).chain([rest]).collect();
        let fates = fates(incoming, &gaps, &findings, change, done);
        let stretches = self.stretches(incoming, &known, &gaps, &findings);
        let groups = plan(&stretches, self.file_bytes);
        let mut written = Vec::new();
        let mut next = 0;
        for Group { stretches: range, files: planned } in &groups {
            let (first, last) = (range.start / 2, range.end / 2);
            written.extend_from_slice(&known[next..first]);
            let bytes: u64 = stretches[range.clone()].iter().map(|stretch| stretch.bytes()).sum();
            let mut output = Output {
                files,
                columns: &self.columns,
                incoming,
                fates: &fates,
                name: &mut *name,
                target: bytes / planned,
                planned: *planned,
                written: Vec::new(),
                writer: None,
            };
            for at in range.clone() {
                if at % 2 == 0 {
                    output.insert(gaps[at / 2].clone())?;
                } else {
                    output.copy(&known[at / 2], &findings[at / 2])?;
                }
            }
            output.finish()?;
            written.append(&mut output.written);
            next = last;
        }
        written.extend_from_slice(&known[next..]);
        let is_written = if !written.is_empty() {
            !groups.is_empty()
        } else if !empty.is_empty() && !self.is_older {
            written = empty;
            false
        } else {
            written.push(Writer::create(files, name(), &self.columns)?.finish()?);
            true
        };
        self.forget_files_beside(files, &written)?;
        self.files = written;
        self.is_older = false;
        Ok(is_written)
    }

    /// Removes from the next version what an earlier change of the same commit had written and this one replaced.
    fn forget_files_beside(&self, files: Files<'_>, written: &[FileEntry]) -> Result<()> {
        for file in self.files.iter().filter(|file| !written.contains(file)) {
            files.storage.remove(files.table, &file.name)?;
        }
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
        let (rows, bytes) =
            files.iter().fold((0, 0), |(rows, bytes), file| (rows + file.rows, bytes + file.bytes));
        let guess = (incoming.width() / COMPRESSION) as u64;
        let width = bytes.checked_div(rows).unwrap_or(guess).max(1);
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
        for entry in &self.files {
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
        for entry in self.files.iter().filter(|entry| entry.rows > 0) {
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

/// What becomes of the rows that come and meet none.
fn fates(
    incoming: &Incoming,
    gaps: &[Range<usize>],
    findings: &[Findings],
    change: &Change<'_>,
    done: &mut Committed,
) -> HashMap<usize, Edit> {
    let between = gaps.iter().cloned().flatten();
    let inside = findings.iter().flat_map(|findings| findings.inserts.iter().map(|(_, at)| *at));
    let mut fates = HashMap::new();
    for at in between.chain(inside) {
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
