//! Rows that a complete pass did not see: asked for one by one, and stamped if they are gone.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::family::FamilyRun;
use super::plan::{self, LAG};
use super::seen::Seen;
use super::writer::{Rows, TableRows};
use crate::destination::Stamp;
use crate::error::{ErrorKind, Result};
use crate::source::{Ask, Presence};

/// Look-ups at the same time.
const AT_ONCE: usize = 16;
/// Look-ups without an answer after which the server is taken to be down.
const LOOK_UPS_IN_VAIN: u32 = 3;

impl FamilyRun {
    /// Rows of the lead table that the members know, that a complete pass did not see, and that are gone when
    /// asked for by themselves. What is found to be there after all is merged.
    pub(super) async fn stamps(&mut self, seen: Arc<Seen>, began: Timestamp) -> Result<Vec<Stamp>> {
        let mut nominees = HashSet::new();
        let mut known = 0;
        for member in self.members.iter().filter(|member| member.error.is_none()) {
            let absent = self.writer.absent_keys(member.position, Arc::clone(&seen)).await?;
            known = absent.of.max(known);
            nominees.extend(absent.keys);
        }
        let nominees: Vec<String> = nominees.into_iter().collect();
        if plan::is_mass_absence(nominees.len(), known) {
            let note = format!(
                "{} {} of {known} are no longer shown; too many to believe, so none was marked as deleted",
                nominees.len(),
                self.lead.name,
            );
            self.note(&note);
            return Ok(Vec::new());
        }
        self.confirm(nominees, began).await
    }

    async fn confirm(&mut self, nominees: Vec<String>, began: Timestamp) -> Result<Vec<Stamp>> {
        let pass = self.pass_alone(Ask::Everything, began);
        let (source, stop, progress) = (Arc::clone(&self.source), self.stop.clone(), self.progress());
        let look_up = |key: String| {
            let (pass, source, progress) = (pass.clone(), Arc::clone(&source), progress.clone());
            async move {
                let presence = source.look_up(pass, &key, &progress).await;
                (key, presence)
            }
        };
        let mut answers = stream::iter(nominees).map(look_up).buffer_unordered(AT_ONCE);
        let mut stamps = Vec::new();
        let mut unconfirmed = 0;
        let mut unreachable = 0;
        loop {
            let answer = tokio::select! {
                answer = answers.next() => answer,
                error = stop.asked() => return Err(error),
            };
            let Some((key, presence)) = answer else { break };
            match presence {
                Ok(Presence::Gone { survivor }) => {
                    unreachable = 0;
                    stamps.push(Stamp { key, deleted_at: began, merged_into: survivor });
                }
                // Hidden from the pass, or come meanwhile: what its own request shows is as good.
                Ok(Presence::Present(batch)) => self.merge_found(batch, began).await?,
                Err(error) if error.kind() == ErrorKind::Auth => return Err(error),
                Err(error) => {
                    unreachable += u32::from(error.kind() == ErrorKind::Network);
                    if unreachable >= LOOK_UPS_IN_VAIN {
                        return Err(error);
                    }
                    tracing::warn!(table = self.lead.name, %error, "an absence could not be confirmed");
                    unconfirmed += 1;
                }
            }
        }
        if unconfirmed > 0 {
            let lead = self.lead.name;
            self.note(&format!(
                "{unconfirmed} {lead} are no longer shown, but could not be asked for one by one"
            ));
        }
        Ok(stamps)
    }

    /// Merges a row that is there after all into the lead table, if that is a member.
    async fn merge_found(&mut self, batch: arrow::array::RecordBatch, began: Timestamp) -> Result<()> {
        let Some(lead) = self.lead_member() else { return Ok(()) };
        let rows =
            TableRows { table: lead.position, batch, owners: Vec::new(), entries: Vec::new(), state: None };
        let supersedes_before = plan::earlier_by(began, LAG);
        self.writer.rows(Rows { tables: vec![rows], supersedes_before, hold: false }).await
    }

    /// Tells it once: with the lead table, or with the first one.
    pub(super) fn note(&mut self, note: &str) {
        if let Some(member) = self.members.first_mut() {
            member.report.notes.push(note.to_owned());
        }
    }
}
