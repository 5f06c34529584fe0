//! A table as a declaration: name, columns, key, how it is asked for and how it is written.
//!
//! Everything else (requests, decoding, DDL, merge statements, documentation) is derived from these
//! declarations, so that adding a table is adding data.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// Column that holds, as one JSON object, what no declared column could take. Keys are dotted paths.
pub const EXTRA: &str = "_extra";
/// Column with the start, by the server's clock, of the pass that last wrote the row.
pub const INGESTED_AT: &str = "_ingested_at";
/// Column of merge tables: when the row was found to be gone from the source, else NULL.
pub const DELETED_AT: &str = "_deleted_at";

/// One thing with rows inside a source.
#[derive(Debug)]
pub struct TableSpec {
    /// Name in the source and in the destination.
    pub name: &'static str,
    /// The columns that identify a row.
    pub key: &'static [KeyColumn],
    /// The column that says when a row last changed, where there is one. Always a timestamp.
    pub cursor: Option<&'static str>,
    /// How rows meet those already stored.
    pub disposition: WriteDisposition,
    /// How the rows are asked for.
    pub endpoint: Endpoint,
    /// What the token must be allowed to do, in the words of Intercom's developer hub.
    pub permission: &'static str,
    /// Rows that the endpoint leaves out without a word for tokens that lack another permission.
    pub hidden: Option<Hidden>,
    /// The declared columns, in the contract's order; [`TableSpec::schema`] adds ours.
    pub columns: &'static [Column],
}

/// Rows that are only shown to tokens with a further permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hidden {
    /// What the rows are, for people.
    pub what: &'static str,
    /// The further permission.
    pub permission: &'static str,
    /// Search endpoint that needs the same permission and says so.
    pub path: &'static str,
}

/// One part of a table's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyColumn {
    /// The column's name.
    pub name: &'static str,
    /// Whether it may be NULL (equal to another NULL); a required one that is NULL fails the page.
    pub optional: bool,
}

/// The key of nearly every table.
pub const ID: &[KeyColumn] = &[KeyColumn { name: "id", optional: false }];

/// How rows meet those already stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteDisposition {
    /// New keys are inserted, known ones updated when the newcomer wins; nothing is removed.
    Merge,
    /// The rows of one pass are the table: keys that are not among them are removed.
    Replace,
}

impl WriteDisposition {
    /// The word shown to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Replace => "replace",
        }
    }
}

/// How the rows of a table are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST` with a query, sort and keyset cursor; dates are filtered by the server.
    Search {
        /// Path below the base URL.
        path: &'static str,
        /// Key of the answer that holds the rows.
        records: &'static str,
    },
    /// `GET` that hands out everything once, page after page, under one server-side scroll.
    Scroll {
        /// Path below the base URL.
        path: &'static str,
        /// Key of the answer that holds the rows.
        records: &'static str,
        /// Path of one object, to which `/{id}` is added.
        object: &'static str,
    },
    /// `GET` with page numbers, most recently updated first.
    Pages {
        /// Path below the base URL.
        path: &'static str,
        /// Key of the answer that holds the rows.
        records: &'static str,
    },
    /// One unpaged `GET` for each variant of the path's query.
    Lists {
        /// Path below the base URL.
        path: &'static str,
        /// Key of the answer that holds the rows.
        records: &'static str,
        /// Query of each request.
        queries: &'static [ListQuery],
    },
}

/// One of the requests an unpaged table is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListQuery {
    /// The query string without `?`; empty for none.
    pub query: &'static str,
    /// The newest API version (minor of 2.x, inclusive) that still answers it.
    pub until_minor: Option<u8>,
}

impl Endpoint {
    /// Method and path, as shown to people.
    pub fn describe(&self) -> String {
        let method = if matches!(self, Self::Search { .. }) { "POST" } else { "GET" };
        format!("{method} {}", self.path())
    }

    /// The path below the base URL.
    pub fn path(&self) -> &'static str {
        match self {
            Self::Search { path, .. }
            | Self::Scroll { path, .. }
            | Self::Pages { path, .. }
            | Self::Lists { path, .. } => path,
        }
    }

    /// The key of the answer that holds the rows.
    pub fn records(&self) -> &'static str {
        match self {
            Self::Search { records, .. }
            | Self::Scroll { records, .. }
            | Self::Pages { records, .. }
            | Self::Lists { records, .. } => records,
        }
    }
}

/// One declared column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Where the value stands in a row: keys joined with dots.
    pub path: &'static str,
    /// How the value is read and stored.
    pub kind: Kind,
}

impl Column {
    /// The column's name: the path with `_` for each dot.
    pub fn name(&self) -> String {
        self.path.replace('.', "_")
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
            Self::Text | Self::Body | Self::Reference | Self::Json => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Timestamp => timestamp_type(),
        }
    }

    /// The type as SQL knows it, which is also how it is shown to people.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Text | Self::Body | Self::Reference => "VARCHAR",
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
    Column { path, kind: Kind::Text }
}
/// Text that is NULL when empty.
pub const fn body(path: &'static str) -> Column {
    Column { path, kind: Kind::Body }
}
/// The id of another object, NULL when 0.
pub const fn reference(path: &'static str) -> Column {
    Column { path, kind: Kind::Reference }
}
/// A whole number.
pub const fn integer(path: &'static str) -> Column {
    Column { path, kind: Kind::Integer }
}
/// A boolean.
pub const fn boolean(path: &'static str) -> Column {
    Column { path, kind: Kind::Boolean }
}
/// A moment.
pub const fn timestamp(path: &'static str) -> Column {
    Column { path, kind: Kind::Timestamp }
}
/// A list or an open map.
pub const fn json(path: &'static str) -> Column {
    Column { path, kind: Kind::Json }
}

/// A column as it is stored: declared or ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredColumn {
    /// Name in the destination.
    pub name: String,
    /// Kind, which decides the destination's type.
    pub kind: Kind,
}

impl TableSpec {
    /// Every column of the stored table: the declared ones, `_extra`, `_ingested_at`, and for merge tables
    /// `_deleted_at`.
    pub fn stored_columns(&self) -> Vec<StoredColumn> {
        let mut columns: Vec<StoredColumn> =
            self.columns.iter().map(|c| StoredColumn { name: c.name(), kind: c.kind }).collect();
        columns.push(StoredColumn { name: EXTRA.into(), kind: Kind::Json });
        columns.push(StoredColumn { name: INGESTED_AT.into(), kind: Kind::Timestamp });
        if self.disposition == WriteDisposition::Merge {
            columns.push(StoredColumn { name: DELETED_AT.into(), kind: Kind::Timestamp });
        }
        columns
    }

    /// The schema of decoded batches: the declared columns, `_extra` and `_ingested_at`; all nullable.
    pub fn schema(&self) -> SchemaRef {
        let mut fields: Vec<Field> =
            self.columns.iter().map(|c| Field::new(c.name(), c.kind.arrow(), true)).collect();
        fields.push(Field::new(EXTRA, DataType::Utf8, true));
        fields.push(Field::new(INGESTED_AT, timestamp_type(), true));
        Arc::new(Schema::new(fields))
    }

    /// Changes exactly when the stored columns do; kept in the state to notice that.
    pub fn fingerprint(&self) -> String {
        // FNV-1a: stable over releases and platforms, which std's hasher does not promise.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for column in self.stored_columns() {
            for byte in column.name.bytes().chain([0]).chain(column.kind.sql().bytes()).chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        format!("{hash:016x}")
    }
}
