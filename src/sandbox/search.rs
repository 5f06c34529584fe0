//! `POST …/search`: a query, a sort order and a page of what matches, by keyset cursor.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::cursor::Cursor;
use super::errors::ApiError;
use super::fields::{CONTACTS, CONVERSATIONS, FieldKind, Path, Subject, TICKETS};
use super::filter::{Filter, Rules};
use super::generate::Kind;
use super::json::{Json, Object};
use super::probe::Probe;
use super::reply::{End, Listing, Reply, pages};
use super::row::{Row, id_order};
use super::settings::Settings;
use super::version::Version;
use super::world::World;

/// Rows a page holds at most.
const MAX_PER_PAGE: u64 = 150;

/// How one kind is searched.
#[derive(Debug)]
struct Endpoint {
    kind: Kind,
    subject: &'static Subject,
    envelope: &'static str,
    key: &'static str,
    per_page: u64,
}

const ENDPOINTS: [Endpoint; 3] = [
    Endpoint { kind: Kind::Contacts, subject: &CONTACTS, envelope: "list", key: "data", per_page: 50 },
    Endpoint {
        kind: Kind::Conversations,
        subject: &CONVERSATIONS,
        envelope: "conversation.list",
        key: "conversations",
        per_page: 20,
    },
    Endpoint {
        kind: Kind::Tickets,
        subject: &TICKETS,
        envelope: "ticket.list",
        key: "tickets",
        per_page: 20,
    },
];

/// A checked request.
#[derive(Debug)]
struct Search {
    filter: Filter,
    sort: Option<Sort>,
    per_page: usize,
    after: Option<Cursor>,
    /// Tells results apart: two searches with one name select the same rows in the same order.
    name: String,
}

#[derive(Debug)]
struct Sort {
    path: Path,
    descending: bool,
    /// Rows without the date count as the latest, not as the earliest.
    undated_last: bool,
}

impl Sort {
    fn name(&self) -> String {
        format!("by {:?}, descending: {}", self.path, self.descending)
    }

    /// Where the rows stand that are dated in `seconds`, among all rows in this order.
    fn places(&self, rows: &[Arc<Row>], seconds: &Range<i64>) -> Range<usize> {
        let (start, end) = if self.descending {
            let above = |bound: i64| self.first_rows(rows, |at| at >= bound);
            (above(seconds.end), above(seconds.start))
        } else {
            let below = |bound: i64| self.first_rows(rows, |at| at < bound);
            (below(seconds.start), below(seconds.end))
        };
        start..end.max(start)
    }

    /// How many rows come before the first whose date is not `is_before`, undated ones at the front included.
    fn first_rows(&self, rows: &[Arc<Row>], is_before: impl Fn(i64) -> bool) -> usize {
        let undated_come_first = self.descending == self.undated_last;
        rows.partition_point(|row| Probe::new(row).second(&self.path).map_or(undated_come_first, &is_before))
    }
}

/// A search of one kind as it comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) version: Version,
    pub(crate) body: &'a Value,
    pub(crate) now: Timestamp,
    /// Whether conversations that are tickets are left out.
    pub(crate) hides_tickets: bool,
    /// Stands in for the cursor of the next page.
    pub(crate) forced_next: Option<&'a str>,
}

/// Answers a search.
pub(crate) fn search(
    world: &mut World,
    settings: &Settings,
    kind: Kind,
    asked: Asked<'_>,
) -> Result<Reply, ApiError> {
    let Asked { version, body, now, hides_tickets, forced_next } = asked;
    let endpoint = ENDPOINTS.iter().find(|one| one.kind == kind).ok_or_else(ApiError::not_found)?;
    let table = world.table_mut(kind);
    let numeric = table.recipe.numeric;
    let search = endpoint.read(body, settings, version, numeric)?;
    let Search { filter, sort, per_page, after, name } = search;
    let sort = sort.as_ref();
    let hides_tickets = hides_tickets && kind == Kind::Conversations;
    let named = |name: String| if hides_tickets { format!("{name} without tickets") } else { name };

    let store = table.searched(now);
    let in_range = sort.and_then(|sort| Some((sort, filter.span(&sort.path)?)));
    let (view, span) = if let Some((order, seconds)) = in_range {
        // A range of the dates that rows are sorted by need not be looked for row by row.
        let everything = Filter::All(Vec::new());
        let all = store.view(named(order.name()), |rows| select(rows, &everything, sort, hides_tickets));
        let span = order.places(&all, &seconds);
        (all, span)
    } else {
        let view = store.view(named(name), |rows| select(rows, &filter, sort, hides_tickets));
        let span = 0..view.len();
        (view, span)
    };
    let matching = &view[span];
    let start = after.as_ref().map_or(0, |cursor| {
        let last = key(sort, cursor.value, &cursor.id);
        matching.partition_point(|row| place(sort, key_of(sort, row), last).is_le())
    });
    let rows: Vec<Arc<Row>> = matching.iter().skip(start).take(per_page).cloned().collect();
    let page = after.map_or(1, |cursor| cursor.page);
    let next = match rows.last() {
        Some(last) if start + rows.len() < matching.len() => {
            let value = millisecond(sort, last);
            Some(Cursor { value, id: last.id.to_string(), page: page.saturating_add(1) }.encode(numeric))
        }
        _ => None,
    };
    let next = forced_next
        .map(str::to_owned)
        .or(next)
        .map(|cursor| Object::new().put("page", page.saturating_add(1)).put("starting_after", cursor).done());
    let pages = pages(page as usize, per_page, matching.len(), next.as_deref());
    let rest = vec![("pages", pages), ("total_count", matching.len().json())];
    let Endpoint { envelope, key, .. } = *endpoint;
    Ok(Reply::Listing(Listing { kind, version, envelope, key, rows, rest, end: End::Absent }))
}

fn select(rows: &[Arc<Row>], filter: &Filter, sort: Option<&Sort>, hides_tickets: bool) -> Vec<Arc<Row>> {
    let visible = rows.iter().filter(|row| !(hides_tickets && row.hidden.is_ticket));
    let accepted = visible.filter(|row| filter.accepts(&Probe::new(row)));
    let mut keyed: Vec<_> = accepted.map(|row| (key_of(sort, row), row)).collect();
    keyed.sort_unstable_by(|(a, _), (b, _)| place(sort, *a, *b));
    keyed.into_iter().map(|(_, row)| Arc::clone(row)).collect()
}

/// A row's place in the order: whether it stands with the later ones of dated and undated rows, sort value in
/// milliseconds, then id.
type Key<'a> = (bool, Option<i64>, (usize, &'a str));

fn key<'a>(sort: Option<&Sort>, value: Option<i64>, id: &'a str) -> Key<'a> {
    let undated_last = sort.is_some_and(|sort| sort.undated_last);
    (value.is_some() != undated_last, value, id_order(id))
}

fn key_of<'a>(sort: Option<&Sort>, row: &'a Row) -> Key<'a> {
    key(sort, millisecond(sort, row), &row.id)
}

/// The sort value of a row; none where it has none, or nothing is sorted by.
fn millisecond(sort: Option<&Sort>, row: &Row) -> Option<i64> {
    let sort = sort?;
    Probe::new(row).second(&sort.path).map(|second| second.saturating_mul(1_000))
}

/// Which of two places comes first. Without a sort order rows come by id.
fn place(sort: Option<&Sort>, a: Key<'_>, b: Key<'_>) -> Ordering {
    if sort.is_some_and(|sort| sort.descending) { b.cmp(&a) } else { a.cmp(&b) }
}

impl Endpoint {
    fn read(
        &self,
        body: &Value,
        settings: &Settings,
        version: Version,
        numeric: bool,
    ) -> Result<Search, ApiError> {
        let members = body.as_object().ok_or_else(|| ApiError::invalid("the body must be an object"))?;
        if let Some(unknown) =
            members.keys().find(|key| !matches!(key.as_str(), "query" | "pagination" | "sort"))
        {
            return Err(ApiError::invalid(format!("{unknown} is not a parameter of a search")));
        }
        let query = members
            .get("query")
            .ok_or_else(|| ApiError::new(400, "parameter_not_found", "query is a required parameter"))?;
        let rules = Rules {
            zone: &settings.time_zone,
            comparison: settings.comparison,
            owner_is_text: version >= Version::V2_16,
        };
        let filter = Filter::read(query, self.subject, &rules)?;
        let sort = members.get("sort").map(|sort| self.read_sort(sort, settings.undated_last)).transpose()?;
        let (per_page, after) = self.read_pagination(members.get("pagination"), numeric)?;
        let name = format!("{query} {}", members.get("sort").unwrap_or(&Value::Null));
        Ok(Search { filter, sort, per_page, after, name })
    }

    fn read_sort(&self, sort: &Value, undated_last: bool) -> Result<Sort, ApiError> {
        let field = sort.get("field").and_then(Value::as_str);
        let field = field.ok_or_else(|| ApiError::invalid("sort.field is a required parameter"))?;
        let Some((FieldKind::Date, path)) = self.subject.find(field) else {
            return Err(ApiError::field(field));
        };
        let descending = match sort.get("order") {
            None => true,
            Some(Value::String(order)) if order == "descending" => true,
            Some(Value::String(order)) if order == "ascending" => false,
            Some(other) => {
                let order = other.as_str().map_or_else(|| other.to_string(), str::to_owned);
                let message = format!("Invalid sort order '{order}'. Must be one of: ascending, descending");
                return Err(ApiError::new(400, "invalid_sort_order", message));
            }
        };
        Ok(Sort { path, descending, undated_last })
    }

    fn read_pagination(
        &self,
        pagination: Option<&Value>,
        numeric: bool,
    ) -> Result<(usize, Option<Cursor>), ApiError> {
        let Some(pagination) = pagination.filter(|value| !value.is_null()) else {
            return Ok((usize::try_from(self.per_page).unwrap_or(usize::MAX), None));
        };
        if !pagination.is_object() {
            return Err(ApiError::invalid("pagination must be an object"));
        }
        let per_page = match pagination.get("per_page") {
            None => Some(self.per_page),
            Some(value) => value.as_u64().filter(|per_page| (1..=MAX_PER_PAGE).contains(per_page)),
        };
        let per_page = per_page
            .and_then(|per_page| usize::try_from(per_page).ok())
            .ok_or_else(|| ApiError::invalid(format!("per_page must be from 1 to {MAX_PER_PAGE}")))?;
        let after = match pagination.get("starting_after") {
            None | Some(Value::Null) => None,
            Some(value) => Some(Cursor::decode(value.as_str().unwrap_or_default(), numeric)?),
        };
        Ok((per_page, after))
    }
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
