//! Invented rows: one file per kind of object, and the registry that lists them.
//!
//! A row follows from the seed, its kind and its number alone, so rows can refer to each other without looking
//! each other up, and the tenth row is the same in a workspace of ten and of a million (its dates apart).
//! Another kind is a file with a `make` and a `revise`, a [`Kind`] and a line in [`REGISTRY`].

pub(crate) mod admins;
pub(crate) mod articles;
pub(crate) mod companies;
pub(crate) mod contacts;
pub(crate) mod conversations;
pub(crate) mod data_attributes;
pub(crate) mod parts;
pub(crate) mod segments;
pub(crate) mod tags;
pub(crate) mod teams;
mod words;

use fastrand::Rng;

use super::row::{Draft, Row};
use super::settings::Settings;

const DAY: i64 = 86_400;
/// How far back the oldest row was created.
const SPAN: i64 = 3 * 365 * DAY;
/// Rows that share one second, in tables large enough to have them.
const BURST: u32 = 24;
/// Tables smaller than this have no burst.
const BURST_FROM: u32 = 60;

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
pub(crate) const REGISTRY: [Recipe; 9] = [
    contacts::RECIPE,
    companies::RECIPE,
    conversations::RECIPE,
    articles::RECIPE,
    tags::RECIPE,
    segments::RECIPE,
    admins::RECIPE,
    teams::RECIPE,
    data_attributes::RECIPE,
];

impl Kind {
    /// The kind a table name stands for.
    pub(crate) fn named(table: &str) -> Option<Self> {
        REGISTRY.iter().find(|recipe| recipe.name == table).map(|recipe| recipe.kind)
    }
}

/// What every invention depends on.
#[derive(Debug)]
pub(crate) struct Context {
    seed: u64,
    started_at: i64,
    workspace: String,
    contact_bytes: usize,
    contacts: u32,
    companies: u32,
    conversations: u32,
    articles: u32,
    tags: u32,
    segments: u32,
    admins: u32,
    teams: u32,
}

impl Context {
    pub(crate) fn new(settings: &Settings) -> Self {
        let count = |rows: usize| u32::try_from(rows).unwrap_or(u32::MAX);
        Self {
            seed: settings.seed,
            started_at: settings.started_at.as_second(),
            workspace: settings.workspace.clone(),
            contact_bytes: settings.contact_bytes,
            contacts: count(settings.contacts),
            companies: count(settings.companies),
            conversations: count(settings.conversations),
            articles: count(settings.articles),
            tags: count(settings.tags),
            segments: count(settings.segments),
            admins: count(settings.admins),
            teams: count(settings.teams),
        }
    }

    /// Rows of `kind` there are at the start.
    pub(crate) fn count(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Contacts => self.contacts,
            Kind::Companies => self.companies,
            Kind::Conversations => self.conversations,
            Kind::Articles => self.articles,
            Kind::Tags => self.tags,
            Kind::Segments => self.segments,
            Kind::Admins => self.admins,
            Kind::Teams => self.teams,
            Kind::DataAttributes => data_attributes::count(),
        }
    }

    /// The dice of one row.
    fn rng(&self, kind: Kind, index: u32) -> Rng {
        let mut mixed = self.seed ^ ((kind as u64 + 1) << 40) ^ u64::from(index);
        for _ in 0..2 {
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        }
        Rng::with_seed(mixed)
    }

    /// When row `index` was created: evenly over the three years before the start, in the order of the rows,
    /// except for a burst in the middle that was imported within one second.
    fn created_at(&self, kind: Kind, index: u32, rng: &mut Rng) -> i64 {
        let count = self.count(kind).max(1);
        let nth = |index: u32| self.started_at - SPAN + SPAN * i64::from(index) / i64::from(count);
        let jitter = rng.i64(0..(SPAN / i64::from(count)).max(1));
        let middle = count / 2;
        if count >= BURST_FROM && (middle..middle + BURST).contains(&index) {
            return nth(middle);
        }
        (nth(index) + jitter).min(self.started_at - 1)
    }

    /// When row `index` was last changed: never again, or any time up to the start, except for a burst that was
    /// edited in bulk within one second.
    fn updated_at(&self, kind: Kind, index: u32, created_at: i64, rng: &mut Rng) -> i64 {
        let count = self.count(kind);
        let quarter = count / 4;
        let share = rng.i64(0..1_000);
        if count >= BURST_FROM && (quarter..quarter + BURST).contains(&index) {
            return self.started_at - 40 * DAY;
        }
        if share < 200 {
            return created_at;
        }
        created_at + (self.started_at - 1 - created_at) * share / 1_000
    }

    /// Both dates of a row: `now` for one created while the sandbox runs.
    fn dates(&self, kind: Kind, index: u32, now: Option<i64>, rng: &mut Rng) -> (i64, i64) {
        let created_at = self.created_at(kind, index, rng);
        let updated_at = self.updated_at(kind, index, created_at, rng);
        now.map_or((created_at, updated_at), |now| (now, now))
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
                assert_eq!(value["id"], *row.id, "{}", recipe.name);
                for (key, second) in [("created_at", row.created_at), ("updated_at", row.updated_at)] {
                    assert_eq!(value.get(key).and_then(Value::as_i64), second);
                }
                assert!(row.created_at <= row.updated_at && row.updated_at < Some(start));
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
