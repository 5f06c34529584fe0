//! Rows without the date that windows are about. No filter by that date shows them: only a search of everything does,
//! where they are the first or the last in the order of that date.

use std::collections::HashSet;

use super::chain::{Chain, Common, Halt};
use super::page;
use super::query;
use super::search::alone;
use crate::client::Call;
use crate::error::Result;
use crate::source::Order;
use crate::window::Window;

/// How often it is counted how many there are, if rows come in between.
const COUNTS: usize = 3;

/// Reads them all. Where none are, that takes two requests.
pub(super) async fn read(common: Common<'_>) -> Result<()> {
    let stated = count_undated(common).await;
    if stated == Some(0) || is_shown_at_either_end(common, stated).await? {
        return Ok(());
    }
    tracing::debug!(table = common.pass.table.name, "rows without a date are anywhere: reading everything");
    let mut chain = Chain::over(common, Window::default());
    chain.sort_by_change();
    chain.tell_nothing();
    alone(&mut chain).await
}

/// How many there are; `None` if the server does not say. Those with the date are counted first: rows that come in
/// between make it look as if there were more of them.
async fn count_undated(common: Common<'_>) -> Option<u64> {
    let mut fewest = None;
    for _ in 0..COUNTS {
        let dated = count(common, query::dated(common.by)).await?;
        let all = count(common, query::anything()).await?;
        fewest = fewest.map_or(Some(all.saturating_sub(dated)), |fewest: u64| {
            Some(fewest.min(all.saturating_sub(dated)))
        });
        if fewest == Some(0) {
            break;
        }
    }
    fewest
}

async fn count(common: Common<'_>, body: String) -> Option<u64> {
    let Common { client, pass, .. } = common;
    let path = pass.table.endpoint.path();
    let answer = client.send(|_| Call::post(path.as_str(), body.clone())).await.ok()?;
    page::total_count(&answer.body)
}

/// Reads from both ends of the order as long as pages have rows without the date; whether as many came as are `stated`.
async fn is_shown_at_either_end(common: Common<'_>, stated: Option<u64>) -> Result<bool> {
    let Some(stated) = stated else { return Ok(false) };
    let mut found: HashSet<u64> = HashSet::new();
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let mut chain = Chain::over(Common { order, ..common }, Window::default());
        chain.tell_nothing();
        loop {
            match chain.turn().await {
                Ok(turn) => {
                    found.extend(&turn.undated);
                    if found.len() as u64 >= stated {
                        return Ok(true);
                    }
                    if turn.ended || turn.undated.is_empty() {
                        break;
                    }
                }
                Err(Halt::RefusesSort) => return Ok(false),
                Err(Halt::Failed(error)) => return Err(error),
            }
        }
    }
    Ok(false)
}
