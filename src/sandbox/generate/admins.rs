//! Teammates. Their ids are text here and integers everywhere else.

use fastrand::Rng;

use super::super::json::{Json, Object, Raw, array};
use super::super::row::{Draft, Row};
use super::{Context, Kind, Recipe, chance, teams, words};

pub(super) const RECIPE: Recipe =
    Recipe { kind: Kind::Admins, name: "admins", make, revise, searched: false, numeric: true };

/// Id of admin `index`.
pub(crate) fn id(index: u32) -> i64 {
    991_267_001 + i64::from(index)
}

/// Name and email of admin `index`.
pub(crate) fn person(context: &Context, index: u32) -> (String, String) {
    let mut rng = context.rng(Kind::Admins, index);
    (words::person(&mut rng), format!("admin{index}@example.com"))
}

/// Any admin's number, if there are admins.
pub(super) fn any(context: &Context, rng: &mut Rng) -> Option<u32> {
    let any = rng.u32(0..context.admins.max(1));
    (context.admins > 0).then_some(any)
}

fn make(context: &Context, index: u32, _now: Option<i64>) -> Row {
    let (name, email) = person(context, index);
    let mut rng = context.rng(Kind::Admins, index);
    let away = chance(&mut rng, 20);
    let team_ids =
        (0..context.teams).filter(|team| teams::has(*team, index)).map(|team| teams::id(team).json());
    let id = id(index).to_string();
    let mut object = Object::new();
    object.put("type", "admin").put("email", email).put("id", &id).put("name", name);
    if index.is_multiple_of(2) {
        object.put("job_title", "Support engineer");
    }
    object
        .put("away_mode_enabled", away)
        .put("away_mode_reassign", false)
        .put("away_status_reason_id", away.then_some(3_i64))
        .put("has_inbox_seat", index % 4 != 3)
        .put("team_ids", Raw(&array(team_ids)));
    if index.is_multiple_of(3) {
        let first = teams::id(0);
        object.put(
            "team_priority_level",
            Raw(&format!("{{\"primary_team_ids\":[{first}],\"secondary_team_ids\":[]}}")),
        );
    }
    Row::undated(id, object.done())
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, _now: i64) {
    draft.members.set("job_title", format!("Support {:x}", rng.u16(..)));
}
