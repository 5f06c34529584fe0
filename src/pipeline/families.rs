//! Which tables are read together, and in which order they are written.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::due;
use super::family::FamilyRun;
use super::member::MemberRun;
use super::writer::Writer;
use super::{Job, RunOptions, Stop};
use crate::destination::Target;
use crate::error::{Error, ErrorKind, Result};
use crate::printable;
use crate::progress::TableProgress;
use crate::report::{Outcome, TableReport};
use crate::state::{Stored, TableState};
use crate::table::TableSpec;

/// A table that was asked for.
pub(super) struct Asked {
    pub(super) table: &'static TableSpec,
    pub(super) stored: Option<Stored>,
    pub(super) progress: TableProgress,
}

/// Tables of one job that one endpoint feeds.
pub(super) struct Family<'j> {
    job: &'j Job,
    workspace: String,
    lead: &'static TableSpec,
    /// The lead first, if it was asked for: whatever is committed together is written parents first.
    asked: Vec<Asked>,
}

/// Puts tables together that are read together.
pub(super) fn group<'j>(
    job: &'j Job,
    workspace: Option<&str>,
    asked: impl Iterator<Item = Asked>,
) -> Result<Vec<Family<'j>>> {
    let mut families: Vec<Family<'j>> = Vec::new();
    for asked in asked {
        check_workspace(job, asked.table, asked.stored.as_ref(), workspace)?;
        let lead = asked.table.lead();
        match families.iter_mut().find(|family| family.lead.name == lead.name) {
            Some(family) => family.asked.push(asked),
            None => families.push(Family {
                job,
                workspace: workspace.unwrap_or_default().to_owned(),
                lead,
                asked: vec![asked],
            }),
        }
    }
    for family in &mut families {
        family.asked.sort_by_key(|asked| asked.table.name != family.lead.name);
    }
    Ok(families)
}

/// Rows of two workspaces in one table could never be told apart again.
fn check_workspace(
    job: &Job,
    table: &TableSpec,
    stored: Option<&Stored>,
    workspace: Option<&str>,
) -> Result<()> {
    let known = stored.map(|stored| stored.state.workspace.as_str()).filter(|known| !known.is_empty());
    let (Some(known), Some(workspace)) = (known, workspace) else { return Ok(()) };
    if known == workspace {
        return Ok(());
    }
    let message = format!(
        "table {}.{} holds workspace {}, but the token opens workspace {}",
        job.schema,
        table.name,
        printable::name(known),
        printable::name(workspace)
    );
    Err(Error::new(ErrorKind::Config, message).with_hint(
        "use the other workspace's token, or give this one a connection name or destination of its own",
    ))
}

impl Family<'_> {
    /// Where its tables go, each with the revision of its state.
    pub(super) fn targets(&self) -> Vec<(Target, Option<u64>)> {
        let target = |asked: &Asked| {
            let target = Target { schema: Arc::clone(&self.job.schema), table: asked.table };
            (target, asked.stored.as_ref().map(|stored| stored.revision))
        };
        self.asked.iter().map(target).collect()
    }

    /// Until when its tables, in their order, need not be read; `None` if they are to be read now.
    pub(super) fn not_due_until(&self, options: &RunOptions, now: Timestamp) -> Option<Vec<Timestamp>> {
        let members = self.asked.iter().map(|asked| {
            let stored = asked.stored.as_ref().map(|stored| &stored.state);
            (asked.table, stored)
        });
        due::family_not_due(members, &self.job.reading, options, now)
    }

    /// What is told of tables that need not be read until these moments.
    pub(super) fn skip(self, until: &[Timestamp]) -> Vec<TableReport> {
        let skip = |(asked, until): (Asked, &Timestamp)| {
            asked.progress.finish(Outcome::Skipped.as_str());
            let mut report = TableReport::new(&self.job.schema, asked.table.name, Instant::now());
            "not due".clone_into(&mut report.mode);
            report.not_due_until = Some(*until);
            report.checkpoint = asked.stored.and_then(|stored| stored.state.checkpoint);
            report.end(Outcome::Skipped, None, &asked.progress);
            report
        };
        self.asked.into_iter().zip(until).map(skip).collect()
    }

    /// The run over the family, whose first table is the writer's target number `first`.
    pub(super) fn begin(self, first: usize, writer: &Writer, options: &RunOptions, stop: &Stop) -> FamilyRun {
        let Self { job, workspace, lead, asked } = self;
        let member = |(at, asked): (usize, Asked)| MemberRun {
            position: first + at,
            report: TableReport::new(&job.schema, asked.table.name, Instant::now()),
            next: TableState::new(&workspace, &job.reading.api_version, asked.table.fingerprint()),
            table: asked.table,
            stored: asked.stored.map(|stored| stored.state),
            progress: asked.progress,
            error: None,
            missing: 0,
            cut: 0,
            unread: 0,
            failed: Vec::new(),
            incomplete: None,
            is_refreshed: false,
            needs_refresh: false,
            ledger: None,
        };
        FamilyRun {
            source: Arc::clone(&job.source),
            schema: Arc::clone(&job.schema),
            lead,
            members: asked.into_iter().enumerate().map(member).collect(),
            rules: job.reading.clone(),
            options: options.clone(),
            workspace: workspace.clone(),
            read_since: None,
            supersedes_before: Timestamp::MIN,
            writer: writer.clone(),
            stop: stop.clone(),
        }
    }
}
