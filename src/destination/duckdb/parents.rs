//! The SQL about whose rows the rows of a table are: replacing them per parent, letting them go with it, and
//! what is noted about it.

use std::sync::Arc;

use ::duckdb::{Connection, Result, params};

use super::super::Target;
use super::merge::Rows;
use super::sql::{has_table, is_as_declared, name_of, prepare_table, qualified, quoted, same_key};
use super::stage::{STAGE, STAGED_KEYS};
use crate::ledger::Entry;
use crate::table::{DELETED_AT, MERGED_INTO, PARTS_TOTAL, PARTS_TRUNCATED};

fn lead_key(target: &Target) -> String {
    quoted(&target.table.lead_key())
}

/// Leaves out of what is staged the parents whose stored row is newer, and their rows.
pub(super) fn leave_out_outdated(connection: &Connection, target: &Target) -> Result<()> {
    let lead = target.table.lead();
    let Some(cursor) = lead.cursor else { return Ok(()) };
    if !has_table(connection, &target.schema, lead.name)? {
        return Ok(());
    }
    let (parents, cursor) = (qualified(&target.schema, lead.name), quoted(cursor));
    let (id, of) = (quoted(&lead.lead_key()), lead_key(target));
    connection.execute_batch(&format!(
        "DELETE FROM {STAGED_KEYS} AS p USING {parents} AS t WHERE t.{id} = p.key AND t.{cursor} > p.version;
         DELETE FROM {STAGE} WHERE {of} NOT IN (SELECT key FROM {STAGED_KEYS})"
    ))
}

/// Removes the rows that staged parents no longer have; their number.
pub(super) fn remove_absent(connection: &Connection, target: &Target) -> Result<u64> {
    let (table, of, same) = (name_of(target), lead_key(target), same_key(target.table));
    let sql = format!(
        "DELETE FROM {table} AS t WHERE t.{of} IN (SELECT key FROM {STAGED_KEYS} WHERE is_whole)
         AND NOT EXISTS (SELECT 1 FROM {STAGE} AS s WHERE {same})"
    );
    connection.execute(&sql, []).map(|rows| rows as u64)
}

/// Removes the rows of parents that are not staged; their number.
pub(super) fn remove_others(connection: &Connection, target: &Target) -> Result<u64> {
    let (table, of) = (name_of(target), lead_key(target));
    let sql = format!("DELETE FROM {table} WHERE {of} NOT IN (SELECT key FROM {STAGED_KEYS})");
    connection.execute(&sql, []).map(|rows| rows as u64)
}

/// Removes the rows of parents that are staged; their number.
pub(super) fn remove_with_parents(connection: &Connection, target: &Target) -> Result<u64> {
    let (table, of) = (name_of(target), lead_key(target));
    let sql = format!("DELETE FROM {table} WHERE {of} IN (SELECT key FROM {STAGED_KEYS})");
    connection.execute(&sql, []).map(|rows| rows as u64)
}

/// Stamps the rows of the lead rows that are staged; their number.
pub(super) fn stamp_staged(connection: &Connection, target: &Target) -> Result<u64> {
    let (table, of, stamp) = (name_of(target), lead_key(target), quoted(DELETED_AT));
    let merged = if target.table.is_merged {
        format!(", {} = s.merged_into", quoted(MERGED_INTO))
    } else {
        String::new()
    };
    let sql = format!(
        "UPDATE {table} AS t SET {stamp} = s.deleted_at{merged} FROM {STAGED_KEYS} AS s
         WHERE t.{of} = s.key AND t.{stamp} IS NULL"
    );
    connection.execute(&sql, []).map(|rows| rows as u64)
}

/// Takes back that the rows of the parents that are staged need not be read again: those that return have them
/// stamped.
pub(super) fn unsettle(connection: &Connection, target: &Target) -> Result<()> {
    connection.execute(
        &format!(
            "UPDATE _ingest.ledger SET parent_updated_at = NULL
             WHERE schema_name = lower(?) AND table_name = ? AND parent_id IN (SELECT key FROM {STAGED_KEYS})"
        ),
        params![&*target.schema, target.table.name],
    )?;
    Ok(())
}

/// Forgets what was noted about the parents of a table's rows.
pub(super) fn forget_entries(connection: &Connection, target: &Target) -> Result<()> {
    connection.execute(
        "DELETE FROM _ingest.ledger WHERE schema_name = lower(?) AND table_name = ?",
        params![&*target.schema, target.table.name],
    )?;
    Ok(())
}

/// Hands `each` the keys, each once, of the lead rows that rows without a stamp are about.
pub(super) fn live_keys(connection: &Connection, target: &Target, each: &mut dyn FnMut(&str)) -> Result<()> {
    if !has_table(connection, &target.schema, target.table.name)? {
        return Ok(());
    }
    let (table, of) = (name_of(target), lead_key(target));
    let is_own = target.table.key.len() == 1 && target.table.lead().name == target.table.name;
    let distinct = if is_own { "" } else { "DISTINCT " };
    let mut sql = format!("SELECT {distinct}{of} FROM {table} WHERE {of} IS NOT NULL");
    if target.table.has_stamps() {
        sql.push_str(&format!(" AND {} IS NULL", quoted(DELETED_AT)));
    }
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        each(row.get_ref(0)?.as_str().unwrap_or_default());
    }
    Ok(())
}

/// Saves the staged entries.
pub(super) fn save_entries(connection: &Connection, target: &Target) -> Result<()> {
    connection.execute(
        &format!(
            "MERGE INTO _ingest.ledger AS t
             USING (SELECT lower(?) AS schema_name, ? AS table_name, * FROM {STAGED_KEYS}) AS s
             ON t.schema_name = s.schema_name AND t.table_name = s.table_name AND t.parent_id = s.key
             WHEN MATCHED THEN UPDATE SET parent_updated_at = s.version, stated = s.stated,
                 total = coalesce(s.total, t.total),
                 shown = CASE WHEN s.total IS NULL THEN t.shown ELSE s.shown END, fetched_at = s.fetched_at
             WHEN NOT MATCHED THEN INSERT (schema_name, table_name, parent_id, parent_updated_at, stated, total,
                 shown, fetched_at)
                 VALUES (s.schema_name, s.table_name, s.key, s.version, s.stated, s.total, s.shown, s.fetched_at)"
        ),
        params![&*target.schema, target.table.name],
    )?;
    Ok(())
}

/// Takes the stamps off the rows of staged parents that were found: rows that are shown no more have nobody else
/// to say that they are back.
pub(super) fn unstamp_found(connection: &Connection, target: &Target) -> Result<()> {
    if !target.table.has_stamps() {
        return Ok(());
    }
    let (table, of, stamp) = (name_of(target), lead_key(target), quoted(DELETED_AT));
    connection.execute_batch(&format!(
        "UPDATE {table} AS t SET {stamp} = NULL FROM {STAGED_KEYS} AS e
         WHERE t.{of} = e.key AND e.total IS NOT NULL AND t.{stamp} IS NOT NULL"
    ))
}

/// Brings what the staged entries say into the rows of the lead table, if there is one.
pub(super) fn fill_from_entries(connection: &Connection, target: &Target) -> Result<()> {
    let lead = target.table.lead();
    let is_filled = lead.filled_by == Some(target.table.name);
    if !is_filled || !has_table(connection, &target.schema, lead.name)? {
        return Ok(());
    }
    let parents = Target { schema: Arc::clone(&target.schema), table: lead };
    // It may not be part of the commit, and older than these columns.
    prepare_table(connection, &parents)?;
    let of = lead_key(&parents);
    fill_with(connection, &parents, &format!("{STAGED_KEYS} AS e"), &format!("t.{of} = e.key"))
}

/// Brings what was noted earlier into stored rows whose keys are among `rows`; for rows that are new.
pub(super) fn fill(connection: &Connection, target: &Target, rows: &Rows) -> Result<()> {
    let Some(filled_by) = target.table.filled_by else { return Ok(()) };
    let of = lead_key(target);
    let known = format!(
        "(SELECT l.parent_id AS key, l.total, l.shown FROM _ingest.ledger AS l JOIN {} AS s
          ON l.parent_id = s.{of} WHERE l.schema_name = lower('{}') AND l.table_name = '{filled_by}') AS e",
        rows.relation(),
        target.schema.replace('\'', "''"),
    );
    fill_with(connection, target, &known, &format!("t.{of} = e.key"))
}

fn fill_with(connection: &Connection, target: &Target, entries: &str, same: &str) -> Result<()> {
    let (table, truncated, total) = (name_of(target), quoted(PARTS_TRUNCATED), quoted(PARTS_TOTAL));
    connection.execute_batch(&format!(
        "UPDATE {table} AS t SET {truncated} = (e.total > e.shown), {total} = e.total FROM {entries}
         WHERE {same} AND e.total IS NOT NULL AND (t.{truncated} IS DISTINCT FROM (e.total > e.shown)
             OR t.{total} IS DISTINCT FROM e.total)"
    ))
}

/// Hands `each` the entries of a table.
pub(super) fn entries(connection: &Connection, target: &Target, each: &mut dyn FnMut(Entry)) -> Result<()> {
    // What was noted of a table that was dropped since, or that lacks columns, is no reason to leave rows out.
    if !is_as_declared(connection, target)? || !has_table(connection, "_ingest", "ledger")? {
        return Ok(());
    }
    let mut statement = connection.prepare(
        "SELECT parent_id, epoch_us(parent_updated_at), stated, total, shown, epoch_us(fetched_at)
         FROM _ingest.ledger WHERE schema_name = lower(?) AND table_name = ?",
    )?;
    let mut rows = statement.query(params![&*target.schema, target.table.name])?;
    while let Some(row) = rows.next()? {
        let fetched_at = jiff::Timestamp::from_microsecond(row.get(5)?).unwrap_or(jiff::Timestamp::MIN);
        each(Entry {
            key: row.get(0)?,
            version: row.get(1)?,
            stated: row.get(2)?,
            total: row.get(3)?,
            shown: row.get(4)?,
            fetched_at,
        });
    }
    Ok(())
}
