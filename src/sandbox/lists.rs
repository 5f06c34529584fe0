//! Lists, scroll and single rows: everything read without the search index.

use std::collections::HashMap;
use std::sync::Arc;

use super::attributes;
use super::call::Call;
use super::errors::ApiError;
use super::generate::{Kind, articles, conversations};
use super::json::{Json, Members};
use super::links;
use super::reply::{End, Listing, Reply, pages, whole};
use super::row::{Row, id_order};
use super::version::Version;
use super::world::World;

/// Companies the list endpoint gives out before it points to the scroll.
const LISTED_COMPANIES: usize = 10_000;

/// Page number and page size of a numbered list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbered {
    pub(crate) page: usize,
    pub(crate) per_page: usize,
}

impl Numbered {
    pub(crate) fn read(call: &Call, default: usize, max: usize) -> Result<Self, ApiError> {
        let number = |key: &str, default: usize| match call.query(key) {
            None => Ok(default),
            Some(text) => text.parse().ok().filter(|number| *number > 0).ok_or(key.to_owned()),
        };
        let invalid = |key: String| ApiError::invalid(format!("{key} must be a positive number"));
        let (page, per_page) =
            (number("page", 1).map_err(invalid)?, number("per_page", default).map_err(invalid)?);
        if per_page > max {
            return Err(ApiError::invalid("Per Page is too big"));
        }
        Ok(Self { page, per_page })
    }

    /// The page of `all`, with a `next` that is an absolute URL or null.
    pub(crate) fn listing(self, kind: Kind, version: Version, all: &[Arc<Row>], url: &str) -> Reply {
        let (rows, next) = self.turn(all, url);
        self.reply(kind, version, rows, all.len(), (Some(&next.json()), End::Null))
    }

    /// The same, but the last page has no `next` at all.
    pub(crate) fn listing_without_end(
        self,
        kind: Kind,
        version: Version,
        all: &[Arc<Row>],
        url: &str,
    ) -> Reply {
        let (rows, next) = self.turn(all, url);
        let next = next.map(|next| next.json());
        self.reply(kind, version, rows, all.len(), (next.as_deref(), End::Absent))
    }

    /// The rows of the page, and whether more follow.
    pub(crate) fn of(self, all: &[Arc<Row>]) -> (Vec<Arc<Row>>, bool) {
        let start = (self.page - 1).saturating_mul(self.per_page);
        let rows = all.iter().skip(start).take(self.per_page).cloned().collect();
        (rows, start.saturating_add(self.per_page) < all.len())
    }

    fn turn(self, all: &[Arc<Row>], url: &str) -> (Vec<Arc<Row>>, Option<String>) {
        let (rows, more) = self.of(all);
        (rows, more.then(|| format!("{url}page={}&per_page={}", self.page + 1, self.per_page)))
    }

    fn reply(
        self,
        kind: Kind,
        version: Version,
        rows: Vec<Arc<Row>>,
        total: usize,
        (next, end): (Option<&str>, End),
    ) -> Reply {
        let pages = pages(self.page, self.per_page, total, next);
        let rest = vec![("pages", pages), ("total_count", total.json())];
        Reply::Listing(Listing { kind, version, envelope: "list", key: "data", rows, rest, end })
    }
}

/// `GET /articles`: newest change first.
pub(crate) fn articles(
    world: &mut World,
    call: &Call,
    version: Version,
    base: &str,
) -> Result<Reply, ApiError> {
    let numbered = Numbered::read(call, 25, 150)?;
    let all = newest(world, Kind::Articles);
    Ok(numbered.listing(Kind::Articles, version, &all, &format!("{base}/articles?")))
}

/// `POST /companies/list`: by last request, without companies nobody belongs to, and not beyond the cap.
pub(crate) fn companies(
    world: &mut World,
    call: &Call,
    version: Version,
    base: &str,
) -> Result<Reply, ApiError> {
    let numbered = Numbered::read(call, 15, 60)?;
    let order = call.query("order").unwrap_or("desc");
    if !matches!(order, "asc" | "desc") {
        return Err(ApiError::invalid("order must be asc or desc"));
    }
    if numbered.page.saturating_mul(numbered.per_page) > LISTED_COMPANIES {
        return Err(ApiError::new(400, "bad_request", "page limit reached, please use scroll API"));
    }
    let all = world.table_mut(Kind::Companies).live_mut().view(format!("last request {order}"), |rows| {
        let with_members = rows.iter().map(|row| (Members::of(&row.text), row));
        let used =
            with_members.filter(|(members, _)| members.integer("user_count").is_some_and(|users| users > 0));
        let mut dated: Vec<_> =
            used.map(|(members, row)| (members.integer("last_request_at"), row)).collect();
        dated.sort_by(|(a, left), (b, right)| (a, id_order(&left.id)).cmp(&(b, id_order(&right.id))));
        if order == "desc" {
            dated.reverse();
        }
        dated.into_iter().map(|(_, row)| Arc::clone(row)).collect()
    });
    Ok(numbered.listing(Kind::Companies, version, &all, &format!("{base}/companies/list?order={order}&")))
}

/// `GET /companies`: one company by its name or by the customer's own id for it, or all that carry a tag or are in
/// a segment, also where the company itself does not show it.
pub(crate) fn found_companies(
    world: &mut World,
    call: &Call,
    version: Version,
    base: &str,
) -> Result<Reply, ApiError> {
    for (key, list) in [("tag_id", "tags"), ("segment_id", "segments")] {
        let Some(wanted) = call.query(key) else { continue };
        let numbered = Numbered::read(call, 15, 60)?;
        let mut all = by_id(world, Kind::Companies).to_vec();
        all.retain(|row| links::of_company(row, list).iter().any(|id| id == wanted));
        return Ok(numbered.listing(
            Kind::Companies,
            version,
            &all,
            &format!("{base}/companies?{key}={wanted}&"),
        ));
    }
    let wanted = ["company_id", "name"].into_iter().find_map(|key| Some((key, call.query(key)?.json())));
    let (key, value) =
        wanted.ok_or_else(|| ApiError::invalid("one of name, company_id, tag_id, segment_id is required"))?;
    let rows = world.table(Kind::Companies).live().rows();
    let found = rows.iter().find(|row| Members::of(&row.text).get(key) == Some(value.as_str()));
    let row = found.ok_or_else(|| missing(Kind::Companies))?;
    Ok(Reply::Object(version.shape(Kind::Companies, &row.text).into_owned()))
}

/// The lists that come whole, ordered by id.
pub(crate) fn unpaged(
    world: &mut World,
    kind: Kind,
    call: &Call,
    version: Version,
) -> Result<Reply, ApiError> {
    let (envelope, key) = match kind {
        Kind::Segments => ("segment.list", "segments"),
        Kind::Admins => ("admin.list", "admins"),
        Kind::Teams => ("team.list", "teams"),
        _ => ("list", "data"),
    };
    let rows = match kind {
        Kind::DataAttributes => attributes::data(world, call, version)?,
        Kind::Segments if call.query("include_count") == Some("true") => counted_segments(world),
        _ => by_id(world, kind).to_vec(),
    };
    Ok(whole(kind, version, envelope, key, rows))
}

/// Every row of `kind` as its list or search shows it, ordered by id.
pub(crate) fn all(world: &mut World, kind: Kind) -> Vec<Arc<Row>> {
    if kind == Kind::Segments { counted_segments(world) } else { by_id(world, kind).to_vec() }
}

/// Every row, newest change first.
pub(crate) fn newest(world: &mut World, kind: Kind) -> Arc<[Arc<Row>]> {
    world.table_mut(kind).live_mut().view("newest".to_owned(), |rows| {
        let mut rows = rows.to_vec();
        rows.sort_by(|a, b| (b.updated_at, id_order(&b.id)).cmp(&(a.updated_at, id_order(&a.id))));
        rows
    })
}

/// Every row, in the order of ids.
pub(crate) fn by_id(world: &mut World, kind: Kind) -> Arc<[Arc<Row>]> {
    world.table_mut(kind).live_mut().view("by id".to_owned(), |rows| {
        let mut rows = rows.to_vec();
        rows.sort_by(|a, b| id_order(&a.id).cmp(&id_order(&b.id)));
        rows
    })
}

/// Every row, the one that was made last first: ids count up.
pub(crate) fn last_made(world: &mut World, kind: Kind) -> Arc<[Arc<Row>]> {
    world.table_mut(kind).live_mut().view("last made first".to_owned(), |rows| {
        let mut rows = rows.to_vec();
        rows.sort_by(|a, b| id_order(&b.id).cmp(&id_order(&a.id)));
        rows
    })
}

/// Segments with the number of contacts in each.
fn counted_segments(world: &mut World) -> Vec<Arc<Row>> {
    let mut counts: HashMap<Arc<str>, usize> = HashMap::new();
    for contact in world.table(Kind::Contacts).live().rows() {
        for segment in &contact.hidden.segments {
            *counts.entry(Arc::clone(segment)).or_default() += 1;
        }
    }
    let counted = by_id(world, Kind::Segments);
    let counted = counted.iter().map(|row| {
        let mut draft = row.draft();
        draft.members.set("count", counts.get(&row.id).copied().unwrap_or(0));
        Arc::new(draft.row())
    });
    counted.collect()
}

/// A row that is there; 404 or 410 where it is not.
pub(crate) fn live<'a>(
    world: &'a World,
    kind: Kind,
    id: &str,
    version: Version,
) -> Result<&'a Arc<Row>, ApiError> {
    let table = world.table(kind);
    table.live().get(id).ok_or_else(|| match table.survivor(id) {
        Some(into) if version >= Version::V2_16 => merged(into),
        _ => missing(kind),
    })
}

/// A row by its id, with what only its own endpoint shows.
pub(crate) fn one(world: &World, kind: Kind, id: &str, version: Version) -> Result<Reply, ApiError> {
    let row = live(world, kind, id, version)?;
    let mut text = version.shape(kind, &row.text).into_owned();
    let detail = match kind {
        Kind::Conversations => conversations::detail(&world.context, row),
        Kind::Articles => articles::detail(&version.shape_statistics(&row.hidden.statistics)),
        _ => String::new(),
    };
    if !detail.is_empty() {
        text.pop();
        text.push_str(&format!(",{detail}}}"));
    }
    Ok(Reply::Object(text))
}

fn merged(into: &str) -> ApiError {
    let message = "This contact has been merged. See the 'Link' header for the canonical contact.";
    ApiError { canonical: Some(format!("/contacts/{into}")), ..ApiError::new(410, "contact_merged", message) }
}

/// What a row that is not there is answered.
pub(crate) fn missing(kind: Kind) -> ApiError {
    match kind {
        Kind::Contacts => ApiError::new(404, "not_found", "User Not Found"),
        Kind::Companies => ApiError::new(404, "company_not_found", "Company Not Found"),
        _ => ApiError::not_found(),
    }
}

/// A page of the company scroll.
pub(crate) fn scrolled(world: &World, version: Version, param: &str, ids: &[Arc<str>]) -> Reply {
    let live = world.table(Kind::Companies).live();
    let rows = ids.iter().filter_map(|id| live.get(id)).cloned().collect();
    let rest = vec![
        ("pages", "null".to_owned()),
        ("total_count", "null".to_owned()),
        ("scroll_param", param.json()),
    ];
    let (kind, end) = (Kind::Companies, End::Absent);
    Reply::Listing(Listing { kind, version, envelope: "list", key: "data", rows, rest, end })
}
