//! The log of runs: a line of JSON for each table of a run, in `_ingest/runs.jsonl` of the lake.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::versions::failed;
use crate::batch::Reject;
use crate::destination::access::{Access, make_folder, private};
use crate::destination::{PastRun, RunRecord};
use crate::error::{Error, ErrorKind, Result};

/// A line.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    run_id: String,
    schema_name: String,
    table_name: String,
    started_at: Timestamp,
    finished_at: Timestamp,
    outcome: String,
    rows_new: u64,
    rows_changed: u64,
    rows_unchanged: u64,
    rows_removed: u64,
    rows_stamped: u64,
    rows_live: u64,
    requests: u64,
    error: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rejected: Vec<Reject>,
}

/// Where the log of a lake is.
fn path(lake: &Path) -> PathBuf {
    lake.join("_ingest").join("runs.jsonl")
}

/// Lines, each with its end.
pub(super) fn to_text(runs: &[RunRecord]) -> Result<String> {
    let mut text = String::new();
    for run in runs {
        let line = serde_json::to_string(&line(run))
            .map_err(|e| Error::new(ErrorKind::Destination, "a run cannot be logged").with_source(e))?;
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

/// Adds lines.
pub(super) fn append(lake: &Path, runs: &[RunRecord]) -> Result<()> {
    let path = path(lake);
    let mut text = to_text(runs)?;
    let unwritten = |e: std::io::Error| failed(&path, "written", e);
    for folder in [Some(lake), path.parent()].into_iter().flatten().filter(|folder| !folder.is_dir()) {
        make_folder(folder, Some(lake)).map_err(unwritten)?;
    }
    let access = path.parent().filter(|_| !path.exists()).and_then(Access::in_folder);
    let mut options = OpenOptions::new();
    let options = private(options.read(true).append(true).create(true));
    let mut file = options.open(&path).map_err(unwritten)?;
    if let Some(access) = access {
        access.give(&file);
    }
    if is_cut_short(&mut file).map_err(unwritten)? {
        text.insert(0, '\n');
    }
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(unwritten)
}

/// Whether the last line was not written to its end.
fn is_cut_short(file: &mut File) -> std::io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// The latest lines, `limit` at most, newest first. Lines that were not written to their end are passed over.
pub(super) fn latest(lake: &Path, limit: usize) -> Result<Vec<PastRun>> {
    let path = path(lake);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(&path, "read", error)),
    };
    let mut lines = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(|e| failed(&path, "read", e))?;
        lines.extend(serde_json::from_slice::<Line>(&line));
    }
    Ok(newest(lines, limit))
}

/// The latest of the lines in `texts`, `limit` at most, newest first.
pub(super) fn latest_of(texts: &[impl AsRef<[u8]>], limit: usize) -> Vec<PastRun> {
    let lines = texts.iter().flat_map(|text| text.as_ref().split(|byte| *byte == b'\n'));
    newest(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect(), limit)
}

fn newest(mut lines: Vec<Line>, limit: usize) -> Vec<PastRun> {
    // Of one run in the order in which they were written.
    lines.sort_by_key(|line| std::cmp::Reverse(line.finished_at));
    lines.truncate(limit);
    lines.into_iter().map(past).collect()
}

fn past(line: Line) -> PastRun {
    PastRun {
        finished_at: line.finished_at.as_microsecond(),
        table: format!("{}.{}", line.schema_name, line.table_name),
        outcome: line.outcome,
        rows: (line.rows_new, line.rows_changed, line.rows_removed),
        error: line.error,
    }
}

fn line(run: &RunRecord) -> Line {
    Line {
        run_id: run.run_id.clone(),
        schema_name: run.schema.clone(),
        table_name: run.table.clone(),
        started_at: run.started_at,
        finished_at: run.finished_at,
        outcome: run.outcome.clone(),
        rows_new: run.committed.new,
        rows_changed: run.committed.changed,
        rows_unchanged: run.committed.unchanged,
        rows_removed: run.committed.removed,
        rows_stamped: run.committed.stamped,
        rows_live: run.committed.live,
        requests: run.requests,
        error: run.error.clone(),
        rejected: run.rejected.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::Committed;

    #[test]
    fn a_line_that_was_cut_short_harms_no_other() {
        let lake = tempfile::tempdir().unwrap();
        let run = |id: &str, second| RunRecord {
            run_id: id.into(),
            schema: "crm".into(),
            table: "tags".into(),
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: Timestamp::from_second(second).unwrap(),
            outcome: id.into(),
            committed: Committed::default(),
            requests: 1,
            error: None,
            rejected: Vec::new(),
        };
        append(lake.path(), &[run("first", 1)]).unwrap();
        let mut text = std::fs::read_to_string(path(lake.path())).unwrap();
        let half: String = text.chars().take(text.len() / 2).collect();
        text.push_str(&half);
        std::fs::write(path(lake.path()), text).unwrap();
        append(lake.path(), &[run("second", 2), run("third", 3)]).unwrap();
        let outcomes = |limit| {
            let runs = latest(lake.path(), limit).unwrap();
            runs.into_iter().map(|run| run.outcome).collect::<Vec<_>>()
        };
        assert_eq!(outcomes(9), ["third", "second", "first"]);
        assert_eq!(outcomes(1), ["third"]);
    }
}
