//! Tickets, the same in searches and alone: with their newest parts, and with their whole type each time.

use fastrand::Rng;

use super::super::json::{NULL, Object, Raw, array};
use super::super::row::{Draft, Hidden, Row};
use super::{
    Context, DAY, Kind, Recipe, admins, chance, contacts, conversations, parts, teams, ticket_parts,
    ticket_states, ticket_types, words,
};

pub(super) const RECIPE: Recipe =
    Recipe { kind: Kind::Tickets, name: "tickets", make, revise, searched: true, numeric: true };

/// Parts of the rare very long ticket; more than an answer ever shows.
const LONG: u32 = 520;
/// By how much the newest part of some tickets is younger than the ticket says it was changed.
const LATE: i64 = 158;

fn make(context: &Context, index: u32, now: Option<i64>) -> Row {
    let rng = &mut context.rng(Kind::Tickets, index);
    let (created_at, updated_at) = context.dates(Kind::Tickets, index, now, rng);
    let id = (1_001 + u64::from(index)).to_string();
    let count = if index % 191 == 23 { LONG } else { 1 + rng.u32(0..6) };
    let mut written = parts::times(created_at, updated_at, count);
    if let Some(last) = written.last_mut()
        && index % 9 == 4
        && *last + LATE < context.started_at
    {
        *last += LATE;
    }
    let kind = (context.ticket_types > 0).then(|| rng.u32(0..context.ticket_types));
    let state = state(context, rng);
    let contact = (context.contacts > 0 && !chance(rng, 10))
        .then(|| contacts::identity(context, rng.u32(0..context.contacts)));
    let ticket_type = kind.map(|kind| ticket_types::whole(context, kind).done());
    let hidden = Hidden { parts: written.into(), ..Hidden::default() };
    let mut object = Object::with_capacity(6_144);
    object
        .put("type", "ticket")
        .put("id", &id)
        .put("ticket_id", (index + 1).to_string())
        .put("ticket_attributes", Raw(&attributes(created_at, rng)))
        .put("ticket_state", state.map(ticket_states::reference).as_deref().map(Raw))
        .put("ticket_type", ticket_type.as_deref().map(Raw))
        .put("contacts", Raw(&conversations::contact_list(contact.as_ref())))
        .put("admin_assignee_id", assignee(context, rng))
        .put("team_assignee_id", team(context, rng))
        .put("created_at", created_at)
        .put("updated_at", updated_at)
        .put("ticket_parts", Raw(&ticket_parts::list(context, &id, &hidden)))
        .put("open", is_open(state));
    if chance(rng, 10) {
        object.put("snoozed_until", updated_at + 2 * DAY);
    }
    object
        .put("linked_objects", Raw(&linked(context, rng)))
        .put("category", kind.map(ticket_types::category))
        .put("is_shared", chance(rng, 50));
    Row::dated(id, (created_at, updated_at), object.done(), hidden)
}

fn state(context: &Context, rng: &mut Rng) -> Option<u32> {
    let usable = ticket_states::usable(context);
    (usable > 0).then(|| rng.u32(0..usable))
}

fn is_open(state: Option<u32>) -> bool {
    state.is_none_or(|state| ticket_states::category(state) != "resolved")
}

/// Text, and "0" for nobody.
fn assignee(context: &Context, rng: &mut Rng) -> String {
    let admin = if chance(rng, 60) { admins::any(context, rng) } else { None };
    admin.map_or(0, admins::id).to_string()
}

fn team(context: &Context, rng: &mut Rng) -> String {
    let team = (context.teams > 0 && chance(rng, 40)).then(|| teams::id(rng.u32(0..context.teams)));
    team.unwrap_or(0).to_string()
}

/// By name, not by id; values of any type.
fn attributes(created_at: i64, rng: &mut Rng) -> String {
    let file = Object::new()
        .put("type", "upload")
        .put("name", "Übersicht.png")
        .put("url", "https://downloads.example.com/i/o/2/image.png?expires=1")
        .put("content_type", "image/png")
        .put("filesize", 9_876_i64)
        .done();
    let mut object = Object::new();
    object
        .put("_default_title_", words::sentence(rng, 4))
        .put("_default_description_", chance(rng, 70).then(|| words::sentence(rng, 12)));
    if chance(rng, 40) {
        object.put("Größe", Raw("12.50")).put("Allow call back?", chance(rng, 50));
    }
    if chance(rng, 40) {
        object.put("Severity", words::pick(rng, &["high", "low"])).put("Due", created_at + 7 * DAY);
    }
    if chance(rng, 15) {
        object.put("Attachments", Raw(&array([file])));
    }
    object.done()
}

fn linked(context: &Context, rng: &mut Rng) -> String {
    let conversation = (context.conversations > 0 && chance(rng, 25))
        .then(|| conversations::id(rng.u32(0..context.conversations)));
    let linked = conversation
        .map(|id| Object::new().put("type", "conversation").put("id", id).put("category", NULL).done());
    Object::new()
        .put("type", "list")
        .put("data", Raw(&array(&linked)))
        .put("total_count", usize::from(linked.is_some()))
        .put("has_more", false)
        .done()
}

/// Somebody works on it: one more part, and usually another state.
fn revise(context: &Context, draft: &mut Draft, rng: &mut Rng, now: i64) {
    let state = state(context, rng);
    draft.members.set("ticket_state", state.map(ticket_states::reference).as_deref().map(Raw));
    draft.members.set("open", is_open(state));
    draft.members.set("admin_assignee_id", assignee(context, rng));
    add_part(context, draft, now);
}

/// One more part; the ticket's own date stays.
pub(crate) fn add_part(context: &Context, draft: &mut Draft, now: i64) {
    draft.hidden.parts = draft.hidden.parts.iter().copied().chain([now]).collect();
    show_parts(context, draft);
}

/// Writes the parts into the ticket anew.
pub(crate) fn show_parts(context: &Context, draft: &mut Draft) {
    let list = ticket_parts::list(context, &draft.id, &draft.hidden);
    draft.members.set("ticket_parts", Raw(&list));
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::super::settings::Settings;
    use super::*;

    fn value(row: &Row) -> Value {
        serde_json::from_str(&row.text).unwrap()
    }

    #[test]
    fn only_the_newest_five_hundred_parts_are_shown_and_some_are_younger_than_their_ticket() {
        let context = Context::new(&Settings::default());
        let long = make(&context, 23, None);
        let list = &value(&long)["ticket_parts"];
        assert_eq!(
            (list["ticket_parts"].as_array().unwrap().len(), &list["total_count"]),
            (500, &520.into())
        );
        assert_eq!(ticket_parts::all(&context, &long.id, &long.hidden).len(), 520);
        let late = (0..80).map(|index| make(&context, index, None));
        assert!(late.filter(|row| row.hidden.parts.last().copied() > row.updated_at).count() > 3);
    }

    #[test]
    fn a_part_may_come_without_the_date_moving() {
        let context = Context::new(&Settings::default());
        let row = make(&context, 3, None);
        let mut draft = row.draft();
        add_part(&context, &mut draft, context.started_at);
        let changed = draft.row();
        assert_eq!(changed.updated_at, row.updated_at);
        let (before, after) = (value(&row), value(&changed));
        let parts = |value: &Value| value["ticket_parts"]["ticket_parts"].as_array().unwrap().clone();
        assert_eq!(parts(&after)[..parts(&before).len()], parts(&before));
        assert_eq!(parts(&after).last().unwrap()["created_at"], context.started_at);
    }

    #[test]
    fn a_workspace_without_anything_else_can_have_tickets() {
        let nothing = Settings {
            contacts: 0,
            conversations: 0,
            admins: 0,
            teams: 0,
            ticket_types: 0,
            ticket_states: 0,
            ..Settings::default()
        };
        let ticket = value(&make(&Context::new(&nothing), 0, None));
        assert_eq!((&ticket["ticket_type"], &ticket["ticket_state"]), (&Value::Null, &Value::Null));
        assert_eq!((&ticket["admin_assignee_id"], &ticket["open"]), (&"0".into(), &true.into()));
    }
}
