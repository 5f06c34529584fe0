//! A table's columns arranged by where their values stand in a row.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::table::{Kind, TableSpec};

/// What the decoder needs to know of a table, computed once.
#[derive(Debug, Clone)]
pub struct Layout {
    pub(super) schema: SchemaRef,
    pub(super) root: Arc<Object>,
    pub(super) kinds: Vec<Kind>,
    pub(super) paths: Vec<&'static str>,
    /// Positions of the key columns that may not be NULL.
    pub(super) required: Vec<usize>,
}

/// The fields of one object on the way to declared columns.
#[derive(Debug)]
pub(super) struct Object {
    /// Path of the object with a dot at the end; empty for the row itself.
    pub(super) prefix: String,
    pub(super) fields: Vec<(&'static str, Node)>,
    index: HashMap<&'static str, usize>,
}

/// What stands under a field's name.
#[derive(Debug)]
pub(super) enum Node {
    /// The value of the column at this position.
    Column(usize),
    /// An object with columns inside.
    Object(Object),
}

impl Layout {
    /// Arranges the columns of `table`.
    pub fn new(table: &TableSpec) -> Self {
        let paths: Vec<&'static str> = table.columns.iter().map(|c| c.path).collect();
        let columns: Vec<(usize, &'static str)> = paths.iter().copied().enumerate().collect();
        let schema = table.schema();
        let required = table.key.iter().filter(|key| !key.optional);
        Self {
            required: required.filter_map(|key| schema.index_of(key.name).ok()).collect(),
            schema,
            root: Arc::new(Object::new(String::new(), &columns)),
            kinds: table.columns.iter().map(|c| c.kind).collect(),
            paths,
        }
    }
}

impl Object {
    /// Groups columns, given with their paths inside this object, by their first key.
    fn new(prefix: String, columns: &[(usize, &'static str)]) -> Self {
        let mut groups: Vec<(&'static str, Vec<(usize, &'static str)>)> = Vec::new();
        let mut fields = Vec::new();
        for &(position, path) in columns {
            let (name, rest) = path.split_once('.').unwrap_or((path, ""));
            match groups.iter_mut().find(|(known, _)| *known == name) {
                Some((_, inner)) => inner.push((position, rest)),
                None => groups.push((name, vec![(position, rest)])),
            }
        }
        for (name, inner) in groups {
            let node = match inner.as_slice() {
                [(position, "")] => Node::Column(*position),
                _ => Node::Object(Self::new(format!("{prefix}{name}."), &inner)),
            };
            fields.push((name, node));
        }
        let index = fields.iter().enumerate().map(|(at, (name, _))| (*name, at)).collect();
        Self { prefix, fields, index }
    }

    /// The position of `name` among the fields. Answers keep their order from row to row, so the field
    /// after the last one found (`expected`) is tried first.
    pub(super) fn find(&self, name: &str, expected: usize) -> Option<usize> {
        match self.fields.get(expected) {
            Some((known, _)) if *known == name => Some(expected),
            _ => self.index.get(name).copied(),
        }
    }
}
