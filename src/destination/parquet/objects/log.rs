//! The log of runs: an object for each run, by days, since nothing can be added to an object.

use std::sync::Arc;

use super::bucket::Bucket;
use crate::destination::parquet::runs;
use crate::destination::{PastRun, RunRecord};
use crate::error::Result;

/// Where it is.
const FOLDER: &str = "_ingest/runs";

/// Adds lines.
pub(super) fn append(bucket: &Bucket, records: &[RunRecord]) -> Result<()> {
    let Some(first) = records.first() else { return Ok(()) };
    let (day, time) = (first.finished_at.strftime("%Y-%m-%d"), first.finished_at.strftime("%H%M%S%.6f"));
    let name = format!("{FOLDER}/{day}/{time}-{:016x}.jsonl", fastrand::u64(..));
    bucket.put(&name, runs::to_text(records)?.into())
}

/// The latest lines, `limit` at most, newest first.
pub(super) fn latest(bucket: &Arc<Bucket>, limit: usize) -> Result<Vec<PastRun>> {
    let mut texts = Vec::new();
    if limit == 0 {
        return Ok(Vec::new());
    }
    let mut days = bucket.folders(FOLDER)?;
    days.sort();
    for day in days.iter().rev() {
        let mut names: Vec<String> = bucket.list(&format!("{FOLDER}/{day}"))?.into_keys().collect();
        names.sort();
        for name in names.iter().rev() {
            // Each has a line at least.
            if texts.len() >= limit {
                return Ok(runs::latest_of(&texts, limit));
            }
            texts.extend(bucket.get(name)?.map(|found| found.bytes));
        }
    }
    Ok(runs::latest_of(&texts, limit))
}
