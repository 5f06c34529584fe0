//! Every step of a publication, and a kill at every one of them.

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

/// At any moment a reader finds a table as it was or as it is to be; nothing only where it may be missing.
fn check_readable(lake: &Lake, way: Exchange, tables: &[&str], before: u32) {
    for table in tables {
        let found = lake.files(table);
        let may_miss = before == 0 || way == Exchange::TwoRenames;
        let versions = [expected(before), expected(before + 1)];
        assert!(versions.contains(&found) || (may_miss && !lake.table(table).exists()), "{table}: {found:?}");
    }
}

/// After recovery all tables are as they were, or all are as they are to be. Says which.
fn check_recovered(lake: &Lake, tables: &[&str], before: u32, now: i64) -> bool {
    let found: BTreeSet<Vec<String>> =
        tables.iter().map(|table| lake.files(table).into_keys().collect()).collect();
    let keys = |version| -> BTreeSet<Vec<String>> { [expected(version).into_keys().collect()].into() };
    let is_new = found == keys(before + 1);
    let is_old = if before == 0 { found == [vec![]].into() } else { found == keys(before) };
    assert!(is_new || is_old, "{found:?}");
    assert!(lake.left("drafts").is_empty(), "{:?}", lake.left("drafts"));
    assert!(lake.left("").iter().all(|name| name == "old"), "{:?}", lake.left(""));
    let replaced_before = if now - NOW < replaced::STAY { before.saturating_sub(1) } else { 0 };
    let replaced = replaced_before + u32::from(is_new && before > 0);
    assert_eq!(lake.left("old").len(), replaced as usize * tables.len(), "readers may still list them");
    for version in lake.left("old") {
        assert_eq!(files(&lake.area().join("old").join(version)).len(), 3, "replaced versions are whole");
    }
    is_new
}

/// Kills a run after each of its changes, the recovery after each of its own, and recovers once more.
fn kill_everywhere(way: Exchange, tables: &[&str], before: u32, now: i64) {
    let (mut forgotten, mut finished) = (0, 0);
    for kill in 0.. {
        for second_kill in 0.. {
            let lake = lake_at(before, way, tables);
            let is_complete = run(&lake, way, tables, before + 1, now, kill);
            check_readable(&lake, way, tables, before);
            let is_recovered = recover(&lake, way, now, second_kill);
            check_readable(&lake, way, tables, before);
            assert!(recover(&lake, way, now, usize::MAX));
            let is_new = check_recovered(&lake, tables, before, now);
            if is_complete {
                assert!(is_new && forgotten > 0 && (finished > 0 || tables.len() == 1));
                return;
            }
            if is_recovered {
                *(if is_new { &mut finished } else { &mut forgotten }) += 1;
                let next = before + u32::from(is_new) + 1;
                assert!(run(&lake, way, tables, next, now, usize::MAX), "work goes on");
                assert!(tables.iter().all(|table| lake.files(table) == expected(next)));
                break;
            }
        }
    }
}

#[test]
fn a_kill_leaves_one_table_as_it_was_or_as_it_is_to_be() {
    for way in WAYS {
        for before in [0, 1, 2] {
            kill_everywhere(way, &TABLES[..1], before, NOW);
        }
    }
}

#[test]
fn a_kill_leaves_three_tables_as_they_were_or_as_they_are_to_be() {
    for way in WAYS {
        for before in [0, 1] {
            kill_everywhere(way, &TABLES, before, NOW);
        }
    }
}

#[test]
fn a_kill_while_replaced_versions_go_does_no_harm() {
    for way in WAYS {
        kill_everywhere(way, &TABLES[..1], 2, NOW + replaced::STAY);
    }
}

/// Fails once at every change in turn: then nothing was decided, or it is finished by the next run.
#[test]
fn a_failure_is_taken_back_or_finished_later() {
    for (way, tables) in WAYS.into_iter().flat_map(|way| [(way, &TABLES[..1]), (way, &TABLES[..])]) {
        let (mut taken_back, mut finished) = (0, 0);
        for changes in 0.. {
            let lake = lake_at(1, way, tables);
            let fuse = Fuse::failing_after(changes);
            let opened = Versions::open_with(&lake.path(), Disk { fuse }, way, at(NOW));
            let Ok(mut versions) = opened else { continue };
            let published = publish(&mut versions, tables, 2, NOW);
            let is_over = !versions.place.disk.fuse.is_blown.load(Ordering::SeqCst);
            match published {
                Ok(()) => {}
                Err(error) if error.to_string().starts_with("published in part: ") => {
                    let error = versions.draft("shop", "companies").unwrap_err();
                    assert!(error.to_string().ends_with("was published in part"), "{error}");
                    assert!(error.hint().is_some());
                    lake.open(way);
                    finished += 1;
                }
                Err(_) => {
                    assert!(!lake.area().join("journal.json").exists());
                    assert!(tables.iter().all(|table| lake.files(table) == expected(1)));
                    publish(&mut versions, tables, 2, NOW).unwrap();
                    taken_back += 1;
                }
            }
            assert!(tables.iter().all(|table| lake.files(table) == expected(2)));
            assert!(!lake.area().join("journal.json").exists());
            if is_over {
                break;
            }
        }
        assert!(taken_back > 0 && finished > 0, "{way:?}: {taken_back}, {finished}");
    }
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

/// What came of reading a table once.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reading {
    Version(u32),
    /// A file that was listed was gone when it was to be opened.
    NoFile,
    NoTable,
}

const EACH: u32 = 16;

/// Lists a table and reads every file listed, like a glob does.
fn read(live: &Path) -> Reading {
    let is_missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let names: io::Result<BTreeSet<String>> = fs::read_dir(live)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name().into_string().unwrap())).collect());
    let names = match names {
        Ok(names) => names,
        Err(error) if is_missing(&error) => return Reading::NoTable,
        Err(error) => panic!("{error}"),
    };
    let own = names.iter().find_map(|name| name.strip_prefix('v')?.split_once('-'));
    let version: u32 = own.unwrap_or_else(|| panic!("half a listing: {names:?}")).0.parse().unwrap();
    let kept = version / EACH;
    let whole: BTreeSet<String> =
        (0..3).map(|file| format!("v{version}-{file}")).chain([format!("k{kept}")]).collect();
    let files: BTreeSet<String> = names.into_iter().filter(|name| !name.starts_with(MARKER)).collect();
    assert_eq!(files, whole, "one version is listed");
    for name in files {
        let expected = if name.starts_with('k') { kept } else { version };
        match fs::read_to_string(live.join(&name)) {
            Ok(text) => assert_eq!(text, expected.to_string()),
            Err(error) if is_missing(&error) => return Reading::NoFile,
            Err(error) => panic!("{error}"),
        }
    }
    Reading::Version(version)
}

#[test]
fn a_reader_finds_one_version_each_time_while_others_are_published() {
    for way in WAYS {
        let lake = Lake::new();
        let live = lake.table("tags");
        let mut versions = lake.open(way);
        let mut next = |version: u32| {
            let draft = versions.draft("shop", "tags").unwrap();
            for file in 0..3 {
                fs::write(draft.folder().join(format!("v{version}-{file}")), version.to_string()).unwrap();
            }
            let kept = format!("k{}", version / EACH);
            if version.is_multiple_of(EACH) {
                fs::write(draft.folder().join(kept), (version / EACH).to_string()).unwrap();
            } else {
                draft.keep(&kept).unwrap();
            }
            versions.clock = at(NOW + i64::from(version));
            versions.publish(vec![draft]).unwrap();
        };
        next(0);
        let (is_over, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut readings = BTreeSet::new();
                while !is_over.load(Ordering::SeqCst) {
                    readings.insert(read(&live));
                    seen.store(readings.len(), Ordering::SeqCst);
                }
                readings
            });
            // Until the two have really met.
            let mut version = 1;
            while !reader.is_finished() && (version < 2_000 || seen.load(Ordering::SeqCst) < 100) {
                next(version);
                version += 1;
            }
            is_over.store(true, Ordering::SeqCst);
            let readings = reader.join().unwrap();
            assert!(readings.len() >= 100);
            assert!(way == Exchange::TwoRenames || !readings.contains(&Reading::NoTable));
            assert_eq!(read(&live), Reading::Version(version - 1));
        });
    }
}
