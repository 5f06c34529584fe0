//! Rows that a complete pass did not see: asked for one by one, and stamped if they are gone.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::family::FamilyRun;
use super::pass_start;
use super::plan::{self, LAG};
use super::seen::Seen;
use super::writer::{AbsentKeys, Rows, TableRows};
use crate::batch::hash_of_key;
use crate::destination::{Scope, Stamp};
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Ask, Pass, Presence, Source};
use crate::state::Unconfirmed;

/// Look-ups at the same time.
const AT_ONCE: usize = 16;
/// Look-ups without an answer after which the server is taken to be down.
const LOOK_UPS_IN_VAIN: u32 = 3;
/// Candidates that are asked for in one run: half a minute of Intercom's highest rate, five of its lowest.
const LOOK_UPS_PER_RUN: usize = 5_000;
/// Candidates that are kept for later runs. What is beyond them is found again by the next complete pass.
const MOST_KEPT: usize = 100_000;
/// Candidates that are asked for before it is judged whether the pass was complete.
const SAMPLE: u64 = 20;

/// Rows that may be gone, and some that may not.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// Keys of rows that are stored and were not seen.
    pub(super) keys: Vec<String>,
    /// Rows that are stored.
    pub(super) known: u64,
    /// Keys of some rows that have to be there.
    pub(super) canaries: Vec<String>,
}

/// What came of asking for them.
#[derive(Debug, Default)]
pub(super) struct Confirmed {
    /// Rows that are gone.
    pub(super) stamps: Vec<Stamp>,
    /// Candidates that are left for the next runs.
    pub(super) left: Vec<String>,
    /// Candidates that are there after all.
    pub(super) present: u64,
    /// Whether most of those that were asked for are there, so that the others were not asked for.
    pub(super) is_cut_short: bool,
}

/// What came of look-ups.
#[derive(Debug, Default)]
struct LookedUp {
    stamps: Vec<Stamp>,
    /// Keys that are there.
    present: u64,
    /// Whether some were not asked for.
    is_cut_short: bool,
}

impl FamilyRun {
    /// The rows of the lead table that the members know and that a complete pass, which began at `began`, did not see.
    pub(super) async fn candidates(&mut self, seen: Arc<Seen>, began: Timestamp) -> Result<Candidates> {
        let mut candidates = Candidates::default();
        let mut keys = HashSet::new();
        for member in self.members.iter().filter(|member| member.error.is_none()) {
            let absent = self.writer.absent_keys(member.position, Arc::clone(&seen)).await?;
            candidates.known = absent.of.max(candidates.known);
            if absent.present.len() > candidates.canaries.len() {
                candidates.canaries = absent.present;
            }
            keys.extend(absent.keys);
        }
        candidates.keys = keys.into_iter().collect();
        if candidates.canaries.is_empty() && !candidates.keys.is_empty() && !seen.is_empty() {
            // All rows that were seen are new, and wait for their commit.
            self.flush(began, Scope::Some, &[], false).await?;
            candidates.canaries = self.keys_beside(&candidates.keys).await?.present;
        }
        Ok(candidates)
    }

    /// Some of the rows that the members know beside these.
    async fn keys_beside(&mut self, keys: &[String]) -> Result<AbsentKeys> {
        let mut others = Seen::default();
        for key in keys {
            others.extend(&[hash_of_key(key)]);
        }
        let Some(member) = self.members.iter().find(|member| member.error.is_none()) else {
            return Ok(AbsentKeys::default());
        };
        self.writer.keys_beside(member.position, Arc::new(others)).await
    }

    /// Keeps candidates in the state, beside those that earlier runs have left.
    pub(super) fn keep(&mut self, candidates: Candidates) {
        let Candidates { mut keys, canaries, .. } = candidates;
        keys.truncate(MOST_KEPT);
        let new = Unconfirmed { keys, canaries };
        let kept = self.unconfirmed().map_or(new.clone(), |earlier| new.joined(&earlier));
        self.set_unconfirmed(kept);
    }

    fn unconfirmed(&self) -> Option<Unconfirmed> {
        let kept = self.members.iter().filter_map(|member| member.next.unconfirmed.as_deref().cloned());
        kept.reduce(|one, two| one.joined(&two))
    }

    /// One of the tables that are read together keeps them.
    fn set_unconfirmed(&mut self, kept: Unconfirmed) {
        let mut kept = Some(Arc::new(kept)).filter(|kept| !kept.keys.is_empty());
        for member in &mut self.members {
            member.next.unconfirmed = if member.error.is_none() { kept.take() } else { None };
        }
    }

    /// Asks for the candidates that are kept, as many as a run may, and stamps those that are gone.
    pub(super) async fn confirm_kept(&mut self) -> Result<()> {
        let Some(Unconfirmed { keys, canaries }) = self.unconfirmed() else { return Ok(()) };
        if !self.may_stamp().await? {
            return Ok(());
        }
        let known = self.keys_beside(&keys).await?.of;
        let began = pass_start(&*self.source);
        let confirmed = self.confirm(Candidates { keys, known, canaries: canaries.clone() }, began).await?;
        // What is hidden by now was not gone when it was asked for.
        if !self.may_stamp().await? {
            return Ok(());
        }
        self.set_unconfirmed(Unconfirmed { keys: confirmed.left, canaries });
        self.flush(began, Scope::Some, &confirmed.stamps, true).await
    }

    /// Asks for candidates one by one: those that are not there are gone. What is there after all is merged. The
    /// look-ups are the proof, whatever their number, as long as rows that have to be there are found by them.
    pub(super) async fn confirm(&mut self, candidates: Candidates, began: Timestamp) -> Result<Confirmed> {
        let Candidates { mut keys, known, canaries } = candidates;
        if keys.is_empty() {
            return Ok(Confirmed::default());
        }
        if let Err(doubt) = self.ask_for_canaries(canaries, (keys.len(), known), began).await? {
            self.note(&doubt);
            return Ok(Confirmed { left: keys, ..Confirmed::default() });
        }
        // In no order, so that the first of them say what the others are like.
        fastrand::shuffle(&mut keys);
        let left = keys.split_off(keys.len().min(LOOK_UPS_PER_RUN));
        if !left.is_empty() {
            self.note(&format!(
                "{} more {} are no longer shown; they are asked for one by one in the next runs",
                left.len(),
                self.lead.name
            ));
        }
        let LookedUp { stamps, present, is_cut_short } = self.look_up_each(keys, began).await?;
        Ok(Confirmed { stamps, left, present, is_cut_short })
    }

    /// Whether rows that have to be there are found by a look-up; if not, why no look-up is believed.
    async fn ask_for_canaries(
        &mut self,
        canaries: Vec<String>,
        (absent, known): (usize, u64),
        began: Timestamp,
    ) -> Result<std::result::Result<(), String>> {
        let lead = self.lead.name;
        let is_mass_absence = plan::is_mass_absence(absent, known);
        let absent = format!("{absent} {lead} of {known} are no longer shown");
        if canaries.is_empty() {
            // Nothing is known to be there.
            let doubt = format!("{absent}; too many to believe, so none was marked as deleted");
            return Ok(if is_mass_absence { Err(doubt) } else { Ok(()) });
        }
        let asked = canaries.len();
        let mut found = 0;
        let mut answers = self.look_ups(canaries, began);
        while let Some((_, presence)) = self.unless_stopped(answers.next()).await? {
            match presence {
                Ok(Presence::Present(_)) => found += 1,
                Ok(Presence::Gone { .. }) => {}
                Err(error) if error.kind() == ErrorKind::Auth => return Err(error),
                Err(error) => tracing::warn!(table = lead, %error, "a look-up failed"),
            }
        }
        if 2 * found >= asked {
            return Ok(Ok(()));
        }
        Ok(Err(format!(
            "{absent}, but {} of {asked} that are shown are not found one by one either, so none was marked as deleted",
            asked - found
        )))
    }

    /// Asks for keys one by one. Where everything is read in every run, the others are not asked for if most of the first
    /// ones are there.
    async fn look_up_each(&mut self, keys: Vec<String>, began: Timestamp) -> Result<LookedUp> {
        let mut answers = self.look_ups(keys, began);
        let LookedUp { mut stamps, mut present, mut is_cut_short } = LookedUp::default();
        let (mut asked, mut unconfirmed, mut unreachable) = (0, 0, 0);
        while let Some((key, presence)) = self.unless_stopped(answers.next()).await? {
            asked += 1;
            match presence {
                Ok(Presence::Gone { survivor }) => {
                    unreachable = 0;
                    stamps.push(Stamp { key, deleted_at: began, merged_into: survivor });
                }
                // Hidden from the pass, or come meanwhile: what its own request shows is as good.
                Ok(Presence::Present(batch)) => {
                    unreachable = 0;
                    present += 1;
                    self.merge_found(batch, began).await?;
                }
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
            if asked == SAMPLE && present * 2 > asked && self.is_read_whole() {
                is_cut_short = true;
                break;
            }
        }
        if unconfirmed > 0 {
            let lead = self.lead.name;
            self.note(&format!(
                "{unconfirmed} {lead} are no longer shown, but could not be asked for one by one"
            ));
        }
        Ok(LookedUp { stamps, present, is_cut_short })
    }

    fn look_ups(
        &self,
        keys: Vec<String>,
        began: Timestamp,
    ) -> stream::BoxStream<'static, (String, Result<Presence>)> {
        let pass = self.pass_alone(Ask::Everything, began);
        let (source, progress) = (Arc::clone(&self.source), self.progress());
        let look_up = move |key: String| {
            let (pass, source, progress): (Pass, Arc<dyn Source>, _) =
                (pass.clone(), Arc::clone(&source), progress.clone());
            async move {
                let presence = source.look_up(pass, &key, &progress).await;
                (key, presence)
            }
        };
        stream::iter(keys).map(look_up).buffer_unordered(AT_ONCE).boxed()
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            done = work => Ok(done),
            error = self.stop.asked() => Err(error),
        }
    }

    /// Merges a row that is there after all into the lead table, if that is a member.
    async fn merge_found(&mut self, batch: RecordBatch, began: Timestamp) -> Result<()> {
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

    /// The error of a pass that did not show rows that are there.
    pub(super) fn not_all_shown(&self, not_shown: u64) -> Error {
        let lead = self.lead.name;
        let message = format!(
            "at least {not_shown} {lead} were not shown although they are there, in each of several passes"
        );
        Error::new(ErrorKind::Data, message)
            .with_hint("the checkpoint has not moved; run again later, with -v to see each attempt")
    }
}
