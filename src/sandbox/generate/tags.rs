//! Tags: id and name, nothing else.

use fastrand::Rng;

use super::super::json::Object;
use super::super::row::{Draft, Row};
use super::{Context, Kind, Recipe, words};

pub(super) const RECIPE: Recipe =
    Recipe { kind: Kind::Tags, name: "tags", make, revise, searched: false, numeric: true };

/// Id of tag `index`.
pub(super) fn id(index: u32) -> String {
    (70_001 + u64::from(index)).to_string()
}

/// Name of tag `index`.
pub(super) fn name(context: &Context, index: u32) -> String {
    let mut rng = context.rng(Kind::Tags, index);
    format!("{} {index}", words::sentence(&mut rng, 2))
}

/// `count` different tags, as numbers.
pub(super) fn some(context: &Context, rng: &mut Rng, count: u32) -> Vec<u32> {
    let count = count.min(context.tags);
    let first = rng.u32(0..context.tags.max(1));
    (0..count).map(|n| (first + n) % context.tags).collect()
}

fn make(context: &Context, index: u32, _now: Option<i64>) -> Row {
    let id = id(index);
    let text = Object::new().put("type", "tag").put("id", &id).put("name", name(context, index)).done();
    Row::undated(id, text)
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, _now: i64) {
    let name = format!("{} {:x}", words::sentence(rng, 2), rng.u16(..));
    draft.members.set("name", name);
}
