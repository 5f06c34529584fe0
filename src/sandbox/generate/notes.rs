//! Notes on contacts: known by their ids, written out when a contact's notes are asked for.

use super::super::json::{Object, Raw};
use super::super::row::Row;
use super::{Context, DAY, Kind, admins, words};

/// The id of note `nth` of contact `index`.
pub(super) fn id(index: u32, nth: u32) -> String {
    (u64::from(index) * 100 + 26 + u64::from(nth)).to_string()
}

/// The note of that id, about `contact`. It is the same however often the contact changes.
pub(crate) fn text(context: &Context, contact: &Row, id: &str) -> String {
    let seed = id.bytes().fold(0_u32, |seed, byte| seed.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let rng = &mut context.rng(Kind::Contacts, seed | 0x8000_0000);
    let admin = admins::any(context, rng).unwrap_or(0);
    let (name, email) = admins::person(context, admin);
    let author = Object::new()
        .put("type", "admin")
        .put("id", admins::id(admin).to_string())
        .put("name", name)
        .put("email", email)
        .put("away_mode_enabled", false)
        .put("away_mode_reassign", false)
        .done();
    let about = Object::new().put("type", "contact").put("id", &*contact.id).done();
    let begun = contact.created_at.unwrap_or(context.started_at - DAY);
    Object::new()
        .put("type", "note")
        .put("id", id)
        .put("created_at", begun.saturating_add(rng.i64(0..3_600)))
        .put("contact", Raw(&about))
        .put("author", Raw(&author))
        .put("body", words::html(rng, 2))
        .done()
}
