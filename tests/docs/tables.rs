//! `docs/tables.md`, which is rendered from the declarations.

use std::fmt::Write;
use std::fs;

use ingest::source::intercom::tables::TABLES;
use ingest::table::{Column, Endpoint, Kind, List, More, TableSpec};

use super::top;

const INTRODUCTION: &str = "\
<!-- Written by `UPDATE_DOCS=1 cargo test --release docs`; change the declarations in src/source/intercom/tables. -->

# Tables

`ingest tables` lists what this page shows, and `ingest tables --columns` its columns. Every table lands in a schema
that is named like its connection: `intercom.contacts`, say.

## What holds for all of them

**Columns** are declared, in the order of Intercom's published contract for API 2.14, and exist whether or not a row
has a value: an empty table has its types, too. The value of a nested field stands in a column whose name is the path
joined with `_`: `location.country` becomes `location_country`. Every column may be NULL. One table shape serves the
API versions 2.11 to 2.16; what a version does not have is NULL.

| type | what it holds |
|---|---|
| `VARCHAR` | text; numbers and booleans by their digits and words. Ids are text, whatever type arrives |
| `BIGINT` | a whole number of 64 bits, also from text (`\"12\"`) or with an empty fraction (`12.0`) |
| `DOUBLE` | a double, also from text |
| `BOOLEAN` | a boolean, also from the words `\"true\"` and `\"false\"` |
| `TIMESTAMP WITH TIME ZONE` | a moment in UTC, to the microsecond, from epoch seconds (number or text) or from ISO 8601 text with an offset; years 0001 to 9999. Text in other columns is never guessed to be a date |
| `JSON` | a list or an open map as it arrived: every digit, keys in their order |

**NULL** stands for JSON `null` and for a field that is not there. An empty text is an empty text, except in the
columns marked \"empty is NULL\". In columns marked \"0 is NULL\", which refer to another object, `0`, `\"0\"` and empty
text mean that there is none.

**`_extra`** is one JSON object with everything that no column could take, and NULL if there was nothing: fields that
are not declared, and values that do not fit their column, which is NULL then. Keys are paths with dots, on one level:
`_extra->>'location.planet'`. A row is never dropped for its shape; the summary of a run counts what went into
`_extra` and why. A row without its key is the exception: it fails the page.

**`_ingested_at`** is the start, by the server's clock, of the pass that last wrote the row.

**`_deleted_at`**, in merge tables, is the moment at which a row was found to be gone, and NULL for all others. The row
itself stays. At present this is found out for tables that are read whole by a scroll (see \"read\" below): a row that
a complete pass did not see is asked for by itself, and stamped if the answer is 404 or 410. If more than 100 rows and
more than 1 % of the table are missing at once, none is stamped and the run says so. A row that is seen again loses its
stamp.

**Strategies**: `merge` inserts new keys and updates known ones: the newer row wins, and a row just read wins over one
stored by an earlier pass. Nothing is removed. `replace` makes the table equal to the answer; keys that are no longer in it are removed, in the same
transaction.
";

fn render() -> String {
    let mut page = INTRODUCTION.to_owned();
    for table in TABLES {
        page.push_str(&section(table));
    }
    page
}

fn section(table: &'static TableSpec) -> String {
    let mut text = format!("\n## {}\n\n", table.name);
    let mut line = |what: &str, value: &str| writeln!(text, "- {what}: {value}").expect("text");
    line("key", &key(table));
    line("cursor", &table.cursor.map_or_else(|| "none".to_owned(), |cursor| format!("`{cursor}`")));
    line("strategy", table.disposition.as_str());
    line("endpoint", &endpoint(table));
    line("read", &way(table));
    line("permission", &format!("\"{}\"", table.permission));
    text.push_str("\n| column | type | from |\n|---|---|---|\n");
    let stored = table.stored_columns();
    for (position, column) in stored.iter().enumerate() {
        let from = table.columns.get(position).map_or_else(|| "ingest".to_owned(), origin);
        writeln!(text, "| `{}` | {} | {from} |", column.name, column.kind.sql()).expect("text");
    }
    text
}

fn key(table: &TableSpec) -> String {
    let part = |key: &ingest::table::KeyColumn| {
        if key.optional { format!("`{}` (may be NULL)", key.name) } else { format!("`{}`", key.name) }
    };
    table.key.iter().map(part).collect::<Vec<_>>().join(", ")
}

fn endpoint(table: &TableSpec) -> String {
    let shown = format!("`{}`", table.endpoint.describe());
    let Endpoint::Lists { lists, .. } = table.endpoint else { return shown };
    let query = |list: &List| {
        let path = format!("`GET {}`", list.path);
        match (list.from_minor, list.until_minor) {
            (0, u8::MAX) => path,
            (from, u8::MAX) => format!("{path} (from API 2.{from})"),
            (_, until) => format!("{path} (up to API 2.{until})"),
        }
    };
    lists.iter().map(query).collect::<Vec<_>>().join(", ")
}

fn way(table: &'static TableSpec) -> String {
    let parents = table.lead().name;
    match table.endpoint {
        Endpoint::Search { .. } => {
            "by search: whole at first and whenever a refresh is due, else what changed since the last run"
                .into()
        }
        Endpoint::Log { .. } => {
            "by windows of time: whole at first, else what came since the last run".into()
        }
        Endpoint::Scroll { .. } => "whole in every run, by a scroll".into(),
        Endpoint::Pages { .. } => "whole in every run, page by page".into(),
        Endpoint::Lists { .. } => "whole in every run".into(),
        Endpoint::Sweep { groups, .. } => {
            format!("whole in every run, one search for each of the {}", groups.name)
        }
        Endpoint::Inside(inside) => match inside.more {
            More::Nothing => format!("inside the rows of {parents}, without a request of its own"),
            More::WhereCut(_) => {
                format!("inside the rows of {parents}; one request where a row shows only some")
            }
            More::WhereAny(_) => format!("one request for each of the {parents} that has any"),
            More::Always(_) | More::Object { stated: None } => {
                format!("one request for each of the {parents}")
            }
            More::Object { stated: Some(_) } => {
                format!("one request for each of the {parents} that has changed since it was last asked for")
            }
        },
    }
}

fn origin(column: &Column) -> String {
    let note = match column.kind {
        Kind::Body => ", empty is NULL",
        Kind::Reference => ", 0 is NULL",
        _ => "",
    };
    format!("`{}`{note}", column.path)
}

#[test]
fn the_page_of_tables_says_what_the_declarations_say() {
    let path = top().join("docs/tables.md");
    let page = render();
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let difference = page.lines().zip(written.lines()).find(|(new, old)| new != old);
    assert!(
        page == written,
        "docs/tables.md is out of date (UPDATE_DOCS=1 writes it anew); first difference: {difference:?}"
    );
}

#[test]
fn a_key_of_extra_is_asked_for_as_the_page_says() {
    let connection = duckdb::Connection::open_in_memory().unwrap();
    let sql =
        r#"SELECT _extra->>'location.planet' FROM (SELECT '{"location.planet":"Mars"}'::JSON AS _extra)"#;
    let planet: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(planet, "Mars");
}
