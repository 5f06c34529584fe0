//! Subscription types: what contacts can opt into or out of.

use fastrand::Rng;

use super::super::json::{Object, Raw, array};
use super::super::row::{Draft, Row};
use super::{Context, Kind, Recipe, words};

pub(super) const RECIPE: Recipe = Recipe {
    kind: Kind::SubscriptionTypes,
    name: "subscription_types",
    make,
    revise,
    searched: false,
    numeric: true,
};

/// Id of subscription type `index`.
pub(super) fn id(index: u32) -> String {
    (9_100 + u64::from(index)).to_string()
}

/// Whether contacts have to agree to a subscription first. Known from the id alone.
pub(super) fn is_opt_in(id: &str) -> bool {
    id.parse::<u64>().is_ok_and(|id| id % 2 == 1)
}

fn make(context: &Context, index: u32, _now: Option<i64>) -> Row {
    let mut rng = context.rng(Kind::SubscriptionTypes, index);
    let (id, name) = (id(index), words::sentence(&mut rng, 2));
    let translation = |name: &str, locale: &str| {
        Object::new()
            .put("name", name)
            .put("description", "Was wir schicken — at most once a week")
            .put("locale", locale)
            .done()
    };
    let (english, german) = (translation(&name, "en"), translation(&format!("{name} (auf Deutsch)"), "de"));
    let channels = if index % 3 == 2 { "[\"email\",\"sms_message\"]" } else { "[\"email\"]" };
    let text = Object::new()
        .put("type", "subscription")
        .put("id", &id)
        .put("state", ["live", "live", "draft", "live", "archived"][index as usize % 5])
        .put("consent_type", if is_opt_in(&id) { "opt_in" } else { "opt_out" })
        .put("default_translation", Raw(&english))
        .put("translations", Raw(&array([&english, &german])))
        .put("content_types", Raw(channels))
        .done();
    Row::undated(id, text)
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, _now: i64) {
    let text = Object::new()
        .put("name", format!("{} {:x}", words::sentence(rng, 2), rng.u16(..)))
        .put("description", "")
        .put("locale", "en")
        .done();
    draft.members.set("default_translation", Raw(&text));
}
