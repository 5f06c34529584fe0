//! Opening the file: never longer than needed, never twice, never with a word to the outside.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::duckdb::{AccessMode, Config, Connection};

use super::super::access::{Access, check_writable};
use super::feed;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;
use crate::special::special;

/// How long a reader that holds the file is waited for unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(30);
/// Rows of a row group, half of those that DuckDB takes if not told otherwise: see `open_in_halves`.
pub const HALF_GROUP: usize = 61_440;
/// Memory in which the keys of a commit and a few blocks of a table have room, for up to so many threads.
const ENOUGH_TO_READ: &str = "64MB";
const FEW_THREADS: u16 = 4;
/// Megabytes that are needed beside the text of rows, and how often that is in memory when a row group is written.
const BESIDE_TEXT: u32 = 128;
const TIMES_IN_MEMORY: u32 = 3;
/// Megabytes to try one after the other, unless the limit was configured.
const MORE: [u32; 2] = [1_000, MOST_MEGABYTES];
const MOST_MEGABYTES: u32 = 4_000;
/// How DuckDB says that memory was not enough; what fails a COMMIT leaves the name of the error out.
const OUT_OF_MEMORY: [&str; 4] =
    ["Out of Memory", "failed to pin block", "could not allocate block", "failed to allocate data"];
/// What is said where memory was not enough.
const NEEDS_MORE: &str = "it needs more memory than memory_limit allows";
/// The end of the name of DuckDB's folder for what does not fit into memory.
const TEMPORARY: &str = ".tmp";
/// The end of the name of DuckDB's file for what was committed and is not in the database itself yet.
const LOG: &str = ".wal";
/// The name of a file that is attached. No schema is called that.
const NAME: &str = "\"the file\"";

/// How DuckDB is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Storage version of new files, so that older releases open them; `None` for this DuckDB's own.
    pub storage_version: Option<String>,
    /// Threads DuckDB may use.
    pub threads: u16,
    /// Memory DuckDB may use, in its own notation.
    pub memory_limit: String,
    /// Whether it may use more, up to 4 GB, where rows are so wide that it cannot do with that.
    pub may_take_more: bool,
    /// How long to wait while readers hold the file.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            storage_version: Some("v1.2.0".into()),
            threads: 1,
            memory_limit: "256MB".into(),
            may_take_more: true,
            patience: PATIENCE,
        }
    }
}

/// The one spelling of a path, whether or not the file exists; its folder must. What is no file is a `Config` error, and
/// is not opened.
pub(super) fn canonical(path: &Path) -> Result<PathBuf> {
    let path = spelled(path)?;
    // DuckDB opens what is called like its log, too.
    for path in [&path, &beside(&path, ".wal")] {
        if let Some(kind) = special(path) {
            let message = format!("destination {} is {kind}, not a file", path.display());
            return Err(Error::new(ErrorKind::Config, message)
                .with_hint("give the path of a file, such as ./ingest.duckdb"));
        }
    }
    Ok(path)
}

/// The path of a file of DuckDB's own beside its database.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

fn spelled(path: &Path) -> Result<PathBuf> {
    let shown = path.display();
    if path.is_dir() {
        return Err(Error::new(ErrorKind::Destination, format!("destination {shown} is a directory"))
            .with_hint("give the path of a file, such as ./ingest.duckdb"));
    }
    if path.exists() {
        return path.canonicalize().map_err(|e| unusable(path, e));
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| {
        Error::new(ErrorKind::Destination, format!("destination {shown} is not the path of a file"))
    })?;
    let parent = parent
        .canonicalize()
        .map_err(|e| unusable(path, e).with_hint(format!("create the folder {} first", parent.display())))?;
    Ok(parent.join(name))
}

fn unusable(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Destination, format!("destination {} cannot be used", path.display()))
        .with_source(error)
}

/// Deletes what a killed run left in DuckDB's folder for temporary files: it holds people's rows. Only
/// called by the holder of the run lock. A link in its place is a `Config` error: DuckDB would write rows to where it
/// leads, and delete there, as this would.
pub(super) fn remove_leftovers(path: &Path) -> Result<()> {
    let folder = temporary_folder(path)?;
    let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(()) };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with("duckdb_temp_") {
            std::fs::remove_file(entry.path()).map_err(|e| unusable(&entry.path(), e))?;
        }
    }
    // Only goes if it is empty; anything else in there is not ours.
    drop(std::fs::remove_dir(&folder));
    Ok(())
}

/// Whether there is a database. A file that holds nothing at all, such as one that `mktemp` made, is none. The file itself
/// is never opened for that.
pub(super) fn is_there(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.is_file() || found.len() > 0)
}

/// Removes a file that holds nothing at all: DuckDB makes a database where there is no file, and refuses an empty one. Who may
/// use it, which holds for the database too.
fn remove_empty(path: &Path) -> Result<Option<Access>> {
    let access = Access::of_file(path).filter(|_| !is_there(path));
    if access.is_some() {
        std::fs::remove_file(path).map_err(|e| unusable(path, e))?;
    }
    Ok(access)
}

/// Lets those who may use the database use what DuckDB keeps beside it, which after a kill is a part of it.
pub(super) fn share_log(path: &Path) {
    if let Some(access) = Access::of_file(path) {
        access.give_by_name(&beside(path, LOG));
    }
}

/// DuckDB's folder for what does not fit into memory. A link in its place is a `Config` error.
fn temporary_folder(path: &Path) -> Result<PathBuf> {
    let folder = beside(path, TEMPORARY);
    if folder.is_symlink() {
        let message = format!("{} is a symbolic link, and would be followed", folder.display());
        return Err(Error::new(ErrorKind::Config, message)
            .with_hint("remove the link: DuckDB keeps there what does not fit into memory, and clears it"));
    }
    Ok(folder)
}

/// Fails where a run could not write the database, or make it, and writes nothing itself.
pub(super) fn try_out(path: &Path, options: &Options) -> Result<()> {
    let unwritable = |path: &Path, e: std::io::Error| {
        let message = format!("destination {} cannot be written", path.display());
        Error::new(ErrorKind::Destination, message).with_source(e).with_hint(
            "the file has to be writable, and so has its folder: what belongs to a run is put beside it",
        )
    };
    temporary_folder(path)?;
    for there in [path.to_owned(), beside(path, LOG)].iter().filter(|file| file.exists()) {
        check_writable(there).map_err(|e| unwritable(there, e))?;
    }
    let folder = path.parent().unwrap_or(path);
    check_writable(folder).map_err(|e| unwritable(path, e))?;
    if is_there(path) {
        open_to_read(path, options)?;
    }
    Ok(())
}

/// Opens the file to write, waiting while a reader holds it. Only called by the holder of the run lock.
pub(super) fn open(path: &Path, options: &Options, progress: &Progress) -> Result<Connection> {
    open_to_write(path, options, progress, open_whole)
}

/// The same, for a commit of [`HALF_GROUP`] rows or more, but fewer than DuckDB has in a row group, into a new table. DuckDB
/// writes whole groups once, straight to their place, and any others twice; so they are told to be smaller
/// (`docs/decisions/0017-writing.md`). Nothing else may be done to the file meanwhile: where larger groups are, DuckDB
/// fails to add columns. The path has to be text.
pub(super) fn open_in_halves(path: &Path, options: &Options, progress: &Progress) -> Result<Connection> {
    open_to_write(path, options, progress, open_attached)
}

fn open_to_write(path: &Path, options: &Options, progress: &Progress, how: How) -> Result<Connection> {
    let given = remove_empty(path)?;
    let mut is_told = false;
    let connection = open_patiently(path, options, (how, AccessMode::ReadWrite), |holder| {
        if !is_told {
            let (patience, path) = (options.patience, path.display());
            progress.note(&format!("waiting up to {patience:?} for {path}, which {holder} has open"));
            is_told = true;
        }
    })?;
    if let Some(access) = given {
        access.give_by_name(path);
    }
    // Trying it costs every load, and unpacking it every query (`docs/decisions/0017-writing.md`). As a part of the
    // configuration it does not count.
    connection
        .execute_batch("SET disabled_compression_methods = 'fsst'")
        .map_err(|e| failed("configure DuckDB", &e))?;
    Ok(connection)
}

/// Sets how many groups of small portions may be put together at a checkpoint: one, or none. Each is rewritten for
/// that, so that a load in many portions would be written several times over.
pub(super) fn tidy_up(connection: &Connection, is_wanted: bool) -> ::duckdb::Result<()> {
    connection.execute_batch(&format!("SET max_vacuum_tasks = {}", u8::from(is_wanted)))
}

/// Lets go of what is kept in memory of a file, which a load never reads again.
pub(super) fn shrink(connection: &Connection, options: &Options) -> ::duckdb::Result<()> {
    // A limit below what cannot be let go of is refused, after all else has been let go of. What a transaction holds
    // would go to the folder for temporary files.
    drop(connection.execute_batch("SET memory_limit = '1MB'"));
    limit_memory(connection, &options.memory_limit)
}

/// What `read` finds in a table of any size, keeping little of it: all keys are read to know which of many new rows are
/// there already, and would stay in memory beside those rows.
pub(super) fn keeping_little<T>(
    connection: &Connection,
    options: &Options,
    read: impl FnOnce() -> ::duckdb::Result<T>,
) -> ::duckdb::Result<T> {
    if options.threads > FEW_THREADS || !is_more_than_enough(&options.memory_limit) {
        return read();
    }
    // The limit is that of the file, and set from beside: what is refused there ends no transaction of ours.
    let beside = connection.try_clone().ok();
    let Some(beside) = beside.filter(|beside| limit_memory(beside, ENOUGH_TO_READ).is_ok()) else {
        return read();
    };
    let found = read();
    let shrunk = shrink(&beside, options);
    let found = found?;
    shrunk.map(|()| found)
}

/// Whether a limit in DuckDB's notation is more than [`ENOUGH_TO_READ`]; not if it is written in a way of its own.
fn is_more_than_enough(limit: &str) -> bool {
    megabytes(limit) > 64.0
}

/// About what a limit in DuckDB's notation is; 0 if it is written in a way of its own.
fn megabytes(limit: &str) -> f64 {
    let (number, unit) = limit.split_at(limit.find(char::is_alphabetic).unwrap_or(limit.len()));
    let megabytes = match unit.chars().next() {
        Some('K') => 1e-3,
        Some('M') => 1.0,
        Some('G') => 1e3,
        Some('T') => 1e6,
        _ => 0.0,
    };
    number.parse::<f64>().map_or(0.0, |number| number * megabytes)
}

impl Options {
    /// Sets a limit under which a column can be read and written of which DuckDB has so many bytes in memory at once;
    /// whether that is another limit.
    pub(super) fn make_room_for(&mut self, bytes: usize) -> bool {
        let wanted = u32::try_from(bytes >> 20).unwrap_or(u32::MAX).saturating_mul(TIMES_IN_MEMORY);
        let wanted = wanted.saturating_add(BESIDE_TEXT).min(MOST_MEGABYTES);
        let is_more = self.may_take_more && f64::from(wanted) > megabytes(&self.memory_limit);
        if is_more {
            self.memory_limit = format!("{wanted}MB");
        }
        is_more
    }

    /// Sets the next limit to try where this one is not enough; whether there is one.
    pub(super) fn take_more(&mut self) -> bool {
        let next = MORE.into_iter().find(|next| f64::from(*next) > megabytes(&self.memory_limit));
        let next = next.filter(|_| self.may_take_more);
        if let Some(next) = next {
            self.memory_limit = format!("{next}MB");
        }
        next.is_some()
    }
}

fn limit_memory(connection: &Connection, limit: &str) -> ::duckdb::Result<()> {
    connection.execute_batch(&format!("SET memory_limit = '{}'", limit.replace('\'', "''")))
}

/// Opens an existing file to read.
pub(super) fn open_to_read(path: &Path, options: &Options) -> Result<Connection> {
    if !is_there(path) {
        return Err(Error::new(
            ErrorKind::Destination,
            format!("there is no database at {}", path.display()),
        )
        .with_hint("run ingest for a table first, or name another destination with --to"));
    }
    open_patiently(path, options, (open_whole, AccessMode::ReadOnly), |_| ())
}

/// A way to open a file.
type How = fn(&Path, Config) -> ::duckdb::Result<Connection>;

fn open_whole(path: &Path, config: Config) -> ::duckdb::Result<Connection> {
    Connection::open_with_flags(path, config)
}

/// Only a file that is attached can be told the size of its row groups. Names refer to it, and to nothing beside it.
fn open_attached(path: &Path, config: Config) -> ::duckdb::Result<Connection> {
    let path = path.to_string_lossy();
    let connection =
        Connection::open_in_memory_with_flags(config.with("temp_directory", format!("{path}{TEMPORARY}"))?)?;
    let path = path.replace('\'', "''");
    connection.execute_batch(&format!(
        "ATTACH '{path}' AS {NAME} (ROW_GROUP_SIZE {HALF_GROUP}); USE {NAME}; DETACH memory"
    ))?;
    Ok(connection)
}

fn open_patiently(
    path: &Path,
    options: &Options,
    (how, mode): (How, AccessMode),
    mut waiting: impl FnMut(&str),
) -> Result<Connection> {
    let started = Instant::now();
    let mut wait = Duration::from_millis(20);
    loop {
        let config = config(path, options, mode.clone()).map_err(|e| failed("configure DuckDB", &e))?;
        let error = match how(path, config) {
            Ok(connection) => {
                feed::register(&connection).map_err(|e| failed("prepare", &e))?;
                return Ok(connection);
            }
            Err(error) => error,
        };
        let Some(holder) = lock_holder(&error.to_string()) else {
            return Err(failed("open the database", &error)
                .within(format!("destination {}", path.display()))
                .with_hint("check that the file is a DuckDB database and may be written, and that the disk is not full"));
        };
        if started.elapsed() >= options.patience {
            let message = format!("destination {} is open in {holder}", path.display());
            return Err(Error::new(ErrorKind::Locked, message).with_hint(
                "close it there, or wait longer with --wait; what was read so far is kept, and a later run goes on from it",
            ));
        }
        waiting(&holder);
        std::thread::sleep(wait);
        wait = (wait * 2).min(Duration::from_millis(500));
    }
}

fn config(path: &Path, options: &Options, mode: AccessMode) -> ::duckdb::Result<Config> {
    let mut config = Config::default()
        .access_mode(mode)?
        // No phoning home: nothing is downloaded or loaded that is not built in.
        .enable_autoload_extension(false)?
        // To ask for what is not there is an answer, and no reason to give a transaction up.
        .with("default_transaction_invalidation_policy", "SYNTACTIC_ERRORS_DO_NOT_INVALIDATE")?
        .threads(i64::from(options.threads))?
        .max_memory(&options.memory_limit)?;
    if let Some(version) = &options.storage_version
        && !path.exists()
    {
        config = config.with("storage_compatibility_version", version)?;
    }
    Ok(config)
}

/// Who holds the file, if that is what DuckDB complains about.
fn lock_holder(message: &str) -> Option<String> {
    if !message.contains("Could not set lock on file") && !message.contains("Conflicting lock") {
        return None;
    }
    let pid: String = message
        .split_once("PID ")
        .map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect())
        .unwrap_or_default();
    Some(if pid.is_empty() { "another process".into() } else { format!("process {pid}") })
}

/// What DuckDB could not do, without any value of any row.
pub(super) fn failed(what: &str, error: &::duckdb::Error) -> Error {
    let words = error.to_string();
    if OUT_OF_MEMORY.iter().any(|sign| words.contains(sign)) {
        let message = format!("DuckDB could not {what}: {NEEDS_MORE}");
        return Error::new(ErrorKind::Destination, message).with_hint(
            "set memory_limit: 1GB or more for this destination in connections.yml; nothing was lost, run again",
        );
    }
    let first = words.lines().next().unwrap_or_default();
    // Errors of the file system quote paths; all others may quote values.
    let safe = if first.starts_with("IO Error") || first.starts_with("Invalid Input Error: Could not set") {
        first.to_owned()
    } else {
        first
            .split(['"', '\''])
            .next()
            .and_then(|words| words.split(" with value ").next())
            .unwrap_or_default()
            .trim_end()
            .to_owned()
    };
    let full = ["No space left on device", "Disk quota exceeded", "File too large"];
    let full = full.into_iter().find(|reason| words.contains(reason));
    let error = Error::new(ErrorKind::Destination, format!("DuckDB could not {what}: {safe}"));
    match full {
        Some(reason) => error.with_hint(format!(
            "there is no room ({}); nothing was lost, make some and run again",
            reason.to_lowercase()
        )),
        None => error,
    }
}

/// Whether more memory would have helped.
pub(super) fn is_out_of_memory(error: &Error) -> bool {
    error.to_string().ends_with(NEEDS_MORE)
}

#[cfg(test)]
mod tests {
    use super::super::sql::has_table;
    use super::*;

    /// However the file is open, in a transaction and outside: it goes on.
    #[test]
    fn a_table_is_known_from_a_view_and_from_nothing() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("data.duckdb");
        let (options, progress) = (Options::default(), Progress::new(crate::progress::Mode::Off));
        open(&path, &options, &progress)
            .unwrap()
            .execute_batch(
                "CREATE SCHEMA crm; CREATE TABLE crm.Contacts (id VARCHAR DEFAULT 'none'); CREATE TABLE tags (id VARCHAR);
                 CREATE VIEW crm.seen AS FROM crm.contacts",
            )
            .unwrap();
        let ways: [(&str, &dyn Fn() -> Result<Connection>); 3] = [
            ("to read", &|| open_to_read(&path, &options)),
            ("to write", &|| open(&path, &options, &progress)),
            ("in halves", &|| open_in_halves(&path, &options, &progress)),
        ];
        for (way, open) in ways {
            let connection = open().unwrap();
            for begin in ["", "BEGIN TRANSACTION"] {
                connection.execute_batch(begin).unwrap();
                for (schema, table, expected) in [
                    ("crm", "Contacts", true),
                    ("CRM", "contacts", true),
                    ("main", "tags", true),
                    ("crm", "seen", false),
                    ("crm", "tags", false),
                    ("main", "contacts", false),
                    ("elsewhere", "contacts", false),
                ] {
                    let found = has_table(&connection, schema, table).unwrap();
                    assert_eq!(found, expected, "{schema}.{table}, {way}, {begin}");
                }
            }
            if way != "to read" {
                connection.execute_batch("INSERT INTO crm.contacts VALUES ('a')").unwrap();
            }
            connection.execute_batch("COMMIT").unwrap();
        }
        let connection = open_to_read(&path, &options).unwrap();
        let rows: u64 = connection.query_row("SELECT count(*) FROM crm.seen", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 2);
    }

    /// However much of it a transaction holds already.
    #[test]
    fn memory_is_as_before_once_little_was_kept_and_so_is_the_transaction() {
        let folder = tempfile::TempDir::new().unwrap();
        let (options, progress) = (Options::default(), Progress::new(crate::progress::Mode::Off));
        for (name, open) in
            [("whole", open as fn(&Path, &Options, &Progress) -> _), ("halves", open_in_halves)]
        {
            let connection = open(&folder.path().join(name), &options, &progress).unwrap();
            let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u64>(0));
            let limit = "SELECT current_setting('memory_limit')";
            let limit = || connection.query_row(limit, [], |row| row.get::<_, String>(0)).unwrap();
            let before = limit();
            connection
                .execute_batch(
                    "BEGIN TRANSACTION; CREATE TABLE notes AS
                     SELECT repeat(number::VARCHAR, 300) AS body FROM range(100000) AS numbers(number)",
                )
                .unwrap();
            let mut within = String::new();
            let rows = keeping_little(&connection, &options, || {
                within = limit();
                number("SELECT count(*) FROM notes WHERE body <> ''")
            });
            assert_eq!((rows.unwrap(), limit()), (100_000, before.clone()), "{name}");
            assert_ne!(within, before, "{name}");
            connection.execute_batch("COMMIT").unwrap();
            assert_eq!(number("SELECT count(*) FROM notes").unwrap(), 100_000, "{name}");
        }
    }

    #[test]
    fn only_a_larger_limit_is_narrowed() {
        for (limit, expected) in [
            ("256MB", true),
            ("65MiB", true),
            ("1.5GiB", true),
            ("1.GB", true),
            ("1TB", true),
            ("64MB", false),
            ("40MB", false),
            ("900000KB", true),
            ("60000KB", false),
            ("", false),
            ("lots", false),
        ] {
            assert_eq!(is_more_than_enough(limit), expected, "{limit}");
        }
    }

    #[test]
    fn memory_grows_with_the_widest_rows_unless_it_was_set() {
        let options = |limit: &str, may_take_more| Options {
            memory_limit: limit.into(),
            may_take_more,
            ..Options::default()
        };
        for (limit, may, bytes, expected) in [
            ("256MB", true, 0, "256MB"),
            ("256MB", true, 40 << 20, "256MB"),
            ("256MB", true, 100 << 20, "428MB"),
            ("256MB", true, 4 << 30, "4000MB"),
            ("428MB", true, 10 << 20, "428MB"),
            ("256MB", false, 4 << 30, "256MB"),
        ] {
            let mut options = options(limit, may);
            assert_eq!(options.make_room_for(bytes), limit != expected, "{limit} {bytes}");
            assert_eq!(options.memory_limit, expected);
        }
        let mut growing = options("256MB", true);
        assert_eq!([growing.take_more(), growing.take_more(), growing.take_more()], [true, true, false]);
        assert_eq!(growing.memory_limit, "4000MB");
        assert!(!options("256MB", false).take_more());
    }

    #[test]
    fn too_little_memory_is_told_by_the_name_of_its_setting() {
        for words in [
            "Out of Memory Error: could not allocate block of size 256.0 KiB",
            "TransactionContext Error: Failed to commit: failed to pin block of size 256.0 KiB (122.0 MiB/122.0 MiB used)",
        ] {
            let error = ::duckdb::Error::DuckDBFailure(::duckdb::ffi::Error::new(1), Some(words.to_owned()));
            let shown = failed("commit", &error);
            assert!(is_out_of_memory(&shown) && shown.render().contains("set memory_limit"), "{shown:?}");
        }
    }

    #[test]
    fn errors_do_not_quote_values() {
        let error = ::duckdb::Error::DuckDBFailure(
            ::duckdb::ffi::Error::new(1),
            Some("Conversion Error: Could not convert string 'joe@example.com' to INT64\nLINE 1: x".into()),
        );
        let shown = failed("merge rows", &error).to_string();
        assert_eq!(shown, "DuckDB could not merge rows: Conversion Error: Could not convert string");
    }

    #[test]
    fn the_holder_of_a_lock_is_named() {
        let message = "IO Error: Could not set lock on file \"/x/y.duckdb\": Conflicting lock is held in /usr/bin/duckdb (PID 4711).";
        assert_eq!(lock_holder(message).as_deref(), Some("process 4711"));
        assert_eq!(lock_holder("IO Error: No space left on device"), None);
    }
}
