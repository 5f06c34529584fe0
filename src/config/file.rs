//! The shape of `connections.yml`: which connections it declares and which keys they carry.
//!
//! The whole file is checked here for structure (types, keys, names), and nothing is expanded: what the values
//! mean is looked at only for the connections a run uses.

use std::fmt;
use std::path::PathBuf;

use super::names;
use super::nearest::nearest;
use super::object_store::LAKE_KEYS;
use super::yaml::{self, Node, Position, Value};
use crate::error::{Error, ErrorKind, Result};
use crate::source::intercom::tables;

/// The connection types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Intercom,
    DuckDb,
    Parquet,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Intercom, Self::DuckDb, Self::Parquet];

    /// As it stands in the file.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Intercom => "intercom",
            Self::DuckDb => "duckdb",
            Self::Parquet => "parquet",
        }
    }

    /// Whether it is read from, rather than written to.
    pub(crate) fn is_source(self) -> bool {
        matches!(self, Self::Intercom)
    }

    /// Every key a connection of this type may carry.
    pub(crate) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Intercom => &[
                "name",
                "access_token",
                "region",
                "base_url",
                "start_date",
                "lookback_window",
                "api_version",
                "rate_limit",
                "full_refresh_every",
                "parts_refresh_every",
                "sweep_every",
                "activity_logs_time_step",
                TABLES,
            ],
            Self::DuckDb => &["name", "path", "storage_version", "threads", "memory_limit"],
            Self::Parquet => &LAKE_KEYS,
        }
    }
}

/// Where the configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A file, named as the user knows it.
    File(PathBuf),
    /// `INTERCOM_ACCESS_TOKEN` and its companions.
    Environment,
}

impl Origin {
    /// A configuration error at a place of the file.
    pub(crate) fn error(&self, at: Position, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Config, message).within(format!("{self}:{}:{}", at.line, at.column))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Environment => f.write_str("environment"),
        }
    }
}

/// A key and its value, unexpanded.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) key: &'static str,
    /// The table that it is about, if it stands below that in [`TABLES`].
    pub(crate) table: Option<&'static str>,
    /// Where the value stands.
    pub(crate) at: Position,
    /// `None` if nothing is written after the key.
    pub(crate) text: Option<String>,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}:{}", self.key, self.at.line, self.at.column)
    }
}

/// One connection, unexpanded.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// Where it begins.
    pub(crate) at: Position,
    /// Everything but the name.
    pub(crate) settings: Vec<Setting>,
}

/// Everything a file says.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// In the order of the file.
    pub(crate) entries: Vec<Entry>,
    pub(crate) default_destination: Option<Setting>,
}

/// The key of a source below which single tables have keys of their own.
const TABLES: &str = "tables";
/// How often a table is read.
pub(crate) const EVERY: &str = "every";
const OF_A_TABLE: [&str; 1] = [EVERY];

const DEFAULT_DESTINATION: &str = "default_destination";
const TOP_LEVEL: [&str; 2] = ["connections", DEFAULT_DESTINATION];

/// Reads the text of a file and checks its structure.
pub(crate) fn parse(text: &str, origin: &Origin) -> Result<Contents> {
    let root = yaml::parse(text).map_err(|error| match error.at {
        Some(at) => origin.error(at, error.message),
        None => Error::new(ErrorKind::Config, error.message).within(origin.to_string()),
    })?;
    let top = match root.value {
        Value::Map(top) => top,
        Value::Null => {
            return Err(Error::new(ErrorKind::Config, "the file is empty")
                .within(origin.to_string())
                .with_hint("`ingest init` writes a commented connections.yml to start from"));
        }
        other => return Err(unexpected(origin, root.at, "", "a mapping with the key connections", &other)),
    };
    let mut contents = Contents::default();
    for (key, value) in top {
        match text_of(&key) {
            Some("connections") => contents.entries = connections(value, origin)?,
            Some(DEFAULT_DESTINATION) => {
                contents.default_destination = Some(setting(DEFAULT_DESTINATION, value, "", origin)?);
            }
            _ => return Err(unknown_top_level_key(&key, origin)),
        }
    }
    Ok(contents)
}

fn connections(node: Node, origin: &Origin) -> Result<Vec<Entry>> {
    let types = match node.value {
        Value::Map(types) => types,
        // Everything below it may be commented out.
        Value::Null => return Ok(Vec::new()),
        other => {
            let expected = "a mapping from types to lists of connections";
            return Err(unexpected(origin, node.at, "connections: ", expected, &other));
        }
    };
    let mut entries: Vec<Entry> = Vec::new();
    for (key, value) in types {
        let kind = Kind::ALL.into_iter().find(|kind| text_of(&key) == Some(kind.as_str()));
        let Some(kind) = kind else { return Err(unknown_type(&key, origin)) };
        let items = match value.value {
            Value::List(items) => items,
            Value::Null => continue,
            other => {
                let place = format!("connections.{}: ", kind.as_str());
                return Err(unexpected(origin, value.at, &place, "a list of connections", &other)
                    .with_hint("start each connection with a dash: `- name: ...`"));
            }
        };
        for item in items {
            let entry = entry(kind, item, origin)?;
            if let Some(first) = entries.iter().find(|other| same_name(&other.name, &entry.name)) {
                let name = &entry.name;
                let message =
                    format!("connection {name}: the connection in line {} has this name", first.at.line);
                return Err(origin
                    .error(entry.at, message)
                    .with_hint("names are unique in the file, whatever their type and case"));
            }
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// Names become schemas and folders, many of which ignore case.
fn same_name(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

fn entry(kind: Kind, node: Node, origin: &Origin) -> Result<Entry> {
    let at = node.at;
    let fields = match node.value {
        Value::Map(fields) => fields,
        other => {
            let place = format!("connections.{}: ", kind.as_str());
            return Err(unexpected(origin, at, &place, "the keys of a connection", &other)
                .with_hint(format!("known keys: {}", kind.keys().join(", "))));
        }
    };
    let name = name(kind, at, &fields, origin)?;
    let place = format!("connection {name}: ");
    let mut settings = Vec::new();
    for (key, value) in fields {
        match kind.keys().iter().copied().find(|known| text_of(&key) == Some(*known)) {
            Some("name") => {}
            Some(TABLES) => settings.extend(of_tables(value, &place, origin)?),
            Some(known) => settings.push(setting(known, value, &place, origin)?),
            None => {
                let message = format!("{place}unknown key{}", shown(&key));
                return Err(origin.error(key.at, message).with_hint(known_keys(&key, kind.keys())));
            }
        }
    }
    Ok(Entry { kind, name, at, settings })
}

/// What is said of single tables.
fn of_tables(node: Node, place: &str, origin: &Origin) -> Result<Vec<Setting>> {
    let place = format!("{place}{TABLES}");
    let mut settings = Vec::new();
    for (key, value) in mapping(node, &format!("{place}: "), "a mapping from tables to their keys", origin)? {
        let Some(table) = text_of(&key).and_then(tables::find) else {
            let known: Vec<&str> = tables::TABLES.iter().map(|table| table.name).collect();
            let near = text_of(&key).and_then(|word| nearest(word, known.iter().copied()));
            let hint = match near {
                Some(near) => format!("did you mean {near}?"),
                None => format!("tables: {}", known.join(", ")),
            };
            let message = format!("{place}: unknown table{}", shown(&key));
            return Err(origin.error(key.at, message).with_hint(hint));
        };
        let place = format!("{place}.{}: ", table.name);
        for (key, value) in mapping(value, &place, "the keys of a table", origin)? {
            let Some(known) = OF_A_TABLE.into_iter().find(|known| text_of(&key) == Some(*known)) else {
                let message = format!("{place}unknown key{}", shown(&key));
                return Err(origin.error(key.at, message).with_hint(known_keys(&key, &OF_A_TABLE)));
            };
            settings.push(Setting { table: Some(table.name), ..setting(known, value, &place, origin)? });
        }
    }
    Ok(settings)
}

/// The members of a mapping, all of which may be commented out.
fn mapping(node: Node, place: &str, expected: &str, origin: &Origin) -> Result<Vec<(Node, Node)>> {
    match node.value {
        Value::Map(members) => Ok(members),
        Value::Null => Ok(Vec::new()),
        other => Err(unexpected(origin, node.at, place, expected, &other)),
    }
}

fn name(kind: Kind, at: Position, fields: &[(Node, Node)], origin: &Origin) -> Result<String> {
    let place = format!("connections.{}: name", kind.as_str());
    let Some((_, node)) = fields.iter().find(|(key, _)| text_of(key) == Some("name")) else {
        let error = origin.error(at, format!("{place} is missing"));
        return Err(error.with_hint("every connection has a name of its own: `name: ...`"));
    };
    let refused =
        |(message, hint): names::Refusal| origin.error(node.at, format!("{place} {message}")).with_hint(hint);
    let name = match &node.value {
        Value::Text(name) => name.as_str(),
        Value::Null => "",
        other => return Err(unexpected(origin, node.at, &format!("{place}: "), "a single value", other)),
    };
    names::check(name, kind.is_source()).map_err(refused)?;
    Ok(name.to_owned())
}

fn setting(key: &'static str, value: Node, place: &str, origin: &Origin) -> Result<Setting> {
    let text = match value.value {
        Value::Text(text) => Some(text),
        Value::Null => None,
        other => {
            let place = format!("{place}{key}: ");
            return Err(unexpected(origin, value.at, &place, "a single value", &other));
        }
    };
    Ok(Setting { key, table: None, at: value.at, text })
}

fn text_of(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn unexpected(origin: &Origin, at: Position, place: &str, expected: &str, found: &Value) -> Error {
    origin.error(at, format!("{place}expected {expected}, found {}", found.kind()))
}

fn unknown_top_level_key(key: &Node, origin: &Origin) -> Error {
    let error = origin.error(key.at, format!("unknown key{}", shown(key)));
    match text_of(key) {
        Some("environments" | "default_environment") => {
            error.with_hint("this looks like a .bruin.yml: put its `connections:` at the left margin")
        }
        Some(word) if Kind::ALL.iter().any(|kind| kind.as_str() == word) => {
            error.with_hint("connection types stand below the key connections")
        }
        _ => error.with_hint(known_keys(key, &TOP_LEVEL)),
    }
}

fn unknown_type(key: &Node, origin: &Origin) -> Error {
    let known = Kind::ALL.map(Kind::as_str);
    let near = text_of(key).and_then(|word| nearest(word, known));
    let question = near.map(|near| format!("did you mean {near}? ")).unwrap_or_default();
    origin
        .error(key.at, format!("connections: unknown connection type{}", shown(key)))
        .with_hint(format!("{question}known types: {}", known.join(", ")))
}

/// The nearest of the known keys, or all of them.
fn known_keys(key: &Node, known: &[&str]) -> String {
    match text_of(key).and_then(|word| nearest(word, known.iter().copied())) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known keys: {}", known.join(", ")),
    }
}

/// The key for a message, with a space in front; nothing if it is not shaped like one, since a slip of the
/// hand can leave a token where a key belongs.
fn shown(key: &Node) -> String {
    const LONGEST: usize = 32;
    match text_of(key) {
        Some(word)
            if !word.is_empty()
                && word.len() <= LONGEST
                && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) =>
        {
            format!(" {word}")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
