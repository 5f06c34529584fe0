//! What a change does to the rows of one file, found out without reading more of it than that takes: the keys and dates
//! of all rows, and as a whole only those rows that have to be compared.

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::kernels::cmp::distinct;
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::RowSelection;

use super::change::{Change, Edit, Facts, Followed, Meeting, Stamped};
use super::columns::Columns;
use super::file;
use super::keys::{Incoming, Keys, Place, moment, moments, text, text_column};
use super::manifest::FileEntry;
use super::storage::Files;
use crate::destination::Committed;
use crate::error::Result;

/// What becomes of the rows of a file, by their position.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// In order of position; rows that are not named stay.
    pub(super) edits: Vec<(usize, Edit)>,
    /// Incoming rows that are put in before the row at a position; in order.
    pub(super) inserts: Vec<(usize, usize)>,
}

impl Findings {
    pub(super) fn is_empty(&self) -> bool {
        self.edits.is_empty() && self.inserts.is_empty()
    }
}

/// A stored row that meets an incoming one.
struct Met {
    position: usize,
    incoming: usize,
    facts: Facts,
    lead: String,
    meeting: Meeting,
}

/// Looks at one file; what was done is added to `done`.
pub(super) fn survey(
    files: Files<'_>,
    entry: &FileEntry,
    columns: &Columns,
    (incoming, place): (&Incoming, &Place),
    change: &Change<'_>,
    done: &mut Committed,
) -> Result<Findings> {
    let unreadable = |e: ArrowError| file::failed("read", &files.shown(entry), e);
    let mut findings = Findings::default();
    let mut met = Vec::new();
    let mut next = place.within.start;
    let says_more = change.parents.is_some() || change.leads().next().is_some();
    let mut position = 0;
    for batch in files.read(entry, Some(&narrow(columns)), None)? {
        let rows = Narrow::of(columns, &batch.map_err(unreadable)?).map_err(unreadable)?;
        for row in 0..rows.count {
            while next < place.within.end && incoming.compare(next, &rows.keys, row).is_lt() {
                findings.inserts.push((position, next));
                next += 1;
            }
            let (lead, facts) = (rows.lead(row), rows.facts(row));
            if next < place.within.end && incoming.compare(next, &rows.keys, row).is_eq() {
                let meeting = change.meet(facts, incoming.cursor(next), columns.cursor.is_some());
                // Of most rows nothing else is said.
                let lead = if says_more { lead.to_owned() } else { String::new() };
                met.push(Met { position, incoming: next, facts, lead, meeting });
                next += 1;
            } else {
                let mut edit = Edit { is_gone: change.removes(lead), ..Edit::default() };
                if edit.is_gone {
                    done.removed += 1;
                } else {
                    count(change.follow(lead, facts.is_stamped, facts.fill, &mut edit), done);
                }
                if !edit.is_nothing() {
                    findings.edits.push((position, edit));
                }
            }
            position += 1;
        }
    }
    if position as u64 != entry.rows {
        return Err(file::changed(&files.shown(entry)));
    }
    findings.inserts.extend((next..place.within.end).map(|at| (position, at)));
    let different = compare(files, entry, columns, incoming, &met)?;
    for (met, is_different) in met.into_iter().zip(different) {
        let edit = settle(&met, is_different, incoming, change, done);
        if !edit.is_nothing() {
            findings.edits.push((met.position, edit));
        }
    }
    findings.edits.sort_by_key(|(position, _)| *position);
    Ok(findings)
}

/// What becomes of a stored row that met an incoming one.
fn settle(
    met: &Met,
    is_different: bool,
    incoming: &Incoming,
    change: &Change<'_>,
    done: &mut Committed,
) -> Edit {
    let mut edit = Edit::default();
    let is_replaced = match met.meeting {
        Meeting::Replaced => true,
        Meeting::ReplacedIfDifferent => is_different,
        Meeting::Stays => false,
    };
    if is_replaced {
        edit.with = Some(met.incoming);
    }
    if met.facts.is_stamped {
        edit.stamp = Some(Stamped::Cleared);
    }
    if is_replaced || met.facts.is_stamped {
        done.changed += 1;
    } else {
        done.unchanged += 1;
    }
    let lead = if is_replaced { incoming.lead(met.incoming) } else { &met.lead };
    count(change.follow(lead, false, met.facts.fill, &mut edit), done);
    edit
}

/// Counts what was done to a row after the rows had met.
pub(super) fn count(followed: Followed, done: &mut Committed) {
    match followed {
        Followed::Nothing => {}
        Followed::Removed => done.removed += 1,
        Followed::Stamped => done.stamped += 1,
    }
}

/// Which of the rows that may differ do.
fn compare(
    files: Files<'_>,
    entry: &FileEntry,
    columns: &Columns,
    incoming: &Incoming,
    met: &[Met],
) -> Result<Vec<bool>> {
    let unreadable = |e: ArrowError| file::failed("read", &files.shown(entry), e);
    let open: Vec<usize> =
        (0..met.len()).filter(|at| met[*at].meeting == Meeting::ReplacedIfDifferent).collect();
    let mut different = vec![false; met.len()];
    if open.is_empty() {
        return Ok(different);
    }
    let ranges = open.iter().map(|at| met[*at].position..met[*at].position + 1);
    let rows = usize::try_from(entry.rows).unwrap_or(usize::MAX);
    let selection = RowSelection::from_consecutive_ranges(ranges, rows);
    let compared: Vec<(usize, usize)> = columns
        .brought
        .iter()
        .enumerate()
        .filter(|(stored, _)| Some(*stored) != columns.ingested)
        .filter_map(|(stored, brought)| Some((stored, (*brought)?)))
        .collect();
    let names: Vec<&str> =
        compared.iter().map(|(stored, _)| columns.stored.field(*stored).name().as_str()).collect();
    let mut open = open.into_iter();
    for batch in files.read(entry, Some(&names), Some(selection))? {
        let stored = columns.conform(&batch.map_err(unreadable)?).map_err(unreadable)?;
        let here: Vec<usize> = open.by_ref().take(stored.num_rows()).collect();
        let picks: Vec<usize> = here.iter().map(|at| met[*at].incoming).collect();
        let new = incoming.rows(columns, &picks).map_err(unreadable)?;
        for (place, brought) in &compared {
            let differs = distinct(stored.column(*place), new.column(*brought)).map_err(unreadable)?;
            for (row, at) in here.iter().enumerate() {
                different[*at] |= differs.value(row);
            }
        }
    }
    Ok(different)
}

/// The columns that a survey reads.
fn narrow(columns: &Columns) -> Vec<&str> {
    let mut places: Vec<usize> = columns.key.clone();
    places.push(columns.lead);
    places.extend([columns.cursor, columns.ingested, columns.deleted].into_iter().flatten());
    places.extend(columns.filled.iter().flat_map(|(truncated, total)| [*truncated, *total]));
    places.sort_unstable();
    places.dedup();
    places.into_iter().map(|place| columns.stored.field(place).name().as_str()).collect()
}

/// Those columns of a batch.
struct Narrow {
    count: usize,
    keys: Keys,
    leads: StringArray,
    cursors: Option<TimestampMicrosecondArray>,
    ingested: Option<TimestampMicrosecondArray>,
    deleted: Option<TimestampMicrosecondArray>,
    filled: Option<(BooleanArray, arrow::array::Int64Array)>,
}

impl Narrow {
    fn of(columns: &Columns, batch: &RecordBatch) -> Result<Self, ArrowError> {
        let batch = &columns.conform(batch)?;
        let dates = |place: Option<usize>| place.map(|place| moments(batch, place)).transpose();
        let filled = columns.filled.and_then(|(truncated, total)| {
            let truncated = batch.column(truncated).as_boolean_opt()?.clone();
            Some((truncated, batch.column(total).as_primitive_opt::<Int64Type>()?.clone()))
        });
        Ok(Self {
            count: batch.num_rows(),
            keys: Keys::of(batch, &columns.key)?,
            leads: text_column(batch, columns.lead)?,
            cursors: dates(columns.cursor)?,
            ingested: dates(columns.ingested)?,
            deleted: dates(columns.deleted)?,
            filled,
        })
    }

    fn lead(&self, row: usize) -> &str {
        text(&self.leads, row).unwrap_or_default()
    }

    fn facts(&self, row: usize) -> Facts {
        let of =
            |dates: &Option<TimestampMicrosecondArray>| dates.as_ref().and_then(|dates| moment(dates, row));
        let fill = self.filled.as_ref().and_then(|(truncated, total)| {
            (truncated.is_valid(row) && total.is_valid(row)).then(|| (truncated.value(row), total.value(row)))
        });
        Facts {
            cursor: of(&self.cursors),
            ingested: of(&self.ingested),
            is_stamped: of(&self.deleted).is_some(),
            fill,
        }
    }
}
