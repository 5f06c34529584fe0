//! Files that cannot be written, or not now.

use std::time::Duration;

use ingest::sandbox::Settings;

use crate::support::binary::{Project, assert_shows};

#[test]
fn a_path_that_is_no_file_is_named() {
    let project = Project::small();
    std::fs::create_dir(project.path("folder")).unwrap();
    project.write("text", "no folder, no database, 4 KB it is not");
    assert_shows!(project.ingest(&["intercom.tags", "--to", "duckdb:folder"]).run(), @r"
    exit code: 4
    ----- stderr -----
    error: destination [DIR]/folder is a directory
      hint: give the path of a file, such as ./ingest.duckdb
    ");
    assert_shows!(project.ingest(&["intercom.tags", "--to", "duckdb:nowhere/x.duckdb"]).run(), @r"
    exit code: 4
    ----- stderr -----
    error: destination [DIR]/nowhere/x.duckdb cannot be used
      caused by: No such file or directory (os error [N])
      hint: create the folder [DIR]/nowhere first
    ");
    assert_shows!(project.ingest(&["intercom.tags", "--to", "duckdb:text/x.duckdb"]).run(), @r"
    exit code: 4
    ----- stderr -----
    error: lock file [DIR]/text/x.duckdb.lock cannot be written
      caused by: Not a directory (os error [N])
      hint: a run locks a file beside what it writes; the folder has to be writable
    ");
    // Nothing was asked of Intercom for it.
    assert!(project.sandbox().requests().is_empty());
    assert_eq!(project.files(), ["connections.yml", "folder", "text"]);
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let project = Project::small();
    project.write("ingest.duckdb", "somebody's notes");
    assert_shows!(project.ingest(&["intercom.tags", "--progress", "off"]).run(), @r#"
    exit code: 4
    ----- stderr -----
    error: destination [DIR]/ingest.duckdb: DuckDB could not open the database: IO Error: The file "[DIR]/ingest.duckdb" exists, but it is not a valid DuckDB database file!
      hint: check that the file is a DuckDB database and may be written, and that the disk is not full
    "#);
    assert_eq!(std::fs::read_to_string(project.path("ingest.duckdb")).unwrap(), "somebody's notes");
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_named() {
    // No permission helps here, not even root's.
    assert_shows!(Project::small().ingest(&["intercom.tags", "--to", "duckdb:/proc/x.duckdb"]).run(), @r"
    exit code: 4
    ----- stderr -----
    error: lock file /proc/x.duckdb.lock cannot be written
      caused by: No such file or directory (os error [N])
      hint: a run locks a file beside what it writes; the folder has to be writable
    ");
}

#[cfg(unix)]
#[test]
fn a_full_disk_ends_the_run_and_what_was_saved_stays() {
    let settings = Settings { contacts: 400, contact_bytes: 40_000, ..Settings::default() };
    let project = Project::new(settings);
    project.ingest(&["intercom.tags"]).run().exits(0);
    // A file may grow to 2 MB. The system has a signal for that, which ends whoever is not prepared.
    let full = project.ingest_after("ulimit -f 4096", &["intercom.contacts", "--progress", "off"]).run();
    assert_shows!(full, @r"
    exit code: 4
    ----- stdout -----
    table              new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.contacts    0        0          0        0         -         3  [TIME]  failed
    note: intercom.contacts: kept in _extra because it did not fit its column: signed_up_at (12)
    ----- stderr -----
    error: table intercom.contacts: DuckDB could not commit: TransactionContext Error: Failed to commit: Could not write file
      hint: there is no room (file too large); nothing was lost, make some and run again
    ");
    assert_eq!(project.rows("SELECT count(*) FROM intercom.tags"), ["12"]);
    project.ingest(&["intercom.contacts"]).run().exits(0);
    assert_eq!(project.rows("SELECT count(*) FROM intercom.contacts"), ["400"]);
}

#[test]
fn another_run_on_the_file_is_named_and_waited_for_if_asked() {
    let project = Project::small();
    project.stall("/conversations");
    let first = project.ingest(&["intercom.conversations"]).start();
    project.asked_for("/conversations");
    let refused = project.ingest(&["intercom.tags"]).run();
    assert!(refused.stderr.contains(&format!("PID {}", first.pid())), "{refused}");
    assert_shows!(refused, @r"
    exit code: 75
    ----- stderr -----
    error: another run is writing [DIR]/ingest.duckdb (PID [PID], started [INSTANT])
      hint: let it finish; cron may simply try again, --wait waits for it
    ");
    assert_shows!(project.ingest(&["intercom.tags", "--wait=200ms"]).run(), @r"
    exit code: 75
    ----- stderr -----
    waiting for another run on [DIR]/ingest.duckdb (PID [PID], started [INSTANT])
    error: another run is writing [DIR]/ingest.duckdb (PID [PID], started [INSTANT])
      hint: let it finish; cron may simply try again, --wait waits for it
    ");
    // Other files are not concerned.
    project.ingest(&["intercom.tags", "--to", "duckdb:other.duckdb"]).run().exits(0);

    let patient = project.ingest(&["intercom.tags", "--wait"]).start();
    patient.says("waiting for another run");
    first.signal("KILL");
    assert_eq!(first.wait().code, None);
    let patient = patient.wait().exits(0);
    assert!(patient.stdout.contains("complete as of"), "{patient}");
}

#[test]
fn a_reader_that_does_not_close_the_file_is_named() {
    let project = Project::small();
    project.ingest(&["intercom.tags"]).run().exits(0);
    let reader = project.open_to_read();
    let refused = project.ingest(&["intercom.tags", "--wait=200ms", "--progress", "plain"]).run();
    assert!(refused.stderr.contains(&format!("process {}", std::process::id())), "{refused}");
    assert_shows!(refused, @r"
    exit code: 75
    ----- stderr -----
    waiting up to 200ms for [DIR]/ingest.duckdb, which process [PID] has open
    error: destination [DIR]/ingest.duckdb is open in process [PID]
      hint: close it there, or wait longer with --wait; what was read so far is kept, and a later run goes on from it
    ");
    let rows: u32 = reader.query_row("SELECT count(*) FROM intercom.tags", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 12);
}

#[test]
fn a_reader_that_closes_the_file_in_time_is_waited_for() {
    let project = Project::small();
    project.ingest(&["intercom.tags"]).run().exits(0);
    let reader = project.open_to_read();
    let run = project.ingest(&["intercom.tags", "--wait", "--progress", "plain"]).start();
    run.says("waiting up to");
    drop(reader);
    run.wait().exits(0);
}

#[test]
fn a_reader_that_comes_in_the_middle_costs_only_what_is_not_saved_yet() {
    let project = Project::small();
    // Long enough to open the file meanwhile; the run goes on by itself then.
    project.stall_for("/conversations", Duration::from_secs(4));
    let typed = ["intercom.conversations", "intercom.tags", "--wait=200ms", "--progress", "plain"];
    let run = project.ingest(&typed).start();
    run.says("intercom.tags: complete");
    let reader = project.open_to_read();
    let ended = run.wait();
    assert!(ended.stdout.contains("complete as of"), "{ended}");
    assert!(ended.stderr.contains("hint: close it there, or wait longer with --wait"), "{ended}");
    ended.exits(75);
    let rows: u32 = reader.query_row("SELECT count(*) FROM intercom.tags", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 12);
    drop(reader);
    project.ingest(&["intercom.conversations"]).run().exits(0);
    assert_eq!(project.rows("SELECT count(*) FROM intercom.conversations"), ["30"]);
}

#[test]
fn readers_get_in_between_while_a_run_waits_for_intercom() {
    let project = Project::small();
    project.ingest(&["intercom.tags"]).run().exits(0);
    project.stall("/conversations");
    let run = project.ingest(&["intercom.conversations"]).start();
    project.asked_for("/conversations");
    assert_eq!(project.rows("SELECT count(*) FROM intercom.tags"), ["12"]);
    project.ingest(&["status"]).run().exits(0);
    drop(run);
}

/// Whoever opened one of these would wait for ever, or worse.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_opened() {
    let project = Project::small();
    project.make_pipe("pipe");
    project.make_pipe("x.duckdb.wal");
    let _socket = std::os::unix::net::UnixListener::bind(project.path("socket")).unwrap();
    std::os::unix::fs::symlink("pipe", project.path("link")).unwrap();
    let before = project.files();
    for (to, said) in [
        ("duckdb:pipe", "pipe is a pipe, not a file"),
        ("duckdb:link", "pipe is a pipe, not a file"),
        ("duckdb:x.duckdb", "x.duckdb.wal is a pipe, not a file"),
        ("duckdb:socket", "socket is a socket, not a file"),
        ("duckdb:/dev/null", "/dev/null is a device, not a file"),
        ("parquet:pipe", "pipe is a pipe, not a folder"),
        ("parquet:/dev/null", "/dev/null is a device, not a folder"),
    ] {
        for command in [&["intercom.tags"][..], &["intercom.tags", "--dry-run"], &["check"], &["status"]] {
            let refused = project.ingest(&[command, &["--to", to]].concat()).run().exits(2);
            assert!(refused.to_string().contains(said), "{refused}");
            assert!(refused.to_string().contains("hint: "), "{refused}");
        }
    }
    project.ingest(&["demo", "--path", "pipe"]).run().exits(2);
    project.ingest(&["init", "--config", "pipe", "--force"]).run().exits(2);
    assert_eq!(project.files(), before);
}

#[cfg(unix)]
#[test]
fn nothing_is_cleared_behind_a_link() {
    let project = Project::small();
    let theirs = [
        "theirs/duckdb_temp_storage_DEFAULT-0.tmp",
        "theirs/drafts/going-1/rows",
        "theirs/going-2/rows",
        "theirs/journal.begun",
    ];
    for file in theirs {
        std::fs::create_dir_all(project.path(file).parent().unwrap()).unwrap();
        project.write(file, "somebody's");
    }
    std::fs::create_dir(project.path(".pond.ingest")).unwrap();
    for link in ["ingest.duckdb.tmp", ".lake.ingest", ".pond.ingest/drafts"] {
        let to = if link.contains('/') { "../theirs" } else { "theirs" };
        std::os::unix::fs::symlink(to, project.path(link)).unwrap();
    }
    for (to, link) in [
        ("duckdb:ingest.duckdb", "ingest.duckdb.tmp"),
        ("parquet:lake", ".lake.ingest"),
        ("parquet:pond", ".pond.ingest/drafts"),
    ] {
        for command in ["intercom.tags", "check"] {
            let refused = project.ingest(&[command, "--to", to]).run().exits(2);
            let said = format!("{} is a symbolic link, and would be followed", project.path(link).display());
            assert!(format!("{}{}", refused.stdout, refused.stderr).contains(&said), "{refused}");
        }
        std::fs::remove_file(project.path(link)).unwrap();
        project.ingest(&["intercom.tags", "--to", to]).run().exits(0);
    }
    for file in theirs {
        assert_eq!(std::fs::read_to_string(project.path(file)).unwrap(), "somebody's");
    }
}

/// Anybody may lock a file who may read it, and hold it for ever.
#[cfg(unix)]
#[test]
fn a_lock_that_no_run_holds_is_told_from_one_that_does() {
    let project = Project::small();
    let lock = project.path("ingest.duckdb.lock");
    let lock_with = |text: &str| {
        std::fs::write(&lock, text).unwrap();
        let file = std::fs::File::open(&lock).unwrap();
        file.lock().unwrap();
        file
    };
    let held = lock_with("PID 2147483647, started 2026-01-15 12:00:00Z\n");
    let refused = project.ingest(&["intercom.tags", "--wait=200ms"]).run().exits(75);
    let owner = std::os::unix::fs::MetadataExt::uid(&lock.metadata().unwrap());
    let said = format!(
        "a process holds the lock file {} of user {owner}; it names PID 2147483647, started 2026-01-15 12:00:00Z, which \
         does not run here",
        lock.display()
    );
    assert!(refused.stderr.contains(&format!("error: {said}\n")), "{refused}");
    assert!(refused.stderr.contains(&format!("waiting, since {said}\n")), "{refused}");
    assert!(refused.stderr.contains(&format!("`fuser -v {}`", lock.display())), "{refused}");
    drop(held);
    let held = lock_with("");
    let refused = project.ingest(&["intercom.tags"]).run().exits(75);
    assert!(refused.stderr.contains("error: a process holds the lock file"), "{refused}");
    assert!(!refused.stderr.contains("it names"), "{refused}");
    drop(held);
    let held = lock_with(&format!("PID {}, started 2026-01-15 12:00:00Z\n", std::process::id()));
    let refused = project.ingest(&["intercom.tags"]).run().exits(75);
    assert!(refused.stderr.contains("error: another run is writing"), "{refused}");
    drop(held);
    project.ingest(&["intercom.tags"]).run().exits(0);
}
