//! The loop: reads what [`plan`] says is missing and writes it together with the state it supports. The only
//! module that sees both a source and a destination.

mod absences;
mod dated;
mod desk;
pub mod due;
mod families;
mod family;
mod flow;
mod member;
mod order;
mod pending;
pub mod plan;
mod seen;
mod stop;
pub mod together;
mod unread;
mod whole;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

pub use pending::CommitEvery;
pub use stop::Stop;

use crate::clock;
use crate::destination::{Destination, RunRecord, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::printable;
use crate::progress::{Progress, TableProgress};
use crate::report::{Outcome, RunReport, TableReport};
use crate::source::Source;
use crate::state::Stored;
use crate::table::TableSpec;
use crate::window::Window;
use families::{Asked, Family};
use family::FamilyRun;
use writer::Writer;

/// What one connection contributes to a run.
#[derive(Debug)]
pub struct Job {
    /// Schema in the destination.
    pub schema: Arc<str>,
    /// The connection.
    pub source: Arc<dyn Source>,
    /// The tables asked for.
    pub tables: Vec<&'static TableSpec>,
    /// How they are read.
    pub reading: ReadingRules,
}

/// Settings of a connection that decide what is read.
#[derive(Debug, Clone)]
pub struct ReadingRules {
    /// API version, such as `2.14`.
    pub api_version: String,
    /// Rows that have not changed since are left out.
    pub start_date: Option<Timestamp>,
    /// How much before the checkpoint reading begins, beyond the lag.
    pub lookback: SignedDuration,
    /// How often everything is read again; `None` means never.
    pub refresh_every: Option<SignedDuration>,
    /// After how long objects that are read one by one are read again although they have not changed; `None` means
    /// never.
    pub parts_refresh_every: Option<SignedDuration>,
    /// After how long groups are swept again although they have as many members as before.
    pub sweep_every: SignedDuration,
    /// How often at most single tables are read, by table; see [`due::every_of`].
    pub tables_every: BTreeMap<&'static str, SignedDuration>,
}

impl ReadingRules {
    /// The rules of a connection that says nothing but its API version.
    pub fn of(api_version: &str) -> Self {
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        Self {
            api_version: api_version.to_owned(),
            start_date: None,
            lookback: SignedDuration::ZERO,
            refresh_every: Some(days(7)),
            parts_refresh_every: Some(days(30)),
            sweep_every: days(1),
            tables_every: BTreeMap::new(),
        }
    }
}

/// What was typed for this run alone.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Read everything again.
    pub full_refresh: bool,
    /// Merge only rows whose cursor lies here, and do nothing else.
    pub interval: Option<Window>,
    /// Merge only so many rows of each table, and do nothing else.
    pub limit: Option<u64>,
    /// Leave tables alone that are complete as of less than this ago.
    pub if_older_than: Option<SignedDuration>,
    /// When commits are due.
    pub commit_every: CommitEvery,
}

impl RunOptions {
    /// Whether the run only merges some rows, without checkpoint, swap or stamps.
    pub fn is_bounded(&self) -> bool {
        self.interval.is_some() || self.limit.is_some()
    }
}

/// Reads the tables of all jobs into the destination.
///
/// Failures of single tables are in the report. An error is returned only if nothing could be begun:
/// the destination's state is not readable or belongs to another workspace.
pub async fn run(
    jobs: Vec<Job>,
    destination: Box<dyn Destination>,
    options: RunOptions,
    progress: &Progress,
    stop: &Stop,
) -> Result<RunReport> {
    let started_at = clock::now();
    let targets = targets(&jobs);
    let workspaces = join_all(jobs.iter().map(|job| identify(job, progress, stop))).await;
    let (destination, states) = match load(destination, targets.clone(), stop).await {
        Ok(loaded) => loaded,
        Err(error) => {
            return Err(stopped_before(&workspaces).filter(|e| e.kind() == error.kind()).unwrap_or(error));
        }
    };
    let has_history = states.iter().any(Option::is_some);
    let mut states = states.into_iter();
    let mut left_alone = Vec::new();
    let mut families: Vec<Family<'_>> = Vec::new();
    for (job, workspace) in jobs.iter().zip(workspaces) {
        let of_job = states.by_ref().take(job.tables.len());
        let asked = job.tables.iter().zip(of_job).map(|(table, stored)| {
            let progress = progress.table(&format!("{}.{}", job.schema, table.name));
            Asked { table, stored, progress }
        });
        match workspace {
            Ok(workspace) => {
                let now = pass_start(&*job.source);
                for family in families::group(job, workspace.as_deref(), asked)? {
                    match family.not_due_until(&options, now) {
                        Some(until) => left_alone.extend(family.skip(&until)),
                        None => families.push(family),
                    }
                }
            }
            Err(error) => {
                left_alone.extend(asked.map(|a| failed_report(job, a.table, error.clone(), &a.progress)));
            }
        }
    }
    let has_begun = has_history || !families.is_empty();
    let written = families.iter().flat_map(Family::targets).collect();
    let (writer, thread) = Writer::start(destination, written, options.commit_every);
    let mut first = 0;
    let mut runs = Vec::new();
    for family in families {
        let run = family.begin(first, &writer, &options, stop);
        first += run.members.len();
        runs.push(run);
    }
    let runs = order::carry_out(runs).await;
    let mut tables: Vec<TableReport> = runs.into_iter().flat_map(FamilyRun::finish).collect();
    tables.extend(left_alone);
    let asked_for = |report: &TableReport| {
        targets.iter().position(|t| *t.schema == *report.schema && t.table.name == report.table)
    };
    tables.sort_by_key(asked_for);
    let report = RunReport { run_id: run_id(started_at), started_at, finished_at: clock::now(), tables };
    // Where nothing was ever written, a run that could not begin leaves nothing behind either.
    let records = records(&report);
    let logged = if has_begun && !records.is_empty() { writer.record(records).await } else { Ok(()) };
    drop(writer);
    thread.join().await?;
    if let Err(error) = logged {
        // What kept a table from being saved is told with it.
        let is_told =
            |table: &TableReport| table.error.as_ref().is_some_and(|e| e.to_string() == error.to_string());
        if !report.tables.iter().any(is_told) {
            tracing::warn!(%error, "the run could not be logged");
        }
    }
    progress.clear();
    Ok(report)
}

/// Why a connection did not say in time whose data it opens: which names what was waited for.
fn stopped_before(workspaces: &[Result<Option<String>>]) -> Option<Error> {
    workspaces.iter().find_map(|workspace| workspace.as_ref().err().cloned())
}

/// Reads the states, which may mean to wait for a reader of the destination.
async fn load(
    mut destination: Box<dyn Destination>,
    targets: Vec<Target>,
    stop: &Stop,
) -> Result<(Box<dyn Destination>, Vec<Option<Stored>>)> {
    let loading = tokio::task::spawn_blocking(move || {
        let states = destination.load(&targets);
        states.map(|states| (destination, states))
    });
    tokio::select! {
        loaded = loading => {
            loaded.map_err(|e| Error::new(ErrorKind::Destination, "loading was cut short").with_source(e))?
        }
        error = stop.asked() => Err(error),
    }
}

/// Every table of every job, in order.
pub fn targets(jobs: &[Job]) -> Vec<Target> {
    let of_job = |job: &Job| -> Vec<Target> {
        job.tables.iter().map(|table| Target { schema: Arc::clone(&job.schema), table }).collect()
    };
    jobs.iter().flat_map(of_job).collect()
}

/// The start of a pass by the server's clock: never after the moment up to which the server had answered.
/// Without any word of the server, a day before the local clock.
pub fn pass_start(source: &dyn Source) -> Timestamp {
    let local = clock::now();
    match source.server_time() {
        Some(server) => server.min(local),
        None => plan::earlier_by(local, SignedDuration::from_hours(24)),
    }
}

async fn identify(job: &Job, progress: &Progress, stop: &Stop) -> Result<Option<String>> {
    let progress = progress.beforehand(&job.schema);
    let identity = tokio::select! {
        identity = job.source.identify(&progress) => identity?,
        error = stop.asked() => {
            return Err(stop::doing(&error, || progress.waits_for().map(|what| format!("waiting: {what}"))));
        }
    };
    let named = |words: &Option<String>| words.as_deref().map(printable::name);
    let (workspace, name) = (named(&identity.workspace), named(&identity.name));
    tracing::info!(connection = &*job.schema, ?workspace, ?name, "connected");
    Ok(identity.workspace)
}

fn failed_report(
    job: &Job,
    table: &'static TableSpec,
    error: Error,
    progress: &TableProgress,
) -> TableReport {
    progress.finish("failed");
    let now = Instant::now();
    let mut report = TableReport::new(&job.schema, table.name, now);
    report.end(Outcome::of(&error), Some(error), progress);
    report
}

fn run_id(started_at: Timestamp) -> String {
    format!("{}-{:04x}", started_at.strftime("%Y%m%dT%H%M%S"), fastrand::u16(..))
}

/// What is logged: of tables to which nothing was done, nothing.
fn records(report: &RunReport) -> Vec<RunRecord> {
    let record = |table: &TableReport| RunRecord {
        run_id: report.run_id.clone(),
        schema: table.schema.clone(),
        table: table.table.clone(),
        started_at: report.started_at,
        finished_at: report.finished_at,
        outcome: table.outcome.as_str().to_owned(),
        committed: table.committed,
        requests: table.requests,
        error: table.error.as_ref().map(ToString::to_string),
        rejected: [&table.shape.keyless, &table.shape.not_text]
            .into_iter()
            .flat_map(|rejects| rejects.kept.iter().cloned())
            .collect(),
    };
    report.tables.iter().filter(|table| table.outcome != Outcome::Skipped).map(record).collect()
}
