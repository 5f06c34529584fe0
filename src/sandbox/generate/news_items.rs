//! News items.

use fastrand::Rng;

use super::super::json::{Json, Object, Raw, array};
use super::super::row::{Draft, Hidden, Row};
use super::{Context, Kind, Recipe, admins, chance, newsfeeds, words};

pub(super) const RECIPE: Recipe =
    Recipe { kind: Kind::NewsItems, name: "news_items", make, revise, searched: false, numeric: true };

fn make(context: &Context, index: u32, now: Option<i64>) -> Row {
    let rng = &mut context.rng(Kind::NewsItems, index);
    let (created_at, updated_at) = context.dates(Kind::NewsItems, index, now, rng);
    let id = (29 + u64::from(index)).to_string();
    let live = chance(rng, 60);
    let feeds = if live { context.newsfeeds.min(2) } else { 0 };
    let assignments = (0..feeds).map(|feed| {
        Object::new().put("newsfeed_id", newsfeeds::number(feed)).put("published_at", updated_at).done()
    });
    let labels = ["Produkt", "Release 🚀"].iter().take(rng.usize(0..3)).map(Json::json);
    let reactions = if chance(rng, 50) { "[null,null,null,null]" } else { "[\"😻\",\"😐\"]" };
    let cover = chance(rng, 30).then_some("https://static.example.com/news/cover.png");
    let text = Object::new()
        .put("id", &id)
        .put("type", "news-item")
        .put("workspace_id", &context.workspace)
        .put("title", words::sentence(rng, 5))
        .put("body", words::html(rng, 3))
        .put("sender_id", admins::any(context, rng).map_or(0, admins::id))
        .put("state", if live { "live" } else { "draft" })
        .put("labels", Raw(&array(labels)))
        .put("cover_image_url", cover)
        .put("reactions", Raw(reactions))
        .put("deliver_silently", chance(rng, 30))
        .put("created_at", created_at)
        .put("updated_at", updated_at)
        .put("newsfeed_assignments", Raw(&array(assignments)))
        .done();
    Row::dated(id, (created_at, updated_at), text, Hidden::default())
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, _now: i64) {
    let title = format!("{} {:x}", words::sentence(rng, 5), rng.u16(..));
    draft.members.set("title", title);
}
