//! The answers on file, served as the API serves them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::odd_server::{Answer, Asked, OddServer};

/// Versions with answers of their own. The first has one for every table; the others answer like it where they
/// have none.
pub(super) const VERSIONS: [&str; 3] = ["2.14", "2.11", "2.16"];

/// Requests that one file answers, which is named like the table that its rows belong to.
const LISTS: &[(&str, &str)] = &[
    ("/articles", "articles"),
    ("/tags", "tags"),
    ("/segments", "segments"),
    ("/admins", "admins"),
    ("/admins/activity_logs", "activity_logs"),
    ("/teams", "teams"),
    ("/ticket_types", "ticket_types"),
    ("/ticket_states", "ticket_states"),
    ("/subscription_types", "subscription_types"),
    ("/away_status_reasons", "away_status_reasons"),
    ("/ip_allowlist", "ip_allowlist"),
    ("/help_center/collections", "collections"),
    ("/help_center/help_centers", "help_centers"),
    ("/internal_articles", "internal_articles"),
    ("/news/news_items", "news_items"),
    ("/news/newsfeeds", "newsfeeds"),
    ("/ai/content_import_sources", "content_import_sources"),
    ("/ai/external_pages", "external_pages"),
    ("/calls", "calls"),
];

/// Files with several answers, each under the path and query that ask for it, and whose rows these hold.
const KEYED: &[(&str, &str)] = &[
    ("data_attributes", "data_attributes"),
    ("contact_companies", "companies"),
    ("contact_notes", "contact_notes"),
    ("contact_subscriptions", "subscription_types"),
    ("company_segments", "segments"),
    ("newsfeed_items", "news_items"),
];

/// Files with what single objects show beyond their rows in a list, and whose rows these are.
const OBJECTS: &[(&str, &str)] =
    &[("conversation_parts", "conversations"), ("article_statistics", "articles")];

/// Files with the ids of the contacts in each group.
const GROUPS: &[(&str, &str)] = &[("tag_id", "contact_tags"), ("segment_id", "contact_segments")];

/// An answer that was given.
#[derive(Debug, Clone)]
pub(super) struct Served {
    /// Path and query.
    pub(super) target: String,
    /// The table that its rows belong to.
    pub(super) table: &'static str,
    pub(super) body: String,
}

/// A workspace that answers from files.
pub(super) struct Workspace {
    pub(super) server: OddServer,
    log: Arc<Mutex<Vec<Served>>>,
}

impl Workspace {
    pub(super) async fn start(version: &'static str) -> Self {
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&log);
        let me = Answer::text(file(version, "me"));
        let server = OddServer::start_with_me(me, move |asked| match answer(version, asked) {
            Some((table, body)) => {
                let target = asked.target.clone();
                kept.lock().unwrap().push(Served { target, table, body: body.clone() });
                Answer::text(body)
            }
            None => {
                Answer::status(404, &json!({ "type": "error.list", "errors": [{ "code": "not_found" }] }))
            }
        })
        .await;
        Self { server, log }
    }

    /// Every answer, in the order they were given. Each request that was not for one of them is a failure.
    pub(super) fn served(&self) -> Vec<Served> {
        let served = self.log.lock().unwrap().clone();
        let answered = |target: &String| served.iter().any(|one| one.target == *target);
        let asked: Vec<String> = self.server.asked("").into_iter().map(|asked| asked.target).collect();
        let unanswered: Vec<_> =
            asked.iter().filter(|target| *target != "/me" && !answered(target)).collect();
        assert!(unanswered.is_empty(), "there is no answer on file for {unanswered:?}");
        served
    }
}

/// Paths and queries that the files of a version have answers for.
pub(super) fn keys(version: &str) -> Vec<String> {
    let files = KEYED.iter().chain(OBJECTS);
    files.flat_map(|(name, _)| members(&file(version, name)).into_keys()).collect()
}

/// The rows of 2.14 that a file holds.
pub(super) fn on_file(table: &str) -> Vec<Value> {
    rows(&file(VERSIONS[0], table)).iter().map(|row| parsed(row)).collect()
}

/// The rows of all answers of 2.14 in a file with several.
pub(super) fn keyed_on_file(name: &str) -> Vec<Value> {
    let answers = members(&file(VERSIONS[0], name));
    answers.into_values().flat_map(|answer| rows(answer.get())).map(|row| parsed(&row)).collect()
}

fn answer(version: &str, asked: &Asked) -> Option<(&'static str, String)> {
    let spoken = asked.headers.iter().find(|(name, _)| name == "intercom-version");
    assert_eq!(spoken.map(|(_, version)| version.as_str()), Some(version));
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    match path {
        "/contacts/search" => {
            let group = GROUPS.iter().find(|(field, _)| asked.body["query"]["field"] == *field);
            let ids = group.map(|(_, name)| group_of(&file(version, name), &asked.body["query"]["value"]));
            return Some(("contacts", searched(&file(version, "contacts"), asked, ids.as_deref())));
        }
        "/conversations/search" => {
            return Some(("conversations", searched(&file(version, "conversations"), asked, None)));
        }
        "/tickets/search" => return Some(("tickets", searched(&file(version, "tickets"), asked, None))),
        "/companies/scroll" => {
            // The same parameter on every page, and an empty page at the end.
            let text = file(version, "companies");
            return Some(("companies", if query.is_empty() { text } else { with_rows(&text, "data", &[]) }));
        }
        _ => {}
    }
    if let Some((_, table)) = LISTS.iter().find(|(list, _)| *list == path) {
        return Some((table, file(version, table)));
    }
    for (name, table) in KEYED {
        if let Some(answer) = members(&file(version, name)).get(&asked.target) {
            return Some((table, answer.get().to_owned()));
        }
    }
    OBJECTS.iter().find_map(|(name, table)| {
        let file_of_objects = file(version, name);
        let object = members(&file_of_objects).remove(path)?;
        let list = rows(&file(version, table));
        let row = list.iter().find(|row| path.ends_with(&format!("/{}", id(row))))?;
        // What the object shows alone stands behind what the list shows too.
        let body = format!("{}, {}", row.trim_end().strip_suffix('}')?, object.get().strip_prefix('{')?);
        Some((*table, body))
    })
}

/// The rows in the order that is asked for; of a group, those with its ids.
fn searched(text: &str, asked: &Asked, ids: Option<&[String]>) -> String {
    let mut found = rows(text);
    if let Some(ids) = ids {
        found.retain(|row| ids.contains(&id(row)));
    }
    let date = asked.body["sort"]["field"].as_str().expect("a search is sorted");
    found.sort_by_key(|row| parsed(row)[date].as_i64().expect("dates that are sorted by are numbers"));
    if asked.body["sort"]["order"] == "descending" {
        found.reverse();
    }
    let records = record_key(text).expect("an object");
    with_rows(text, &records, &found)
        .replace("\"total_count\":3", &format!("\"total_count\":{}", found.len()))
}

fn group_of(text: &str, group: &Value) -> Vec<String> {
    let ids = members(text).remove(group.as_str().expect("ids are text")).expect("a group on file");
    serde_json::from_str(ids.get()).expect("a list of ids")
}

/// The envelope with other rows.
fn with_rows(text: &str, records: &str, rows: &[String]) -> String {
    let members = members(text).into_iter().map(|(name, value)| {
        let value = if name == records { format!("[{}]", rows.join(",")) } else { value.get().to_owned() };
        format!("\"{name}\":{value}")
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// The rows of an answer, to the letter.
pub(super) fn rows(text: &str) -> Vec<String> {
    let list: Vec<Box<RawValue>> = match record_key(text) {
        Some(key) => serde_json::from_str(members(text)[&key].get()).expect("a list"),
        None => {
            serde_json::from_str(text).unwrap_or_else(|_| vec![RawValue::from_string(text.into()).unwrap()])
        }
    };
    list.into_iter().map(|row| row.get().to_owned()).collect()
}

/// Under which key the rows of an answer stand; `None` for a bare list and for a single object.
fn record_key(text: &str) -> Option<String> {
    let keys =
        ["data", "conversations", "tickets", "segments", "admins", "teams", "activity_logs", "companies"];
    // An object that is a row itself may have a list of that name too, but then it has an id.
    let members = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(text).ok()?;
    let key = keys.iter().find(|key| members.get(**key).is_some_and(|value| value.get().starts_with('[')))?;
    (!members.contains_key("id")).then(|| (*key).to_owned())
}

/// The members of an object, to the letter.
fn members(text: &str) -> BTreeMap<String, Box<RawValue>> {
    serde_json::from_str(text).expect("an object")
}

fn id(row: &str) -> String {
    parsed(row)["id"].as_str().expect("these ids are text").to_owned()
}

pub(super) fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn file(version: &str, name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/shapes");
    let own = folder.join(version).join(format!("{name}.json"));
    let path = if own.exists() { own } else { folder.join(VERSIONS[0]).join(format!("{name}.json")) };
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
