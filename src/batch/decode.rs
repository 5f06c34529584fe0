//! Rows, one after the other, into Arrow builders.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder, TimestampMicrosecondArray};
use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::builder::Builder;
use super::embedded::ParentValues;
use super::layout::{Layout, Node, Object, Spot};
use super::shape::{Oddities, Shape, What};

/// Turns the rows of pages of one table into record batches.
#[derive(Debug, Clone)]
pub struct Decoder {
    layout: Arc<Layout>,
}

/// A page whose rows cannot be told apart; it fails as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// A key column is NULL.
    #[error("row {row}: key column {column} is null")]
    NullKey {
        /// Position in the page, from 1.
        row: usize,
        /// Name of the column.
        column: String,
    },
    /// Arrow refused the columns; a bug.
    #[error("columns do not form a batch: {0}")]
    Arrow(String),
}

impl Decoder {
    /// A decoder for the columns of `layout`.
    pub fn new(layout: Layout) -> Self {
        Self { layout: Arc::new(layout) }
    }

    /// The columns.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Builders for one page of about `capacity` rows.
    pub fn rows(&self, capacity: usize) -> Rows {
        let builders = self.layout.kinds.iter().map(|kind| Builder::new(*kind, capacity)).collect();
        Rows {
            layout: Arc::clone(&self.layout),
            builders,
            extra: StringBuilder::with_capacity(capacity, 0),
            pending_extra: String::new(),
            fallbacks: Vec::new(),
            length: 0,
            oddities: Oddities::default(),
        }
    }
}

/// The rows of one page while they are being read. As a [`DeserializeSeed`] it reads a JSON list of
/// objects and adds a row for each; anything but objects in it is an error.
#[derive(Debug)]
pub struct Rows {
    layout: Arc<Layout>,
    builders: Vec<Builder>,
    extra: StringBuilder,
    /// Members of the current row's `_extra` object, without the braces.
    pending_extra: String,
    /// Values of the current row for columns that may lack one of their own.
    fallbacks: Vec<Fallback>,
    length: usize,
    oddities: Oddities,
}

/// A value for a column that may lack one of its own.
#[derive(Debug)]
struct Fallback {
    position: usize,
    raw: String,
    /// Where it stands, if no other column takes it there.
    path: Option<String>,
}

impl Rows {
    /// Rows read so far.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether no row was read.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The batch: one row per object in the order they were read, `_ingested_at` the same in all.
    pub fn finish(self, ingested_at: Timestamp) -> Result<(RecordBatch, Shape), RowError> {
        let (batch, oddities) = self.finish_by_row(ingested_at)?;
        Ok((batch, oddities.of_rows(|_| true)))
    }

    /// The same, for those who keep only some of the rows.
    pub fn finish_by_row(mut self, ingested_at: Timestamp) -> Result<(RecordBatch, Oddities), RowError> {
        let mut columns: Vec<ArrayRef> = self.builders.iter_mut().map(Builder::finish).collect();
        for &position in &self.layout.required {
            let column = &columns[position];
            if let Some(row) = (0..column.len()).find(|row| column.is_null(*row)) {
                let column = self.layout.schema.field(position).name().clone();
                return Err(RowError::NullKey { row: row + 1, column });
            }
        }
        columns.push(Arc::new(self.extra.finish()));
        let moments = TimestampMicrosecondArray::from_value(ingested_at.as_microsecond(), self.length);
        columns.push(Arc::new(moments.with_timezone("UTC")));
        let batch = RecordBatch::try_new(Arc::clone(&self.layout.schema), columns)
            .map_err(|error| RowError::Arrow(error.to_string()))?;
        Ok((batch, self.oddities))
    }

    fn end_row(&mut self) {
        for fallback in std::mem::take(&mut self.fallbacks) {
            self.fall_back(fallback);
        }
        self.length += 1;
        for builder in &mut self.builders {
            if builder.len() < self.length {
                builder.append_null();
            }
        }
        if self.pending_extra.is_empty() {
            self.extra.append_null();
        } else {
            self.pending_extra.push('}');
            self.extra.append_value(&self.pending_extra);
            self.pending_extra.clear();
        }
    }

    /// Adds one row that stands inside another: an object, or the bare value of the column with an empty path.
    /// `parent` holds the parent's values, by the positions of their columns.
    pub fn push(&mut self, raw: &str, parent: &ParentValues) -> serde_json::Result<()> {
        let layout = Arc::clone(&self.layout);
        match layout.bare {
            Some(position) if !raw.starts_with('{') => self.put(position, raw),
            _ => serde_json::Deserializer::from_str(raw)
                .deserialize_map(Fields { rows: self, object: &layout.root })?,
        }
        for (position, value) in &parent.0 {
            self.put(*position, value);
        }
        self.end_row();
        Ok(())
    }

    /// The same, unless the entry is no row: neither an object nor, where there is a column for it, a bare value. Such
    /// an entry is counted under `path`, and false.
    pub(super) fn push_entry(
        &mut self,
        raw: &str,
        parent: &ParentValues,
        path: &str,
    ) -> serde_json::Result<bool> {
        let is_object = raw.starts_with('{');
        let is_row = is_object != self.layout.bare.is_some() && !raw.starts_with('[') && raw != "null";
        if is_row {
            self.push(raw, parent)?;
        } else {
            self.note_unread(path);
        }
        Ok(is_row)
    }

    /// Counts what should have been rows, and is none.
    pub(super) fn note_unread(&mut self, path: &str) {
        self.oddities.note(self.length, What::Unread, path.to_owned());
    }

    /// Takes the value of one field.
    fn take(&mut self, node: &Node, prefix: &str, name: &str, raw: &str) -> serde_json::Result<()> {
        match node {
            Node::Object(object) if raw.starts_with('{') => {
                let mut inner = serde_json::Deserializer::from_str(raw);
                inner.deserialize_map(Fields { rows: self, object })?;
            }
            Node::Object(_) if raw == "null" => {}
            Node::Value(spot) | Node::Object(Object { plain: Some(spot), .. }) => {
                self.place(spot, (prefix, name), raw);
            }
            Node::Object(_) => {
                let path = format!("{prefix}{name}");
                self.keep(&path, raw);
                self.oddities.note(self.length, What::Misfit, path);
            }
        }
        Ok(())
    }

    /// Puts a value where it belongs, and aside for the columns that may lack one.
    fn place(&mut self, spot: &Spot, (prefix, name): (&str, &str), raw: &str) {
        if let Some(position) = spot.column {
            self.put(position, raw);
        }
        for &position in &spot.fallback_of {
            let path = spot.column.is_none().then(|| format!("{prefix}{name}"));
            self.fallbacks.push(Fallback { position, raw: raw.to_owned(), path });
        }
    }

    /// Gives a column the value that was put aside for it, unless it has one. What it does not take is kept if it
    /// says something else and stands in no column of its own.
    fn fall_back(&mut self, Fallback { position, raw, path }: Fallback) {
        if raw == "null" {
            return;
        }
        let builder = &mut self.builders[position];
        let is_said = if builder.len() > self.length {
            builder.ends_with(&raw)
        } else {
            builder.append(self.layout.kinds[position], &raw)
        };
        if let Some(path) = path.filter(|_| !is_said) {
            self.keep(&path, &raw);
            self.oddities.note(self.length, What::Misfit, path);
        }
    }

    /// Puts a value into its column. A repeated field keeps its first value; the others count as misfits.
    fn put(&mut self, position: usize, raw: &str) {
        // The end of the row fills up with NULL; until then another place may still have the value.
        if raw == "null" {
            return;
        }
        let builder = &mut self.builders[position];
        if builder.len() > self.length || !builder.append(self.layout.kinds[position], raw) {
            let path = self.layout.paths[position];
            self.oddities.note(self.length, What::Misfit, path.to_owned());
            self.keep(path, raw);
        }
    }

    fn take_unknown(&mut self, prefix: &str, name: &str, raw: &str) {
        if !self.layout.keeps_unknown {
            return;
        }
        let path = format!("{prefix}{name}");
        self.keep(&path, raw);
        self.oddities.note(self.length, What::Unknown, path);
    }

    fn keep(&mut self, path: &str, raw: &str) {
        self.pending_extra.push(if self.pending_extra.is_empty() { '{' } else { ',' });
        self.pending_extra.push_str(&serde_json::Value::from(path).to_string());
        self.pending_extra.push(':');
        self.pending_extra.push_str(&super::json_text::without_lone_surrogates(raw));
    }
}

impl<'de> DeserializeSeed<'de> for &mut Rows {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(List { rows: self })
    }
}

struct List<'r> {
    rows: &'r mut Rows,
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Row { rows: self.rows })?.is_some() {}
        Ok(())
    }
}

struct Row<'r> {
    rows: &'r mut Rows,
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let layout = Arc::clone(&self.rows.layout);
        deserializer.deserialize_map(Fields { rows: self.rows, object: &layout.root })?;
        self.rows.end_row();
        Ok(())
    }
}

/// Reads the members of one object into the columns below it.
struct Fields<'r, 'l> {
    rows: &'r mut Rows,
    object: &'l Object,
}

impl<'de> Visitor<'de> for Fields<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let object = self.object;
        let mut expected = 0;
        // Names are read raw as well: one that is no sound text must not fail the whole page.
        while let Some(name) = members.next_key::<&'de RawValue>()? {
            let name = super::json_text::unquote(name.get()).unwrap_or_default();
            let raw = members.next_value::<&'de RawValue>()?.get();
            match object.find(&name, expected) {
                Some(at) => {
                    expected = at + 1;
                    let (name, node) = &object.fields[at];
                    self.rows.take(node, &object.prefix, name, raw).map_err(serde::de::Error::custom)?;
                }
                None => self.rows.take_unknown(&object.prefix, &name, raw),
            }
        }
        Ok(())
    }
}
