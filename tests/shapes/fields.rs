//! Fields that change their type from row to row, fields that nobody declared, and fields that are missing: no row
//! is lost, no value is lost, no run fails, and the summary counts them by their paths.

use std::collections::{BTreeMap, BTreeSet};

use ingest::source::intercom::tables;
use ingest::table::{Kind, TableSpec, Unknown};
use serde_json::{Value, json};

use super::answers;
use super::leaves::{Pool, leaves};
use super::reading::{self, Reading, Row};
use crate::support::odd_server::{Answer, OddServer};
use crate::support::world::of;

/// A table, and how rows of it are served.
struct Subject {
    table: &'static str,
    /// What else is read with it.
    with: &'static [&'static str],
    /// Path and answer of the requests that bring these rows; all others are answered with empty lists.
    serve: fn(&[Value]) -> Vec<(&'static str, Value)>,
}

const SUBJECTS: &[Subject] = &[
    Subject {
        table: "contacts",
        with: &[],
        serve: |rows| vec![("/contacts/search", json!({ "data": rows, "total_count": rows.len() }))],
    },
    Subject {
        table: "conversations",
        with: &[],
        serve: |rows| vec![("/conversations/search", json!({ "conversations": rows }))],
    },
    Subject {
        table: "companies",
        with: &[],
        serve: |rows| vec![("/companies/scroll", json!({ "data": rows, "scroll_param": "s" }))],
    },
    Subject {
        table: "subscription_types",
        with: &[],
        serve: |rows| vec![("/subscription_types", json!({ "data": rows }))],
    },
    Subject {
        table: "ticket_parts",
        with: &[],
        serve: |rows| {
            let ticket =
                json!({ "id": "t", "updated_at": 1_700_000_000, "ticket_parts": { "ticket_parts": rows } });
            vec![("/tickets/search", json!({ "tickets": [ticket] }))]
        },
    },
    Subject {
        table: "conversation_tags",
        with: &["conversations"],
        serve: |rows| {
            let conversation = json!({ "id": "v", "updated_at": 1_700_000_000, "tags": { "tags": rows } });
            vec![("/conversations/search", json!({ "conversations": [conversation] }))]
        },
    },
    Subject {
        table: "contact_notes",
        with: &[],
        serve: |rows| {
            let contact =
                json!({ "id": "c", "updated_at": 1_700_000_000, "notes": { "data": [{ "id": "1" }] } });
            vec![
                ("/contacts/search", json!({ "data": [contact] })),
                ("/contacts/c/notes", json!({ "data": rows })),
            ]
        },
    },
];

impl Subject {
    fn spec(&self) -> &'static TableSpec {
        tables::find(self.table).expect(self.table)
    }

    /// A row with a value for nearly every column.
    fn row(&self) -> Value {
        let in_parent = |table: &str, path: &str| {
            let parents = answers::on_file(table);
            parents[0].pointer(path).unwrap_or_else(|| panic!("{table} has nothing at {path}")).clone()
        };
        match self.table {
            "ticket_parts" => in_parent("tickets", "/ticket_parts/ticket_parts/0"),
            "conversation_tags" => in_parent("conversations", "/tags/tags/0"),
            "contact_notes" => answers::keyed_on_file("contact_notes")[0].clone(),
            table => answers::on_file(table)[0].clone(),
        }
    }

    /// Paths that are read from a row, its id aside: of columns with their kinds, and of the objects around them.
    fn paths(&self) -> Vec<(String, Option<Kind>)> {
        let own = self.spec().columns.iter().filter(|column| !column.of_parent);
        let mut paths: Vec<_> = own.map(|column| (column.path.to_owned(), Some(column.kind))).collect();
        let around: BTreeSet<String> = paths
            .iter()
            .flat_map(|(path, _)| {
                let around =
                    std::iter::successors(path.rsplit_once('.'), |(around, _)| around.rsplit_once('.'));
                around.map(|(around, _)| around.to_owned()).collect::<Vec<_>>()
            })
            .collect();
        paths.extend(around.into_iter().map(|path| (path, None)));
        paths.retain(|(path, _)| path != "id");
        paths
    }

    async fn read(&self, rows: &[Value]) -> Reading {
        let answers = (self.serve)(rows);
        let server = OddServer::start(move |asked| {
            let path = asked.target.split('?').next().unwrap_or_default();
            let is_next_scroll = asked.target.contains("scroll_param=");
            match answers.iter().find(|(served, _)| *served == path && !is_next_scroll) {
                Some((_, answer)) => Answer::ok(answer),
                None => Answer::ok(&json!({ "data": [], "tickets": [] })),
            }
        })
        .await;
        let tables: Vec<&str> = self.with.iter().copied().chain([self.table]).collect();
        let reading = reading::read(&server.base_url, "2.14", &tables).await;
        assert_eq!(reading.report.exit_code(), 0, "{}: {}", self.table, reading.report.to_json());
        reading
    }

    /// The stored rows by the ids they were served with.
    fn stored(&self, reading: &Reading) -> BTreeMap<String, Row> {
        let id = self.spec().columns.iter().find(|column| column.path == "id" && !column.of_parent);
        let id = id.expect("rows have ids").name();
        reading.rows(self.table).into_iter().map(|row| (row.cell(&id).unwrap().to_owned(), row)).collect()
    }
}

/// Puts a value at a path; objects are made on the way where there are none.
fn set(row: &mut Value, path: &str, value: Value) {
    let mut at = row;
    for key in path.split('.') {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[key];
    }
    *at = value;
}

/// A value of every type there is, all of them told apart by the number.
fn values(number: usize) -> [(&'static str, Value); 6] {
    let text = format!("drift {number}");
    [
        ("object", json!({ "drift": text })),
        ("list", json!([text])),
        ("text", json!(text)),
        ("number", json!(1_500_000_000 + number)),
        ("boolean", json!(true)),
        ("null", json!(null)),
    ]
}

fn fits(kind: Kind, type_of_value: &str) -> bool {
    match kind {
        Kind::Json => true,
        Kind::Text | Kind::Body | Kind::Reference | Kind::Word(_) => {
            matches!(type_of_value, "text" | "number" | "boolean" | "null")
        }
        Kind::Integer | Kind::Float | Kind::Timestamp => matches!(type_of_value, "number" | "null"),
        Kind::Boolean => matches!(type_of_value, "boolean" | "null"),
    }
}

/// Where a value is to be found.
#[derive(Debug)]
enum Kept {
    Nowhere,
    InColumn(Value),
    /// What `_extra` is to hold.
    InExtra(Value),
}

/// Adds one to the count of a path.
fn count(counts: &mut BTreeMap<String, u64>, path: String) {
    *counts.entry(path).or_default() += 1;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_changes_its_type_from_row_to_row_loses_no_row_and_no_value() {
    for subject in SUBJECTS {
        let base = subject.row();
        let mut rows = vec![base.clone()];
        let mut changes = Vec::new();
        let (mut unknown, mut misfits) = (BTreeMap::new(), BTreeMap::new());
        let leaves_out = subject.spec().unknown == Unknown::LeftOut;
        for (path, kind) in subject.paths() {
            for (type_of_value, value) in values(rows.len()) {
                let id = format!("d{}", rows.len());
                let mut row = base.clone();
                set(&mut row, "id", json!(id));
                set(&mut row, &path, value.clone());
                rows.push(row);
                let kept = match kind {
                    _ if value.is_null() => Kept::Nowhere,
                    Some(kind) if fits(kind, type_of_value) => Kept::InColumn(value),
                    // Inside an object that has columns nobody declared this field.
                    None if type_of_value == "object" && leaves_out => Kept::Nowhere,
                    None if type_of_value == "object" => {
                        let path = format!("{path}.drift");
                        count(&mut unknown, path.clone());
                        Kept::InExtra(json!({ path: value["drift"] }))
                    }
                    _ => {
                        count(&mut misfits, path.clone());
                        Kept::InExtra(json!({ &path: value }))
                    }
                };
                changes.push((id, kept));
            }
        }
        let reading = subject.read(&rows).await;
        let stored = subject.stored(&reading);
        assert_eq!(stored.len(), rows.len(), "{}", subject.table);
        for (id, kept) in changes {
            let (row, context) = (&stored[&id], format!("{}: {kept:?}", subject.table));
            let extra = row.json("_extra");
            match kept {
                Kept::Nowhere => assert_eq!(extra, Value::Null, "{context}"),
                Kept::InColumn(value) => {
                    let mut pool = Pool::of([row].into_iter());
                    assert!(leaves(&value).iter().all(|leaf| pool.take(&leaf.text)), "{context}");
                    assert_eq!(extra, Value::Null, "{context}");
                }
                Kept::InExtra(kept) => assert_eq!(extra, kept, "{context}"),
            }
        }
        // A row without a readable date belongs to every window, so that it may be read twice.
        let cursor = subject.spec().cursor.unwrap_or_default();
        let report = of(&reading.report, subject.table);
        let mut counted = report.shape.misfits.clone();
        assert!(counted.remove(cursor) >= misfits.remove(cursor), "{}: {cursor}", subject.table);
        assert_eq!(counted, misfits, "{}", subject.table);
        assert_eq!(report.shape.unknown, unknown, "{}", subject.table);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_nobody_declared_is_kept_and_counted_by_its_path() {
    for subject in SUBJECTS {
        let base = subject.row();
        let mut rows = vec![base.clone()];
        let mut added = Vec::new();
        let around = subject
            .paths()
            .into_iter()
            .filter(|(_, kind)| kind.is_none())
            .map(|(path, _)| format!("{path}."));
        for place in std::iter::once(String::new()).chain(around) {
            for (_, value) in values(rows.len()) {
                let (id, path) = (format!("d{}", rows.len()), format!("{place}surprise"));
                let mut row = base.clone();
                set(&mut row, "id", json!(id));
                set(&mut row, &path, value.clone());
                rows.push(row);
                added.push((id, path, value));
            }
        }
        let reading = subject.read(&rows).await;
        let stored = subject.stored(&reading);
        assert_eq!(stored.len(), rows.len(), "{}", subject.table);
        let report = of(&reading.report, subject.table);
        let json = reading.report.to_json();
        let in_json = json["tables"].as_array().unwrap().last().unwrap();
        let mut expected = BTreeMap::new();
        if subject.spec().unknown == Unknown::LeftOut {
            // The table it is inside of has the whole entry.
            let parent = &reading.rows(subject.with[0])[0];
            let mut pool = Pool::of([parent].into_iter());
            for (_, _, value) in &added {
                assert!(leaves(value).iter().all(|leaf| pool.take(&leaf.text)), "{value}");
            }
            assert_eq!(report.notes, Vec::<String>::new(), "{}", subject.table);
        } else {
            for (id, path, value) in added {
                assert_eq!(stored[&id].json("_extra"), json!({ &path: value }), "{}: {path}", subject.table);
                count(&mut expected, path);
            }
            assert!(report.notes.iter().any(|note| note.contains("has no column: ")), "{:?}", report.notes);
        }
        assert_eq!(in_json["unknown_fields"], json!(expected), "{}", subject.table);
        assert_eq!(in_json["misfit_values"], json!({}), "{}", subject.table);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_is_missing_or_null_is_null_and_no_news() {
    for subject in SUBJECTS {
        let base = subject.row();
        let mut rows = vec![base.clone(), json!({ "id": "nothing" })];
        let mut all_null = json!({ "id": "all null" });
        for (path, _) in subject.paths() {
            let mut without = base.clone();
            set(&mut without, "id", json!(format!("d{}", rows.len())));
            let (around, name) = path.rsplit_once('.').unwrap_or(("", &path));
            let pointer =
                if around.is_empty() { String::new() } else { format!("/{}", around.replace('.', "/")) };
            without
                .pointer_mut(&pointer)
                .and_then(Value::as_object_mut)
                .map(|object| object.shift_remove(name));
            rows.push(without);
            set(&mut all_null, path.split('.').next().unwrap(), Value::Null);
        }
        rows.push(all_null);
        let reading = subject.read(&rows).await;
        let stored = subject.stored(&reading);
        assert_eq!(stored.len(), rows.len(), "{}", subject.table);
        for id in ["nothing", "all null"] {
            let of_parent = subject.spec().columns.iter().filter(|column| column.of_parent).count();
            let said = stored[id].0.iter().filter(|(_, _, cell)| cell.is_some()).count();
            assert_eq!(said, 1 + of_parent, "{} {id}: {:?}", subject.table, stored[id]);
        }
        assert_eq!(
            of(&reading.report, subject.table).shape,
            ingest::batch::Shape::default(),
            "{}",
            subject.table
        );
    }
}
