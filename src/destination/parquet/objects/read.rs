//! Rows of a file in an object store: only the bytes of the columns that are wanted are asked for.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use parquet::DecodeResult;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, RowSelection};
use parquet::arrow::push_decoder::{ParquetPushDecoder, ParquetPushDecoderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder};

use super::super::storage::Batches;
use super::bucket::Bucket;
use crate::error::Result;

/// Bytes at the end of a file that are asked for at first: as a rule all that says what is in it.
const TAIL: u64 = 128 << 10;

/// A file of which some bytes can be asked for.
#[derive(Debug, Clone)]
pub(in super::super) struct ObjectFile {
    pub(super) bucket: Arc<Bucket>,
    pub(super) name: String,
    pub(super) bytes: u64,
}

/// Rows on their way.
struct Rows {
    file: ObjectFile,
    decoder: ParquetPushDecoder,
}

impl ObjectFile {
    /// Reads columns, in their order, from the first row to the last or only rows that were selected.
    pub(in super::super) fn read(
        self,
        options: ArrowReaderOptions,
        batch_size: usize,
        names: Option<&[&str]>,
        selection: Option<RowSelection>,
    ) -> Result<Result<Batches, ParquetError>> {
        let metadata = match self.metadata()? {
            Ok(metadata) => metadata,
            Err(error) => return Ok(Err(error)),
        };
        let decoder = || {
            let builder = ParquetPushDecoderBuilder::try_new_decoder_with_options(metadata, options)?;
            let mut builder = builder.with_batch_size(batch_size);
            if let Some(names) = names {
                let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
                builder = builder.with_projection(mask);
            }
            if let Some(selection) = selection {
                builder = builder.with_row_selection(selection);
            }
            builder.build()
        };
        Ok(decoder().map(|decoder| Box::new(Rows { file: self, decoder }) as Batches))
    }

    /// What the file says about itself, without its page index: whole columns are read anyway.
    fn metadata(&self) -> Result<Result<Arc<ParquetMetaData>, ParquetError>> {
        let mut decoder = match ParquetMetaDataPushDecoder::try_new(self.bytes) {
            Ok(decoder) => decoder.with_page_index_policy(PageIndexPolicy::Skip),
            Err(error) => return Ok(Err(error)),
        };
        let tail = self.bytes.saturating_sub(TAIL)..self.bytes;
        let mut wanted = vec![tail];
        loop {
            let bytes = self.bucket.ranges(&self.name, wanted.clone())?;
            let next = decoder.push_ranges(wanted, bytes).and_then(|()| decoder.try_decode());
            match next {
                Ok(DecodeResult::NeedsData(ranges)) => wanted = ranges,
                Ok(DecodeResult::Data(metadata)) => return Ok(Ok(Arc::new(metadata))),
                Ok(DecodeResult::Finished) => {
                    return Ok(Err(ParquetError::General("the file does not say what is in it".to_owned())));
                }
                Err(error) => return Ok(Err(error)),
            }
        }
    }
}

impl Iterator for Rows {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let ranges = match self.decoder.try_decode() {
                Ok(DecodeResult::Data(batch)) => return Some(Ok(batch)),
                Ok(DecodeResult::Finished) => return None,
                Ok(DecodeResult::NeedsData(ranges)) => ranges,
                Err(error) => return Some(Err(error.into())),
            };
            let pushed = self
                .file
                .bucket
                .ranges(&self.file.name, ranges.clone())
                .map_err(|e| ArrowError::ExternalError(e.into()));
            let pushed = pushed.and_then(|bytes| Ok(self.decoder.push_ranges(ranges, bytes)?));
            if let Err(error) = pushed {
                return Some(Err(error));
            }
        }
    }
}
