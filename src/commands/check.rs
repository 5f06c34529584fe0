//! `ingest check`: tries everything a run needs, with the cheapest requests there are.

use std::collections::HashMap;

use futures_util::{StreamExt, stream};
use jiff::SignedDuration;

use super::{destinations, print, setup};
use crate::cli::CheckArgs;
use crate::clock;
use crate::config::{DestinationConfig, IntercomConnection};
use crate::error::{Error, ErrorKind, Result, worst};
use crate::printable;
use crate::progress::TableProgress;
use crate::report::aligned;
use crate::source::intercom::Intercom;
use crate::source::{Identity, Source};
use crate::table::{More, TableSpec};

/// Requests that are tried at the same time.
const AT_ONCE: u16 = 4;
/// A clock further off than this deserves a word; up to it, nothing is even late.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// Tries the connections and the destinations; the exit code of the worst finding.
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
    let configs = setup.destinations(&args.to)?;
    let runtime = setup::runtime()?;
    let mut findings = Findings::default();
    for name in names {
        match setup.intercom(&name) {
            Ok(connection) => {
                for config in &configs {
                    if let Err(error) = destinations::check_schema(config, &connection.name) {
                        findings.bad(&label(config, &configs), &error);
                    }
                }
                runtime.block_on(check_connection(&connection, &mut findings))?;
            }
            Err(error) => findings.bad(&format!("connection {name}"), &error),
        }
    }
    for config in &configs {
        let (label, place) = (label(config, &configs), config.place());
        match destinations::try_out(config) {
            Ok(true) => findings.good(&label, format!("{place} can be written")),
            Ok(false) => findings.good(&label, format!("{place} can be created")),
            Err(error) => findings.bad(&label, &error),
        }
    }
    print(&findings.to_text())?;
    Ok(findings.exit_code())
}

/// What a finding about a destination begins with. One among several is named.
fn label(config: &DestinationConfig, all: &[DestinationConfig]) -> String {
    match all {
        [_] => "destination".to_owned(),
        _ => format!("destination {}", config.name()),
    }
}

#[derive(Default)]
struct Findings {
    lines: Vec<Vec<String>>,
    /// Each once, with what it is about.
    hints: Vec<(String, Vec<String>)>,
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
        let Some(hint) = error.hint() else { return };
        match self.hints.iter_mut().find(|(known, _)| known == hint) {
            Some((_, about)) => about.push(what.to_owned()),
            None => self.hints.push((hint.to_owned(), vec![what.to_owned()])),
        }
    }

    fn to_text(&self) -> String {
        let mut text = aligned(&self.lines);
        for (hint, about) in &self.hints {
            // The lines above name all of them.
            let about = match about.as_slice() {
                [first, _, _, _, ..] => format!("{first} and {} more", about.len() - 1),
                few => few.join(", "),
            };
            text.push_str(&printable::line(&format!("hint: {about}: {hint}")));
            text.push('\n');
        }
        text
    }

    fn exit_code(&self) -> u8 {
        worst(self.codes.iter().copied())
    }
}

async fn check_connection(connection: &IntercomConnection, findings: &mut Findings) -> Result<()> {
    let client = setup::client(connection, None, AT_ONCE)?;
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
    check_tables(connection, &source, findings).await;
    Ok(())
}

/// Tries every table; those with one permission stand together.
async fn check_tables(connection: &IntercomConnection, source: &Intercom, findings: &mut Findings) {
    let minor = setup::minor_of(connection);
    let mut tables = source.tables().to_vec();
    tables.sort_by_key(|table| source.tables().iter().position(|t| t.permission == table.permission));
    let (there, missing): (Vec<_>, Vec<_>) = tables.into_iter().partition(|table| table.since_minor <= minor);
    let tried = try_out(&there, source).await;
    let name = |table: &TableSpec| format!("{}.{}", connection.name, table.name);
    for table in there {
        let refused = needed(table).find_map(|needed| tried.get(&request(needed))?.as_ref().err());
        let only_named = if table.opt_in { " (is read only when named)" } else { "" };
        match refused {
            // Whoever has not named it does not miss it.
            Some(error) if table.opt_in && error.kind() == ErrorKind::Permission => {
                findings.warn(&name(table), format!("{error}{only_named}"));
            }
            Some(error) => findings.bad(&name(table), error),
            None => {
                // Its own request would need an id of something that it can be made for.
                let untried = table.inside().is_some_and(|inside| inside.more != More::Nothing);
                let untried = if untried { " (its own request is not tried)" } else { "" };
                findings.good(&name(table), format!("{}{untried}{only_named}", table.permissions()));
            }
        }
    }
    for table in missing {
        let since = table.since_minor;
        findings.warn(&name(table), format!("is not in API 2.{minor}, but from 2.{since} on"));
    }
}

/// Sends every request that one of the tables needs, once; what came of each.
async fn try_out(tables: &[&'static TableSpec], source: &Intercom) -> HashMap<String, Result<()>> {
    let mut distinct: Vec<&'static TableSpec> = Vec::new();
    for table in tables.iter().flat_map(|table| needed(table)) {
        if !distinct.iter().any(|known| request(known) == request(table)) {
            distinct.push(table);
        }
    }
    let silent = TableProgress::silent();
    let outcome = async |table| (request(table), source.probe(table, &silent).await);
    stream::iter(distinct).map(outcome).buffer_unordered(usize::from(AT_ONCE)).collect().await
}

/// The tables whose requests are made for this one: the one it is inside of, or itself, and its groups.
fn needed(table: &'static TableSpec) -> impl Iterator<Item = &'static TableSpec> {
    std::iter::once(table.lead()).chain(table.groups())
}

/// What is tried for a table that is inside no other. Tables that are read in the same place share it.
fn request(table: &TableSpec) -> String {
    table.endpoint.path()
}

fn describe(identity: &Identity, connection: &IntercomConnection) -> String {
    let said = |words: &Option<String>| words.as_deref().map_or_else(|| "unknown".into(), printable::name);
    let (workspace, region, zone) =
        (said(&identity.workspace), said(&identity.region), said(&identity.time_zone));
    let name = identity.name.as_deref();
    let name = name.map(|name| format!(" ({})", printable::name(name))).unwrap_or_default();
    format!("workspace {workspace}{name}, region {region}, time zone {zone}, API {}", connection.api_version)
}
