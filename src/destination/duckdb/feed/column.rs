//! One column on its way from batches into a vector of DuckDB's.

use std::ffi::c_char;

use ::duckdb::core::{ArrayVector, DataChunkHandle, FlatVector, ListVector, StructVector};
use ::duckdb::ffi::{
    duckdb_string_t, duckdb_string_t__bindgen_ty_1, duckdb_string_t__bindgen_ty_1__bindgen_ty_1 as Pointer,
    duckdb_string_t__bindgen_ty_1__bindgen_ty_2 as Inlined,
};
use ::duckdb::vtab::arrow::{WritableVector, write_arrow_array_to_vector};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::concat;
use arrow::datatypes::DataType;

use super::Failure;

/// Bytes of a text that DuckDB keeps in place.
const INLINED: usize = 12;

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

/// Hands over where the texts stand, and no copy of them: DuckDB would take its memory for one, and what it throws when
/// there is none left cannot pass through here. So the pieces have to outlive the chunk.
fn write_text(pieces: &[ArrayRef], vector: &mut FlatVector<'_>) {
    let texts = pieces.iter().flat_map(AsArray::as_string::<i32>);
    for (row, _) in texts.clone().enumerate().filter(|(_, text)| text.is_none()) {
        vector.set_null(row);
    }
    let rows = pieces.iter().map(Array::len).sum();
    #[expect(
        unsafe_code,
        reason = "DuckDB's own form of a text; the vector is one of texts and holds this many rows"
    )]
    let slots = unsafe { vector.as_mut_slice_with_len::<duckdb_string_t>(rows) };
    for (slot, text) in slots.iter_mut().zip(texts) {
        *slot = in_place(text.unwrap_or_default());
    }
}

/// DuckDB's form of a text: short ones stand in it, others are pointed at.
fn in_place(text: &str) -> duckdb_string_t {
    let bytes = text.as_bytes();
    // Arrow's texts have 32-bit offsets.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let value = if bytes.len() <= INLINED {
        duckdb_string_t__bindgen_ty_1 { inlined: Inlined { length, inlined: beginning(bytes) } }
    } else {
        let ptr = bytes.as_ptr().cast_mut().cast();
        duckdb_string_t__bindgen_ty_1 { pointer: Pointer { length, prefix: beginning(bytes), ptr } }
    };
    duckdb_string_t { value }
}

/// The first `N` bytes, filled up with zeros.
fn beginning<const N: usize>(bytes: &[u8]) -> [c_char; N] {
    let mut beginning = [0; N];
    for (to, from) in beginning.iter_mut().zip(bytes) {
        *to = from.cast_signed();
    }
    beginning
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
