//! A request as the routes see it, and the record kept of it.

use hyper::header::{HeaderMap, HeaderName};
use hyper::{Method, Uri};
use jiff::Timestamp;
use serde_json::Value;

/// One HTTP request, read completely.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) path_and_query: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    /// The body as JSON, where it is.
    pub(crate) json: Option<Value>,
}

impl Call {
    pub(crate) fn new(method: Method, uri: &Uri, headers: HeaderMap, body: &[u8]) -> Self {
        let query = uri.query().unwrap_or_default();
        Self {
            method,
            path: uri.path().to_owned(),
            path_and_query: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers,
            json: serde_json::from_slice(body).ok(),
        }
    }

    /// The first query parameter of that name.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.headers.get(name.into())?.to_str().ok()
    }

    /// The cursor of a search that continues.
    pub(crate) fn cursor(&self) -> Option<&str> {
        self.json.as_ref()?.get("pagination")?.get("starting_after")?.as_str()
    }
}

/// A request the sandbox received.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestRecord {
    /// `GET`, `POST`, ….
    pub method: String,
    /// Path and query as sent.
    pub path_and_query: String,
    /// The status answered; 0 where the connection was reset instead.
    pub status: u16,
    /// The body sent, null where there was none or it was no JSON.
    pub body: Value,
    /// Simulated time it arrived.
    pub at: Timestamp,
}
