//! Ctrl-C, SIGTERM, a closed terminal, and readers that went away.

use std::time::Duration;

use ingest::sandbox::{FaultKind, Settings};

use crate::support::binary::{Project, Started, assert_shows, until};

/// A run whose first answer about conversations never comes, stopped there.
fn stalled(project: &Project) -> Started<'_> {
    project.stall("/conversations");
    let run = project.ingest_in_terminal(&["intercom.tags", "intercom.conversations"]).start();
    run.says("intercom.tags: complete");
    project.asked_for("/conversations");
    run
}

#[test]
fn the_first_signal_saves_what_is_complete() {
    let signals = [("INT", 130, "interrupted"), ("TERM", 143, "terminated"), ("HUP", 143, "terminated")];
    for (signal, code, outcome) in signals {
        let project = Project::small();
        let run = stalled(&project);
        run.signal(signal);
        let ended = run.wait().exits(code);
        assert!(ended.stderr.contains(&format!("error: table intercom.conversations: {outcome}")), "{ended}");
        assert_eq!(project.rows("SELECT count(*) FROM intercom.tags"), ["12"]);
        if signal == "INT" {
            assert_shows!(ended.sorted(), @r"
            exit code: 130
            ----- stdout -----
            table                   new  changed  unchanged  removed  rows now  requests  time  outcome
            intercom.tags            12        0          0        0        12         1  [TIME]  complete as of [INSTANT]
            intercom.conversations    0        0          0        0         -         2  [TIME]  interrupted
            ----- stderr -----
            error: table intercom.conversations: interrupted; what was proven complete is saved
            intercom.conversations: first load
            intercom.conversations: interrupted
            intercom.tags: complete
            intercom.tags: reading everything
            stopping: saving what is complete; once more stops at once
            ");
        }
        // The next run goes on as if nothing had been.
        project.ingest(&["intercom"]).run().exits(0);
        assert_eq!(project.rows("SELECT count(*) FROM intercom.conversations"), ["30"]);
    }
}

#[test]
fn an_interrupted_first_load_goes_on_where_it_was() {
    // Three pages, of which the last never comes.
    let project = Project::new(Settings { contacts: 400, ..Settings::default() });
    project.fault("/contacts/search", 2, 1, FaultKind::Stall(Duration::from_secs(3600)));
    let run = project.ingest(&["intercom.contacts", "--output", "json"]).start();
    until("the third page", || project.sandbox().requests().len() == 4);
    run.signal("INT");
    let summary = run.wait().exits(130).json();
    let contacts = &summary["tables"][0];
    assert_eq!(
        (&contacts["outcome"], &contacts["rows"]["new"]),
        (&"interrupted".into(), &300.into()),
        "{summary:#}"
    );
    let summary = project.ingest(&["intercom.contacts", "--output", "json"]).run().exits(0).json();
    let contacts = &summary["tables"][0];
    assert_eq!(contacts["mode"], "resuming a refresh", "{summary:#}");
    assert_eq!(contacts["rows"]["live"], 400, "{summary:#}");
}

#[test]
fn a_second_signal_stops_at_once() {
    let project = Project::small();
    project.ingest(&["intercom.tags"]).run().exits(0);
    project.stall("/conversations");
    let run = project.ingest(&["intercom.conversations", "--wait"]).start();
    project.asked_for("/conversations");
    // A reader keeps the run from saving, so the first signal alone cannot end it.
    let reader = project.open_to_read();
    run.signal("INT");
    run.says("once more stops at once");
    run.signal("TERM");
    run.wait().exits(143);
    drop(reader);
}

/// Its shell says so, and then the system: nobody is impatient.
#[test]
fn a_terminal_that_is_closed_says_so_twice() {
    for to in ["duckdb:ingest.duckdb", "parquet:lake"] {
        let project = Project::small();
        project.ingest(&["intercom.tags", "--to", to]).run().exits(0);
        project.stall("/conversations");
        let run = project.ingest_in_terminal(&["intercom.conversations", "--to", to, "--wait"]).start();
        project.asked_for("/conversations");
        run.signal("HUP");
        run.says("once more stops at once");
        run.signal("HUP");
        let ended = run.wait().exits(143);
        assert!(ended.stdout.contains("interrupted"), "the summary is written: {ended}");
        let status = project.ingest(&["status", "--to", to]).run().exits(0);
        assert!(status.stdout.contains("intercom.conversations interrupted"), "{status}");
    }
}

/// As under `nohup`.
#[test]
fn a_run_that_is_to_outlive_its_terminal_does() {
    let project = Project::small();
    project.stall_for("/conversations", Duration::from_secs(1));
    let run = project.ingest_after("trap '' HUP", &["intercom.conversations"]).start();
    project.asked_for("/conversations");
    run.signal("HUP");
    let ended = run.wait().exits(0);
    assert!(!ended.stderr.contains("stopping"), "{ended}");
    assert_eq!(project.rows("SELECT count(*) FROM intercom.conversations"), ["30"]);
}

#[test]
fn a_reader_of_stdout_that_has_seen_enough_is_no_error() {
    let project = Project::small();
    for arguments in
        [&["tables"][..], &["--help"], &["intercom.tags"], &["status"], &["intercom.tags", "-vv"]]
    {
        let status = project.ingest(arguments).start_unheard();
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
    assert_eq!(project.rows("SELECT count(*) FROM intercom.tags"), ["12"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_summary_that_cannot_be_written_is_an_error() {
    let project = Project::small();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert_shows!(project.ingest(&["intercom.tags", "--progress", "off"]).stdout(full()), @r"
    exit code: 2
    ----- stderr -----
    error: stdout cannot be written
      caused by: No space left on device (os error [N])
    ");
    // The rows are there all the same.
    assert_eq!(project.rows("SELECT count(*) FROM intercom.tags"), ["12"]);
}
