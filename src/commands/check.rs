//! `ingest check`: tries everything a run needs, with the cheapest requests there are.

use jiff::SignedDuration;

use super::{print, setup};
use crate::cli::CheckArgs;
use crate::clock;
use crate::config::IntercomConnection;
use crate::destination::duckdb::DuckDb;
use crate::error::{Error, ErrorKind, Result, worst};
use crate::progress::{Mode, Progress, TableProgress};
use crate::report::aligned;
use crate::source::{Identity, Source};

/// A clock further off than this deserves a word; up to it, nothing is even late.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// Tries the connections and the destination; the exit code of the worst finding.
pub(super) fn check(args: &CheckArgs) -> Result<u8> {
    setup::logging(&args.common);
    let setup = setup::Setup::read(&args.common)?;
    let names = match &args.connection {
        Some(typed) => vec![setup.connections.resolve_source(typed)?],
        None => setup.connections.source_names().into_iter().map(|(name, _)| name.to_owned()).collect(),
    };
    if names.is_empty() {
        return Err(Error::new(ErrorKind::Config, "no connection is configured")
            .with_hint("ingest init writes an example"));
    }
    let config = setup.duckdb(args.to.as_deref())?;
    let runtime = setup::runtime()?;
    let mut findings = Findings::default();
    for name in names {
        match setup.intercom(&name) {
            Ok(connection) => {
                if let Err(error) = setup::check_schema(&config, &connection.name) {
                    findings.bad("destination", &error);
                }
                runtime.block_on(check_connection(&connection, &mut findings))?;
            }
            Err(error) => findings.bad(&format!("connection {name}"), &error),
        }
    }
    let (options, wait) = setup::duckdb_options(&config, None);
    let exists = config.path.exists();
    let tried = DuckDb::begin(&config.path, options, wait, Progress::new(Mode::Off))
        .and_then(|mut file| file.try_out());
    match tried {
        Ok(()) if exists => findings.good("destination", format!("{} can be written", config.path.display())),
        Ok(()) => findings.good("destination", format!("{} can be created", config.path.display())),
        Err(error) => findings.bad("destination", &error),
    }
    print(&findings.to_text())?;
    Ok(findings.exit_code())
}

#[derive(Default)]
struct Findings {
    lines: Vec<Vec<String>>,
    hints: Vec<String>,
    codes: Vec<u8>,
}

impl Findings {
    fn good(&mut self, what: &str, finding: String) {
        self.lines.push(vec![what.to_owned(), "ok".into(), finding]);
    }

    fn warn(&mut self, what: &str, finding: String) {
        self.lines.push(vec![what.to_owned(), "note".into(), finding]);
    }

    fn bad(&mut self, what: &str, error: &Error) {
        self.lines.push(vec![what.to_owned(), "FAILED".into(), error.to_string()]);
        self.codes.push(error.kind().exit_code());
        if let Some(hint) = error.hint() {
            let hint = format!("hint: {what}: {hint}");
            if !self.hints.contains(&hint) {
                self.hints.push(hint);
            }
        }
    }

    fn to_text(&self) -> String {
        let mut text = aligned(&self.lines);
        for hint in &self.hints {
            text.push_str(hint);
            text.push('\n');
        }
        text
    }

    fn exit_code(&self) -> u8 {
        worst(self.codes.iter().copied())
    }
}

async fn check_connection(connection: &IntercomConnection, findings: &mut Findings) -> Result<()> {
    let client = setup::client(connection, None, 4)?;
    let source = setup::source(connection, client);
    let silent = TableProgress::silent();
    let asked_at = clock::now();
    let identity = match source.identify(&silent).await {
        Ok(identity) => identity,
        Err(error) => {
            findings.bad(&format!("connection {}", connection.name), &error);
            return Ok(());
        }
    };
    findings.good(&format!("connection {}", connection.name), describe(&identity, connection));
    match identity.date.map(|server| asked_at.duration_since(server)) {
        Some(skew) if skew.abs() <= SKEW => findings.good("clock", "agrees with the server's".into()),
        Some(skew) => findings.warn(
            "clock",
            format!(
                "is {} s {} the server's; harmless, since the earlier of the two counts",
                skew.abs().as_secs(),
                if skew.is_positive() { "ahead of" } else { "behind" }
            ),
        ),
        None => findings.warn("clock", "the server does not say its time; runs read one day more".into()),
    }
    for table in source.tables() {
        let what = format!("{}.{}", connection.name, table.name);
        match source.probe(table, &silent).await {
            Ok(()) => findings.good(&what, table.permission.to_owned()),
            Err(error) => findings.bad(&what, &error),
        }
    }
    Ok(())
}

fn describe(identity: &Identity, connection: &IntercomConnection) -> String {
    let workspace = identity.workspace.as_deref().unwrap_or("unknown");
    let name = identity.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    let region = identity.region.as_deref().unwrap_or("unknown");
    let zone = identity.time_zone.as_deref().unwrap_or("unknown");
    format!("workspace {workspace}{name}, region {region}, time zone {zone}, API {}", connection.api_version)
}
