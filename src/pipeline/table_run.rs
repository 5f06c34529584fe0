//! One table, from what is known of it to a state that says more.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use jiff::Timestamp;

use super::plan::{self, LAG, Reading, Reason, Situation};
use super::writer::{Flush, Rows, Writer};
use super::{ReadingRules, RunOptions, Stop, pass_start};
use crate::batch::{hash_of_key, key_hashes};
use crate::destination::{Scope, Stamp};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::TableProgress;
use crate::report::{Outcome, TableReport};
use crate::source::{Ask, Order, Page, Pass, Presence, Proof, Source, page_channel};
use crate::state::{Refresh, TableState};
use crate::table::{Endpoint, TableSpec, WriteDisposition};
use crate::window::{DateField, Window};

/// Look-ups without an answer after which the server is taken to be down.
const LOOK_UPS_IN_VAIN: u32 = 3;

/// Everything one table needs of the run.
pub(super) struct TableRun {
    pub(super) source: Arc<dyn Source>,
    pub(super) schema: Arc<str>,
    pub(super) table: &'static TableSpec,
    /// Position among the writer's targets.
    pub(super) position: usize,
    pub(super) rules: ReadingRules,
    pub(super) options: RunOptions,
    /// State at the start of the run.
    pub(super) stored: Option<TableState>,
    pub(super) workspace: String,
    pub(super) writer: Writer,
    pub(super) progress: TableProgress,
    pub(super) stop: Stop,
}

/// Rows of a pass on their way to the writer.
struct Flow<'r> {
    report: &'r mut TableReport,
    /// See [`Rows::hold`].
    hold: bool,
    /// Most rows to take; the pass ends well once they are there.
    limit: Option<u64>,
}

impl TableRun {
    /// Reads the table and says how it went. A refused token stops the whole run.
    pub(super) async fn carry_out(self) -> TableReport {
        let mut report = TableReport::new(&self.schema, self.table.name, Instant::now());
        let outcome = match (self.options.is_bounded(), self.table.endpoint) {
            (true, _) => self.bounded(&mut report).await.map(|()| Outcome::Partial),
            (false, Endpoint::Search { .. }) => self.dated(&mut report).await.map(|()| Outcome::Complete),
            (false, _) => self.whole(&mut report).await.map(|()| Outcome::Complete),
        };
        let (outcome, error) = match outcome {
            Ok(outcome) => (outcome, None),
            Err(error) => {
                if error.kind() == ErrorKind::Auth {
                    self.stop.ask(ErrorKind::Auth);
                }
                (Outcome::of(&error), Some(error))
            }
        };
        report.end(outcome, error, &self.progress);
        self.progress.finish(outcome.as_str());
        report
    }

    /// A run that merges some rows and does nothing else.
    async fn bounded(&self, report: &mut TableReport) -> Result<()> {
        let began = pass_start(&*self.source);
        let window = self.options.interval.unwrap_or_default();
        let ask = match self.table.endpoint {
            Endpoint::Search { .. } => {
                // A first look shows what is newest; a backfill goes through its interval.
                let order =
                    if self.options.interval.is_some() { Order::OldestFirst } else { Order::NewestFirst };
                Ask::Dated { by: DateField::UpdatedAt, window, order }
            }
            _ => Ask::Everything,
        };
        self.begin(report, if self.options.interval.is_some() { "interval" } else { "first look" });
        let flow = Flow { report: &mut *report, hold: false, limit: self.options.limit };
        let read = self
            .pump(Pass { table: self.table, ask, began }, flow, |page| {
                if ask == Ask::Everything {
                    page.batch = in_window(self.table, &page.batch, window);
                }
                None
            })
            .await;
        if let Err(error) = read {
            self.keep_what_came(report, began, &error).await;
            return Err(error);
        }
        self.flush(report, began, Scope::Some, Vec::new(), None).await
    }

    /// A table that is read whole every time.
    async fn whole(&self, report: &mut TableReport) -> Result<()> {
        let began = pass_start(&*self.source);
        self.begin(report, "reading everything");
        let stamps_absences = matches!(self.table.endpoint, Endpoint::Scroll { .. });
        let mut seen = HashSet::new();
        let is_replace = self.table.disposition == WriteDisposition::Replace;
        let flow = Flow { report: &mut *report, hold: is_replace, limit: None };
        let pass = Pass { table: self.table, ask: Ask::Everything, began };
        let read = self.pump(pass, flow, |page| {
            if stamps_absences {
                seen.extend(key_hashes(self.table, &page.batch));
            }
            None
        });
        let read = read.await;
        let stamps = match read {
            Ok(()) if stamps_absences => self.stamps(report, &seen, began).await,
            read => read.map(|()| Vec::new()),
        };
        let stamps = match stamps {
            Ok(stamps) => stamps,
            Err(error) => {
                // Half a list is no list: it would replace the whole one.
                if !is_replace {
                    self.keep_what_came(report, began, &error).await;
                }
                return Err(error);
            }
        };
        let mut state = self.next_state();
        state.checkpoint = Some(began);
        state.refreshed_at = Some(began);
        let scope = if is_replace { Scope::All } else { Scope::Some };
        self.flush(report, began, scope, stamps, Some(state)).await?;
        report.checkpoint = Some(began);
        Ok(())
    }

    /// A table whose dates the server filters.
    async fn dated(&self, report: &mut TableReport) -> Result<()> {
        let mut state = self.stored.clone();
        let mut is_asked = self.options.full_refresh;
        let known = state.as_ref().and_then(|state| state.sees_hidden);
        let sees_hidden = self.sees_hidden(report, known).await?;
        let mut permission_gained = known == Some(false) && sees_hidden == Some(true);
        loop {
            let columns = self.table.fingerprint();
            let reading = plan::decide(&Situation {
                stored: state.as_ref(),
                now: pass_start(&*self.source),
                api_version: &self.rules.api_version,
                columns: &columns,
                start_date: self.rules.start_date,
                lookback: self.rules.lookback,
                refresh_every: self.rules.refresh_every,
                permission_gained,
                full_refresh: is_asked,
            });
            (is_asked, permission_gained) = (false, false);
            let is_for_shortfall = matches!(reading, Reading::Refresh(_, Reason::Shortfall));
            let mut next = self.next_state_after(state.as_ref());
            next.sees_hidden = sees_hidden;
            let from = match reading {
                Reading::Refresh(refresh, reason) => self.refresh(report, &mut next, refresh, reason).await?,
                Reading::Increment { from } => {
                    self.begin(report, "changes since the last run");
                    from
                }
            };
            self.increments(report, &mut next, from).await?;
            self.compare_counts(report, &mut next, is_for_shortfall).await?;
            // Twice running the source counted more than the table holds: read everything, now.
            if next.shortfalls < plan::SHORTFALLS_UNTIL_REFRESH {
                return Ok(());
            }
            state = Some(next);
        }
    }

    /// Whether hidden rows are shown. Asked until they are, so that a table that is read in full costs nothing.
    async fn sees_hidden(&self, report: &mut TableReport, known: Option<bool>) -> Result<Option<bool>> {
        let Some(hidden) = self.table.hidden.filter(|_| known != Some(true)) else { return Ok(known) };
        let sees = tokio::select! {
            sees = self.source.sees_hidden(self.table, &self.progress) => sees.or(known),
            error = self.stop.asked() => return Err(error),
        };
        if sees == Some(false) {
            let (what, permission) = (hidden.what, hidden.permission);
            report.notes.push(format!("{what} are not shown to a token without \"{permission}\""));
        }
        Ok(sees)
    }

    /// Reads the windows of a refresh; the moment from which changes are to be read again.
    async fn refresh(
        &self,
        report: &mut TableReport,
        state: &mut TableState,
        mut refresh: Refresh,
        reason: Reason,
    ) -> Result<Timestamp> {
        self.begin(report, reason.as_str());
        state.refresh = Some(refresh.clone());
        while let Some(window) = refresh.remaining.first().copied() {
            let began = pass_start(&*self.source);
            let ask = Ask::Dated { by: refresh.by, window, order: Order::OldestFirst };
            let flow = Flow { report: &mut *report, hold: false, limit: None };
            // What the window was before anything of it was taken as proven.
            let uncut = Window { from: refresh.start.map(Timestamp::as_second), ..window };
            let mut order_broke = false;
            let read = self
                .pump(Pass { table: self.table, ask, began }, flow, |page| {
                    match page.proof {
                        Proof::Nothing => return None,
                        Proof::CompleteTo(second) => refresh.advance_to(second),
                        Proof::Withdrawn => {
                            order_broke = true;
                            refresh.go_back_to(uncut);
                        }
                    }
                    state.refresh = Some(refresh.clone());
                    Some(state.clone())
                })
                .await;
            if let Err(error) = read {
                // What is proven so far is kept, whatever ended the pass.
                self.keep_what_came(report, began, &error).await;
                return Err(error);
            }
            if order_broke && window != uncut {
                // Earlier runs relied on an order that does not hold: from the beginning, then.
                continue;
            }
            refresh.finish_window();
            state.refresh = Some(refresh.clone());
            self.flush(report, began, Scope::Some, Vec::new(), Some(state.clone())).await?;
        }
        state.refresh = None;
        state.proven_from = refresh.start;
        if refresh.whole {
            state.refreshed_at = Some(refresh.started_at);
            state.shortfalls = 0;
        }
        Ok(plan::increment_start(refresh.closes_from, self.rules.lookback))
    }

    /// Reads what changed at or after `from`, again and again until a pass was shorter than the lag. The
    /// start of the last one becomes the checkpoint.
    async fn increments(
        &self,
        report: &mut TableReport,
        state: &mut TableState,
        mut from: Timestamp,
    ) -> Result<()> {
        loop {
            let began = pass_start(&*self.source);
            let started = Instant::now();
            let window = Window { from: Some(from.as_second()), to: None };
            let ask = Ask::Dated { by: DateField::UpdatedAt, window, order: Order::NewestFirst };
            let flow = Flow { report: &mut *report, hold: false, limit: None };
            let read = self.pump(Pass { table: self.table, ask, began }, flow, |_| None).await;
            if let Err(error) = read {
                self.keep_what_came(report, began, &error).await;
                return Err(error);
            }
            state.checkpoint = Some(began);
            self.flush(report, began, Scope::Some, Vec::new(), Some(state.clone())).await?;
            report.checkpoint = Some(began);
            // By both clocks: the server's may stand still for want of answers that say it.
            let took = pass_start(&*self.source).duration_since(began);
            if took < LAG && started.elapsed() < LAG.unsigned_abs() {
                return Ok(());
            }
            from = plan::increment_start(began, jiff::SignedDuration::ZERO);
        }
    }

    /// Compares what the source counts with what the table holds, and notes in the state what follows.
    async fn compare_counts(
        &self,
        report: &mut TableReport,
        state: &mut TableState,
        is_for_shortfall: bool,
    ) -> Result<()> {
        let live = report.live.unwrap_or(0);
        if state.proven_from.is_some() {
            return Ok(());
        }
        let ask =
            Ask::Dated { by: DateField::CreatedAt, window: Window::default(), order: Order::OldestFirst };
        let began = pass_start(&*self.source);
        let counting = self.source.count(Pass { table: self.table, ask, began }, &self.progress);
        // Everything is read and saved; that it could not be counted as well takes nothing away from it.
        let counted = tokio::select! {
            counted = counting => counted,
            _stopped = self.stop.asked() => return Ok(()),
        };
        let counted = counted.unwrap_or_else(|error| {
            report.notes.push(format!("the rows could not be counted: {error}"));
            None
        });
        report.counted = counted;
        let known = (state.shortfalls, state.unexplained);
        match counted {
            None => {}
            // What a refresh for just that has left unexplained, another one would not explain either.
            Some(counted) if is_for_shortfall => {
                (state.shortfalls, state.unexplained) = (0, counted.saturating_sub(live));
            }
            Some(counted) if plan::is_shortfall(counted, live + state.unexplained) => state.shortfalls += 1,
            Some(_) => state.shortfalls = 0,
        }
        if (state.shortfalls, state.unexplained) != known {
            self.flush(report, began, Scope::Some, Vec::new(), Some(state.clone())).await?;
        }
        Ok(())
    }

    /// Rows of the table that the pass did not see and that are gone when asked for by themselves.
    async fn stamps(
        &self,
        report: &mut TableReport,
        seen: &HashSet<u64>,
        began: Timestamp,
    ) -> Result<Vec<Stamp>> {
        let keys = self.writer.live_keys(self.position).await?;
        let live = keys.len() as u64;
        let nominees: Vec<String> =
            keys.into_iter().filter(|key| !seen.contains(&hash_of_key(key))).collect();
        if plan::is_mass_absence(nominees.len(), live) {
            report.notes.push(format!(
                "{} rows of {live} are no longer shown; too many to believe, so none was marked as deleted",
                nominees.len()
            ));
            return Ok(Vec::new());
        }
        let mut stamps = Vec::new();
        let mut unconfirmed = 0;
        let mut unreachable = 0;
        for key in nominees {
            let pass = Pass { table: self.table, ask: Ask::Everything, began };
            let presence = tokio::select! {
                presence = self.source.look_up(pass, &key, &self.progress) => presence,
                error = self.stop.asked() => return Err(error),
            };
            match presence {
                Ok(Presence::Gone) => {
                    unreachable = 0;
                    stamps.push(Stamp { key, deleted_at: began });
                }
                // Hidden from the pass, or come meanwhile: what its own request shows is as good.
                Ok(Presence::Present(batch)) => self.hand_over(batch, began, None, false).await?,
                Err(error) if error.kind() == ErrorKind::Auth => return Err(error),
                Err(error) => {
                    unreachable += u32::from(error.kind() == ErrorKind::Network);
                    if unreachable >= LOOK_UPS_IN_VAIN {
                        return Err(error);
                    }
                    tracing::warn!(table = self.table.name, %error, "an absence could not be confirmed");
                    unconfirmed += 1;
                }
            }
        }
        if unconfirmed > 0 {
            report.notes.push(format!(
                "{unconfirmed} rows are no longer shown, but could not be asked for one by one"
            ));
        }
        Ok(stamps)
    }

    /// Reads a pass and hands its rows to the writer. `on_page` may change a page and says which state
    /// everything up to it supports.
    async fn pump(
        &self,
        pass: Pass,
        flow: Flow<'_>,
        mut on_page: impl FnMut(&mut Page) -> Option<TableState>,
    ) -> Result<()> {
        let (sender, pages) = page_channel();
        let read = async {
            tokio::select! {
                read = self.source.read(pass, sender, &self.progress) => read,
                error = self.stop.asked() => Err(error),
            }
        };
        let write = async {
            // Owned here, so that leaving closes the channel: a source that waits for room is let go.
            let mut pages = pages;
            let mut left = flow.limit;
            while let Some(mut page) = pages.recv().await {
                let state = on_page(&mut page);
                if let Some(left) = &mut left {
                    let rows = page.batch.num_rows().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    page.batch = page.batch.slice(0, rows);
                    *left -= rows as u64;
                }
                flow.report.read += page.batch.num_rows() as u64;
                flow.report.shape.add(&page.shape);
                self.progress.add_rows(page.batch.num_rows() as u64);
                self.hand_over(page.batch, pass.began, state, flow.hold).await?;
                if left == Some(0) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        tokio::pin!(read, write);
        tokio::select! {
            read = &mut read => {
                // What was handed out before the source ended, for better or worse, is still written.
                let has_enough = write.await?;
                if has_enough { Ok(()) } else { read }
            }
            // A write that failed, or enough rows: whatever the source waits for is given up.
            written = &mut write => {
                let has_enough = written?;
                if has_enough { Ok(()) } else { read.await }
            }
        }
    }

    /// Saves what a pass handed out before it failed with `error`; a table of which nothing came is not even
    /// created. That the saving fails as well is noted, and does not hide why the pass failed.
    async fn keep_what_came(&self, report: &mut TableReport, began: Timestamp, error: &Error) {
        if report.read == 0 {
            return;
        }
        if let Err(second) = self.flush(report, began, Scope::Some, Vec::new(), None).await
            && second.to_string() != error.to_string()
        {
            report.notes.push(format!("what had come could not be saved: {second}"));
        }
    }

    /// Gives rows to the writer.
    async fn hand_over(
        &self,
        batch: RecordBatch,
        began: Timestamp,
        state: Option<TableState>,
        hold: bool,
    ) -> Result<()> {
        let supersedes_before = plan::earlier_by(began, LAG);
        self.writer.rows(Rows { table: self.position, batch, supersedes_before, state, hold }).await
    }

    /// Commits what the writer has of the table, and counts it in the report.
    async fn flush(
        &self,
        report: &mut TableReport,
        began: Timestamp,
        scope: Scope,
        stamps: Vec<Stamp>,
        state: Option<TableState>,
    ) -> Result<()> {
        let supersedes_before = plan::earlier_by(began, LAG);
        let flush = Flush { table: self.position, scope, stamps, supersedes_before, state };
        report.add(self.writer.flush(flush).await?);
        Ok(())
    }

    fn begin(&self, report: &mut TableReport, what: &str) {
        self.progress.reading(what);
        what.clone_into(&mut report.mode);
    }

    fn next_state(&self) -> TableState {
        self.next_state_after(self.stored.as_ref())
    }

    /// The state to build on, with what is true of this run.
    fn next_state_after(&self, stored: Option<&TableState>) -> TableState {
        let fresh = TableState::new(&self.workspace, &self.rules.api_version, self.table.fingerprint());
        match stored {
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
}

/// The rows whose cursor lies in the window; all rows of a table without one.
fn in_window(table: &TableSpec, batch: &RecordBatch, window: Window) -> RecordBatch {
    let Some(cursor) = table.cursor else { return batch.clone() };
    let dates = crate::batch::seconds(batch, cursor);
    crate::batch::filter(batch, |row| window.contains(dates[row]))
}
