//! From one answer to rows of every table that its pass fills.

use std::borrow::Cow;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use tokio::sync::Semaphore;

use super::page::{self, Next, PageError};
use super::trouble::Trouble;
use crate::batch::{
    self, Decoder, Embedded, Layout, Lists, Members, Owner, ParentValues, Rows, Scanner, Shape, key_hashes,
};
use crate::client::Answer;
use crate::error::{Error, ErrorKind};
use crate::ledger::{Entry, Ledger};
use crate::source::{Pass, Proof, Share};
use crate::table::{Inside, More, TableSpec, WriteDisposition};
use crate::window::{DateField, Window};

/// How the answers of one pass are read; clones share everything.
#[derive(Debug, Clone)]
pub(super) struct Reader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pass: Pass,
    decoder: Decoder,
    records: [&'static str; 1],
    /// Only rows whose date lies here are handed out.
    keep: Option<(DateField, Window)>,
    /// Values that all rows share: those of the group that they belong to.
    of_group: Option<ParentValues>,
    children: Vec<Child>,
    /// First keys of all that is looked for in a row for the sake of its children.
    keys: Vec<&'static str>,
}

/// A member of the pass whose rows stand inside those of the pass's table.
#[derive(Debug)]
pub(super) struct Child {
    /// Position among the members.
    pub(super) member: usize,
    pub(super) table: &'static TableSpec,
    pub(super) inside: Inside,
    pub(super) embedded: Embedded,
    ledger: Option<Arc<Ledger>>,
}

/// One answer, read.
#[derive(Debug)]
pub(super) struct Contents {
    /// All rows of the answer, whether or not they are to be kept.
    pub(super) batch: RecordBatch,
    /// One hash per row of its key.
    pub(super) keys: Vec<u64>,
    pub(super) next: Option<Next>,
    /// How many pages there are, as stated.
    pub(super) total_pages: Option<u64>,
    /// Whether there is nothing around the rows.
    pub(super) is_bare: bool,
    pub(super) total_count: Option<u64>,
    pub(super) scroll_param: Option<String>,
    shares: Vec<crate::error::Result<Share>>,
    wants: Vec<Want>,
}

/// A page that may still lack rows that have to be asked for one parent at a time.
#[derive(Debug)]
pub(super) struct Draft {
    /// A member whose rows cannot be told apart fails alone.
    pub(super) shares: Vec<crate::error::Result<Share>>,
    pub(super) keys: Vec<u64>,
    pub(super) proof: Proof,
    pub(super) wants: Vec<Want>,
}

/// A parent whose rows are to be asked for.
#[derive(Debug, Clone)]
pub(super) struct Want {
    /// Position among [`Reader::children`].
    pub(super) child: usize,
    pub(super) id: String,
    pub(super) version: Option<i64>,
    pub(super) stated: Option<i64>,
    /// The parent's row.
    pub(super) row: String,
}

impl Contents {
    /// The page that proves this much.
    pub(super) fn draft(self, proof: Proof) -> Draft {
        Draft { shares: self.shares, keys: self.keys, proof, wants: self.wants }
    }
}

impl Reader {
    /// For the answers of `pass`, handing out only rows whose date lies in the window to `keep`. Rows that all
    /// belong to one group take that from `group`, its id.
    pub(super) fn new(pass: &Pass, keep: Option<(DateField, Window)>, group: Option<&str>) -> Self {
        let inside =
            Inside { parent: pass.table, lists: &[], is_union: false, total: None, more: More::Nothing };
        let of_group = group.map(|id| Embedded::new(pass.table, &inside).values_of_id(id));
        let children: Vec<Child> = pass
            .members
            .iter()
            .enumerate()
            .filter_map(|(member, m)| {
                let inside = *m.table.inside()?;
                let embedded = Embedded::new(m.table, &inside);
                Some(Child { member, table: m.table, inside, embedded, ledger: m.ledger.clone() })
            })
            .collect();
        let stated = |child: &Child| match child.inside.more {
            More::Object { stated } => stated.into_iter().chain(child.inside.total).collect::<Vec<_>>(),
            _ => child.inside.total.into_iter().collect(),
        };
        let own = ["id"].into_iter().chain(pass.table.cursor);
        let mut keys: Vec<&'static str> = own.collect();
        for child in &children {
            keys.extend(child.embedded.first_keys());
            keys.extend(stated(child).iter().map(|path| path.split('.').next().unwrap_or(path)));
        }
        keys.sort_unstable();
        keys.dedup();
        Self(Arc::new(Inner {
            pass: pass.clone(),
            decoder: Decoder::new(Layout::new(pass.table)),
            records: [pass.table.endpoint.records()],
            keep,
            of_group,
            children,
            keys,
        }))
    }

    pub(super) fn pass(&self) -> &Pass {
        &self.0.pass
    }

    pub(super) fn children(&self) -> &[Child] {
        &self.0.children
    }

    /// Reads an answer, whose memory is free again then.
    pub(super) async fn read(&self, answer: Answer) -> Result<Contents, Trouble> {
        let inner = Arc::clone(&self.0);
        let body = answer.body.clone();
        let contents = decode(body.len(), move || inner.read(&body)).await;
        drop(answer);
        contents
    }

    /// Reads an answer that is the object with this id.
    pub(super) async fn read_object(&self, answer: Answer, id: &str) -> Result<Contents, Trouble> {
        let (inner, id, body) = (Arc::clone(&self.0), id.to_owned(), answer.body.clone());
        let contents = decode(body.len(), move || {
            let text = page::text(&body);
            let object = Members::of(&text, &["id"])?;
            if object.text("id") != Some(id) {
                return Err(PageError::AnotherObject);
            }
            // A list of one.
            inner.read(&[b"[", &*body, b"]"].concat())
        })
        .await;
        drop(answer);
        contents
    }

    /// A share for every member, without rows.
    pub(super) fn empty_shares(&self) -> Vec<crate::error::Result<Share>> {
        let empty = |table: &TableSpec| Share::of(RecordBatch::new_empty(table.schema()), Shape::default());
        self.0.pass.members.iter().map(|member| Ok(empty(member.table))).collect()
    }

    /// First keys of all that is looked for in a parent's row or object.
    pub(super) fn keys(&self) -> &[&'static str] {
        &self.0.keys
    }
}

/// Answers up to this many bytes are decoded where they arrive: that takes about a millisecond at most, and costs less
/// than a thread that has to be woken. Larger ones would hold up the requests of others.
const SMALL: usize = 1 << 20;

/// Larger answers that are decoded at the same time, by whomever: more than there are cores would only hold memory.
static LARGE: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, NonZero::get)));

/// Carries out `work`, which decodes this many `bytes`, where it holds up no request.
pub(super) async fn decode<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, PageError> + Send + 'static,
) -> Result<T, Trouble> {
    let done = if bytes <= SMALL {
        catch_unwind(AssertUnwindSafe(work)).map_err(|_| None)
    } else {
        // The semaphore is never closed.
        let _turn = LARGE.acquire().await.ok();
        tokio::task::spawn_blocking(work).await.map_err(Some)
    };
    match done {
        Ok(done) => done.map_err(Trouble::failed),
        Err(cause) => {
            let error = Error::new(ErrorKind::Data, "decoding was cut short");
            Err(Trouble::Fatal(match cause {
                Some(cause) => error.with_source(cause),
                None => error,
            }))
        }
    }
}

impl Inner {
    fn read(&self, body: &[u8]) -> Result<Contents, PageError> {
        let text = page::text(body);
        let mut contents = self.read_text(&text)?;
        let keyless: Vec<u64> =
            contents.shares.iter().flatten().flat_map(|s| s.shape.keyless.hashes()).collect();
        if !keyless.is_empty() && self.pass.doubts.raises(&keyless) {
            return Err(PageError::Keyless);
        }
        if let (Cow::Owned(text), Some(Ok(share))) = (&text, contents.shares.first_mut()) {
            let (_, rows) = page::texts(text, &self.records)?;
            let rows = rows.into_iter().enumerate().map(|(entry, row)| (self.place(entry), row));
            page::note_written_out(rows, &mut share.shape);
        }
        Ok(contents)
    }

    /// Where a row of an answer stands, for people.
    fn place(&self, entry: usize) -> String {
        format!("{}[{entry}] of a page", self.records[0])
    }

    fn read_text<'t>(&'t self, text: &'t str) -> Result<Contents, PageError> {
        let mut rows = self.decoder.rows(150);
        let mut parents: Vec<(&str, Members<'t>)> = Vec::new();
        let no_group = ParentValues::default();
        let group = self.of_group.as_ref().unwrap_or(&no_group);
        let read_row = |scan: &mut Scanner<'t>| {
            let entry = rows.len();
            let place = || self.place(entry);
            if self.children.is_empty() {
                return rows.read(scan, group, None, place).map(drop);
            }
            let mut members = Members::under(&self.keys);
            let text = scan.spanning(|scan| rows.read(scan, group, Some(&mut members), place).map(drop))?;
            parents.push((text, members));
            Ok(())
        };
        let around = if self.records[0].is_empty() {
            Scanner::read_all(text, read_row)?;
            page::Around::default()
        } else {
            page::read(text, &self.records, read_row)?
        };
        let (batch, oddities) = rows.finish_by_row(self.pass.began)?;
        let keys = key_hashes(self.pass.table, &batch);
        let dates = self.keep.map(|(by, window)| (batch::seconds(&batch, by.as_str()), window));
        let belongs = |row: usize| dates.as_ref().is_none_or(|(dates, window)| window.contains(dates[row]));
        let is_kept = |row: usize| belongs(row) && oddities.has_key(row);
        let mut builders: Vec<Part> = self.children.iter().map(Part::new).collect();
        let mut wants = Vec::new();
        for (_, (text, parent)) in parents.iter().enumerate().filter(|(row, _)| is_kept(*row)) {
            self.read_children((text, parent), &mut builders, &mut wants)?;
        }
        let kept = batch::filter(&batch, is_kept);
        let mut own = Some(Ok(Share::of(kept, oddities.of_rows(belongs))));
        let mut parts = builders.into_iter();
        let mut shares = Vec::with_capacity(self.pass.members.len());
        for member in self.pass.members.iter() {
            match member.table.inside() {
                None => shares.extend(own.take()),
                Some(_) => shares.extend(parts.next().map(|part| self.finish(part))),
            }
        }
        let page::Around { next, total_pages, is_bare, total_count, scroll_param } = around;
        Ok(Contents { batch, keys, next, total_pages, is_bare, total_count, scroll_param, shares, wants })
    }

    /// The rows inside those of a page. That they cannot be told apart is no reason to fail the others.
    fn finish(&self, part: Part) -> crate::error::Result<Share> {
        part.finish(self.pass.began).map_err(|error| {
            Error::new(ErrorKind::Data, error.to_string())
                .within(format!("rows inside {}", self.pass.table.name))
        })
    }

    fn read_children(
        &self,
        (row, parent): (&str, &Members<'_>),
        parts: &mut [Part],
        wants: &mut Vec<Want>,
    ) -> Result<(), PageError> {
        // A parent without an id has failed the page already.
        let id = parent.text("id").unwrap_or_default();
        let version = self.pass.table.cursor.and_then(|cursor| parent.timestamp(cursor));
        for (at, (child, part)) in self.children.iter().zip(parts).enumerate() {
            let lists = child.embedded.find(parent);
            let shown = lists.shown();
            let stated = match child.inside.more {
                More::Object { stated } => stated.and_then(|path| parent.integer(path)),
                _ => None,
            };
            let is_wanted = match child.inside.more {
                More::Nothing => false,
                More::WhereCut(_) => shown.is_cut || shown.is_odd || !shown.is_there,
                More::WhereAny(_) => shown.entries > 0 || !shown.is_there,
                More::Always(_) => true,
                More::Object { .. } => {
                    !child.ledger.as_ref().is_some_and(|ledger| ledger.knows(&id, version, stated))
                }
            };
            if is_wanted {
                wants.push(Want { child: at, id: id.clone(), version, stated, row: row.to_owned() });
            } else if !matches!(child.inside.more, More::Object { .. }) {
                part.cut += u64::from(shown.is_cut);
                let is_whole = shown.is_there && !shown.is_cut;
                part.take(child, (parent, &lists), (&id, version), is_whole, self.pass.began)?;
            }
        }
        Ok(())
    }
}

/// The rows of one child's table while they are gathered.
#[derive(Debug)]
pub(super) struct Part {
    rows: Rows,
    owners: Vec<Owner>,
    entries: Vec<Entry>,
    /// See [`Share::cut`].
    cut: u64,
}

impl Part {
    pub(super) fn new(child: &Child) -> Self {
        Self { rows: child.embedded.rows(16), owners: Vec::new(), entries: Vec::new(), cut: 0 }
    }

    /// Takes the lists that the parent's row, or its object, shows.
    pub(super) fn take(
        &mut self,
        child: &Child,
        (parent, lists): (&Members<'_>, &Lists<'_>),
        (id, version): (&str, Option<i64>),
        is_whole: bool,
        fetched_at: jiff::Timestamp,
    ) -> Result<(), PageError> {
        let (rows, is_all) = child.embedded.take(parent, lists, &mut self.rows)?;
        self.own(child, (id, version), rows, is_whole && is_all);
        if let Some(path) = child.inside.total {
            let total = parent.integer(path);
            let shown = i64::try_from(rows).unwrap_or(i64::MAX);
            self.entries.push(Entry { key: id.to_owned(), version, stated: None, total, shown, fetched_at });
        }
        Ok(())
    }

    /// Takes the rows of a list that was asked for by itself.
    pub(super) fn take_list(
        &mut self,
        child: &Child,
        parent: &Members<'_>,
        (id, version): (&str, Option<i64>),
        (path, list): (&str, &[&str]),
    ) -> Result<(), PageError> {
        let values = child.embedded.values(parent);
        let (rows, is_all) = child.embedded.take_entries(list, &values, path, &mut self.rows)?;
        self.own(child, (id, version), rows, is_all);
        Ok(())
    }

    /// Notes with which count the parent's row announced its object.
    pub(super) fn announced(&mut self, stated: Option<i64>) {
        if let Some(entry) = self.entries.last_mut() {
            entry.stated = stated;
        }
    }

    /// Notes a parent that is not found.
    pub(super) fn gone(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    fn own(&mut self, child: &Child, (id, version): (&str, Option<i64>), rows: usize, is_whole: bool) {
        if let WriteDisposition::PerParent { .. } = child.table.disposition {
            self.owners.push(Owner { key: id.to_owned(), version, rows, is_whole });
        }
    }

    pub(super) fn finish(self, began: jiff::Timestamp) -> Result<Share, PageError> {
        let (batch, shape) = self.rows.finish(began)?;
        Ok(Share { owners: self.owners, entries: self.entries, cut: self.cut, ..Share::of(batch, shape) })
    }
}
