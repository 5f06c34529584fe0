//! Files that are written one after the other, in the order of their keys.

use arrow::array::RecordBatch;

use super::columns::Columns;
use super::file::Writer;
use super::manifest::FileEntry;
use super::storage::{Files, Part};
use crate::error::Result;

/// Gives names to new files.
pub(super) type Naming<'n> = &'n mut dyn FnMut(Part) -> String;

/// Files that are being written.
pub(super) struct Sequence<'s> {
    pub(super) files: Files<'s>,
    pub(super) columns: &'s Columns,
    part: Part,
    name: Naming<'s>,
    /// Bytes after which a file ends, unless it is the last one that was planned.
    target: u64,
    planned: u64,
    written: Vec<FileEntry>,
    writer: Option<Writer>,
}

impl<'s> Sequence<'s> {
    /// None yet; of about `bytes` in all there are to be `planned` files.
    pub(super) fn new(
        files: Files<'s>,
        columns: &'s Columns,
        part: Part,
        name: Naming<'s>,
        (bytes, planned): (u64, u64),
    ) -> Self {
        let planned = planned.max(1);
        Self {
            files,
            columns,
            part,
            name,
            target: bytes / planned,
            planned,
            written: Vec::new(),
            writer: None,
        }
    }

    /// Adds rows, whose keys come after those before.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(Writer::create(self.files, (self.name)(self.part), self.columns, self.part)?),
        };
        writer.write(batch)?;
        if writer.bytes() >= self.target && (self.written.len() as u64) + 1 < self.planned {
            self.end_file()?;
        }
        Ok(())
    }

    fn end_file(&mut self) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            self.written.push(writer.finish()?);
        }
        Ok(())
    }

    /// Ends the last file; all of them.
    pub(super) fn finish(mut self) -> Result<Vec<FileEntry>> {
        self.end_file()?;
        Ok(self.written)
    }
}
