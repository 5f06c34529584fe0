//! The loop: reads what [`plan`] says is missing and writes it together with the state it supports. The only
//! module that sees both a source and a destination.

mod absences;
mod dated;
mod family;
pub mod plan;
mod stop;
mod whole;
mod writer;

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

pub use stop::Stop;
pub use writer::CommitEvery;

use crate::clock;
use crate::destination::{Destination, RunRecord, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Progress, TableProgress};
use crate::report::{Outcome, RunReport, TableReport};
use crate::source::Source;
use crate::state::{Stored, TableState};
use crate::table::TableSpec;
use crate::window::Window;
use family::{FamilyRun, MemberRun};
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
    let workspaces = join_all(jobs.iter().map(|job| identify(job, stop))).await;
    let (destination, states) = load(destination, targets.clone(), stop).await?;
    let has_history = states.iter().any(Option::is_some);
    let mut states = states.into_iter();
    let mut refused = Vec::new();
    let mut written = Vec::new();
    let mut families: Vec<Family<'_>> = Vec::new();
    for (job, workspace) in jobs.iter().zip(workspaces) {
        let of_job = families.len();
        for table in &job.tables {
            let stored = states.next().flatten();
            let table_progress = progress.table(&format!("{}.{}", job.schema, table.name));
            match &workspace {
                Ok(workspace) => {
                    check_workspace(job, table, stored.as_ref(), workspace.as_deref())?;
                    let lead = table.lead();
                    let known = families[of_job..].iter_mut().find(|family| family.lead.name == lead.name);
                    let member = Asked { table, stored, progress: table_progress };
                    match known {
                        Some(family) => family.asked.push(member),
                        None => families.push(Family {
                            job,
                            workspace: workspace.clone().unwrap_or_default(),
                            lead,
                            asked: vec![member],
                        }),
                    }
                }
                Err(error) => refused.push(failed_report(job, table, error.clone(), &table_progress)),
            }
        }
    }
    let has_begun = has_history || !families.is_empty();
    for family in &mut families {
        // Whatever is committed together is written parents first.
        family.asked.sort_by_key(|asked| asked.table.name != family.lead.name);
        written.extend(family.asked.iter().map(|asked| {
            let target = Target { schema: Arc::clone(&family.job.schema), table: asked.table };
            (target, asked.stored.as_ref().map(|stored| stored.revision))
        }));
    }
    let (writer, thread) = Writer::start(destination, written, options.commit_every);
    let mut position = 0;
    let mut runs = Vec::new();
    for family in families {
        let first = position;
        position += family.asked.len();
        runs.push(family.begin(first, &writer, &options, stop).carry_out());
    }
    let mut tables: Vec<TableReport> = join_all(runs).await.into_iter().flatten().collect();
    tables.extend(refused);
    let asked_for = |report: &TableReport| {
        targets.iter().position(|t| *t.schema == *report.schema && t.table.name == report.table)
    };
    tables.sort_by_key(asked_for);
    let report = RunReport { run_id: run_id(started_at), started_at, finished_at: clock::now(), tables };
    // Where nothing was ever written, a run that could not begin leaves nothing behind either.
    let logged = if has_begun { writer.record(records(&report)).await } else { Ok(()) };
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

/// Tables of one job that are read together.
struct Family<'j> {
    job: &'j Job,
    workspace: String,
    lead: &'static TableSpec,
    asked: Vec<Asked>,
}

/// A table that was asked for.
struct Asked {
    table: &'static TableSpec,
    stored: Option<Stored>,
    progress: TableProgress,
}

impl Family<'_> {
    /// The run over the family, whose first table is the writer's target number `first`.
    fn begin(self, first: usize, writer: &Writer, options: &RunOptions, stop: &Stop) -> FamilyRun {
        let Self { job, workspace, lead, asked } = self;
        let member = |(at, asked): (usize, Asked)| MemberRun {
            position: first + at,
            report: TableReport::new(&job.schema, asked.table.name, Instant::now()),
            next: TableState::new(&workspace, &job.reading.api_version, asked.table.fingerprint()),
            table: asked.table,
            stored: asked.stored.map(|stored| stored.state),
            progress: asked.progress,
            error: None,
            missing: 0,
        };
        FamilyRun {
            source: Arc::clone(&job.source),
            lead,
            members: asked.into_iter().enumerate().map(member).collect(),
            rules: job.reading.clone(),
            options: options.clone(),
            workspace: workspace.clone(),
            writer: writer.clone(),
            stop: stop.clone(),
        }
    }
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

async fn identify(job: &Job, stop: &Stop) -> Result<Option<String>> {
    let silent = TableProgress::silent();
    let identity = tokio::select! {
        identity = job.source.identify(&silent) => identity?,
        error = stop.asked() => return Err(error),
    };
    tracing::info!(connection = &*job.schema, workspace = ?identity.workspace, name = ?identity.name, "connected");
    Ok(identity.workspace)
}

/// Rows of two workspaces in one table could never be told apart again.
fn check_workspace(
    job: &Job,
    table: &TableSpec,
    stored: Option<&Stored>,
    workspace: Option<&str>,
) -> Result<()> {
    let known = stored.map(|stored| stored.state.workspace.as_str()).filter(|known| !known.is_empty());
    let (Some(known), Some(workspace)) = (known, workspace) else { return Ok(()) };
    if known == workspace {
        return Ok(());
    }
    let message = format!(
        "table {}.{} holds workspace {known}, but the token opens workspace {workspace}",
        job.schema, table.name
    );
    Err(Error::new(ErrorKind::Config, message).with_hint(
        "use the other workspace's token, or give this one a connection name or destination of its own",
    ))
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
    };
    report.tables.iter().map(record).collect()
}
