//! Runs, configured step by step.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ingest::client::{Client, ClientSettings};
use ingest::config::secret::Secret;
use ingest::destination::Several;
use ingest::error::{ErrorKind, Result};
use ingest::pipeline::{self, CommitEvery, Job, RunOptions, Stop};
use ingest::progress::{Mode, Progress, TableProgress};
use ingest::report::RunReport;
use ingest::sandbox::{Fault, FaultKind, RequestRecord, Settings};
use ingest::source::Source;
use ingest::source::intercom::Intercom;
use ingest::table::TableSpec;
use ingest::window::Window;
use jiff::Timestamp;

use super::place::begin_file;
use super::{HOUR, SCHEMA, World, spec};
use crate::support::wrapped::{Faulty, Mishap, Moment, Watched};

/// A run to be configured and started.
pub(crate) struct Run<'w> {
    world: &'w World,
    tables: Vec<&'static TableSpec>,
    options: RunOptions,
    log_step: Option<Duration>,
    concurrency: usize,
    stop: Stop,
    beside: Option<PathBuf>,
    mishap: Option<(usize, Mishap)>,
    watching: Option<Arc<dyn Fn(Moment) + Send + Sync>>,
    /// Whoever asks it to stop.
    stopping: Option<tokio::task::JoinHandle<()>>,
}

impl<'w> Run<'w> {
    /// A run that reads nothing yet.
    pub(super) fn of(world: &'w World) -> Self {
        Self {
            world,
            tables: Vec::new(),
            options: RunOptions::default(),
            log_step: None,
            concurrency: 16,
            stop: Stop::new(),
            beside: None,
            mishap: None,
            watching: None,
            stopping: None,
        }
    }

    pub(crate) fn tables(mut self, names: &[&str]) -> Self {
        self.tables = names.iter().map(|name| spec(name)).collect();
        self
    }

    pub(crate) fn full_refresh(mut self) -> Self {
        self.options.full_refresh = true;
        self
    }

    pub(crate) fn interval(mut self, from: Timestamp, to: Timestamp) -> Self {
        self.options.interval = Some(Window { from: Some(from.as_second()), to: Some(to.as_second()) });
        self
    }

    pub(crate) fn limit(mut self, rows: u64) -> Self {
        self.options.limit = Some(rows);
        self
    }

    /// Asks for at most so much of the activity log at once.
    pub(crate) fn log_step(mut self, step: Duration) -> Self {
        self.log_step = Some(step);
        self
    }

    /// Lets at most so many requests out at once.
    pub(crate) fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Commits whenever so many rows have come.
    pub(crate) fn commit_every(mut self, rows: usize) -> Self {
        self.options.commit_every = CommitEvery { rows, ..CommitEvery::default() };
        self
    }

    /// Writes another file as well, after the first one.
    pub(crate) fn beside(mut self, file: PathBuf) -> Self {
        self.beside = Some(file);
        self
    }

    /// The `at`-th commit, from 0, meets with a mishap; of two files, that of the second.
    pub(crate) fn mishap(mut self, at: usize, mishap: Mishap) -> Self {
        self.mishap = Some((at, mishap));
        self
    }

    /// The run is asked to stop while it waits for an answer from `path`, after `answered` others.
    pub(crate) fn stopped_at_request(mut self, path: &str, answered: u32) -> Self {
        let (sandbox, stop) = (self.world.sandbox.clone(), self.stop.clone());
        let matching = path.to_owned();
        let what = FaultKind::Stall(HOUR);
        sandbox.fault(Fault { matching: matching.clone(), after: answered, times: 1, what });
        sandbox.clear_requests();
        self.stopping = Some(tokio::spawn(async move {
            let is_asked = |request: &RequestRecord| request.path_and_query.starts_with(&matching);
            while sandbox.requests().iter().filter(|one| is_asked(one)).count() <= answered as usize {
                // Not a wait for something to have happened, only a pause between two looks.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            stop.ask(ErrorKind::Interrupted);
        }));
        self
    }

    /// Lets something happen around passes.
    pub(crate) fn watching(mut self, hook: impl Fn(Moment) + Send + Sync + 'static) -> Self {
        self.watching = Some(Arc::new(hook));
        self
    }

    /// Runs; the sandbox's log of requests afterwards holds this run's alone.
    pub(crate) async fn go(self) -> RunReport {
        self.try_to_go().await.expect("the run begins")
    }

    pub(crate) async fn try_to_go(self) -> Result<RunReport> {
        let Self { world, tables, options, log_step, concurrency, stop, beside, mishap, watching, stopping } =
            self;
        world.sandbox.clear_requests();
        let settings = ClientSettings {
            base_url: world.sandbox.base_url(),
            token: Secret::new(Settings::default().token),
            api_version: world.rules.api_version.clone(),
            rate_limit: None,
            concurrency,
            patience: world.patience,
            backoff: world.backoff,
        };
        let client = Client::new(settings, TableProgress::silent())?;
        let mut intercom = Intercom::new(client, world.minor(), None);
        if let Some(step) = log_step {
            intercom = intercom.with_log_step(step);
        }
        let mut source: Arc<dyn Source> = Arc::new(intercom);
        if let Some(hook) = watching {
            source = Arc::new(Watched::new(source, hook));
        }
        let progress = Progress::new(Mode::Off);
        let first = world.place.begin(world.folder(), &progress)?;
        let (first, last) = match beside {
            Some(file) => (Some(first), begin_file(&file, &progress)?),
            None => (None, first),
        };
        let last = match mishap {
            Some((at, mishap)) => Box::new(Faulty::new(last, at, mishap)),
            None => last,
        };
        let destination = match first {
            Some(first) => Box::new(Several::new(vec![("a".to_owned(), first), ("b".to_owned(), last)])),
            None => last,
        };
        let job = Job { schema: SCHEMA.into(), source, tables, reading: world.rules.clone() };
        let report = pipeline::run(vec![job], destination, options, &progress, &stop).await;
        // A run that asked less often than it was to be stopped after is over all the same.
        stopping.inspect(tokio::task::JoinHandle::abort);
        report
    }
}
