//! Rows that wait: saved aside, changed there, and put together with those that can be seen.

use std::collections::HashMap;

use super::change::Change;
use super::file;
use super::gather::gather;
use super::keys::Incoming;
use super::layout::files_of;
use super::manifest::FileEntry;
use super::rewrite::Output;
use super::rows::{Rows, Seen, fates};
use super::sequence::{Naming, Sequence};
use super::storage::{Files, Part};
use super::waiting::{Gathering, gathering, unmet};
use crate::destination::Committed;
use crate::error::Result;

impl Rows {
    /// Saves the incoming rows that are new beside those that can be seen, and carries the change out on those that
    /// wait. Which of the incoming rows are dealt with thereby, and whether anything was written.
    pub(super) fn put_aside(
        &mut self,
        files: Files<'_>,
        incoming: &Incoming,
        (change, seen): (&Change<'_>, &Seen),
        name: Naming<'_>,
        done: &mut Committed,
    ) -> Result<(Vec<bool>, bool)> {
        let mut is_new = vec![true; incoming.len()];
        for (place, findings) in seen.places.iter().zip(&seen.findings) {
            unmet(&mut is_new, &place.within, &findings.inserts);
        }
        // Those that met no row that can be seen are dealt with here, whether or not they meet one that waits.
        let dealt_with = is_new.clone();
        let mut waiting = Vec::with_capacity(self.waiting.len() + 1);
        let mut is_written = false;
        for file in &self.waiting {
            let (places, _) = incoming.among([(&file.first, &file.last)].into_iter());
            let one = std::slice::from_ref(file);
            let findings = self.survey(files, one, (incoming, &places), change, done)?;
            for (place, mut findings) in places.iter().zip(findings) {
                unmet(&mut is_new, &place.within, &findings.inserts);
                if findings.edits.is_empty() {
                    waiting.push(file.clone());
                    continue;
                }
                findings.inserts.clear();
                let sequence = Sequence::new(files, &self.columns, Part::Waiting, &mut *name, (u64::MAX, 1));
                let mut output = Output { sequence, incoming, fates: &HashMap::new() };
                output.copy(file, &findings)?;
                waiting.append(&mut output.sequence.finish()?);
                is_written = true;
            }
        }
        let new = || (0..incoming.len()).filter(|at| is_new[*at]);
        let fates = fates(incoming, new(), change, done);
        let sequence = Sequence::new(files, &self.columns, Part::Waiting, name, (u64::MAX, 1));
        let mut output = Output { sequence, incoming, fates: &fates };
        output.insert(new())?;
        let written = output.sequence.finish()?;
        is_written |= !written.is_empty();
        waiting.extend(written);
        waiting.sort_by_key(|file| file.bytes);
        self.take_up(files, self.files.clone(), waiting)?;
        Ok((dealt_with, is_written))
    }

    /// Lets rows that wait be seen if it is time, or if nothing more is to come. Whether anything was written.
    pub(super) fn settle(&mut self, files: Files<'_>, is_underway: bool, name: Naming<'_>) -> Result<bool> {
        let mut is_written = false;
        loop {
            let seen = self.files.iter().map(|file| file.bytes).sum();
            let waiting: Vec<u64> = self.waiting.iter().map(|file| file.bytes).collect();
            match gathering(seen, &waiting, !is_underway) {
                Gathering::Nothing => return Ok(is_written),
                what => is_written |= self.gather(files, what, name)?,
            }
        }
    }

    pub(super) fn gather(&mut self, files: Files<'_>, what: Gathering, name: Naming<'_>) -> Result<bool> {
        let count = match what {
            Gathering::Nothing => 0,
            Gathering::All => self.waiting.len(),
            Gathering::Smallest(count) => count,
        };
        if count == 0 {
            return Ok(false);
        }
        let is_all = what == Gathering::All;
        let mut left = self.waiting.clone();
        let mut streams: Vec<Vec<FileEntry>> = left.drain(..count).map(|file| vec![file]).collect();
        if is_all {
            streams.push(self.files.clone());
        }
        let bytes: u64 = streams.iter().flatten().map(|file| file.bytes).sum();
        let (part, planned) =
            if is_all { (self.part, files_of(bytes, self.file_bytes)) } else { (Part::Waiting, 1) };
        let mut sequence = Sequence::new(files, &self.columns, part, name, (bytes, planned));
        let (rows, first) =
            (streams.iter().flatten().map(|file| file.rows).sum::<u64>(), streams[0].first().cloned());
        gather(streams, &mut sequence)?;
        let mut written = sequence.finish()?;
        if written.iter().map(|file| file.rows).sum::<u64>() != rows {
            return Err(file::changed(&first.map_or_else(String::new, |file| files.shown(&file))));
        }
        if is_all {
            self.is_older = false;
            self.take_up(files, written, left)?;
        } else {
            left.append(&mut written);
            left.sort_by_key(|file| file.bytes);
            self.take_up(files, self.files.clone(), left)?;
        }
        Ok(true)
    }
}
