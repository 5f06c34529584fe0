//! The lists a contact carries: embedded up to ten entries, whole at addresses of their own.

use std::sync::Arc;

use fastrand::Rng;

use super::super::json::{Object, Raw, array};
use super::super::row::Draft;
use super::{Context, Kind, chance, companies, notes, subscription_types};

/// Entries an embedded list shows.
const EMBEDDED: usize = 10;

/// A list of a contact that is not a mere number of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    Tags,
    Notes,
    Companies,
    Subscriptions,
}

impl List {
    /// The list as the contact shows it; `miscounted` is how much its `total_count` is too high.
    pub(super) fn embedded(self, contact: &str, ids: &[Arc<str>], miscounted: usize) -> String {
        let (kind, path) = match self {
            Self::Tags => ("tag", "tags"),
            Self::Notes => ("note", "notes"),
            Self::Companies => ("company", "companies"),
            Self::Subscriptions => ("subscription", "subscriptions"),
        };
        let data = ids.iter().take(EMBEDDED).map(|id| {
            Object::new().put("id", &**id).put("type", kind).put("url", format!("/{path}/{id}")).done()
        });
        let miscounted = if ids.is_empty() { 0 } else { miscounted };
        Object::new()
            .put("type", "list")
            .put("data", Raw(&array(data)))
            .put("url", format!("/contacts/{contact}/{path}"))
            .put("total_count", ids.len() + miscounted)
            .put("has_more", ids.len() > EMBEDDED)
            .done()
    }
}

/// Adds an entry or takes it, and shows it in the contact. Leaves `updated_at` alone.
pub(crate) fn link(draft: &mut Draft, list: List, id: &str, add: bool) {
    let hidden = &mut draft.hidden;
    let ids = match list {
        List::Tags => &mut hidden.tags,
        List::Notes => &mut hidden.notes,
        List::Companies => &mut hidden.companies,
        List::Subscriptions => &mut hidden.subscriptions,
    };
    let kept = ids.iter().filter(|have| ***have != *id).cloned();
    *ids = kept.chain(add.then(|| Arc::from(id))).collect();
    let ids = Box::clone(ids);
    match list {
        List::Tags => draft.members.set("tags", Raw(&list.embedded(&draft.id, &ids, 0))),
        List::Notes => draft.members.set("notes", Raw(&list.embedded(&draft.id, &ids, 0))),
        List::Companies => draft.members.set("companies", Raw(&list.embedded(&draft.id, &ids, 0))),
        List::Subscriptions => {
            for (key, list) in opted(&draft.id, &ids) {
                draft.members.set(key, Raw(&list));
            }
        }
    }
}

/// Both embedded lists of subscriptions: those left, and those agreed to.
pub(super) fn opted(contact: &str, ids: &[Arc<str>]) -> [(&'static str, String); 2] {
    let (agreed, left): (Vec<_>, Vec<_>) =
        ids.iter().cloned().partition(|id| subscription_types::is_opt_in(id));
    [
        ("opted_out_subscription_types", List::Subscriptions.embedded(contact, &left, 0)),
        ("opted_in_subscription_types", List::Subscriptions.embedded(contact, &agreed, 0)),
    ]
}

/// Companies of the few contacts that belong to many: more than any page shows.
const MANY: u32 = 65;

/// The companies of contact `index`; eleven for a few, and many for fewer.
pub(super) fn company_ids(context: &Context, index: u32, rng: &mut Rng) -> Vec<Arc<str>> {
    let count = match index % 106 {
        9 if context.many_companies => MANY,
        9 | 62 => 11,
        _ => rng.u32(0..3),
    };
    let count = count.min(context.companies);
    let first = rng.u32(0..context.companies.max(1));
    (0..count).map(|n| companies::id(context, (first + n) % context.companies).into()).collect()
}

/// The notes on contact `index`; thirteen for a few.
pub(super) fn note_ids(context: &Context, index: u32) -> Vec<Arc<str>> {
    let mut rng = context.rng(Kind::Contacts, index | 0x4000_0000);
    let count = match index % 37 {
        _ if !context.contact_links => 0,
        5 => 13,
        _ if chance(&mut rng, 30) => 1 + rng.u32(0..3),
        _ => 0,
    };
    (0..count).map(|nth| notes::id(index, nth).into()).collect()
}

/// What contact `index` has opted into or out of; everything for a few.
pub(super) fn subscription_ids(context: &Context, index: u32) -> Vec<Arc<str>> {
    let mut rng = context.rng(Kind::Contacts, index | 0x2000_0000);
    let share = match index % 61 {
        _ if !context.contact_links => 0,
        11 => 100,
        _ => 25,
    };
    let chosen = (0..context.subscription_types).filter(|_| chance(&mut rng, share));
    chosen.map(|chosen| subscription_types::id(chosen).into()).collect()
}
