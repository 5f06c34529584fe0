//! The paging cursor of searches: base64 of `[sort value in ms, id, number of the next page]`.
//!
//! It names the last row shown, so paging goes on after that row's place wherever the rows around it have moved.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::errors::ApiError;

/// A place in a sorted result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Sort value of the last row shown in milliseconds; none where the row has none, or nothing is sorted by.
    pub(crate) value: Option<i64>,
    /// Id of the last row shown.
    pub(crate) id: String,
    /// The page this cursor leads to, from 2.
    pub(crate) page: u32,
}

impl Cursor {
    /// `numeric`: the table's ids are numbers, and are written as such.
    pub(crate) fn encode(&self, numeric: bool) -> String {
        let id = match self.id.parse::<u64>() {
            Ok(number) if numeric => json!(number),
            _ => json!(self.id),
        };
        STANDARD.encode(json!([self.value, id, self.page]).to_string())
    }

    /// Anything this sandbox would not have written itself is refused.
    pub(crate) fn decode(text: &str, numeric: bool) -> Result<Self, ApiError> {
        Self::read(text, numeric).ok_or_else(|| {
            let message =
                "Invalid starting_after param. Please try again using a starting_after value from a paginated response";
            ApiError::new(400, "client_error", message)
        })
    }

    fn read(text: &str, numeric: bool) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        let [value, id, page] = serde_json::from_slice::<[Value; 3]>(&bytes).ok()?;
        let value = match value {
            Value::Null => None,
            other => Some(other.as_i64()?),
        };
        let id = match id {
            Value::Number(number) if numeric => number.as_u64()?.to_string(),
            Value::String(id) if !numeric => id,
            _ => return None,
        };
        let page = u32::try_from(page.as_u64()?).ok().filter(|page| *page >= 2)?;
        Some(Self { value, id, page })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_like_the_real_thing() {
        let cursor =
            Cursor { value: Some(1_734_537_343_000), id: "6763ede630196a1bededa150".to_owned(), page: 2 };
        let text = cursor.encode(false);
        assert_eq!(text, "WzE3MzQ1MzczNDMwMDAsIjY3NjNlZGU2MzAxOTZhMWJlZGVkYTE1MCIsMl0=");
        assert_eq!(Cursor::decode(&text, false), Ok(cursor));
    }

    #[test]
    fn numeric_ids_are_numbers() {
        let cursor = Cursor { value: None, id: "515".to_owned(), page: 3 };
        assert_eq!(STANDARD.decode(cursor.encode(true)).unwrap(), b"[null,515,3]");
        assert_eq!(Cursor::decode(&cursor.encode(true), true), Ok(cursor));
    }

    #[test]
    fn anything_else_is_refused() {
        for (text, numeric) in [
            ("", false),
            ("%%%", false),
            ("[1,\"a\",2]", false),
            (&STANDARD.encode("[1,\"a\"]"), false),
            (&STANDARD.encode("[1,\"a\",1]"), false),
            (&STANDARD.encode("[\"1\",\"a\",2]"), false),
            (&STANDARD.encode("[1,5,2]"), false),
            (&STANDARD.encode("[1,\"a\",2]"), true),
        ] {
            assert_eq!(Cursor::decode(text, numeric).unwrap_err().code, "client_error", "{text}");
        }
    }
}
