//! Rows on their way into a table: a temporary table, filled by the appender.
//!
//! The appender is positional and casts silently, so it only ever fills a table that was just created in the
//! batch's own column order.

use std::sync::Arc;

use ::duckdb::{Connection, Result};
use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::super::{Stamp, Target};
use super::sql::quoted;
use crate::table::timestamp_type;

/// Name of the temporary table.
pub(super) const STAGE: &str = "temp._ingest_stage";

/// Stages the rows of one table.
pub(super) fn rows(connection: &Connection, target: &Target, rows: Vec<RecordBatch>) -> Result<()> {
    let kinds = target.table.stored_columns();
    let schema = target.table.schema();
    let columns: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| {
            let sql = kinds.iter().find(|c| c.name == *field.name()).map_or("VARCHAR", |c| c.kind.sql());
            format!("{} {sql}", quoted(field.name()))
        })
        .collect();
    create(connection, &columns.join(", "))?;
    append(connection, rows)
}

/// Stages stamps as (`key`, `deleted_at`).
pub(super) fn stamps(connection: &Connection, stamps: &[Stamp]) -> Result<()> {
    create(connection, "key VARCHAR, deleted_at TIMESTAMP WITH TIME ZONE")?;
    let keys: StringArray = stamps.iter().map(|stamp| Some(stamp.key.as_str())).collect();
    let moments: TimestampMicrosecondArray =
        stamps.iter().map(|stamp| Some(stamp.deleted_at.as_microsecond())).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(moments.with_timezone("UTC"))];
    let schema = Schema::new(vec![
        Field::new("key", DataType::Utf8, true),
        Field::new("deleted_at", timestamp_type(), true),
    ]);
    let batch = RecordBatch::try_new(Arc::new(schema), columns)
        .map_err(|e| ::duckdb::Error::ToSqlConversionFailure(Box::new(e)))?;
    append(connection, vec![batch])
}

/// Drops what is staged.
pub(super) fn clear(connection: &Connection) -> Result<()> {
    connection.execute_batch(&format!("DROP TABLE {STAGE}"))
}

fn create(connection: &Connection, columns: &str) -> Result<()> {
    connection.execute_batch(&format!("CREATE OR REPLACE TEMP TABLE _ingest_stage ({columns})"))
}

fn append(connection: &Connection, batches: Vec<RecordBatch>) -> Result<()> {
    let mut appender = connection.appender_to_catalog_and_db("_ingest_stage", "temp", "main")?;
    for batch in batches {
        appender.append_record_batch(batch)?;
    }
    appender.flush()
}
