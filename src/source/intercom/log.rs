//! Reading a log: entries that never change, by windows of `created_at`, newest first within each.
//!
//! A window that is too wide is answered with an error of the server, so windows shrink until they are
//! answered and grow again afterwards.
//!
//! Source: Intercom REST reference 2.14, "List all activity logs" (read 2026-11-20).

use std::collections::HashSet;

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
pub(super) struct Span {
    /// What is asked for.
    pub(super) window: Window,
    pub(super) order: Order,
    /// Where the log begins at the earliest, in epoch seconds.
    pub(super) earliest: i64,
    /// The widest step, in seconds.
    pub(super) step: i64,
}

/// Reads the entries of the span.
pub(super) async fn read(
    client: &Client,
    pass: &Pass,
    span: Span,
    outlet: &Outlet,
    progress: &TableProgress,
) -> Result<()> {
    let now = pass.began.as_second();
    let from = span.window.from.unwrap_or(span.earliest);
    let mut left = Window { from: Some(from), to: span.window.to };
    let mut passes = Passes::new(client, progress);
    let mut width = span.step;
    let (mut calm, mut needed) = (CALM, CALM);
    while !left.is_empty() {
        let (step, rest) = cut(left, span.order, width, now);
        let can_shrink = width / 2 >= NARROWEST;
        let mut reading = Step { client, pass, window: step, can_shrink, outlet };
        match reading.read().await {
            Ok(()) => {
                left = rest;
                calm += 1;
                if calm > needed {
                    width = (width * 2).min(span.step);
                }
                passes.moved();
            }
            Err(Refused::TooMuch(error)) if can_shrink => {
                // The width that is answered hardly changes: what was refused is tried ever less often.
                (width, calm, needed) = (width / 2, 0, needed.saturating_mul(2));
                tracing::debug!(%error, seconds = width, "asking for a narrower window");
            }
            Err(Refused::TooMuch(error)) => return Err(error.into_error()),
            Err(Refused::Otherwise(Trouble::Fatal(error))) => return Err(error),
            Err(Refused::Otherwise(Trouble::FailedPass(reason))) => passes.failed(&reason).await?,
        }
    }
    Ok(())
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
    can_shrink: bool,
    outlet: &'s Outlet,
}

impl Step<'_> {
    async fn read(&mut self) -> std::result::Result<(), Refused> {
        let reader = Reader::new(self.pass, Some((DateField::CreatedAt, self.window)), None);
        let mut seen: HashSet<u64> = HashSet::new();
        let mut page = 1;
        loop {
            let path = self.path(page);
            let call = || Call::get(path.clone());
            let answer = if self.can_shrink {
                self.client.send_unless_troubled(call()).await?
            } else {
                self.client.send(|_| call()).await?
            };
            let contents = reader.read(answer.body).await?;
            let known = seen.len();
            seen.extend(&contents.keys);
            let next = contents.next.as_ref().map(|next| next.page);
            if next.is_some() && seen.len() == known {
                return Err(Trouble::failed("a page that brought nothing new").into());
            }
            let proof = match (next, self.window.to) {
                (None, Some(to)) => Proof::CompleteTo(to),
                _ => Proof::Nothing,
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
