//! Reading who belongs to which group: one search for each group.
//!
//! Adding somebody to a group does not move the date by which changes are found, and what a row itself shows
//! of its groups ends after ten. So every group is asked for, every time, 150 members a request. Of a large one that was
//! read lately the number of its members is asked for first: if it is the same, nothing more is.
//!
//! A group that cannot be read is left as it is stored, and the others are read.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::chain::Common;
use super::lists;
use super::outlet::Outlet;
use super::page;
use super::page_size::PageSizes;
use super::query::Search;
use super::reader::{Draft, Reader};
use super::search::{self, Group};
use super::tally::Tally;
use super::trouble::Passes;
use crate::batch::{Owner, Shape, key_hashes};
use crate::client::{Call, CallError, Client};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{Entry, Ledger};
use crate::progress::TableProgress;
use crate::source::{Ask, Order, Pass, Proof, Share};
use crate::table::{Endpoint, TableSpec};
use crate::window::{DateField, Window};

/// Groups that are read at the same time.
pub(super) const AT_ONCE: usize = 8;

/// Reads the members of every group in `ids`. Each group is handed out as one page, once it is whole.
pub(super) async fn read(
    with: (&Client, &PageSizes),
    pass: &Pass,
    (ids, field): (Vec<String>, &'static str),
    outlet: &Outlet,
    progress: &TableProgress,
) -> Result<()> {
    progress.expect(0);
    let ledger = pass.members.first().and_then(|member| member.ledger.clone()).unwrap_or_default();
    let forgotten = forgotten(&ledger, &ids);
    if !forgotten.is_empty() {
        outlet.send(draft_of(Share { entries: forgotten, ..empty(pass) })).await?;
    }
    let (ledger, of) = (&*ledger, ids.len());
    let mut groups = stream::iter(ids)
        .map(|id| async move {
            let group = Group { field, id: &id };
            let read = match read_group(with, pass, group, ledger, progress).await {
                Ok(draft) => outlet.send(draft).await.map(|()| None),
                Err(error) if error.kind().is_of_source() => {
                    let (table, group) = (pass.table.name, id.escape_debug().to_string());
                    tracing::warn!(table, group, %error, "a group could not be read");
                    outlet.send(kept(pass, &id)).await.map(|()| Some(error))
                }
                Err(error) => Err(error),
            };
            read.map(|failure| (id, failure))
        })
        .buffer_unordered(AT_ONCE);
    let mut tally = Tally::default();
    while let Some(read) = groups.next().await {
        match read? {
            (_, None) => tally.note_read(),
            (id, Some(error)) => tally.note_failed(&id, error)?,
        }
    }
    let name = pass.table.groups().map_or("groups", |groups| groups.name);
    let Some(incomplete) = tally.verdict(name, of)? else { return Ok(()) };
    outlet.send(draft_of(Share { incomplete: Some(incomplete), ..empty(pass) })).await
}

/// The groups there are.
pub(super) async fn group_ids(
    client: &Client,
    pass: &Pass,
    groups: &'static TableSpec,
    minor: u8,
    progress: &TableProgress,
) -> Result<Vec<String>> {
    let Endpoint::Lists { lists, .. } = groups.endpoint else {
        return Err(Error::new(ErrorKind::Api, format!("table {} is no list of groups", groups.name)));
    };
    let expects_rows = pass.expects_rows;
    let list = Pass { expects_rows, ..Pass::alone(groups, Ask::Everything, pass.began) };
    let reader = Reader::new(&list, None, None);
    let mut passes = Passes::new(client, progress);
    let mut ids = Vec::new();
    for list in lists.iter().filter(|list| list.is_in(minor)) {
        let contents = lists::read_one(client, &reader, list, &mut passes).await?;
        // Without those that have no id.
        let draft = contents.draft(Proof::Nothing);
        let rows = draft.shares.into_iter().next().and_then(Result::ok);
        let column = rows.as_ref().and_then(|rows| rows.batch.column_by_name("id")?.as_string_opt::<i32>());
        ids.extend(column.into_iter().flat_map(|ids| ids.iter().flatten()).map(str::to_owned));
    }
    Ok(ids)
}

/// How many members a group had when it was read last, if it is enough to ask whether there are still as many. Not if
/// that was before `since`, or after `now`; nor where one answer with so many rows on a `page` holds them all, which
/// then are read for the same price.
fn number_to_find(known: Option<&Entry>, (since, now): (Timestamp, Timestamp), page: usize) -> Option<u64> {
    let known = known.filter(|known| since < known.fetched_at && known.fetched_at <= now)?;
    u64::try_from(known.shown).ok().filter(|members| *members > page as u64)
}

async fn read_group(
    with: (&Client, &PageSizes),
    pass: &Pass,
    group: Group<'_>,
    ledger: &Ledger,
    progress: &TableProgress,
) -> Result<Draft> {
    let (client, sizes) = with;
    let known = ledger.entry(group.id);
    let lately = (ledger.since().unwrap_or(pass.began), pass.began);
    let page = sizes.of(&pass.table.endpoint.path()).rows();
    if let Some(members) = number_to_find(known, lately, page)
        && count(client, pass, group).await? == Some(members)
    {
        return Ok(kept(pass, group.id));
    }
    let (batch, shape) = members(with, pass, group, progress).await?;
    let owner = Owner { key: group.id.to_owned(), version: None, rows: batch.num_rows(), is_whole: true };
    // A page that was asked for twice has brought its rows twice.
    let distinct: HashSet<u64> = key_hashes(pass.table, &batch).into_iter().collect();
    let shown = i64::try_from(distinct.len()).unwrap_or(i64::MAX);
    // Nothing follows from when a small group was read: it is read in any case.
    let is_known = known.is_some_and(|known| known.shown == shown) && distinct.len() <= page;
    let entry = (!is_known).then(|| entry(group.id, shown, pass.began));
    Ok(draft_of(Share {
        owners: vec![owner],
        entries: entry.into_iter().collect(),
        ..Share::of(batch, shape)
    }))
}

/// How many members the group has; `None` if the answer does not say.
async fn count(client: &Client, pass: &Pass, group: Group<'_>) -> Result<Option<u64>> {
    let search = Search {
        by: DateField::CreatedAt,
        window: Window::default(),
        order: Order::OldestFirst,
        sort: DateField::UpdatedAt,
        now: pass.began.as_second(),
        cut: None,
        group: Some(group),
    };
    let path = pass.table.endpoint.path();
    match client.send(|_| Call::post(path.as_str(), search.body(1, None))).await {
        Ok(answer) => Ok(page::total_count(&answer.body)),
        Err(error) if error.is_not_json() => Ok(None),
        Err(error) => Err(CallError::into_error(error)),
    }
}

/// All members of a group.
async fn members(
    (client, sizes): (&Client, &PageSizes),
    pass: &Pass,
    group: Group<'_>,
    progress: &TableProgress,
) -> Result<(RecordBatch, Shape)> {
    let (outlet, mut drafts) = Outlet::new();
    // By a date that does not move, so that nobody changes places while the pages are read.
    let (by, order) = (DateField::CreatedAt, Order::OldestFirst);
    let reading = async move {
        // Dropped at the end, which is how the other end learns of it.
        let outlet = outlet;
        let common = Common { client, pass, outlet: &outlet, progress, sizes, by, order, group: Some(group) };
        search::read(common, &[Window::default()], false).await
    };
    let mut shares: Vec<Result<Share>> = Vec::new();
    let gathering = drafts.drain(|draft| shares.extend(draft.shares));
    let (read, ()) = tokio::join!(reading, gathering);
    read?;
    let shares = shares.into_iter().collect::<Result<Vec<Share>>>()?;
    let mut shape = Shape::default();
    for share in &shares {
        shape.add(&share.shape);
    }
    let batches: Vec<_> = shares.into_iter().map(|share| share.batch).collect();
    let schema = batches.first().map_or_else(|| pass.table.schema(), |batch| Arc::clone(batch.schema_ref()));
    let batch = concat_batches(&schema, &batches)
        .map_err(|e| Error::new(ErrorKind::Data, "rows do not form a batch").with_source(e))?;
    Ok((batch, shape))
}

/// Takes back what was noted of groups that are no more: their rows are removed, and would be missing should such a group
/// return.
fn forgotten(ledger: &Ledger, ids: &[String]) -> Vec<Entry> {
    let ids: HashSet<&str> = ids.iter().map(String::as_str).collect();
    let gone = ledger.kept().filter(|known| known.shown > 0 && !ids.contains(known.key.as_str()));
    gone.map(|known| entry(&known.key, 0, Timestamp::UNIX_EPOCH)).collect()
}

/// A group that is there and of which nothing was read: what is stored of it stays.
fn kept(pass: &Pass, id: &str) -> Draft {
    let owner = Owner { key: id.to_owned(), version: None, rows: 0, is_whole: false };
    draft_of(Share { owners: vec![owner], ..empty(pass) })
}

fn entry(id: &str, shown: i64, fetched_at: Timestamp) -> Entry {
    Entry { key: id.to_owned(), version: None, stated: None, total: Some(shown), shown, fetched_at }
}

fn empty(pass: &Pass) -> Share {
    Share::of(RecordBatch::new_empty(pass.table.schema()), Shape::default())
}

fn draft_of(share: Share) -> Draft {
    Draft { shares: vec![Ok(share)], keys: Vec::new(), proof: Proof::Nothing, wants: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_of_large_groups_that_were_read_lately_the_number_is_enough() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for (shown, fetched_at, expected) in [
            (151, 1000, Some(151)),
            (151, 501, Some(151)),
            // One answer holds them all.
            (150, 1000, None),
            (0, 1000, None),
            // Too long ago, never, and in the future.
            (151, 500, None),
            (151, 0, None),
            (151, 1001, None),
        ] {
            let entry = entry("a", shown, at(fetched_at));
            let number = number_to_find(Some(&entry), (at(500), at(1000)), 150);
            assert_eq!(number, expected, "{shown} at {fetched_at}");
        }
        assert_eq!(number_to_find(None, (at(500), at(1000)), 150), None);
        let entry = entry("a", 151, at(1000));
        assert_eq!(number_to_find(Some(&entry), (at(1000), at(1000)), 150), None, "in every run");
    }
}
