//! One table of a family: what is known of it and what was done to it.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::unread;
use crate::batch::{self, Owner};
use crate::error::Error;
use crate::ledger::Ledger;
use crate::progress::TableProgress;
use crate::report::TableReport;
use crate::source::{Failed, Share};
use crate::state::{Object, TableState};
use crate::table::TableSpec;
use crate::window::Window;

/// One table of a family.
pub(super) struct MemberRun {
    pub(super) table: &'static TableSpec,
    /// Position among the writer's targets.
    pub(super) position: usize,
    /// State at the start of the run.
    pub(super) stored: Option<TableState>,
    pub(super) progress: TableProgress,
    pub(super) report: TableReport,
    /// The state in the making.
    pub(super) next: TableState,
    /// Why nothing more is done for it.
    pub(super) error: Option<Error>,
    /// Parents whose rows were asked for and not found.
    pub(super) missing: u64,
    /// Parents that show only some of their rows.
    pub(super) cut: u64,
    /// Parents that were to be read again and could not be.
    pub(super) unread: u64,
    /// Objects that could not be read in this run.
    pub(super) failed: Vec<Failed>,
    /// See [`Share::incomplete`].
    pub(super) incomplete: Option<Error>,
    /// Whether the refresh under way counts for it.
    pub(super) is_refreshed: bool,
    /// Whether it cannot do without that refresh.
    pub(super) needs_refresh: bool,
    /// What need not be read again, as of the first pass that asked for it.
    pub(super) ledger: Option<Arc<Ledger>>,
}

impl MemberRun {
    /// What is stored, or was said since, with what is true of this run.
    pub(super) fn next_state(&self, workspace: &str, api_version: &str) -> TableState {
        let fresh = TableState::new(workspace, api_version, self.table.fingerprint());
        match &self.stored {
            None => fresh,
            Some(stored) => TableState {
                version: fresh.version,
                workspace: if fresh.workspace.is_empty() {
                    stored.workspace.clone()
                } else {
                    fresh.workspace
                },
                api_version: fresh.api_version,
                columns: fresh.columns,
                ..stored.clone()
            },
        }
    }

    /// Counts what a page brings, cut to what is still wanted.
    pub(super) fn take(&mut self, share: Share, window: Option<Window>, left: &mut Option<u64>) -> Share {
        let mut share = share;
        match window {
            Some(window) if share.owners.is_empty() => {
                share.batch = in_window(self.table, &share.batch, window);
            }
            Some(window) => keep_owners(&mut share, |owner| {
                window.contains(owner.version.map(|micros| micros.div_euclid(1_000_000)))
            }),
            None => {}
        }
        if let Some(left) = left {
            cut(&mut share, left);
            // Whoever takes only some rows has not read their parents.
            share.entries.clear();
        }
        let rows = share.batch.num_rows() as u64;
        self.report.read += rows;
        self.report.shape.add(&share.shape);
        self.progress.add_rows(rows);
        self.missing += share.missing;
        self.cut += share.cut;
        self.unread += share.unread;
        if !share.failed.is_empty() {
            let failed = std::mem::take(&mut share.failed);
            let objects: Vec<Object> = failed.iter().map(|failed| failed.object.clone()).collect();
            unread::keep(&mut self.next, &objects);
            self.failed.extend(failed);
        }
        self.incomplete = self.incomplete.take().or(share.incomplete.take());
        share
    }

    /// Why the table is not what it should be: what ended its reading, or else what could not be read.
    pub(super) fn error_at_the_end(&self) -> Option<Error> {
        let unread = || unread::error_of(&self.failed, self.table.lead().name);
        let rejects = || unread::error_of_rejects(&self.report.shape);
        self.error.clone().or_else(|| self.incomplete.clone()).or_else(unread).or_else(rejects)
    }

    /// Whether rows are missing that a complete pass would have brought.
    pub(super) fn lacks_rows(&self) -> bool {
        !self.failed.is_empty() || self.report.shape.keyless.count > 0
    }
}

/// Takes rows while there are any left to take; of tables that are replaced per parent, whole parents.
fn cut(share: &mut Share, left: &mut u64) {
    let mut rows = share.batch.num_rows().min(usize::try_from(*left).unwrap_or(usize::MAX));
    if !share.owners.is_empty() {
        let mut taken = 0;
        let enough = share.owners.iter().position(|owner| {
            taken += owner.rows;
            taken >= rows
        });
        if let Some(enough) = enough {
            share.owners.truncate(enough + 1);
            rows = taken;
        }
        if *left == 0 {
            share.owners.clear();
            rows = 0;
        }
    }
    share.batch = share.batch.slice(0, rows);
    *left = left.saturating_sub(rows as u64);
}

/// Takes the rows of some owners.
fn keep_owners(share: &mut Share, keeps: impl Fn(&Owner) -> bool) {
    let kept: Vec<bool> =
        share.owners.iter().flat_map(|owner| std::iter::repeat_n(keeps(owner), owner.rows)).collect();
    share.batch = batch::filter(&share.batch, |row| kept.get(row).is_some_and(|kept| *kept));
    share.owners.retain(keeps);
}

/// The rows whose cursor lies in the window; all rows of a table without one.
fn in_window(table: &TableSpec, batch: &RecordBatch, window: Window) -> RecordBatch {
    let Some(cursor) = table.cursor else { return batch.clone() };
    let dates = batch::seconds(batch, cursor);
    batch::filter(batch, |row| window.contains(dates[row]))
}
