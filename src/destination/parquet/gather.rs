//! Files with different keys put together, as a stream: of each no more is in memory than a batch.

use std::cmp::Ordering;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::error::ArrowError;

use super::file;
use super::keys::Keys;
use super::manifest::FileEntry;
use super::sequence::Sequence;
use super::storage::{Batches, Files};
use crate::error::{Error, ErrorKind, Result};

/// Rows that are handed on at once.
const CHUNK: usize = 1024;

/// The rows of some files, which follow each other.
struct Stream<'f> {
    files: Files<'f>,
    left: std::vec::IntoIter<FileEntry>,
    batches: Option<(FileEntry, Batches)>,
    /// The batch that is being read, its place among those of the output, its keys, and the next row of it.
    batch: usize,
    keys: Option<Keys>,
    row: usize,
    rows: usize,
}

/// Writes the rows of all streams, each of files whose keys follow each other, in the order of their keys.
pub(super) fn gather(streams: Vec<Vec<FileEntry>>, sequence: &mut Sequence<'_>) -> Result<()> {
    let mut output = Output { batches: Vec::new(), picks: Vec::with_capacity(CHUNK) };
    let mut open = Vec::new();
    for entries in streams {
        let left = entries.into_iter();
        let mut stream =
            Stream { files: sequence.files, left, batches: None, batch: 0, keys: None, row: 0, rows: 0 };
        if stream.advance(&mut output, sequence)? {
            open.push(stream);
        }
    }
    // The stream with the least key is the last.
    open.sort_by(|a, b| b.compare(a));
    while let Some(mut least) = open.pop() {
        output.picks.push((least.batch, least.row));
        least.row += 1;
        if output.picks.len() == CHUNK {
            output.flush(&mut open, &mut least, sequence)?;
        }
        if least.row == least.rows && !least.advance(&mut output, sequence)? {
            continue;
        }
        let at = open.partition_point(|other| other.compare(&least).is_gt());
        open.insert(at, least);
    }
    output.write(sequence)
}

/// Rows that were picked and not handed on yet.
struct Output {
    batches: Vec<RecordBatch>,
    picks: Vec<(usize, usize)>,
}

impl Output {
    fn write(&mut self, sequence: &mut Sequence<'_>) -> Result<()> {
        if self.picks.is_empty() {
            return Ok(());
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let rows = interleave_record_batch(&batches, &self.picks)
            .map_err(|e| Error::new(ErrorKind::Destination, "rows cannot be put together").with_source(e))?;
        self.picks.clear();
        sequence.write(&rows)
    }

    /// Hands on what was picked, and lets go of batches that were read to their end.
    fn flush<'f>(
        &mut self,
        open: &mut [Stream<'f>],
        least: &mut Stream<'f>,
        sequence: &mut Sequence<'_>,
    ) -> Result<()> {
        self.write(sequence)?;
        let mut kept = Vec::with_capacity(open.len() + 1);
        for stream in open.iter_mut().chain([least]) {
            kept.push(self.batches[stream.batch].clone());
            stream.batch = kept.len() - 1;
        }
        self.batches = kept;
        Ok(())
    }
}

impl Stream<'_> {
    /// Goes to the next batch; whether there is one.
    fn advance(&mut self, output: &mut Output, sequence: &Sequence<'_>) -> Result<bool> {
        loop {
            let Some((entry, batches)) = &mut self.batches else {
                let Some(entry) = self.left.next() else { return Ok(false) };
                let batches = self.files.stream(&entry)?;
                self.batches = Some((entry, batches));
                continue;
            };
            let Some(batch) = batches.next() else {
                self.batches = None;
                continue;
            };
            let unreadable = |e: ArrowError| file::failed("read", &self.files.shown(entry), e);
            let batch = batch.and_then(|batch| sequence.columns.conform(&batch)).map_err(unreadable)?;
            if batch.num_rows() == 0 {
                continue;
            }
            self.keys = Some(Keys::of(&batch, &sequence.columns.key).map_err(unreadable)?);
            (self.row, self.rows, self.batch) = (0, batch.num_rows(), output.batches.len());
            output.batches.push(batch);
            return Ok(true);
        }
    }

    /// How the next rows of two streams are ordered.
    fn compare(&self, other: &Self) -> Ordering {
        match (&self.keys, &other.keys) {
            (Some(own), Some(keys)) => own.compare(self.row, keys, other.row),
            _ => Ordering::Equal,
        }
    }
}
