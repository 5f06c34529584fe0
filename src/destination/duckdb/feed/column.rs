//! One column on its way from batches into a vector of DuckDB's.

use ::duckdb::core::{ArrayVector, DataChunkHandle, FlatVector, Inserter, ListVector, StructVector};
use ::duckdb::vtab::arrow::{WritableVector, write_arrow_array_to_vector};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::concat;
use arrow::datatypes::DataType;

use super::Failure;

/// Writes a column that is there in pieces.
pub(super) fn write(
    pieces: impl Iterator<Item = ArrayRef>,
    output: &mut DataChunkHandle,
    at: usize,
) -> Result<(), Failure> {
    let pieces: Vec<ArrayRef> = pieces.collect();
    match pieces.as_slice() {
        [first, ..] if *first.data_type() == DataType::Utf8 => {
            write_text(&pieces, &mut output.flat_vector(at));
            Ok(())
        }
        [single] => write_arrow_array_to_vector(single, &mut Column { output, at }),
        pieces => {
            let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
            write_arrow_array_to_vector(&concat(&pieces)?, &mut Column { output, at })
        }
    }
}

/// Most columns are NULL in most rows: no text is handed over for those.
fn write_text(pieces: &[ArrayRef], vector: &mut FlatVector<'_>) {
    let texts = pieces.iter().flat_map(AsArray::as_string::<i32>);
    for (row, text) in texts.enumerate() {
        match text {
            Some(text) => vector.insert(row, text),
            None => vector.set_null(row),
        }
    }
}

/// One column of what is handed over.
struct Column<'a> {
    output: &'a mut DataChunkHandle,
    at: usize,
}

impl WritableVector for Column<'_> {
    fn array_vector(&mut self) -> ArrayVector<'_> {
        self.output.array_vector(self.at)
    }

    fn flat_vector(&mut self) -> FlatVector<'_> {
        self.output.flat_vector(self.at)
    }

    fn struct_vector(&mut self) -> StructVector<'_> {
        self.output.struct_vector(self.at)
    }

    fn list_vector(&mut self) -> ListVector<'_> {
        self.output.list_vector(self.at)
    }
}
