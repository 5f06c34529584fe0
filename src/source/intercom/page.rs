//! One answer that carries rows: the envelope around them and what is needed of each row.

use std::fmt;

use arrow::array::RecordBatch;
use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::batch::{Decoder, ParentValues, RowError, Rows};
use crate::table::TableSpec;

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
    #[error("an answer about another object")]
    AnotherObject,
    #[error("entries that came or went while a list was read")]
    Moved,
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

/// What an answer says around its rows.
#[derive(Debug, Default)]
pub(super) struct Around {
    pub(super) next: Option<Next>,
    /// Number of this page and of all pages, as stated.
    pub(super) position: Option<(u64, u64)>,
    pub(super) total_count: Option<u64>,
    pub(super) scroll_param: Option<String>,
}

/// Where the rows of an answer go.
#[derive(Debug)]
pub(super) enum Sink<'r, 'de> {
    /// Straight into builders.
    Rows(&'r mut Rows),
    /// Aside, as text.
    Aside(&'r mut Vec<&'de RawValue>),
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

/// Reads an answer whose rows stand under one of the keys `records`. A bare array is taken as the rows.
pub(super) fn read<'de>(
    text: &'de str,
    records: &[&'static str],
    sink: Sink<'_, 'de>,
) -> Result<Around, PageError> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let envelope = parser.deserialize_any(Envelope { records, sink })?;
    parser.end()?;
    if !envelope.has_records {
        return Err(PageError::NoRecords(records.first().copied().unwrap_or_default()));
    }
    let pages: Value = envelope.pages.as_deref().map_or(Ok(Value::Null), serde_json::from_str)?;
    let next = next_page(&pages)?;
    let position = pages["page"].as_u64().zip(pages["total_pages"].as_u64());
    let Read { total_count, scroll_param, .. } = envelope;
    Ok(Around { next, position, total_count, scroll_param })
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
struct Envelope<'r, 'de> {
    records: &'r [&'static str],
    sink: Sink<'r, 'de>,
}

impl<'de> Visitor<'de> for Envelope<'_, 'de> {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a page")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Read, A::Error> {
        while let Some(row) = list.next_element::<&'de RawValue>()? {
            self.sink.take(row).map_err(serde::de::Error::custom)?;
        }
        Ok(Read { has_records: true, ..Read::default() })
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Read, A::Error> {
        let mut read = Read::default();
        while let Some(name) = members.next_key::<String>()? {
            if !read.has_records && self.records.contains(&name.as_str()) {
                members.next_value_seed(&mut self.sink)?;
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

impl<'de> Sink<'_, 'de> {
    fn take(&mut self, row: &'de RawValue) -> serde_json::Result<()> {
        match self {
            Self::Rows(rows) => rows.push(row.get(), &ParentValues::default()),
            Self::Aside(list) => {
                list.push(row);
                Ok(())
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut Sink<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self {
            Sink::Rows(rows) => rows.deserialize(deserializer),
            Sink::Aside(list) => {
                **list = serde::Deserialize::deserialize(deserializer)?;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Layout;
    use crate::source::intercom::tables;

    fn page(body: &str) -> Result<(Around, RecordBatch), PageError> {
        let decoder = Decoder::new(Layout::new(tables::find("contacts").unwrap()));
        let mut rows = decoder.rows(4);
        let around = read(body, &["data"], Sink::Rows(&mut rows))?;
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
            (r#"{"data":[{"name":"joe@example.com"}]}"#, "key column id is null"),
        ] {
            let error = page(body).unwrap_err().to_string();
            assert!(error.contains(message), "{body}: {error}");
            assert!(!error.contains("joe"), "{error}");
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
