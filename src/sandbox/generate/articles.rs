//! Help center articles. Their statistics show on the single article only.

use fastrand::Rng;

use super::super::json::{Members, NULL, Object, Raw, array};
use super::super::row::{Draft, Hidden, Row};
use super::{Context, Kind, Recipe, admins, chance, tags, words};

pub(super) const RECIPE: Recipe =
    Recipe { kind: Kind::Articles, name: "articles", make, revise, searched: false, numeric: true };

fn make(context: &Context, index: u32, now: Option<i64>) -> Row {
    let rng = &mut context.rng(Kind::Articles, index);
    let (created_at, updated_at) = context.dates(Kind::Articles, index, now, rng);
    let id = (9_001_000 + u64::from(index) * 7).to_string();
    let title = words::sentence(rng, 5);
    let body = words::html(rng, 6);
    let author = admins::any(context, rng).map_or(0, admins::id);
    let parent = chance(rng, 70).then_some(143_i64);
    let published = chance(rng, 80);
    let mut object = Object::with_capacity(2_048);
    object
        .put("id", &id)
        .put("type", "article")
        .put("workspace_id", &context.workspace)
        .put("parent_id", parent)
        .put("parent_type", parent.map(|_| "collection"))
        .put("parent_ids", Raw("[]"))
        .put("tags", Raw(&tag_list(context, rng)))
        .put("title", &title)
        .put("description", if chance(rng, 30) { "" } else { "What you need to know — in short" })
        .put("body", &body)
        .put("author_id", author)
        .put("state", if published { "published" } else { "draft" })
        .put("created_at", created_at)
        .put("updated_at", updated_at);
    let url = format!("https://help.example.com/en/articles/{id}");
    object.put("url", published.then_some(&url));
    if chance(rng, 25) {
        object
            .put("default_locale", "en")
            .put("translated_content", Raw(&translations(&title, created_at, author)));
    }
    let statistics = statistics(rng);
    let hidden = Hidden { statistics: statistics.into(), ..Hidden::default() };
    Row::dated(id, (created_at, updated_at), object.done(), hidden)
}

fn tag_list(context: &Context, rng: &mut Rng) -> String {
    let count = rng.u32(0..3);
    let tags = tags::some(context, rng, count).into_iter().map(|tag| {
        Object::new().put("type", "tag").put("id", tags::id(tag)).put("name", tags::name(context, tag)).done()
    });
    Object::new().put("type", "tag.list").put("tags", Raw(&array(tags))).done()
}

fn translations(title: &str, created_at: i64, author: i64) -> String {
    let german = Object::new()
        .put("type", "article_content")
        .put("title", format!("{title} (auf Deutsch: Übersicht)"))
        .put("description", "")
        .put("body", "<p>Grüße</p>")
        .put("author_id", author)
        .put("state", "draft")
        .put("created_at", created_at)
        .put("updated_at", created_at)
        .put("url", NULL)
        .done();
    Object::new()
        .put("type", "article_translated_content")
        .put("de", Raw(&german))
        .put("fr", NULL)
        .put("pt-BR", NULL)
        .done()
}

fn statistics(rng: &mut Rng) -> String {
    let reactions = rng.i64(0..300);
    Object::new()
        .put("type", "article_statistics")
        .put("views", reactions * rng.i64(2..30))
        .put("conversations", rng.i64(0..20))
        .put("reactions", reactions)
        .put("happy_reaction_percentage", Raw("61.5"))
        .put("neutral_reaction_percentage", Raw("20.25"))
        .put("sad_reaction_percentage", Raw("18.25"))
        .done()
}

/// The members an article's own endpoint adds.
pub(crate) fn detail(statistics: &str) -> String {
    format!("\"statistics\":{statistics}")
}

/// One more view; the article itself stays as it is, the date too.
pub(crate) fn view(draft: &mut Draft) {
    let mut statistics = Members::of(&draft.hidden.statistics);
    let views = statistics.integer("views").unwrap_or(0);
    statistics.set("views", views + 1);
    draft.hidden.statistics = statistics.text().into();
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, _now: i64) {
    let title = format!("{} (v{})", words::sentence(rng, 4), rng.u16(..));
    draft.members.set("title", title);
    draft.members.set("body", words::html(rng, 6));
}
