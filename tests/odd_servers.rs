//! Servers that keep the contract in a way of their own, or break it in ways the sandbox does not.

mod groups;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingest::client::{Backoff, Client, ClientSettings};
use ingest::config::secret::Secret;
use ingest::destination::duckdb::{DuckDb, Options, query};
use ingest::pipeline::{self, Job, ReadingRules, RunOptions, Stop};
use ingest::progress::{Mode, Progress, TableProgress};
use ingest::report::{Outcome, TableReport};
use ingest::source::intercom::{Intercom, tables};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::odd_server::{Answer, Asked, OddServer};

/// Reads one table into `folder`.
pub(crate) async fn read(server: &OddServer, table: &str, folder: &Path) -> TableReport {
    read_trying(3, server, table, folder).await
}

/// The same, trying each call as often as a real run does.
async fn read_patiently(server: &OddServer, table: &str, folder: &Path) -> TableReport {
    read_trying(Backoff::default().attempts, server, table, folder).await
}

async fn read_trying(attempts: u32, server: &OddServer, table: &str, folder: &Path) -> TableReport {
    let settings = ClientSettings {
        base_url: server.base_url.clone(),
        token: Secret::new("odd-token".to_owned()),
        api_version: "2.14".to_owned(),
        rate_limit: None,
        concurrency: 4,
        patience: Duration::from_secs(20),
        backoff: Backoff {
            first: Duration::from_millis(2),
            longest: Duration::from_millis(10),
            attempts,
            refusals: Duration::from_secs(10),
        },
    };
    let client = Client::new(settings, TableProgress::silent()).unwrap();
    let job = Job {
        schema: "crm".into(),
        source: Arc::new(Intercom::new(client, 14, None)),
        tables: vec![tables::find(table).unwrap()],
        reading: ReadingRules { refresh_every: None, parts_refresh_every: None, ..ReadingRules::of("2.14") },
    };
    let progress = Progress::new(Mode::Off);
    let file = folder.join("data.duckdb");
    let file = DuckDb::begin(&file, Options::default(), Duration::ZERO, progress.clone()).unwrap();
    let stop = Stop::new();
    let run = pipeline::run(vec![job], Box::new(file), RunOptions::default(), &progress, &stop);
    // A hang is a failure too, and a test that hangs tells nobody.
    let report = tokio::time::timeout(Duration::from_secs(60), run).await.expect("the run ends").unwrap();
    report.tables.into_iter().next().unwrap()
}

pub(crate) fn ids(folder: &Path, table: &str) -> Vec<String> {
    let sql = format!("SELECT id FROM crm.{table} ORDER BY id");
    let lines = query(&folder.join("data.duckdb"), &Options::default(), &sql).unwrap();
    lines.into_iter().skip(1).flatten().collect()
}

/// Contacts created one second apart, from `first` on.
fn contacts(first: i64, count: i64) -> Vec<Value> {
    let contact = |n: i64| json!({ "type": "contact", "id": format!("c{n:05}"), "created_at": 1_600_000_000 + n, "updated_at": 1_600_000_000 + n });
    (first..first + count).map(contact).collect()
}

fn sorts_by<'a>(asked: &'a Asked, key: &str) -> &'a str {
    asked.body["sort"][key].as_str().unwrap_or_default()
}

fn counts_only(asked: &Asked) -> bool {
    asked.body["pagination"]["per_page"] == json!(1)
}

/// The first page of rows by their last change, newest first, and how many there are.
fn newest(rows: &[Value], counts_only: bool) -> Value {
    let mut page = rows.to_vec();
    page.sort_by_key(|row| std::cmp::Reverse(row["updated_at"].as_i64()));
    page.truncate(if counts_only { 1 } else { 150 });
    let next = json!({ "page": 2, "starting_after": "older" });
    json!({ "data": page, "total_count": rows.len(), "pages": { "next": next } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_come_packed_unasked_are_unpacked_or_fail() {
    for (lacking, outcome) in [(0, Outcome::Complete), (1, Outcome::Failed), (40, Outcome::Failed)] {
        let page = json!({ "data": contacts(0, 150), "total_count": 150 });
        let server = OddServer::start(move |_| Answer::packed(&page, lacking)).await;
        let folder = TempDir::new().unwrap();
        let report = read(&server, "contacts", folder.path()).await;
        assert_eq!(report.outcome, outcome, "{lacking} bytes are lacking: {:?}", report.error);
        let accepted = |asked: &Asked| asked.headers.contains(&("accept-encoding".into(), "identity".into()));
        assert!(server.asked("/contacts").iter().all(accepted), "nothing is gained by it over loopback");
        if outcome == Outcome::Complete {
            assert_eq!(ids(folder.path(), "contacts").len(), 150);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_page_that_claims_to_be_the_last_of_many_rows_is_not_believed() {
    let server =
        OddServer::start(|_| Answer::ok(&json!({ "data": contacts(0, 150), "total_count": 500 }))).await;
    let folder = TempDir::new().unwrap();
    let report = read(&server, "contacts", folder.path()).await;
    assert_eq!(report.outcome, Outcome::Failed);
    let error = report.error.unwrap().to_string();
    assert!(error.contains("a last page that comes too early: 150 rows where 500 are stated"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_breaks_loses_nothing_even_over_a_failure() {
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    // Ascending by creation, as asked, for one page; then come older rows.
    let server = OddServer::start(move |asked| {
        let pages = [contacts(300, 150), contacts(0, 150), contacts(150, 150)];
        if sorts_by(asked, "order") == "descending" || counts_only(asked) {
            return Answer::ok(&newest(&pages.concat(), counts_only(asked)));
        }
        let number = match asked.body["pagination"]["starting_after"].as_str() {
            None => 0,
            Some(cursor) => cursor.parse::<usize>().unwrap(),
        };
        if number == 2 && down.load(Ordering::Relaxed) {
            return Answer::status(503, &json!({}));
        }
        let next =
            (number < 2).then(|| json!({ "page": number + 2, "starting_after": (number + 1).to_string() }));
        Answer::ok(&json!({ "data": pages[number], "total_count": 450, "pages": { "next": next } }))
    })
    .await;
    let folder = TempDir::new().unwrap();
    let first = read(&server, "contacts", folder.path()).await;
    assert_eq!(first.outcome, Outcome::Failed);
    is_down.store(false, Ordering::Relaxed);
    let second = read(&server, "contacts", folder.path()).await;
    assert_eq!(second.outcome, Outcome::Complete, "{:?}", second.error);
    assert_eq!(ids(folder.path(), "contacts").len(), 450);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_breaks_only_after_a_resume_loses_nothing_either() {
    let runs = Arc::new(AtomicUsize::new(0));
    let run = Arc::clone(&runs);
    // The first run sees two pages in order and then an outage; the second finds that older rows come after.
    let server = OddServer::start(move |asked| {
        let pages = match run.load(Ordering::Relaxed) {
            0 => [contacts(100, 150), contacts(250, 150), contacts(0, 100)],
            _ => [contacts(300, 100), contacts(0, 150), contacts(150, 150)],
        };
        if sorts_by(asked, "order") == "descending" || counts_only(asked) {
            return Answer::ok(&newest(&pages.concat(), counts_only(asked)));
        }
        let cursor = asked.body["pagination"]["starting_after"].as_str();
        let number = cursor.map_or(0, |cursor| cursor.parse::<usize>().unwrap());
        if number == 2 && run.load(Ordering::Relaxed) == 0 {
            return Answer::status(503, &json!({}));
        }
        let next =
            (number < 2).then(|| json!({ "page": number + 2, "starting_after": (number + 1).to_string() }));
        Answer::ok(&json!({ "data": pages[number], "total_count": 400, "pages": { "next": next } }))
    })
    .await;
    let folder = TempDir::new().unwrap();
    assert_eq!(read(&server, "contacts", folder.path()).await.outcome, Outcome::Failed);
    runs.store(1, Ordering::Relaxed);
    let second = read(&server, "contacts", folder.path()).await;
    assert_eq!(second.outcome, Outcome::Complete, "{:?}", second.error);
    assert_eq!(ids(folder.path(), "contacts").len(), 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_does_not_sort_by_creation_is_sorted_by_change() {
    let server = OddServer::start(|asked| {
        if !counts_only(asked) && sorts_by(asked, "field") == "created_at" {
            let error = json!({ "errors": [{ "code": "parameter_invalid", "message": "cannot sort by created_at" }] });
            return Answer::status(400, &error);
        }
        Answer::ok(&json!({ "data": contacts(0, 120), "total_count": 120 }))
    })
    .await;
    let folder = TempDir::new().unwrap();
    let report = read(&server, "contacts", folder.path()).await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.error);
    assert_eq!(ids(folder.path(), "contacts").len(), 120);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sparse_envelopes_and_numbers_for_ids_are_read() {
    let server = OddServer::start(|_| {
        let rows = json!([{ "id": 7, "updated_at": "1600000007" }, { "id": 8, "created_at": null }]);
        Answer::ok(&json!({ "conversations": rows, "total_count": null, "pages": null }))
    })
    .await;
    let folder = TempDir::new().unwrap();
    let report = read(&server, "conversations", folder.path()).await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.error);
    assert_eq!(ids(folder.path(), "conversations"), ["7", "8"]);
    // No Date in any answer: the checkpoint is a day before the local clock.
    let age = ingest::clock::now().duration_since(report.checkpoint.unwrap());
    assert!(age >= SignedDuration::from_hours(24), "{age:?}");
}

fn articles(first: i64, count: i64) -> Vec<Value> {
    let article = |n: i64| json!({ "id": n.to_string(), "updated_at": 1_700_000_000 - n });
    (first..first + count).map(article).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbered_pages_may_name_the_next_one_as_an_object_and_the_total_once() {
    let server = OddServer::start(|asked| {
        if asked.target.contains("?page=2&") {
            return Answer::ok(&json!({ "data": articles(50, 10), "pages": { "next": null } }));
        }
        let next = json!({ "page": 2 });
        Answer::ok(&json!({ "data": articles(0, 50), "total_count": 60, "pages": { "next": next } }))
    })
    .await;
    let folder = TempDir::new().unwrap();
    let report = read(&server, "articles", folder.path()).await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.error);
    assert_eq!(ids(folder.path(), "articles").len(), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbered_pages_that_are_too_large_are_read_again_in_smaller_ones() {
    let server = OddServer::start(|asked| {
        let size = |size: i64| asked.target.contains(&format!("per_page={size}"));
        if !size(25) {
            return Answer::status(502, &json!({}));
        }
        if asked.target.contains("?page=2&") {
            return Answer::ok(&json!({ "data": articles(25, 5), "total_count": 30 }));
        }
        Answer::ok(&json!({ "data": articles(0, 25), "total_count": 30, "pages": { "next": { "page": 2 } } }))
    })
    .await;
    let folder = TempDir::new().unwrap();
    let report = read(&server, "articles", folder.path()).await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.error);
    assert_eq!(ids(folder.path(), "articles").len(), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_total_numbered_pages_are_read_until_two_passes_agree() {
    let reads = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reads);
    // During the first pass a row vanishes from page 1, so that row 50 slips past the reader.
    let server = OddServer::start(move |asked| {
        let is_first_pass = count.fetch_add(1, Ordering::Relaxed) < 3;
        if asked.target.contains("?page=2&") {
            let rows = if is_first_pass { articles(51, 9) } else { articles(50, 10) };
            return Answer::ok(&json!({ "data": rows, "pages": { "next": null } }));
        }
        Answer::ok(
            &json!({ "data": articles(0, 50), "pages": { "next": "http://x.invalid/articles?page=2" } }),
        )
    })
    .await;
    let folder = TempDir::new().unwrap();
    let report = read(&server, "articles", folder.path()).await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.error);
    assert!(ids(folder.path(), "articles").contains(&"50".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scroll_that_is_open_elsewhere_is_waited_for_whatever_words_say_so() {
    let refusals = Mutex::new(vec![
        Answer::status(
            400,
            &json!({ "errors": [{ "message": "scroll already exists for this workspace" }] }),
        ),
        Answer::status(423, &json!({})),
        Answer::status(400, &json!({ "errors": [{ "code": "scroll_exists" }] })),
    ]);
    let server = OddServer::start(move |asked| {
        if let Some(refusal) = refusals.lock().unwrap().pop() {
            return refusal;
        }
        let rows = if asked.target.contains("scroll_param") { json!([]) } else { json!([{ "id": "a" }]) };
        Answer::ok(&json!({ "data": rows, "scroll_param": "s" }))
    })
    .await;
    let folder = TempDir::new().unwrap();
    let report = read(&server, "companies", folder.path()).await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.error);
    assert_eq!(ids(folder.path(), "companies"), ["a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_shows_no_parts_is_not_taken_for_one_that_has_none() {
    let parts =
        json!({ "conversation_parts": [{ "id": "p", "updated_at": 1_600_000_000 }], "total_count": 1 });
    for (object, expected) in [
        (json!({ "id": "7", "conversation_parts": parts }), Ok(1)),
        (json!({ "id": 7, "conversation_parts": { "conversation_parts": [], "total_count": 0 } }), Ok(0)),
        (json!({ "id": "8", "conversation_parts": parts }), Err("another")),
        (json!({ "id": "7" }), Err("conversation_parts")),
        (json!({ "id": "7", "conversation_parts": { "total_count": 3 } }), Err("conversation_parts")),
    ] {
        let answered = object.clone();
        let server = OddServer::start(move |asked| match asked.target.as_str() {
            "/conversations/search" => {
                Answer::ok(&json!({ "conversations": [{ "id": "7" }], "total_count": 1 }))
            }
            "/conversations/7" => Answer::ok(&answered),
            _ => Answer::status(404, &json!({})),
        })
        .await;
        let folder = TempDir::new().unwrap();
        let report = read(&server, "conversation_parts", folder.path()).await;
        match expected {
            Ok(rows) => {
                assert_eq!(report.outcome, Outcome::Complete, "{object}: {:?}", report.error);
                assert_eq!(ids(folder.path(), "conversation_parts").len(), rows, "{object}");
            }
            Err(words) => {
                assert_eq!(report.outcome, Outcome::Failed, "{object}");
                let error = report.error.unwrap().to_string();
                assert!(error.contains(words), "{object}: {error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_whose_pages_move_while_they_are_read_is_read_again() {
    let reads = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reads);
    let companies = |range: std::ops::Range<u32>| -> Vec<Value> {
        range.map(|n| json!({ "id": format!("co{n:02}") })).collect()
    };
    // Between the two pages of the first reading the first entry goes, so that the fourth is never shown.
    let server = OddServer::start(move |asked| {
        if asked.target == "/contacts/search" {
            let lists = json!({ "data": companies(0..2), "has_more": true, "total_count": 6 });
            return Answer::ok(&json!({ "data": [{ "id": "c", "companies": lists }], "total_count": 1 }));
        }
        let is_first = count.fetch_add(1, Ordering::Relaxed) < 2;
        let next = json!({ "next": { "page": 2 } });
        match (asked.target.ends_with("?page=2"), is_first) {
            (false, true) => Answer::ok(&json!({ "data": companies(0..3), "total_count": 6, "pages": next })),
            (false, false) => {
                Answer::ok(&json!({ "data": companies(1..4), "total_count": 5, "pages": next }))
            }
            (true, _) => Answer::ok(&json!({ "data": companies(4..6), "total_count": 5 })),
        }
    })
    .await;
    let folder = TempDir::new().unwrap();
    let report = read(&server, "contact_companies", folder.path()).await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.error);
    let sql = "SELECT company_id FROM crm.contact_companies ORDER BY 1";
    let lines = query(&folder.path().join("data.duckdb"), &Options::default(), sql).unwrap();
    let stored: Vec<String> = lines.into_iter().skip(1).flatten().collect();
    assert_eq!(stored, ["co01", "co02", "co03", "co04", "co05"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_may_not_see_whose_it_is_reads_all_the_same() {
    for status in [403, 404] {
        let me = Answer::status(status, &json!({ "errors": [{ "code": "forbidden" }] }));
        let server = OddServer::start_with_me(me, |_| Answer::ok(&json!({ "data": [{ "id": "1" }] }))).await;
        let folder = TempDir::new().unwrap();
        let report = read(&server, "tags", folder.path()).await;
        assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.error);
        assert_eq!(ids(folder.path(), "tags"), ["1"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_does_not_follow_a_redirect() {
    let elsewhere = OddServer::start(|_| Answer::ok(&json!({ "data": [] }))).await;
    let target = format!("{}/tags", elsewhere.base_url);
    let server =
        OddServer::start(move |_| Answer::status(307, &json!({})).with("Location", target.clone())).await;
    let folder = TempDir::new().unwrap();
    let report = read(&server, "tags", folder.path()).await;
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(
        server.asked("/tags")[0]
            .headers
            .iter()
            .any(|(name, value)| name == "authorization" && value == "Bearer odd-token")
    );
    assert!(elsewhere.asked("").is_empty());
}

/// What a search of a large table is like where it is not as one expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Oddity {
    None,
    /// Two rows far apart have changed places in the order by creation.
    BrokenOrder,
    /// The first of some rows that have no `created_at`; they come last.
    UndatedLast,
    /// The same, and they come first.
    UndatedFirst,
    /// `created_at` cannot be sorted by.
    RefusesSort,
    /// There are 60 rows.
    Few,
}

/// Whether a row passes a filter by its dates, to the second.
fn matches(query: &Value, row: &Value) -> bool {
    let parts = || query["value"].as_array().into_iter().flatten();
    let date = || row[query["field"].as_str().unwrap()].as_i64();
    match query["operator"].as_str().unwrap() {
        "OR" => parts().any(|part| matches(part, row)),
        "AND" => parts().all(|part| matches(part, row)),
        ">" => date() > query["value"].as_i64() && date().is_some(),
        "<" => date() < query["value"].as_i64() && date().is_some(),
        other => panic!("operator {other}"),
    }
}

/// Answers a search of 6,000 contacts.
fn large_search(asked: &Asked, oddity: Oddity) -> Answer {
    let mut rows = contacts(0, if oddity == Oddity::Few { 60 } else { 6_000 });
    let undated = matches!(oddity, Oddity::UndatedLast | Oddity::UndatedFirst);
    if undated {
        for row in rows.iter_mut().step_by(1_000) {
            row["created_at"] = Value::Null;
        }
    }
    let field = sorts_by(asked, "field");
    if oddity == Oddity::RefusesSort && field == "created_at" {
        let error = json!({ "code": "invalid_sort_field", "message": "cannot sort by that" });
        return Answer::status(400, &json!({ "type": "error.list", "errors": [error] }));
    }
    let last = if oddity == Oddity::UndatedLast { i64::MAX } else { i64::MIN };
    rows.sort_by_key(|row| row[field].as_i64().unwrap_or(last));
    if sorts_by(asked, "order") == "descending" {
        rows.reverse();
    }
    if oddity == Oddity::BrokenOrder {
        rows.swap(2_000, 5_000);
    }
    rows.retain(|row| matches(&asked.body["query"], row));
    let per_page = usize::try_from(asked.body["pagination"]["per_page"].as_u64().unwrap()).unwrap();
    let cursor = asked.body["pagination"]["starting_after"].as_str();
    let start = cursor.map_or(0, |cursor| cursor.parse::<usize>().unwrap());
    let page: Vec<&Value> = rows.iter().skip(start).take(per_page).collect();
    let end = start + page.len();
    let next = (end < rows.len()).then(|| json!({ "page": 2, "starting_after": end.to_string() }));
    Answer::ok(&json!({ "data": page, "total_count": rows.len(), "pages": { "next": next } }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_cursors_rely_on_may_be_missing() {
    for (oddity, several) in [
        (Oddity::None, true),
        (Oddity::BrokenOrder, true),
        (Oddity::UndatedLast, true),
        (Oddity::UndatedFirst, true),
        (Oddity::RefusesSort, false),
    ] {
        let server = OddServer::start(move |asked| large_search(asked, oddity)).await;
        let folder = TempDir::new().unwrap();
        let report = read(&server, "contacts", folder.path()).await;
        assert_eq!(report.outcome, Outcome::Complete, "{oddity:?}: {:?}", report.error);
        assert_eq!(ids(folder.path(), "contacts").len(), 6_000, "{oddity:?}");
        let is_cut = |asked: &Asked| asked.body["query"]["field"] == "created_at" && !counts_only(asked);
        let cuts = server.asked("/contacts/search").iter().filter(|asked| is_cut(asked)).count();
        assert_eq!(cuts > 0, several, "{oddity:?}: {cuts} requests behind a cut");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_on_the_way_that_brings_too_few_rows_is_missed_at_the_end() {
    for always in [false, true] {
        let answers = Arc::new(AtomicUsize::new(0));
        // The third page holds 93 of its 150 rows, and goes on.
        let server = OddServer::start(move |asked| {
            let number = answers.fetch_add(1, Ordering::Relaxed);
            let is_thin = number == 2 || (always && !counts_only(asked) && number % 7 == 2);
            let answer = large_search(asked, Oddity::None);
            if is_thin { answer.without_some_rows(57) } else { answer }
        })
        .await;
        let folder = TempDir::new().unwrap();
        let report = read(&server, "contacts", folder.path()).await;
        let rows = ids(folder.path(), "contacts").len();
        assert!(
            report.outcome == Outcome::Failed || rows == 6_000,
            "{rows} rows, {:?}, {:?}",
            report.outcome,
            report.error
        );
        assert!(always || report.outcome == Outcome::Complete, "{:?}", report.error);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_that_only_answers_tiny_pages_is_asked_for_them() {
    let server = OddServer::start(|asked| {
        if asked.body["pagination"]["per_page"].as_u64() > Some(3) {
            return Answer::status(504, &json!({}));
        }
        large_search(asked, Oddity::Few)
    })
    .await;
    let folder = TempDir::new().unwrap();
    let report = read_patiently(&server, "contacts", folder.path()).await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.error);
    assert_eq!(ids(folder.path(), "contacts").len(), 60);
    // The increment after the load begins with what worked.
    let refused = server.asked("/contacts/search").iter().filter(|asked| asks_for_many(asked)).count();
    assert!(refused < 12, "{refused} requests in vain");
}

fn asks_for_many(asked: &Asked) -> bool {
    asked.body["pagination"]["per_page"].as_u64() > Some(3)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_without_an_id_is_kept_beside_the_table_and_the_others_are_stored() {
    for (odd, kept) in [
        (json!({ "id": null, "email": "a@example.com" }), true),
        (json!({ "email": "a@example.com", "created_at": 1_600_000_000, "updated_at": 1_600_000_000 }), true),
        (json!({ "id": { "x": 1 } }), true),
        (json!("a@example.com"), false),
    ] {
        let mut rows = contacts(0, 140);
        rows.insert(70, odd.clone());
        let page = json!({ "data": rows, "total_count": rows.len() });
        let server = OddServer::start(move |_| Answer::ok(&page)).await;
        let folder = TempDir::new().unwrap();
        let report = read(&server, "contacts", folder.path()).await;
        assert_eq!(report.outcome, Outcome::Failed, "{odd}");
        let error = report.error.as_ref().unwrap().to_string();
        assert!(!error.contains("example"), "{error}");
        if !kept {
            assert!(error.contains("unexpected shape"), "{error}");
            continue;
        }
        assert!(error.contains("1 rows have no id") && error.contains("data[70] of a page"), "{error}");
        assert_eq!(ids(folder.path(), "contacts").len(), 140);
        assert!(report.checkpoint.is_some());
        let sql = "SELECT rejected->0->>'place', rejected->0->>'row', json_array_length(rejected) FROM _ingest.runs";
        let lines = query(&folder.path().join("data.duckdb"), &Options::default(), sql).unwrap();
        assert_eq!(lines[1], ["data[70] of a page", &odd.to_string(), "1"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_lacks_its_id_only_once_is_asked_for_again() {
    let rows = contacts(0, 140);
    let mut odd = rows.clone();
    odd[3]["id"] = Value::Null;
    let asked = AtomicUsize::new(0);
    let server = OddServer::start(move |_| {
        let rows = if asked.fetch_add(1, Ordering::Relaxed) == 0 { &odd } else { &rows };
        Answer::ok(&json!({ "data": rows, "total_count": rows.len() }))
    })
    .await;
    let folder = TempDir::new().unwrap();
    let report = read(&server, "contacts", folder.path()).await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.error);
    assert_eq!(ids(folder.path(), "contacts").len(), 140);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_which_most_rows_have_no_id_is_none() {
    let rows: Vec<Value> = contacts(0, 100)
        .into_iter()
        .map(|mut row| {
            row.as_object_mut().unwrap().remove("id");
            row
        })
        .collect();
    let page = json!({ "data": rows, "total_count": rows.len() });
    let server = OddServer::start(move |_| Answer::ok(&page)).await;
    let folder = TempDir::new().unwrap();
    let report = read(&server, "contacts", folder.path()).await;
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(report.error.unwrap().to_string().contains("100 of 100 rows have no id"));
    assert_eq!(report.checkpoint, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_that_is_not_utf_8_is_stored_with_its_odd_bytes_written_out() {
    let mut rows = contacts(0, 140);
    rows[9]["name"] = json!("caf@");
    let page = json!({ "data": rows, "total_count": rows.len() }).to_string();
    let place = page.find("caf@").unwrap() + 3;
    let mut body = page.into_bytes();
    body[place] = 0xe9;
    let server = OddServer::start(move |_| Answer::bytes(body.clone())).await;
    let folder = TempDir::new().unwrap();
    let report = read(&server, "contacts", folder.path()).await;
    assert_eq!(report.outcome, Outcome::Failed);
    let error = report.error.unwrap().to_string();
    assert!(error.contains("1 rows hold text that is not UTF-8, the first at data[9] of a page"), "{error}");
    assert_eq!(ids(folder.path(), "contacts").len(), 140);
    let sql = "SELECT name FROM crm.contacts WHERE id = 'c00009'";
    let lines = query(&folder.path().join("data.duckdb"), &Options::default(), sql).unwrap();
    assert_eq!(lines[1], [r"caf\xe9"]);
}
