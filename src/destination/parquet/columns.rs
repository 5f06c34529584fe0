//! The columns of stored rows: their types, and which of them say something about the row itself.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use crate::table::{
    DELETED_AT, INGESTED_AT, Kind, MERGED_INTO, PARTS_TOTAL, PARTS_TRUNCATED, StoredColumn, TableSpec,
};

/// The mark of a column whose text is JSON. It is ours alone and stays in memory: in the files such a column is text like any
/// other (`docs/decisions/0019-parquet.md`), and the list of files says what it is.
const MARK: &str = "ingest:kind";
const JSON: &str = "JSON";

/// How the rows of one set of files are built.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    /// As they are stored; all nullable.
    pub(super) stored: SchemaRef,
    /// As they come: for each stored column its place in an incoming batch, if it has one.
    pub(super) brought: Vec<Option<usize>>,
    /// The schema of incoming batches.
    pub(super) incoming: SchemaRef,
    /// The same with the types that are stored.
    pub(super) adapted: SchemaRef,
    /// Places, among the stored columns, of the parts of the key.
    pub(super) key: Vec<usize>,
    /// The key of the lead table's row that the row is about.
    pub(super) lead: usize,
    /// The date by which the newer of two rows is told.
    pub(super) cursor: Option<usize>,
    /// When the row was read.
    pub(super) ingested: Option<usize>,
    /// When it was found to be gone, and into what it was merged.
    pub(super) deleted: Option<usize>,
    pub(super) merged: Option<usize>,
    /// Whether parts are missing, and how many there are: filled by another table's pass.
    pub(super) filled: Option<(usize, usize)>,
}

/// The columns of a ledger, in their order.
pub(super) const LEDGER: [(&str, Kind); 6] = [
    ("parent_id", Kind::Text),
    ("parent_updated_at", Kind::Timestamp),
    ("stated", Kind::Integer),
    ("total", Kind::Integer),
    ("shown", Kind::Integer),
    ("fetched_at", Kind::Timestamp),
];

/// A ledger's columns: one row for each parent.
pub(super) static OF_LEDGER: LazyLock<Columns> = LazyLock::new(|| {
    let fields: Vec<Field> = LEDGER.iter().map(|(name, kind)| field(name, *kind)).collect();
    let stored: SchemaRef = Arc::new(Schema::new(fields));
    Columns {
        brought: (0..LEDGER.len()).map(Some).collect(),
        incoming: Arc::clone(&stored),
        adapted: Arc::clone(&stored),
        stored,
        key: vec![0],
        lead: 0,
        cursor: None,
        ingested: None,
        deleted: None,
        merged: None,
        filled: None,
    }
});

impl Columns {
    /// Those of a table. What its files have stays as it is: names that differ in case, types, and, after the others,
    /// columns that are no longer declared.
    pub(super) fn of(table: &TableSpec, known: &[(String, String)]) -> Self {
        let declared = table.stored_columns();
        let as_known = |column: &StoredColumn| {
            let known = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(&column.name));
            known.map_or_else(|| field(&column.name, column.kind), |(name, sql)| of_sql(name, sql))
        };
        let mut fields: Vec<Field> = declared.iter().map(as_known).collect();
        let is_declared = |name: &str| declared.iter().any(|column| column.name.eq_ignore_ascii_case(name));
        let left = known.iter().filter(|(name, _)| !is_declared(name));
        fields.extend(left.map(|(name, sql)| of_sql(name, sql)));
        let incoming = table.schema();
        let place = |name: &str| fields.iter().position(|field| field.name().eq_ignore_ascii_case(name));
        let comes = |field: &Field| {
            incoming.fields().iter().position(|new| new.name().eq_ignore_ascii_case(field.name()))
        };
        let brought: Vec<Option<usize>> = fields.iter().map(comes).collect();
        let adapted = incoming.fields().iter().enumerate().map(|(at, new)| {
            let stored = brought.iter().position(|brought| *brought == Some(at));
            let kind = stored.map_or(new.data_type(), |stored| fields[stored].data_type());
            new.as_ref().clone().with_data_type(kind.clone())
        });
        let adapted = Arc::new(Schema::new(adapted.collect::<Vec<_>>()));
        let (truncated, total) = (place(PARTS_TRUNCATED), place(PARTS_TOTAL));
        Self {
            key: table.key.iter().filter_map(|key| place(key.name)).collect(),
            lead: place(&table.lead_key()).unwrap_or_default(),
            cursor: table.cursor.and_then(place),
            ingested: place(INGESTED_AT),
            deleted: place(DELETED_AT).filter(|_| table.has_stamps()),
            merged: place(MERGED_INTO).filter(|_| table.is_merged),
            filled: truncated.zip(total).filter(|_| !table.filled.is_empty()),
            brought,
            incoming,
            adapted,
            stored: Arc::new(Schema::new(fields)),
        }
    }

    /// Names and SQL types, as they are noted beside the files.
    pub(super) fn named(&self) -> Vec<(String, String)> {
        self.stored.fields().iter().map(|field| (field.name().clone(), sql(field).to_owned())).collect()
    }

    /// Whether there is JSON among them.
    pub(super) fn have_json(&self) -> bool {
        self.stored.fields().iter().any(|field| is_json(field))
    }

    /// An incoming batch with the types that are stored. One with columns of another table is an error.
    pub(super) fn adapt(&self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        if *batch.schema() != *self.incoming {
            return Err(ArrowError::SchemaError("rows with columns of another table".into()));
        }
        if self.adapted == self.incoming {
            return Ok(batch);
        }
        let columns = batch.columns().iter().zip(self.adapted.fields()).map(|(column, field)| {
            if column.data_type() == field.data_type() {
                return Ok(Arc::clone(column));
            }
            let strictly = CastOptions { safe: false, ..CastOptions::default() };
            // What Arrow says quotes the value.
            cast_with_options(column, field.data_type(), &strictly).map_err(|_| {
                ArrowError::SchemaError(format!(
                    "column {} is stored as {}, which cannot take what it has become; remove the folder of the table \
                     to have it loaded again",
                    field.name(),
                    sql(field)
                ))
            })
        });
        RecordBatch::try_new(Arc::clone(&self.adapted), columns.collect::<Result<_, _>>()?)
    }

    /// A stored batch that may be older than these columns, with all of them.
    pub(super) fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = self.stored.fields().iter().map(|field| match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
            Some(_) => Err(ArrowError::SchemaError(format!("column {} has another type", field.name()))),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        });
        RecordBatch::try_new(Arc::clone(&self.stored), columns.collect::<Result<_, _>>()?)
    }
}

fn field(name: &str, kind: Kind) -> Field {
    let field = Field::new(name, kind.arrow(), true);
    if kind == Kind::Json { as_json(field) } else { field }
}

fn as_json(field: Field) -> Field {
    field.with_metadata(HashMap::from([(MARK.to_owned(), JSON.to_owned())]))
}

fn is_json(field: &Field) -> bool {
    field.metadata().get(MARK).is_some_and(|kind| kind == JSON)
}

/// The type as SQL knows it.
fn sql(field: &Field) -> &'static str {
    match field.data_type() {
        DataType::Int64 => Kind::Integer.sql(),
        DataType::Float64 => Kind::Float.sql(),
        DataType::Boolean => Kind::Boolean.sql(),
        DataType::Timestamp(..) => Kind::Timestamp.sql(),
        _ if is_json(field) => Kind::Json.sql(),
        _ => Kind::Text.sql(),
    }
}

/// A column by the type that was noted.
fn of_sql(name: &str, sql: &str) -> Field {
    let kinds = [Kind::Integer, Kind::Float, Kind::Boolean, Kind::Timestamp, Kind::Json];
    field(name, kinds.into_iter().find(|kind| kind.sql() == sql).unwrap_or(Kind::Text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::intercom::tables::{TABLES, find};

    #[test]
    fn types_are_noted_so_that_they_are_found_again() {
        for table in TABLES {
            let columns = Columns::of(table, &[]);
            let expected: Vec<_> =
                table.stored_columns().into_iter().map(|c| (c.name, c.kind.sql().to_owned())).collect();
            assert_eq!(columns.named(), expected, "{}", table.name);
            let anew = columns.named().iter().map(|(name, sql)| of_sql(name, sql)).collect::<Vec<_>>();
            assert_eq!(Schema::new(anew), *columns.stored, "{}", table.name);
        }
    }

    #[test]
    fn columns_that_are_no_longer_declared_stay() {
        let tags = find("tags").unwrap();
        let known = [("old".to_owned(), "BIGINT".to_owned()), ("NAME".to_owned(), "VARCHAR".to_owned())];
        let columns = Columns::of(tags, &known);
        assert_eq!(columns.named().last(), Some(&known[0]));
        let name = columns.stored.index_of("NAME").unwrap();
        assert!(columns.brought[name].is_some() && columns.stored.index_of("name").is_err());
        assert_eq!(columns.stored.fields().len(), tags.stored_columns().len() + 1);
        assert_eq!(columns.brought.last(), Some(&None));
    }

    #[test]
    fn a_type_that_is_stored_stays() {
        let tags = find("tags").unwrap();
        let known = [("name".to_owned(), "BIGINT".to_owned())];
        let columns = Columns::of(tags, &known);
        let rows = |name: &str| {
            let mut page = crate::batch::Decoder::new(crate::batch::Layout::new(tags)).rows(1);
            page.push_list(&format!(r#"[{{"id":"1","name":"{name}"}}]"#)).unwrap();
            page.finish(jiff::Timestamp::UNIX_EPOCH).unwrap().0
        };
        let adapted = columns.adapt(rows("12")).unwrap();
        assert_eq!(adapted.column_by_name("name").unwrap().data_type(), &DataType::Int64);
        let error = columns.adapt(rows("a secret")).unwrap_err().to_string();
        assert!(error.contains("column name is stored as BIGINT") && !error.contains("secret"), "{error}");
    }
}
