//! Certificates and proxies: whom a run believes, and by which way it goes.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use crate::support::binary::{Invocation, Project, assert_shows};
use crate::support::secret_server::SecretServer;

/// On a machine without any CA certificates.
fn without_certificates(invocation: Invocation<'_>) -> Invocation<'_> {
    invocation.with("SSL_CERT_FILE", "/nonexistent").with("SSL_CERT_DIR", "/nonexistent")
}

/// Into a bucket at an endpoint.
fn into_bucket<'p>(project: &'p Project, command: &str, endpoint: &str) -> Invocation<'p> {
    let invocation = project.ingest(&[command, "--to", "s3://bucket/lake"]);
    let invocation = invocation.with("AWS_ACCESS_KEY_ID", "key").with("AWS_SECRET_ACCESS_KEY", "secret");
    invocation.with("AWS_ENDPOINT_URL", endpoint)
}

#[test]
fn what_stays_on_this_machine_needs_no_certificates() {
    let project = Project::small();
    without_certificates(project.ingest(&["intercom.tags"])).run().exits(0);
    without_certificates(project.ingest(&["check"])).run().exits(0);
    let demo = without_certificates(Project::empty().ingest(&["demo"])).run().exits(0);
    assert!(demo.stdout.contains("Three hours later"), "{demo}");
}

#[test]
fn without_certificates_a_run_says_what_is_missing() {
    let project = Project::empty();
    assert_shows!(without_certificates(project.ingest(&["intercom.tags"])).run(), @r"
    exit code: 2
    ----- stderr -----
    error: no server can be trusted: SSL_CERT_FILE names /nonexistent, which does not exist, and SSL_CERT_DIR names no folder with certificates
      hint: let SSL_CERT_FILE name a file of CA certificates in PEM format, or unset it and SSL_CERT_DIR
    ");
    let check = without_certificates(project.ingest(&["check"])).run().exits(2);
    assert!(check.stderr.contains("no server can be trusted"), "{check}");
    project.write("empty.pem", "nothing of the kind\n");
    let empty = project.ingest(&["intercom.tags"]).with("SSL_CERT_FILE", "empty.pem").run().exits(2);
    assert!(empty.stderr.contains("SSL_CERT_FILE names empty.pem, which holds no certificate"), "{empty}");
    assert_eq!(project.files(), ["empty.pem"]);
}

#[test]
fn without_certificates_a_bucket_beyond_this_machine_is_not_asked() {
    let project = Project::small();
    for command in ["intercom.tags", "status"] {
        let refused = into_bucket(&project, command, "https://store.example.com");
        let refused = without_certificates(refused).run().exits(2);
        assert!(
            refused.stderr.contains("no server can be trusted: SSL_CERT_FILE names /nonexistent"),
            "{refused}"
        );
        assert!(refused.stderr.contains("hint: let SSL_CERT_FILE name"), "{refused}");
    }
}

#[test]
fn a_server_of_an_unknown_authority_gets_no_token() {
    let (project, server) = (Project::empty(), SecretServer::start());
    project.configure(&server.url, "");
    let run = |arguments: &[&str], authority: &str| {
        project.ingest(&[arguments, &["--progress", "off"]].concat()).with("SSL_CERT_FILE", authority).run()
    };
    // One that vouches for somebody else.
    let other = project.path("other.pem");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/server.pem"), &other).unwrap();
    assert_shows!(run(&["intercom.tags"], other.to_str().unwrap()), @r"
    exit code: 2
    ----- stdout -----
    table          new  changed  unchanged  removed  rows now  requests  time  outcome
    intercom.tags    0        0          0        0         -         0  [TIME]  failed
    ----- stderr -----
    error: table intercom.tags: GET /me: the server cannot be trusted (invalid peer certificate: UnknownIssuer)
      hint: if its certificate is signed by an authority of your own, such as that of a proxy, let SSL_CERT_FILE name a file that holds the authority's certificate; else install the usual ones (on Debian the package ca-certificates)
    ");
    assert!(server.asked().is_empty());
    // Whoever vouches for it is believed.
    run(&["intercom.tags"], &SecretServer::authority()).exits(3);
    assert_eq!(server.asked(), ["GET /me HTTP/1.1"]);
}

#[test]
fn a_store_of_an_unknown_authority_gets_no_request() {
    let (project, server) = (Project::small(), SecretServer::start());
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/server.pem");
    let refused = into_bucket(&project, "status", &server.url).with("SSL_CERT_FILE", other).run().exits(2);
    assert!(
        refused.stderr.contains("the store cannot be trusted (invalid peer certificate: UnknownIssuer)"),
        "{refused}"
    );
    assert!(
        refused.stderr.contains("hint: if its certificate is signed by an authority of your own"),
        "{refused}"
    );
    assert!(server.asked().is_empty());
    let known = SecretServer::authority();
    into_bucket(&project, "status", &server.url).with("SSL_CERT_FILE", &known).run().exits(4);
    assert_eq!(server.asked(), ["GET /bucket/lake/_ingest/manifest.json HTTP/1.1"]);
}

#[test]
fn a_proxy_that_is_none_is_no_reason_to_go_without() {
    let project = Project::empty();
    for (variable, value) in [
        ("HTTPS_PROXY", "htp://ada:s3cret@proxy.example.com:8080"),
        ("https_proxy", "http://ada:s3cret@proxy.example.com:port"),
        ("ALL_PROXY", "http://ada:s3cret@"),
    ] {
        let refused = project.ingest(&["intercom.tags"]).with(variable, value).run().exits(2);
        assert!(
            refused.stderr.contains(&format!("error: environment variable {variable}: expected ")),
            "{refused}"
        );
        assert!(!refused.stderr.contains("s3cret"), "{refused}");
    }
    let inside = Project::small();
    let of_store = into_bucket(&inside, "status", "https://store.example.com");
    let of_store = of_store.with("HTTPS_PROXY", "htp://ada:s3cret@proxy").run().exits(2);
    assert!(of_store.stderr.contains("environment variable HTTPS_PROXY"), "{of_store}");
    // What stays on this machine asks none.
    inside
        .ingest(&["intercom.tags"])
        .with("HTTPS_PROXY", "htp://proxy")
        .with("HTTP_PROXY", "-:-")
        .run()
        .exits(0);
}

#[test]
fn the_password_of_a_proxy_is_not_shown() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://ada:s3cret@{}", proxy.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in proxy.incoming() {
            let mut stream = BufReader::new(socket.unwrap());
            let mut line = String::new();
            stream.read_line(&mut line).ok();
            let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
            stream.get_mut().write_all(answer).ok();
        }
    });
    let refused =
        Project::empty().ingest(&["intercom.tags", "-vv"]).with("HTTPS_PROXY", &address).run().exits(1);
    assert!(!refused.to_string().contains("s3cret"), "{refused}");
    let project = Project::small();
    let of_store = into_bucket(&project, "status", "https://store.example.com");
    let of_store = of_store.with("AWS_PROXY_URL", "htp://ada:s3cret@proxy").run().exits(2);
    assert!(of_store.stderr.contains("environment variable AWS_PROXY_URL: expected"), "{of_store}");
    assert!(!of_store.to_string().contains("s3cret"), "{of_store}");
}

#[test]
fn a_password_in_an_endpoint_is_refused_and_not_shown() {
    let project = Project::small();
    let typed = into_bucket(&project, "status", "http://ada:s3cret@127.0.0.1:9000").run().exits(2);
    assert!(
        typed.stderr.contains("error: environment variable AWS_ENDPOINT_URL: a user name or password"),
        "{typed}"
    );
    let lake = "  parquet:\n    - { name: lake, path: \"s3://bucket/lake\", endpoint: \"http://ada:s3cret@127.0.0.1:9000\" }\n";
    project.configure(&project.sandbox().base_url(), lake);
    let configured =
        ["intercom.tags", "status", "check"].map(|command| project.ingest(&[command]).run().exits(2));
    for refused in configured.iter().chain([&typed]) {
        assert!(!refused.to_string().contains("s3cret"), "{refused}");
    }
    for refused in &configured {
        assert!(refused.stderr.contains("connection lake: endpoint: a user name or password"), "{refused}");
    }
}
