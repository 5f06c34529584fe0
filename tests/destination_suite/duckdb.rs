//! What only holds for DuckDB: its file, what lies beside it, and tables that people made or changed.

mod file;
mod older_tables;
