//! Destinations as commands use them, whatever kind they are. Nothing else in the commands tells one from another.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::config::{DestinationConfig, DuckDbConfig};
use crate::destination::duckdb::{self, DuckDb, Options};
use crate::destination::parquet::{self, Lake};
use crate::destination::{Destination, PastRun, Several, TableStatus, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Mode, Progress};
use crate::state::TableState;

/// Takes the destinations for one run, waiting up to `wait` while another run has one of them. If one cannot be
/// taken, none is.
pub(super) fn begin(
    configs: &[DestinationConfig],
    wait: Option<Duration>,
    progress: &Progress,
) -> Result<Box<dyn Destination>> {
    let for_run = wait.unwrap_or(Duration::ZERO);
    if let [config] = configs {
        return begin_one(config, for_run, wait, progress);
    }
    // Always in the same order, whatever the order in which they were typed: two runs that wait never wait for each
    // other.
    let mut order: Vec<usize> = (0..configs.len()).collect();
    order.sort_by_key(|at| place_of(&configs[*at]));
    let started = Instant::now();
    let mut taken = Vec::new();
    for at in order {
        let left = for_run.saturating_sub(started.elapsed());
        taken.push((at, begin_one(&configs[at], left, wait, progress)?));
    }
    taken.sort_by_key(|(at, _)| *at);
    let named = taken.into_iter().map(|(at, destination)| (configs[at].name().to_owned(), destination));
    Ok(Box::new(Several::new(named.collect())))
}

/// Takes one of them, waiting up to `for_run` for another run; `for_readers`, if given, for readers later on.
fn begin_one(
    config: &DestinationConfig,
    for_run: Duration,
    for_readers: Option<Duration>,
    progress: &Progress,
) -> Result<Box<dyn Destination>> {
    Ok(match config {
        DestinationConfig::DuckDb(config) => {
            let options = duckdb_options(config, for_readers);
            Box::new(DuckDb::begin(&config.path, options, for_run, progress.clone())?)
        }
        DestinationConfig::Parquet(config) => Box::new(Lake::begin(&config.path, for_run, progress)?),
        DestinationConfig::ObjectStore(config) => {
            Box::new(Lake::begin_in_objects(config, for_run, progress)?)
        }
    })
}

/// Finds out whether a destination can be written, or made; whether there was something before. Nothing is written for
/// that, except in an object store: only writing shows there that it can be done, and that conditions are heeded.
pub(super) fn try_out(config: &DestinationConfig) -> Result<bool> {
    let exists = config.path().is_some_and(Path::exists);
    match config {
        DestinationConfig::DuckDb(config) => duckdb::try_out(&config.path, &duckdb_options(config, None))?,
        DestinationConfig::Parquet(config) => parquet::try_out(&config.path)?,
        DestinationConfig::ObjectStore(config) => {
            drop(Lake::begin_in_objects(config, Duration::ZERO, &Progress::new(Mode::Off))?);
            return Ok(parquet::status_of_objects(config, 0).is_ok());
        }
    }
    Ok(exists)
}

/// What a run into these destinations starts from, without taking them for one.
pub(super) fn read_states(
    configs: &[DestinationConfig],
    targets: &[Target],
) -> Result<Vec<Option<TableState>>> {
    let read = |config: &DestinationConfig| match config {
        DestinationConfig::DuckDb(config) => {
            duckdb::read_states(&config.path, &duckdb_options(config, None), targets)
        }
        DestinationConfig::Parquet(config) => parquet::read_states(&config.path, targets),
        DestinationConfig::ObjectStore(config) => parquet::read_states_of_objects(config, targets),
    };
    let of_each = configs.iter().map(read).collect::<Result<Vec<_>>>()?;
    let of_all = |at: usize| {
        let states: Vec<Option<&TableState>> = of_each.iter().map(|states| states[at].as_ref()).collect();
        TableState::of_all(&states)
    };
    Ok((0..targets.len()).map(of_all).collect())
}

/// What a destination says about its tables and its latest runs (`runs` at most), newest first.
pub(super) fn status(config: &DestinationConfig, runs: usize) -> Result<(Vec<TableStatus>, Vec<PastRun>)> {
    match config {
        DestinationConfig::DuckDb(config) => {
            duckdb::status(&config.path, &duckdb_options(config, None), runs)
        }
        DestinationConfig::Parquet(config) => parquet::status(&config.path, runs),
        DestinationConfig::ObjectStore(config) => parquet::status_of_objects(config, runs),
    }
}

/// DuckDB names a database after its file's stem up to the first dot; a schema of the same name makes
/// `intercom.contacts` ambiguous for whoever queries the file.
pub(super) fn check_schema(config: &DestinationConfig, schema: &str) -> Result<()> {
    let DestinationConfig::DuckDb(config) = config else { return Ok(()) };
    // A link is named like what it leads to, as far as DuckDB is concerned.
    let path = config.path.canonicalize().unwrap_or_else(|_| config.path.clone());
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let Some(schema) = [schema, "_ingest"].into_iter().find(|written| stem.eq_ignore_ascii_case(written))
    else {
        return Ok(());
    };
    let message = format!(
        "destination {}: a file called {stem:?} makes {schema}.contacts ambiguous in DuckDB, which calls the database {stem} too",
        config.path.display()
    );
    Err(Error::new(ErrorKind::Config, message)
        .with_hint(format!("name the file {stem}_data.duckdb, or the schema otherwise with --schema")))
}

/// Refuses destinations that are the same place, however it is spelled.
pub(super) fn check_apart(configs: &[DestinationConfig]) -> Result<()> {
    for (at, config) in configs.iter().enumerate() {
        let Some(same) = configs[..at].iter().find(|other| is_same_destination(other, config)) else {
            continue;
        };
        let message = if same.name() == config.name() {
            format!("destination {} is named twice", config.name())
        } else {
            let place = place_of(config);
            format!("destinations {} and {} are the same place, {place}", same.name(), config.name())
        };
        return Err(Error::new(ErrorKind::Usage, message).with_hint("name each destination once"));
    }
    Ok(())
}

fn is_same_destination(one: &DestinationConfig, other: &DestinationConfig) -> bool {
    match (one, other) {
        (DestinationConfig::ObjectStore(one), DestinationConfig::ObjectStore(other)) => one.is_where(other),
        _ => one.path().zip(other.path()).is_some_and(|(one, other)| is_same_place(one, other)),
    }
}

/// Where a destination is, spelled in the one way.
fn place_of(config: &DestinationConfig) -> String {
    config.path().map_or_else(|| config.place(), |path| place(path).display().to_string())
}

fn is_same_place(one: &Path, other: &Path) -> bool {
    place(one) == place(other) || is_same_file(one, other)
}

/// Whether two names lead to one file, as hard links do.
#[cfg(unix)]
fn is_same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    identity(one).is_some_and(|found| identity(other) == Some(found))
}

#[cfg(not(unix))]
fn is_same_file(_: &Path, _: &Path) -> bool {
    false
}

/// The one spelling of a path, of which only the beginning may exist.
fn place(path: &Path) -> PathBuf {
    for known in path.ancestors() {
        if let (Ok(found), Ok(rest)) = (known.canonicalize(), path.strip_prefix(known)) {
            return if rest.as_os_str().is_empty() { found } else { found.join(rest) };
        }
    }
    path.to_owned()
}

/// DuckDB's options for a destination.
fn duckdb_options(config: &DuckDbConfig, patience: Option<Duration>) -> Options {
    Options {
        storage_version: config.storage_version.clone(),
        threads: config.threads,
        memory_limit: config.memory_limit.clone(),
        may_take_more: !config.is_memory_set,
        patience: patience.unwrap_or(Options::default().patience),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ParquetConfig;

    #[test]
    fn a_file_named_like_the_schema_is_refused() {
        for (path, refused) in [
            ("/x/intercom.duckdb", true),
            ("/x/Intercom.db", true),
            ("/x/intercom.v2.duckdb", true),
            ("/x/_ingest.duckdb", true),
            ("/x/crm.duckdb", false),
        ] {
            let config = DestinationConfig::DuckDb(DuckDbConfig::new("local", path));
            assert_eq!(check_schema(&config, "intercom").is_err(), refused, "{path}");
        }
        let folder = DestinationConfig::Parquet(ParquetConfig::new("lake", "/x/intercom"));
        assert!(check_schema(&folder, "intercom").is_ok());
    }

    #[test]
    fn the_same_place_is_found_under_every_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("there")).unwrap();
        std::fs::write(path("there/a.duckdb"), "").unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(path("there"), path("link")).unwrap();
            std::fs::hard_link(path("there/a.duckdb"), path("twin.duckdb")).unwrap();
        }
        for (one, other, expected) in [
            ("there/a.duckdb", "there/../there/a.duckdb", true),
            ("there/a.duckdb", "there/b.duckdb", false),
            ("there/new/lake", "there/../there/new/lake", true),
            ("there/new/lake", "there/new/pond", false),
            ("link/new/lake", "there/new/lake", cfg!(unix)),
            ("twin.duckdb", "there/a.duckdb", cfg!(unix)),
        ] {
            assert_eq!(is_same_place(&path(one), &path(other)), expected, "{one} {other}");
        }
    }
}
