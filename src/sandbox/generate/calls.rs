//! Phone calls. Their dates are seconds in most rows, text in some, and null in a few.

use fastrand::Rng;
use jiff::Timestamp;

use super::super::json::{Json, NULL, Object, Raw};
use super::super::row::{Draft, Hidden, Row};
use super::{Context, Kind, Recipe, admins, chance, contacts, conversations, words};

pub(super) const RECIPE: Recipe =
    Recipe { kind: Kind::Calls, name: "calls", make, revise, searched: false, numeric: true };

/// How one call writes its dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dates {
    Seconds,
    Iso,
    Null,
}

impl Dates {
    fn of(index: u32) -> Self {
        match index % 10 {
            4 => Self::Iso,
            9 => Self::Null,
            _ => Self::Seconds,
        }
    }

    fn write(self, second: i64) -> String {
        match self {
            Self::Seconds => second.json(),
            Self::Iso => Timestamp::from_second(second).unwrap_or_default().to_string().json(),
            Self::Null => "null".to_owned(),
        }
    }
}

fn make(context: &Context, index: u32, now: Option<i64>) -> Row {
    let rng = &mut context.rng(Kind::Calls, index);
    let (created_at, updated_at) = context.dates(Kind::Calls, index, now, rng);
    let (id, dates) = ((123 + u64::from(index)).to_string(), Dates::of(index));
    let answered = chance(rng, 70);
    let contact = (context.contacts > 0 && chance(rng, 90))
        .then(|| contacts::identity(context, rng.u32(0..context.contacts)).0);
    let conversation = (context.conversations > 0 && chance(rng, 80))
        .then(|| conversations::id(rng.u32(0..context.conversations)));
    let url = |what: &str| answered.then(|| format!("https://api.example.com/calls/{id}/{what}"));
    let answered_at = if answered { dates.write(created_at + 7) } else { "null".to_owned() };
    let text = Object::new()
        .put("type", "call")
        .put("id", &id)
        .put("conversation_id", conversation)
        .put("admin_id", admins::any(context, rng).map(|admin| admins::id(admin).to_string()))
        .put("contact_id", contact)
        .put("state", if answered { "completed" } else { "missed" })
        .put("initiated_at", Raw(&dates.write(created_at)))
        .put("answered_at", Raw(&answered_at))
        .put("ended_at", Raw(&dates.write(created_at + 190)))
        .put("created_at", Raw(&dates.write(created_at)))
        .put("updated_at", Raw(&dates.write(updated_at)))
        .put("recording_url", url("recording"))
        .put("transcription_url", url("transcript"))
        .put("call_type", "phone")
        .put("direction", words::pick(rng, &["inbound", "outbound"]))
        .put("ended_reason", answered.then_some("completed"))
        .put("phone", format!("+1555{:07}", rng.u32(0..10_000_000)))
        .put("fin_recording_url", NULL)
        .put("fin_transcription_url", NULL)
        .done();
    match dates {
        Dates::Seconds => Row::dated(id, (created_at, updated_at), text, Hidden::default()),
        Dates::Iso | Dates::Null => Row::undated(id, text),
    }
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, _now: i64) {
    draft.members.set("state", format!("{:x}", rng.u16(..)));
}
