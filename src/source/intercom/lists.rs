//! Reading tables that one unpaged answer, or one per variant, holds whole.

use super::page::decode;
use super::trouble::{Passes, Trouble};
use crate::batch::{Decoder, Layout};
use crate::client::{Call, Client};
use crate::error::Result;
use crate::progress::TableProgress;
use crate::source::{Page, PageSender, Pass, Proof};
use crate::table::ListQuery;

/// Reads every row. `minor` is that of the API version, 2.x.
pub(super) async fn read(
    client: &Client,
    pass: Pass,
    (queries, minor): (&[ListQuery], u8),
    pages: &PageSender,
    progress: &TableProgress,
) -> Result<()> {
    let decoder = Decoder::new(Layout::new(pass.table));
    let mut passes = Passes::new(client, progress);
    for list in queries.iter().filter(|list| list.until_minor.is_none_or(|until| minor <= until)) {
        let page = loop {
            match read_one(client, pass, list.query, &decoder).await {
                Ok(page) => break page,
                Err(Trouble::Fatal(error)) => return Err(error),
                Err(Trouble::FailedPass(reason)) => passes.failed(&reason).await?,
            }
        };
        passes.moved();
        pages.send(page).await?;
    }
    Ok(())
}

async fn read_one(
    client: &Client,
    pass: Pass,
    query: &str,
    decoder: &Decoder,
) -> std::result::Result<Page, Trouble> {
    let path = pass.table.endpoint.path();
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let answer = client.send(|_| Call::get(target.clone())).await?;
    let contents = decode(pass, decoder, answer.body).await?;
    if contents.next.is_some() {
        return Err(Trouble::failed("a list that claims to have a second page"));
    }
    Ok(Page::new(contents.batch, Proof::Nothing, contents.shape))
}
