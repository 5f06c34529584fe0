//! Reading through a search endpoint: keyset cursors, sorted by a date, decided by value.

use super::page::{self, Next};
use super::query::Search;
use super::sequence::{Envelope, Sequence};
use super::trouble::{Passes, Trouble};
use crate::batch::{self, Decoder, Layout};
use crate::client::{Attempts, Call, CallError, Client};
use crate::error::Result;
use crate::progress::TableProgress;
use crate::source::{Order, Page, PageSender, Pass, Proof};
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
    (by, window, order): (DateField, Window, Order),
    pages: &PageSender,
    progress: &TableProgress,
) -> Result<()> {
    let decoder = Decoder::new(Layout::new(pass.table));
    let mut passes = Passes::new(client, progress);
    let mut search = Search { by, window, order, sort: by, now: pass.began.as_second() };
    loop {
        let mut findings = Findings::default();
        let outcome = read_once(client, pass, search, &decoder, pages, progress, &mut findings).await;
        let reason = match outcome {
            Ok(()) => return Ok(()),
            Err(Trouble::Fatal(error)) => return Err(error),
            Err(Trouble::FailedPass(reason)) => reason,
        };
        if findings.refuses_sort {
            search.sort = DateField::UpdatedAt;
        }
        if findings.order_broke {
            search.window = window;
        } else if let Some(proven) = findings.proven
            && search.window.from.is_none_or(|from| proven > from)
        {
            // Rows before it are handed out for good; only a pass that brought none of them counts.
            search.window.from = Some(proven);
            passes.moved();
        }
        passes.failed(&reason).await?;
    }
}

/// What a pass came to know, however it ended.
#[derive(Debug, Default)]
struct Findings {
    /// Every row of the window before this second was handed out.
    proven: Option<i64>,
    /// The order that proofs rely on does not hold.
    order_broke: bool,
    /// The endpoint does not sort by the date asked for.
    refuses_sort: bool,
}

async fn read_once(
    client: &Client,
    pass: Pass,
    search: Search,
    decoder: &Decoder,
    pages: &PageSender,
    progress: &TableProgress,
    findings: &mut Findings,
) -> std::result::Result<(), Trouble> {
    let path = pass.table.endpoint.path();
    let mut sequence = Sequence::new(search.order, search.window, search.sort == search.by, search.now);
    let mut size = PageSize::default();
    let mut cursor: Option<String> = None;
    loop {
        let make =
            |attempts: Attempts| Call::post(path, search.body(size.for_attempt(attempts), cursor.as_deref()));
        let answer = client.send(make).await.map_err(|error| {
            findings.refuses_sort = search.sort == DateField::CreatedAt && refuses_sort(&error);
            if findings.refuses_sort { Trouble::failed(error) } else { error.into() }
        })?;
        size.settle(answer.attempts.troubled);
        let contents = page::decode(pass, decoder, answer.body).await?;
        let next = match &contents.next {
            None => None,
            Some(Next { cursor: Some(cursor), .. }) => Some(cursor.clone()),
            Some(_) => return Err(Trouble::failed("a next page without a cursor")),
        };
        // An increment ends long before it has seen all that its widened bounds let in.
        let is_telling = cursor.is_none() && search.order == Order::OldestFirst;
        if is_telling && let Some(total) = contents.total_count {
            progress.expect(total);
        }
        let sorted_by = batch::seconds(&contents.batch, search.sort.as_str());
        let step =
            sequence.take(Envelope::of(&contents, next.as_deref()), &sorted_by).map_err(Trouble::failed)?;
        let dates = batch::seconds(&contents.batch, search.by.as_str());
        let batch = batch::filter(&contents.batch, |row| search.window.contains(dates[row]));
        pages.send(Page::new(batch, step.proof, contents.shape)).await?;
        match step.proof {
            Proof::Nothing => {}
            Proof::CompleteTo(second) => findings.proven = Some(second),
            Proof::Withdrawn => (findings.proven, findings.order_broke) = (None, true),
        }
        if step.ended {
            return Ok(());
        }
        cursor = next;
    }
}

fn refuses_sort(error: &CallError) -> bool {
    let Some(refusal) = error.refusal().filter(|refusal| refusal.status == 400) else { return false };
    let speaks_of_it = |words: &Option<String>| words.as_ref().is_some_and(|words| words.contains("sort"));
    speaks_of_it(&refusal.code) || speaks_of_it(&refusal.message)
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
