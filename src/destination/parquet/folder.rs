//! A lake in a folder of this machine: a folder per table, in it the files that any tool may read with a glob.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file;
use super::manifest::{self, FileEntry, Manifest};
use super::runs;
use super::storage::{Name, Part, Sink, Source, Storage};
use super::versions::{self, Draft, Versions, failed, folder_of};
use crate::destination::access::{Access, check_writable, create_new};
use crate::destination::run_lock::RunLock;
use crate::destination::{Identity, PastRun, RunRecord, TableStatus, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;
use crate::special::special;
use crate::state::TableState;

/// How files with rows end.
const ENDING: &str = ".parquet";

/// Tables in one folder, held for one run.
#[derive(Debug)]
pub(super) struct Folder {
    lake: PathBuf,
    versions: Versions,
    begun: Vec<Next>,
    _lock: RunLock,
}

/// The next version of a table.
#[derive(Debug)]
struct Next {
    identity: Identity,
    draft: Draft,
    /// Who may use its files.
    access: Option<Access>,
    is_finished: bool,
}

impl Folder {
    /// Takes the folder for this run, waiting up to `wait` while another run has it. Nothing is created but the lock
    /// file beside it.
    pub(super) fn begin(lake: &Path, wait: Duration, progress: &Progress) -> Result<Self> {
        let lake = canonical(lake)?;
        let lock = RunLock::take(&lake, wait, progress)?;
        let versions = Versions::open(&lake)?;
        Ok(Self { lake, versions, begun: Vec::new(), _lock: lock })
    }

    fn folder(&self, table: Name<'_>) -> PathBuf {
        table_folder(&self.lake, table)
    }

    fn next(&self, table: Name<'_>) -> Option<&Next> {
        let identity = table.identity();
        self.begun.iter().find(|next| next.identity == identity)
    }

    fn begun(&self, table: Name<'_>) -> Result<&Next> {
        self.next(table).ok_or_else(|| {
            Error::new(ErrorKind::Destination, format!("table {} has no next version", table.table))
        })
    }

    /// Where a file is.
    fn path(&self, table: Name<'_>, name: &str) -> PathBuf {
        let new = self.next(table).map(|next| next.draft.folder().join(name)).filter(|path| path.exists());
        new.unwrap_or_else(|| self.folder(table).join(name))
    }
}

impl Storage for Folder {
    fn manifest(&self, table: Name<'_>) -> Result<Option<Manifest>> {
        Manifest::read(&self.folder(table))
    }

    fn check_free(&self, table: Name<'_>) -> Result<()> {
        let folder = self.folder(table);
        if !folder.exists() {
            return Ok(());
        }
        let mut listed = std::fs::read_dir(&folder).map_err(|e| failed(&folder, "read", e))?;
        let is_foreign = |found: std::io::Result<std::fs::DirEntry>| {
            found.is_ok_and(|found| !found.file_name().to_string_lossy().starts_with('.'))
        };
        if listed.any(is_foreign) {
            let message = format!("{} holds files that ingest did not write", folder.display());
            return Err(Error::new(ErrorKind::Destination, message)
                .with_hint("move them elsewhere, or write to another folder, or schema with --schema"));
        }
        Ok(())
    }

    fn begin(&mut self, table: Name<'_>) -> Result<()> {
        if !self.is_begun(table) {
            let draft = self.versions.draft(table.schema, table.table)?;
            let access = access_to_rows(&self.folder(table)).or_else(|| Access::in_folder(draft.folder()));
            self.begun.push(Next { identity: table.identity(), draft, access, is_finished: false });
        }
        Ok(())
    }

    fn is_begun(&self, table: Name<'_>) -> bool {
        self.next(table).is_some()
    }

    fn open(&self, table: Name<'_>, file: &FileEntry) -> Result<Source> {
        let path = self.path(table, &file.name);
        File::open(&path).map(Source::Local).map_err(|e| missing(&path, e))
    }

    /// All but the rows are hidden, so that tools that read a folder do not take them for rows.
    fn name(&self, _table: Name<'_>, part: Part, generation: u64, number: usize) -> String {
        match part {
            Part::Rows => format!("{generation:08}-{number:04}{ENDING}"),
            Part::Waiting => format!(".{generation:08}-{number:04}.waiting"),
            Part::Ledger => format!(".{generation:08}-{number:04}.ledger"),
        }
    }

    fn create(&self, table: Name<'_>, name: &str) -> Result<Sink> {
        let Next { draft, access, .. } = self.begun(table)?;
        let path = draft.folder().join(name);
        create_new(&path, *access).map(Sink::Local).map_err(|e| failed(&path, "created", e))
    }

    fn remove(&self, table: Name<'_>, name: &str) -> Result<()> {
        let path = self.begun(table)?.draft.folder().join(name);
        if !path.exists() {
            return Ok(());
        }
        std::fs::remove_file(&path).map_err(|e| failed(&path, "removed", e))
    }

    fn finish(&mut self, table: Name<'_>, manifest: &Manifest, current: Option<&Manifest>) -> Result<()> {
        self.begin(table)?;
        let (folder, Next { draft, access, .. }) = (self.folder(table), self.begun(table)?);
        let path = draft.folder().join(manifest::FILE);
        let text = manifest.to_json()?;
        create_new(&path, *access)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|e| failed(&path, "written", e))?;
        let before: Vec<&str> = current.iter().flat_map(|m| m.all_files()).map(|f| f.name.as_str()).collect();
        for file in manifest.all_files().filter(|file| before.contains(&file.name.as_str())) {
            check(&folder.join(&file.name), file)?;
            draft.keep(&file.name)?;
        }
        if current.is_some() {
            keep_foreign(&folder, &before, draft)?;
        }
        let identity = table.identity();
        self.begun
            .iter_mut()
            .filter(|next| next.identity == identity)
            .for_each(|next| next.is_finished = true);
        Ok(())
    }

    fn publish(&mut self) -> Result<()> {
        let finished = self.begun.drain(..).filter(|next| next.is_finished).map(|next| next.draft);
        let drafts = finished.collect();
        self.versions.publish(drafts)
    }

    fn abandon(&mut self) {
        self.begun.clear();
    }

    fn record(&mut self, records: &[RunRecord]) -> Result<()> {
        runs::append(&self.lake, records)
    }

    fn shown(&self, table: Name<'_>, name: &str) -> String {
        self.path(table, name).display().to_string()
    }
}

/// Fails where a run could not have the lake, could not write it, or make it. Writes nothing.
pub(super) fn try_out(lake: &Path) -> Result<()> {
    let lake = canonical(lake)?;
    RunLock::look(&lake)?;
    versions::check(&lake)?;
    let unwritable = |path: &Path| check_writable(path).map_err(|e| failed(path, "written", e));
    if lake.exists() {
        unwritable(&lake)?;
    }
    lake.parent().map_or(Ok(()), unwritable)
}

/// What a folder says about its tables and its latest runs (`runs` at most), newest first. Takes no lock on runs, so
/// it works beside one.
pub(super) fn status(lake: &Path, runs: usize) -> Result<(Vec<TableStatus>, Vec<PastRun>)> {
    let lake = canonical(lake)?;
    if !lake.exists() {
        let message = format!("there is no folder at {}", lake.display());
        return Err(Error::new(ErrorKind::Destination, message)
            .with_hint("run ingest for a table first, or name another destination with --to"));
    }
    let mut tables = Vec::new();
    for (schema, place) in versions::schemas(&lake)? {
        let listed = std::fs::read_dir(&place).map_err(|e| failed(&place, "read", e))?;
        let mut names: Vec<String> =
            listed.flatten().filter_map(|found| found.file_name().into_string().ok()).collect();
        names.sort();
        for name in names.into_iter().filter(|name| !name.starts_with(['.', '_'])) {
            let Some(manifest) = Manifest::read(&place.join(&name))? else { continue };
            tables.extend(manifest.status(&schema, &name)?);
        }
    }
    Ok((tables, runs::latest(&lake, runs)?))
}

/// The folder with the files of a table, whether or not it is there.
pub(super) fn table_folder(lake: &Path, table: Name<'_>) -> PathBuf {
    folder_of(lake, table.schema, table.table)
}

/// The states of the targets without taking the folder for a run; `None` where nothing was ever saved.
pub(super) fn read_states(lake: &Path, targets: &[Target]) -> Result<Vec<Option<TableState>>> {
    let lake = canonical(lake)?;
    let state = |target: &Target| match Manifest::read(&table_folder(&lake, target.into()))? {
        Some(manifest) => Ok(manifest.stored()?.map(|stored| stored.state)),
        None => Ok(None),
    };
    targets.iter().map(state).collect()
}

/// Who may use all the files with rows in a folder; `None` if there are none.
fn access_to_rows(folder: &Path) -> Option<Access> {
    let listed = std::fs::read_dir(folder).ok()?.flatten();
    let rows = listed.filter(|found| found.file_name().to_string_lossy().ends_with(ENDING));
    rows.filter_map(|found| Access::of_file(&found.path())).reduce(Access::and)
}

/// Fails unless the file is as it was written, as far as its size says.
fn check(path: &Path, entry: &FileEntry) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if found.len() == entry.bytes => Ok(()),
        Ok(_) => Err(file::changed(&path.display().to_string())),
        Err(error) => Err(missing(path, error)),
    }
}

fn missing(path: &Path, source: std::io::Error) -> Error {
    let is_gone = source.kind() == std::io::ErrorKind::NotFound;
    let error = failed(path, "read", source);
    if is_gone { error.with_hint(file::GONE) } else { error }
}

/// Takes over the files that somebody else put into the folder of a table. What cannot be taken over, and what readers
/// would take for rows, is an error: the folder goes with its version.
fn keep_foreign(folder: &Path, ours: &[&str], draft: &Draft) -> Result<()> {
    let listed = std::fs::read_dir(folder).map_err(|e| failed(folder, "read", e))?;
    for found in listed {
        let found = found.map_err(|e| failed(folder, "read", e))?;
        let name = found.file_name();
        let is_ours =
            |name: &str| name == manifest::FILE || name.starts_with(versions::MARKER) || ours.contains(&name);
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

/// The one spelling of a path, whether or not there is such a folder; the one above must be there. What is neither file
/// nor folder is a `Config` error.
fn canonical(folder: &Path) -> Result<PathBuf> {
    let shown = folder.display();
    if let Some(kind) = special(folder) {
        let message = format!("destination {shown} is {kind}, not a folder");
        return Err(
            Error::new(ErrorKind::Config, message).with_hint("give the path of a folder, such as ./lake")
        );
    }
    let unusable = |e| failed(folder, "used", e);
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
