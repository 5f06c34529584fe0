//! Passes that fail and are started again, and failures that no restart cures.

use std::fmt::Display;

use crate::client::{CallError, Client};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::TableProgress;

/// Passes in a row that may fail without having brought the table forward.
const PASSES: u32 = 3;

/// Why a sequence of pages is given up by [`is_endless`].
pub(super) const ENDLESS: &str = "many more rows than are stated, and no end";
/// Rows beyond twice those that are stated which a pass may be shown: those that come, or move, while it reads.
pub(super) const MOST_BEYOND: u64 = 100_000;

/// Whether so many rows were shown that no end is to be expected, where that many are stated in `total`. Pure.
pub(super) fn is_endless(shown: u64, total: Option<u64>) -> bool {
    total.is_some_and(|total| shown > total.saturating_mul(2).saturating_add(MOST_BEYOND))
}

/// How a pass ended early.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The answers cannot be trusted to be complete: start again.
    FailedPass(String),
    /// No restart cures this.
    Fatal(Error),
}

impl Trouble {
    /// A pass that failed for this reason.
    pub(super) fn failed(reason: impl Display) -> Self {
        Self::FailedPass(reason.to_string())
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}

/// What a failed call means for its pass, under paging where calls may be repeated.
impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        if error.is_not_json() { Self::failed(error) } else { Self::Fatal(error.into_error()) }
    }
}

/// Counts the passes of one read that failed, and spaces them.
#[derive(Debug)]
pub(super) struct Passes<'c> {
    client: &'c Client,
    progress: &'c TableProgress,
    failed: u32,
}

impl<'c> Passes<'c> {
    pub(super) fn new(client: &'c Client, progress: &'c TableProgress) -> Self {
        Self { client, progress, failed: 0 }
    }

    /// The table has come forward: only what fails from now on counts.
    pub(super) fn moved(&mut self) {
        self.failed = 0;
    }

    /// Returns when it is time for the next pass, or the error of a table whose passes keep failing.
    pub(super) async fn failed(&mut self, reason: &str) -> Result<()> {
        self.failed += 1;
        if self.failed >= PASSES {
            let message = format!("{PASSES} passes failed, the last one because of {reason}");
            return Err(Error::new(ErrorKind::Data, message)
                .with_hint("the checkpoint has not moved; run again later, with -v to see each attempt"));
        }
        tracing::warn!(reason, "pass failed, starting again");
        self.progress.reading(&format!("starting again: {reason}"));
        let wait = self.client.backoff().wait(self.failed - 1);
        self.client.pause(wait, "the last pass failed").await;
        Ok(())
    }
}
