//! What a destination remembers about a table between runs.
//!
//! Saved only together with the rows it describes, in the same transaction. The document is versioned JSON,
//! readable by any machine that runs next.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::window::{DateField, Window};

mod meet;

/// The version written; older ones are read.
pub const VERSION: u32 = 1;

/// Everything proven about one table in one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableState {
    /// Version of this document.
    pub version: u32,
    /// The workspace (`app.id_code`) the rows come from.
    pub workspace: String,
    /// API version the rows were read with.
    pub api_version: String,
    /// Fingerprint of the table's columns when it was last read whole.
    pub columns: String,
    /// Start, by the server's clock, of the last complete pass: every change before it is in the table.
    pub checkpoint: Option<Timestamp>,
    /// The earliest `start_date` for which the above holds; `None` means every row. Without meaning
    /// while there is no checkpoint.
    pub proven_from: Option<Timestamp>,
    /// Start of the last complete refresh.
    pub refreshed_at: Option<Timestamp>,
    /// A refresh that was begun and not yet finished.
    pub refresh: Option<Refresh>,
    /// Runs in a row in which the source counted clearly more rows than the table holds.
    pub shortfalls: u32,
    /// Rows that the source counted beyond those of the table after a refresh that was to
    /// explain them.
    #[serde(default)]
    pub unexplained: u64,
    /// Whether the token was shown the rows that need a further permission, where there are such rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sees_hidden: Option<bool>,
    /// Rows that complete refreshes did not show and that are still to be asked for by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "shared")]
    pub unconfirmed: Option<Arc<Unconfirmed>>,
    /// Objects whose rows could not be read and that are to be asked for again by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "shared")]
    pub unread: Option<Arc<Vec<Object>>>,
}

/// A row of the lead table whose object is to be read for the rows inside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Key of the row.
    pub key: String,
    /// When the row had last changed, in microseconds since the epoch.
    pub version: Option<i64>,
    /// How many rows inside it the row stated.
    pub stated: Option<i64>,
}

/// Rows that may be gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unconfirmed {
    /// Their keys.
    pub keys: Vec<String>,
    /// Keys of some rows that were shown, and so have to be found by a look-up.
    pub canaries: Vec<String>,
}

/// Values that clones of a document share.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "what serde hands over")]
    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &Option<Arc<T>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_deref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Arc<T>>, D::Error> {
        Option::deserialize(deserializer).map(|value| value.map(Arc::new))
    }
}

/// A refresh under way: what is left to read, and where the closing increment begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refresh {
    /// Start, by the server's clock, of its first pass.
    pub started_at: Timestamp,
    /// Changes from here on, minus the lag, are read again by the increment that closes the refresh.
    pub closes_from: Timestamp,
    /// The date its windows are about.
    pub by: DateField,
    /// The `start_date` it is for; `None` means every row.
    pub start: Option<Timestamp>,
    /// Whether it reads every row of the table (from `start`), and not just a part that was missing.
    pub whole: bool,
    /// Whether rows that are read one object at a time are read again too, changed or not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anew: bool,
    /// Windows not yet read, in order and apart from each other. What is proven is cut out of them.
    pub remaining: Vec<Window>,
}

/// A state as it was read, with the number that a change of it must name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Grows by one with every change.
    pub revision: u64,
    /// The state.
    pub state: TableState,
}

/// A change of a state that is only carried out if nobody else changed it in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// The revision that was read; `None` if there was no state.
    pub expected: Option<u64>,
    /// The new state.
    pub state: TableState,
}

impl TableState {
    /// Nothing proven yet.
    pub fn new(workspace: &str, api_version: &str, columns: String) -> Self {
        Self {
            version: VERSION,
            workspace: workspace.to_owned(),
            api_version: api_version.to_owned(),
            columns,
            checkpoint: None,
            proven_from: None,
            refreshed_at: None,
            refresh: None,
            shortfalls: 0,
            unexplained: 0,
            sees_hidden: None,
            unconfirmed: None,
            unread: None,
        }
    }

    /// The same, for a table that is gone from the destination: only whose it was is still true.
    #[must_use]
    pub fn without_table(&self) -> Self {
        Self::new(&self.workspace, &self.api_version, self.columns.clone())
    }

    /// The stored form.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|e| Error::new(ErrorKind::Destination, "state cannot be written").with_source(e))
    }

    /// Reads the stored form; a version from the future is refused.
    pub fn from_json(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let broken = |e: serde_json::Error| {
            Error::new(ErrorKind::Destination, "state in the destination is not readable").with_source(e)
        };
        let Versioned { version } = serde_json::from_str(text).map_err(broken)?;
        if version > VERSION {
            let message = format!("state in the destination has version {version}, newer than {VERSION}");
            return Err(
                Error::new(ErrorKind::Destination, message).with_hint("use the newer ingest that wrote it")
            );
        }
        serde_json::from_str(text).map_err(broken)
    }
}

impl Refresh {
    /// Notes that everything in `window` is stored.
    pub fn cover(&mut self, window: Window) {
        if window.is_empty() {
            return;
        }
        self.remaining = self.remaining.iter().flat_map(|left| left.without(window)).collect();
    }
}

/// A refusal to overwrite what another run has written meanwhile.
pub fn conflict(table: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("table {table}: another run moved the checkpoint meanwhile"))
        .with_hint("run again; nothing was overwritten")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_version_is_refused_and_a_broken_document_is_not_ignored() {
        let newer = TableState::from_json(r#"{"version":2}"#).unwrap_err();
        assert!(newer.to_string().contains("version 2, newer than 1"));
        assert!(TableState::from_json("{}").is_err());
    }

    #[test]
    fn progress_cuts_out_what_is_proven() {
        let mut refresh = Refresh {
            started_at: Timestamp::UNIX_EPOCH,
            closes_from: Timestamp::UNIX_EPOCH,
            by: DateField::CreatedAt,
            start: None,
            whole: true,
            anew: false,
            remaining: vec![Window { from: None, to: Some(50) }, Window { from: Some(50), to: None }],
        };
        refresh.cover(Window { from: None, to: Some(20) });
        refresh.cover(Window { from: Some(60), to: Some(70) });
        let window = |from, to| Window { from: Some(from), to };
        assert_eq!(refresh.remaining, [window(20, Some(50)), window(50, Some(60)), window(70, None)]);
        refresh.cover(Window { from: Some(20), to: None });
        assert_eq!(refresh.remaining, []);
    }
}
