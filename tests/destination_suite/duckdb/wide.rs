//! Rows so wide that few of them are more than DuckDB may have in memory.

use std::time::Duration;

use ingest::destination::duckdb::{DuckDb, Options, query};
use ingest::destination::{Committed, Destination, TableCommit};
use ingest::error::Error;
use ingest::progress::{Mode, Progress};
use tempfile::TempDir;

use crate::support::tables::{pass, target, upsert};

/// Text that does not pack well, another one for each seed.
fn text(seed: u64, bytes: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'a' + u8::try_from(state % 26).expect("a letter"))
    };
    (0..bytes).map(|_| letter()).collect()
}

/// Conversations of which each has a body of so many bytes; another one in each version.
fn conversations(ids: std::ops::Range<u64>, bytes: usize, version: u64) -> TableCommit {
    let row = |id: u64| {
        let body = text(id * 1_000 + version, bytes);
        format!(r#"{{"id":"{id}","updated_at":{version},"source":{{"body":"{body}"}}}}"#)
    };
    let rows: Vec<String> = ids.map(row).collect();
    upsert(&target("conversations"), pass(1), &format!("[{}]", rows.join(",")))
}

struct Run {
    folder: TempDir,
    options: Options,
}

impl Run {
    fn with(memory_limit: Option<&str>) -> Self {
        let default = Options::default();
        let options = Options {
            memory_limit: memory_limit.map_or(default.memory_limit.clone(), str::to_owned),
            may_take_more: memory_limit.is_none(),
            ..default
        };
        Self { folder: TempDir::new().unwrap(), options }
    }

    /// Carries out a commit in a run of its own.
    fn commit(&self, commit: TableCommit) -> Result<Committed, Error> {
        let (path, progress) = (self.folder.path().join("data.duckdb"), Progress::new(Mode::Off));
        let mut file = DuckDb::begin(&path, self.options.clone(), Duration::ZERO, progress)?;
        let done = file.commit_and_forget(vec![commit])?;
        file.rest();
        Ok(done[0])
    }

    /// Rows, bytes of all bodies, and what the first letters of those say.
    fn found(&self) -> Vec<String> {
        let sql = "SELECT count(*), sum(strlen(source_body)), md5(string_agg(source_body[:20], '' ORDER BY id)) FROM crm.conversations";
        let options = Options { memory_limit: "4GB".into(), ..Options::default() };
        query(&self.folder.path().join("data.duckdb"), &options, sql).unwrap().remove(1)
    }
}

/// Loads rows, brings them all again with half of them changed, then a single small one.
fn comes_and_changes(rows: u64, bytes: usize) {
    let run = Run::with(None);
    let done = run.commit(conversations(0..rows, bytes, 1)).unwrap();
    assert_eq!((done.new, done.live), (rows, rows), "{rows} of {bytes}");
    let half = rows / 2;
    let mut again = conversations(0..half, bytes, 2);
    again.batches.extend(conversations(half..rows, bytes, 1).batches);
    let done = run.commit(again).unwrap();
    assert_eq!((done.new, done.changed, done.unchanged), (0, half, rows - half), "{rows} of {bytes}");
    let done = run.commit(conversations(rows..rows + 1, 10, 1)).unwrap();
    assert_eq!((done.new, done.live), (1, rows + 1), "{rows} of {bytes}");
    let found = run.found();
    assert_eq!(found[..2], [(rows + 1).to_string(), (rows * bytes as u64 + 10).to_string()]);
}

#[test]
fn many_rows_of_fifty_kilobytes() {
    comes_and_changes(3_000, 50_000);
}

#[test]
fn a_few_rows_of_eight_megabytes() {
    comes_and_changes(20, 8_000_000);
}

#[test]
#[ignore = "takes two gigabytes of memory"]
fn two_hundred_rows_of_two_megabytes() {
    comes_and_changes(200, 2_000_000);
}

#[test]
#[ignore = "takes two gigabytes of memory"]
fn a_dozen_rows_of_twenty_megabytes() {
    comes_and_changes(12, 20_000_000);
}

#[test]
#[ignore = "takes two gigabytes of memory"]
fn three_thousand_rows_of_a_hundred_kilobytes() {
    comes_and_changes(3_000, 100_000);
}

/// Lands, or fails by the name of the setting and leaves what is stored as it was; it never ends the process.
#[test]
fn a_limit_that_was_set_is_not_exceeded() {
    let run = Run::with(Some("128MB"));
    run.commit(conversations(0..10, 100, 1)).unwrap();
    let before = run.found();
    for (rows, bytes) in [(2_000, 100_000), (20, 8_000_000)] {
        match run.commit(conversations(0..rows, bytes, 2)) {
            Ok(done) => assert_eq!(done.live, rows),
            Err(error) => {
                assert!(error.to_string().contains("memory_limit"), "{error:?}");
                assert_eq!(run.found(), before, "{rows} of {bytes}");
            }
        }
    }
}
