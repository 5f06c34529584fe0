//! One column of one page while it is being filled.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};

use super::scan::Raw;
use super::value::{self, Reading};
use crate::table::Kind;

/// A column that is NULL wherever nothing is put.
#[derive(Debug)]
pub(super) struct Builder {
    kind: Kind,
    values: Values,
    /// Rows up to the last one that something was put into.
    length: usize,
    /// Whether the last value is NULL.
    ends_in_null: bool,
}

/// The values so far, by their type.
#[derive(Debug)]
enum Values {
    Text(StringBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Boolean(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl Builder {
    /// With room for this many rows, and for this many bytes of text in them.
    pub(super) fn new(kind: Kind, capacity: usize, bytes: usize) -> Self {
        let values = match kind {
            Kind::Text | Kind::Body | Kind::Reference | Kind::Word(_) | Kind::Json => {
                Values::Text(StringBuilder::with_capacity(capacity, bytes))
            }
            Kind::Integer => Values::Integer(Int64Builder::with_capacity(capacity)),
            Kind::Float => Values::Float(Float64Builder::with_capacity(capacity)),
            Kind::Boolean => Values::Boolean(BooleanBuilder::with_capacity(capacity)),
            Kind::Timestamp => {
                let builder = TimestampMicrosecondBuilder::with_capacity(capacity);
                Values::Timestamp(builder.with_timezone("UTC"))
            }
        };
        Self { kind, values, length: 0, ends_in_null: true }
    }

    /// Whether anything was put into `row`, or into one after it.
    pub(super) fn has(&self, row: usize) -> bool {
        self.length > row
    }

    /// Whether there is a value in `row`, behind which there is none.
    pub(super) fn has_value(&self, row: usize) -> bool {
        self.has(row) && !self.ends_in_null
    }

    /// Puts a value into `row`, behind all that have one; false if NULL stands for a value that does not fit.
    pub(super) fn put(&mut self, row: usize, raw: Raw<'_>) -> bool {
        if self.length < row {
            self.fill(row);
        }
        self.length = row + 1;
        let is_null = &mut self.ends_in_null;
        match &mut self.values {
            Values::Text(builder) => {
                let reading = match self.kind {
                    Kind::Body => value::body(raw),
                    Kind::Reference => value::reference(raw),
                    Kind::Word(spellings) => value::word(raw, spellings),
                    Kind::Json => value::json(raw),
                    _ => value::text(raw),
                };
                settle(reading, is_null, |value| builder.append_option(value))
            }
            Values::Integer(builder) => {
                settle(value::integer(raw), is_null, |value| builder.append_option(value))
            }
            Values::Float(builder) => {
                settle(value::float(raw), is_null, |value| builder.append_option(value))
            }
            Values::Boolean(builder) => {
                settle(value::boolean(raw), is_null, |value| builder.append_option(value))
            }
            Values::Timestamp(builder) => {
                settle(value::timestamp(raw), is_null, |value| builder.append_option(value))
            }
        }
    }

    /// Fills up with NULL to `length` rows.
    fn fill(&mut self, length: usize) {
        let missing = length.saturating_sub(self.length);
        match &mut self.values {
            Values::Text(builder) => builder.append_nulls(missing),
            Values::Integer(builder) => builder.append_nulls(missing),
            Values::Float(builder) => builder.append_nulls(missing),
            Values::Boolean(builder) => builder.append_nulls(missing),
            Values::Timestamp(builder) => builder.append_nulls(missing),
        }
        self.length += missing;
    }

    /// Whether the last value is this text.
    pub(super) fn ends_with(&self, raw: Raw<'_>) -> bool {
        let Values::Text(builder) = &self.values else { return false };
        let [.., start, end] = *builder.offsets_slice() else { return false };
        let last = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        let last = last.and_then(|(start, end)| builder.values_slice().get(start..end));
        matches!(value::text(raw), Reading::Value(text) if Some(text.as_bytes()) == last)
    }

    /// Bytes of text so far.
    pub(super) fn bytes(&self) -> usize {
        match &self.values {
            Values::Text(builder) => builder.values_slice().len(),
            _ => 0,
        }
    }

    /// The column, of `length` rows.
    pub(super) fn finish(&mut self, length: usize) -> ArrayRef {
        self.fill(length);
        self.length = 0;
        match &mut self.values {
            Values::Text(builder) => Arc::new(builder.finish()),
            Values::Integer(builder) => Arc::new(builder.finish()),
            Values::Float(builder) => Arc::new(builder.finish()),
            Values::Boolean(builder) => Arc::new(builder.finish()),
            Values::Timestamp(builder) => Arc::new(builder.finish()),
        }
    }
}

#[inline]
fn settle<T>(reading: Reading<T>, is_null: &mut bool, append: impl FnOnce(Option<T>)) -> bool {
    let is_misfit = matches!(reading, Reading::Misfit);
    *is_null = !matches!(reading, Reading::Value(_));
    append(match reading {
        Reading::Value(value) => Some(value),
        Reading::Null | Reading::Misfit => None,
    });
    !is_misfit
}
