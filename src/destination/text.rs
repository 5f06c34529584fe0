//! Columns on their way to people.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};

/// The column, ready to be formatted: a time zone becomes UTC as an offset, since Arrow only formats named
/// ones, "UTC" among them, with a time zone database built in.
pub(super) fn in_utc(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            let moments = column.as_primitive::<TimestampMicrosecondType>().clone();
            Arc::new(moments.with_timezone("+00:00"))
        }
        _ => Arc::clone(column),
    }
}
