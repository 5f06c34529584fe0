//! Who belongs to what: sweeps, cut lists, merges.

use super::workspace::{children, get_at, id, rows, walk};
use super::*;

/// Ids and the claimed count of a search of contacts, read in pages.
async fn sweep(sandbox: &Sandbox, filter: &Value, sort: &str, per_page: u64) -> (Vec<String>, u64) {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let body = json!({
            "query": filter,
            "sort": {"field": sort, "order": "ascending"},
            "pagination": {"per_page": per_page, "starting_after": after},
        });
        let page = post(sandbox, "/contacts/search", &body).await.json();
        found.extend(rows(&page, "data").iter().map(id));
        after = next(&page);
        if after.is_none() {
            found.sort();
            return (found, page["total_count"].as_u64().unwrap());
        }
    }
}

fn members(sandbox: &Sandbox, table: &str, of: &str) -> Vec<String> {
    let links = sandbox.links(&format!("contact_{table}"));
    links.into_iter().filter(|(_, child)| child == of).map(|(parent, _)| parent).collect()
}

#[tokio::test]
async fn memberships_are_swept_in_any_order_and_counted_right() {
    let sandbox = start(Settings { contacts: 900, tags: 2, segments: 2, ..Settings::default() }).await;
    for (table, field) in [("tags", "tag_id"), ("segments", "segment_id")] {
        let of = id(&sandbox.truth(table)[0]);
        let inside = members(&sandbox, table, &of);
        assert!(inside.len() > 300, "{table} {}", inside.len());
        for sort in ["created_at", "updated_at"] {
            let filter = json!({"field": field, "operator": "=", "value": of});
            let total = inside.len() as u64;
            assert_eq!(sweep(&sandbox, &filter, sort, 150).await, (inside.clone(), total), "{table} {sort}");
            let filter = json!({"field": field, "operator": "!=", "value": of});
            assert_eq!(sweep(&sandbox, &filter, sort, 150).await.1, 900 - total, "{table} {sort}");
        }
        for operator in ["IN", "NIN", ">", "~"] {
            let value = if operator.ends_with("IN") { json!([of]) } else { json!(of) };
            let refused = json!({"query": {"field": field, "operator": operator, "value": value}});
            let answer = post(&sandbox, "/contacts/search", &refused).await;
            assert_eq!(answer.code(), (400, "parameter_invalid".to_owned()), "{field} {operator}");
        }
    }
}

#[tokio::test]
async fn searches_learn_of_memberships_as_late_as_of_anything() {
    let lag = Duration::from_secs(60);
    let sandbox = start(Settings { index_lag: lag, ..Settings::default() }).await;
    let (tag, segment) = (id(&sandbox.truth("tags")[0]), id(&sandbox.truth("segments")[0]));
    for (table, field, of) in [("tags", "tag_id", tag), ("segments", "segment_id", segment)] {
        let filter = json!({"field": field, "operator": "=", "value": of});
        let before = members(&sandbox, table, &of);
        let contacts: Vec<_> = sandbox.truth("contacts").iter().map(id).collect();
        let (joins, leaves) =
            (contacts.iter().find(|one| !before.contains(one)).unwrap().clone(), before[0].clone());
        let (tag, segment) = (of.clone(), of.clone());
        let changes = if table == "tags" {
            [
                Change::AddTag { contact: joins.clone(), tag: tag.clone() },
                Change::RemoveTag { contact: leaves, tag },
            ]
        } else {
            [
                Change::EnterSegment { contact: joins.clone(), segment: segment.clone() },
                Change::LeaveSegment { contact: leaves, segment },
            ]
        };
        for change in changes {
            assert_eq!(sandbox.change(change).len(), 1);
        }
        let after = members(&sandbox, table, &of);
        assert!(after.contains(&joins) && !after.contains(&before[0]));
        assert_eq!(sweep(&sandbox, &filter, "created_at", 150).await, (before.clone(), before.len() as u64));
        let listed = walk(&sandbox, &format!("/contacts/{joins}/{table}"), "data").await;
        assert!(listed.iter().any(|one| id(one) == of));
        sandbox.advance(lag);
        assert_eq!(sweep(&sandbox, &filter, "created_at", 150).await, (after.clone(), after.len() as u64));
    }
}

#[tokio::test]
async fn companies_may_show_the_beginning_of_their_lists_only() {
    let settings = Settings {
        cut_company_segments: Some(1),
        cut_company_tags: Some(2),
        segments: 9,
        ..Settings::default()
    };
    let (sandbox, whole) =
        (start(settings).await, start(Settings { segments: 9, ..Settings::default() }).await);
    for (list, shown) in [("segments", 1), ("tags", 2)] {
        let links = sandbox.links(&format!("company_{list}"));
        assert_eq!(links, whole.links(&format!("company_{list}")));
        let mut cut = 0;
        for company in sandbox.truth("companies") {
            let all = children(&links, &id(&company));
            assert_eq!(rows(&company[list], list).len(), all.len().min(shown), "{list}");
            assert_eq!(company[list]["has_more"], all.len() > shown, "{list}");
            cut += usize::from(all.len() > shown);
        }
        assert!(cut > 5, "{list}");
        let of = &links[0].1;
        let key = if list == "tags" { "tag_id" } else { "segment_id" };
        let found = walk(&sandbox, &format!("/companies?{key}={of}&per_page=4"), "data").await;
        let mut found: Vec<_> = found.iter().map(id).collect();
        found.sort();
        let members: Vec<_> =
            links.iter().filter(|(_, child)| child == of).map(|(parent, _)| parent.clone()).collect();
        assert_eq!(found, members, "{list}");
    }
    let links = sandbox.links("company_segments");
    for company in sandbox.truth("companies") {
        let answer = get(&sandbox, &format!("/companies/{}/segments", id(&company))).await;
        if answer.status == 200 {
            let mut listed: Vec<_> = rows(&answer.json(), "data").iter().map(id).collect();
            listed.sort();
            assert_eq!(listed, children(&links, &id(&company)));
        }
    }
    let company = sandbox.truth("companies")[0].clone();
    let (table, field) = ("companies".to_owned(), "segments".to_owned());
    let value = json!({"type": "segment.list", "segments": []});
    sandbox.change(Change::SetField { table, id: id(&company), field, value });
    assert!(children(&sandbox.links("company_segments"), &id(&company)).is_empty());
    assert!(whole.truth("companies").iter().all(|company| company["segments"].get("has_more").is_none()));
}

#[tokio::test]
async fn a_contact_may_carry_more_of_everything_than_it_shows() {
    let settings = Settings {
        contact_links: true,
        subscription_types: 24,
        companies: 70,
        many_companies: true,
        ..Settings::default()
    };
    let sandbox = start(settings).await;
    let contacts = sandbox.truth("contacts");
    for key in ["companies", "notes", "tags", "opted_in_subscription_types", "opted_out_subscription_types"] {
        let cut = contacts.iter().filter(|contact| contact[key]["has_more"] == true).count();
        assert!(cut > 0, "{key}");
    }
    let links = sandbox.links("contact_companies");
    let many = id(&contacts[9]);
    let path = format!("/contacts/{many}/companies");
    let page = get(&sandbox, &path).await.json();
    assert_eq!((rows(&page, "data").len(), &page["total_count"]), (50, &json!(65)));
    assert_eq!(get(&sandbox, &format!("{path}?per_page=61")).await.status, 400);
    for per_page in [50, 60] {
        let all = walk(&sandbox, &format!("{path}?per_page={per_page}"), "data").await;
        let mut all: Vec<_> = all.iter().map(id).collect();
        all.sort();
        assert_eq!(all, children(&links, &many));
    }
    let sixth = id(&contacts[5]);
    let notes = walk(&sandbox, &format!("/contacts/{sixth}/notes?per_page=6"), "data").await;
    assert_eq!((notes.len(), notes), (13, sandbox.notes(&sixth)));
    assert!(sandbox.notes("nobody").is_empty());
}

#[tokio::test]
async fn a_chain_of_merges_leads_to_the_contact_that_is_left() {
    let sandbox = start(Settings::default()).await;
    let ids: Vec<_> = sandbox.truth("contacts").iter().map(id).take(6).collect();
    for pair in ids.windows(2) {
        sandbox.change(Change::Merge { from: pair[0].clone(), into: pair[1].clone() });
    }
    // Three merges are followed; who was merged longer ago is told a contact that was merged itself.
    for (from, into) in [(4, 5), (3, 5), (2, 5), (1, 4), (0, 3)] {
        let path = format!("/contacts/{}", ids[from]);
        assert_eq!(get(&sandbox, &path).await.code(), (404, "not_found".to_owned()));
        let merged = get_at(&sandbox, 16, &path).await;
        assert_eq!(merged.code(), (410, "contact_merged".to_owned()));
        let link = format!("</contacts/{}>; rel=\"canonical\"", ids[into]);
        assert_eq!(merged.header("link"), Some(link.as_str()), "{from}");
    }
    assert_eq!(get_at(&sandbox, 16, &format!("/contacts/{}", ids[5])).await.status, 200);
    sandbox.change(Change::Restore { table: "contacts".to_owned(), id: ids[4].clone() });
    let merged = get_at(&sandbox, 16, &format!("/contacts/{}", ids[3])).await;
    assert_eq!(merged.header("link"), Some(format!("</contacts/{}>; rel=\"canonical\"", ids[4]).as_str()));
}
