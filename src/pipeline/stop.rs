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

fn stopped(kind: ErrorKind) -> Error {
    let message = match kind {
        ErrorKind::Interrupted => "interrupted; what was proven complete is saved",
        ErrorKind::Terminated => "terminated; what was proven complete is saved",
        _ => "stopped, since the token is refused",
    };
    Error::new(kind, message)
}
