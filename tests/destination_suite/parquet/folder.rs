//! The folder of a table: made by an older version, by somebody else, or gone.

use std::path::Path;

use duckdb::Connection;
use ingest::destination::parquet::{self, table_folder};
use ingest::error::ErrorKind;
use serde_json::Value;

use super::super::ledger::{beginning, entry, noted, noting};
use super::super::state::saving;
use crate::support::tables::{
    InParquet, InSmallFiles, Subject, begin_lake, inside, nothing, of, pass, tally, target, upsert,
};

/// Makes the only file of a table what `sql` selects from it as `old`, and notes the columns that it has then.
fn rewrite(folder: &Path, sql: &str) {
    let manifest = folder.join(".ingest.json");
    let mut noted: Value = serde_json::from_str(&std::fs::read_to_string(&manifest).unwrap()).unwrap();
    let name = noted["files"][0]["name"].as_str().unwrap().to_owned();
    let (file, new) = (folder.join(&name), folder.join("new"));
    let connection = Connection::open_in_memory().unwrap();
    let (old, new_text) = (file.display(), new.display());
    connection
        .execute_batch(&format!(
            "CREATE VIEW old AS SELECT * FROM read_parquet('{old}');
             COPY ({sql}) TO '{new_text}' (FORMAT parquet, COMPRESSION zstd)"
        ))
        .unwrap();
    let mut statement =
        connection.prepare(&format!("DESCRIBE SELECT * FROM read_parquet('{new_text}')")).unwrap();
    let columns: Vec<Value> = statement
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
        .unwrap()
        .map(|column| column.map(|(name, kind)| serde_json::json!([name, kind])).unwrap())
        .collect();
    noted["columns"] = Value::Array(columns);
    std::fs::rename(&new, &file).unwrap();
    std::fs::write(manifest, noted.to_string()).unwrap();
}

#[test]
fn missing_columns_are_added_and_others_kept() {
    let mut lake = InParquet::fresh();
    let (contacts, path) = (target("contacts"), lake.path().to_owned());
    let subject: &mut dyn Subject = &mut lake;
    let rows = r#"[{"id":"1","updated_at":5,"name":"Ada"},{"id":"2","updated_at":9,"name":"Bob"}]"#;
    subject.commit(upsert(&contacts, pass(1), rows));
    rewrite(
        &table_folder(&path, &contacts),
        "SELECT id, updated_at, name, _ingested_at, 10 + id::BIGINT AS score, 'mine' AS note FROM old ORDER BY id",
    );
    let rows =
        r#"[{"id":"1","updated_at":6,"name":"Ada L.","role":"user"},{"id":"3","updated_at":1,"name":"Cy"}]"#;
    assert_eq!(tally(&subject.commit(upsert(&contacts, pass(2), rows))), "1 new, 1 changed, 3 live");
    let seen = subject.see(&contacts, "id name role updated_at _deleted_at");
    assert_eq!(seen, ["1 Ada L. user 6 -", "2 Bob - 9 -", "3 Cy - 1 -"]);
    let columns = subject.columns(&contacts).unwrap();
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[names.len() - 2..], ["score", "note"]);
    let sql = format!(
        "SELECT string_agg(concat(score, note), ' ' ORDER BY id) FROM read_parquet('{}')",
        lake.glob(&contacts).unwrap()
    );
    let others: String = Connection::open_in_memory().unwrap().query_row(&sql, [], |row| row.get(0)).unwrap();
    assert_eq!(others, "11mine 12mine ");
}

/// What was noted of rows that lack columns is no reason to leave their parents out.
#[test]
fn what_was_noted_about_an_older_table_is_forgotten() {
    let mut lake = InParquet::fresh();
    let (parts, path) = (target("conversation_parts"), lake.path().to_owned());
    let subject: &mut dyn Subject = &mut lake;
    subject.commit(beginning(&parts));
    subject.commit(noting(inside(&parts, pass(1), &[of("a", 1, "x")]), vec![entry("a", 1, Some(1), 1)]));
    assert_eq!(noted(subject, &parts).len(), 1);
    rewrite(&table_folder(&path, &parts), "SELECT * EXCLUDE (body) FROM old");
    assert!(noted(subject, &parts).is_empty());
    subject.commit(nothing(&parts));
    assert!(noted(subject, &parts).is_empty());
    assert_eq!(subject.see(&parts, "id body"), ["x -"]);
}

#[test]
fn files_of_others_stay_where_they_are() {
    let mut lake = InParquet::fresh();
    let (tags, path) = (target("tags"), lake.path().to_owned());
    let folder = table_folder(&path, &tags);
    let subject: &mut dyn Subject = &mut lake;
    subject.commit(upsert(&tags, pass(1), r#"[{"id":"1"}]"#));
    for name in ["README.txt", ".hidden"] {
        std::fs::write(folder.join(name), "mine").unwrap();
    }
    subject.commit(upsert(&tags, pass(2), r#"[{"id":"2"}]"#));
    for name in ["README.txt", ".hidden"] {
        assert_eq!(std::fs::read_to_string(folder.join(name)).unwrap(), "mine", "{name}");
    }
    assert_eq!(subject.see(&tags, "id"), ["1", "2"]);
}

/// The folder goes with its version a minute later, and readers take every file for rows.
#[test]
fn what_cannot_stay_is_an_error() {
    let put: [fn(&Path); 3] = [
        |folder| std::fs::create_dir(folder.join("theirs")).unwrap(),
        |folder| std::os::unix::fs::symlink("/etc/hostname", folder.join("theirs")).unwrap(),
        |folder| {
            std::fs::copy(folder.join("00000001-0001.parquet"), folder.join("theirs.parquet")).unwrap();
        },
    ];
    for put in put {
        let mut lake = InParquet::fresh();
        let (tags, path) = (target("tags"), lake.path().to_owned());
        let subject: &mut dyn Subject = &mut lake;
        subject.commit(upsert(&tags, pass(1), r#"[{"id":"1"}]"#));
        put(&table_folder(&path, &tags));
        let error = subject.destination().commit(&[upsert(&tags, pass(2), r#"[{"id":"2"}]"#)]).unwrap_err();
        assert!(error.to_string().contains("theirs") && error.hint().is_some(), "{error}");
        assert!(table_folder(&path, &tags).join("00000001-0001.parquet").exists());
    }
}

/// Also by a commit that does not read it.
#[test]
fn a_file_that_was_changed_is_noticed() {
    let mut lake = InSmallFiles::fresh();
    let (tags, path) = (target("tags"), lake.path().to_owned());
    let subject: &mut dyn Subject = &mut lake;
    subject.commit(upsert(&tags, pass(1), r#"[{"id":"1"}]"#));
    subject.commit(upsert(&tags, pass(2), r#"[{"id":"5"}]"#));
    let file = table_folder(&path, &tags).join("00000001-0001.parquet");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.extend_from_slice(b"more");
    // Not through the link that the replaced version has of it.
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, bytes).unwrap();
    let error = subject.destination().commit(&[upsert(&tags, pass(3), r#"[{"id":"9"}]"#)]).unwrap_err();
    assert!(error.to_string().contains("was changed by somebody else"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("remove the folder")), "{error:?}");
}

/// As in DuckDB, whose names are the same whatever their case.
#[test]
fn a_column_that_is_spelled_differently_keeps_its_values() {
    let mut lake = InParquet::fresh();
    let (tags, path) = (target("tags"), lake.path().to_owned());
    let subject: &mut dyn Subject = &mut lake;
    subject.commit(upsert(&tags, pass(1), r#"[{"id":"1","name":"one"},{"id":"2","name":"two"}]"#));
    rewrite(&table_folder(&path, &tags), r#"SELECT * RENAME (name AS "NAME") FROM old"#);
    let done =
        subject.commit(upsert(&tags, pass(2), r#"[{"id":"2","name":"zwei"},{"id":"3","name":"three"}]"#));
    assert_eq!(tally(&done), "1 new, 1 changed, 3 live");
    assert_eq!(subject.see(&tags, "id name"), ["1 one", "2 zwei", "3 three"]);
}

/// Tools that are given a folder read every file in it that is not hidden.
#[test]
fn only_rows_are_in_sight() {
    let mut lake = InParquet::fresh();
    let (parts, path) = (target("conversation_parts"), lake.path().to_owned());
    let subject: &mut dyn Subject = &mut lake;
    subject.commit(noting(inside(&parts, pass(1), &[of("a", 1, "x")]), vec![entry("a", 1, Some(1), 1)]));
    let listed = std::fs::read_dir(table_folder(&path, &parts)).unwrap();
    let names = listed.map(|file| file.unwrap().file_name().into_string().unwrap());
    let (hidden, seen): (Vec<String>, Vec<String>) = names.partition(|name| name.starts_with('.'));
    assert!(hidden.iter().any(|name| name.ends_with(".ledger")), "{hidden:?}");
    assert!(seen.len() == 1 && seen[0].ends_with(".parquet"), "{seen:?}");
}

/// It would go with the version that it is taken for.
#[test]
fn a_folder_of_somebody_else_is_not_replaced() {
    let mut lake = InParquet::fresh();
    let (tags, path) = (target("tags"), lake.path().to_owned());
    let subject: &mut dyn Subject = &mut lake;
    let folder = table_folder(&path, &tags);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("theirs.parquet"), "x").unwrap();
    let error = subject.destination().commit(&[upsert(&tags, pass(1), r#"[{"id":"1"}]"#)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Destination);
    assert!(error.to_string().contains("did not write"), "{error}");
    assert!(folder.join("theirs.parquet").exists());
    // An empty folder is nobody's.
    std::fs::remove_file(folder.join("theirs.parquet")).unwrap();
    subject.commit(upsert(&tags, pass(1), r#"[{"id":"1"}]"#));
    assert_eq!(subject.see(&tags, "id"), ["1"]);
}

#[test]
fn a_table_whose_folder_was_removed_is_loaded_anew() {
    let mut lake = InParquet::fresh();
    let (tags, path) = (target("tags"), lake.path().to_owned());
    let subject: &mut dyn Subject = &mut lake;
    subject.commit(saving(upsert(&tags, pass(1), r#"[{"id":"1"}]"#), None, "w"));
    assert!(subject.destination().load(std::slice::from_ref(&tags)).unwrap()[0].is_some());
    std::fs::remove_dir_all(table_folder(&path, &tags)).unwrap();
    // In the middle of a run what follows would be a part of the table.
    let next = saving(upsert(&tags, pass(2), r#"[{"id":"2"}]"#), Some(1), "w");
    let error = subject.destination().commit(&[next]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(subject.destination().load(std::slice::from_ref(&tags)).unwrap(), [None]);
    subject.commit(saving(upsert(&tags, pass(3), r#"[{"id":"3"}]"#), None, "w"));
    assert_eq!(subject.see(&tags, "id"), ["3"]);
}

#[test]
fn a_missing_file_is_an_error_that_says_what_to_do() {
    let mut lake = InParquet::fresh();
    let (tags, path) = (target("tags"), lake.path().to_owned());
    let subject: &mut dyn Subject = &mut lake;
    subject.commit(upsert(&tags, pass(1), r#"[{"id":"1"}]"#));
    let folder = table_folder(&path, &tags);
    for file in std::fs::read_dir(&folder).unwrap().flatten() {
        if file.file_name().to_string_lossy().ends_with(".parquet") {
            std::fs::remove_file(file.path()).unwrap();
        }
    }
    let error =
        subject.destination().commit(&[upsert(&tags, pass(2), r#"[{"id":"1","name":"x"}]"#)]).unwrap_err();
    assert!(error.hint().is_some_and(|hint| hint.contains("remove the folder")), "{error:?}");
}

#[test]
fn one_run_at_a_time_and_anybody_may_look() {
    let mut lake = InParquet::fresh();
    let (tags, path) = (target("tags"), lake.path().to_owned());
    let subject: &mut dyn Subject = &mut lake;
    subject.commit(saving(upsert(&tags, pass(1), r#"[{"id":"1"}]"#), None, "w"));
    assert_eq!(begin_lake(&path).unwrap_err().kind(), ErrorKind::Locked);
    // Some systems leave such files behind.
    std::fs::write(path.join("crm").join(".DS_Store"), "").unwrap();
    std::fs::write(path.join("crm").join("notes.txt"), "").unwrap();
    let (tables, runs) = parquet::status(&path, 10).unwrap();
    assert_eq!((tables.len(), runs.len()), (1, 0));
    assert_eq!(
        (tables[0].schema.as_str(), tables[0].table.as_str(), tables[0].live),
        ("crm", "tags", Some(1))
    );
    let states = parquet::read_states(&path, &[tags, target("teams")]).unwrap();
    assert_eq!(states.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false]);
}
