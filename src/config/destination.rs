//! Where tables land: a DuckDB file, or Parquet files in a folder or in an object store.

use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::object_store::{self, ObjectStoreConfig};
use super::settings::{Settings, resolve_path};
use super::values::Expected;
use crate::error::{Error, ErrorKind, Result};

/// The file used when nothing else is said, in the working directory.
pub const DEFAULT_DUCKDB_FILE: &str = "ingest.duckdb";
/// The name of the destination used when nothing else is said.
pub const DEFAULT_DESTINATION_NAME: &str = "local";

/// A destination, resolved; nothing has been opened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DestinationConfig {
    /// One DuckDB file.
    DuckDb(DuckDbConfig),
    /// A folder of Parquet files.
    Parquet(ParquetConfig),
    /// Parquet files in an object store.
    ObjectStore(ObjectStoreConfig),
}

impl DestinationConfig {
    /// The configured name, or the URI as typed.
    pub fn name(&self) -> &str {
        match self {
            Self::DuckDb(config) => &config.name,
            Self::Parquet(config) => &config.name,
            Self::ObjectStore(config) => &config.name,
        }
    }

    /// The file or the folder, if it is on this machine.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::DuckDb(config) => Some(&config.path),
            Self::Parquet(config) => Some(&config.path),
            Self::ObjectStore(_) => None,
        }
    }

    /// Where it is, for people: a path or a URL.
    pub fn place(&self) -> String {
        match self {
            Self::DuckDb(config) => config.path.display().to_string(),
            Self::Parquet(config) => config.path.display().to_string(),
            Self::ObjectStore(config) => config.url(),
        }
    }

    /// A destination of the type `parquet`, whose `path` leads into this machine or into an object store.
    pub(crate) fn parquet(name: &str, settings: &Settings<'_>, base: &Path) -> Result<Self> {
        let path = settings.required("path")?;
        match ObjectStoreConfig::parse(name, &path, settings.environment) {
            Some(Ok(config)) => {
                let config = config.with_settings(settings, base)?;
                config.check(settings.environment)?;
                Ok(Self::ObjectStore(config))
            }
            Some(Err(expected)) => Err(settings.refused("path", expected.to_string())),
            None => {
                for key in object_store::store_keys() {
                    if settings.text(key)?.is_some() {
                        return Err(settings.refused(key, "means nothing for a folder of this machine"));
                    }
                }
                Ok(Self::Parquet(ParquetConfig::new(name, settings.required_path("path", base)?)))
            }
        }
    }
}

/// How a DuckDB file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuckDbConfig {
    /// The configured name, or the URI as typed.
    pub name: String,
    /// The database file.
    pub path: PathBuf,
    /// The oldest DuckDB that shall be able to open a file created now, as `v1.2.0`; `None` leaves the format
    /// to the DuckDB built in. An existing file keeps its format. Default `v1.2.0`.
    pub storage_version: Option<String>,
    /// Threads of the embedded database, 1 to 1024. Default 2.
    pub threads: u16,
    /// Memory of the embedded database as DuckDB writes it: a number and a unit, without a space.
    /// Default `256MB`.
    pub memory_limit: String,
    /// Whether that was said, so that it is never exceeded.
    pub is_memory_set: bool,
}

impl DuckDbConfig {
    /// Default options.
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            path: path.into(),
            storage_version: Some("v1.2.0".to_owned()),
            threads: 1,
            memory_limit: "256MB".to_owned(),
            is_memory_set: false,
        }
    }

    pub(crate) fn from_settings(name: &str, settings: &Settings<'_>, base: &Path) -> Result<Self> {
        let path = settings.required_path("path", base)?;
        if path.file_name().is_some_and(|file| file == ":memory:") {
            return Err(settings.refused("path", "a database in memory would be gone after the run"));
        }
        let mut config = Self::new(name, path);
        if let Some(version) = settings.parsed("storage_version", parse_storage_version)? {
            config.storage_version = version;
        }
        if let Some(threads) = settings.parsed("threads", parse_threads)? {
            config.threads = threads;
        }
        if let Some(limit) = settings.parsed("memory_limit", parse_memory_limit)? {
            config.memory_limit = limit;
            config.is_memory_set = true;
        }
        Ok(config)
    }
}

/// How a folder of Parquet files is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParquetConfig {
    /// The configured name, or the URI as typed.
    pub name: String,
    /// The folder that holds one folder per connection.
    pub path: PathBuf,
}

impl ParquetConfig {
    /// A folder.
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), path: path.into() }
    }
}

/// Reads `duckdb:PATH`, `parquet:PATH` or the URL of an object store as typed on the command line; `None` if it is none
/// of them.
pub(crate) fn parse_uri(
    typed: &str,
    working_dir: &Path,
    environment: &Environment,
) -> Option<Result<DestinationConfig>> {
    let home = environment.home_dir();
    let url = typed.strip_prefix("parquet:").unwrap_or(typed);
    if let Some(config) = ObjectStoreConfig::parse(typed, url, environment) {
        // What was typed may hold a key.
        let scheme = url.split_once("//").map_or("", |(scheme, _)| scheme);
        let refused =
            |expected| Error::new(ErrorKind::Usage, format!("destination {scheme}//...: {expected}"));
        return Some(config.map_err(refused).and_then(|config| {
            config.check(environment)?;
            Ok(DestinationConfig::ObjectStore(config))
        }));
    }
    let (scheme, path) = typed.split_once(':')?;
    if !matches!(scheme, "duckdb" | "parquet") {
        return None;
    }
    let refused = |message: &str| {
        let example = if scheme == "duckdb" { "./ingest.duckdb" } else { "./lake" };
        Error::new(ErrorKind::Usage, message).within(format!("destination {scheme}")).with_hint(format!(
            "write {scheme}:PATH with one colon and no slashes of its own: {scheme}:{example}"
        ))
    };
    if path.starts_with("//") {
        return Some(Err(refused("tools disagree on what the slashes after the colon mean")));
    }
    if scheme == "duckdb" && path == ":memory:" {
        return Some(Err(refused("a database in memory would be gone after the run")));
    }
    Some(match resolve_path(path, working_dir, home) {
        Ok(path) if scheme == "duckdb" => Ok(DestinationConfig::DuckDb(DuckDbConfig::new(typed, path))),
        Ok(path) => Ok(DestinationConfig::Parquet(ParquetConfig::new(typed, path))),
        Err(message) => Err(refused(&message)),
    })
}

/// Reads `v1.2.0`, or `latest`, which leaves the format to the DuckDB built in.
fn parse_storage_version(text: &str) -> Result<Option<String>, Expected> {
    const VERSION: Expected = Expected("a DuckDB version such as v1.2.0, or latest");
    if text == "latest" {
        return Ok(None);
    }
    let numbers: Vec<&str> = text.strip_prefix('v').ok_or(VERSION)?.split('.').collect();
    let is_number =
        |number: &&str| (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    if numbers.len() == 3 && numbers.iter().all(is_number) { Ok(Some(text.to_owned())) } else { Err(VERSION) }
}

fn parse_threads(text: &str) -> Result<u16, Expected> {
    text.parse()
        .ok()
        .filter(|threads| (1..=1024).contains(threads))
        .ok_or(Expected("a number from 1 to 1024"))
}

/// Reads a number and a unit, in the units DuckDB knows, and drops the space between them.
fn parse_memory_limit(text: &str) -> Result<String, Expected> {
    const UNITS: [&str; 8] = ["KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"];
    const LIMIT: Expected = Expected("an amount of memory such as 256MB or 1.5GiB");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(LIMIT)?;
    let (number, unit) = text.split_at(end);
    let amount: f64 = number.parse().map_err(|_| LIMIT)?;
    let unit = UNITS.into_iter().find(|known| known.eq_ignore_ascii_case(unit.trim())).ok_or(LIMIT)?;
    if amount > 0.0 { Ok(format!("{number}{unit}")) } else { Err(LIMIT) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris() {
        let (dir, home) = (Path::new("/srv"), &Environment::from_pairs([("HOME", "/home/ada")]));
        for (typed, expected) in [
            ("duckdb:x.duckdb", "/srv/x.duckdb"),
            ("duckdb:./x.duckdb", "/srv/x.duckdb"),
            ("duckdb:/srv/x.duckdb", "/srv/x.duckdb"),
            ("duckdb:~/x.duckdb", "/home/ada/x.duckdb"),
            ("parquet:lake", "/srv/lake"),
            ("parquet:../lake", "/srv/../lake"),
            ("parquet:$HOME", "/srv/$HOME"),
        ] {
            let config = parse_uri(typed, dir, home).unwrap().unwrap();
            assert_eq!((config.name(), config.path()), (typed, Some(Path::new(expected))));
            assert_eq!(
                matches!(config, DestinationConfig::DuckDb(_)),
                typed.starts_with("duckdb"),
                "{typed}"
            );
        }
        for (typed, expected) in [("s3://b/lake", "s3://b/lake"), ("parquet:gs://b/lake/", "gs://b/lake")] {
            let config = parse_uri(typed, dir, home).unwrap().unwrap();
            assert_eq!((config.name(), config.path(), config.place()), (typed, None, expected.to_owned()));
        }
        for typed in ["local", "postgres://db", "DuckDB:x", "./duckdb:x"] {
            assert!(parse_uri(typed, dir, home).is_none(), "{typed}");
        }
    }

    #[test]
    fn uris_that_are_refused() {
        let duckdb = "write duckdb:PATH with one colon and no slashes of its own: duckdb:./ingest.duckdb";
        let parquet = "write parquet:PATH with one colon and no slashes of its own: parquet:./lake";
        for (typed, message, hint) in [
            ("duckdb://x", "duckdb: tools disagree on what the slashes after the colon mean", duckdb),
            ("duckdb:///x", "duckdb: tools disagree on what the slashes after the colon mean", duckdb),
            ("parquet://x", "parquet: tools disagree on what the slashes after the colon mean", parquet),
            ("duckdb:", "duckdb: the path is empty", duckdb),
            ("duckdb::memory:", "duckdb: a database in memory would be gone after the run", duckdb),
            (
                "parquet:file:///b",
                "parquet: expected a path in the local file system (a lake may also be at s3://, gs:// or az://)",
                parquet,
            ),
        ] {
            let error = parse_uri(typed, Path::new("/srv"), &Environment::default()).unwrap().unwrap_err();
            assert_eq!(error.render(), format!("error: destination {message}\n  hint: {hint}"), "{typed}");
        }
    }

    #[test]
    fn storage_versions() {
        assert_eq!(parse_storage_version("v1.2.0"), Ok(Some("v1.2.0".to_owned())));
        assert_eq!(parse_storage_version("latest"), Ok(None));
        for text in ["", "1.2.0", "v1.2", "v1.2.0.0", "v1..0", "v1.2.x", "v1.2.0'; DROP"] {
            assert!(parse_storage_version(text).is_err(), "{text}");
        }
    }

    #[test]
    fn threads() {
        assert_eq!(parse_threads("1"), Ok(1));
        assert_eq!(parse_threads("1024"), Ok(1024));
        for text in ["", "0", "1025", "-1", "2.5", "two", "99999999"] {
            assert!(parse_threads(text).is_err(), "{text}");
        }
    }

    #[test]
    fn memory_limits() {
        for (text, expected) in
            [("256MB", "256MB"), ("256 mb", "256MB"), ("1.5GiB", "1.5GiB"), ("1.gb", "1.GB"), ("1tb", "1TB")]
        {
            assert_eq!(parse_memory_limit(text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", "256", "MB", "-1GB", "0MB", "1..5GB", "10%", "1GB; DROP", "1 G B", "infGB"] {
            assert!(parse_memory_limit(text).is_err(), "{text}");
        }
    }
}
