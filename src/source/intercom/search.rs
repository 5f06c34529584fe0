//! Reading through a search endpoint: keyset cursors, sorted by a date, decided by value.

use super::page::{self, Contents, Next};
use super::query::Search;
use super::sequence::Sequence;
use super::trouble::{PASSES, Trouble, give_up};
use crate::batch::{self, Decoder, Layout};
use crate::client::{Attempts, Call, Client};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::TableProgress;
use crate::source::{Order, Page, PageSender, Pass};
use crate::window::{DateField, Window};

/// The most rows a search hands out at once.
const LARGEST_PAGE: u32 = 150;
/// Below this a page is not what overwhelms the server.
const SMALLEST_PAGE: u32 = 5;
/// Pages without trouble after which a larger page is tried again.
const PAGES_UNTIL_LARGER: u32 = 10;

/// Reads `window` completely, starting failed passes again where they were proven.
pub(super) async fn read(
    client: &Client,
    pass: Pass,
    (by, mut window, order): (DateField, Window, Order),
    pages: &PageSender,
    progress: &TableProgress,
) -> Result<()> {
    let decoder = Decoder::new(Layout::new(pass.table));
    let mut failed = 0;
    loop {
        let search = Search { by, window, order, now: pass.began.as_second() };
        let mut proven = None;
        let outcome = read_once(client, pass, search, &decoder, pages, progress, &mut proven).await;
        let reason = match outcome {
            Ok(()) => return Ok(()),
            Err(Trouble::Fatal(error)) => return Err(error),
            Err(Trouble::FailedPass(reason)) => reason,
        };
        // Rows before `proven` are handed out for good; only a pass that brought none of them counts.
        let moved = proven.is_some_and(|proven| window.from.is_none_or(|from| proven > from));
        if moved {
            window.from = proven;
            failed = 0;
        }
        failed += 1;
        if failed >= PASSES {
            return Err(give_up(failed, &reason));
        }
        tracing::warn!(table = pass.table.name, reason, "pass failed, starting again");
        progress.reading(&format!("starting again: {reason}"));
    }
}

async fn read_once(
    client: &Client,
    pass: Pass,
    search: Search,
    decoder: &Decoder,
    pages: &PageSender,
    progress: &TableProgress,
    proven: &mut Option<i64>,
) -> std::result::Result<(), Trouble> {
    let path = pass.table.endpoint.path();
    let mut sequence = Sequence::new(search.order, search.window, search.now);
    let mut size = PageSize::default();
    let mut cursor: Option<String> = None;
    loop {
        let make =
            |attempts: Attempts| Call::post(path, search.body(size.for_attempt(attempts), cursor.as_deref()));
        let answer = client.send(make).await?;
        size.settle(answer.attempts.troubled);
        let contents = decode(pass, decoder, answer.body).await?;
        let next = match &contents.next {
            None => None,
            Some(Next::Cursor(next)) => Some(next.clone()),
            Some(Next::Url(_)) => return Err(Trouble::failed("a URL where a search has a cursor")),
        };
        // An increment ends long before it has seen all that its widened bounds let in.
        let is_telling = cursor.is_none() && search.order == Order::OldestFirst;
        if is_telling && let Some(total) = contents.total_count {
            progress.expect(total);
        }
        let dates = batch::seconds(&contents.batch, search.by.as_str());
        let step = sequence.take(&contents.keys, &dates, next.as_deref()).map_err(Trouble::failed)?;
        let batch = batch::filter(&contents.batch, |row| search.window.contains(dates[row]));
        pages.send(Page::new(batch, step.complete_to, contents.shape)).await?;
        *proven = step.complete_to.or(*proven);
        if step.ended {
            return Ok(());
        }
        cursor = next;
    }
}

/// Decodes on a thread where it holds up no other request.
pub(super) async fn decode(
    pass: Pass,
    decoder: &Decoder,
    body: bytes::Bytes,
) -> std::result::Result<Contents, Trouble> {
    let decoder = decoder.clone();
    let contents =
        tokio::task::spawn_blocking(move || page::decode(pass.table, &decoder, &body, pass.began)).await;
    match contents {
        Ok(contents) => contents.map_err(Trouble::failed),
        Err(error) => {
            Err(Trouble::Fatal(Error::new(ErrorKind::Data, "decoding was cut short").with_source(error)))
        }
    }
}

/// How many rows to ask for. Large pages are cheap until the server cannot make them any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PageSize {
    rows: u32,
    calm: u32,
}

impl Default for PageSize {
    fn default() -> Self {
        Self { rows: LARGEST_PAGE, calm: 0 }
    }
}

impl PageSize {
    /// Half as many from the second trouble with the same page on.
    fn for_attempt(self, attempts: Attempts) -> u32 {
        let halvings = attempts.troubled.saturating_sub(1).min(8);
        (self.rows >> halvings).max(SMALLEST_PAGE.min(self.rows))
    }

    /// Keeps what worked after `troubled` attempts, and dares more after a calm time.
    fn settle(&mut self, troubled: u32) {
        if troubled > 1 {
            self.rows = self.for_attempt(Attempts { troubled });
            self.calm = 0;
            return;
        }
        self.calm += 1;
        if self.calm >= PAGES_UNTIL_LARGER {
            self.rows = (self.rows * 2).min(LARGEST_PAGE);
            self.calm = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_shrink_from_the_second_trouble_and_grow_again_later() {
        let mut size = PageSize::default();
        let asked: Vec<u32> = (0..6).map(|troubled| size.for_attempt(Attempts { troubled })).collect();
        assert_eq!(asked, [150, 150, 75, 37, 18, 9]);
        size.settle(1);
        assert_eq!(size.rows, 150);
        size.settle(3);
        assert_eq!(size.rows, 37);
        for _ in 0..PAGES_UNTIL_LARGER {
            size.settle(0);
        }
        assert_eq!(size.rows, 74);
    }
}
