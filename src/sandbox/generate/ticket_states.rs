//! Ticket states: one per category, then archived ones. Every type knows the states that are not archived.

use fastrand::Rng;

use super::super::json::{Object, Raw, array};
use super::super::row::{Draft, Row};
use super::{Context, Kind, Recipe, ticket_types, words};

pub(super) const RECIPE: Recipe =
    Recipe { kind: Kind::TicketStates, name: "ticket_states", make, revise, searched: false, numeric: true };

/// Category, label for teammates, label for customers.
const STATES: [(&str, &str, &str); 4] = [
    ("submitted", "Submitted", "Submitted"),
    ("in_progress", "In progress", "In progress"),
    ("waiting_on_customer", "Waiting on customer", "Waiting on you"),
    ("resolved", "Resolved", "Gelöst"),
];

/// The category of state `index`.
pub(super) fn category(index: u32) -> &'static str {
    STATES[index as usize % STATES.len()].0
}

/// How many states are not archived.
pub(super) fn usable(context: &Context) -> u32 {
    context.ticket_states.min(4)
}

/// A state as tickets and types hold it.
pub(super) fn reference(index: u32) -> String {
    described(index).done()
}

fn described(index: u32) -> Object {
    let (category, internal, external) = STATES[index as usize % STATES.len()];
    let mut object = Object::new();
    object
        .put("type", "ticket_state")
        .put("id", id(index))
        .put("category", category)
        .put("internal_label", internal)
        .put("external_label", external);
    object
}

fn id(index: u32) -> String {
    (8_269 + u64::from(index)).to_string()
}

fn make(context: &Context, index: u32, _now: Option<i64>) -> Row {
    let types = (0..context.ticket_types).map(|kind| ticket_types::summary(context, kind).done());
    let types = Object::new().put("type", "list").put("data", Raw(&array(types))).done();
    let mut object = described(index);
    object.put("ticket_types", Raw(&types)).put("archived", index >= 4);
    Row::undated(id(index), object.done())
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, _now: i64) {
    let label = format!("{} {:x}", words::sentence(rng, 2), rng.u16(..));
    draft.members.set("internal_label", label);
}
