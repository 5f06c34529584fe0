//! Asking for the rows that a parent's row does not show: one list, or one object, at a time.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::compute::concat_batches;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use jiff::Timestamp;

use super::Intercom;
use super::outlet::Outlet;
use super::page::{self, PageError};
use super::reader::{Child, Draft, Part, Reader, Want, decode};
use super::trouble::{Passes, Trouble};
use crate::batch::Members;
use crate::client::{Call, CallError, Client};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{Due, Entry};
use crate::printable;
use crate::source::{Ask, Failed, Page, Pass, Proof, Share};
use crate::state::Object;
use crate::table::{Address, More};

/// Objects that are handed out as one draft.
const OBJECTS_IN_DRAFT: usize = 50;
/// The most pages and bytes of one list, which is kept until its last page has come.
const LONGEST_LIST: (usize, usize) = (10_000, 64 << 20);
/// Parents that are asked for at the same time within one page.
const AT_ONCE: usize = 50;

/// Objects that may fail in a pass before the fault is taken to be that of their table.
const FEW: usize = 10;
/// Objects that may fail in a pass, however many were read.
const MOST: usize = 1_000;

/// Completes the pages of one pass.
#[derive(Debug)]
pub(super) struct Follower<'i> {
    intercom: &'i Intercom,
    reader: Reader,
    /// How the members fare, by position.
    tallies: Mutex<Vec<Tally>>,
}

/// How the objects of one member fare.
#[derive(Debug, Default)]
struct Tally {
    read: usize,
    failed: usize,
    /// The first failure of an object, if all were for want of a permission.
    forbidden: Option<Error>,
    /// Why it gets no more rows.
    failure: Option<Error>,
}

/// Whether so many objects failed, beside those that were read, that their whole table does.
fn is_of_the_table(failed: usize, read: usize) -> bool {
    failed > MOST || failed > FEW.max(read)
}

/// What became of a parent whose rows were asked for.
enum Found {
    Rows(Share),
    /// It is not there, or not found under this address.
    Missing(Share),
}

impl<'i> Follower<'i> {
    pub(super) fn new(intercom: &'i Intercom, reader: Reader) -> Self {
        let tally = |failure: Option<Error>| Tally { failure, ..Tally::default() };
        let tallies = reader.pass().members.iter().map(|member| tally(member.failure.clone())).collect();
        Self { intercom, reader, tallies: Mutex::new(tallies) }
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Adds to a draft what it lacks. An object that cannot be read is noted beside the rows of the others; a member of
    /// which hardly any can be read fails, alone.
    pub(super) async fn complete(&self, draft: Draft) -> Result<Page> {
        let Draft { shares, keys, proof, wants } = draft;
        let mut gathered: Vec<Vec<Share>> = Vec::with_capacity(shares.len());
        for (member, share) in shares.into_iter().enumerate() {
            if let Err(error) = &share {
                self.tallies()[member].failure.get_or_insert_with(|| error.clone());
            }
            gathered.push(share.into_iter().collect());
        }
        let mut found = stream::iter(wants)
            .map(|want| async move {
                let member = self.reader.children()[want.child].member;
                if self.failure(member).is_some() {
                    return (member, None);
                }
                (member, Some(self.fetch(&want).await.map_err(|error| (want, error))))
            })
            .buffer_unordered(AT_ONCE);
        while let Some((member, outcome)) = found.next().await {
            match outcome {
                None => {}
                Some(Ok(found)) => {
                    self.tallies()[member].read += 1;
                    gathered[member].push(match found {
                        Found::Rows(share) => share,
                        Found::Missing(share) => Share { missing: share.missing + 1, ..share },
                    });
                }
                Some(Err((want, error))) => gathered[member].extend(self.fail(member, &want, error).await?),
            }
        }
        drop(found);
        let shares = gathered.into_iter().enumerate().map(|(member, shares)| match self.failure(member) {
            Some(error) => Err(error),
            None => joined(shares),
        });
        Ok(Page::new(shares.collect(), keys, proof))
    }

    fn tallies(&self) -> std::sync::MutexGuard<'_, Vec<Tally>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self, member: usize) -> Option<Error> {
        self.tallies()[member].failure.clone()
    }

    /// What is noted of an object that cannot be read; nothing if its table fails for it. A refused token is an error.
    async fn fail(&self, member: usize, want: &Want, error: Error) -> Result<Option<Share>> {
        let pass = self.reader.pass();
        let (table, progress) = (pass.members[member].table, &pass.members[member].progress);
        let explained = self.intercom.explain(table, error.clone(), progress).await;
        if explained.kind() == ErrorKind::Auth {
            return Err(explained);
        }
        tracing::warn!(table = table.name, id = %printable::name(&want.id), %error, "an object could not be read");
        let is_forbidden = explained.kind() == ErrorKind::Permission;
        {
            let mut tallies = self.tallies();
            let tally = &mut tallies[member];
            tally.failed += 1;
            if tally.failed == 1 && is_forbidden {
                tally.forbidden = Some(explained.clone());
            } else if !is_forbidden {
                tally.forbidden = None;
            }
            // Objects that are asked for by themselves say nothing about the others.
            if !matches!(pass.ask, Ask::Again(_)) && is_of_the_table(tally.failed, tally.read) {
                tally.failure.get_or_insert(explained);
                return Ok(None);
            }
        }
        if let Ask::Inside(_) = pass.ask {
            // What was read of it before stays as it is.
            return self.unread(want).map(Some);
        }
        let object = Object { key: want.id.clone(), version: want.version, stated: want.stated };
        let mut share = self.empty_share(want)?;
        share.failed.push(Failed { object, error });
        Ok(Some(share))
    }

    /// What is said once all that a pass lacked was asked for: that a permission is missing, of members of which nothing
    /// could be read for want of one.
    pub(super) fn verdict(&self) -> Option<Page> {
        if let Ask::Again(_) = self.reader.pass().ask {
            return None;
        }
        let mut shares = self.reader.empty_shares();
        for (share, tally) in shares.iter_mut().zip(&*self.tallies()) {
            if let Some(error) = tally.forbidden.as_ref().filter(|_| tally.read == 0) {
                *share = Err(error.clone());
            }
        }
        shares.iter().any(Result::is_err).then(|| Page::new(shares, Vec::new(), Proof::Nothing))
    }

    /// What is noted of an object that could not be read again: that it was tried, so that others come first next time.
    fn unread(&self, want: &Want) -> Result<Share> {
        let child = &self.reader.children()[want.child];
        let mut part = Part::new(child);
        let fetched_at = self.reader.pass().began;
        part.gone(Entry {
            key: want.id.clone(),
            version: want.version,
            stated: want.stated,
            total: None,
            shown: 0,
            fetched_at,
        });
        Ok(Share { unread: 1, ..finished(part, fetched_at)? })
    }

    fn empty_share(&self, want: &Want) -> Result<Share> {
        finished(Part::new(&self.reader.children()[want.child]), self.reader.pass().began)
    }

    async fn fetch(&self, want: &Want) -> Result<Found> {
        let mut seen_before = None;
        let mut is_doubted = false;
        let child = &self.reader.children()[want.child];
        let member = &self.reader.pass().members[child.member];
        let client = self.intercom.client(&member.progress);
        let mut passes = Passes::new(&client, &member.progress);
        loop {
            let outcome = match child.inside.more {
                More::WhereCut(address) | More::WhereAny(address) | More::Always(address) => {
                    self.list(&client, want, address, &mut seen_before).await
                }
                More::Object { .. } | More::Nothing => self.object(&client, want).await,
            };
            match outcome {
                Ok(Found::Rows(share)) if share.shape.keyless.count > 0 && !is_doubted => is_doubted = true,
                Ok(found) => return Ok(found),
                Err(Trouble::Fatal(error)) => return Err(error),
                Err(Trouble::FailedPass(reason)) => passes.failed(&reason).await?,
            }
        }
    }

    /// The parent's object, with the lists in it.
    async fn object(&self, client: &Client, want: &Want) -> std::result::Result<Found, Trouble> {
        let path = self.reader.pass().table.object.unwrap_or_default();
        let path = format!("{path}/{}", escaped(&want.id));
        let mut asked = client.send(|_| Call::get(path.clone())).await;
        if asked.as_ref().is_err_and(is_gone) {
            // It was shown a moment ago: once may be by mistake.
            client.pause(client.backoff().wait(0), "one that was shown is not found").await;
            asked = client.send(|_| Call::get(path.clone())).await;
        }
        let answer = match asked {
            Ok(answer) => answer,
            Err(error) if is_gone(&error) => return self.missing(want).await.map(Found::Missing),
            Err(error) => return Err(error.into()),
        };
        let (reader, want) = (self.reader.clone(), want.clone());
        decode(answer.body.len(), move || {
            let child = &reader.children()[want.child];
            let mut part = Part::new(child);
            let text = page::text(&answer.body);
            let object = Members::of(&text, reader.keys())?;
            if object.text("id").as_deref() != Some(&want.id) {
                return Err(PageError::AnotherObject);
            }
            let lists = child.embedded.find(&object);
            let shown = lists.shown();
            if !shown.is_there && child.inside.total.is_some() {
                return Err(PageError::NoRecords(child.inside.lists.first().copied().unwrap_or_default()));
            }
            part.take(
                child,
                (&object, &lists),
                (&want.id, want.version),
                shown.is_there,
                reader.pass().began,
            )?;
            part.announced(want.stated);
            let mut share = part.finish(reader.pass().began)?;
            if let Cow::Owned(text) = &text {
                page::note_written_out([(place_of(&reader, &want), &**text)].into_iter(), &mut share.shape);
            }
            Ok(share)
        })
        .await
        .map(Found::Rows)
    }

    /// The list at an address of its own, page by page if it has several.
    async fn list(
        &self,
        client: &Client,
        want: &Want,
        address: Address,
        seen_before: &mut Option<BTreeSet<u64>>,
    ) -> std::result::Result<Found, Trouble> {
        let path = address.path.replace("{id}", &escaped(&want.id));
        let mut bodies: Vec<Bytes> = Vec::new();
        let mut bytes = 0;
        let mut seen = BTreeSet::new();
        let mut total = None;
        let mut call = path.clone();
        loop {
            let answer = match client.send(|_| Call::get(call.clone())).await {
                Ok(answer) => answer,
                Err(error) if is_gone(&error) => return self.missing(want).await.map(Found::Missing),
                Err(error) => return Err(error.into()),
            };
            let body = answer.body.clone();
            let (around, rows) = decode(body.len(), move || {
                let text = page::text(&body);
                let (around, rows) = page::texts(&text, address.records)?;
                Ok((around, rows.into_iter().map(identity).collect::<Vec<_>>()))
            })
            .await?;
            let known = seen.len();
            seen.extend(rows);
            // As many as came meanwhile are shown once more.
            if around.next.is_some() && seen.len() == known && around.total_count <= total {
                return Err(Trouble::failed("a page that brought nothing new"));
            }
            total = around.total_count;
            bodies.push(answer.body);
            bytes += bodies.last().map_or(0, Bytes::len);
            if bodies.len() > LONGEST_LIST.0 || bytes > LONGEST_LIST.1 {
                return Err(Trouble::failed("a list without end"));
            }
            let number = bodies.len() as u64;
            call = match around.next.map(|next| next.page) {
                None => break,
                Some(Some(page)) if page == number + 1 => format!("{path}?page={page}"),
                Some(_) => return Err(Trouble::failed("a next page that does not follow")),
            };
        }
        // Where the stated total is wrong for good, two reads that agree are as good.
        let agrees = seen_before.replace(seen.clone()) == Some(seen);
        let (reader, want) = (self.reader.clone(), want.clone());
        let length = bodies.iter().map(Bytes::len).sum();
        decode(length, move || read_list(&reader, &want, address, &bodies, agrees)).await.map(Found::Rows)
    }

    /// What is left of a parent that is not found: the rows that its own row shows, without a word about others.
    async fn missing(&self, want: &Want) -> std::result::Result<Share, Trouble> {
        let (reader, want) = (self.reader.clone(), want.clone());
        decode(want.row.len(), move || {
            let child = &reader.children()[want.child];
            let mut part = Part::new(child);
            if let More::Object { .. } = child.inside.more {
                part.gone(Entry {
                    key: want.id.clone(),
                    // Of no version: whoever sees the parent again asks again.
                    version: None,
                    stated: want.stated,
                    total: None,
                    shown: 0,
                    fetched_at: reader.pass().began,
                });
            } else {
                let parent = Members::of(&want.row, reader.keys())?;
                let lists = child.embedded.find(&parent);
                part.take(child, (&parent, &lists), (&want.id, want.version), false, reader.pass().began)?;
            }
            part.finish(reader.pass().began)
        })
        .await
    }
}

/// Hands out the objects of some parents, to be asked for, for every member whose rows only objects show.
pub(super) async fn read_inside(pass: &Pass, parents: &[Due], outlet: &Outlet) -> Result<()> {
    let reader = Reader::new(pass, None, None);
    let of_objects = |child: &Child| matches!(child.inside.more, More::Object { .. });
    for (child, _) in reader.children().iter().enumerate().filter(|(_, child)| of_objects(child)) {
        for some in parents.chunks(OBJECTS_IN_DRAFT) {
            let want = |due: &Due| Want {
                child,
                id: due.key.clone(),
                version: Some(due.version.0),
                stated: due.stated,
                row: String::new(),
            };
            let wants = some.iter().map(want).collect();
            let shares = reader.empty_shares();
            outlet.send(Draft { shares, keys: Vec::new(), proof: Proof::Nothing, wants }).await?;
        }
    }
    Ok(())
}

/// Asks for some rows by their own addresses and hands each out with what stands inside it. Those that are gone by now
/// are left out.
pub(super) async fn read_again(
    client: &Client,
    pass: &Pass,
    objects: &[Object],
    outlet: &Outlet,
) -> Result<()> {
    let reader = &Reader::new(pass, None, None);
    let path = pass.table.object.unwrap_or_default();
    let mut answers = stream::iter(objects.to_vec())
        .map(|object| async move {
            let call = format!("{path}/{}", escaped(&object.key));
            let asked = match client.send(|_| Call::get(call.clone())).await {
                Ok(answer) => reader.read_object(answer, &object.key).await,
                Err(error) if is_gone(&error) => return (object, Ok(None)),
                Err(error) => Err(error.into()),
            };
            (object, asked.map(Some))
        })
        .buffer_unordered(AT_ONCE);
    while let Some((object, asked)) = answers.next().await {
        let error = match asked {
            Ok(None) => continue,
            Ok(Some(contents)) => {
                outlet.send(contents.draft(Proof::Nothing)).await?;
                continue;
            }
            Err(Trouble::Fatal(error)) if error.kind() == ErrorKind::Auth => return Err(error),
            Err(Trouble::Fatal(error)) => error,
            Err(Trouble::FailedPass(reason)) => Error::new(ErrorKind::Data, reason),
        };
        let mut shares = reader.empty_shares();
        for child in reader.children() {
            if let Ok(share) = &mut shares[child.member] {
                share.failed.push(Failed { object: object.clone(), error: error.clone() });
            }
        }
        outlet.send(Draft { shares, keys: Vec::new(), proof: Proof::Nothing, wants: Vec::new() }).await?;
    }
    Ok(())
}

/// Rows of a list that may have come in several pages, which is only whole if nothing moved between them.
fn read_list(
    reader: &Reader,
    want: &Want,
    address: Address,
    bodies: &[Bytes],
    is_confirmed: bool,
) -> std::result::Result<Share, PageError> {
    let child = &reader.children()[want.child];
    let parent = Members::of(&want.row, reader.keys())?;
    let mut part = Part::new(child);
    let mut rows: Vec<&str> = Vec::new();
    let mut totals: Vec<u64> = Vec::new();
    let texts: Vec<_> = bodies.iter().map(|body| page::text(body)).collect();
    for text in &texts {
        let (around, list) = page::texts(text, address.records)?;
        totals.extend(around.total_count);
        rows.extend(list);
    }
    let distinct: HashSet<u64> = rows.iter().copied().map(identity).collect();
    // Entries that come push others onto the next page; entries that go pull others onto one that was read.
    let has_shrunk = totals.windows(2).any(|pair| pair[1] < pair[0]);
    let has_all = totals.last().is_none_or(|total| distinct.len() as u64 >= *total);
    if bodies.len() > 1 && !is_confirmed && (has_shrunk || !has_all) {
        return Err(PageError::Moved);
    }
    let path = address.records.first().copied().unwrap_or_default();
    part.take_list(child, &parent, (&want.id, want.version), (path, &rows))?;
    let mut share = part.finish(reader.pass().began)?;
    if texts.iter().any(|text| matches!(text, Cow::Owned(_))) {
        let rows = rows.iter().map(|row| (place_of(reader, want), *row));
        page::note_written_out(rows, &mut share.shape);
    }
    Ok(share)
}

/// What an object is, for people.
fn place_of(reader: &Reader, want: &Want) -> String {
    format!("{} of {} {}", reader.children()[want.child].table.name, reader.pass().table.name, want.id)
}

/// A hash of what tells an entry from others: its id or, where it has none, all of it.
fn identity(entry: &str) -> u64 {
    let id = Members::of(entry, &["id"]).ok().and_then(|members| members.text("id"));
    let mut hasher = DefaultHasher::new();
    id.as_deref().unwrap_or(entry).hash(&mut hasher);
    hasher.finish()
}

/// Several shares of one table as one.
fn joined(shares: Vec<Share>) -> Result<Share> {
    let mut shares = shares.into_iter();
    let Some(mut joined) = shares.next() else {
        return Err(Error::new(ErrorKind::Data, "a page without a place for its rows"));
    };
    let mut batches = vec![joined.batch.clone()];
    for share in shares {
        batches.push(share.batch);
        joined.owners.extend(share.owners);
        joined.entries.extend(share.entries);
        joined.missing += share.missing;
        joined.cut += share.cut;
        joined.unread += share.unread;
        joined.failed.extend(share.failed);
        joined.shape.add(&share.shape);
        joined.incomplete = joined.incomplete.or(share.incomplete);
    }
    if batches.len() > 1 {
        joined.batch = concat_batches(&Arc::clone(batches[0].schema_ref()), &batches)
            .map_err(|e| Error::new(ErrorKind::Data, "rows do not form a batch").with_source(e))?;
    }
    Ok(joined)
}

fn finished(part: Part, fetched_at: Timestamp) -> Result<Share> {
    part.finish(fetched_at).map_err(|e| Error::new(ErrorKind::Data, "a page without rows").with_source(e))
}

fn is_gone(error: &CallError) -> bool {
    matches!(error.status(), Some(404 | 410))
}

/// An id as a part of a path.
pub(super) fn escaped(id: &str) -> String {
    url::form_urlencoded::byte_serialize(id.as_bytes()).collect()
}
