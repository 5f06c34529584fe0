//! Tables that are read whole every time.

use std::sync::Arc;

use jiff::Timestamp;

use super::absences::Confirmed;
use super::family::FamilyRun;
use super::flow::Flow;
use super::pass_start;
use super::plan;
use super::seen::Seen;
use crate::batch::Owner;
use crate::destination::Scope;
use crate::error::Result;
use crate::source::Ask;
use crate::table::{Endpoint, WriteDisposition};

/// Passes that may fail to show rows that are there.
const PASSES: u32 = 3;

/// What a pass over everything has shown.
struct Shown {
    began: Timestamp,
    seen: Seen,
    /// Of a sweep: the groups.
    owners: Vec<Owner>,
}

impl FamilyRun {
    /// Reads everything and makes the tables say so.
    pub(super) async fn whole(&mut self) -> Result<()> {
        self.begin("reading everything");
        self.fresh_states();
        for member in &mut self.members {
            // Everything is asked for.
            member.next.unread = None;
        }
        let is_replaced = self.lead.disposition == WriteDisposition::Replace;
        let is_confirmed = self.lead.object.is_some() && !is_replaced;
        let mut failed = 0;
        let (began, owners, confirmed) = loop {
            let mut shown = self.show_all(false).await?;
            if shown.is_empty() && self.has_stored_rows().await? {
                shown = self.show_all(true).await?;
            }
            let Shown { began, seen, owners } = shown;
            if !is_confirmed {
                break (began, owners, Confirmed::default());
            }
            let candidates = self.candidates(Arc::new(seen), began).await?;
            let known = candidates.known;
            let confirmed = self.confirm(candidates, began).await?;
            let not_shown = confirmed.present;
            // A few may be hidden from a list for good.
            if !confirmed.is_cut_short && !plan::is_incomplete(known, not_shown) {
                break (began, owners, confirmed);
            }
            failed += 1;
            if failed == PASSES {
                return Err(self.not_all_shown(not_shown));
            }
            tracing::warn!(
                table = self.lead.name,
                not_shown,
                "rows that are there were not shown, starting again"
            );
        };
        // What could not be read keeps its memory, and the table its checkpoint.
        let is_complete = self.members.iter().all(|member| member.incomplete.is_none());
        let is_anew = owners.iter().all(|owner| owner.is_whole);
        for member in &mut self.members {
            member.next.checkpoint = Some(began);
            if is_anew {
                member.next.refreshed_at = Some(began);
            }
        }
        let scope = match (is_replaced, self.is_sweep()) {
            (true, _) => Scope::All,
            (false, true) => Scope::Parents(owners.into_iter().map(|owner| owner.key).collect()),
            (false, false) => Scope::Some,
        };
        self.flush(began, scope, &confirmed.stamps, is_complete).await?;
        for member in self.members.iter_mut().filter(|member| member.error.is_none() && is_complete) {
            member.report.checkpoint = Some(began);
        }
        Ok(())
    }

    /// Reads everything and hands it to the writer. See [`crate::source::Pass::expects_rows`].
    async fn show_all(&mut self, expects_rows: bool) -> Result<Shown> {
        let began = pass_start(&*self.source);
        let (mut seen, mut owners) = (Seen::default(), Vec::new());
        let first = self.members.first().filter(|member| self.is_sweep() && member.stored.is_none());
        let flow = Flow {
            first: first.map(|member| member.next.clone()),
            hold: self.lead.disposition == WriteDisposition::Replace,
            seen: Some(&mut seen),
            owners: self.is_sweep().then_some(&mut owners),
            ..Flow::default()
        };
        let mut pass = self.pass(Ask::Everything, began).await?;
        pass.expects_rows = expects_rows;
        self.pump(pass, flow).await?;
        Ok(Shown { began, seen, owners })
    }

    fn is_sweep(&self) -> bool {
        matches!(self.lead.endpoint, Endpoint::Sweep { .. })
    }

    /// Whether the tables have rows from earlier runs.
    async fn has_stored_rows(&self) -> Result<bool> {
        for member in self.members.iter().filter(|member| member.error.is_none()) {
            let was_read = member.stored.as_ref().is_some_and(|stored| stored.checkpoint.is_some());
            let nothing = Arc::new(Seen::default());
            if was_read && self.writer.keys_beside(member.position, nothing).await?.of > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Shown {
    fn is_empty(&self) -> bool {
        self.seen.is_empty() && self.owners.is_empty()
    }
}
