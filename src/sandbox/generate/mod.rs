//! Invented rows: one file per kind of object, and the registry that lists them.
//!
//! A row follows from the seed, its kind and its number alone, so rows can refer to each other without looking
//! each other up, and the tenth row is the same in a workspace of ten and of a million (its dates apart).
//! Another kind is a file with a `make` and a `revise`, a [`Kind`] and a line in [`REGISTRY`].

mod activity_logs;
pub(crate) mod admins;
pub(crate) mod articles;
mod away_status_reasons;
mod calls;
mod collections;
pub(crate) mod companies;
mod contact_lists;
pub(crate) mod contacts;
mod content_import_sources;
mod context;
pub(crate) mod conversations;
pub(crate) mod data_attributes;
mod external_pages;
mod help_centers;
mod internal_articles;
mod news_items;
mod newsfeeds;
pub(crate) mod notes;
mod odd_attributes;
pub(crate) mod parts;
pub(crate) mod segments;
pub(crate) mod subscription_types;
pub(crate) mod tags;
pub(crate) mod teams;
pub(crate) mod ticket_parts;
mod ticket_states;
mod ticket_types;
pub(crate) mod tickets;
mod words;

use fastrand::Rng;

pub(crate) use self::context::Context;

use super::row::{Draft, Row};

const DAY: i64 = 86_400;

/// A kind of object, in the order of [`REGISTRY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Contacts,
    Companies,
    Conversations,
    Articles,
    Tags,
    Segments,
    Admins,
    Teams,
    DataAttributes,
    Tickets,
    TicketTypes,
    TicketStates,
    Collections,
    HelpCenters,
    SubscriptionTypes,
    NewsItems,
    Newsfeeds,
    InternalArticles,
    AwayStatusReasons,
    Calls,
    ActivityLogs,
    ContentImportSources,
    ExternalPages,
}

/// How rows of one kind come about.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) kind: Kind,
    /// The table's name.
    pub(crate) name: &'static str,
    /// Invents row `index`; `now` in Unix seconds for one that is created while the sandbox runs.
    pub(crate) make: fn(&Context, index: u32, now: Option<i64>) -> Row,
    /// Changes what a person or an integration might change; the date of the change is set elsewhere.
    pub(crate) revise: fn(&Context, &mut Draft, &mut Rng, now: i64),
    /// Read through the search index, which lags.
    pub(crate) searched: bool,
    /// Ids are numbers.
    pub(crate) numeric: bool,
}

/// Every kind of object.
pub(crate) const REGISTRY: [Recipe; 23] = [
    contacts::RECIPE,
    companies::RECIPE,
    conversations::RECIPE,
    articles::RECIPE,
    tags::RECIPE,
    segments::RECIPE,
    admins::RECIPE,
    teams::RECIPE,
    data_attributes::RECIPE,
    tickets::RECIPE,
    ticket_types::RECIPE,
    ticket_states::RECIPE,
    collections::RECIPE,
    help_centers::RECIPE,
    subscription_types::RECIPE,
    news_items::RECIPE,
    newsfeeds::RECIPE,
    internal_articles::RECIPE,
    away_status_reasons::RECIPE,
    calls::RECIPE,
    activity_logs::RECIPE,
    content_import_sources::RECIPE,
    external_pages::RECIPE,
];

impl Kind {
    /// The kind a table name stands for.
    pub(crate) fn named(table: &str) -> Option<Self> {
        REGISTRY.iter().find(|recipe| recipe.name == table).map(|recipe| recipe.kind)
    }
}

/// A 24-digit object id: its second, then noise, then the row's number, so ids are about ordered by time and
/// never repeat within a kind.
fn object_id(second: i64, noise: u64, index: u32) -> String {
    let second = u32::try_from(second).unwrap_or(0);
    format!("{second:08x}{:08x}{index:08x}", noise & 0xFFFF_FFFF)
}

/// Whether something that is so in `percent` of all rows is so.
fn chance(rng: &mut Rng, percent: u32) -> bool {
    rng.u32(0..100) < percent
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use serde_json::Value;

    use super::super::settings::Settings;
    use super::super::world::World;
    use super::*;

    #[test]
    fn the_registry_lists_every_kind_at_its_place() {
        for (at, recipe) in REGISTRY.iter().enumerate() {
            assert_eq!(recipe.kind as usize, at, "{}", recipe.name);
            assert_eq!(Kind::named(recipe.name), Some(recipe.kind));
        }
        let names: HashSet<_> = REGISTRY.iter().map(|recipe| recipe.name).collect();
        assert_eq!(names.len(), REGISTRY.len());
    }

    #[test]
    fn one_seed_makes_one_workspace() {
        let texts = |seed| {
            let world = World::generate(&Settings { seed, ..Settings::default() });
            REGISTRY
                .iter()
                .flat_map(|recipe| world.table(recipe.kind).live().rows().iter().map(|row| row.text.clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(texts(7), texts(7));
        assert_ne!(texts(7), texts(8));
    }

    #[test]
    fn rows_are_objects_whose_key_columns_agree_with_their_text() {
        let settings = Settings::default();
        let world = World::generate(&settings);
        let start = settings.started_at.as_second();
        for recipe in &REGISTRY {
            let rows = world.table(recipe.kind).live().rows();
            assert_eq!(rows.len(), world.context.count(recipe.kind) as usize, "{}", recipe.name);
            for row in rows {
                let value: Value = serde_json::from_str(&row.text).unwrap();
                assert!(value.is_object());
                if matches!(recipe.kind, Kind::DataAttributes) {
                    continue;
                }
                let id = value["id"].as_str().map_or_else(|| value["id"].to_string(), str::to_owned);
                assert_eq!(id, *row.id, "{}", recipe.name);
                for (key, second) in [("created_at", row.created_at), ("updated_at", row.updated_at)] {
                    assert_eq!(value.get(key).and_then(Value::as_i64), second);
                }
                let changes = row.updated_at.is_some();
                assert!(row.created_at < Some(start) && row.updated_at < Some(start));
                assert!(!changes || row.created_at <= row.updated_at);
            }
        }
    }

    #[test]
    fn searched_tables_have_bursts_of_one_second() {
        let world = World::generate(&Settings::default());
        for kind in [Kind::Contacts, Kind::Conversations] {
            let mut updated: HashMap<i64, usize> = HashMap::new();
            let mut created: HashMap<i64, usize> = HashMap::new();
            for row in world.table(kind).live().rows() {
                *updated.entry(row.updated_at.unwrap()).or_default() += 1;
                *created.entry(row.created_at.unwrap()).or_default() += 1;
            }
            assert!(updated.values().max() >= Some(&20) && created.values().max() >= Some(&20), "{kind:?}");
        }
    }

    #[test]
    fn a_new_row_has_an_id_of_its_own_and_todays_dates() {
        let world = World::generate(&Settings::default());
        let now = world.context.started_at + 500;
        for recipe in REGISTRY.iter().filter(|recipe| recipe.searched) {
            let table = world.table(recipe.kind);
            let row = (recipe.make)(&world.context, world.context.count(recipe.kind), Some(now));
            assert_eq!((row.created_at, row.updated_at), (Some(now), Some(now)));
            assert!(table.live().get(&row.id).is_none());
        }
    }

    #[test]
    fn every_revision_is_visible() {
        let world = World::generate(&Settings::default());
        for recipe in &REGISTRY {
            let row = &world.table(recipe.kind).live().rows()[0];
            let mut draft = row.draft();
            (recipe.revise)(&world.context, &mut draft, &mut Rng::with_seed(1), world.context.started_at);
            let revised = draft.row();
            assert_ne!(revised.text, row.text, "{}", recipe.name);
            assert!(serde_json::from_str::<Value>(&revised.text).is_ok(), "{}", recipe.name);
        }
    }
}
