//! Ticket types with their attributes. Every ticket repeats its whole type.

use fastrand::Rng;

use super::super::json::{NULL, Object, Raw, array};
use super::super::row::{Draft, Hidden, Row};
use super::{Context, Kind, Recipe, ticket_states, words};

pub(super) const RECIPE: Recipe =
    Recipe { kind: Kind::TicketTypes, name: "ticket_types", make, revise, searched: false, numeric: true };

/// Attributes of every type: name, type, input options as JSON, whether it came with the type.
const ATTRIBUTES: [(&str, &str, &str, bool); 6] = [
    ("_default_title_", "string", "{\"multiline\":false}", true),
    ("_default_description_", "string", "{\"multiline\":true}", true),
    ("Größe", "decimal", "null", false),
    ("Allow call back?", "boolean", "null", false),
    (
        "Severity",
        "list",
        "{\"list_options\":[{\"label\":\"high\",\"id\":\"b1\"},{\"label\":\"low\",\"id\":\"b2\"}]}",
        false,
    ),
    ("Attachments", "files", "null", false),
];

/// The category of type `index`, as rows show it.
pub(super) fn category(index: u32) -> &'static str {
    ["Customer", "Back-office", "Tracker"][index as usize % 3]
}

/// Id, name and what else states show of type `index`.
pub(super) fn summary(context: &Context, index: u32) -> Object {
    let mut rng = context.rng(Kind::TicketTypes, index);
    let mut object = Object::with_capacity(2_048);
    object
        .put("type", "ticket_type")
        .put("id", id(index))
        .put("name", format!("{} {index}", words::sentence(&mut rng, 2)))
        .put("description", if index.is_multiple_of(3) { "" } else { "What is asked for — and why" })
        .put("icon", words::pick(&mut rng, &["🎟️", "🦁", "🐞"]))
        .put("archived", archived(index))
        .put("is_internal", category(index) != "Customer")
        .put("category", category(index));
    object
}

/// Type `index` as tickets hold it: everything but its states.
pub(super) fn whole(context: &Context, index: u32) -> Object {
    let (created_at, updated_at) = dates(context, index, None);
    let mut object = summary(context, index);
    object
        .put("workspace_id", &context.workspace)
        .put("created_at", created_at)
        .put("updated_at", updated_at)
        .put("ticket_type_attributes", Raw(&attributes(context, index, created_at)));
    object
}

fn id(index: u32) -> String {
    number(index).to_string()
}

fn number(index: u32) -> i64 {
    67 + i64::from(index)
}

fn archived(index: u32) -> bool {
    index % 5 == 4
}

fn dates(context: &Context, index: u32, now: Option<i64>) -> (i64, i64) {
    context.dates(Kind::TicketTypes, index, now, &mut context.rng(Kind::TicketTypes, index))
}

/// Under `data` as answers show it, and for every fourth type under the key the published schema has.
fn attributes(context: &Context, index: u32, at: i64) -> String {
    let attributes = (0_i64..).zip(ATTRIBUTES).map(|(nth, (name, data_type, options, default))| {
        Object::new()
            .put("type", "ticket_type_attribute")
            .put("id", (number(index) * 100 + nth).to_string())
            .put("workspace_id", &context.workspace)
            .put("name", name)
            .put("description", if default { "" } else { "asked of every customer" })
            .put("data_type", data_type)
            .put("input_options", Raw(options))
            .put("order", nth)
            .put("required_to_create", nth == 0)
            .put("required_to_create_for_contacts", false)
            .put("visible_on_create", true)
            .put("visible_to_contacts", nth != 3)
            .put("default", default)
            .put("ticket_type_id", number(index))
            .put("archived", nth == 5)
            .put("created_at", at)
            .put("updated_at", at)
            .done()
    });
    let attributes = array(attributes);
    let (kind, key) = match index % 4 {
        3 => ("ticket_type_attributes.list", "ticket_type_attributes"),
        _ => ("list", "data"),
    };
    Object::new().put("type", kind).put(key, Raw(&attributes)).done()
}

fn make(context: &Context, index: u32, now: Option<i64>) -> Row {
    let states = array((0..ticket_states::usable(context)).map(ticket_states::reference));
    let states = Object::new().put("type", "list").put("data", Raw(&states)).done();
    let (created_at, updated_at) = dates(context, index, now);
    let mut object = summary(context, index);
    object
        .put("workspace_id", &context.workspace)
        .put("created_at", created_at)
        .put("updated_at", updated_at)
        .put("ticket_type_attributes", Raw(&attributes(context, index, created_at)))
        .put("ticket_states", Raw(&states));
    Row::dated(id(index), (created_at, updated_at), object.done(), Hidden::default())
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, _now: i64) {
    let name = format!("{} {:x}", words::sentence(rng, 2), rng.u16(..));
    draft.members.set("name", name);
    draft.members.set("description", NULL);
}
