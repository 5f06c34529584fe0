//! Columns: where a value stands, what it is called, how it is read and stored.

use arrow::datatypes::{DataType, TimeUnit};

/// One declared column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Where the value stands in a row: keys joined with dots. Empty for a row that is no object but the value
    /// itself.
    pub path: &'static str,
    /// Further places where API versions put the same value, for rows that have none at `path`. Another column
    /// may stand there too; so may an object, which is then not meant.
    pub also_at: &'static [&'static str],
    /// Whether the path leads into the row of the parent, for tables whose rows stand inside another's.
    pub of_parent: bool,
    /// How the value is read and stored.
    pub kind: Kind,
    name: Option<&'static str>,
}

impl Column {
    const fn new(path: &'static str, kind: Kind) -> Self {
        Self { path, also_at: &[], of_parent: false, kind, name: None }
    }

    /// The same column under a name that does not follow from its path.
    #[must_use]
    pub const fn named(self, name: &'static str) -> Self {
        Self { name: Some(name), ..self }
    }

    /// The same column, whose value other API versions put elsewhere.
    #[must_use]
    pub const fn or_at(self, also_at: &'static [&'static str]) -> Self {
        Self { also_at, ..self }
    }

    /// The same column, with a value of the parent's row.
    #[must_use]
    pub const fn of_parent(self) -> Self {
        Self { of_parent: true, ..self }
    }

    /// The column's name: the path with `_` for each dot, unless it was given one.
    pub fn name(&self) -> String {
        self.name.map_or_else(|| self.path.replace('.', "_"), str::to_owned)
    }
}

/// How a value is read and stored. Every column is nullable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text; numbers and booleans are taken by their digits and words.
    Text,
    /// Text whose empty value means that there is none.
    Body,
    /// The id of another object as text; 0, "0" and "" mean that there is none.
    Reference,
    /// Text out of a vocabulary that API versions spell differently: what they say, and what is stored for it.
    Word(&'static [(&'static str, &'static str)]),
    /// A whole number of 64 bits.
    Integer,
    /// A double.
    Float,
    /// A boolean.
    Boolean,
    /// A moment: epoch seconds (number or text) or ISO 8601 text; UTC, microseconds, years 0001 to 9999.
    Timestamp,
    /// A list or an open map, as the JSON text that arrived.
    Json,
}

impl Kind {
    /// The Arrow type of such a column.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Text | Self::Body | Self::Reference | Self::Word(_) | Self::Json => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Timestamp => timestamp_type(),
        }
    }

    /// The type as SQL knows it, which is also how it is shown to people.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Text | Self::Body | Self::Reference | Self::Word(_) => "VARCHAR",
            Self::Integer => "BIGINT",
            Self::Float => "DOUBLE",
            Self::Boolean => "BOOLEAN",
            Self::Timestamp => "TIMESTAMP WITH TIME ZONE",
            Self::Json => "JSON",
        }
    }
}

/// Microseconds since the epoch, UTC.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Text.
pub const fn text(path: &'static str) -> Column {
    Column::new(path, Kind::Text)
}
/// Text that is NULL when empty.
pub const fn body(path: &'static str) -> Column {
    Column::new(path, Kind::Body)
}
/// The id of another object, NULL when 0.
pub const fn reference(path: &'static str) -> Column {
    Column::new(path, Kind::Reference)
}
/// A word of a vocabulary; see [`Kind::Word`].
pub const fn word(path: &'static str, spellings: &'static [(&'static str, &'static str)]) -> Column {
    Column::new(path, Kind::Word(spellings))
}
/// A whole number.
pub const fn integer(path: &'static str) -> Column {
    Column::new(path, Kind::Integer)
}
/// A double.
pub const fn float(path: &'static str) -> Column {
    Column::new(path, Kind::Float)
}
/// A boolean.
pub const fn boolean(path: &'static str) -> Column {
    Column::new(path, Kind::Boolean)
}
/// A moment.
pub const fn timestamp(path: &'static str) -> Column {
    Column::new(path, Kind::Timestamp)
}
/// A list or an open map.
pub const fn json(path: &'static str) -> Column {
    Column::new(path, Kind::Json)
}
