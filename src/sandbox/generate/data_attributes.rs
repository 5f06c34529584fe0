//! Data attributes: the built-in ones, which have no id, and the workspace's own.

use fastrand::Rng;

use super::super::json::{Json, Object, Raw, array};
use super::super::row::{Draft, Hidden, Row};
use super::odd_attributes::declared;
use super::{Context, DAY, Kind, Recipe, admins, words};

pub(super) const RECIPE: Recipe = Recipe {
    kind: Kind::DataAttributes,
    name: "data_attributes",
    make,
    revise,
    searched: false,
    numeric: false,
};

/// A custom attribute.
#[derive(Debug)]
pub(crate) struct Custom {
    pub(crate) model: &'static str,
    pub(crate) name: &'static str,
    pub(crate) data_type: &'static str,
    pub(crate) archived: bool,
    pub(super) options: &'static [&'static str],
}

pub(super) const fn custom(model: &'static str, name: &'static str, data_type: &'static str) -> Custom {
    Custom { model, name, data_type, archived: false, options: &[] }
}

/// The workspace's own attributes. Names repeat between models, differ only in case, and one archived attribute
/// has a living namesake.
pub(crate) const CUSTOM: [Custom; 19] = [
    Custom { options: &["free", "silver", "gold"], ..custom("contact", "Plan Tier", "string") },
    custom("contact", "plan tier", "string"),
    custom("contact", "renewal_date", "date"),
    custom("contact", "seats", "integer"),
    custom("contact", "MRR (€)", "float"),
    custom("contact", "is.beta", "boolean"),
    custom("contact", "ledger_number", "integer"),
    custom("contact", "exact_balance", "float"),
    custom("contact", "会社", "string"),
    custom("contact", "say \"hi\"", "string"),
    custom("contact", "about", "string"),
    Custom { archived: true, ..custom("contact", "seats", "string") },
    Custom { archived: true, ..custom("contact", "old_score", "integer") },
    custom("company", "Plan Tier", "string"),
    custom("company", "renewal_date", "date"),
    custom("company", "headcount", "integer"),
    custom("conversation", "Issue type", "string"),
    custom("conversation", "Estimated ($)", "float"),
    custom("conversation", "Due", "date"),
];

/// Built-in attributes: model, full name, type.
const BUILT_IN: [(&str, &str, &str); 27] = [
    ("contact", "id", "string"),
    ("contact", "name", "string"),
    ("contact", "email", "string"),
    ("contact", "phone", "string"),
    ("contact", "external_id", "string"),
    ("contact", "role", "string"),
    ("contact", "owner_id", "integer"),
    ("contact", "created_at", "date"),
    ("contact", "updated_at", "date"),
    ("contact", "signed_up_at", "date"),
    ("contact", "last_seen_at", "date"),
    ("contact", "location.country", "string"),
    ("contact", "location.city", "string"),
    ("contact", "browser", "string"),
    ("company", "id", "string"),
    ("company", "name", "string"),
    ("company", "plan.id", "string"),
    ("company", "plan.name", "string"),
    ("company", "company_id", "string"),
    ("company", "created_at", "date"),
    ("company", "updated_at", "date"),
    ("company", "last_request_at", "date"),
    ("company", "monthly_spend", "float"),
    ("company", "user_count", "integer"),
    ("conversation", "id", "string"),
    ("conversation", "state", "string"),
    ("conversation", "priority", "string"),
];

/// Attributes there are at the start.
pub(super) fn count(context: &Context) -> u32 {
    u32::try_from(BUILT_IN.len() + CUSTOM.len() + declared(context).len()).unwrap_or(u32::MAX)
}

fn make(context: &Context, index: u32, now: Option<i64>) -> Row {
    let at = index as usize;
    if let Some((model, full_name, data_type)) = BUILT_IN.get(at) {
        let name = full_name.rsplit('.').next().unwrap_or(full_name);
        let mut object = described(model, name, full_name, data_type);
        object.put("custom", false).put("archived", false);
        return Row::undated(format!("{model}:{full_name}"), object.put("model", model).done());
    }
    let number = at - BUILT_IN.len();
    let invented = format!("added_{number}");
    let unknown = Custom { model: "contact", name: "", data_type: "string", archived: false, options: &[] };
    let known = CUSTOM.iter().chain(declared(context)).nth(number);
    let (attribute, name) = known.map_or((&unknown, invented.as_str()), |one| (one, one.name));
    let mut object =
        described(attribute.model, name, &format!("custom_attributes.{name}"), attribute.data_type);
    if !attribute.options.is_empty() {
        object.put("options", Raw(&array(attribute.options.iter().map(Json::json))));
    }
    let created_at = now.unwrap_or(context.started_at - 900 * DAY + i64::from(index) * DAY);
    object
        .put("custom", true)
        .put("archived", attribute.archived)
        .put("id", 12_800_000 + i64::from(index))
        .put("created_at", created_at)
        .put("updated_at", created_at)
        .put("admin_id", admins::id(0).to_string())
        .put("model", attribute.model);
    let id = format!("{}:{name}:{index}", attribute.model);
    Row::dated(id, (created_at, created_at), object.done(), Hidden::default())
}

fn described(model: &str, name: &str, full_name: &str, data_type: &str) -> Object {
    let mut object = Object::new();
    object
        .put("type", "data_attribute")
        .put("name", name)
        .put("full_name", full_name)
        .put("label", name.replace('_', " "))
        .put("description", format!("{name} of a {model}"))
        .put("data_type", data_type)
        .put("api_writable", true)
        .put("ui_writable", false)
        .put("messenger_writable", model != "company");
    object
}

fn revise(_context: &Context, draft: &mut Draft, rng: &mut Rng, _now: i64) {
    let words = words::sentence(rng, 3);
    draft.members.set("description", format!("{words} {:x}", rng.u16(..)));
}
