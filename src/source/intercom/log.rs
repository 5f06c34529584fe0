//! Reading a log: entries that never change, by windows of `created_at`, newest first within each.
//!
//! A window that is too wide is answered with an error of the server, so windows shrink until they are
//! answered and grow again afterwards.
//!
//! Source: Intercom REST reference 2.14, "List all activity logs" (read 2026-11-20).

use std::collections::{HashSet, VecDeque};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::cuts::{Latency, cursors_wanted};
use super::outlet::Outlet;
use super::reader::Reader;
use super::trouble::{Passes, Trouble};
use crate::client::{Call, CallError, Client};
use crate::error::Result;
use crate::progress::TableProgress;
use crate::source::{Order, Pass, Proof};
use crate::window::{DateField, Window};

/// Entries asked for at once, the most that is answered.
const PER_PAGE: u32 = 250;
/// The narrowest window, in seconds, that is tried before the server is taken to be in trouble.
const NARROWEST: i64 = 3_600;
/// Windows in a row that are answered before a wider one is tried again: each one that is too wide costs time.
const CALM: u32 = 8;

/// What a read of a log goes by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span<'s> {
    /// What is asked for, in order.
    pub(super) windows: &'s [Window],
    pub(super) order: Order,
    /// Where the log begins at the earliest, in epoch seconds.
    pub(super) earliest: i64,
    /// The widest step, in seconds.
    pub(super) step: i64,
}

/// How wide the next step is, and how many may be read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stride {
    widest: i64,
    width: i64,
    calm: u32,
    needed: u32,
    /// Steps at once. While it is not known whether the width is answered, few are tried.
    at_once: usize,
}

impl Stride {
    fn new(widest: i64) -> Self {
        Self { widest, width: widest, calm: CALM, needed: CALM, at_once: 1 }
    }

    fn answered(&mut self) {
        self.calm += 1;
        if self.calm > self.needed {
            self.width = (self.width * 2).min(self.widest);
        }
        self.at_once = self.at_once.saturating_mul(2);
    }

    /// A step of `width` was too much. The width that is answered hardly changes: what was refused is tried ever
    /// less often.
    fn refused(&mut self, width: i64) {
        let half = (width / 2).max(NARROWEST);
        if half < self.width {
            (self.width, self.calm, self.needed) = (half, 0, self.needed.saturating_mul(2));
        }
        self.at_once = 1;
    }
}

/// Reads the entries of the span, some steps at a time.
pub(super) async fn read(
    client: &Client,
    pass: &Pass,
    span: Span<'_>,
    outlet: &Outlet,
    progress: &TableProgress,
) -> Result<()> {
    let now = pass.began.as_second();
    let bounded = |window: &Window| Window { from: window.from.or(Some(span.earliest)), to: window.to };
    let mut left: VecDeque<Window> = span.windows.iter().map(bounded).collect();
    left.retain(|window| !window.is_empty());
    if span.order == Order::NewestFirst {
        left = left.into_iter().rev().collect();
    }
    let mut passes = Passes::new(client, progress);
    let mut stride = Stride::new(span.step);
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < stride.at_once.min(wanted(client, outlet, &left, stride.width, now)).max(1) {
            let Some(window) = left.pop_front() else { break };
            let (step, rest) = cut(window, span.order, stride.width, now);
            if !rest.is_empty() {
                left.push_front(rest);
            }
            let (width, can_shrink) = (stride.width, width_of(step, now) / 2 >= NARROWEST);
            // Nothing is older than the log.
            let covers = Window { from: step.from.filter(|from| *from > span.earliest), to: step.to };
            let step = Step { client, pass, window: step, covers, can_shrink, outlet };
            running.push(async move { (step.window, width, step.read().await) });
        }
        let Some((window, width, outcome)) = running.next().await else { return Ok(()) };
        let reason = match outcome {
            Ok(()) => {
                stride.answered();
                passes.moved();
                continue;
            }
            Err(Refused::TooMuch(error)) if width_of(window, now) / 2 >= NARROWEST => {
                stride.refused(width);
                tracing::debug!(%error, seconds = stride.width, "asking for a narrower window");
                left.push_front(window);
                continue;
            }
            Err(Refused::TooMuch(error)) => return Err(error.into_error()),
            Err(Refused::Otherwise(Trouble::Fatal(error))) => return Err(error),
            Err(Refused::Otherwise(Trouble::FailedPass(reason))) => reason,
        };
        left.push_front(window);
        passes.failed(&reason).await?;
    }
}

/// How many steps at once keep the allowed rate in use.
fn wanted(client: &Client, outlet: &Outlet, left: &VecDeque<Window>, width: i64, now: i64) -> usize {
    let pace = client.pace();
    if pace.waiting > 0 || !outlet.has_room() {
        return 0;
    }
    let most = usize::try_from(pace.most_in_flight).unwrap_or(usize::MAX);
    let seconds: i64 = left.iter().map(|window| width_of(*window, now)).sum();
    let steps = seconds.div_euclid(width.max(1)).unsigned_abs() + 1;
    // Steps are of any size, and so is what the shortest answer took.
    let latency = Latency { typical: pace.latency, shortest: None };
    cursors_wanted(steps, (pace.left, pace.per_second), latency, most)
}

fn width_of(window: Window, now: i64) -> i64 {
    window.to.unwrap_or(now).saturating_sub(window.from.unwrap_or(0)).max(0)
}

/// The next step of at most `width` seconds out of what is left, and what is left then. The step at the
/// present has no end, so that nothing is missed between two clocks.
fn cut(left: Window, order: Order, width: i64, now: i64) -> (Window, Window) {
    let done = Window { from: Some(0), to: Some(0) };
    let (from, end) = (left.from.unwrap_or(0), left.to.unwrap_or(now));
    if end - from <= width {
        return (left, done);
    }
    match order {
        Order::OldestFirst => {
            let joint = Some(from + width);
            (Window { from: left.from, to: joint }, Window { from: joint, to: left.to })
        }
        Order::NewestFirst => {
            let joint = Some(end - width);
            (Window { from: joint, to: left.to }, Window { from: left.from, to: joint })
        }
    }
}

/// Why a window was not read to its end.
enum Refused {
    /// The server has not managed, as if it were asked for too much.
    TooMuch(CallError),
    Otherwise(Trouble),
}

impl From<CallError> for Refused {
    fn from(error: CallError) -> Self {
        match error.status() {
            None | Some(408 | 500..) if !error.is_not_json() => Self::TooMuch(error),
            _ => Self::Otherwise(error.into()),
        }
    }
}

impl From<Trouble> for Refused {
    fn from(trouble: Trouble) -> Self {
        Self::Otherwise(trouble)
    }
}

/// One window of a log.
struct Step<'s> {
    client: &'s Client,
    pass: &'s Pass,
    window: Window,
    /// What is proven once it is read.
    covers: Window,
    can_shrink: bool,
    outlet: &'s Outlet,
}

impl Step<'_> {
    async fn read(&self) -> std::result::Result<(), Refused> {
        let reader = Reader::new(self.pass, Some((DateField::CreatedAt, self.window)), None);
        let mut seen: HashSet<u64> = HashSet::new();
        let mut page = 1;
        let mut was_asked_again = false;
        loop {
            let path = self.path(page);
            let call = || Call::get(path.clone());
            let answer = if self.can_shrink {
                self.client.send_unless_troubled(call()).await?
            } else {
                self.client.send(|_| call()).await?
            };
            let contents = reader.read(answer).await?;
            let known = seen.len();
            seen.extend(&contents.keys);
            let next = contents.next.as_ref().map(|next| next.page);
            if next.is_none() && contents.total_pages.is_some_and(|pages| pages > page) {
                return Err(Trouble::failed("a last page that comes too early").into());
            }
            let is_doubtful = contents.keys.is_empty() && contents.total_pages == Some(page);
            if is_doubtful && !std::mem::replace(&mut was_asked_again, true) {
                // A page without entries, where one page is stated: the same once more is believed.
                continue;
            }
            if next.is_some() && seen.len() == known {
                return Err(Trouble::failed("a page that brought nothing new").into());
            }
            let proof = match next {
                None => Proof::Covered(self.covers),
                Some(_) => Proof::Nothing,
            };
            self.outlet.send(contents.draft(proof)).await.map_err(Trouble::Fatal)?;
            match next {
                None => return Ok(()),
                Some(Some(next)) if next == page + 1 => page = next,
                Some(_) => {
                    return Err(
                        Trouble::failed(format!("a next page that does not follow page {page}")).into()
                    );
                }
            }
        }
    }

    /// Both bounds a second wider, since nobody says whether they count.
    fn path(&self, page: u64) -> String {
        let path = self.pass.table.endpoint.path();
        let after = self.window.from.unwrap_or(0).saturating_sub(1).max(0);
        let before = self.window.to.map(|to| format!("&created_at_before={}", to.saturating_add(1)));
        let before = before.unwrap_or_default();
        format!("{path}?created_at_after={after}{before}&page={page}&per_page={PER_PAGE}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_shrink_where_they_are_too_wide_and_grow_again_after_a_calm_time() {
        let mut stride = Stride::new(100_000);
        stride.answered();
        stride.answered();
        assert_eq!((stride.width, stride.at_once), (100_000, 4));
        stride.refused(100_000);
        assert_eq!((stride.width, stride.at_once), (50_000, 1));
        // Others of the same width were under way.
        stride.refused(100_000);
        assert_eq!((stride.width, stride.needed), (50_000, 2 * CALM));
        for _ in 0..2 * CALM {
            stride.answered();
        }
        assert_eq!(stride.width, 50_000);
        stride.answered();
        assert_eq!(stride.width, 100_000);
        stride.refused(NARROWEST);
        assert_eq!(stride.width, NARROWEST);
    }

    fn window(from: i64, to: impl Into<Option<i64>>) -> Window {
        Window { from: Some(from), to: to.into() }
    }

    #[test]
    fn steps_join_exactly_in_both_directions() {
        for order in [Order::OldestFirst, Order::NewestFirst] {
            for all in [window(0, 1000), window(5, None), window(5, 6), window(999, None)] {
                let mut left = all;
                let mut steps = Vec::new();
                while !left.is_empty() {
                    let (step, rest) = cut(left, order, 300, 1000);
                    steps.push(step);
                    left = rest;
                }
                steps.sort_by_key(|step| step.from);
                assert_eq!(steps[0].from, all.from);
                assert_eq!(steps.last().unwrap().to, all.to);
                assert!(steps.windows(2).all(|pair| pair[0].to == pair[1].from), "{steps:?}");
            }
        }
    }

    #[test]
    fn the_step_at_the_present_stays_open() {
        assert_eq!(cut(window(900, None), Order::OldestFirst, 300, 1000).0, window(900, None));
        assert_eq!(cut(window(0, None), Order::NewestFirst, 300, 1000).0, window(700, None));
        assert_eq!(cut(window(0, None), Order::OldestFirst, 300, 1000).0, window(0, 300));
    }
}
