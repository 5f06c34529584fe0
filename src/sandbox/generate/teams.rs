//! Teams.

use fastrand::Rng;

use super::super::json::{Json, Object, Raw, array};
use super::super::row::{Draft, Row};
use super::{Context, Kind, Recipe, admins, words};

pub(super) const RECIPE: Recipe =
    Recipe { kind: Kind::Teams, name: "teams", make, revise, searched: false, numeric: true };

/// Id of team `index`.
pub(super) fn id(index: u32) -> i64 {
    5_017_001 + i64::from(index)
}

/// Whether admin `admin` is in team `team`.
pub(super) fn has(team: u32, admin: u32) -> bool {
    team == 0 || (team + admin).is_multiple_of(2)
}

fn make(context: &Context, index: u32, _now: Option<i64>) -> Row {
    let mut rng = context.rng(Kind::Teams, index);
    let members =
        (0..context.admins).filter(|admin| has(index, *admin)).map(|admin| admins::id(admin).json());
    let id = id(index).to_string();
    let mut object = Object::new();
    object
        .put("type", "team")
        .put("id", &id)
        .put("name", format!("{} team", words::sentence(&mut rng, 1)))
        .put("admin_ids", Raw(&array(members)));
    if index % 2 == 1 {
        object.put("assignment_limit", 10_i64).put("distribution_method", "load_balanced");
    } else {
        object.put("distribution_method", "round_robin");
    }
    Row::undated(id, object.done())
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, _now: i64) {
    let name = format!("{} team {:x}", words::sentence(rng, 1), rng.u16(..));
    draft.members.set("name", name);
}
