//! Arrow builders by kind of column.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};

use super::scan::Raw;
use super::value::{self, Reading};
use crate::table::Kind;

/// One column of one page while it is being filled.
#[derive(Debug)]
pub(super) enum Builder {
    Text(StringBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Boolean(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl Builder {
    pub(super) fn new(kind: Kind, capacity: usize) -> Self {
        match kind {
            Kind::Text | Kind::Body | Kind::Reference | Kind::Word(_) | Kind::Json => {
                Self::Text(StringBuilder::with_capacity(capacity, 16 * capacity))
            }
            Kind::Integer => Self::Integer(Int64Builder::with_capacity(capacity)),
            Kind::Float => Self::Float(Float64Builder::with_capacity(capacity)),
            Kind::Boolean => Self::Boolean(BooleanBuilder::with_capacity(capacity)),
            Kind::Timestamp => {
                let builder = TimestampMicrosecondBuilder::with_capacity(capacity);
                Self::Timestamp(builder.with_timezone("UTC"))
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(builder) => builder.len(),
            Self::Integer(builder) => builder.len(),
            Self::Float(builder) => builder.len(),
            Self::Boolean(builder) => builder.len(),
            Self::Timestamp(builder) => builder.len(),
        }
    }

    /// Fills up with NULL to `length` rows.
    pub(super) fn fill(&mut self, length: usize) {
        let missing = length.saturating_sub(self.len());
        if missing == 0 {
            return;
        }
        match self {
            Self::Text(builder) => builder.append_nulls(missing),
            Self::Integer(builder) => builder.append_nulls(missing),
            Self::Float(builder) => builder.append_nulls(missing),
            Self::Boolean(builder) => builder.append_nulls(missing),
            Self::Timestamp(builder) => builder.append_nulls(missing),
        }
    }

    /// Appends the value or NULL; false if NULL stands for a value that does not fit.
    pub(super) fn append(&mut self, kind: Kind, raw: Raw<'_>) -> bool {
        match self {
            Self::Text(builder) => {
                let reading = match kind {
                    Kind::Body => value::body(raw),
                    Kind::Reference => value::reference(raw),
                    Kind::Word(spellings) => value::word(raw, spellings),
                    Kind::Json => value::json(raw),
                    _ => value::text(raw),
                };
                settle(reading, builder, StringBuilder::append_value, StringBuilder::append_null)
            }
            Self::Integer(builder) => {
                settle(value::integer(raw), builder, Int64Builder::append_value, Int64Builder::append_null)
            }
            Self::Float(builder) => {
                settle(value::float(raw), builder, Float64Builder::append_value, Float64Builder::append_null)
            }
            Self::Boolean(builder) => settle(
                value::boolean(raw),
                builder,
                BooleanBuilder::append_value,
                BooleanBuilder::append_null,
            ),
            Self::Timestamp(builder) => settle(
                value::timestamp(raw),
                builder,
                TimestampMicrosecondBuilder::append_value,
                TimestampMicrosecondBuilder::append_null,
            ),
        }
    }

    /// Whether the last value is this text.
    pub(super) fn ends_with(&self, raw: Raw<'_>) -> bool {
        let Self::Text(builder) = self else { return false };
        let [.., start, end] = *builder.offsets_slice() else { return false };
        let last = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        let last = last.and_then(|(start, end)| builder.values_slice().get(start..end));
        matches!(value::text(raw), Reading::Value(text) if Some(text.as_bytes()) == last)
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
        }
    }
}

fn settle<B, T>(
    reading: Reading<T>,
    builder: &mut B,
    append: impl Fn(&mut B, T),
    null: impl Fn(&mut B),
) -> bool {
    match reading {
        Reading::Value(value) => append(builder, value),
        Reading::Null => null(builder),
        Reading::Misfit => {
            null(builder);
            return false;
        }
    }
    true
}
