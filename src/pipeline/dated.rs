//! Tables whose dates the server filters: refreshes by windows, then what changed.

use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use super::family::FamilyRun;
use super::flow::{Flow, Tracked};
use super::member::MemberRun;
use super::pass_start;
use super::plan::{self, LAG, Reading, Reason, Situation};
use super::seen::Seen;
use super::together::{self, Together};
use crate::destination::Scope;
use crate::error::Result;
use crate::ledger::Due;
use crate::source::{Ask, Order};
use crate::state::Refresh;
use crate::table::Endpoint;
use crate::window::{DateField, Window};

impl FamilyRun {
    /// Reads what is missing, and everything if that is due.
    pub(super) async fn dated(&mut self) -> Result<()> {
        let mut is_asked = self.options.full_refresh;
        loop {
            let sees_hidden = self.sees_hidden().await?;
            let now = pass_start(&*self.source);
            let Together { reading, counts_for, needed_by, from_at_most, else_from } =
                self.decide(now, is_asked, sees_hidden);
            is_asked = false;
            let is_for_shortfall = matches!(reading, Reading::Refresh(_, Reason::Shortfall));
            self.fresh_states();
            for ((member, counts), needs) in self.members.iter_mut().zip(counts_for).zip(needed_by) {
                (member.is_refreshed, member.needs_refresh) = (counts, needs);
                member.next.sees_hidden = sees_hidden.or(member.next.sees_hidden);
            }
            let is_refresh = matches!(&reading, Reading::Refresh(..));
            let is_anew = matches!(&reading, Reading::Refresh(refresh, _) if refresh.anew);
            let from = match reading {
                Reading::Refresh(refresh, reason) => {
                    let from = self.refresh(refresh, reason).await?;
                    match (from, else_from) {
                        (Some(from), _) => from_at_most.map_or(from, |at_most| from.min(at_most)),
                        (None, Some(from)) => from,
                        // Nobody is left: those that failed have said why.
                        (None, None) => return Ok(()),
                    }
                }
                Reading::Increment { from } => {
                    self.begin("changes since the last run");
                    from
                }
            };
            self.increments(from).await?;
            self.ask_again().await?;
            self.confirm_kept().await?;
            if !is_anew {
                self.reread_what_is_due().await?;
            }
            self.note_what_is_hidden_by_now(sees_hidden).await?;
            // Twice running, or after a refresh, the source counted more than the table holds: read everything, now.
            if !self.has_lasting_shortfall(is_for_shortfall, is_refresh).await? {
                return Ok(());
            }
            for member in &mut self.members {
                member.stored = Some(member.next.clone());
            }
        }
    }

    /// The date by which changes are found.
    fn changes_by(&self) -> DateField {
        match self.lead.endpoint {
            Endpoint::Log { .. } => DateField::CreatedAt,
            _ => DateField::UpdatedAt,
        }
    }

    fn decide(&self, now: Timestamp, full_refresh: bool, sees_hidden: Option<bool>) -> Together {
        let changes_by = self.changes_by();
        let columns: Vec<String> = self.members.iter().map(|member| member.table.fingerprint()).collect();
        let situation = |(member, columns)| {
            let member: &MemberRun = member;
            let columns: &String = columns;
            let saw_hidden = member.stored.as_ref().and_then(|stored| stored.sees_hidden);
            Situation {
                stored: member.stored.as_ref(),
                now,
                api_version: &self.rules.api_version,
                columns,
                changes_by,
                start_date: self.rules.start_date,
                lookback: self.rules.lookback,
                // What never changes need not be read again.
                refresh_every: self.rules.refresh_every.filter(|_| changes_by == DateField::UpdatedAt),
                permission_gained: saw_hidden == Some(false) && sees_hidden == Some(true),
                full_refresh,
            }
        };
        let situations: Vec<Situation<'_>> = self.members.iter().zip(&columns).map(situation).collect();
        together::decide_together(&situations)
    }

    /// Whether hidden rows are shown, if that can be told. Asked in every run: permissions come and go.
    async fn sees_hidden(&mut self) -> Result<Option<bool>> {
        let Some(hidden) = self.lead.hidden else { return Ok(None) };
        let progress = self.progress();
        let sees = tokio::select! {
            sees = self.source.sees_hidden(self.lead, &progress) => sees,
            error = self.stop.asked() => return Err(error),
        };
        let (what, permission) = (hidden.what, hidden.permission);
        let note = format!("{what} are not shown to a token without \"{permission}\"");
        let is_told = self.members.first().is_some_and(|member| member.report.notes.contains(&note));
        if sees == Some(false) && !is_told {
            self.note(&note);
        }
        Ok(sees)
    }

    /// A permission that went while the run read is noted, so that what it could not see is read when it is back.
    async fn note_what_is_hidden_by_now(&mut self, saw_hidden: Option<bool>) -> Result<()> {
        if saw_hidden != Some(true) || self.sees_hidden().await? != Some(false) {
            return Ok(());
        }
        for member in &mut self.members {
            member.next.sees_hidden = Some(false);
        }
        let began = pass_start(&*self.source);
        self.flush(began, Scope::Some, &[], true).await
    }

    /// Reads the objects again that were read longest ago: what changes in them does not always move the date of the
    /// row that they belong to.
    async fn reread_what_is_due(&mut self) -> Result<()> {
        let Some(every) = self.rules.parts_refresh_every else { return Ok(()) };
        let began = pass_start(&*self.source);
        let mut due: Vec<Due> = Vec::new();
        for member in self.members.iter().filter(|member| member.error.is_none()) {
            let Some(ledger) = &member.ledger else { continue };
            let last = member.stored.as_ref().and_then(|stored| stored.checkpoint);
            let since_last = last.map_or(SignedDuration::ZERO, |last| began.duration_since(last));
            due.extend(ledger.due(plan::objects_to_reread(ledger.entries(), since_last, every)));
        }
        if due.is_empty() {
            return Ok(());
        }
        tracing::debug!(
            table = self.lead.name,
            objects = due.len(),
            "reading objects again that were read long ago"
        );
        let pass = self.pass(Ask::Inside(due.into()), began).await?;
        let outcome = self.pump(pass, Flow::default()).await;
        if outcome.as_ref().is_err_and(|error| !error.kind().is_of_source()) {
            return outcome;
        }
        // What is stored is as complete as before; these are tried again by the next run.
        let mut failed = outcome.err();
        for member in &mut self.members {
            failed = member.error.take_if(|error| error.kind().is_of_source()).or(failed);
        }
        if let Some(error) = failed {
            self.note(&format!("what was read long ago could not be read again: {error}"));
        }
        self.flush(began, Scope::Some, &[], false).await
    }

    /// Reads the windows of a refresh; the moment from which changes are to be read again, or nothing if every
    /// table that needs the refresh has failed meanwhile.
    async fn refresh(&mut self, refresh: Refresh, reason: Reason) -> Result<Option<Timestamp>> {
        self.begin(reason.as_str());
        self.read_since = refresh.anew.then_some(refresh.started_at);
        let mut seen = Seen::default();
        let uncut = Window { from: refresh.start.map(Timestamp::as_second), to: None };
        let is_noted = self.members.iter().all(|member| member.stored.is_some());
        let mut tracked = Tracked { uncut, refresh, order_broke: false, is_noted };
        self.save_progress(&tracked.refresh);
        while !tracked.refresh.remaining.is_empty() {
            let began = pass_start(&*self.source);
            let windows: Arc<[Window]> = tracked.refresh.remaining.as_slice().into();
            let is_uncut = *windows == [uncut];
            let by = tracked.refresh.by;
            // What was read of them before the refresh was cut short is older than what it is to bring.
            let undated = by == DateField::CreatedAt && tracked.refresh.start.is_none();
            let ask = Ask::Dated { by, windows, order: Order::OldestFirst, undated };
            tracked.order_broke = false;
            let pass = self.pass(ask, began).await?;
            let flow = Flow { refresh: Some(&mut tracked), seen: Some(&mut seen), ..Flow::default() };
            self.pump(pass, flow).await?;
            if self.is_needless() {
                for member in &mut self.members {
                    member.next.refresh = member.stored.as_ref().and_then(|stored| stored.refresh.clone());
                    member.is_refreshed = false;
                }
                return Ok(None);
            }
            if tracked.order_broke && !is_uncut {
                // Earlier runs relied on an order that does not hold: from the beginning, then.
                continue;
            }
            tracked.refresh.remaining.clear();
            self.save_progress(&tracked.refresh);
            let is_complete =
                tracked.refresh.whole && tracked.refresh.start.is_none() && reason != Reason::Resumed;
            if is_complete && self.lead.object.is_some() {
                let candidates = self.candidates(Arc::new(std::mem::take(&mut seen)), began).await?;
                if !candidates.keys.is_empty() && self.may_stamp().await? {
                    self.keep(candidates);
                }
            }
            self.flush(began, Scope::Some, &[], true).await?;
        }
        let refresh = tracked.refresh;
        for member in self.members.iter_mut().filter(|member| member.is_refreshed) {
            member.next.refresh = None;
            member.next.proven_from = refresh.start;
            if refresh.whole {
                member.next.refreshed_at = Some(refresh.started_at);
                member.next.shortfalls = 0;
            }
        }
        Ok(Some(plan::increment_start(refresh.closes_from, self.rules.lookback)))
    }

    /// Whether absences mean anything: not while rows are hidden. Asked once more, since a refresh may take hours; if
    /// they are hidden by now, that is noted for the next run.
    pub(super) async fn may_stamp(&mut self) -> Result<bool> {
        if self.lead.hidden.is_none() {
            return Ok(true);
        }
        let sees = self.sees_hidden().await?;
        for member in &mut self.members {
            member.next.sees_hidden = sees.or(member.next.sees_hidden);
        }
        Ok(sees == Some(true))
    }

    fn save_progress(&mut self, refresh: &Refresh) {
        for member in self.members.iter_mut().filter(|member| member.is_refreshed) {
            member.next.refresh = Some(refresh.clone());
        }
    }

    /// Reads what changed at or after `from`, again and again until a pass was shorter than the lag. The
    /// start of the last one becomes the checkpoint.
    pub(super) async fn increments(&mut self, mut from: Timestamp) -> Result<()> {
        loop {
            let began = pass_start(&*self.source);
            let started = Instant::now();
            let window = Window { from: Some(from.as_second()), to: None };
            let ask = Ask::dated(self.changes_by(), window, Order::NewestFirst);
            let pass = self.pass(ask, began).await?;
            self.pump(pass, Flow::default()).await?;
            for member in &mut self.members {
                member.next.checkpoint = Some(began);
            }
            self.flush(began, Scope::Some, &[], true).await?;
            for member in self.members.iter_mut().filter(|member| member.error.is_none()) {
                member.report.checkpoint = Some(began);
            }
            // By both clocks: the server's may stand still for want of answers that say it.
            let took = pass_start(&*self.source).duration_since(began);
            if took < LAG && started.elapsed() < LAG.unsigned_abs() {
                return Ok(());
            }
            from = plan::increment_start(began, SignedDuration::ZERO);
        }
    }

    /// Compares what the source counts with what the lead table holds, and notes in the state what follows:
    /// whether everything is to be read again, now.
    async fn has_lasting_shortfall(&mut self, is_for_shortfall: bool, is_refresh: bool) -> Result<bool> {
        let ask = Ask::dated(DateField::CreatedAt, Window::default(), Order::OldestFirst);
        let began = pass_start(&*self.source);
        let pass = self.pass_alone(ask, began);
        let (source, stop, progress) = (Arc::clone(&self.source), self.stop.clone(), self.progress());
        let Some(lead) = self.lead_member().filter(|lead| lead.next.proven_from.is_none()) else {
            return Ok(false);
        };
        let live = lead.report.live.unwrap_or(0);
        // Everything is read and saved; that it could not be counted as well takes nothing away from it.
        let counted = tokio::select! {
            counted = source.count(pass, &progress) => counted,
            _stopped = stop.asked() => return Ok(false),
        };
        let counted = counted.unwrap_or_else(|error| {
            lead.report.notes.push(format!("the rows could not be counted: {error}"));
            None
        });
        lead.report.counted = counted;
        let state = &mut lead.next;
        let known = (state.shortfalls, state.unexplained);
        match counted {
            None => {}
            // What a refresh for just that has left unexplained, another one would not explain either.
            Some(counted) if is_for_shortfall => {
                (state.shortfalls, state.unexplained) = (0, counted.saturating_sub(live));
            }
            Some(counted) if plan::is_shortfall(counted, live + state.unexplained) => {
                // After everything was read there is nothing to wait for.
                state.shortfalls += if is_refresh { plan::SHORTFALLS_UNTIL_REFRESH } else { 1 };
            }
            Some(_) => state.shortfalls = 0,
        }
        let found = (state.shortfalls, state.unexplained);
        if found != known {
            self.flush(began, Scope::Some, &[], true).await?;
        }
        Ok(found.0 >= plan::SHORTFALLS_UNTIL_REFRESH)
    }
}
