//! One table in the middle of a commit: its current version, and the next one as far as it is built.

use std::collections::{HashMap, HashSet};

use arrow::array::{Array, RecordBatch};
use arrow::error::ArrowError;

use super::change::{Change, Filled};
use super::columns::{Columns, OF_LEDGER};
use super::entries;
use super::keys::{Incoming, moment, moments, text, text_column};
use super::manifest::{FileEntry, Manifest};
use super::rows::Rows;
use super::storage::{Files, Name, Part, Storage};
use crate::batch::hash_of_key;
use crate::destination::{Committed, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::Entry;
use crate::state::{StateChange, conflict};

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) target: Target,
    /// The current version, if there is one.
    current: Option<Manifest>,
    /// As the next version will have it.
    manifest: Manifest,
    rows: Rows,
    ledger: Rows,
    /// Whether the files lack columns, or have others.
    has_other_columns: bool,
    is_changed: bool,
    /// Files written for the next version.
    written: usize,
}

impl Table {
    /// Looks at the current version; new files are to have about `file_bytes`.
    pub(super) fn open(storage: &dyn Storage, target: &Target, file_bytes: u64) -> Result<Self> {
        let current = storage.manifest(target.into())?;
        let mut manifest = current.clone().unwrap_or_default();
        let columns = Columns::of(target.table, &manifest.columns);
        let has_other_columns = current.is_some() && columns.named() != manifest.columns;
        let has_typed_json = current.is_some() && !manifest.json_is_text && columns.have_json();
        let is_older = has_other_columns || has_typed_json;
        let ledger = if has_other_columns { Vec::new() } else { manifest.ledger.clone() };
        let (files, waiting) = (manifest.files.clone(), manifest.waiting.clone());
        let rows = Rows { columns, files, waiting, part: Part::Rows, is_older, file_bytes };
        let ledger = of_ledger(ledger, file_bytes);
        manifest.generation += 1;
        let target = target.clone();
        Ok(Self { target, current, manifest, rows, ledger, has_other_columns, is_changed: false, written: 0 })
    }

    /// Whether there is a version already.
    pub(super) fn is_there(&self) -> bool {
        self.current.is_some()
    }

    /// Whether the files have every declared column and no other order.
    pub(super) fn is_as_declared(&self) -> bool {
        self.is_there() && !self.has_other_columns
    }

    /// Whether a state is saved that vouches for the rows.
    pub(super) fn has_state(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.revision().is_some())
    }

    /// Forgets what was noted about the parents of its rows.
    pub(super) fn forget_entries(&mut self) {
        self.is_changed |= !self.ledger.files.is_empty();
        self.ledger.files.clear();
    }

    /// Carries out what a commit says about the rows. If more is to come (`is_underway`), new ones may not be seen yet.
    pub(super) fn apply(
        &mut self,
        storage: &mut dyn Storage,
        batches: Vec<RecordBatch>,
        (change, is_underway): (&Change<'_>, bool),
    ) -> Result<Committed> {
        let unreadable = |e| Error::new(ErrorKind::Destination, "batch is not readable").with_source(e);
        let incoming = Incoming::of(&self.rows.columns, batches).map_err(unreadable)?;
        let mut done = Committed::default();
        self.change(storage, Part::Rows, &incoming, (change, is_underway), &mut done)?;
        // What comes next needs room in memory.
        drop(incoming);
        self.settle(storage, is_underway)?;
        done.live = self.count_live();
        Ok(done)
    }

    /// Saves entries of the ledger, each the last word about its key.
    pub(super) fn save_entries(&mut self, storage: &mut dyn Storage, saved: &[Entry]) -> Result<()> {
        if saved.is_empty() {
            return Ok(());
        }
        let unreadable =
            |e: ArrowError| Error::new(ErrorKind::Destination, "the ledger cannot be written").with_source(e);
        let batch = entries::to_rows(saved).map_err(unreadable)?;
        let incoming = Incoming::of(&self.ledger.columns, vec![batch]).map_err(unreadable)?;
        self.change(storage, Part::Ledger, &incoming, (&Change::default(), false), &mut Committed::default())
    }

    fn change(
        &mut self,
        storage: &mut dyn Storage,
        part: Part,
        incoming: &Incoming,
        change: (&Change<'_>, bool),
        done: &mut Committed,
    ) -> Result<()> {
        storage.begin((&self.target).into())?;
        let files = Files { storage, table: (&self.target).into() };
        let mut name = naming(files, self.manifest.generation, &mut self.written);
        let rows = match part {
            Part::Ledger => &mut self.ledger,
            Part::Rows | Part::Waiting => &mut self.rows,
        };
        self.is_changed |= rows.apply(files, incoming, change, &mut name, done)?;
        Ok(())
    }

    /// Lets rows that wait be seen if it is time.
    fn settle(&mut self, storage: &mut dyn Storage, is_underway: bool) -> Result<()> {
        let files = Files { storage, table: (&self.target).into() };
        let mut name = naming(files, self.manifest.generation, &mut self.written);
        self.is_changed |= self.rows.settle(files, is_underway, &mut name)?;
        Ok(())
    }

    fn files<'s>(&'s self, storage: &'s dyn Storage) -> Files<'s> {
        Files { storage, table: (&self.target).into() }
    }

    /// Takes a state up, if nobody else changed it; its revision.
    pub(super) fn save_state(&mut self, change: &StateChange) -> Result<u64> {
        if self.manifest.revision() != change.expected {
            return Err(conflict(self.target.table.name));
        }
        self.is_changed = true;
        self.manifest.save(&change.state)
    }

    /// Rows without a stamp.
    pub(super) fn count_live(&self) -> u64 {
        self.rows.files.iter().chain(&self.rows.waiting).map(|file| file.rows - file.deleted).sum()
    }

    /// The dates of the rows with these keys.
    pub(super) fn cursors(
        &self,
        storage: &dyn Storage,
        keys: &HashSet<&str>,
    ) -> Result<HashMap<String, Option<i64>>> {
        let (Some(key), Some(cursor)) = (self.rows.columns.key.first(), self.rows.columns.cursor) else {
            return Ok(HashMap::new());
        };
        let mut found = HashMap::new();
        for batch in self.rows.find(self.files(storage), keys, &[cursor])? {
            let read = text_column(&batch, *key).and_then(|keys| Ok((keys, moments(&batch, cursor)?)));
            let (keys, dates) = read.map_err(|e| {
                let message = format!("table {} is not readable", self.target.table.name);
                Error::new(ErrorKind::Destination, message).with_source(e)
            })?;
            let row = |row| Some((text(&keys, row)?.to_owned(), moment(&dates, row)));
            found.extend((0..batch.num_rows()).filter_map(row));
        }
        Ok(found)
    }

    /// The entries about these keys.
    pub(super) fn entries_about(
        &self,
        storage: &dyn Storage,
        keys: &HashSet<&str>,
    ) -> Result<HashMap<String, Entry>> {
        about(&self.ledger, self.files(storage), keys)
    }

    /// Hands `each` all entries.
    pub(super) fn entries(&self, storage: &dyn Storage, each: &mut dyn FnMut(Entry)) -> Result<()> {
        self.ledger.scan(self.files(storage), &[0, 1, 2, 3, 4, 5], &mut |batch| {
            entries::of_rows(batch, each);
            Ok(())
        })
    }

    /// Hands `each` the keys, each once, of the lead rows that rows without a stamp are about.
    pub(super) fn live_keys(&self, storage: &dyn Storage, each: &mut dyn FnMut(&str)) -> Result<()> {
        let Columns { lead, deleted, key, .. } = &self.rows.columns;
        let is_own = key.as_slice() == [*lead];
        let mut seen: HashSet<u64> = HashSet::new();
        let places: Vec<usize> = [Some(*lead), *deleted].into_iter().flatten().collect();
        self.rows.scan(self.files(storage), &places, &mut |batch| {
            let keys = text_column(batch, *lead)?;
            let stamps = deleted.map(|deleted| batch.column(deleted));
            for row in 0..batch.num_rows() {
                let is_live = stamps.is_none_or(|stamps| stamps.is_null(row));
                let Some(key) = text(&keys, row).filter(|_| is_live) else { continue };
                if is_own || seen.insert(hash_of_key(key)) {
                    each(key);
                }
            }
            Ok(())
        })
    }

    /// Completes the next version, unless it is the current one.
    pub(super) fn finish(mut self, storage: &mut dyn Storage) -> Result<()> {
        if !self.is_changed {
            return Ok(());
        }
        self.manifest.columns = self.rows.columns.named();
        self.manifest.json_is_text = !self.rows.is_older;
        self.manifest.files = self.rows.files;
        self.manifest.waiting = self.rows.waiting;
        self.manifest.ledger = self.ledger.files;
        storage.finish((&self.target).into(), &self.manifest, self.current.as_ref())
    }
}

/// The entries about these keys in the ledger of a table; none if there is none.
pub(super) fn entries_in(
    storage: &dyn Storage,
    table: Name<'_>,
    keys: &HashSet<&str>,
) -> Result<HashMap<String, Entry>> {
    let files = storage.manifest(table)?.map(|manifest| manifest.ledger).unwrap_or_default();
    about(&of_ledger(files, u64::MAX), Files { storage, table }, keys)
}

fn of_ledger(files: Vec<FileEntry>, file_bytes: u64) -> Rows {
    let (columns, part) = (OF_LEDGER.clone(), Part::Ledger);
    Rows { columns, files, waiting: Vec::new(), part, is_older: false, file_bytes }
}

/// Gives names to the files of the next version.
fn naming<'n>(files: Files<'n>, generation: u64, written: &'n mut usize) -> impl FnMut(Part) -> String + 'n {
    move |part| {
        *written += 1;
        files.storage.name(files.table, part, generation, *written)
    }
}

fn about(ledger: &Rows, files: Files<'_>, keys: &HashSet<&str>) -> Result<HashMap<String, Entry>> {
    let mut found = HashMap::new();
    for batch in ledger.find(files, keys, &[0, 1, 2, 3, 4, 5])? {
        entries::of_rows(&batch, &mut |entry| {
            found.insert(entry.key.clone(), entry);
        });
    }
    Ok(found)
}

/// Whether parts are missing, and how many there are, as far as an entry says so.
pub(super) fn filled(entry: &Entry) -> Option<Filled> {
    Some((entry.is_truncated()?, entry.total?))
}
