//! Reading tables that one unpaged answer, or one per variant, holds whole.

use super::search::decode;
use super::trouble::{PASSES, Trouble, give_up};
use crate::batch::{Decoder, Layout};
use crate::client::{Call, Client};
use crate::error::Result;
use crate::progress::TableProgress;
use crate::source::{Page, PageSender, Pass};
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
    for list in queries.iter().filter(|list| list.until_minor.is_none_or(|until| minor <= until)) {
        let mut failed = 0;
        loop {
            let reason = match read_one(client, pass, list.query, &decoder).await {
                Ok(page) => {
                    pages.send(page).await?;
                    break;
                }
                Err(Trouble::Fatal(error)) => return Err(error),
                Err(Trouble::FailedPass(reason)) => reason,
            };
            failed += 1;
            if failed >= PASSES {
                return Err(give_up(failed, &reason));
            }
            tracing::warn!(table = pass.table.name, reason, "answer unusable, asking again");
            progress.reading(&format!("asking again: {reason}"));
        }
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
    Ok(Page::new(contents.batch, None, contents.shape))
}
