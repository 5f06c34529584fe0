//! Brings an Intercom workspace into DuckDB or Parquet, incrementally and completely.
//!
//! When a run ends with exit code 0, the table holds every row Intercom could show, once, at its newest
//! version, and the next run starts from a point that cannot lose anything.
//!
//! The way of a row, in the order of the modules:
//!
//! 1. [`config`] turns `connections.yml` and the environment into connections.
//! 2. [`client`] sends requests: retry outside, rate limit inside.
//! 3. [`source`] knows the endpoints: which request reads what, and what an answer proves.
//! 4. [`batch`] decodes rows straight into Arrow, driven by the [`table`] declarations.
//! 5. [`pipeline`] decides what to read ([`window`], [`state`]) and brings source and destination together.
//! 6. [`destination`] merges rows and saves the state they support, in one transaction.
//!
//! Around it: [`cli`] is what was typed, [`commands`] carries it out, [`progress`] and [`report`] say what
//! happens, and [`printable`] makes what others wrote fit to be said. [`sandbox`] is a small Intercom on loopback that all of this is tried against.

pub mod batch;
pub mod cli;
pub mod client;
pub mod clock;
pub mod commands;
pub mod config;
mod descriptors;
pub mod destination;
pub mod error;
pub mod ledger;
mod memory;
pub mod pipeline;
pub mod printable;
pub mod progress;
pub mod report;
pub mod sandbox;
pub mod source;
mod special;
pub mod state;
pub mod table;
mod trust;
pub mod window;
