//! `connections.yml` and the environment: what to read, where to write, and with which secrets.
//!
//! ```text
//! text --yaml--> tree with places --file--> entries, unexpanded --expand, settings--> one checked connection
//! ```
//!
//! The structure of the whole file is checked when it is loaded. Values are expanded and checked only for the
//! connections a run uses, so a variable that only another connection needs may be unset. Expansion works on
//! parsed values, never on the text of the file. No error and no `Debug` shows a value.

mod connections;
mod destination;
pub mod environment;
mod expand;
mod file;
mod intercom;
mod locate;
mod names;
mod nearest;
mod object_store;
mod proxy;
mod read;
pub mod secret;
mod settings;
mod values;
mod yaml;

pub use connections::Connections;
pub use destination::{
    DEFAULT_DESTINATION_NAME, DEFAULT_DUCKDB_FILE, DestinationConfig, DuckDbConfig, ParquetConfig,
};
pub use environment::Environment;
pub use intercom::{ApiVersion, IntercomConnection, Region};
pub use locate::{FILE_NAME, Located, config_path};
pub use names::{RESERVED_NAMES, check_schema};
pub use nearest::nearest;
pub use object_store::{ObjectStoreConfig, Service};
pub(crate) use proxy::is_loopback;
pub use secret::Secret;
pub use values::{Expected, Rate, parse_duration, parse_instant, parse_rate};

/// The commented `connections.yml` that `ingest init` writes: a usable start, and the reference of every key.
pub const TEMPLATE: &str = include_str!("../../connections.example.yml");
