//! Files written anew: what was stored, with its edits, and what comes, in the order of the keys.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array, new_null_array,
};
use arrow::compute::{interleave, take};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;

use super::change::{Edit, Stamped};
use super::columns::Columns;
use super::file;
use super::keys::Incoming;
use super::manifest::FileEntry;
use super::sequence::Sequence;
use super::survey::Findings;
use crate::error::{Error, ErrorKind, Result};

/// Incoming rows that are put together at once.
const CHUNK: usize = 1024;

/// A row on its way out: the stored row that it was, the incoming one that it is now, or both.
#[derive(Debug, Default)]
struct Line<'e> {
    stored: Option<usize>,
    incoming: Option<usize>,
    edit: Option<&'e Edit>,
}

/// Writes the files of one group.
pub(super) struct Output<'o> {
    pub(super) sequence: Sequence<'o>,
    pub(super) incoming: &'o Incoming,
    /// What becomes of incoming rows that meet none.
    pub(super) fates: &'o HashMap<usize, Edit>,
}

impl Output<'_> {
    /// Puts in incoming rows.
    pub(super) fn insert(&mut self, rows: impl Iterator<Item = usize>) -> Result<()> {
        let mut lines = Vec::new();
        let fates = self.fates;
        for at in rows {
            lines.extend(new_line(fates, at));
            if lines.len() == CHUNK {
                self.put(None, &std::mem::take(&mut lines))?;
            }
        }
        self.put(None, &lines)
    }

    /// Puts in the rows of a stored file.
    pub(super) fn copy(&mut self, entry: &FileEntry, findings: &Findings) -> Result<()> {
        let files = self.sequence.files;
        let mut edits = findings.edits.iter().peekable();
        let mut inserts = findings.inserts.iter().peekable();
        let (fates, mut position) = (self.fates, 0);
        for batch in files.read(entry, None, None)? {
            let unreadable = |e: ArrowError| file::failed("read", &files.shown(entry), e);
            let batch = self.sequence.columns.conform(&batch.map_err(unreadable)?).map_err(unreadable)?;
            let end = position + batch.num_rows();
            let is_untouched = edits.peek().is_none_or(|(at, _)| *at >= end)
                && inserts.peek().is_none_or(|(at, _)| *at >= end);
            if is_untouched {
                self.sequence.write(&batch)?;
                position = end;
                continue;
            }
            let mut lines = Vec::with_capacity(batch.num_rows());
            for row in 0..batch.num_rows() {
                while let Some((_, at)) = inserts.next_if(|(before, _)| *before == position) {
                    lines.extend(new_line(fates, *at));
                }
                let edit = edits.next_if(|(at, _)| *at == position).map(|(_, edit)| edit);
                if !edit.is_some_and(|edit| edit.is_gone) {
                    lines.push(Line { stored: Some(row), incoming: edit.and_then(|edit| edit.with), edit });
                }
                position += 1;
            }
            // Many new rows may fall before one stored row.
            for lines in lines.chunks(2 * CHUNK) {
                self.put(Some(&batch), lines)?;
            }
        }
        if position as u64 != entry.rows {
            return Err(file::changed(&files.shown(entry)));
        }
        self.insert(inserts.map(|(_, at)| *at))
    }

    fn put(&mut self, stored: Option<&RecordBatch>, lines: &[Line<'_>]) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let broken =
            |e: ArrowError| Error::new(ErrorKind::Destination, "rows cannot be put together").with_source(e);
        let batch = assemble(self.sequence.columns, stored, self.incoming, lines).map_err(broken)?;
        self.sequence.write(&batch)
    }
}

/// The line of an incoming row that meets none; `None` if it is gone already.
fn new_line(fates: &HashMap<usize, Edit>, at: usize) -> Option<Line<'_>> {
    let edit = fates.get(&at);
    (!edit.is_some_and(|edit| edit.is_gone)).then_some(Line { stored: None, incoming: Some(at), edit })
}

/// The rows of `lines` in one batch.
fn assemble(
    columns: &Columns,
    stored: Option<&RecordBatch>,
    incoming: &Incoming,
    lines: &[Line<'_>],
) -> Result<RecordBatch, ArrowError> {
    let coming: Vec<usize> = lines.iter().filter_map(|line| line.incoming).collect();
    let new = incoming.rows(columns, &coming)?;
    let mut number = 0;
    let mut picks = Vec::with_capacity(lines.len());
    for line in lines {
        if line.incoming.is_some() {
            picks.push((1, number));
            number += 1;
        } else {
            picks.push((0, line.stored.unwrap_or_default()));
        }
    }
    let carried: UInt32Array =
        lines.iter().map(|line| line.stored.and_then(|row| u32::try_from(row).ok())).collect();
    let column = |place: usize| -> Result<ArrayRef, ArrowError> {
        let kind = columns.stored.field(place).data_type();
        match (columns.brought[place], stored) {
            (Some(brought), None) => Ok(Arc::clone(new.column(brought))),
            (Some(brought), Some(stored)) => {
                interleave(&[stored.column(place).as_ref(), new.column(brought).as_ref()], &picks)
            }
            (None, None) => Ok(new_null_array(kind, lines.len())),
            (None, Some(stored)) => take(stored.column(place), &carried, None),
        }
    };
    let arrays = (0..columns.brought.len()).map(|place| Ok(overlaid(columns, place, column(place)?, lines)));
    RecordBatch::try_new(Arc::clone(&columns.stored), arrays.collect::<Result<_, ArrowError>>()?)
}

/// A column with what edits say of it.
fn overlaid(columns: &Columns, place: usize, column: ArrayRef, lines: &[Line<'_>]) -> ArrayRef {
    let stamp = |line: &Line<'_>| line.edit.and_then(|edit| edit.stamp.clone());
    let fill = |line: &Line<'_>| line.edit.and_then(|edit| edit.fill);
    let here = Some(place);
    if here == columns.deleted && lines.iter().any(|line| stamp(line).is_some()) {
        let known = column.as_primitive::<TimestampMicrosecondType>();
        let since = lines.iter().enumerate().map(|(row, line)| match stamp(line) {
            Some(Stamped::Cleared) => None,
            Some(Stamped::Since(micros, _)) => Some(micros),
            None => known.is_valid(row).then(|| known.value(row)),
        });
        return Arc::new(since.collect::<TimestampMicrosecondArray>().with_timezone("UTC"));
    }
    if here == columns.merged && lines.iter().any(|line| stamp(line).is_some()) {
        let known = column.as_string::<i32>();
        let merged = lines.iter().enumerate().map(|(row, line)| match stamp(line) {
            Some(Stamped::Cleared) => None,
            Some(Stamped::Since(_, merged)) => merged,
            None => known.is_valid(row).then(|| known.value(row).to_owned()),
        });
        return Arc::new(merged.collect::<StringArray>());
    }
    let Some((truncated, total)) = columns.filled else { return column };
    if lines.iter().all(|line| fill(line).is_none()) {
        return column;
    }
    if place == truncated {
        let known = column.as_boolean();
        let values = lines.iter().enumerate().map(|(row, line)| match fill(line) {
            Some((truncated, _)) => Some(truncated),
            None => known.is_valid(row).then(|| known.value(row)),
        });
        return Arc::new(values.collect::<BooleanArray>());
    }
    if place == total {
        let known = column.as_primitive::<Int64Type>();
        let values = lines.iter().enumerate().map(|(row, line)| match fill(line) {
            Some((_, total)) => Some(total),
            None => known.is_valid(row).then(|| known.value(row)),
        });
        return Arc::new(values.collect::<Int64Array>());
    }
    column
}
