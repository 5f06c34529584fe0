//! Ctrl-C, SIGTERM and a terminal that was closed: the first asks to stop well, the second stops at once.

use crate::error::ErrorKind;
use crate::pipeline::Stop;

/// Has a file that may not grow any more (`ulimit -f`) be an error of whoever writes, as a full disk is, and no end of the
/// process. To be called before there is a second thread.
pub(super) fn set_up() {
    #[cfg(unix)]
    {
        disposition::ignore(rustix::process::Signal::XFSZ);
        // Known before anything waits for it.
        disposition::is_hangup_ignored();
    }
}

/// Passes signals on to `stop` from now on; `meanwhile` is what happens after the first. Needs a Tokio runtime.
pub(super) fn watch(stop: &Stop, meanwhile: &'static str) {
    let stop = stop.clone();
    tokio::spawn(async move {
        let mut signals = Signals::new();
        let first = signals.next().await;
        super::say(&format!("{meanwhile}; once more stops at once"));
        stop.ask(first);
        let second = signals.next_of_a_person().await;
        #[expect(clippy::exit, reason = "the person asked twice; nothing half-done outlives the process")]
        std::process::exit(i32::from(second.exit_code()));
    });
}

#[cfg(unix)]
struct Signals {
    interrupt: Option<tokio::signal::unix::Signal>,
    terminate: Option<tokio::signal::unix::Signal>,
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        // Whoever starts a run under `nohup` wants it to outlive the terminal.
        let is_deaf = disposition::is_hangup_ignored();
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
            hangup: (!is_deaf).then(|| signal(SignalKind::hangup()).ok()).flatten(),
        }
    }

    async fn next(&mut self) -> ErrorKind {
        tokio::select! {
            () = received(self.interrupt.as_mut()) => ErrorKind::Interrupted,
            () = received(self.terminate.as_mut()) => ErrorKind::Terminated,
            () = received(self.hangup.as_mut()) => ErrorKind::Terminated,
        }
    }

    /// A terminal that is closed says so twice: its shell does, and then the system.
    async fn next_of_a_person(&mut self) -> ErrorKind {
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

/// What becomes of signals that nobody waits for.
#[cfg(unix)]
mod disposition {
    use std::ffi::c_int;
    use std::sync::OnceLock;

    use rustix::process::Signal;

    /// `SIG_IGN`, the same number everywhere.
    const IGNORED: usize = 1;

    #[expect(
        unsafe_code,
        reason = "no crate has a safe function for it; only the two dispositions that name no code go in"
    )]
    unsafe extern "C" {
        safe fn signal(number: c_int, disposition: usize) -> usize;
    }

    pub(super) fn ignore(number: Signal) {
        signal(number.as_raw(), IGNORED);
    }

    /// Whether the process was started with SIGHUP ignored. Asked for the first time before anything waits for it.
    pub(super) fn is_hangup_ignored() -> bool {
        static IS_IGNORED: OnceLock<bool> = OnceLock::new();
        *IS_IGNORED.get_or_init(|| {
            // There is no way to look without a change.
            let before = signal(Signal::HUP.as_raw(), IGNORED);
            if before != IGNORED {
                signal(Signal::HUP.as_raw(), before);
            }
            before == IGNORED
        })
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

    async fn next_of_a_person(&mut self) -> ErrorKind {
        self.next().await
    }
}
