//! Ticket parts: what was said and done about a ticket.

use super::super::json::{Object, Raw, array};
use super::super::row::Hidden;
use super::{Context, Kind, admins, parts, ticket_states, words};

/// The part list of a ticket: the newest parts, and the number of all.
pub(super) fn list(context: &Context, ticket: &str, hidden: &Hidden) -> String {
    let written = &hidden.parts;
    let left_out = written.len().saturating_sub(parts::SHOWN);
    let numbered = (0_u32..).zip(written).skip(left_out);
    let shown = numbered.map(|(number, at)| part(context, ticket, hidden, (number, *at)));
    Object::new()
        .put("type", "ticket_part.list")
        .put("ticket_parts", Raw(&array(shown)))
        .put("total_count", written.len())
        .done()
}

/// Every part of a ticket, also those no answer shows.
pub(crate) fn all(context: &Context, ticket: &str, hidden: &Hidden) -> Vec<String> {
    let numbered = (0_u32..).zip(&hidden.parts);
    numbered.map(|(number, at)| part(context, ticket, hidden, (number, *at))).collect()
}

/// A part is the same however often its ticket changes, unless it is redacted.
fn part(context: &Context, ticket: &str, hidden: &Hidden, (number, at): (u32, i64)) -> String {
    let seed: u32 = ticket.parse().unwrap_or(0);
    let rng = &mut context.rng(Kind::Tickets, seed.wrapping_mul(1_013).wrapping_add(number) | 0x8000_0000);
    let kind = match number {
        0 => "ticket_state_updated_by_admin",
        _ => words::pick(
            rng,
            &["comment", "note", "ticket_state_updated_by_admin", "assignment", "quick_reply", "comment"],
        ),
    };
    let spoken = matches!(kind, "comment" | "note" | "quick_reply");
    let admin = admins::any(context, rng).unwrap_or(0);
    let (name, email) = admins::person(context, admin);
    let admin = admins::id(admin).to_string();
    let author =
        Object::new().put("id", &admin).put("type", "admin").put("name", name).put("email", email).done();
    let body = parts::said(hidden, number, spoken.then(|| words::html(rng, 2)));
    let mut object = Object::with_capacity(512);
    object.put("type", "ticket_part").put("id", format!("{ticket}{number:05}")).put("part_type", kind);
    if let Some(body) = body {
        object.put("body", body);
    }
    if kind == "ticket_state_updated_by_admin" {
        let before = if number == 0 { 0 } else { rng.u32(0..4) };
        object
            .put("ticket_state", ticket_states::category(if number == 0 { 0 } else { rng.u32(0..4) }))
            .put("previous_ticket_state", ticket_states::category(before));
    }
    object.put("created_at", at).put("updated_at", at);
    if kind == "assignment" {
        let assigned_to = Object::new().put("type", "admin").put("id", &admin).done();
        object.put("assigned_to", Raw(&assigned_to));
    }
    object.put("author", Raw(&author)).put("attachments", Raw("[]")).put("redacted", false);
    if number.is_multiple_of(7) {
        object.put("app_package_code", "test-integration");
    }
    object.done()
}
