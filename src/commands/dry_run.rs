//! `--dry-run`: what a run would ask for. Counts rows with one request per search table; writes nothing.

use jiff::Timestamp;

use super::destinations::read_states;
use super::read::names;
use crate::config::DestinationConfig;
use crate::error::Result;
use crate::pipeline::plan::{Reading, Situation};
use crate::pipeline::{Job, RunOptions, pass_start, targets};
use crate::pipeline::{due, together};
use crate::progress::TableProgress;
use crate::report::{aligned, grouped, not_due};
use crate::source::{Ask, Order, Pass};
use crate::state::TableState;
use crate::table::{Endpoint, Inside, More, TableSpec};
use crate::window::{self, DateField, Window};

/// Rows of one full page of a search.
const PAGE: u64 = 150;

/// The plan as text. Several destinations have one, since what they lack is read once for all.
pub(super) async fn plan(
    jobs: &[Job],
    destinations: &[DestinationConfig],
    run: &RunOptions,
) -> Result<String> {
    let states = read_states(destinations, &targets(jobs))?;
    let mut lines =
        vec![["table", "rows at most", "requests about", "would read"].map(str::to_owned).to_vec()];
    let mut names = names(jobs).into_iter();
    let mut states = states.into_iter();
    for job in jobs {
        job.source.identify(&TableProgress::silent()).await?;
        let stored: Vec<Option<TableState>> = job.tables.iter().map(|_| states.next().flatten()).collect();
        let now = pass_start(&*job.source);
        for table in &job.tables {
            let family = Family::of(job, table, &stored);
            let [rows, requests, what] = if let Some(until) = family.not_due_until(table, run, now) {
                ["-".into(), "0".into(), not_due(until)]
            } else if family.head().name == table.name {
                family.read_first(run).await?
            } else {
                family.read_beside(table)
            };
            lines.push(vec![names.next().unwrap_or_default(), rows, requests, what]);
        }
    }
    Ok(aligned(&lines))
}

/// The tables of a job that are read together.
struct Family<'j> {
    job: &'j Job,
    lead: &'static TableSpec,
    /// In the order in which they were typed, with what is stored of them.
    members: Vec<(&'static TableSpec, Option<&'j TableState>)>,
}

impl<'j> Family<'j> {
    /// The one that `table` belongs to.
    fn of(job: &'j Job, table: &'static TableSpec, stored: &'j [Option<TableState>]) -> Self {
        let lead = table.lead();
        let members = job.tables.iter().zip(stored).filter(|(other, _)| other.lead().name == lead.name);
        Self { job, lead, members: members.map(|(table, stored)| (*table, stored.as_ref())).collect() }
    }

    /// The member that is shown as what is read: the lead, or the first if that is not among them.
    fn head(&self) -> &'static TableSpec {
        let is_lead = |(table, _): &&(&'static TableSpec, _)| table.name == self.lead.name;
        self.members.iter().find(is_lead).or(self.members.first()).map_or(self.lead, |(table, _)| *table)
    }

    /// Until when the table need not be read, nor any other of the family.
    fn not_due_until(&self, table: &TableSpec, run: &RunOptions, now: Timestamp) -> Option<Timestamp> {
        let until = due::family_not_due(self.members.iter().copied(), &self.job.reading, run, now)?;
        let mut of_tables = self.members.iter().zip(until);
        of_tables.find(|((member, _), _)| member.name == table.name).map(|(_, until)| until)
    }

    /// Rows, requests and words for the head.
    async fn read_first(&self, run: &RunOptions) -> Result<[String; 3]> {
        let now = pass_start(&*self.job.source);
        let (what, ask) = self.intent(run, now);
        let rows = self.job.source.count(Pass::alone(self.lead, ask, now), &TableProgress::silent()).await?;
        // A page, one more that shows that nothing follows, and the count at the end.
        let pages = rows.map(|rows| rows.div_ceil(PAGE) + 2);
        let shown = |number: Option<u64>| number.map_or_else(|| "unknown".to_owned(), grouped);
        let Some(inside) = self.head().inside() else { return Ok([shown(rows), shown(pages), what]) };
        let requests = match inside.more {
            More::Nothing => pages,
            More::WhereCut(_) | More::WhereAny(_) => None,
            More::Always(_) | More::Object { .. } => rows.and_then(|rows| Some(rows + pages?)),
        };
        let what = format!("{what}, of {}{}", self.lead.name, beyond(inside, self.lead));
        Ok([shown(None), shown(requests), what])
    }

    /// Rows, requests and words for a table that is read together with the head.
    fn read_beside(&self, table: &TableSpec) -> [String; 3] {
        let inside = table.inside();
        let needs_none = inside.is_none_or(|inside| inside.more == More::Nothing);
        let requests = if needs_none { "0" } else { "unknown" };
        let more = inside.map(|inside| beyond(inside, self.lead)).unwrap_or_default();
        ["unknown".into(), requests.into(), format!("with {}{more}", self.head().name)]
    }

    /// What would be read of the members of groups.
    fn sweep(&self, groups: &TableSpec, run: &RunOptions) -> String {
        let is_known =
            self.members.iter().any(|(_, stored)| stored.is_some_and(|state| state.checkpoint.is_some()));
        let (name, every) = (groups.name, self.job.reading.sweep_every);
        if !is_known || run.full_refresh || run.is_bounded() || every.is_zero() {
            return format!("everything, one search for each of the {name}");
        }
        format!(
            "one search for each of the {name}, more where the number of members has changed or is older than {every:#}"
        )
    }

    /// What would be read of the lead, for all members.
    fn intent(&self, run: &RunOptions, now: Timestamp) -> (String, Ask) {
        let dated = |by, window| Ask::dated(by, window, Order::OldestFirst);
        let changes_by = match self.lead.endpoint {
            Endpoint::Search { .. } => DateField::UpdatedAt,
            Endpoint::Log { .. } => DateField::CreatedAt,
            Endpoint::Sweep { groups, .. } => {
                return (self.sweep(groups, run), Ask::Everything);
            }
            _ => return ("everything, as in every run".into(), Ask::Everything),
        };
        if run.is_bounded() {
            let window = run.interval.unwrap_or_default();
            return (format!("{} {}", changes_by.as_str(), shown(window)), dated(changes_by, window));
        }
        let rules = &self.job.reading;
        let columns: Vec<String> = self.members.iter().map(|(table, _)| table.fingerprint()).collect();
        let stored = self.members.iter().map(|(_, stored)| *stored);
        let situations: Vec<Situation<'_>> = stored
            .zip(&columns)
            .map(|(stored, columns)| Situation {
                stored,
                now,
                api_version: &rules.api_version,
                columns,
                changes_by,
                start_date: rules.start_date,
                lookback: rules.lookback,
                refresh_every: rules.refresh_every.filter(|_| changes_by == DateField::UpdatedAt),
                permission_gained: false,
                full_refresh: run.full_refresh,
            })
            .collect();
        match together::decide_together(&situations).reading {
            Reading::Refresh(refresh, reason) => {
                let window = window::hull(&refresh.remaining);
                let what = format!("{}: {} {}", reason.as_str(), refresh.by.as_str(), shown(window));
                (what, dated(refresh.by, window))
            }
            Reading::Increment { from } => {
                let window = Window { from: Some(from.as_second()), to: None };
                let what = format!("changes: {} {}", changes_by.as_str(), shown(window));
                (what, dated(changes_by, window))
            }
        }
    }
}

/// What is asked for beside the rows of the lead.
fn beyond(inside: &Inside, lead: &TableSpec) -> String {
    let lead = lead.name;
    match inside.more {
        More::Nothing => String::new(),
        More::WhereCut(_) => format!(", and where {lead} show too few"),
        More::WhereAny(_) => format!(", and for each of the {lead} that has any"),
        More::Always(_) | More::Object { stated: None } => format!(", and for each of the {lead}"),
        More::Object { stated: Some(_) } => format!(", and for each of the {lead} that has changed"),
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
