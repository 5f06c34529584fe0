//! Intercom: one workspace, read through its REST API.

mod chain;
pub mod cuts;
mod follow;
mod lists;
mod log;
mod numbered;
mod outlet;
mod page;
mod page_numbers;
mod page_size;
mod parallel;
mod query;
mod reader;
mod scroll;
mod search;
mod sequence;
mod sweep;
pub mod tables;
mod tally;
mod trouble;
mod undated;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;

use super::{Ask, Identity, PageSender, Pass, Presence, Source};
use chain::Common;
use follow::{Follower, escaped};
use log::Span;
use outlet::Outlet;
use page_size::PageSizes;
use query::Search;
use reader::Reader;

use crate::batch::{Decoder, Layout};
use crate::client::{Call, CallError, Client};
use crate::error::{Error, ErrorKind, Result};
use crate::printable;
use crate::progress::TableProgress;
use crate::table::{Endpoint, List, TableSpec};
use crate::window::{self, DateField};

/// No workspace is older: 2011-01-01T00:00:00Z.
const FIRST_WORKSPACE: i64 = 1_293_840_000;
/// The largest answer about the workspace itself that is read.
const LARGEST_ME: usize = 1 << 20;
/// Hops from a merged row to the one that is still there.
const MERGES: usize = 3;

/// One workspace.
#[derive(Debug)]
pub struct Intercom {
    client: Client,
    /// Minor of the API version, 2.x.
    minor: u8,
    /// The region the connection is configured for, in upper case, if that is to be checked.
    region: Option<String>,
    /// The widest window that the activity log is asked for.
    log_step: Duration,
    /// When the workspace was made, in epoch seconds, once it has said so.
    made_at: Mutex<Option<i64>>,
    page_sizes: PageSizes,
}

impl Intercom {
    /// A workspace behind `client`, which speaks API version 2.`minor`. With `region` given, a token of
    /// another region is refused.
    pub fn new(client: Client, minor: u8, region: Option<String>) -> Self {
        let log_step = Duration::from_secs(30 * 86_400);
        let region = region.map(|r| r.to_uppercase());
        Self { client, minor, region, log_step, made_at: Mutex::default(), page_sizes: PageSizes::default() }
    }

    /// The same, asking for at most `step` of the activity log at once.
    #[must_use]
    pub fn with_log_step(self, step: Duration) -> Self {
        Self { log_step: step, ..self }
    }

    /// The workspace's client, reporting to `progress`.
    fn client(&self, progress: &TableProgress) -> Client {
        self.client.on_behalf_of(progress.clone())
    }

    async fn me(&self, progress: &TableProgress) -> Result<Identity> {
        let answer = self.client(progress).send(|_| Call::get("/me").at_most(LARGEST_ME)).await;
        let answer = match answer {
            Ok(answer) => answer,
            // The token is known, but may not see whose it is; that is no reason to read nothing.
            Err(error) if matches!(error.status(), Some(403 | 404)) => {
                tracing::warn!(%error, "the workspace is not known, so that it cannot be told from another");
                return Ok(Identity::default());
            }
            Err(error) => return Err(self.explain_me(error)),
        };
        let me: Value = serde_json::from_slice(&answer.body).map_err(|_| {
            Error::new(ErrorKind::Api, "GET /me: the answer is not JSON").with_hint("check base_url")
        })?;
        *self.made_at.lock().unwrap_or_else(PoisonError::into_inner) = me["app"]["created_at"].as_i64();
        let text = |key: &str| me["app"][key].as_str().map(without_token);
        let identity = Identity {
            workspace: text("id_code"),
            name: text("name"),
            region: text("region"),
            time_zone: text("timezone"),
            date: answer.date,
        };
        match (&self.region, &identity.region) {
            (Some(ours), Some(theirs)) if !ours.eq_ignore_ascii_case(theirs) => {
                let theirs = printable::name(theirs);
                let message = format!(
                    "the token belongs to a workspace in region {theirs}, the connection is for {ours}"
                );
                let hint = format!("set region: {}", theirs.to_lowercase());
                Err(Error::new(ErrorKind::Auth, message).with_hint(hint))
            }
            _ => Ok(identity),
        }
    }

    fn explain_me(&self, error: CallError) -> Error {
        let refused = error.status() == Some(401);
        let explained = error.into_error();
        if !refused {
            return explained;
        }
        explained.within(format!("the token is refused by {}", self.client.base_url())).with_hint(
            "check that the token is complete and not revoked, and that region (us, eu, au) is the workspace's own: \
             a token of another region is refused like a wrong one",
        )
    }

    /// Tells a token that is refused from a permission that is missing: 401 may mean either.
    async fn explain(&self, table: &'static TableSpec, error: Error, progress: &TableProgress) -> Error {
        let lacks = match error.kind() {
            ErrorKind::Permission => true,
            ErrorKind::Auth => match self.me(progress).await {
                Ok(_) => true,
                Err(token) => return token,
            },
            _ => false,
        };
        if !lacks {
            return error;
        }
        Error::new(ErrorKind::Permission, format!("the token lacks the permission \"{}\"", table.permission))
            .with_source(error)
            .with_hint(format!(
                "grant \"{}\" to the app in Intercom's Developer Hub (Configure, Authentication), then run again",
                table.permission
            ))
    }

    async fn read_rows(&self, pass: &Pass, pages: &PageSender, progress: &TableProgress) -> Result<()> {
        let (outlet, drafts) = Outlet::new();
        let follower = Follower::new(self, Reader::new(pass, None, None));
        // Nothing is fetched between the pages of a scroll, which would expire.
        let is_late = matches!(pass.table.endpoint, Endpoint::Scroll { .. });
        let reading = async {
            let read = self.read_answers(pass, &outlet, progress).await;
            drop(outlet);
            read
        };
        let completing = drafts.complete(&follower, is_late, pages);
        tokio::pin!(reading, completing);
        tokio::select! {
            // What was read before the end, for better or worse, is still completed and handed out.
            read = &mut reading => completing.await.and(read),
            // Ends before the reading does only if nobody takes the pages any more.
            completed = &mut completing => match completed {
                Ok(()) => reading.await,
                Err(error) => Err(error),
            },
        }?;
        follower.verdict().map_or(Ok(()), |verdict| pages.send_now(verdict))
    }

    /// Reads the answers of a pass into `outlet`; errors say which permission is missing if that is why.
    async fn read_answers(&self, pass: &Pass, outlet: &Outlet, progress: &TableProgress) -> Result<()> {
        let client = self.client(progress);
        let read = match (pass.table.endpoint, &pass.ask) {
            (Endpoint::Search { .. }, Ask::Dated { by, windows, order, undated }) => {
                let (client, by, order) = (&client, *by, *order);
                let sizes = &self.page_sizes;
                let common = Common { client, pass, outlet, progress, sizes, by, order, group: None };
                search::read(common, windows, *undated).await
            }
            (Endpoint::Log { .. }, Ask::Dated { by: DateField::CreatedAt, windows, order, .. }) => {
                let made_at = *self.made_at.lock().unwrap_or_else(PoisonError::into_inner);
                let span = Span {
                    windows,
                    order: *order,
                    earliest: made_at.map_or(FIRST_WORKSPACE, |at| at - crate::window::DAY),
                    step: i64::try_from(self.log_step.as_secs()).unwrap_or(i64::MAX).max(1),
                };
                log::read(&client, pass, span, outlet, progress).await
            }
            (Endpoint::Scroll { .. }, Ask::Everything) => scroll::read(&client, pass, outlet, progress).await,
            (Endpoint::Pages { per_page, .. }, Ask::Everything) => {
                numbered::read(&client, pass, per_page, outlet, progress).await
            }
            (Endpoint::Lists { lists, .. }, Ask::Everything) => {
                lists::read(&client, pass, (lists, self.minor), outlet, progress).await
            }
            (Endpoint::Sweep { groups, field, .. }, Ask::Everything) => {
                let ids = match sweep::group_ids(&client, pass, groups, self.minor, progress).await {
                    Ok(ids) => ids,
                    // The groups are a matter of their own permission.
                    Err(error) => return Err(self.explain(groups, error, progress).await),
                };
                sweep::read((&client, &self.page_sizes), pass, (ids, field), outlet, progress).await
            }
            (_, Ask::Again(objects)) => follow::read_again(&client, pass, objects, outlet).await,
            (_, Ask::Inside(parents)) => follow::read_inside(pass, parents, outlet).await,
            (endpoint, ask) => {
                let message = format!("{} cannot be asked for {ask:?}", endpoint.describe());
                Err(Error::new(ErrorKind::Api, message))
            }
        };
        match read {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explain(pass.table, error, progress).await),
        }
    }

    async fn count_rows(&self, pass: &Pass, progress: &TableProgress) -> Result<Option<u64>> {
        let (Endpoint::Search { path, .. }, Ask::Dated { by, windows, order, .. }) =
            (pass.table.endpoint, &pass.ask)
        else {
            return Ok(None);
        };
        let (by, window, order, now) = (*by, window::hull(windows), *order, pass.began.as_second());
        let search = Search { by, window, order, sort: DateField::UpdatedAt, now, cut: None, group: None };
        let answer = self.client(progress).send(|_| Call::post(path, search.body(1, None))).await;
        let answer = answer.map_err(CallError::into_error)?;
        Ok(page::total_count(&answer.body))
    }

    async fn look_up_row(&self, pass: &Pass, key: &str, progress: &TableProgress) -> Result<Presence> {
        let Some(object) = pass.table.object else {
            let message = format!("table {} has no path for one row", pass.table.name);
            return Err(Error::new(ErrorKind::Api, message));
        };
        let client = self.client(progress);
        let mut id = key.to_owned();
        let mut survivor = None;
        for _ in 0..=MERGES {
            match client.send(|_| Call::get(format!("{object}/{}", escaped(&id)))).await {
                Ok(_) if survivor.is_some() => break,
                Ok(answer) => {
                    let decoder = Decoder::new(Layout::new(pass.table));
                    let row = page::read_object(pass.table, &decoder, &answer.body, pass.began);
                    let unreadable = |e| Error::new(ErrorKind::Data, format!("one row: {e}"));
                    return row.map(Presence::Present).map_err(unreadable);
                }
                Err(error) => match (error.status(), error.canonical()) {
                    (Some(410), Some(next)) => {
                        id.clone_from(&next);
                        survivor = Some(next);
                    }
                    (Some(404 | 410), _) => break,
                    _ => return Err(error.into_error()),
                },
            }
        }
        Ok(Presence::Gone { survivor })
    }

    async fn probe_table(&self, table: &'static TableSpec, progress: &TableProgress) -> Result<()> {
        let table = table.lead();
        let call = match table.endpoint {
            Endpoint::Search { path, .. } | Endpoint::Sweep { path, .. } => {
                Call::post(path, query::anything())
            }
            Endpoint::Pages { path, .. } => Call::get(format!("{path}?page=1&per_page=1")),
            Endpoint::Log { path, .. } => {
                let hour_ago = crate::clock::now().as_second() - 3_600;
                Call::get(format!("{path}?created_at_after={hour_ago}&page=1&per_page=1"))
            }
            // A scroll that is only tried would keep others out for a minute; the object path needs the
            // same permission, and no company has this id.
            Endpoint::Scroll { .. } => {
                Call::get(format!("{}/000000000000000000000000", table.object.unwrap_or_default()))
            }
            Endpoint::Lists { lists, .. } => {
                let list = lists.iter().find(|list: &&List| list.is_in(self.minor));
                Call::get(list.or(lists.first()).map(|list| list.path).unwrap_or_default())
            }
            Endpoint::Inside(_) => return Ok(()),
        };
        match self.client(progress).send(|_| call.clone()).await {
            Ok(_) => Ok(()),
            Err(error)
                if error.status() == Some(404) && matches!(table.endpoint, Endpoint::Scroll { .. }) =>
            {
                Ok(())
            }
            Err(error) => Err(error.into_error()),
        }
    }
}

/// A name that is kept in states, where nobody knows any more what must not be printed: cleaned if the token is in it.
fn without_token(name: &str) -> String {
    let shown = printable::name(name);
    if shown.contains("***") && !name.contains("***") { shown } else { name.to_owned() }
}

impl Source for Intercom {
    fn tables(&self) -> &'static [&'static TableSpec] {
        tables::TABLES
    }

    fn identify<'a>(&'a self, progress: &'a TableProgress) -> BoxFuture<'a, Result<Identity>> {
        self.me(progress).boxed()
    }

    fn server_time(&self) -> Option<Timestamp> {
        self.client.server_time()
    }

    fn read<'a>(
        &'a self,
        pass: Pass,
        pages: PageSender,
        progress: &'a TableProgress,
    ) -> BoxFuture<'a, Result<()>> {
        async move { self.read_rows(&pass, &pages, progress).await }.boxed()
    }

    fn count<'a>(&'a self, pass: Pass, progress: &'a TableProgress) -> BoxFuture<'a, Result<Option<u64>>> {
        async move {
            match self.count_rows(&pass, progress).await {
                Ok(count) => Ok(count),
                Err(error) => Err(self.explain(pass.table, error, progress).await),
            }
        }
        .boxed()
    }

    fn look_up<'a>(
        &'a self,
        pass: Pass,
        key: &'a str,
        progress: &'a TableProgress,
    ) -> BoxFuture<'a, Result<Presence>> {
        async move {
            match self.look_up_row(&pass, key, progress).await {
                Ok(presence) => Ok(presence),
                Err(error) => Err(self.explain(pass.table, error, progress).await),
            }
        }
        .boxed()
    }

    fn sees_hidden<'a>(
        &'a self,
        table: &'static TableSpec,
        progress: &'a TableProgress,
    ) -> BoxFuture<'a, Option<bool>> {
        async move {
            let path = table.hidden?.path;
            match self.client(progress).send(|_| Call::post(path, query::anything())).await {
                Ok(_) => Some(true),
                Err(error) if matches!(error.status(), Some(401 | 403)) => Some(false),
                Err(_) => None,
            }
        }
        .boxed()
    }

    fn probe<'a>(
        &'a self,
        table: &'static TableSpec,
        progress: &'a TableProgress,
    ) -> BoxFuture<'a, Result<()>> {
        async move {
            match self.probe_table(table, progress).await {
                Ok(()) => Ok(()),
                Err(error) => Err(self.explain(table, error, progress).await),
            }
        }
        .boxed()
    }
}
