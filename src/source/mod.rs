//! What can be read: the systems, their tables, and the promise between reading and writing.

pub mod intercom;

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::batch::{Owner, Shape};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{Due, Entry, Ledger};
use crate::progress::TableProgress;
use crate::state::Object;
use crate::table::TableSpec;
use crate::window::{DateField, Window};

/// A system we read from, through one connection.
pub trait Source: Debug + Send + Sync {
    /// Every table offered; static, so that listing them needs no network.
    fn tables(&self) -> &'static [&'static TableSpec];

    /// Proves that the credentials work and says whose data they open.
    fn identify<'a>(&'a self, progress: &'a TableProgress) -> BoxFuture<'a, Result<Identity>>;

    /// The server's clock as of the latest answer, if any said.
    fn server_time(&self) -> Option<Timestamp>;

    /// Hands out the rows that `pass` asks for and ends with `Ok` only when none is missing.
    ///
    /// Rows may come more than once: what was read before trouble is not taken back. Dropping the future
    /// cancels the request in flight.
    fn read<'a>(
        &'a self,
        pass: Pass,
        pages: PageSender,
        progress: &'a TableProgress,
    ) -> BoxFuture<'a, Result<()>>;

    /// How many rows the source says `pass` asks for, at least; `None` if it cannot say cheaply. One request.
    /// Bounds may be widened, so a count with an open window is exact and any other an upper estimate.
    fn count<'a>(&'a self, pass: Pass, progress: &'a TableProgress) -> BoxFuture<'a, Result<Option<u64>>>;

    /// Asks for one row of the pass's table by its key. One request, or a few where rows were merged.
    fn look_up<'a>(
        &'a self,
        pass: Pass,
        key: &'a str,
        progress: &'a TableProgress,
    ) -> BoxFuture<'a, Result<Presence>>;

    /// Whether the token is shown the table's [`TableSpec::hidden`] rows too; `None` if that cannot be told. At
    /// most one request.
    fn sees_hidden<'a>(
        &'a self,
        table: &'static TableSpec,
        progress: &'a TableProgress,
    ) -> BoxFuture<'a, Option<bool>>;

    /// The cheapest request that needs the table's permission.
    fn probe<'a>(
        &'a self,
        table: &'static TableSpec,
        progress: &'a TableProgress,
    ) -> BoxFuture<'a, Result<()>>;
}

/// Whose data a connection opens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Id of the workspace (`app.id_code`), if the source says.
    pub workspace: Option<String>,
    /// Name of the workspace.
    pub name: Option<String>,
    /// Region of the workspace, as the source writes it.
    pub region: Option<String>,
    /// Time zone of the workspace.
    pub time_zone: Option<String>,
    /// The server's clock.
    pub date: Option<Timestamp>,
}

/// Whether a row is still there.
#[derive(Debug, Clone)]
pub enum Presence {
    /// It is, and this is what it looks like: one row, with the columns of [`TableSpec::schema`].
    Present(RecordBatch),
    /// It is not.
    Gone {
        /// Key of the row that it was merged into, if the source says so.
        survivor: Option<String>,
    },
}

/// One read of one endpoint, for one table or several.
#[derive(Debug, Clone)]
pub struct Pass {
    /// The table whose endpoint is read.
    pub table: &'static TableSpec,
    /// The tables that are to be filled: that one, tables inside it, or both.
    pub members: Arc<[Member]>,
    /// Which rows.
    pub ask: Ask,
    /// The pass's start by the server's clock; becomes `_ingested_at` of its rows.
    pub began: Timestamp,
    /// Rows of each table that are enough: no more parents of a page are asked one by one.
    pub limit: Option<u64>,
    /// Whether rows are stored that an answer without any would take away: it is asked for again, and not believed at
    /// all where it is no proper list or where there are rows at all times.
    pub expects_rows: bool,
    /// Odd rows that were seen once.
    pub doubts: Doubts,
}

/// Rows without a key, as hashes, that a pass was shown once: such a row is asked for again before it is believed. Clones
/// share them.
#[derive(Debug, Clone, Default)]
pub struct Doubts(Arc<Mutex<HashSet<u64>>>);

/// Answers of a pass that are asked for again for the sake of rows without a key.
const MOST_DOUBTS: usize = 2;

impl Doubts {
    /// Whether to ask for these rows again.
    pub fn raises(&self, rows: &[u64]) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = rows.iter().any(|row| !seen.contains(row)) && seen.len() < MOST_DOUBTS;
        seen.extend(rows);
        is_new
    }
}

/// A table that a pass fills.
#[derive(Debug, Clone)]
pub struct Member {
    /// The table: [`Pass::table`] or a table inside it.
    pub table: &'static TableSpec,
    /// Requests made for it alone are reported here.
    pub progress: TableProgress,
    /// What need not be read again, for a table that is read one object at a time.
    pub ledger: Option<Arc<Ledger>>,
    /// Why it wants no more rows, if it does not.
    pub failure: Option<Error>,
}

impl Pass {
    /// A read of one table for itself.
    pub fn alone(table: &'static TableSpec, ask: Ask, began: Timestamp) -> Self {
        let progress = TableProgress::silent();
        let member = Member { table, progress, ledger: None, failure: None };
        Self {
            table,
            members: [member].into(),
            ask,
            began,
            limit: None,
            expects_rows: false,
            doubts: Doubts::default(),
        }
    }
}

/// Which rows a pass is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Every row.
    Everything,
    /// The rows inside some rows of the table, whose objects are read one by one. The table's own rows are not asked
    /// for.
    Inside(Arc<[Due]>),
    /// Some rows of the table by their own addresses, and the rows inside them, which could not be read before.
    Again(Arc<[Object]>),
    /// Rows by one of their dates, decided by value.
    Dated {
        /// Which date.
        by: DateField,
        /// Which dates: windows in order and apart from each other, at least one.
        windows: Arc<[Window]>,
        /// In which order, which decides what may be concluded from a page.
        order: Order,
        /// Whether rows without that date are asked for as well, which a server that filters by it does not show.
        undated: bool,
    },
}

impl Ask {
    /// Rows by one of their dates, in one window; rows without that date too if the window has no bounds.
    pub fn dated(by: DateField, window: Window, order: Order) -> Self {
        Self::Dated { by, windows: [window].into(), order, undated: window == Window::default() }
    }
}

/// The order in which dated rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Proves ever more; ends at rows younger than the pass. Several places may be read at once.
    OldestFirst,
    /// Ends early: at the first whole page of rows older than the window.
    NewestFirst,
}

/// Rows of one answer, and of what had to be asked for beside it.
#[derive(Debug)]
pub struct Page {
    /// For each member of the pass, in their order: its rows, or why it gets no more of them.
    pub shares: Vec<Result<Share>>,
    /// One hash per row of the pass's own table of its key, whether or not that table is a member.
    pub keys: Vec<u64>,
    /// What is known once this page has been taken.
    pub proof: Proof,
    _room: Option<Room>,
}

/// The rows of a page that belong to one table.
#[derive(Debug)]
pub struct Share {
    /// The rows, with the columns of [`TableSpec::schema`].
    pub batch: RecordBatch,
    /// What did not fit the declaration.
    pub shape: Shape,
    /// Of tables that are replaced per parent: whose rows they are, in the order of the rows. One that is not whole is
    /// there, and what is stored of it stays.
    pub owners: Vec<Owner>,
    /// What is to be noted about the parents of these rows.
    pub entries: Vec<Entry>,
    /// Parents whose rows could not be had because they are gone by now, or not found.
    pub missing: u64,
    /// Parents that show only some of their rows, the others of which cannot be asked for.
    pub cut: u64,
    /// Parents that were to be read again and could not be.
    pub unread: u64,
    /// Parents whose rows could not be read, and why.
    pub failed: Vec<Failed>,
    /// Why the rows of some parents could not be had, so that the table is not complete with those of the others.
    pub incomplete: Option<Error>,
}

/// An object that could not be read.
#[derive(Debug, Clone)]
pub struct Failed {
    /// Which.
    pub object: Object,
    /// Why.
    pub error: Error,
}

impl Share {
    /// Rows that need no word about their parents.
    pub fn of(batch: RecordBatch, shape: Shape) -> Self {
        Self {
            batch,
            shape,
            owners: Vec::new(),
            entries: Vec::new(),
            missing: 0,
            cut: 0,
            unread: 0,
            failed: Vec::new(),
            incomplete: None,
        }
    }
}

impl Page {
    /// A page on its way.
    pub fn new(shares: Vec<Result<Share>>, keys: Vec<u64>, proof: Proof) -> Self {
        Self { shares, keys, proof, _room: None }
    }

    /// The page, with the room that was kept for it.
    #[must_use]
    pub fn holding(self, room: Room) -> Self {
        Self { _room: Some(room), ..self }
    }
}

/// What follows from the pages of a pass up to one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Nothing new.
    Nothing,
    /// Every row dated in this window has been handed out.
    Covered(Window),
    /// Nothing, and what earlier pages of the pass proved was wrong: the order they relied on is broken.
    Withdrawn,
}

/// Pages that may wait between source and destination before the source has to.
const PAGES_UNDERWAY: usize = 8;

/// A channel for pages, bounded for everybody who can wait.
pub fn page_channel() -> (PageSender, mpsc::UnboundedReceiver<Page>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (PageSender { sender, slots: Arc::new(Semaphore::new(PAGES_UNDERWAY)) }, receiver)
}

/// Room for one page between source and destination.
#[derive(Debug)]
pub struct Room {
    _permit: Option<OwnedSemaphorePermit>,
}

/// The source's end of the channel.
#[derive(Debug, Clone)]
pub struct PageSender {
    sender: mpsc::UnboundedSender<Page>,
    slots: Arc<Semaphore>,
}

impl PageSender {
    /// Keeps room for a page, waiting while too many are underway.
    pub async fn room(&self) -> Room {
        // The semaphore is never closed.
        Room { _permit: Arc::clone(&self.slots).acquire_owned().await.ok() }
    }

    /// Hands a page over at once; it takes up room only if it holds some.
    pub fn send_now(&self, page: Page) -> Result<()> {
        // The receiver only goes away when the table has failed or the run was stopped.
        self.sender.send(page).map_err(|_| Error::new(ErrorKind::Interrupted, "reading was stopped"))
    }
}
