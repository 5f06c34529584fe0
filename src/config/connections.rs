//! The connections of one configuration: listed, chosen by name, and resolved one by one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::destination::{
    DEFAULT_DESTINATION_NAME, DEFAULT_DUCKDB_FILE, DestinationConfig, DuckDbConfig, parse_uri,
};
use super::environment::Environment;
use super::expand::{Piece, scan};
use super::file::{self, Contents, Entry, Kind, Origin, Setting};
use super::intercom::IntercomConnection;
use super::locate::Located;
use super::nearest::nearest;
use super::object_store::SECRETS;
use super::read::{check_is_file, is_nowhere, read};
use super::settings::{ACCESS_TOKEN, REGION_VARIABLE, Settings, TOKEN_VARIABLE};
use super::yaml::Position;
use crate::error::{Error, ErrorKind, Result};
use crate::printable;

/// A configuration whose structure is sound and whose values are still as written.
///
/// Names are unique in it, whatever their type. Its `Debug` shows names, keys and places, no values.
#[derive(Debug)]
pub struct Connections {
    origin: Origin,
    contents: Contents,
    /// The permission bits of the file, if somebody other than its owner may read it.
    exposed_as: Option<u32>,
    /// Whether relative paths start from the working directory, since the file stands where no others do.
    is_nowhere: bool,
}

impl Connections {
    /// Reads what [`config_path`](super::config_path) found; where it found nothing, the environment alone has
    /// to be enough.
    pub fn open(located: &Located, environment: &Environment) -> Result<Self> {
        let looked_at = match located {
            Located::Typed(path) => return Self::load(path),
            Located::Found(path) => return Self::load_found(path),
            Located::Nowhere(looked_at) => looked_at,
        };
        Self::from_environment(environment)?.ok_or_else(|| {
            let places: Vec<String> = looked_at.iter().map(|place| place.display().to_string()).collect();
            Error::new(ErrorKind::Config, format!("no connections.yml (looked for {})", places.join(", ")))
                .with_hint(format!("`ingest init` writes one; or export {TOKEN_VARIABLE}, which is enough"))
        })
    }

    /// The same for commands that only look at destinations and declarations: no token is needed for that.
    pub fn open_to_look(located: &Located, environment: &Environment) -> Result<Self> {
        match located {
            Located::Typed(path) => Self::load(path),
            Located::Found(path) => Self::load_found(path),
            Located::Nowhere(_) => Self::of_environment(environment),
        }
    }

    /// Reads a file that nobody named: a pipe in its place may never come to an end.
    fn load_found(path: &Path) -> Result<Self> {
        check_is_file(path)?;
        Self::load(path)
    }

    /// Reads a file of 1 MiB at most, or once a pipe that ends within 10 s. Missing, unreadable, not UTF-8 and structurally
    /// wrong files are `Config` errors, and so are sockets and devices.
    pub fn load(path: &Path) -> Result<Self> {
        let refused =
            |message: &str| Error::new(ErrorKind::Config, message).within(path.display().to_string());
        let is_nowhere = is_nowhere(path);
        let bytes = read(path)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            refused(&format!("not UTF-8 text (byte {})", error.utf8_error().valid_up_to() + 1))
                .with_hint("save the file as UTF-8")
        })?;
        let mut connections = Self::from_text(&text, path)?;
        connections.exposed_as = readable_by_others(path);
        connections.is_nowhere = is_nowhere;
        Ok(connections)
    }

    /// Reads the text of a file; `path` is what errors call it and where its relative paths start from.
    pub fn from_text(text: &str, path: &Path) -> Result<Self> {
        let origin = Origin::File(path.to_owned());
        let contents = file::parse(text, &origin)?;
        Ok(Self { origin, contents, exposed_as: None, is_nowhere: false })
    }

    /// What `INTERCOM_ACCESS_TOKEN`, and `INTERCOM_REGION` if set, make on their own: one connection
    /// `intercom`, and `./ingest.duckdb`. `None` without a token; an empty variable counts as unset.
    pub fn from_environment(environment: &Environment) -> Result<Option<Self>> {
        if is_set(environment, TOKEN_VARIABLE)? {
            Self::of_environment(environment).map(Some)
        } else {
            Ok(None)
        }
    }

    /// The connections of [`Connections::from_environment`], whose token is only missed once it is needed.
    fn of_environment(environment: &Environment) -> Result<Self> {
        let nowhere = Position { line: 0, column: 0 };
        let setting = |key, text: String| Setting { key, table: None, at: nowhere, text: Some(text) };
        let mut settings = vec![setting(ACCESS_TOKEN, format!("${{{TOKEN_VARIABLE}}}"))];
        if is_set(environment, REGION_VARIABLE)? {
            settings.push(setting("region", format!("${{{REGION_VARIABLE}}}")));
        }
        let source =
            Entry { kind: Kind::Intercom, name: Kind::Intercom.as_str().to_owned(), at: nowhere, settings };
        let destination = Entry {
            kind: Kind::DuckDb,
            name: DEFAULT_DESTINATION_NAME.to_owned(),
            at: nowhere,
            settings: vec![setting("path", DEFAULT_DUCKDB_FILE.to_owned())],
        };
        let contents = Contents { entries: vec![source, destination], default_destination: None };
        Ok(Self { origin: Origin::Environment, contents, exposed_as: None, is_nowhere: false })
    }

    /// Name and type of everything that can be read, in the order of the file.
    pub fn source_names(&self) -> Vec<(&str, &str)> {
        self.listed(true)
    }

    /// Name and type of everything that can be written, in the order of the file.
    pub fn destination_names(&self) -> Vec<(&str, &str)> {
        self.listed(false)
    }

    /// The name of the source that is meant: `typed` itself, or the only connection of the type `typed`.
    pub fn resolve_source(&self, typed: &str) -> Result<String> {
        let usage = |message: String| Error::new(ErrorKind::Usage, message);
        match self.find(typed) {
            Some(entry) if entry.kind.is_source() => return Ok(entry.name.clone()),
            Some(entry) if !self.sources().any(|source| source.kind.as_str() == typed) => {
                return Err(usage(format!("connection {typed} is a destination ({})", entry.kind.as_str()))
                    .with_hint(self.meant(None, true)));
            }
            _ => {}
        }
        let of_type: Vec<&str> =
            self.sources().filter(|s| s.kind.as_str() == typed).map(|s| s.name.as_str()).collect();
        match of_type.as_slice() {
            [] => {}
            [only] => return Ok((*only).to_owned()),
            several => {
                return Err(usage(format!("{typed} is the type of {} connections", several.len()))
                    .with_hint(format!("name one of them: {}", several.join(", "))));
            }
        }
        if self.sources().next().is_none() {
            return Err(Error::new(ErrorKind::Config, "no connection to read from")
                .within(self.origin.to_string())
                .with_hint(self.meant(None, true)));
        }
        let near = nearest(typed, self.sources().map(|source| source.name.as_str()));
        Err(usage(format!("connection {}: unknown", shown(typed))).with_hint(self.meant(near, true)))
    }

    /// Expands and checks the Intercom connection of this name, and no other.
    pub fn intercom(&self, name: &str, environment: &Environment) -> Result<IntercomConnection> {
        let name = self.resolve_source(name)?;
        let entry = self.find(&name).ok_or_else(|| Error::new(ErrorKind::Usage, "no such connection"))?;
        IntercomConnection::from_settings(&name, &self.settings(entry, environment))
    }

    /// How often at most each table of the source of this name is read, of those about which something is said. Nothing
    /// else about the source is looked at.
    pub fn tables_every(
        &self,
        name: &str,
        environment: &Environment,
    ) -> Result<BTreeMap<&'static str, Duration>> {
        let name = self.resolve_source(name)?;
        let entry = self.find(&name).ok_or_else(|| Error::new(ErrorKind::Usage, "no such connection"))?;
        IntercomConnection::tables_every_from(&self.settings(entry, environment))
    }

    /// Where a run writes: the configured destination `typed`, or the `duckdb:PATH`, `parquet:PATH` or URL it is.
    /// Without `typed`: `default_destination`, else the only destination, else `./ingest.duckdb`.
    ///
    /// Paths typed and paths nobody configured are relative to `working_dir`, configured ones to their file.
    pub fn destination(
        &self,
        typed: Option<&str>,
        environment: &Environment,
        working_dir: &Path,
    ) -> Result<DestinationConfig> {
        let Some(typed) = typed else { return self.destination_unsaid(environment, working_dir) };
        match self.find(typed) {
            Some(entry) if entry.kind.is_source() => {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!("connection {typed} is a source ({})", entry.kind.as_str()),
                )
                .with_hint(self.meant(None, false)));
            }
            Some(entry) => return self.configured(entry, environment, working_dir),
            None => {}
        }
        if let Some(config) = parse_uri(typed, working_dir, environment) {
            return config;
        }
        let error = Error::new(ErrorKind::Usage, format!("destination {}: unknown", shown(typed)));
        Err(error.with_hint(if looks_like_duckdb_file(typed) {
            format!("for a file, write duckdb:{}", printable::name(typed))
        } else {
            let near = nearest(typed, self.destinations().map(|destination| destination.name.as_str()));
            self.meant(near, false)
        }))
    }

    /// What should be said before a run, however quiet it is, without values: literal secrets that others can read.
    pub fn warnings(&self) -> Vec<String> {
        let Some(mode) = self.exposed_as else { return Vec::new() };
        let is_secret = |key: &str| key == ACCESS_TOKEN || SECRETS.contains(&key);
        let is_exposed = |setting: &&Setting| {
            is_secret(setting.key) && setting.text.as_deref().is_some_and(holds_literal_text)
        };
        let exposed = self.contents.entries.iter().flat_map(|entry| {
            entry.settings.iter().filter(is_exposed).map(move |setting| (entry, setting.key))
        });
        exposed
            .map(|(entry, key)| {
                let (what, variable) = match key {
                    ACCESS_TOKEN => ("the access token", TOKEN_VARIABLE),
                    key => (key, "VARIABLE"),
                };
                format!(
                    "{}:{}: connection {}: {what} is written out in a file that others can read \
                     (mode {mode:04o}): write ${{{variable}}}, or chmod 600 the file",
                    self.origin, entry.at.line, entry.name
                )
            })
            .collect()
    }

    fn destination_unsaid(&self, environment: &Environment, working_dir: &Path) -> Result<DestinationConfig> {
        if let Some(default) = &self.contents.default_destination {
            let settings = Settings { origin: &self.origin, environment, entry: None };
            let name = settings.expanded(default)?.text;
            let named = self.destinations().find(|destination| destination.name == name);
            return named.map_or_else(
                || {
                    let near = nearest(&name, self.destinations().map(|entry| entry.name.as_str()));
                    let error = settings.error(default, "no destination of this name in the file");
                    Err(error.with_hint(self.meant(near, false)))
                },
                |entry| self.configured(entry, environment, working_dir),
            );
        }
        let destinations: Vec<&Entry> = self.destinations().collect();
        match destinations.as_slice() {
            [] => {
                let path: PathBuf = working_dir.join(DEFAULT_DUCKDB_FILE).components().collect();
                Ok(DestinationConfig::DuckDb(DuckDbConfig::new(DEFAULT_DESTINATION_NAME, path)))
            }
            [only] => self.configured(only, environment, working_dir),
            _ => Err(Error::new(ErrorKind::Config, "several destinations and no default_destination")
                .within(self.origin.to_string())
                .with_hint(format!("choose with --to, or set default_destination: {}", self.known(false)))),
        }
    }

    fn configured(
        &self,
        entry: &Entry,
        environment: &Environment,
        working_dir: &Path,
    ) -> Result<DestinationConfig> {
        let settings = self.settings(entry, environment);
        let base = match &self.origin {
            Origin::File(_) if self.is_nowhere => working_dir.to_owned(),
            Origin::File(path) => working_dir.join(path.parent().unwrap_or(Path::new(""))),
            Origin::Environment => working_dir.to_owned(),
        };
        match entry.kind {
            Kind::DuckDb => {
                DuckDbConfig::from_settings(&entry.name, &settings, &base).map(DestinationConfig::DuckDb)
            }
            Kind::Parquet => DestinationConfig::parquet(&entry.name, &settings, &base),
            Kind::Intercom => {
                Err(Error::new(ErrorKind::Usage, format!("connection {} is a source", entry.name)))
            }
        }
    }

    fn settings<'a>(&'a self, entry: &'a Entry, environment: &'a Environment) -> Settings<'a> {
        Settings { origin: &self.origin, environment, entry: Some(entry) }
    }

    fn find(&self, name: &str) -> Option<&Entry> {
        self.contents.entries.iter().find(|entry| entry.name == name)
    }

    fn sources(&self) -> impl Iterator<Item = &Entry> {
        self.contents.entries.iter().filter(|entry| entry.kind.is_source())
    }

    fn destinations(&self) -> impl Iterator<Item = &Entry> {
        self.contents.entries.iter().filter(|entry| !entry.kind.is_source())
    }

    fn listed(&self, sources: bool) -> Vec<(&str, &str)> {
        let entries = self.contents.entries.iter().filter(|entry| entry.kind.is_source() == sources);
        entries.map(|entry| (entry.name.as_str(), entry.kind.as_str())).collect()
    }

    /// The names of the sources, or of the destinations, for a message.
    fn known(&self, sources: bool) -> String {
        self.listed(sources).iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// A hint: the nearest name, all names, and for destinations the way to do without a name.
    fn meant(&self, near: Option<&str>, sources: bool) -> String {
        let question = near.map(|near| format!("did you mean {near}? ")).unwrap_or_default();
        let known = self.known(sources);
        match (sources, known.is_empty()) {
            (true, false) => format!("{question}known connections: {known}"),
            (true, true) => "add one below `connections: intercom:`".to_owned(),
            (false, false) => {
                format!(
                    "{question}known destinations: {known}; or write duckdb:PATH, parquet:PATH or s3://BUCKET"
                )
            }
            (false, true) => "write duckdb:PATH, parquet:PATH or s3://BUCKET".to_owned(),
        }
    }
}

/// Whether a variable is set to something.
fn is_set(environment: &Environment, variable: &str) -> Result<bool> {
    Ok(environment.get(variable)?.is_some_and(|value| !value.is_empty()))
}

/// A name as typed, for a message; of anything that is no name, such as a URL with a password, only the part
/// before the first colon.
fn shown(typed: &str) -> String {
    match typed.split_once(':') {
        Some((scheme, _)) => format!("{}:...", printable::name(scheme)),
        None => printable::name(typed),
    }
}

fn looks_like_duckdb_file(typed: &str) -> bool {
    let extension = Path::new(typed).extension().and_then(|extension| extension.to_str());
    !typed.contains(':') && extension.is_some_and(|extension| matches!(extension, "duckdb" | "db" | "ddb"))
}

/// Whether the value of a secret holds more than references to variables.
fn holds_literal_text(text: &str) -> bool {
    let Ok(pieces) = scan(text) else { return true };
    pieces.iter().any(|piece| match piece {
        Piece::Literal(_) => true,
        Piece::Reference(reference) => reference.default.as_ref().is_some_and(|default| !default.is_empty()),
    })
}

/// The permission bits of a file that somebody besides its owner may use.
#[cfg(unix)]
fn readable_by_others(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

/// Elsewhere permissions are no bits; nothing is claimed about them.
#[cfg(not(unix))]
fn readable_by_others(_: &Path) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests;
