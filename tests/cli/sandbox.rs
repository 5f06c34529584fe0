//! `ingest sandbox`: the workspace for other programs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::support::binary::{Project, TOKEN, assert_shows};

fn get_me(url: &str, token: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /me HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nIntercom-Version: 2.14\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn its_address_is_the_first_line_and_ctrl_c_stops_it() {
    let project = Project::empty();
    let sandbox = project.ingest(&["sandbox", "--port", "0", "--contacts", "3"]).start();
    let url = sandbox.first_line();
    assert!(get_me(&url, "sandbox-token").starts_with("HTTP/1.1 200"));
    assert!(get_me(&url, "another").starts_with("HTTP/1.1 401"));
    sandbox.says("Ctrl-C stops");
    sandbox.signal("INT");
    assert_shows!(sandbox.wait(), @r"
    exit code: 130
    ----- stdout -----
    http://127.0.0.1:[PORT]
    ----- stderr -----
    serving a workspace; use base_url: http://127.0.0.1:[PORT] and access_token: sandbox-token; Ctrl-C stops
    stopping; once more stops at once
    ");
}

#[test]
fn the_program_reads_it_like_any_workspace() {
    let project = Project::empty();
    let sandbox =
        project.ingest(&["sandbox", "--port", "0", "--contacts", "7", "--rate-limit", "none"]).start();
    project.configure(&sandbox.first_line(), "");
    let run =
        project.ingest(&["intercom.contacts"]).with("INTERCOM_ACCESS_TOKEN", "sandbox-token").run().exits(0);
    assert_eq!(project.rows("SELECT count(*) FROM intercom.contacts"), ["7"], "{run}");
    sandbox.signal("TERM");
    sandbox.wait().exits(143);
}

#[test]
fn a_token_of_ones_own_is_not_repeated() {
    let project = Project::empty();
    let sandbox = project.ingest(&["sandbox", "--port", "0", "--token", TOKEN]).start();
    assert!(get_me(&sandbox.first_line(), TOKEN).starts_with("HTTP/1.1 200"));
    sandbox.says("Ctrl-C stops");
    sandbox.signal("INT");
    // Every finished process is searched for the token.
    sandbox.wait().exits(130);
}

#[test]
fn what_it_cannot_do_is_named() {
    let project = Project::empty();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    assert_shows!(project.ingest(&["sandbox", "--port", &port]).run(), @r"
    exit code: 1
    ----- stderr -----
    error: 127.0.0.1:[PORT]: cannot listen
      caused by: Address already in use (os error [N])
      hint: --port 0 takes any free port
    ");
    assert_shows!(project.ingest(&["sandbox", "--port", "0", "--time-zone", "Mars/Olympus"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: --time-zone Mars/Olympus: not a known zone
      hint: such as Asia/Tokyo
    ");
    assert_shows!(project.ingest(&["sandbox", "--port", "0", "--rate-limit", "fast"]).run(), @r#"
    exit code: 2
    ----- stderr -----
    error: --rate-limit: expected requests per time such as 166/10s or 1000/min, or "none"
    "#);
}
