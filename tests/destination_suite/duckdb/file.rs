//! The file and what lies beside it.

use std::path::{Path, PathBuf};

use duckdb::{Config, Connection};
use ingest::destination::duckdb::{HALF_GROUP, Options, query, read_states, status};
use ingest::destination::{Destination, TableCommit, Target};
use ingest::error::ErrorKind;

use crate::support::tables::{InDuckDb, Subject, begin, by_hand, nothing, pass, target, target_in, upsert};

/// The storage version as DuckDB names it, and the number in the file's header. Only called while nothing
/// has the file open: closing it here would release DuckDB's lock.
fn storage_version(file: &mut InDuckDb) -> (String, u64) {
    let tag = "SELECT tags['storage_version'] FROM duckdb_databases() WHERE NOT internal";
    let tag = file.query(tag)[0][0].clone().expect("a tag");
    let header = std::fs::read(file.path()).unwrap();
    assert_eq!(header[8..12], *b"DUCK");
    (tag, u64::from_le_bytes(header[12..20].try_into().unwrap()))
}

#[test]
fn new_files_open_in_duckdb_1_2() {
    let mut file = InDuckDb::fresh();
    for number in 1..=2 {
        file.destination().commit(&[upsert(&target("contacts"), pass(number), r#"[{"id":"1"}]"#)]).unwrap();
        assert_eq!(storage_version(&mut file), ("v1.2.0+".into(), 65), "after commit {number}");
    }
}

#[test]
fn an_existing_file_keeps_its_version() {
    for (version, tag, number) in
        [("v1.0.0", "v1.0.0+", 64), ("v1.4.0", "v1.4.0+", 67), ("latest", "v2.0.0+", 999)]
    {
        let mut file = InDuckDb::prepared(|path| {
            let config = Config::default().with("storage_compatibility_version", version).unwrap();
            let connection = Connection::open_with_flags(path, config).unwrap();
            connection.execute_batch("CREATE TABLE mine AS SELECT 1 AS x").unwrap();
            connection.close().unwrap();
        });
        file.destination().commit(&[upsert(&target("contacts"), pass(1), r#"[{"id":"1"}]"#)]).unwrap();
        assert_eq!(storage_version(&mut file), (tag.into(), number), "{version}");
        assert_eq!(file.query("SELECT x::VARCHAR FROM mine"), [[Some("1".into())]]);
    }
}

/// Rows of a table, with these numbers for ids.
fn numbered(table: &Target, ids: std::ops::Range<usize>) -> TableCommit {
    let objects: Vec<String> = ids.map(|id| format!(r#"{{"id":"{id}"}}"#)).collect();
    upsert(table, pass(1), &format!("[{}]", objects.join(",")))
}

/// Rows of each row group of a table.
fn groups(file: &mut InDuckDb, table: &Target) -> Vec<usize> {
    let sql = format!(
        "SELECT sum(count)::VARCHAR FROM pragma_storage_info('{}.{}')
         WHERE column_name = 'id' AND segment_type = 'VARCHAR' GROUP BY row_group_id ORDER BY row_group_id",
        table.schema, table.table.name
    );
    let groups = file.query(&sql).into_iter().flatten().flatten();
    groups.map(|rows| rows.parse().unwrap()).collect()
}

#[test]
fn a_new_table_smaller_than_a_row_group_is_written_in_halves_and_goes_on_as_any_other() {
    let mut file = InDuckDb::fresh();
    let rows = HALF_GROUP + 5_000;
    for table in ["tags", "teams"].map(target) {
        file.destination().commit(&[numbered(&table, 0..rows)]).unwrap();
        assert_eq!(groups(&mut file, &table), [HALF_GROUP, 5_000]);
        // One that is there is appended to as it is, and takes columns.
        file.destination().rest();
        let drop_column = format!("ALTER TABLE {}.{} DROP COLUMN name", table.schema, table.table.name);
        Connection::open(file.path()).unwrap().execute_batch(&drop_column).unwrap();
        for at in 1..4 {
            file.destination().commit(&[numbered(&table, at * rows..(at + 1) * rows)]).unwrap();
            file.destination().commit(&[numbered(&table, at * rows..at * rows + 9)]).unwrap();
            assert_eq!(groups(&mut file, &table).iter().sum::<usize>(), (at + 1) * rows);
        }
        assert!(file.columns(&table).unwrap().iter().any(|(name, _)| name == "name"));
    }
    let both = ["tags", "teams"].map(|table| numbered(&target_in("two", table), 0..rows));
    file.destination().commit(&both).unwrap();
    assert_eq!(groups(&mut file, &both[0].target), [rows]);
}

/// However the file is opened.
#[test]
fn any_name_of_a_file_or_a_schema_will_do() {
    let folder = tempfile::tempdir().unwrap();
    for (name, schema) in
        [("o'brien", "crm"), ("memory", "crm"), ("größe; DROP", "temp_2"), ("data", "memory")]
    {
        let path = folder.path().join(format!("{name}.duckdb"));
        let tags = target_in(schema, "tags");
        let mut destination = begin(&path).unwrap();
        destination.commit(&[numbered(&tags, 0..HALF_GROUP)]).unwrap();
        destination.commit(&[numbered(&tags, 7..10)]).unwrap();
        drop(destination);
        let counted =
            query(&path, &Options::default(), &format!("SELECT count(*) FROM {schema}.tags")).unwrap();
        assert_eq!(counted.last().unwrap(), &[HALF_GROUP.to_string()], "{name} {schema}");
        assert!(!beside(&path, ".wal").exists(), "{name} {schema}");
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// What a killed run leaves behind, with people's rows in it.
fn leave_behind(path: &Path) -> PathBuf {
    let folder = beside(path, ".tmp");
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["duckdb_temp_storage_DEFAULT-0.tmp", "duckdb_temp_block-7.block"] {
        std::fs::write(folder.join(name), "rows").unwrap();
    }
    folder
}

#[test]
fn what_a_killed_run_left_behind_is_deleted() {
    let file = InDuckDb::prepared(|path| drop(leave_behind(path)));
    assert!(!beside(file.path(), ".tmp").exists());
    // What is not DuckDB's stays.
    let file =
        InDuckDb::prepared(|path| std::fs::write(leave_behind(path).join("mine.txt"), "mine").unwrap());
    let left = std::fs::read_dir(beside(file.path(), ".tmp")).unwrap();
    assert_eq!(left.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>(), ["mine.txt"]);
}

#[test]
fn a_second_run_on_the_same_file_is_refused_and_touches_nothing() {
    let file = InDuckDb::fresh();
    let folder = leave_behind(file.path());
    let dotted = file.path().parent().unwrap().join(".").join("data.duckdb");
    for path in [file.path(), &dotted] {
        let error = begin(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        let pid = format!("PID {}", std::process::id());
        assert!(error.to_string().contains(&pid), "{error}");
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "leftovers may be in use by the first run");
    begin(&file.path().with_file_name("other.duckdb")).expect("another file is free");
    let folder = file.end_run();
    begin(&folder.path().join("data.duckdb")).expect("free again");
}

#[cfg(unix)]
#[test]
fn two_names_of_one_file_are_one_file() {
    let mut file = InDuckDb::fresh();
    file.destination().commit(&[nothing(&target("tags"))]).unwrap();
    let link = file.path().with_file_name("link.duckdb");
    std::os::unix::fs::symlink(file.path(), &link).unwrap();
    assert_eq!(begin(&link).unwrap_err().kind(), ErrorKind::Locked);
}

#[test]
fn nothing_but_the_lock_file_is_created_before_the_first_commit() {
    let mut file = InDuckDb::fresh();
    let tags = target("tags");
    let destination = file.destination();
    destination.load(std::slice::from_ref(&tags)).unwrap();
    destination.live_keys(&tags, &mut |_| ()).unwrap();
    assert!(!file.path().exists());
    assert_eq!(read_states(file.path(), &Options::default(), &[tags]).unwrap(), [None]);
    let error = status(file.path(), &Options::default(), 5).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Destination);
    assert!(!file.path().exists());
}

#[test]
fn what_is_no_database_is_an_error_and_stays_as_it_is() {
    let mut file = InDuckDb::prepared(|path| std::fs::write(path, "id,name\n1,Ada\n".repeat(2000)).unwrap());
    let before = std::fs::read(file.path()).unwrap();
    let error = file.destination().commit(&[nothing(&target("tags"))]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Destination);
    assert!(error.to_string().contains("data.duckdb"), "{error}");
    assert_eq!(std::fs::read(file.path()).unwrap(), before);
    // A folder is refused at once.
    let folder = file.path().parent().unwrap();
    let error = begin(folder).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Destination);
    assert!(error.to_string().contains("is a directory"), "{error}");
}

/// Such as `mktemp` makes; DuckDB itself refuses it.
#[test]
fn an_empty_file_is_as_good_as_none() {
    let mut file = InDuckDb::prepared(|path| std::fs::write(path, "").unwrap());
    file.destination().commit(&[nothing(&target("tags"))]).unwrap();
    assert_eq!(storage_version(&mut file), ("v1.2.0+".into(), 65));
}

/// Whatever the umask: DuckDB itself asks for no more than that.
#[cfg(unix)]
#[test]
fn what_belongs_to_the_database_may_be_used_by_whoever_may_use_it() {
    use std::os::unix::fs::PermissionsExt;

    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let set = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    for bits in [0o600, 0o640, 0o660, 0o604] {
        let mut file = InDuckDb::prepared(|path| {
            std::fs::write(path, "").unwrap();
            set(path, bits);
        });
        let path = file.path().to_owned();
        let beside = |ending: &str| path.with_file_name(format!("data.duckdb{ending}"));
        assert_eq!(mode(&beside(".lock")), bits, "the lock of a file of mode {bits:o}");
        for number in 1..=2 {
            let commit = upsert(&target("tags"), pass(number), &format!(r#"[{{"id":"{number}"}}]"#));
            file.destination().commit(&[commit]).unwrap();
            assert_eq!((mode(&path), mode(&beside(".wal"))), (bits, bits), "commit {number}");
            file.destination().rest();
            assert!(!beside(".wal").exists());
        }
    }
}

/// DuckDB's default is to download and load extensions it finds useful.
#[test]
fn duckdb_never_phones_home() {
    let mut file = InDuckDb::fresh();
    file.destination().commit(&[nothing(&target("tags"))]).unwrap();
    file.destination().rest();
    let settings = "SELECT name, value FROM duckdb_settings()
        WHERE name IN ('autoinstall_known_extensions', 'autoload_known_extensions') ORDER BY name";
    let found = query(file.path(), &Options::default(), settings).unwrap();
    let off = |name: &str| vec![name.to_owned(), "false".to_owned()];
    assert_eq!(found[1..], [off("autoinstall_known_extensions"), off("autoload_known_extensions")]);
}

#[test]
fn answers_show_moments_in_utc() {
    let file = InDuckDb::with(
        "CREATE TABLE t AS SELECT to_timestamp(1571672154.25) AS at, NULL::TIMESTAMPTZ AS never",
    );
    let found = query(file.path(), &Options::default(), "SELECT * FROM t").unwrap();
    assert_eq!(found, [["at", "never"], ["2019-10-21T15:35:54.250Z", ""]]);
}

/// A person who changes rows while a run rests finds the change kept until the source says otherwise.
#[test]
fn the_file_is_free_while_a_run_rests() {
    let mut file = InDuckDb::fresh();
    let contacts = target("contacts");
    file.destination()
        .commit(&[upsert(&contacts, pass(1), r#"[{"id":"1","name":"a"},{"id":"2"}]"#)])
        .unwrap();
    file.destination().rest();
    by_hand(file.path(), "UPDATE crm.contacts SET name = 'mine'");
    file.destination().commit(&[upsert(&contacts, pass(2), r#"[{"id":"1","name":"b"}]"#)]).unwrap();
    let subject: &mut dyn Subject = &mut file;
    assert_eq!(subject.see(&contacts, "id name"), ["1 b", "2 mine"]);
}
