//! What is done to the file system, one call at a time, and what is said when it refuses.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::destination::access::{Access, create_new, make_folder, private};
use crate::error::{Error, ErrorKind, Result};

/// How two folders change places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exchange {
    /// In one system call: whoever opens the path gets one or the other.
    Atomic,
    /// One is moved away, then the other comes in: for a moment there is nothing.
    TwoRenames,
}

/// The file system as far as it is changed here. Everything that changes something goes through it, so that tests can
/// stop it in the middle like a kill would.
#[derive(Debug, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) fuse: super::tests::Fuse,
}

impl Disk {
    #[cfg(test)]
    fn may_act(&self) -> io::Result<()> {
        self.fuse.spend()
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "only tests stop it")]
    fn may_act(&self) -> io::Result<()> {
        Ok(())
    }

    /// Makes a folder and those it stands in, each as accessible as `model` or its owner's alone, and makes their names last.
    pub(super) fn make_folders(&self, folder: &Path, model: Option<&Path>) -> Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        let parent = folder.parent();
        if let Some(parent) = parent {
            self.make_folders(parent, model)?;
        }
        self.may_act()
            .and_then(|()| make_folder(folder, model))
            .map_err(|error| failed(folder, "made", error))?;
        parent.map_or(Ok(()), sync_folder)
    }

    /// Gives a folder another place. Anything but an empty folder there is an error.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.may_act().and_then(|()| std::fs::rename(from, to)).map_err(|error| not_moved(from, to, error))
    }

    /// Exchanges two folders in one step; `false`, with nothing done, where the file system has no such step.
    pub(super) fn exchange(&self, one: &Path, other: &Path) -> Result<bool> {
        match self.may_act().and_then(|()| exchange(one, other)) {
            Ok(()) => Ok(true),
            Err(error) if is_unable(&error) => Ok(false),
            Err(error) => Err(not_moved(one, other, error)),
        }
    }

    /// Removes a folder with everything in it.
    pub(super) fn remove_all(&self, folder: &Path) -> io::Result<()> {
        let removed = self.may_act().and_then(|()| std::fs::remove_dir_all(folder));
        #[cfg(test)]
        self.fuse.burn(folder);
        removed
    }

    /// Removes a folder if nothing is in it.
    pub(super) fn remove_empty(&self, folder: &Path) {
        // Where something is in it, it stays.
        drop(self.may_act().and_then(|()| std::fs::remove_dir(folder)));
    }

    /// Removes a file for good.
    pub(super) fn remove_file(&self, file: &Path) -> Result<()> {
        self.may_act()
            .and_then(|()| std::fs::remove_file(file))
            .map_err(|error| failed(file, "removed", error))?;
        file.parent().map_or(Ok(()), sync_folder)
    }

    /// Writes a small file that is there as a whole, for good, or not at all.
    pub(super) fn write_whole(&self, file: &Path, text: &str) -> Result<()> {
        let draft = begun(file);
        let write = || {
            // What a failure left goes, and so does a link, instead of what it leads to.
            drop(std::fs::remove_file(&draft));
            let mut written = private(File::options().write(true).create_new(true)).open(&draft)?;
            if let Some(access) = file.parent().and_then(Access::in_folder) {
                access.give(&written);
            }
            written.write_all(text.as_bytes())?;
            sync(&written)
        };
        self.may_act().and_then(|()| write()).map_err(|error| failed(&draft, "written", error))?;
        self.rename(&draft, file)?;
        file.parent().map_or(Ok(()), sync_folder)
    }

    /// Removes what a kill left of writing a small file.
    pub(super) fn remove_begun(&self, file: &Path) {
        // Mostly there is nothing.
        drop(self.may_act().and_then(|()| std::fs::remove_file(begun(file))));
    }

    /// Makes an empty file that was not there.
    pub(super) fn write_empty(&self, file: &Path) -> Result<()> {
        let access = file.parent().and_then(Access::in_folder);
        let made = self.may_act().and_then(|()| create_new(file, access));
        made.map(drop).map_err(|error| failed(file, "written", error))
    }
}

/// What a small file is called until it is written.
fn begun(file: &Path) -> PathBuf {
    file.with_extension("begun")
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn exchange(_one: &Path, _other: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether the kernel or the file system says that it has no such call at all.
#[cfg(unix)]
fn is_unable(error: &io::Error) -> bool {
    use rustix::io::Errno;
    // One number on Linux, two on macOS.
    let unable = [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP];
    Errno::from_io_error(error).is_some_and(|errno| unable.contains(&errno))
}

#[cfg(not(unix))]
fn is_unable(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

/// Hands a file over as it is: as a second name of it, or where that is refused, as a copy.
pub(super) fn take_over(
    from: &Path,
    to: &Path,
    link: impl FnOnce(&Path, &Path) -> io::Result<()>,
) -> Result<()> {
    match link(from, to) {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {
            Err(failed(from, "kept", error))
        }
        // No links at all, no more links to this file, or none to somebody else's: the reasons differ in number.
        Err(_) => {
            std::fs::copy(from, to).map_err(|error| failed(to, "written", error))?;
            if let Some(access) = Access::of_file(from) {
                access.give_by_name(to);
            }
            Ok(())
        }
    }
}

/// Makes everything in a folder last, and its name for those inside it.
pub(super) fn sync_tree(folder: &Path) -> Result<()> {
    let unreadable = |error| failed(folder, "read", error);
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(unreadable)?);
        if kind.is_dir() {
            sync_tree(&path)?;
        } else if kind.is_file() {
            File::open(&path)
                .and_then(|file| sync(&file))
                .map_err(|error| failed(&path, "written to the disk", error))?;
        }
    }
    sync_folder(folder)
}

/// Makes the names in a folder last, as far as the file system has a way to.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder).and_then(|file| sync(&file)) {
        Err(error) if !is_unable(&error) => Err(failed(folder, "written to the disk", error)),
        _ => Ok(()),
    }
}

fn sync(file: &File) -> io::Result<()> {
    match file.sync_all() {
        // macOS goes through to the medium, which network drives there refuse; the plain call is theirs.
        #[cfg(target_vendor = "apple")]
        Err(error) if is_unable(&error) => Ok(rustix::fs::fsync(file)?),
        result => result,
    }
}

/// Whether two folders are known to be on different file systems.
#[cfg(unix)]
pub(super) fn are_apart(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    matches!((one.metadata(), other.metadata()), (Ok(one), Ok(other)) if one.dev() != other.dev())
}

#[cfg(not(unix))]
pub(super) fn are_apart(_one: &Path, _other: &Path) -> bool {
    false
}

/// A path with which something could not be done.
pub(in super::super) fn failed(path: &Path, what: &str, error: io::Error) -> Error {
    refused(format!("{} cannot be {what}", path.display()), error)
}

/// A folder that could not be given another place.
pub(super) fn not_moved(from: &Path, to: &Path, error: io::Error) -> Error {
    refused(format!("{} cannot take the place of {}", from.display(), to.display()), error)
}

fn refused(message: String, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "there is no room; nothing was lost, make some and run again"
        }
        io::ErrorKind::CrossesDevices => {
            "the lake and the folder beside it have to be on one file system: mount the folder that holds both, not \
             the lake itself, and copy a table that came with the image of a container"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "the lake, everything in it and the folder that it stands in have to be writable"
        }
        _ => return Error::new(ErrorKind::Destination, message).with_source(error),
    };
    Error::new(ErrorKind::Destination, message).with_source(error).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn what_is_refused_says_what_where_why_and_what_to_do() {
        for (errno, reason, way_out) in [
            (Errno::NOSPC, "No space left on device", Some("no room")),
            (Errno::DQUOT, "uota exceeded", Some("no room")),
            (Errno::XDEV, "ross-device link", Some("mount the folder that holds both")),
            (Errno::ACCESS, "Permission denied", Some("have to be writable")),
            (Errno::ROFS, "Read-only file system", Some("have to be writable")),
            (Errno::IO, "nput/output error", None),
        ] {
            let error = failed(Path::new("/lake/x"), "written", errno.into());
            assert_eq!(error.to_string(), "/lake/x cannot be written");
            assert!(error.render().contains(reason), "{}", error.render());
            assert_eq!(error.hint().is_some(), way_out.is_some());
            assert!(error.hint().unwrap_or_default().contains(way_out.unwrap_or_default()), "{error:?}");
        }
    }

    #[test]
    fn only_a_file_system_without_exchange_is_taken_for_one() {
        for (errno, expected) in [
            (Errno::INVAL, true),
            (Errno::NOSYS, true),
            (Errno::OPNOTSUPP, true),
            (Errno::NOTSUP, true),
            (Errno::XDEV, false),
            (Errno::NOENT, false),
            (Errno::ACCESS, false),
        ] {
            assert_eq!(is_unable(&errno.into()), expected, "{errno:?}");
        }
    }

    #[test]
    fn where_links_are_refused_files_are_copied() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&from, "rows").unwrap();
        for errno in [Errno::PERM, Errno::MLINK, Errno::XDEV, Errno::OPNOTSUPP, Errno::NOSYS] {
            take_over(&from, &to, |_, _| Err(errno.into())).unwrap();
            assert_eq!(std::fs::read_to_string(&to).unwrap(), "rows");
            std::fs::remove_file(&to).unwrap();
        }
    }

    #[test]
    fn a_file_is_not_kept_over_another_one_or_out_of_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        let link = |from: &Path, to: &Path| std::fs::hard_link(from, to);
        let error = take_over(&from, &to, link).unwrap_err();
        assert!(error.to_string().ends_with("a cannot be kept"), "{error}");
        std::fs::write(&from, "old").unwrap();
        std::fs::write(&to, "new").unwrap();
        take_over(&from, &to, link).unwrap_err();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "new");
    }
}
