//! What a table should hold, worked out from the JSON the sandbox serves, and what it does hold.
//!
//! Nothing here goes through the crate's decoder: a mistake there must not hide itself.

use std::collections::BTreeMap;
use std::path::Path;

use duckdb::types::{TimeUnit, ValueRef};
use duckdb::{AccessMode, Config, Connection};
use ingest::table::{DELETED_AT, EXTRA, INGESTED_AT, Kind, TableSpec, WriteDisposition};
use serde_json::value::RawValue;

/// Cells by column name, as text; timestamps in epoch microseconds.
pub(crate) type Cells = BTreeMap<String, Option<String>>;
/// Members of an object, each as the text that was served.
type Members = BTreeMap<String, Box<RawValue>>;

/// Moments are stored from year 1 to year 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// The row that a served object should become, `_ingested_at` aside.
pub(crate) fn expected(table: &TableSpec, text: &str) -> Cells {
    let mut cells: Cells = table.columns.iter().map(|column| (column.name(), None)).collect();
    let mut extra = BTreeMap::new();
    walk(table, "", text, &mut cells, &mut extra);
    cells.insert(EXTRA.to_owned(), (!extra.is_empty()).then(|| written(&extra)));
    if table.disposition == WriteDisposition::Merge {
        cells.insert(DELETED_AT.to_owned(), None);
    }
    cells
}

fn walk(
    table: &TableSpec,
    prefix: &str,
    text: &str,
    cells: &mut Cells,
    extra: &mut BTreeMap<String, String>,
) {
    for (name, value) in serde_json::from_str::<Members>(text).expect("the sandbox serves objects") {
        let (path, raw) = (format!("{prefix}{name}"), value.get());
        let inside = format!("{path}.");
        if let Some(column) = table.columns.iter().find(|column| column.path == path) {
            match cell(column.kind, raw) {
                Ok(cell) => drop(cells.insert(column.name(), cell)),
                Err(()) => drop(extra.insert(path, raw.to_owned())),
            }
        } else if !table.columns.iter().any(|column| column.path.starts_with(&inside)) {
            extra.insert(path, raw.to_owned());
        } else if raw.starts_with('{') {
            walk(table, &inside, raw, cells, extra);
        } else if raw != "null" {
            extra.insert(path, raw.to_owned());
        }
    }
}

/// What a column of `kind` holds for a value; an error where the value cannot be held.
fn cell(kind: Kind, raw: &str) -> Result<Option<String>, ()> {
    if raw == "null" {
        return Ok(None);
    }
    let plain = || match raw.as_bytes() {
        [b'"', ..] => serde_json::from_str::<String>(raw).map_err(drop),
        [b'{' | b'[', ..] => Err(()),
        _ => Ok(raw.to_owned()),
    };
    let number = || plain()?.parse::<i64>().map_err(drop);
    Ok(match kind {
        Kind::Json => Some(raw.to_owned()),
        Kind::Text => Some(plain()?),
        Kind::Word(spellings) => {
            let said = plain()?;
            let stored = spellings.iter().find(|(word, _)| *word == said).map(|(_, stored)| *stored);
            Some(stored.map_or(said, str::to_owned))
        }
        Kind::Body => Some(plain()?).filter(|text| !text.is_empty()),
        Kind::Reference => Some(plain()?).filter(|text| !text.is_empty() && text != "0"),
        Kind::Integer => Some(number()?.to_string()),
        Kind::Boolean => Some(plain()?).filter(|word| word == "true" || word == "false"),
        Kind::Timestamp => match number()? {
            second if SECONDS.contains(&second) => Some((second * 1_000_000).to_string()),
            _ => return Err(()),
        },
        Kind::Float => panic!("no table has such a column yet"),
    })
}

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

/// The rows of a stored table, in no order; none if there is no such table.
pub(crate) fn stored(connection: &Connection, schema: &str, table: &TableSpec) -> Vec<Cells> {
    let mut statement = match connection.prepare(&format!("SELECT * FROM \"{schema}\".\"{}\"", table.name)) {
        Ok(statement) => statement,
        Err(error) if error.to_string().contains("Catalog Error") => return Vec::new(),
        Err(error) => panic!("{}: {error}", table.name),
    };
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
        ValueRef::Text(text) => Some(String::from_utf8(text.to_vec()).expect("text is UTF-8")),
        other => panic!("no table has a column of type {:?} yet", other.data_type()),
    }
}

/// Where a table and the truth part ways. Rows are named by their key.
#[derive(Debug, Default, PartialEq, Eq)]
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
    /// Compares every cell but those of `ignored` columns.
    pub(crate) fn between(table: &TableSpec, truth: &[String], stored: Vec<Cells>, ignored: &[&str]) -> Self {
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
        for text in truth {
            let expected = expected(table, text);
            let key = key(&expected);
            let Some(row) = rows.remove(&key) else {
                differences.missing.push(key);
                continue;
            };
            for (name, cell) in &expected {
                if row[name] != *cell && !ignored.contains(&name.as_str()) {
                    differences.wrong.push(format!("{key}: {name} is {:?}, not {cell:?}", row[name]));
                }
            }
        }
        for (key, row) in rows {
            let is_stamped = row.get(DELETED_AT).is_some_and(Option::is_some);
            if is_stamped { differences.stamped.push(key) } else { differences.extra.push(key) }
        }
        differences
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
