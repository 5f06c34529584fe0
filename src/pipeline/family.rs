//! Tables that one endpoint feeds, from what is known of them to states that say more.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::flow::Flow;
use super::member::MemberRun;
use super::plan;
use super::stop;
use super::writer::Writer;
use super::{ReadingRules, RunOptions, Stop};
use crate::destination::Scope;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::LedgerRules;
use crate::progress::TableProgress;
use crate::report::{Outcome, TableReport};
use crate::source::{self, Ask, Doubts, Pass, Source};
use crate::state::TableState;
use crate::table::{Endpoint, TableSpec};
use crate::window::DateField;

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
    /// Rows that are read one object at a time need not be read again if they were since this moment; `None` if
    /// it does not matter when.
    pub(super) read_since: Option<Timestamp>,
    /// See [`Rows::supersedes_before`] of the latest rows.
    pub(super) supersedes_before: Timestamp,
    pub(super) writer: Writer,
    pub(super) stop: Stop,
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
        self.keep_what_came().await;
        let is_refused = |error: &Error| error.kind() == ErrorKind::Auth;
        if self.members.iter().any(|member| member.error.as_ref().is_some_and(is_refused)) {
            self.stop.ask(ErrorKind::Auth);
        }
        for member in &mut self.members {
            member.report.lap();
            let error = member.error_at_the_end();
            member.progress.finish(Self::outcome(&self.options, error.as_ref()).as_str());
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
        self.keep_what_came().await;
        for member in &mut self.members {
            // The table is complete as of its checkpoint all the same, if that was all.
            if let Some(error) = member.error.take_if(|error| error.kind().is_of_source()) {
                member.report.notes.push(format!("what came meanwhile could not be read: {error}"));
            }
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
            let error = member.error_at_the_end();
            let outcome = Self::outcome(&options, error.as_ref());
            if member.missing > 0 {
                let missing = member.missing;
                let parents = member.table.lead().name;
                member.report.notes.push(format!(
                    "{missing} {parents} were not found when their rows were asked for; what is stored of them stays"
                ));
            }
            if member.cut > 0 {
                let (cut, parents) = (member.cut, member.table.lead().name);
                member.report.notes.push(format!(
                    "{cut} {parents} show only some of their rows; what is stored of the others stays"
                ));
            }
            if member.unread > 0 {
                let (unread, parents) = (member.unread, member.table.lead().name);
                member.report.notes.push(format!(
                    "{unread} {parents} that were read long ago could not be read again; what is stored of them stays"
                ));
            }
            member.report.end(outcome, error, &member.progress);
            member.report
        };
        self.members.into_iter().map(end).collect()
    }

    /// Whether all that there is of the table is read in every run, rather than what changed.
    pub(super) fn is_read_whole(&self) -> bool {
        !matches!(self.lead.endpoint, Endpoint::Search { .. } | Endpoint::Log { .. })
    }

    fn fail_all(&mut self, error: &Error) {
        let of_all = self.progress();
        for member in &mut self.members {
            let doing = || match member.progress.waits_for().or_else(|| of_all.waits_for()) {
                Some(what) => Some(format!("waiting: {what}")),
                None if member.report.mode.is_empty() => None,
                None => Some(format!("reading: {}", member.report.mode)),
            };
            member.error.get_or_insert_with(|| stop::doing(error, doing));
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
        let rules: Vec<Option<LedgerRules>> =
            self.members.iter().map(|member| self.ledger_rules(member, began)).collect();
        let mut members = Vec::with_capacity(self.members.len());
        for (member, rules) in self.members.iter_mut().zip(rules) {
            if let Some(rules) = rules.filter(|_| member.ledger.is_none()) {
                let ledger = self.writer.ledger(member.position, rules).await?;
                member.ledger = Some(Arc::new(ledger));
            }
            members.push(source::Member {
                table: member.table,
                progress: member.progress.clone(),
                ledger: member.ledger.clone(),
                failure: member.error.clone(),
            });
        }
        Ok(Pass {
            table: self.lead,
            members: members.into(),
            ask,
            began,
            limit: self.options.limit,
            expects_rows: false,
            doubts: Doubts::default(),
        })
    }

    /// What counts of a member's ledger in a pass that begins now; `None` if it has none, or needs none.
    fn ledger_rules(&self, member: &MemberRun, began: Timestamp) -> Option<LedgerRules> {
        if self.options.is_bounded() {
            return None;
        }
        if member.table.groups().is_some() {
            let is_alike = |state: &&TableState| {
                state.api_version == self.rules.api_version && state.columns == member.table.fingerprint()
            };
            let stored = member.stored.as_ref().filter(|_| !self.options.full_refresh).filter(is_alike);
            let swept =
                |state: &TableState| plan::swept_since(began, state.checkpoint, self.rules.sweep_every);
            let since = stored.map_or(began, swept);
            return Some(LedgerRules { since: Some(since), due_before: None, keeps: true });
        }
        let inside = member.table.inside()?;
        matches!(inside.more, crate::table::More::Object { stated: Some(_) }).then(|| LedgerRules {
            since: self.read_since,
            due_before: self.rules.parts_refresh_every.map(|every| plan::earlier_by(began, every)),
            keeps: false,
        })
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
            Endpoint::Search { .. } => Ask::dated(DateField::UpdatedAt, window, order),
            Endpoint::Log { .. } => Ask::dated(DateField::CreatedAt, window, order),
            _ => Ask::Everything,
        };
        self.begin(if has_interval { "interval" } else { "first look" });
        let window = Some(window).filter(|_| ask == Ask::Everything);
        let flow = Flow { limit: self.options.limit, window, ..Flow::default() };
        let pass = self.pass(ask, began).await?;
        self.pump(pass, flow).await?;
        self.flush(began, Scope::Some, &[], false).await
    }

    /// The state to build on, with what is true of this run.
    pub(super) fn fresh_states(&mut self) {
        for member in &mut self.members {
            member.next = member.next_state(&self.workspace, &self.rules.api_version);
        }
    }
}
