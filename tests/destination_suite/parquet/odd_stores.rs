//! Object stores that answer as none should.

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use ingest::config::{Environment, ObjectStoreConfig};
use ingest::destination::parquet::status_of_objects;
use ingest::error::{Error, ErrorKind};
use serde_json::json;

use crate::support::odd_server::{Answer, Asked, OddServer};

/// What comes of looking at a lake in a store that has a manifest and answers all else so, and the store.
async fn look(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> (Error, OddServer) {
    let store = OddServer::start(move |asked| {
        if asked.target.ends_with("/manifest.json") {
            let manifest = json!({
                "version": 1, "commit": "0", "committed_at": "2026-01-01T00:00:00Z", "tables": []
            });
            let headers = Answer::ok(&manifest).with("ETag", "\"1\"");
            return headers.with("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT");
        }
        answer(asked)
    })
    .await;
    (look_at(&store.base_url).await, store)
}

async fn look_at(endpoint: &str) -> Error {
    let variables = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "a-session"),
        ("AWS_ENDPOINT_URL", endpoint),
    ];
    let config = ObjectStoreConfig::parse("lake", "s3://bucket/lake", &Environment::from_pairs(variables));
    let config = config.unwrap().unwrap();
    let looked = tokio::task::spawn_blocking(move || status_of_objects(&config, 5)).await.unwrap();
    looked.map(drop).unwrap_err()
}

/// A page of a listing with these folders, and the cursor of the next.
fn page(folders: impl Iterator<Item = String>, cursor: &str) -> Answer {
    let mut text = String::from("<?xml version=\"1.0\"?><ListBucketResult>");
    for folder in folders {
        let prefix = format!("<CommonPrefixes><Prefix>lake/_ingest/runs/{folder}/</Prefix></CommonPrefixes>");
        text.push_str(&prefix);
    }
    write!(text, "<NextContinuationToken>{cursor}</NextContinuationToken></ListBucketResult>").unwrap();
    Answer::text(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_never_follow_a_redirect() {
    let other = OddServer::start(|_| Answer::status(404, &json!({}))).await;
    for (status, place) in [(301, "/elsewhere?sig=s3cret"), (302, ""), (307, "/x"), (308, "/x")] {
        let elsewhere = format!("{}{place}", other.base_url);
        let store =
            OddServer::start(move |_| Answer::status(status, &json!({})).with("Location", &elsewhere));
        let store = store.await;
        let error = look_at(&store.base_url).await;
        assert_eq!(error.kind(), ErrorKind::Destination);
        let said = format!(
            "the store sends the request elsewhere to {} (answer {status}), and keys never follow",
            other.base_url
        );
        assert!(error.to_string().contains(&said), "{error}");
        assert!(error.hint().unwrap().contains("let endpoint say where the store is"), "{error:?}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        assert_eq!(store.asked("/").len(), 1, "an answer that will be the same is not asked for again");
    }
    assert!(other.asked("/").is_empty(), "{:?}", other.asked("/"));
    let bare = OddServer::start(|_| Answer::status(301, &json!({}))).await;
    let error = look_at(&bare.base_url).await;
    assert!(error.hint().unwrap().contains("the bucket is in another region"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_goes_in_circles_is_given_up() {
    let (error, store) = look(|_| page(["2026-01-01".to_owned()].into_iter(), "again")).await;
    assert_eq!(error.kind(), ErrorKind::Destination);
    let said = "s3://bucket/lake/_ingest/runs cannot be listed: the store lists the same again and again";
    assert_eq!(error.to_string(), said);
    assert!(error.hint().is_some());
    assert_eq!(store.asked("/bucket?").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_without_end_is_given_up() {
    let pages = AtomicUsize::new(0);
    let (error, store) = look(move |_| {
        let number = pages.fetch_add(1, Ordering::Relaxed);
        page((0..100_000).map(|folder| format!("{number}-{folder}")), &number.to_string())
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Destination);
    assert!(error.to_string().ends_with("more than 1,000,000 names, or does not come to an end"), "{error}");
    assert_eq!(store.asked("/bucket?").len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_is_given_up() {
    let (error, store) = look(|_| Answer::text(" ".repeat(33 << 20))).await;
    assert_eq!(error.kind(), ErrorKind::Destination);
    assert!(error.to_string().ends_with("the store answers with more than 32 MiB"), "{error}");
    assert_eq!(store.asked("/bucket?").len(), 1);
}
