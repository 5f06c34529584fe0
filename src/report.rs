//! What a run did, for people and as JSON.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::batch::Shape;
use crate::destination::Committed;
use crate::error::{Error, ErrorKind, worst};
use crate::printable;
use crate::progress::TableProgress;

/// One invocation.
#[derive(Debug)]
pub struct RunReport {
    /// Sorts by start.
    pub run_id: String,
    /// Local clock.
    pub started_at: Timestamp,
    /// Local clock.
    pub finished_at: Timestamp,
    /// One entry per table that was asked for.
    pub tables: Vec<TableReport>,
}

/// How a table came out of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is in the table, as of the checkpoint.
    Complete,
    /// The run was bounded: rows were merged, and nothing is claimed beyond that.
    Partial,
    /// Something could not be read or saved. What was saved is sound, and the checkpoint claims no more.
    Failed,
    /// Stopped from outside, or out of time; what was proven is saved.
    Interrupted,
    /// Not read, since it is fresh enough.
    Skipped,
}

impl Outcome {
    /// How an error ends a table.
    pub fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Interrupted | ErrorKind::Terminated | ErrorKind::TimedOut => Self::Interrupted,
            _ => Self::Failed,
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Skipped => "skipped",
        }
    }
}

/// What a run did to one table.
#[derive(Debug)]
pub struct TableReport {
    /// Schema in the destination.
    pub schema: String,
    /// Name of the table.
    pub table: String,
    /// What was read and why.
    pub mode: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Sums over all commits.
    pub committed: Committed,
    /// Rows read, repeated ones included.
    pub read: u64,
    /// Requests sent, attempts included.
    pub requests: u64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// Wall time.
    pub elapsed: Duration,
    /// Every change before this moment is in the table.
    pub checkpoint: Option<Timestamp>,
    /// Of a table that was not read: until when it need not be.
    pub not_due_until: Option<Timestamp>,
    /// Rows of the table that are not stamped as deleted.
    pub live: Option<u64>,
    /// Rows the source says there are.
    pub counted: Option<u64>,
    /// What did not fit the declaration.
    pub shape: Shape,
    /// What else a person should know.
    pub notes: Vec<String>,
    /// Why it failed.
    pub error: Option<Error>,
    started: Instant,
}

impl TableReport {
    /// A table that is about to be read.
    pub fn new(schema: &str, table: &str, started: Instant) -> Self {
        Self {
            schema: schema.to_owned(),
            table: table.to_owned(),
            mode: String::new(),
            outcome: Outcome::Failed,
            committed: Committed::default(),
            read: 0,
            requests: 0,
            retries: 0,
            elapsed: Duration::ZERO,
            checkpoint: None,
            not_due_until: None,
            live: None,
            counted: None,
            shape: Shape::default(),
            notes: Vec::new(),
            error: None,
            started,
        }
    }

    /// Adds what a commit did.
    pub fn add(&mut self, done: Committed) {
        self.committed.new += done.new;
        self.committed.changed += done.changed;
        self.committed.unchanged += done.unchanged;
        self.committed.removed += done.removed;
        self.committed.stamped += done.stamped;
        self.committed.live = done.live;
        self.live = Some(done.live);
    }

    /// Notes how long it took so far.
    pub fn lap(&mut self) {
        self.elapsed = self.started.elapsed();
    }

    /// Closes the entry.
    pub fn end(&mut self, outcome: Outcome, error: Option<Error>, progress: &TableProgress) {
        self.outcome = outcome;
        self.error = error;
        self.requests = progress.requests();
        self.retries = progress.retries();
        if self.elapsed.is_zero() {
            self.lap();
        }
        if let (Some(counted), Some(live)) = (self.counted, self.live)
            && counted > live
        {
            let missing = counted - live;
            self.notes.push(format!(
                "the source counts {counted} rows, {missing} more than the table holds (rows may have come \
                 meanwhile; if that stays so, the next run reads everything again)"
            ));
        }
        for (what, counts) in [
            ("kept in _extra because it has no column", &self.shape.unknown),
            ("kept in _extra because it did not fit its column", &self.shape.misfits),
            (
                "no rows could be made of what stands in the place of lists or of their entries",
                &self.shape.unread,
            ),
        ] {
            self.notes.extend(shape_note(what, counts));
        }
    }

    /// Schema and table.
    pub fn name(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }
}

fn shape_note(what: &str, counts: &std::collections::BTreeMap<String, u64>) -> Option<String> {
    if counts.is_empty() {
        return None;
    }
    let named: Vec<String> =
        counts.iter().take(8).map(|(path, rows)| format!("{} ({rows})", printable::name(path))).collect();
    let more = if counts.len() > 8 { format!(" and {} more", counts.len() - 8) } else { String::new() };
    Some(format!("{what}: {}{more}", named.join(", ")))
}

impl RunReport {
    /// The process exit code for this run. A missing permission counts as such only if no table was read.
    pub fn exit_code(&self) -> u8 {
        let any_read = self.tables.iter().any(|table| table.error.is_none());
        worst(self.tables.iter().filter_map(|table| table.error.as_ref()).map(|error| match error.kind() {
            ErrorKind::Permission if any_read => 1,
            kind => kind.exit_code(),
        }))
    }

    /// The summary for people, with a final newline.
    pub fn to_text(&self) -> String {
        let header =
            ["table", "new", "changed", "unchanged", "removed", "rows now", "requests", "time", "outcome"];
        let mut lines = vec![header.map(str::to_owned).to_vec()];
        for table in &self.tables {
            let done = table.committed;
            let outcome = match (table.outcome, table.checkpoint, table.not_due_until) {
                (Outcome::Complete, Some(checkpoint), _) => {
                    format!("complete as of {}", checkpoint.strftime("%F %TZ"))
                }
                (Outcome::Skipped, _, Some(until)) => not_due(until),
                (outcome, ..) => outcome.as_str().to_owned(),
            };
            lines.push(vec![
                table.name(),
                grouped(done.new),
                grouped(done.changed),
                grouped(done.unchanged),
                grouped(done.removed + done.stamped),
                table.live.map_or_else(|| "-".into(), grouped),
                grouped(table.requests),
                format!("{:.1} s", table.elapsed.as_secs_f64()),
                outcome,
            ]);
        }
        let mut text = aligned(&lines);
        for table in &self.tables {
            for note in &table.notes {
                text.push_str(&printable::line(&format!("note: {}: {note}", table.name())));
                text.push('\n');
            }
        }
        text
    }

    /// The summary for programs.
    pub fn to_json(&self) -> Value {
        json!({
            "run_id": self.run_id,
            "started_at": self.started_at.to_string(),
            "finished_at": self.finished_at.to_string(),
            "exit_code": self.exit_code(),
            "tables": self.tables.iter().map(table_json).collect::<Vec<_>>(),
        })
    }
}

fn table_json(table: &TableReport) -> Value {
    json!({
        "schema": table.schema,
        "table": table.table,
        "outcome": table.outcome.as_str(),
        "mode": table.mode,
        "checkpoint": table.checkpoint.map(|at| at.to_string()),
        "not_due_until": table.not_due_until.map(|at| at.to_string()),
        "rows": {
            "read": table.read,
            "new": table.committed.new,
            "changed": table.committed.changed,
            "unchanged": table.committed.unchanged,
            "removed": table.committed.removed,
            "deleted": table.committed.stamped,
            "live": table.live,
            "source_count": table.counted,
        },
        "requests": table.requests,
        "retries": table.retries,
        "seconds": (table.elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
        "unknown_fields": table.shape.unknown,
        "misfit_values": table.shape.misfits,
        "unread_lists": table.shape.unread,
        "rejected_rows": table.shape.keyless.count + table.shape.not_text.count,
        "notes": table.notes,
        "error": table.error.as_ref().map(|error| json!({
            "message": error.to_string(),
            "hint": error.hint(),
        })),
    })
}

/// That a table need not be read before this moment, in whole seconds.
pub fn not_due(until: Timestamp) -> String {
    format!("not due until {}", until.strftime("%F %TZ"))
}

/// Digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Lines of equally many cells in columns: the first and the last to the left, the others to the right.
/// Every line ends in a newline and in no space. A cell is one line, fit to be printed.
pub fn aligned(lines: &[Vec<String>]) -> String {
    let clean = |line: &Vec<String>| line.iter().map(|cell| printable::line(cell)).collect::<Vec<_>>();
    let lines: Vec<Vec<String>> = lines.iter().map(clean).collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(at, (cell, &width))| {
                if at == 0 || at + 1 == columns {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(errors: &[Option<ErrorKind>]) -> RunReport {
        let table = |kind: &Option<ErrorKind>| {
            let mut table = TableReport::new("crm", "contacts", Instant::now());
            table.error = kind.map(|kind| Error::new(kind, "x"));
            table
        };
        let tables = errors.iter().map(table).collect();
        RunReport {
            run_id: "r".into(),
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: Timestamp::UNIX_EPOCH,
            tables,
        }
    }

    #[test]
    fn exit_codes() {
        use ErrorKind::{Auth, Destination, Locked, Network, Permission};
        for (errors, code) in [
            (vec![None, None], 0),
            (vec![None, Some(Permission)], 1),
            (vec![Some(Permission), Some(Permission)], 3),
            (vec![Some(Permission), Some(Network)], 3),
            (vec![None, Some(Auth)], 3),
            (vec![Some(Destination), Some(Auth)], 4),
            (vec![Some(Destination), Some(Locked)], 75),
        ] {
            assert_eq!(report(&errors).exit_code(), code, "{errors:?}");
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn cells_and_notes_are_one_line_each() {
        let mut run = report(&[None]);
        let long = "y".repeat(printable::LONGEST_NAME + 1);
        run.tables[0].shape.unknown =
            [("a\u{1b}[2J\u{202e}\nb".into(), 1), (long.clone(), 2)].into_iter().collect();
        run.tables[0].end(Outcome::Complete, None, &TableProgress::silent());
        let text = run.to_text();
        assert_eq!(text.lines().count(), 3, "{text}");
        let cut = long.get(1..).unwrap_or_default();
        assert!(text.ends_with(&format!("it has no column: a[2J b (1), {cut}… (2)\n")), "{text}");
        // What programs get is exact.
        assert_eq!(run.to_json()["tables"][0]["unknown_fields"]["a\u{1b}[2J\u{202e}\nb"], 1);
        let cells = ["a\u{1b}[2J\nb", "\u{200b}c"].map(str::to_owned).to_vec();
        assert_eq!(aligned(&[cells]), "a[2J b  c\n");
    }
}
