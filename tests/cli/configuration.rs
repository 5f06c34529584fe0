//! `connections.yml` and the environment: what is wrong is named with its place and its way out.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use ingest::sandbox::Settings;

use crate::support::binary::{OTHER_TOKEN, Project, assert_shows};

#[test]
fn without_any_configuration_the_ways_to_one_are_named() {
    let project = Project::empty();
    assert_shows!(project.ingest(&["intercom.contacts"]).without("INTERCOM_ACCESS_TOKEN").run(), @r"
    exit code: 2
    ----- stderr -----
    error: no connections.yml (looked for [DIR]/connections.yml, [DIR]/home/.config/ingest/connections.yml)
      hint: `ingest init` writes one; or export INTERCOM_ACCESS_TOKEN, which is enough
    ");
    assert_shows!(project.ingest(&["check", "--config", "mine.yml"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: mine.yml: no such file
      hint: `ingest init` writes a commented connections.yml to start from
    ");
}

#[test]
fn the_users_own_configuration_is_found() {
    let project = Project::small();
    let folder = if cfg!(target_os = "macos") {
        "home/Library/Application Support/ingest"
    } else {
        "home/.config/ingest"
    };
    std::fs::create_dir_all(project.path(folder)).unwrap();
    std::fs::rename(project.path("connections.yml"), project.path(folder).join("connections.yml")).unwrap();
    project.ingest(&["intercom.tags"]).run().exits(0);
    assert!(project.has("ingest.duckdb"));
}

/// The requests leave through a proxy on loopback, which takes note of where they were going.
#[test]
fn a_token_in_the_environment_is_enough_and_goes_to_its_region_alone() {
    for (region, host) in [(None, "api.intercom.io"), (Some("eu"), "api.eu.intercom.io")] {
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", proxy.local_addr().unwrap());
        let notes = std::thread::spawn(move || {
            let (mut stream, _) = proxy.accept().unwrap();
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").unwrap();
            line
        });
        let project = Project::empty();
        let invocation = project.ingest(&["intercom.tags"]).with("HTTPS_PROXY", &address);
        let invocation = match region {
            Some(region) => invocation.with("INTERCOM_REGION", region),
            None => invocation,
        };
        let failed = invocation.run().exits(1);
        assert_eq!(notes.join().unwrap(), format!("CONNECT {host}:443 HTTP/1.1\r\n"));
        assert!(failed.stderr.contains("check the network, proxy settings and base_url"), "{failed}");
    }
}

#[test]
fn a_wrong_region_in_the_environment_is_named() {
    assert_shows!(Project::empty().ingest(&["intercom.tags"]).with("INTERCOM_REGION", "uk").run(), @r"
    exit code: 2
    ----- stderr -----
    error: environment variable INTERCOM_REGION: expected us, eu or au
    ");
}

#[test]
fn broken_yaml_is_named_with_line_and_column() {
    let project = Project::empty();
    project.write(
        "connections.yml",
        &format!("connections:\n  intercom:\n    - name: a\n      access_token: {OTHER_TOKEN}: x\n"),
    );
    assert_shows!(project.ingest(&["a.tags"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: [DIR]/connections.yml:4:49: mapping values are not allowed in this context
    ");
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest() {
    let project = Project::empty();
    project.configure("https://intercom.example.com", "      acess_token: x\n");
    assert_shows!(project.ingest(&["intercom.tags"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: [DIR]/connections.yml:6:7: connection intercom: unknown key acess_token
      hint: did you mean access_token?
    ");
}

#[test]
fn an_unset_variable_is_named() {
    let project = Project::small();
    assert_shows!(project.ingest(&["intercom.tags"]).without("INTERCOM_ACCESS_TOKEN").run(), @r"
    exit code: 2
    ----- stderr -----
    error: [DIR]/connections.yml:4:21: connection intercom: access_token: environment variable INTERCOM_ACCESS_TOKEN is not set
      hint: export INTERCOM_ACCESS_TOKEN, or write ${INTERCOM_ACCESS_TOKEN:-default}
    ");
    // An empty token is no token either.
    assert_shows!(project.ingest(&["intercom.tags"]).with("INTERCOM_ACCESS_TOKEN", "").run(), @r"
    exit code: 2
    ----- stderr -----
    error: [DIR]/connections.yml:4:21: connection intercom: access_token: is empty after expansion
    ");
}

#[test]
fn a_wrong_value_is_answered_with_the_right_ones() {
    let project = Project::empty();
    project.configure("https://intercom.example.com", "      region: uss\n");
    assert_shows!(project.ingest(&["intercom.tags"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: [DIR]/connections.yml:6:15: connection intercom: region: expected us, eu or au
      hint: did you mean us?
    ");
    project.configure("http://intercom.example.com", "");
    assert_shows!(project.ingest(&["intercom.tags"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: [DIR]/connections.yml:5:17: connection intercom: base_url: plain http would show the token to the network; use https
    ");
}

#[test]
fn a_region_that_is_not_the_workspaces_own_is_named() {
    let project = Project::new(Settings { region: "EU".to_owned(), ..Settings::default() });
    project.configure(&project.sandbox().base_url(), "      region: us\n");
    assert_shows!(project.ingest(&["intercom.tags"]).run(), @r"
    exit code: 3
    ----- stdout -----
    table          new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.tags    0        0          0        0         -         0  [TIME]  failed
    ----- stderr -----
    intercom.tags: failed
    error: table intercom.tags: the token belongs to a workspace in region EU, the connection is for US
      hint: set region: eu
    ");
    project.configure(&project.sandbox().base_url(), "      region: eu\n");
    project.ingest(&["intercom.tags"]).run().exits(0);
}

#[cfg(unix)]
#[test]
fn a_literal_token_that_others_can_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;
    let project = Project::small();
    let text = format!(
        "connections:\n  intercom:\n    - name: intercom\n      access_token: {}\n      base_url: {}\n",
        crate::support::binary::TOKEN,
        project.sandbox().base_url()
    );
    project.write("connections.yml", &text);
    std::fs::set_permissions(project.path("connections.yml"), PermissionsExt::from_mode(0o644)).unwrap();
    let run = project.ingest(&["intercom.tags", "--progress", "off"]).run();
    assert_shows!(run, @r"
    exit code: 0
    ----- stdout -----
    table          new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.tags   12        0          0        0        12         1  [TIME]  complete as of [INSTANT]
    ----- stderr -----
    warning: [DIR]/connections.yml:3: connection intercom: the access token is written out in a file that others can read (mode 0644): write ${INTERCOM_ACCESS_TOKEN}, or chmod 600 the file
    ");
    // Whoever wants to hear of nothing but errors hears of this.
    for typed in ["intercom.tags -q", "check --quiet", "status -q", "tables intercom -q"] {
        let quiet = project.ingest(&typed.split(' ').collect::<Vec<_>>()).run().exits(0);
        assert_eq!(quiet.stderr.lines().count(), 1, "{quiet}");
        assert!(
            quiet.stderr.contains("the access token is written out in a file that others can read"),
            "{quiet}"
        );
    }
    std::fs::set_permissions(project.path("connections.yml"), PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(project.ingest(&["intercom.tags", "--progress", "off"]).run().exits(0).stderr, "");
}

#[test]
fn only_the_connections_a_run_uses_have_to_be_right() {
    let project = Project::small();
    let others = "    - { name: other, access_token: $UNSET, region: nowhere }\n  \
                  duckdb:\n    - { name: local, path: ./crm.duckdb }\n    - { name: broken, path: $UNSET }\n\
                  default_destination: local\n";
    project.configure(&project.sandbox().base_url(), others);
    project.ingest(&["intercom.tags"]).run().exits(0);
    assert!(project.has("crm.duckdb"));
    project.ingest(&["other.tags"]).run().exits(2);
    project.ingest(&["intercom.tags", "--to", "broken"]).run().exits(2);
}

#[test]
fn one_name_for_two_workspaces_is_refused_before_rows_mix() {
    let project = Project::small();
    project.ingest(&["intercom.tags"]).run().exits(0);
    let before = project.rows("SELECT id, name FROM intercom.tags ORDER BY id");
    let other = Project::new(Settings { workspace: "0therwrk".to_owned(), seed: 7, ..Settings::default() });
    project.configure(&other.sandbox().base_url(), "");
    assert_shows!(project.ingest(&["intercom.tags"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: table intercom.tags holds workspace sb0x2wrk, but the token opens workspace 0therwrk
      hint: use the other workspace's token, or give this one a connection name or destination of its own
    ");
    assert_eq!(project.rows("SELECT id, name FROM intercom.tags ORDER BY id"), before);
}

/// What the shell makes of `--config <(...)`.
#[cfg(unix)]
#[test]
fn a_configuration_may_come_through_a_pipe() {
    let project = Project::small();
    std::fs::rename(project.path("connections.yml"), project.path("text")).unwrap();
    project.write(
        "text",
        &format!("{}  duckdb:\n    - {{ name: local, path: here.duckdb }}\n", project.read("text")),
    );
    for before in ["exec < text", "cat text > pipe & exec < pipe"] {
        project.make_pipe("pipe");
        project.ingest_after(before, &["intercom.tags", "--config", "/dev/stdin"]).run().exits(0);
        // Paths in it start from the working directory.
        assert!(project.has("here.duckdb"));
        for file in ["pipe", "here.duckdb"] {
            std::fs::remove_file(project.path(file)).unwrap();
        }
    }
    for (before, typed, said) in [
        ("true", "/dev/zero", "/dev/zero: is a device, not a file"),
        ("exec < /dev/null", "/dev/stdin", "/dev/stdin: is a device, not a file"),
        ("yes > pipe & exec < pipe", "/dev/stdin", "/dev/stdin: is larger than 1 MiB"),
    ] {
        if before.contains("pipe") {
            project.make_pipe("pipe");
        }
        let refused = project.ingest_after(before, &["intercom.tags", "--config", typed]).run().exits(2);
        assert!(refused.stderr.contains(&format!("error: {said}\n")), "{refused}");
    }
    // One that nobody named may be there for anybody's reasons.
    project.make_pipe("connections.yml");
    assert_shows!(project.ingest(&["intercom.tags"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: [DIR]/connections.yml: is a pipe, not a file
      hint: name a file with --config; a pipe that is named there is read to its end
    ");
}
