//! The tables of an Intercom workspace, as declarations.
//!
//! Columns follow Intercom's published contract for API 2.14 (read 2026-11-20), in its order, plus the
//! fields that real answers carry without being documented. What else arrives goes into `_extra`.

mod articles;
mod companies;
mod contacts;
mod conversations;
mod reference;

use crate::table::TableSpec;

/// Every table, in the order in which `ingest intercom` reads and lists them.
pub const TABLES: &[&TableSpec] = &[
    &contacts::CONTACTS,
    &companies::COMPANIES,
    &conversations::CONVERSATIONS,
    &articles::ARTICLES,
    &reference::TAGS,
    &reference::SEGMENTS,
    &reference::ADMINS,
    &reference::TEAMS,
    &reference::DATA_ATTRIBUTES,
];

/// The table of that name.
pub fn find(name: &str) -> Option<&'static TableSpec> {
    TABLES.iter().copied().find(|table| table.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::table::{Kind, WriteDisposition};

    #[test]
    fn every_declaration_is_sound() {
        let mut names = HashSet::new();
        for table in TABLES {
            assert!(names.insert(table.name), "{} is declared twice", table.name);
            let columns: Vec<_> = table.stored_columns();
            let mut seen = HashSet::new();
            for column in &columns {
                assert!(seen.insert(column.name.to_lowercase()), "{}.{} twice", table.name, column.name);
            }
            for key in table.key {
                assert!(columns.iter().any(|c| c.name == key.name), "{}: key {}", table.name, key.name);
            }
            if let Some(cursor) = table.cursor {
                let column = columns.iter().find(|c| c.name == cursor);
                assert_eq!(column.map(|c| c.kind), Some(Kind::Timestamp), "{}: cursor {cursor}", table.name);
            }
            assert_eq!(
                table.cursor.is_some(),
                table.disposition == WriteDisposition::Merge,
                "{}",
                table.name
            );
        }
    }

    #[test]
    fn no_declared_path_lies_inside_another() {
        for table in TABLES {
            for outer in table.columns {
                for inner in table.columns {
                    let inside =
                        inner.path.strip_prefix(outer.path).is_some_and(|rest| rest.starts_with('.'));
                    assert!(!inside, "{}: {} lies inside {}", table.name, inner.path, outer.path);
                }
            }
        }
    }
}
