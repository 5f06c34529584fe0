//! Reading the configuration, whatever it stands in.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::special::{PIPE, special};

/// Bytes of a configuration at most.
const LARGEST: u64 = 1 << 20;
/// How long a pipe may take to its end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything in a file, or in a pipe such as the shell makes of `<(...)`: that is read once. Sockets and devices are not
/// opened. All errors are `Config` errors.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    read_within(path, PATIENCE)
}

/// Fails unless it is a file, or nothing at all.
pub(super) fn check_is_file(path: &Path) -> Result<()> {
    special(path).map_or(Ok(()), |kind| Err(no_file(path, kind)))
}

/// Whether paths in a configuration cannot be relative to the place of its file, since that is no place for others.
pub(super) fn is_nowhere(path: &Path) -> bool {
    special(path).is_some() || path.starts_with("/dev") || path.starts_with("/proc")
}

fn read_within(path: &Path, patience: Duration) -> Result<Vec<u8>> {
    let read = match special(path) {
        None => read_to_end(path),
        Some(PIPE) => {
            let (sender, receiver) = mpsc::channel();
            let own: PathBuf = path.to_owned();
            // Nobody may ever write, or even open the other end: then the thread ends with the process.
            std::thread::spawn(move || sender.send(read_to_end(&own)));
            receiver.recv_timeout(patience).map_err(|_| {
                refused(path, format!("the pipe did not come to its end within {} s", patience.as_secs()))
                    .with_hint("let the program that writes it end, or name a file")
            })?
        }
        Some(kind) => return Err(no_file(path, kind)),
    };
    let bytes = read.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => refused(path, "no such file")
            .with_hint("`ingest init` writes a commented connections.yml to start from"),
        io::ErrorKind::IsADirectory => refused(path, "is a directory").with_hint("name the file in it"),
        _ => refused(path, "cannot be read").with_source(error),
    })?;
    if bytes.len() as u64 > LARGEST {
        return Err(refused(path, format!("is larger than {} MiB", LARGEST >> 20))
            .with_hint("name the file that holds the connections"));
    }
    Ok(bytes)
}

/// At most one byte more than there may be.
fn read_to_end(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // To open a pipe again may mean to wait for another writer.
    if path == Path::new("/dev/stdin") {
        io::stdin().take(LARGEST + 1).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn no_file(path: &Path, kind: &str) -> Error {
    refused(path, format!("is {kind}, not a file"))
        .with_hint("name a file with --config; a pipe that is named there is read to its end")
}

fn refused(path: &Path, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message).within(path.display().to_string())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn make_pipe(path: &Path) {
        assert!(std::process::Command::new("mkfifo").arg(path).status().is_ok_and(|status| status.success()));
    }

    #[test]
    fn only_what_comes_to_an_end_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "connections:").unwrap();
        std::fs::write(path("large"), vec![b'#'; 1 + (1 << 20)]).unwrap();
        make_pipe(&path("pipe"));
        let _listener = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        assert_eq!(read(&path("file")).unwrap(), b"connections:");
        let none = Duration::from_millis(1);
        for (path, expected) in [
            (path("missing"), "no such file"),
            (path(""), "is a directory"),
            (path("large"), "is larger than 1 MiB"),
            (path("pipe"), "the pipe did not come to its end within 0 s"),
            (path("socket"), "is a socket, not a file"),
            ("/dev/zero".into(), "is a device, not a file"),
        ] {
            let error = read_within(&path, none).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert_eq!(error.to_string(), format!("{}: {expected}", path.display()));
            assert!(error.hint().is_some(), "{error}");
        }
        for name in ["pipe", "socket"] {
            assert!(check_is_file(&path(name)).is_err() && is_nowhere(&path(name)), "{name}");
        }
        for name in ["file", "missing"] {
            assert!(check_is_file(&path(name)).is_ok() && !is_nowhere(&path(name)), "{name}");
        }
        assert!(is_nowhere(Path::new("/dev/stdin")) && is_nowhere(Path::new("/proc/self/fd/7")));
    }

    #[test]
    fn a_pipe_is_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        make_pipe(&pipe);
        for (text, is_fine) in [("connections:".to_owned(), true), ("#".repeat(3 << 20), false)] {
            let writer = pipe.clone();
            // Whoever has read enough does not read the rest.
            let written = std::thread::spawn(move || drop(std::fs::write(writer, text)));
            assert_eq!(read(&pipe).is_ok(), is_fine);
            written.join().unwrap();
        }
    }
}
