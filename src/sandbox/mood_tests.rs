//! What settings, late changes and pages that end too soon look like from outside.

use super::workspace::{get_at, id, rows, walk};
use super::*;

const DAY: i64 = 86_400;

/// A page as its endpoint would write it if it were the last, with its first records only.
fn cut(mut page: Value, key: &str, shown: usize, next: Option<Value>) -> Value {
    page[key].as_array_mut().unwrap().truncate(shown);
    let pages = page["pages"].as_object_mut().unwrap();
    assert!(pages.remove("next").is_some_and(|next| !next.is_null()), "there is a page after this one");
    if let Some(next) = next {
        pages.insert("next".to_owned(), next);
    }
    page
}

fn set(sandbox: &Sandbox, table: &str, id: &str, created_at: &Value) {
    let (table, id, field) = (table.to_owned(), id.to_owned(), "created_at".to_owned());
    let value = created_at.clone();
    assert_eq!(sandbox.change(Change::SetField { table, id, field, value }).len(), 1);
}

#[tokio::test]
async fn a_page_that_ends_too_soon_looks_like_the_last() {
    let sandbox = start(Settings::default()).await;
    let since = sandbox.now().as_second() - 150 * DAY;
    let logs = format!("/admins/activity_logs?created_at_after={since}&per_page=5");
    for (path, key, end) in [
        ("/articles?per_page=10", "data", Some(Value::Null)),
        ("/calls?per_page=10", "data", None),
        (&logs, "activity_logs", Some(Value::Null)),
    ] {
        let whole = get(&sandbox, path).await.json();
        sandbox.fault(fault("", FaultKind::EmptyPage));
        assert_eq!(get(&sandbox, path).await.json(), cut(whole.clone(), key, 0, end.clone()), "{path}");
        sandbox.fault(fault("", FaultKind::ShortPage(3)));
        assert_eq!(get(&sandbox, path).await.json(), cut(whole.clone(), key, 3, end), "{path}");
        assert_eq!(get(&sandbox, path).await.json(), whole, "{path}");
    }
    let whole = post(&sandbox, "/contacts/search", &everyone(None)).await.json();
    for (what, shown) in [(FaultKind::EmptyPage, 0), (FaultKind::ShortPage(7), 7)] {
        sandbox.fault(fault("/contacts/search", what));
        let page = post(&sandbox, "/contacts/search", &everyone(None)).await.json();
        assert_eq!(page, cut(whole.clone(), "data", shown, None));
        assert_eq!(page["total_count"], 250);
    }
}

#[tokio::test]
async fn a_list_that_comes_whole_can_be_emptied_cut_and_bared() {
    let sandbox = start(Settings::default()).await;
    let whole = get(&sandbox, "/tags").await.json();
    sandbox.fault(fault("/tags", FaultKind::EmptyPage));
    assert_eq!(get(&sandbox, "/tags").await.json(), json!({"type": "list", "data": []}));
    sandbox.fault(fault("/tags", FaultKind::ShortPage(2)));
    let cut = get(&sandbox, "/tags").await.json();
    assert_eq!(cut, json!({"type": "list", "total_count": 12, "data": rows(&whole, "data")[..2]}));
    sandbox.fault(fault("/tags", FaultKind::BareEmpty));
    assert_eq!(get(&sandbox, "/tags").await.json(), json!([]));
    assert_eq!(get(&sandbox, "/tags").await.json(), whole);
    for what in [FaultKind::EmptyPage, FaultKind::ShortPage(0), FaultKind::BareEmpty] {
        sandbox.fault(Fault { times: 2, ..fault("", what) });
        assert!(get(&sandbox, "/me").await.json()["app"].is_object());
        assert_eq!(get(&sandbox, "/contacts/nobody").await.status, 404);
    }
}

#[tokio::test]
async fn an_emptied_page_closes_the_scroll_and_a_short_one_does_not() {
    let sandbox = start(Settings { companies: 250, ..Settings::default() }).await;
    let next =
        |page: &Value| format!("/companies/scroll?scroll_param={}", page["scroll_param"].as_str().unwrap());
    let first = get(&sandbox, "/companies/scroll").await.json();
    let path = next(&first);
    sandbox.fault(fault("/companies/scroll", FaultKind::EmptyPage));
    // An answer that has no records closes nothing.
    assert_eq!(get(&sandbox, "/companies/scroll?scroll_param=unknown").await.status, 404);
    sandbox.fault(fault("/companies/scroll", FaultKind::EmptyPage));
    let mut emptied = first.clone();
    emptied["data"] = json!([]);
    assert_eq!(get(&sandbox, &path).await.json(), emptied);
    assert_eq!(get(&sandbox, &path).await.code(), (404, "not_found".to_owned()));

    let again = get(&sandbox, "/companies/scroll").await.json();
    assert_eq!(again["data"], first["data"]);
    let path = next(&again);
    sandbox.fault(fault("/companies/scroll", FaultKind::ShortPage(7)));
    let short = get(&sandbox, &path).await.json();
    assert_eq!((rows(&short, "data").len(), &short["scroll_param"]), (7, &again["scroll_param"]));
    assert_eq!((&short["total_count"], &short["pages"]), (&Value::Null, &Value::Null));
    // The rest of the short page is lost.
    assert_eq!(rows(&get(&sandbox, &path).await.json(), "data").len(), 50);
}

#[tokio::test]
async fn what_was_denied_can_be_allowed_again() {
    let denied = vec![Denied { path_prefix: "/tags".to_owned(), status: 401 }];
    let sandbox = start(Settings { denied, ..Settings::default() }).await;
    let status = async || get(&sandbox, "/tags").await.status;
    sandbox.deny("/tags", 403);
    assert_eq!(status().await, 401);
    sandbox.allow("/tag");
    assert_eq!(status().await, 401, "another prefix");
    sandbox.allow("/tags");
    assert_eq!(status().await, 200);
    sandbox.deny("/t", 403);
    sandbox.allow("/tags");
    assert_eq!(status().await, 403);
}

#[tokio::test]
async fn conversations_that_are_tickets_hide_from_those_who_may_not_read_tickets() {
    let sandbox = start(Settings { ticket_conversations: 5, ..Settings::default() }).await;
    let everything = || (sandbox.truth_text("conversations"), sandbox.links("conversation_contacts"));
    let (truth, before) = (sandbox.truth("conversations"), everything());
    for (index, row) in truth.iter().enumerate() {
        let ticket =
            if index.is_multiple_of(5) { json!({"type": "ticket", "id": row["id"]}) } else { Value::Null };
        assert_eq!(row["ticket"], ticket);
    }
    let parts: Vec<_> = truth.iter().map(|row| sandbox.parts(&id(row))).collect();
    let shown = async || {
        let page = post(&sandbox, "/conversations/search", &everyone(None)).await.json();
        let alone = get(&sandbox, &format!("/conversations/{}", id(&truth[10]))).await.status;
        let other = get(&sandbox, &format!("/conversations/{}", id(&truth[11]))).await.status;
        (page["total_count"].as_u64().unwrap(), alone, other)
    };
    assert_eq!(shown().await, (120, 200, 200));
    sandbox.deny("/tickets/1001", 403);
    assert_eq!(shown().await, (120, 200, 200), "one ticket is not their search");
    for (prefix, status) in [("/tickets", 403), ("/tickets/search", 401)] {
        sandbox.deny(prefix, status);
        assert_eq!(shown().await, (96, 404, 200), "{prefix}");
        assert_eq!(everything(), before);
        assert!(truth.iter().zip(&parts).all(|(row, parts)| sandbox.parts(&id(row)) == *parts));
        sandbox.allow(prefix);
        assert_eq!(shown().await, (120, 200, 200), "{prefix}");
    }
    sandbox.change(Change::Insert { table: "conversations".to_owned() });
    assert!(sandbox.truth("conversations")[120]["ticket"].is_object());
    sandbox.deny("/tickets", 403);
    assert_eq!(shown().await.0, 96);
}

#[tokio::test]
async fn a_redacted_part_is_redacted_everywhere_and_no_date_moves() {
    let sandbox = start(Settings::default()).await;
    for (table, at, part) in [
        ("conversations", 17, 519),
        ("conversations", 17, 3),
        ("tickets", 23, 519),
        ("tickets", 23, 3),
        ("tickets", 5, 0),
    ] {
        let row = sandbox.truth(table)[at].clone();
        let (id, mut expected) = (id(&row), sandbox.parts(&id(&row)));
        let redact = |at| Change::RedactPart { table: table.to_owned(), id: id.clone(), at };
        assert!(sandbox.change(redact(expected.len())).is_empty());
        assert_ne!(expected[part]["body"], "[redacted]");
        for _ in 0..2 {
            assert_eq!(sandbox.change(redact(part)), [id.as_str()]);
        }
        expected[part]["body"] = json!("[redacted]");
        assert_eq!(sandbox.parts(&id), expected, "{table} {at} {part}");

        let shown = sandbox.shown_parts(&id);
        assert_eq!(shown, expected[expected.len() - shown.len()..]);
        let after = sandbox.truth(table)[at].clone();
        assert_eq!(after["updated_at"], row["updated_at"]);
        let alone = get(&sandbox, &format!("/{table}/{id}")).await.json();
        let query = json!({"query": {"field": "id", "operator": "=", "value": id}});
        let found = post(&sandbox, &format!("/{table}/search"), &query).await.json();
        assert_eq!(found[table][0], after);
        if table == "tickets" {
            assert_eq!(alone, after);
            assert_eq!(rows(&alone["ticket_parts"], "ticket_parts"), shown);
        } else {
            assert_eq!(after, row, "conversations show no parts here");
            assert_eq!(rows(&alone["conversation_parts"], "conversation_parts"), shown);
        }
        sandbox.change(Change::Update { table: table.to_owned(), id: id.clone() });
        assert_eq!(sandbox.parts(&id)[..expected.len()], expected);
    }
    let contact = id(&sandbox.truth("contacts")[0]);
    let table = "contacts".to_owned();
    assert!(sandbox.change(Change::RedactPart { table, id: contact, at: 0 }).is_empty());
}

#[tokio::test]
async fn numbered_lists_can_show_first_what_was_made_last() {
    for newest_first in [false, true] {
        let sandbox = start(Settings { newest_first, ..Settings::default() }).await;
        for (path, table) in [
            ("/calls", "calls"),
            ("/internal_articles?per_page=9", "internal_articles"),
            ("/ai/content_import_sources", "content_import_sources"),
            ("/news/news_items", "news_items"),
        ] {
            let made = sandbox.change(Change::Insert { table: table.to_owned() }).remove(0);
            let mut listed = walk(&sandbox, path, "data").await;
            if newest_first {
                assert_eq!(id(&listed[0]), made, "{table}");
                listed.reverse();
            }
            assert_eq!(listed, sandbox.truth(table), "{table}");
        }
        assert_eq!(walk(&sandbox, "/news/newsfeeds", "data").await, sandbox.truth("newsfeeds"));
    }
}

#[tokio::test]
async fn requests_make_time_pass_where_the_clock_ticks() {
    let sandbox = start(Settings { tick: Duration::from_secs(60), ..Settings::default() }).await;
    let begun = sandbox.now();
    get(&sandbox, "/tags").await;
    get_at(&sandbox, 99, "/tags").await;
    let seconds = |later: Timestamp| later.duration_since(begun).as_secs();
    let at: Vec<_> = sandbox.requests().iter().map(|request| seconds(request.at)).collect();
    assert_eq!(sandbox.requests().iter().map(|request| request.status).collect::<Vec<_>>(), [200, 400]);
    assert!((60..90).contains(&at[0]) && (120..180).contains(&at[1]), "{at:?}");
    assert!((120..180).contains(&seconds(sandbox.now())));
}

#[tokio::test]
async fn the_activity_log_takes_entries_of_any_date() {
    for comparison in [Comparison::Exclusive, Comparison::Inclusive] {
        let sandbox = start(Settings { comparison, ..Settings::default() }).await;
        let future = sandbox.now().as_second() + 900 * DAY;
        let ids: Vec<_> = sandbox.truth("activity_logs").iter().map(id).take(4).collect();
        for (id, date) in ids.iter().zip([json!(-5), json!(0), json!(future), Value::Null]) {
            set(&sandbox, "activity_logs", id, &date);
        }
        let read = async |after: i64, before: i64| {
            let window = format!("created_at_after={after}&created_at_before={before}");
            let answer = get(&sandbox, &format!("/admins/activity_logs?{window}")).await;
            assert_eq!(answer.status, 200, "{window}");
            rows(&answer.json(), "activity_logs").iter().map(id).collect::<Vec<_>>()
        };
        assert_eq!(read(-10, 5).await, [ids[1].clone(), ids[0].clone()]);
        assert_eq!(read(-6, -1).await, [ids[0].clone()]);
        assert_eq!(read(-2, 1).await, [ids[1].clone()]);
        assert_eq!(read(future - 1, future + 1).await, [ids[2].clone()]);
        assert!(read(-100 * DAY, -DAY).await.is_empty());
        // The wrong way round nothing lies between, however far apart.
        assert!(read(i64::MAX, i64::MIN).await.is_empty());
        let everything = format!("/admins/activity_logs?created_at_after={}", i64::MIN);
        assert_eq!(get(&sandbox, &everything).await.status, 500, "wider than any window");
        assert_eq!(sandbox.truth("activity_logs").len(), 120);
    }
}
