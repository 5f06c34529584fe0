//! Changes to the workspace: asked for one by one, or as churn while it is being read.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::generate::{Kind, articles, contacts, conversations, tickets};
use super::json::{Members, Raw};
use super::kind_named;
use super::row::Draft;
use super::world::World;

/// One change. `table` is a table's name such as `contacts`. What changes a row also moves its `updated_at` to the
/// simulated present, unless the variant says otherwise. A row that is not there is not changed. Rows are named by
/// the ids their JSON shows; a built-in data attribute, which has none, by model and full name: `contact:email`.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Creates a row.
    Insert {
        /// The table it appears in.
        table: String,
    },
    /// Changes a few values of a row.
    Update {
        /// The row's table.
        table: String,
        /// The row.
        id: String,
    },
    /// Changes many rows within one second, as a bulk action does.
    BulkUpdate {
        /// The rows' table.
        table: String,
        /// The rows.
        ids: Vec<String>,
    },
    /// Changes `count` rows picked by the seed, within one second.
    UpdateSome {
        /// The rows' table.
        table: String,
        /// How many; the same row may be picked twice.
        count: u32,
    },
    /// Changes the `count` rows that were made last, within one second.
    UpdateNewest {
        /// The rows' table.
        table: String,
        /// How many.
        count: u32,
    },
    /// Removes a row: its own GET answers 404 from then on. Rows that refer to it are left alone.
    Delete {
        /// The row's table.
        table: String,
        /// The row.
        id: String,
    },
    /// Brings a removed row back exactly as it was, `updated_at` included. Takes the id that removing it returned.
    Restore {
        /// The row's table.
        table: String,
        /// The row.
        id: String,
    },
    /// Merges one contact into another: the first vanishes, the second takes over its tags and counts as changed.
    Merge {
        /// The contact that vanishes.
        from: String,
        /// The contact that stays.
        into: String,
    },
    /// Tags a contact. Does **not** move `updated_at`.
    AddTag {
        /// The contact.
        contact: String,
        /// The tag's id.
        tag: String,
    },
    /// Takes a tag from a contact. Does **not** move `updated_at`.
    RemoveTag {
        /// The contact.
        contact: String,
        /// The tag's id.
        tag: String,
    },
    /// Gives a contact one more company, note or subscription. Does **not** move `updated_at`.
    Attach {
        /// The contact.
        contact: String,
        /// What of.
        list: ContactList,
        /// The entry's id.
        id: String,
    },
    /// Takes a company, note or subscription from a contact. Does **not** move `updated_at`.
    Detach {
        /// The contact.
        contact: String,
        /// What of.
        list: ContactList,
        /// The entry's id.
        id: String,
    },
    /// Adds a part to a conversation or ticket. Does **not** move `updated_at`.
    AddPart {
        /// `conversations` or `tickets`.
        table: String,
        /// The conversation or ticket.
        id: String,
    },
    /// Redacts a part of a conversation or ticket: its body becomes `[redacted]`, also where it had none. Moves
    /// **no** date, neither the part's nor that of what it belongs to. Where there is no such part nothing changes.
    RedactPart {
        /// `conversations` or `tickets`.
        table: String,
        /// The conversation or ticket.
        id: String,
        /// Which of its parts, also of those no answer shows any more; the oldest is 0.
        at: usize,
    },
    /// One more view of an article, which only its statistics show. Does **not** move `updated_at`.
    ViewArticle {
        /// The article.
        id: String,
    },
    /// Puts a contact into a segment. Nothing in its JSON changes.
    EnterSegment {
        /// The contact.
        contact: String,
        /// The segment's id.
        segment: String,
    },
    /// Takes a contact out of a segment. Nothing in its JSON changes.
    LeaveSegment {
        /// The contact.
        contact: String,
        /// The segment's id.
        segment: String,
    },
    /// Sets `updated_at`, to the past as well, and nothing else.
    SetUpdatedAt {
        /// The row's table.
        table: String,
        /// The row.
        id: String,
        /// Cut to the second.
        at: Timestamp,
    },
    /// Sets one top-level member to any JSON. Does **not** move `updated_at`, unless that is the member.
    SetField {
        /// The row's table.
        table: String,
        /// The row.
        id: String,
        /// The member's name.
        field: String,
        /// Its new value.
        value: Value,
    },
}

/// A list of a contact that [`Change::Attach`] adds to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactList {
    /// The companies it belongs to.
    Companies,
    /// The notes on it; their ids are free to choose.
    Notes,
    /// The subscription types it has opted into or out of.
    Subscriptions,
}

impl ContactList {
    fn list(self) -> contacts::List {
        match self {
            Self::Companies => contacts::List::Companies,
            Self::Notes => contacts::List::Notes,
            Self::Subscriptions => contacts::List::Subscriptions,
        }
    }
}

/// Changes made while the workspace is read: after every `every_requests`-th answered search or list request,
/// this many of each in every one of `tables`, on rows picked by the seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Churn {
    /// Search and list requests between two rounds; 0 counts as 1.
    pub every_requests: u32,
    /// Rows changed per round and table.
    pub updates: u32,
    /// Rows created per round and table.
    pub inserts: u32,
    /// Rows removed per round and table.
    pub deletes: u32,
    /// Names of the tables that change.
    pub tables: Vec<String>,
}

impl World {
    /// Carries out `change` at `now` and returns the ids of the rows it changed or created.
    pub(crate) fn apply(&mut self, change: &Change, now: Timestamp) -> Vec<String> {
        match change {
            Change::Insert { table } => vec![self.insert(kind_named(table), now)],
            Change::Update { table, id } => self.update(kind_named(table), id, now).into_iter().collect(),
            Change::BulkUpdate { table, ids } => {
                ids.iter().filter_map(|id| self.update(kind_named(table), id, now)).collect()
            }
            Change::UpdateSome { table, count } => self.update_some(kind_named(table), *count, now),
            Change::UpdateNewest { table, count } => self.update_newest(kind_named(table), *count, now),
            Change::Delete { table, id } => {
                let kind = kind_named(table);
                let id = self.known(kind, id);
                let removed = self.table_mut(kind).remove(&id, None, now);
                removed.then(|| id.into_owned()).into_iter().collect()
            }
            Change::Restore { table, id } => {
                let restored = self.table_mut(kind_named(table)).restore(id, now);
                restored.then(|| id.clone()).into_iter().collect()
            }
            Change::Merge { from, into } => self.merge(from, into, now),
            Change::AddTag { contact, tag } => {
                self.edit(Kind::Contacts, contact, now, |draft| contacts::tag(draft, tag, true))
            }
            Change::RemoveTag { contact, tag } => {
                self.edit(Kind::Contacts, contact, now, |draft| contacts::tag(draft, tag, false))
            }
            Change::Attach { contact, list, id } => {
                self.edit(Kind::Contacts, contact, now, |draft| contacts::link(draft, list.list(), id, true))
            }
            Change::Detach { contact, list, id } => {
                self.edit(Kind::Contacts, contact, now, |draft| contacts::link(draft, list.list(), id, false))
            }
            Change::ViewArticle { id } => self.edit(Kind::Articles, id, now, articles::view),
            Change::AddPart { table, id } => self.add_part(kind_named(table), id, now),
            Change::RedactPart { table, id, at } => self.redact_part(kind_named(table), id, *at, now),
            Change::EnterSegment { contact, segment } => {
                self.edit(Kind::Contacts, contact, now, |draft| contacts::segment(draft, segment, true))
            }
            Change::LeaveSegment { contact, segment } => {
                self.edit(Kind::Contacts, contact, now, |draft| contacts::segment(draft, segment, false))
            }
            Change::SetUpdatedAt { table, id, at } => {
                self.edit(kind_named(table), id, now, |draft| draft.touch(at.as_second()))
            }
            Change::SetField { table, id, field, value } => {
                let value = value.to_string();
                self.edit(kind_named(table), id, now, |draft| draft.members.set(field, Raw(&value)))
            }
        }
    }

    /// One round of churn.
    pub(crate) fn churn(&mut self, churn: &Churn, now: Timestamp) {
        for table in &churn.tables {
            let kind = kind_named(table);
            self.update_some(kind, churn.updates, now);
            for _ in 0..churn.inserts {
                self.insert(kind, now);
            }
            for _ in 0..churn.deletes {
                if let Some(id) = self.any(kind) {
                    self.table_mut(kind).remove(&id, None, now);
                }
            }
        }
    }

    fn insert(&mut self, kind: Kind, now: Timestamp) -> String {
        let (context, table, _) = self.parts(kind);
        let index = table.next_index();
        let row = (table.recipe.make)(context, index, Some(now.as_second()));
        table.put(row, now)
    }

    fn update(&mut self, kind: Kind, id: &str, now: Timestamp) -> Option<String> {
        let id = self.known(kind, id);
        let (context, table, rng) = self.parts(kind);
        let mut draft = table.live().get(&id)?.draft();
        (table.recipe.revise)(context, &mut draft, rng, now.as_second());
        draft.touch(now.as_second());
        Some(table.put(draft.row(), now))
    }

    fn update_some(&mut self, kind: Kind, count: u32, now: Timestamp) -> Vec<String> {
        let picked: Vec<_> = (0..count).filter_map(|_| self.any(kind)).collect();
        picked.iter().filter_map(|id| self.update(kind, id, now)).collect()
    }

    fn update_newest(&mut self, kind: Kind, count: u32, now: Timestamp) -> Vec<String> {
        let newest = self.table(kind).live().rows().iter().rev().take(count as usize);
        let picked: Vec<String> = newest.map(|row| row.id.to_string()).collect();
        picked.iter().filter_map(|id| self.update(kind, id, now)).collect()
    }

    fn edit(&mut self, kind: Kind, id: &str, now: Timestamp, edit: impl FnOnce(&mut Draft)) -> Vec<String> {
        let id = self.known(kind, id);
        let table = self.table_mut(kind);
        let Some(row) = table.live().get(&id) else { return Vec::new() };
        let mut draft = row.draft();
        edit(&mut draft);
        vec![table.put(draft.row(), now)]
    }

    /// What the sandbox itself calls the row, which for data attributes is not what it shows.
    fn known<'a>(&self, kind: Kind, id: &'a str) -> Cow<'a, str> {
        if kind != Kind::DataAttributes {
            return Cow::Borrowed(id);
        }
        let rows = self.table(kind).live().rows();
        let shown = rows.iter().find(|row| Members::of(&row.text).get("id") == Some(id));
        shown.map_or(Cow::Borrowed(id), |row| Cow::Owned(row.id.to_string()))
    }

    fn add_part(&mut self, kind: Kind, id: &str, now: Timestamp) -> Vec<String> {
        let (context, table, _) = self.parts(kind);
        let Some(row) = table.live().get(id) else { return Vec::new() };
        let mut draft = row.draft();
        match kind {
            Kind::Conversations => conversations::add_part(&mut draft, now.as_second()),
            Kind::Tickets => tickets::add_part(context, &mut draft, now.as_second()),
            _ => return Vec::new(),
        }
        vec![table.put(draft.row(), now)]
    }

    fn redact_part(&mut self, kind: Kind, id: &str, at: usize, now: Timestamp) -> Vec<String> {
        let (context, table, _) = self.parts(kind);
        let Some(row) = table.live().get(id) else { return Vec::new() };
        let mut draft = row.draft();
        if !draft.hidden.redact(at) {
            return Vec::new();
        }
        if kind == Kind::Tickets {
            tickets::show_parts(context, &mut draft);
        }
        vec![table.put(draft.row(), now)]
    }

    fn merge(&mut self, from: &str, into: &str, now: Timestamp) -> Vec<String> {
        let live = self.table(Kind::Contacts).live();
        let (Some(source), Some(target)) = (live.get(from), live.get(into)) else { return Vec::new() };
        if from == into {
            return Vec::new();
        }
        let (tags, target) = (source.hidden.tags.clone(), Arc::clone(&target.id));
        self.table_mut(Kind::Contacts).remove(from, Some(target), now);
        self.edit(Kind::Contacts, into, now, |draft| {
            for tag in &tags {
                contacts::tag(draft, tag, true);
            }
        });
        self.update(Kind::Contacts, into, now).into_iter().chain([from.to_owned()]).collect()
    }

    fn any(&mut self, kind: Kind) -> Option<Arc<str>> {
        let (_, table, rng) = self.parts(kind);
        let rows = table.live().rows();
        (!rows.is_empty()).then(|| Arc::clone(&rows[rng.usize(0..rows.len())].id))
    }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
