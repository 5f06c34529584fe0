//! Reading lists with page numbers, most recently updated first.
//!
//! Such pages drift: a row that changes moves to the front and pushes the others back, a row that is deleted
//! pulls them forward, over page edges and past the reader. A pass therefore counts as complete only if the
//! stated total stayed the same and as many distinct rows were read (or, where totals are missing or wrong,
//! if two passes running read the same rows), and if nothing changed at the front meanwhile.

use std::collections::{HashMap, HashSet};

use super::outlet::Outlet;
use super::page::Next;
use super::reader::{Contents, Reader};
use super::trouble::{Passes, Trouble};
use crate::batch;
use crate::client::{Call, Client};
use crate::error::{ErrorKind, Result};
use crate::progress::TableProgress;
use crate::source::{Pass, Proof};

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
    let mut keys_before: Option<HashSet<u64>> = None;
    let mut per_page = per_page;
    loop {
        let reason = match read_once(client, &reader, per_page, outlet, progress).await {
            Ok(read) => {
                let keys: HashSet<u64> = read.seen.keys().copied().collect();
                if read.is_counted || keys_before.as_ref() == Some(&keys) {
                    return Ok(());
                }
                keys_before = Some(keys);
                "rows that no total confirms".to_owned()
            }
            // The server may be overwhelmed by the size. Pages of another size have other edges, so the pass
            // starts again.
            Err(Trouble::Fatal(error))
                if error.kind() == ErrorKind::Network && per_page / 2 >= SMALLEST_PAGE =>
            {
                per_page /= 2;
                tracing::warn!(%error, per_page, "starting again with smaller pages");
                continue;
            }
            Err(Trouble::Fatal(error)) => return Err(error),
            Err(Trouble::FailedPass(reason)) => reason,
        };
        passes.failed(&reason).await?;
    }
}

/// A pass over all pages.
struct Read {
    seen: Seen,
    /// Whether as many rows were read as the server states.
    is_counted: bool,
}

/// When each row read so far last changed.
type Seen = HashMap<u64, Option<i64>>;

async fn read_once(
    client: &Client,
    reader: &Reader,
    per_page: u32,
    outlet: &Outlet,
    progress: &TableProgress,
) -> std::result::Result<Read, Trouble> {
    let mut seen = Seen::new();
    let mut total = None;
    let mut largest_page = 0;
    let mut number = 1;
    loop {
        let contents = fetch(client, reader, (number, per_page)).await?;
        if number == 1 {
            total = contents.total_count;
            progress.expect(total.unwrap_or(0));
        } else if contents.total_count.zip(total).is_some_and(|(now, before)| now != before) {
            return Err(Trouble::failed("rows that came or went while the pages were read"));
        }
        let next = next_number(contents.next.as_ref(), number)?;
        let brought_news = note(reader.pass(), &mut seen, &contents);
        if next.is_some() && !brought_news {
            return Err(Trouble::failed("a page that brought nothing new"));
        }
        largest_page = largest_page.max(contents.keys.len());
        let is_full = contents.keys.len() >= largest_page.min(per_page as usize);
        let is_numbered_last = contents.position.is_some_and(|(number, of)| number >= of);
        outlet.send(contents.draft(Proof::Nothing)).await?;
        if let Some(next) = next {
            number = next;
            continue;
        }
        if total.is_some_and(|total| total > seen.len() as u64) && is_full && !is_numbered_last {
            return Err(Trouble::failed("a last page that comes too early"));
        }
        break;
    }
    let is_counted = total.is_some_and(|total| seen.len() as u64 >= total);
    if number > 1 {
        close(client, reader, per_page, outlet, &mut seen).await?;
    }
    Ok(Read { seen, is_counted })
}

/// Reads the front again until a whole page holds only what is known: what changed meanwhile stands there.
async fn close(
    client: &Client,
    reader: &Reader,
    per_page: u32,
    outlet: &Outlet,
    seen: &mut Seen,
) -> std::result::Result<(), Trouble> {
    let mut number = 1;
    loop {
        let contents = fetch(client, reader, (number, per_page)).await?;
        let next = next_number(contents.next.as_ref(), number)?;
        let brought_news = note(reader.pass(), seen, &contents);
        outlet.send(contents.draft(Proof::Nothing)).await?;
        match next {
            Some(next) if brought_news => number = next,
            _ => return Ok(()),
        }
    }
}

async fn fetch(
    client: &Client,
    reader: &Reader,
    (number, per_page): (u64, u32),
) -> std::result::Result<Contents, Trouble> {
    let path = reader.pass().table.endpoint.path();
    let answer = client.send(|_| Call::get(format!("{path}?page={number}&per_page={per_page}"))).await?;
    reader.read(answer.body).await
}

/// Remembers the rows of a page; true if one of them is new or has changed.
fn note(pass: &Pass, seen: &mut Seen, contents: &Contents) -> bool {
    let dates = batch::seconds(&contents.batch, pass.table.cursor.unwrap_or_default());
    let mut news = false;
    for (key, date) in contents.keys.iter().zip(dates) {
        news |= seen.insert(*key, date) != Some(date);
    }
    news
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
