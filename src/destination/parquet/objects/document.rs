//! The manifest of a lake in an object store: which files make up each table, and the state that they support.
//!
//! It is one object. Writing it anew, over the version that was read and no other, is what makes a commit of several
//! tables current; whoever reads it sees one version of all of them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::manifest::Manifest;
use super::super::storage::Name;
use crate::error::{Error, ErrorKind, Result};

/// Its name, in the folder of the lake.
pub(super) const NAME: &str = "_ingest/manifest.json";
/// The version of this document that is written.
const VERSION: u32 = 1;

/// What stands in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Document {
    /// Version of this document.
    version: u32,
    /// Which commit wrote it; no two are the same.
    pub(super) commit: String,
    /// When that was, by the writer's clock.
    pub(super) committed_at: Timestamp,
    pub(super) tables: Vec<Entry>,
}

/// A table. Names of files are paths below the lake's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) schema: String,
    pub(super) table: String,
    #[serde(flatten)]
    pub(super) manifest: Manifest,
    /// Files of earlier versions that stay for those who read these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) replaced: Vec<Replaced>,
}

/// A file that is no longer part of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Replaced {
    pub(super) name: String,
    pub(super) at: Timestamp,
}

impl Document {
    /// The stored form read back; `shown` is where it was.
    pub(super) fn of(bytes: &[u8], shown: &str) -> Result<Self> {
        let unreadable = |message: String| Error::new(ErrorKind::Destination, message).within(shown);
        let document: Self = serde_json::from_slice(bytes).map_err(|e| {
            unreadable("is not readable".to_owned())
                .with_source(e)
                .with_hint("remove the folder of the lake to have everything loaded again")
        })?;
        if document.version > VERSION {
            return Err(unreadable(format!("written by a newer version of ingest ({})", document.version))
                .with_hint("use that version, or write to another folder"));
        }
        Ok(document)
    }

    /// The stored form.
    pub(super) fn to_json(&self) -> Result<Vec<u8>> {
        let mut latest = Self { version: VERSION, ..self.clone() };
        latest.tables.iter_mut().for_each(|entry| entry.manifest.version = super::super::manifest::VERSION);
        serde_json::to_vec_pretty(&latest).map_err(|e| {
            Error::new(ErrorKind::Destination, "the manifest of the lake cannot be written").with_source(e)
        })
    }

    /// A table.
    pub(super) fn find(&self, table: Name<'_>) -> Option<&Entry> {
        self.tables.iter().find(|entry| entry.is(table))
    }

    /// Has a table be what `manifest` says from `now` on.
    pub(super) fn replace(&mut self, table: Name<'_>, manifest: Manifest, now: Timestamp) {
        let Some(entry) = self.tables.iter_mut().find(|entry| entry.is(table)) else {
            let (schema, table) = (table.schema.to_owned(), table.table.to_owned());
            self.tables.push(Entry { schema, table, manifest, replaced: Vec::new() });
            self.tables.sort_by(|a, b| (&a.schema, &a.table).cmp(&(&b.schema, &b.table)));
            return;
        };
        let before = std::mem::replace(&mut entry.manifest, manifest);
        let gone =
            before.all_files().filter(|file| !entry.manifest.all_files().any(|new| new.name == file.name));
        entry.replaced.extend(gone.map(|file| Replaced { name: file.name.clone(), at: now }));
    }

    /// Forgets files that were replaced before a moment; they are to be removed.
    pub(super) fn let_go(&mut self, before: Timestamp) -> Vec<String> {
        let mut due = Vec::new();
        for entry in &mut self.tables {
            entry.replaced.retain(|file| {
                let stays = file.at >= before;
                if !stays {
                    due.push(file.name.clone());
                }
                stays
            });
        }
        due
    }
}

impl Entry {
    fn is(&self, table: Name<'_>) -> bool {
        self.table == table.table && self.schema.to_lowercase() == table.schema.to_lowercase()
    }

    /// The names of the files of the current version, and of those that stay for a while.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let current = self.manifest.all_files().map(|file| file.name.as_str());
        current.chain(self.replaced.iter().map(|file| file.name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::manifest::FileEntry;
    use super::*;

    fn manifest(generation: u64, names: &[&str]) -> Manifest {
        let file = |name: &&str| FileEntry {
            name: (*name).to_owned(),
            rows: 1,
            deleted: 0,
            bytes: 1,
            first: Vec::new(),
            last: Vec::new(),
            leads: None,
        };
        Manifest { generation, files: names.iter().map(file).collect(), ..Manifest::default() }
    }

    #[test]
    fn replaced_files_stay_for_a_while() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let contacts = Name { schema: "CRM", table: "contacts" };
        let mut document = Document::default();
        document.replace(Name { schema: "crm", table: "contacts" }, manifest(1, &["a", "b"]), at(1));
        document.replace(contacts, manifest(2, &["b", "c"]), at(2));
        document.replace(contacts, manifest(3, &["d"]), at(3));
        let entry = document.find(contacts).unwrap();
        assert_eq!((entry.schema.as_str(), entry.manifest.generation), ("crm", 3));
        assert_eq!(entry.names().collect::<Vec<_>>(), ["d", "a", "b", "c"]);
        let read = Document::of(&document.to_json().unwrap(), "x").unwrap();
        assert_eq!(read.tables[0].replaced, document.tables[0].replaced);
        assert_eq!(document.let_go(at(2)), [""; 0]);
        assert_eq!(document.let_go(at(3)), ["a"]);
        assert_eq!(document.let_go(at(9)), ["b", "c"]);
        assert_eq!(document.find(contacts).unwrap().names().collect::<Vec<_>>(), ["d"]);
    }

    #[test]
    fn a_strange_manifest_is_refused() {
        for (text, expected) in [
            ("{\"version\"", "x: is not readable"),
            (
                "{\"version\":2,\"commit\":\"\",\"committed_at\":\"2026-01-01T00:00:00Z\",\"tables\":[]}",
                "x: written by a newer version of ingest (2)",
            ),
        ] {
            let error = Document::of(text.as_bytes(), "x").unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(error.hint().is_some());
        }
    }
}
