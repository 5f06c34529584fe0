//! A lake in an object store, read back by DuckDB, which follows the manifest.

use std::time::Duration;

use ingest::config::ObjectStoreConfig;
use ingest::destination::parquet::Lake;
use ingest::destination::{Destination, RunRecord, TextRow};
use ingest::progress::{Mode, Progress};
use ingest::table::Kind;

use super::lake::{columns_of, record, rows_of, type_in_files};
use super::{Subject, Target};
use crate::support::object_store::ObjectStore;

/// A lake in an object store of its own.
#[derive(Debug)]
pub(crate) struct InObjectStore {
    // Before the store, which it still talks to when it ends.
    destination: Lake,
    store: ObjectStore,
}

/// Takes a lake for a run that waits for nobody.
pub(crate) fn begin(config: &ObjectStoreConfig) -> ingest::error::Result<Lake> {
    Lake::begin_in_objects(config, Duration::ZERO, &Progress::new(Mode::Off))
}

impl InObjectStore {
    /// The store.
    pub(crate) fn store(&self) -> &ObjectStore {
        &self.store
    }

    /// Ends the run; what was written stays.
    pub(crate) fn end_run(self) -> ObjectStore {
        self.store
    }

    /// Goes on in what an earlier run left.
    pub(crate) fn over(store: ObjectStore) -> Self {
        let destination = begin(&store.lake()).expect("the lock");
        Self { destination, store }
    }
}

impl Subject for InObjectStore {
    fn fresh() -> Self {
        Self::over(ObjectStore::start())
    }

    fn destination(&mut self) -> &mut dyn Destination {
        &mut self.destination
    }

    fn rows(&mut self, target: &Target) -> Option<Vec<TextRow>> {
        Some(rows_of(target, &self.store.files(target)?))
    }

    fn columns(&mut self, target: &Target) -> Option<Vec<(String, String)>> {
        Some(columns_of(&self.store.files(target)?))
    }

    fn sql_type(&self, kind: Kind) -> &'static str {
        type_in_files(kind)
    }

    fn runs(&mut self) -> Vec<RunRecord> {
        let names = self.store.names().into_iter().filter(|name| name.starts_with("_ingest/runs/"));
        let read = |name: String| std::fs::read_to_string(self.store.folder().join(name)).expect("a log");
        names.map(read).collect::<String>().lines().map(record).collect()
    }
}
