//! Versions of a table: built aside, published in one step.
//!
//! A table is a folder in the lake. Its next version is made in `.<lake>.ingest/` beside the lake, on the same file
//! system and outside its globs, and then the two folders change places. Readers and crashes see one or the other:
//!
//! ```text
//! lake/intercom/contacts/        what readers see
//! .lake.ingest/drafts/<id>/      a version being made; what a kill leaves there was only begun
//! .lake.ingest/old/<when>-<n>/   a version that was replaced, whole for another minute
//! .lake.ingest/journal.json      several tables that are to be published together, until they are
//! ```
//!
//! Only the holder of the run lock makes, publishes and recovers versions.

mod disk;
mod journal;
mod names;
mod place;
mod replaced;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

pub(super) use disk::failed;
use disk::{Disk, Exchange, not_moved, sync_folder};
pub(super) use journal::MARKER;
use journal::{Entry, Seen, Step};
pub(super) use names::{encode, folder_of, schemas};
use place::Place;

use crate::error::{Error, ErrorKind, Result};

/// The versions of the tables of one lake.
#[derive(Debug)]
pub(super) struct Versions {
    place: Arc<Place>,
    way: Exchange,
    clock: Clock,
    /// Whether a publication failed between its first and its last table.
    is_halfway: bool,
}

/// A version being made. Dropped unpublished, it goes.
#[derive(Debug)]
pub(super) struct Draft {
    place: Arc<Place>,
    entry: Entry,
    folder: PathBuf,
    live: PathBuf,
    /// Whether the folder is no longer this draft's to remove.
    is_let_go: bool,
}

/// Time that goes on evenly for as long as a run lasts, whatever is done to the clock of the machine.
#[derive(Debug)]
struct Clock {
    /// Milliseconds since 1970.
    start: i64,
    /// `None` where time stands still, for tests.
    since: Option<Instant>,
}

impl Versions {
    /// Finishes what a killed run had decided to publish, removes what it had only begun, and lets go of versions that
    /// were replaced a minute ago or more. Makes nothing where nothing is to be finished.
    pub(super) fn open(lake: &Path) -> Result<Self> {
        let clock = Clock { start: crate::clock::now().as_millisecond(), since: Some(Instant::now()) };
        Self::open_with(lake, Disk::default(), Exchange::Atomic, clock)
    }

    fn open_with(lake: &Path, disk: Disk, way: Exchange, clock: Clock) -> Result<Self> {
        let place = Arc::new(Place::of(lake, disk)?);
        place.check_is_own()?;
        let mut versions = Self { place: Arc::clone(&place), way, clock, is_halfway: false };
        if !place.area.is_dir() {
            return Ok(versions);
        }
        let journal = place.journal();
        if let Some(entries) = journal::read(&journal)? {
            versions
                .carry_out(&entries)
                .map_err(|error| error.within("finishing what an earlier run had begun to publish"))?;
            place.forget_decision()?;
        }
        place.disk.remove_begun(&journal);
        let now = versions.clock.now();
        let cleared = replaced::clear(&place.disk, &place.drafts(), &place.old(), now);
        if let Err(error) =
            cleared.and_then(|()| replaced::let_go(&place.disk, &place.old(), &place.drafts(), now))
        {
            tracing::warn!(%error, "leftovers of earlier runs stay for now");
        }
        for folder in [place.drafts(), place.old(), place.area.clone()] {
            place.disk.remove_empty(&folder);
        }
        Ok(versions)
    }

    /// A new folder for the next version of a table, which is to replace the one that is there now. It is empty but
    /// for the file that tells it from others. Drafts of one schema that is not there yet have to spell it alike.
    pub(super) fn draft(&self, schema: &str, table: &str) -> Result<Draft> {
        self.check_whole()?;
        let place = &self.place;
        let live = names::find_folder(&place.lake, schema, table)?;
        let replaces = match Seen::at(&live)? {
            Seen::Nothing => None,
            Seen::Version(id) => Some(id),
            Seen::Foreign(what) => return Err(foreign(&live, what)),
        };
        let model = live.ancestors().find(|folder| folder.is_dir()).filter(|it| it.starts_with(&place.lake));
        let drafts = place.drafts();
        place.disk.make_folders(&drafts, Some(&place.lake))?;
        if model.is_some_and(|model| disk::are_apart(model, &drafts)) {
            return Err(not_moved(&drafts, &live, std::io::ErrorKind::CrossesDevices.into()));
        }
        let id = format!("{:x}-{:016x}", self.clock.now(), fastrand::u64(..));
        let folder = drafts.join(&id);
        let entry = Entry { live: place.name(&live)?, id, replaces };
        place.disk.make_folders(&folder, model)?;
        let draft = Draft { place: Arc::clone(place), entry, folder, live, is_let_go: false };
        place.disk.write_empty(&draft.folder.join(format!("{MARKER}{}", draft.entry.id)))?;
        Ok(draft)
    }

    /// Replaces the current versions by the drafts, in their order: all of them or none. If the process is killed or
    /// the power fails on the way, the next [`Versions::open`] finishes it or forgets it.
    ///
    /// An error leaves everything as it was, unless it comes between the first and the last table: then the next
    /// `open` finishes it, and until then nothing more can be drafted or published.
    pub(super) fn publish(&mut self, mut drafts: Vec<Draft>) -> Result<()> {
        self.check_whole()?;
        let entries: Vec<Entry> = drafts.iter().map(|draft| draft.entry.clone()).collect();
        self.make_ready(&entries)?;
        let place = Arc::clone(&self.place);
        let published = self
            .decide(&entries)
            .and_then(|()| self.carry_out(&entries))
            .and_then(|()| place.forget_decision());
        if let Err(error) = published {
            if place.is_untouched(&entries) && place.forget_decision().is_ok() {
                return Err(error);
            }
            self.is_halfway = true;
            let_go(&mut drafts);
            let hint = error.hint().unwrap_or("run again: what was begun is finished first").to_owned();
            return Err(error.within("published in part").with_hint(hint));
        }
        let_go(&mut drafts);
        let now = self.clock.now();
        if let Err(error) = replaced::let_go(&place.disk, &place.old(), &place.drafts(), now) {
            tracing::warn!(%error, "replaced versions stay for now");
        }
        Ok(())
    }

    /// Everything that can fail before anything is decided, and all that a decision relies on after a loss of power.
    fn make_ready(&self, entries: &[Entry]) -> Result<()> {
        let Place { lake, disk, .. } = &*self.place;
        let mut tables = BTreeSet::new();
        for entry in entries {
            if !tables.insert(&entry.live) {
                let message = format!("{} has two next versions", lake.join(&entry.live).display());
                return Err(Error::new(ErrorKind::Destination, message));
            }
            let folder = self.place.draft_of(entry);
            if Seen::at(&folder)? != Seen::Version(entry.id.clone()) {
                let message = format!("{} lost the file {MARKER}*", folder.display());
                return Err(Error::new(ErrorKind::Destination, message));
            }
            self.next_step(entry)?;
        }
        for entry in entries {
            disk::sync_tree(&self.place.draft_of(entry))?;
            disk.make_folders(self.place.parent_of(entry).as_path(), Some(lake))?;
        }
        if entries.is_empty() {
            return Ok(());
        }
        disk.make_folders(&self.place.old(), Some(&self.place.area))?;
        sync_folder(&self.place.drafts())
    }

    /// One table is published by the one step that replaces it, as long as there is such a step. Several are by being
    /// written down.
    fn decide(&self, entries: &[Entry]) -> Result<()> {
        if entries.len() < 2 {
            return Ok(());
        }
        journal::write(&self.place.disk, &self.place.journal(), entries)
    }

    /// Goes from wherever things are to where they were decided to be, and makes that last.
    fn carry_out(&mut self, entries: &[Entry]) -> Result<()> {
        let place = Arc::clone(&self.place);
        let (disk, old) = (&place.disk, place.old());
        for entry in entries {
            let (live, draft) = (place.live_of(entry), place.draft_of(entry));
            while let Some(step) = self.next_step(entry)? {
                match step {
                    Step::Place => {
                        disk.make_folders(&place.parent_of(entry), Some(&place.lake))?;
                        disk.rename(&draft, &live)?;
                    }
                    Step::Exchange => {
                        if !disk.exchange(&draft, &live)? {
                            self.way = Exchange::TwoRenames;
                        }
                    }
                    Step::MakeRoom => {
                        // From here on only what is written down says that the table is to come back.
                        if !place.journal().exists() {
                            journal::write(disk, &place.journal(), entries)?;
                        }
                        replaced::set_aside(disk, &live, &old, self.clock.now())?;
                    }
                    Step::SetAside => replaced::set_aside(disk, &draft, &old, self.clock.now())?,
                }
            }
        }
        let parents: BTreeSet<PathBuf> = entries.iter().map(|entry| place.parent_of(entry)).collect();
        for folder in parents.into_iter().chain([place.drafts(), old]).filter(|folder| folder.is_dir()) {
            sync_folder(&folder)?;
        }
        Ok(())
    }

    fn next_step(&self, entry: &Entry) -> Result<Option<Step>> {
        let live = self.place.live_of(entry);
        let draft = Seen::at(&self.place.draft_of(entry))?;
        journal::next(entry, &Seen::at(&live)?, &draft, self.way).map_err(|what| foreign(&live, what))
    }

    fn check_whole(&self) -> Result<()> {
        if !self.is_halfway {
            return Ok(());
        }
        let message = format!("{} was published in part", self.place.lake.display());
        Err(Error::new(ErrorKind::Destination, message)
            .with_hint("run again: what was begun is finished first"))
    }
}

impl Draft {
    /// Where the files of the version are to be written.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes a file of the current version over as it is, without copying where the file system can. The file that
    /// tells versions apart is never taken over.
    pub(super) fn keep(&self, file: &str) -> Result<()> {
        if file.starts_with(MARKER) {
            return Ok(());
        }
        let (from, to) = (self.live.join(file), self.folder.join(file));
        if Path::new(file).components().ne([Component::Normal(file.as_ref())]) {
            return Err(failed(&from, "kept", std::io::ErrorKind::InvalidFilename.into()));
        }
        disk::take_over(&from, &to, |from, to| std::fs::hard_link(from, to))
    }
}

/// Fails where [`Versions::open`] would for what is there, and changes nothing.
pub(super) fn check(lake: &Path) -> Result<()> {
    let place = Place::of(lake, Disk::default())?;
    place.check_is_own()?;
    journal::read(&place.journal()).map(drop)
}

/// Leaves the folders of drafts to themselves.
fn let_go(drafts: &mut [Draft]) {
    for draft in drafts {
        draft.is_let_go = true;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.is_let_go {
            return;
        }
        if let Err(error) = replaced::remove(&self.place.disk, &self.folder, &self.place.drafts()) {
            tracing::debug!(%error, "left for the next run to remove");
        }
    }
}

impl Clock {
    /// Milliseconds since 1970.
    fn now(&self) -> i64 {
        let passed = self.since.map_or(0, |since| since.elapsed().as_millis());
        self.start.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX))
    }
}

fn foreign(live: &Path, what: &str) -> Error {
    let message = format!("{} is {what}", live.display());
    Error::new(ErrorKind::Destination, message)
        .with_hint("a table is a folder that only ingest writes: move away what is there, then run again")
}
