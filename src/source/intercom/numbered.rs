//! Reading lists with page numbers, most recently updated first.
//!
//! Such pages drift: a row that changes moves to the front and pushes the others back, a row that is deleted
//! pulls them forward, over page edges and past the reader. A pass therefore counts as complete only if the
//! stated total stayed the same, as many distinct rows were read, and nothing changed at the front meanwhile.

use std::collections::HashMap;

use super::page::{Contents, Next};
use super::search::decode;
use super::trouble::{PASSES, Trouble, give_up};
use crate::batch::{self, Decoder, Layout};
use crate::client::{Call, Client};
use crate::error::Result;
use crate::progress::TableProgress;
use crate::source::{Page, PageSender, Pass};

/// Rows asked for at once.
const PER_PAGE: u32 = 50;

/// Reads every row.
pub(super) async fn read(
    client: &Client,
    pass: Pass,
    pages: &PageSender,
    progress: &TableProgress,
) -> Result<()> {
    let decoder = Decoder::new(Layout::new(pass.table));
    let mut failed = 0;
    loop {
        let reason = match read_once(client, pass, &decoder, pages, progress).await {
            Ok(()) => return Ok(()),
            Err(Trouble::Fatal(error)) => return Err(error),
            Err(Trouble::FailedPass(reason)) => reason,
        };
        failed += 1;
        if failed >= PASSES {
            return Err(give_up(failed, &reason));
        }
        tracing::warn!(table = pass.table.name, reason, "pass failed, starting again");
        progress.reading(&format!("starting again: {reason}"));
    }
}

/// When each row read so far last changed.
type Seen = HashMap<u64, Option<i64>>;

async fn read_once(
    client: &Client,
    pass: Pass,
    decoder: &Decoder,
    pages: &PageSender,
    progress: &TableProgress,
) -> std::result::Result<(), Trouble> {
    let mut seen = Seen::new();
    let mut total = None;
    let mut number = 1;
    loop {
        let contents = fetch(client, pass, decoder, number).await?;
        if number == 1 {
            total = contents.total_count;
            progress.expect(total.unwrap_or(0));
        } else if contents.total_count != total {
            return Err(Trouble::failed("rows that came or went while the pages were read"));
        }
        let next = next_number(contents.next.as_ref(), number)?;
        let brought_news = note(pass, &mut seen, &contents);
        if next.is_some() && !brought_news {
            return Err(Trouble::failed("a page that brought nothing new"));
        }
        pages.send(Page::new(contents.batch, None, contents.shape)).await?;
        match next {
            Some(next) => number = next,
            None => break,
        }
    }
    if total.is_some_and(|total| total > seen.len() as u64) {
        return Err(Trouble::failed(format!("{} rows where {} are stated", seen.len(), total.unwrap_or(0))));
    }
    if number > 1 { close(client, pass, decoder, pages, &mut seen).await } else { Ok(()) }
}

/// Reads the front again until a whole page holds only what is known: what changed meanwhile stands there.
async fn close(
    client: &Client,
    pass: Pass,
    decoder: &Decoder,
    pages: &PageSender,
    seen: &mut Seen,
) -> std::result::Result<(), Trouble> {
    let mut number = 1;
    loop {
        let contents = fetch(client, pass, decoder, number).await?;
        let next = next_number(contents.next.as_ref(), number)?;
        let brought_news = note(pass, seen, &contents);
        pages.send(Page::new(contents.batch, None, contents.shape)).await?;
        match next {
            Some(next) if brought_news => number = next,
            _ => return Ok(()),
        }
    }
}

async fn fetch(
    client: &Client,
    pass: Pass,
    decoder: &Decoder,
    number: u32,
) -> std::result::Result<Contents, Trouble> {
    let path = pass.table.endpoint.path();
    let answer = client.send(|_| Call::get(format!("{path}?page={number}&per_page={PER_PAGE}"))).await?;
    decode(pass, decoder, answer.body).await
}

/// Remembers the rows of a page; true if one of them is new or has changed.
fn note(pass: Pass, seen: &mut Seen, contents: &Contents) -> bool {
    let dates = batch::seconds(&contents.batch, pass.table.cursor.unwrap_or_default());
    let mut news = false;
    for (key, date) in contents.keys.iter().zip(dates) {
        news |= seen.insert(*key, date) != Some(date);
    }
    news
}

/// The number of the next page. The host of a URL is not followed.
fn next_number(next: Option<&Next>, number: u32) -> std::result::Result<Option<u32>, Trouble> {
    let following = match next {
        None => return Ok(None),
        Some(Next::Url(url)) => {
            let query = url.split_once('?').map_or("", |(_, query)| query);
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(name, _)| name == "page").and_then(|(_, value)| value.parse().ok())
        }
        Some(Next::Cursor(_)) => None,
    };
    match following {
        Some(following) if following == number + 1 => Ok(Some(following)),
        _ => Err(Trouble::failed(format!("a next page that does not follow page {number}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_following_page_is_next() {
        let url = |text: &str| Some(Next::Url(text.into()));
        for (next, expected) in [
            (None, Some(None)),
            (url("https://api.intercom.io/articles?per_page=50&page=3"), Some(Some(3))),
            (url("/articles?page=3"), Some(Some(3))),
            (url("/articles?page=2"), None),
            (url("/articles"), None),
            (Some(Next::Cursor("3".into())), None),
        ] {
            assert_eq!(next_number(next.as_ref(), 2).ok(), expected, "{next:?}");
        }
    }
}
