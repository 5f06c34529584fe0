//! Help center collections; every third is a section of another.

use fastrand::Rng;

use super::super::json::{NULL, Object, Raw};
use super::super::row::{Draft, Hidden, Row};
use super::{Context, Kind, Recipe, chance, help_centers, words};

pub(super) const RECIPE: Recipe =
    Recipe { kind: Kind::Collections, name: "collections", make, revise, searched: false, numeric: true };

fn id(index: u32) -> String {
    (143 + u64::from(index)).to_string()
}

fn make(context: &Context, index: u32, now: Option<i64>) -> Row {
    let rng = &mut context.rng(Kind::Collections, index);
    let (created_at, updated_at) = context.dates(Kind::Collections, index, now, rng);
    let name = words::sentence(rng, 3);
    let parent = (index % 3 == 2).then(|| id(index - 2));
    let center = (parent.is_none() && context.help_centers > 0)
        .then(|| help_centers::number(rng.u32(0..context.help_centers)));
    let mut object = Object::new();
    object
        .put("id", id(index))
        .put("workspace_id", &context.workspace)
        .put("name", &name)
        .put("url", format!("https://help.example.com/en/collections/{}", id(index)))
        .put("order", index)
        .put("created_at", created_at)
        .put("updated_at", updated_at)
        .put("description", chance(rng, 60).then(|| words::sentence(rng, 6)))
        .put("icon", chance(rng, 80).then_some("bookmark"))
        .put("parent_id", parent)
        .put("help_center_id", center);
    if chance(rng, 30) {
        let german = Object::new()
            .put("type", "group_content")
            .put("name", format!("{name} (Übersicht)"))
            .put("description", NULL)
            .done();
        let translated = Object::new()
            .put("type", "group_translated_content")
            .put("de", Raw(&german))
            .put("fr", NULL)
            .done();
        object.put("default_locale", "en").put("translated_content", Raw(&translated));
    }
    Row::dated(id(index), (created_at, updated_at), object.done(), Hidden::default())
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, _now: i64) {
    let name = format!("{} {:x}", words::sentence(rng, 3), rng.u16(..));
    draft.members.set("name", name);
}
