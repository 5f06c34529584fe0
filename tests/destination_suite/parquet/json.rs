//! JSON in files: text, since not every tool takes Parquet's type of it for text; and files of older releases, which have that
//! type.

use std::path::{Path, PathBuf};

use duckdb::Connection;
use ingest::destination::parquet::table_folder;
use ingest::table::Kind;
use serde_json::Value;

use super::super::ledger::{beginning, entry, noted, noting};
use crate::support::tables::{
    InParquet, InSmallFiles, Subject, Target, Underway, inside, nothing, of, pass, tally, target, upsert,
};

const ROWS: &str = r#"[
    {"id":"a","updated_at":5,"custom_attributes":{"plan":"pro","é":[1.50,null]},"surprise":{"x":1}},
    {"id":"b","updated_at":6,"tags":{"data":[{"id":"1"}]}}
]"#;

/// Files in a folder that hold rows, seen or waiting.
fn files(folder: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(folder).unwrap().map(|found| found.unwrap().path());
    let mut files: Vec<PathBuf> = listed
        .filter(|path| path.extension().is_some_and(|ending| ending == "parquet" || ending == "waiting"))
        .collect();
    files.sort();
    files
}

/// Has a table's files be as an older release wrote them.
fn make_older(lake: &Path, target: &Target) {
    let folder = table_folder(lake, target);
    let json = target.table.stored_columns().into_iter().filter(|column| column.kind == Kind::Json);
    let typed: Vec<String> = json.map(|column| format!("{0}::JSON AS {0}", column.name)).collect();
    let manifest = folder.join(".ingest.json");
    let mut noted: Value = serde_json::from_str(&std::fs::read_to_string(&manifest).unwrap()).unwrap();
    assert_eq!(noted.as_object_mut().unwrap().remove("json_is_text"), Some(Value::Bool(true)));
    for file in files(&folder) {
        let (old, new) = (file.display(), folder.join("new"));
        let sql = format!(
            "COPY (SELECT * REPLACE ({}) FROM read_parquet('{old}')) TO '{}' (FORMAT parquet, COMPRESSION zstd)",
            typed.join(", "),
            new.display()
        );
        Connection::open_in_memory().unwrap().execute_batch(&sql).unwrap();
        // Not through the link that a replaced version may have of it.
        std::fs::rename(&new, &file).unwrap();
        for set in ["files", "waiting"] {
            for entry in noted.get_mut(set).and_then(Value::as_array_mut).into_iter().flatten() {
                if entry["name"] == *file.file_name().unwrap().to_str().unwrap() {
                    entry["bytes"] = file.metadata().unwrap().len().into();
                }
            }
        }
    }
    std::fs::write(manifest, noted.to_string()).unwrap();
}

/// The type that DuckDB sees a column have, file by file.
fn types(lake: &Path, target: &Target, column: &str) -> Vec<String> {
    let connection = Connection::open_in_memory().unwrap();
    let of = |file: PathBuf| {
        let sql = format!("SELECT any_value(typeof({column})) FROM read_parquet('{}')", file.display());
        connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    files(&table_folder(lake, target)).into_iter().map(of).collect()
}

#[test]
fn the_next_commit_writes_files_of_older_releases_anew() {
    for commit in [nothing as fn(&Target) -> _, |contacts| upsert(contacts, pass(9), ROWS)] {
        let mut lake = InSmallFiles::fresh();
        let (contacts, path) = (target("contacts"), lake.path().to_owned());
        let subject: &mut dyn Subject = &mut lake;
        subject.commit(beginning(&contacts));
        subject.commit(upsert(&contacts, pass(1), ROWS));
        subject.commit(upsert(&contacts, pass(2), r#"[{"id":"z","custom_attributes":{}}]"#));
        let before = subject.rows(&contacts);
        make_older(&path, &contacts);
        assert_eq!(types(&path, &contacts, "custom_attributes"), ["JSON", "JSON"]);
        assert_eq!(subject.rows(&contacts), before);
        let states = subject.destination().load(std::slice::from_ref(&contacts)).unwrap();
        assert!(states[0].is_some());
        let done = subject.commit(commit(&contacts));
        assert!(["3 live", "2 unchanged, 3 live"].contains(&&*tally(&done)), "{done:?}");
        assert_eq!(types(&path, &contacts, "custom_attributes"), ["VARCHAR", "VARCHAR"]);
        assert_eq!(subject.rows(&contacts), before);
        // Once is enough.
        let written = files(&table_folder(&path, &contacts));
        subject.commit(nothing(&contacts));
        assert_eq!(files(&table_folder(&path, &contacts)), written);
    }
}

/// Reading the parts of all conversations again would take a request for each.
#[test]
fn what_was_noted_about_parents_stays() {
    let mut lake = InParquet::fresh();
    let (parts, path) = (target("conversation_parts"), lake.path().to_owned());
    let subject: &mut dyn Subject = &mut lake;
    subject.commit(beginning(&parts));
    subject.commit(noting(inside(&parts, pass(1), &[of("a", 1, "x")]), vec![entry("a", 1, Some(1), 1)]));
    make_older(&path, &parts);
    for _ in 0..2 {
        assert_eq!(noted(subject, &parts), [entry("a", 1, Some(1), 1)]);
        subject.commit(nothing(&parts));
    }
    assert_eq!(types(&path, &parts, "attachments"), ["VARCHAR"]);
    assert_eq!(subject.see(&parts, "id"), ["x"]);
}

#[test]
fn rows_that_wait_are_written_anew_with_the_others() {
    let mut lake = Underway::fresh();
    let contacts = target("contacts");
    let row = |id: usize| format!(r#"{{"id":"{id:05}","updated_at":5,"custom_attributes":{{"n":{id}}}}}"#);
    let rows = |ids: std::iter::StepBy<std::ops::Range<usize>>| {
        format!("[{}]", ids.map(row).collect::<Vec<_>>().join(","))
    };
    let subject: &mut dyn Subject = &mut lake;
    subject.commit(upsert(&contacts, pass(1), &rows((0..9_000).step_by(10))));
    subject.commit(upsert(&contacts, pass(1), &rows((1..4_500).step_by(90))));
    assert_eq!(lake.waited, 1);
    let path = lake.path().to_owned();
    make_older(&path, &contacts);
    assert!(files(&table_folder(&path, &contacts)).len() > 1);
    let subject: &mut dyn Subject = &mut lake;
    let done = subject.commit(upsert(&contacts, pass(2), r#"[{"id":"00091","updated_at":6}]"#));
    assert_eq!(tally(&done), "1 changed, 950 live");
    let seen = subject.see(&contacts, "id custom_attributes");
    assert_eq!((seen.len(), &*seen[1], &*seen[11]), (950, r#"00001 {"n":1}"#, "00091 -"));
    assert!(types(&path, &contacts, "custom_attributes").iter().all(|kind| kind == "VARCHAR"));
}

/// A copy of a file may lie beside newer ones.
#[test]
fn duckdb_reads_files_with_the_type_and_without_side_by_side() {
    let mut lake = InParquet::fresh();
    let (contacts, path) = (target("contacts"), lake.path().to_owned());
    let subject: &mut dyn Subject = &mut lake;
    subject.commit(upsert(&contacts, pass(1), ROWS));
    let text = files(&table_folder(&path, &contacts)).remove(0);
    let copy = path.join("copy.parquet");
    std::fs::copy(&text, &copy).unwrap();
    make_older(&path, &contacts);
    let connection = Connection::open_in_memory().unwrap();
    for files in [[&text, &copy], [&copy, &text]] {
        let sql = format!(
            "SELECT string_agg(concat(custom_attributes->>'plan', _extra->'surprise'->>'x'), ' ' ORDER BY id)
             FROM read_parquet(['{}', '{}'])",
            files[0].display(),
            files[1].display()
        );
        let found: String = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(found.trim(), "pro1 pro1");
    }
}
