//! Away status reasons. Deleted ones stay in the list.

use fastrand::Rng;

use super::super::json::Object;
use super::super::row::{Draft, Hidden, Row};
use super::{Context, Kind, Recipe, words};

pub(super) const RECIPE: Recipe = Recipe {
    kind: Kind::AwayStatusReasons,
    name: "away_status_reasons",
    make,
    revise,
    searched: false,
    numeric: true,
};

const REASONS: [(&str, &str); 4] =
    [("On a break", "☕"), ("In a meeting", "📅"), ("Mittagessen", "🍽️"), ("Sick", "🤒")];

fn make(context: &Context, index: u32, now: Option<i64>) -> Row {
    let mut rng = context.rng(Kind::AwayStatusReasons, index);
    let (created_at, updated_at) = context.dates(Kind::AwayStatusReasons, index, now, &mut rng);
    let id = (1 + u64::from(index)).to_string();
    let (label, emoji) = REASONS[index as usize % REASONS.len()];
    let text = Object::new()
        .put("type", "away_status_reason")
        .put("id", &id)
        .put("label", label)
        .put("emoji", emoji)
        .put("order", index + 1)
        .put("deleted", index % 4 == 3)
        .put("created_at", created_at)
        .put("updated_at", updated_at)
        .done();
    Row::dated(id, (created_at, updated_at), text, Hidden::default())
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, _now: i64) {
    let label = format!("{} {:x}", words::sentence(rng, 2), rng.u16(..));
    draft.members.set("label", label);
}
