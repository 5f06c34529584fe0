//! Names and words that others wrote: none of them moves the cursor, turns text around, forges a line, or brings a token
//! back.
//!
//! Every finished run of the binary is looked at for what must not be printed (`Finished`); here is what would print it.

use std::fs::File;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::binary::{Finished, Project, TOKEN};
use crate::support::odd_server::{Answer, Asked, OddServer};

/// Everything at once: codes of a terminal in seven and in eight bits, breaks of lines of every kind, marks of direction,
/// letters of no width.
const ODD: &str = "odd\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\u{7f}\u{0}\r\nerror: forged\nwarning: forged\u{2028}note: forged\
    \u{2029}hint: forged\u{85}forged.table ok\u{b}\u{c}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\
    \u{200e}\u{200f}\u{61c}\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{e0041}";

/// The same, for what cannot hold a NUL.
fn odd() -> String {
    ODD.replace('\0', "")
}

/// The token with something between its letters that is not printed.
fn split_token() -> String {
    let (head, tail) = TOKEN.split_at(TOKEN.len() / 2);
    let (first, second) = tail.split_at(tail.len() / 2);
    format!("{head}\u{7}{first}\u{200b}\n{second}")
}

/// A project whose workspace is a server that answers as told; it ends with the runtime.
fn project(me: Answer, answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> (Project, Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(OddServer::start_with_me(me, answer));
    let project = Project::empty();
    project.configure(&server.base_url, "");
    (project, runtime)
}

/// `GET /me` of a workspace whose id is this, and its names too, with the token in them.
fn me(id: &str) -> Answer {
    let name = format!("{id}{}", split_token());
    let app = json!({ "id_code": id, "name": name, "region": name, "timezone": name });
    Answer::ok(&json!({ "type": "admin", "app": app }))
}

/// Fails if a line begins like one that was forged, or if half of the token is there.
#[track_caller]
fn assert_honest(run: &Finished) {
    for text in [&run.stdout, &run.stderr] {
        for line in text.lines() {
            let words = line.trim_start().split_once("forged").map(|(before, _)| before);
            let is_forged = matches!(words, Some("" | "error: " | "warning: " | "note: " | "hint: "));
            assert!(!is_forged, "a forged line: {run}");
        }
        let half = TOKEN.split_at(TOKEN.len() / 2).0;
        assert!(!text.contains(half), "half a token: {run}");
    }
}

#[test]
fn names_in_answers() {
    let field = format!("{ODD}{}", "x".repeat(5_000));
    let row = json!({ "id": ODD, "name": ODD, field: 1, split_token(): 2, "applied_count": { ODD: 3 } });
    let (project, _runtime) = project(me(ODD), move |asked| match asked.target.as_str() {
        "/tags" => Answer::ok(&json!({ "data": [row] })),
        _ => Answer::status(404, &json!({ "errors": [{ "code": ODD, "message": split_token() }] })),
    });
    for arguments in [
        vec!["check"],
        vec!["check", "-vv"],
        vec!["intercom.tags", "-vv"],
        vec!["intercom.tags", "--progress", "plain"],
        vec!["intercom.tags", "--output", "json"],
        vec!["intercom.contacts", "intercom.articles", "intercom.teams", "-v"],
        vec!["status"],
        vec!["status", "--output", "json"],
    ] {
        let run = project.ingest(&arguments).run();
        assert!(!run.stdout.is_empty(), "{arguments:?}: {run}");
        assert_honest(&run);
        // A name of 5,000 letters, and no line is much longer than what is said around it.
        let longest = run.stdout.lines().map(|line| line.chars().count()).max();
        let is_exact = arguments.contains(&"json");
        assert!(is_exact || longest < Some(1_500), "{arguments:?}: {run}");
    }
    // What programs get is the name as it is, but for the token in it.
    let run = project.ingest(&["intercom.tags", "--full-refresh", "--output", "json"]).run().exits(0);
    let summary: Value = run.json();
    let fields = summary["tables"][0]["unknown_fields"].as_object().unwrap();
    assert!(fields.keys().any(|name| name.starts_with(ODD)), "{run}");
    assert!(fields.contains_key("***"), "{run}");
    // Another workspace behind the same name.
    let (other, _second) = self::project(me("other"), |_| Answer::ok(&json!({ "data": [] })));
    let connections = std::fs::read_to_string(other.path("connections.yml")).unwrap();
    project.write("connections.yml", &connections);
    let refused = project.ingest(&["intercom.tags"]).run().exits(2);
    assert!(refused.stderr.contains("holds workspace odd"), "{refused}");
    assert_honest(&refused);
}

#[test]
fn words_of_a_server_that_refuses() {
    for status in [400, 401, 403, 422] {
        let said = json!({ "errors": [{ "code": ODD, "message": format!("{}{ODD}", split_token()) }] });
        let refusal = Answer::status(status, &said);
        let (project, _runtime) = project(me("odd"), move |_| refusal.clone());
        for arguments in [
            vec!["intercom.tags", "-vv"],
            vec!["intercom.tags", "--output", "json"],
            vec!["intercom.contacts", "--progress", "plain"],
            vec!["check"],
            vec!["status"],
        ] {
            let run = project.ingest(&arguments).run();
            assert_honest(&run);
            let repeats_it = arguments[0].starts_with("intercom");
            assert!(!repeats_it || run.stderr.contains("***"), "{status} {arguments:?}: {run}");
        }
    }
    // The first thing that is asked.
    let me = Answer::status(401, &json!({ "errors": [{ "code": split_token(), "message": ODD }] }));
    let (project, _runtime) = project(me, |_| Answer::ok(&json!({})));
    for arguments in [["intercom.tags", "-vv"], ["check", "-v"]] {
        let run = project.ingest(&arguments).run().exits(3);
        assert!(format!("{run}").contains("answered 401 *** (odd]0;title[2J31m"), "{run}");
        assert_honest(&run);
    }
}

#[test]
fn what_was_typed() {
    let project = Project::small();
    let odd = odd();
    let (table, to, schema) = (format!("intercom.{odd}"), format!("duckdb:{odd}"), format!("--schema={odd}"));
    for arguments in [
        vec![odd.as_str()],
        vec![&table],
        vec!["intercom.tags", "--to", &odd],
        vec!["intercom.tags", "--to", &to],
        vec!["intercom.tags", &schema],
        vec!["intercom.tags", "--config", &odd],
        vec!["intercom.tags", "--limit", &odd],
        vec!["intercom.tags", "--progress", &odd],
        vec!["intercom.tags", "--rate-limit", &odd],
        vec!["intercom.tags", "--interval-start", &odd],
        vec!["intercom.tags", &format!("--{odd}")],
        vec!["intercom.tags", &format!("-{odd}")],
        vec!["intercom.tags", &format!("--limit=5{odd}")],
        vec!["tables", &odd],
        vec!["tables", "intercom", &odd],
        vec!["status", &odd],
        vec!["check", &odd],
        vec!["sandbox", "--time-zone", &odd],
        vec!["sandbox", "--rate-limit", &odd],
        vec!["sandbox", "--port", &odd],
        vec!["init", "--config", &format!("nowhere/{odd}")],
        vec!["demo", "--path", &format!("nowhere/{odd}")],
    ] {
        let run = project.ingest(&arguments).run();
        assert_ne!(run.code, Some(0), "{arguments:?}: {run}");
        assert!(run.stderr.starts_with("error: "), "{arguments:?}: {run}");
        assert_honest(&run);
    }
    // What would be fit to print is cut all the same.
    let long = project.ingest(&["intercom.tags", "--limit", &"9".repeat(9_000)]).run().exits(2);
    assert!(long.stderr.len() < 1_000, "{long}");
    // A file of that name is written, and said to be.
    let run = project.ingest(&["init", "--config", "a\nerror: forged\u{1b}[2J"]).run().exits(0);
    assert!(run.stdout.starts_with("wrote a error: forged[2J\n"), "{run}");
    assert_honest(&run);
}

#[test]
fn values_of_variables() {
    let project = Project::small();
    let odd = odd();
    for variable in
        ["INGEST_TO", "INGEST_SCHEMA", "INGEST_CONCURRENCY", "INGEST_WAIT", "INGEST_OUTPUT", "INGEST_CONFIG"]
    {
        let run = project.ingest(&["intercom.tags"]).with(variable, &odd).run().exits(2);
        assert_honest(&run);
        let help = project.ingest(&["--help"]).with(variable, &odd).run().exits(0);
        let words: Vec<&str> = help.stdout.split_whitespace().collect();
        assert!(words.join(" ").contains(&format!("[env: {variable}]")), "{help}");
        assert_honest(&help);
    }
    let run = Project::empty().ingest(&["intercom.tags"]).with("INTERCOM_REGION", &odd).run().exits(2);
    assert_honest(&run);
    for token in [odd.clone(), split_token()] {
        let run = project.ingest(&["intercom.tags"]).with("INTERCOM_ACCESS_TOKEN", &token).run().exits(2);
        assert_honest(&run);
    }
}

#[test]
fn what_stands_in_the_configuration() {
    let project = Project::empty();
    // As YAML writes them.
    let odd: Vec<String> = odd().chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect();
    let odd = odd.concat();
    let entry = |lines: &str| format!("connections:\n  intercom:\n    - name: intercom\n{lines}");
    for text in [
        format!("\"{odd}\": 1\n"),
        format!("connections:\n  \"{odd}\": []\n"),
        format!("connections:\n  intercom:\n    - name: \"{odd}\"\n"),
        // A name may be written from right to left, or so that it looks like another.
        "connections:\n  intercom:\n    - name: \"a\\u202eb\\u200b\"\n      access_tokn: x\n".to_owned(),
        entry(&format!("      \"{odd}\": x\n")),
        entry(&format!("      access_token: x\n      region: \"{odd}\"\n")),
        entry(&format!("      access_token: x\n      base_url: \"https://{odd}\"\n")),
        entry(&format!("      access_token: \"${{{odd}}}\"\n")),
        entry(&format!("      access_token: x\ndefault_destination: \"{odd}\"\n")),
        entry("      access_token: *\u{202e}\u{9b}2J\n"),
        entry("      access_token: !<\u{202e}> x\n"),
        entry("      access_token: \"\u{1b}[2J\u{7}\"\n"),
        "a: \u{1b}[2J\n".to_owned(),
    ] {
        project.write("connections.yml", &text);
        let run = project.ingest(&["intercom.tags", "--to", "nowhere"]).run().exits(2);
        assert!(run.stderr.lines().any(|line| line.starts_with("error: ")), "{text}: {run}");
        assert_honest(&run);
    }
    // A file that is called so.
    let name = format!("{}.yml", self::odd().replace('/', ""));
    project.write(&name, "connections: 1\n");
    let run = project.ingest(&["intercom.tags", "--config", &name]).run().exits(2);
    assert!(run.stderr.contains("connections: expected"), "{run}");
    assert_honest(&run);
}

#[test]
fn what_stands_in_a_lock_file() {
    let project = Project::small();
    let path = project.path("ingest.duckdb.lock");
    std::fs::write(&path, format!("PID 7{}", odd().chars().take(90).collect::<String>())).unwrap();
    let lock = File::options().write(true).open(&path).unwrap();
    lock.lock().unwrap();
    let run = project.ingest(&["intercom.tags", "--progress", "plain"]).run().exits(75);
    assert!(run.stderr.contains("another run is writing"), "{run}");
    assert!(run.stderr.contains("(PID 7odd"), "{run}");
    assert_honest(&run);
}

#[test]
fn what_stands_in_a_destination() {
    let project = Project::small();
    project.ingest(&["intercom.tags"]).run().exits(0);
    let odd = odd();
    {
        let file = duckdb::Connection::open(project.path("ingest.duckdb")).unwrap();
        file.execute("UPDATE _ingest.runs SET error = ?, outcome = ?", [&odd, &odd]).unwrap();
        file.execute("UPDATE _ingest.runs SET table_name = ?", [&odd]).unwrap();
        file.execute("UPDATE _ingest.state SET table_name = ?, schema_name = ?", [&odd, &odd]).unwrap();
    }
    let run = project.ingest(&["status"]).run().exits(0);
    assert!(run.stdout.contains("odd]0;title[2J31m"), "{run}");
    assert_honest(&run);
    let exact = project.ingest(&["status", "--output", "json"]).run().exits(0);
    assert_eq!(exact.json()["runs"][0]["error"], odd.as_str());
    assert_honest(&exact);
}

/// A store that repeats what it was sent, and a password in its address.
#[test]
fn words_of_an_object_store() {
    const SECRET: &str = "a-Very/secret+key";
    let said = format!("a-Very/se\u{200b}cret\u{7}+key a-Very%2Fsecret%2Bkey {ODD} {}", "y".repeat(3_000));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(OddServer::start(move |asked| {
        let signed = asked.headers.iter().find(|(name, _)| name == "authorization");
        let signed = signed.map(|(_, value)| value.as_str()).unwrap_or_default();
        let xml =
            format!("<Error><Code>AccessDenied</Code><Message>{said}</Message><Sent>{signed}</Sent></Error>");
        Answer::text(xml).refused(403)
    }));
    let project = Project::small();
    let endpoint = server.base_url.replace("://", "://somebody:pass-word@");
    let mut told = 0;
    for endpoint in [&server.base_url, &endpoint] {
        for arguments in [vec!["intercom.tags", "-vv"], vec!["check"], vec!["status"]] {
            let run = project
                .ingest(&[&arguments[..], &["--to", "s3://bucket/lake"]].concat())
                .with("AWS_ACCESS_KEY_ID", "key")
                .with("AWS_SECRET_ACCESS_KEY", SECRET)
                .with("AWS_ENDPOINT_URL", endpoint)
                .run();
            assert_ne!(run.code, Some(0), "{run}");
            let shown = run.to_string();
            for secret in [SECRET, "a-Very", "%2Bkey", "pass-word", "somebody"] {
                assert!(!shown.contains(secret), "{secret}: {run}");
            }
            told += usize::from(shown.contains("***"));
            assert_honest(&run);
        }
    }
    assert!(told > 0, "the words of the store are repeated without what must not be");
}
