//! One answer that carries rows: the envelope around them and what is needed of each row.

use std::borrow::Cow;

use arrow::array::RecordBatch;
use jiff::Timestamp;
use serde_json::Value;

use crate::batch::{Decoder, Fault, Malformed, ParentValues, RowError, Scanner, Shape};
use crate::table::TableSpec;

/// The answer's way to the next page; at least one of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next {
    /// The page's number.
    pub(super) page: Option<u64>,
    /// `starting_after` of a keyset cursor.
    pub(super) cursor: Option<String>,
}

/// The longest text of one member around the rows that is read: it would become many times as large.
const MOST_AROUND: usize = 64 << 10;

/// Why an answer is not a page; never to be taken for the end.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    #[error("not a page: {0}")]
    Json(#[from] Malformed),
    #[error("no list under {0:?}")]
    NoRecords(&'static str),
    #[error("pages.next leads nowhere")]
    Next,
    #[error("more than {} KB around the rows", MOST_AROUND >> 10)]
    Around,
    #[error("an answer about another object")]
    AnotherObject,
    #[error("a row without its id")]
    Keyless,
    #[error("entries that came or went while a list was read")]
    Moved,
    #[error(transparent)]
    Row(#[from] RowError),
}

/// What an answer says around its rows.
#[derive(Debug, Default)]
pub(super) struct Around {
    pub(super) next: Option<Next>,
    /// How many pages there are, as stated.
    pub(super) total_pages: Option<u64>,
    /// Whether there is nothing around the rows.
    pub(super) is_bare: bool,
    pub(super) total_count: Option<u64>,
    pub(super) scroll_param: Option<String>,
}

/// Reads the answer to a request for one object as a page of one row.
pub(super) fn read_object(
    table: &'static TableSpec,
    decoder: &Decoder,
    body: &[u8],
    began: Timestamp,
) -> Result<RecordBatch, PageError> {
    let mut rows = decoder.rows(1);
    if !rows.push(&text(body), &ParentValues::default(), || table.name.to_owned())? {
        return Err(PageError::AnotherObject);
    }
    Ok(rows.finish(began)?.0)
}

/// The text of an answer. Bytes that are none are written out, as `\xe9` in a JSON text: one odd value is no reason to
/// lose those beside it.
pub(super) fn text(body: &[u8]) -> Cow<'_, str> {
    match simdutf8::basic::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(written_out(body)),
    }
}

/// What stands before the two digits of a byte that is written out.
const WRITTEN_OUT: &str = r"\\x";

fn written_out(body: &[u8]) -> String {
    let mut text = String::with_capacity(body.len() + 64);
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("{WRITTEN_OUT}{byte:02x}"));
        }
    }
    text
}

/// Notes which rows of an answer hold text that was written out.
pub(super) fn note_written_out<'t>(rows: impl Iterator<Item = (String, &'t str)>, shape: &mut Shape) {
    let reason = "text that is not UTF-8; stored with the bytes that are none as \\x and two digits";
    for (place, row) in rows.filter(|(_, row)| row.contains(WRITTEN_OUT)) {
        shape.not_text.push(place, reason, row);
    }
}

/// Reads an answer whose rows stand under one of the keys `records`. A bare array is taken as the rows. Each row is read
/// by `row`, which finds it next in the text.
pub(super) fn read<'t>(
    text: &'t str,
    records: &[&'static str],
    row: impl FnMut(&mut Scanner<'t>) -> Result<(), Fault>,
) -> Result<Around, PageError> {
    let mut envelope = Envelope::default();
    Scanner::read_all(text, |scan| match scan.peek() {
        Some(b'[') => {
            envelope.is_bare = true;
            envelope.read_rows(scan, row)
        }
        _ => envelope.read_members(scan, records, row),
    })?;
    if !envelope.has_records {
        return Err(PageError::NoRecords(records.first().copied().unwrap_or_default()));
    }
    if envelope.pages.is_some_and(|pages| pages.len() > MOST_AROUND) {
        return Err(PageError::Around);
    }
    let pages: Value =
        envelope.pages.map_or(Ok(Value::Null), serde_json::from_str).map_err(|_| PageError::Next)?;
    let next = next_page(&pages)?;
    let total_count = value(envelope.total_count).as_u64();
    let scroll_param = value(envelope.scroll_param).as_str().map(str::to_owned);
    let total_pages = pages["total_pages"].as_u64();
    Ok(Around { next, total_pages, is_bare: envelope.is_bare, total_count, scroll_param })
}

/// How many rows there are, as an answer states that is asked for nothing else; `None` if it does not.
pub(super) fn total_count(body: &[u8]) -> Option<u64> {
    let read = |scan: &mut Scanner<'_>| {
        let mut total = None;
        let mut is_more = scan.open_object()?;
        while is_more {
            let is_total = scan.name()? == "total_count";
            let value = scan.skip()?;
            if is_total {
                total = value_of(value).as_u64();
            }
            is_more = scan.next_member()?;
        }
        Ok(total)
    };
    Scanner::read_all(&text(body), read).ok().flatten()
}

/// The texts of the rows of an answer.
pub(super) fn texts<'t>(
    text: &'t str,
    records: &[&'static str],
) -> Result<(Around, Vec<&'t str>), PageError> {
    let mut rows = Vec::new();
    let around = read(text, records, |scan| {
        rows.push(scan.skip()?);
        Ok(())
    })?;
    Ok((around, rows))
}

/// `pages` may be null or missing, `pages.next` an object, a URL, null or missing.
fn next_page(pages: &Value) -> Result<Option<Next>, PageError> {
    let next = match &pages["next"] {
        Value::Null => return Ok(None),
        Value::String(url) => Next { page: page_of(url), cursor: None },
        Value::Object(next) => Next {
            page: next.get("page").and_then(Value::as_u64),
            cursor: next.get("starting_after").and_then(Value::as_str).map(str::to_owned),
        },
        _ => return Err(PageError::Next),
    };
    let next = Next { cursor: next.cursor.filter(|cursor| !cursor.is_empty()), ..next };
    if next.page.is_none() && next.cursor.is_none() { Err(PageError::Next) } else { Ok(Some(next)) }
}

/// The page number in a URL's query. Its host is not followed.
fn page_of(url: &str) -> Option<u64> {
    let (_, query) = url.split_once('?')?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == "page").and_then(|(_, value)| value.parse().ok())
}

/// The members around the rows, still text.
#[derive(Debug, Default)]
struct Envelope<'t> {
    has_records: bool,
    is_bare: bool,
    pages: Option<&'t str>,
    total_count: Option<&'t str>,
    scroll_param: Option<&'t str>,
}

impl<'t> Envelope<'t> {
    fn read_members(
        &mut self,
        scan: &mut Scanner<'t>,
        records: &[&'static str],
        mut row: impl FnMut(&mut Scanner<'t>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut is_more = scan.open_object()?;
        while is_more {
            let name = scan.name()?;
            if !self.has_records && records.contains(&&*name) {
                self.read_rows(scan, &mut row)?;
            } else {
                let value = Some(scan.skip()?);
                match &*name {
                    "pages" => self.pages = value,
                    "total_count" => self.total_count = value,
                    "scroll_param" => self.scroll_param = value,
                    _ => {}
                }
            }
            is_more = scan.next_member()?;
        }
        Ok(())
    }

    fn read_rows(
        &mut self,
        scan: &mut Scanner<'t>,
        row: impl FnMut(&mut Scanner<'t>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        scan.each_entry(row)?;
        self.has_records = true;
        Ok(())
    }
}

/// A member that is not needed so badly that an odd one should fail the page.
fn value(raw: Option<&str>) -> Value {
    raw.map(value_of).unwrap_or_default()
}

fn value_of(raw: &str) -> Value {
    if raw.len() > MOST_AROUND { Value::Null } else { serde_json::from_str(raw).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Layout;
    use crate::source::intercom::tables;

    fn page(body: &str) -> Result<(Around, RecordBatch), PageError> {
        let decoder = Decoder::new(Layout::new(tables::find("contacts").unwrap()));
        let mut rows = decoder.rows(4);
        let around = read(body, &["data"], |scan| {
            rows.read(scan, &ParentValues::default(), None, String::new).map(drop)
        })?;
        Ok((around, rows.finish(Timestamp::UNIX_EPOCH)?.0))
    }

    #[test]
    fn the_ways_to_say_that_there_is_or_is_no_next_page() {
        let cursor = Some(Next { page: Some(2), cursor: Some("abc".into()) });
        let url = Some(Next { page: Some(2), cursor: None });
        for (pages, expected) in [
            (r#""pages":{"next":{"page":2,"starting_after":"abc"}},"#, cursor),
            (r#""pages":{"next":"https://api.intercom.io/articles?per_page=50&page=2"},"#, url.clone()),
            (r#""pages":{"next":{"page":2}},"#, url),
            (r#""pages":{"next":null},"#, None),
            (r#""pages":{},"#, None),
            (r#""pages":null,"#, None),
            ("", None),
        ] {
            let (around, _) = page(&format!(r#"{{"type":"list",{pages}"data":[]}}"#)).unwrap();
            assert_eq!(around.next, expected, "{pages}");
        }
        assert!(matches!(page(r#"{"pages":{"next":{}},"data":[]}"#), Err(PageError::Next)));
        assert!(matches!(page(r#"{"pages":{"next":"/articles"},"data":[]}"#), Err(PageError::Next)));
        assert!(matches!(page(r#"{"pages":{"next":7},"data":[]}"#), Err(PageError::Next)));
    }

    #[test]
    fn what_is_no_page_is_an_error_without_its_text() {
        for (body, message) in [
            (r#"{"type":"list","pages":null}"#, r#"no list under "data""#),
            (r#"{"data":null}"#, "unexpected shape"),
            (r#"{"data":{}}"#, "unexpected shape"),
            (r#"{"data":[{"id":"1"}]"#, "cut short"),
            (r#"["joe@example.com"]"#, "unexpected shape"),
            (r#""joe@example.com""#, "unexpected shape"),
            (r#"{"data":["joe@example.com"]}"#, "unexpected shape"),
        ] {
            let error = page(body).unwrap_err().to_string();
            assert!(error.contains(message), "{body}: {error}");
            assert!(!error.contains("joe"), "{error}");
        }
    }

    #[test]
    fn a_row_without_a_key_is_kept_beside_the_others() {
        let decoder = Decoder::new(Layout::new(tables::find("contacts").unwrap()));
        let mut rows = decoder.rows(4);
        let body = r#"{"data":[{"id":"a"},{"name":"joe@example.com"},{"id":null},{"id":"b"}]}"#;
        read(body, &["data"], |scan| {
            let entry = rows.len();
            rows.read(scan, &ParentValues::default(), None, || entry.to_string()).map(drop)
        })
        .unwrap();
        let (batch, shape) = rows.finish(Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(batch.num_rows(), 2);
        let kept: Vec<_> = shape.keyless.kept.iter().map(|reject| (&*reject.place, &*reject.row)).collect();
        assert_eq!(kept, [("1", r#"{"name":"joe@example.com"}"#), ("2", r#"{"id":null}"#)]);
    }

    #[test]
    fn bytes_that_are_no_text_are_written_out() {
        assert_eq!(text(b"caf\xc3\xa9"), "caf\u{e9}");
        assert_eq!(text(b"[\"caf\xe9\",\"\xff\xfe\"]"), r#"["caf\\xe9","\\xff\\xfe"]"#);
    }

    #[test]
    fn what_stands_around_the_rows_is_not_read_if_it_is_huge() {
        let nested = "[],".repeat(30_000);
        let huge = format!(r#"{{"pages":{{"next":null,"x":[{nested}0]}},"data":[]}}"#);
        assert!(matches!(page(&huge), Err(PageError::Around)));
        let huge = format!(r#"{{"total_count":[{nested}0],"scroll_param":[{nested}0],"data":[]}}"#);
        let (around, _) = page(&huge).unwrap();
        assert_eq!((around.total_count, around.scroll_param), (None, None));
        assert_eq!(total_count(huge.as_bytes()), None);
    }

    #[test]
    fn a_count_is_found_wherever_it_stands() {
        for (body, expected) in [
            (r#"{"data":[{"total_count":9}],"total_count":7}"#, Some(7)),
            (r#"{"total_count": 7 ,"data":[]}"#, Some(7)),
            (r#"{"total_count":"7"}"#, None),
            (r#"{"total_count":7"#, None),
            (r#"[{"total_count":7}]"#, None),
            ("", None),
        ] {
            assert_eq!(total_count(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn a_bare_array_is_the_rows() {
        let (around, batch) = page(r#"[{"id":"a"},{"id":7}]"#).unwrap();
        assert_eq!((batch.num_rows(), around.total_count), (2, None));
        let (around, batch) = page(r#"{"data":[{"id":"a"}],"total_count":2}"#).unwrap();
        assert_eq!((batch.num_rows(), around.total_count), (1, Some(2)));
    }
}
