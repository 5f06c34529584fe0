//! Conversations as lists and searches show them: without their parts.

use fastrand::Rng;

use super::super::json::{Members, NULL, Object, Raw, array};
use super::super::row::{Draft, Hidden, Row};
use super::{
    Context, DAY, Kind, Recipe, admins, chance, contacts, odd_attributes, parts, tags, teams, words,
};

pub(super) const RECIPE: Recipe =
    Recipe { kind: Kind::Conversations, name: "conversations", make, revise, searched: true, numeric: true };

/// Parts of the rare very long conversation; more than an answer ever shows.
const LONG: u32 = 520;

/// Id of conversation `index`.
pub(super) fn id(index: u32) -> String {
    (215_400_000 + u64::from(index) * 3 + u64::from(index % 2)).to_string()
}

/// Whether conversation `index` is a ticket.
fn is_ticket(context: &Context, index: u32) -> bool {
    context.ticket_conversations > 0 && index.is_multiple_of(context.ticket_conversations)
}

fn make(context: &Context, index: u32, now: Option<i64>) -> Row {
    let rng = &mut context.rng(Kind::Conversations, index);
    let (created_at, updated_at) = context.dates(Kind::Conversations, index, now, rng);
    let id = id(index);
    let count = if index % 211 == 17 { LONG } else { rng.u32(0..12) };
    let written = parts::times(created_at, updated_at, count);
    let state = if chance(rng, 50) { "closed" } else { words::pick(rng, &["open", "open", "snoozed"]) };
    let assignee = if chance(rng, 60) { admins::any(context, rng) } else { None };
    let team = (context.teams > 0 && chance(rng, 30)).then(|| teams::id(rng.u32(0..context.teams)));
    let contact = (context.contacts > 0).then(|| contacts::identity(context, rng.u32(0..context.contacts)));
    let mut object = Object::with_capacity(3_072);
    object
        .put("type", "conversation")
        .put("id", &id)
        .put("created_at", created_at)
        .put("updated_at", updated_at)
        .put("waiting_since", chance(rng, 40).then_some(updated_at))
        .put("snoozed_until", (state == "snoozed").then_some(updated_at + 3 * DAY));
    if index % 101 == 50 {
        object.put("source", NULL);
    } else {
        object.put("source", Raw(&source(context, index, contact.as_ref(), rng)));
    }
    object
        .put("contacts", Raw(&contact_list(contact.as_ref())))
        .put("first_contact_reply", first_reply(created_at, rng).as_deref().map(Raw))
        .put("admin_assignee_id", assignee.map(admins::id))
        .put("team_assignee_id", team)
        .put("open", state == "open")
        .put("state", state)
        .put("read", chance(rng, 70))
        .put("tags", Raw(&tag_list(context, created_at, assignee, rng)))
        .put("priority", if chance(rng, 10) { "priority" } else { "not_priority" });
    let odd = odd_attributes::values(context, Kind::Conversations, index, created_at);
    put_outcome(&mut object, created_at, &written, assignee, contact.as_ref(), &odd, rng);
    let is_ticket = is_ticket(context, index);
    put_links(&mut object, created_at, is_ticket.then_some(id.as_str()), rng);
    let hidden = Hidden { parts: written.into(), is_ticket, ..Hidden::default() };
    Row::dated(id, (created_at, updated_at), object.done(), hidden)
}

/// How it went: service level, statistics, rating, and who took part.
fn put_outcome(
    object: &mut Object,
    created_at: i64,
    written: &[i64],
    assignee: Option<u32>,
    contact: Option<&(String, Option<String>)>,
    odd: &[(&str, String)],
    rng: &mut Rng,
) {
    let sla = Object::new()
        .put("type", "conversation_sla_summary")
        .put("sla_name", "VIP — 1h")
        .put("sla_status", words::pick(rng, &["hit", "missed", "cancelled", "active"]))
        .done();
    object.put("sla_applied", chance(rng, 15).then_some(Raw(&sla)));
    let statistics = (!written.is_empty()).then(|| statistics(created_at, written, assignee));
    object.put("statistics", statistics.as_deref().map(Raw));
    let rating = assignee.map(|admin| rating(created_at, admin, contact, rng));
    object.put("conversation_rating", rating.as_deref().filter(|_| chance(rng, 25)).map(Raw));
    let teammates = assignee.map(|admin| {
        let one = Object::new().put("type", "admin").put("id", admins::id(admin).to_string()).done();
        Object::new().put("type", "admin.list").put("admins", Raw(&array([one]))).done()
    });
    object
        .put("teammates", teammates.as_deref().map(Raw))
        .put("title", chance(rng, 30).then(|| words::sentence(rng, 5)))
        .put("custom_attributes", Raw(&custom_attributes(created_at, odd, rng)));
}

/// What it is about, the ticket that it is, and what the AI agent did.
fn put_links(object: &mut Object, created_at: i64, ticket: Option<&str>, rng: &mut Rng) {
    let topics = "{\"type\":\"topic.list\",\"topics\":[{\"type\":\"topic\",\"id\":1,\"name\":\"Billing\"}],\"total_count\":1}";
    let ticket = ticket.map(|id| Object::new().put("type", "ticket").put("id", id).done());
    object
        .put("topics", if chance(rng, 20) { Raw(topics) } else { Raw("{}") })
        .put("ticket", ticket.as_deref().map(Raw))
        .put("linked_objects", Raw("{\"type\":\"list\",\"data\":[],\"total_count\":0,\"has_more\":false}"));
    let agent = chance(rng, 35).then(|| ai_agent(created_at, rng));
    object.put("ai_agent", agent.as_deref().map(Raw)).put("ai_agent_participated", agent.is_some());
}

fn source(
    context: &Context,
    index: u32,
    contact: Option<&(String, Option<String>)>,
    rng: &mut Rng,
) -> String {
    let from_admin = contact.is_none() || chance(rng, 20);
    let mut author = Object::new();
    if from_admin {
        let admin = admins::any(context, rng).unwrap_or(0);
        let (name, email) = admins::person(context, admin);
        author
            .put("type", "admin")
            .put("id", admins::id(admin).to_string())
            .put("name", name)
            .put("email", email);
    } else if let Some((id, external_id)) = contact {
        let kind = if external_id.is_some() { "user" } else { "lead" };
        author
            .put("type", kind)
            .put("id", id)
            .put("name", NULL)
            .put("email", format!("person{index}@example.com"));
    }
    let attachment = Object::new()
        .put("type", "upload")
        .put("name", "Rechnung März.pdf")
        .put("url", "https://downloads.example.com/i/o/1/file.pdf?expires=1&signature=x")
        .put("content_type", "application/pdf")
        .put("filesize", 18_234_i64)
        .put("width", NULL)
        .put("height", NULL)
        .done();
    let attachments = if chance(rng, 10) { array([attachment]) } else { "[]".to_owned() };
    let sentences = 1 + rng.usize(0..4);
    Object::new()
        .put("type", words::pick(rng, &["conversation", "email", "whatsapp", "conversation"]))
        .put("id", (403_918_000 + u64::from(index)).to_string())
        .put("delivered_as", if from_admin { "admin_initiated" } else { "customer_initiated" })
        .put("subject", if chance(rng, 30) { "<p>Über my order</p>" } else { "" })
        .put("body", words::html(rng, sentences))
        .put("author", Raw(&author.done()))
        .put("attachments", Raw(&attachments))
        .put("url", chance(rng, 40).then_some("https://example.com/app?tab=billing"))
        .put("redacted", false)
        .done()
}

/// The contact as conversations and tickets name it.
pub(super) fn contact_list(contact: Option<&(String, Option<String>)>) -> String {
    let contacts = contact.map(|(id, external_id)| {
        Object::new().put("type", "contact").put("id", id).put("external_id", external_id.as_deref()).done()
    });
    Object::new().put("type", "contact.list").put("contacts", Raw(&array(contacts))).done()
}

fn first_reply(created_at: i64, rng: &mut Rng) -> Option<String> {
    chance(rng, 60).then(|| {
        Object::new()
            .put("created_at", created_at + 60)
            .put("type", "conversation")
            .put("url", None::<&str>)
            .done()
    })
}

fn tag_list(context: &Context, created_at: i64, assignee: Option<u32>, rng: &mut Rng) -> String {
    let count = rng.u32(0..3);
    let tags = tags::some(context, rng, count).into_iter().map(|tag| {
        let by = Object::new()
            .put("type", "admin")
            .put("id", admins::id(assignee.unwrap_or(0)).to_string())
            .done();
        Object::new()
            .put("type", "tag")
            .put("id", tags::id(tag))
            .put("name", tags::name(context, tag))
            .put("applied_at", created_at + 120)
            .put("applied_by", Raw(&by))
            .done()
    });
    Object::new().put("type", "tag.list").put("tags", Raw(&array(tags))).done()
}

/// Statistics of a conversation with at least one part.
fn statistics(created_at: i64, written: &[i64], admin: Option<u32>) -> String {
    let first = written.first().copied().unwrap_or(created_at);
    let last = written.last().copied().unwrap_or(created_at);
    let assignment = admin.map(|_| first);
    let reply = admin.map(|_| last);
    let closed = (written.len() > 4).then_some(last);
    // Durations count office hours only, so they are shorter than what lies between the dates.
    let between = last.saturating_sub(created_at);
    let to_reply = 90 + between % 7200;
    let to_close = to_reply + 600 + between % 90_000;
    Object::new()
        .put("type", "conversation_statistics")
        .put("time_to_assignment", assignment.map(|_| to_reply / 3))
        .put("time_to_admin_reply", reply.map(|_| to_reply))
        .put("time_to_first_close", closed.map(|_| to_close))
        .put("time_to_last_close", closed.map(|_| to_close))
        .put("median_time_to_reply", reply.map(|_| 5_460_i64))
        .put("first_contact_reply_at", first)
        .put("first_assignment_at", assignment)
        .put("first_admin_reply_at", reply)
        .put("first_close_at", closed)
        .put("last_assignment_at", assignment)
        .put("last_assignment_admin_reply_at", reply)
        .put("last_contact_reply_at", first)
        .put("last_admin_reply_at", reply)
        .put("last_close_at", closed)
        .put("last_closed_by_id", closed.and(admin).map(|admin| admins::id(admin).to_string()))
        .put("count_reopens", 0_i64)
        .put("count_assignments", i64::from(admin.is_some()))
        .put("count_conversation_parts", written.len())
        .put("assigned_team_first_response_time_in_office_hours", Raw("[]"))
        .put("assigned_team_first_response_time", Raw("[]"))
        .put("handling_time", reply.map(|_| 310_i64))
        .done()
}

fn rating(created_at: i64, admin: u32, contact: Option<&(String, Option<String>)>, rng: &mut Rng) -> String {
    let teammate = Object::new().put("type", "admin").put("id", admins::id(admin)).done();
    let contact = contact.map(|(id, external_id)| {
        Object::new().put("type", "contact").put("id", id).put("external_id", external_id.as_deref()).done()
    });
    Object::new()
        .put("rating", rng.i64(1..6))
        .put("remark", chance(rng, 40).then_some("schnell & nett 👍"))
        .put("created_at", created_at + 600)
        .put("updated_at", created_at + 660)
        .put("contact", contact.as_deref().map(Raw))
        .put("teammate", Raw(&teammate))
        .done()
}

fn ai_agent(created_at: i64, rng: &mut Rng) -> String {
    let article = Object::new()
        .put("content_type", "article")
        .put("url", "https://help.example.com/en/articles/9001000")
        .put("title", "Refunds")
        .put("locale", "en")
        .done();
    let sources = Object::new()
        .put("type", "content_source.list")
        .put("total_count", 1_i64)
        .put("content_sources", Raw(&array([article])))
        .done();
    Object::new()
        .put("source_type", "workflow")
        .put("source_title", "Night shift")
        .put("last_answer_type", chance(rng, 50).then_some("ai_answer"))
        .put("resolution_state", words::pick(rng, &["assumed_resolution", "routed_to_team", "abandoned"]))
        .put("rating", chance(rng, 30).then(|| rng.i64(1..6)))
        .put("rating_remark", NULL)
        .put("created_at", created_at + 5)
        .put("updated_at", created_at + 9)
        .put("content_sources", Raw(&sources))
        .done()
}

fn custom_attributes(created_at: i64, odd: &[(&str, String)], rng: &mut Rng) -> String {
    let mut object = Object::new();
    if chance(rng, 50) {
        object.put("Issue type", words::pick(rng, &["Billing", "Bug", "Versand/Rückgabe"]));
    }
    if chance(rng, 15) {
        object.put("Estimated ($)", Raw("12.50")).put("Due", created_at + 7 * DAY);
    }
    if chance(rng, 15) {
        object.put("AI Title", words::sentence(rng, 4)).put("Has attachments", true);
    }
    for (name, value) in odd {
        object.put(name, Raw(value));
    }
    object.done()
}

/// Somebody answers: one more part, and usually another state.
fn revise(context: &Context, draft: &mut Draft, rng: &mut Rng, now: i64) {
    let written: Vec<i64> = draft.hidden.parts.iter().copied().chain([now]).collect();
    let assignee = admins::any(context, rng);
    let state = words::pick(rng, &["open", "closed"]);
    draft.members.set("state", state);
    draft.members.set("open", state == "open");
    draft.members.set("read", chance(rng, 50));
    draft.members.set("snoozed_until", NULL);
    draft.members.set("admin_assignee_id", assignee.map(admins::id));
    draft.members.set(
        "statistics",
        Raw(&statistics(draft.members.integer("created_at").unwrap_or(now), &written, assignee)),
    );
    draft.hidden.parts = written.into();
}

/// One more part, and the statistics that count it; everything else stays, the date too.
pub(crate) fn add_part(draft: &mut Draft, now: i64) {
    let written: Vec<i64> = draft.hidden.parts.iter().copied().chain([now]).collect();
    let counted = match draft.members.get("statistics").filter(|text| *text != "null") {
        Some(text) => {
            let mut members = Members::of(text);
            members.set("count_conversation_parts", written.len());
            members.text()
        }
        None => statistics(draft.members.integer("created_at").unwrap_or(now), &written, None),
    };
    draft.members.set("statistics", Raw(&counted));
    draft.hidden.parts = written.into();
}

/// The members a conversation's own endpoint adds.
pub(crate) fn detail(context: &Context, row: &Row) -> String {
    format!("\"conversation_parts\":{}", parts::list(context, row))
}
