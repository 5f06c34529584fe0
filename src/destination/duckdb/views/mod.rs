//! Custom attributes with types: beside each object's table a view `<table>_custom`, one row per row of the
//! table, with `id` and one column per custom attribute that the workspace declares.
//!
//! Only `id` is repeated, so that `JOIN ... USING (id)` makes no other column ambiguous; in particular
//! `_deleted_at` stays the table's own, and a stamped row is in the view like in the table. A view with the
//! key alone is made where nothing is declared, so that a query on it holds.
//!
//! A view is replaced when what it should be differs from what its comment says it is. Whatever stands there
//! without such a comment is somebody else's and is left alone. Where nothing has changed, a view of few columns that
//! are the right ones is not looked at any closer: to list views, DuckDB first parses all of its system's. To name the
//! columns of one view takes it longer than that where they are many, and a time that grows with their square.

mod definition;
#[cfg(test)]
mod tests;

use ::duckdb::{Connection, OptionalExt, Result, params};

use super::sql::{has_table, qualified, quoted};
use definition::{Column, Declaration, columns, create_view, text_literal};

/// How the comment on a view of ours begins.
const MARK: &str = "made by ingest: ";

/// Columns that are named sooner than views are listed.
const FEW: usize = 32;

/// What a declaration's table must have to be read.
const DECLARED: &[(&str, &str)] = &[
    ("id", "VARCHAR"),
    ("type", "VARCHAR"),
    ("model", "VARCHAR"),
    ("name", "VARCHAR"),
    ("full_name", "VARCHAR"),
    ("data_type", "VARCHAR"),
    ("custom", "BOOLEAN"),
    ("archived", "BOOLEAN"),
    ("created_at", "TIMESTAMP WITH TIME ZONE"),
    ("updated_at", "TIMESTAMP WITH TIME ZONE"),
    ("_ingested_at", "TIMESTAMP WITH TIME ZONE"),
];

/// What an object's table must have to get a view.
const OBSERVED: &[(&str, &str)] = &[("id", "VARCHAR"), ("custom_attributes", "JSON")];

/// An object with custom attributes.
struct Object {
    /// Its table.
    table: &'static str,
    /// Its name in a declaration.
    model: &'static str,
    /// Tables that declare its attributes; any of them may be missing.
    declared_in: &'static [&'static str],
}

const OBJECTS: [Object; 3] = [
    Object { table: "contacts", model: "contact", declared_in: &["data_attributes", "contact_attributes"] },
    Object { table: "companies", model: "company", declared_in: &["data_attributes", "company_attributes"] },
    Object { table: "conversations", model: "conversation", declared_in: &["data_attributes"] },
];

/// What stands where a view should.
enum Standing {
    Nothing,
    Ours { comment: String },
    Foreign,
}

/// Whether rows of the table can make [`refresh`] do something.
pub(super) fn concerns(table: &str) -> bool {
    OBJECTS.iter().any(|object| object.table == table || object.declared_in.contains(&table))
}

/// Whether the views follow from the rows of the table, and not just from its being there.
pub(super) fn depends_on_rows_of(table: &str) -> bool {
    OBJECTS.iter().any(|object| object.declared_in.contains(&table))
}

/// Makes the views of the schema agree with the declarations stored in it. Objects without a table, and those
/// whose declarations were never loaded, are passed over. If `has_changed` is false, views with the right columns
/// are taken to be right, as long as these are few.
///
/// Works inside the transaction that is open, if one is. Returns a sentence for each view that could not be
/// made because of what stands in its place.
pub(super) fn refresh(connection: &Connection, schema: &str, has_changed: bool) -> Result<Vec<String>> {
    let schema = Schema { connection, name: schema };
    let mut notes = Vec::new();
    for object in &OBJECTS {
        let Some(declarations) = schema.declarations(object)? else { continue };
        if !schema.has_table(object.table, OBSERVED)? {
            continue;
        }
        let view = format!("{}_custom", object.table);
        let wanted = columns(declarations);
        let is_told_by_columns = !has_changed && wanted.len() <= FEW;
        if is_told_by_columns && schema.columns(&view) == definition::shown(&wanted) {
            continue;
        }
        let standing = schema.standing(&view)?;
        if matches!(standing, Standing::Foreign) {
            let place = format!("{}.{view}", schema.name);
            notes.push(format!(
                "{place} was not made by ingest and is left alone; rename it to have one made"
            ));
            continue;
        }
        let sql = create_view(schema.name, object.table, &view, &wanted);
        let comment = comment(connection, object.table, &sql, &wanted)?;
        if !matches!(standing, Standing::Ours { comment: stored } if stored == comment) {
            let name = qualified(schema.name, &view);
            connection.execute_batch(&sql)?;
            connection.execute_batch(&format!("COMMENT ON VIEW {name} IS {}", text_literal(&comment)))?;
        }
    }
    Ok(notes)
}

/// The comment of a view, which tells one definition from another.
fn comment(connection: &Connection, table: &str, sql: &str, columns: &[Column]) -> Result<String> {
    // DuckDB keeps a view's definition in its own words, which change with its releases; ours do not.
    let fingerprint: String = connection.query_row("SELECT md5(?)", params![sql], |row| row.get(0))?;
    let count = columns.len();
    Ok(format!("{MARK}{table} with {count} custom attributes, typed as declared ({fingerprint})"))
}

/// A schema that may hold objects, declarations and views.
struct Schema<'a> {
    connection: &'a Connection,
    name: &'a str,
}

impl Schema<'_> {
    /// Names and types of the columns of a table or view, in their order; none if there is no such thing.
    fn columns(&self, relation: &str) -> Vec<(String, String)> {
        let read = || -> Result<Vec<(String, String)>> {
            let mut statement = self.connection.prepare("SELECT name, type FROM pragma_table_info(?)")?;
            let columns = statement
                .query_map(params![qualified(self.name, relation)], |row| Ok((row.get(0)?, row.get(1)?)))?;
            columns.collect()
        };
        read().unwrap_or_default()
    }

    /// Whether there is a table with all these columns. It may be a person's own of the same name.
    fn has_table(&self, table: &str, needed: &[(&str, &str)]) -> Result<bool> {
        if !has_table(self.connection, self.name, table)? {
            return Ok(false);
        }
        let columns = self.columns(table);
        let has = |(name, kind): &(&str, &str)| {
            columns.iter().any(|(n, k)| n.eq_ignore_ascii_case(name) && k == kind)
        };
        Ok(needed.iter().all(has))
    }

    fn standing(&self, view: &str) -> Result<Standing> {
        if has_table(self.connection, self.name, view)? {
            return Ok(Standing::Foreign);
        }
        let comment: Option<Option<String>> = self
            .connection
            .query_row(
                "SELECT comment FROM duckdb_views()
                 WHERE database_name = current_database() AND lower(schema_name) = lower(?)
                     AND lower(view_name) = lower(?)",
                params![self.name, view],
                |row| row.get(0),
            )
            .optional()?;
        Ok(match comment {
            None => Standing::Nothing,
            Some(Some(comment)) if comment.starts_with(MARK) => Standing::Ours { comment },
            Some(_) => Standing::Foreign,
        })
    }

    /// The custom attributes declared for an object; `None` if no table with declarations is there.
    fn declarations(&self, object: &Object) -> Result<Option<Vec<Declaration>>> {
        let mut all = None;
        for table in object.declared_in {
            if !self.has_table(table, DECLARED)? {
                continue;
            }
            let mut statement = self.connection.prepare(&format!(
                "SELECT id, name, full_name, data_type, coalesce(archived, false),
                        epoch_us(created_at), epoch_us(updated_at), epoch_us(_ingested_at)
                 FROM {}.{}
                 WHERE model = ? AND (custom OR starts_with(full_name, 'custom_attributes.')
                     OR type = 'conversation_attribute')",
                quoted(self.name),
                quoted(table)
            ))?;
            let rows = statement.query_map(params![object.model], |row| {
                Ok(Declaration {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    full_name: row.get(2)?,
                    data_type: row.get(3)?,
                    archived: row.get(4)?,
                    created_at: row.get(5)?,
                    seen: (row.get(6)?, row.get(7)?),
                })
            })?;
            all.get_or_insert_with(Vec::new).extend(rows.collect::<Result<Vec<_>>>()?);
        }
        Ok(all)
    }
}
