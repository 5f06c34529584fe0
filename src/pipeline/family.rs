//! Tables that one endpoint feeds, from what is known of them to states that say more.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use jiff::{SignedDuration, Timestamp};

use super::plan::{self, LAG};
use super::writer::{Flush, Rows, TableRows, Writer};
use super::{ReadingRules, RunOptions, Stop};
use crate::batch::{self, Owner};
use crate::destination::{Scope, Stamp};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::Ledger;
use crate::progress::TableProgress;
use crate::report::{Outcome, TableReport};
use crate::source::{self, Ask, Page, Pass, Proof, Share, Source, page_channel};
use crate::state::{Refresh, TableState};
use crate::table::{Endpoint, TableSpec};
use crate::window::{DateField, Window};

/// Everything that tables read together need of the run.
pub(super) struct FamilyRun {
    pub(super) source: Arc<dyn Source>,
    pub(super) schema: Arc<str>,
    /// The table whose endpoint is read; a member or not.
    pub(super) lead: &'static TableSpec,
    /// The tables that are filled, the lead first if it is one of them. At least one.
    pub(super) members: Vec<MemberRun>,
    pub(super) rules: ReadingRules,
    pub(super) options: RunOptions,
    pub(super) workspace: String,
    pub(super) writer: Writer,
    pub(super) stop: Stop,
}

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
    /// What need not be read again, as of the first pass that asked for it.
    pub(super) ledger: Option<Arc<Ledger>>,
}

/// What becomes of the pages of a pass on their way to the writer.
#[derive(Default)]
pub(super) struct Flow<'f> {
    /// See [`Rows::hold`].
    pub(super) hold: bool,
    /// Most rows of each table to take; the pass ends well once they are there.
    pub(super) limit: Option<u64>,
    /// Only rows with a cursor in here are taken from a table that was asked for whole.
    pub(super) window: Option<Window>,
    /// A refresh that moves with what pages prove.
    pub(super) refresh: Option<&'f mut Tracked>,
    /// Gathers the key hashes of the lead's rows.
    pub(super) seen: Option<&'f mut HashSet<u64>>,
    /// Gathers the parents whose rows came.
    pub(super) owners: Option<&'f mut Vec<String>>,
}

/// A refresh whose first window is being read.
pub(super) struct Tracked {
    pub(super) refresh: Refresh,
    /// What the window was before anything of it was taken as proven.
    pub(super) uncut: Window,
    /// Whether the order broke that proofs rely on.
    pub(super) order_broke: bool,
}

impl FamilyRun {
    /// Reads the tables. A refused token stops the whole run.
    pub(super) async fn carry_out(&mut self) {
        let outcome = match (self.options.is_bounded(), self.lead.endpoint) {
            (true, _) => self.bounded().await,
            (false, Endpoint::Search { .. } | Endpoint::Log { .. }) => self.dated().await,
            (false, _) => self.whole().await,
        };
        if let Err(error) = outcome {
            self.fail_all(&error);
        }
        let is_refused = |error: &Error| error.kind() == ErrorKind::Auth;
        if self.members.iter().any(|member| member.error.as_ref().is_some_and(is_refused)) {
            self.stop.ask(ErrorKind::Auth);
        }
        for member in &mut self.members {
            member.report.lap();
            member.progress.finish(Self::outcome(&self.options, member.error.as_ref()).as_str());
        }
    }

    fn outcome(options: &RunOptions, error: Option<&Error>) -> Outcome {
        match error {
            Some(error) => Outcome::of(error),
            None if options.is_bounded() => Outcome::Partial,
            None => Outcome::Complete,
        }
    }

    /// Reads what came to the tables since they were read in this run.
    pub(super) async fn catch_up(&mut self) {
        if self.options.is_bounded() || self.members.iter().any(|member| member.error.is_some()) {
            return;
        }
        let before: Vec<(String, u64)> =
            self.members.iter().map(|m| (m.report.mode.clone(), m.report.committed.unchanged)).collect();
        for member in &mut self.members {
            member.stored = Some(member.next.clone());
        }
        let checkpoints = self.members.iter().filter_map(|member| member.next.checkpoint);
        let outcome = match (self.lead.endpoint, checkpoints.min()) {
            (Endpoint::Lists { .. }, _) => self.whole().await,
            (Endpoint::Search { .. }, Some(checkpoint)) => {
                self.increments(plan::increment_start(checkpoint, SignedDuration::ZERO)).await
            }
            _ => Ok(()),
        };
        if let Err(error) = outcome {
            self.fail_all(&error);
        }
        for (member, (mode, unchanged)) in self.members.iter_mut().zip(before) {
            // Rows that were looked at twice are not told twice.
            (member.report.mode, member.report.committed.unchanged) = (mode, unchanged);
        }
    }

    /// The tables that are filled.
    pub(super) fn tables(&self) -> impl Iterator<Item = &'static TableSpec> {
        self.members.iter().map(|member| member.table)
    }

    /// Whether both are written to the same schema.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.schema == other.schema
    }

    /// Whether a table like that got rows in this run.
    pub(super) fn has_new_rows(&self, like: impl Fn(&TableSpec) -> bool) -> bool {
        self.members.iter().any(|member| member.report.committed.new > 0 && like(member.table))
    }

    /// Says how it went.
    pub(super) fn finish(self) -> Vec<TableReport> {
        let options = self.options;
        let end = |mut member: MemberRun| {
            let error = member.error.take();
            let outcome = Self::outcome(&options, error.as_ref());
            if member.missing > 0 {
                let missing = member.missing;
                let parents = member.table.lead().name;
                member.report.notes.push(format!(
                    "{missing} {parents} were not found when their rows were asked for; what is stored of them stays"
                ));
            }
            member.report.end(outcome, error, &member.progress);
            member.report
        };
        self.members.into_iter().map(end).collect()
    }

    fn fail_all(&mut self, error: &Error) {
        for member in &mut self.members {
            member.error.get_or_insert_with(|| error.clone());
        }
    }

    /// The member whose own rows the endpoint hands out, unless it was not asked for or has failed.
    pub(super) fn lead_member(&mut self) -> Option<&mut MemberRun> {
        let lead = self.lead.name;
        self.members.iter_mut().find(|member| member.table.name == lead && member.error.is_none())
    }

    /// Where requests of the family as a whole are reported.
    pub(super) fn progress(&self) -> TableProgress {
        // The lead comes first; there is always a member.
        self.members.first().map_or_else(TableProgress::silent, |member| member.progress.clone())
    }

    /// A pass over the family's endpoint.
    pub(super) async fn pass(&mut self, ask: Ask, began: Timestamp) -> Result<Pass> {
        let mut members = Vec::with_capacity(self.members.len());
        for member in &mut self.members {
            let has_ledger = member
                .table
                .inside()
                .is_some_and(|inside| matches!(inside.more, crate::table::More::Object { stated: Some(_) }));
            if has_ledger && !self.options.is_bounded() && member.ledger.is_none() {
                member.ledger = Some(Arc::new(self.writer.ledger(member.position).await?));
            }
            members.push(source::Member {
                table: member.table,
                progress: member.progress.clone(),
                ledger: member.ledger.clone(),
            });
        }
        Ok(Pass { table: self.lead, members: members.into(), ask, began })
    }

    /// Asks only for the table whose endpoint is read, one row at a time or none.
    pub(super) fn pass_alone(&self, ask: Ask, began: Timestamp) -> Pass {
        Pass::alone(self.lead, ask, began)
    }

    pub(super) fn begin(&mut self, what: &str) {
        for member in &mut self.members {
            member.progress.reading(what);
            what.clone_into(&mut member.report.mode);
        }
    }

    /// A run that merges some rows and does nothing else.
    async fn bounded(&mut self) -> Result<()> {
        let began = super::pass_start(&*self.source);
        let window = self.options.interval.unwrap_or_default();
        let has_interval = self.options.interval.is_some();
        // A first look shows what is newest; a backfill goes through its interval.
        let order = if has_interval { source::Order::OldestFirst } else { source::Order::NewestFirst };
        let ask = match self.lead.endpoint {
            Endpoint::Search { .. } => Ask::Dated { by: DateField::UpdatedAt, window, order },
            Endpoint::Log { .. } => Ask::Dated { by: DateField::CreatedAt, window, order },
            _ => Ask::Everything,
        };
        self.begin(if has_interval { "interval" } else { "first look" });
        let window = Some(window).filter(|_| ask == Ask::Everything);
        let flow = Flow { limit: self.options.limit, window, ..Flow::default() };
        let pass = self.pass(ask, began).await?;
        if let Err(error) = self.pump(pass, flow).await {
            self.keep_what_came(began, &error).await;
            return Err(error);
        }
        self.flush(began, Scope::Some, &[], false).await
    }

    /// Reads a pass and hands its rows to the writer.
    pub(super) async fn pump(&mut self, pass: Pass, mut flow: Flow<'_>) -> Result<()> {
        let (sender, pages) = page_channel();
        let (source, stop, progress) = (Arc::clone(&self.source), self.stop.clone(), self.progress());
        let began = pass.began;
        let read = async {
            tokio::select! {
                read = source.read(pass, sender, &progress) => read,
                error = stop.asked() => Err(error),
            }
        };
        let write = async {
            // Owned here, so that leaving closes the channel: a source that waits for room is let go.
            let mut pages = pages;
            let mut left = vec![flow.limit; self.members.len()];
            while let Some(page) = pages.recv().await {
                self.hand_over(page, began, &mut flow, &mut left).await?;
                if left.iter().all(|left| *left == Some(0)) {
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

    /// Gives the rows of a page to the writer. An error means that nothing more can be done for any member.
    async fn hand_over(
        &mut self,
        page: Page,
        began: Timestamp,
        flow: &mut Flow<'_>,
        left: &mut [Option<u64>],
    ) -> Result<()> {
        if let Some(seen) = &mut flow.seen {
            seen.extend(&page.keys);
        }
        let is_proven = flow.refresh.as_mut().is_some_and(|tracked| tracked.follow(page.proof));
        let refresh = flow.refresh.as_ref().filter(|_| is_proven).map(|tracked| &tracked.refresh);
        let mut tables = Vec::with_capacity(page.shares.len());
        for ((member, share), left) in self.members.iter_mut().zip(page.shares).zip(left) {
            if let Some(error) = self.writer.failure(member.position) {
                member.error.get_or_insert(error);
            }
            if member.error.is_some() {
                *left = left.map(|_| 0);
                continue;
            }
            let share = match share {
                Ok(share) => share,
                Err(error) => {
                    member.error = Some(error);
                    continue;
                }
            };
            let share = member.take(share, flow.window, left);
            if let Some(owners) = &mut flow.owners {
                owners.extend(share.owners.iter().map(|owner| owner.key.clone()));
            }
            let Share { batch, owners, entries, .. } = share;
            let state = refresh.map(|refresh| {
                member.next.refresh = Some(refresh.clone());
                member.next.clone()
            });
            tables.push(TableRows { table: member.position, batch, owners, entries, state });
        }
        if let Some(error) = self.all_failed() {
            return Err(error);
        }
        let supersedes_before = plan::earlier_by(began, LAG);
        self.writer.rows(Rows { tables, supersedes_before, hold: flow.hold }).await
    }

    /// The error of the first member if every member has one.
    fn all_failed(&self) -> Option<Error> {
        let has_failed = self.members.iter().all(|member| member.error.is_some());
        self.members.first().filter(|_| has_failed).and_then(|member| member.error.clone())
    }

    /// Saves what a pass handed out before it failed with `error`; a table of which nothing came is not even
    /// created. That the saving fails as well is noted, and does not hide why the pass failed.
    pub(super) async fn keep_what_came(&mut self, began: Timestamp, error: &Error) {
        let supersedes_before = plan::earlier_by(began, LAG);
        let has_rows = |member: &&MemberRun| member.error.is_none() && member.report.read > 0;
        let positions: Vec<usize> = self.members.iter().filter(has_rows).map(|m| m.position).collect();
        let flush =
            |table| Flush { table, scope: Scope::Some, stamps: Vec::new(), supersedes_before, state: None };
        if positions.is_empty() {
            return;
        }
        let done = self.writer.flush(positions.iter().copied().map(flush).collect()).await;
        let outcomes: Vec<Result<_>> = match done {
            Ok(outcomes) => outcomes,
            Err(second) => positions.iter().map(|_| Err(second.clone())).collect(),
        };
        for (position, outcome) in positions.into_iter().zip(outcomes) {
            let Some(member) = self.members.iter_mut().find(|member| member.position == position) else {
                continue;
            };
            match outcome {
                Ok(done) => member.report.add(done),
                Err(second) if second.to_string() != error.to_string() => {
                    member.report.notes.push(format!("what had come could not be saved: {second}"));
                }
                Err(_) => {}
            }
        }
    }

    /// Commits what the writer has of the members, with their states if they are to be saved. A member that
    /// cannot be written fails; an error means that all have.
    pub(super) async fn flush(
        &mut self,
        began: Timestamp,
        scope: Scope,
        stamps: &[Stamp],
        saves_state: bool,
    ) -> Result<()> {
        let supersedes_before = plan::earlier_by(began, LAG);
        let mut flushes = Vec::new();
        for member in self.members.iter_mut().filter(|member| member.error.is_none()) {
            let state = saves_state.then(|| member.next.clone());
            let (scope, stamps) = (scope.clone(), stamps.to_vec());
            flushes.push(Flush { table: member.position, scope, stamps, supersedes_before, state });
        }
        let positions: Vec<usize> = flushes.iter().map(|flush| flush.table).collect();
        let outcomes = self.writer.flush(flushes).await?;
        for (position, outcome) in positions.into_iter().zip(outcomes) {
            let member = self.members.iter_mut().find(|member| member.position == position);
            let Some(member) = member else { continue };
            match outcome {
                Ok(done) => member.report.add(done),
                Err(error) => member.error = Some(error),
            }
        }
        self.all_failed().map_or(Ok(()), Err)
    }

    /// The state to build on, with what is true of this run.
    pub(super) fn fresh_states(&mut self) {
        for member in &mut self.members {
            member.next = member.next_state(&self.workspace, &self.rules.api_version);
        }
    }
}

impl MemberRun {
    /// What is stored, or was said since, with what is true of this run.
    fn next_state(&self, workspace: &str, api_version: &str) -> TableState {
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
    fn take(&mut self, share: Share, window: Option<Window>, left: &mut Option<u64>) -> Share {
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
        share
    }
}

impl Tracked {
    /// Takes up what a page proves; whether that is anything new.
    fn follow(&mut self, proof: Proof) -> bool {
        match proof {
            Proof::Nothing => return false,
            Proof::CompleteTo(second) => self.refresh.advance_to(second),
            Proof::Withdrawn => {
                self.order_broke = true;
                self.refresh.go_back_to(self.uncut);
            }
        }
        true
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
