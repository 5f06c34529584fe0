//! What a version of a table says about itself: its files, its columns, and the state that its rows support.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::keys::Key;
use crate::destination::TableStatus;
use crate::error::{Error, ErrorKind, Result};
use crate::state::{Stored, TableState};

/// Its file, in the folder of the table. Hidden, so that tools that read a folder pass it over.
pub(super) const FILE: &str = ".ingest.json";
/// The version of this document that is written.
pub(super) const VERSION: u32 = 1;

/// What stands in [`FILE`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Version of this document.
    pub(super) version: u32,
    /// Grows with every version of the table; part of the names of new files, so that none is used twice.
    pub(super) generation: u64,
    /// Names and SQL types of the columns of every file.
    pub(super) columns: Vec<(String, String)>,
    /// Whether JSON is plain text in every file. Files of older releases have a type of Parquet's for it.
    #[serde(default)]
    pub(super) json_is_text: bool,
    /// The files with rows, in the order of their keys, which do not overlap; one without rows
    /// where there is none.
    pub(super) files: Vec<FileEntry>,
    /// Files with rows that are not to be seen yet, each in the order of its keys, which no other file has: what came
    /// of a refresh that is under way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) waiting: Vec<FileEntry>,
    /// The files of the ledger, likewise; may be none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) ledger: Vec<FileEntry>,
    /// What the rows support, with its revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<StoredState>,
}

/// A state and its revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredState {
    revision: u64,
    state: serde_json::Value,
}

/// One file of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileEntry {
    /// Its name in the folder.
    pub(super) name: String,
    /// Rows, and how many of them are stamped.
    pub(super) rows: u64,
    pub(super) deleted: u64,
    /// Size in bytes.
    pub(super) bytes: u64,
    /// First and last key; of a file without rows empty.
    pub(super) first: Key,
    pub(super) last: Key,
    /// Least and greatest key of the lead table's rows that its rows are about, if there are rows.
    pub(super) leads: Option<(String, String)>,
}

impl Manifest {
    /// The one in a table's folder; `None` if there is none.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        let failed = |message: String| {
            Error::new(ErrorKind::Destination, message).within(format!("table folder {}", folder.display()))
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(failed(format!("{FILE} cannot be read")).with_source(error)),
        };
        let manifest: Self = serde_json::from_str(&text).map_err(|e| {
            failed(format!("{FILE} is not readable"))
                .with_source(e)
                .with_hint("remove the folder to have the table loaded again")
        })?;
        if manifest.version > VERSION {
            return Err(failed(format!(
                "written by a newer version of ingest ({FILE} {})",
                manifest.version
            ))
            .with_hint("use that version, or write to another folder"));
        }
        Ok(Some(manifest))
    }

    /// The stored form.
    pub(super) fn to_json(&self) -> Result<String> {
        let latest = Self { version: VERSION, ..self.clone() };
        serde_json::to_string_pretty(&latest).map_err(|e| {
            Error::new(ErrorKind::Destination, "a table's file list cannot be written").with_source(e)
        })
    }

    /// All its files, those of the ledger too.
    pub(super) fn all_files(&self) -> impl Iterator<Item = &FileEntry> {
        self.files.iter().chain(&self.waiting).chain(&self.ledger)
    }

    /// What it says of the table for `ingest status`; `None` if nothing was ever saved.
    pub(super) fn status(&self, schema: &str, table: &str) -> Result<Option<TableStatus>> {
        let (live, deleted) = self.count();
        let (schema, table) = (schema.to_owned(), table.to_owned());
        let status =
            |stored: Stored| TableStatus { schema, table, state: stored.state, live: Some(live), deleted };
        Ok(self.stored()?.map(status))
    }

    /// The state, with its revision.
    pub(super) fn stored(&self) -> Result<Option<Stored>> {
        let Some(StoredState { revision, state }) = &self.state else { return Ok(None) };
        let state = TableState::from_json(&state.to_string())?;
        Ok(Some(Stored { revision: *revision, state }))
    }

    /// The revision of the state.
    pub(super) fn revision(&self) -> Option<u64> {
        self.state.as_ref().map(|stored| stored.revision)
    }

    /// Takes a new state up; its revision.
    pub(super) fn save(&mut self, state: &TableState) -> Result<u64> {
        let revision = self.revision().unwrap_or(0) + 1;
        let state = serde_json::from_str(&state.to_json()?)
            .map_err(|e| Error::new(ErrorKind::Destination, "a state cannot be written").with_source(e))?;
        self.state = Some(StoredState { revision, state });
        Ok(revision)
    }

    /// Rows without and with a stamp.
    pub(super) fn count(&self) -> (u64, u64) {
        let files = || self.files.iter().chain(&self.waiting);
        let rows: u64 = files().map(|file| file.rows).sum();
        let deleted: u64 = files().map(|file| file.deleted).sum();
        (rows - deleted, deleted)
    }
}
