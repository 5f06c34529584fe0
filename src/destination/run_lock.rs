//! One run per destination.
//!
//! A DuckDB file is only open now and then, and a lake is never locked as a whole. So a run locks a file of its
//! own beside them, such as `ingest.duckdb.lock`. The operating system releases the lock with the process, however it ends; what
//! the file says is only for people.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::access::{self, Access};
use crate::error::{Error, ErrorKind, Result};
use crate::printable;
use crate::progress::Progress;

/// What a lock file begins with.
const BEGINNING: &str = "PID ";
/// Bytes of a lock file at most.
const LONGEST: u64 = 200;

/// The right to be the only run on a file; given up when dropped.
#[derive(Debug)]
pub(super) struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the lock, waiting up to `wait` while another run has it.
    pub(super) fn take(place: &Path, wait: Duration, progress: &Progress) -> Result<Self> {
        let path = lock_path(place);
        let unusable = |e| unusable(&path, e);
        let mut options = OpenOptions::new();
        let options = access::private(options.read(true).write(true).create(true).truncate(false));
        let mut file = without_links(options).open(&path).map_err(unusable)?;
        check_ours(&mut file, &path)?;
        let started = Instant::now();
        let mut is_told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(unusable(error)),
                Err(TryLockError::WouldBlock) if started.elapsed() < wait => {
                    if !is_told {
                        progress.note(&Taken::by_whom(place).waiting);
                        is_told = true;
                    }
                    std::thread::sleep(Duration::from_millis(100).min(wait));
                }
                Err(TryLockError::WouldBlock) => return Err(taken(place)),
            }
        }
        let text = format!(
            "{BEGINNING}{}, started {}\n",
            std::process::id(),
            crate::clock::now().strftime("%F %TZ")
        );
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(unusable)?;
        // Who may write the one may write the other, so that they can take turns.
        if let Some(access) = Access::of_file(place).or_else(|| Access::in_folder(place)) {
            access.give(&file);
        }
        Ok(Self { _file: file })
    }

    /// Fails where [`RunLock::take`] would without waiting, and writes nothing.
    pub(super) fn look(place: &Path) -> Result<()> {
        let path = lock_path(place);
        let unusable = |e| unusable(&path, e);
        let mut file = match without_links(OpenOptions::new().read(true)).open(&path) {
            Ok(file) => file,
            // Whether it can be made is up to its folder.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unusable(error)),
        };
        check_ours(&mut file, &path)?;
        access::check_writable(&path).map_err(unusable)?;
        // Shared, so that several may look; a run does not share.
        match file.try_lock_shared() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(taken(place)),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }
}

/// The way to open a lock file: a link in its place is not followed, so that nobody's file is written through it.
fn without_links(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;

        let no_links = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(i32::try_from(no_links.bits()).unwrap_or_default());
    }
    options
}

fn unusable(path: &Path, error: std::io::Error) -> Error {
    // Of a file that is there: one that another user made for a run.
    let owner = owner_of(path).filter(|_| error.kind() == std::io::ErrorKind::PermissionDenied);
    let owner = owner.map(|user| format!(", which belongs to user {user},")).unwrap_or_default();
    let message = format!("lock file {}{owner} cannot be written", path.display());
    Error::new(ErrorKind::Destination, message)
        .with_source(error)
        .with_hint("a run locks a file beside what it writes; the folder has to be writable")
}

fn taken(place: &Path) -> Error {
    let taken = Taken::by_whom(place);
    Error::new(ErrorKind::Locked, taken.refused).with_hint(taken.hint)
}

fn check_ours(file: &mut File, path: &Path) -> Result<()> {
    if is_ours(file).map_err(|e| unusable(path, e))? {
        return Ok(());
    }
    let message = format!("{} is not a lock file of ingest, and is left as it is", path.display());
    Err(Error::new(ErrorKind::Config, message)
        .with_hint("a run locks a file of this name beside what it writes; name the destination otherwise"))
}

/// Whether the file is new, or holds nothing but what a run writes there.
fn is_ours(file: &mut File) -> std::io::Result<bool> {
    if !file.metadata()?.is_file() {
        return Ok(false);
    }
    let mut words = Vec::new();
    Read::by_ref(file).take(LONGEST + 1).read_to_end(&mut words)?;
    Ok(words.is_empty() || (words.starts_with(BEGINNING.as_bytes()) && words.len() as u64 <= LONGEST))
}

fn lock_path(place: &Path) -> PathBuf {
    let mut path = place.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

/// What the holder wrote about itself; nothing if it did not, or is not to be read.
fn words_in(lock: &Path) -> String {
    let mut text = String::new();
    let read = File::open(lock).and_then(|file| file.take(LONGEST).read_to_string(&mut text));
    read.map(|_| printable::name(&text).trim().to_owned()).unwrap_or_default()
}

/// What is said of a lock that somebody has.
#[derive(Debug, PartialEq, Eq)]
struct Taken {
    /// That it is waited for.
    waiting: String,
    /// That it was not given up.
    refused: String,
    hint: String,
}

impl Taken {
    /// Of the lock of a place.
    fn by_whom(place: &Path) -> Self {
        let lock = lock_path(place);
        Self::of(place, &lock, &words_in(&lock), owner_of(&lock), is_process)
    }

    /// By what the lock file says, and whose it is. Anybody who may read it can lock it, whoever wrote what it says.
    fn of(
        place: &Path,
        lock: &Path,
        words: &str,
        owner: Option<u32>,
        is_running: impl Fn(u32) -> bool,
    ) -> Self {
        if process_in(words).is_some_and(is_running) {
            return Self {
                waiting: format!("waiting for another run on {} ({words})", place.display()),
                refused: format!("another run is writing {} ({words})", place.display()),
                hint: "let it finish; cron may simply try again, --wait waits for it".to_owned(),
            };
        }
        let owner = owner.map(|user| format!(" of user {user}")).unwrap_or_default();
        let words = if words.is_empty() {
            String::new()
        } else {
            format!("; it names {words}, which does not run here")
        };
        let shown = lock.display();
        let refused = format!("a process holds the lock file {shown}{owner}{words}");
        Self {
            waiting: format!("waiting, since {refused}"),
            refused,
            hint: format!(
                "if it is a run in another container or on another machine, let it finish; else `fuser -v {shown}` says \
                 which process has to end"
            ),
        }
    }
}

/// The number of the process in the words of a lock file.
fn process_in(words: &str) -> Option<u32> {
    let digits = words.strip_prefix(BEGINNING)?.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The number of the user that a file belongs to.
#[cfg(unix)]
fn owner_of(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;

    path.symlink_metadata().ok().map(|found| found.uid())
}

#[cfg(not(unix))]
fn owner_of(_path: &Path) -> Option<u32> {
    None
}

/// Whether there is a process of this number.
#[cfg(unix)]
pub(super) fn is_process(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return false };
    !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

#[cfg(not(unix))]
pub(super) fn is_process(_pid: u32) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_the_lock_is_named_as_far_as_that_is_known() {
        let words = "PID 42, started 2026-01-31 12:00:00Z";
        let taken = |words: &str, owner, is_running: bool| {
            let taken = Taken::of(Path::new("/x"), Path::new("/x.lock"), words, owner, |pid| {
                assert_eq!(pid, 42);
                is_running
            });
            (taken.refused, taken.hint)
        };
        let (refused, hint) = taken(words, Some(7), true);
        assert_eq!(refused, format!("another run is writing /x ({words})"));
        assert!(hint.contains("--wait"), "{hint}");
        let (refused, hint) = taken(words, Some(7), false);
        assert_eq!(
            refused,
            format!(
                "a process holds the lock file /x.lock of user 7; it names {words}, which does not run here"
            )
        );
        assert!(hint.contains("`fuser -v /x.lock`"), "{hint}");
        assert_eq!(taken("", None, true).0, "a process holds the lock file /x.lock");
    }

    #[test]
    fn numbers_of_processes() {
        for (words, expected) in [
            ("PID 42, started 2026-01-31 12:00:00Z", Some(42)),
            ("PID 42", Some(42)),
            ("PID ", None),
            ("PID 99999999999", None),
            ("42", None),
            ("", None),
        ] {
            assert_eq!(process_in(words), expected, "{words}");
        }
        assert!(is_process(std::process::id()) && !is_process(0) && !is_process(u32::MAX));
    }
}
