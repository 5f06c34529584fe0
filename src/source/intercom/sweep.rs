//! Reading who belongs to which group: one search for each group.
//!
//! Adding somebody to a group does not move the date by which changes are found, and what a row itself shows
//! of its groups ends after ten. So every group is read whole, every time, 150 members a request.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::concat_batches;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::chain::Common;
use super::lists;
use super::outlet::Outlet;
use super::page_size::PageSizes;
use super::reader::{Draft, Reader};
use super::search::{self, Group};
use super::trouble::Passes;
use crate::batch::{Owner, Shape};
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::TableProgress;
use crate::source::{Ask, Order, Pass, Proof, Share};
use crate::table::{Endpoint, TableSpec};
use crate::window::{DateField, Window};

/// Groups that are read at the same time.
const AT_ONCE: usize = 8;

/// Reads the members of every group in `ids`. Each group is handed out as one page, once it is whole.
pub(super) async fn read(
    with: (&Client, &PageSizes),
    pass: &Pass,
    (ids, field): (Vec<String>, &'static str),
    outlet: &Outlet,
    progress: &TableProgress,
) -> Result<()> {
    progress.expect(0);
    stream::iter(ids)
        .map(|id| async move {
            let draft = read_group(with, pass, Group { field, id: &id }, progress).await?;
            outlet.send(draft).await
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
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
        let column = contents.batch.column_by_name("id").and_then(|column| column.as_string_opt::<i32>());
        ids.extend(column.into_iter().flat_map(|ids| ids.iter().flatten()).map(str::to_owned));
    }
    Ok(ids)
}

async fn read_group(
    (client, sizes): (&Client, &PageSizes),
    pass: &Pass,
    group: Group<'_>,
    progress: &TableProgress,
) -> Result<Draft> {
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
    let owner = Owner { key: group.id.to_owned(), version: None, rows: batch.num_rows(), is_whole: true };
    let whole = Share { owners: vec![owner], ..Share::of(batch, shape) };
    Ok(Draft { shares: vec![Ok(whole)], keys: Vec::new(), proof: Proof::Nothing, wants: Vec::new() })
}
