//! Pages on their way from the source to the writer, for all tables that they feed.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::family::FamilyRun;
use super::member::MemberRun;
use super::plan::{self, LAG};
use super::seen::Seen;
use super::writer::{Flush, Rows, TableRows};
use crate::batch::Owner;
use crate::destination::{Scope, Stamp};
use crate::error::{Error, Result};
use crate::source::{Page, Pass, Proof, Share, page_channel};
use crate::state::{Refresh, TableState};
use crate::table::WriteDisposition;
use crate::window::Window;

/// A wait for the destination from here on is worth a word.
const WORTH_A_WORD: Duration = Duration::from_secs(30);

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
    pub(super) seen: Option<&'f mut Seen>,
    /// Gathers the parents that are there.
    pub(super) owners: Option<&'f mut Vec<Owner>>,
    /// The first state of a table, which is saved with the first that is noted: without one, nothing noted counts.
    pub(super) first: Option<TableState>,
}

/// A refresh whose windows are being read.
pub(super) struct Tracked {
    pub(super) refresh: Refresh,
    /// All that it is about, before anything of it was taken as proven.
    pub(super) uncut: Window,
    /// Whether the order broke that proofs rely on.
    pub(super) order_broke: bool,
    /// Whether every table has a state. One that gets its first rows gets a state with them, which says that nothing is
    /// proven yet: without one, nothing that is noted about its rows counts.
    pub(super) is_noted: bool,
}

impl Tracked {
    /// Takes up what a page proves; whether that is anything new.
    fn follow(&mut self, proof: Proof) -> bool {
        match proof {
            Proof::Nothing => return false,
            Proof::Covered(window) => self.refresh.cover(window),
            Proof::Withdrawn => {
                self.order_broke = true;
                self.refresh.remaining = vec![self.uncut];
            }
        }
        true
    }
}

impl FamilyRun {
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
                let is_needless = flow.refresh.is_some() && self.is_needless();
                if is_needless || self.has_enough(&left) {
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
        let is_news = flow.refresh.as_mut().is_some_and(|tracked| {
            let is_first = !std::mem::replace(&mut tracked.is_noted, true);
            // That nothing is left is said once the pass has ended well: what no window holds is read last.
            (tracked.follow(page.proof) && !tracked.refresh.remaining.is_empty()) || is_first
        });
        let refresh = flow.refresh.as_ref().filter(|_| is_news).map(|tracked| &tracked.refresh);
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
                owners.extend(share.owners.iter().cloned());
            }
            let Share { batch, owners, entries, .. } = share;
            let state = refresh.filter(|_| member.is_refreshed).map(|refresh| {
                member.next.refresh = Some(refresh.clone());
                member.next.clone()
            });
            let state = state.or_else(|| flow.first.take_if(|_| !entries.is_empty()));
            tables.push(TableRows { table: member.position, batch, owners, entries, state });
        }
        if let Some(error) = self.all_failed() {
            return Err(error);
        }
        let supersedes_before = plan::earlier_by(began, LAG);
        self.supersedes_before = supersedes_before;
        let handing = self.writer.rows(Rows { tables, supersedes_before, hold: flow.hold });
        let what = || "the destination, which is saving rows".to_owned();
        self.progress().while_waiting(what, WORTH_A_WORD, handing).await
    }

    /// Whether a refresh is under way that only tables needed which have failed.
    pub(super) fn is_needless(&self) -> bool {
        let mut needing = self.members.iter().filter(|member| member.needs_refresh).peekable();
        needing.peek().is_some() && needing.all(|member| member.error.is_some())
    }

    /// Whether as many rows were taken as were asked for: of the lead or, where it is no member, of every table.
    fn has_enough(&self, left: &[Option<u64>]) -> bool {
        match (self.members.first(), left.first()) {
            (Some(first), Some(left)) if first.table.name == self.lead.name => *left == Some(0),
            _ => left.iter().all(|left| *left == Some(0)),
        }
    }

    /// Saves what came to members that failed, alone or with the pass: that something could not be read takes
    /// nothing away from what was. A table of which nothing came is not even created, and half of a table that is
    /// replaced as a whole is none. That the saving fails as well is noted, and does not hide why the member failed.
    pub(super) async fn keep_what_came(&mut self) {
        if self.lead.disposition == WriteDisposition::Replace {
            return;
        }
        let has_rows = |member: &&MemberRun| {
            let is_written = self.writer.failure(member.position).is_none();
            member.error.is_some() && is_written && member.report.read > 0
        };
        let positions: Vec<usize> = self.members.iter().filter(has_rows).map(|m| m.position).collect();
        if positions.is_empty() {
            return;
        }
        let supersedes_before = self.supersedes_before;
        let flush =
            |table| Flush { table, scope: Scope::Some, stamps: Vec::new(), supersedes_before, state: None };
        let done = self.writer.flush(positions.iter().copied().map(flush).collect()).await;
        let outcomes = done.unwrap_or_else(|error| positions.iter().map(|_| Err(error.clone())).collect());
        for (position, outcome) in positions.into_iter().zip(outcomes) {
            let Some(member) = self.members.iter_mut().find(|member| member.position == position) else {
                continue;
            };
            match outcome {
                Ok(done) => member.report.add(done),
                Err(second) if member.error.as_ref().is_none_or(|e| e.to_string() != second.to_string()) => {
                    member.report.notes.push(format!("what had come could not be saved: {second}"));
                }
                Err(_) => {}
            }
        }
    }

    /// The error of the first member if every member has one.
    fn all_failed(&self) -> Option<Error> {
        let has_failed = self.members.iter().all(|member| member.error.is_some());
        self.members.first().filter(|_| has_failed).and_then(|member| member.error.clone())
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
            // What is not all there says nothing about what is stored.
            let scope = if scope == Scope::All && member.lacks_rows() { Scope::Some } else { scope.clone() };
            let stamps = stamps.to_vec();
            flushes.push(Flush { table: member.position, scope, stamps, supersedes_before, state });
        }
        let positions: Vec<usize> = flushes.iter().map(|flush| flush.table).collect();
        let what = || "the destination, which is saving what was read".to_owned();
        let saving = self.writer.flush(flushes);
        let outcomes = self.progress().while_waiting(what, WORTH_A_WORD, saving).await?;
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
}
