//! What only holds for DuckDB: its file, what lies beside it, tables that people made or changed, and
//! the views of custom attributes.

mod file;
mod older_tables;
mod views;
mod wide;
