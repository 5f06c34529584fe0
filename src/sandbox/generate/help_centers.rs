//! Help centers.

use fastrand::Rng;

use super::super::json::Object;
use super::super::row::{Draft, Hidden, Row};
use super::{Context, Kind, Recipe, words};

pub(super) const RECIPE: Recipe =
    Recipe { kind: Kind::HelpCenters, name: "help_centers", make, revise, searched: false, numeric: true };

/// Id of help center `index`: a number in collections, text in its own row.
pub(super) fn number(index: u32) -> i64 {
    79 + i64::from(index)
}

fn make(context: &Context, index: u32, now: Option<i64>) -> Row {
    let mut rng = context.rng(Kind::HelpCenters, index);
    let (created_at, updated_at) = context.dates(Kind::HelpCenters, index, now, &mut rng);
    let id = number(index).to_string();
    let text = Object::new()
        .put("id", &id)
        .put("workspace_id", &context.workspace)
        .put("created_at", created_at)
        .put("updated_at", updated_at)
        .put("identifier", format!("help-center-{index}"))
        .put("website_turned_on", index == 0)
        .put("display_name", format!("{} — Hilfe", words::sentence(&mut rng, 1)))
        .put("url", format!("https://intercom.help/help-center-{index}"))
        .put("custom_domain", (index == 0).then_some("help.example.com"))
        .done();
    Row::dated(id, (created_at, updated_at), text, Hidden::default())
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, _now: i64) {
    let name = format!("{} {:x}", words::sentence(rng, 1), rng.u16(..));
    draft.members.set("display_name", name);
}
