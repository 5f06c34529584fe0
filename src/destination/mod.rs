//! Where rows land, together with the state that describes them.

pub(crate) mod access;
pub mod duckdb;
mod memory;
pub mod parquet;
mod reduce;
mod run_lock;
mod several;
mod status;
mod text;

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use jiff::Timestamp;

pub use memory::{Memory, TextRow};
pub use reduce::{Parent, Reduced, reduce, reduce_per_parent};
pub use several::Several;
pub use status::{PastRun, TableStatus};
use text::in_utc;

use crate::batch::{Owner, Reject};
use crate::error::Result;
use crate::ledger::Entry;
use crate::state::{StateChange, Stored};
use crate::table::{TableSpec, WriteDisposition};

/// One table in one schema of a destination.
#[derive(Debug, Clone)]
pub struct Target {
    /// The schema, as it will be spelled when it is created.
    pub schema: Arc<str>,
    /// The table.
    pub table: &'static TableSpec,
}

/// A schema in lower case, and the name of a table.
type Identity = (String, &'static str);

impl Target {
    /// What tells it from other tables: schemas are the same whatever the case of their letters.
    fn identity(&self) -> Identity {
        (self.schema.to_lowercase(), self.table.name)
    }
}

/// Where batches land.
///
/// A commit is all or nothing: rows, removals, stamps and states of every table in it, or none of them,
/// also when the process is killed. Rows come at least once; merging them again changes nothing.
pub trait Destination: Debug + Send {
    /// The states of the targets, in their order; `None` where nothing was ever saved.
    fn load(&mut self, targets: &[Target]) -> Result<Vec<Option<Stored>>>;

    /// Publishes everything in `commits`, or nothing. Tables and columns that are missing are created;
    /// nothing is ever dropped or narrowed. A state that somebody else changed meanwhile is a
    /// [`crate::error::ErrorKind::Conflict`] error and leaves everything as it was.
    fn commit(&mut self, commits: &[TableCommit]) -> Result<Vec<Committed>>;

    /// The same for commits that nobody needs any more, so that rows are let go of as they are written.
    fn commit_and_forget(&mut self, commits: Vec<TableCommit>) -> Result<Vec<Committed>> {
        self.commit(&commits)
    }

    /// Hands `each` the keys, each once, of the [`TableSpec::lead`] rows that the table's own rows are about, as far
    /// as these are not stamped as deleted: of a table inside another those of the parents, else its own.
    fn live_keys(&mut self, target: &Target, each: &mut dyn FnMut(&str)) -> Result<()>;

    /// Hands `each` what was noted about the parents of the table's rows; without the version where the parent
    /// was stamped since. Nothing where no state is saved: rows that no state vouches for may be missing.
    fn entries(&mut self, target: &Target, each: &mut dyn FnMut(Entry)) -> Result<()>;

    /// Adds to the log of runs.
    fn record(&mut self, runs: &[RunRecord]) -> Result<()>;

    /// Bytes of rows in memory that it takes in one commit without needing too much itself.
    fn most_bytes(&self) -> usize {
        usize::MAX
    }

    /// Whether what a [`Committed`] counts is true of every place that rows go to.
    fn is_one_place(&self) -> bool {
        false
    }

    /// Nothing is to be done for a while: lets go of whatever keeps readers out.
    fn rest(&mut self) {}
}

/// One table's share of a commit.
#[derive(Debug, Clone)]
pub struct TableCommit {
    /// Where to. A table comes after the one that its rows stand inside.
    pub target: Target,
    /// Rows with the columns of [`TableSpec::schema`]; a key may repeat.
    pub batches: Vec<RecordBatch>,
    /// Of tables that are replaced per parent: for each batch whose rows it holds, in the order of the rows. Of
    /// a parent that comes more than once the newest counts; if a newer version of it is stored in a table
    /// that is part of the commit, none does.
    pub owners: Vec<Vec<Owner>>,
    /// What is to be noted about the parents of the rows. The rows of one with a total lose their stamps; one
    /// without leaves the known total as it is.
    pub entries: Vec<Entry>,
    /// Whether the rows that these stand inside are brought by the same run, so that a newer version of one of
    /// them says that its own here are outdated.
    pub is_beside_parents: bool,
    /// What becomes of stored rows whose keys are not among them.
    pub scope: Scope,
    /// Stored rows ingested before this moment lose against the new ones, whatever their dates.
    pub supersedes_before: Timestamp,
    /// Rows found to be gone.
    pub stamps: Vec<Stamp>,
    /// The state that all this supports, if it changes. With the first one, what was noted earlier about parents is
    /// forgotten.
    pub state: Option<StateChange>,
}

impl TableCommit {
    /// A commit that changes nothing yet.
    pub fn to(target: Target, supersedes_before: Timestamp) -> Self {
        Self {
            target,
            batches: Vec::new(),
            owners: Vec::new(),
            entries: Vec::new(),
            is_beside_parents: false,
            scope: Scope::Some,
            supersedes_before,
            stamps: Vec::new(),
            state: None,
        }
    }

    /// The rows `batches` of this commit, one per key, and of a table that is replaced per parent whose rows they
    /// are. Batches with other columns than the table's are an error: rows are read by the places of columns.
    fn reduced(&self, batches: Vec<RecordBatch>) -> Result<Reduced, ArrowError> {
        let Self { target, owners, .. } = self;
        let schema = target.table.schema();
        if batches.iter().any(|batch| *batch.schema_ref() != schema) {
            return Err(ArrowError::SchemaError("a batch has other columns than its table".into()));
        }
        Ok(match target.table.disposition {
            WriteDisposition::PerParent { .. } => reduce_per_parent(target.table, &batches, owners),
            _ => Reduced { batches: reduce(target.table, batches), parents: Vec::new() },
        })
    }

    /// Whether it saves the first state of its table.
    fn begins(&self) -> bool {
        self.state.as_ref().is_some_and(|change| change.expected.is_none())
    }

    /// Whether the rows that these stand inside are written by one of `commits` too, or by another one of the run.
    fn comes_with_its_parents(&self, commits: &[Self]) -> bool {
        let lead = self.target.table.lead();
        let is_lead = |other: &Target| {
            other.table.name == lead.name && other.schema.eq_ignore_ascii_case(&self.target.schema)
        };
        let is_written = self.is_beside_parents || commits.iter().any(|other| is_lead(&other.target));
        is_written && lead.name != self.target.table.name
    }
}

/// What a set of rows says about the rows that are not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Nothing.
    Some,
    /// They are gone: the rows are the whole table.
    All,
    /// Rows of other parents than these are gone.
    Parents(Vec<String>),
}

/// A row of the [`TableSpec::lead`] table found to be gone. Where that is another table, its rows go with it:
/// stamped in a merged table, else removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The key.
    pub key: String,
    /// When that was found, by the server's clock.
    pub deleted_at: Timestamp,
    /// Key of the row that it was merged into.
    pub merged_into: Option<String>,
}

/// What a commit did to one table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Committed {
    /// Keys that were not there before.
    pub new: u64,
    /// Rows that replaced stored ones or took their stamp away.
    pub changed: u64,
    /// Rows that were there already, equal or newer.
    pub unchanged: u64,
    /// Rows removed because they are no longer part of the table.
    pub removed: u64,
    /// Rows stamped.
    pub stamped: u64,
    /// Rows without a stamp after the commit.
    pub live: u64,
    /// The state's revision after the commit, if it was changed.
    pub revision: Option<u64>,
}

/// One table's line in the log of runs.
#[derive(Debug, Clone)]
pub struct RunRecord {
    /// Same for all tables of a run.
    pub run_id: String,
    /// Schema of the table.
    pub schema: String,
    /// Name of the table.
    pub table: String,
    /// Local clock.
    pub started_at: Timestamp,
    /// Local clock.
    pub finished_at: Timestamp,
    /// `complete`, `failed`, `interrupted` or `partial`.
    pub outcome: String,
    /// What was done to the table.
    pub committed: Committed,
    /// Requests sent for it.
    pub requests: u64,
    /// Why it failed.
    pub error: Option<String>,
    /// Rows that could not be stored as they came.
    pub rejected: Vec<Reject>,
}
