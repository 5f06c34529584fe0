//! From declarations to the SQL of a view: which columns, under which names, read how. Pure.
//!
//! The SQL keeps to what DuckDB 1.2 knows too, and to what means the same with and without the ICU extension:
//! no cast between text and `TIMESTAMP WITH TIME ZONE`, and none that sees an offset.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::quoted;

/// The key of every object, and the first column of every view.
const KEY: &str = "id";

/// Attributes read from the JSON at once. Reading one by one parses the JSON as often as there are columns;
/// reading all at once looks all of them up for a query of one.
const AT_ONCE: usize = 16;

/// One line of the list of declared attributes.
#[derive(Debug, Clone)]
pub(super) struct Declaration {
    /// Intercom's id for it.
    pub(super) id: Option<String>,
    /// Its name.
    pub(super) name: Option<String>,
    /// Its name with `custom_attributes.` before it.
    pub(super) full_name: Option<String>,
    /// Intercom's word for its type.
    pub(super) data_type: Option<String>,
    /// Whether it is out of use; rows keep their values.
    pub(super) archived: bool,
    /// In epoch microseconds.
    pub(super) created_at: Option<i64>,
    /// When it changed and when it was read, in epoch microseconds: of two lines for one id the later holds.
    pub(super) seen: (Option<i64>, Option<i64>),
}

impl Declaration {
    /// The key of its values in `custom_attributes`.
    fn key(&self) -> Option<&str> {
        let full_name = self.full_name.as_deref();
        // The full name says it exactly; a name with dots may come cut at the last of them.
        let rest = full_name.and_then(|full_name| full_name.strip_prefix("custom_attributes."));
        // SQL text ends at a NUL.
        rest.or(self.name.as_deref()).or(full_name).filter(|key| !key.contains('\0'))
    }

    /// Sorts by creation, then by id; ids are decimal numbers.
    fn age(&self) -> (i64, usize, &str) {
        let id = self.id.as_deref().unwrap_or_default();
        (self.created_at.unwrap_or(i64::MAX), id.len(), id)
    }
}

/// How values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Float,
    Boolean,
    Moment,
    Json,
}

impl Kind {
    /// The kind for a `data_type`, in the words of both lists of attributes that Intercom has. An attribute
    /// with options is a `list` in one of them and a `string` in the other.
    fn of(data_type: Option<&str>) -> Self {
        match data_type {
            Some("string" | "list") => Self::Text,
            Some("integer") => Self::Integer,
            Some("float" | "decimal") => Self::Float,
            Some("boolean") => Self::Boolean,
            Some("date" | "datetime") => Self::Moment,
            _ => Self::Json,
        }
    }

    /// The type of the column.
    fn sql(self) -> &'static str {
        match self {
            Self::Text => "VARCHAR",
            Self::Integer => "BIGINT",
            Self::Float => "DOUBLE",
            Self::Boolean => "BOOLEAN",
            Self::Moment => "TIMESTAMP WITH TIME ZONE",
            Self::Json => "JSON",
        }
    }

    /// Reads the JSON value that the expression `value` stands for. A moment is read as seconds.
    ///
    /// What is made of `value`, here and in [`Kind::show`], mentions it an odd number of times, if need be by asking
    /// whether it is NULL. DuckDB keeps the columns of a query in a table of hashes, and a name that stands there twice
    /// cancels out: all columns of a kind would have one hash, and each would be compared with each.
    pub(super) fn read(self, value: &str) -> String {
        let text = format!("json_extract_string({value}, '$')");
        match self {
            Self::Text => format!(
                "CASE WHEN {value} IS NOT NULL AND json_type({value}) NOT IN ('ARRAY', 'OBJECT') THEN {text} END"
            ),
            // With a fraction of zero it may be a JSON double, which is exact up to 15 digits only.
            Self::Integer => {
                let digits = first_group(&text, r"^\s*(-?[0-9]+|-?[0-9]{1,15}\.0+)\s*$", 1);
                format!("TRY_CAST({digits} AS BIGINT)")
            }
            Self::Float => {
                let digits = first_group(&text, r"^\s*(-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?)\s*$", 1);
                format!("TRY_CAST({digits} AS DOUBLE)")
            }
            // Not `CASE {text} WHEN ...`, which DuckDB takes apart into this, without the first part.
            Self::Boolean => format!(
                "CASE WHEN {value} IS NULL THEN NULL WHEN {text} = 'true' THEN true WHEN {text} = 'false' THEN false END"
            ),
            Self::Moment => format!("CASE WHEN {value} IS NOT NULL THEN {} END", seconds(&text)),
            Self::Json => {
                format!("CASE WHEN {value} IS NOT NULL AND json_type({value}) <> 'NULL' THEN {value} END")
            }
        }
    }

    /// What is shown of what was read.
    pub(super) fn show(self, read: &str) -> String {
        match self {
            Self::Float => format!("CASE WHEN {read} IS NOT NULL AND isfinite({read}) THEN {read} END"),
            // The years 0001 to 9999: others can be stored, but many readers fail on them.
            Self::Moment => format!(
                "to_timestamp(CASE WHEN {read} >= -62135596800 AND {read} < 253402300800 THEN {read} END)"
            ),
            _ => read.to_owned(),
        }
    }
}

/// Epoch seconds from `text`: decimal digits, a day (its first moment in UTC), or a moment with its offset.
fn seconds(text: &str) -> String {
    const DAY: &str = "[0-9]{4}-[0-9]{2}-[0-9]{2}";
    const TIME: &str = r"[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?";
    const OFFSET: &str = "Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]";
    let number = first_group(text, r"^\s*(-?[0-9]+(\.[0-9]+)?)\s*$", 1);
    let day = first_group(text, &format!("^({DAY})$"), 1);
    let moment = format!("^({DAY}{TIME})({OFFSET})$");
    let (local, offset) = (first_group(text, &moment, 1), first_group(text, &moment, 2));
    // The cast to TIMESTAMP obeys an offset in DuckDB 1.2 and drops it since: it never gets to see one.
    let local = format!("epoch(TRY_CAST({local} AS TIMESTAMP))");
    let offset = format!("epoch(TRY_CAST(replace(replace({offset}, 'Z', '00:00'), '+', '') AS INTERVAL))");
    format!("coalesce(TRY_CAST({number} AS DOUBLE), epoch(TRY_CAST({day} AS TIMESTAMP)), {local} - {offset})")
}

/// The text in a group of the pattern; empty, which no cast takes for a value, where it does not match.
fn first_group(text: &str, pattern: &str, group: u8) -> String {
    format!("regexp_extract({text}, {}, {group})", text_literal(pattern))
}

/// A column of a view.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// Name of the column.
    pub(super) name: String,
    /// Key of its values in `custom_attributes`.
    pub(super) key: String,
    /// How they are read.
    pub(super) kind: Kind,
}

/// The columns after the key: one per key of `custom_attributes`, those in use first, each part from the
/// oldest to the newest.
///
/// A column has the attribute's name. Names that differ by nothing but case are one to DuckDB, so the second
/// gets `_2` and so on; as that depends on older attributes only, a new attribute renames no column. Of
/// declarations with the same key the one in use decides the type, of several the newest.
pub(super) fn columns(declarations: Vec<Declaration>) -> Vec<Column> {
    let mut groups: BTreeMap<String, Vec<Declaration>> = BTreeMap::new();
    for declaration in latest_by_id(declarations) {
        if let Some(key) = declaration.key().map(str::to_owned) {
            groups.entry(key).or_default().push(declaration);
        }
    }
    let mut groups: Vec<(String, Vec<Declaration>)> = groups.into_iter().collect();
    for (_, group) in &mut groups {
        group.sort_by(|a, b| a.age().cmp(&b.age()));
    }
    let oldest = |group: &[Declaration]| {
        group.first().map(|one| {
            let (created_at, digits, id) = one.age();
            (created_at, digits, id.to_owned())
        })
    };
    groups.sort_by_cached_key(|(_, group)| oldest(group));
    let mut taken = Taken { names: HashSet::from([KEY.to_owned()]), counts: HashMap::new() };
    let (mut in_use, mut archived) = (Vec::new(), Vec::new());
    for (key, group) in groups {
        let name = taken.take(&key);
        let newest = group.iter().rev();
        let living = newest.clone().find(|declaration| !declaration.archived);
        let part = if living.is_some() { &mut in_use } else { &mut archived };
        let decisive = living.or(group.last());
        let kind = Kind::of(decisive.and_then(|declaration| declaration.data_type.as_deref()));
        part.push(Column { name, key, kind });
    }
    in_use.append(&mut archived);
    in_use
}

/// One declaration per id: two tables may hold the same list, read at different times.
fn latest_by_id(declarations: Vec<Declaration>) -> Vec<Declaration> {
    let (mut latest, mut rest) = (BTreeMap::<String, Declaration>::new(), Vec::new());
    for declaration in declarations {
        match &declaration.id {
            None => rest.push(declaration),
            Some(id) if latest.get(id).is_some_and(|known| known.seen > declaration.seen) => {}
            Some(id) => {
                latest.insert(id.clone(), declaration);
            }
        }
    }
    rest.extend(latest.into_values());
    rest
}

/// Names that are taken, in lower case.
struct Taken {
    names: HashSet<String>,
    /// The number behind the latest one that was made of a name. None below is free.
    counts: HashMap<String, u32>,
}

impl Taken {
    /// The name itself or the first free one of `name_2`, `name_3`, ...; it is taken then.
    fn take(&mut self, key: &str) -> String {
        // DuckDB has no empty names.
        let wanted = if key.is_empty() { "_" } else { key };
        let mut name = wanted.to_owned();
        let count = self.counts.entry(name.to_lowercase()).or_insert(1);
        while !self.names.insert(name.to_lowercase()) {
            *count += 1;
            name = format!("{wanted}_{count}");
        }
        name
    }
}

/// Name and type of each column that the view has.
pub(super) fn shown(columns: &[Column]) -> Vec<(String, String)> {
    let columns = columns.iter().map(|column| (column.name.clone(), column.kind.sql().to_owned()));
    std::iter::once((KEY.to_owned(), "VARCHAR".to_owned())).chain(columns).collect()
}

/// The statement that makes or replaces the view.
pub(super) fn create_view(schema: &str, table: &str, view: &str, columns: &[Column]) -> String {
    let (schema, key) = (quoted(schema), quoted(KEY));
    let (mut lists, mut read, mut shown) = (vec![key.clone()], vec![key.clone()], vec![key]);
    for (part, columns) in columns.chunks(AT_ONCE).enumerate() {
        let pointers: Vec<String> =
            columns.iter().map(|column| text_literal(&pointer(&column.key))).collect();
        lists.push(format!("json_extract(custom_attributes, [{}]) AS list_{part}", pointers.join(", ")));
        for (at, column) in columns.iter().enumerate() {
            let value = format!("value_{}", part * AT_ONCE + at);
            read.push(format!("{} AS {value}", column.kind.read(&format!("list_{part}[{}]", at + 1))));
            shown.push(format!("{} AS {}", column.kind.show(&value), quoted(&column.name)));
        }
    }
    let (lists, read, shown) = (lists.join(", "), read.join(",\n"), shown.join(", "));
    format!(
        "CREATE OR REPLACE VIEW {schema}.{view} AS\nSELECT {shown}\nFROM (SELECT {read}\n\
         FROM (SELECT {lists}\nFROM {schema}.{table}) AS lists) AS read_values",
        view = quoted(view),
        table = quoted(table)
    )
}

/// The JSON Pointer to a key at the top. DuckDB's own paths have no form for a key that is `*` or empty.
fn pointer(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// A text in SQL.
pub(super) fn text_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
