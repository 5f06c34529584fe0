//! Content, attributes, and what versions and dialects make of them.

use super::super::generate::REGISTRY;
use super::workspace::{by_id, children, get_at, id, rows, walk};
use super::*;

#[tokio::test]
async fn what_the_ai_agent_learns_from_is_listed_and_found_alone() {
    let settings = Settings { external_pages: 53, ..Settings::default() };
    let sandbox = start(settings).await;
    let page = get(&sandbox, "/ai/external_pages").await.json();
    assert_eq!(
        (rows(&page, "data").len(), &page["total_count"], &page["pages"]["per_page"]),
        (50, &json!(53), &json!(50))
    );
    let all = walk(&sandbox, "/ai/external_pages", "data").await;
    assert!(all.is_sorted_by(|a, b| a["updated_at"].as_i64() >= b["updated_at"].as_i64()));
    let sources: Vec<_> =
        sandbox.truth("content_import_sources").iter().map(|one| one["id"].clone()).collect();
    assert!(sources.iter().all(Value::is_i64) && all.iter().all(|page| sources.contains(&page["source_id"])));
    for (table, path) in
        [("external_pages", "/ai/external_pages"), ("content_import_sources", "/ai/content_import_sources")]
    {
        let row = sandbox.truth(table)[1].clone();
        assert_eq!(get(&sandbox, &format!("{path}/{}", id(&row))).await.json(), row);
        sandbox.change(Change::Delete { table: table.to_owned(), id: id(&row) });
        assert_eq!(get(&sandbox, &format!("{path}/{}", id(&row))).await.status, 404, "{table}");
    }
    let newer = get_at(&sandbox, 15, "/ai/content_import_sources").await.json();
    assert_eq!(newer["data"][0]["audience_ids"], json!([]));
    assert_eq!(
        rows(&newer, "data")[0],
        serde_json::from_str::<Value>(&sandbox.truth_text_at("content_import_sources", 15)[0]).unwrap()
    );
}

#[tokio::test]
async fn the_ip_allowlist_is_one_object_since_2_14() {
    let sandbox = start(Settings::default()).await;
    let expected =
        json!({"type": "ip_allowlist", "enabled": true, "ip_allowlist": ["192.0.2.0/24", "198.51.100.7"]});
    assert_eq!(get(&sandbox, "/ip_allowlist").await.json(), expected);
    let older = get_at(&sandbox, 13, "/ip_allowlist").await;
    assert_eq!(older.code(), (400, "intercom_version_invalid".to_owned()));
}

#[tokio::test]
async fn a_newsfeed_lists_what_is_live_there() {
    let sandbox = start(Settings { news_items: 60, ..Settings::default() }).await;
    let feeds = sandbox.truth("newsfeeds");
    let links = sandbox.links("newsfeed_items");
    let mut found = Vec::new();
    for feed in &feeds {
        let path = format!("/news/newsfeeds/{}/items", id(feed));
        let items = walk(&sandbox, &path, "data").await;
        assert!(items.iter().all(|item| item["state"] == "live"));
        assert_eq!(get(&sandbox, &path).await.json()["pages"]["per_page"], 20);
        found.extend(items.iter().map(|item| (id(feed), id(item))));
    }
    found.sort();
    assert_eq!(found, links);
    assert!(children(&links, &id(&feeds[0])).len() > 20 && children(&links, &id(&feeds[2])).is_empty());
    let (feed, item) = links[0].clone();
    let value = json!([]);
    sandbox.change(Change::SetField {
        table: "news_items".to_owned(),
        id: item,
        field: "newsfeed_assignments".to_owned(),
        value,
    });
    assert_eq!(sandbox.links("newsfeed_items").len(), links.len() - 2);
    sandbox.change(Change::Delete { table: "newsfeeds".to_owned(), id: feed.clone() });
    assert_eq!(get(&sandbox, &format!("/news/newsfeeds/{feed}/items")).await.status, 404);
    assert!(children(&sandbox.links("newsfeed_items"), &feed).is_empty());
}

#[tokio::test]
async fn statistics_show_on_the_single_article_and_move_alone() {
    let sandbox = start(Settings::default()).await;
    let article = sandbox.truth("articles")[4].clone();
    assert!(article.get("statistics").is_none());
    let path = format!("/articles/{}", id(&article));
    let before = sandbox.article_statistics(&id(&article)).unwrap();
    let mut shown = get(&sandbox, &path).await.json();
    assert_eq!(shown["statistics"], before);
    assert!(
        before["views"].is_i64()
            && before["conversations"].is_i64()
            && before["happy_reaction_percentage"].is_f64()
    );
    shown.as_object_mut().unwrap().remove("statistics");
    assert_eq!(shown, article);
    sandbox.change(Change::ViewArticle { id: id(&article) });
    let after = sandbox.article_statistics(&id(&article)).unwrap();
    assert_eq!(after["views"].as_i64(), before["views"].as_i64().map(|views| views + 1));
    assert_eq!(sandbox.truth("articles")[4], article);
    sandbox.change(Change::Delete { table: "articles".to_owned(), id: id(&article) });
    assert_eq!((sandbox.article_statistics(&id(&article)), get(&sandbox, &path).await.status), (None, 404));
}

#[tokio::test]
async fn attributes_of_conversations_moved_with_2_16() {
    let sandbox = start(Settings { odd_attributes: true, ..Settings::default() }).await;
    let path = "/conversations/attributes";
    for refused in [path, "/conversations/attributes/12800043"] {
        let answer = get_at(&sandbox, 15, refused).await;
        assert_eq!(answer.code(), (400, "intercom_version_invalid".to_owned()), "{refused}");
    }
    assert_eq!(get_at(&sandbox, 15, "/data_attributes?model=conversation").await.status, 200);
    let moved = get_at(&sandbox, 16, "/data_attributes?model=conversation").await;
    assert_eq!(moved.code(), (422, "parameter_invalid".to_owned()));
    let model = |row: &Value| row["model"].as_str().unwrap().to_owned();
    for (minor, listed) in [(15, true), (16, false)] {
        let all = get_at(&sandbox, minor, "/data_attributes").await.json();
        assert_eq!(rows(&all, "data").iter().any(|row| model(row) == "conversation"), listed, "{minor}");
    }

    let whole = get_at(&sandbox, 16, "/conversations/attributes?include_archived=true").await.json();
    assert_eq!((&whole["type"], rows(&whole, "data")), (&json!("list"), sandbox.conversation_attributes()));
    let older: Vec<_> = sandbox
        .truth("data_attributes")
        .into_iter()
        .filter(|row| model(row) == "conversation" && row["custom"] == true)
        .collect();
    assert_eq!(
        by_id(older).iter().map(id).collect::<Vec<_>>(),
        sandbox.conversation_attributes().iter().map(id).collect::<Vec<_>>()
    );
    let unarchived = rows(&get_at(&sandbox, 16, path).await.json(), "data");
    assert_eq!(unarchived.len(), rows(&whole, "data").len() - 1);
    let named = |name: &str| unarchived.iter().find(|row| row["name"] == name).unwrap();
    for (name, data_type) in [
        ("Issue type", "string"),
        ("Priority Score", "integer"),
        ("Estimated ($)", "decimal"),
        ("Escalated?", "boolean"),
        ("Due", "datetime"),
        ("Root \"cause\"", "list"),
        ("Related orders", "relationship"),
        ("Scans", "files"),
    ] {
        assert_eq!(named(name)["data_type"], data_type, "{name}");
    }
    let list = named("Root \"cause\"");
    assert_eq!(
        (&list["options"][1]["label"], &list["options"][1]["archived"]),
        (&json!("silver"), &json!(false))
    );
    assert_eq!(named("Issue type")["multiline"], false);
    assert_eq!(named("Related orders")["reference"]["type"], "many");
    assert_eq!(get_at(&sandbox, 16, &format!("{path}/{}", id(list))).await.json(), *list);
    assert_eq!(get_at(&sandbox, 16, &format!("{path}/1")).await.status, 404);
}

#[tokio::test]
async fn declarations_can_be_changed_by_the_ids_they_show() {
    let sandbox = start(Settings { odd_attributes: true, ..Settings::default() }).await;
    let table = || "data_attributes".to_owned();
    let find = |name: &str| {
        let all = sandbox.truth("data_attributes");
        all.into_iter().find(|row| row["name"] == name && row["model"] == "contact")
    };
    let score = find("Lead Score").unwrap();
    let (field, value) = ("data_type".to_owned(), json!("string"));
    assert_eq!(sandbox.change(Change::SetField { table: table(), id: id(&score), field, value }).len(), 1);
    assert_eq!(find("Lead Score").unwrap()["data_type"], "string");
    let removed = sandbox.change(Change::Delete { table: table(), id: id(&score) });
    assert_eq!(find("Lead Score"), None);
    assert_eq!(sandbox.change(Change::Restore { table: table(), id: removed[0].clone() }), removed);
    assert!(find("Lead Score").is_some());
    assert_eq!(sandbox.change(Change::Delete { table: table(), id: "contact:email".to_owned() }).len(), 1);
    assert_eq!(find("email"), None);
}

#[tokio::test]
async fn rows_of_every_kind_can_be_removed_and_are_not_found_then() {
    let sandbox = start(Settings::default()).await;
    for recipe in &REGISTRY {
        let table = recipe.name;
        let row = sandbox.truth(table).into_iter().rev().find(|row| !row["id"].is_null()).unwrap();
        let folder = match table {
            "collections" | "help_centers" => "/help_center",
            "news_items" | "newsfeeds" => "/news",
            "content_import_sources" | "external_pages" => "/ai",
            _ => "",
        };
        let alone = !matches!(
            table,
            "data_attributes"
                | "ticket_states"
                | "subscription_types"
                | "away_status_reasons"
                | "activity_logs"
        );
        let path = format!("{folder}/{table}/{}", id(&row));
        assert_eq!(get(&sandbox, &path).await.status == 200, alone, "{table}");
        let before = sandbox.truth(table).len();
        assert_eq!(
            sandbox.change(Change::Delete { table: table.to_owned(), id: id(&row) }).len(),
            1,
            "{table}"
        );
        assert_eq!(get(&sandbox, &path).await.status, 404, "{table}");
        assert_eq!(sandbox.truth(table).len(), before - 1);
    }
}

#[tokio::test]
async fn a_listed_conversation_can_be_not_found() {
    let sandbox = start(Settings::default()).await;
    let conversation = id(&sandbox.truth("conversations")[3]);
    let path = format!("/conversations/{conversation}");
    let gone =
        FaultKind::Status { code: 404, error_code: "not_found".to_owned(), retry_after: None, headers: true };
    sandbox.fault(Fault { times: u32::MAX, ..fault(&path, gone) });
    for _ in 0..3 {
        assert_eq!(get(&sandbox, &path).await.code(), (404, "not_found".to_owned()));
    }
    let query = json!({"query": {"field": "id", "operator": "=", "value": conversation}});
    assert_eq!(post(&sandbox, "/conversations/search", &query).await.json()["total_count"], 1);
    sandbox.clear_faults();
    assert_eq!(get(&sandbox, &path).await.status, 200);
}

#[tokio::test]
async fn dialects_show_in_answers_and_in_the_truth_alike() {
    let sandbox = start(Settings { later_fields: true, published_keys: true, ..Settings::default() }).await;
    let at = |table: &str, minor: u8| -> Vec<Value> {
        sandbox.truth_text_at(table, minor).iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    };
    for minor in [14, 16] {
        for table in ["articles", "companies", "tickets", "contacts"] {
            let row = at(table, minor)[5].clone();
            let mut alone = get_at(&sandbox, minor, &format!("/{table}/{}", id(&row))).await.json();
            let statistics = alone.as_object_mut().unwrap().remove("statistics");
            assert_eq!(alone, row, "{table} {minor}");
            if let Some(statistics) = statistics {
                assert!(statistics["conversions"].is_i64() && statistics.get("conversations").is_none());
                assert_eq!(statistics.get("fin_involvements").is_some(), minor == 16);
            }
        }
        assert_eq!(rows(&get_at(&sandbox, minor, "/admins").await.json(), "admins"), at("admins", minor));
        assert_eq!(
            rows(&get_at(&sandbox, minor, "/ticket_types").await.json(), "data"),
            at("ticket_types", minor)
        );
        assert_eq!(at("conversations", minor)[0].get("channel").is_some(), minor == 16);
    }
    let assigned = at("conversations", 14).into_iter().find(|row| row["teammates"].is_object()).unwrap();
    assert!(assigned["teammates"]["teammates"][0]["id"].is_string());
    assert!(sandbox.links("conversation_teammates").iter().any(|(parent, _)| *parent == id(&assigned)));
    assert!(
        at("ticket_types", 14)
            .iter()
            .all(|kind| kind["ticket_type_attributes"]["ticket_type_attributes"].is_array())
    );
    let (contact, _) = sandbox.links("contact_companies")[0].clone();
    let companies = get(&sandbox, &format!("/contacts/{contact}/companies")).await.json();
    assert!(companies.get("data").is_none() && !rows(&companies, "companies").is_empty());
}
