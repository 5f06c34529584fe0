//! Pages learnt from elsewhere. Some are empty.

use fastrand::Rng;

use super::super::json::Object;
use super::super::row::{Draft, Hidden, Row};
use super::{Context, Kind, Recipe, chance, content_import_sources, words};

pub(super) const RECIPE: Recipe = Recipe {
    kind: Kind::ExternalPages,
    name: "external_pages",
    make,
    revise,
    searched: false,
    numeric: true,
};

fn make(context: &Context, index: u32, now: Option<i64>) -> Row {
    let rng = &mut context.rng(Kind::ExternalPages, index);
    let (created_at, updated_at) = context.dates(Kind::ExternalPages, index, now, rng);
    let id = (17 + u64::from(index)).to_string();
    let source = (context.content_import_sources > 0)
        .then(|| content_import_sources::number(rng.u32(0..context.content_import_sources)));
    let mut object = Object::with_capacity(1_024);
    object
        .put("id", &id)
        .put("type", "external_page")
        .put("title", words::sentence(rng, 4))
        .put("html", if index % 7 == 6 { String::new() } else { words::html(rng, 5) })
        .put("url", format!("https://support.example.com/hilfe/seite-{index}?lang=de&v=1"));
    for audience in ["ai_agent_availability", "ai_copilot_availability", "ai_sales_agent_availability"] {
        object.put(audience, chance(rng, 80));
    }
    object
        .put("fin_availability", chance(rng, 80))
        .put("locale", "en")
        .put("source_id", source)
        .put("external_id", format!("seite-{index}"))
        .put("created_at", created_at)
        .put("updated_at", updated_at)
        .put("last_ingested_at", updated_at);
    Row::dated(id, (created_at, updated_at), object.done(), Hidden::default())
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, now: i64) {
    let title = format!("{} {:x}", words::sentence(rng, 4), rng.u16(..));
    draft.members.set("title", title);
    draft.members.set("last_ingested_at", now);
}
