//! Rows that stand inside other rows: finding their lists, and what the parent's row says about them.

use super::decode::{Decoder, Rows};
use super::fault::Malformed;
use super::layout::Layout;
use super::scan::Scanner;
use crate::table::{Inside, TableSpec};

/// How to read the rows of one table out of the rows of its parent.
#[derive(Debug, Clone)]
pub struct Embedded {
    decoder: Decoder,
    lists: &'static [&'static str],
    is_union: bool,
    /// Where each list says that it shows only some of its entries.
    cuts: Vec<Option<String>>,
}

/// What a parent's row shows of the rows inside it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown {
    /// Entries.
    pub entries: usize,
    /// Whether there are the lists that make the whole, empty or not.
    pub is_there: bool,
    /// Whether a list says that it shows only some of its entries.
    pub is_cut: bool,
    /// Whether something else than a list stands where one should.
    pub is_odd: bool,
}

/// The lists that a parent's row shows.
#[derive(Debug, Default)]
pub struct Lists<'r> {
    /// The entries of each, with where it was looked for.
    read: Vec<(&'static str, Vec<&'r str>)>,
    /// Where something else stands than a list.
    unread: Vec<&'static str>,
    is_there: bool,
    is_cut: bool,
}

impl Lists<'_> {
    /// What they say of themselves.
    pub fn shown(&self) -> Shown {
        Shown {
            entries: self.read.iter().map(|(_, entries)| entries.len()).sum(),
            is_there: self.is_there,
            is_cut: self.is_cut,
            is_odd: !self.unread.is_empty(),
        }
    }
}

/// What stands where a list is looked for.
#[derive(Debug, PartialEq, Eq)]
enum Place<'r> {
    /// Nothing, and not even the object that it would stand in.
    Empty,
    /// That object, without the list.
    Without,
    /// A list, an object, or null.
    List(&'r str),
    /// Something else, there or on the way.
    Odd,
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
            is_union: inside.is_union,
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
    pub fn find<'r>(&self, parent: &Members<'r>) -> Lists<'r> {
        let mut found = Lists::default();
        let (mut without, mut seen) = (None, Vec::new());
        for (list, cut) in self.lists.iter().zip(&self.cuts) {
            match parent.place(list) {
                Place::Empty => {}
                Place::Without => without = Some(*list),
                Place::Odd => found.unread.push(*list),
                // A list without its object stands wherever it is looked for inside that.
                Place::List(raw) if seen.contains(&raw.as_ptr()) => {}
                Place::List(raw) => {
                    seen.push(raw.as_ptr());
                    match entries(raw) {
                        Some(entries) => found.read.push((*list, entries)),
                        None => found.unread.push(*list),
                    }
                    found.is_cut |= cut.as_deref().and_then(|cut| parent.at(cut)) == Some("true");
                }
            }
        }
        if found.read.is_empty() && found.unread.is_empty() {
            found.unread.extend(without);
        }
        found.is_there = found.read.len() >= if self.is_union { self.lists.len() } else { 1 };
        found
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

    /// Adds the entries of all `lists` of a parent to `rows`; how many, and whether none was left out because it is no
    /// row.
    pub fn take(
        &self,
        parent: &Members<'_>,
        lists: &Lists<'_>,
        rows: &mut Rows,
    ) -> Result<(usize, bool), Malformed> {
        lists.unread.iter().for_each(|path| rows.note_unread(path));
        let values = self.values(parent);
        let (mut taken, mut is_all) = (0, lists.unread.is_empty());
        for (path, entries) in &lists.read {
            let (rows, all) = self.take_entries(entries, &values, path, rows)?;
            taken += rows;
            is_all &= all;
        }
        Ok((taken, is_all))
    }

    /// Adds the entries of one list; how many, and whether none was left out.
    pub fn take_entries(
        &self,
        entries: &[&str],
        values: &ParentValues,
        path: &str,
        rows: &mut Rows,
    ) -> Result<(usize, bool), Malformed> {
        let mut taken = 0;
        for (at, entry) in entries.iter().enumerate() {
            taken += usize::from(rows.push_entry(entry, values, (path, at))?);
        }
        Ok((taken, taken == entries.len()))
    }
}

/// The entries of a list; of an object, itself, unless there is nothing in it; none of null. `None` of anything else.
fn entries(raw: &str) -> Option<Vec<&str>> {
    match raw.as_bytes().first() {
        Some(b'[') => {
            let mut entries = Vec::new();
            Scanner::read_list(raw, |scan| scan.skip().map(|entry| entries.push(entry))).ok()?;
            Some(entries)
        }
        Some(b'{') => Some(if Scanner::new(raw).open_object().ok()? { vec![raw] } else { Vec::new() }),
        Some(b'n') => Some(Vec::new()),
        _ => None,
    }
}

fn first_key(path: &'static str) -> &'static str {
    path.split('.').next().unwrap_or(path)
}

/// Some members of an object, still text.
#[derive(Debug)]
pub struct Members<'r> {
    keys: &'r [&'static str],
    found: Vec<(&'static str, &'r str)>,
}

impl<'r> Members<'r> {
    /// None yet; those under `keys` are looked for.
    pub fn under(keys: &'r [&'static str]) -> Self {
        Self { keys, found: Vec::with_capacity(keys.len()) }
    }

    /// The members of `row` under `keys`; one scan over the text.
    pub fn of(row: &'r str, keys: &'r [&'static str]) -> Result<Self, Malformed> {
        let mut members = Self::under(keys);
        Scanner::read_all(row, |scan| {
            let mut is_more = scan.open_object()?;
            while is_more {
                let name = scan.name()?;
                members.offer(&name, scan.skip()?);
                is_more = scan.next_member()?;
            }
            Ok(members)
        })
    }

    /// Takes a member if it is looked for.
    pub(super) fn offer(&mut self, name: &str, value: &'r str) {
        if let Some(key) = self.keys.iter().find(|key| **key == name) {
            self.found.push((key, value));
        }
    }

    /// The value at a dotted path, whose first key was among those picked; null where the way ends in null.
    pub fn at(&self, path: &str) -> Option<&'r str> {
        let (first, mut rest) = path.split_once('.').unwrap_or((path, ""));
        let mut raw = self.found.iter().find(|(key, _)| *key == first)?.1;
        while !rest.is_empty() && raw != "null" {
            let (key, deeper) = rest.split_once('.').unwrap_or((rest, ""));
            raw = member(raw, key)?;
            rest = deeper;
        }
        Some(raw)
    }

    /// What stands where a list is looked for. A list that stands on the way, without the object around it, is it.
    fn place(&self, path: &str) -> Place<'r> {
        let (first, mut rest) = path.split_once('.').unwrap_or((path, ""));
        let Some(&(_, mut raw)) = self.found.iter().find(|(key, _)| *key == first) else {
            return Place::Empty;
        };
        loop {
            match raw.as_bytes().first() {
                Some(b'[' | b'n') => return Place::List(raw),
                Some(b'{') if rest.is_empty() => return Place::List(raw),
                Some(b'{') => {}
                _ => return Place::Odd,
            }
            let (key, deeper) = rest.split_once('.').unwrap_or((rest, ""));
            let Some(inner) = member(raw, key) else { return Place::Without };
            (raw, rest) = (inner, deeper);
        }
    }

    /// The text at a path; numbers by their digits.
    pub fn text(&self, path: &str) -> Option<String> {
        match super::value::text(self.at(path)?.into()) {
            super::value::Reading::Value(text) => Some(text.into_owned()),
            _ => None,
        }
    }

    /// The whole number at a path.
    pub fn integer(&self, path: &str) -> Option<i64> {
        match super::value::integer(self.at(path)?.into()) {
            super::value::Reading::Value(number) => Some(number),
            _ => None,
        }
    }

    /// The moment at a path, in microseconds since the epoch.
    pub fn timestamp(&self, path: &str) -> Option<i64> {
        match super::value::timestamp(self.at(path)?.into()) {
            super::value::Reading::Value(moment) => Some(moment),
            _ => None,
        }
    }
}

/// The first member of an object under `key`; `None` of anything else.
fn member<'r>(raw: &'r str, key: &str) -> Option<&'r str> {
    let mut scan = Scanner::new(raw);
    let mut is_more = scan.open_object().ok()?;
    while is_more {
        let name = scan.name().ok()?;
        let value = scan.skip().ok()?;
        if name == key {
            return Some(value);
        }
        is_more = scan.next_member().ok()?;
    }
    None
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
    fn lists_are_found_where_they_stand() {
        let row =
            r#"{"a":{"list":[1]},"b":{"list":null},"c":{"other":1},"d":[2],"e":7,"f":{"list":"x"},"g":null}"#;
        let members = Members::of(row, &["a", "b", "c", "d", "e", "f", "g", "h"]).unwrap();
        for (path, expected) in [
            ("a.list", Place::List("[1]")),
            ("a", Place::List(r#"{"list":[1]}"#)),
            ("b.list", Place::List("null")),
            ("c.list", Place::Without),
            ("d.list", Place::List("[2]")),
            ("e.list", Place::Odd),
            ("f.list", Place::Odd),
            ("g.list", Place::List("null")),
            ("h.list", Place::Empty),
        ] {
            assert_eq!(members.place(path), expected, "{path}");
        }
    }

    #[test]
    fn a_list_may_be_empty_null_or_an_object_of_its_own() {
        assert_eq!(entries("[1, {}]"), Some(vec!["1", "{}"]));
        assert_eq!(entries("[]"), Some(vec![]));
        assert_eq!(entries("null"), Some(vec![]));
        assert_eq!(entries("{ }"), Some(vec![]));
        assert_eq!(entries(r#"{"views":1}"#), Some(vec![r#"{"views":1}"#]));
        assert_eq!(entries("7"), None);
    }
}
