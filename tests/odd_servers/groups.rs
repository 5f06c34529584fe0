//! Tags that cannot be searched for, among others that can.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use ingest::destination::duckdb::{Options, query};
use ingest::error::ErrorKind;
use ingest::report::Outcome;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::read;
use crate::support::odd_server::{Answer, Asked, OddServer};

/// The tags there are, each with the ids of those who have it, or with what it answers.
type Tags = BTreeMap<&'static str, Result<Vec<&'static str>, Answer>>;

/// A workspace whose tags a test changes as it goes on.
async fn workspace(tags: &Arc<Mutex<Tags>>) -> OddServer {
    let tags = Arc::clone(tags);
    OddServer::start(move |asked| answer(&tags.lock().unwrap(), asked)).await
}

fn answer(tags: &Tags, asked: &Asked) -> Answer {
    if asked.target == "/tags" {
        let tag = |id: &&str| json!({ "type": "tag", "id": id, "name": format!("tag {id}") });
        return Answer::ok(&json!({ "type": "list", "data": tags.keys().map(tag).collect::<Vec<_>>() }));
    }
    let tag = asked.body["query"]["value"].as_str().unwrap();
    match &tags[tag] {
        Ok(contacts) => {
            let contact =
                |id: &&str| json!({ "type": "contact", "id": id, "created_at": 1, "updated_at": 1 });
            let rows: Vec<Value> = contacts.iter().map(contact).collect();
            Answer::ok(&json!({ "type": "list", "data": rows, "total_count": rows.len(), "pages": {} }))
        }
        Err(answer) => answer.clone(),
    }
}

/// The links stored, as `tag:contact`.
fn stored(folder: &Path) -> String {
    let sql = "SELECT tag_id || ':' || contact_id FROM crm.contact_tags ORDER BY ALL";
    let lines = query(&folder.join("data.duckdb"), &Options::default(), sql).unwrap();
    lines.into_iter().skip(1).flatten().collect::<Vec<_>>().join(" ")
}

fn broken() -> Vec<(&'static str, Answer)> {
    vec![
        ("refused", Answer::status(400, &json!({ "errors": [{ "code": "parameter_invalid" }] }))),
        ("forbidden", Answer::status(403, &json!({}))),
        ("not found", Answer::status(404, &json!({}))),
        ("down", Answer::status(500, &json!({}))),
        ("no JSON", Answer::text("<html></html>")),
        ("no records", Answer::ok(&json!({ "type": "list", "total_count": 2, "pages": {} }))),
        ("too few", Answer::ok(&json!({ "type": "list", "data": [], "total_count": 2, "pages": {} }))),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_cannot_be_searched_for_stops_no_other() {
    for (what, answer) in broken() {
        let tags = Tags::from([("1", Ok(vec!["a", "b"])), ("2", Ok(vec!["a"])), ("3", Ok(vec!["c"]))]);
        let tags = Arc::new(Mutex::new(tags));
        let server = workspace(&tags).await;
        let folder = TempDir::new().unwrap();
        let complete = read(&server, "contact_tags", folder.path()).await;
        assert_eq!(complete.outcome, Outcome::Complete, "{what}: {:?}", complete.error);

        // One breaks, one changes, one is gone, one is new.
        {
            let mut tags = tags.lock().unwrap();
            tags.insert("1", Ok(vec!["b"]));
            tags.insert("2", Err(answer));
            tags.remove("3");
            tags.insert("4", Ok(vec!["d"]));
        }
        let report = read(&server, "contact_tags", folder.path()).await;
        let error = report.error.as_ref().unwrap_or_else(|| panic!("{what}: not red"));
        assert_eq!((report.outcome, error.kind().exit_code()), (Outcome::Failed, 1), "{what}: {error}");
        assert!(error.to_string().starts_with("1 of 3 tags could not be read (id 2): "), "{what}: {error}");
        assert_eq!(report.checkpoint, None, "{what}");
        assert_eq!(stored(folder.path()), "1:b 2:a 4:d", "{what}");

        tags.lock().unwrap().insert("2", Ok(vec!["e"]));
        let report = read(&server, "contact_tags", folder.path()).await;
        assert_eq!(report.outcome, Outcome::Complete, "{what}: {:?}", report.error);
        assert!(report.checkpoint > complete.checkpoint, "{what}");
        assert_eq!(stored(folder.path()), "1:b 2:e 4:d", "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_load_brings_the_tags_that_can_be_searched_for() {
    for (what, answer) in broken() {
        let tags = Tags::from([("1", Ok(vec!["a"])), ("2", Err(answer)), ("3", Ok(vec![]))]);
        let tags = Arc::new(Mutex::new(tags));
        let server = workspace(&tags).await;
        let folder = TempDir::new().unwrap();
        for _ in 0..2 {
            let report = read(&server, "contact_tags", folder.path()).await;
            assert_eq!((report.outcome, report.checkpoint), (Outcome::Failed, None), "{what}");
            assert_eq!(stored(folder.path()), "1:a", "{what}");
        }
        tags.lock().unwrap().insert("2", Ok(vec!["b"]));
        let report = read(&server, "contact_tags", folder.path()).await;
        assert_eq!(report.outcome, Outcome::Complete, "{what}: {:?}", report.error);
        assert_eq!(stored(folder.path()), "1:a 2:b", "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_every_tag_is_told_as_what_it_is() {
    for (answer, kind, told, most) in [
        (
            Answer::status(403, &json!({})),
            ErrorKind::Permission,
            "the token lacks the permission \"Read and list users and companies\"",
            16,
        ),
        (Answer::status(500, &json!({})), ErrorKind::Network, "POST /contacts/search: answered 500", 48),
        (Answer::status(400, &json!({})), ErrorKind::Api, "POST /contacts/search: answered 400", 20),
    ] {
        let ids = "a b c d e f g h i j k l m n o p q r s t".split(' ');
        let tags: Tags = ids.map(|id| (id, Err(answer.clone()))).collect();
        let server = workspace(&Arc::new(Mutex::new(tags))).await;
        let folder = TempDir::new().unwrap();
        let report = read(&server, "contact_tags", folder.path()).await;
        let error = report.error.unwrap();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().starts_with(told), "{error}");
        // No more than those that were on their way when it was plain.
        let asked = server.asked("/contacts/search").len();
        assert!(asked <= most, "{asked} requests");
    }
}
