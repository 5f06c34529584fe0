//! A lake in an object store.
//!
//! ```text
//! lake/_ingest/manifest.json                   which files make up each table, and its state
//! lake/_ingest/lock.json                       which run is at work
//! lake/_ingest/runs/<day>/<time>-<run>.jsonl   the log of runs
//! lake/intercom/contacts/_files/<name>.rows    Parquet files, of current and of replaced versions
//! ```
//!
//! Nothing can be exchanged as a whole here, and a listing shows files of several versions. So files are never changed,
//! have names that are used once, and are found by the manifest alone, which is written last, over the version that the
//! commit was made from and no other. Their names end in no way that a glob for Parquet files would match.

mod bucket;
mod connect;
mod document;
mod failure;
mod lease;
mod read;
mod upload;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use object_store::UpdateVersion;
pub(super) use read::ObjectFile;
pub(super) use upload::Upload;

use super::manifest::{FileEntry, Manifest};
use super::runs;
use super::storage::{Name, Part, Sink, Source, Storage};
use super::versions::encode;
use crate::config::ObjectStoreConfig;
use crate::destination::{Identity, PastRun, RunRecord, TableStatus, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;
use crate::state::TableState;
use bucket::{Bucket, Put};
use document::Document;
use lease::Lease;

/// How long files of replaced versions stay: whoever read the manifest before may take so long for the rest.
const RETENTION: SignedDuration = SignedDuration::from_mins(10);
/// What helps where the answer to the last request of a commit was lost.
const GO_ON: &str = "whether this was published is not known; run again: it goes on from what is there";
/// The folder of a table's files. Tools that read a folder pass over what begins so.
const FILES: &str = "_files";
/// Where the log of runs is.
const RUNS: &str = "_ingest/runs";

/// Whether this run may still publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Sound,
    /// Another run has published meanwhile.
    Outdated,
    /// Whether the last commit was published is not known, and may yet be decided.
    Unclear,
}

/// Tables in an object store, held for one run.
#[derive(Debug)]
pub(super) struct Objects {
    bucket: Arc<Bucket>,
    /// Part of the name of every file of this run.
    run: String,
    document: Document,
    /// The version of the manifest that was read or written last; `None` if there is none.
    version: Option<UpdateVersion>,
    /// Tables whose files are not those that the manifest names, and what is wrong with them.
    broken: HashMap<(String, String), Error>,
    begun: Vec<Identity>,
    finished: Vec<(Identity, String, Manifest)>,
    /// Files of killed runs that may become of use to nobody later on.
    leftovers: Vec<String>,
    /// Files that were written since the last commit.
    written: Mutex<Vec<String>>,
    standing: Standing,
    _lease: Lease,
}

impl Objects {
    /// Takes the lake for this run, waiting up to `wait` while another run has it; removes what killed runs left.
    pub(super) fn begin(config: &ObjectStoreConfig, wait: Duration, progress: &Progress) -> Result<Self> {
        let bucket = Arc::new(Bucket::of(config)?);
        let lease = Lease::take(&bucket, wait, progress)?;
        let (document, version) = read(&bucket)?;
        let mut objects = Self {
            bucket,
            run: format!("{:08x}", fastrand::u32(..)),
            document,
            version,
            broken: HashMap::new(),
            begun: Vec::new(),
            finished: Vec::new(),
            leftovers: Vec::new(),
            written: Mutex::new(Vec::new()),
            standing: Standing::Sound,
            _lease: lease,
        };
        objects.look()?;
        Ok(objects)
    }

    /// Compares the files that are there with those that the manifest names. A table all of whose files are gone was
    /// removed by somebody.
    fn look(&mut self) -> Result<()> {
        let mut there: HashMap<String, u64> = HashMap::new();
        for folder in self.bucket.folders("")? {
            if !folder.starts_with(['_', '.']) {
                there.extend(self.bucket.list(&folder)?);
            }
        }
        let is_there = |file: &FileEntry| there.contains_key(&file.name);
        let is_empty = |manifest: &Manifest| manifest.all_files().next().is_none();
        let stands = |manifest: &Manifest| is_empty(manifest) || manifest.all_files().any(is_there);
        self.document.tables.retain(|entry| stands(&entry.manifest));
        for entry in &self.document.tables {
            let identity = (entry.schema.to_lowercase(), entry.table.clone());
            let wrong = entry.manifest.all_files().find(|file| there.get(&file.name) != Some(&file.bytes));
            let Some(wrong) = wrong else { continue };
            let shown = self.bucket.shown(&wrong.name);
            let error = if is_there(wrong) {
                super::file::changed(&shown)
            } else {
                Error::new(ErrorKind::Destination, format!("{shown} is not there"))
                    .with_hint(super::file::GONE)
            };
            self.broken.insert(identity, error);
        }
        let named: HashSet<&str> = self.document.tables.iter().flat_map(document::Entry::names).collect();
        self.leftovers = there.into_keys().filter(|name| !named.contains(name.as_str())).collect();
        let due = self.leftovers_of_the_past();
        self.remove(&due);
        Ok(())
    }

    /// Takes out the files of killed runs that are of no use to anybody: no manifest names them, and none can name them
    /// any more, as another version has taken the place of the one that they were written for.
    fn leftovers_of_the_past(&mut self) -> Vec<String> {
        let tables = &self.document.tables;
        let is_past = |name: &mut String| {
            let entry = tables.iter().find(|entry| name.starts_with(&folder(&entry.schema, &entry.table)));
            entry
                .zip(generation(name))
                .is_some_and(|(entry, generation)| generation <= entry.manifest.generation)
        };
        self.leftovers.extract_if(.., is_past).collect()
    }

    /// Removes files that nobody needs, now or in a later run.
    fn remove(&self, names: &[String]) {
        if let Err(error) = self.bucket.delete(names) {
            tracing::warn!(%error, "files that are no longer needed stay for now");
        }
    }

    /// Writes the manifest over the version that this run knows.
    fn replace(&mut self, next: Document) -> Result<()> {
        let bytes: bytes::Bytes = next.to_json()?.into();
        let put = self.bucket.put_over(document::NAME, bytes.clone(), self.version.clone())?;
        let unclear = match put {
            Put::Done(version) => {
                (self.document, self.version) = (next, Some(version));
                return Ok(());
            }
            Put::Refused => None,
            Put::Unclear(error) => Some(error),
        };
        // Either another run was faster, or the answer to this one's own request was lost.
        self.standing = Standing::Unclear;
        let (found, version) = read(&self.bucket)?;
        if found.commit == next.commit {
            self.standing = Standing::Sound;
            (self.document, self.version) = (next, version);
            return Ok(());
        }
        match unclear {
            Some(error) if found.commit == self.document.commit => Err(error.with_hint(GO_ON)),
            _ => {
                self.standing = Standing::Outdated;
                Err(self.outdated())
            }
        }
    }

    fn outdated(&self) -> Error {
        let message = format!("{}: another run has written it meanwhile", self.bucket.url());
        Error::new(ErrorKind::Conflict, message).with_hint("run again, one run at a time")
    }

    fn written(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for Objects {
    fn manifest(&self, table: Name<'_>) -> Result<Option<Manifest>> {
        match self.broken.get(&(table.schema.to_lowercase(), table.table.to_owned())) {
            Some(error) => Err(error.clone()),
            None => Ok(self.document.find(table).map(|entry| entry.manifest.clone())),
        }
    }

    /// Names of files are used once, so nothing is in their way.
    fn check_free(&self, _table: Name<'_>) -> Result<()> {
        Ok(())
    }

    fn begin(&mut self, table: Name<'_>) -> Result<()> {
        match self.standing {
            Standing::Sound => {}
            Standing::Outdated => return Err(self.outdated()),
            Standing::Unclear => {
                let message = format!("{}: an earlier commit may or may not be there", self.bucket.url());
                return Err(Error::new(ErrorKind::Destination, message).with_hint(GO_ON));
            }
        }
        if !self.is_begun(table) {
            self.begun.push(table.identity());
        }
        Ok(())
    }

    fn is_begun(&self, table: Name<'_>) -> bool {
        self.begun.contains(&table.identity())
    }

    fn open(&self, _table: Name<'_>, file: &FileEntry) -> Result<Source> {
        let bucket = Arc::clone(&self.bucket);
        Ok(Source::Object(ObjectFile { bucket, name: file.name.clone(), bytes: file.bytes }))
    }

    fn name(&self, table: Name<'_>, part: Part, generation: u64, number: usize) -> String {
        let known = self.document.find(table).map(|entry| entry.schema.as_str());
        let ending = match part {
            Part::Rows => "rows",
            Part::Ledger => "ledger",
        };
        let folder = folder(known.unwrap_or(table.schema), table.table);
        format!("{folder}{generation:08}-{number:04}-{}.{ending}", self.run)
    }

    fn create(&self, _table: Name<'_>, name: &str) -> Result<Sink> {
        self.written().push(name.to_owned());
        Ok(Sink::Object(Upload::of(Arc::clone(&self.bucket), name.to_owned())))
    }

    /// Goes with the commit, if it is of the next version.
    fn remove(&self, _table: Name<'_>, _name: &str) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self, table: Name<'_>, manifest: &Manifest, _current: Option<&Manifest>) -> Result<()> {
        self.begin(table)?;
        self.finished.push((table.identity(), table.schema.to_owned(), manifest.clone()));
        Ok(())
    }

    fn publish(&mut self) -> Result<()> {
        let finished = std::mem::take(&mut self.finished);
        self.begun.clear();
        if finished.is_empty() {
            self.abandon();
            return Ok(());
        }
        let now = crate::clock::now();
        let mut next = self.document.clone();
        next.commit = format!("{:016x}", fastrand::u64(..));
        next.committed_at = now;
        for ((_, table), schema, manifest) in finished {
            next.replace(Name { schema: &schema, table }, manifest, now);
        }
        let mut due = next.let_go(now.checked_sub(RETENTION).unwrap_or(Timestamp::MIN));
        self.replace(next)?;
        let named: HashSet<&str> = self.document.tables.iter().flat_map(document::Entry::names).collect();
        due.extend(self.written().drain(..).filter(|name| !named.contains(name.as_str())));
        due.extend(self.leftovers_of_the_past());
        self.remove(&due);
        Ok(())
    }

    fn abandon(&mut self) {
        self.begun.clear();
        self.finished.clear();
        let written = std::mem::take(&mut *self.written());
        // If the manifest names them after all, they are needed.
        if self.standing == Standing::Unclear {
            return;
        }
        self.remove(&written);
    }

    fn record(&mut self, records: &[RunRecord]) -> Result<()> {
        let Some(first) = records.first() else { return Ok(()) };
        let (day, time) = (first.finished_at.strftime("%Y-%m-%d"), first.finished_at.strftime("%H%M%S%.6f"));
        let name = format!("{RUNS}/{day}/{time}-{}-{:08x}.jsonl", self.run, fastrand::u32(..));
        self.bucket.put(&name, runs::to_text(records)?.into())
    }

    /// Taking it for a run has shown that already.
    fn try_out(&mut self) -> Result<()> {
        Ok(())
    }

    fn shown(&self, _table: Name<'_>, name: &str) -> String {
        self.bucket.shown(name)
    }
}

/// What a lake says about its tables and its latest runs (`limit` at most), newest first.
pub(super) fn status(config: &ObjectStoreConfig, limit: usize) -> Result<(Vec<TableStatus>, Vec<PastRun>)> {
    let bucket = Bucket::of(config)?;
    let (document, version) = read(&bucket)?;
    if version.is_none() {
        let message = format!("there is no lake at {}", bucket.url());
        return Err(Error::new(ErrorKind::Destination, message)
            .with_hint("run ingest for a table first, or name another destination with --to"));
    }
    let mut tables = Vec::new();
    for entry in &document.tables {
        tables.extend(entry.manifest.status(&entry.schema, &entry.table)?);
    }
    let mut days = bucket.folders(RUNS)?;
    days.sort();
    let mut texts = Vec::new();
    for day in days.iter().rev() {
        let mut names = bucket.list(&format!("{RUNS}/{day}"))?;
        names.sort();
        for (name, _) in names.iter().rev() {
            // Each has a line at least.
            if texts.len() >= limit {
                return Ok((tables, runs::latest_of(&texts, limit)));
            }
            texts.extend(bucket.get(name)?.map(|found| found.bytes));
        }
    }
    Ok((tables, runs::latest_of(&texts, limit)))
}

/// The states of the targets without taking the lake for a run; `None` where nothing was ever saved.
pub(super) fn read_states(config: &ObjectStoreConfig, targets: &[Target]) -> Result<Vec<Option<TableState>>> {
    let (document, _) = read(&Bucket::of(config)?)?;
    let state = |target: &Target| match document.find(target.into()) {
        Some(entry) => Ok(entry.manifest.stored()?.map(|stored| stored.state)),
        None => Ok(None),
    };
    targets.iter().map(state).collect()
}

/// The manifest and its version; an empty one if there is none.
fn read(bucket: &Bucket) -> Result<(Document, Option<UpdateVersion>)> {
    match bucket.get(document::NAME)? {
        Some(found) => Ok((Document::of(&found.bytes, &bucket.shown(document::NAME))?, Some(found.version))),
        None => Ok((Document::default(), None)),
    }
}

/// The folder of a table's files, with a slash at its end.
fn folder(schema: &str, table: &str) -> String {
    format!("{}/{}/{FILES}/", encode(schema), encode(table))
}

/// The version that a file was written for, by its name.
fn generation(name: &str) -> Option<u64> {
    let own = name.rsplit('/').next()?;
    own.split('-').next()?.parse().ok()
}
