//! How rows meet those that are stored.
//!
//! Nothing is updated in place: a row that changed is taken out and put in anew. An update rewrites, at the next
//! checkpoint, every column of each row group that it touches, and keeps all new values in memory until then;
//! what is taken out costs a few bytes.

use ::duckdb::{Connection, OptionalExt, Result};
use jiff::Timestamp;

use super::super::Target;
use super::feed::{Feed, NUMBER};
use super::sql::{columns_of, name_of, quoted, same_key};
use super::stage::STAGE;
use crate::table::{DELETED_AT, INGESTED_AT, MERGED_INTO, TableSpec};

/// Rows that are known: their number among the new rows, where they stand in the table, and what their dates say.
const KNOWN: &str = "temp._ingest_known";
/// The numbers of known rows that differ although their dates do not.
const DIFFERENT: &str = "temp._ingest_different";
/// The known rows, and what becomes of them.
const MET: &str = "temp._ingest_met";

/// Rows on their way in, one per key.
pub(super) enum Rows {
    /// In batches, and nobody else needs them.
    Fed(Feed),
    /// In the temporary table, where others still look at them; their number.
    Staged(u64),
}

impl Rows {
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Fed(feed) => feed.rows(),
            Self::Staged(rows) => *rows,
        }
    }

    /// The rows in FROM, with [`NUMBER`].
    pub(super) fn relation(&self) -> String {
        match self {
            Self::Fed(feed) => feed.relation(),
            Self::Staged(_) => format!("(SELECT *, rowid AS {} FROM {STAGE})", quoted(NUMBER)),
        }
    }

    /// The rows in the FROM of the last statement that reads them.
    fn last_relation(&self) -> String {
        match self {
            Self::Fed(feed) => feed.last_relation(),
            Self::Staged(_) => self.relation(),
        }
    }
}

/// What became of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Merged {
    pub(super) new: u64,
    pub(super) changed: u64,
    pub(super) unchanged: u64,
    /// Further rows with a key that is met: somebody put them there by hand.
    pub(super) removed: u64,
}

/// Brings rows into a table that has none of their keys.
pub(super) fn insert(connection: &Connection, target: &Target, rows: &Rows) -> Result<Merged> {
    connection.execute(&insert_sql(target, rows, None), [])?;
    Ok(Merged { new: rows.count(), ..Merged::default() })
}

/// Brings rows into the table, some of which it may have; see `Destination::commit`.
pub(super) fn merge(
    connection: &Connection,
    target: &Target,
    rows: &Rows,
    supersedes_before: Timestamp,
) -> Result<Merged> {
    let others = columns_of_others(connection, target)?;
    connection.execute_batch(&know_sql(target, rows, supersedes_before))?;
    connection.execute_batch(&compare_sql(target, rows))?;
    connection.execute_batch(&meet_sql(target, &others))?;
    let (met, replaced, unstamped, places): (u64, u64, u64, u64) = connection.query_row(
        &format!(
            "SELECT count(DISTINCT number), count(DISTINCT number) FILTER (is_replaced),
                    count(DISTINCT number) FILTER (has_stamp AND NOT is_replaced), count(*) FROM {MET}"
        ),
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
    )?;
    if unstamped > 0 {
        connection.execute_batch(&unstamp_sql(target))?;
    }
    if replaced > 0 {
        connection.execute_batch(&format!(
            "DELETE FROM {} WHERE rowid IN (SELECT place FROM {MET} WHERE is_replaced)",
            name_of(target)
        ))?;
    }
    let removed = if places > met { connection.execute(&remove_copies_sql(target), [])? as u64 } else { 0 };
    let new = rows.count().saturating_sub(met);
    if new + replaced > 0 {
        connection.execute(&insert_sql(target, rows, Some(&others)), [])?;
    }
    connection.execute_batch(&format!("DROP TABLE {MET}; DROP TABLE {DIFFERENT}; DROP TABLE {KNOWN}"))?;
    let changed = replaced + unstamped;
    Ok(Merged { new, changed, unchanged: met.saturating_sub(changed), removed })
}

/// Removes the rows whose keys are not among `rows`; their number.
pub(super) fn remove_all_but(connection: &Connection, target: &Target, rows: &Rows) -> Result<u64> {
    let (table, same) = (name_of(target), same_key(target.table));
    let sql = format!(
        "DELETE FROM {table} AS t WHERE NOT EXISTS (SELECT 1 FROM {} AS s WHERE {same})",
        rows.relation()
    );
    connection.execute(&sql, []).map(|rows| rows as u64)
}

/// Whether the key of any of the rows is in the table. One row per key comes: where none of them is, nothing has to
/// be compared.
pub(super) fn is_any_known(connection: &Connection, target: &Target, rows: &Rows) -> Result<bool> {
    if rows.count() == 0 {
        return Ok(false);
    }
    let (table, same) = (name_of(target), same_key(target.table));
    let sql = format!("SELECT 1 FROM {table} AS t JOIN {} AS s ON {same} LIMIT 1", rows.relation());
    Ok(connection.query_row(&sql, [], |_| Ok(())).optional()?.is_some())
}

/// The numbers of the rows whose keys are in the table, in their order.
pub(super) fn known(connection: &Connection, target: &Target, feed: &Feed) -> Result<Vec<u64>> {
    let (table, same, number) = (name_of(target), same_key(target.table), quoted(NUMBER));
    let sql = format!("SELECT DISTINCT s.{number} FROM {table} AS t JOIN {} AS s ON {same}", feed.relation());
    let mut statement = connection.prepare(&sql)?;
    let mut numbers = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<u64>>>()?;
    numbers.sort_unstable();
    Ok(numbers)
}

/// The columns that rows do not bring and that no merge touches: those filled by the pass of another table, and
/// whatever somebody added.
fn columns_of_others(connection: &Connection, target: &Target) -> Result<Vec<String>> {
    let schema = target.table.schema();
    let is_ours = |name: &str| {
        let is_stamp = target.table.has_stamps() && (name == DELETED_AT || name == MERGED_INTO);
        is_stamp || schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name))
    };
    Ok(columns_of(connection, target)?.into_iter().filter(|name| !is_ours(name)).collect())
}

/// Notes which rows are known, and which of those win. By their keys and dates alone: a table is much larger than
/// the few of its rows that have to be compared, and only these are read as a whole.
fn know_sql(target: &Target, rows: &Rows, supersedes_before: Timestamp) -> String {
    let spec: &TableSpec = target.table;
    let (wins, is_redated) = spec.cursor.map_or_else(
        || ("true".to_owned(), "false".to_owned()),
        |cursor| {
            let (cursor, ingested) = (quoted(cursor), quoted(INGESTED_AT));
            let before = supersedes_before.as_microsecond();
            let wins = format!(
                "coalesce(t.{cursor} IS NULL OR s.{cursor} IS NULL OR s.{cursor} >= t.{cursor} \
                 OR t.{ingested} IS NULL OR epoch_us(t.{ingested}) < {before}, false)"
            );
            (wins, format!("t.{cursor} IS DISTINCT FROM s.{cursor}"))
        },
    );
    let has_stamp =
        if spec.has_stamps() { format!("t.{} IS NOT NULL", quoted(DELETED_AT)) } else { "false".into() };
    format!(
        "{}SELECT s.{} AS number, t.rowid AS place, {has_stamp} AS has_stamp,\n\
         {wins} AS wins,\n{is_redated} AS is_redated\nFROM {} AS t JOIN {} AS s ON {}",
        create(KNOWN),
        quoted(NUMBER),
        name_of(target),
        rows.relation(),
        same_key(spec)
    )
}

/// Notes which of the rows that win differ from what is stored, where their dates do not say so already.
fn compare_sql(target: &Target, rows: &Rows) -> String {
    let schema = target.table.schema();
    let values = schema.fields().iter().map(|field| field.name()).filter(|name| *name != INGESTED_AT);
    let differs: Vec<String> =
        values.map(|name| format!("t.{0} IS DISTINCT FROM s.{0}", quoted(name))).collect();
    format!(
        "{}SELECT DISTINCT k.number\nFROM (SELECT * FROM {KNOWN} WHERE wins AND NOT is_redated) AS k\n\
         JOIN {} AS t ON t.rowid = k.place JOIN {} AS s ON s.{} = k.number\nWHERE {}",
        create(DIFFERENT),
        name_of(target),
        rows.relation(),
        quoted(NUMBER),
        differs.join(" OR ")
    )
}

/// Notes what becomes of the known rows, and what they hold in the columns of others.
fn meet_sql(target: &Target, others: &[String]) -> String {
    let kept = others.iter().enumerate().map(|(at, name)| format!(", t.{} AS kept_{at}", quoted(name)));
    let stored = if others.is_empty() {
        String::new()
    } else {
        format!("\nJOIN {} AS t ON t.rowid = k.place", name_of(target))
    };
    format!(
        "{}SELECT k.number, k.place, k.has_stamp, \
         k.wins AND (k.is_redated OR d.number IS NOT NULL) AS is_replaced{}\n\
         FROM {KNOWN} AS k LEFT JOIN {DIFFERENT} AS d ON d.number = k.number{stored}",
        create(MET),
        kept.collect::<String>()
    )
}

fn create(table: &str) -> String {
    format!("CREATE OR REPLACE TEMP TABLE {} AS\n", table.trim_start_matches("temp."))
}

/// Leaves one row for each key that is met and not replaced: the newest of those that stand in the table.
fn remove_copies_sql(target: &Target) -> String {
    let newest = target.table.cursor.map(|cursor| format!("t.{} DESC NULLS LAST, ", quoted(cursor)));
    format!(
        "DELETE FROM {table} WHERE rowid IN (SELECT place FROM (
             SELECT k.place, row_number() OVER (PARTITION BY k.number ORDER BY {newest}k.place) AS copy
             FROM {MET} AS k JOIN {table} AS t ON t.rowid = k.place WHERE NOT k.is_replaced) WHERE copy > 1)",
        table = name_of(target),
        newest = newest.unwrap_or_default()
    )
}

fn unstamp_sql(target: &Target) -> String {
    let merged =
        if target.table.is_merged { format!(", {} = NULL", quoted(MERGED_INTO)) } else { String::new() };
    format!(
        "UPDATE {} SET {} = NULL{merged}
         WHERE rowid IN (SELECT place FROM {MET} WHERE has_stamp AND NOT is_replaced)",
        name_of(target),
        quoted(DELETED_AT)
    )
}

/// Puts in the rows that are new, and those that replace one, with what that one had in the columns of others;
/// all of them if none was met.
fn insert_sql(target: &Target, rows: &Rows, met: Option<&[String]>) -> String {
    let schema = target.table.schema();
    let mut columns: Vec<String> =
        schema.fields().iter().map(|field| format!("s.{}", quoted(field.name()))).collect();
    // Whoever fills columns looks at the rows once more.
    let is_last = target.table.filled_by.is_none();
    let from = if is_last { rows.last_relation() } else { rows.relation() };
    let number = quoted(NUMBER);
    let met = match met {
        None => String::new(),
        Some([]) => format!(
            "\nANTI JOIN (SELECT number FROM {MET} WHERE NOT is_replaced) AS m ON s.{number} = m.number"
        ),
        Some(others) => {
            let kept = others.iter().enumerate().map(|(at, name)| format!("m.kept_{at} AS {}", quoted(name)));
            columns.extend(kept);
            format!(
                "\nLEFT JOIN (SELECT DISTINCT ON (number) * FROM {MET} ORDER BY number, is_replaced) AS m ON s.{number} = m.number
                 WHERE m.number IS NULL OR m.is_replaced"
            )
        }
    };
    format!("INSERT INTO {} BY NAME\nSELECT {}\nFROM {from} AS s{met}", name_of(target), columns.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::intercom::tables;

    #[test]
    fn dates_are_looked_at_before_anything_else() {
        let target = Target { schema: "crm".into(), table: tables::find("contacts").unwrap() };
        insta::assert_snapshot!(know_sql(&target, &Rows::Staged(3), Timestamp::UNIX_EPOCH));
        insta::assert_snapshot!(meet_sql(&target, &[]));
    }

    #[test]
    fn the_merge_of_a_small_table() {
        let target = Target { schema: "crm".into(), table: tables::find("tags").unwrap() };
        let rows = Rows::Staged(3);
        insta::assert_snapshot!(know_sql(&target, &rows, Timestamp::UNIX_EPOCH));
        insta::assert_snapshot!(compare_sql(&target, &rows));
        insta::assert_snapshot!(meet_sql(&target, &["mine".into()]));
        insta::assert_snapshot!(insert_sql(&target, &rows, Some(&["mine".into()])));
        insta::assert_snapshot!(insert_sql(&target, &rows, Some(&[])));
    }
}
