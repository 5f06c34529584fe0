//! The real binary from outside: exit code, stdout, stderr.
//!
//! A test belongs in the module of the command it runs. What ends runs badly has modules of its own:
//! - `usage`: what was typed;
//! - `configuration`: what stands in `connections.yml` or in the environment;
//! - `refusals`: what Intercom does not let us do, and not reaching it at all;
//! - `destinations`: files that cannot be written, or not now;
//! - `lake`: a folder of Parquet files instead of a database;
//! - `several`: two destinations at once;
//! - `signals`: Ctrl-C, SIGTERM, and readers that went away;
//! - `timeout`: runs whose time is up.

mod check;
mod configuration;
mod demo;
mod destinations;
mod help;
mod init;
mod lake;
mod objects;
mod refusals;
mod run;
mod sandbox;
mod several;
mod signals;
mod status;
mod tables;
mod timeout;
mod usage;
