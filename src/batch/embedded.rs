//! Rows that stand inside other rows: finding their lists, and what the parent's row says about them.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::decode::{Decoder, Rows};
use super::layout::Layout;
use crate::table::{Inside, TableSpec};

/// How to read the rows of one table out of the rows of its parent.
#[derive(Debug, Clone)]
pub struct Embedded {
    decoder: Decoder,
    lists: &'static [&'static str],
    /// Where each list says that it shows only some of its entries.
    cuts: Vec<Option<String>>,
}

/// What a parent's row shows of the rows inside it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown {
    /// Entries.
    pub entries: usize,
    /// Whether there is any list, empty or not.
    pub is_there: bool,
    /// Whether a list says that it shows only some of its entries.
    pub is_cut: bool,
}

/// Values of a parent's row for the rows inside it, as JSON text by the positions of their columns.
#[derive(Debug, Clone, Default)]
pub struct ParentValues(pub(super) Vec<(usize, String)>);

impl Embedded {
    /// For the rows of `table`, which stand as `inside` says.
    pub fn new(table: &TableSpec, inside: &Inside) -> Self {
        let cut = |list: &&str| list.rsplit_once('.').map(|(object, _)| format!("{object}.has_more"));
        Self {
            decoder: Decoder::new(Layout::new(table)),
            lists: inside.lists,
            cuts: inside.lists.iter().map(cut).collect(),
        }
    }

    /// Builders for about `capacity` rows.
    pub fn rows(&self, capacity: usize) -> Rows {
        self.decoder.rows(capacity)
    }

    /// The first keys of everything that is looked for in a parent's row.
    pub fn first_keys(&self) -> impl Iterator<Item = &'static str> {
        let of_parent = self.decoder.layout().of_parent.iter().map(|(_, path)| *path);
        let paths: Vec<&'static str> = self.lists.iter().copied().chain(of_parent).collect();
        paths.into_iter().map(first_key)
    }

    /// What the parent's row shows.
    pub fn look(&self, parent: &Members<'_>) -> Shown {
        let mut shown = Shown::default();
        for (list, cut) in self.lists.iter().zip(&self.cuts) {
            let Some(entries) = parent.at(list).and_then(entries) else { continue };
            shown.is_there = true;
            shown.entries += entries.len();
            shown.is_cut |= cut.as_deref().and_then(|cut| parent.at(cut)) == Some("true");
        }
        shown
    }

    /// The parent's values for its rows.
    pub fn values(&self, parent: &Members<'_>) -> ParentValues {
        let of_parent = &self.decoder.layout().of_parent;
        let value = |(position, path): &(usize, &'static str)| Some((*position, parent.at(path)?.to_owned()));
        ParentValues(of_parent.iter().filter_map(value).collect())
    }

    /// The same value for every column that is the parent's; for parents of which only the id is known.
    pub fn values_of_id(&self, id: &str) -> ParentValues {
        let text = serde_json::Value::from(id).to_string();
        let of_parent = &self.decoder.layout().of_parent;
        ParentValues(of_parent.iter().map(|(position, _)| (*position, text.clone())).collect())
    }

    /// Adds the entries of all lists to `rows`; how many.
    pub fn take(&self, parent: &Members<'_>, rows: &mut Rows) -> serde_json::Result<usize> {
        let values = self.values(parent);
        let mut taken = 0;
        for list in self.lists {
            for entry in parent.at(list).and_then(entries).unwrap_or_default() {
                rows.push(entry, &values)?;
                taken += 1;
            }
        }
        Ok(taken)
    }
}

/// The entries of a list; of an object, itself; none of null. `None` of anything else.
fn entries(raw: &str) -> Option<Vec<&str>> {
    match raw.as_bytes().first() {
        Some(b'[') => {
            let entries: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
            Some(entries.into_iter().map(RawValue::get).collect())
        }
        Some(b'{') => Some(vec![raw]),
        Some(b'n') => Some(Vec::new()),
        _ => None,
    }
}

fn first_key(path: &'static str) -> &'static str {
    path.split('.').next().unwrap_or(path)
}

/// Some members of an object, still text.
#[derive(Debug)]
pub struct Members<'r>(Vec<(&'static str, &'r str)>);

impl<'r> Members<'r> {
    /// The members of `row` under `keys`; one scan over the text.
    pub fn of(row: &'r str, keys: &[&'static str]) -> serde_json::Result<Self> {
        serde_json::Deserializer::from_str(row).deserialize_map(Pick { keys }).map(Self)
    }

    /// The value at a dotted path, whose first key was among those picked; null where the way ends in null.
    pub fn at(&self, path: &str) -> Option<&'r str> {
        let (first, mut rest) = path.split_once('.').unwrap_or((path, ""));
        let mut raw = self.0.iter().find(|(key, _)| *key == first)?.1;
        while !rest.is_empty() && raw != "null" {
            let (key, deeper) = rest.split_once('.').unwrap_or((rest, ""));
            raw = serde_json::Deserializer::from_str(raw).deserialize_map(One { key }).ok().flatten()?;
            rest = deeper;
        }
        Some(raw)
    }

    /// The text at a path; numbers by their digits.
    pub fn text(&self, path: &str) -> Option<String> {
        match super::value::text(self.at(path)?) {
            super::value::Reading::Value(text) => Some(text.into_owned()),
            _ => None,
        }
    }

    /// The whole number at a path.
    pub fn integer(&self, path: &str) -> Option<i64> {
        match super::value::integer(self.at(path)?) {
            super::value::Reading::Value(number) => Some(number),
            _ => None,
        }
    }

    /// The moment at a path, in microseconds since the epoch.
    pub fn timestamp(&self, path: &str) -> Option<i64> {
        match super::value::timestamp(self.at(path)?) {
            super::value::Reading::Value(moment) => Some(moment),
            _ => None,
        }
    }
}

struct Pick<'k> {
    keys: &'k [&'static str],
}

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = Vec<(&'static str, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut picked = Vec::with_capacity(self.keys.len());
        while let Some(name) = members.next_key::<&'de RawValue>()? {
            let name = super::json_text::unquote(name.get()).unwrap_or_default();
            match self.keys.iter().find(|key| **key == name) {
                Some(key) => picked.push((*key, members.next_value::<&'de RawValue>()?.get())),
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(picked)
    }
}

struct One<'k> {
    key: &'k str,
}

impl<'de> Visitor<'de> for One<'_> {
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = members.next_key::<&'de RawValue>()? {
            let value = members.next_value::<&'de RawValue>()?.get();
            let name = super::json_text::unquote(name.get()).unwrap_or_default();
            if found.is_none() && name == self.key {
                found = Some(value);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_paths() {
        let row =
            r#"{"id":"a","tags":{"data":[{"id":"1"}],"has_more":true},"companies":null,"x":{"y":{"z":7}}}"#;
        let members = Members::of(row, &["id", "tags", "companies", "x", "missing"]).unwrap();
        for (path, expected) in [
            ("id", Some(r#""a""#)),
            ("tags.has_more", Some("true")),
            ("tags.data", Some(r#"[{"id":"1"}]"#)),
            ("tags.total_count", None),
            ("companies.data", Some("null")),
            ("x.y.z", Some("7")),
            ("id.deeper", None),
            ("missing", None),
            ("missing.data", None),
        ] {
            assert_eq!(members.at(path), expected, "{path}");
        }
        assert_eq!(members.text("x.y.z").as_deref(), Some("7"));
        assert_eq!(members.integer("x.y.z"), Some(7));
    }

    #[test]
    fn a_list_may_be_empty_null_or_an_object_of_its_own() {
        assert_eq!(entries("[1, {}]"), Some(vec!["1", "{}"]));
        assert_eq!(entries("[]"), Some(vec![]));
        assert_eq!(entries("null"), Some(vec![]));
        assert_eq!(entries(r#"{"views":1}"#), Some(vec![r#"{"views":1}"#]));
        assert_eq!(entries("7"), None);
    }
}
