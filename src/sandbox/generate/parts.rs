//! Conversation parts: written out when a single conversation is asked for, never stored.

use super::super::json::{NULL, Object, Raw, array};
use super::super::row::{Hidden, Row};
use super::{Context, Kind, admins, chance, words};

/// Parts an answer ever holds: the newest ones.
pub(crate) const SHOWN: usize = 500;

/// What a part says after it was redacted; nothing else here says it.
pub(super) const REDACTED: &str = "[redacted]";

/// When `count` parts were written, from just after `created_at` up to `updated_at`.
pub(super) fn times(created_at: i64, updated_at: i64, count: u32) -> Vec<i64> {
    let count = i64::from(count);
    (1..=count).map(|nth| created_at + (updated_at - created_at) * nth / count).collect()
}

/// The part list of a conversation. A part is the same however often its conversation changes.
pub(super) fn list(context: &Context, row: &Row) -> String {
    let written = &row.hidden.parts;
    let hidden = written.len().saturating_sub(SHOWN);
    let parts = (0_u32..).zip(written).skip(hidden).map(|(number, at)| part(context, row, number, *at));
    Object::new()
        .put("type", "conversation_part.list")
        .put("conversation_parts", Raw(&array(parts)))
        .put("total_count", written.len())
        .done()
}

/// Every part of a conversation, also those no answer shows.
pub(crate) fn all(context: &Context, row: &Row) -> Vec<String> {
    (0_u32..).zip(&row.hidden.parts).map(|(number, at)| part(context, row, number, *at)).collect()
}

/// What the part of that number says: `written`, if anything, unless it was redacted.
pub(super) fn said(hidden: &Hidden, number: u32, written: Option<String>) -> Option<String> {
    if hidden.redacted.contains(&(number as usize)) { Some(REDACTED.to_owned()) } else { written }
}

fn part(context: &Context, row: &Row, number: u32, at: i64) -> String {
    let conversation: u32 = row.id.parse().unwrap_or(0);
    let rng = &mut context.rng(Kind::Conversations, conversation.wrapping_mul(1_009).wrapping_add(number));
    let kind =
        words::pick(rng, &["comment", "comment", "note", "assignment", "close", "open", "quick_reply"]);
    let spoken = matches!(kind, "comment" | "note" | "quick_reply");
    let admin = admins::any(context, rng).unwrap_or(0);
    let (name, email) = admins::person(context, admin);
    let author = Object::new()
        .put("type", "admin")
        .put("id", admins::id(admin).to_string())
        .put("name", name)
        .put("email", email)
        .done();
    let assigned_to = Object::new().put("type", "admin").put("id", admins::id(admin).to_string()).done();
    let body = said(&row.hidden, number, spoken.then(|| words::html(rng, 2)));
    let mut object = Object::with_capacity(768);
    object
        .put("type", "conversation_part")
        .put("id", format!("{conversation}{number:05}"))
        .put("part_type", kind)
        .put("body", body)
        .put("created_at", at)
        .put("updated_at", at)
        .put("notified_at", at);
    if kind == "assignment" || chance(rng, 50) {
        object.put("assigned_to", (kind == "assignment").then_some(Raw(&assigned_to)));
    }
    object
        .put("author", Raw(&author))
        .put("attachments", Raw("[]"))
        .put("external_id", NULL)
        .put("redacted", false)
        .put("email_message_metadata", NULL)
        .put("state", if kind == "close" { "closed" } else { "open" })
        .put("tags", Raw("[]"))
        .put("event_details", Raw(if spoken { "null" } else { "{}" }))
        .put("app_package_code", NULL)
        .done()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::super::settings::Settings;
    use super::*;

    #[test]
    fn only_the_newest_five_hundred_are_shown_and_all_are_counted() {
        let context = Context::new(&Settings::default());
        let hidden = Hidden { parts: times(0, 5_200, 520).into(), ..Hidden::default() };
        let row = Row::dated("215400051".to_owned(), (0, 5_200), "{}".to_owned(), hidden);
        let list: Value = serde_json::from_str(&list(&context, &row)).unwrap();
        let parts = list["conversation_parts"].as_array().unwrap();
        assert_eq!((parts.len(), &list["total_count"]), (500, &520.into()));
        assert_eq!((&parts[0]["created_at"], &parts[499]["created_at"]), (&210.into(), &5_200.into()));
    }

    #[test]
    fn a_redacted_part_says_something_else_and_is_the_same_otherwise() {
        let context = Context::new(&Settings::default());
        let parts = |hidden: Hidden| -> Vec<Value> {
            let row = Row::dated("215400051".to_owned(), (0, 40), "{}".to_owned(), hidden);
            all(&context, &row).iter().map(|text| serde_json::from_str(text).unwrap()).collect()
        };
        let mut hidden = Hidden { parts: times(0, 40, 40).into(), ..Hidden::default() };
        let mut expected = parts(hidden.clone());
        for number in 0..40 {
            assert!(hidden.redact(number) && hidden.redact(number));
            assert_ne!(expected[number]["body"], REDACTED);
            expected[number]["body"] = REDACTED.into();
            assert_eq!(parts(hidden.clone()), expected);
        }
        assert!(!hidden.redact(40));
        assert_eq!(hidden.redacted.len(), 40);
    }
}
