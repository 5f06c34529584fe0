//! Contacts, with everything that makes real ones hard to read: nulls and missing keys, embedded lists cut at ten,
//! attribute names in any case and script, numbers longer than a float, dates no calendar has.

use std::sync::Arc;

use fastrand::Rng;

use super::super::json::{NULL, Object, Raw};
use super::super::row::{Draft, Hidden, Row};
pub(crate) use super::contact_lists::{List, link};
use super::contact_lists::{company_ids, note_ids, opted, subscription_ids};
use super::{Context, DAY, Kind, Recipe, admins, chance, object_id, odd_attributes, segments, tags, words};

pub(super) const RECIPE: Recipe =
    Recipe { kind: Kind::Contacts, name: "contacts", make, revise, searched: true, numeric: false };

/// Id and external id of generated contact `index`; leads have no external id.
pub(super) fn identity(context: &Context, index: u32) -> (String, Option<String>) {
    let mut rng = context.rng(Kind::Contacts, index);
    let created_at = context.created_at(Kind::Contacts, index, &mut rng);
    let id = object_id(created_at, rng.u64(..), index);
    (id, (!is_lead(index)).then(|| format!("user-{index}")))
}

fn is_lead(index: u32) -> bool {
    index % 7 == 3
}

fn make(context: &Context, index: u32, now: Option<i64>) -> Row {
    let (generated, external_id) = identity(context, index);
    let rng = &mut context.rng(Kind::Contacts, index);
    let (created_at, updated_at) = context.dates(Kind::Contacts, index, now, rng);
    let id = match now {
        None => generated,
        Some(now) => object_id(now, rng.u64(..), index),
    };
    let mut object = Object::with_capacity(context.contact_bytes.saturating_mul(5) / 4 + 256);
    object
        .put("type", "contact")
        .put("id", &id)
        .put("workspace_id", &context.workspace)
        .put("external_id", external_id);
    person(context, &mut object, index, rng);
    object.put("created_at", created_at).put("updated_at", updated_at);
    activity(&mut object, index, created_at, updated_at, rng);
    devices(&mut object, updated_at, rng);
    place(&mut object, rng);
    let tag_count = if index % 40 == 7 { 12 } else { rng.u32(0..4) };
    let tag_ids: Vec<Arc<str>> =
        tags::some(context, rng, tag_count).into_iter().map(|tag| Arc::from(tags::id(tag))).collect();
    let miscounted = if context.contact_links && index % 6 == 1 { 3 } else { 0 };
    let note_ids = note_ids(context, index);
    let company_ids = company_ids(context, index, rng);
    object
        .put("tags", Raw(&List::Tags.embedded(&id, &tag_ids, miscounted)))
        .put("notes", Raw(&List::Notes.embedded(&id, &note_ids, miscounted)))
        .put("companies", Raw(&List::Companies.embedded(&id, &company_ids, miscounted)));
    let shows_choices = chance(rng, 90);
    let choices = if shows_choices { subscription_ids(context, index) } else { Vec::new() };
    if shows_choices {
        for (key, list) in opted(&id, &choices) {
            object.put(key, Raw(&list));
        }
    }
    undocumented(&mut object, rng);
    let wanted = context.contact_bytes.saturating_mul(90 + rng.usize(0..21)) / 100;
    let left = wanted.saturating_sub(object.len() + "\"custom_attributes\":,".len());
    let odd = odd_attributes::values(context, Kind::Contacts, index, created_at);
    object.put("custom_attributes", Raw(&custom_attributes(index, created_at, &odd, left, rng)));
    let segments = (0..context.segments)
        .filter(|segment| (index + segment).is_multiple_of(3) || rng.u32(0..8) == 0)
        .map(|segment| Arc::from(segments::id(context, segment)))
        .collect();
    let hidden = Hidden {
        tags: tag_ids.into(),
        segments,
        companies: company_ids.into(),
        notes: note_ids.into(),
        subscriptions: choices.into(),
        ..Hidden::default()
    };
    Row::dated(id, (created_at, updated_at), object.done(), hidden)
}

fn person(context: &Context, object: &mut Object, index: u32, rng: &mut Rng) {
    let lead = is_lead(index);
    let email = (!lead || chance(rng, 50)).then(|| format!("person{index}@example.com"));
    object.put("role", if lead { "lead" } else { "user" }).put("email", email.as_deref());
    if chance(rng, 60) {
        object.put("email_domain", email.as_ref().map(|_| "example.com"));
    }
    object.put("phone", chance(rng, 30).then(|| format!("+1555{:07}", rng.u32(0..10_000_000))));
    object.put("name", (!chance(rng, 8)).then(|| words::person(rng)));
    if chance(rng, 20) {
        let url = format!("https://static.example.com/avatars/{index}.png");
        let avatar = Object::new().put("type", "avatar").put("image_url", url).done();
        object.put("avatar", Raw(&avatar));
    } else {
        object.put("avatar", NULL);
    }
    let owner = if chance(rng, 40) { admins::any(context, rng).map(admins::id) } else { None };
    object.put("owner_id", owner).put("social_profiles", Raw("{\"type\":\"list\",\"data\":[]}"));
    for flag in ["has_hard_bounced", "marked_email_as_spam", "unsubscribed_from_emails"] {
        object.put(flag, chance(rng, 5));
    }
}

/// `signed_up_at` is whatever the customer's own system sent.
fn activity(object: &mut Object, index: u32, created_at: i64, updated_at: i64, rng: &mut Rng) {
    let signed_up_at = match index % 97 {
        5 => Some(2_328_134_400),
        17 => Some(253_402_300_800),
        29 => Some(created_at * 1_000),
        41 => Some(-62_135_596_801),
        _ if chance(rng, 60) => Some(created_at - rng.i64(0..30 * DAY)),
        _ => None,
    };
    object.put("signed_up_at", signed_up_at);
    for date in [
        "last_seen_at",
        "last_replied_at",
        "last_contacted_at",
        "last_email_opened_at",
        "last_email_clicked_at",
    ] {
        let known = chance(rng, 45);
        object.put(date, known.then(|| created_at + (updated_at - created_at) * rng.i64(0..100) / 100));
    }
}

fn devices(object: &mut Object, updated_at: i64, rng: &mut Rng) {
    let web = chance(rng, 60);
    object
        .put("language_override", chance(rng, 10).then_some("pt-BR"))
        .put("browser", web.then_some("chrome"))
        .put("browser_version", web.then_some("131.0.0.0"))
        .put("browser_language", web.then_some("en"))
        .put("os", web.then_some("OS X 10.15.7"));
    for (platform, values) in [
        ("android", ["Shop", "5.0.1", "Pixel 8", "14", "15.11.3"]),
        ("ios", ["Shop", "5.0.0", "iPhone 15", "18.1", "18.2.0"]),
    ] {
        let used = chance(rng, 8);
        for (key, value) in
            ["app_name", "app_version", "device", "os_version", "sdk_version"].iter().zip(values)
        {
            object.put(&format!("{platform}_{key}"), used.then_some(value));
        }
        object.put(&format!("{platform}_last_seen_at"), used.then_some(updated_at));
    }
}

fn place(object: &mut Object, rng: &mut Rng) {
    let known = chance(rng, 60).then(|| words::place(rng));
    let mut location = Object::new();
    location
        .put("type", "location")
        .put("country", known.map(|(country, ..)| country))
        .put("region", known.map(|(.., region, _)| region))
        .put("city", known.map(|(.., city)| city));
    if chance(rng, 50) {
        location
            .put("country_code", known.map(|(_, code, ..)| code))
            .put("continent_code", known.map(|(_, _, continent, ..)| continent));
    }
    object.put("location", Raw(&location.done()));
}

/// Members that answers have and the published schema has not.
fn undocumented(object: &mut Object, rng: &mut Rng) {
    if chance(rng, 40) {
        object.put("referrer", "https://example.com/?from=ad&x=ü");
        for key in ["utm_campaign", "utm_content", "utm_medium", "utm_source", "utm_term"] {
            object.put(key, chance(rng, 20).then_some("spring"));
        }
    }
    if chance(rng, 50) {
        object
            .put("sms_consent", false)
            .put("unsubscribed_from_sms", false)
            .put("enabled_push_messaging", NULL);
    }
}

/// Attributes under names only people would choose, then the `odd` ones; the last one fills up to about `bytes`.
fn custom_attributes(
    index: u32,
    created_at: i64,
    odd: &[(&str, String)],
    bytes: usize,
    rng: &mut Rng,
) -> String {
    let mut object = Object::new();
    if chance(rng, 70) {
        object.put("Plan Tier", words::pick(rng, &["free", "silver", "gold"]));
    }
    if chance(rng, 25) {
        object.put("plan tier", "legacy").put("renewal_date", created_at + 365 * DAY);
    }
    if chance(rng, 30) {
        object.put("seats", rng.i64(1..500)).put("is.beta", chance(rng, 50));
    }
    match index % 31 {
        // Twenty digits: within 64 bits, and beyond.
        2 => object.put("ledger_number", 12_345_678_901_234_567_890 + u64::from(index)),
        3 => object.put("ledger_number", Raw("98765432109876543210")),
        // More digits than a float keeps, and a zero it would drop.
        4 => object.put("exact_balance", Raw("0.1000000000000000055511151231257827")),
        5 => object.put("exact_balance", Raw("19.90")).put("MRR (€)", Raw("1e3")),
        6 => object.put("会社", "株式会社 🏢").put("say \"hi\"", "line one\nline two\ttab \\ backslash"),
        _ => &mut object,
    };
    for (name, value) in odd {
        object.put(name, Raw(value));
    }
    let left = bytes.saturating_sub(object.len() + "\"about\":\"\",".len());
    if left > 16 {
        object.put("about", words::filling(rng, left));
    }
    object.done()
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, now: i64) {
    draft.members.set("name", format!("{} {}", words::person(rng), rng.u16(..)));
    draft.members.set("last_seen_at", now);
}

/// Adds or takes a tag, and shows it in the embedded list. Tagging leaves `updated_at` alone.
pub(crate) fn tag(draft: &mut Draft, tag: &str, add: bool) {
    link(draft, List::Tags, tag, add);
}

/// Puts a contact into a segment or takes it out, which nothing in its JSON shows.
pub(crate) fn segment(draft: &mut Draft, segment: &str, add: bool) {
    let kept = draft.hidden.segments.iter().filter(|have| ***have != *segment).cloned();
    draft.hidden.segments = kept.chain(add.then(|| Arc::from(segment))).collect();
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::super::settings::Settings;
    use super::*;

    #[test]
    fn sizes_are_about_what_was_asked_for() {
        for bytes in [2_000, 4_000] {
            let context = Context::new(&Settings { contact_bytes: bytes, ..Settings::default() });
            let total: usize = (0..200).map(|index| make(&context, index, None).text.len()).sum();
            let mean = total / 200;
            assert!((bytes * 9 / 10..bytes * 12 / 10).contains(&mean), "{mean} for {bytes}");
        }
    }

    #[test]
    fn embedded_lists_are_cut_at_ten() {
        let context = Context::new(&Settings::default());
        let row = make(&context, 7, None);
        let value: Value = serde_json::from_str(&row.text).unwrap();
        assert_eq!(row.hidden.tags.len(), 12);
        assert_eq!(value["tags"]["data"].as_array().unwrap().len(), 10);
        assert_eq!(
            (&value["tags"]["has_more"], &value["tags"]["total_count"]),
            (&Value::Bool(true), &12.into())
        );
    }

    #[test]
    fn long_numbers_keep_their_digits_through_a_change() {
        let context = Context::new(&Settings::default());
        let mut draft = make(&context, 3, None).draft();
        revise(&context, &mut draft, &mut Rng::with_seed(1), 5);
        tag(&mut draft, "1", true);
        draft.touch(5);
        let row = draft.row();
        assert!(row.text.contains("\"ledger_number\":98765432109876543210"));
        assert!(row.text.contains("\"updated_at\":5") && row.hidden.tags.iter().any(|tag| **tag == *"1"));
    }
}
