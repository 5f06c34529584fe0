//! A single object, and a copy of it being changed.

use std::sync::Arc;

use super::json::Members;

/// One object. Never changed: a change puts another row in its place.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: Arc<str>,
    /// Unix seconds; none for kinds without dates, and where the date is null.
    pub(crate) created_at: Option<i64>,
    pub(crate) updated_at: Option<i64>,
    /// The row's JSON as lists and searches show it, in the shape of API 2.14.
    pub(crate) text: Box<str>,
    pub(crate) hidden: Hidden,
}

/// What is known of a row beyond its JSON.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hidden {
    /// Ids of all tags of a contact.
    pub(crate) tags: Box<[Arc<str>]>,
    /// Ids of the segments a contact is in.
    pub(crate) segments: Box<[Arc<str>]>,
    /// Ids of all companies of a contact.
    pub(crate) companies: Box<[Arc<str>]>,
    /// Ids of all notes on a contact.
    pub(crate) notes: Box<[Arc<str>]>,
    /// Ids of the subscription types a contact has opted into or out of.
    pub(crate) subscriptions: Box<[Arc<str>]>,
    /// When each part of a conversation or ticket was written, ascending.
    pub(crate) parts: Box<[i64]>,
    /// Numbers of the parts that were redacted; the oldest part is 0.
    pub(crate) redacted: Box<[usize]>,
    /// The conversation is a ticket.
    pub(crate) is_ticket: bool,
    /// The statistics of an article, as JSON.
    pub(crate) statistics: Box<str>,
}

impl Hidden {
    /// Redacts a part; false if there is no such part.
    pub(crate) fn redact(&mut self, part: usize) -> bool {
        let is_there = part < self.parts.len();
        if is_there && !self.redacted.contains(&part) {
            self.redacted = self.redacted.iter().copied().chain([part]).collect();
        }
        is_there
    }
}

impl Row {
    /// A row of a kind that has dates.
    pub(crate) fn dated(
        id: String,
        (created_at, updated_at): (i64, i64),
        text: String,
        hidden: Hidden,
    ) -> Self {
        Self {
            id: id.into(),
            created_at: Some(created_at),
            updated_at: Some(updated_at),
            text: text.into(),
            hidden,
        }
    }

    /// A row of a kind that has none.
    pub(crate) fn undated(id: String, text: String) -> Self {
        Self {
            id: id.into(),
            created_at: None,
            updated_at: None,
            text: text.into(),
            hidden: Hidden::default(),
        }
    }

    /// An editable copy.
    pub(crate) fn draft(&self) -> Draft {
        Draft { id: Arc::clone(&self.id), members: Members::of(&self.text), hidden: self.hidden.clone() }
    }
}

/// A row being changed.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) id: Arc<str>,
    pub(crate) members: Members,
    pub(crate) hidden: Hidden,
}

impl Draft {
    /// Sets the date of the last change, if the kind shows one.
    pub(crate) fn touch(&mut self, second: i64) {
        if self.members.get("updated_at").is_some() {
            self.members.set("updated_at", second);
        }
    }

    pub(crate) fn row(self) -> Row {
        Row {
            id: self.id,
            created_at: self.members.integer("created_at"),
            updated_at: self.members.integer("updated_at"),
            text: self.members.text().into(),
            hidden: self.hidden,
        }
    }
}

/// Orders ids as numbers where they are numbers, and hex ids of one length as text.
pub(crate) fn id_order(id: &str) -> (usize, &str) {
    (id.len(), id)
}
