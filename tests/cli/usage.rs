//! What was typed, and what the program says about itself.

use crate::support::binary::{Project, assert_shows};

#[test]
fn help_fits_on_a_page() {
    assert_shows!(Project::empty().ingest(&["-h"]).run(), @"");
}

#[test]
fn help_of_reading_tables_explains_every_option_and_its_environment_twin() {
    assert_shows!(Project::empty().ingest(&["run", "--help"]).run(), @"");
}

#[test]
fn every_command_has_help_on_stdout() {
    let project = Project::empty();
    for command in ["run", "init", "check", "tables", "status", "demo", "sandbox"] {
        let help = project.ingest(&[command, "--help"]).run().exits(0);
        assert!(help.stdout.contains(&format!("Usage: ingest {command}")), "{help}");
        assert!(help.stderr.is_empty(), "{help}");
        assert_eq!(project.ingest(&["help", command]).run().exits(0).stdout, help.stdout);
    }
}

#[test]
fn no_help_is_wider_than_a_terminal() {
    let project = Project::empty();
    for arguments in [&["--help"][..], &["run", "--help"], &["sandbox", "--help"]] {
        let help = project.ingest(arguments).run().exits(0);
        let widest = help.stdout.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{help}");
    }
}

#[test]
fn version() {
    let project = Project::empty();
    let version = project.ingest(&["--version"]).run();
    assert_shows!(version, @"");
    assert_eq!(project.ingest(&["-V"]).run().exits(0).stdout, version.stdout);
}

#[test]
fn nothing_typed_shows_the_help_and_is_no_success() {
    let project = Project::empty();
    let nothing = project.ingest(&[]).run().exits(2);
    assert_eq!(nothing.stdout, "");
    assert_eq!(nothing.stderr, project.ingest(&["-h"]).run().stdout);
}

#[test]
fn an_unknown_option_is_named() {
    assert_shows!(Project::small().ingest(&["intercom.tags", "--full-refersh"]).run(), @"");
}

#[test]
fn options_without_a_table_are_incomplete() {
    assert_shows!(Project::small().ingest(&["--limit", "5"]).run(), @"");
}

#[test]
fn what_cannot_be_a_value_is_refused_with_an_example() {
    let project = Project::small();
    for (arguments, says) in [
        (&["--limit", "0"][..], "0 is not in 1.."),
        (&["--interval-start", "yesterday"], "expected a date such as 2023-01-01 or an instant"),
        (&["--rate-limit", "fast"], "expected requests per time such as 166/10s"),
        (&["--wait=long"], "expected a duration such as 7d"),
        (&["--concurrency", "0"], "0 is not in 1..=256"),
        (&["--progress", "loud"], "[possible values: auto, plain, off]"),
        (&["--output", "csv"], "[possible values: text, json]"),
        (&["--full-refresh", "--limit", "5"], "'--full-refresh' cannot be used with '--limit <ROWS>'"),
        (&["-q", "-v"], "'--quiet' cannot be used with '--verbose...'"),
    ] {
        let refused = project.ingest(&[&["intercom.tags"], arguments].concat()).run().exits(2);
        assert!(refused.stderr.contains(says), "{says:?} in {refused}");
        assert_eq!(refused.stdout, "");
    }
    assert_eq!(project.files(), ["connections.yml"]);
}

#[test]
fn an_interval_that_ends_before_it_starts_is_refused() {
    let project = Project::small();
    let typed = ["intercom.contacts", "--interval-start", "2026-01-02", "--interval-end", "2026-01-02"];
    assert_shows!(project.ingest(&typed).run(), @"");
}

#[test]
fn a_misspelt_table_is_answered_with_the_nearest() {
    assert_shows!(Project::small().ingest(&["intercom.contcats"]).run(), @"");
}

#[test]
fn one_misspelt_table_among_several_stops_the_run_before_it_begins() {
    let project = Project::small();
    project.ingest(&["intercom.tags", "intercom.tickts"]).run().exits(2);
    assert_eq!(project.files(), ["connections.yml"]);
    assert!(project.sandbox().requests().is_empty());
}

#[test]
fn an_unknown_connection_is_answered_with_the_nearest() {
    assert_shows!(Project::small().ingest(&["intercon.contacts"]).run(), @"");
}

#[test]
fn an_unknown_destination_is_answered_with_the_known_ones() {
    let project = Project::small();
    project.configure(&project.sandbox().base_url(), "  duckdb:\n    - { name: local, path: ./crm.duckdb }\n");
    assert_shows!(project.ingest(&["intercom.contacts", "--to", "locl"]).run(), @"");
    assert_shows!(project.ingest(&["intercom.contacts", "--to", "crm.duckdb"]).run(), @"");
    assert_shows!(project.ingest(&["intercom.contacts", "--to", "intercom"]).run(), @"");
}

#[test]
fn a_destination_with_slashes_is_refused_since_tools_disagree_on_it() {
    assert_shows!(Project::small().ingest(&["intercom.contacts", "--to", "duckdb:///srv/x.duckdb"]).run(), @"");
}

#[test]
fn a_file_named_like_the_schema_is_refused() {
    let project = Project::small();
    assert_shows!(project.ingest(&["intercom.contacts", "--to", "duckdb:./Intercom.v2.duckdb"]).run(), @"");
    assert_shows!(project.ingest(&["intercom.contacts", "--to", "duckdb:crm.duckdb", "--schema", "crm"]).run(), @"");
    assert_eq!(project.files(), ["connections.yml"]);
}

#[test]
fn parquet_is_refused_as_long_as_it_cannot_be_written() {
    let project = Project::small();
    assert_shows!(project.ingest(&["intercom.contacts", "--to", "parquet:./lake"]).run(), @"");
    assert_eq!(project.files(), ["connections.yml"]);
}

#[test]
fn options_may_stand_before_a_command() {
    let project = Project::small();
    std::fs::rename(project.path("connections.yml"), project.path("other.yml")).unwrap();
    let before = project.ingest(&["--config", "other.yml", "--output", "json", "tables", "intercom"]).run().exits(0);
    let after = project.ingest(&["tables", "intercom", "--config", "other.yml", "--output", "json"]).run().exits(0);
    assert_eq!(before.stdout, after.stdout);
    let run = project.ingest(&["--config=other.yml", "-q", "run", "intercom.tags"]).run().exits(0);
    assert!(run.stdout.contains("intercom.tags"), "{run}");
}

#[test]
fn environment_twins_count_like_their_options_and_less_than_them() {
    let project = Project::small();
    std::fs::rename(project.path("connections.yml"), project.path("other.yml")).unwrap();
    let with = |arguments: &[&str]| {
        let typed = [&["intercom.tags"], arguments].concat();
        project.ingest(&typed).with("INGEST_CONFIG", "other.yml").with("INGEST_OUTPUT", "json")
    };
    let run = with(&[]).with("INGEST_TO", "duckdb:twin.duckdb").with("INGEST_PROGRESS", "off").run().exits(0);
    assert_eq!(run.json()["tables"][0]["table"], "tags");
    assert_eq!(run.stderr, "");
    assert!(project.has("twin.duckdb") && !project.has("ingest.duckdb"));

    let typed = ["--to", "duckdb:typed.duckdb", "--output", "text"];
    let run = with(&typed).with("INGEST_TO", "duckdb:twin2.duckdb").with("INGEST_SCHEMA", "crm").run().exits(0);
    assert!(run.stdout.contains("crm.tags"), "{run}");
    assert!(project.has("typed.duckdb") && !project.has("twin2.duckdb"));

    // Empty is unset; nonsense is refused, and only by the command that owns the option.
    let run = with(&[]).with("INGEST_TO", "").with("INGEST_CONCURRENCY", "").run().exits(0);
    assert_eq!(run.json()["exit_code"], 0);
    assert!(project.has("ingest.duckdb"));
    with(&[]).with("INGEST_CONCURRENCY", "many").run().exits(2);
    project.ingest(&["tables"]).with("INGEST_CONCURRENCY", "many").run().exits(0);
}
