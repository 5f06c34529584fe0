//! Keys: how they are ordered, and the rows that come, in that order.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::{concat_batches, interleave_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;

use super::columns::Columns;

/// A key, part by part; a part that is NULL comes first.
pub(super) type Key = Vec<Option<String>>;

/// The keys of a batch's rows.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    parts: Vec<StringArray>,
}

impl Keys {
    /// The columns at `places`, which are text.
    pub(super) fn of(batch: &RecordBatch, places: &[usize]) -> Result<Self, ArrowError> {
        let parts = places.iter().map(|place| text_column(batch, *place));
        Ok(Self { parts: parts.collect::<Result<_, _>>()? })
    }

    pub(super) fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        let parts = self.parts.iter().zip(&other.parts);
        parts
            .map(|(a, b)| text(a, row).cmp(&text(b, other_row)))
            .find(|o| o.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    pub(super) fn compare_to(&self, row: usize, key: &Key) -> Ordering {
        let parts = self.parts.iter().zip(key);
        parts.map(|(a, b)| text(a, row).cmp(&b.as_deref())).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    }

    pub(super) fn key(&self, row: usize) -> Key {
        self.parts.iter().map(|part| text(part, row).map(str::to_owned)).collect()
    }
}

/// A column of a batch as text.
pub(super) fn text_column(batch: &RecordBatch, place: usize) -> Result<StringArray, ArrowError> {
    let column = batch.columns().get(place).and_then(|column| column.as_string_opt::<i32>());
    column.cloned().ok_or_else(|| ArrowError::SchemaError("a key is not text".into()))
}

/// A column of a batch as moments.
pub(super) fn moments(batch: &RecordBatch, place: usize) -> Result<TimestampMicrosecondArray, ArrowError> {
    let column = batch.columns().get(place).and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
    column.cloned().ok_or_else(|| ArrowError::SchemaError("a date is no moment".into()))
}

pub(super) fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

pub(super) fn moment(column: &TimestampMicrosecondArray, row: usize) -> Option<i64> {
    column.is_valid(row).then(|| column.value(row))
}

/// Rows that a batch should at least have where rows are picked from all of them.
const CHUNK: usize = 2048;

/// The same rows in batches that are neither tiny nor as large as everything together.
fn joined(batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut joined = Vec::new();
    let mut group: Vec<RecordBatch> = Vec::new();
    let mut rows = 0;
    for batch in batches {
        rows += batch.num_rows();
        group.push(batch);
        if rows >= CHUNK {
            joined.push(as_one(&std::mem::take(&mut group))?);
            rows = 0;
        }
    }
    if rows > 0 {
        joined.push(as_one(&group)?);
    }
    Ok(joined)
}

fn as_one(group: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    match group {
        [single] => Ok(single.clone()),
        [first, ..] => concat_batches(first.schema_ref(), group),
        [] => Err(ArrowError::InvalidArgumentError("no batch".into())),
    }
}

/// Rows that come, one per key, in the order of their keys.
#[derive(Debug)]
pub(super) struct Incoming {
    batches: Vec<RecordBatch>,
    keys: Vec<Keys>,
    leads: Vec<StringArray>,
    cursors: Vec<Option<TimestampMicrosecondArray>>,
    /// Batch and row of each.
    order: Vec<(usize, usize)>,
}

impl Incoming {
    /// Orders the rows of `batches`, which have the columns that come and one row per key.
    pub(super) fn of(columns: &Columns, batches: Vec<RecordBatch>) -> Result<Self, ArrowError> {
        let place = |stored: usize| {
            columns.brought[stored].ok_or_else(|| ArrowError::SchemaError("a key does not come".into()))
        };
        let key = columns.key.iter().map(|stored| place(*stored)).collect::<Result<Vec<_>, _>>()?;
        let (lead, cursor) = (place(columns.lead)?, columns.cursor.map(place).transpose()?);
        let (mut keys, mut leads, mut cursors) = (Vec::new(), Vec::new(), Vec::new());
        let batches =
            joined(batches)?.into_iter().map(|batch| columns.adapt(batch)).collect::<Result<Vec<_>, _>>()?;
        for batch in &batches {
            keys.push(Keys::of(batch, &key)?);
            leads.push(text_column(batch, lead)?);
            cursors.push(cursor.map(|cursor| moments(batch, cursor)).transpose()?);
        }
        let rows = |(number, batch): (usize, &RecordBatch)| {
            (0..batch.num_rows()).map(move |row| (number, row)).collect::<Vec<_>>()
        };
        let mut order: Vec<(usize, usize)> = batches.iter().enumerate().flat_map(rows).collect();
        order.sort_unstable_by(|a, b| keys[a.0].compare(a.1, &keys[b.0], b.1));
        Ok(Self { batches, keys, leads, cursors, order })
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn compare(&self, at: usize, keys: &Keys, row: usize) -> Ordering {
        let (batch, own) = self.order[at];
        self.keys[batch].compare(own, keys, row)
    }

    /// The lead table's key that a row is about.
    pub(super) fn lead(&self, at: usize) -> &str {
        let (batch, row) = self.order[at];
        text(&self.leads[batch], row).unwrap_or_default()
    }

    pub(super) fn cursor(&self, at: usize) -> Option<i64> {
        let (batch, row) = self.order[at];
        self.cursors[batch].as_ref().and_then(|dates| moment(dates, row))
    }

    /// How many rows have a key below this one.
    fn below(&self, key: &Key) -> usize {
        self.order.partition_point(|(batch, row)| self.keys[*batch].compare_to(*row, key).is_lt())
    }

    /// How many rows have this key or one below it.
    fn up_to(&self, key: &Key) -> usize {
        self.order.partition_point(|(batch, row)| self.keys[*batch].compare_to(*row, key).is_le())
    }

    /// These rows in one batch.
    pub(super) fn rows(&self, columns: &Columns, rows: &[usize]) -> Result<RecordBatch, ArrowError> {
        let picks: Vec<(usize, usize)> = rows.iter().map(|at| self.order[*at]).collect();
        if picks.is_empty() {
            return Ok(RecordBatch::new_empty(Arc::clone(&columns.adapted)));
        }
        interleave_record_batch(&self.batches.iter().collect::<Vec<_>>(), &picks)
    }

    /// Memory of a row, in bytes, on average.
    pub(super) fn width(&self) -> usize {
        let bytes: usize = self.batches.iter().map(RecordBatch::get_array_memory_size).sum();
        bytes / self.len().max(1)
    }

    /// Where the incoming rows stand among files with these first and last keys: before each of them, and within.
    /// The rest comes after the last.
    pub(super) fn among<'f>(
        &self,
        files: impl Iterator<Item = (&'f Key, &'f Key)>,
    ) -> (Vec<Place>, Range<usize>) {
        let mut from = 0;
        let mut places = Vec::new();
        for (first, last) in files {
            let (inside, end) = (self.below(first), self.up_to(last));
            places.push(Place { before: from..inside, within: inside..end });
            from = end;
        }
        (places, from..self.len())
    }
}

/// Which incoming rows stand before a file, and which between its first and its last key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) before: Range<usize>,
    pub(super) within: Range<usize>,
}
