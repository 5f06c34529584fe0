//! `ingest TABLE...`: reads tables into one destination, or several.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{destinations, dry_run, print, print_json, report, say, setup, signals};
use crate::cli::{Output, RunArgs};
use crate::config::check_schema as check_name;
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::{self, Job, RunOptions, Stop};
use crate::printable;
use crate::report::RunReport;
use crate::window::Window;

/// Reads what was typed; the exit code.
pub(super) fn read(args: &RunArgs) -> Result<u8> {
    let time = args.timeout.map(|limit| Time { limit, started: Instant::now() });
    let interval = interval(args)?;
    setup::logging(&args.common);
    let setup = setup::Setup::read(&args.common)?;
    let chosen = setup.tables(&args.tables)?;
    if args.schema.is_some() && chosen.len() > 1 {
        return Err(Error::new(
            ErrorKind::Usage,
            "--schema names one schema, but tables of several connections are read",
        )
        .with_hint("read each connection in a run of its own"));
    }
    if let Some(schema) = &args.schema {
        check_name(schema).map_err(|(reason, hint)| {
            let shown = printable::name(schema);
            Error::new(ErrorKind::Usage, format!("--schema \"{shown}\" {reason}")).with_hint(hint)
        })?;
    }
    let configs = setup.destinations(&args.to)?;
    let mut jobs = Vec::new();
    for (name, tables) in chosen {
        let connection = setup.intercom(&name)?;
        let schema = args.schema.as_deref().unwrap_or(&connection.name);
        configs.iter().try_for_each(|config| destinations::check_schema(config, schema))?;
        let client = setup::client(&connection, args.rate_limit, args.concurrency)?;
        jobs.push(setup::job(&connection, client, tables, args.schema.as_deref()));
    }
    let run_options = RunOptions {
        full_refresh: args.full_refresh,
        interval,
        limit: args.limit,
        if_older_than: args.if_older_than.map(setup::signed),
        ..RunOptions::default()
    };
    if args.dry_run {
        let plan = setup::runtime()?.block_on(async {
            tokio::select! {
                plan = dry_run::plan(&jobs, &configs, &run_options) => plan,
                () = Time::is_up(time) => Err(Error::new(ErrorKind::TimedOut, "out of time, counting rows")
                    .with_hint("--timeout says how long it may take")),
            }
        })?;
        print(&plan)?;
        return Ok(0);
    }
    let progress = setup::progress(args.progress, &args.common);
    // Nobody is waited for any longer than the run may take.
    let wait = args.wait.map(|wait| time.map_or(wait, |time| wait.min(time.limit)));
    let destination = destinations::begin(&configs, wait, &progress)?;
    let runtime = setup::runtime()?;
    let done = runtime.block_on(async {
        let stop = Stop::new();
        signals::watch(&stop, "stopping: saving what is complete");
        if let Some(time) = time {
            tokio::spawn(time.watch(stop.clone(), args.common.quiet));
        }
        pipeline::run(jobs, destination, run_options, &progress, &stop).await
    });
    // A wait for a reader of the destination may still be under way after the run was stopped.
    runtime.shutdown_background();
    let done = done?;
    // What became of the tables counts for more than that nobody could be told.
    show(&done, args.output).or_else(|unsaid| if done.exit_code() == 0 { Err(unsaid) } else { Ok(()) })?;
    Ok(done.exit_code())
}

/// How long a run may take.
#[derive(Debug, Clone, Copy)]
struct Time {
    limit: Duration,
    started: Instant,
}

impl Time {
    /// Ends when it is; never, if there is no limit.
    async fn is_up(time: Option<Self>) {
        match time {
            Some(Self { limit, started }) => {
                tokio::time::sleep(limit.saturating_sub(started.elapsed())).await;
            }
            None => std::future::pending().await,
        }
    }

    /// Asks to stop once it is. What is saved then may take a while longer.
    async fn watch(self, stop: Stop, is_quiet: bool) {
        Self::is_up(Some(self)).await;
        if !is_quiet {
            say(&format!("out of time after {:?}: saving what is complete", self.limit));
        }
        stop.ask(ErrorKind::TimedOut);
    }
}

/// Prints the summary on stdout and each failure once on stderr.
pub(super) fn show(done: &RunReport, output: Output) -> Result<()> {
    let printed = match output {
        Output::Text => print(&done.to_text()),
        Output::Json => print_json(&done.to_json()),
    };
    for error in failures(done) {
        report(&error);
    }
    printed
}

/// Each failure once, with the tables it happened to; the same one often happens to all.
fn failures(done: &RunReport) -> Vec<Error> {
    let mut groups: Vec<(String, &Error, Vec<String>)> = Vec::new();
    for table in &done.tables {
        let Some(error) = &table.error else { continue };
        let text = error.render();
        match groups.iter_mut().find(|(known, ..)| *known == text) {
            Some((_, _, tables)) => tables.push(table.name()),
            None => groups.push((text, error, vec![table.name()])),
        }
    }
    let all = done.tables.len();
    let named = |tables: &[String]| match tables {
        [table] => format!("table {table}"),
        tables if tables.len() == all => "all tables".to_owned(),
        tables => format!("tables {}", tables.join(", ")),
    };
    groups.into_iter().map(|(_, error, tables)| error.clone().within(named(&tables))).collect()
}

/// The first whole second that is not before the moment; the dates of rows are whole seconds.
fn ceiling(moment: Timestamp) -> i64 {
    moment.as_second() + i64::from(moment.subsec_nanosecond() > 0)
}

/// The interval that was typed, in whole seconds.
fn interval(args: &RunArgs) -> Result<Option<Window>> {
    if args.interval_start.is_none() && args.interval_end.is_none() {
        return Ok(None);
    }
    let window = Window { from: args.interval_start.map(ceiling), to: args.interval_end.map(ceiling) };
    if window.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "--interval-end is not after --interval-start")
            .with_hint("the start belongs to the interval, the end does not"));
    }
    Ok(Some(window))
}

/// The tables of a run, for messages.
pub(super) fn names(jobs: &[Job]) -> Vec<String> {
    pipeline::targets(jobs).iter().map(|target| format!("{}.{}", target.schema, target.table.name)).collect()
}
