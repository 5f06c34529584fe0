//! A row being asked about its values.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use serde_json::Value;

use super::fields::Path;
use super::row::Row;

/// Looks into a row; its text is parsed at most once, and not at all for the two dates everything is read by.
#[derive(Debug)]
pub(crate) struct Probe<'a> {
    row: &'a Row,
    document: OnceCell<Value>,
}

impl<'a> Probe<'a> {
    pub(crate) fn new(row: &'a Row) -> Self {
        Self { row, document: OnceCell::new() }
    }

    /// The date at `path` in Unix seconds; `None` if it is null, absent or no integer.
    pub(crate) fn second(&self, path: &Path) -> Option<i64> {
        match path.0.as_slice() {
            [key] if key == "created_at" => self.row.created_at,
            [key] if key == "updated_at" => self.row.updated_at,
            _ => self.values(path).first()?.as_i64(),
        }
    }

    /// Everything found at `path`, nulls left out; several where the path leads through a list.
    pub(crate) fn values(&self, path: &Path) -> Vec<&Value> {
        let document = self.document.get_or_init(|| serde_json::from_str(&self.row.text).unwrap_or_default());
        let mut found = vec![document];
        for key in &path.0 {
            found = found.into_iter().filter_map(|value| value.get(key)).collect();
            if found.iter().any(|value| value.is_array()) {
                found = found
                    .into_iter()
                    .flat_map(|value| match value.as_array() {
                        Some(items) => items.iter().collect(),
                        None => vec![value],
                    })
                    .collect();
            }
        }
        found.retain(|value| !value.is_null());
        found
    }

    /// Ids of all tags, also those the embedded list leaves out.
    pub(crate) fn tags(&self) -> &'a [Arc<str>] {
        &self.row.hidden.tags
    }

    /// Ids of the segments the contact is in, which its JSON never shows.
    pub(crate) fn segments(&self) -> &'a [Arc<str>] {
        &self.row.hidden.segments
    }

    /// A value as a text filter sees it.
    pub(crate) fn text(value: &Value) -> Option<Cow<'_, str>> {
        match value {
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Number(number) => Some(Cow::Owned(number.to_string())),
            _ => None,
        }
    }
}
