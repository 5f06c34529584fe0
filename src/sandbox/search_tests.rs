//! Paging through searches, also while rows move.

use serde_json::json;

use super::super::change::Change;
use super::*;

fn newest_first(per_page: u64, after: Option<&str>) -> Value {
    json!({
        "query": {"field": "created_at", "operator": ">", "value": 0},
        "sort": {"field": "updated_at", "order": "descending"},
        "pagination": {"per_page": per_page, "starting_after": after},
    })
}

struct Bench {
    world: World,
    settings: Settings,
    now: Timestamp,
}

impl Bench {
    fn new() -> Self {
        let settings = Settings::default();
        Self { world: World::generate(&settings), now: settings.started_at, settings }
    }

    fn ask(&mut self, kind: Kind, body: &Value) -> Result<Value, ApiError> {
        let version = Version::of(14);
        match search(&mut self.world, &self.settings, kind, version, body, self.now, None)? {
            Reply::Listing(listing) => {
                Ok(serde_json::from_str(&listing.text(super::super::reply::Spoilt::Nothing)).unwrap())
            }
            other => panic!("{other:?}"),
        }
    }
}

fn ids(page: &Value, key: &str) -> Vec<String> {
    page[key].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn next(page: &Value) -> Option<String> {
    page["pages"].get("next").map(|next| next["starting_after"].as_str().unwrap().to_owned())
}

#[test]
fn paging_shows_every_row_once_in_order_across_a_burst_of_one_second() {
    for (kind, key, total) in [
        (Kind::Contacts, "data", 250),
        (Kind::Conversations, "conversations", 120),
        (Kind::Tickets, "tickets", 80),
    ] {
        let mut bench = Bench::new();
        let (mut seen, mut dates, mut after) = (Vec::new(), Vec::new(), None);
        loop {
            let page = bench.ask(kind, &newest_first(7, after.as_deref())).unwrap();
            assert_eq!(page["total_count"], total);
            seen.extend(ids(&page, key));
            dates.extend(page[key].as_array().unwrap().iter().map(|row| row["updated_at"].as_i64().unwrap()));
            after = next(&page);
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), total);
        assert!(dates.is_sorted_by(|a, b| a >= b));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), total);
    }
}

#[test]
fn a_row_that_changes_while_paging_moves_out_of_sight() {
    let mut bench = Bench::new();
    let all = bench.ask(Kind::Contacts, &newest_first(150, None)).unwrap();
    let last = ids(&all, "data").pop().unwrap();
    let first = bench.ask(Kind::Contacts, &newest_first(10, None)).unwrap();
    bench.world.apply(&Change::Update { table: "contacts".to_owned(), id: last.clone() }, bench.now);
    let rest = bench.ask(Kind::Contacts, &newest_first(150, next(&first).as_deref())).unwrap();
    assert!(!ids(&rest, "data").contains(&last));
    let again = bench.ask(Kind::Contacts, &newest_first(1, None)).unwrap();
    assert_eq!(ids(&again, "data"), [last]);
}

#[test]
fn unsorted_results_come_by_id_and_numbers_count_as_numbers() {
    let mut bench = Bench::new();
    let body = json!({"query": {"field": "created_at", "operator": ">", "value": 0}});
    let page = bench.ask(Kind::Conversations, &body).unwrap();
    let ids: Vec<u64> = ids(&page, "conversations").iter().map(|id| id.parse().unwrap()).collect();
    assert_eq!(ids.len(), 20);
    assert!(ids.is_sorted());
    assert!(page["conversations"][0].get("conversation_parts").is_none());
}

#[test]
fn requests_outside_the_contract_are_refused() {
    let query = json!({"field": "created_at", "operator": ">", "value": 0});
    for (body, code) in [
        (json!({}), "parameter_not_found"),
        (json!([]), "parameter_invalid"),
        (json!({"query": query, "sorting": {}}), "parameter_invalid"),
        (json!({"query": query, "pagination": {"per_page": 151}}), "parameter_invalid"),
        (json!({"query": query, "pagination": {"per_page": 0}}), "parameter_invalid"),
        (json!({"query": query, "pagination": {"per_page": "50"}}), "parameter_invalid"),
        (json!({"query": query, "pagination": 5}), "parameter_invalid"),
        (json!({"query": query, "pagination": {"starting_after": "x"}}), "client_error"),
        (json!({"query": query, "pagination": {"starting_after": 5}}), "client_error"),
        (json!({"query": query, "sort": {"field": "updated_at", "order": "desc"}}), "invalid_sort_order"),
        (json!({"query": query, "sort": {"field": "updated_at", "order": null}}), "invalid_sort_order"),
        (json!({"query": query, "sort": {"field": "nothing", "order": "ascending"}}), "invalid_field"),
        (json!({"query": query, "sort": {"order": "ascending"}}), "parameter_invalid"),
    ] {
        let refused = Bench::new().ask(Kind::Contacts, &body).unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (400, code), "{body}");
    }
}

#[test]
fn a_sort_without_an_order_is_newest_first() {
    let body = json!({
        "query": {"field": "created_at", "operator": ">", "value": 0}, "sort": {"field": "created_at"}
    });
    let page = Bench::new().ask(Kind::Contacts, &body).unwrap();
    let dates: Vec<_> =
        page["data"].as_array().unwrap().iter().map(|row| row["created_at"].as_i64()).collect();
    assert_eq!(dates.len(), 50);
    assert!(dates.is_sorted_by(|a, b| a >= b));
}

#[test]
fn a_range_of_the_date_that_rows_are_sorted_by_shows_what_looking_row_by_row_shows() {
    let mut bench = Bench::new();
    let middle = bench.now.as_second() - 400 * 86_400;
    let one = |operator: &str, days: i64| json!({"field": "created_at", "operator": operator, "value": middle + days * 86_400});
    let ranges = [
        vec![one(">", 0)],
        vec![one("<", 0)],
        vec![one(">", -90), one("<", 90)],
        vec![one("=", 3)],
        vec![one(">", 90), one("<", -90)],
    ];
    for filters in ranges {
        for (kind, key) in [(Kind::Contacts, "data"), (Kind::Tickets, "tickets")] {
            for order in ["ascending", "descending"] {
                let mut ask = |query: Value| {
                    let sort = json!({"field": "created_at", "order": order});
                    let body = json!({"query": query, "sort": sort, "pagination": {"per_page": 150}});
                    let page = bench.ask(kind, &body).unwrap();
                    (ids(&page, key), page["total_count"].clone())
                };
                let range = ask(json!({"operator": "AND", "value": filters}));
                // Nobody is called that, so that the other half of the question decides.
                let nobody = json!({"field": "id", "operator": "=", "value": "nobody"});
                let by_row = json!({"operator": "AND", "value": filters});
                assert_eq!(
                    range,
                    ask(json!({"operator": "OR", "value": [nobody, by_row]})),
                    "{filters:?} {order}"
                );
            }
        }
    }
}
