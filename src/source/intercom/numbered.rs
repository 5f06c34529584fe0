//! Reading lists with page numbers: see [`super::page_numbers`] for how they shift.
//!
//! A list is complete once as many rows were shown as it states at the end, over however many times it was read, and
//! once its front holds nothing new: there stands what came or changed meanwhile.

use super::outlet::Outlet;
use super::page::Next;
use super::page_numbers::{NumberedPage, NumberedPages};
use super::page_size::largest_answer;
use super::reader::{Contents, Reader};
use super::trouble::{Passes, Trouble};
use crate::batch;
use crate::client::{Call, CallError, Client};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::TableProgress;
use crate::source::{Pass, Proof};
use crate::window::DateField;

/// Pages by which a list may have become longer since it was read.
const LONGER: u64 = 100;
/// Below this the size is not what overwhelms the server.
const SMALLEST_PAGE: u32 = 12;

/// Reads every row.
pub(super) async fn read(
    client: &Client,
    pass: &Pass,
    per_page: u32,
    outlet: &Outlet,
    progress: &TableProgress,
) -> Result<()> {
    let reader = Reader::new(pass, None, None);
    let mut passes = Passes::new(client, progress);
    let mut pages = NumberedPages::default();
    let mut per_page = per_page;
    loop {
        let list = List { client, reader: &reader, per_page, outlet, progress };
        let reason = match list.read_once(&mut pages).await {
            Ok(()) => match (pages.doubt(), pages.is_to_be_read_again()) {
                (None, Ok(false)) => return Ok(()),
                (None, Ok(true)) => continue,
                (None, Err(reason)) => reason.to_owned(),
                (Some(doubt), _) => doubt,
            },
            // The server may be overwhelmed by the size, or we. Pages of another size have other edges, so the pass
            // starts again.
            Err(Halt::TooMuch(error)) if can_shrink(per_page) => {
                per_page /= 2;
                tracing::warn!(%error, per_page, "starting again with smaller pages");
                continue;
            }
            Err(Halt::TooMuch(error) | Halt::Otherwise(Trouble::Fatal(error))) => return Err(error),
            Err(Halt::Otherwise(Trouble::FailedPass(reason))) => reason,
        };
        passes.failed(&reason).await?;
    }
}

/// Whether a page of this size may be halved.
fn can_shrink(per_page: u32) -> bool {
    per_page / 2 >= SMALLEST_PAGE
}

/// Why a list was not read to its end.
enum Halt {
    /// Pages of this size are not answered, or with too much.
    TooMuch(Error),
    Otherwise(Trouble),
}

impl From<CallError> for Halt {
    fn from(error: CallError) -> Self {
        let is_too_large = error.is_too_large();
        match Trouble::from(error) {
            Trouble::Fatal(error) if is_too_large || error.kind() == ErrorKind::Network => {
                Self::TooMuch(error)
            }
            trouble => Self::Otherwise(trouble),
        }
    }
}

impl From<Trouble> for Halt {
    fn from(trouble: Trouble) -> Self {
        Self::Otherwise(trouble)
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Otherwise(error.into())
    }
}

/// A list and how it is read.
#[derive(Debug, Clone, Copy)]
struct List<'l> {
    client: &'l Client,
    reader: &'l Reader,
    per_page: u32,
    outlet: &'l Outlet,
    progress: &'l TableProgress,
}

impl List<'_> {
    async fn read_once(self, pages: &mut NumberedPages) -> std::result::Result<(), Halt> {
        pages.begin();
        let mut number = 1;
        loop {
            let (contents, next) = self.fetch(number).await?;
            if number == 1 {
                self.progress.expect(contents.total_count.unwrap_or(0));
            }
            let (dates, is_new) = self.dates(&contents);
            let following =
                pages.take(page(&contents, (&dates, &is_new), (number, next))).map_err(Trouble::failed)?;
            self.outlet.send(contents.draft(Proof::Nothing)).await?;
            match following {
                Some(following) => number = following,
                None if number == 1 => return Ok(()),
                None => return self.close(pages, number).await,
            }
        }
    }

    /// Reads the front again until a whole page holds only what is known: what changed meanwhile stands there. It is not
    /// longer than the list itself was, whose last page was `last`, and what came since.
    async fn close(self, pages: &mut NumberedPages, last: u64) -> std::result::Result<(), Halt> {
        let mut number = 1;
        loop {
            if number > last.saturating_add(LONGER) {
                return Err(Trouble::failed("a front that holds ever more that is new").into());
            }
            let (contents, next) = self.fetch(number).await?;
            let (dates, is_new) = self.dates(&contents);
            let is_news = pages.note(page(&contents, (&dates, &is_new), (number, next)));
            self.outlet.send(contents.draft(Proof::Nothing)).await?;
            match next {
                Some(next) if is_news => number = next,
                _ => return Ok(()),
            }
        }
    }

    /// A page, and the number of the next one.
    async fn fetch(self, number: u64) -> std::result::Result<(Contents, Option<u64>), Halt> {
        let Self { client, reader, per_page, .. } = self;
        let path = reader.pass().table.endpoint.path();
        let largest = largest_answer(if can_shrink(per_page) { per_page } else { 1 });
        let call = || Call::get(format!("{path}?page={number}&per_page={per_page}")).at_most(largest);
        let answer = client.send(|_| call()).await?;
        let contents = reader.read(answer).await?;
        let next = next_number(contents.next.as_ref(), number)?;
        Ok((contents, next))
    }

    /// When each row last changed, and whether it was made since the pass began.
    fn dates(self, contents: &Contents) -> (Vec<Option<i64>>, Vec<bool>) {
        let pass = self.reader.pass();
        let began = pass.began.as_second();
        let dates = batch::seconds(&contents.batch, pass.table.cursor.unwrap_or_default());
        let made = batch::seconds(&contents.batch, DateField::CreatedAt.as_str());
        (dates, made.into_iter().map(|made| made.is_some_and(|made| made > began)).collect())
    }
}

/// A page and its number, and that of the next one.
fn page<'p>(
    contents: &'p Contents,
    (dates, is_new): (&'p [Option<i64>], &'p [bool]),
    (number, next): (u64, Option<u64>),
) -> NumberedPage<'p> {
    NumberedPage {
        number,
        keys: &contents.keys,
        dates,
        is_new,
        total: contents.total_count,
        has_next: next.is_some(),
    }
}

/// The number of the next page, which must be the following one.
fn next_number(next: Option<&Next>, number: u64) -> std::result::Result<Option<u64>, Trouble> {
    match next.map(|next| next.page) {
        None => Ok(None),
        Some(Some(following)) if following == number + 1 => Ok(Some(following)),
        Some(_) => Err(Trouble::failed(format!("a next page that does not follow page {number}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_following_page_is_next() {
        for (next, expected) in [
            (None, Some(None)),
            (Some(Next { page: Some(3), cursor: None }), Some(Some(3))),
            (Some(Next { page: Some(3), cursor: Some("x".into()) }), Some(Some(3))),
            (Some(Next { page: Some(2), cursor: None }), None),
            (Some(Next { page: None, cursor: Some("3".into()) }), None),
        ] {
            assert_eq!(next_number(next.as_ref(), 2).ok(), expected, "{next:?}");
        }
    }
}
