//! Reading through a search endpoint: keyset cursors, sorted by a date, decided by value.

use super::chain::{Chain, Common, Halt};
use super::parallel;
use crate::error::Result;
use crate::source::Order;
use crate::window::Window;

/// The rows that belong to one group, by the field of the search that takes its id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group<'g> {
    pub(super) field: &'static str,
    pub(super) id: &'g str,
}

/// Pages of an increment after which the rest of it is read in several places at once.
const LONG: u32 = 20;

/// Reads `windows` completely, starting failed passes again where they were proven; with `undated`, rows without that
/// date as well.
pub(super) async fn read(common: Common<'_>, windows: &[Window], undated: bool) -> Result<()> {
    match common.order {
        Order::OldestFirst if common.group.is_none() => parallel::read(common, windows, undated).await,
        Order::OldestFirst => {
            for window in windows {
                alone(&mut Chain::over(common, *window)).await?;
            }
            Ok(())
        }
        Order::NewestFirst => {
            for window in windows.iter().rev() {
                newest_first(common, *window).await?;
            }
            Ok(())
        }
    }
}

/// Reads the window of one chain to its end.
pub(super) async fn alone(chain: &mut Chain<'_>) -> Result<()> {
    loop {
        match chain.turn().await {
            Ok(turn) if turn.ended => return Ok(()),
            Ok(_) => {}
            Err(Halt::RefusesSort) => chain.sort_by_change(),
            Err(Halt::Failed(error)) => return Err(error),
        }
    }
}

/// Reads what changed, newest first. Where that is much, the rest is read in several places at once; what moves
/// out of it meanwhile changes after the pass began, so that the next increment brings it.
async fn newest_first(common: Common<'_>, window: Window) -> Result<()> {
    let mut chain = Chain::over(common, window);
    // Whoever wants only some rows has enough of them long before.
    let long = if common.pass.limit.is_some() { u32::MAX } else { LONG };
    let mut pages = 0;
    loop {
        let turn = match chain.turn().await {
            Ok(turn) => turn,
            Err(Halt::RefusesSort) => {
                chain.sort_by_change();
                continue;
            }
            Err(Halt::Failed(error)) => return Err(error),
        };
        if turn.ended {
            return Ok(());
        }
        pages += 1;
        if pages >= long
            && !turn.order_broke
            && let Some(oldest) = turn.at
        {
            let rest = Window { from: window.from, to: Some(oldest + 1) };
            return parallel::read(Common { order: Order::OldestFirst, ..common }, &[rest], false).await;
        }
    }
}
