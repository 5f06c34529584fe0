//! Rows of a file in an object store: only the bytes of the columns that are wanted are asked for.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use parquet::DecodeResult;
use parquet::arrow::push_decoder::ParquetPushDecoder;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder};

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
    /// The rows that a decoder makes of the file.
    pub(in super::super) fn rows(
        self,
        decoder: ParquetPushDecoder,
    ) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> {
        Rows { file: self, decoder }
    }

    /// What the file says about itself, without its page index: whole columns are read anyway.
    pub(in super::super) fn metadata(&self) -> Result<Result<Arc<ParquetMetaData>, ParquetError>> {
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
