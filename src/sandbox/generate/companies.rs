//! Companies: every ninth has no user and was never seen, which hides it from the list endpoint.

use std::sync::Arc;

use fastrand::Rng;

use super::super::json::{Object, Raw, array};
use super::super::row::{Draft, Hidden, Row};
use super::{Context, DAY, Kind, Recipe, chance, object_id, odd_attributes, segments, tags, words};

pub(super) const RECIPE: Recipe =
    Recipe { kind: Kind::Companies, name: "companies", make, revise, searched: false, numeric: false };

/// Id of generated company `index`.
pub(super) fn id(context: &Context, index: u32) -> String {
    let mut rng = context.rng(Kind::Companies, index);
    let created_at = context.created_at(Kind::Companies, index, &mut rng);
    object_id(created_at, u64::from(index).wrapping_mul(0x9E37_79B9), index)
}

fn make(context: &Context, index: u32, now: Option<i64>) -> Row {
    let rng = &mut context.rng(Kind::Companies, index);
    let (created_at, updated_at) = context.dates(Kind::Companies, index, now, rng);
    let id = match now {
        None => id(context, index),
        Some(now) => object_id(now, rng.u64(..), index),
    };
    let used = index % 9 != 4;
    let mut object = Object::with_capacity(1_024);
    object
        .put("type", "company")
        .put("company_id", format!("acct-{index}"))
        .put("id", &id)
        .put("app_id", &context.workspace)
        .put("name", words::company(rng))
        .put("remote_created_at", created_at - rng.i64(0..300 * DAY))
        .put("created_at", created_at)
        .put("updated_at", updated_at);
    if used {
        object.put("last_request_at", updated_at - rng.i64(0..DAY));
    }
    object
        .put("monthly_spend", rng.i64(0..5_000))
        .put("session_count", if used { rng.i64(1..900) } else { 0 })
        .put("user_count", if used { rng.i64(1..40) } else { 0 });
    if chance(rng, 60) {
        object.put("size", rng.i64(1..2_000));
    }
    if chance(rng, 50) {
        object.put("website", format!("https://company-{index}.example.com/"));
    }
    if chance(rng, 40) {
        object.put("industry", words::pick(rng, &["Software", "Bäckerei", "Logistics", "R&D"]));
    }
    let (tags, segments) = (some_tags(context, rng), segments_of(context, index));
    object
        .put("tags", Raw(&tag_list(context, &tags)))
        .put("segments", Raw(&segment_list(context, &segments)));
    if chance(rng, 70) {
        object.put("plan", Raw("{\"type\":\"plan\",\"id\":\"269315\",\"name\":\"Pro\"}"));
    } else {
        object.put("plan", Raw("{}"));
    }
    let odd = odd_attributes::values(context, Kind::Companies, index, created_at);
    object.put("custom_attributes", Raw(&custom_attributes(rng, created_at, &odd)));
    let hidden = Hidden {
        tags: tags.into_iter().map(|tag| Arc::from(tags::id(tag))).collect(),
        segments: segments.into_iter().map(Arc::from).collect(),
        ..Hidden::default()
    };
    Row::dated(id, (created_at, updated_at), object.done(), hidden)
}

fn some_tags(context: &Context, rng: &mut Rng) -> Vec<u32> {
    let count = rng.u32(0..4);
    tags::some(context, rng, count)
}

fn segments_of(context: &Context, index: u32) -> Vec<String> {
    let own = (0..context.segments).filter(|segment| (index + segment).is_multiple_of(4));
    own.map(|segment| segments::id(context, segment)).collect()
}

fn tag_list(context: &Context, tags: &[u32]) -> String {
    let tags = tags.iter().map(|tag| {
        let (id, name) = (tags::id(*tag), tags::name(context, *tag));
        Object::new().put("type", "tag").put("id", id).put("name", name).done()
    });
    embedded("tag.list", "tags", &tags.collect::<Vec<_>>(), context.shown_tags)
}

fn segment_list(context: &Context, segments: &[String]) -> String {
    let segments = segments.iter().map(|id| Object::new().put("type", "segment").put("id", id).done());
    embedded("segment.list", "segments", &segments.collect::<Vec<_>>(), context.shown_segments)
}

/// A list that is whole, or shows `shown` entries and says whether there are more.
fn embedded(kind: &str, key: &str, entries: &[String], shown: Option<usize>) -> String {
    let mut list = Object::new();
    list.put("type", kind).put(key, Raw(&array(entries.iter().take(shown.unwrap_or(usize::MAX)))));
    if let Some(shown) = shown {
        list.put("has_more", entries.len() > shown);
    }
    list.done()
}

fn custom_attributes(rng: &mut Rng, created_at: i64, odd: &[(&str, String)]) -> String {
    let mut object = Object::new();
    if chance(rng, 50) {
        object.put("Plan Tier", words::pick(rng, &["free", "silver", "gold"]));
        object.put("renewal_date", created_at + 365 * DAY);
    }
    if chance(rng, 30) {
        object.put("headcount", rng.i64(1..10_000));
    }
    for (name, value) in odd {
        object.put(name, Raw(value));
    }
    object.done()
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, now: i64) {
    let sessions = draft.members.integer("session_count").unwrap_or(0);
    draft.members.set("session_count", sessions + 1 + rng.i64(0..9));
    if draft.members.integer("user_count") != Some(0) {
        draft.members.set("last_request_at", now);
    }
}
