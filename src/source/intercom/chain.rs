//! One cursor of a search: page after page, begun again where it had come to after a pass that failed.

use std::time::{Duration, Instant};

use super::outlet::Outlet;
use super::page::Next;
use super::page_size::{PageSize, PageSizes, largest_answer};
use super::query::Search;
use super::reader::Reader;
use super::search::Group;
use super::sequence::{Envelope, Sequence, Shortage, Step, Stuck, Until};
use super::trouble::{Passes, Trouble};
use crate::batch;
use crate::client::{Attempts, Call, CallError, Client};
use crate::error::Error;
use crate::progress::TableProgress;
use crate::source::{Order, Pass, Proof};
use crate::window::{DateField, Window};

/// What all cursors of one read have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Common<'c> {
    pub(super) client: &'c Client,
    pub(super) pass: &'c Pass,
    pub(super) outlet: &'c Outlet,
    pub(super) progress: &'c TableProgress,
    pub(super) sizes: &'c PageSizes,
    /// The date that windows are about.
    pub(super) by: DateField,
    pub(super) order: Order,
    /// Only the rows of this group, of any date.
    pub(super) group: Option<Group<'c>>,
}

/// A cursor.
#[derive(Debug)]
pub(super) struct Chain<'c> {
    common: Common<'c>,
    /// What it is to read; a chain that was cut off begins where its first page does.
    window: Window,
    until: Until,
    /// What is asked for: the window, or what a failed pass has left of it.
    search: Search<'c>,
    reader: Reader,
    /// The dates of rows that the reader hands out.
    keeps: Window,
    /// Where a chain that was cut off begins, by its first page, until that was had.
    joint: Option<i64>,
    is_joined: bool,
    sequence: Sequence,
    size: PageSize,
    cursor: Option<String>,
    passes: Passes<'c>,
    /// Every row of the window before this second was handed out.
    proven: Option<i64>,
    /// Whether what its order proves is told.
    tells: bool,
    /// What the last pass was short of at its end, and what has been found since.
    lacking: Option<Lacking>,
    /// Whether everything was read anew because of that.
    is_anew: bool,
}

/// Rows that were stated and not shown at what looked like the end.
#[derive(Debug, Clone, Copy)]
struct Lacking {
    rows: u64,
    /// The last date that was shown.
    after: Option<i64>,
    found: u64,
}

/// What a page was like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    /// Nothing of the window can come after it.
    pub(super) ended: bool,
    /// Its dates went against the order, or those of a page before it.
    pub(super) order_broke: bool,
    /// The first date on it.
    pub(super) first: Option<i64>,
    /// The last date so far.
    pub(super) at: Option<i64>,
    /// Rows that match the query, as stated.
    pub(super) total: Option<u64>,
    pub(super) rows: u64,
    /// The keys of its rows that lack the date it is sorted by.
    pub(super) undated: Vec<u64>,
    /// Length of the answer.
    pub(super) bytes: usize,
    /// How long it was waited for.
    pub(super) took: Duration,
}

/// Why a chain goes no further.
#[derive(Debug)]
pub(super) enum Halt {
    /// The endpoint does not sort by the date asked for.
    RefusesSort,
    Failed(Error),
}

impl<'c> Chain<'c> {
    /// A cursor over `window`.
    pub(super) fn over(common: Common<'c>, window: Window) -> Self {
        Self::new(common, window, None)
    }

    /// A cursor over what the server takes to lie after the second `cut`, up to the end of `window`. Its window
    /// begins with the second after that of its first row: some rows of that very second may not be shown to it. Those
    /// that are shown are not handed out, since the cursor it was cut off from reads that second to its end.
    pub(super) fn cut_off(common: Common<'c>, window: Window, cut: i64) -> Self {
        Self::new(common, Window { from: Some(cut), ..window }, Some(cut))
    }

    fn new(common: Common<'c>, window: Window, cut: Option<i64>) -> Self {
        let Common { client, pass, progress, by, order, group, .. } = common;
        let until = Until::new(window.to);
        let search = Search { by, window, order, sort: by, now: pass.began.as_second(), cut, group };
        Self {
            common,
            window,
            sequence: sequence(search, &until),
            until,
            reader: Reader::new(pass, Some((by, window)), group.map(|group| group.id)),
            keeps: window,
            joint: None,
            is_joined: cut.is_none(),
            search,
            size: common.sizes.of(&pass.table.endpoint.path()),
            cursor: None,
            passes: Passes::new(client, progress),
            proven: None,
            tells: true,
            lacking: None,
            is_anew: false,
        }
    }

    /// Whether its last pass was one over everything, whatever the dates, to the end that the server states.
    pub(super) fn has_shown_all(&self) -> bool {
        let is_unbounded = self.search.window == Window::default() && self.search.cut.is_none();
        is_unbounded && self.until.get().is_none()
    }

    /// Sorts by the other date: nothing follows from the order of pages then.
    pub(super) fn sort_by_change(&mut self) {
        self.search.sort = DateField::UpdatedAt;
        self.begin_again();
    }

    /// Tells nothing any more that follows from the order of its pages.
    pub(super) fn tell_nothing(&mut self) {
        self.tells = false;
    }

    /// Where it ends; may be moved towards its beginning.
    pub(super) fn until(&self) -> Until {
        self.until.clone()
    }

    /// Reads one page and hands it out.
    pub(super) async fn turn(&mut self) -> Result<Turn, Halt> {
        loop {
            let reason = match self.page().await {
                // Rows out of order may lie before where an earlier pass had proven everything.
                Ok(turn) if turn.ended && turn.order_broke && self.search.window.from != self.window.from => {
                    "a broken order".to_owned()
                }
                Ok(turn) if turn.ended && self.is_short_on_the_way() => {
                    self.search.window.from = self.window.from;
                    self.begin_again();
                    self.passes
                        .failed("fewer rows on the way than are stated")
                        .await
                        .map_err(Halt::Failed)?;
                    continue;
                }
                Ok(turn) => {
                    self.settle_joint();
                    return Ok(turn);
                }
                Err(Stop::RefusesSort) => return Err(Halt::RefusesSort),
                Err(Stop::Trouble(Trouble::Fatal(error))) => return Err(Halt::Failed(error)),
                Err(Stop::Trouble(Trouble::FailedPass(reason))) => reason,
            };
            self.go_back();
            self.passes.failed(&reason).await.map_err(Halt::Failed)?;
        }
    }

    /// Whether rows that an earlier pass was short of have not come beyond where that one ended: then a page on the way
    /// has brought too few. Everything is read anew for that, once; what comes behind the reader looks the same.
    fn is_short_on_the_way(&mut self) -> bool {
        let is_short = self.lacking.take().is_some_and(|lacking| lacking.found < lacking.rows);
        // What lies beyond the end of a stretch is counted as well, and read by somebody else.
        is_short && self.until.get().is_none() && !std::mem::replace(&mut self.is_anew, true)
    }

    /// Notes an end that was none, and what comes beyond it.
    fn follow_what_lacks(&mut self, step: Result<Step, Stuck>, dates: &[Option<i64>]) {
        let is_kept_otherwise = self.common.group.is_some() || self.common.order == Order::NewestFirst;
        if is_kept_otherwise || self.is_anew {
            return;
        }
        if let Some(lacking) = &mut self.lacking {
            let beyond = dates.iter().filter(|date| **date > lacking.after).count();
            lacking.found += beyond as u64;
        }
        if let Err(Stuck::EndsEarly(Shortage { rows, total })) = step {
            let rows = total.saturating_sub(rows);
            let earlier = self.lacking.map_or(0, |lacking| lacking.rows.saturating_sub(lacking.found));
            self.lacking = Some(Lacking { rows: rows.max(earlier), after: self.sequence.at(), found: 0 });
        }
    }

    /// Goes back to where everything is proven.
    fn go_back(&mut self) {
        if self.sequence.is_out_of_order() {
            self.search.window.from = self.window.from;
        } else if self.common.group.is_some() {
            // A group is searched for whatever the dates of its members.
        } else if let Some(proven) = self.proven
            && self.search.window.from.is_none_or(|from| proven > from)
        {
            // Rows before it are handed out for good; only a pass that brought none of them counts.
            self.search.window.from = Some(proven);
            self.search.cut = None;
            self.passes.moved();
        }
        self.begin_again();
    }

    fn begin_again(&mut self) {
        self.joint = None;
        let again = sequence(self.search, &self.until);
        self.sequence = again.after(&mut self.sequence);
        (self.cursor, self.proven) = (None, None);
    }

    /// From its first page on, which tells others of the joint, the window begins there: whatever is asked again later.
    fn settle_joint(&mut self) {
        if let Some(joint) = self.joint.take() {
            self.window.from = Some(joint);
            self.search.window.from = Some(joint);
        }
        self.is_joined = true;
    }

    /// A reader for the rows that are still asked for: others are read by somebody else meanwhile.
    fn reader(&mut self) -> &Reader {
        let keeps = Window { from: self.joint.or(self.search.window.from), to: self.until.get() };
        if keeps != self.keeps {
            let Common { pass, by, group, .. } = self.common;
            self.reader = Reader::new(pass, Some((by, keeps)), group.map(|group| group.id));
            self.keeps = keeps;
        }
        &self.reader
    }

    async fn page(&mut self) -> Result<Turn, Stop> {
        let Common { client, pass, outlet, progress, .. } = self.common;
        let path = pass.table.endpoint.path();
        let (search, size, cursor) = (self.search, self.size, self.cursor.clone());
        let make = |attempts: Attempts| {
            let rows = size.for_attempt(attempts);
            let body = search.body(rows, cursor.as_deref());
            Call::post(path.as_str(), body).at_most(largest_answer(rows))
        };
        let asked = Instant::now();
        let answer = client.send(make).await.map_err(|error| {
            let is_refused = search.sort == DateField::CreatedAt && refuses_sort(&error);
            if is_refused { Stop::RefusesSort } else { Stop::Trouble(error.into()) }
        })?;
        let before = self.size;
        self.size.settle(answer.attempts);
        if before.for_attempt(Attempts::default()) != self.size.for_attempt(Attempts::default()) {
            self.common.sizes.note(&path, self.size);
        }
        let (bytes, took) = (answer.body.len(), asked.elapsed());
        let mut again = (!self.is_joined).then(|| answer.clone());
        let mut contents = self.reader().read(answer).await?;
        let next = match &contents.next {
            None => None,
            Some(Next { cursor: Some(cursor), .. }) => Some(cursor.clone()),
            Some(_) => return Err(Trouble::failed("a next page without a cursor").into()),
        };
        let is_first = self.cursor.is_none();
        // An increment ends long before it has seen all that its widened bounds let in.
        let is_telling = is_first && search.order == Order::OldestFirst && self.tells;
        if is_telling
            && search.group.is_none()
            && search.cut.is_none()
            && let Some(total) = contents.total_count
        {
            progress.expect(total);
        }
        let sorted_by = batch::seconds(&contents.batch, search.sort.as_str());
        let first = sorted_by.first().copied().flatten();
        if is_first
            && search.cut.is_some()
            && let Some(first) = first
        {
            let shown_from = first.saturating_add(1);
            if let Some(answer) = again.take() {
                self.joint = Some(shown_from);
                contents = self.reader().read(answer).await?;
            }
            let from = self.joint.or(search.window.from);
            self.sequence.begin_at(from.map_or(shown_from, |from| from.max(shown_from)));
        }
        // Its memory is what others may be waiting for.
        drop(again);
        let (rows, total) = (contents.keys.len() as u64, contents.total_count);
        let missing_date = |(key, date): (&u64, &Option<i64>)| date.is_none().then_some(*key);
        let undated = contents.keys.iter().zip(&sorted_by).filter_map(missing_date).collect();
        let step = self.sequence.take(Envelope::of(&contents, next.as_deref()), &sorted_by);
        self.follow_what_lacks(step, &sorted_by);
        let proof = match &step {
            Ok(step) => step.proof,
            Err(_) if self.sequence.is_out_of_order() => Proof::Withdrawn,
            Err(_) => Proof::Nothing,
        };
        outlet.send(contents.draft(if self.tells { proof } else { Proof::Nothing })).await?;
        match proof {
            Proof::Nothing => {}
            Proof::Covered(window) => self.proven = window.to,
            Proof::Withdrawn => self.proven = None,
        }
        let ended = step.map_err(Trouble::failed)?.ended;
        self.cursor = next;
        let order_broke = self.sequence.is_out_of_order();
        Ok(Turn { ended, order_broke, first, at: self.sequence.at(), total, rows, undated, bytes, took })
    }
}

/// The pages that a search is answered with.
fn sequence(search: Search<'_>, until: &Until) -> Sequence {
    let Search { order, window, sort, by, now, .. } = search;
    let sequence = Sequence::new(order, (window.from, until.clone()), sort == by, now);
    let sequence = if search.group.is_some() { sequence.keeping_keys() } else { sequence };
    if search.cut.is_some() { sequence.beginning_with_its_first_row() } else { sequence }
}

/// How a page was not had.
enum Stop {
    RefusesSort,
    Trouble(Trouble),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Trouble(error.into())
    }
}

fn refuses_sort(error: &CallError) -> bool {
    let Some(refusal) = error.refusal().filter(|refusal| refusal.status == 400) else { return false };
    let speaks_of_it = |words: &Option<String>| words.as_ref().is_some_and(|words| words.contains("sort"));
    speaks_of_it(&refusal.code) || speaks_of_it(&refusal.message)
}
