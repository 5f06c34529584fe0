//! One table in the middle of a commit: its current version, and the next one as far as it is built.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use arrow::array::{Array, RecordBatch};
use arrow::error::ArrowError;

use super::change::{Change, Filled};
use super::columns::{Columns, OF_LEDGER};
use super::entries;
use super::file;
use super::keys::{Incoming, moment, moments, text, text_column};
use super::manifest::{self, Manifest};
use super::rows::{Folders, Rows};
use super::versions::{self, Draft, Versions};
use crate::batch::hash_of_key;
use crate::destination::{Committed, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::Entry;
use crate::state::{StateChange, conflict};

/// How files with rows end.
const ENDING: &str = ".parquet";

/// The two sets of files of a table.
#[derive(Debug, Clone, Copy)]
enum Part {
    Rows,
    Ledger,
}

impl Part {
    /// The name of a file. Those of the ledger are hidden, so that tools that read a folder do not take them for rows.
    fn name(self, generation: u64, number: usize) -> String {
        match self {
            Self::Rows => format!("{generation:08}-{number:04}{ENDING}"),
            Self::Ledger => format!(".{generation:08}-{number:04}.ledger"),
        }
    }
}

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) target: Target,
    folder: PathBuf,
    /// As the next version will have it.
    manifest: Manifest,
    rows: Rows,
    ledger: Rows,
    /// Whether there is a version already.
    pub(super) is_there: bool,
    is_changed: bool,
    draft: Option<Draft>,
    /// Files written for the next version.
    written: usize,
}

impl Table {
    /// Looks at the current version in `folder`; new files are to have about `file_bytes`.
    pub(super) fn open(target: &Target, folder: PathBuf, file_bytes: u64) -> Result<Self> {
        let found = Manifest::read(&folder)?;
        let is_there = found.is_some();
        let mut manifest = found.unwrap_or_default();
        let columns = Columns::of(target.table, &manifest.columns);
        let is_older = is_there && columns.named() != manifest.columns;
        let ledger = if is_older { Vec::new() } else { manifest.ledger.clone() };
        let rows = Rows { files: manifest.files.clone(), is_older, columns, file_bytes };
        let ledger = Rows { columns: OF_LEDGER.clone(), files: ledger, is_older: false, file_bytes };
        manifest.generation += 1;
        let target = target.clone();
        Ok(Self {
            target,
            folder,
            manifest,
            rows,
            ledger,
            is_there,
            is_changed: false,
            draft: None,
            written: 0,
        })
    }

    /// Fails if the folder holds what is not ours, although there is no version: it would go with the first.
    pub(super) fn refuse_foreign(&self) -> Result<()> {
        if self.is_there || !self.folder.exists() {
            return Ok(());
        }
        let mut listed =
            std::fs::read_dir(&self.folder).map_err(|e| versions::failed(&self.folder, "read", e))?;
        let is_foreign = |found: std::io::Result<std::fs::DirEntry>| {
            found.is_ok_and(|found| !found.file_name().to_string_lossy().starts_with('.'))
        };
        if listed.any(is_foreign) {
            let message = format!("{} holds files that ingest did not write", self.folder.display());
            return Err(Error::new(ErrorKind::Destination, message)
                .with_hint("move them elsewhere, or write to another folder, or schema with --schema"));
        }
        Ok(())
    }

    /// Whether the files have every declared column and no other order.
    pub(super) fn is_as_declared(&self) -> bool {
        self.is_there && !self.rows.is_older
    }

    /// Carries out what a commit says about the rows.
    pub(super) fn apply(
        &mut self,
        versions: &Versions,
        batches: Vec<RecordBatch>,
        change: &Change<'_>,
    ) -> Result<Committed> {
        let unreadable = |e| Error::new(ErrorKind::Destination, "batch is not readable").with_source(e);
        let incoming = Incoming::of(&self.rows.columns, batches).map_err(unreadable)?;
        let mut done = Committed::default();
        let is_written = self.change(versions, Part::Rows, &incoming, change, &mut done)?;
        self.is_changed |= is_written;
        done.live = self.count_live();
        Ok(done)
    }

    /// Saves entries of the ledger, each the last word about its key.
    pub(super) fn save_entries(&mut self, versions: &Versions, saved: &[Entry]) -> Result<()> {
        if saved.is_empty() {
            return Ok(());
        }
        let unreadable =
            |e: ArrowError| Error::new(ErrorKind::Destination, "the ledger cannot be written").with_source(e);
        let batch = entries::to_rows(saved).map_err(unreadable)?;
        let incoming = Incoming::of(&self.ledger.columns, vec![batch]).map_err(unreadable)?;
        let is_written =
            self.change(versions, Part::Ledger, &incoming, &Change::default(), &mut Committed::default())?;
        self.is_changed |= is_written;
        Ok(())
    }

    fn change(
        &mut self,
        versions: &Versions,
        part: Part,
        incoming: &Incoming,
        change: &Change<'_>,
        done: &mut Committed,
    ) -> Result<bool> {
        if self.draft.is_none() {
            self.draft = Some(versions.draft(&self.target.schema, self.target.table.name)?);
        }
        let Some(draft) = &self.draft else { return Ok(false) };
        let folders = Folders { current: &self.folder, draft: draft.folder() };
        let (generation, written) = (self.manifest.generation, &mut self.written);
        let mut name = || {
            *written += 1;
            part.name(generation, *written)
        };
        let rows = match part {
            Part::Rows => &mut self.rows,
            Part::Ledger => &mut self.ledger,
        };
        rows.apply(folders, incoming, change, &mut name, done)
    }

    fn folders(&self) -> Folders<'_> {
        let draft = self.draft.as_ref().map_or(self.folder.as_path(), Draft::folder);
        Folders { current: &self.folder, draft }
    }

    /// Whether a change was carried out already.
    pub(super) fn has_draft(&self) -> bool {
        self.draft.is_some()
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
        self.rows.files.iter().map(|file| file.rows - file.deleted).sum()
    }

    /// The dates of the rows with these keys.
    pub(super) fn cursors(&self, keys: &HashSet<&str>) -> Result<HashMap<String, Option<i64>>> {
        let (Some(key), Some(cursor)) = (self.rows.columns.key.first(), self.rows.columns.cursor) else {
            return Ok(HashMap::new());
        };
        let mut found = HashMap::new();
        for batch in self.rows.find(self.folders(), keys, &[cursor])? {
            let read = text_column(&batch, *key).and_then(|keys| Ok((keys, moments(&batch, cursor)?)));
            let (keys, dates) = read.map_err(|e| file::failed("read", &self.folder, e))?;
            let row = |row| Some((text(&keys, row)?.to_owned(), moment(&dates, row)));
            found.extend((0..batch.num_rows()).filter_map(row));
        }
        Ok(found)
    }

    /// The entries about these keys.
    pub(super) fn entries_about(&self, keys: &HashSet<&str>) -> Result<HashMap<String, Entry>> {
        about(&self.ledger, self.folders(), keys)
    }

    /// Hands `each` all entries.
    pub(super) fn entries(&self, each: &mut dyn FnMut(Entry)) -> Result<()> {
        self.ledger.scan(self.folders(), &[0, 1, 2, 3, 4, 5], &mut |batch| {
            entries::of_rows(batch, each);
            Ok(())
        })
    }

    /// Hands `each` the keys, each once, of the lead rows that rows without a stamp are about.
    pub(super) fn live_keys(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        let Columns { lead, deleted, key, .. } = &self.rows.columns;
        let is_own = key.as_slice() == [*lead];
        let mut seen: HashSet<u64> = HashSet::new();
        let places: Vec<usize> = [Some(*lead), *deleted].into_iter().flatten().collect();
        self.rows.scan(self.folders(), &places, &mut |batch| {
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

    /// The next version, to be published; `None` if it is the current one.
    pub(super) fn finish(mut self, versions: &Versions) -> Result<Option<Draft>> {
        if !self.is_changed {
            return Ok(None);
        }
        let draft = match self.draft.take() {
            Some(draft) => draft,
            None => versions.draft(&self.target.schema, self.target.table.name)?,
        };
        let before: Vec<String> = [&self.manifest.files, &self.manifest.ledger]
            .into_iter()
            .flatten()
            .map(|f| f.name.clone())
            .collect();
        self.manifest.columns = self.rows.columns.named();
        self.manifest.files = self.rows.files;
        self.manifest.ledger = self.ledger.files;
        let path = draft.folder().join(manifest::FILE);
        std::fs::write(&path, self.manifest.to_json()?).map_err(|e| versions::failed(&path, "written", e))?;
        for file in self.manifest.files.iter().chain(&self.manifest.ledger) {
            if before.contains(&file.name) {
                file::check(&self.folder.join(&file.name), file)?;
                draft.keep(&file.name)?;
            }
        }
        if self.is_there {
            keep_foreign(&self.folder, &before, &draft)?;
        }
        Ok(Some(draft))
    }
}

/// The entries about these keys in the ledger of the table whose folder this is; none if there is none.
pub(super) fn entries_in(folder: &Path, keys: &HashSet<&str>) -> Result<HashMap<String, Entry>> {
    let files = Manifest::read(folder)?.map(|manifest| manifest.ledger).unwrap_or_default();
    let ledger = Rows { columns: OF_LEDGER.clone(), files, is_older: false, file_bytes: u64::MAX };
    about(&ledger, Folders { current: folder, draft: folder }, keys)
}

fn about(ledger: &Rows, folders: Folders<'_>, keys: &HashSet<&str>) -> Result<HashMap<String, Entry>> {
    let mut found = HashMap::new();
    for batch in ledger.find(folders, keys, &[0, 1, 2, 3, 4, 5])? {
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

/// Takes over the files that somebody else put into the folder of a table. What cannot be taken over, and what readers
/// would take for rows, is an error: the folder goes with its version.
fn keep_foreign(folder: &Path, ours: &[String], draft: &Draft) -> Result<()> {
    let listed = std::fs::read_dir(folder).map_err(|e| versions::failed(folder, "read", e))?;
    for found in listed {
        let found = found.map_err(|e| versions::failed(folder, "read", e))?;
        let name = found.file_name();
        let is_ours = |name: &str| {
            name == manifest::FILE || name.starts_with(versions::MARKER) || ours.iter().any(|own| own == name)
        };
        let (name, is_file) = (name.to_str(), found.file_type().is_ok_and(|kind| kind.is_file()));
        match name {
            Some(name) if is_ours(name) => {}
            Some(name) if is_file && !name.ends_with(ENDING) => draft.keep(name)?,
            _ => {
                let message =
                    format!("{} is not of ingest, and would go with this version", found.path().display());
                return Err(
                    Error::new(ErrorKind::Destination, message).with_hint("move it elsewhere and run again")
                );
            }
        }
    }
    Ok(())
}
