//! Rows on their way into a table: a temporary table, filled by the appender.
//!
//! The appender is positional and casts silently, so it only ever fills a table that was just created in the
//! batch's own column order.

use std::collections::HashMap;
use std::sync::Arc;

use ::duckdb::{Connection, Result};
use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema};

use super::super::{Parent, Stamp, Target};
use super::sql::quoted;
use crate::ledger::Entry;
use crate::table::Kind;

/// Name of the temporary table for rows.
pub(super) const STAGE: &str = "temp._ingest_stage";
/// Name of the temporary table for what concerns the rows of the lead table: `key` and what is said of it.
pub(super) const STAGED_KEYS: &str = "temp._ingest_keys";

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
    create(connection, STAGE, &columns.join(", "))?;
    append(connection, STAGE, rows)
}

/// Stages bare keys as (`key`).
pub(super) fn keys(connection: &Connection, keys: &[String]) -> Result<()> {
    let keys: StringArray = keys.iter().map(|key| Some(key.as_str())).collect();
    lead_rows(connection, vec![("key", Kind::Text, Arc::new(keys))])
}

/// Stages stamps as (`key`, `deleted_at`, `merged_into`).
pub(super) fn stamps(connection: &Connection, stamps: &[Stamp]) -> Result<()> {
    let keys: StringArray = stamps.iter().map(|stamp| Some(stamp.key.as_str())).collect();
    let merged: StringArray = stamps.iter().map(|stamp| stamp.merged_into.as_deref()).collect();
    let moments = moments(stamps.iter().map(|stamp| Some(stamp.deleted_at.as_microsecond())));
    lead_rows(
        connection,
        vec![
            ("key", Kind::Text, Arc::new(keys)),
            ("deleted_at", Kind::Timestamp, moments),
            ("merged_into", Kind::Text, Arc::new(merged)),
        ],
    )
}

/// Stages parents as (`key`, `version`, `is_whole`).
pub(super) fn parents(connection: &Connection, parents: &[Parent]) -> Result<()> {
    let keys: StringArray = parents.iter().map(|parent| Some(parent.key.as_str())).collect();
    let versions = moments(parents.iter().map(|parent| parent.version));
    let whole: BooleanArray = parents.iter().map(|parent| Some(parent.is_whole)).collect();
    lead_rows(
        connection,
        vec![
            ("key", Kind::Text, Arc::new(keys)),
            ("version", Kind::Timestamp, versions),
            ("is_whole", Kind::Boolean, Arc::new(whole)),
        ],
    )
}

/// Stages entries as (`key`, `version`, `stated`, `total`, `shown`, `fetched_at`), those of a key as one.
pub(super) fn entries(connection: &Connection, entries: &[Entry]) -> Result<()> {
    let mut last: HashMap<&str, Entry> = HashMap::new();
    for entry in entries {
        let entry_now = entry.after(last.get(entry.key.as_str()));
        last.insert(&entry.key, entry_now);
    }
    let entries: Vec<Entry> = last.into_values().collect();
    let keys: StringArray = entries.iter().map(|entry| Some(entry.key.as_str())).collect();
    let number = |of: fn(&Entry) -> Option<i64>| -> ArrayRef {
        Arc::new(entries.iter().map(of).collect::<Int64Array>())
    };
    let fetched = moments(entries.iter().map(|entry| Some(entry.fetched_at.as_microsecond())));
    lead_rows(
        connection,
        vec![
            ("key", Kind::Text, Arc::new(keys)),
            ("version", Kind::Timestamp, moments(entries.iter().map(|entry| entry.version))),
            ("stated", Kind::Integer, number(|entry| entry.stated)),
            ("total", Kind::Integer, number(|entry| entry.total)),
            ("shown", Kind::Integer, number(|entry| Some(entry.shown))),
            ("fetched_at", Kind::Timestamp, fetched),
        ],
    )
}

fn moments(micros: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn lead_rows(connection: &Connection, columns: Vec<(&str, Kind, ArrayRef)>) -> Result<()> {
    let list: Vec<String> =
        columns.iter().map(|(name, kind, _)| format!("{} {}", quoted(name), kind.sql())).collect();
    create(connection, STAGED_KEYS, &list.join(", "))?;
    let fields: Vec<Field> =
        columns.iter().map(|(name, kind, _)| Field::new(*name, kind.arrow(), true)).collect();
    let arrays = columns.into_iter().map(|(_, _, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|e| ::duckdb::Error::ToSqlConversionFailure(Box::new(e)))?;
    append(connection, STAGED_KEYS, vec![batch])
}

/// Drops what is staged.
pub(super) fn clear(connection: &Connection) -> Result<()> {
    connection.execute_batch(&format!("DROP TABLE IF EXISTS {STAGE}; DROP TABLE IF EXISTS {STAGED_KEYS}"))
}

fn create(connection: &Connection, table: &str, columns: &str) -> Result<()> {
    let name = unqualified(table);
    connection.execute_batch(&format!("CREATE OR REPLACE TEMP TABLE {name} ({columns})"))
}

fn append(connection: &Connection, table: &str, batches: Vec<RecordBatch>) -> Result<()> {
    let mut appender = connection.appender_to_catalog_and_db(unqualified(table), "temp", "main")?;
    for batch in batches {
        appender.append_record_batch(batch)?;
    }
    appender.flush()
}

fn unqualified(table: &str) -> &str {
    table.trim_start_matches("temp.")
}
