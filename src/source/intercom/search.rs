//! Reading through a search endpoint: keyset cursors, sorted by a date, decided by value.

use super::outlet::Outlet;
use super::page::Next;
use super::page_size::PageSize;
use super::query::Search;
use super::reader::Reader;
use super::sequence::{Envelope, Sequence};
use super::trouble::{Passes, Trouble};
use crate::batch;
use crate::client::{Attempts, Call, CallError, Client};
use crate::error::Result;
use crate::progress::TableProgress;
use crate::source::{Order, Pass, Proof};
use crate::window::{DateField, Window};

/// The rows that belong to one group, by the field of the search that takes its id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group<'g> {
    pub(super) field: &'static str,
    pub(super) id: &'g str,
}

/// Reads `window` completely, starting failed passes again where they were proven.
pub(super) async fn read(
    client: &Client,
    pass: &Pass,
    (by, window, order): (DateField, Window, Order),
    group: Option<Group<'_>>,
    outlet: &Outlet,
    progress: &TableProgress,
) -> Result<()> {
    let mut passes = Passes::new(client, progress);
    let mut search = Search { by, window, order, sort: by, now: pass.began.as_second(), group };
    loop {
        let mut findings = Findings::default();
        let outcome = read_once(client, pass, search, outlet, progress, &mut findings).await;
        let reason = match outcome {
            // Rows out of order may lie before where an earlier pass had proven everything.
            Ok(()) if findings.order_broke && search.window != window => "a broken order".to_owned(),
            Ok(()) => return Ok(()),
            Err(Trouble::Fatal(error)) => return Err(error),
            Err(Trouble::FailedPass(reason)) => reason,
        };
        if findings.refuses_sort {
            search.sort = DateField::UpdatedAt;
            continue;
        }
        if findings.order_broke {
            search.window = window;
        } else if let Some(proven) = findings.proven
            && search.window.from.is_none_or(|from| proven > from)
        {
            // Rows before it are handed out for good; only a pass that brought none of them counts.
            search.window.from = Some(proven);
            passes.moved();
        }
        passes.failed(&reason).await?;
    }
}

/// What a pass came to know, however it ended.
#[derive(Debug, Default)]
struct Findings {
    /// Every row of the window before this second was handed out.
    proven: Option<i64>,
    /// The order that proofs rely on does not hold.
    order_broke: bool,
    /// The endpoint does not sort by the date asked for.
    refuses_sort: bool,
}

async fn read_once(
    client: &Client,
    pass: &Pass,
    search: Search<'_>,
    outlet: &Outlet,
    progress: &TableProgress,
    findings: &mut Findings,
) -> std::result::Result<(), Trouble> {
    let path = pass.table.endpoint.path();
    let reader = Reader::new(pass, Some((search.by, search.window)), search.group.map(|group| group.id));
    let mut sequence = Sequence::new(search.order, search.window, search.sort == search.by, search.now);
    let mut size = PageSize::default();
    let mut cursor: Option<String> = None;
    loop {
        let make = |attempts: Attempts| {
            Call::post(&path, search.body(size.for_attempt(attempts), cursor.as_deref()))
        };
        let answer = client.send(make).await.map_err(|error| {
            findings.refuses_sort = search.sort == DateField::CreatedAt && refuses_sort(&error);
            if findings.refuses_sort { Trouble::failed(error) } else { error.into() }
        })?;
        size.settle(answer.attempts.troubled);
        let contents = reader.read(answer.body).await?;
        let next = match &contents.next {
            None => None,
            Some(Next { cursor: Some(cursor), .. }) => Some(cursor.clone()),
            Some(_) => return Err(Trouble::failed("a next page without a cursor")),
        };
        // An increment ends long before it has seen all that its widened bounds let in.
        let is_telling = cursor.is_none() && search.order == Order::OldestFirst && search.group.is_none();
        if is_telling && let Some(total) = contents.total_count {
            progress.expect(total);
        }
        let sorted_by = batch::seconds(&contents.batch, search.sort.as_str());
        let step = sequence.take(Envelope::of(&contents, next.as_deref(), size), &sorted_by);
        let proof = match &step {
            Ok(step) => step.proof,
            Err(_) if sequence.is_out_of_order() => Proof::Withdrawn,
            Err(_) => Proof::Nothing,
        };
        outlet.send(contents.draft(proof)).await?;
        match proof {
            Proof::Nothing => {}
            Proof::CompleteTo(second) => findings.proven = Some(second),
            Proof::Withdrawn => (findings.proven, findings.order_broke) = (None, true),
        }
        if step.map_err(Trouble::failed)?.ended {
            return Ok(());
        }
        cursor = next;
    }
}

fn refuses_sort(error: &CallError) -> bool {
    let Some(refusal) = error.refusal().filter(|refusal| refusal.status == 400) else { return false };
    let speaks_of_it = |words: &Option<String>| words.as_ref().is_some_and(|words| words.contains("sort"));
    speaks_of_it(&refusal.code) || speaks_of_it(&refusal.message)
}
