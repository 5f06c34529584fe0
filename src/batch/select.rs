//! Picking rows of a batch by their dates.

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::TimestampMicrosecondType;

/// The whole seconds of a date column, row by row; NULL is `None`, as is a column that is not there.
pub fn seconds(batch: &RecordBatch, column: &str) -> Vec<Option<i64>> {
    let dates = batch.column_by_name(column).and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
    match dates {
        Some(dates) => dates.iter().map(|micros| micros.map(|micros| micros.div_euclid(1_000_000))).collect(),
        None => vec![None; batch.num_rows()],
    }
}

/// The rows, by position, that are to be kept, in their order.
pub fn filter(batch: &RecordBatch, keep: impl Fn(usize) -> bool) -> RecordBatch {
    let keep: Vec<bool> = (0..batch.num_rows()).map(keep).collect();
    if keep.iter().all(|keep| *keep) {
        return batch.clone();
    }
    // Never an error: the mask has the batch's own length.
    filter_record_batch(batch, &BooleanArray::from(keep)).unwrap_or_else(|_| batch.clone())
}
