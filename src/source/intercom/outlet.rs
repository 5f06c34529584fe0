//! Pages on their way out: what they still lack is asked for while the next ones are read.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::follow::Follower;
use super::reader::{Draft, Reader, Want};
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Page, PageSender, Proof};
use crate::table::More;

/// Drafts that may wait until a reader that can wait has to.
const DRAFTS_UNDERWAY: usize = 2;
/// Objects that are asked for as one page, so that what they hold need not be in memory for all rows of a draft.
const OBJECTS_AT_ONCE: usize = 50;
/// Pages that are completed at the same time.
const PAGES_AT_ONCE: usize = 4;

/// Where a reader puts its pages.
#[derive(Debug)]
pub(super) struct Outlet {
    drafts: mpsc::UnboundedSender<Queued>,
    room: Arc<Semaphore>,
}

#[derive(Debug)]
struct Queued {
    draft: Draft,
    slot: Option<OwnedSemaphorePermit>,
}

/// The other end of an [`Outlet`].
#[derive(Debug)]
pub(super) struct Drafts(mpsc::UnboundedReceiver<Queued>);

impl Outlet {
    /// A way out and its other end.
    pub(super) fn new() -> (Self, Drafts) {
        let (drafts, receiver) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(DRAFTS_UNDERWAY));
        (Self { drafts, room }, Drafts(receiver))
    }

    /// Hands a draft over, waiting while too many are underway.
    pub(super) async fn send(&self, draft: Draft) -> Result<()> {
        let slot = Arc::clone(&self.room).acquire_owned().await.ok();
        self.queue(Queued { draft, slot })
    }

    /// Whether a draft could be handed over without waiting.
    pub(super) fn has_room(&self) -> bool {
        self.room.available_permits() > 0
    }

    /// Hands a draft over at once; for reads that expire while they wait.
    pub(super) fn send_now(&self, draft: Draft) -> Result<()> {
        self.queue(Queued { draft, slot: None })
    }

    fn queue(&self, queued: Queued) -> Result<()> {
        // The other end only goes away when everything was stopped.
        self.drafts.send(queued).map_err(|_| Error::new(ErrorKind::Interrupted, "reading was stopped"))
    }
}

impl Drafts {
    /// The shares of all drafts until the outlet is dropped; for reads whose pages lack nothing.
    pub(super) async fn drain(&mut self, mut each: impl FnMut(Draft)) {
        while let Some(Queued { draft, .. }) = self.0.recv().await {
            each(draft);
        }
    }

    /// Completes every draft, in order, and hands the pages to `pages`. With `late`, what pages lack is asked
    /// for only when all of them have been read.
    pub(super) async fn complete(
        self,
        follower: &Follower<'_>,
        late: bool,
        pages: &PageSender,
    ) -> Result<()> {
        let drafts: BoxStream<'_, Queued> =
            stream::unfold(self.0, |mut drafts| async { drafts.recv().await.map(|draft| (draft, drafts)) })
                .boxed();
        if late {
            return complete_late(drafts, follower, pages).await;
        }
        let pieces = drafts.flat_map(|queued| {
            let slot = queued.slot;
            let pieces = pieces(follower.reader(), queued.draft);
            // The slot is given back with the first piece: by then the draft is being worked on.
            drop(slot);
            stream::iter(pieces)
        });
        complete_each(pieces, follower, pages).await
    }
}

/// Completes some pieces at a time and hands them out in their order. Room is waited for before anything is
/// asked: a request that is under way is never left alone while nobody takes the pages.
async fn complete_each(
    pieces: impl Stream<Item = Draft> + Send,
    follower: &Follower<'_>,
    pages: &PageSender,
) -> Result<()> {
    let complete = |piece| async {
        let room = pages.room().await;
        follower.complete(piece).await.map(|page| page.holding(room))
    };
    let mut completed = std::pin::pin!(pieces.map(complete).buffered(PAGES_AT_ONCE));
    while let Some(page) = completed.next().await {
        pages.send_now(page?)?;
    }
    Ok(())
}

/// Hands out at once what the drafts hold, and what they lack at the end.
async fn complete_late(
    mut drafts: BoxStream<'_, Queued>,
    follower: &Follower<'_>,
    pages: &PageSender,
) -> Result<()> {
    // By child and parent: a scroll that starts over shows parents again.
    let mut lacking: HashMap<(usize, String), Want> = HashMap::new();
    while let Some(Queued { draft, .. }) = drafts.next().await {
        let Draft { shares, keys, proof, wants } = draft;
        lacking.extend(wants.into_iter().map(|want| ((want.child, want.id.clone()), want)));
        pages.send_now(Page::new(shares, keys, proof))?;
    }
    let pieces = in_pieces(follower.reader(), lacking.into_values().collect(), Proof::Nothing);
    complete_each(stream::iter(pieces), follower, pages).await
}

/// A draft in pieces: first its rows with the lists they lack, then the objects. Only when the last one has come
/// is anything complete; that an order broke counts from the first one on.
fn pieces(reader: &Reader, draft: Draft) -> Vec<Draft> {
    let enough = reader.pass().limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let is_object = |want: &Want| matches!(reader.children()[want.child].inside.more, More::Object { .. });
    let Draft { shares, keys, proof, wants } = draft;
    let (mut objects, mut lists): (Vec<Want>, Vec<Want>) = wants.into_iter().partition(is_object);
    objects.truncate(enough);
    lists.truncate(enough);
    if reader.pass().limit.is_some() {
        // Whoever wants only some rows may stop with the first ones: what stands inside them comes with them.
        lists.append(&mut objects);
        return vec![Draft { shares, keys, proof, wants: lists }];
    }
    let (first, last) = match proof {
        _ if objects.is_empty() => (proof, Proof::Nothing),
        Proof::Withdrawn => (Proof::Withdrawn, Proof::Nothing),
        proof => (Proof::Nothing, proof),
    };
    let mut pieces = vec![Draft { shares, keys, proof: first, wants: lists }];
    pieces.extend(in_pieces(reader, objects, last));
    pieces
}

fn in_pieces(reader: &Reader, wants: Vec<Want>, proof: Proof) -> Vec<Draft> {
    let mut pieces = Vec::new();
    let mut wants = wants.into_iter().peekable();
    while wants.peek().is_some() {
        let some: Vec<Want> = wants.by_ref().take(OBJECTS_AT_ONCE).collect();
        let proof = if wants.peek().is_some() { Proof::Nothing } else { proof };
        pieces.push(Draft { shares: reader.empty_shares(), keys: Vec::new(), proof, wants: some });
    }
    pieces
}
