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
mod leftovers;
mod listing;
mod lock;
mod log;
mod read;
mod transport;
mod upload;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use object_store::UpdateVersion;
pub(super) use read::ObjectFile;
pub(super) use upload::Upload;

use super::manifest::{FileEntry, Manifest};
use super::storage::{Name, Part, Sink, Source, Storage};
use super::versions::encode;
use crate::config::ObjectStoreConfig;
use crate::destination::{Identity, PastRun, RunRecord, TableStatus, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;
use crate::state::TableState;
use bucket::{Bucket, Put};
use document::Document;
use leftovers::Leftovers;
use lock::Lock;

/// How long files of replaced versions stay: whoever read the manifest before may take so long for the rest.
const RETENTION: SignedDuration = SignedDuration::from_mins(10);
/// What helps where the answer to the last request of a commit was lost.
const GO_ON: &str = "whether this was published is not known; run again: it goes on from what is there";
/// How often a manifest is sent that nobody seems to have received, and how long the first pause between is.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

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
    /// Files named so far.
    named: AtomicU64,
    document: Document,
    /// The version of the manifest that was read or written last; `None` if there is none.
    version: Option<UpdateVersion>,
    /// Tables whose files are not those that the manifest names, and what is wrong with them.
    broken: HashMap<(String, String), Error>,
    begun: Vec<Identity>,
    finished: Vec<(Identity, String, Manifest)>,
    leftovers: Leftovers,
    /// Files that were written since the last commit.
    written: Mutex<Vec<String>>,
    standing: Standing,
    _lock: Lock,
}

impl Objects {
    /// Takes the lake for this run, waiting up to `wait` while another run has it; removes what killed runs left.
    pub(super) fn begin(config: &ObjectStoreConfig, wait: Duration, progress: &Progress) -> Result<Self> {
        let bucket = Arc::new(Bucket::of(config)?);
        let lock = Lock::take(&bucket, wait, progress)?;
        let (mut document, version) = read_manifest(&bucket)?;
        let mut leftovers = Leftovers::default();
        let found = leftovers::compare(&bucket, &mut document, &mut leftovers)?;
        Ok(Self {
            bucket,
            run: format!("{:08x}", fastrand::u32(..)),
            named: AtomicU64::new(0),
            document,
            version,
            broken: found,
            begun: Vec::new(),
            finished: Vec::new(),
            leftovers,
            written: Mutex::new(Vec::new()),
            standing: Standing::Sound,
            _lock: lock,
        })
    }

    /// Writes the manifest over the version that this run knows.
    fn replace(&mut self, next: Document) -> Result<()> {
        let bytes: bytes::Bytes = next.to_json()?.into();
        let mut failure = None;
        self.standing = Standing::Unclear;
        for attempt in 0..ATTEMPTS {
            match self.bucket.put_over(document::NAME, bytes.clone(), self.version.clone())? {
                Put::Done(version) => {
                    self.go_on_from(next, Some(version));
                    return Ok(());
                }
                // Another run was faster, or this one itself, and the answer was lost.
                Put::Refused => {}
                Put::Unclear(error) => failure = failure.or(Some(error)),
            }
            let (found, version) = read_manifest(&self.bucket)?;
            if found.commit == next.commit {
                self.go_on_from(next, version);
                return Ok(());
            }
            if found.commit != self.document.commit {
                // From here on this commit cannot happen any more. It may have: then the other run went on from it.
                let needed: HashSet<&str> = found.tables.iter().flat_map(document::Entry::names).collect();
                self.written().retain(|name| !needed.contains(name.as_str()));
                self.standing = Standing::Outdated;
                return Err(self.outdated());
            }
            // Of this request and one that is still on its way only the first to arrive is carried out.
            std::thread::sleep(PAUSE * 2_u32.pow(attempt));
        }
        let refused = || {
            let message = format!("{} cannot be written", self.bucket.shown(document::NAME));
            let cause = "the store refuses to replace the version that is there by its own name for it";
            Error::new(ErrorKind::Destination, message).with_source(cause)
        };
        Err(failure.unwrap_or_else(refused).with_hint(GO_ON))
    }

    fn go_on_from(&mut self, document: Document, version: Option<UpdateVersion>) {
        (self.document, self.version, self.standing) = (document, version, Standing::Sound);
    }

    fn outdated(&self) -> Error {
        let message = format!("{}: another run has written it meanwhile", self.bucket.url());
        Error::new(ErrorKind::Conflict, message).with_hint("run again, one run at a time")
    }

    fn written(&self) -> MutexGuard<'_, Vec<String>> {
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
            self.leftovers.look_at(&self.bucket, &self.document, table.schema)?;
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

    /// No name comes twice, even if a commit is repeated: requests of the first try may still be on their way.
    fn name(&self, table: Name<'_>, part: Part, generation: u64, _number: usize) -> String {
        let known = self.document.find(table).map(|entry| entry.schema.as_str());
        let ending = match part {
            Part::Rows => "rows",
            Part::Waiting => "waiting",
            Part::Ledger => "ledger",
        };
        let folder = folder(known.unwrap_or(table.schema), table.table);
        let number = self.named.fetch_add(1, Ordering::Relaxed) + 1;
        format!("{folder}{generation:08}-{}-{number:04}.{ending}", self.run)
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
        self.begun.clear();
        let needed: HashSet<&str> = self.document.tables.iter().flat_map(document::Entry::names).collect();
        due.extend(self.written().drain(..).filter(|name| !needed.contains(name.as_str())));
        due.extend(self.leftovers.of_the_past(&self.document));
        leftovers::remove(&self.bucket, &due);
        Ok(())
    }

    fn abandon(&mut self) {
        self.begun.clear();
        self.finished.clear();
        let written = std::mem::take(&mut *self.written());
        // If a manifest comes to name them after all, they are needed.
        if self.standing != Standing::Unclear {
            leftovers::remove(&self.bucket, &written);
        }
    }

    fn record(&mut self, records: &[RunRecord]) -> Result<()> {
        log::append(&self.bucket, records)
    }

    fn shown(&self, _table: Name<'_>, name: &str) -> String {
        self.bucket.shown(name)
    }
}

/// What a lake says about its tables and its latest runs (`limit` at most), newest first.
pub(super) fn status(config: &ObjectStoreConfig, limit: usize) -> Result<(Vec<TableStatus>, Vec<PastRun>)> {
    let bucket = Arc::new(Bucket::of(config)?);
    let (document, version) = read_manifest(&bucket)?;
    if version.is_none() {
        let message = format!("there is no lake at {}", bucket.url());
        return Err(Error::new(ErrorKind::Destination, message)
            .with_hint("run ingest for a table first, or name another destination with --to"));
    }
    let mut tables = Vec::new();
    for entry in &document.tables {
        tables.extend(entry.manifest.status(&entry.schema, &entry.table)?);
    }
    Ok((tables, log::latest(&bucket, limit)?))
}

/// The states of the targets without taking the lake for a run; `None` where nothing was ever saved.
pub(super) fn read_states(config: &ObjectStoreConfig, targets: &[Target]) -> Result<Vec<Option<TableState>>> {
    let (document, _) = read_manifest(&Arc::new(Bucket::of(config)?))?;
    let state = |target: &Target| match document.find(target.into()) {
        Some(entry) => Ok(entry.manifest.stored()?.map(|stored| stored.state)),
        None => Ok(None),
    };
    targets.iter().map(state).collect()
}

/// The manifest and its version; an empty one if there is none.
fn read_manifest(bucket: &Arc<Bucket>) -> Result<(Document, Option<UpdateVersion>)> {
    match bucket.get(document::NAME)? {
        Some(found) => Ok((Document::of(&found.bytes, &bucket.shown(document::NAME))?, Some(found.version))),
        None => Ok((Document::default(), None)),
    }
}

/// The folder of a table's files, with a slash at its end. Tools that read a folder pass over what begins with `_`.
fn folder(schema: &str, table: &str) -> String {
    format!("{}/{}/_files/", encode(schema), encode(table))
}
