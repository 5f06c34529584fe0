//! A reader that lists a table and opens its files, while versions of it are published.

use super::*;

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
