//! What a route answers, before it becomes bytes.

use std::borrow::Cow;
use std::sync::Arc;

use super::errors::ApiError;
use super::generate::Kind;
use super::json::{Json, Members, NULL, Object, Raw};
use super::row::Row;
use super::version::Version;

/// The member of an envelope that tells of pages.
const PAGES: &str = "pages";
/// The member of `pages` that leads to the next one.
const NEXT: &str = "next";
/// The member of an envelope that states how many records there are on all pages.
const TOTAL_COUNT: &str = "total_count";

/// The outcome of a request that was let in.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A single object.
    Object(String),
    /// Records in an envelope.
    Listing(Listing),
    Error(ApiError),
}

/// A page of rows. Holding the rows themselves, it can be written out after the workspace has changed.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) kind: Kind,
    pub(crate) version: Version,
    /// The envelope's `type`.
    pub(crate) envelope: &'static str,
    /// The member that holds the records.
    pub(crate) key: &'static str,
    pub(crate) rows: Vec<Arc<Row>>,
    /// The envelope's other members, as JSON.
    pub(crate) rest: Vec<(&'static str, String)>,
    pub(crate) end: End,
}

/// How `pages` says that no page follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// `next` is null.
    Null,
    /// There is no `next`.
    Absent,
}

/// What is spoiled while a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoilt {
    Nothing,
    /// The records' member is missing.
    Records,
    /// The first record is not an object.
    FirstRow,
    /// No record is shown, and no page follows.
    Emptied,
    /// Only so many records are shown, and no page follows.
    Cut(usize),
    /// The answer is an empty array.
    BareEmpty,
}

impl Spoilt {
    /// How many of `rows` are shown.
    fn shown(self, rows: usize) -> usize {
        match self {
            Self::Nothing | Self::FirstRow => rows,
            Self::Records | Self::Emptied | Self::BareEmpty => 0,
            Self::Cut(most) => rows.min(most),
        }
    }
}

impl Listing {
    /// As `key`: the records are the whole answer, without an envelope.
    pub(crate) const BARE: &str = "";

    pub(crate) fn text(&self, spoilt: Spoilt) -> String {
        if spoilt == Spoilt::BareEmpty {
            return "[]".to_owned();
        }
        let bytes: usize = self.rows.iter().map(|row| row.text.len() + 1).sum();
        if self.key == Self::BARE && spoilt != Spoilt::Records {
            return Records { listing: self, spoilt }.json();
        }
        let mut object = Object::with_capacity(bytes + 512);
        object.put("type", self.envelope);
        for (key, value) in &self.rest {
            if *key == PAGES && matches!(spoilt, Spoilt::Emptied | Spoilt::Cut(_)) {
                object.put(key, Raw(&self.end.of(value)));
            } else {
                object.put(key, Raw(value));
            }
        }
        if matches!(spoilt, Spoilt::Cut(_)) && self.is_whole() {
            object.put(TOTAL_COUNT, self.rows.len());
        }
        if spoilt != Spoilt::Records {
            object.put(self.key, Records { listing: self, spoilt });
        }
        object.done()
    }

    /// Whether the list is not read by page, and states no number of records.
    fn is_whole(&self) -> bool {
        !self.rest.iter().any(|(key, _)| matches!(*key, PAGES | TOTAL_COUNT))
    }
}

impl End {
    /// `pages` as the last page of this kind has it; what names no next page stays as it is.
    fn of(self, pages: &str) -> Cow<'_, str> {
        let mut members = Members::of(pages);
        if members.get(NEXT).is_none() {
            return Cow::Borrowed(pages);
        }
        match self {
            Self::Null => members.set(NEXT, NULL),
            Self::Absent => members.remove(NEXT),
        }
        Cow::Owned(members.text())
    }
}

struct Records<'a> {
    listing: &'a Listing,
    spoilt: Spoilt,
}

impl Json for Records<'_> {
    fn write(&self, out: &mut String) {
        let Listing { kind, version, rows, .. } = self.listing;
        out.push('[');
        for (at, row) in rows.iter().take(self.spoilt.shown(rows.len())).enumerate() {
            if at > 0 {
                out.push(',');
            }
            if at == 0 && self.spoilt == Spoilt::FirstRow {
                out.push_str("\"not an object\"");
            } else {
                out.push_str(&version.shape(*kind, &row.text));
            }
        }
        out.push(']');
    }
}

/// `pages` of a paged answer; `next` is JSON.
pub(crate) fn pages(page: usize, per_page: usize, total: usize, next: Option<&str>) -> String {
    let mut object = Object::new();
    object.put("type", "pages");
    if let Some(next) = next {
        object.put(NEXT, Raw(next));
    }
    object
        .put("page", page)
        .put("per_page", per_page)
        .put("total_pages", total.div_ceil(per_page.max(1)))
        .done()
}

/// An envelope without paging.
pub(crate) fn whole(
    kind: Kind,
    version: Version,
    envelope: &'static str,
    key: &'static str,
    rows: Vec<Arc<Row>>,
) -> Reply {
    Reply::Listing(Listing { kind, version, envelope, key, rows, rest: Vec::new(), end: End::Absent })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(rest: Vec<(&'static str, String)>, end: End) -> Listing {
        let row = |id: &str| Arc::new(Row::undated(id.to_owned(), format!("{{\"id\":\"{id}\"}}")));
        let rows = vec![row("1"), row("2")];
        let (kind, version) = (Kind::Tags, Version::of(14));
        Listing { kind, version, envelope: "list", key: "data", rows, rest, end }
    }

    #[test]
    fn a_page_can_lack_its_records_or_hold_one_that_is_none() {
        let listing = listing(vec![("total_count", "2".to_owned())], End::Absent);
        let head = "{\"type\":\"list\",\"total_count\":2";
        assert_eq!(
            listing.text(Spoilt::Nothing),
            format!("{head},\"data\":[{{\"id\":\"1\"}},{{\"id\":\"2\"}}]}}")
        );
        assert_eq!(listing.text(Spoilt::Records), format!("{head}}}"));
        assert_eq!(
            listing.text(Spoilt::FirstRow),
            format!("{head},\"data\":[\"not an object\",{{\"id\":\"2\"}}]}}")
        );
    }

    #[test]
    fn a_page_that_shows_too_little_is_the_last_one_by_the_way_of_its_endpoint() {
        for (end, next) in [(End::Null, "\"next\":null,"), (End::Absent, "")] {
            let paged = pages(1, 2, 5, Some("\"x\""));
            assert!(paged.contains("\"next\":\"x\","));
            let listing = listing(vec![("pages", paged), ("total_count", "5".to_owned())], end);
            let last = format!(
                "{{\"type\":\"list\",\"pages\":{{\"type\":\"pages\",{next}\"page\":1,\"per_page\":2,\"total_pages\":3}},\"total_count\":5"
            );
            assert_eq!(listing.text(Spoilt::Emptied), format!("{last},\"data\":[]}}"));
            assert_eq!(listing.text(Spoilt::Cut(0)), listing.text(Spoilt::Emptied));
            assert_eq!(listing.text(Spoilt::Cut(1)), format!("{last},\"data\":[{{\"id\":\"1\"}}]}}"));
            assert_eq!(
                listing.text(Spoilt::Cut(9)),
                format!("{last},\"data\":[{{\"id\":\"1\"}},{{\"id\":\"2\"}}]}}")
            );
            assert_eq!(listing.text(Spoilt::BareEmpty), "[]");
        }
    }

    #[test]
    fn a_scroll_and_a_last_page_have_no_next_page_to_lose() {
        for paged in ["null".to_owned(), pages(3, 2, 5, None)] {
            let listing = listing(vec![("pages", paged.clone())], End::Absent);
            let emptied = format!("{{\"type\":\"list\",\"pages\":{paged},\"data\":[]}}");
            assert_eq!(listing.text(Spoilt::Emptied), emptied);
        }
    }

    #[test]
    fn a_list_that_comes_whole_states_what_it_leaves_out() {
        let mut listing = listing(Vec::new(), End::Absent);
        assert_eq!(listing.text(Spoilt::Emptied), "{\"type\":\"list\",\"data\":[]}");
        assert_eq!(
            listing.text(Spoilt::Cut(1)),
            "{\"type\":\"list\",\"total_count\":2,\"data\":[{\"id\":\"1\"}]}"
        );
        listing.key = Listing::BARE;
        assert_eq!(listing.text(Spoilt::Cut(1)), "[{\"id\":\"1\"}]");
        assert_eq!(listing.text(Spoilt::Emptied), "[]");
    }
}
