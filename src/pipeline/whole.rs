//! Tables that are read whole every time.

use std::sync::Arc;

use super::family::FamilyRun;
use super::flow::Flow;
use super::pass_start;
use super::seen::Seen;
use crate::destination::Scope;
use crate::error::Result;
use crate::source::Ask;
use crate::table::{Endpoint, WriteDisposition};

impl FamilyRun {
    /// Reads everything and makes the tables say so.
    pub(super) async fn whole(&mut self) -> Result<()> {
        let began = pass_start(&*self.source);
        self.begin("reading everything");
        self.fresh_states();
        let is_replaced = self.lead.disposition == WriteDisposition::Replace;
        let is_sweep = matches!(self.lead.endpoint, Endpoint::Sweep { .. });
        let mut seen = Seen::default();
        let mut owners = Vec::new();
        let flow = Flow {
            hold: is_replaced,
            seen: Some(&mut seen),
            owners: is_sweep.then_some(&mut owners),
            ..Flow::default()
        };
        let pass = self.pass(Ask::Everything, began).await?;
        self.pump(pass, flow).await?;
        let stamps = if self.lead.object.is_some() && !is_replaced {
            self.stamps(Arc::new(seen), began).await?
        } else {
            Vec::new()
        };
        for member in &mut self.members {
            member.next.checkpoint = Some(began);
            member.next.refreshed_at = Some(began);
        }
        let scope = match (is_replaced, is_sweep) {
            (true, _) => Scope::All,
            (false, true) => Scope::Parents(owners),
            (false, false) => Scope::Some,
        };
        self.flush(began, scope, &stamps, true).await?;
        for member in self.members.iter_mut().filter(|member| member.error.is_none()) {
            member.report.checkpoint = Some(began);
        }
        Ok(())
    }
}
