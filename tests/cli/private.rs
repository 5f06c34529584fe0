//! Who may use what a run writes: people's rows are in all of it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use ingest::sandbox::{Change, Settings};

use crate::support::binary::{Project, until};

/// The paths below a folder with their bits, without what the test itself put there.
fn modes(folder: &Path) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        // What is listed may be gone already.
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let (path, Ok(metadata)) = (entry.path(), entry.metadata()) else { continue };
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            if metadata.is_dir() {
                folders.push(path);
            }
            if name != "connections.yml" {
                found.insert(name, metadata.permissions().mode() & 0o7777);
            }
        }
    }
    found
}

fn set(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// Those that somebody besides the owner may use.
fn open_to_others(project: &Project) -> Vec<(String, u32)> {
    modes(&project.path("")).into_iter().filter(|(_, mode)| mode & 0o077 != 0).collect()
}

const BOTH: [&str; 4] = ["--to", "duckdb:crm.duckdb", "--to", "parquet:lake"];

#[test]
fn what_is_new_is_for_its_owner_alone() {
    let project = Project::small();
    let typed = [&["intercom.contacts", "intercom.conversation_parts"], &BOTH[..]].concat();
    for _ in 0..2 {
        project.ingest_after("umask 022", &typed).run().exits(0);
        assert_eq!(open_to_others(&project), []);
    }
    let made = modes(&project.path(""));
    for name in ["crm.duckdb", "crm.duckdb.lock", "lake.lock", "lake/_ingest/runs.jsonl", "lake/intercom"] {
        assert!(made.contains_key(name), "{name} in {made:?}");
    }
}

#[test]
fn the_demonstration_is_for_its_owner_alone_too() {
    let project = Project::empty();
    project.ingest_after("umask 022", &["demo"]).run().exits(0);
    assert_eq!(open_to_others(&project), []);
}

/// At no moment, whatever DuckDB spills and logs on the way, and after a kill.
#[test]
fn what_a_load_needs_for_a_while_is_private_too() {
    let settings = Settings { contacts: 4_000, contact_bytes: 4_000, ..Settings::default() };
    let project = Project::new(settings);
    let lines = "  duckdb:\n    - { name: tight, path: ./crm.duckdb, memory_limit: 20MB }\n";
    project.configure(&project.sandbox().base_url(), lines);
    let run = project.ingest_after("umask 022", &["intercom.contacts"]).start();
    until("a file beside the database", || {
        assert_eq!(open_to_others(&project), []);
        let is_beside = |name: &String| name.contains(".wal") || name.contains("duckdb_temp_");
        modes(&project.path("")).keys().any(is_beside)
    });
    run.signal("KILL");
    run.wait();
    assert_eq!(open_to_others(&project), []);
    project.ingest_after("umask 022", &["intercom.contacts"]).run().exits(0);
    assert_eq!(open_to_others(&project), []);
}

#[test]
fn what_is_there_says_who_else_may() {
    let project = Project::small();
    let typed = [&["intercom.contacts"], &BOTH[..]].concat();
    std::fs::create_dir(project.path("lake")).unwrap();
    set(&project.path("lake"), 0o750);
    std::fs::write(project.path("crm.duckdb"), "").unwrap();
    set(&project.path("crm.duckdb"), 0o640);
    for _ in 0..2 {
        project.ingest_after("umask 022", &typed).run().exits(0);
        for (name, mode) in modes(&project.path("")) {
            let expected = if project.path(&name).is_dir() { 0o750 } else { 0o640 };
            assert_eq!(mode, expected, "{name}");
        }
    }
    // Whoever takes the right to read away, or gives it, has the last word.
    for (file, folder) in [(0o600, 0o750), (0o664, 0o755)] {
        for name in modes(&project.path("")).into_keys() {
            set(&project.path(&name), if project.path(&name).is_dir() { folder } else { file });
        }
        project.sandbox().advance(Duration::from_secs(7_200));
        project.sandbox().change(Change::UpdateSome { table: "contacts".into(), count: 3 });
        project.ingest_after("umask 022", &typed).run().exits(0);
        let made = modes(&project.path(""));
        let rows = made.iter().filter(|(name, _)| name.ends_with(".parquet") && name.starts_with("lake/"));
        assert_eq!(rows.map(|(_, mode)| *mode).collect::<Vec<_>>(), [file]);
        for name in [
            "crm.duckdb",
            "crm.duckdb.lock",
            "lake/_ingest/runs.jsonl",
            "lake/intercom/contacts/.ingest.json",
        ] {
            assert_eq!(made[name], file, "{name}");
        }
    }
}

/// A folder that others may list is no reason to show them more than they would have seen before.
#[test]
fn a_umask_that_is_stricter_than_the_folder_holds_for_rows() {
    let project = Project::small();
    std::fs::create_dir(project.path("lake")).unwrap();
    set(&project.path("lake"), 0o755);
    project.ingest_after("umask 027", &["intercom.tags", "--to", "parquet:lake"]).run().exits(0);
    for (name, mode) in modes(&project.path("lake")) {
        assert_eq!(mode & 0o777, if name.contains('.') { 0o640 } else { 0o755 }, "{name}");
    }
}
