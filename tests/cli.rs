//! The real binary from outside: exit code, stdout, stderr.
//!
//! A test belongs in the module of the command it runs. What ends runs badly has modules of its own:
//! - `usage`: what was typed;
//! - `configuration`: what stands in `connections.yml` or in the environment;
//! - `refusals`: what Intercom does not let us do, and not reaching it at all;
//! - `destinations`: files that cannot be written, or not now;
//! - `network`: certificates, proxies, and addresses that must not be used;
//! - `lake`: a folder of Parquet files instead of a database;
//! - `due`: tables that are fresh enough to be left out;
//! - `private`: who may use what a run writes;
//! - `unwritten`: what `ingest check` leaves as it was: everything;
//! - `several`: two destinations at once;
//! - `odd_words`: names and words of others, which move no cursor and forge no line;
//! - `signals`: Ctrl-C, SIGTERM, a closed terminal, and readers that went away;
//! - `timeout`: runs whose time is up.

mod check;
mod configuration;
mod demo;
mod destinations;
mod due;
mod help;
mod init;
mod lake;
mod network;
mod objects;
mod odd_words;
#[cfg(unix)]
mod private;
mod refusals;
mod run;
mod sandbox;
mod several;
mod signals;
mod status;
mod tables;
mod timeout;
#[cfg(unix)]
mod unwritten;
mod usage;
