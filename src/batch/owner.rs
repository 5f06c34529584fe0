//! Whose the rows of a batch are.

/// The parent of the next rows of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its key.
    pub key: String,
    /// When it last changed, in microseconds since the epoch.
    pub version: Option<i64>,
    /// How many rows of the batch are its own.
    pub rows: usize,
    /// Whether these are all the rows it has, so that others of it are gone.
    pub is_whole: bool,
}
