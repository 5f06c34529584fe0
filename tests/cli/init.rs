//! `ingest init`: the file to start from.

use crate::support::binary::{Project, assert_shows};

#[cfg(unix)]
fn mode(project: &Project, name: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(project.path(name)).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_file_it_writes_is_the_documented_example_and_leads_on() {
    let project = Project::empty();
    assert_shows!(project.ingest(&["init"]).run(), @r"
    exit code: 0
    ----- stdout -----
    wrote connections.yml
    next: export INTERCOM_ACCESS_TOKEN=..., then: ingest check
    ");
    let written = std::fs::read_to_string(project.path("connections.yml")).unwrap();
    assert_eq!(written, include_str!("../../connections.example.yml"));
    project.ingest(&["tables", "intercom"]).run().exits(0);
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_what_will_hold_a_token() {
    use std::os::unix::fs::PermissionsExt;
    let project = Project::empty();
    project.ingest(&["init"]).run().exits(0);
    assert_eq!(mode(&project, "connections.yml"), 0o600);
    std::fs::set_permissions(project.path("connections.yml"), PermissionsExt::from_mode(0o644)).unwrap();
    project.ingest(&["init", "--force"]).run().exits(0);
    assert_eq!(mode(&project, "connections.yml"), 0o600);
}

#[test]
fn an_existing_file_is_only_replaced_by_force() {
    let project = Project::empty();
    project.write("connections.yml", "mine");
    assert_shows!(project.ingest(&["init"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: connections.yml exists already
      hint: edit it, or replace it with --force
    ");
    assert_eq!(std::fs::read_to_string(project.path("connections.yml")).unwrap(), "mine");
    project.ingest(&["init", "--force"]).run().exits(0);
    assert!(std::fs::read_to_string(project.path("connections.yml")).unwrap().starts_with('#'));
}

#[test]
fn the_file_goes_where_the_configuration_is_expected() {
    let project = Project::empty();
    project.ingest(&["init", "--config", "etc.yml"]).run().exits(0);
    project.ingest(&["init"]).with("INGEST_CONFIG", "twin.yml").run().exits(0);
    assert_eq!(project.files(), ["etc.yml", "twin.yml"]);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    assert_shows!(Project::empty().ingest(&["init", "--config", "nowhere/connections.yml"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: nowhere/connections.yml cannot be written
      caused by: No such file or directory (os error [N])
      hint: create its folder first
    ");
}
