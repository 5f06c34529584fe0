//! The sandbox over real HTTP, by a client that knows nothing but sockets.

use std::io::{Read, Write};
use std::net::TcpStream;

use flate2::read::GzDecoder;
use serde_json::json;

use super::*;

#[path = "content_tests.rs"]
mod content;
#[path = "membership_tests.rs"]
mod membership;
#[path = "mood_tests.rs"]
mod mood;
#[path = "workspace_tests.rs"]
mod workspace;

/// An answer as it came over the wire.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn code(&self) -> (u16, String) {
        (self.status, self.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// Sends one request as text and reads until the connection closes.
async fn raw(sandbox: &Sandbox, request: &str) -> std::io::Result<Answer> {
    let (address, request) = (address(sandbox), request.to_owned());
    let exchange = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(request.as_bytes())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = exchange.await.unwrap()?;
    let end =
        bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Answer { status, head, body: bytes[end + 4..].to_vec() })
}

fn address(sandbox: &Sandbox) -> String {
    sandbox.base_url().strip_prefix("http://").unwrap().to_owned()
}

async fn send(
    sandbox: &Sandbox,
    method: &str,
    path: &str,
    extra: &str,
    body: &str,
) -> std::io::Result<Answer> {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer sandbox-token\r\n\
         Intercom-Version: 2.14\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{extra}\r\n{body}"
    );
    raw(sandbox, &request).await
}

async fn get(sandbox: &Sandbox, path: &str) -> Answer {
    send(sandbox, "GET", path, "", "").await.unwrap()
}

async fn post(sandbox: &Sandbox, path: &str, body: &Value) -> Answer {
    send(sandbox, "POST", path, "", &body.to_string()).await.unwrap()
}

async fn start(settings: Settings) -> Sandbox {
    Sandbox::start(settings).await.unwrap()
}

fn fault(matching: &str, what: FaultKind) -> Fault {
    Fault { matching: matching.to_owned(), after: 0, times: 1, what }
}

fn everyone(after: Option<&str>) -> Value {
    json!({
        "query": {"field": "created_at", "operator": ">", "value": 0},
        "sort": {"field": "updated_at", "order": "ascending"},
        "pagination": {"per_page": 100, "starting_after": after},
    })
}

fn next(page: &Value) -> Option<String> {
    page["pages"]["next"]["starting_after"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn me_tells_the_workspace_and_answers_carry_the_simulated_date_and_rate() {
    let sandbox = start(Settings::default()).await;
    sandbox.advance(Duration::from_secs(86_400));
    let me = get(&sandbox, "/me").await;
    let app = &me.json()["app"];
    assert_eq!(
        (&app["id_code"], &app["region"], &app["timezone"]),
        (&json!("sb0x2wrk"), &json!("US"), &json!("UTC"))
    );
    assert!(me.header("date").unwrap().starts_with("Fri, 16 Jan 2026 12:00:"), "{}", me.head);
    assert_eq!(me.header("x-ratelimit-limit"), Some("10000"));
    assert_eq!(me.header("x-ratelimit-remaining"), Some("9999"));
    let reset: i64 = me.header("x-ratelimit-reset").unwrap().parse().unwrap();
    assert!((1..=10).contains(&(reset - sandbox.now().as_second())));
}

#[tokio::test]
async fn who_may_not_is_told_so() {
    let sandbox = start(Settings::default()).await;
    let ask = |headers: &str| format!("GET /tags HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    let version = "Intercom-Version: 2.14\r\n";
    let token = "Authorization: Bearer sandbox-token\r\n";
    for (headers, code) in [
        (version.to_owned(), (401, "missing_authorization")),
        (format!("{version}Authorization: Bearer wrong\r\n"), (401, "token_unauthorized")),
        (format!("{version}Authorization: sandbox-token\r\n"), (401, "token_unauthorized")),
        (token.to_owned(), (400, "intercom_version_invalid")),
        (format!("{token}Intercom-Version: 2.17\r\n"), (400, "intercom_version_invalid")),
    ] {
        let refused = raw(&sandbox, &ask(&headers)).await.unwrap();
        assert_eq!(refused.code(), (code.0, code.1.to_owned()), "{headers}");
        assert_eq!(refused.json()["type"], "error.list");
        assert!(refused.json()["request_id"].is_string());
        assert_eq!(refused.header("x-ratelimit-limit").is_some(), code.0 != 401);
    }
    sandbox.deny("/admins", 403);
    sandbox.deny("/teams", 401);
    assert_eq!(get(&sandbox, "/admins").await.code(), (403, "forbidden".to_owned()));
    assert_eq!(get(&sandbox, "/teams").await.code(), (401, "token_unauthorized".to_owned()));
    assert_eq!(get(&sandbox, "/tags").await.status, 200);
    sandbox.revoke_token();
    assert_eq!(get(&sandbox, "/tags").await.code(), (401, "token_revoked".to_owned()));
}

#[tokio::test]
async fn a_refused_request_is_not_carried_out() {
    let rate = RateLimit { requests: 2, per: Duration::from_secs(30) };
    let sandbox = start(Settings { rate_limit: Some(rate), companies: 250, ..Settings::default() }).await;
    let first = get(&sandbox, "/companies/scroll").await.json();
    let path = format!("/companies/scroll?scroll_param={}", first["scroll_param"].as_str().unwrap());
    assert_eq!(get(&sandbox, "/me").await.status, 200);
    let refused = get(&sandbox, &path).await;
    assert_eq!(refused.code(), (429, "rate_limit_exceeded".to_owned()));
    assert_eq!((refused.header("x-ratelimit-remaining"), refused.header("retry-after")), (Some("0"), None));
    sandbox.advance(Duration::from_secs(30));
    // The second page, not the third.
    assert_eq!(get(&sandbox, &path).await.json()["data"].as_array().unwrap().len(), 100);
    assert_eq!(
        sandbox.requests().iter().map(|request| request.status).collect::<Vec<_>>(),
        [200, 200, 429, 200]
    );
}

#[tokio::test]
async fn search_pages_hold_what_truth_says() {
    let sandbox = start(Settings { index_lag: Duration::from_secs(300), ..Settings::default() }).await;
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = post(&sandbox, "/contacts/search", &everyone(after.as_deref())).await.json();
        rows.extend(page["data"].as_array().unwrap().clone());
        after = next(&page);
        if after.is_none() {
            break;
        }
    }
    rows.sort_by_key(|row| row["id"].as_str().unwrap().to_owned());
    assert_eq!(rows, sandbox.truth("contacts"));
    assert_eq!(sandbox.requests().len(), 3);

    let id = sandbox.change(Change::Insert { table: "contacts".to_owned() }).remove(0);
    let newest = json!({"query": {"field": "id", "operator": "=", "value": id}});
    let count = async || post(&sandbox, "/contacts/search", &newest).await.json()["total_count"].clone();
    assert_eq!(count().await, 0);
    assert_eq!(get(&sandbox, &format!("/contacts/{id}")).await.status, 200);
    sandbox.advance(Duration::from_secs(300));
    assert_eq!(count().await, 1);
}

#[tokio::test]
async fn single_rows_show_more_than_lists_and_the_gone_are_gone() {
    let sandbox = start(Settings::default()).await;
    let conversation = &sandbox.truth("conversations")[17];
    let id = conversation["id"].as_str().unwrap();
    let whole = get(&sandbox, &format!("/conversations/{id}")).await.json();
    assert_eq!(whole["conversation_parts"]["conversation_parts"].as_array().unwrap().len(), 500);
    assert_eq!(whole["conversation_parts"]["total_count"], 520);
    assert_eq!(whole["statistics"], conversation["statistics"]);
    let article = sandbox.truth("articles")[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        get(&sandbox, &format!("/articles/{article}")).await.json()["statistics"]["type"],
        "article_statistics"
    );

    let ids: Vec<_> =
        sandbox.truth("contacts").iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    sandbox.change(Change::Merge { from: ids[0].clone(), into: ids[1].clone() });
    let path = format!("/contacts/{}", ids[0]);
    assert_eq!(get(&sandbox, &path).await.code(), (404, "not_found".to_owned()));
    let newer = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer sandbox-token\r\n\
         Intercom-Version: 2.16\r\n\r\n"
    );
    let merged = raw(&sandbox, &newer).await.unwrap();
    assert_eq!(merged.code(), (410, "contact_merged".to_owned()));
    assert_eq!(merged.header("link"), Some(format!("</contacts/{}>; rel=\"canonical\"", ids[1]).as_str()));
}

#[tokio::test]
async fn lists_follow_the_contract() {
    let sandbox = start(Settings::default()).await;
    let page = get(&sandbox, "/articles?per_page=20").await.json();
    assert_eq!((page["data"].as_array().unwrap().len(), &page["total_count"]), (20, &json!(30)));
    let url = page["pages"]["next"].as_str().unwrap().to_owned();
    let last = get(&sandbox, url.strip_prefix(&sandbox.base_url()).unwrap()).await.json();
    assert_eq!((last["data"].as_array().unwrap().len(), &last["pages"]["next"]), (10, &Value::Null));

    let companies = post(&sandbox, "/companies/list?per_page=60", &json!({})).await.json();
    assert_eq!(companies["total_count"], 53);
    for (method, path, status) in [
        ("POST", "/companies/list?per_page=61", 400),
        ("POST", "/companies/list?per_page=60&page=167", 400),
        ("GET", "/companies", 400),
        ("GET", "/companies?company_id=acct-7", 200),
        ("GET", "/companies?company_id=acct", 404),
        ("GET", "/companies/list", 404),
        ("POST", "/tags", 404),
        ("GET", "/nothing", 404),
        ("GET", "/articles?page=0", 400),
        ("GET", "/companies/scroll?scroll_param=unknown", 404),
    ] {
        assert_eq!(send(&sandbox, method, path, "", "").await.unwrap().status, status, "{method} {path}");
    }
    assert_eq!(send(&sandbox, "POST", "/contacts/search", "", "{\"query\":").await.unwrap().status, 400);

    assert!(get(&sandbox, "/segments").await.json()["segments"][0].get("count").is_none());
    let counted = get(&sandbox, "/segments?include_count=true").await.json();
    assert_eq!(counted["segments"], json!(sandbox.truth("segments")));
    assert_eq!(get(&sandbox, "/admins").await.json()["admins"], json!(sandbox.truth("admins")));
    assert_eq!(get(&sandbox, "/teams").await.json()["teams"], json!(sandbox.truth("teams")));
    assert_eq!(get(&sandbox, "/tags").await.json()["data"], json!(sandbox.truth("tags")));
    let attributes = async |query: &str| {
        get(&sandbox, &format!("/data_attributes?{query}")).await.json()["data"].as_array().unwrap().len()
    };
    let all = attributes("include_archived=true").await;
    assert_eq!(all, sandbox.truth("data_attributes").len());
    assert!(attributes("model=contact").await < attributes("model=contact&include_archived=true").await);
}

#[tokio::test]
async fn the_scroll_is_shared_and_a_lost_answer_is_lost() {
    let sandbox = start(Settings { companies: 250, ..Settings::default() }).await;
    assert!(sandbox.open_foreign_scroll());
    assert_eq!(get(&sandbox, "/companies/scroll").await.code(), (400, "scroll_exists".to_owned()));
    sandbox.advance(Duration::from_secs(60));
    let first = get(&sandbox, "/companies/scroll").await.json();
    let path = format!("/companies/scroll?scroll_param={}", first["scroll_param"].as_str().unwrap());
    assert_eq!((first["data"].as_array().unwrap().len(), &first["total_count"]), (100, &Value::Null));
    sandbox.fault(fault("", FaultKind::LostScrollAnswer));
    assert!(send(&sandbox, "GET", &path, "", "").await.is_err());
    assert_eq!(get(&sandbox, &path).await.json()["data"].as_array().unwrap().len(), 50);
    assert_eq!(get(&sandbox, &path).await.json()["data"], json!([]));
    assert_eq!(get(&sandbox, &path).await.code(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn faults_look_from_outside_like_what_they_are() {
    let sandbox = start(Settings::default()).await;
    let status = |code, headers| FaultKind::Status {
        code,
        error_code: "server_error".to_owned(),
        retry_after: Some(7),
        headers,
    };
    sandbox.fault(fault("/tags", status(429, true)));
    let limited = get(&sandbox, "/tags").await;
    assert_eq!((limited.status, limited.header("x-ratelimit-remaining")), (429, Some("0")));
    assert_eq!(limited.header("retry-after"), Some("7"));
    sandbox.fault(fault("/tags", status(503, false)));
    let down = get(&sandbox, "/tags").await;
    assert_eq!((down.code(), down.header("x-ratelimit-limit")), ((503, "server_error".to_owned()), None));

    sandbox.fault(fault("", FaultKind::ResetBeforeAnswer));
    let reset = send(&sandbox, "GET", "/tags", "", "").await.unwrap_err();
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(sandbox.requests().last().unwrap().status, 0);
    sandbox.fault(fault("", FaultKind::TruncatedBody));
    let cut = get(&sandbox, "/tags").await;
    let promised: usize = cut.header("content-length").unwrap().parse().unwrap();
    assert_eq!(cut.body.len(), promised / 2);
    sandbox.fault(fault("", FaultKind::EmptyBody));
    assert_eq!(get(&sandbox, "/tags").await.body, b"");
    sandbox.fault(fault("", FaultKind::NotJson));
    assert!(get(&sandbox, "/tags").await.body.starts_with(b"<html>"));
    sandbox.fault(fault("", FaultKind::MissingRecords));
    assert!(get(&sandbox, "/tags").await.json().get("data").is_none());
    sandbox.fault(fault("", FaultKind::BadRow));
    assert!(get(&sandbox, "/tags").await.json()["data"][0].is_string());
    sandbox.fault(fault("", FaultKind::Stall(Duration::from_millis(20))));
    let before = std::time::Instant::now();
    assert_eq!(get(&sandbox, "/tags").await.status, 200);
    assert!(before.elapsed() >= Duration::from_millis(20));
    assert_eq!(get(&sandbox, "/tags").await.status, 200);
}

#[tokio::test]
async fn a_repeated_cursor_leads_nowhere() {
    let sandbox = start(Settings::default()).await;
    sandbox.fault(fault("/contacts", FaultKind::RepeatCursor));
    let first = post(&sandbox, "/contacts/search", &everyone(None)).await.json();
    let cursor = next(&first).unwrap();
    let second = post(&sandbox, "/contacts/search", &everyone(Some(&cursor))).await.json();
    assert_eq!(next(&second), Some(cursor.clone()));
    let again = post(&sandbox, "/contacts/search", &everyone(Some(&cursor))).await.json();
    assert_eq!(again["data"], second["data"]);
    assert_ne!(next(&again), Some(cursor));
}

#[tokio::test]
async fn the_workspace_changes_while_it_is_read() {
    let sandbox = start(Settings::default()).await;
    let churn =
        Churn { every_requests: 2, updates: 1, inserts: 3, deletes: 1, tables: vec!["contacts".to_owned()] };
    sandbox.set_churn(Some(churn));
    for total in [250, 250, 252, 252, 254] {
        let page = post(&sandbox, "/contacts/search", &everyone(None)).await.json();
        assert_eq!(page["total_count"], total);
    }
}

#[tokio::test]
async fn compressed_answers_hold_the_same() {
    let sandbox = start(Settings::default()).await;
    let body = everyone(None).to_string();
    let packed =
        send(&sandbox, "POST", "/contacts/search", "Accept-Encoding: gzip\r\n", &body).await.unwrap();
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(packed.body.as_slice()).read_to_string(&mut text).unwrap();
    let plain = send(&sandbox, "POST", "/contacts/search", "", &body).await.unwrap();
    assert_eq!((text.as_bytes(), plain.header("content-encoding")), (plain.body.as_slice(), None));
}

#[tokio::test]
async fn a_stopped_sandbox_answers_nobody() {
    let sandbox = start(Settings::default()).await;
    sandbox.stop();
    // The listener closes as soon as its task runs.
    while TcpStream::connect(address(&sandbox)).is_ok() {
        tokio::task::yield_now().await;
    }
}
