//! Several cursors over one range of dates, so that the allowed rate is used whatever the latency.

use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use serde_json::Value;

use super::chain::{Chain, Common, Halt, Turn};
use super::cuts::{Cuts, Latency, Seen, cursors_wanted};
use super::query::Search;
use super::reader::{Draft, Reader};
use super::search::alone;
use crate::client::Call;
use crate::error::{Error, Result};
use crate::source::Proof;
use crate::window::{DateField, Window};

/// Length of all answers together that may be on their way to rows.
const BYTES_UNDERWAY: usize = 64 << 20;

/// How often it is counted which rows have dates, if rows come in between.
const COUNTS: usize = 3;

/// How several cursors ended before the range was read.
enum Ended {
    /// The order does not hold that joints rely on, or says nothing about some rows.
    NoOrder,
    RefusesSort,
    Failed(Error),
}

/// Reads `windows`, oldest rows first, in as many places at once as is worth it.
pub(super) async fn read(common: Common<'_>, windows: &[Window]) -> Result<()> {
    let ended = match at_once(common, windows).await {
        Ok(()) => return Ok(()),
        Err(Ended::Failed(error)) => return Err(error),
        Err(ended) => ended,
    };
    // What was handed out is no harm; but from the beginning, and in one place.
    for window in windows {
        let mut chain = Chain::over(common, *window);
        if matches!(ended, Ended::NoOrder) {
            chain.tell_nothing();
        }
        alone(chain).await?;
    }
    Ok(())
}

async fn at_once(common: Common<'_>, windows: &[Window]) -> std::result::Result<(), Ended> {
    let chains: Vec<Chain<'_>> = windows.iter().map(|window| Chain::over(common, *window)).collect();
    let ends: Vec<_> = windows.iter().copied().zip(chains.iter().map(Chain::until)).collect();
    let mut cuts = Cuts::new(&ends, common.pass.began.as_second());
    let mut running: FuturesUnordered<_> =
        chains.into_iter().enumerate().map(|(id, chain)| next_turn(id, chain)).collect();
    // Only a search without bounds shows rows without a date.
    let mut check = windows.contains(&Window::default()).then(|| all_dated(common).boxed());
    let mut is_checking = false;
    if check.is_none() {
        cuts.release_first();
    }
    let (mut largest, mut shortest) = (0, None);
    loop {
        let checked = async {
            match &mut check {
                Some(check) if is_checking => check.await,
                _ => std::future::pending().await,
            }
        };
        let (id, chain, turn) = tokio::select! {
            biased;
            all_dated = checked => {
                if !all_dated {
                    return Err(withdraw(common).await);
                }
                cuts.release_first();
                check = None;
                continue;
            }
            turned = running.next() => match turned {
                Some(turned) => turned,
                None => return Ok(()),
            },
        };
        let turn = match turn {
            Ok(turn) if turn.order_broke && cuts.is_whole() => {
                // One cursor needs no order to read everything.
                return if turn.ended { Ok(()) } else { alone(chain).await.map_err(Ended::Failed) };
            }
            Ok(turn) if turn.order_broke => return Err(Ended::NoOrder),
            Ok(turn) => turn,
            Err(Halt::RefusesSort) => return Err(Ended::RefusesSort),
            Err(Halt::Failed(error)) => return Err(Ended::Failed(error)),
        };
        largest = turn.bytes.max(largest);
        // What is empty or nearly so comes sooner than a page.
        if turn.rows > 0 && !turn.ended {
            shortest = Some(shortest.map_or(turn.took, |shortest: Duration| shortest.min(turn.took)));
        }
        let Turn { first, at, total, rows, ended, .. } = turn;
        if cuts.take(id, Seen { first, at, total, rows, ended }) {
            running.push(next_turn(id, chain));
        }
        is_checking = cuts.is_large();
        while let Some(cut) = cuts.next(wanted(common, &cuts, (largest, shortest))) {
            let chain = Chain::cut_off(common, windows[cut.group], cut.after);
            cuts.ends_at(cut.id, chain.until());
            running.push(next_turn(cut.id, chain));
        }
    }
}

async fn next_turn(id: usize, mut chain: Chain<'_>) -> (usize, Chain<'_>, std::result::Result<Turn, Halt>) {
    let turn = chain.turn().await;
    (id, chain, turn)
}

/// How many cursors are worth having now, by the largest page so far and what the one took that came soonest.
fn wanted(common: Common<'_>, cuts: &Cuts, (largest, shortest): (usize, Option<Duration>)) -> usize {
    let pace = common.client.pace();
    // Where rows wait to be taken, or requests to be sent, more requests would only wait as well.
    if pace.waiting > 0 || !common.outlet.has_room() {
        return 0;
    }
    let most = usize::try_from(pace.most_in_flight).unwrap_or(usize::MAX);
    let most = most.min((BYTES_UNDERWAY / largest.max(1)).max(1));
    let latency = Latency { typical: pace.latency, shortest };
    cursors_wanted(cuts.pages_left(), (pace.left, pace.per_second), latency, most)
}

/// Whether every row has the date that windows are about. Counted before and after: rows that come in between make it
/// look as if not.
async fn all_dated(common: Common<'_>) -> bool {
    for _ in 0..COUNTS {
        let dated = count(common, Window { from: Some(0), to: None }).await;
        let all = count(common, Window::default()).await;
        match (dated, all) {
            (Some(dated), Some(all)) if all <= dated => return true,
            (Some(_), Some(_)) => {}
            // Who cannot tell has no reason to hope.
            _ => return false,
        }
    }
    false
}

async fn count(common: Common<'_>, window: Window) -> Option<u64> {
    let Common { client, pass, by, order, .. } = common;
    let now = pass.began.as_second();
    let search = Search { by, window, order, sort: DateField::UpdatedAt, now, cut: None, group: None };
    let path = pass.table.endpoint.path();
    let answer = client.send(|_| Call::post(path.as_str(), search.body(1, None))).await.ok()?;
    let page: Value = serde_json::from_slice(&answer.body).ok()?;
    page["total_count"].as_u64()
}

/// Takes back what the order of dates has proven: rows without a date may be anywhere in it.
async fn withdraw(common: Common<'_>) -> Ended {
    tracing::debug!(table = common.pass.table.name, "some rows have no date: reading in one place");
    let shares = Reader::new(common.pass, None, None).empty_shares();
    let nothing = Draft { shares, keys: Vec::new(), proof: Proof::Withdrawn, wants: Vec::new() };
    match common.outlet.send(nothing).await {
        Ok(()) => Ended::NoOrder,
        Err(error) => Ended::Failed(error),
    }
}
