//! Newsfeeds.

use fastrand::Rng;

use super::super::json::Object;
use super::super::row::{Draft, Hidden, Row};
use super::{Context, Kind, Recipe, words};

pub(super) const RECIPE: Recipe =
    Recipe { kind: Kind::Newsfeeds, name: "newsfeeds", make, revise, searched: false, numeric: true };

/// Id of newsfeed `index`: a number in news items, text in its own row.
pub(super) fn number(index: u32) -> i64 {
    68 + i64::from(index)
}

fn make(context: &Context, index: u32, now: Option<i64>) -> Row {
    let mut rng = context.rng(Kind::Newsfeeds, index);
    let (created_at, updated_at) = context.dates(Kind::Newsfeeds, index, now, &mut rng);
    let id = number(index).to_string();
    let text = Object::new()
        .put("id", &id)
        .put("type", "newsfeed")
        .put("name", format!("{} feed", words::sentence(&mut rng, 1)))
        .put("created_at", created_at)
        .put("updated_at", updated_at)
        .done();
    Row::dated(id, (created_at, updated_at), text, Hidden::default())
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, _now: i64) {
    let name = format!("{} feed {:x}", words::sentence(rng, 1), rng.u16(..));
    draft.members.set("name", name);
}
