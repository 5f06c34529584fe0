//! What a world's runs write to.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ingest::destination::duckdb::{self, DuckDb, Options};
use ingest::destination::parquet::{self, Lake, table_folder};
use ingest::destination::{Destination, Target};
use ingest::error::Result;
use ingest::progress::Progress;
use ingest::source::intercom::tables::TABLES;
use ingest::state::TableState;
use ingest::table::TableSpec;

use super::SCHEMA;
use crate::support::object_store::ObjectStore;
use crate::support::tables::by_hand;

/// How long the lock of the run before is waited for: a program that another test is about to start has its file open, too,
/// until it is started.
const A_MOMENT: Duration = Duration::from_secs(10);

/// The kinds of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Lake,
    Bucket,
}

thread_local! {
    /// What worlds that start on this thread write to.
    static KIND: Cell<Kind> = const { Cell::new(Kind::File) };
}

/// Runs a test whose worlds write to something of this kind.
pub(crate) fn over(kind: Kind, test: impl FnOnce()) {
    KIND.set(kind);
    test();
    KIND.set(Kind::File);
}

/// Repeats tests with worlds that write to a lake, in this machine's file system and in an object store.
macro_rules! also_over_lakes {
    ($($test:ident),+ $(,)?) => {
        mod in_a_lake {
            use crate::support::world::{Kind, over};

            $(#[test]
            fn $test() {
                over(Kind::Lake, super::$test);
            })+
        }

        mod in_a_bucket {
            use crate::support::world::{Kind, over};

            $(#[test]
            fn $test() {
                over(Kind::Bucket, super::$test);
            })+
        }
    };
}

pub(crate) use also_over_lakes;

/// Where runs write to.
#[derive(Debug)]
pub(crate) enum Place {
    File,
    Lake,
    Bucket(ObjectStore),
}

impl Place {
    /// Something new of the kind that is asked for.
    pub(super) fn new() -> Self {
        match KIND.get() {
            Kind::File => Self::File,
            Kind::Lake => Self::Lake,
            Kind::Bucket => Self::Bucket(ObjectStore::start()),
        }
    }

    /// As `connections.yml` has it, under the name `local`.
    pub(crate) fn configured(&self) -> String {
        match self {
            Self::File => "duckdb:\n    - { name: local, path: ./data.duckdb }".to_owned(),
            Self::Lake => "parquet:\n    - { name: local, path: ./lake }".to_owned(),
            Self::Bucket(store) => {
                let [(_, key), (_, secret), (_, endpoint)] = store.variables();
                let url = store.url();
                format!(
                    "parquet:\n    - {{ name: local, path: '{url}', endpoint: '{endpoint}', access_key_id: {key}, \
                     secret_access_key: {secret} }}"
                )
            }
        }
    }

    /// Takes it for a run.
    pub(super) fn begin(&self, folder: &Path, progress: &Progress) -> Result<Box<dyn Destination>> {
        match self {
            Self::File => begin_file(&folder.join("data.duckdb"), progress),
            Self::Lake => Ok(Box::new(Lake::begin(&folder.join("lake"), A_MOMENT, progress)?)),
            Self::Bucket(store) => {
                Ok(Box::new(Lake::begin_in_objects(&store.lake(), Duration::ZERO, progress)?))
            }
        }
    }

    /// The states saved there.
    pub(super) fn states(&self, folder: &Path, targets: &[Target]) -> Result<Vec<Option<TableState>>> {
        match self {
            Self::File => duckdb::read_states(&folder.join("data.duckdb"), &Options::default(), targets),
            Self::Lake => parquet::read_states(&folder.join("lake"), targets),
            Self::Bucket(store) => parquet::read_states_of_objects(&store.lake(), targets),
        }
    }

    /// A DuckDB file with what is there now: the file itself, or one made in the folder `copies`.
    pub(super) fn as_file(&self, folder: &Path, copies: &Path) -> PathBuf {
        if matches!(self, Self::File) {
            return folder.join("data.duckdb");
        }
        let table = |table: &&'static TableSpec| {
            let target = Target { schema: SCHEMA.into(), table };
            let files = if let Self::Bucket(store) = self {
                store.files(&target)?
            } else {
                let folder = table_folder(&folder.join("lake"), &target);
                folder.exists().then(|| format!("'{}/*.parquet'", folder.display()))?
            };
            Some(format!("CREATE TABLE {SCHEMA}.{} AS SELECT * FROM read_parquet({files});", table.name))
        };
        let tables: String = TABLES.iter().filter_map(table).collect();
        let copy = copies.join("copy.duckdb");
        drop(std::fs::remove_file(&copy));
        if !tables.is_empty() {
            by_hand(&copy, &format!("CREATE SCHEMA {SCHEMA}; {tables}"));
        }
        copy
    }
}

/// Takes a DuckDB file for a run.
pub(super) fn begin_file(file: &Path, progress: &Progress) -> Result<Box<dyn Destination>> {
    // Tests run beside each other already.
    let options = Options { threads: 1, ..Options::default() };
    Ok(Box::new(DuckDb::begin(file, options, A_MOMENT, progress.clone())?))
}
