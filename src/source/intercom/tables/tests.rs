//! What every declaration has to keep to.

use std::collections::HashSet;

use super::*;
use crate::table::{Column, Endpoint, Kind, More, PARTS_TOTAL, PARTS_TRUNCATED, Unknown, WriteDisposition};

fn column<'t>(table: &'t TableSpec, name: &str) -> Option<&'t Column> {
    table.columns.iter().find(|column| column.name() == name)
}

/// The columns that are read from the row itself, with every place they are read from.
fn places(table: &TableSpec) -> Vec<(&'static str, bool)> {
    let own = table.columns.iter().filter(|column| !column.of_parent);
    own.flat_map(|column| {
        let aliases = column.also_at.iter().map(|path| (*path, true));
        std::iter::once((column.path, false)).chain(aliases)
    })
    .collect()
}

fn lies_inside(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'))
}

#[test]
fn every_name_is_there_once() {
    let mut names = HashSet::new();
    for table in TABLES {
        assert!(names.insert(table.name), "{} is declared twice", table.name);
        assert_eq!(find(table.name).map(|found| found.name), Some(table.name));
        let mut seen = HashSet::new();
        for column in table.stored_columns() {
            assert!(!column.name.is_empty(), "{}: a column without a name", table.name);
            assert!(seen.insert(column.name.to_lowercase()), "{}.{} twice", table.name, column.name);
        }
    }
}

#[test]
fn every_key_and_cursor_is_a_column() {
    for table in TABLES {
        assert!(!table.key.is_empty(), "{}: no key", table.name);
        for key in table.key {
            let kind = column(table, key.name).map(|column| column.kind);
            assert_eq!(kind.map(Kind::sql), Some("VARCHAR"), "{}: key {}", table.name, key.name);
        }
        if let Some(cursor) = table.cursor {
            let kind = column(table, cursor).map(|column| column.kind);
            assert_eq!(kind, Some(Kind::Timestamp), "{}: cursor {cursor}", table.name);
        }
        assert!(!table.permission.is_empty(), "{}: no permission", table.name);
    }
}

#[test]
fn how_rows_are_written_fits_what_is_declared() {
    for table in TABLES {
        let name = table.name;
        assert_eq!(table.cursor.is_some(), table.disposition == WriteDisposition::Merge, "{name}");
        if let WriteDisposition::PerParent { parent } = table.disposition {
            assert!(table.key.iter().any(|key| key.name == parent && !key.optional), "{name}: {parent}");
            assert!(column(table, parent).is_some_and(|column| column.of_parent), "{name}: {parent}");
            assert_eq!(table.lead_key(), parent, "{name}");
        }
        // A single object is asked for to stamp its row: only rows with one key that stay can be.
        if let Some(object) = table.object {
            assert!(table.has_stamps() && table.key.len() == 1, "{name}");
            assert!(object.starts_with('/') && !object.ends_with('/'), "{name}: {object}");
        }
        assert!(!table.is_merged || table.object.is_some(), "{name}");
    }
}

#[test]
fn what_stands_inside_another_has_a_parent_that_is_read_before() {
    for (position, table) in TABLES.iter().enumerate() {
        let name = table.name;
        let of_parent = table.columns.iter().filter(|column| column.of_parent).count();
        let lead = match &table.endpoint {
            Endpoint::Inside(inside) => {
                assert!(inside.parent.inside().is_none(), "{name}: inside a table that is itself inside");
                assert_eq!(table.lead().name, inside.parent.name, "{name}");
                assert!(of_parent > 0, "{name}: whose the rows are is not kept");
                let always = matches!(inside.more, More::Always(_));
                assert_eq!(inside.lists.is_empty(), always, "{name}: lists");
                if let More::Object { .. } = inside.more {
                    assert!(inside.parent.object.is_some(), "{name}: no object");
                }
                let address = match inside.more {
                    More::WhereCut(address) | More::WhereAny(address) | More::Always(address) => {
                        Some(address)
                    }
                    More::Nothing | More::Object { .. } => None,
                };
                if let Some(address) = address {
                    assert!(address.path.contains("{id}") && !address.records.is_empty(), "{name}");
                }
                inside.parent
            }
            Endpoint::Sweep { groups, .. } => {
                assert!(matches!(groups.endpoint, Endpoint::Lists { .. }), "{name}: groups are no list");
                assert!(of_parent > 0, "{name}: the group is not kept");
                groups
            }
            _ => {
                assert_eq!(of_parent, 0, "{name}: no parent to take a value from");
                continue;
            }
        };
        let before = TABLES.iter().position(|other| other.name == lead.name);
        assert!(before.is_some_and(|before| before < position), "{name}: {} is read later", lead.name);
    }
}

#[test]
fn every_column_that_is_filled_by_another_table_has_one() {
    for table in TABLES {
        let filled: Vec<String> = table.filled.iter().map(Column::name).collect();
        let counted = TABLES.iter().any(|other| {
            other.inside().is_some_and(|inside| inside.parent.name == table.name && inside.total.is_some())
        });
        assert_eq!(filled.is_empty(), !counted, "{}", table.name);
        if counted {
            assert_eq!(filled, [PARTS_TRUNCATED, PARTS_TOTAL], "{}", table.name);
        }
    }
}

#[test]
fn no_declared_path_lies_inside_another() {
    for table in TABLES {
        let places = places(table);
        for (outer, alias) in &places {
            for (inner, _) in &places {
                // Another version's value may stand where this one's has an object.
                let inside = !alias && lies_inside(inner, outer);
                assert!(!inside, "{}: {inner} lies inside {outer}", table.name);
            }
        }
    }
}

#[test]
fn every_value_goes_to_one_column() {
    for table in TABLES {
        let mut seen = HashSet::new();
        for (path, _) in places(table).into_iter().filter(|(_, is_fallback)| !is_fallback) {
            assert!(seen.insert(path), "{}: {path} is read twice", table.name);
        }
        for path in table.elsewhere {
            assert!(seen.insert(path), "{}: {path} is here and elsewhere", table.name);
            for (other, _) in places(table) {
                let collides = lies_inside(other, path) || lies_inside(path, other);
                assert!(!collides, "{}: {other} and {path}, which is elsewhere", table.name);
            }
        }
        let bare = table.columns.iter().filter(|column| column.path.is_empty()).count();
        assert!(bare <= 1, "{}: {bare} columns for the row itself", table.name);
    }
}

#[test]
fn every_list_has_a_request_in_each_version_since_2_14() {
    for table in TABLES {
        let Endpoint::Lists { lists, .. } = &table.endpoint else { continue };
        let mut seen = HashSet::new();
        for list in *lists {
            assert!(list.path.starts_with('/') && seen.insert(list.path), "{}: {}", table.name, list.path);
            assert!(list.from_minor <= list.until_minor, "{}: {}", table.name, list.path);
        }
        for minor in [14, 15, 16] {
            assert!(lists.iter().any(|list| list.is_in(minor)), "{}: nothing in 2.{minor}", table.name);
        }
    }
}

#[test]
fn only_what_costs_a_request_per_row_or_a_rare_permission_has_to_be_named() {
    let named: Vec<&str> = TABLES.iter().filter(|table| table.opt_in).map(|table| table.name).collect();
    let expected = ["ip_allowlist", "article_statistics", "content_import_sources", "external_pages"];
    assert_eq!(named, expected);
}

#[test]
fn only_links_leave_out_what_they_do_not_know() {
    for table in TABLES {
        let is_link = matches!(table.endpoint, Endpoint::Inside(_) | Endpoint::Sweep { .. });
        assert!(is_link || table.unknown == Unknown::Kept, "{}", table.name);
    }
}
