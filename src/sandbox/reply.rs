//! What a route answers, before it becomes bytes.

use std::sync::Arc;

use super::errors::ApiError;
use super::generate::Kind;
use super::json::{Json, Object, Raw};
use super::row::Row;
use super::version::Version;

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
}

/// What is spoiled while a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoilt {
    Nothing,
    /// The records' member is missing.
    Records,
    /// The first record is not an object.
    FirstRow,
}

impl Listing {
    /// As `key`: the records are the whole answer, without an envelope.
    pub(crate) const BARE: &str = "";

    pub(crate) fn text(&self, spoilt: Spoilt) -> String {
        let bytes: usize = self.rows.iter().map(|row| row.text.len() + 1).sum();
        if self.key == Self::BARE && spoilt != Spoilt::Records {
            return Records { listing: self, spoilt }.json();
        }
        let mut object = Object::with_capacity(bytes + 512);
        object.put("type", self.envelope);
        for (key, value) in &self.rest {
            object.put(key, Raw(value));
        }
        if spoilt != Spoilt::Records {
            object.put(self.key, Records { listing: self, spoilt });
        }
        object.done()
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
        for (at, row) in rows.iter().enumerate() {
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
        object.put("next", Raw(next));
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
    Reply::Listing(Listing { kind, version, envelope, key, rows, rest: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_can_be_spoilt_in_two_ways() {
        let row = |id: &str| Arc::new(Row::undated(id.to_owned(), format!("{{\"id\":\"{id}\"}}")));
        let listing = Listing {
            kind: Kind::Tags,
            version: Version::of(14),
            envelope: "list",
            key: "data",
            rows: vec![row("1"), row("2")],
            rest: vec![("total_count", "2".to_owned())],
        };
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
}
