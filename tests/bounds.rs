//! Answers and lists without end, or nearly so: what is read of them is bounded, and what is waited for is said.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ingest::client::{Backoff, Call, Client, ClientSettings};
use ingest::config::secret::Secret;
use ingest::progress::TableProgress;
use ingest::report::Outcome;
use serde_json::json;
use tempfile::TempDir;

use crate::odd_servers::{ids, read};
use crate::support::odd_server::{Answer, OddServer, Packer};

const MB: usize = 1 << 20;
/// How long silence is borne here.
const PATIENCE: Duration = Duration::from_millis(300);
/// Only a hang takes as long.
const HANG: Duration = Duration::from_secs(120);

/// A client that bears a silence of `patience` and tries twice, and where it reports.
fn client(server: &OddServer, patience: Duration) -> (Client, TableProgress) {
    let progress = TableProgress::silent();
    let settings = ClientSettings {
        base_url: server.base_url.clone(),
        token: Secret::new("odd-token".to_owned()),
        api_version: "2.14".to_owned(),
        rate_limit: None,
        concurrency: 16,
        patience,
        backoff: Backoff {
            first: Duration::from_millis(2),
            longest: Duration::from_millis(10),
            attempts: 2,
            refusals: Duration::from_secs(10),
        },
    };
    (Client::new(settings, progress.clone()).unwrap(), progress)
}

/// A page without rows of that size.
fn spacious(megabytes: usize) -> Answer {
    Answer::ok(&json!({ "data": [] })).after_spaces(megabytes * MB)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_error_only_the_beginning_is_read() {
    let server = OddServer::start(|asked| match asked.target.as_str() {
        "/endless" => Answer::status(404, &json!([])).after_spaces(400 * MB),
        "/packed" => Packer::new().with("[", 1).with("[],", MB).with("0]", 1).answer(404),
        _ => Answer::status(404, &json!({ "errors": [{ "code": "not_found" }] })),
    })
    .await;
    let (client, _) = client(&server, HANG);
    for (path, code) in [("/endless", false), ("/packed", false), ("/usual", true)] {
        let error = client.send(|_| Call::get(path)).await.unwrap_err();
        assert_eq!((error.status(), error.has_code("not_found")), (Some(404), code), "{path}");
    }
    assert!(server.sent() < 100 * MB, "{} bytes went out", server.sent());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_says_whose_the_token_is_may_not_be_huge() {
    let me = Packer::new().with("[", 1).with("[],", MB).with("0]", 1).answer(200);
    let server = OddServer::start_with_me(me, |_| Answer::ok(&json!({ "data": [] }))).await;
    let folder = TempDir::new().unwrap();
    let error = read(&server, "tags", folder.path()).await.error.unwrap();
    assert_eq!(error.to_string(), "GET /me: an answer of more than 1 MB");
    assert!(error.hint().is_some_and(|hint| hint.contains("base_url")), "{error:?}");
    assert_eq!(server.asked("/me").len(), 1, "the same call is answered with the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_around_rows_or_in_the_place_of_them_may_not_be_huge() {
    let around = r#"{"data":[{"id":"1"}],"pages":{"next":null,"x":["#;
    for (before, unit, times, after, words) in [
        (around, "[],", 30_000, "0]}}", "more than 64 KB around the rows"),
        (r#"{"data":["#, r#"{"id":1},"#, 400_000, r#"{"id":1}]}"#, "too many entries"),
    ] {
        let bomb = Packer::new().with(before, 1).with(unit, times).with(after, 1).answer(200);
        let server = OddServer::start(move |_| bomb.clone()).await;
        let folder = TempDir::new().unwrap();
        let error = read(&server, "contacts", folder.path()).await.error.unwrap().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_too_large_is_asked_for_in_smaller_ones() {
    // A megabyte for each row that is asked for.
    let server = OddServer::start(|asked| {
        let rows = asked.body["pagination"]["per_page"].as_u64().unwrap();
        let page = json!({ "id": "only", "created_at": 1_600_000_000, "updated_at": 1_600_000_000 });
        let megabytes = usize::try_from(rows).unwrap();
        Answer::ok(&json!({ "total_count": 1, "data": [page] })).after_spaces(megabytes * MB)
    })
    .await;
    let folder = TempDir::new().unwrap();
    let report = read(&server, "contacts", folder.path()).await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.error);
    assert_eq!(ids(folder.path(), "contacts"), ["only"]);
    let asked = server.asked("/contacts/search");
    let sizes = asked.iter().filter_map(|asked| asked.body["pagination"]["per_page"].as_u64());
    let sizes: Vec<u64> = sizes.filter(|rows| *rows > 1).collect();
    assert_eq!(sizes[..2], [150, 37], "{sizes:?}");
    assert_eq!(sizes.iter().filter(|rows| **rows == 150).count(), 1, "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_too_large_whatever_is_asked_for_fails_its_table() {
    for (table, requests) in [("contacts", 5), ("articles", 3), ("companies", 1), ("tags", 1)] {
        let server = OddServer::start(|_| spacious(300)).await;
        let folder = TempDir::new().unwrap();
        let error = read(&server, table, folder.path()).await.error.unwrap();
        let text = error.to_string();
        assert!(text.ends_with(": an answer of more than 256 MB"), "{text}");
        assert!(error.hint().is_some(), "{text}");
        assert_eq!(server.asked("").len(), requests + 1, "{table}");
        assert!(server.sent() < 100 * MB, "{table}: {} bytes went out", server.sent());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_answers_take_turns_where_there_is_no_room_for_all_of_them() {
    let server = OddServer::start(|_| spacious(100)).await;
    let (client, _) = client(&server, HANG);
    let first = client.send(|_| Call::get("/first")).await.unwrap();
    let second = client.send(|_| Call::get("/second")).await.unwrap();
    let beside = TableProgress::silent();
    let third = client.on_behalf_of(beside.clone());
    let third = tokio::spawn(async move { third.send(|_| Call::get("/third")).await });
    // It finds no room, and asks once more when there is some.
    while server.asked("/third").is_empty() || client.pace().in_flight > 0 {
        tokio::task::yield_now().await;
    }
    assert!(!third.is_finished());
    let small = Call::get("/small").at_most(MB);
    assert!(client.send(|_| small.clone()).await.unwrap_err().is_too_large(), "others are not held up");
    drop(first);
    let third = tokio::time::timeout(HANG, third).await.expect("room").unwrap().unwrap();
    assert_eq!(third.body.len(), second.body.len());
    assert_eq!((server.asked("/third").len(), beside.retries()), (2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_large_answers_at_once_are_all_had() {
    let server = OddServer::start(|_| spacious(48)).await;
    let (client, progress) = client(&server, HANG);
    let one = async |number: usize| {
        let answer = client.send(|_| Call::get(format!("/{number}"))).await.unwrap();
        // Other answers come while this one is still there.
        tokio::task::yield_now().await;
        answer.body.len()
    };
    let all = futures_util::future::join_all((0..8).map(one));
    let lengths = tokio::time::timeout(HANG, all).await.expect("no answer waits for ever");
    assert!(lengths.iter().all(|length| *length > 48 * MB), "{lengths:?}");
    assert!(progress.retries() <= 8, "{} in vain", progress.retries());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_drips_is_no_answer() {
    let drop = Duration::from_millis(20);
    let server = OddServer::start(move |asked| match asked.target.as_str() {
        "/refused" => Answer::status(404, &json!({ "errors": [] })).after_spaces(10_000).dripping(drop),
        _ => Answer::ok(&json!([])).after_spaces(100_000).dripping(drop),
    })
    .await;
    let (client, progress) = client(&server, PATIENCE);
    let answer = tokio::time::timeout(HANG, client.send(|_| Call::get("/rows/17"))).await.expect("an end");
    let error = answer.unwrap_err().to_string();
    assert!(error.starts_with("GET /rows/17: no complete answer ("), "{error}");
    assert!(error.ends_with("after 2 attempts"), "{error}");
    assert_eq!(progress.retries(), 1);
    let refused = tokio::time::timeout(HANG, client.send(|_| Call::get("/refused"))).await.expect("an end");
    assert_eq!(refused.unwrap_err().status(), Some(404), "that it is refused is known from the head on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_long_in_coming_is_said_to_be_waited_for() {
    let server = OddServer::start(|_| Answer::ok(&json!([])).after_spaces(9).dripping(HANG)).await;
    let (client, progress) = client(&server, PATIENCE);
    let call = tokio::spawn(async move { client.send(|_| Call::get("/rows/17?page=2")).await });
    let told = async {
        while progress.waits_for().is_none() {
            tokio::task::yield_now().await;
        }
        progress.waits_for().unwrap()
    };
    let told = tokio::time::timeout(HANG, told).await.expect("a word");
    assert_eq!(told, "an answer to GET /rows/...");
    call.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_brings_no_news_and_never_ends_fails() {
    // The same rows on every page: of a list that is said to grow as fast as it is read, or that change each time.
    for changes in [false, true] {
        let clock = AtomicU64::new(1_600_000_000);
        let server = OddServer::start(move |asked| {
            let moment = if changes { clock.fetch_add(1, Ordering::Relaxed) } else { 1_600_000_000 };
            let row =
                |n: u64| json!({ "id": n.to_string(), "created_at": 1_600_000_000, "updated_at": moment });
            let rows: Vec<_> = (0..50).map(row).collect();
            let (_, number) = asked.target.split_once("?page=").unwrap();
            let number: u64 = number.split('&').next().unwrap().parse().unwrap();
            let next = json!({ "page": number + 1 });
            let total = if changes { 50 } else { number * 50 };
            Answer::ok(&json!({ "data": rows, "total_count": total, "pages": { "next": next } }))
        })
        .await;
        let folder = TempDir::new().unwrap();
        let report = read(&server, "articles", folder.path()).await;
        assert_eq!(report.outcome, Outcome::Failed);
        let error = report.error.unwrap().to_string();
        assert!(error.contains("a page that brought nothing new"), "{error}");
        assert!(server.asked("/articles").len() < 400, "{} requests", server.asked("/articles").len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_front_that_changes_for_ever_is_not_read_for_ever() {
    // Two pages; from then on there is always one more, and its rows have just changed.
    let answers = AtomicU64::new(0);
    let server = OddServer::start(move |asked| {
        let (_, number) = asked.target.split_once("?page=").unwrap();
        let number: u64 = number.split('&').next().unwrap().parse().unwrap();
        let answered = answers.fetch_add(1, Ordering::Relaxed);
        let is_read_first = answered < 2;
        let first = if is_read_first { number * 50 } else { 0 };
        let row = |n: u64| {
            json!({ "id": n.to_string(), "created_at": 1_600_000_000, "updated_at": 1_600_000_000 + answered })
        };
        let rows: Vec<_> = (first..first + 50).map(row).collect();
        let next = if is_read_first && number == 2 { json!(null) } else { json!({ "page": number + 1 }) };
        Answer::ok(&json!({ "data": rows, "total_count": 100, "pages": { "next": next } }))
    })
    .await;
    let folder = TempDir::new().unwrap();
    let report = read(&server, "articles", folder.path()).await;
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(server.asked("/articles").len() < 400, "{} requests", server.asked("/articles").len());
}
