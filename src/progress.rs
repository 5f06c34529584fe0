//! What a run is doing, for the person or the log that watches stderr.
//!
//! Counters are kept whether or not anything is shown; the run's report reads them at the end.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use crate::printable;

/// How often a table says a plain line while nothing special happens.
const PLAIN_EVERY: Duration = Duration::from_secs(10);
/// Waits shorter than this are not worth a word.
const WORTH_MENTIONING: Duration = Duration::from_secs(2);
/// Waits from here on stand in the log where no line of progress tells of them.
const WORTH_LOGGING: Duration = Duration::from_secs(60);

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
    waits: Mutex<Waits>,
    view: View,
}

/// What a table is waiting for.
#[derive(Debug, Default)]
struct Waits {
    now: Option<String>,
    /// What was told last, and until when it need not be told again: many requests wait for the same at once.
    told: Option<(String, Instant)>,
}

impl Waits {
    /// Notes a wait that lasts until `until`; whether it is to be told.
    fn note(&mut self, reason: &str, until: Instant, now: Instant) -> bool {
        self.now = Some(reason.to_owned());
        let is_known = self.told.as_ref().is_some_and(|(told, until)| told == reason && now < *until);
        if !is_known {
            self.told = Some((reason.to_owned(), until));
        }
        !is_known
    }
}

#[derive(Debug)]
enum View {
    None,
    Plain(Mutex<Instant>),
    Bar(ProgressBar),
    /// Only what is waited for, as notes of the run.
    Notes(Progress),
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

    /// Shows what is done before any table is read, for the sake of `name`: only what is waited for.
    pub fn beforehand(&self, name: &str) -> TableProgress {
        let view = if self.mode == Mode::Off { View::None } else { View::Notes(self.clone()) };
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
            waits: Mutex::default(),
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
        // Whoever waited was given up, or is done.
        self.waits().now = None;
        match &self.inner.view {
            View::None | View::Notes(_) => {}
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
            View::None | View::Notes(_) => {}
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

    /// Nothing moves for `wait`, because of `reason`. Who waits for the same meanwhile need not say so.
    pub fn waiting(&self, reason: &str, wait: Duration) {
        let now = Instant::now();
        if !self.waits().note(reason, now + wait, now) {
            return;
        }
        let text = format!("{reason}; going on in {} s", wait.as_secs_f64().ceil());
        self.tell(&text, wait >= WORTH_MENTIONING);
        if wait >= WORTH_LOGGING && !self.leaves_lines() {
            tracing::warn!(table = self.inner.table, "{text}");
        }
    }

    /// Carries out `work`, saying every so often (`every`) that `what` is still being waited for.
    pub async fn while_waiting<T>(
        &self,
        what: impl Fn() -> String,
        every: Duration,
        work: impl Future<Output = T>,
    ) -> T {
        let started = Instant::now();
        let mut work = std::pin::pin!(work);
        let mut has_told = false;
        loop {
            if let Ok(done) = tokio::time::timeout(every, &mut work).await {
                if has_told {
                    self.working();
                }
                return done;
            }
            let (what, now) = (what(), Instant::now());
            has_told = true;
            // Others that have waited nearly as long say it a moment later.
            if self.waits().note(&what, now + every / 2, now) {
                let text = format!("waiting for {what}, {} s so far", started.elapsed().as_secs());
                self.tell(&text, true);
            }
        }
    }

    /// What is being waited for, if anything.
    pub fn waits_for(&self) -> Option<String> {
        self.waits().now.clone()
    }

    /// The wait is over.
    pub fn working(&self) {
        self.waits().now = None;
        if let View::Bar(bar) = &self.inner.view {
            bar.set_message("");
        }
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.inner.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what is told stays to be read.
    fn leaves_lines(&self) -> bool {
        match &self.inner.view {
            View::Plain(_) => true,
            View::Notes(progress) => progress.mode == Mode::Plain,
            View::None | View::Bar(_) => false,
        }
    }

    /// Tells of a wait, where lines are written only if it is worth one.
    fn tell(&self, text: &str, is_worth_a_line: bool) {
        match &self.inner.view {
            View::Bar(bar) => bar.set_message(printable::line(text)),
            View::Plain(_) if is_worth_a_line => say(&format!("{}: {text}", self.inner.table)),
            View::Notes(progress) if is_worth_a_line => {
                progress.note(&format!("{}: {text}", self.inner.table));
            }
            View::None | View::Plain(_) | View::Notes(_) => {}
        }
    }

    /// The table is done; its bar stays until the screen is cleared.
    pub fn finish(&self, outcome: &str) {
        match &self.inner.view {
            View::None | View::Notes(_) => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_wait_for_is_told_once_until_it_is_over() {
        let mut waits = Waits::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for (reason, now, until, is_told) in [
            ("the rate limit", 0, 10, true),
            ("the rate limit", 1, 11, false),
            ("another scroll is open", 2, 4, true),
            ("another scroll is open", 4, 6, true),
            ("the rate limit", 5, 15, true),
            ("the rate limit", 20, 30, true),
        ] {
            assert_eq!(waits.note(reason, at(until), at(now)), is_told, "{reason} at {now}");
            assert_eq!(waits.now.as_deref(), Some(reason));
        }
    }

    #[tokio::test]
    async fn what_takes_long_is_said_to_be_waited_for_until_it_is_there() {
        let progress = TableProgress::silent();
        let (send, receive) = tokio::sync::oneshot::channel();
        let every = Duration::from_millis(1);
        let waiting = progress.while_waiting(|| "an answer".to_owned(), every, receive);
        let told = async {
            while progress.waits_for().is_none() {
                tokio::task::yield_now().await;
            }
            let told = progress.waits_for();
            send.send(7).unwrap();
            told
        };
        let (done, told) = tokio::join!(waiting, told);
        assert_eq!((done, told.as_deref()), (Ok(7), Some("an answer")));
        assert_eq!(progress.waits_for(), None);
    }
}
