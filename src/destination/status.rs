//! What a destination says about itself.

use crate::state::TableState;

/// A table as `ingest status` shows it.
#[derive(Debug, Clone)]
pub struct TableStatus {
    /// Schema of the table.
    pub schema: String,
    /// Name of the table.
    pub table: String,
    /// Its state.
    pub state: TableState,
    /// Rows without a stamp; `None` if the table is gone.
    pub live: Option<u64>,
    /// Rows with one.
    pub deleted: u64,
}

/// A line of the log of runs as `ingest status` shows it.
#[derive(Debug, Clone)]
pub struct PastRun {
    /// When it ended, in epoch microseconds.
    pub finished_at: i64,
    /// Schema and table.
    pub table: String,
    /// `complete`, `failed`, `interrupted` or `partial`.
    pub outcome: String,
    /// Rows that were new, changed, removed.
    pub rows: (u64, u64, u64),
    /// Why it failed.
    pub error: Option<String>,
}
