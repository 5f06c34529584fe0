//! Who besides us may use what is written. People's rows are in all of it, so at first nobody: what is there already says
//! who else may, and what is made anew where nothing is there is for its owner alone
//! (`docs/decisions/0024-private-files.md`).

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

/// Has every file and folder that the process makes be its owner's alone until it is given to others, those that DuckDB
/// makes by itself among them. To be called before there is a second thread.
pub(crate) fn begin_private() {
    #[cfg(unix)]
    unix::begin_private();
}

/// Rights to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Access {
    /// Bits of reading and writing.
    mode: u32,
    group: u32,
}

impl Access {
    /// What others may do with a file, and whatever belongs to it; `None` if there is no such file.
    pub(super) fn of_file(file: &Path) -> Option<Self> {
        #[cfg(unix)]
        return unix::of_file(file);
        #[cfg(not(unix))]
        return file.exists().then_some(Self { mode: 0o600, group: 0 });
    }

    /// What others may do with a new file in a folder: what they may do with the folder, unless the umask of the process
    /// forbade it from the start. `None` if there is no such folder.
    pub(super) fn in_folder(folder: &Path) -> Option<Self> {
        #[cfg(unix)]
        return unix::in_folder(folder);
        #[cfg(not(unix))]
        return folder.exists().then_some(Self { mode: 0o600, group: 0 });
    }

    /// What may be done with both of two files.
    pub(super) fn and(self, other: Self) -> Self {
        Self { mode: self.mode & other.mode, ..self }
    }

    /// Lets others use a file, as far as permitted.
    pub(super) fn give(self, file: &File) {
        #[cfg(unix)]
        unix::give(self, file);
    }

    /// The same by the name of a file, which is not opened for it. What is no file stays as it is.
    pub(super) fn give_by_name(self, file: &Path) {
        #[cfg(unix)]
        unix::give_by_name(self, file);
    }
}

/// Creates a file that was not there, for its owner and whoever else `access` names.
pub(super) fn create_new(file: &Path, access: Option<Access>) -> io::Result<File> {
    let created = private(OpenOptions::new().write(true).create_new(true)).open(file)?;
    if let Some(access) = access {
        access.give(&created);
    }
    Ok(created)
}

/// Options by which a file that was not there is for its owner alone.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Makes a folder for its owner, and for others as far as they may use `model`.
pub(super) fn make_folder(folder: &Path, model: Option<&Path>) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    #[cfg(unix)]
    if let Some(model) = model {
        unix::be_like(folder, model);
    }
    Ok(())
}

/// Fails where the process may not write to a file or into a folder. Nothing is tried for that.
pub(super) fn check_writable(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return unix::check_writable(path);
    #[cfg(not(unix))]
    match path.metadata()?.permissions().readonly() {
        true => Err(io::ErrorKind::PermissionDenied.into()),
        false => Ok(()),
    }
}

#[cfg(unix)]
mod unix {
    use std::fs::{File, Metadata};
    use std::io;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, fchown};
    use std::path::Path;
    use std::sync::OnceLock;

    use rustix::fs::Mode;

    use super::Access;

    /// The umask before [`begin_private`].
    static UMASK: OnceLock<Mode> = OnceLock::new();

    pub(super) fn begin_private() {
        let others = Mode::RWXG | Mode::RWXO;
        let before = rustix::process::umask(others);
        rustix::process::umask(before | others);
        // A second call finds what the first has made of it.
        UMASK.get_or_init(|| before);
    }

    /// Bits of reading and writing that the umask forbade from the start.
    fn forbidden() -> u32 {
        let umask = UMASK.get().copied().unwrap_or(Mode::empty());
        let bits = [(Mode::RGRP, 0o040), (Mode::WGRP, 0o020), (Mode::ROTH, 0o004), (Mode::WOTH, 0o002)];
        bits.into_iter().filter(|(bit, _)| umask.contains(*bit)).map(|(_, bit)| bit).sum()
    }

    fn access(found: &Metadata) -> Access {
        Access { mode: found.mode() & 0o666, group: found.gid() }
    }

    pub(super) fn of_file(file: &Path) -> Option<Access> {
        file.metadata().ok().filter(Metadata::is_file).map(|found| access(&found))
    }

    pub(super) fn in_folder(folder: &Path) -> Option<Access> {
        let Access { mode, group } =
            folder.metadata().ok().filter(Metadata::is_dir).map(|found| access(&found))?;
        Some(Access { mode: mode & !forbidden(), group })
    }

    pub(super) fn give(Access { mode, group }: Access, file: &File) {
        let Ok(found) = file.metadata() else { return };
        let has_group = found.gid() == group || fchown(file, None, Some(group)).is_ok();
        set(mode, has_group, &found, |permissions| file.set_permissions(permissions));
    }

    pub(super) fn give_by_name(Access { mode, group }: Access, file: &Path) {
        let Ok(found) = file.symlink_metadata() else { return };
        if found.is_file() {
            let has_group = found.gid() == group || chown(file, None, Some(group)).is_ok();
            set(mode, has_group, &found, |permissions| std::fs::set_permissions(file, permissions));
        }
    }

    /// The owner may do all that may be done to files of this kind; others do not get more than was meant for them.
    fn set(
        mode: u32,
        has_group: bool,
        found: &Metadata,
        set: impl FnOnce(std::fs::Permissions) -> io::Result<()>,
    ) {
        let mode = meant_for(mode | 0o600, has_group);
        if found.mode() & 0o777 != mode
            && let Err(error) = set(PermissionsExt::from_mode(mode))
        {
            tracing::debug!(%error, "access could not be set");
        }
    }

    /// A mode where the group is another one than was meant: it may do what everybody may.
    pub(super) fn meant_for(mode: u32, has_group: bool) -> u32 {
        if has_group { mode } else { mode & (!0o2070 | (mode & 0o007) << 3) }
    }

    /// Makes a new folder as accessible as another one, as far as permitted.
    pub(super) fn be_like(folder: &Path, model: &Path) {
        let (Ok(mine), Ok(theirs)) = (folder.metadata(), model.metadata()) else { return };
        let has_group = mine.gid() == theirs.gid() || chown(folder, None, Some(theirs.gid())).is_ok();
        let mode = meant_for(theirs.mode() & 0o2777 | 0o700, has_group);
        if let Err(error) = std::fs::set_permissions(folder, PermissionsExt::from_mode(mode)) {
            tracing::debug!(folder = %folder.display(), %error, "access could not be set");
        }
    }

    pub(super) fn check_writable(path: &Path) -> io::Result<()> {
        use rustix::fs::Access;
        // To write into a folder is to find what is in it, too.
        let needed = if path.is_dir() { Access::WRITE_OK | Access::EXEC_OK } else { Access::WRITE_OK };
        Ok(rustix::fs::access(path, needed)?)
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    fn set(path: &Path, mode: u32) {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn another_group_gets_what_everybody_gets() {
        for (mode, with, without) in [
            (0o640, 0o640, 0o600),
            (0o664, 0o664, 0o644),
            (0o604, 0o604, 0o604),
            (0o646, 0o646, 0o646),
            (0o2770, 0o2770, 0o700),
            (0o2775, 0o2775, 0o755),
        ] {
            assert_eq!(
                (unix::meant_for(mode, true), unix::meant_for(mode, false)),
                (with, without),
                "{mode:o}"
            );
        }
    }

    #[test]
    fn what_is_made_takes_after_what_is_there_or_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        make_folder(&path("new"), None).unwrap();
        create_new(&path("new/file"), None).unwrap();
        assert_eq!((mode(&path("new")), mode(&path("new/file"))), (0o700, 0o600));
        for (bits, file) in [(0o700, 0o600), (0o750, 0o640), (0o775, 0o664), (0o711, 0o600), (0o500, 0o600)] {
            set(&path("new"), bits);
            let access = Access::in_folder(&path("new"));
            let [inner, made] = ["inner", "made"].map(|name| path(&format!("{name}-{bits:o}")));
            make_folder(&inner, Some(&path("new"))).unwrap();
            create_new(&made, access).unwrap();
            assert_eq!((mode(&inner), mode(&made)), (bits | 0o700, file), "{bits:o}");
        }
    }
}
