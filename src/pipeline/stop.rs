//! Stopping early, from outside or because nothing more can be read.

use tokio::sync::watch;

use crate::error::{Error, ErrorKind};

/// Asks every table of a run to stop. Clones ask the same run.
#[derive(Debug, Clone)]
pub struct Stop {
    sender: watch::Sender<Option<ErrorKind>>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { sender: watch::Sender::new(None) }
    }
}

impl Stop {
    /// Nothing is to stop yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop because of `kind`; the first reason counts.
    pub fn ask(&self, kind: ErrorKind) {
        self.sender.send_if_modified(|reason| {
            let is_first = reason.is_none();
            *reason = reason.or(Some(kind));
            is_first
        });
    }

    /// Ends when stopping is asked for.
    pub async fn asked(&self) -> Error {
        let mut receiver = self.sender.subscribe();
        let kind = match receiver.wait_for(Option::is_some).await {
            Ok(reason) => reason.unwrap_or(ErrorKind::Interrupted),
            Err(_) => ErrorKind::Interrupted,
        };
        stopped(kind)
    }
}

/// The same error for one table; of one that is out of time, with what it was doing.
pub(super) fn doing(error: &Error, what: impl FnOnce() -> Option<String>) -> Error {
    match what() {
        Some(what) if error.kind() == ErrorKind::TimedOut => out_of_time(&format!("out of time, {what}")),
        _ => error.clone(),
    }
}

fn out_of_time(message: &str) -> Error {
    Error::new(ErrorKind::TimedOut, format!("{message}; what was proven complete is saved"))
        .with_hint("run again: it goes on from what is saved; --timeout says how long a run may take")
}

fn stopped(kind: ErrorKind) -> Error {
    let message = match kind {
        ErrorKind::TimedOut => return out_of_time("out of time"),
        ErrorKind::Interrupted => "interrupted; what was proven complete is saved",
        ErrorKind::Terminated => "terminated; what was proven complete is saved",
        _ => "stopped, since the token is refused",
    };
    Error::new(kind, message)
}
