//! Ctrl-C and SIGTERM: the first asks to stop well, the second stops at once.

use crate::error::ErrorKind;
use crate::pipeline::Stop;

/// Passes signals on to `stop` from now on; `meanwhile` is what happens after the first. Needs a Tokio runtime.
pub(super) fn watch(stop: &Stop, meanwhile: &'static str) {
    let stop = stop.clone();
    tokio::spawn(async move {
        let mut signals = Signals::new();
        let first = signals.next().await;
        super::say(&format!("{meanwhile}; once more stops at once"));
        stop.ask(first);
        let second = signals.next().await;
        #[expect(clippy::exit, reason = "the person asked twice; nothing half-done outlives the process")]
        std::process::exit(i32::from(second.exit_code()));
    });
}

#[cfg(unix)]
struct Signals {
    interrupt: Option<tokio::signal::unix::Signal>,
    terminate: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
        }
    }

    async fn next(&mut self) -> ErrorKind {
        tokio::select! {
            () = received(self.interrupt.as_mut()) => ErrorKind::Interrupted,
            () = received(self.terminate.as_mut()) => ErrorKind::Terminated,
        }
    }
}

/// Ends with the next signal; never, if there is no way to be told of it.
#[cfg(unix)]
async fn received(signal: Option<&mut tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Self {
        Self
    }

    async fn next(&mut self) -> ErrorKind {
        drop(tokio::signal::ctrl_c().await);
        ErrorKind::Interrupted
    }
}
