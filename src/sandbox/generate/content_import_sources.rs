//! Places the AI agent learns from. Their ids are numbers, in their own rows too.

use fastrand::Rng;

use super::super::json::Object;
use super::super::row::{Draft, Hidden, Row};
use super::{Context, Kind, Recipe};

pub(super) const RECIPE: Recipe = Recipe {
    kind: Kind::ContentImportSources,
    name: "content_import_sources",
    make,
    revise,
    searched: false,
    numeric: true,
};

/// Id of source `index`.
pub(super) fn number(index: u32) -> i64 {
    33 + i64::from(index)
}

fn make(context: &Context, index: u32, now: Option<i64>) -> Row {
    let mut rng = context.rng(Kind::ContentImportSources, index);
    let (created_at, updated_at) = context.dates(Kind::ContentImportSources, index, now, &mut rng);
    let abandoned = index % 3 == 2;
    let text = Object::new()
        .put("id", number(index))
        .put("type", "content_import_source")
        .put("last_synced_at", (!abandoned).then_some(updated_at))
        .put("status", if abandoned { "deactivated" } else { "active" })
        .put("url", format!("https://support.example.com/hilfe/{index}"))
        .put("sync_behavior", ["automatic", "api", "manual"][index as usize % 3])
        .put("created_at", created_at)
        .put("updated_at", updated_at)
        .done();
    Row::dated(number(index).to_string(), (created_at, updated_at), text, Hidden::default())
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, now: i64) {
    draft.members.set("url", format!("https://support.example.com/hilfe/{:x}", rng.u16(..)));
    draft.members.set("last_synced_at", now);
}
