//! A table's columns arranged by where their values stand in a row.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::table::{Kind, TableSpec, Unknown};

/// What the decoder needs to know of a table, computed once.
#[derive(Debug, Clone)]
pub struct Layout {
    pub(super) schema: SchemaRef,
    pub(super) root: Arc<Object>,
    /// Fields of all objects, plus one beginning for each.
    pub(super) places: usize,
    pub(super) kinds: Vec<Kind>,
    pub(super) paths: Vec<&'static str>,
    /// Positions of the key columns that may not be NULL.
    pub(super) required: Vec<usize>,
    /// Position of the column that takes rows which are no objects.
    pub(super) bare: Option<usize>,
    /// Positions of the columns whose values stand in the parent's row, with their paths there.
    pub(super) of_parent: Vec<(usize, &'static str)>,
    pub(super) keeps_unknown: bool,
}

/// The fields of one object on the way to declared columns.
#[derive(Debug)]
pub(super) struct Object {
    /// Path of the object with a dot at the end; empty for the row itself.
    pub(super) prefix: String,
    pub(super) fields: Vec<Field>,
    /// What takes the value where it is no object.
    pub(super) plain: Option<Spot>,
    /// Number of the place before its first field, among the places of all objects; those behind its fields follow.
    pub(super) beginning: usize,
    index: HashMap<&'static str, usize>,
}

/// A field of an object.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// Its name in quotes and a colon, as most answers write it.
    pub(super) written: String,
    pub(super) node: Node,
}

/// What stands under a field's name.
#[derive(Debug)]
pub(super) enum Node {
    /// A value.
    Value(Spot),
    /// An object with columns inside.
    Object(Object),
}

/// Where a value goes.
#[derive(Debug, Clone, Default)]
pub(super) struct Spot {
    /// Position of the column it belongs to; `None` if it belongs to another table or is only a fallback.
    pub(super) column: Option<usize>,
    /// Positions of the columns that take it if they have no value of their own at the end of the row.
    pub(super) fallback_of: Vec<usize>,
}

/// What a path stands for.
#[derive(Debug, Clone, Copy)]
enum Use {
    Column(usize),
    FallbackOf(usize),
    Elsewhere,
}

impl Layout {
    /// Arranges the columns of `table`.
    pub fn new(table: &TableSpec) -> Self {
        let schema = table.schema();
        let mut uses: Vec<(Use, &'static str)> = Vec::new();
        let mut of_parent = Vec::new();
        let mut bare = None;
        for (position, column) in table.columns.iter().enumerate() {
            if column.of_parent {
                of_parent.push((position, column.path));
            } else if column.path.is_empty() {
                bare = Some(position);
            } else {
                uses.push((Use::Column(position), column.path));
                uses.extend(column.also_at.iter().map(|path| (Use::FallbackOf(position), *path)));
            }
        }
        uses.extend(table.elsewhere.iter().map(|path| (Use::Elsewhere, *path)));
        let required = table.key.iter().filter(|key| !key.optional);
        let mut places = 0;
        let root = Object::new(String::new(), &uses, &mut places);
        Self {
            required: required.filter_map(|key| schema.index_of(key.name).ok()).collect(),
            schema,
            root: Arc::new(root),
            places,
            kinds: table.columns.iter().map(|c| c.kind).collect(),
            paths: table.columns.iter().map(|c| c.path).collect(),
            bare,
            of_parent,
            keeps_unknown: table.unknown == Unknown::Kept,
        }
    }
}

impl Spot {
    fn of(uses: impl Iterator<Item = Use>) -> Self {
        let mut spot = Self::default();
        for used in uses {
            match used {
                Use::Column(position) => spot.column = Some(position),
                Use::FallbackOf(position) => spot.fallback_of.push(position),
                Use::Elsewhere => {}
            }
        }
        spot
    }
}

impl Object {
    /// Groups uses, given with their paths inside this object, by their first key. Its places come after `places`.
    fn new(prefix: String, uses: &[(Use, &'static str)], places: &mut usize) -> Self {
        let mut groups: Vec<(&'static str, Vec<(Use, &'static str)>)> = Vec::new();
        let mut fields = Vec::new();
        for &(used, path) in uses {
            let (name, rest) = path.split_once('.').unwrap_or((path, ""));
            match groups.iter_mut().find(|(known, _)| *known == name) {
                Some((_, inner)) => inner.push((used, rest)),
                None => groups.push((name, vec![(used, rest)])),
            }
        }
        let beginning = *places;
        *places += 1 + groups.len();
        for (name, group) in groups {
            let (itself, inner): (Vec<_>, Vec<_>) = group.into_iter().partition(|(_, rest)| rest.is_empty());
            let spot = (!itself.is_empty()).then(|| Spot::of(itself.into_iter().map(|(used, _)| used)));
            let node = match spot {
                Some(spot) if inner.is_empty() => Node::Value(spot),
                plain => {
                    Node::Object(Self { plain, ..Self::new(format!("{prefix}{name}."), &inner, places) })
                }
            };
            fields.push(Field { name, written: format!("\"{name}\":"), node });
        }
        let index = fields.iter().enumerate().map(|(at, field)| (field.name, at)).collect();
        Self { prefix, fields, plain: None, beginning, index }
    }

    /// The field called `name`, with its position.
    pub(super) fn find(&self, name: &str) -> Option<(usize, &Field)> {
        let at = *self.index.get(name)?;
        self.fields.get(at).map(|field| (at, field))
    }
}
