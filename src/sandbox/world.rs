//! The workspace's rows as they are now, and as the lagging search index shows them.

use std::collections::HashMap;
use std::sync::Arc;

use fastrand::Rng;
use jiff::Timestamp;

use super::generate::{Context, Kind, REGISTRY, Recipe};
use super::pending::Pending;
use super::row::Row;
use super::settings::Settings;

/// Results kept per state of a store; past that all are forgotten.
const VIEWS: usize = 64;

/// Merges in a row that are followed to the contact that is left.
const HOPS: usize = 3;

/// Rows by id, and the sorted selections of them that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Store {
    rows: Vec<Arc<Row>>,
    places: HashMap<Arc<str>, usize>,
    views: HashMap<String, Arc<[Arc<Row>]>>,
}

impl Store {
    /// Every row, in no order.
    pub(crate) fn rows(&self) -> &[Arc<Row>] {
        &self.rows
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Arc<Row>> {
        self.places.get(id).map(|place| &self.rows[*place])
    }

    fn put(&mut self, row: Arc<Row>) {
        self.views.clear();
        if let Some(place) = self.places.get(&row.id) {
            self.rows[*place] = row;
        } else {
            self.places.insert(Arc::clone(&row.id), self.rows.len());
            self.rows.push(row);
        }
    }

    fn remove(&mut self, id: &str) -> Option<Arc<Row>> {
        self.views.clear();
        let place = self.places.remove(id)?;
        let row = self.rows.swap_remove(place);
        if let Some(moved) = self.rows.get(place) {
            self.places.insert(Arc::clone(&moved.id), place);
        }
        Some(row)
    }

    /// The selection called `name`, made by `select` unless the store has not changed since it was made.
    pub(crate) fn view(
        &mut self,
        name: String,
        select: impl FnOnce(&[Arc<Row>]) -> Vec<Arc<Row>>,
    ) -> Arc<[Arc<Row>]> {
        if let Some(view) = self.views.get(&name) {
            return Arc::clone(view);
        }
        if self.views.len() >= VIEWS {
            self.views.clear();
        }
        let view: Arc<[Arc<Row>]> = select(&self.rows).into();
        self.views.insert(name, Arc::clone(&view));
        view
    }
}

/// A row that is no longer there.
#[derive(Debug)]
pub(crate) struct Gone {
    pub(crate) row: Arc<Row>,
    /// The contact it was merged into.
    pub(crate) into: Option<Arc<str>>,
}

/// All rows of one kind.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) recipe: &'static Recipe,
    live: Store,
    /// What searches see, and what they are still to learn; absent where they see what is live.
    indexed: Option<(Store, Pending)>,
    gone: HashMap<Arc<str>, Gone>,
    next: u32,
}

impl Table {
    fn generate(recipe: &'static Recipe, context: &Context, pending: Option<Pending>) -> Self {
        let next = context.count(recipe.kind);
        let mut live = Store::default();
        live.rows.reserve(next as usize);
        live.places.reserve(next as usize);
        for index in 0..next {
            live.put(Arc::new((recipe.make)(context, index, None)));
        }
        let indexed = pending.map(|pending| {
            let (rows, places) = (live.rows.clone(), live.places.clone());
            (Store { rows, places, views: HashMap::new() }, pending)
        });
        Self { recipe, live, indexed, gone: HashMap::new(), next }
    }

    pub(crate) fn live(&self) -> &Store {
        &self.live
    }

    pub(crate) fn live_mut(&mut self) -> &mut Store {
        &mut self.live
    }

    /// What searches see at `now`.
    pub(crate) fn searched(&mut self, now: Timestamp) -> &mut Store {
        let Some((indexed, pending)) = &mut self.indexed else { return &mut self.live };
        while let Some(arrival) = pending.due(now) {
            match arrival.row {
                Some(row) => indexed.put(row),
                None => {
                    indexed.remove(&arrival.id);
                }
            }
        }
        indexed
    }

    pub(crate) fn gone(&self, id: &str) -> Option<&Gone> {
        self.gone.get(id)
    }

    /// Where a row that is no longer there was merged, up to [`HOPS`] merges on; none if it was not merged.
    pub(crate) fn survivor(&self, id: &str) -> Option<&str> {
        let next = |id: &str| self.gone(id)?.into.as_deref();
        let mut into = next(id)?;
        for _ in 1..HOPS {
            into = next(into).unwrap_or(into);
        }
        Some(into)
    }

    /// Stores the row, in place of the one with its id if there is one.
    pub(crate) fn put(&mut self, row: Row, now: Timestamp) -> String {
        let row = Arc::new(row);
        self.announce(now, &row.id, Some(&row));
        self.gone.remove(&row.id);
        let id = row.id.to_string();
        self.live.put(row);
        id
    }

    /// Takes the row away; false if there is none.
    pub(crate) fn remove(&mut self, id: &str, into: Option<Arc<str>>, now: Timestamp) -> bool {
        let Some(row) = self.live.remove(id) else { return false };
        let id = Arc::clone(&row.id);
        self.announce(now, &id, None);
        self.gone.insert(id, Gone { row, into });
        true
    }

    /// Brings back what was removed, as it was.
    pub(crate) fn restore(&mut self, id: &str, now: Timestamp) -> bool {
        let Some(gone) = self.gone.remove(id) else { return false };
        self.announce(now, &gone.row.id, Some(&gone.row));
        self.live.put(gone.row);
        true
    }

    fn announce(&mut self, now: Timestamp, id: &Arc<str>, row: Option<&Arc<Row>>) {
        if let Some((_, pending)) = &mut self.indexed {
            pending.add(now, id, row);
        }
    }

    /// The number of the next row to be invented.
    pub(crate) fn next_index(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }
}

/// Everything in the workspace.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) context: Context,
    tables: Vec<Table>,
    /// Decides what seeded changes hit.
    pub(crate) rng: Rng,
}

impl World {
    pub(crate) fn generate(settings: &Settings) -> Self {
        let context = Context::new(settings);
        let table = |recipe: &'static Recipe| {
            let pending = if recipe.searched { Pending::of(settings, recipe.kind) } else { None };
            Table::generate(recipe, &context, pending)
        };
        let tables = REGISTRY.iter().map(table).collect();
        Self { context, tables, rng: Rng::with_seed(settings.seed) }
    }

    pub(crate) fn table(&self, kind: Kind) -> &Table {
        &self.tables[kind as usize]
    }

    pub(crate) fn table_mut(&mut self, kind: Kind) -> &mut Table {
        &mut self.tables[kind as usize]
    }

    /// The parts a change of `kind` needs side by side.
    pub(crate) fn parts(&mut self, kind: Kind) -> (&Context, &mut Table, &mut Rng) {
        (&self.context, &mut self.tables[kind as usize], &mut self.rng)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn small(lag: Duration) -> (World, Timestamp) {
        spread(lag, Duration::ZERO)
    }

    fn spread(index_lag: Duration, index_lag_spread: Duration) -> (World, Timestamp) {
        let settings =
            Settings { contacts: 3, conversations: 0, index_lag, index_lag_spread, ..Settings::default() };
        (World::generate(&settings), settings.started_at)
    }

    fn change(world: &mut World, id: &str, second: i64, now: Timestamp) {
        let table = world.table_mut(Kind::Contacts);
        let mut draft = table.live().get(id).unwrap().draft();
        draft.touch(second);
        table.put(draft.row(), now);
    }

    #[test]
    fn the_index_shows_each_version_after_the_lag_and_not_before() {
        let lag = Duration::from_secs(60);
        let (mut world, start) = small(lag);
        let id = world.table(Kind::Contacts).live().rows()[0].id.to_string();
        let before = world.table(Kind::Contacts).live().get(&id).unwrap().updated_at.unwrap();
        let after = |seconds: u64| start + Duration::from_secs(seconds);

        change(&mut world, &id, 1_000, after(0));
        change(&mut world, &id, 2_000, after(30));
        assert!(world.table_mut(Kind::Contacts).remove(&id, None, after(45)));
        assert!(world.table(Kind::Contacts).live().get(&id).is_none());

        let table = world.table_mut(Kind::Contacts);
        let mut seen = |seconds| table.searched(after(seconds)).get(&id).map(|row| row.updated_at.unwrap());
        assert_eq!(seen(59), Some(before));
        assert_eq!(seen(60), Some(1_000));
        assert_eq!(seen(90), Some(2_000));
        assert_eq!(seen(105), None);
    }

    #[test]
    fn a_spread_delays_searches_by_no_more_than_itself_and_lists_not_at_all() {
        for lag in [Duration::ZERO, Duration::from_secs(60)] {
            let longest = Duration::from_secs(100);
            let (mut world, start) = spread(lag, longest);
            let ids: Vec<String> =
                world.table(Kind::Contacts).live().rows().iter().map(|row| row.id.to_string()).collect();
            for id in &ids {
                change(&mut world, id, 1_000, start);
            }
            let table = world.table_mut(Kind::Contacts);
            let is_new = |row: &Arc<Row>| row.updated_at == Some(1_000);
            assert!(table.live().rows().iter().all(is_new));
            let early = (start + lag).checked_sub(Duration::from_nanos(1)).unwrap();
            assert!(!table.searched(early).rows().iter().any(is_new));
            assert!(table.searched(start + lag + longest).rows().iter().all(is_new));
        }
    }

    #[test]
    fn without_lag_searches_see_what_is_live() {
        let (mut world, start) = small(Duration::ZERO);
        let id = world.table(Kind::Contacts).live().rows()[0].id.to_string();
        change(&mut world, &id, 1_000, start);
        assert_eq!(world.table_mut(Kind::Contacts).searched(start).get(&id).unwrap().updated_at, Some(1_000));
    }

    #[test]
    fn removing_from_the_middle_keeps_every_other_row_findable() {
        let (mut world, start) = small(Duration::ZERO);
        let ids: Vec<String> =
            world.table(Kind::Contacts).live().rows().iter().map(|row| row.id.to_string()).collect();
        let table = world.table_mut(Kind::Contacts);
        assert!(table.remove(&ids[0], None, start));
        assert!(!table.remove(&ids[0], None, start));
        assert!(table.live().get(&ids[1]).is_some() && table.live().get(&ids[2]).is_some());
        assert!(table.restore(&ids[0], start));
        assert_eq!(table.live().rows().len(), 3);
    }
}
