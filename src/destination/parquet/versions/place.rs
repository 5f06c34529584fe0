//! The lake and the folder beside it.

use std::path::{Component, Path, PathBuf};

use super::disk::{Disk, failed};
use super::journal::{Entry, Seen};
use crate::error::{Error, ErrorKind, Result};

/// The lake and what is beside it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) lake: PathBuf,
    pub(super) area: PathBuf,
    pub(super) disk: Disk,
}

impl Place {
    pub(super) fn of(lake: &Path, disk: Disk) -> Result<Self> {
        let lake = resolved(lake)?;
        let mut name = std::ffi::OsString::from(".");
        name.push(lake.file_name().unwrap_or_default());
        name.push(".ingest");
        let area = lake.with_file_name(name);
        Ok(Self { lake, area, disk })
    }

    pub(super) fn drafts(&self) -> PathBuf {
        self.area.join("drafts")
    }

    pub(super) fn old(&self) -> PathBuf {
        self.area.join("old")
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.area.join("journal.json")
    }

    /// Fails if something in the folder beside the lake leads out of it: what is found there is moved and removed.
    pub(super) fn check_is_own(&self) -> Result<()> {
        let folders = [self.area.clone(), self.drafts(), self.old()];
        let Some(link) = folders.iter().find(|folder| folder.is_symlink()) else { return Ok(()) };
        let message = format!("{} is a symbolic link, and would be followed", link.display());
        Err(Error::new(ErrorKind::Config, message)
            .with_hint("remove the link: what is in that folder is moved and removed"))
    }

    pub(super) fn live_of(&self, entry: &Entry) -> PathBuf {
        self.lake.join(&entry.live)
    }

    pub(super) fn parent_of(&self, entry: &Entry) -> PathBuf {
        let mut folder = self.live_of(entry);
        folder.pop();
        folder
    }

    pub(super) fn draft_of(&self, entry: &Entry) -> PathBuf {
        self.drafts().join(&entry.id)
    }

    /// A table's folder as a journal names it: the lake may be found elsewhere later.
    pub(super) fn name(&self, live: &Path) -> Result<String> {
        let name = live.strip_prefix(&self.lake).ok().and_then(Path::to_str);
        name.map(str::to_owned)
            .ok_or_else(|| failed(live, "named", std::io::ErrorKind::InvalidFilename.into()))
    }

    /// Whether, by what is there, nothing of a decision was carried out. What an error says is no proof: over a
    /// network a step may be done and its answer lost.
    pub(super) fn is_untouched(&self, entries: &[Entry]) -> bool {
        entries.iter().all(|entry| {
            let draft = Seen::at(&self.draft_of(entry)).ok();
            let live = Seen::at(&self.live_of(entry)).ok();
            let expected = entry.replaces.clone().map_or(Seen::Nothing, Seen::Version);
            draft == Some(Seen::Version(entry.id.clone())) && live == Some(expected)
        })
    }

    /// Nothing is to be finished any more.
    pub(super) fn forget_decision(&self) -> Result<()> {
        let journal = self.journal();
        if journal.exists() { self.disk.remove_file(&journal) } else { Ok(()) }
    }
}

/// The one spelling of the lake's path, without links and dots, whether or not it exists.
fn resolved(lake: &Path) -> Result<PathBuf> {
    let unusable = |what: &str, hint: &str| {
        let message = format!("lake {} {what}", lake.display());
        Err(Error::new(ErrorKind::Destination, message).with_hint(hint))
    };
    let absolute = std::path::absolute(lake).map_err(|error| failed(lake, "found", error))?;
    // The part that exists is resolved by the file system; what follows can hold no links.
    let mut path = PathBuf::new();
    for component in absolute.components() {
        if component == Component::ParentDir {
            path.pop();
            continue;
        }
        path.push(component);
        match path.canonicalize() {
            Ok(real) => path = real,
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(&path, "found", error));
            }
            Err(_) if path.is_symlink() => {
                return unusable("is a symbolic link to nothing", "make the folder that it points to");
            }
            Err(_) => {}
        }
    }
    if path.exists() && !path.is_dir() {
        return unusable("is not a folder", "give the path of a folder, such as ./lake");
    }
    if path.file_name().is_none() {
        return unusable("stands in no folder", "give the path of a folder, such as ./lake");
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_the_same_lake_however_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("data/real/inside")).unwrap();
        std::os::unix::fs::symlink("data/real", root.join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("dangling")).unwrap();
        std::fs::write(root.join("file"), "").unwrap();
        for (path, expected) in [
            ("data/real", "data/real"),
            ("data/real/", "data/real"),
            ("data/./real/.", "data/real"),
            ("data/real/inside/..", "data/real"),
            ("link", "data/real"),
            ("link/", "data/real"),
            ("link/inside/..", "data/real"),
            ("link/..", "data"),
            ("link/new/lake/", "data/real/new/lake"),
            ("missing/../lake", "lake"),
        ] {
            assert_eq!(resolved(&root.join(path)).unwrap(), root.join(expected), "{path}");
        }
        for (path, words) in [
            ("dangling", "is a symbolic link to nothing"),
            ("dangling/lake", "is a symbolic link to nothing"),
            ("file", "is not a folder"),
            ("file/lake", "cannot be found"),
        ] {
            let error = resolved(&root.join(path)).unwrap_err();
            assert!(error.to_string().ends_with(words), "{error}");
        }
        assert!(resolved(Path::new("/")).is_err() && resolved(Path::new("")).is_err());
        let place = Place::of(&root.join("link"), Disk::default()).unwrap();
        assert_eq!(place.area, root.join("data/.real.ingest"));
    }
}
