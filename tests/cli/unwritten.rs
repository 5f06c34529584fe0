//! `ingest check` and a dry run leave everything as it was.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use crate::support::binary::{Finished, Project, until};

/// Everything below a folder: what it is, and all by which a change would show.
fn everything(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let own = next.symlink_metadata().unwrap();
        found.insert(
            next.display().to_string(),
            format!("folder {:o} {:?}", own.mode(), own.modified().unwrap()),
        );
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap_or_default();
            let seen = format!(
                "{:o} {} {:?} {bytes:?}",
                metadata.mode(),
                metadata.ino(),
                metadata.modified().unwrap()
            );
            found.insert(path.display().to_string(), seen);
        }
    }
    found
}

/// Checks a destination, and that nothing is made, changed or removed by it.
#[track_caller]
fn check(project: &Project, to: &str) -> Finished {
    let before = everything(&project.path(""));
    let ended = project.ingest(&["check", "--to", to]).run();
    let after = everything(&project.path(""));
    for (path, was) in &before {
        assert_eq!(after.get(path), Some(was), "{path}");
    }
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    ended
}

const KINDS: [&str; 2] = ["duckdb:crm.duckdb", "parquet:lake"];

#[test]
fn nothing_is_made_where_nothing_is() {
    let project = Project::small();
    for to in KINDS {
        let ended = check(&project, to).exits(0);
        assert!(ended.stdout.contains("can be created"), "{ended}");
        project.ingest(&["intercom.tags", "--to", to, "--dry-run"]).run().exits(0);
    }
    assert_eq!(project.files(), ["connections.yml"]);
    std::fs::write(project.path("crm.duckdb"), "").unwrap();
    std::fs::create_dir(project.path("lake")).unwrap();
    for to in KINDS {
        let ended = check(&project, to).exits(0);
        assert!(ended.stdout.contains("can be written"), "{ended}");
        project.ingest(&["intercom.tags", "--to", to, "--dry-run"]).run().exits(0);
    }
    assert_eq!(project.files(), ["connections.yml", "crm.duckdb", "lake"]);
}

#[test]
fn what_is_there_stays_as_it_is() {
    let project = Project::small();
    for to in KINDS {
        project.ingest(&["intercom.tags", "intercom.contacts", "--to", to]).run().exits(0);
        check(&project, to).exits(0);
    }
    // Also if no lock file is there any more.
    for lock in ["crm.duckdb.lock", "lake.lock"] {
        std::fs::remove_file(project.path(lock)).unwrap();
    }
    // What a killed run left is for the next run to clear away, and what is not ours for nobody.
    std::fs::create_dir(project.path("crm.duckdb.tmp")).unwrap();
    project.write("crm.duckdb.tmp/duckdb_temp_storage-0.tmp", "rows");
    std::fs::create_dir_all(project.path(".lake.ingest/drafts/1-2")).unwrap();
    project.write(".lake.ingest/drafts/1-2/.version-1-2", "");
    project.write(".lake.ingest/journal.begun", "{");
    for to in KINDS {
        let ended = check(&project, to).exits(0);
        assert!(ended.stdout.contains("can be written"), "{ended}");
    }
}

#[test]
fn what_was_committed_before_a_kill_stays_in_the_log_of_duckdb() {
    let project = Project::small();
    project.ingest(&["intercom.tags"]).run().exits(0);
    // As a kill between a commit and the end of the run leaves it.
    let connection = duckdb::Connection::open(project.path("ingest.duckdb")).unwrap();
    connection
        .execute_batch("PRAGMA disable_checkpoint_on_shutdown; CREATE TABLE mine AS SELECT 1 AS x")
        .unwrap();
    connection.close().unwrap();
    assert!(project.has("ingest.duckdb.wal"));
    check(&project, "duckdb:ingest.duckdb").exits(0);
    assert_eq!(project.rows("SELECT x FROM mine"), ["1"]);
}

#[test]
fn links_are_not_followed_to_write() {
    let project = Project::small();
    for to in KINDS {
        project.ingest(&["intercom.tags", "--to", to]).run().exits(0);
    }
    for (link, to) in [("link.duckdb", "crm.duckdb"), ("pond", "lake")] {
        symlink(project.path(to), project.path(link)).unwrap();
    }
    for to in ["duckdb:link.duckdb", "parquet:pond"] {
        check(&project, to).exits(0);
    }
    for (lock, to) in [("crm.duckdb.lock", KINDS[0]), ("lake.lock", KINDS[1])] {
        std::fs::remove_file(project.path(lock)).unwrap();
        symlink(project.path("nowhere"), project.path(lock)).unwrap();
        let refused = check(&project, to).exits(4);
        assert!(refused.stdout.contains(&format!("{lock} cannot be written")), "{refused}");
        std::fs::remove_file(project.path(lock)).unwrap();
        project.write(lock, "somebody's notes");
        let refused = check(&project, to).exits(2);
        assert!(refused.stdout.contains("is not a lock file of ingest"), "{refused}");
    }
}

#[test]
fn a_run_that_is_at_work_is_named() {
    let project = Project::small();
    for to in KINDS {
        project.stall("/conversations");
        let run = project.ingest(&["intercom.conversations", "--to", to]).start();
        project.asked_for("/conversations");
        let lock = project.path(to.split(':').nth(1).unwrap()).display().to_string() + ".lock";
        until("the lock file is written", || {
            std::fs::read_to_string(&lock).is_ok_and(|text| text.contains("started"))
        });
        let refused = check(&project, to).exits(75);
        assert!(refused.stdout.contains(&format!("PID {}", run.pid())), "{refused}");
        drop(run);
        project.sandbox().clear_requests();
    }
}

#[test]
fn what_cannot_be_written_is_named() {
    let project = Project::small();
    project.write("text", "no folder");
    for to in
        ["duckdb:text/crm.duckdb", "parquet:text/lake", "duckdb:nowhere/crm.duckdb", "parquet:nowhere/lake"]
    {
        let refused = check(&project, to).exits(4);
        assert!(refused.stdout.contains("FAILED"), "{refused}");
    }
}
