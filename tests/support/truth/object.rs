//! One served object as the row that it should become.

use std::collections::BTreeMap;

use ingest::table::{Column, DELETED_AT, EXTRA, Kind, MERGED_INTO, TableSpec, Unknown};
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::{Cells, Members, written};

/// Moments are stored from year 1 to year 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// The row that a served object, inside a parent of that id if it has one, should become; `_ingested_at` aside.
pub(super) fn expected(table: &TableSpec, text: &str, parent: Option<&str>) -> Cells {
    let columns = table.columns.iter().chain(table.filled);
    let mut row = Row {
        table,
        cells: columns.map(|column| (column.name(), None)).collect(),
        extra: BTreeMap::new(),
        aliases: Vec::new(),
    };
    if text.starts_with('{') {
        row.walk("", text);
    } else {
        row.put("", text);
    }
    for (path, raw) in std::mem::take(&mut row.aliases) {
        let columns = table.columns.iter().filter(|column| column.also_at.contains(&path.as_str()));
        for column in columns {
            if row.cells[&column.name()].is_none() {
                row.set(column, &raw);
            }
        }
    }
    let Row { mut cells, extra, .. } = row;
    for column in table.columns.iter().filter(|column| column.of_parent) {
        assert_eq!(column.path, "id", "{}: what else of the parent?", table.name);
        cells.insert(column.name(), Some(parent.expect("a parent").to_owned()));
    }
    cells.insert(EXTRA.to_owned(), (!extra.is_empty()).then(|| written(&extra)));
    if table.has_stamps() {
        cells.insert(DELETED_AT.to_owned(), None);
    }
    if table.is_merged {
        cells.insert(MERGED_INTO.to_owned(), None);
    }
    cells
}

struct Row<'t> {
    table: &'t TableSpec,
    cells: Cells,
    extra: BTreeMap<String, String>,
    /// Values, with their paths, for columns that have none at their own.
    aliases: Vec<(String, String)>,
}

impl Row<'_> {
    fn walk(&mut self, prefix: &str, text: &str) {
        for (name, value) in serde_json::from_str::<Members>(text).expect("the sandbox serves objects") {
            let (path, raw) = (format!("{prefix}{name}"), value.get());
            if self.table.elsewhere.contains(&path.as_str()) {
                continue;
            }
            let inside = format!("{path}.");
            let own = self.table.columns.iter().filter(|column| !column.of_parent);
            let is_object = own.clone().any(|column| column.path.starts_with(&inside));
            let is_known = own.clone().any(|column| column.path == path);
            let is_alias = own.clone().any(|column| column.also_at.contains(&path.as_str()));
            if is_object && raw.starts_with('{') {
                self.walk(&inside, raw);
            } else if is_known || is_alias {
                self.put(&path, raw);
                self.aliases.push((path, raw.to_owned()));
            } else if is_object {
                if raw != "null" {
                    self.extra.insert(path, raw.to_owned());
                }
            } else if self.table.unknown == Unknown::Kept {
                self.extra.insert(path, raw.to_owned());
            }
        }
    }

    fn put(&mut self, path: &str, raw: &str) {
        let mut columns = self.table.columns.iter();
        if let Some(column) = columns.find(|column| column.path == path && !column.of_parent) {
            self.set(column, raw);
        }
    }

    fn set(&mut self, column: &Column, raw: &str) {
        match cell(column.kind, raw) {
            Ok(cell) => drop(self.cells.insert(column.name(), cell)),
            Err(()) => drop(self.extra.insert(column.path.to_owned(), raw.to_owned())),
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
        Kind::Float => Some(plain()?.parse::<f64>().map_err(drop)?.to_string()),
        Kind::Boolean => match plain()?.as_str() {
            word @ ("true" | "false") => Some(word.to_owned()),
            _ => return Err(()),
        },
        Kind::Timestamp => match number().or_else(|()| moment(&plain()?))? {
            second if SECONDS.contains(&second) => Some((second * 1_000_000).to_string()),
            _ => return Err(()),
        },
    })
}

/// The whole second of an ISO 8601 text.
fn moment(text: &str) -> Result<i64, ()> {
    text.parse::<Timestamp>().map(Timestamp::as_second).map_err(drop)
}

/// The text at a path into an object, digit for digit; `None` if there is nothing.
pub(super) fn at(text: &str, path: &[&str]) -> Option<String> {
    let Some((first, rest)) = path.split_first() else { return Some(text.to_owned()) };
    let members: Members = serde_json::from_str(text).ok()?;
    at(members.get(*first)?.get(), rest)
}

/// The entries of the list at a path; none if there is no list.
pub(super) fn list(text: &str, path: &[&str]) -> Vec<String> {
    let list = at(text, path).and_then(|list| serde_json::from_str::<Vec<Box<RawValue>>>(&list).ok());
    list.unwrap_or_default().into_iter().map(|entry| entry.get().to_owned()).collect()
}

/// The id of an object, whether it is written as text or as a number.
pub(super) fn id(text: &str) -> String {
    let id = at(text, &["id"]).unwrap_or_else(|| panic!("no id: {text}"));
    serde_json::from_str(&id).unwrap_or(id)
}
