//! Lists inside rows that are not what they should be, envelopes with more or less than expected, and rows without a
//! key.

use ingest::error::ErrorKind;
use ingest::report::Outcome;
use ingest::source::intercom::tables;
use serde_json::{Value, json};

use super::reading::{self, Reading};
use crate::support::odd_server::{Answer, OddServer};
use crate::support::world::of;

/// A server with one answer for a path, and empty lists for all others.
async fn serving(path: &'static str, answer: Value) -> OddServer {
    OddServer::start(move |asked| {
        let is_it = asked.target.split('?').next() == Some(path) && !asked.target.contains("scroll_param=");
        if is_it { Answer::ok(&answer) } else { Answer::ok(&json!({ "data": [], "scroll_param": "s" })) }
    })
    .await
}

async fn read(path: &'static str, answer: Value, names: &[&str]) -> Reading {
    let server = serving(path, answer).await;
    reading::read(&server.base_url, "2.14", names).await
}

/// One column of a table, rows divided by spaces.
fn column(reading: &Reading, table: &str, column: &str) -> String {
    let rows = reading.rows(table);
    rows.iter().map(|row| row.cell(column).unwrap_or("-").to_owned()).collect::<Vec<_>>().join(" ")
}

/// The ids inside each parent, the parents divided by slashes.
fn inside(reading: &Reading, (table, id): (&str, &str), parents: usize) -> String {
    let of_parent = tables::find(table).expect(table).lead_key();
    let rows = reading.rows(table);
    let of = |parent: usize| -> String {
        let parent = format!("p{parent:02}");
        let own = rows.iter().filter(|row| row.cell(&of_parent) == Some(&parent));
        own.map(|row| row.cell(id).unwrap_or("-")).collect::<Vec<_>>().join(" ")
    };
    (0..parents).map(of).collect::<Vec<_>>().join("/")
}

/// What stands in the place of a list, the ids that are read of it, and how many times it is counted as no rows.
type Case = (Value, &'static str, u64);

/// Tries cases on a table inside another, each in a row of its own with `member` holding the list at `path`.
async fn check(
    (parent, endpoint, records): (&str, &'static str, &str),
    (table, id): (&str, &str),
    (member, path): (&str, &str),
    cases: &[Case],
) {
    let row = |(at, (list, ..)): (usize, &Case)| json!({ "id": format!("p{at:02}"), "updated_at": 1_700_000_000, member: list });
    let rows: Vec<Value> = cases.iter().enumerate().map(row).collect();
    let reading = read(endpoint, json!({ records: rows }), &[parent, table]).await;
    assert_eq!(reading.report.exit_code(), 0, "{table}: {}", reading.report.to_json());
    assert_eq!(reading.rows(parent).len(), cases.len(), "{table}");
    let expected: Vec<&str> = cases.iter().map(|(_, ids, _)| *ids).collect();
    assert_eq!(inside(&reading, (table, id), cases.len()), expected.join("/"), "{table}");
    let count: u64 = cases.iter().map(|(.., count)| count).sum();
    let report = reading.report.to_json()["tables"][1].clone();
    assert_eq!(report["unread_lists"], json!({ path: count }), "{table}");
    assert_eq!(report["misfit_values"], json!({}), "{table}");
    let notes = &of(&reading.report, table).notes;
    assert!(notes.len() == 1 && notes[0].ends_with(&format!(": {path} ({count})")), "{notes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_in_a_row_may_be_null_bare_one_object_or_none() {
    let cases = [
        (json!({ "tags": [{ "id": "7" }, { "id": 8 }] }), "7 8", 0),
        (json!({ "tags": [{ "id": "7" }], "type": "x", "has_more": false, "new": [1] }), "7", 0),
        (json!({ "tags": [] }), "", 0),
        (json!({ "tags": null }), "", 0),
        (json!(null), "", 0),
        (json!({ "tags": { "id": "7" } }), "7", 0),
        (json!({ "tags": {} }), "", 0),
        (json!([{ "id": "7" }]), "7", 0),
        (json!([]), "", 0),
        (json!({ "type": "tag.list" }), "", 1),
        (json!({ "tags": "x" }), "", 1),
        (json!("x"), "", 1),
        (json!(7), "", 1),
        (json!(true), "", 1),
        (json!({ "tags": [null, { "id": "7" }, "8", 9, [10]] }), "7", 4),
    ];
    let parent = ("conversations", "/conversations/search", "conversations");
    check(parent, ("conversation_tags", "tag_id"), ("tags", "tags.tags"), &cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_that_stand_nowhere_else_are_found_in_every_form() {
    let cases = [
        (json!({ "ticket_parts": [{ "id": "1" }], "total_count": 1 }), "1", 0),
        (json!([{ "id": "2" }, { "id": "3" }]), "2 3", 0),
        (json!({ "ticket_parts": { "id": "4" } }), "4", 0),
        (json!({ "ticket_parts": null, "total_count": "none" }), "", 0),
        (json!(null), "", 0),
        (json!({ "parts": [{ "id": "5" }] }), "", 1),
        (json!("6"), "", 1),
    ];
    let parent = ("tickets", "/tickets/search", "tickets");
    check(parent, ("ticket_parts", "id"), ("ticket_parts", "ticket_parts.ticket_parts"), &cases).await;
    let cases = [
        (json!({ "data": [{ "id": "1" }] }), "1", 0),
        (json!({ "ticket_type_attributes": [{ "id": "2" }] }), "2", 0),
        // Once, although it is looked for under two names.
        (json!([{ "id": "3" }, { "id": "4" }]), "3 4", 0),
        (json!({ "data": [{ "id": "5" }, 6] }), "5", 1),
    ];
    let parent = ("ticket_types", "/ticket_types", "data");
    let list = ("ticket_type_attributes", "ticket_type_attributes.data");
    check(parent, ("ticket_type_attributes", "id"), list, &cases).await;
    let cases = [
        (json!([1, "2", 18_446_744_073_709_551_615_u64]), "1 18446744073709551615 2", 0),
        (json!(null), "", 0),
        (json!([1, null, { "id": 2 }, [3]]), "1", 3),
        (json!(7), "", 1),
    ];
    check(("teams", "/teams", "teams"), ("team_admins", "admin_id"), ("admin_ids", "admin_ids"), &cases)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_cannot_be_read_in_a_row_is_asked_for_where_it_has_an_address() {
    let shown = [
        json!("x"),
        json!({ "type": "list" }),
        json!({ "data": 7 }),
        json!({ "data": [], "has_more": true }),
    ];
    let contact = |(at, companies): (usize, &Value)| json!({ "id": format!("p{at:02}"), "updated_at": 1_700_000_000, "companies": companies });
    let contacts: Vec<Value> = shown.iter().enumerate().map(contact).collect();
    let server = OddServer::start(move |asked| match asked.target.split('/').nth(2) {
        Some("search") => Answer::ok(&json!({ "data": contacts })),
        Some(id) => Answer::ok(&json!({ "data": [{ "id": format!("of {id}") }], "pages": null })),
        None => Answer::status(404, &json!({})),
    })
    .await;
    let reading = reading::read(&server.base_url, "2.14", &["contact_companies"]).await;
    assert_eq!(reading.report.exit_code(), 0, "{}", reading.report.to_json());
    let found = inside(&reading, ("contact_companies", "company_id"), shown.len());
    assert_eq!(found, "of p00/of p01/of p02/of p03");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_takes_no_link_away() {
    let cases = [
        (json!("x"), "7 8"),
        (json!({ "type": "tag.list" }), "7 8"),
        (json!({ "tags": [{ "id": "9" }, null] }), "7 8 9"),
        (json!({ "tags": [{ "id": "9" }] }), "9"),
        (json!({ "tags": [] }), ""),
    ];
    let names = ["conversations", "conversation_tags"];
    let conversations = |updated_at: i64, tags: &dyn Fn(usize) -> Value| {
        let row = |at: usize| json!({ "id": format!("p{at:02}"), "created_at": 1_600_000_000, "updated_at": updated_at, "tags": tags(at) });
        json!({ "conversations": (0..cases.len()).map(row).collect::<Vec<_>>() })
    };
    let first = conversations(1_600_000_000, &|_| json!({ "tags": [{ "id": "7" }, { "id": "8" }] }));
    let reading = read("/conversations/search", first, &names).await;
    // Only what changed since is read again.
    let later = conversations(ingest::clock::now().as_second(), &|at| cases[at].0.clone());
    let server = serving("/conversations/search", later).await;
    let reading = reading.again(&server.base_url, &names).await;
    assert_eq!(reading.report.exit_code(), 0, "{}", reading.report.to_json());
    let expected: Vec<&str> = cases.iter().map(|(_, ids)| *ids).collect();
    assert_eq!(inside(&reading, ("conversation_tags", "tag_id"), cases.len()), expected.join("/"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envelopes_may_say_more_or_less() {
    let rows = || json!([{ "id": "a" }, { "id": 18_446_744_073_709_551_615_u64 }]);
    for (path, table, answer) in [
        ("/tags", "tags", json!({ "data": rows() })),
        ("/tags", "tags", rows()),
        (
            "/tags",
            "tags",
            json!({ "type": null, "total": [2], "data": rows(), "meta": { "data": [1] }, "pages": null }),
        ),
        ("/tags", "tags", json!({ "data": rows(), "pages": {}, "total_count": "many" })),
        (
            "/contacts/search",
            "contacts",
            json!({ "data": rows(), "total_count": 2.5, "pages": { "type": "pages" } }),
        ),
        ("/contacts/search", "contacts", rows()),
        ("/companies/scroll", "companies", json!({ "scroll_param": "s", "data": rows(), "pages": 7 })),
        (
            "/articles",
            "articles",
            json!({ "data": rows(), "total_count": 2, "pages": { "next": null, "page": "1" } }),
        ),
    ] {
        let reading = read(path, answer.clone(), &[table]).await;
        assert_eq!(reading.report.exit_code(), 0, "{answer}: {}", reading.report.to_json());
        assert_eq!(column(&reading, table, "id"), "18446744073709551615 a", "{answer}");
        assert_eq!(of(&reading.report, table).notes, Vec::<String>::new(), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_without_a_key_are_told_by_their_place_and_no_value() {
    let secret = "joe@example.com";
    let parent = |inside: Value| {
        let mut row = json!({ "id": "v", "updated_at": 1_700_000_000 });
        row.as_object_mut().unwrap().extend(inside.as_object().unwrap().clone());
        json!({ "conversations": [row] })
    };
    for (path, answer, table, others, message) in [
        (
            "/contacts/search",
            json!({ "data": [{ "id": "a" }, { "email": secret }] }),
            "contacts",
            &[][..],
            "1 rows have no id and are not in the table, the first at data[1] of a page",
        ),
        (
            "/contacts/search",
            json!({ "data": [{ "id": null, "email": secret }] }),
            "contacts",
            &[],
            "1 rows have no id and are not in the table, the first at data[0] of a page",
        ),
        (
            "/contacts/search",
            json!({ "data": [{ "id": { "x": secret } }] }),
            "contacts",
            &[],
            "1 rows have no id and are not in the table, the first at data[0] of a page",
        ),
        (
            "/tags",
            json!({ "data": [{ "name": secret }] }),
            "tags",
            &[],
            "1 rows have no id and are not in the table, the first at data[0] of a page",
        ),
        (
            "/conversations/search",
            parent(json!({ "tags": { "tags": [{ "id": "1" }, { "name": secret }] } })),
            "conversation_tags",
            &["conversations", "conversation_contacts"],
            "1 rows have no id and are not in the table, the first at tags.tags[1] of v",
        ),
    ] {
        let names: Vec<&str> = others.iter().copied().chain([table]).collect();
        let reading = read(path, answer, &names).await;
        let failed = of(&reading.report, table);
        assert_eq!(failed.outcome, Outcome::Failed, "{table}");
        let error = failed.error.as_ref().unwrap();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.to_string().contains(message), "{error}");
        assert!(!format!("{error:?} {}", reading.report.to_json()).contains(secret), "{error:?}");
        for other in others {
            assert_eq!(of(&reading.report, other).outcome, Outcome::Complete, "{other}");
        }
    }
}
