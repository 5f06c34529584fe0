//! What can be read: the systems, their tables, and the promise between reading and writing.

pub mod intercom;

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::batch::Shape;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::TableProgress;
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

    /// Asks for one row by its key. One request.
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
    Gone,
}

/// One read of one table.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// The table.
    pub table: &'static TableSpec,
    /// Which rows.
    pub ask: Ask,
    /// The pass's start by the server's clock; becomes `_ingested_at` of its rows.
    pub began: Timestamp,
}

/// Which rows a pass is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Every row.
    Everything,
    /// Rows by one of their dates, decided by value; rows without a readable date are among them.
    Dated {
        /// Which date.
        by: DateField,
        /// Which dates.
        window: Window,
        /// In which order, which decides what may be concluded from a page.
        order: Order,
    },
}

/// The order in which dated rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Proves ever more from the beginning; ends at rows younger than the pass.
    OldestFirst,
    /// Ends early: at the first whole page of rows older than the window.
    NewestFirst,
}

/// Rows of one answer.
#[derive(Debug)]
pub struct Page {
    /// The rows, with the columns of [`TableSpec::schema`].
    pub batch: RecordBatch,
    /// What is known once this page has been taken.
    pub proof: Proof,
    /// What did not fit the declaration.
    pub shape: Shape,
    slot: Option<OwnedSemaphorePermit>,
}

impl Page {
    /// A page on its way.
    pub fn new(batch: RecordBatch, proof: Proof, shape: Shape) -> Self {
        Self { batch, proof, shape, slot: None }
    }
}

/// What follows from the pages of a pass up to one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Nothing new.
    Nothing,
    /// Every row of the window dated before this second has been handed out.
    CompleteTo(i64),
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

/// The source's end of the channel.
#[derive(Debug, Clone)]
pub struct PageSender {
    sender: mpsc::UnboundedSender<Page>,
    slots: Arc<Semaphore>,
}

impl PageSender {
    /// Hands a page over, waiting while too many are underway.
    pub async fn send(&self, mut page: Page) -> Result<()> {
        page.slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        self.send_now(page)
    }

    /// Hands a page over at once; for reads that expire while they wait.
    pub fn send_now(&self, page: Page) -> Result<()> {
        // The receiver only goes away when the table has failed or the run was stopped.
        self.sender.send(page).map_err(|_| Error::new(ErrorKind::Interrupted, "reading was stopped"))
    }
}
