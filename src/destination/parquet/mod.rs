//! Parquet: a folder per connection, in it a folder per table, in that files which any tool may read at any moment
//! with a glob: `lake/intercom/contacts/*.parquet`.

mod versions;

use std::path::Path;
use std::time::Duration;

use super::{Committed, Destination, PastRun, RunRecord, TableCommit, TableStatus, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::Entry;
use crate::progress::Progress;
use crate::state::{Stored, TableState};

/// Tables in one folder, held for one run.
#[derive(Debug)]
pub struct Lake {}

impl Lake {
    /// Takes the folder for this run, waiting up to `wait` while another run has it. Nothing is created but the lock
    /// file beside it.
    pub fn begin(_folder: &Path, _wait: Duration, _progress: &Progress) -> Result<Self> {
        Err(Error::new(ErrorKind::Usage, "not there yet"))
    }

    /// Proves that the folder can be written, or made.
    pub fn try_out(&mut self) -> Result<()> {
        Err(Error::new(ErrorKind::Usage, "not there yet"))
    }
}

/// What a folder says about its tables and its latest runs (`runs` at most), newest first. Takes no lock on runs, so
/// it works beside one.
pub fn status(_folder: &Path, _runs: usize) -> Result<(Vec<TableStatus>, Vec<PastRun>)> {
    Err(Error::new(ErrorKind::Usage, "not there yet"))
}

/// The states of the targets without taking the folder for a run; `None` where nothing was ever saved.
pub fn read_states(_folder: &Path, _targets: &[Target]) -> Result<Vec<Option<TableState>>> {
    Err(Error::new(ErrorKind::Usage, "not there yet"))
}

impl Destination for Lake {
    fn load(&mut self, _targets: &[Target]) -> Result<Vec<Option<Stored>>> {
        Err(Error::new(ErrorKind::Usage, "not there yet"))
    }

    fn commit(&mut self, _commits: &[TableCommit]) -> Result<Vec<Committed>> {
        Err(Error::new(ErrorKind::Usage, "not there yet"))
    }

    fn live_keys(&mut self, _target: &Target, _each: &mut dyn FnMut(&str)) -> Result<()> {
        Err(Error::new(ErrorKind::Usage, "not there yet"))
    }

    fn entries(&mut self, _target: &Target, _each: &mut dyn FnMut(Entry)) -> Result<()> {
        Err(Error::new(ErrorKind::Usage, "not there yet"))
    }

    fn record(&mut self, _runs: &[RunRecord]) -> Result<()> {
        Err(Error::new(ErrorKind::Usage, "not there yet"))
    }
}
