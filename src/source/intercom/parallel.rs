//! Several cursors over one range of dates, so that the allowed rate is used whatever the latency.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::chain::{Chain, Common, Halt, Turn};
use super::cuts::{Cuts, Latency, Seen, cursors_wanted};
use super::search::alone;
use super::undated;
use crate::error::{Error, Result};
use crate::window::Window;

/// Length of all answers together that may be on their way to rows.
const BYTES_UNDERWAY: usize = 64 << 20;

/// How several cursors ended before the range was read.
enum Ended {
    /// The order does not hold that joints rely on.
    NoOrder,
    RefusesSort,
    Failed(Error),
}

/// Reads `windows`, oldest rows first, in as many places at once as is worth it. With `undated`, rows without that date
/// are read as well, which no bounded search shows.
pub(super) async fn read(common: Common<'_>, windows: &[Window], undated: bool) -> Result<()> {
    let has_shown_all = match at_once(common, windows).await {
        Ok(has_shown_all) => has_shown_all,
        Err(Ended::Failed(error)) => return Err(error),
        Err(ended) => one_after_the_other(common, windows, &ended).await?,
    };
    if undated && !has_shown_all { undated::read(common).await } else { Ok(()) }
}

/// Reads them from the beginning, in one place: what was handed out is no harm. Whether one pass showed everything.
async fn one_after_the_other(common: Common<'_>, windows: &[Window], ended: &Ended) -> Result<bool> {
    let mut has_shown_all = false;
    for window in windows {
        let mut chain = Chain::over(common, *window);
        if matches!(ended, Ended::NoOrder) {
            chain.tell_nothing();
        }
        alone(&mut chain).await?;
        has_shown_all |= chain.has_shown_all();
    }
    Ok(has_shown_all)
}

/// The same in several places; whether one pass showed everything.
async fn at_once(common: Common<'_>, windows: &[Window]) -> std::result::Result<bool, Ended> {
    let chains: Vec<Chain<'_>> = windows.iter().map(|window| Chain::over(common, *window)).collect();
    let ends: Vec<_> = windows.iter().copied().zip(chains.iter().map(Chain::until)).collect();
    let mut cuts = Cuts::new(&ends, common.pass.began.as_second());
    let mut running: FuturesUnordered<_> =
        chains.into_iter().enumerate().map(|(id, chain)| next_turn(id, chain)).collect();
    let (mut largest, mut shortest) = (0, None);
    let mut has_shown_all = false;
    let mut resting = VecDeque::new();
    while let Some((id, mut chain, turn)) = running.next().await {
        let turn = match turn {
            Ok(turn) if turn.order_broke && cuts.is_whole() => {
                // One cursor needs no order to read everything.
                if !turn.ended {
                    alone(&mut chain).await.map_err(Ended::Failed)?;
                }
                return Ok(chain.has_shown_all());
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
        has_shown_all |= ended && chain.has_shown_all();
        if cuts.take(id, Seen { first, at, total, rows, ended }) {
            resting.push_back((id, chain));
        }
        // Those that are there already are as many as their pages let be under way.
        while running.len() < underway(largest)
            && let Some((id, chain)) = resting.pop_front()
        {
            running.push(next_turn(id, chain));
        }
        while let Some(cut) = cuts.next(wanted(common, &cuts, (largest, shortest))) {
            let chain = Chain::cut_off(common, windows[cut.group], cut.after);
            cuts.ends_at(cut.id, chain.until());
            running.push(next_turn(cut.id, chain));
        }
    }
    Ok(has_shown_all)
}

async fn next_turn(id: usize, mut chain: Chain<'_>) -> (usize, Chain<'_>, std::result::Result<Turn, Halt>) {
    let turn = chain.turn().await;
    (id, chain, turn)
}

/// How many pages may be on their way to rows, by the largest one so far.
fn underway(largest: usize) -> usize {
    (BYTES_UNDERWAY / largest.max(1)).max(1)
}

/// How many cursors are worth having now, by the largest page so far and what the one took that came soonest.
fn wanted(common: Common<'_>, cuts: &Cuts, (largest, shortest): (usize, Option<Duration>)) -> usize {
    let pace = common.client.pace();
    // Where rows wait to be taken, or requests to be sent, more requests would only wait as well.
    if pace.waiting > 0 || !common.outlet.has_room() {
        return 0;
    }
    let most = usize::try_from(pace.most_in_flight).unwrap_or(usize::MAX);
    let most = most.min(underway(largest));
    let latency = Latency { typical: pace.latency, shortest };
    cursors_wanted(cuts.pages_left(), (pace.left, pace.per_second), latency, most)
}
