//! Parquet: a folder per connection, in it a folder per table, in that files which any tool may read at any moment
//! with a glob: `lake/intercom/contacts/*.parquet`. In an object store the same files are found by a manifest.
//!
//! Each key is in exactly one file, and the keys of different files do not overlap. A commit writes the files anew that
//! it changes, and puts the new version of the table, its state included, in the place of the old one in one step.

mod aside;
mod change;
mod columns;
mod commit;
mod entries;
mod file;
mod folder;
mod gather;
mod keys;
mod layout;
mod manifest;
mod objects;
mod rewrite;
mod rows;
mod runs;
mod sequence;
mod storage;
mod survey;
mod table;
mod versions;
mod waiting;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow::array::RecordBatch;

use super::{Committed, Destination, Identity, PastRun, RunRecord, TableCommit, TableStatus, Target};
use crate::config::ObjectStoreConfig;
use crate::error::Result;
use crate::ledger::Entry;
use crate::progress::Progress;
use crate::state::{Stored, TableState};
use folder::Folder;
use objects::Objects;
use storage::Storage;
use table::Table;

/// Bytes that a file should have: few enough files for a glob, and small enough to be written anew for one row.
const FILE_BYTES: u64 = 128 << 20;

/// Bytes of rows that are committed at once. They stay in memory until all of them are written, since they are put in
/// the order of their keys; and each commit writes the files anew that hold a row of it.
const COMMIT_BYTES: usize = 72 << 20;
/// The same as long as a table is loaded for the first time: new rows are saved aside, so that small commits cost little,
/// and putting them together needs memory of its own.
const FIRST_COMMIT_BYTES: usize = 24 << 20;

/// Tables of Parquet files, held for one run.
#[derive(Debug)]
pub struct Lake {
    storage: Box<dyn Storage>,
    file_bytes: u64,
    /// Tables that were there when their states were read.
    stood: HashSet<Identity>,
    /// Tables whose refresh goes on, by the last state that this run saved: a commit without a state changes nothing
    /// about that.
    underway: HashSet<Identity>,
    /// Whether some tables were never read to their end.
    is_first_load: bool,
}

impl Lake {
    /// Takes the folder for this run, waiting up to `wait` while another run has it. Nothing is created but the lock
    /// file beside it.
    pub fn begin(folder: &Path, wait: Duration, progress: &Progress) -> Result<Self> {
        Ok(Self::over(Folder::begin(folder, wait, progress)?))
    }

    /// Takes a lake in an object store for this run, waiting up to `wait` while another run has it.
    pub fn begin_in_objects(config: &ObjectStoreConfig, wait: Duration, progress: &Progress) -> Result<Self> {
        Ok(Self::over(Objects::begin(config, wait, progress)?))
    }

    fn over(storage: impl Storage + 'static) -> Self {
        Self {
            storage: Box::new(storage),
            file_bytes: FILE_BYTES,
            stood: HashSet::new(),
            underway: HashSet::new(),
            is_first_load: true,
        }
    }

    /// The same with files of about so many bytes instead of 128 MiB.
    #[must_use]
    pub fn with_file_bytes(self, file_bytes: u64) -> Self {
        Self { file_bytes: file_bytes.max(1), ..self }
    }

    /// Publishes commits, whose rows are in `batches` and let go of as they are written.
    fn publish(&mut self, commits: &[TableCommit], batches: Vec<Vec<RecordBatch>>) -> Result<Vec<Committed>> {
        let storage = self.storage.as_mut();
        let mut underway = self.underway.clone();
        for commit in commits {
            match commit.state.as_ref().map(|change| change.state.refresh.is_some()) {
                Some(true) => drop(underway.insert(commit.target.identity())),
                Some(false) => drop(underway.remove(&commit.target.identity())),
                None => {}
            }
        }
        let done = commit::build(storage, self.file_bytes, commits, batches, &self.stood, &underway)
            .and_then(|done| storage.publish().map(|()| done))
            .inspect_err(|_| self.storage.abandon())?;
        self.underway = underway;
        // From now on they are missed.
        self.stood.extend(commits.iter().map(|commit| commit.target.identity()));
        Ok(done)
    }

    fn table(&self, target: &Target) -> Result<Table> {
        Table::open(self.storage.as_ref(), target, self.file_bytes)
    }
}

/// Fails where a run could not have the lake in a folder, could not write it, or make it. Writes nothing.
pub fn try_out(folder: &Path) -> Result<()> {
    folder::try_out(folder)
}

/// What a lake in an object store says about its tables and its latest runs (`runs` at most), newest first.
pub fn status_of_objects(
    config: &ObjectStoreConfig,
    runs: usize,
) -> Result<(Vec<TableStatus>, Vec<PastRun>)> {
    objects::status(config, runs)
}

/// The states of the targets in an object store, without taking the lake for a run.
pub fn read_states_of_objects(
    config: &ObjectStoreConfig,
    targets: &[Target],
) -> Result<Vec<Option<TableState>>> {
    objects::read_states(config, targets)
}

/// What a folder says about its tables and its latest runs (`runs` at most), newest first. Takes no lock on runs, so
/// it works beside one.
pub fn status(folder: &Path, runs: usize) -> Result<(Vec<TableStatus>, Vec<PastRun>)> {
    folder::status(folder, runs)
}

/// The folder with the files of a table, whether or not it is there.
pub fn table_folder(lake: &Path, target: &Target) -> PathBuf {
    folder::table_folder(lake, target.into())
}

/// The states of the targets without taking the folder for a run; `None` where nothing was ever saved.
pub fn read_states(folder: &Path, targets: &[Target]) -> Result<Vec<Option<TableState>>> {
    folder::read_states(folder, targets)
}

impl Destination for Lake {
    fn load(&mut self, targets: &[Target]) -> Result<Vec<Option<Stored>>> {
        let mut states = Vec::with_capacity(targets.len());
        self.stood.clear();
        self.underway.clear();
        for target in targets {
            let manifest = self.storage.manifest(target.into())?;
            self.stood.extend(manifest.iter().map(|_| target.identity()));
            states.push(manifest.map(|manifest| manifest.stored()).transpose()?.flatten());
        }
        let is_complete =
            |stored: &Option<Stored>| stored.as_ref().is_some_and(|stored| stored.state.checkpoint.is_some());
        self.is_first_load = !states.iter().all(is_complete);
        Ok(states)
    }

    fn commit(&mut self, commits: &[TableCommit]) -> Result<Vec<Committed>> {
        self.publish(commits, commits.iter().map(|commit| commit.batches.clone()).collect())
    }

    fn commit_and_forget(&mut self, mut commits: Vec<TableCommit>) -> Result<Vec<Committed>> {
        let batches = commits.iter_mut().map(|commit| std::mem::take(&mut commit.batches)).collect();
        self.publish(&commits, batches)
    }

    fn is_one_place(&self) -> bool {
        true
    }

    fn live_keys(&mut self, target: &Target, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.table(target)?.live_keys(self.storage.as_ref(), each)
    }

    fn entries(&mut self, target: &Target, each: &mut dyn FnMut(Entry)) -> Result<()> {
        let table = self.table(target)?;
        // What was noted of a table that lacks columns is no reason to leave rows out.
        if table.is_as_declared() && table.has_state() {
            table.entries(self.storage.as_ref(), each)
        } else {
            Ok(())
        }
    }

    fn most_bytes(&self) -> usize {
        if self.is_first_load { FIRST_COMMIT_BYTES } else { COMMIT_BYTES }
    }

    fn record(&mut self, records: &[RunRecord]) -> Result<()> {
        self.storage.record(records)
    }
}
