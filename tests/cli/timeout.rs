//! `--timeout`: runs whose time is up.

use std::time::Duration;

use ingest::sandbox::FaultKind;

use crate::support::binary::{Project, assert_shows};

/// Long enough for what is answered, on a busy machine too.
const TIME: &str = "8s";

fn refused_for(seconds: u64) -> FaultKind {
    FaultKind::Status { code: 429, error_code: String::new(), retry_after: Some(seconds), headers: false }
}

#[test]
fn what_is_complete_by_then_is_saved_and_the_next_run_goes_on() {
    let project = Project::small();
    project.stall("/conversations");
    let tables = ["intercom.tags", "intercom.conversations"];
    let run = project.ingest(&[tables[0], tables[1], "--timeout", TIME]).run();
    assert_shows!(run.sorted(), @r"
    exit code: 1
    ----- stdout -----
    table                   new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.tags            12        0          0        0        12         1  [TIME]  complete as of [INSTANT]
    intercom.conversations    0        0          0        0         -         2  [TIME]  interrupted
    ----- stderr -----
      hint: run again: it goes on from what is saved; --timeout says how long a run may take
    error: table intercom.conversations: out of time, reading: first load; what was proven complete is saved
    intercom.conversations: first load
    intercom.conversations: interrupted
    intercom.tags: complete
    intercom.tags: reading everything
    out of time after 8s: saving what is complete
    ");
    assert_eq!(project.rows("SELECT count(*) FROM intercom.tags"), ["12"]);
    assert_eq!(
        project.rows("SELECT table_name, outcome FROM _ingest.runs ORDER BY table_name"),
        ["conversations|interrupted", "tags|complete"]
    );
    project.ingest(&tables).with("INGEST_TIMEOUT", "1h").run().exits(0);
    assert_eq!(project.rows("SELECT count(*) FROM intercom.conversations"), ["30"]);
}

#[test]
fn what_a_run_waited_for_when_its_time_was_up_is_said() {
    let project = Project::small();
    project.fault("/tags", 0, u32::MAX, refused_for(900));
    let run = project.ingest(&["intercom.tags", "--timeout", "2s"]).run().exits(1);
    let waited = "intercom.tags: GET /tags: answered 429 (scripted failure); going on in 901 s";
    assert!(run.stderr.contains(waited), "{run}");
    let error =
        "error: table intercom.tags: out of time, waiting: GET /tags: answered 429 (scripted failure); what";
    assert!(run.stderr.contains(error), "{run}");
}

#[test]
fn before_any_table_is_read_waits_are_told_as_well() {
    for (arguments, told) in [
        (&[][..], "\nintercom: GET /me: answered 429 (scripted failure); going on in 901 s\n"),
        (
            &["--progress", "off"],
            "WARN GET /me: answered 429 (scripted failure); going on in 901 s table=\"intercom\"\n",
        ),
        (&["--quiet"], ""),
    ] {
        let project = Project::small();
        project.fault("/me", 0, u32::MAX, refused_for(900));
        let run = project.ingest(&[&["intercom.tags", "--timeout", "1s"], arguments].concat()).run().exits(1);
        let stderr = format!("\n{}", run.stderr);
        assert!(stderr.contains(told), "{run}");
        assert_eq!(run.stderr.matches("going on in").count(), usize::from(!told.is_empty()), "{run}");
        assert!(
            run.stderr.contains("out of time, waiting: GET /me: answered 429 (scripted failure);"),
            "{run}"
        );
    }
}

#[test]
fn counting_rows_takes_no_longer_either() {
    let project = Project::small();
    project.stall("/conversations");
    let run = project.ingest(&["intercom.conversations", "--dry-run", "--timeout", "1s"]).run().exits(1);
    assert!(run.stderr.contains("error: out of time, counting rows"), "{run}");
    assert_eq!(run.stdout, "");
}

#[test]
fn another_run_is_waited_for_no_longer_than_that() {
    let project = Project::small();
    project.stall_for("/tags", Duration::from_secs(3600));
    let other = project.ingest(&["intercom.tags"]).start();
    project.asked_for("/tags");
    let run = project.ingest(&["intercom.tags", "--wait=1h", "--timeout", "1s"]).run().exits(75);
    assert!(run.stderr.contains("--wait"), "{run}");
    drop(other);
}

#[test]
fn no_time_at_all_is_refused() {
    let run = Project::small().ingest(&["intercom.tags", "--timeout", "0s"]).run().exits(2);
    assert!(run.stderr.contains("expected some time"), "{run}");
}
