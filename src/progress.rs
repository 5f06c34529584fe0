//! What a run is doing, for the person or the log that watches stderr.
//!
//! Counters are kept whether or not anything is shown; the run's report reads them at the end.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use crate::printable;

/// How often a table says a plain line while nothing special happens.
const PLAIN_EVERY: Duration = Duration::from_secs(10);
/// Waits shorter than this are not worth a word.
const WORTH_MENTIONING: Duration = Duration::from_secs(2);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One bar per table that is redrawn in place; for terminals.
    Live,
    /// A line now and then.
    Plain,
    /// Nothing.
    Off,
}

/// The progress of one run.
#[derive(Debug, Clone)]
pub struct Progress {
    mode: Mode,
    bars: MultiProgress,
}

/// The progress of one table; clones share everything.
#[derive(Debug, Clone)]
pub struct TableProgress {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    table: String,
    rows: AtomicU64,
    total: AtomicU64,
    requests: AtomicU64,
    retries: AtomicU64,
    permits_left: AtomicU64,
    view: View,
}

#[derive(Debug)]
enum View {
    None,
    Plain(Mutex<Instant>),
    Bar(ProgressBar),
}

impl Progress {
    /// Progress shown in `mode` on stderr.
    pub fn new(mode: Mode) -> Self {
        Self { mode, bars: MultiProgress::new() }
    }

    /// Starts showing a table.
    pub fn table(&self, name: &str) -> TableProgress {
        let view = match self.mode {
            Mode::Off => View::None,
            Mode::Plain => View::Plain(Mutex::new(Instant::now())),
            Mode::Live => {
                let bar = self.bars.add(ProgressBar::no_length());
                bar.set_style(style("{spinner} {prefix:<18} {human_pos:>10} rows {speed:>12}  {wide_msg}"));
                bar.set_prefix(printable::name(name));
                bar.enable_steady_tick(Duration::from_millis(120));
                View::Bar(bar)
            }
        };
        TableProgress::with_view(name, view)
    }

    /// A line that belongs to no table.
    pub fn note(&self, text: &str) {
        match self.mode {
            Mode::Off => {}
            Mode::Plain => say(text),
            Mode::Live => self.bars.suspend(|| say(text)),
        }
    }

    /// Takes the bars off the screen.
    pub fn clear(&self) {
        if self.mode == Mode::Live {
            // A terminal that is gone has nothing left to clear.
            drop(self.bars.clear());
        }
    }
}

impl TableProgress {
    /// Counts without showing anything.
    pub fn silent() -> Self {
        Self::with_view("", View::None)
    }

    fn with_view(table: &str, view: View) -> Self {
        let zero = || AtomicU64::new(0);
        let inner = Inner {
            table: table.to_owned(),
            rows: zero(),
            total: zero(),
            requests: zero(),
            retries: zero(),
            permits_left: zero(),
            view,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Tells tables apart: the same for all clones, as long as one of them lives.
    pub(crate) fn key(&self) -> usize {
        Arc::as_ptr(&self.inner).addr()
    }

    /// Requests sent so far, attempts included.
    pub fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::Relaxed)
    }

    /// Attempts beyond the first so far.
    pub fn retries(&self) -> u64 {
        self.inner.retries.load(Ordering::Relaxed)
    }

    /// Rows read so far.
    pub fn rows(&self) -> u64 {
        self.inner.rows.load(Ordering::Relaxed)
    }

    /// What is being read and why.
    pub fn reading(&self, what: &str) {
        match &self.inner.view {
            View::None => {}
            View::Plain(_) => say(&format!("{}: {what}", self.inner.table)),
            View::Bar(bar) => bar.set_message(printable::line(what)),
        }
    }

    /// How many rows the source expects to hand out; 0 says nothing.
    pub fn expect(&self, total: u64) {
        if total == 0 {
            return;
        }
        let is_first = self.inner.total.swap(total, Ordering::Relaxed) == 0;
        if is_first && let View::Bar(bar) = &self.inner.view {
            bar.set_length(total);
            bar.set_style(style(
                "{spinner} {prefix:<18} {human_pos:>10} of {human_len} rows {speed:>12}  eta {eta}  {wide_msg}",
            ));
        }
    }

    /// Rows were read.
    pub fn add_rows(&self, rows: u64) {
        let sum = self.inner.rows.fetch_add(rows, Ordering::Relaxed) + rows;
        match &self.inner.view {
            View::None => {}
            View::Plain(last) => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.elapsed() >= PLAIN_EVERY {
                    *last = Instant::now();
                    let total = match self.inner.total.load(Ordering::Relaxed) {
                        total if total > sum => format!(" of {total}"),
                        _ => String::new(),
                    };
                    say(&format!("{}: {sum}{total} rows", self.inner.table));
                }
            }
            View::Bar(bar) => {
                // Rows may come twice, or after the total was stated.
                if bar.length().is_some_and(|length| length < sum) {
                    bar.set_length(sum);
                }
                bar.set_position(sum);
                let left = self.inner.permits_left.load(Ordering::Relaxed);
                bar.set_message(format!("{left} requests left in this window"));
            }
        }
    }

    /// A request was sent.
    pub fn requested(&self) {
        self.inner.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A request is about to be sent again.
    pub fn retried(&self) {
        self.inner.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests left in the current rate window.
    pub fn permits_left(&self, left: u32) {
        self.inner.permits_left.store(u64::from(left), Ordering::Relaxed);
    }

    /// Nothing moves for `wait`, because of `reason`.
    pub fn waiting(&self, reason: &str, wait: Duration) {
        let seconds = wait.as_secs_f64().ceil();
        match &self.inner.view {
            View::None => {}
            View::Plain(_) if wait < WORTH_MENTIONING => {}
            View::Plain(_) => say(&format!("{}: {reason}; going on in {seconds} s", self.inner.table)),
            View::Bar(bar) => {
                bar.set_message(printable::line(&format!("{reason}; going on in {seconds} s")));
            }
        }
    }

    /// The wait is over.
    pub fn working(&self) {
        if let View::Bar(bar) = &self.inner.view {
            bar.set_message("");
        }
    }

    /// The table is done; its bar stays until the screen is cleared.
    pub fn finish(&self, outcome: &str) {
        match &self.inner.view {
            View::None => {}
            View::Plain(_) => say(&format!("{}: {outcome}", self.inner.table)),
            View::Bar(bar) => bar.finish_with_message(printable::line(outcome)),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("speed", |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        // Writing into the line that is being drawn does not fail.
        write!(text, "{:.0} rows/s", state.per_sec()).ok();
    })
}

/// Writes one line to stderr. A reader that went away is no reason to stop.
fn say(text: &str) {
    drop(writeln!(std::io::stderr(), "{}", printable::line(text)));
}
