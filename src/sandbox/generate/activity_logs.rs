//! The teammates' activity log: written once, never changed, metadata of any shape.

use fastrand::Rng;

use super::super::json::{NULL, Object, Raw};
use super::super::row::{Draft, Hidden, Row};
use super::{Context, Kind, Recipe, admins, words};

pub(super) const RECIPE: Recipe =
    Recipe { kind: Kind::ActivityLogs, name: "activity_logs", make, revise, searched: false, numeric: false };

fn make(context: &Context, index: u32, now: Option<i64>) -> Row {
    let rng = &mut context.rng(Kind::ActivityLogs, index);
    let (created_at, _) = context.dates(Kind::ActivityLogs, index, now, rng);
    let noise = rng.u64(..);
    let id = format!(
        "{:08x}-{:04x}-4{:03x}-8000-{index:012x}",
        noise >> 32,
        (noise >> 16) & 0xFFFF,
        noise & 0xFFF
    );
    let admin = admins::any(context, rng).unwrap_or(0);
    let (name, email) = admins::person(context, admin);
    let (kind, metadata, what) = happening(index, rng);
    let by = Object::new()
        .put("type", "admin")
        .put("id", admins::id(admin).to_string())
        .put("email", email)
        .put("ip", "203.0.113.7")
        .done();
    let text = Object::new()
        .put("id", &id)
        .put("performed_by", Raw(&by))
        .put("metadata", metadata.as_deref().map_or(NULL, Raw))
        .put("created_at", created_at)
        .put("activity_type", kind)
        .put("activity_description", format!("{name} {what}."))
        .done();
    let row = Row::dated(id, (created_at, created_at), text, Hidden::default());
    Row { updated_at: None, ..row }
}

/// Type, metadata and description.
fn happening(index: u32, rng: &mut Rng) -> (&'static str, Option<String>, &'static str) {
    let mut object = Object::new();
    match index % 5 {
        0 => {
            let metadata = object.put("before", "before").put("after", "größer").done();
            ("app_name_change", Some(metadata), "changed your app name")
        }
        1 => {
            let message =
                Object::new().put("id", rng.u32(1..999)).put("title", words::sentence(rng, 3)).done();
            let state = "{\"state\":\"live\",\"share\":0.10}";
            object.put("message", Raw(&message)).put("before", Raw(state)).put("after", Raw("{}"));
            ("message_state_change", Some(object.done()), "changed a message")
        }
        2 => {
            let metadata = object
                .put("away_mode", rng.bool())
                .put("away_status_reason", NULL)
                .put("reassign_conversations", false)
                .put("source", "user")
                .done();
            ("admin_away_mode_change", Some(metadata), "changed their away mode")
        }
        3 => ("admin_login_success", Some(object.put("sign_in_method", "google").done()), "logged in"),
        _ => ("something_nobody_documented", None, "did something new"),
    }
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, _now: i64) {
    let description = format!("{} {:x}.", words::sentence(rng, 5), rng.u16(..));
    draft.members.set("activity_description", description);
}
