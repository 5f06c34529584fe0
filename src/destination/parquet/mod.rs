//! Parquet: a folder per connection, in it a folder per table, in that files which any tool may read at any moment
//! with a glob: `lake/intercom/contacts/*.parquet`.
//!
//! Each key is in exactly one file, and the keys of different files do not overlap. A commit writes the files anew that
//! it changes, and puts the new version of the table, its state included, in the place of the old one in one step.

mod change;
mod columns;
mod commit;
mod entries;
mod file;
mod keys;
mod layout;
mod manifest;
mod rewrite;
mod rows;
mod runs;
mod survey;
mod table;
mod versions;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow::array::RecordBatch;

use super::run_lock::RunLock;
use super::{Committed, Destination, Identity, PastRun, RunRecord, TableCommit, TableStatus, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::Entry;
use crate::progress::Progress;
use crate::state::{Stored, TableState};
use manifest::Manifest;
use table::Table;
use versions::{Versions, folder_of};

/// Bytes that a file should have: few enough files for a glob, and small enough to be written anew for one row.
const FILE_BYTES: u64 = 128 << 20;

/// Bytes of rows that are committed at once. They stay in memory until all of them are written, since they are put in
/// the order of their keys.
const COMMIT_BYTES: usize = 72 << 20;

/// Tables in one folder, held for one run.
#[derive(Debug)]
pub struct Lake {
    folder: PathBuf,
    versions: Versions,
    file_bytes: u64,
    /// Tables that were there when their states were read.
    stood: HashSet<Identity>,
    _lock: RunLock,
}

impl Lake {
    /// Takes the folder for this run, waiting up to `wait` while another run has it. Nothing is created but the lock
    /// file beside it.
    pub fn begin(folder: &Path, wait: Duration, progress: &Progress) -> Result<Self> {
        let folder = canonical(folder)?;
        let lock = RunLock::take(&folder, wait, progress)?;
        let versions = Versions::open(&folder)?;
        Ok(Self { folder, versions, file_bytes: FILE_BYTES, stood: HashSet::new(), _lock: lock })
    }

    /// Proves that the folder can be written; one that does not exist is not created, since the lock file beside it
    /// already is.
    pub fn try_out(&mut self) -> Result<()> {
        if !self.folder.exists() {
            return Ok(());
        }
        let refused = |e| versions::failed(&self.folder, "written", e);
        let path = self.folder.join(format!(".ingest-{}", std::process::id()));
        std::fs::write(&path, "").and_then(|()| std::fs::remove_file(&path)).map_err(refused)
    }

    /// The same with files of about so many bytes instead of 128 MiB.
    #[must_use]
    pub fn with_file_bytes(self, file_bytes: u64) -> Self {
        Self { file_bytes: file_bytes.max(1), ..self }
    }

    /// Publishes commits, whose rows are in `batches` and let go of as they are written.
    fn publish(&mut self, commits: &[TableCommit], batches: Vec<Vec<RecordBatch>>) -> Result<Vec<Committed>> {
        let (done, drafts) =
            commit::build(&self.folder, &self.versions, self.file_bytes, commits, batches, &self.stood)?;
        self.versions.publish(drafts)?;
        // From now on they are missed.
        self.stood.extend(commits.iter().map(|commit| commit.target.identity()));
        Ok(done)
    }

    fn table(&self, target: &Target) -> Result<Table> {
        Table::open(target, table_folder(&self.folder, target), self.file_bytes)
    }
}

/// What a folder says about its tables and its latest runs (`runs` at most), newest first. Takes no lock on runs, so
/// it works beside one.
pub fn status(folder: &Path, runs: usize) -> Result<(Vec<TableStatus>, Vec<PastRun>)> {
    let folder = canonical(folder)?;
    if !folder.exists() {
        let message = format!("there is no folder at {}", folder.display());
        return Err(Error::new(ErrorKind::Destination, message)
            .with_hint("run ingest for a table first, or name another destination with --to"));
    }
    let mut tables = Vec::new();
    for (schema, place) in versions::schemas(&folder)? {
        let listed = std::fs::read_dir(&place).map_err(|e| versions::failed(&place, "read", e))?;
        let mut names: Vec<String> =
            listed.flatten().filter_map(|found| found.file_name().into_string().ok()).collect();
        names.sort();
        for name in names.into_iter().filter(|name| !name.starts_with(['.', '_'])) {
            let Some(manifest) = Manifest::read(&place.join(&name))? else { continue };
            let Some(stored) = manifest.stored()? else { continue };
            let (live, deleted) = manifest.count();
            let (schema, state) = (schema.clone(), stored.state);
            tables.push(TableStatus { schema, table: name, state, live: Some(live), deleted });
        }
    }
    Ok((tables, runs::latest(&folder, runs)?))
}

/// The folder with the files of a table, whether or not it is there.
pub fn table_folder(lake: &Path, target: &Target) -> PathBuf {
    folder_of(lake, &target.schema, target.table.name)
}

/// The states of the targets without taking the folder for a run; `None` where nothing was ever saved.
pub fn read_states(folder: &Path, targets: &[Target]) -> Result<Vec<Option<TableState>>> {
    let folder = canonical(folder)?;
    let states = targets.iter().map(|target| state_of(&folder, target));
    states.map(|stored| Ok(stored?.map(|stored| stored.state))).collect()
}

fn state_of(lake: &Path, target: &Target) -> Result<Option<Stored>> {
    match Manifest::read(&table_folder(lake, target))? {
        Some(manifest) => manifest.stored(),
        None => Ok(None),
    }
}

/// The one spelling of a path, whether or not there is such a folder; the one above must be there.
fn canonical(folder: &Path) -> Result<PathBuf> {
    let shown = folder.display();
    let unusable = |e| versions::failed(folder, "used", e);
    if folder.exists() {
        if !folder.is_dir() {
            let message = format!("destination {shown} is not a folder");
            return Err(Error::new(ErrorKind::Destination, message)
                .with_hint("give the path of a folder, such as ./lake"));
        }
        return folder.canonicalize().map_err(unusable);
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = folder.file_name().ok_or_else(|| {
        Error::new(ErrorKind::Destination, format!("destination {shown} is not the path of a folder"))
    })?;
    let parent = parent
        .canonicalize()
        .map_err(|e| unusable(e).with_hint(format!("create the folder {} first", parent.display())))?;
    Ok(parent.join(name))
}

impl Destination for Lake {
    fn load(&mut self, targets: &[Target]) -> Result<Vec<Option<Stored>>> {
        let states = targets.iter().map(|target| state_of(&self.folder, target)).collect::<Result<_>>()?;
        let stands = |target: &&Target| table_folder(&self.folder, target).join(manifest::FILE).exists();
        self.stood = targets.iter().filter(stands).map(Target::identity).collect();
        Ok(states)
    }

    fn commit(&mut self, commits: &[TableCommit]) -> Result<Vec<Committed>> {
        self.publish(commits, commits.iter().map(|commit| commit.batches.clone()).collect())
    }

    fn commit_and_forget(&mut self, mut commits: Vec<TableCommit>) -> Result<Vec<Committed>> {
        let batches = commits.iter_mut().map(|commit| std::mem::take(&mut commit.batches)).collect();
        self.publish(&commits, batches)
    }

    fn live_keys(&mut self, target: &Target, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.table(target)?.live_keys(each)
    }

    fn entries(&mut self, target: &Target, each: &mut dyn FnMut(Entry)) -> Result<()> {
        let table = self.table(target)?;
        // What was noted of a table that lacks columns is no reason to leave rows out.
        if table.is_as_declared() { table.entries(each) } else { Ok(()) }
    }

    fn most_bytes(&self) -> usize {
        COMMIT_BYTES
    }

    fn record(&mut self, records: &[RunRecord]) -> Result<()> {
        runs::append(&self.folder, records)
    }
}
