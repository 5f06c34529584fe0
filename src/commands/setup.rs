//! From what was typed to connections, tables and destinations that are ready to use.

use std::fmt::Debug;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use url::Url;

use super::destinations::check_apart;
use super::say;
use crate::cli::{CommonArgs, ProgressMode};
use crate::client::{Backoff, Client, ClientSettings};
use crate::config::environment::Environment;
use crate::config::{
    Connections, DestinationConfig, IntercomConnection, Located, Rate, config_path, nearest,
};
use crate::descriptors;
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::{Job, ReadingRules};
use crate::printable;
use crate::progress::{Mode, Progress, TableProgress};
use crate::source::intercom::{Intercom, tables};
use crate::table::TableSpec;

/// How long an answer may take before the attempt counts as lost.
const PATIENCE: Duration = Duration::from_secs(90);

/// The configuration of one invocation.
pub(super) struct Setup {
    pub(super) connections: Connections,
    pub(super) environment: Environment,
    pub(super) working_dir: PathBuf,
    /// Whether nothing is said but errors and what must be.
    is_quiet: bool,
}

impl Setup {
    /// Finds and reads the configuration, and says what is unwise about it.
    pub(super) fn read(common: &CommonArgs) -> Result<Self> {
        Self::opened_by(Connections::open, common)
    }

    /// The same for commands that read no source: they work without any configuration.
    pub(super) fn read_to_look(common: &CommonArgs) -> Result<Self> {
        Self::opened_by(Connections::open_to_look, common)
    }

    fn opened_by(
        open: fn(&Located, &Environment) -> Result<Connections>,
        common: &CommonArgs,
    ) -> Result<Self> {
        let environment = Environment::of_process();
        keep_passwords(&environment);
        let working_dir = std::env::current_dir()
            .map_err(|e| Error::new(ErrorKind::Usage, "the working directory is gone").with_source(e))?;
        let user_dir = environment.user_config_dir().map(Path::to_owned);
        let located = config_path(common.config.as_deref(), &working_dir, user_dir);
        let connections = open(&located, &environment)?;
        // Whatever is quiet, who can read a token is said.
        for warning in connections.warnings() {
            say(&printable::line(&format!("warning: {warning}")));
        }
        Ok(Self { connections, environment, working_dir, is_quiet: common.quiet })
    }

    /// The Intercom connection of that name.
    pub(super) fn intercom(&self, name: &str) -> Result<IntercomConnection> {
        self.connections.intercom(name, &self.environment)
    }

    /// The destinations that `--to` means each time it was typed, or the one that its absence means. No two of them are
    /// the same place.
    pub(super) fn destinations(&self, to: &[String]) -> Result<Vec<DestinationConfig>> {
        let resolve =
            |to: Option<&str>| self.connections.destination(to, &self.environment, &self.working_dir);
        if to.is_empty() {
            return Ok(vec![resolve(None)?]);
        }
        let configs = to.iter().map(|to| resolve(Some(to))).collect::<Result<Vec<_>>>()?;
        check_apart(&configs)?;
        Ok(configs)
    }

    /// The tables that were typed, by connection, both in the order in which they were typed first.
    pub(super) fn tables(&self, typed: &[String]) -> Result<Vec<(String, Vec<&'static TableSpec>)>> {
        let mut found: Vec<(String, Vec<&'static TableSpec>)> = Vec::new();
        for typed in typed {
            let (connection, table) = typed.split_once('.').unwrap_or((typed, "*"));
            let connection = self.connections.resolve_source(connection)?;
            let position = found.iter().position(|(known, _)| *known == connection).unwrap_or_else(|| {
                found.push((connection.clone(), Vec::new()));
                found.len() - 1
            });
            let minor = minor_of(&self.intercom(&connection)?);
            let (tables, missing) = tables_named(&connection, table, minor)?;
            if !missing.is_empty() && !self.is_quiet {
                say(&format!("warning: API 2.{minor} does not have {}; left out", missing.join(", ")));
            }
            for table in tables {
                if !found[position].1.iter().any(|known| known.name == table.name) {
                    found[position].1.push(table);
                }
            }
        }
        Ok(found)
    }
}

/// Passwords in the addresses of proxies are printed by nobody, whoever complains about one.
fn keep_passwords(environment: &Environment) {
    for variable in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"] {
        for variable in [variable.to_owned(), variable.to_lowercase()] {
            let address = environment.get(&variable).ok().flatten().and_then(|value| Url::parse(value).ok());
            if let Some(password) = address.as_ref().and_then(Url::password) {
                printable::keep_secret(password);
            }
        }
    }
}

/// The tables that `name` means in API version 2.`minor`, and the names of those that it means and that this version does
/// not have. All of them are those that need not be named.
fn tables_named(
    connection: &str,
    name: &str,
    minor: u8,
) -> Result<(Vec<&'static TableSpec>, Vec<&'static str>)> {
    if name == "*" {
        let all = tables::TABLES.iter().copied().filter(|table| !table.opt_in);
        let (there, missing): (Vec<_>, Vec<_>) = all.partition(|table| table.since_minor <= minor);
        return Ok((there, missing.iter().map(|table| table.name).collect()));
    }
    if let Some(table) = tables::find(name) {
        if table.since_minor > minor {
            let message = format!("table {name} is not in API 2.{minor}");
            let hint = format!("set api_version: \"2.{}\" or newer", table.since_minor);
            return Err(Error::new(ErrorKind::Config, message).with_hint(hint));
        }
        return Ok((vec![table], Vec::new()));
    }
    let known: Vec<&str> = tables::TABLES.iter().map(|table| table.name).collect();
    let hint = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {connection}.{near}? all of them: ingest tables"),
        None => format!("tables: {}", known.join(", ")),
    };
    Err(Error::new(
        ErrorKind::Usage,
        format!("connection {connection} has no table \"{}\"", printable::name(name)),
    )
    .with_hint(hint))
}

/// A client for a connection, reporting nowhere yet.
pub(super) fn client(
    connection: &IntercomConnection,
    rate_limit: Option<Rate>,
    concurrency: u16,
) -> Result<Client> {
    let ceiling = tighter(connection.rate_limit, rate_limit);
    let settings = ClientSettings {
        base_url: connection.base_url.as_str().trim_end_matches('/').to_owned(),
        token: connection.token.clone(),
        api_version: connection.api_version.to_string(),
        rate_limit: ceiling.map(|rate| (rate.requests, rate.per)),
        concurrency: descriptors::connections(usize::from(concurrency)),
        patience: PATIENCE,
        backoff: Backoff::default(),
    };
    Client::new(settings, TableProgress::silent())
}

/// Whichever allows fewer requests in the same time.
fn tighter(configured: Option<Rate>, typed: Option<Rate>) -> Option<Rate> {
    let per_second = |rate: &Rate| f64::from(rate.requests) / rate.per.as_secs_f64();
    match (configured, typed) {
        (Some(configured), Some(typed)) if per_second(&typed) > per_second(&configured) => Some(configured),
        (configured, typed) => typed.or(configured),
    }
}

/// The source behind a connection.
pub(super) fn source(connection: &IntercomConnection, client: Client) -> Intercom {
    let is_official = connection.base_url == connection.region.base_url();
    let checks_region = is_official || connection.region_is_explicit;
    let region = checks_region.then(|| connection.region.as_str().to_owned());
    Intercom::new(client, minor_of(connection), region).with_log_step(connection.activity_logs_time_step)
}

/// Minor of the API version, 2.x.
pub(super) fn minor_of(connection: &IntercomConnection) -> u8 {
    let minor = connection.api_version.as_str().split('.').nth(1);
    minor.and_then(|minor| minor.parse().ok()).unwrap_or(14)
}

/// A configured duration; those have a bound far below what fits.
pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// What a connection contributes to a run.
pub(super) fn job(
    connection: &IntercomConnection,
    client: Client,
    tables: Vec<&'static TableSpec>,
    schema: Option<&str>,
) -> Job {
    Job {
        schema: Arc::from(schema.unwrap_or(&connection.name)),
        source: Arc::new(source(connection, client)),
        tables,
        reading: ReadingRules {
            api_version: connection.api_version.to_string(),
            start_date: connection.start_date,
            lookback: signed(connection.lookback_window),
            refresh_every: connection.full_refresh_every.map(signed),
            parts_refresh_every: connection.parts_refresh_every.map(signed),
            sweep_every: signed(connection.sweep_every),
            tables_every: connection
                .tables_every
                .iter()
                .map(|(table, every)| (*table, signed(*every)))
                .collect(),
        },
    }
}

/// Progress as asked for; live bars only where somebody watches and no log lines come between.
pub(super) fn progress(mode: ProgressMode, common: &CommonArgs) -> Progress {
    let is_watched = std::io::stderr().is_terminal() && common.verbose == 0;
    Progress::new(match mode {
        _ if common.quiet => Mode::Off,
        ProgressMode::Off => Mode::Off,
        ProgressMode::Auto if is_watched => Mode::Live,
        ProgressMode::Auto | ProgressMode::Plain => Mode::Plain,
    })
}

/// Log lines on stderr: warnings unless told otherwise.
pub(super) fn logging(common: &CommonArgs) {
    let level = match (common.quiet, common.verbose) {
        (true, _) => "error",
        (_, 0) => "warn",
        (_, 1) => "ingest=info",
        _ => "ingest=debug",
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_writer(std::io::stderr)
        .with_target(false)
        .fmt_fields(debug_fn(log_field).delimited(" "))
        // What cannot be written to stderr cannot be complained about there either.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    // A second initialisation in the same process changes nothing, which is right.
    drop(subscriber.try_init());
}

/// A part of a log line: the sentence, or a name and its value. None of them is more than one line.
fn log_field(line: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let value = printable::line(&format!("{value:?}"));
    match field.name() {
        "message" => line.write_str(&value),
        name => write!(line, "{name}={value}"),
    }
}

/// The runtime that reading happens on. One thread carries all the requests that a rate limit allows many times over,
/// and no answer has to be handed from one to another on its way.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime> {
    started(&mut tokio::runtime::Builder::new_current_thread())
}

/// The runtime for serving a workspace beside or without reading it.
pub(super) fn serving_runtime() -> Result<tokio::runtime::Runtime> {
    started(tokio::runtime::Builder::new_multi_thread().worker_threads(2))
}

fn started(builder: &mut tokio::runtime::Builder) -> Result<tokio::runtime::Runtime> {
    builder
        .enable_all()
        .build()
        .map_err(|e| Error::new(ErrorKind::Usage, "threads cannot be started").with_source(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tighter_rate_holds() {
        let rate = |requests, seconds| Rate { requests, per: Duration::from_secs(seconds) };
        let (slow, fast) = (rate(10, 10), rate(1000, 60));
        assert_eq!(tighter(Some(slow), Some(fast)), Some(slow));
        assert_eq!(tighter(Some(fast), Some(slow)), Some(slow));
        assert_eq!(tighter(None, Some(fast)), Some(fast));
        assert_eq!(tighter(Some(fast), None), Some(fast));
        assert_eq!(tighter(None, None), None);
    }
}
