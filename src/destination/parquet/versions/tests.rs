//! Every step of a publication, and a kill at every one of them.

mod kills;
mod readers;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tempfile::TempDir;

use super::disk::{Disk, Exchange};
use super::*;

const NOW: i64 = 1_700_000_000_000;
const WAYS: [Exchange; 2] = [Exchange::Atomic, Exchange::TwoRenames];
/// A clock that stands still.
fn at(now: i64) -> Clock {
    Clock { start: now, since: None }
}

const TABLES: [&str; 3] = ["contacts", "contact_tags", "tags"];

/// Lets so many changes happen, and then none any more, as if the process had been killed.
#[derive(Debug)]
pub(super) struct Fuse {
    left: AtomicUsize,
    is_blown: AtomicBool,
    is_burning: AtomicBool,
    /// Whether only one change fails, and the process lives on.
    is_failure: bool,
}

impl Default for Fuse {
    fn default() -> Self {
        Self::after(usize::MAX)
    }
}

impl Fuse {
    fn after(changes: usize) -> Self {
        Self { left: changes.into(), is_blown: false.into(), is_burning: false.into(), is_failure: false }
    }

    /// Lets so many changes happen, fails once, and goes on.
    fn failing_after(changes: usize) -> Self {
        Self { is_failure: true, ..Self::after(changes) }
    }

    pub(super) fn spend(&self) -> io::Result<()> {
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Ok(());
        }
        let was_blown = self.is_blown.swap(true, Ordering::SeqCst);
        self.is_burning.store(!was_blown, Ordering::SeqCst);
        if was_blown && self.is_failure { Ok(()) } else { Err(io::Error::other("killed")) }
    }

    /// The kill came in the middle of a removal: what tells the version went first.
    pub(super) fn burn(&self, folder: &Path) {
        if self.is_burning.swap(false, Ordering::SeqCst)
            && let Some(marker) = marker(folder)
        {
            fs::remove_file(marker).unwrap();
        }
    }
}

/// A lake in memory where there is such a place: nothing is learnt here from waiting for a disk.
struct Lake {
    folder: TempDir,
}

impl Lake {
    fn new() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    fn area(&self) -> PathBuf {
        self.folder.path().join(".lake.ingest")
    }

    fn table(&self, table: &str) -> PathBuf {
        self.path().join("shop").join(table)
    }

    fn open(&self, way: Exchange) -> Versions {
        self.open_until(way, NOW, usize::MAX).unwrap()
    }

    fn open_until(&self, way: Exchange, now: i64, changes: usize) -> Result<Versions> {
        Versions::open_with(&self.path(), Disk { fuse: Fuse::after(changes) }, way, at(now))
    }

    /// What a reader finds in a table.
    fn files(&self, table: &str) -> BTreeMap<String, String> {
        files(&self.table(table))
    }

    /// What is beside the lake, without what is in it.
    fn left(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.area().join(folder)).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap());
    let mut files: BTreeMap<String, String> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
        .collect();
    files.retain(|name, _| !name.starts_with(MARKER));
    files
}

fn marker(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap());
    let mut markers = entries.filter(|entry| entry.file_name().to_str().unwrap().starts_with(MARKER));
    markers.next().map(|entry| entry.path())
}

fn expected(version: u32) -> BTreeMap<String, String> {
    let new = (0..2).map(|file| (format!("v{version}-{file}"), version.to_string()));
    new.chain([("kept".to_owned(), "1".to_owned())]).collect()
}

/// The next version of a table: two new files and one that stays.
fn draft(versions: &Versions, table: &str, version: u32) -> Result<Draft> {
    let draft = versions.draft("shop", table)?;
    for file in 0..2 {
        fs::write(draft.folder().join(format!("v{version}-{file}")), version.to_string()).unwrap();
    }
    if version == 1 {
        fs::write(draft.folder().join("kept"), "1").unwrap();
    } else {
        draft.keep("kept")?;
    }
    Ok(draft)
}

fn publish(versions: &mut Versions, tables: &[&str], version: u32, now: i64) -> Result<()> {
    let drafts: Result<Vec<Draft>> = tables.iter().map(|table| draft(versions, table, version)).collect();
    versions.clock = at(now);
    versions.publish(drafts?)
}

#[test]
fn versions_follow_one_another() {
    for way in WAYS {
        for tables in [&TABLES[..1], &TABLES[..]] {
            let lake = Lake::new();
            let mut versions = lake.open(way);
            assert!(!lake.path().exists() && !lake.area().exists(), "nothing is made before it is needed");
            for version in 1..=3 {
                publish(&mut versions, tables, version, NOW).unwrap();
                for table in tables {
                    assert_eq!(lake.files(table), expected(version), "{way:?}");
                }
                assert!(lake.left("drafts").is_empty());
                assert_eq!(lake.left("old").len(), tables.len() * (version as usize - 1));
                assert!(!lake.area().join("journal.json").exists());
            }
        }
    }
}

#[test]
fn a_real_clock_and_a_real_disk_do_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("deep/lake");
    for version in 1..=3 {
        let mut versions = Versions::open(&lake).unwrap();
        let drafts = TABLES.map(|table| draft(&versions, table, version).unwrap());
        versions.publish(drafts.into()).unwrap();
        assert_eq!(files(&folder_of(&lake, "SHOP", "tags")), expected(version));
    }
    assert_eq!(schemas(&lake).unwrap(), [("shop".to_owned(), lake.join("shop"))]);
}

#[cfg(unix)]
#[test]
fn a_kept_file_is_the_same_file() {
    use std::os::unix::fs::MetadataExt;
    let lake = Lake::new();
    let mut versions = lake.open(Exchange::Atomic);
    publish(&mut versions, &["tags"], 1, NOW).unwrap();
    let inode = |file: &str| lake.table("tags").join(file).metadata().unwrap().ino();
    let (kept, first) = (inode("kept"), marker(&lake.table("tags")).unwrap());
    let draft = draft(&versions, "tags", 2).unwrap();
    draft.keep(first.file_name().unwrap().to_str().unwrap()).unwrap();
    for file in ["missing", "../x", "", "a/b", "/etc/passwd", ".."] {
        draft.keep(file).unwrap_err();
    }
    versions.publish(vec![draft]).unwrap();
    assert_eq!(inode("kept"), kept);
    assert!(!first.exists() && marker(&lake.table("tags")).is_some());
}

#[test]
fn a_draft_that_is_dropped_leaves_nothing() {
    let lake = Lake::new();
    let mut versions = lake.open(Exchange::Atomic);
    publish(&mut versions, &["tags"], 1, NOW).unwrap();
    drop(draft(&versions, "tags", 2).unwrap());
    drop(draft(&versions, "contacts", 1).unwrap());
    assert!(lake.left("drafts").is_empty() && lake.left("old").is_empty());
    assert_eq!(lake.files("tags"), expected(1));
    assert!(!lake.table("contacts").exists());
    lake.open(Exchange::Atomic);
    assert!(!lake.area().exists(), "an empty folder beside the lake is not needed");
}

/// Everything a kill may cut short, given whether the tables exist: opens, makes versions and publishes.
fn run(lake: &Lake, way: Exchange, tables: &[&str], version: u32, now: i64, changes: usize) -> bool {
    let outcome = lake
        .open_until(way, now, changes)
        .and_then(|mut versions| publish(&mut versions, tables, version, now).map(|()| versions));
    match outcome {
        Ok(versions) => !versions.place.disk.fuse.is_blown.load(Ordering::SeqCst),
        Err(error) => {
            assert!(error.render().contains("killed"), "{error:?}");
            false
        }
    }
}

fn recover(lake: &Lake, way: Exchange, now: i64, changes: usize) -> bool {
    match lake.open_until(way, now, changes) {
        Ok(versions) => !versions.place.disk.fuse.is_blown.load(Ordering::SeqCst),
        Err(error) => {
            assert!(error.render().contains("killed"), "{error:?}");
            false
        }
    }
}

/// A lake whose tables have had so many versions.
fn lake_at(before: u32, way: Exchange, tables: &[&str]) -> Lake {
    let lake = Lake::new();
    let mut versions = lake.open(way);
    for version in 1..=before {
        publish(&mut versions, tables, version, NOW).unwrap();
    }
    lake
}

#[test]
fn replaced_versions_stay_a_minute_by_whatever_clock() {
    let lake = Lake::new();
    let mut versions = lake.open(Exchange::Atomic);
    let replaced_at = |version: u32| {
        let old = lake.left("old").into_iter();
        old.filter(|name| files(&lake.area().join("old").join(name)) == expected(version)).collect::<Vec<_>>()
    };
    for (version, now) in [(1, 0), (2, 0), (3, 30_000), (4, 59_999)] {
        publish(&mut versions, &["tags"], version, NOW + now).unwrap();
    }
    assert_eq!((replaced_at(1).len(), replaced_at(2).len(), replaced_at(3).len()), (1, 1, 1));
    publish(&mut versions, &["tags"], 5, NOW + 60_000).unwrap();
    assert_eq!((replaced_at(1).len(), replaced_at(2).len(), replaced_at(4).len()), (0, 1, 1));
    // The clock goes back an hour: what was replaced in the future waits again, from now on.
    let back = NOW - 3_600_000;
    lake.open_until(Exchange::Atomic, back, usize::MAX).unwrap();
    assert_eq!((lake.left("old").len(), replaced_at(2).len()), (3, 1));
    lake.open_until(Exchange::Atomic, back + 59_999, usize::MAX).unwrap();
    assert_eq!(lake.left("old").len(), 3);
    // What is no version is nobody's to remove.
    let theirs = lake.area().join(format!("old/{back}-9"));
    fs::create_dir(&theirs).unwrap();
    fs::write(theirs.join("rows"), "").unwrap();
    lake.open_until(Exchange::Atomic, back + 60_000, usize::MAX).unwrap();
    assert_eq!(lake.left("old"), [format!("{back}-9")]);
    assert_eq!(lake.files("tags"), expected(5));
}

/// Somebody puts something in a table's place between its draft and its publication.
#[test]
fn what_somebody_else_put_there_is_refused_and_stays() {
    type Put = fn(&Path);
    let in_the_way: [(&str, Put); 4] = [
        ("not a folder", |live| fs::write(live, "theirs").unwrap()),
        ("a symbolic link", |live| {
            fs::create_dir(live.with_file_name("elsewhere")).unwrap();
            fs::write(live.with_file_name("elsewhere").join("rows"), "theirs").unwrap();
            std::os::unix::fs::symlink("elsewhere", live).unwrap();
        }),
        ("a folder that was not made by ingest", |live| {
            fs::create_dir(live).unwrap();
            fs::write(live.join("rows"), "theirs").unwrap();
        }),
        ("another version", |live| {
            fs::create_dir(live).unwrap();
            fs::write(live.join(format!("{MARKER}7")), "").unwrap();
            fs::write(live.join("rows"), "theirs").unwrap();
        }),
    ];
    for way in WAYS {
        for before in [0, 1] {
            for (expected_words, put) in in_the_way {
                let lake = lake_at(before, way, &TABLES);
                let mut versions = lake.open(way);
                let drafts = TABLES.map(|table| draft(&versions, table, before + 1).unwrap());
                if before == 1 {
                    fs::remove_dir_all(lake.table("tags")).unwrap();
                } else {
                    fs::create_dir_all(lake.path().join("shop")).unwrap();
                }
                put(&lake.table("tags"));
                let error = versions.publish(drafts.into()).unwrap_err();
                assert!(error.to_string().contains(expected_words) && error.hint().is_some(), "{error:?}");
                assert_eq!(
                    lake.files("contacts").len(),
                    before as usize * 3,
                    "none of the tables is published"
                );
                let theirs = [lake.table("tags"), lake.table("tags").join("rows")];
                assert!(
                    theirs.iter().any(|file| fs::read_to_string(file).is_ok_and(|text| text == "theirs"))
                );
                assert!(lake.left("drafts").is_empty());
                // The others can still be published, and that one not even drafted unless it is a version.
                publish(&mut versions, &["contacts"], before + 1, NOW).unwrap();
                assert_eq!(versions.draft("shop", "tags").is_ok(), expected_words == "another version");
            }
        }
    }
}

#[test]
fn an_empty_folder_is_no_obstacle() {
    for way in WAYS {
        let lake = Lake::new();
        fs::create_dir_all(lake.table("tags")).unwrap();
        publish(&mut lake.open(way), &["tags"], 1, NOW).unwrap();
        assert_eq!(lake.files("tags"), expected(1));
    }
}

#[test]
fn a_version_is_not_replaced_by_one_made_from_its_predecessor() {
    let lake = lake_at(1, Exchange::Atomic, &["tags"]);
    let mut versions = lake.open(Exchange::Atomic);
    let (one, other) = (draft(&versions, "tags", 2).unwrap(), draft(&versions, "tags", 3).unwrap());
    versions.publish(vec![one]).unwrap();
    versions.publish(vec![other]).unwrap_err();
    let twice = vec![draft(&versions, "tags", 3).unwrap(), draft(&versions, "tags", 4).unwrap()];
    let error = versions.publish(twice).unwrap_err();
    assert!(error.to_string().ends_with("has two next versions"), "{error}");
    assert_eq!(lake.files("tags"), expected(2));
}

#[test]
fn a_draft_that_was_emptied_is_not_taken_for_published() {
    let lake = Lake::new();
    let mut versions = lake.open(Exchange::Atomic);
    let draft = draft(&versions, "tags", 1).unwrap();
    fs::remove_dir_all(draft.folder()).unwrap();
    let error = versions.publish(vec![draft]).unwrap_err();
    assert!(error.to_string().ends_with("lost the file .version-*"), "{error}");
}

/// What cannot be carried out is not decided: the next run starts from where this one did.
#[test]
fn a_publication_that_cannot_begin_is_taken_back() {
    for way in WAYS {
        let lake = lake_at(1, way, &TABLES);
        let mut versions = lake.open(way);
        let drafts = TABLES.map(|table| draft(&versions, table, 2).unwrap());
        // A file where replaced versions go: there is no way to begin.
        fs::write(lake.area().join("old"), "").unwrap();
        versions.publish(drafts.into()).unwrap_err();
        assert!(lake.left("drafts").is_empty() && !lake.area().join("journal.json").exists());
        fs::remove_file(lake.area().join("old")).unwrap();
        publish(&mut versions, &TABLES, 2, NOW).unwrap();
        assert_eq!(lake.files("tags"), expected(2));
    }
}

#[cfg(unix)]
#[test]
fn what_was_granted_or_denied_holds_for_the_next_version() {
    use std::os::unix::fs::PermissionsExt;
    let lake = Lake::new();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    fs::create_dir(lake.path()).unwrap();
    fs::set_permissions(lake.path(), PermissionsExt::from_mode(0o750)).unwrap();
    let mut versions = lake.open(Exchange::Atomic);
    publish(&mut versions, &["tags"], 1, NOW).unwrap();
    assert_eq!((mode(&lake.area()), mode(&lake.table("tags"))), (0o750, 0o750));
    fs::set_permissions(lake.table("tags"), PermissionsExt::from_mode(0o2705)).unwrap();
    publish(&mut versions, &["tags"], 2, NOW).unwrap();
    assert_eq!(mode(&lake.table("tags")), 0o2705);
}
