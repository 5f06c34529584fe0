//! Passes that fail and are started again, and failures that no restart cures.

use std::fmt::Display;

use crate::client::CallError;
use crate::error::{Error, ErrorKind};

/// Passes in a row that may fail without having brought the table forward.
pub(super) const PASSES: u32 = 3;

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

/// The error of a table whose passes keep failing.
pub(super) fn give_up(passes: u32, reason: &str) -> Error {
    Error::new(ErrorKind::Data, format!("{passes} passes failed, the last one because of {reason}"))
        .with_hint("the checkpoint has not moved; run again later, with -v to see each attempt")
}
