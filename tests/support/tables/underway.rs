//! A lake in the middle of a refresh: rows may wait before they can be seen.

use std::collections::HashMap;
use std::path::Path;

use ingest::destination::parquet::table_folder;
use ingest::destination::{Committed, Destination, RunRecord, TableCommit, TextRow};
use ingest::error::Result;
use ingest::ledger::Entry;
use ingest::state::{Refresh, StateChange, Stored, TableState};
use ingest::table::Kind;
use ingest::window::DateField;

use super::{InParquet, Subject, Target, nothing, pass};

/// A lake each of whose commits says that more is to come, or says nothing, but for every fourth one; who looks at it sees it after one
/// that says that nothing is.
#[derive(Debug)]
pub(crate) struct Underway {
    lake: InParquet,
    revisions: HashMap<(String, &'static str), Option<u64>>,
    commits: u32,
    /// Commits after which rows were waiting.
    pub(crate) waited: u32,
}

impl Underway {
    /// The lake.
    pub(crate) fn path(&self) -> &Path {
        self.lake.path()
    }

    fn with_states(&self, commits: &[TableCommit], is_underway: bool) -> Vec<TableCommit> {
        let with_state = |commit: &TableCommit| {
            let mut state = TableState::new("workspace", "2.14", String::new());
            state.refresh = is_underway.then(|| Refresh {
                started_at: pass(0),
                closes_from: pass(0),
                by: DateField::CreatedAt,
                start: None,
                whole: true,
                anew: false,
                remaining: Vec::new(),
            });
            let expected = self.revisions.get(&identity(&commit.target)).copied().flatten();
            TableCommit { state: Some(StateChange { expected, state }), ..commit.clone() }
        };
        commits.iter().map(with_state).collect()
    }

    /// Whether there are rows of a table that wait.
    pub(crate) fn has_waiting(&self, target: &Target) -> bool {
        let folder = table_folder(self.lake.path(), target);
        let is_waiting = |found: std::io::Result<std::fs::DirEntry>| {
            found.is_ok_and(|found| found.file_name().to_string_lossy().ends_with(".waiting"))
        };
        std::fs::read_dir(folder).expect("a folder").any(is_waiting)
    }

    fn carry_out(&mut self, commits: &[TableCommit], is_underway: bool) -> Result<Vec<Committed>> {
        // Not every commit moves the state on; then what was said last holds.
        let says_nothing = is_underway && self.commits % 4 == 3;
        let with_states =
            if says_nothing { commits.to_vec() } else { self.with_states(commits, is_underway) };
        let done = self.lake.destination().commit(&with_states)?;
        for (commit, done) in commits.iter().zip(&done) {
            if done.revision.is_some() {
                self.revisions.insert(identity(&commit.target), done.revision);
            }
            let waits = self.has_waiting(&commit.target);
            assert!(is_underway || !waits, "nothing waits once a refresh is over");
            self.waited += u32::from(waits);
        }
        // States are no concern of those who count.
        Ok(done.into_iter().map(|done| Committed { revision: None, ..done }).collect())
    }
}

fn identity(target: &Target) -> (String, &'static str) {
    (target.schema.to_lowercase(), target.table.name)
}

impl Destination for Underway {
    fn load(&mut self, targets: &[Target]) -> Result<Vec<Option<Stored>>> {
        self.lake.destination().load(targets)
    }

    fn commit(&mut self, commits: &[TableCommit]) -> Result<Vec<Committed>> {
        self.commits += 1;
        self.carry_out(commits, !self.commits.is_multiple_of(4))
    }

    fn live_keys(&mut self, target: &Target, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.lake.destination().live_keys(target, each)
    }

    fn entries(&mut self, target: &Target, each: &mut dyn FnMut(Entry)) -> Result<()> {
        self.lake.destination().entries(target, each)
    }

    fn record(&mut self, runs: &[RunRecord]) -> Result<()> {
        self.lake.destination().record(runs)
    }
}

impl Subject for Underway {
    fn fresh() -> Self {
        Self { lake: InParquet::fresh(), revisions: HashMap::new(), commits: 0, waited: 0 }
    }

    fn destination(&mut self) -> &mut dyn Destination {
        self
    }

    fn rows(&mut self, target: &Target) -> Option<Vec<TextRow>> {
        if self.lake.glob(target).is_some() {
            self.carry_out(&[nothing(target)], false).expect("a commit");
        }
        self.lake.rows(target)
    }

    fn columns(&mut self, target: &Target) -> Option<Vec<(String, String)>> {
        self.lake.columns(target)
    }

    fn sql_type(&self, kind: Kind) -> &'static str {
        self.lake.sql_type(kind)
    }

    fn runs(&mut self) -> Vec<RunRecord> {
        self.lake.runs()
    }
}
