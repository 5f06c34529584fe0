//! Integration tests, in one binary so that DuckDB is linked once.
//!
//! - `cli`: the real binary from outside: exit code, stdout, stderr.
//! - `destination_suite`: every promise of a destination, for every destination.
//! - `merge_model`: any replay, repetition or reordering against a plain map.
//! - `value_roundtrip`: JSON to Arrow to DuckDB and back, value for value.
//! - `state_compat`: stored states of every version are read.
//! - `intercom`: worlds of the sandbox, read and compared with its truth row by row.
//! - `faults`: what goes wrong on the way, on script.
//! - `crash`: runs killed at any point, run again.
//! - `bounds`: answers and lists without end, and what waiting for them says.
//! - `odd_servers`: servers that keep the contract in a way of their own.
//! - `regression`: one per bug, named after what went wrong.
//! - `shapes`: answers as versions of the API give them, and as none has given them yet.
//! - `docs`: what the documentation says is what the program does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has to fail")]

mod bounds;
mod cli;
mod crash;
mod destination_suite;
mod docs;
mod faults;
mod intercom;
mod merge_model;
mod odd_servers;
mod regression;
mod shapes;
mod state_compat;
mod support;
mod value_roundtrip;
