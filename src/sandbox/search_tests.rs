//! Paging through searches, also while rows move.

use jiff::tz::TimeZone;
use serde_json::json;

use super::super::change::Change;
use super::*;

const DAY: i64 = 86_400;
/// Every searched table: its name, and the member of an answer that holds its records.
const TABLES: [(Kind, &str, &str); 3] = [
    (Kind::Contacts, "contacts", "data"),
    (Kind::Conversations, "conversations", "conversations"),
    (Kind::Tickets, "tickets", "tickets"),
];

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
    hides_tickets: bool,
}

impl Bench {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let world = World::generate(&settings);
        Self { world, now: settings.started_at, settings, hides_tickets: false }
    }

    /// Ids of the rows of a table, in the order they were made.
    fn rows(&self, kind: Kind) -> Vec<String> {
        self.world.table(kind).live().rows().iter().map(|row| row.id.to_string()).collect()
    }

    /// Gives a row another date of creation, or none.
    fn date(&mut self, table: &str, id: &str, created_at: Option<i64>) {
        let (table, id, field) = (table.to_owned(), id.to_owned(), "created_at".to_owned());
        let change = Change::SetField { table, id, field, value: json!(created_at) };
        assert_eq!(self.world.apply(&change, self.now).len(), 1);
    }

    /// All that a query finds, by date of creation, read so many at a time: ids and dates.
    fn walk(
        &mut self,
        (kind, key): (Kind, &str),
        query: &Value,
        order: &str,
        per_page: u64,
    ) -> Vec<(String, Option<i64>)> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let body = json!({
                "query": query,
                "sort": {"field": "created_at", "order": order},
                "pagination": {"per_page": per_page, "starting_after": after},
            });
            let page = self.ask(kind, &body).unwrap();
            let rows = page[key].as_array().unwrap();
            found.extend(ids(&page, key).into_iter().zip(rows.iter().map(|row| row["created_at"].as_i64())));
            after = next(&page);
            if after.is_none() {
                assert_eq!(page["total_count"], found.len());
                return found;
            }
        }
    }

    fn ask(&mut self, kind: Kind, body: &Value) -> Result<Value, ApiError> {
        let (version, now, hides_tickets) = (Version::of(14), self.now, self.hides_tickets);
        let asked = Asked { version, body, now, hides_tickets, forced_next: None };
        match search(&mut self.world, &self.settings, kind, asked)? {
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

/// A filter on the date of creation.
fn created(operator: &str, value: i64) -> Value {
    json!({"field": "created_at", "operator": operator, "value": value})
}

/// The same question, to be answered row by row: nobody has that id, so that the other half decides.
fn by_row(query: &Value) -> Value {
    let nobody = json!({"field": "id", "operator": "=", "value": "nobody"});
    json!({"operator": "OR", "value": [nobody, query]})
}

#[test]
fn undated_rows_stand_together_at_one_end_and_every_row_is_walked_once() {
    const UNDATED: usize = 9;
    let everyone = json!({"field": "id", "operator": "!=", "value": "nobody"});
    for undated_last in [false, true] {
        let mut bench = Bench::with(Settings { undated_last, ..Settings::default() });
        for (kind, table, key) in TABLES {
            let all = bench.rows(kind);
            all.iter().step_by(5).take(UNDATED).for_each(|id| bench.date(table, id, None));
            for order in ["ascending", "descending"] {
                let walked = bench.walk((kind, key), &everyone, order, 4);
                let mut seen: Vec<_> = walked.iter().map(|(id, _)| id.clone()).collect();
                assert_eq!(seen.len(), all.len());
                seen.sort_unstable();
                seen.dedup();
                assert_eq!(seen.len(), all.len(), "{table} {order}, undated last: {undated_last}");

                let dates: Vec<_> = walked.into_iter().map(|(_, date)| date).collect();
                let comes_first = (order == "descending") == undated_last;
                let (first, second) = dates.split_at(if comes_first { UNDATED } else { all.len() - UNDATED });
                let (missing, given) = if comes_first { (first, second) } else { (second, first) };
                assert!(missing.iter().all(Option::is_none) && given.iter().all(Option::is_some));
                assert!(given.is_sorted_by(|a, b| if order == "ascending" { a <= b } else { a >= b }));
            }
        }
    }
}

#[test]
fn no_filter_on_a_date_finds_undated_rows_whichever_end_they_stand_at() {
    for undated_last in [false, true] {
        let mut bench = Bench::with(Settings { undated_last, ..Settings::default() });
        let now = bench.now.as_second();
        let middle = now - 500 * DAY;
        for (kind, table, key) in TABLES {
            let all = bench.rows(kind);
            let undated: Vec<_> = all.iter().step_by(3).take(12).cloned().collect();
            for id in &undated {
                bench.date(table, id, None);
            }
            let dated = all.len() - undated.len();
            let both = json!({"operator": "AND", "value": [created(">", middle), created("<", now)]});
            let neither = json!({"operator": "AND", "value": [created(">", now), created("<", middle)]});
            for order in ["ascending", "descending"] {
                for (query, expected) in [
                    (created(">", 0), Some(dated)),
                    (created("<", now + 2 * DAY), Some(dated)),
                    (created(">", middle), None),
                    (created("<", middle), None),
                    (both.clone(), None),
                    (neither.clone(), Some(0)),
                ] {
                    let found = bench.walk((kind, key), &query, order, 7);
                    assert!(found.iter().all(|(id, date)| date.is_some() && !undated.contains(id)));
                    assert!(expected.is_none_or(|expected| expected == found.len()), "{table} {query}");
                    assert_eq!(bench.walk((kind, key), &by_row(&query), order, 7), found, "{table} {query}");
                }
            }
        }
    }
}

#[test]
fn dates_before_1970_and_after_the_present_are_dates_like_any_other() {
    for zone in ["UTC", "Pacific/Kiritimati", "Pacific/Niue", "America/St_Johns"] {
        let time_zone = TimeZone::get(zone).unwrap();
        let mut bench = Bench::with(Settings { time_zone, ..Settings::default() });
        let future = bench.now.as_second() + 900 * DAY;
        for (kind, table, key) in TABLES {
            let all = bench.rows(kind);
            let odd = &all[..4];
            for (id, date) in odd.iter().zip([-400 * DAY, -5, 0, future]) {
                bench.date(table, id, Some(date));
            }
            for (operator, value, wanted) in [
                ("<", 3 * DAY, &odd[..3]),
                ("<", -3 * DAY, &odd[..1]),
                ("<", -500 * DAY, &odd[..0]),
                (">", future - 2 * DAY, &odd[3..]),
                (">", future + 2 * DAY, &odd[..0]),
            ] {
                let query = created(operator, value);
                for (order, is_reversed) in [("ascending", false), ("descending", true)] {
                    let found = bench.walk((kind, key), &query, order, 1);
                    let mut found: Vec<_> = found.into_iter().map(|(id, _)| id).collect();
                    if is_reversed {
                        found.reverse();
                    }
                    assert_eq!(found, wanted, "{zone} {table} {query} {order}");
                    let looked_for = bench.walk((kind, key), &by_row(&query), order, 2);
                    assert_eq!(looked_for.len(), wanted.len(), "{zone} {table} {query} {order}");
                }
            }
            for query in [created("<", future + 2 * DAY), created(">", -500 * DAY)] {
                assert_eq!(bench.walk((kind, key), &query, "ascending", 150).len(), all.len(), "{zone}");
            }
        }
    }
}

#[test]
fn the_oddest_dates_do_no_harm() {
    let mut bench = Bench::new();
    for (kind, table, key) in TABLES {
        let all = bench.rows(kind);
        for (id, date) in all.iter().zip([i64::MIN, i64::MAX, -1]) {
            bench.date(table, id, Some(date));
        }
        for order in ["ascending", "descending"] {
            let found = bench.walk((kind, key), &created("<", bench.now.as_second() + 2 * DAY), order, 3);
            assert_eq!(found.len(), all.len() - 1, "{table} {order}");
            for (operator, value) in [("<", i64::MIN), (">", i64::MIN), ("<", i64::MAX), (">", i64::MAX)] {
                let sort = json!({"field": "created_at", "order": order});
                let answer = bench.ask(kind, &json!({"query": created(operator, value), "sort": sort}));
                assert_eq!(answer.is_err(), kind == Kind::Contacts, "days are those of the calendar");
            }
        }
        for id in &all[..3] {
            let (table, id) = (table.to_owned(), id.clone());
            assert_eq!(bench.world.apply(&Change::Update { table, id }, bench.now).len(), 1);
        }
    }
}

#[test]
fn conversations_that_are_tickets_are_hidden_from_every_view() {
    let mut bench = Bench::with(Settings { ticket_conversations: 4, ..Settings::default() });
    let all = bench.rows(Kind::Conversations);
    let plain: Vec<_> =
        (0..).zip(&all).filter(|(index, _)| index % 4 != 0).map(|(_, id)| id.clone()).collect();
    assert_eq!((all.len(), plain.len()), (120, 90));
    // One looks row by row, the other takes a range of all rows; each is asked for in both ways and again.
    for field in ["updated_at", "created_at"] {
        let sort = json!({"field": field, "order": "ascending"});
        let body = json!({"query": created(">", 0), "sort": sort, "pagination": {"per_page": 150}});
        for (hides_tickets, shown) in [(false, &all), (true, &plain), (false, &all), (true, &plain)] {
            bench.hides_tickets = hides_tickets;
            let page = bench.ask(Kind::Conversations, &body).unwrap();
            let mut found = ids(&page, "conversations");
            found.sort_unstable();
            assert_eq!((&found, &page["total_count"]), (shown, &json!(shown.len())));
        }
    }
    bench.hides_tickets = true;
    let everyone = json!({"query": created(">", 0), "pagination": {"per_page": 150}});
    assert_eq!(bench.ask(Kind::Tickets, &everyone).unwrap()["total_count"], 80);
}
