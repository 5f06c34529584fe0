//! Destinations and sources that do what they should, except at one chosen moment.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ingest::destination::{Committed, Destination, RunRecord, TableCommit, Target};
use ingest::error::{Error, ErrorKind, Result};
use ingest::ledger::Entry;
use ingest::progress::TableProgress;
use ingest::source::{Identity, PageSender, Pass, Presence, Source};
use ingest::state::Stored;
use ingest::table::TableSpec;
use jiff::Timestamp;

/// What happens at a commit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mishap {
    /// It fails and nothing was written.
    Refused,
    /// The same, and so do all that come later.
    RefusedForGood,
    /// It is carried out, and then looks as if it had failed.
    AnswerLost,
}

/// A destination whose `at`-th commit, from 0, meets with a mishap.
#[derive(Debug)]
pub(crate) struct Faulty {
    inner: Box<dyn Destination>,
    at: usize,
    mishap: Mishap,
    commits: usize,
}

impl Faulty {
    pub(crate) fn new(inner: Box<dyn Destination>, at: usize, mishap: Mishap) -> Self {
        Self { inner, at, mishap, commits: 0 }
    }
}

impl Destination for Faulty {
    fn load(&mut self, targets: &[Target]) -> Result<Vec<Option<Stored>>> {
        self.inner.load(targets)
    }

    fn commit(&mut self, commits: &[TableCommit]) -> Result<Vec<Committed>> {
        let stays = matches!(self.mishap, Mishap::RefusedForGood);
        let is_now = self.commits == self.at || (stays && self.commits > self.at);
        self.commits += 1;
        if !is_now {
            return self.inner.commit(commits);
        }
        let failed = |what: &str| Err(Error::new(ErrorKind::Destination, what));
        match self.mishap {
            Mishap::Refused | Mishap::RefusedForGood => failed("the disk is full, on script"),
            Mishap::AnswerLost => {
                self.inner.commit(commits)?;
                failed("the answer was lost, on script")
            }
        }
    }

    fn is_one_place(&self) -> bool {
        self.inner.is_one_place()
    }

    fn live_keys(&mut self, target: &Target, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.inner.live_keys(target, each)
    }

    fn entries(&mut self, target: &Target, each: &mut dyn FnMut(Entry)) -> Result<()> {
        self.inner.entries(target, each)
    }

    fn record(&mut self, runs: &[RunRecord]) -> Result<()> {
        self.inner.record(runs)
    }

    fn rest(&mut self) {
        self.inner.rest();
    }
}

/// A moment in the life of a pass; passes are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Its start is settled, and no request was sent.
    Before(usize),
    /// Its last answer came, and nobody has learnt of its end.
    After(usize),
}

type Hook = Arc<dyn Fn(Moment) + Send + Sync>;

/// A source that lets something happen around each of its passes.
pub(crate) struct Watched {
    inner: Arc<dyn Source>,
    hook: Hook,
    passes: AtomicUsize,
}

impl Watched {
    pub(crate) fn new(inner: Arc<dyn Source>, hook: Hook) -> Self {
        Self { inner, hook, passes: AtomicUsize::new(0) }
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Source for Watched {
    fn tables(&self) -> &'static [&'static TableSpec] {
        self.inner.tables()
    }

    fn identify<'a>(&'a self, progress: &'a TableProgress) -> BoxFuture<'a, Result<Identity>> {
        self.inner.identify(progress)
    }

    fn server_time(&self) -> Option<Timestamp> {
        self.inner.server_time()
    }

    fn read<'a>(
        &'a self,
        pass: Pass,
        pages: PageSender,
        progress: &'a TableProgress,
    ) -> BoxFuture<'a, Result<()>> {
        async move {
            let number = self.passes.fetch_add(1, Ordering::Relaxed);
            (self.hook)(Moment::Before(number));
            let read = self.inner.read(pass, pages, progress).await;
            (self.hook)(Moment::After(number));
            read
        }
        .boxed()
    }

    fn count<'a>(&'a self, pass: Pass, progress: &'a TableProgress) -> BoxFuture<'a, Result<Option<u64>>> {
        self.inner.count(pass, progress)
    }

    fn look_up<'a>(
        &'a self,
        pass: Pass,
        key: &'a str,
        progress: &'a TableProgress,
    ) -> BoxFuture<'a, Result<Presence>> {
        self.inner.look_up(pass, key, progress)
    }

    fn sees_hidden<'a>(
        &'a self,
        table: &'static TableSpec,
        progress: &'a TableProgress,
    ) -> BoxFuture<'a, Option<bool>> {
        self.inner.sees_hidden(table, progress)
    }

    fn probe<'a>(
        &'a self,
        table: &'static TableSpec,
        progress: &'a TableProgress,
    ) -> BoxFuture<'a, Result<()>> {
        self.inner.probe(table, progress)
    }
}
