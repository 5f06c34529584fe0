//! What a lake needs of the place where its tables are kept, whatever kind of place that is.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::RowSelection;

use super::file;
use super::manifest::{FileEntry, Manifest};
use super::objects::{ObjectFile, Upload};
use crate::destination::{Identity, RunRecord, Target};
use crate::error::Result;

/// A table of a lake.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'n> {
    /// As it will be spelled when it is created.
    pub(super) schema: &'n str,
    pub(super) table: &'static str,
}

impl<'n> From<&'n Target> for Name<'n> {
    fn from(target: &'n Target) -> Self {
        Self { schema: &target.schema, table: target.table.name }
    }
}

impl Name<'_> {
    /// What tells it from other tables.
    pub(super) fn identity(self) -> Identity {
        (self.schema.to_lowercase(), self.table)
    }
}

/// The sets of files of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Rows,
    /// Rows that are not to be seen yet.
    Waiting,
    Ledger,
}

/// Keeps versions of tables. Files of the current version are never changed; those of the next one are written beside
/// them, and all that was finished becomes current in one step.
pub(super) trait Storage: Debug + Send {
    /// What the current version of a table says about itself; `None` if there is none.
    fn manifest(&self, table: Name<'_>) -> Result<Option<Manifest>>;

    /// Fails where the first version of a table would have to take the place of what is not ours.
    fn check_free(&self, table: Name<'_>) -> Result<()>;

    /// Begins the next version of a table, unless it is begun.
    fn begin(&mut self, table: Name<'_>) -> Result<()>;

    /// Whether the next version of a table is begun.
    fn is_begun(&self, table: Name<'_>) -> bool;

    /// Opens a file of the next version or, where there is none of that name, of the current one.
    fn open(&self, table: Name<'_>, file: &FileEntry) -> Result<Source>;

    /// A name that no file has: for one of the next version, which is the `generation`th, and in that the `number`th.
    fn name(&self, table: Name<'_>, part: Part, generation: u64, number: usize) -> String;

    /// Creates a file of the next version.
    fn create(&self, table: Name<'_>, name: &str) -> Result<Sink>;

    /// Removes a file of the next version; files of the current one stay.
    fn remove(&self, table: Name<'_>, name: &str) -> Result<()>;

    /// Says that the next version is complete with the files of `manifest`, some of them taken over from `current`.
    fn finish(&mut self, table: Name<'_>, manifest: &Manifest, current: Option<&Manifest>) -> Result<()>;

    /// Makes all versions current that are finished, or none, and forgets those that are only begun.
    fn publish(&mut self) -> Result<()>;

    /// Forgets all versions that are not published.
    fn abandon(&mut self);

    /// Adds to the log of runs.
    fn record(&mut self, runs: &[RunRecord]) -> Result<()>;

    /// Where a file is, for people.
    fn shown(&self, table: Name<'_>, name: &str) -> String;
}

/// A file that can be read.
#[derive(Debug)]
pub(super) enum Source {
    /// In this machine's file system.
    Local(File),
    /// In an object store.
    Object(ObjectFile),
}

/// A file that is being written.
#[derive(Debug)]
pub(super) enum Sink {
    /// In this machine's file system.
    Local(File),
    /// In an object store.
    Object(Upload),
}

impl Sink {
    /// Ends the file, all of whose bytes were written.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self {
            // Made to last with everything else of its version.
            Self::Local(_) => Ok(()),
            Self::Object(upload) => upload.finish().map_err(io::Error::other),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Local(file) => file.write(bytes),
            Self::Object(upload) => upload.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Local(file) => file.flush(),
            Self::Object(upload) => upload.flush(),
        }
    }
}

/// Rows of a file, in its order.
pub(super) type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

/// The files of one table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Files<'s> {
    pub(super) storage: &'s dyn Storage,
    pub(super) table: Name<'s>,
}

impl Files<'_> {
    /// Reads columns of a file, in their order, from the first row to the last or only rows that were selected.
    pub(super) fn read(
        self,
        entry: &FileEntry,
        names: Option<&[&str]>,
        selection: Option<RowSelection>,
    ) -> Result<Batches> {
        let source = self.storage.open(self.table, entry)?;
        file::read(source, &self.shown(entry), names, selection, file::BATCH)
    }

    /// Reads all rows of a file, few at a time.
    pub(super) fn stream(self, entry: &FileEntry) -> Result<Batches> {
        let source = self.storage.open(self.table, entry)?;
        file::read(source, &self.shown(entry), None, None, file::SMALL_BATCH)
    }

    /// Where a file is, for people.
    pub(super) fn shown(self, entry: &FileEntry) -> String {
        self.storage.shown(self.table, &entry.name)
    }
}
