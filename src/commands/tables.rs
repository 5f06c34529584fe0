//! `ingest tables`: what can be read. Needs neither network nor configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::{print, print_json, setup};
use crate::cli::{Output, TablesArgs};
use crate::error::Result;
use crate::pipeline::due::every_of;
use crate::report::aligned;
use crate::source::intercom::tables::TABLES;
use crate::table::TableSpec;

/// Prints the list.
pub(super) fn tables(args: &TablesArgs) -> Result<u8> {
    setup::logging(&args.common);
    let mut every = BTreeMap::new();
    let connection = match &args.connection {
        Some(typed) => {
            let setup = setup::Setup::read_to_look(&args.common)?;
            let connection = setup.connections.resolve_source(typed)?;
            every = setup.connections.tables_every(&connection, &setup.environment)?;
            connection
        }
        None => "intercom".to_owned(),
    };
    match (args.output, args.columns) {
        (Output::Json, _) => print_json(&TABLES.iter().map(|t| to_json(&connection, t, &every)).collect()),
        (Output::Text, false) => print(&list(&connection, &every)),
        (Output::Text, true) => print(&columns(&connection)),
    }?;
    Ok(0)
}

fn key(table: &TableSpec) -> String {
    table.key.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")
}

/// How often at most tables are read, by table.
type Every = BTreeMap<&'static str, Duration>;

/// What else decides whether a run reads the table.
fn remark(table: &'static TableSpec, every: &Every) -> String {
    let mut remarks = Vec::new();
    if table.opt_in {
        remarks.push("only when named".to_owned());
    }
    if table.since_minor > 0 {
        remarks.push(format!("from API 2.{}", table.since_minor));
    }
    if let Some(every) = every_of(table, every) {
        remarks.push(format!("at most every {:#}", setup::signed(every)));
    }
    remarks.join(", ")
}

fn list(connection: &str, every: &Every) -> String {
    let header = ["table", "key", "cursor", "strategy", "endpoint", "permission", "remark"];
    let header = header.map(str::to_owned).to_vec();
    let line = |table: &&'static TableSpec| {
        vec![
            format!("{connection}.{}", table.name),
            key(table),
            table.cursor.unwrap_or("-").to_owned(),
            table.disposition.as_str().to_owned(),
            table.endpoint.describe(),
            table.permissions(),
            remark(table, every),
        ]
    };
    let lines: Vec<Vec<String>> = std::iter::once(header).chain(TABLES.iter().map(line)).collect();
    left_aligned(&lines)
}

fn columns(connection: &str) -> String {
    let mut text = String::new();
    for table in TABLES {
        text.push_str(&format!("{connection}.{}\n", table.name));
        let lines: Vec<Vec<String>> = table
            .stored_columns()
            .into_iter()
            .map(|column| vec![format!("  {}", column.name), column.kind.sql().to_owned()])
            .collect();
        text.push_str(&aligned(&lines));
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn to_json(connection: &str, table: &'static TableSpec, every: &Every) -> Value {
    let columns = table.stored_columns();
    json!({
        "name": format!("{connection}.{}", table.name),
        "key": table.key.iter().map(|key| key.name).collect::<Vec<_>>(),
        "cursor": table.cursor,
        "strategy": table.disposition.as_str(),
        "endpoint": table.endpoint.describe(),
        "permission": table.permissions(),
        "inside": table.inside().map(|inside| inside.parent.name),
        "only_when_named": table.opt_in,
        "since_api_version": (table.since_minor > 0).then(|| format!("2.{}", table.since_minor)),
        "every_seconds": every_of(table, every).map(|every| every.as_secs()),
        "columns": columns.iter().map(|c| json!({ "name": c.name, "type": c.kind.sql() })).collect::<Vec<_>>(),
    })
}

fn left_aligned(lines: &[Vec<String>]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..lines.first().map_or(0, Vec::len)).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}
