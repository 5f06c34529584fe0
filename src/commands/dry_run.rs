//! `--dry-run`: what a run would ask for. Counts rows with one request per search table; writes nothing.

use std::path::Path;

use jiff::Timestamp;

use super::read::names;
use crate::destination::duckdb::{Options, read_states};
use crate::error::Result;
use crate::pipeline::plan::{self, Reading, Situation};
use crate::pipeline::{Job, RunOptions, pass_start, targets};
use crate::progress::TableProgress;
use crate::report::{aligned, grouped};
use crate::source::{Ask, Order, Pass};
use crate::state::TableState;
use crate::table::{Endpoint, More, TableSpec};
use crate::window::{DateField, Window};

/// Rows of one full page of a search.
const PAGE: u64 = 150;

/// The plan as text.
pub(super) async fn plan(jobs: &[Job], path: &Path, options: &Options, run: &RunOptions) -> Result<String> {
    let states = read_states(path, options, &targets(jobs))?;
    let mut lines =
        vec![["table", "rows at most", "requests about", "would read"].map(str::to_owned).to_vec()];
    let silent = TableProgress::silent();
    let mut names = names(jobs).into_iter();
    let mut states = states.into_iter();
    for job in jobs {
        job.source.identify(&silent).await?;
        for table in &job.tables {
            let stored = states.next().flatten();
            let name = names.next().unwrap_or_default();
            if let Some((requests, what)) = beside_its_parents(job, table) {
                lines.push(vec![name, "unknown".into(), requests, what]);
                continue;
            }
            let now = pass_start(&*job.source);
            let (what, ask) = intent(job, table, stored.as_ref(), run, now);
            let rows = job.source.count(Pass::alone(table.lead(), ask, now), &silent).await?;
            // A page, one more that shows that nothing follows, and the count at the end.
            let requests = rows.map(|rows| grouped(rows.div_ceil(PAGE) + 2));
            let unknown = || "unknown".to_owned();
            lines.push(vec![
                name,
                rows.map_or_else(unknown, grouped),
                requests.unwrap_or_else(unknown),
                what,
            ]);
        }
    }
    Ok(aligned(&lines))
}

/// Requests and words for a table that is read together with another one of the run.
fn beside_its_parents(job: &Job, table: &TableSpec) -> Option<(String, String)> {
    let inside = table.inside()?;
    let lead = inside.parent.name;
    if !job.tables.iter().any(|other| other.name == lead) {
        return None;
    }
    let (requests, more) = match inside.more {
        More::Nothing => ("0", String::new()),
        More::WhereCut(_) => ("unknown", format!(", and where {lead} show too few")),
        More::WhereAny(_) => ("unknown", format!(", and for each of the {lead} that has any")),
        More::Always(_) | More::Object { stated: None } => {
            ("unknown", format!(", and for each of the {lead}"))
        }
        More::Object { stated: Some(_) } => {
            ("unknown", format!(", and for each of the {lead} that has changed"))
        }
    };
    Some((requests.to_owned(), format!("with {lead}{more}")))
}

fn intent(
    job: &Job,
    table: &'static TableSpec,
    stored: Option<&TableState>,
    run: &RunOptions,
    now: Timestamp,
) -> (String, Ask) {
    let dated = |by, window| Ask::Dated { by, window, order: Order::OldestFirst };
    let changes_by = match table.lead().endpoint {
        Endpoint::Search { .. } => DateField::UpdatedAt,
        Endpoint::Log { .. } => DateField::CreatedAt,
        _ => return ("everything, as in every run".into(), Ask::Everything),
    };
    if run.is_bounded() {
        let window = run.interval.unwrap_or_default();
        return (format!("{} {}", changes_by.as_str(), shown(window)), dated(changes_by, window));
    }
    let columns = table.fingerprint();
    let reading = plan::decide(&Situation {
        stored,
        now,
        api_version: &job.reading.api_version,
        columns: &columns,
        changes_by,
        start_date: job.reading.start_date,
        lookback: job.reading.lookback,
        refresh_every: job.reading.refresh_every.filter(|_| changes_by == DateField::UpdatedAt),
        permission_gained: false,
        full_refresh: run.full_refresh,
    });
    match reading {
        Reading::Refresh(refresh, reason) => {
            let window = refresh.remaining.first().copied().unwrap_or_default();
            let what = format!("{}: {} {}", reason.as_str(), refresh.by.as_str(), shown(window));
            (what, dated(refresh.by, window))
        }
        Reading::Increment { from } => {
            let window = Window { from: Some(from.as_second()), to: None };
            (format!("changes: {} {}", changes_by.as_str(), shown(window)), dated(changes_by, window))
        }
    }
}

fn shown(window: Window) -> String {
    let moment = |second: i64| {
        Timestamp::from_second(second)
            .map_or_else(|_| second.to_string(), |at| at.strftime("%F %TZ").to_string())
    };
    match (window.from, window.to) {
        (None, None) => "of any time".into(),
        (Some(from), None) => format!("from {}", moment(from)),
        (None, Some(to)) => format!("before {}", moment(to)),
        (Some(from), Some(to)) => format!("from {} to before {}", moment(from), moment(to)),
    }
}
