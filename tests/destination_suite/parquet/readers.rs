//! Who reads with a glob while a writer commits sees one version, whole, or is told that a file is gone.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use duckdb::Connection;
use ingest::destination::Destination;
use ingest::destination::parquet::table_folder;

use crate::support::tables::{begin_lake, pass, target, upsert};

/// Where the process that writes is told to do so.
const LAKE: &str = "INGEST_TEST_LAKE";
/// Rows of every version.
const ROWS: u32 = 400;
/// Versions that are written.
const VERSIONS: i64 = 150;

/// Rows that all say which version they are of.
fn rows(version: i64) -> String {
    let row = |id| format!(r#"{{"id":"{id}","updated_at":{version},"name":"v{version}"}}"#);
    format!("[{}]", (1000..1000 + ROWS).map(row).collect::<Vec<_>>().join(","))
}

/// No test but a process of its own, which the other one starts.
#[test]
fn writes_versions_where_it_is_told_to() {
    let Some(path) = std::env::var_os(LAKE).map(PathBuf::from) else { return };
    let mut lake = begin_lake(&path).unwrap().with_file_bytes(6_000);
    for version in 2..=VERSIONS {
        lake.commit(&[upsert(&target("contacts"), pass(version), &rows(version))]).unwrap();
    }
}

fn start_writer(lake: &Path) -> Child {
    let name = "destination_suite::parquet::readers::writes_versions_where_it_is_told_to";
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(LAKE, lake)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_glob_sees_one_version_whole_or_is_told_that_a_file_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lake");
    let contacts = target("contacts");
    let mut lake = begin_lake(&path).unwrap().with_file_bytes(6_000);
    // In an order that leaves several files.
    for half in [0, 1] {
        let all: Vec<serde_json::Value> = serde_json::from_str(&rows(1)).unwrap();
        let half: Vec<_> = all.chunks(ROWS as usize / 2).nth(half).unwrap().to_vec();
        lake.commit(&[upsert(&contacts, pass(1), &serde_json::to_string(&half).unwrap())]).unwrap();
    }
    drop(lake);
    let near = table_folder(&path, &contacts).join("*.parquet");
    let deep = path.join("**/*.parquet");
    let connection = Connection::open_in_memory().unwrap();
    let (mut seen, mut gone, mut most_files) = (Vec::new(), 0_u32, 0);
    let mut writer = start_writer(&path);
    let mut is_last = false;
    loop {
        for glob in [&near, &deep] {
            let sql = format!(
                "SELECT count(*), count(DISTINCT id), min(name), max(name), count(DISTINCT filename)
                 FROM read_parquet('{}', filename = true)",
                glob.display()
            );
            let read = connection.query_row(&sql, [], |row| {
                Ok((
                    row.get::<_, u32>(0)?,
                    row.get::<_, u32>(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get::<_, u32>(4)?,
                ))
            });
            match read {
                Ok((rows, keys, least, greatest, files)) => {
                    let least: String = least;
                    assert_eq!((rows, keys, &least), (ROWS, ROWS, &greatest), "{}", glob.display());
                    most_files = files.max(most_files);
                    if seen.last() != Some(&least) {
                        seen.push(least);
                    }
                }
                Err(error) => {
                    let words = error.to_string();
                    let is_plain = words.contains("No such file") || words.contains("No files found");
                    assert!(is_plain && !is_last, "{words}");
                    gone += 1;
                }
            }
        }
        if is_last {
            break;
        }
        // Once more after the last version.
        is_last = writer.try_wait().unwrap().is_some_and(|status| {
            assert!(status.success());
            true
        });
    }
    assert_eq!(seen.last(), Some(&format!("v{VERSIONS}")));
    assert!(most_files > 1, "several files in a version");
    assert!(
        seen.len() > 3,
        "versions came and went while they were read: {seen:?}, {gone} reads were told so"
    );
}
