//! What is asked of DuckDB, and nothing that decides when.
//!
//! Names are always quoted and columns always named: `UPDATE` and `INSERT` by position swap columns silently
//! once a table has grown. Moments are compared by `epoch_us`, which means UTC with and without the ICU
//! extension; casts of `TIMESTAMP WITH TIME ZONE` do not.

use std::collections::HashSet;

use ::duckdb::{Connection, Result, ToSql, params};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use jiff::Timestamp;

use super::super::{PastRun, RunRecord, Target, in_utc};
use super::stage::STAGE;
use crate::table::{DELETED_AT, Kind, StoredColumn, TableSpec};

/// An identifier, quoted.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) fn qualified(schema: &str, table: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(table))
}

pub(super) fn name_of(target: &Target) -> String {
    qualified(&target.schema, target.table.name)
}

/// Our own tables, in `_ingest`.
pub(super) const OWN_TABLES: [&str; 3] = ["state", "runs", "ledger"];

/// Creates [`OWN_TABLES`] where they are missing.
pub(super) fn prepare_own_tables(connection: &Connection) -> Result<()> {
    connection.execute_batch(
        "CREATE SCHEMA IF NOT EXISTS _ingest;
         CREATE TABLE IF NOT EXISTS _ingest.state (
             schema_name VARCHAR, table_name VARCHAR, revision UBIGINT,
             checkpoint TIMESTAMP WITH TIME ZONE, state JSON);
         CREATE TABLE IF NOT EXISTS _ingest.runs (
             run_id VARCHAR, schema_name VARCHAR, table_name VARCHAR,
             started_at TIMESTAMP WITH TIME ZONE, finished_at TIMESTAMP WITH TIME ZONE, outcome VARCHAR,
             rows_new UBIGINT, rows_changed UBIGINT, rows_unchanged UBIGINT, rows_removed UBIGINT,
             rows_stamped UBIGINT, rows_live UBIGINT, requests UBIGINT, error VARCHAR, rejected JSON);
         CREATE TABLE IF NOT EXISTS _ingest.ledger (
             schema_name VARCHAR, table_name VARCHAR, parent_id VARCHAR,
             parent_updated_at TIMESTAMP WITH TIME ZONE, stated BIGINT, total BIGINT, shown BIGINT,
             fetched_at TIMESTAMP WITH TIME ZONE);",
    )
}

/// Schema and name of all tables, in lower case: one question about all of them, where [`has_table`] would ask one for
/// each.
pub(super) fn tables(connection: &Connection) -> Result<HashSet<(String, String)>> {
    connection
        .prepare(
            "SELECT lower(schema_name), lower(table_name) FROM duckdb_tables()
             WHERE database_name = current_database()",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Whether `tables` has this one; names are compared as DuckDB does, ignoring case.
pub(super) fn contains(tables: &HashSet<(String, String)>, schema: &str, table: &str) -> bool {
    tables.contains(&(schema.to_lowercase(), table.to_lowercase()))
}

/// Whether a table exists; schema and table are compared as DuckDB does, ignoring case.
///
/// Only a table gets an appender, and is looked up at once for it. To answer `duckdb_tables()`, DuckDB first parses
/// all views of its system, which takes longer than all else that a run without news asks of it.
pub(super) fn has_table(connection: &Connection, schema: &str, table: &str) -> Result<bool> {
    match connection.appender_to_db(table, schema) {
        Ok(_unused) => return Ok(true),
        Err(error) if error.to_string().ends_with("could not be found") => return Ok(false),
        // A file that is open to be read has no appenders, and a view has none either.
        Err(_) => {}
    }
    connection.query_row(
        "SELECT count(*) > 0 FROM duckdb_tables()
         WHERE database_name = current_database() AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?)",
        params![schema, table],
        |row| row.get(0),
    )
}

/// Whether a view stands where the table should.
pub(super) fn is_view(connection: &Connection, target: &Target) -> Result<bool> {
    connection.query_row(
        "SELECT count(*) > 0 FROM duckdb_views()
         WHERE database_name = current_database() AND lower(schema_name) = lower(?) AND lower(view_name) = lower(?)",
        params![&*target.schema, target.table.name],
        |row| row.get(0),
    )
}

/// Whether the table is there with every column that is declared today.
pub(super) fn is_as_declared(connection: &Connection, target: &Target) -> Result<bool> {
    let existing = columns_of(connection, target)?;
    Ok(target.table.stored_columns().iter().all(|column| existing.contains(&column.name.to_lowercase())))
}

/// The names of a table's columns, in lower case; none if there is no such table.
pub(super) fn columns_of(connection: &Connection, target: &Target) -> Result<Vec<String>> {
    columns(connection, &target.schema, target.table.name)
}

/// Asks about the one table: `duckdb_columns()` takes 5 ms for the views of the system, whatever is asked of it.
fn columns(connection: &Connection, schema: &str, table: &str) -> Result<Vec<String>> {
    // What is not there is an error, which would end the transaction.
    if !has_table(connection, schema, table)? {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare("SELECT lower(name) FROM pragma_table_info(?)")?;
    statement.query_map(params![qualified(schema, table)], |row| row.get(0))?.collect()
}

/// Creates the table, or adds the columns it lacks. A column that the table has and the declaration has not
/// is left alone.
pub(super) fn prepare_table(connection: &Connection, target: &Target) -> Result<()> {
    let table = name_of(target);
    let existing = columns_of(connection, target)?;
    let columns = target.table.stored_columns();
    if existing.is_empty() {
        // Long text: much smaller, and less CPU, than what DuckDB finds by trying.
        let compression =
            if has_zstd(&storage_version(connection)?) { " USING COMPRESSION zstd" } else { "" };
        let column = |c: &StoredColumn| {
            let compression = if matches!(c.kind, Kind::Json | Kind::Body) { compression } else { "" };
            format!("{} {}{compression}", quoted(&c.name), c.kind.sql())
        };
        let (schema, list) = (quoted(&target.schema), columns.iter().map(column).collect::<Vec<_>>());
        return connection.execute_batch(&format!(
            "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE TABLE {table} ({});",
            list.join(", ")
        ));
    }
    for column in columns.iter().filter(|c| !existing.contains(&c.name.to_lowercase())) {
        let (name, kind) = (quoted(&column.name), column.kind.sql());
        connection.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {name} {kind}"))?;
    }
    Ok(())
}

/// The oldest release that can open the file, such as `v1.2.0+`.
fn storage_version(connection: &Connection) -> Result<String> {
    connection.query_row(
        "SELECT coalesce(tags['storage_version'], '') FROM duckdb_databases() WHERE database_name = current_database()",
        [],
        |row| row.get(0),
    )
}

/// Whether a file of that version may hold what is compressed with zstd, which came with 1.2.
fn has_zstd(storage_version: &str) -> bool {
    let mut numbers = storage_version.trim_start_matches('v').split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (1, 2),
        _ => false,
    }
}

/// The condition under which a stored row `t` and a staged row `s` are the same.
pub(super) fn same_key(table: &TableSpec) -> String {
    let parts = table.key.iter().map(|key| {
        let name = quoted(key.name);
        let operator = if key.optional { "IS NOT DISTINCT FROM" } else { "=" };
        format!("t.{name} {operator} s.{name}")
    });
    parts.collect::<Vec<_>>().join(" AND ")
}

/// Rows that are staged.
pub(super) fn count_staged(connection: &Connection) -> Result<u64> {
    connection.query_row(&format!("SELECT count(*) FROM {STAGE}"), [], |row| row.get(0))
}

/// Rows without a stamp, of a table that is as declared.
pub(super) fn count_live(connection: &Connection, target: &Target) -> Result<u64> {
    let deleted =
        if target.table.has_stamps() { format!("count({})", quoted(DELETED_AT)) } else { "0".into() };
    let sql = format!("SELECT count(*) - {deleted} FROM {}", name_of(target));
    connection.query_row(&sql, [], |row| row.get(0))
}

/// Rows without and with a stamp.
pub(super) fn count_rows(connection: &Connection, schema: &str, table: &str) -> Result<(u64, u64)> {
    let has_stamps = columns(connection, schema, table)?.iter().any(|name| name == DELETED_AT);
    let deleted = if has_stamps { format!("count({})", quoted(DELETED_AT)) } else { "0".into() };
    let sql = format!("SELECT count(*) - {deleted}, {deleted} FROM {}", qualified(schema, table));
    connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Replaces the state of a table.
pub(super) fn write_state(
    connection: &Connection,
    target: &Target,
    revision: u64,
    state: &str,
    checkpoint: Option<Timestamp>,
) -> Result<()> {
    connection.execute(
        "DELETE FROM _ingest.state WHERE lower(schema_name) = lower(?) AND table_name = ?",
        params![&*target.schema, target.table.name],
    )?;
    // to_timestamp() takes seconds and means UTC without ICU; the exact moment is in the document.
    connection.execute(
        "INSERT INTO _ingest.state BY NAME SELECT ? AS schema_name, ? AS table_name, ? AS revision,
         to_timestamp(CAST(? AS BIGINT)) AS checkpoint, CAST(? AS JSON) AS state",
        params![&*target.schema, target.table.name, revision, checkpoint.map(Timestamp::as_second), state],
    )?;
    Ok(())
}

/// Schema, table, revision and state of every table.
pub(super) fn all_states(connection: &Connection) -> Result<Vec<(String, String, u64, String)>> {
    connection
        .prepare(
            "SELECT schema_name, table_name, revision, state::VARCHAR FROM _ingest.state
             ORDER BY schema_name, table_name",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect()
}

/// Adds a line to the log of runs.
pub(super) fn insert_run(connection: &Connection, run: &RunRecord) -> Result<()> {
    // Files of earlier versions lack the column, which hardly any run needs.
    let (rejected, column) = match serde_json::to_string(&run.rejected) {
        Ok(rejected) if !run.rejected.is_empty() => {
            let adding = "ALTER TABLE _ingest.runs ADD COLUMN IF NOT EXISTS rejected JSON";
            connection.execute_batch(adding)?;
            (Some(rejected), ", CAST(? AS JSON) AS rejected")
        }
        _ => (None, ""),
    };
    // To the microsecond: two runs in one second are told apart by it. A DOUBLE holds that many digits.
    let micros = |moment: Timestamp| moment.as_microsecond();
    let sql = format!(
        "INSERT INTO _ingest.runs BY NAME SELECT ? AS run_id, ? AS schema_name, ? AS table_name,
         to_timestamp(CAST(? AS DOUBLE) / 1000000) AS started_at,
         to_timestamp(CAST(? AS DOUBLE) / 1000000) AS finished_at,
         ? AS outcome, ? AS rows_new, ? AS rows_changed, ? AS rows_unchanged, ? AS rows_removed,
         ? AS rows_stamped, ? AS rows_live, ? AS requests, ? AS error{column}"
    );
    let (started_at, finished_at) = (micros(run.started_at), micros(run.finished_at));
    let mut values: Vec<&dyn ToSql> = vec![
        &run.run_id,
        &run.schema,
        &run.table,
        &started_at,
        &finished_at,
        &run.outcome,
        &run.committed.new,
        &run.committed.changed,
        &run.committed.unchanged,
        &run.committed.removed,
        &run.committed.stamped,
        &run.committed.live,
        &run.requests,
        &run.error,
    ];
    values.extend(rejected.iter().map(|rejected| rejected as &dyn ToSql));
    connection.execute(&sql, values.as_slice())?;
    Ok(())
}

/// The latest lines of the log of runs, newest first.
pub(super) fn latest_runs(connection: &Connection, limit: usize) -> Result<Vec<PastRun>> {
    if !has_table(connection, "_ingest", "runs")? {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT epoch_us(finished_at), schema_name || '.' || table_name, outcome,
                rows_new, rows_changed, rows_removed, error
         FROM _ingest.runs ORDER BY finished_at DESC, run_id DESC, rowid LIMIT {limit}"
    );
    connection
        .prepare(&sql)?
        .query_map([], |row| {
            Ok(PastRun {
                finished_at: row.get(0)?,
                table: row.get(1)?,
                outcome: row.get(2)?,
                rows: (row.get(3)?, row.get(4)?, row.get(5)?),
                error: row.get(6)?,
            })
        })?
        .collect()
}

/// The column names and the values as text of a query's rows.
pub(super) fn text_rows(connection: &Connection, sql: &str) -> Result<Vec<Vec<String>>> {
    let broken = |e: arrow::error::ArrowError| {
        ::duckdb::Error::FromSqlConversionFailure(0, ::duckdb::types::Type::Any, Box::new(e))
    };
    let mut statement = connection.prepare(sql)?;
    let mut lines = Vec::new();
    for batch in statement.query_arrow([])? {
        if lines.is_empty() {
            lines.push(batch.schema().fields().iter().map(|field| field.name().clone()).collect());
        }
        let options = FormatOptions::default();
        let readable: Vec<_> = batch.columns().iter().map(in_utc).collect();
        let columns = readable.iter().map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>().map_err(broken)?;
        for row in 0..batch.num_rows() {
            lines.push(columns.iter().map(|column| column.value(row).to_string()).collect());
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted(r#"a"b"#), r#""a""b""#);
    }

    #[test]
    fn compression_of_json_is_for_files_that_may_have_it() {
        for (version, expected) in [
            ("v1.2.0+", true),
            ("v1.10.0+", true),
            ("v2.0.0+", true),
            ("v1.1.3+", false),
            ("v0.10.2+", false),
            ("v1.0.0-v1.1.3", false),
            ("", false),
        ] {
            assert_eq!(has_zstd(version), expected, "{version}");
        }
    }
}
