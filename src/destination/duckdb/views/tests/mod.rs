//! A small workspace in DuckDB, and the views that come of it.

mod definition;
mod refreshing;
mod values;

use ::duckdb::types::Value;
use ::duckdb::{Config, Connection, params};

/// Name and type of each column of the view of contacts.
const COLUMNS: &str = "SELECT column_name || ' ' || data_type FROM duckdb_columns()
     WHERE table_name = 'contacts_custom' ORDER BY column_index";

/// A workspace in memory with empty tables of objects and of declarations.
fn workspace(tables: &[&str]) -> Connection {
    // As in earnest: nothing is loaded that is not built in, so that what needs ICU fails here.
    let config = Config::default().enable_autoload_extension(false).unwrap();
    let config = config.with("default_transaction_invalidation_policy", "SYNTACTIC_ERRORS_DO_NOT_INVALIDATE");
    let config = config.unwrap();
    let connection = Connection::open_in_memory_with_flags(config).unwrap();
    connection.execute_batch("CREATE SCHEMA crm").unwrap();
    for table in tables {
        let columns = if table.ends_with("attributes") {
            "id VARCHAR, type VARCHAR, model VARCHAR, name VARCHAR, full_name VARCHAR, data_type VARCHAR,
             custom BOOLEAN, archived BOOLEAN, created_at TIMESTAMP WITH TIME ZONE,
             updated_at TIMESTAMP WITH TIME ZONE, _ingested_at TIMESTAMP WITH TIME ZONE"
        } else {
            "id VARCHAR, custom_attributes JSON"
        };
        connection.execute_batch(&format!("CREATE TABLE crm.{table} ({columns})")).unwrap();
    }
    connection
}

fn declare(connection: &Connection, table: &str, model: &str, name: &str, data_type: &str) {
    let sql = format!(
        "INSERT INTO crm.{table} BY NAME
         SELECT n::VARCHAR AS id, ? AS model, ? AS name, 'custom_attributes.' || name AS full_name,
                ? AS data_type, true AS custom, to_timestamp(n) AS created_at
         FROM (SELECT count(*) AS n FROM crm.{table})"
    );
    connection.execute(&sql, params![model, name, data_type]).unwrap();
}

fn store(connection: &Connection, table: &str, id: &str, custom_attributes: &str) {
    let sql = format!("INSERT INTO crm.{table} VALUES (?, ?)");
    connection.execute(&sql, params![id, custom_attributes]).unwrap();
}

fn ask(connection: &Connection, sql: &str) -> Vec<Value> {
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<::duckdb::Result<_>>().unwrap()
}

fn texts(connection: &Connection, sql: &str) -> Vec<String> {
    let text = |value| match value {
        Value::Text(text) => text,
        other => format!("{other:?}"),
    };
    ask(connection, sql).into_iter().map(text).collect()
}
