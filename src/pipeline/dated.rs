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
            let from = match reading {
                Reading::Refresh(refresh, reason) => {
                    let from = self.refresh(refresh, reason, sees_hidden).await?;
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
            // Twice running the source counted more than the table holds: read everything, now.
            if !self.has_lasting_shortfall(is_for_shortfall).await? {
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

    /// Whether hidden rows are shown. Asked until they are, so that a table that is read in full costs nothing.
    async fn sees_hidden(&mut self) -> Result<Option<bool>> {
        let states = self.members.iter().map(|member| member.stored.as_ref().and_then(|s| s.sees_hidden));
        let known = states.reduce(|a, b| if a == b { a } else { None }).flatten();
        let Some(hidden) = self.lead.hidden.filter(|_| known != Some(true)) else { return Ok(known) };
        let progress = self.progress();
        let sees = tokio::select! {
            sees = self.source.sees_hidden(self.lead, &progress) => sees.or(known),
            error = self.stop.asked() => return Err(error),
        };
        if sees == Some(false) {
            let (what, permission) = (hidden.what, hidden.permission);
            self.note(&format!("{what} are not shown to a token without \"{permission}\""));
        }
        Ok(sees)
    }

    /// Reads the windows of a refresh; the moment from which changes are to be read again, or nothing if every
    /// table that needs the refresh has failed meanwhile.
    async fn refresh(
        &mut self,
        refresh: Refresh,
        reason: Reason,
        sees_hidden: Option<bool>,
    ) -> Result<Option<Timestamp>> {
        self.begin(reason.as_str());
        self.read_since = refresh.anew.then_some(refresh.started_at);
        let mut seen = Seen::default();
        let uncut = Window { from: refresh.start.map(Timestamp::as_second), to: None };
        let mut tracked = Tracked { uncut, refresh, order_broke: false };
        self.save_progress(&tracked.refresh);
        while !tracked.refresh.remaining.is_empty() {
            let began = pass_start(&*self.source);
            let windows: Arc<[Window]> = tracked.refresh.remaining.as_slice().into();
            let is_uncut = *windows == [uncut];
            let ask = Ask::Dated { by: tracked.refresh.by, windows, order: Order::OldestFirst };
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
            let stamps = if is_complete && self.may_stamp(sees_hidden) {
                self.stamps(Arc::new(std::mem::take(&mut seen)), began).await?
            } else {
                Vec::new()
            };
            self.flush(began, Scope::Some, &stamps, true).await?;
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

    /// Whether absences mean anything: not while rows are hidden, and not where rows cannot be asked for.
    fn may_stamp(&self, sees_hidden: Option<bool>) -> bool {
        self.lead.object.is_some() && (self.lead.hidden.is_none() || sees_hidden == Some(true))
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
    async fn has_lasting_shortfall(&mut self, is_for_shortfall: bool) -> Result<bool> {
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
            Some(counted) if plan::is_shortfall(counted, live + state.unexplained) => state.shortfalls += 1,
            Some(_) => state.shortfalls = 0,
        }
        let found = (state.shortfalls, state.unexplained);
        if found != known {
            self.flush(began, Scope::Some, &[], true).await?;
        }
        Ok(found.0 >= plan::SHORTFALLS_UNTIL_REFRESH)
    }
}
