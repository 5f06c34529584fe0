//! Stored states of every version.
//!
//! `data/state/vN.json` holds states as version N wrote them, by name; what stands there is never edited.
//! `vN.expected.json` is what they mean today, in today's form, to the letter.
//!
//! `data/lake/typed_json` is a lake as it was written when JSON had a type of its own in files.

use std::path::Path;

use duckdb::Connection;
use ingest::destination::parquet::table_folder;
use ingest::destination::{Destination, Target};
use ingest::error::ErrorKind;
use ingest::state::{StateChange, TableState, VERSION};
use ingest::table::Kind;
use serde_json::{Map, Value};

use crate::support::tables::{InDuckDb, Subject, begin_lake, nothing, pass, target, upsert};

fn read(name: &str) -> Map<String, Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/state").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// Whoever changes the document finds out here, and decides whether it is a new version: one that an older
/// program would misunderstand is.
#[test]
fn every_version_is_read_as_what_it_means() {
    for version in 1..=VERSION {
        let stored = read(&format!("v{version}.json"));
        let expected = read(&format!("v{version}.expected.json"));
        assert_eq!(stored.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "v{version}");
        for (name, document) in stored {
            let today = expected[&name].to_string();
            for text in [document.to_string(), today.clone()] {
                let state = TableState::from_json(&text).expect(&name);
                assert_eq!(state.to_json().unwrap(), today, "v{version}: {name}");
            }
        }
    }
}

/// Words that a state is made of are stored under their names, so they may not change either.
#[test]
fn states_of_the_first_version_say_what_they_said() {
    let [new, complete, refreshing] = ["new", "complete", "refreshing"]
        .map(|name| TableState::from_json(&read("v1.json")[name].to_string()).expect(name));
    assert_eq!(new, TableState::new("w0rkspac", "2.14", "0123456789abcdef".into()));
    assert_eq!(complete.checkpoint, Some("2026-11-20T07:00:00Z".parse().unwrap()));
    assert_eq!(complete.proven_from, Some("2023-01-01T00:00:00Z".parse().unwrap()));
    assert_eq!(complete.refreshed_at, Some("2026-11-19T23:59:59.123456Z".parse().unwrap()));
    assert_eq!((complete.shortfalls, complete.refresh), (1, None));
    let refresh = refreshing.refresh.expect("a refresh");
    assert_eq!(refresh.by, ingest::window::DateField::CreatedAt);
    let remaining: Vec<_> = refresh.remaining.iter().map(|window| (window.from, window.to)).collect();
    assert_eq!(
        remaining,
        [
            (None, Some(1_700_000_000)),
            (Some(1_700_000_000), Some(1_750_000_000)),
            (Some(1_750_000_000), None)
        ]
    );
}

/// A file with one stored state, as text, and the table it is about.
fn file_with(state: &str) -> InDuckDb {
    InDuckDb::with(&format!(
        "CREATE SCHEMA crm;
         CREATE TABLE crm.contacts (id VARCHAR);
         CREATE SCHEMA _ingest;
         CREATE TABLE _ingest.state (
             schema_name VARCHAR, table_name VARCHAR, revision UBIGINT, checkpoint TIMESTAMP WITH TIME ZONE, state JSON);
         INSERT INTO _ingest.state VALUES ('crm', 'contacts', 7, NULL, '{}')",
        state.replace('\'', "''")
    ))
}

#[test]
fn states_of_the_first_version_are_found_in_a_file() {
    for (name, document) in read("v1.json") {
        let contacts = target("contacts");
        let mut file = file_with(&document.to_string());
        let stored =
            file.destination().load(std::slice::from_ref(&contacts)).unwrap().remove(0).expect(&name);
        assert_eq!(stored.revision, 7);
        assert_eq!(stored.state, TableState::from_json(&document.to_string()).unwrap(), "{name}");
        let change = StateChange { expected: Some(7), state: stored.state };
        let commit =
            ingest::destination::TableCommit { state: Some(change), ..upsert(&contacts, pass(1), "[]") };
        assert_eq!(file.destination().commit(&[commit]).unwrap()[0].revision, Some(8), "{name}");
    }
}

/// A newer version may mean something else by the same words: nothing is read and nothing overwritten.
#[test]
fn a_newer_version_is_refused() {
    let mut document = read(&format!("v{VERSION}.json"))["complete"].clone();
    document["version"] = (VERSION + 1).into();
    let state = TableState::new("w0rkspac", "2.14", String::new());
    for text in [document.to_string(), format!(r#"{{"version":{},"all":"new"}}"#, VERSION + 1)] {
        let contacts = target("contacts");
        let mut file = file_with(&text);
        let destination: &mut dyn Destination = file.destination();
        let change = StateChange { expected: Some(7), state: state.clone() };
        let rows = upsert(&contacts, pass(1), r#"[{"id":"1"}]"#);
        let commit = ingest::destination::TableCommit { state: Some(change), ..rows };
        for error in [
            destination.load(std::slice::from_ref(&contacts)).map(drop).unwrap_err(),
            destination.commit(&[commit]).map(drop).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Destination);
            assert!(error.to_string().contains(&format!("version {}", VERSION + 1)), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("newer ingest")), "{error:?}");
        }
        assert_eq!(
            file.query("SELECT revision::VARCHAR, state::VARCHAR FROM _ingest.state"),
            [[Some("7".into()), Some(text)]]
        );
        assert_eq!(file.query("SELECT id FROM crm.contacts"), Vec::<Vec<Option<String>>>::new());
    }
}

#[test]
fn a_state_that_is_no_state_is_an_error_and_not_a_first_run() {
    for text in ["{}", "null", "[]", "1", r#"{"version":"1"}"#, r#"{"version":1}"#] {
        let error = file_with(text).destination().load(&[target("contacts")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Destination, "{text}");
    }
}

/// The type of a column, and all rows of the table as text.
fn lake_rows(lake: &Path, target: &Target, column: &str) -> (String, Vec<String>) {
    let files = table_folder(lake, target).join("*.parquet");
    let ask = |sql: &str| -> Vec<String> {
        let connection = Connection::open_in_memory().unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let json = target.table.stored_columns().into_iter().filter(|column| column.kind == Kind::Json);
    let text: Vec<String> = json.map(|column| format!("{0}::VARCHAR AS {0}", column.name)).collect();
    let (files, text) = (files.display(), text.join(", "));
    let kind = ask(&format!("SELECT DISTINCT typeof({column}) FROM read_parquet('{files}')")).concat();
    let sql = format!(
        "SELECT to_json(t)::VARCHAR FROM (SELECT * REPLACE ({text}) FROM read_parquet('{files}') ORDER BY id) t"
    );
    (kind, ask(&sql))
}

#[test]
fn a_lake_with_a_type_for_json_goes_on_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let (contacts, parts) = (target("contacts"), target("conversation_parts"));
    for target in [&contacts, &parts] {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data/lake/typed_json/crm")
            .join(target.table.name);
        let copy = table_folder(&lake, target);
        std::fs::create_dir_all(&copy).unwrap();
        for file in std::fs::read_dir(kept).unwrap().map(Result::unwrap) {
            std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
    }
    let look = || {
        let of = |target, column| lake_rows(&lake, target, column);
        [of(&contacts, "custom_attributes"), of(&parts, "attachments")]
    };
    let before = look();
    assert_eq!(
        before.each_ref().map(|(kind, rows)| (kind.as_str(), rows.len())),
        [("JSON", 6), ("JSON", 20)]
    );
    let mut destination = begin_lake(&lake).unwrap();
    let states = destination.load(&[contacts.clone(), parts.clone()]).unwrap();
    assert!(
        states.iter().all(|stored| stored.as_ref().is_some_and(|stored| stored.state.checkpoint.is_some()))
    );
    let noted = |destination: &mut dyn Destination| {
        let mut conversations = Vec::new();
        destination.entries(&parts, &mut |entry| conversations.push(entry.key)).unwrap();
        conversations
    };
    assert_eq!(noted(&mut destination).len(), 3);
    destination.commit(&[nothing(&contacts), nothing(&parts)]).unwrap();
    let after = look();
    assert_eq!(after.each_ref().map(|(kind, _)| kind.as_str()), ["VARCHAR", "VARCHAR"]);
    assert_eq!(before.map(|(_, rows)| rows), after.map(|(_, rows)| rows));
    assert_eq!(noted(&mut destination).len(), 3);
    assert_eq!(destination.load(&[contacts.clone(), parts.clone()]).unwrap(), states);
}
