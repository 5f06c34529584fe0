//! A table as a declaration: name, columns, key, how it is asked for and how it is written.
//!
//! Everything else (requests, decoding, DDL, merge statements, documentation) is derived from these
//! declarations, so that adding a table is adding data.

mod column;
mod endpoint;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

pub use column::{
    Column, Kind, body, boolean, float, integer, json, reference, text, timestamp, timestamp_type, word,
};
pub use endpoint::{Address, Endpoint, Inside, List, More};

/// Column that holds, as one JSON object, what no declared column could take. Keys are dotted paths.
pub const EXTRA: &str = "_extra";
/// Column with the start, by the server's clock, of the pass that last wrote the row.
pub const INGESTED_AT: &str = "_ingested_at";
/// Column of merge tables: when the row was found to be gone from the source, else NULL.
pub const DELETED_AT: &str = "_deleted_at";
/// Column of tables whose rows can be merged in the source: the id of the row that this one went into.
pub const MERGED_INTO: &str = "_merged_into";
/// Among [`TableSpec::filled`]: whether the source no longer shows all rows of a table inside this one.
pub const PARTS_TRUNCATED: &str = "parts_truncated";
/// Among [`TableSpec::filled`]: how many rows of a table inside this one the source states.
pub const PARTS_TOTAL: &str = "parts_total_count";

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
    /// The oldest API version (minor of 2.x, inclusive) that has it.
    pub since_minor: u8,
    /// What the token must be allowed to do, in the words of Intercom's developer hub.
    pub permission: &'static str,
    /// Rows that the endpoint leaves out without a word for tokens that lack another permission.
    pub hidden: Option<Hidden>,
    /// Path of one object, to which `/{id}` is added. Where there is one, rows that are no longer shown are asked
    /// for one by one and, if they are gone, stamped.
    pub object: Option<&'static str>,
    /// Whether the source has rows of it at all times, so that an answer without any is wrong.
    pub is_never_empty: bool,
    /// Whether the source merges rows, and names the row that another went into.
    pub is_merged: bool,
    /// Whether the table is read only when it is named, because it costs a request for every row or needs a
    /// permission that few tokens have.
    pub opt_in: bool,
    /// Paths of a row whose values belong to tables of their own.
    pub elsewhere: &'static [&'static str],
    /// What becomes of fields without a column.
    pub unknown: Unknown,
    /// The declared columns, in the contract's order; [`TableSpec::schema`] adds ours.
    pub columns: &'static [Column],
    /// Columns that are not read from the row: [`PARTS_TRUNCATED`] and [`PARTS_TOTAL`].
    pub filled: &'static [Column],
    /// The table inside this one whose pass fills them.
    pub filled_by: Option<&'static str>,
}

/// What becomes of fields without a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// They are kept in [`EXTRA`] and counted.
    Kept,
    /// They are left out: the whole object is in a table of its own.
    LeftOut,
}

/// What most tables have in common; the rest of a declaration is added to it.
pub const PLAIN: TableSpec = TableSpec {
    name: "",
    key: ID,
    cursor: None,
    disposition: WriteDisposition::Replace,
    endpoint: Endpoint::Lists { records: "data", lists: &[] },
    since_minor: 0,
    permission: "",
    hidden: None,
    object: None,
    is_never_empty: false,
    is_merged: false,
    opt_in: false,
    elsewhere: &[],
    unknown: Unknown::Kept,
    columns: &[],
    filled: &[],
    filled_by: None,
};

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
    /// The table whose id it is, if it is that of another one.
    pub refers_to: Option<&'static str>,
}

impl KeyColumn {
    /// A part that every row has.
    pub const fn required(name: &'static str) -> Self {
        Self { name, optional: false, refers_to: None }
    }

    /// A part that may be NULL.
    pub const fn optional(name: &'static str) -> Self {
        Self { name, optional: true, refers_to: None }
    }

    /// The same part, as the id of a row of another table.
    #[must_use]
    pub const fn of(self, table: &'static str) -> Self {
        Self { refers_to: Some(table), ..self }
    }
}

/// The key of nearly every table.
pub const ID: &[KeyColumn] = &[KeyColumn::required("id")];

/// How rows meet those already stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteDisposition {
    /// New keys are inserted, known ones updated when the newcomer wins; nothing is removed.
    Merge,
    /// The rows of one pass are the table: keys that are not among them are removed.
    Replace,
    /// The rows of one parent are all it has: its keys that are not among them are removed.
    PerParent {
        /// The column that holds the parent's key.
        parent: &'static str,
    },
}

impl WriteDisposition {
    /// The word shown to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Replace => "replace",
            Self::PerParent { .. } => "replace per parent",
        }
    }
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
    /// The table whose endpoint is read for this one: the parent of a table inside another, else itself.
    pub fn lead(&'static self) -> &'static TableSpec {
        match &self.endpoint {
            Endpoint::Inside(inside) => inside.parent,
            _ => self,
        }
    }

    /// The table of the groups that are gone through for this one, if they are.
    pub fn groups(&self) -> Option<&'static TableSpec> {
        match self.endpoint {
            Endpoint::Sweep { groups, .. } => Some(groups),
            _ => None,
        }
    }

    /// Everything that the token must be allowed to do, for people.
    pub fn permissions(&self) -> String {
        let of_groups = self.groups().map(|groups| groups.permission);
        match of_groups.filter(|permission| *permission != self.permission) {
            Some(further) => format!("{}, {further}", self.permission),
            None => self.permission.to_owned(),
        }
    }

    /// How the rows stand inside those of another table, if they do.
    pub fn inside(&self) -> Option<&Inside> {
        match &self.endpoint {
            Endpoint::Inside(inside) => Some(inside),
            _ => None,
        }
    }

    /// The column that holds the key of the lead table's row: its own key, or that of the parent.
    pub fn lead_key(&self) -> String {
        let of_parent = || self.columns.iter().find(|c| c.of_parent && c.path == "id").map(Column::name);
        match self.disposition {
            WriteDisposition::PerParent { parent } => Some(parent.to_owned()),
            _ => of_parent(),
        }
        .or_else(|| self.key.first().map(|key| key.name.to_owned()))
        .unwrap_or_default()
    }

    /// Whether rows that are gone from the source stay, with a stamp.
    pub fn has_stamps(&self) -> bool {
        self.disposition == WriteDisposition::Merge
    }

    /// Every column of the stored table: the declared ones, those filled by others, `_extra`, `_ingested_at`,
    /// for merge tables `_deleted_at`, and `_merged_into` where rows are merged.
    pub fn stored_columns(&self) -> Vec<StoredColumn> {
        let declared = self.columns.iter().chain(self.filled);
        let mut columns: Vec<StoredColumn> =
            declared.map(|c| StoredColumn { name: c.name(), kind: c.kind }).collect();
        let mut add = |name: &str, kind| columns.push(StoredColumn { name: name.into(), kind });
        add(EXTRA, Kind::Json);
        add(INGESTED_AT, Kind::Timestamp);
        if self.has_stamps() {
            add(DELETED_AT, Kind::Timestamp);
        }
        if self.is_merged {
            add(MERGED_INTO, Kind::Text);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::intercom::tables::find;

    #[test]
    fn the_lead_key_is_in_every_row() {
        for (name, lead, key) in [
            ("contacts", "contacts", "id"),
            ("tags", "tags", "id"),
            ("conversation_parts", "conversations", "conversation_id"),
            ("ticket_parts", "tickets", "ticket_id"),
            ("conversation_tags", "conversations", "conversation_id"),
            ("contact_companies", "contacts", "contact_id"),
            ("team_admins", "teams", "team_id"),
            ("ticket_type_attributes", "ticket_types", "ticket_type_id"),
            // Read group by group: a table of its own.
            ("contact_tags", "contact_tags", "tag_id"),
            ("contact_segments", "contact_segments", "segment_id"),
        ] {
            let table = find(name).unwrap();
            assert_eq!((table.lead().name, table.lead_key().as_str()), (lead, key), "{name}");
        }
    }

    #[test]
    fn our_own_columns_come_last() {
        for (name, expected) in [
            ("contacts", "_extra _ingested_at _deleted_at _merged_into"),
            ("conversations", "parts_truncated parts_total_count _extra _ingested_at _deleted_at"),
            ("tickets", "parts_truncated parts_total_count _extra _ingested_at _deleted_at"),
            ("conversation_parts", "_extra _ingested_at _deleted_at"),
            ("conversation_tags", "_extra _ingested_at"),
            ("tags", "_extra _ingested_at"),
        ] {
            let table = find(name).unwrap();
            let columns = table.stored_columns();
            let ours: Vec<&str> =
                columns[table.columns.len()..].iter().map(|column| column.name.as_str()).collect();
            assert_eq!(ours.join(" "), expected, "{name}");
            // Rows on their way have what can be read of them.
            let fields: Vec<String> =
                table.schema().fields().iter().map(|field| field.name().clone()).collect();
            assert_eq!(fields[table.columns.len()..], [EXTRA, INGESTED_AT], "{name}");
        }
    }

    #[test]
    fn a_fingerprint_changes_with_names_and_types_alone() {
        const fn with(columns: &'static [Column]) -> TableSpec {
            TableSpec { columns, ..PLAIN }
        }
        const ONE: TableSpec = with(&[text("id"), text("a")]);
        const FILLED: &[Column] = &[boolean("b")];
        const OF_BODY: &[Column] = &[text("id"), body("a")];
        const NAMED: &[Column] = &[text("id"), text("x.y").named("a")];
        const NUMBER: &[Column] = &[text("id"), integer("a")];
        const OTHER: &[Column] = &[text("id"), text("b")];
        const SWAPPED: &[Column] = &[text("a"), text("id")];
        for (changed, is_same) in [
            (TableSpec { permission: "another", ..ONE }, true),
            (with(OF_BODY), true),
            (with(NAMED), true),
            (with(NUMBER), false),
            (with(OTHER), false),
            (with(SWAPPED), false),
            (TableSpec { filled: FILLED, ..ONE }, false),
            (TableSpec { disposition: WriteDisposition::Merge, ..ONE }, false),
            (TableSpec { is_merged: true, ..ONE }, false),
        ] {
            assert_eq!(changed.fingerprint() == ONE.fingerprint(), is_same, "{changed:?}");
        }
    }
}
