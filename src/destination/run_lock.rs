//! One run per destination.
//!
//! A DuckDB file is only open now and then, and a lake is never locked as a whole. So a run locks a file of its
//! own beside them, such as `ingest.duckdb.lock`. The operating system releases the lock with the process, however it ends; what
//! the file says is only for people.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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
        let unusable = |e: std::io::Error| {
            let message = format!("lock file {} cannot be written", path.display());
            Error::new(ErrorKind::Destination, message)
                .with_source(e)
                .with_hint("a run locks a file beside what it writes; the folder has to be writable")
        };
        let mut file = open(&path).map_err(unusable)?;
        if !is_ours(&mut file).map_err(unusable)? {
            let message = format!("{} is not a lock file of ingest, and is left as it is", path.display());
            return Err(Error::new(ErrorKind::Config, message).with_hint(
                "a run locks a file of this name beside what it writes; name the destination otherwise",
            ));
        }
        let started = Instant::now();
        let mut is_told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(unusable(error)),
                Err(TryLockError::WouldBlock) if started.elapsed() < wait => {
                    if !is_told {
                        progress.note(&format!(
                            "waiting for another run on {}{}",
                            place.display(),
                            holder(&path)
                        ));
                        is_told = true;
                    }
                    std::thread::sleep(Duration::from_millis(100).min(wait));
                }
                Err(TryLockError::WouldBlock) => {
                    let message = format!("another run is writing {}{}", place.display(), holder(&path));
                    return Err(Error::new(ErrorKind::Locked, message)
                        .with_hint("let it finish; cron may simply try again, --wait waits for it"));
                }
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
        Ok(Self { _file: file })
    }
}

/// Opens the lock file, or makes it; a link in its place is not followed, so that nobody's file is written through it.
fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;

        let no_links = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(i32::try_from(no_links.bits()).unwrap_or_default());
    }
    options.open(path)
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

/// What the holder wrote about itself, in brackets.
fn holder(path: &Path) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text));
    match (read, printable::name(&text).trim()) {
        (Ok(_), words) if !words.is_empty() => format!(" ({words})"),
        _ => String::new(),
    }
}
