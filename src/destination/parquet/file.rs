//! One Parquet file: how it is written, and how it is read.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderBuilder, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::arrow::push_decoder::ParquetPushDecoderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::columns::Columns;
use super::keys::{Keys, text_column};
use super::manifest::FileEntry;
use super::storage::{Batches, Files, Part, Sink, Source};
use crate::error::{Error, ErrorKind, Result};

/// Rows of a batch that is read.
pub(super) const BATCH: usize = 1024;
/// The same where many files are read at a time.
pub(super) const SMALL_BATCH: usize = 256;
/// Rows of a row group at most. Readers skip whole groups by their least and greatest values.
const GROUP_ROWS: usize = 122_880;
/// Memory that a row group may take while it is written: it is kept until it ends.
const GROUP_MEMORY: usize = 24 << 20;
/// Bytes of a page, and of a dictionary, before they are packed. Each column has one of both in memory.
const PAGE_BYTES: usize = 128 << 10;

/// The same of files that are only read as a whole, many at a time.
const WAITING_PAGE_BYTES: usize = 16 << 10;
/// And memory of a row group of theirs: from an object store it is fetched at once.
const WAITING_GROUP_MEMORY: usize = 2 << 20;

/// What helps where a file is not there any more.
pub(super) const GONE: &str =
    "somebody removed the file; remove the folder of the table too to have it loaded again";
/// What helps where a file is not what was written.
const REMOVE_TO_RELOAD: &str = "remove the folder of the table to have it loaded again";

/// A file that is being written.
pub(super) struct Writer {
    columns: Columns,
    shown: String,
    inner: ArrowWriter<Sink>,
    group_memory: usize,
    entry: FileEntry,
}

impl Writer {
    /// Begins a file of that name.
    pub(super) fn create(files: Files<'_>, name: String, columns: &Columns, part: Part) -> Result<Self> {
        let sink = files.storage.create(files.table, &name)?;
        let shown = files.storage.shown(files.table, &name);
        let options = ArrowWriterOptions::new()
            .with_properties(properties(columns, part)?)
            // What the Parquet schema says is all that is meant; some tools warn of what else they find.
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(sink, Arc::clone(&columns.stored), options)
            .map_err(|e| failed("written", &shown, e))?;
        let group_memory = if part == Part::Waiting { WAITING_GROUP_MEMORY } else { GROUP_MEMORY };
        let (first, last) = (Vec::new(), Vec::new());
        let entry = FileEntry { name, rows: 0, deleted: 0, bytes: 0, first, last, leads: None };
        Ok(Self { columns: columns.clone(), shown, inner: writer, group_memory, entry })
    }

    /// Adds rows, whose keys come after those before.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let broken = |e| Error::new(ErrorKind::Destination, "rows cannot be written").with_source(e);
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let keys = Keys::of(batch, &self.columns.key).map_err(broken)?;
        if self.entry.rows == 0 {
            self.entry.first = keys.key(0);
        } else if keys.compare_to(0, &self.entry.last).is_le() {
            let message = format!("{}: rows are not in the order of their keys", self.shown);
            return Err(Error::new(ErrorKind::Destination, message).with_hint(REMOVE_TO_RELOAD));
        }
        self.entry.last = keys.key(batch.num_rows() - 1);
        let leads = text_column(batch, self.columns.lead).map_err(broken)?;
        for lead in leads.iter().flatten() {
            let (least, greatest) =
                self.entry.leads.get_or_insert_with(|| (lead.to_owned(), lead.to_owned()));
            if greatest.as_str() < lead {
                lead.clone_into(greatest);
            }
            if lead < least.as_str() {
                lead.clone_into(least);
            }
        }
        let deleted = self.columns.deleted.map(|place| batch.column(place));
        self.entry.deleted += deleted.map_or(0, |stamps| (stamps.len() - stamps.null_count()) as u64);
        self.entry.rows += batch.num_rows() as u64;
        self.inner.write(batch).map_err(|e| unwritten(&self.shown, e))?;
        if self.inner.memory_size() >= self.group_memory {
            self.inner.flush().map_err(|e| unwritten(&self.shown, e))?;
        }
        Ok(())
    }

    /// Bytes so far, near enough.
    pub(super) fn bytes(&self) -> u64 {
        (self.inner.bytes_written() + self.inner.in_progress_size()) as u64
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<FileEntry> {
        self.inner.finish().map_err(|e| unwritten(&self.shown, e))?;
        self.inner.inner_mut().finish().map_err(|e| unwritten(&self.shown, e))?;
        self.entry.bytes = self.inner.bytes_written() as u64;
        Ok(self.entry)
    }
}

fn properties(columns: &Columns, part: Part) -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(1)
        .map_err(|e| Error::new(ErrorKind::Destination, "zstd has no such level").with_source(e))?;
    let sorted = columns.key.iter().filter_map(|place| i32::try_from(*place).ok());
    let sorted = sorted.map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: true });
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("ingest ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_page_size_limit(PAGE_BYTES / 2)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(sorted.collect()));
    if part == Part::Waiting {
        // Read from the first row to the last, together with many others: a page of each column is in memory.
        let properties = properties
            .set_data_page_size_limit(WAITING_PAGE_BYTES)
            .set_dictionary_page_size_limit(WAITING_PAGE_BYTES)
            .set_statistics_enabled(EnabledStatistics::None);
        return Ok(properties.build());
    }
    for place in columns.key.iter().chain([&columns.lead]) {
        let path = ColumnPath::from(columns.stored.field(*place).name().as_str());
        properties = properties.set_column_bloom_filter_enabled(path.clone(), true);
        if columns.key.as_slice() == [*place] {
            // No value repeats.
            properties = properties.set_column_dictionary_enabled(path, false);
        }
    }
    Ok(properties.build())
}

/// Reads columns of a file, in their order, from the first row to the last or only rows that were selected.
pub(super) fn read(
    source: Source,
    shown: &str,
    names: Option<&[&str]>,
    selection: Option<RowSelection>,
    batch: usize,
) -> Result<Batches> {
    let unreadable = |e| failed("read", shown, e).with_hint(REMOVE_TO_RELOAD);
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    match source {
        Source::Local(file) => {
            let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options);
            let reader = builder.and_then(|builder| of_these(builder, names, selection, batch).build());
            Ok(Box::new(reader.map_err(unreadable)?))
        }
        Source::Object(file) => {
            let builder = file.metadata()?.and_then(|metadata| {
                ParquetPushDecoderBuilder::try_new_decoder_with_options(metadata, options)
            });
            let decoder = builder.and_then(|builder| of_these(builder, names, selection, batch).build());
            Ok(Box::new(file.rows(decoder.map_err(unreadable)?)))
        }
    }
}

/// A reader of these columns and rows alone.
fn of_these<T>(
    builder: ArrowReaderBuilder<T>,
    names: Option<&[&str]>,
    selection: Option<RowSelection>,
    batch: usize,
) -> ArrowReaderBuilder<T> {
    let mut builder = builder.with_batch_size(batch);
    if let Some(names) = names {
        let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
        builder = builder.with_projection(mask);
    }
    match selection {
        Some(selection) => builder.with_row_selection(selection),
        None => builder,
    }
}

/// A file that is not what was written.
pub(super) fn changed(shown: &str) -> Error {
    Error::new(ErrorKind::Destination, format!("{shown} was changed by somebody else"))
        .with_hint(REMOVE_TO_RELOAD)
}

/// What went wrong with a file.
pub(super) fn failed(what: &str, shown: &str, source: impl Into<crate::error::BoxError>) -> Error {
    let source = source.into();
    said_already(source.as_ref()).unwrap_or_else(|| {
        Error::new(ErrorKind::Destination, format!("{shown} cannot be {what}")).with_source(source)
    })
}

/// What stands in a chain of causes if it went through other crates on its way here: it says all there is to say.
fn said_already(mut cause: &(dyn std::error::Error + 'static)) -> Option<Error> {
    loop {
        if let Some(own) = cause.downcast_ref::<Error>() {
            return Some(own.clone());
        }
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match inner {
            Some(inner) => inner,
            None => cause.source()?,
        };
    }
}

fn unwritten(shown: &str, source: impl Into<crate::error::BoxError>) -> Error {
    let source = source.into();
    let words = source.to_string();
    let full = ["No space left on device", "Disk quota exceeded", "File too large"];
    let is_full = full.iter().any(|reason| words.contains(reason));
    let error = failed("written", shown, source);
    if is_full {
        error.with_hint("there is no room; nothing was lost, make some and run again")
    } else {
        error
    }
}
