//! Segments of contacts. Who is in one is known to searches and to counts alone.

use fastrand::Rng;

use super::super::json::Object;
use super::super::row::{Draft, Hidden, Row};
use super::{Context, Kind, Recipe, object_id, words};

pub(super) const RECIPE: Recipe =
    Recipe { kind: Kind::Segments, name: "segments", make, revise, searched: false, numeric: false };

/// Id of segment `index`.
pub(super) fn id(context: &Context, index: u32) -> String {
    let mut rng = context.rng(Kind::Segments, index);
    let created_at = context.created_at(Kind::Segments, index, &mut rng);
    object_id(created_at, rng.u64(..), index)
}

fn make(context: &Context, index: u32, now: Option<i64>) -> Row {
    let mut rng = context.rng(Kind::Segments, index);
    let (created_at, updated_at) = context.dates(Kind::Segments, index, now, &mut rng);
    let id = id(context, index);
    let text = Object::new()
        .put("type", "segment")
        .put("id", &id)
        .put("name", format!("{} {index}", words::sentence(&mut rng, 3)))
        .put("created_at", created_at)
        .put("updated_at", updated_at)
        .put("person_type", if index % 3 == 2 { "contact" } else { "user" })
        .done();
    Row::dated(id, (created_at, updated_at), text, Hidden::default())
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, _now: i64) {
    let name = format!("{} {:x}", words::sentence(rng, 3), rng.u16(..));
    draft.members.set("name", name);
}
