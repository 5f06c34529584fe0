//! `ingest status`: what a destination holds, how fresh it is, and how the last runs went.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{destinations, print, print_json, report, setup};
use crate::cli::{Output, StatusArgs};
use crate::clock;
use crate::config::DestinationConfig;
use crate::destination::{PastRun, TableStatus};
use crate::error::{Error, ErrorKind, Result, worst};
use crate::pipeline::due;
use crate::pipeline::plan::Situation;
use crate::printable;
use crate::report::{aligned, grouped, not_due};
use crate::source::intercom::tables;
use crate::state::TableState;
use crate::window::DateField;

/// Tables of past runs that are looked at: those of the latest runs, as many as that makes.
const RUNS: usize = 400;
/// Lines about past runs that are shown to people.
const LINES: usize = 20;
/// More tables than this that went well in one run are one line.
const TOLD_APART: usize = 4;

/// What a destination holds.
struct Holdings {
    tables: Vec<TableStatus>,
    runs: Vec<PastRun>,
    /// In the order of the tables: until when they are not read, as far as the configuration says.
    not_due_until: Vec<Option<Timestamp>>,
}

/// How often at most tables are read, by connection and table.
type Every = BTreeMap<String, BTreeMap<&'static str, Duration>>;

/// Prints the status.
pub(super) fn status(args: &StatusArgs) -> Result<u8> {
    setup::logging(&args.common);
    let setup = setup::Setup::read_to_look(&args.common)?;
    let schema = match &args.connection {
        Some(typed) => Some(setup.connections.resolve_source(typed)?),
        None => None,
    };
    let configs = setup.destinations(&args.to)?;
    let every = every(&setup)?;
    let now = clock::now();
    let holdings = |config| holdings(config, schema.as_deref(), &every, now);
    if let [config] = configs.as_slice() {
        let holdings = holdings(config)?;
        match args.output {
            Output::Text => print(&to_text(&holdings, now)),
            Output::Json => print_json(&to_json(&holdings)),
        }?;
        return Ok(0);
    }
    let found: Vec<(&DestinationConfig, Result<Holdings>)> =
        configs.iter().map(|config| (config, holdings(config))).collect();
    match args.output {
        Output::Text => {
            let sections = found.iter().map(|(config, found)| section(config, found, now));
            print(&sections.collect::<Vec<_>>().join("\n"))
        }
        Output::Json => {
            let destinations: Vec<Value> =
                found.iter().map(|(config, found)| member(config, found)).collect();
            print_json(&json!({ "destinations": destinations }))
        }
    }?;
    let errors = found.into_iter().filter_map(|(config, found)| Some((config, found.err()?)));
    let codes = errors.map(|(config, error)| {
        let code = error.kind().exit_code();
        report(&error.within(format!("destination {}", config.name())));
        code
    });
    Ok(worst(codes.collect::<Vec<_>>()))
}

/// What the configuration says of single tables. That of a run into another schema is not known here.
fn every(setup: &setup::Setup) -> Result<Every> {
    let of = |(name, _): (&str, &str)| {
        Ok((name.to_lowercase(), setup.connections.tables_every(name, &setup.environment)?))
    };
    setup.connections.source_names().into_iter().map(of).collect()
}

/// Until when a table is not read again, if the configuration says so.
fn not_due_until(table: &TableStatus, every: &Every, now: Timestamp) -> Option<Timestamp> {
    let every = due::every_of(tables::find(&table.table)?, every.get(&table.schema.to_lowercase())?)?;
    let TableState { api_version, columns, proven_from, .. } = &table.state;
    let situation = Situation {
        stored: Some(&table.state),
        now,
        api_version,
        columns,
        changes_by: DateField::UpdatedAt,
        start_date: *proven_from,
        lookback: SignedDuration::ZERO,
        refresh_every: None,
        permission_gained: false,
        full_refresh: false,
    };
    due::not_due_until(&situation, setup::signed(every)).filter(|_| table.live.is_some())
}

/// What one destination holds; of one schema, if that is all that is wanted.
fn holdings(
    config: &DestinationConfig,
    schema: Option<&str>,
    every: &Every,
    now: Timestamp,
) -> Result<Holdings> {
    let (mut tables, mut runs) = destinations::status(config, RUNS)?;
    if let Some(schema) = schema {
        tables.retain(|table| table.schema.eq_ignore_ascii_case(schema));
        let prefix = format!("{}.", schema.to_lowercase());
        runs.retain(|run| run.table.to_lowercase().starts_with(&prefix));
        if tables.is_empty() {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("{} holds no table of {schema}", config.place()),
            )
            .with_hint(format!("run: ingest {schema}")));
        }
    }
    let not_due_until = tables.iter().map(|table| not_due_until(table, every, now)).collect();
    Ok(Holdings { tables, runs, not_due_until })
}

/// One destination among several, for people.
fn section(config: &DestinationConfig, found: &Result<Holdings>, now: Timestamp) -> String {
    let heading = printable::line(&format!("destination {} ({})", config.name(), config.place()));
    match found {
        Ok(holdings) => format!("{heading}\n{}", to_text(holdings, now)),
        Err(_) => format!("{heading}\nnot readable\n"),
    }
}

/// One destination among several, for programs.
fn member(config: &DestinationConfig, found: &Result<Holdings>) -> Value {
    let mut member = match found {
        Ok(holdings) => to_json(holdings),
        Err(error) => json!({ "error": { "message": error.to_string(), "hint": error.hint() } }),
    };
    member["name"] = config.name().into();
    member["path"] = config.place().into();
    member
}

fn to_text(Holdings { tables, runs, not_due_until }: &Holdings, now: Timestamp) -> String {
    if tables.is_empty() {
        return "no table has been read yet\n".into();
    }
    let mut lines =
        vec![["table", "rows", "deleted", "complete as of", "age", "state"].map(str::to_owned).to_vec()];
    for (table, until) in tables.iter().zip(not_due_until) {
        let state = &table.state;
        let until = until.map(|until| format!(", {}", not_due(until))).unwrap_or_default();
        lines.push(vec![
            format!("{}.{}", table.schema, table.table),
            table.live.map_or_else(|| "gone".into(), grouped),
            grouped(table.deleted),
            state.checkpoint.map_or_else(|| "-".into(), |at| at.strftime("%F %TZ").to_string()),
            state.checkpoint.map_or_else(|| "-".into(), |at| age(now.duration_since(at))),
            format!("{}{until}", standing(table)),
        ]);
    }
    let mut text = aligned(&lines);
    if !runs.is_empty() {
        text.push_str("\nlast runs\n");
        let header =
            ["finished", "new", "changed", "removed", "table and outcome"].map(str::to_owned).to_vec();
        let of_runs = runs.chunk_by(|a, b| a.finished_at == b.finished_at).flat_map(lines_of_run);
        let lines: Vec<Vec<String>> = std::iter::once(header).chain(of_runs.take(LINES)).collect();
        text.push_str(&aligned(&lines));
    }
    text
}

/// A line for each table of a run, or one for all that went well if there are many.
fn lines_of_run(run: &[PastRun]) -> Vec<Vec<String>> {
    let (well, failed): (Vec<&PastRun>, Vec<&PastRun>) = run.iter().partition(|table| table.error.is_none());
    let Some(first) = well.first().filter(|_| well.len() > TOLD_APART) else {
        return run.iter().map(line_of_table).collect();
    };
    let sum = |count: fn(&PastRun) -> u64| well.iter().map(|table| count(table)).sum();
    let rows = (sum(|table| table.rows.0), sum(|table| table.rows.1), sum(|table| table.rows.2));
    let all = line(first.finished_at, rows, format!("{} tables {}", well.len(), first.outcome));
    std::iter::once(all).chain(failed.into_iter().map(line_of_table)).collect()
}

fn line_of_table(table: &PastRun) -> Vec<String> {
    let error = table.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    line(table.finished_at, table.rows, format!("{} {}{error}", table.table, table.outcome))
}

fn line(finished_at: i64, (new, changed, removed): (u64, u64, u64), what: String) -> Vec<String> {
    let finished_at = Timestamp::from_microsecond(finished_at)
        .map_or_else(|_| "-".into(), |at| at.strftime("%F %TZ").to_string());
    vec![finished_at, grouped(new), grouped(changed), grouped(removed), what]
}

fn standing(table: &TableStatus) -> &'static str {
    match (&table.state.refresh, table.state.checkpoint) {
        (_, None) => "first load unfinished",
        (Some(_), Some(_)) => "refresh unfinished",
        (None, _) if table.state.shortfalls > 0 => "fewer rows than the source counts",
        (None, _) if table.state.unread.is_some() => "complete but for objects that could not be read",
        (None, _) => "complete",
    }
}

fn to_json(Holdings { tables, runs, not_due_until }: &Holdings) -> Value {
    let table = |(table, until): (&TableStatus, &Option<Timestamp>)| {
        json!({
            "schema": table.schema,
            "table": table.table,
            "rows": table.live,
            "deleted": table.deleted,
            "checkpoint": table.state.checkpoint.map(|at| at.to_string()),
            "refreshed_at": table.state.refreshed_at.map(|at| at.to_string()),
            "proven_from": table.state.proven_from.map(|at| at.to_string()),
            "api_version": table.state.api_version,
            "workspace": table.state.workspace,
            "state": standing(table),
            "unread_objects": table.state.unread.as_ref().map_or(0, |unread| unread.len()),
            "not_due_until": until.map(|at| at.to_string()),
        })
    };
    let run = |run: &PastRun| {
        json!({
            "finished_at": Timestamp::from_microsecond(run.finished_at).ok().map(|at| at.to_string()),
            "table": run.table,
            "outcome": run.outcome,
            "rows": { "new": run.rows.0, "changed": run.rows.1, "removed": run.rows.2 },
            "error": run.error,
        })
    };
    json!({
        "tables": tables.iter().zip(not_due_until).map(table).collect::<Vec<_>>(),
        "runs": runs.iter().map(run).collect::<Vec<_>>(),
    })
}

/// The largest unit that is not zero.
fn age(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        for (seconds, shown) in [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "1 h"), (90_000, "1 d")] {
            assert_eq!(age(SignedDuration::from_secs(seconds)), shown);
        }
    }
}
