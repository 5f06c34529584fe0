//! What only holds for Parquet: its files, who reads them while they are written, and what else lies in their folder.

mod files;
mod folder;
mod json;
mod objects;
mod odd_stores;
mod readers;
mod waiting;
