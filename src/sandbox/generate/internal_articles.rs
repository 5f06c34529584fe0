//! Internal articles. Some answers leave their dates out, as the published example does.

use fastrand::Rng;

use super::super::json::Object;
use super::super::row::{Draft, Hidden, Row};
use super::{Context, Kind, Recipe, admins, chance, words};

pub(super) const RECIPE: Recipe = Recipe {
    kind: Kind::InternalArticles,
    name: "internal_articles",
    make,
    revise,
    searched: false,
    numeric: true,
};

fn make(context: &Context, index: u32, now: Option<i64>) -> Row {
    let rng = &mut context.rng(Kind::InternalArticles, index);
    let (created_at, updated_at) = context.dates(Kind::InternalArticles, index, now, rng);
    let id = (39 + u64::from(index)).to_string();
    let owner = admins::any(context, rng).map_or(0, admins::id);
    let mut object = Object::new();
    if index % 8 != 7 {
        object.put("type", "internal_article");
    }
    object
        .put("id", &id)
        .put("title", words::sentence(rng, 5))
        .put("body", chance(rng, 85).then(|| words::html(rng, 4)))
        .put("owner_id", owner)
        .put("author_id", owner)
        .put("locale", "en");
    if index % 8 == 7 {
        return Row::undated(id, object.done());
    }
    object.put("created_at", created_at).put("updated_at", updated_at);
    Row::dated(id, (created_at, updated_at), object.done(), Hidden::default())
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, _now: i64) {
    let title = format!("{} {:x}", words::sentence(rng, 5), rng.u16(..));
    draft.members.set("title", title);
}
