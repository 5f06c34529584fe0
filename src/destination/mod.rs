//! Where rows land, together with the state that describes them.

pub mod duckdb;
mod memory;
mod reduce;
mod text;

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use jiff::Timestamp;

pub use memory::{Memory, TextRow};
pub use reduce::reduce;
use text::in_utc;

use crate::error::Result;
use crate::state::{StateChange, Stored};
use crate::table::TableSpec;

/// One table in one schema of a destination.
#[derive(Debug, Clone)]
pub struct Target {
    /// The schema, as it will be spelled when it is created.
    pub schema: Arc<str>,
    /// The table.
    pub table: &'static TableSpec,
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

    /// The keys of rows that are not stamped as deleted; of tables whose key is one text column.
    fn live_keys(&mut self, target: &Target) -> Result<Vec<String>>;

    /// Adds to the log of runs.
    fn record(&mut self, runs: &[RunRecord]) -> Result<()>;

    /// Nothing is to be done for a while: lets go of whatever keeps readers out.
    fn rest(&mut self) {}
}

/// One table's share of a commit.
#[derive(Debug)]
pub struct TableCommit {
    /// Where to.
    pub target: Target,
    /// Rows with the columns of [`TableSpec::schema`]; a key may repeat.
    pub batches: Vec<RecordBatch>,
    /// What becomes of stored rows whose keys are not among them.
    pub scope: Scope,
    /// Stored rows ingested before this moment lose against the new ones, whatever their dates.
    pub supersedes_before: Timestamp,
    /// Rows found to be gone.
    pub stamps: Vec<Stamp>,
    /// The state that all this supports, if it changes.
    pub state: Option<StateChange>,
}

/// What a set of rows says about the rows that are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Nothing.
    Some,
    /// They are gone: the rows are the whole table.
    All,
}

/// A row found to be gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The key, of a table whose key is one text column.
    pub key: String,
    /// When that was found, by the server's clock.
    pub deleted_at: Timestamp,
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
}
