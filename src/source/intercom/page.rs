//! One answer that carries rows: the envelope around them and what is needed of each row.

use std::fmt;

use arrow::array::RecordBatch;
use bytes::Bytes;
use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::trouble::Trouble;
use crate::batch::{Decoder, RowError, Rows, Shape, key_hashes};
use crate::error::{Error, ErrorKind};
use crate::source::Pass;
use crate::table::TableSpec;

/// Rows of one answer and what its envelope says.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) batch: RecordBatch,
    pub(super) shape: Shape,
    pub(super) next: Option<Next>,
    /// Number of this page and of all pages, as stated.
    pub(super) position: Option<(u64, u64)>,
    pub(super) total_count: Option<u64>,
    pub(super) scroll_param: Option<String>,
    /// One hash per row of its key.
    pub(super) keys: Vec<u64>,
}

/// The answer's way to the next page; at least one of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next {
    /// The page's number.
    pub(super) page: Option<u64>,
    /// `starting_after` of a keyset cursor.
    pub(super) cursor: Option<String>,
}

/// Why an answer is not a page; never to be taken for the end.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    #[error("not text: {0}")]
    Utf8(#[from] std::str::Utf8Error),
    /// Category and place only: the words of the parser could quote the answer.
    #[error("not a page: {category} at line {line} column {column}")]
    Json { category: &'static str, line: usize, column: usize },
    #[error("no list under {0:?}")]
    NoRecords(&'static str),
    #[error("pages.next leads nowhere")]
    Next,
    #[error(transparent)]
    Row(#[from] RowError),
}

impl From<serde_json::Error> for PageError {
    fn from(error: serde_json::Error) -> Self {
        let category = match error.classify() {
            serde_json::error::Category::Eof => "cut short",
            serde_json::error::Category::Data => "unexpected shape",
            serde_json::error::Category::Syntax => "bad JSON",
            serde_json::error::Category::Io => "unreadable",
        };
        Self::Json { category, line: error.line(), column: error.column() }
    }
}

/// Decodes an answer on a thread where it holds up no other request.
pub(super) async fn decode(pass: Pass, decoder: &Decoder, body: Bytes) -> Result<Contents, Trouble> {
    let decoder = decoder.clone();
    let decoding = tokio::task::spawn_blocking(move || read(pass.table, &decoder, &body, pass.began));
    match decoding.await {
        Ok(contents) => contents.map_err(Trouble::failed),
        Err(error) => {
            Err(Trouble::Fatal(Error::new(ErrorKind::Data, "decoding was cut short").with_source(error)))
        }
    }
}

/// Reads the answer to a request for one object as a page of one row.
pub(super) fn read_object(
    table: &'static TableSpec,
    decoder: &Decoder,
    body: &[u8],
    began: Timestamp,
) -> Result<RecordBatch, PageError> {
    let text = format!("[{}]", std::str::from_utf8(body)?);
    let mut rows = decoder.rows(1);
    let mut parser = serde_json::Deserializer::from_str(&text);
    rows.deserialize(&mut parser)?;
    parser.end()?;
    let (batch, _) = rows.finish(began)?;
    debug_assert_eq!(batch.num_rows(), 1, "one row of {}", table.name);
    Ok(batch)
}

/// Reads a page whose rows stand under the table's record key.
fn read(
    table: &'static TableSpec,
    decoder: &Decoder,
    body: &[u8],
    began: Timestamp,
) -> Result<Contents, PageError> {
    let text = std::str::from_utf8(body)?;
    let records = table.endpoint.records();
    let mut rows = decoder.rows(150);
    let mut parser = serde_json::Deserializer::from_str(text);
    let envelope = parser.deserialize_map(Envelope { records, rows: &mut rows })?;
    parser.end()?;
    if !envelope.has_records {
        return Err(PageError::NoRecords(records));
    }
    let pages: Value = envelope.pages.as_deref().map_or(Ok(Value::Null), serde_json::from_str)?;
    let next = next_page(&pages)?;
    let position = pages["page"].as_u64().zip(pages["total_pages"].as_u64());
    let (batch, shape) = rows.finish(began)?;
    let keys = key_hashes(table, &batch);
    let Read { total_count, scroll_param, .. } = envelope;
    Ok(Contents { batch, shape, next, position, total_count, scroll_param, keys })
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

#[derive(Debug, Default)]
struct Read {
    has_records: bool,
    pages: Option<String>,
    total_count: Option<u64>,
    scroll_param: Option<String>,
}

/// Reads the members around the rows, and the rows where they stand.
struct Envelope<'r> {
    records: &'static str,
    rows: &'r mut Rows,
}

impl<'de> Visitor<'de> for Envelope<'_> {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a page")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Read, A::Error> {
        let mut read = Read::default();
        while let Some(name) = members.next_key::<String>()? {
            if name == self.records {
                members.next_value_seed(List(self.rows))?;
                read.has_records = true;
                continue;
            }
            match name.as_str() {
                "pages" => {
                    let raw = members.next_value::<&'de RawValue>()?.get();
                    read.pages = (raw != "null").then(|| raw.to_owned());
                }
                // Neither is needed so badly that an odd shape should fail the page.
                "total_count" => read.total_count = members.next_value::<Value>()?.as_u64(),
                "scroll_param" => {
                    read.scroll_param = members.next_value::<Value>()?.as_str().map(str::to_owned);
                }
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(read)
    }
}

struct List<'r>(&'r mut Rows);

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Layout, hash_of_key};
    use crate::source::intercom::tables;

    fn page(body: &str) -> Result<Contents, PageError> {
        let table = tables::find("contacts").unwrap();
        read(table, &Decoder::new(Layout::new(table)), body.as_bytes(), Timestamp::UNIX_EPOCH)
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
            let read = page(&format!(r#"{{"type":"list",{pages}"data":[]}}"#)).unwrap();
            assert_eq!(read.next, expected, "{pages}");
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
            (r#"[{"id":"1"}]"#, "unexpected shape"),
            (r#"{"data":["joe@example.com"]}"#, "unexpected shape"),
            (r#"{"data":[{"name":"joe@example.com"}]}"#, "key column id is null"),
        ] {
            let error = page(body).unwrap_err().to_string();
            assert!(error.contains(message), "{body}: {error}");
            assert!(!error.contains("joe"), "{error}");
        }
    }

    #[test]
    fn a_keys_hash_is_that_of_its_row() {
        let read = page(r#"{"data":[{"id":"a"},{"id":7}],"total_count":2}"#).unwrap();
        assert_eq!(read.keys, [hash_of_key("a"), hash_of_key("7")]);
        assert_eq!(read.total_count, Some(2));
    }
}
