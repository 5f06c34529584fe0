//! The rest of a workspace: tickets, the activity log, sub-lists, and the lists nobody searches.

use super::super::generate::REGISTRY;
use super::*;

pub(super) async fn get_at(sandbox: &Sandbox, minor: u8, path: &str) -> Answer {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer sandbox-token\r\n\
         Intercom-Version: 2.{minor}\r\n\r\n"
    );
    raw(sandbox, &request).await.unwrap()
}

pub(super) fn rows(page: &Value, key: &str) -> Vec<Value> {
    page[key].as_array().unwrap().clone()
}

pub(super) fn id(row: &Value) -> String {
    row["id"].as_str().map_or_else(|| row["id"].to_string(), str::to_owned)
}

pub(super) fn children(links: &[(String, String)], parent: &str) -> Vec<String> {
    links.iter().filter(|(of, _)| of == parent).map(|(_, child)| child.clone()).collect()
}

/// Every page of a numbered list, by the URLs it gives.
pub(super) async fn walk(sandbox: &Sandbox, path: &str, key: &str) -> Vec<Value> {
    let (mut all, mut path) = (Vec::new(), path.to_owned());
    loop {
        let page = get(sandbox, &path).await.json();
        all.extend(rows(&page, key));
        let Some(url) = page["pages"]["next"].as_str() else { return all };
        path = url.strip_prefix(&sandbox.base_url()).unwrap().to_owned();
    }
}

pub(super) fn by_id(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(|row| (id(row).len(), id(row)));
    rows
}

#[tokio::test]
async fn every_list_holds_what_truth_says() {
    let sandbox = start(Settings::default()).await;
    for (path, table) in [
        ("/ticket_types", "ticket_types"),
        ("/ticket_states", "ticket_states"),
        ("/help_center/collections", "collections"),
        ("/help_center/help_centers", "help_centers"),
        ("/subscription_types", "subscription_types"),
        ("/news/news_items?per_page=5", "news_items"),
        ("/news/newsfeeds", "newsfeeds"),
        ("/internal_articles", "internal_articles"),
        ("/away_status_reasons", "away_status_reasons"),
        ("/calls?per_page=11", "calls"),
        ("/ai/content_import_sources", "content_import_sources"),
        ("/ai/external_pages?per_page=5", "external_pages"),
    ] {
        let listed = walk(&sandbox, path, "data").await;
        assert!(listed.len() > 1, "{table}");
        assert_eq!(by_id(listed), sandbox.truth(table), "{table}");
    }
    assert_eq!(get(&sandbox, "/calls?per_page=26").await.status, 400);
    assert_eq!(get(&sandbox, "/help_center/collections?per_page=24").await.json()["pages"].get("next"), None);
    assert_eq!(id(&get(&sandbox, "/news/newsfeeds/68").await.json()), "68");
    for path in
        ["/calls/1", "/ticket_states/8269", "/help_center", "/contacts/x/tags", "/companies/x/segments"]
    {
        assert_eq!(get(&sandbox, path).await.status, 404, "{path}");
    }
    for (minor, path, status) in [(13, "/calls", 400), (14, "/calls", 200), (12, "/internal_articles", 400)] {
        assert_eq!(get_at(&sandbox, minor, path).await.status, status, "{minor} {path}");
    }
    assert!(get_at(&sandbox, 16, "/help_center/help_centers").await.json()["data"][0]["locales"].is_array());
}

#[tokio::test]
async fn a_workspace_may_hold_nothing_at_all() {
    let sandbox = start(Settings {
        contacts: 0,
        companies: 0,
        conversations: 0,
        articles: 0,
        tags: 0,
        segments: 0,
        admins: 0,
        teams: 0,
        tickets: 0,
        ticket_types: 0,
        ticket_states: 0,
        collections: 0,
        help_centers: 0,
        subscription_types: 0,
        news_items: 0,
        newsfeeds: 0,
        internal_articles: 0,
        away_status_reasons: 0,
        calls: 0,
        activity_logs: 0,
        content_import_sources: 0,
        external_pages: 0,
        ip_allowlist: Vec::new(),
        contact_links: true,
        many_companies: true,
        odd_attributes: true,
        ..Settings::default()
    })
    .await;
    for recipe in REGISTRY.iter().filter(|recipe| recipe.name != "data_attributes") {
        assert!(sandbox.truth(recipe.name).is_empty(), "{}", recipe.name);
        assert_eq!(sandbox.change(Change::Insert { table: recipe.name.to_owned() }).len(), 1);
    }
    for path in ["/ticket_types", "/calls", "/news/news_items", "/subscription_types", "/ai/external_pages"] {
        assert_eq!(rows(&get(&sandbox, path).await.json(), "data").len(), 1, "{path}");
    }
    let allowed = get(&sandbox, "/ip_allowlist").await.json();
    assert_eq!(allowed, json!({"type": "ip_allowlist", "enabled": false, "ip_allowlist": []}));
}

#[tokio::test]
async fn away_reasons_come_with_an_envelope_or_without() {
    let sandbox = start(Settings { bare_away_status_reasons: true, ..Settings::default() }).await;
    let bare = get(&sandbox, "/away_status_reasons").await.json();
    assert_eq!(bare, json!(sandbox.truth("away_status_reasons")));
    assert!(bare.as_array().unwrap().iter().any(|reason| reason["deleted"] == true));
    sandbox.fault(fault("", FaultKind::BadRow));
    assert!(get(&sandbox, "/away_status_reasons").await.json()[0].is_string());
}

#[tokio::test]
async fn ticket_types_repeat_inside_tickets_and_wrap_their_attributes_both_ways() {
    let sandbox = start(Settings { ticket_types: 5, ..Settings::default() }).await;
    let types = sandbox.truth("ticket_types");
    let attributes = |of: &Value| of["ticket_type_attributes"].clone();
    assert_eq!(rows(&attributes(&types[0]), "data").len(), 6);
    assert_eq!(rows(&attributes(&types[3]), "ticket_type_attributes").len(), 6);
    assert_eq!((&types[0]["archived"], &types[4]["archived"]), (&json!(false), &json!(true)));
    assert_eq!(rows(&types[0]["ticket_states"], "data").len(), 4);
    let states = sandbox.truth("ticket_states");
    assert_eq!(states.iter().filter(|state| state["archived"] == true).count(), 1);
    assert_eq!(rows(&states[0]["ticket_types"], "data").len(), 5);
    for ticket in sandbox.truth("tickets") {
        let own = types.iter().find(|one| one["id"] == ticket["ticket_type"]["id"]).unwrap();
        assert_eq!(attributes(&ticket["ticket_type"]), attributes(own));
        assert_eq!(ticket["category"], own["category"]);
    }
}

#[tokio::test]
async fn tickets_are_searched_by_the_second_and_shaped_by_the_version() {
    let sandbox = start(Settings::default()).await;
    let truth = sandbox.truth("tickets");
    let at = truth[40]["updated_at"].as_i64().unwrap();
    let count = async |operator: &str, value: i64| {
        let query = json!({"query": {"field": "updated_at", "operator": operator, "value": value}});
        post(&sandbox, "/tickets/search", &query).await.json()["total_count"].as_u64().unwrap()
    };
    let expected = |wanted: &dyn Fn(i64) -> bool| {
        truth.iter().filter(|row| wanted(row["updated_at"].as_i64().unwrap())).count() as u64
    };
    assert_eq!(count(">", at).await, expected(&|other| other > at));
    assert_eq!(count(">", at - 1).await, expected(&|other| other >= at));
    assert_eq!(count("<", at).await, expected(&|other| other < at));
    let category = async |word: &str| {
        let query = json!({"query": {"field": "category", "operator": "=", "value": word}});
        post(&sandbox, "/tickets/search", &query).await
    };
    let tasks = category("task").await.json();
    assert!(!rows(&tasks, "tickets").is_empty());
    assert!(rows(&tasks, "tickets").iter().all(|ticket| ticket["category"] == "Back-office"));
    assert_eq!(category("Back-office").await.status, 400);
    let large =
        json!({"query": {"field": "open", "operator": "=", "value": true}, "pagination": {"per_page": 151}});
    assert_eq!(post(&sandbox, "/tickets/search", &large).await.status, 400);

    let path = format!("/tickets/{}", id(&truth[23]));
    assert_eq!(get(&sandbox, &path).await.json(), truth[23]);
    assert_eq!(rows(&truth[23]["ticket_parts"], "ticket_parts"), sandbox.shown_parts(&id(&truth[23])));
    assert_eq!(
        (sandbox.parts(&id(&truth[23])).len(), sandbox.shown_parts(&id(&truth[23])).len()),
        (520, 500)
    );
    let (old, new) = (get_at(&sandbox, 11, &path).await.json(), get_at(&sandbox, 16, &path).await.json());
    assert_eq!(old["ticket_state"], truth[23]["ticket_state"]["category"]);
    assert_eq!(old["ticket_state_internal_label"], truth[23]["ticket_state"]["internal_label"]);
    assert!(truth[23]["admin_assignee_id"].is_string() && new["admin_assignee_id"].is_i64());
}

#[tokio::test]
async fn parts_are_counted_everywhere_alike_and_every_update_adds_one() {
    let sandbox = start(Settings::default()).await;
    for conversation in sandbox.truth("conversations").iter().take(40) {
        let parts = sandbox.parts(&id(conversation));
        let shown = get(&sandbox, &format!("/conversations/{}", id(conversation))).await.json();
        assert_eq!(shown["conversation_parts"]["total_count"], parts.len());
        assert_eq!(
            rows(&shown["conversation_parts"], "conversation_parts"),
            sandbox.shown_parts(&id(conversation))
        );
        let counted = &conversation["statistics"]["count_conversation_parts"];
        assert_eq!(counted.as_u64().unwrap_or(0), parts.len() as u64);
    }
    for (table, at) in [("conversations", 0), ("conversations", 17), ("tickets", 5)] {
        let row = sandbox.truth(table)[at].clone();
        let (id, before) = (id(&row), sandbox.parts(&id(&row)));
        sandbox.change(Change::AddPart { table: table.to_owned(), id: id.clone() });
        assert_eq!(sandbox.truth(table)[at]["updated_at"], row["updated_at"]);
        sandbox.change(Change::Update { table: table.to_owned(), id: id.clone() });
        assert!(sandbox.truth(table)[at]["updated_at"].as_i64() > row["updated_at"].as_i64());
        let after = sandbox.parts(&id);
        assert_eq!((after.len(), &after[..before.len()]), (before.len() + 2, &before[..]));
        if table == "conversations" {
            let statistics = &sandbox.truth(table)[at]["statistics"];
            assert_eq!(statistics["count_conversation_parts"], after.len());
        }
    }
    assert!(sandbox.parts("nothing").is_empty());
}

#[tokio::test]
async fn the_activity_log_is_read_in_windows() {
    let sandbox = start(Settings::default()).await;
    let path = "/admins/activity_logs";
    assert_eq!(get(&sandbox, path).await.code(), (400, "parameter_not_found".to_owned()));
    for refused in ["created_at_after=x", "created_at_after=0&per_page=251"] {
        assert_eq!(get(&sandbox, &format!("{path}?{refused}")).await.status, 400, "{refused}");
    }
    assert_eq!(get(&sandbox, &format!("{path}?created_at_after=0")).await.status, 500);
    let (mut end, mut all) = (sandbox.now().as_second() + 1, Vec::new());
    for _ in 0..8 {
        let start = end - 150 * 86_400;
        let window = format!("{path}?created_at_after={}&created_at_before={end}&per_page=9", start - 1);
        all.extend(walk(&sandbox, &window, "activity_logs").await);
        end = start;
    }
    let dates: Vec<_> = all.iter().map(|row| row["created_at"].as_i64().unwrap()).collect();
    assert!(dates.is_sorted_by(|a, b| a >= b));
    assert_eq!(by_id(all), sandbox.truth("activity_logs"));
    let late = sandbox.now().as_second() - 86_400;
    sandbox.change(Change::Insert { table: "activity_logs".to_owned() });
    let newest = get(&sandbox, &format!("{path}?created_at_after={late}")).await.json();
    assert!(newest["activity_logs"][0]["created_at"].as_i64().unwrap() > late);
    assert!(newest.get("total_count").is_none());
}

#[tokio::test]
async fn sub_lists_hold_all_that_embedded_lists_leave_out() {
    let sandbox =
        start(Settings { contact_links: true, subscription_types: 24, ..Settings::default() }).await;
    let (mut cut, mut miscounted) = (0, 0);
    for (list, embedded) in [
        ("tags", &["tags"][..]),
        ("companies", &["companies"]),
        ("notes", &["notes"]),
        ("segments", &[]),
        ("subscriptions", &["opted_out_subscription_types", "opted_in_subscription_types"]),
    ] {
        let links = sandbox.links(&format!("contact_{list}"));
        assert!(!links.is_empty(), "{list}");
        for contact in sandbox.truth("contacts").iter().take(80) {
            let whole = walk(&sandbox, &format!("/contacts/{}/{list}", id(contact)), "data").await;
            let mut listed: Vec<_> = whole.iter().map(id).collect();
            listed.sort();
            assert_eq!(listed, children(&links, &id(contact)), "{list}");
            for key in embedded.iter().filter(|key| contact.get(**key).is_some()) {
                let shown = rows(&contact[*key], "data");
                assert!(shown.len() <= 10 && shown.iter().all(|one| listed.contains(&id(one))), "{list}");
                cut += usize::from(contact[*key]["has_more"] == true);
                let complete = embedded.len() == 1 || contact[*key]["has_more"] == false;
                let claimed = contact[*key]["total_count"].as_u64().unwrap();
                miscounted += usize::from(complete && embedded.len() == 1 && claimed != listed.len() as u64);
            }
        }
    }
    assert!(cut > 4 && miscounted > 4, "{cut} {miscounted}");
    let first = id(&sandbox.truth("contacts")[5]);
    let notes = get(&sandbox, &format!("/contacts/{first}/notes?per_page=5")).await.json();
    assert_eq!((rows(&notes, "data").len(), &notes["total_count"]), (5, &json!(13)));
    assert_eq!(notes["data"][0]["contact"]["id"], *first);
    assert_eq!(get(&sandbox, &format!("/contacts/{first}/notes?per_page=61")).await.status, 400);
    let tagged = id(&sandbox.truth("contacts")[7]);
    let tags = get(&sandbox, &format!("/contacts/{tagged}/tags")).await.json();
    assert!(tags["data"][0]["applied_at"].is_i64() && tags["data"][0]["name"].is_string());
}

#[tokio::test]
async fn memberships_can_be_swept_and_change_without_a_trace() {
    let sandbox = start(Settings::default()).await;
    for (table, field) in [("tags", "tag_id"), ("segments", "segment_id")] {
        let links = sandbox.links(&format!("contact_{table}"));
        for row in sandbox.truth(table) {
            let query = json!({
                "query": {"field": field, "operator": "=", "value": id(&row)},
                "pagination": {"per_page": 150},
            });
            let found = post(&sandbox, "/contacts/search", &query).await.json();
            let mut found: Vec<_> = rows(&found, "data").iter().map(id).collect();
            found.sort();
            let members: Vec<_> = links
                .iter()
                .filter(|(_, child)| *child == id(&row))
                .map(|(parent, _)| parent.clone())
                .collect();
            assert_eq!(found, members, "{table}");
        }
    }
    let contact = sandbox.truth("contacts")[3].clone();
    for list in [ContactList::Companies, ContactList::Notes, ContactList::Subscriptions] {
        let (contact, entry) = (id(&contact), "9101".to_owned());
        let table = format!("contact_{}", format!("{list:?}").to_lowercase());
        let before = sandbox.links(&table);
        sandbox.change(Change::Attach { contact: contact.clone(), list, id: entry.clone() });
        assert_eq!(sandbox.links(&table).len(), before.len() + 1);
        assert!(sandbox.links(&table).contains(&(contact.clone(), entry.clone())));
        sandbox.change(Change::Detach { contact, list, id: entry });
        assert_eq!(sandbox.links(&table), before);
    }
    assert_eq!(sandbox.truth("contacts")[3]["updated_at"], contact["updated_at"]);
}

#[tokio::test]
async fn segments_of_some_listed_companies_are_not_found() {
    let sandbox = start(Settings::default()).await;
    let links = sandbox.links("company_segments");
    let (mut found, mut missing) = (0, 0);
    for company in sandbox.truth("companies") {
        let answer = get(&sandbox, &format!("/companies/{}/segments", id(&company))).await;
        if answer.status == 404 {
            assert_eq!(answer.code().1, "company_not_found");
            missing += 1;
        } else {
            let mut segments: Vec<_> = rows(&answer.json(), "data").iter().map(id).collect();
            segments.sort();
            assert_eq!(segments, children(&links, &id(&company)));
            found += 1;
        }
    }
    assert_eq!((found, missing), (55, 5));
}

#[tokio::test]
async fn what_was_deleted_is_gone_and_what_was_merged_says_where_it_went() {
    let sandbox = start(Settings::default()).await;
    for table in ["contacts", "conversations", "tickets", "articles"] {
        let id = id(&sandbox.truth(table)[2]);
        let path = format!("/{table}/{id}");
        assert_eq!(get(&sandbox, &path).await.status, 200, "{table}");
        sandbox.change(Change::Delete { table: table.to_owned(), id });
        for minor in [14, 16] {
            assert_eq!(get_at(&sandbox, minor, &path).await.code(), (404, "not_found".to_owned()), "{table}");
        }
    }
    let ids: Vec<_> = sandbox.truth("contacts").iter().map(id).collect();
    sandbox.change(Change::Merge { from: ids[0].clone(), into: ids[1].clone() });
    for path in [format!("/contacts/{}", ids[0]), format!("/contacts/{}/tags", ids[0])] {
        assert_eq!(get(&sandbox, &path).await.status, 404);
        let merged = get_at(&sandbox, 16, &path).await;
        assert_eq!(merged.code(), (410, "contact_merged".to_owned()));
        assert_eq!(
            merged.header("link"),
            Some(format!("</contacts/{}>; rel=\"canonical\"", ids[1]).as_str())
        );
    }
    assert!(children(&sandbox.links("contact_tags"), &ids[0]).is_empty());
}
