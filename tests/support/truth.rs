//! What a table should hold, worked out from the JSON the sandbox serves, and what it does hold.
//!
//! Nothing here goes through the crate's decoder: a mistake there must not hide itself.

mod object;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use duckdb::types::{TimeUnit, ValueRef};
use duckdb::{AccessMode, Config, Connection};
use ingest::table::{DELETED_AT, EXTRA, INGESTED_AT, TableSpec};
use serde_json::value::RawValue;

pub(crate) use tables::{Truth, of};

/// Cells by column name, as text; timestamps in epoch microseconds.
pub(crate) type Cells = BTreeMap<String, Option<String>>;
/// Members of an object, each as the text that was served.
type Members = BTreeMap<String, Box<RawValue>>;

/// Members in the order of their names, so that two objects can be compared as text.
fn written(members: &BTreeMap<String, String>) -> String {
    let members: Vec<String> = members.iter().map(|(name, raw)| format!("{name:?}:{raw}")).collect();
    format!("{{{}}}", members.join(","))
}

/// Opens a file to read. Nobody may have it open to write.
pub(crate) fn open(file: &Path) -> Connection {
    let config = Config::default().access_mode(AccessMode::ReadOnly).and_then(|config| config.threads(1));
    let config = config.expect("known options");
    Connection::open_with_flags(file, config).expect("nobody else has the file open")
}

/// Whether there is such a table.
pub(crate) fn is_there(connection: &Connection, schema: &str, table: &str) -> bool {
    let sql = "SELECT count(*) > 0 FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?";
    connection.query_row(sql, [schema, table], |row| row.get(0)).expect("the query runs")
}

/// The rows of a stored table, in no order; none if there is no such table.
pub(crate) fn stored(connection: &Connection, schema: &str, table: &TableSpec) -> Vec<Cells> {
    if !is_there(connection, schema, table.name) {
        return Vec::new();
    }
    let statement = connection.prepare(&format!("SELECT * FROM \"{schema}\".\"{}\"", table.name));
    let mut statement = statement.unwrap_or_else(|error| panic!("{}: {error}", table.name));
    let mut rows = statement.query([]).expect("the query runs");
    let names = rows.as_ref().expect("a statement").column_names();
    let mut found = Vec::new();
    while let Some(row) = rows.next().expect("rows can be read") {
        let cell = |at: usize| shown(row.get_ref(at).expect("a column"));
        let mut cells: Cells = names.iter().enumerate().map(|(at, name)| (name.clone(), cell(at))).collect();
        if let Some(Some(extra)) = cells.get_mut(EXTRA) {
            let members: Members = serde_json::from_str(extra).expect("_extra is an object");
            let members = members.into_iter().map(|(name, value)| (name, value.get().to_owned()));
            *extra = written(&members.collect());
        }
        found.push(cells);
    }
    found
}

fn shown(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Boolean(value) => Some(value.to_string()),
        ValueRef::BigInt(value) | ValueRef::Timestamp(TimeUnit::Microsecond, value) => {
            Some(value.to_string())
        }
        ValueRef::Double(value) => Some(value.to_string()),
        ValueRef::Text(text) => Some(String::from_utf8(text.to_vec()).expect("text is UTF-8")),
        other => panic!("no table has a column of type {:?} yet", other.data_type()),
    }
}

/// Where a table and the truth part ways. Rows are named by their key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    /// True rows that the table lacks.
    pub(crate) missing: Vec<String>,
    /// True rows with another value, and what differs.
    pub(crate) wrong: Vec<String>,
    /// Keys that stand in more than one row.
    pub(crate) repeated: Vec<String>,
    /// Rows without a stamp that are not, or no longer, true.
    pub(crate) extra: Vec<String>,
    /// Rows with a stamp that are not, or no longer, true.
    pub(crate) stamped: Vec<String>,
}

impl Differences {
    /// Compares every cell.
    pub(crate) fn between(table: &TableSpec, truth: Truth, stored: Vec<Cells>) -> Self {
        let key = |cells: &Cells| -> String {
            let parts = table.key.iter().map(|key| cells[key.name].as_deref().unwrap_or("-"));
            parts.collect::<Vec<_>>().join("/")
        };
        let mut differences = Self::default();
        let mut rows = BTreeMap::new();
        for mut row in stored {
            row.remove(INGESTED_AT);
            if let Some(twin) = rows.insert(key(&row), row) {
                differences.repeated.push(key(&twin));
            }
        }
        let Truth { rows: shown, hidden } = truth;
        let shown = shown.into_iter().map(|row| (row, true));
        for (expected, is_shown) in shown.chain(hidden.into_iter().map(|row| (row, false))) {
            let key = key(&expected);
            match rows.remove(&key) {
                Some(row) => differences.compare(&key, &row, &expected),
                None if is_shown => differences.missing.push(key),
                None => {}
            }
        }
        for (key, row) in rows {
            let is_stamped = row.get(DELETED_AT).is_some_and(Option::is_some);
            if is_stamped { differences.stamped.push(key) } else { differences.extra.push(key) }
        }
        differences
    }

    fn compare(&mut self, key: &str, row: &Cells, expected: &Cells) {
        let names: BTreeSet<&String> = row.keys().chain(expected.keys()).collect();
        for name in names {
            let (is, should) = (row.get(name), expected.get(name));
            if is != should {
                self.wrong.push(format!("{key}: {name} is {is:?}, not {should:?}"));
            }
        }
    }

    /// Fails unless every true row is there once and equal; other rows are the caller's business.
    #[track_caller]
    pub(crate) fn assert_nothing_lost(&self, context: &str) {
        let Self { missing, wrong, repeated, .. } = self;
        let first = |texts: &[String]| texts.iter().take(5).cloned().collect::<Vec<_>>();
        assert!(
            missing.is_empty() && wrong.is_empty() && repeated.is_empty(),
            "{context}: {} rows missing {:?}, {} cells wrong {:#?}, {} keys repeated {:?}",
            missing.len(),
            first(missing),
            wrong.len(),
            first(wrong),
            repeated.len(),
            first(repeated),
        );
    }
}
