//! Bodies of search requests. Pure.
//!
//! Source: Intercom REST reference 2.14, "Search contacts" and "Search conversations" (read 2026-11-20). Of
//! the operators only `>` and `<` are used: the others are errors on dates of contacts. Sort words are
//! spelled out: newer versions refuse the short ones.

use serde_json::{Value, json};

use super::search::Group;
use crate::source::Order;
use crate::window::{DAY, DateField, MARGIN, Window};

/// Which rows a search asks for and how they are sorted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search<'g> {
    pub(super) by: DateField,
    pub(super) window: Window,
    pub(super) order: Order,
    /// The date to sort by; another one than `by` where the endpoint does not sort by that.
    pub(super) sort: DateField,
    /// The pass's start in epoch seconds.
    pub(super) now: i64,
    /// Ask for what lies after this second, as the server understands it, and not for the window's beginning.
    pub(super) cut: Option<i64>,
    /// Only the rows of this group, of any date.
    pub(super) group: Option<Group<'g>>,
}

impl Search<'_> {
    /// The body that asks for `per_page` rows after `cursor`.
    pub(super) fn body(&self, per_page: u32, cursor: Option<&str>) -> String {
        let order = match self.order {
            Order::OldestFirst => "ascending",
            Order::NewestFirst => "descending",
        };
        let mut pagination = json!({ "per_page": per_page });
        if let Some(cursor) = cursor {
            pagination["starting_after"] = cursor.into();
        }
        let sort = json!({ "field": self.sort.as_str(), "order": order });
        json!({ "query": self.filter(), "pagination": pagination, "sort": sort }).to_string()
    }

    fn filter(&self) -> Value {
        if let Some(Group { field, id }) = self.group {
            return json!({ "field": field, "operator": "=", "value": id });
        }
        let (after, before) = self.window.bounds_to_ask(self.now);
        let after = self.cut.or(after);
        let condition = |operator: &str, value: i64| json!({ "field": self.by.as_str(), "operator": operator, "value": value });
        match (after, before) {
            (Some(after), Some(before)) => {
                json!({ "operator": "AND", "value": [condition(">", after), condition("<", before)] })
            }
            (None, Some(before)) => condition("<", before),
            (Some(after), None) => condition(">", after),
            // A query is required, and a row may lack one of its dates.
            (None, None) => {
                any_of([DateField::CreatedAt, DateField::UpdatedAt].into_iter().flat_map(any_date))
            }
        }
    }
}

/// Both sides of the epoch, overlapping by days whatever zone and rule the server follows: no date is left out, not
/// even zero or a negative one.
fn any_date(by: DateField) -> [Value; 2] {
    let field = by.as_str();
    let after = json!({ "field": field, "operator": ">", "value": 0 });
    [after, json!({ "field": field, "operator": "<", "value": 2 * MARGIN + DAY })]
}

fn any_of(conditions: impl Iterator<Item = Value>) -> Value {
    json!({ "operator": "OR", "value": conditions.collect::<Vec<_>>() })
}

/// The body that counts the rows with any date in the field `by`, sorted by the other date, which every endpoint
/// sorts by.
pub(super) fn dated(by: DateField) -> String {
    let query = any_of(any_date(by).into_iter());
    let sort = json!({ "field": DateField::UpdatedAt.as_str(), "order": "ascending" });
    json!({ "query": query, "pagination": { "per_page": 1 }, "sort": sort }).to_string()
}

/// The cheapest body there is: any one row.
pub(super) fn anything() -> String {
    let everything = Search {
        by: DateField::CreatedAt,
        window: Window::default(),
        order: Order::OldestFirst,
        sort: DateField::UpdatedAt,
        now: 0,
        cut: None,
        group: None,
    };
    everything.body(1, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(window: Window, order: Order, cursor: Option<&str>) -> String {
        let search = Search {
            by: DateField::UpdatedAt,
            window,
            order,
            sort: DateField::UpdatedAt,
            now: 1_768_478_400,
            cut: None,
            group: None,
        };
        search.body(150, cursor)
    }

    #[test]
    fn bodies() {
        let from = Some(1_700_000_000);
        insta::assert_snapshot!(body(Window::default(), Order::OldestFirst, None), @r#"{"query":{"operator":"OR","value":[{"field":"created_at","operator":">","value":0},{"field":"created_at","operator":"<","value":432000},{"field":"updated_at","operator":">","value":0},{"field":"updated_at","operator":"<","value":432000}]},"pagination":{"per_page":150},"sort":{"field":"updated_at","order":"ascending"}}"#);
        insta::assert_snapshot!(body(Window { from, to: None }, Order::NewestFirst, Some("abc")), @r#"{"query":{"field":"updated_at","operator":">","value":1699827200},"pagination":{"per_page":150,"starting_after":"abc"},"sort":{"field":"updated_at","order":"descending"}}"#);
        insta::assert_snapshot!(body(Window { from, to: Some(1_700_000_000 + 9 * DAY) }, Order::OldestFirst, None), @r#"{"query":{"operator":"AND","value":[{"field":"updated_at","operator":">","value":1699827200},{"field":"updated_at","operator":"<","value":1700950400}]},"pagination":{"per_page":150},"sort":{"field":"updated_at","order":"ascending"}}"#);
        insta::assert_snapshot!(dated(DateField::CreatedAt), @r#"{"query":{"operator":"OR","value":[{"field":"created_at","operator":">","value":0},{"field":"created_at","operator":"<","value":432000}]},"pagination":{"per_page":1},"sort":{"field":"updated_at","order":"ascending"}}"#);
        insta::assert_snapshot!(anything(), @r#"{"query":{"operator":"OR","value":[{"field":"created_at","operator":">","value":0},{"field":"created_at","operator":"<","value":432000},{"field":"updated_at","operator":">","value":0},{"field":"updated_at","operator":"<","value":432000}]},"pagination":{"per_page":1},"sort":{"field":"updated_at","order":"ascending"}}"#);
    }
}
