//! The files: what tools find in them, and which of them a commit leaves alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use duckdb::Connection;
use ingest::destination::parquet::table_folder;
use ingest::table::Kind;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{Compression, LogicalType, TimeUnit, TimestampType};
use parquet::file::metadata::PageIndexPolicy;

use crate::support::tables::{
    InParquet, InSmallFiles, Subject, nothing, pass, replace, tally, target, upsert,
};

/// The files of a table by name, with what tells one from a copy of it.
fn files(folder: &Path) -> BTreeMap<String, u64> {
    let listed = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let file = |entry: std::fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().ino())
    };
    listed.map(file).filter(|(name, _)| name.ends_with(".parquet")).collect()
}

#[test]
fn every_column_says_what_it_is_and_every_key_is_found_quickly() {
    let mut lake = InParquet::fresh();
    let contacts = target("contacts");
    let rows = r#"[{"id":"b","name":"B","updated_at":5,"custom_attributes":{"a":1}},{"id":"a","name":"A"}]"#;
    for rows in ["[]", rows] {
        let subject: &mut dyn Subject = &mut lake;
        subject.commit(upsert(&contacts, pass(1), rows));
        let folder = table_folder(lake.path(), &contacts);
        let names = files(&folder);
        assert_eq!(names.len(), 1, "{names:?}");
        let file = File::open(folder.join(names.keys().next().unwrap())).unwrap();
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let found = ArrowReaderMetadata::load(&file, options).unwrap();
        let schema = found.parquet_schema();
        for (place, column) in contacts.table.stored_columns().iter().enumerate() {
            let kind = schema.column(place).logical_type_ref().cloned();
            let expected = match column.kind {
                Kind::Timestamp => {
                    let (is_adjusted_to_u_t_c, unit) = (true, TimeUnit::MICROS);
                    Some(LogicalType::Timestamp(TimestampType { is_adjusted_to_u_t_c, unit }))
                }
                Kind::Integer | Kind::Float | Kind::Boolean => None,
                _ => Some(LogicalType::String),
            };
            assert_eq!((schema.column(place).name(), kind), (column.name.as_str(), expected));
        }
        // Nor does anything beside the schema say that some of the text is JSON.
        assert_eq!(found.metadata().file_metadata().key_value_metadata(), None);
        let groups = found.metadata().row_groups();
        assert_eq!(groups.len(), usize::from(rows != "[]"));
        for group in groups {
            assert!(group.sorting_columns().is_some_and(|sorted| sorted.len() == 1));
            let key = group.columns().iter().find(|column| column.column_path().string() == "id").unwrap();
            assert!(key.bloom_filter_offset().is_some());
            for column in group.columns() {
                assert!(matches!(column.compression(), Compression::ZSTD(_)), "{:?}", column.compression());
                assert!(column.statistics().is_some(), "{}", column.column_path());
                assert!(column.column_index_offset().is_some(), "{}", column.column_path());
            }
        }
    }
    let sql = format!(
        "SELECT string_agg(id, ' ' ORDER BY file_row_number)
         FROM read_parquet('{}', file_row_number = true)",
        lake.glob(&contacts).unwrap()
    );
    let keys: String = Connection::open_in_memory().unwrap().query_row(&sql, [], |row| row.get(0)).unwrap();
    assert_eq!(keys, "a b");
}

#[test]
fn only_files_that_hold_a_changed_row_are_written_anew() {
    let mut lake = InSmallFiles::fresh();
    let contacts = target("contacts");
    let folder = table_folder(lake.path(), &contacts);
    let subject: &mut dyn Subject = &mut lake;
    let row = |id: u32, name: &str| format!(r#"{{"id":"{id}","updated_at":{id},"name":"{name}"}}"#);
    let rows = |ids: std::ops::Range<u32>, name: &str| {
        format!("[{}]", ids.map(|id| row(id, name)).collect::<Vec<_>>().join(","))
    };
    for (number, from) in [(1, 100), (2, 300), (3, 200)] {
        subject.commit(upsert(&contacts, pass(number), &rows(from..from + 50, "first")));
    }
    let before = files(&folder);
    assert_eq!(before.len(), 3, "{before:?}");
    // Nothing changed.
    let again = subject.commit(upsert(&contacts, pass(4), &rows(200..250, "first")));
    assert_eq!(tally(&again), "50 unchanged, 150 live");
    assert_eq!(files(&folder), before);
    // One row, one that is found to be gone, and one that is new, all in the last file.
    subject.commit(upsert(&contacts, pass(5), &format!("[{}]", row(310, "changed"))));
    let after = files(&folder);
    assert_eq!(
        after.iter().filter(|file| before.get(file.0) == Some(file.1)).count(),
        2,
        "{before:?} {after:?}"
    );
    // New rows beside them.
    subject.commit(upsert(&contacts, pass(6), &rows(900..950, "new")));
    let latest = files(&folder);
    assert!(after.iter().all(|file| latest.get(file.0) == Some(file.1)), "{after:?} {latest:?}");
    assert_eq!(latest.len(), 4);
}

#[test]
fn small_files_are_put_together() {
    let mut lake = InParquet::fresh();
    let contacts = target("contacts");
    let folder = table_folder(lake.path(), &contacts);
    let subject: &mut dyn Subject = &mut lake;
    for number in 0..20 {
        subject.commit(upsert(&contacts, pass(number), &format!(r#"[{{"id":"{}"}}]"#, 100 + number)));
    }
    assert!(files(&folder).len() <= 6, "{:?}", files(&folder));
    assert_eq!(subject.rows(&contacts).unwrap().len(), 20);
}

#[test]
fn a_table_that_is_emptied_keeps_its_columns() {
    let mut lake = InParquet::fresh();
    let tags = target("tags");
    let folder = table_folder(lake.path(), &tags);
    let subject: &mut dyn Subject = &mut lake;
    subject.commit(replace(&tags, pass(1), r#"[{"id":"1"}]"#));
    subject.commit(replace(&tags, pass(2), "[]"));
    assert_eq!(subject.rows(&tags), Some(Vec::new()));
    let empty = files(&folder);
    assert_eq!(empty.len(), 1);
    subject.commit(nothing(&tags));
    assert_eq!(files(&folder), empty);
    subject.commit(replace(&tags, pass(3), r#"[{"id":"2"}]"#));
    let full = files(&folder);
    assert!(full.len() == 1 && full != empty, "{full:?}");
}
