//! Rows, one after the other, into Arrow builders.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray};
use jiff::Timestamp;

use super::builder::Builder;
use super::embedded::{Members, ParentValues};
use super::fault::{Fault, Malformed};
use super::layout::{Field, Layout, Node, Object, Spot};
use super::scan::{Raw, Scanner};
use super::shape::{Oddities, Shape, What};
use crate::table::Kind;

/// Turns the rows of pages of one table into record batches.
#[derive(Debug, Clone)]
pub struct Decoder {
    layout: Arc<Layout>,
    /// Bytes of text in each row of the page before, column by column: pages are alike, and room that is taken at once is
    /// neither moved nor much too large.
    bytes: Arc<[AtomicUsize]>,
}

/// The most cells that the rows of one answer have. Each takes room, however little stands in it: contacts are taken by up to
/// a hundred thousand at once, and never come by more than 150.
const MOST_CELLS: usize = 8 << 20;
/// The most room that is taken for the text of a column before it is there.
const MOST_AHEAD: usize = 1 << 20;

/// Rows of a page that may lack a key while most have one.
const FEW: usize = 10;

/// A page whose rows cannot be told apart; it fails as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// Most rows have no key: this is something else than rows of the table.
    #[error("{without} of {rows} rows have no {column}")]
    NoKeys {
        /// Rows without a key.
        without: usize,
        /// Rows.
        rows: usize,
        /// Name of the key column.
        column: String,
    },
    /// Arrow refused the columns; a bug.
    #[error("columns do not form a batch: {0}")]
    Arrow(String),
}

impl Decoder {
    /// A decoder for the columns of `layout`.
    pub fn new(layout: Layout) -> Self {
        let bytes = layout.kinds.iter().map(|_| AtomicUsize::new(0)).collect();
        Self { layout: Arc::new(layout), bytes }
    }

    /// The columns.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Builders for one page of about `capacity` rows.
    pub fn rows(&self, capacity: usize) -> Rows {
        let columns = self.layout.kinds.iter().zip(self.bytes.iter());
        let builder = |(kind, bytes): (&Kind, &AtomicUsize)| {
            let bytes = bytes.load(Ordering::Relaxed).saturating_mul(capacity);
            Builder::new(*kind, capacity, bytes.min(MOST_AHEAD))
        };
        Rows {
            layout: Arc::clone(&self.layout),
            builders: columns.map(builder).collect(),
            bytes: Arc::clone(&self.bytes),
            extra: StringBuilder::with_capacity(capacity, 0),
            pending_extra: String::new(),
            fallbacks: Vec::new(),
            followers: vec![None; self.layout.places],
            length: 0,
            most: MOST_CELLS / self.layout.kinds.len().max(1),
            oddities: Oddities::default(),
        }
    }
}

/// The rows of one page while they are being read.
#[derive(Debug)]
pub struct Rows {
    layout: Arc<Layout>,
    builders: Vec<Builder>,
    /// See [`Decoder`].
    bytes: Arc<[AtomicUsize]>,
    extra: StringBuilder,
    /// Members of the current row's `_extra` object, without the braces.
    pending_extra: String,
    /// Values of the current row for columns that may lack one of their own.
    fallbacks: Vec<Fallback>,
    /// Which field came last time after each place of the layout. Rows of a page look alike, so it is tried first.
    followers: Vec<Option<usize>>,
    length: usize,
    /// The most rows that are taken.
    most: usize,
    oddities: Oddities,
}

/// A key column in which rows without a key have one that no other row of the page has.
fn without_nulls(column: &ArrayRef) -> ArrayRef {
    let Some(texts) = column.as_string_opt::<i32>() else { return Arc::clone(column) };
    let filled = texts
        .iter()
        .enumerate()
        .map(|(row, text)| text.map_or_else(|| Cow::Owned(format!("\0{row}")), Cow::Borrowed));
    Arc::new(StringArray::from_iter_values(filled))
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

    /// The batch: one row per object that has a key, in the order they were read, `_ingested_at` the same in all.
    pub fn finish(self, ingested_at: Timestamp) -> Result<(RecordBatch, Shape), RowError> {
        let (batch, oddities) = self.finish_by_row(ingested_at)?;
        let batch = super::filter(&batch, |row| oddities.has_key(row));
        Ok((batch, oddities.of_rows(|_| true)))
    }

    /// The same, for those who keep only some of the rows. Rows without a key are among them, with a key that no other row
    /// of the page has.
    pub fn finish_by_row(mut self, ingested_at: Timestamp) -> Result<(RecordBatch, Oddities), RowError> {
        for (builder, bytes) in self.builders.iter().zip(self.bytes.iter()).filter(|_| self.length > 0) {
            bytes.store(builder.bytes().div_ceil(self.length), Ordering::Relaxed);
        }
        let mut columns: Vec<ArrayRef> =
            self.builders.iter_mut().map(|builder| builder.finish(self.length)).collect();
        let without = self.oddities.rejected().len();
        if without > 0 {
            let column = |position: &usize| self.layout.schema.field(*position).name().clone();
            if without > FEW && without > self.length / 2 {
                let column = self.layout.required.first().map(column).unwrap_or_default();
                return Err(RowError::NoKeys { without, rows: self.length, column });
            }
            for &position in &self.layout.required {
                columns[position] = without_nulls(&columns[position]);
            }
        }
        columns.push(Arc::new(self.extra.finish()));
        let moments = TimestampMicrosecondArray::from_value(ingested_at.as_microsecond(), self.length);
        columns.push(Arc::new(moments.with_timezone("UTC")));
        let batch = RecordBatch::try_new(Arc::clone(&self.layout.schema), columns)
            .map_err(|error| RowError::Arrow(error.to_string()))?;
        Ok((batch, self.oddities))
    }

    /// Adds the rows of `list`. Anything but objects in it is an error.
    pub fn push_list(&mut self, list: &str) -> Result<(), Malformed> {
        let mut entry = 0..;
        Scanner::read_list(list, |scan| {
            let entry = entry.next().unwrap_or(0);
            self.read(scan, &ParentValues::default(), None, || format!("[{entry}]")).map(drop)
        })
    }

    /// Adds the row that comes next in `scan`: an object, or the bare value of the column with an empty path. `parent`
    /// holds values of the row that it belongs to; what `aside` looks for is put there as well.
    ///
    /// A row without a key is none, and false; what stands at its place is kept under `place`.
    pub fn read<'t>(
        &mut self,
        scan: &mut Scanner<'t>,
        parent: &ParentValues,
        aside: Option<&mut Members<'t>>,
        place: impl FnOnce() -> String,
    ) -> Result<bool, Fault> {
        let text = scan.spanning(|scan| self.read_values(scan, parent, aside))?;
        let has_key = self.has_key();
        if !has_key {
            self.oddities.reject(self.length, place(), text);
        }
        self.end_row();
        Ok(has_key)
    }

    /// Reads the values of the row that comes next.
    fn read_values<'t>(
        &mut self,
        scan: &mut Scanner<'t>,
        parent: &ParentValues,
        aside: Option<&mut Members<'t>>,
    ) -> Result<(), Fault> {
        if self.length >= self.most {
            return Err(Fault::Endless);
        }
        let layout = Arc::clone(&self.layout);
        match layout.bare {
            Some(position) if scan.peek() != Some(b'{') => {
                let raw = scan.value()?;
                self.put(position, raw);
            }
            _ => self.read_members(scan, &layout.root, aside)?,
        }
        for (position, value) in &parent.0 {
            self.put(*position, value.as_str().into());
        }
        for fallback in std::mem::take(&mut self.fallbacks) {
            self.fall_back(fallback);
        }
        Ok(())
    }

    /// Whether the row that is being read has a value in all columns of its key.
    fn has_key(&self) -> bool {
        self.layout.required.iter().all(|position| self.builders[*position].has_value(self.length))
    }

    /// Adds the row that `raw` holds, as [`Self::read`] does.
    pub fn push(
        &mut self,
        raw: &str,
        parent: &ParentValues,
        place: impl FnOnce() -> String,
    ) -> Result<bool, Malformed> {
        Scanner::read_all(raw, |scan| self.read(scan, parent, None, place))
    }

    /// Adds a row that stands inside another, unless the entry is no row: neither an object nor, where there is a
    /// column for it, a bare value. Such an entry is counted under `path`, and false; so is an object without a key, which
    /// is kept.
    pub(super) fn push_entry(
        &mut self,
        raw: &str,
        parent: &ParentValues,
        (path, entry): (&str, usize),
    ) -> Result<bool, Malformed> {
        let is_object = raw.starts_with('{');
        let is_row = is_object != self.layout.bare.is_some() && !raw.starts_with('[') && raw != "null";
        if !is_row {
            self.note_unread(path);
            return Ok(false);
        }
        let of = parent.0.first().map_or("", |(_, id)| id.trim_matches('"'));
        self.push(raw, parent, || format!("{path}[{entry}] of {of}"))
    }

    /// Counts what should have been rows, and is none.
    pub(super) fn note_unread(&mut self, path: &str) {
        self.oddities.note(self.length, What::Unread, path.to_owned());
    }

    fn end_row(&mut self) {
        self.length += 1;
        if self.pending_extra.is_empty() {
            self.extra.append_null();
        } else {
            self.pending_extra.push('}');
            self.extra.append_value(&self.pending_extra);
            self.pending_extra.clear();
        }
    }

    /// Reads the members of the object that comes next into the columns below it.
    fn read_members<'t>(
        &mut self,
        scan: &mut Scanner<'t>,
        object: &Object,
        mut aside: Option<&mut Members<'t>>,
    ) -> Result<(), Fault> {
        let mut is_more = scan.open_object()?;
        let mut place = object.beginning;
        while is_more {
            let expected = self.followers[place].and_then(|at| Some((at, object.fields.get(at)?)));
            let found = match expected {
                Some((at, field)) if scan.passes_name(&field.written) => Ok((at, field)),
                _ => {
                    let name = scan.name()?;
                    object.find(&name).ok_or(name)
                }
            };
            match found {
                Ok((at, field)) => {
                    self.followers[place] = Some(at);
                    place = object.beginning + 1 + at;
                    if let Some(aside) = &mut aside {
                        let raw = scan.spanning(|scan| self.take(scan, field, &object.prefix))?;
                        aside.offer(field.name, raw);
                    } else {
                        self.take(scan, field, &object.prefix)?;
                    }
                }
                Err(name) => {
                    let raw = scan.value()?;
                    self.take_unknown(&object.prefix, &name, raw);
                    if let Some(aside) = &mut aside {
                        aside.offer(&name, raw.text);
                    }
                }
            }
            is_more = scan.next_member()?;
        }
        Ok(())
    }

    /// Takes the value of one field.
    fn take(&mut self, scan: &mut Scanner<'_>, field: &Field, prefix: &str) -> Result<(), Fault> {
        if scan.passes_null()? {
            return Ok(());
        }
        match &field.node {
            Node::Object(object) if scan.peek() == Some(b'{') => self.read_members(scan, object, None)?,
            Node::Value(spot) | Node::Object(Object { plain: Some(spot), .. }) => {
                let raw = scan.value()?;
                self.place(spot, (prefix, field.name), raw);
            }
            Node::Object(_) => {
                let raw = scan.value()?;
                let path = format!("{prefix}{}", field.name);
                self.keep(&path, raw);
                self.oddities.note(self.length, What::Misfit, path);
            }
        }
        Ok(())
    }

    /// Puts a value where it belongs, and aside for the columns that may lack one.
    fn place(&mut self, spot: &Spot, (prefix, name): (&str, &str), raw: Raw<'_>) {
        if let Some(position) = spot.column {
            self.put(position, raw);
        }
        for &position in &spot.fallback_of {
            let path = spot.column.is_none().then(|| format!("{prefix}{name}"));
            self.fallbacks.push(Fallback { position, raw: raw.text.to_owned(), path });
        }
    }

    /// Gives a column the value that was put aside for it, unless it has one. What it does not take is kept if it
    /// says something else and stands in no column of its own.
    fn fall_back(&mut self, Fallback { position, raw, path }: Fallback) {
        let raw = Raw::from(raw.as_str());
        let builder = &mut self.builders[position];
        let is_said =
            if builder.has(self.length) { builder.ends_with(raw) } else { builder.put(self.length, raw) };
        if let Some(path) = path.filter(|_| !is_said) {
            self.keep(&path, raw);
            self.oddities.note(self.length, What::Misfit, path);
        }
    }

    /// Puts a value into its column. A repeated field keeps its first value; the others count as misfits.
    fn put(&mut self, position: usize, raw: Raw<'_>) {
        // What has no value is filled up with NULL later; until then another place may still have one.
        if raw.text == "null" {
            return;
        }
        let builder = &mut self.builders[position];
        if builder.has(self.length) || !builder.put(self.length, raw) {
            let path = self.layout.paths[position];
            self.oddities.note(self.length, What::Misfit, path.to_owned());
            self.keep(path, raw);
        }
    }

    fn take_unknown(&mut self, prefix: &str, name: &str, raw: Raw<'_>) {
        if !self.layout.keeps_unknown {
            return;
        }
        let path = format!("{prefix}{name}");
        self.keep(&path, raw);
        self.oddities.note(self.length, What::Unknown, path);
    }

    fn keep(&mut self, path: &str, raw: Raw<'_>) {
        self.pending_extra.push(if self.pending_extra.is_empty() { '{' } else { ',' });
        self.pending_extra.push_str(&serde_json::Value::from(path).to_string());
        self.pending_extra.push(':');
        self.pending_extra.push_str(&super::json_text::without_lone_surrogates(raw));
    }
}
