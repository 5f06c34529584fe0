//! The order in which tables are read, so that what links refer to is there.
//!
//! All families start at once. Links that came while another table was being read may refer to rows that came
//! after it had been read; such a table is read once more at the end, as far as it changed. A scroll is too
//! expensive for that and begins when those that refer to its table are done.

use futures_util::future::join_all;
use tokio::sync::watch;

use super::family::FamilyRun;
use crate::table::{Endpoint, TableSpec};

/// Reads all families.
pub(super) async fn carry_out(mut runs: Vec<FamilyRun>) -> Vec<FamilyRun> {
    let referring: Vec<Vec<usize>> = (0..runs.len()).map(|to| referring_to(&runs, to)).collect();
    let done: Vec<watch::Sender<bool>> = runs.iter().map(|_| watch::Sender::new(false)).collect();
    let carried_out = runs.iter_mut().enumerate().map(|(at, run)| {
        let (referring, done) = (&referring[at], &done);
        async move {
            if matches!(run.lead.endpoint, Endpoint::Scroll { .. }) {
                for other in referring {
                    // The sender lives as long as this function.
                    done[*other].subscribe().wait_for(|is_done| *is_done).await.ok();
                }
            }
            run.carry_out().await;
            done[at].send_replace(true);
        }
    });
    join_all(carried_out).await;
    let again: Vec<bool> = (0..runs.len()).map(|at| has_new_links_to(&runs, &referring[at], at)).collect();
    let again = runs.iter_mut().zip(again).filter(|(_, again)| *again).map(|(run, _)| run.catch_up());
    join_all(again).await;
    runs
}

/// The other families with a table whose key names rows of family `to`.
fn referring_to(runs: &[FamilyRun], to: usize) -> Vec<usize> {
    let refers = |from: &FamilyRun| from.tables().any(|table| refers_to(table, &runs[to]));
    (0..runs.len())
        .filter(|from| *from != to && runs[*from].is_beside(&runs[to]) && refers(&runs[*from]))
        .collect()
}

fn refers_to(table: &TableSpec, family: &FamilyRun) -> bool {
    let tables: Vec<&str> = family.tables().map(|table| table.name).collect();
    table.key.iter().filter_map(|key| key.refers_to).any(|name| tables.contains(&name))
}

/// Whether one of the families `from` brought links to rows of family `to`.
fn has_new_links_to(runs: &[FamilyRun], from: &[usize], to: usize) -> bool {
    from.iter().any(|from| runs[*from].has_new_rows(|table| refers_to(table, &runs[to])))
}
