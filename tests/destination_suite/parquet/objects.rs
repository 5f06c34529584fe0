//! Lakes in object stores: two writers, answers that are lost, files that somebody removed, and readers.

use std::time::Duration;

use duckdb::Connection;
use hyper::Method;
use ingest::config::ObjectStoreConfig;
use ingest::destination::Destination;
use ingest::error::{ErrorKind, Result};
use serde_json::Value;

use crate::support::object_store::{Fault, ObjectStore};
use crate::support::tables::{
    InObjectStore, Subject, begin_in_objects, pass, tally, target, target_in, upsert,
};

const ADA: &str = r#"[{"id":"1","updated_at":5,"name":"Ada"}]"#;
const BOB: &str = r#"[{"id":"2","updated_at":6,"name":"Bob"}]"#;
const TAGS: &str = r#"[{"id":"7","name":"vip"}]"#;

/// A lake with one contact in it, and the run that wrote it.
fn with_ada() -> InObjectStore {
    let mut lake = InObjectStore::fresh();
    let subject: &mut dyn Subject = &mut lake;
    assert_eq!(tally(&subject.commit(upsert(&target("contacts"), pass(1), ADA))), "1 new, 1 live");
    lake
}

fn seen(lake: &mut dyn Subject) -> Vec<String> {
    lake.see(&target("contacts"), "id name")
}

fn kind_of<T>(done: Result<T>) -> ErrorKind {
    match done {
        Ok(_) => panic!("no error"),
        Err(error) => error.kind(),
    }
}

#[test]
fn one_run_keeps_others_out_until_it_ends() {
    let lake = with_ada();
    let error = begin_in_objects(&lake.store().lake()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    let process = format!("PID {} on ", std::process::id());
    let words = error.to_string();
    assert!(
        words.starts_with("another run is writing s3://bucket/data/lake (PID") && words.contains(&process)
    );
    let store = lake.end_run();
    store.assert_nothing_left_behind();
    let mut lake = InObjectStore::over(store);
    assert_eq!(seen(&mut lake), ["1 Ada"]);
}

/// What a run leaves that ends without a word: its lock, after something was done to it.
fn left_locked(change: impl FnOnce(&mut Value)) -> ObjectStore {
    let lake = with_ada();
    let lock = lake.store().folder().join("_ingest/lock.json");
    let text = std::fs::read_to_string(&lock).unwrap();
    let store = lake.end_run();
    let mut holder: Value = serde_json::from_str(&text).unwrap();
    change(&mut holder);
    std::fs::write(&lock, holder.to_string()).unwrap();
    store
}

#[test]
fn a_lock_of_a_process_that_is_no_more_is_in_nobodys_way() {
    // This one had its number before.
    let store = left_locked(|holder| holder["process"] = 1.into());
    assert_eq!(seen(&mut InObjectStore::over(store)), ["1 Ada"]);
}

#[test]
fn a_lock_of_another_machine_is_free_after_a_while() {
    let elsewhere = |holder: &mut Value| {
        holder["machine"] = "elsewhere".into();
        holder["process"] = 1.into();
    };
    let store = left_locked(elsewhere);
    let lock = store.folder().join("_ingest/lock.json");
    let just_now = lock.metadata().unwrap().modified().unwrap();
    let written = |ago| {
        let file = std::fs::File::options().write(true).open(&lock).unwrap();
        file.set_modified(just_now - Duration::from_secs(ago)).unwrap();
    };
    written(60);
    assert_eq!(kind_of(begin_in_objects(&store.lake())), ErrorKind::Locked);
    written(120);
    assert_eq!(seen(&mut InObjectStore::over(store)), ["1 Ada"]);
}

#[test]
fn a_run_says_again_and_again_that_it_is_there() {
    let store = ObjectStore::start();
    // One answer is lost, and one connection breaks.
    store.fail_after(Method::PUT, "lock.json", 4, Fault::AnswerLost, 1);
    store.fail_after(Method::PUT, "lock.json", 5, Fault::Reset, 1);
    let expiry = Duration::from_millis(200);
    let lake = begin_in_objects(&ObjectStoreConfig { lock_expiry: expiry, ..store.lake() }).unwrap();
    for _ in 0..4 {
        store.wait_for("PUT lock.json");
    }
    // By itself it would be nobody's after a fraction of this.
    let ours = ObjectStoreConfig { lock_expiry: Duration::from_secs(90), ..store.lake() };
    assert_eq!(kind_of(begin_in_objects(&ours)), ErrorKind::Locked);
    drop(lake);
    assert!(!store.names().iter().any(|name| name.contains("lock")), "{:?}", store.names());
}

/// The lock is lost, as it is where a machine sleeps for a while.
#[test]
fn of_two_writers_only_one_wins() {
    let mut first = with_ada();
    std::fs::remove_file(first.store().folder().join("_ingest/lock.json")).unwrap();
    let mut second = begin_in_objects(&first.store().lake()).unwrap();
    second.commit(&[upsert(&target("tags"), pass(2), TAGS)]).unwrap();
    let error = first.destination().commit(&[upsert(&target("contacts"), pass(2), BOB)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.hint(), Some("run again, one run at a time"));
    // Nor can it go on as if nothing had been.
    assert_eq!(
        kind_of(first.destination().commit(&[upsert(&target("contacts"), pass(2), BOB)])),
        ErrorKind::Conflict
    );
    assert_eq!(seen(&mut first), ["1 Ada"]);
    let files = first.store().names().iter().filter(|name| name.contains("contacts/_files")).count();
    assert_eq!(files, 1, "what was written in vain is gone");
    assert_eq!((&mut first as &mut dyn Subject).see(&target("tags"), "id name"), ["7 vip"]);
    second.commit(&[upsert(&target("contacts"), pass(2), BOB)]).unwrap();
    assert_eq!(seen(&mut first), ["1 Ada", "2 Bob"]);
    drop(second);
    let mut again = InObjectStore::over(first.end_run());
    assert_eq!(seen(&mut again), ["1 Ada", "2 Bob"]);
    again.end_run().assert_nothing_left_behind();
}

/// First commits and later ones, with the answer to the manifest, to a file or to the lock lost.
#[test]
fn a_commit_whose_answer_is_lost_happens_once() {
    for fault in [Fault::AnswerLost, Fault::Reset] {
        for (ending, times) in [("manifest.json", 1), ("manifest.json", 3), (".rows", 1), ("lock.json", 1)] {
            let store = ObjectStore::start();
            store.fail(Method::PUT, ending, fault, times);
            let mut lake = InObjectStore::over(store);
            let subject: &mut dyn Subject = &mut lake;
            let context = format!("{fault:?} {ending} x {times}");
            let first = tally(&subject.commit(upsert(&target("contacts"), pass(1), ADA)));
            assert_eq!(first, "1 new, 1 live", "{context}");
            lake.store().fail(Method::PUT, ending, fault, times);
            let subject: &mut dyn Subject = &mut lake;
            let second = tally(&subject.commit(upsert(&target("contacts"), pass(2), BOB)));
            assert_eq!(second, "1 new, 2 live", "{context}");
            assert_eq!(seen(subject), ["1 Ada", "2 Bob"], "{context}");
            let generation = lake.store().table(&target("contacts")).unwrap()["generation"].as_u64();
            assert_eq!(generation, Some(2), "{context}");
            lake.end_run().assert_nothing_left_behind();
        }
    }
}

/// The answer to a commit is lost, and another run goes on from it before this one finds out: what it wrote is needed.
#[test]
fn what_another_run_went_on_from_stays() {
    let mut first = with_ada();
    let config = first.store().lake();
    std::fs::remove_file(first.store().folder().join("_ingest/lock.json")).unwrap();
    let lost = first.store().hold(Method::PUT, "manifest.json");
    let writing = std::thread::spawn(move || {
        let done = first.destination().commit(&[upsert(&target("contacts"), pass(2), BOB)]);
        (first, done)
    });
    // It is carried out, and the answer does not come.
    lost.wait_until_done();
    let mut second = begin_in_objects(&config).unwrap();
    second.commit(&[upsert(&target("tags"), pass(3), TAGS)]).unwrap();
    lost.break_off();
    let (mut first, done) = writing.join().unwrap();
    assert_eq!(kind_of(done), ErrorKind::Conflict);
    assert_eq!(seen(&mut first), ["1 Ada", "2 Bob"]);
    drop(second);
    let store = first.end_run();
    store.assert_nothing_left_behind();
    assert_eq!(seen(&mut InObjectStore::over(store)), ["1 Ada", "2 Bob"]);
}

/// Two threads that take the lock away from each other all the time: what one of them was told is there is there.
#[test]
fn of_many_writers_at_once_no_commit_is_lost() {
    let store = ObjectStore::start();
    let config = store.lake();
    let lock = store.folder().join("_ingest/lock.json");
    let write = |who: u32| {
        let (config, lock) = (config.clone(), lock.clone());
        std::thread::spawn(move || {
            let mut told = Vec::new();
            for number in 0..25 {
                drop(std::fs::remove_file(&lock));
                let Ok(mut lake) = begin_in_objects(&config) else { continue };
                let id = format!("{who}-{number}");
                let row = format!(r#"[{{"id":"{id}","updated_at":5,"name":"{who}"}}]"#);
                match lake.commit(&[upsert(&target("contacts"), pass(1), &row)]) {
                    Ok(_) => told.push(id),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}"),
                }
            }
            told
        })
    };
    let writers = [write(1), write(2)];
    let mut told: Vec<String> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
    told.sort();
    assert!(told.len() > 2, "{told:?}");
    drop(std::fs::remove_file(&lock));
    let mut lake = InObjectStore::over(store);
    assert_eq!((&mut lake as &mut dyn Subject).see(&target("contacts"), "id"), told);
    lake.end_run().assert_nothing_left_behind();
}

#[test]
fn a_manifest_that_cannot_be_written_leaves_everything_as_it_was() {
    let mut lake = with_ada();
    lake.store().fail(Method::PUT, "manifest.json", Fault::Refused, 1_000);
    let done = lake.destination().commit(&[upsert(&target("contacts"), pass(2), BOB)]);
    let error = done.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Destination, "{error:?}");
    assert!(error.hint().unwrap().starts_with("whether this was published is not known"));
    assert_eq!(seen(&mut lake), ["1 Ada"]);
    // What was written for it stays, since it may be published yet, until another version is.
    let store = lake.end_run();
    store.heal();
    let rows = || store.names().iter().filter(|name| name.contains(".rows")).count();
    assert_eq!(rows(), 2);
    let mut lake = InObjectStore::over(store);
    let subject: &mut dyn Subject = &mut lake;
    assert_eq!(tally(&subject.commit(upsert(&target("contacts"), pass(3), BOB))), "1 new, 2 live");
    lake.end_run().assert_nothing_left_behind();
}

#[test]
fn a_large_file_is_sent_in_parts_and_the_lost_answer_to_the_last_is_found_out() {
    for lost in [0, 1, 20] {
        let mut lake = InObjectStore::fresh();
        let mut random = fastrand::Rng::with_seed(3);
        let mut word = || std::iter::repeat_with(|| random.alphanumeric()).take(3_000).collect::<String>();
        let row = |id: u32| format!(r#"{{"id":"{id}","updated_at":1,"name":"{}"}}"#, word());
        let rows = format!("[{}]", (10_000..16_000).map(row).collect::<Vec<_>>().join(","));
        // The first request of this kind begins the file, the second ends it.
        lake.store().fail_after(Method::POST, ".rows", 1, Fault::AnswerLost, lost);
        let subject: &mut dyn Subject = &mut lake;
        assert_eq!(
            tally(&subject.commit(upsert(&target("contacts"), pass(1), &rows))),
            "6000 new, 6000 live"
        );
        let table = lake.store().table(&target("contacts")).unwrap();
        assert!(table["files"][0]["bytes"].as_u64() > Some(8 << 20), "{}", table["files"]);
        assert_eq!(seen(&mut lake).len(), 6_000);
        lake.store().heal();
        // In two parts at least, read back in pieces when it is written anew.
        let subject: &mut dyn Subject = &mut lake;
        let change = r#"[{"id":"12345","updated_at":2,"name":"Ada"}]"#;
        assert_eq!(
            tally(&subject.commit(upsert(&target("contacts"), pass(2), change))),
            "1 changed, 6000 live"
        );
        let posts = lake.store().requests().iter().filter(|asked| asked.starts_with("POST")).count();
        assert!(posts >= 4, "{posts}");
    }
}

#[test]
fn files_that_somebody_removed_are_missed() {
    let lake = with_ada();
    let file =
        lake.store().table(&target("contacts")).unwrap()["files"][0]["name"].as_str().unwrap().to_owned();
    let store = lake.end_run();
    // With its folder the table is gone, and is made anew.
    std::fs::remove_file(store.folder().join(&file)).unwrap();
    let mut lake = InObjectStore::over(store);
    assert!(lake.destination().load(&[target("contacts")]).unwrap()[0].is_none());
    let subject: &mut dyn Subject = &mut lake;
    assert_eq!(tally(&subject.commit(upsert(&target("contacts"), pass(2), BOB))), "1 new, 1 live");
    // A file that is not what was written is an error that says how to go on; other tables are not concerned.
    let file =
        lake.store().table(&target("contacts")).unwrap()["files"][0]["name"].as_str().unwrap().to_owned();
    let store = lake.end_run();
    std::fs::write(store.folder().join(&file), "short").unwrap();
    let mut lake = InObjectStore::over(store);
    let error = lake.destination().load(&[target("contacts")]).unwrap_err();
    assert!(error.to_string().ends_with(".rows was changed by somebody else"), "{error}");
    assert!(error.hint().unwrap().contains("remove the folder of the table"));
    assert!(lake.destination().load(&[target("tags")]).unwrap()[0].is_none());
}

#[test]
fn a_store_that_does_not_heed_conditions_is_refused() {
    for fault in [Fault::Unconditional, Fault::AnyVersion] {
        let store = ObjectStore::start();
        store.fail(Method::PUT, "lock.json", fault, 9);
        let error = begin_in_objects(&store.lake()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Destination);
        assert!(error.to_string().contains("writes over objects although it is told not to"), "{error}");
        assert!(store.names().is_empty(), "the lock is given up");
    }
}

/// As the page says that DuckDB reads a lake.
#[test]
fn the_query_that_is_documented_reads_the_version_of_the_manifest() {
    let mut lake = InObjectStore::fresh();
    let contacts = target_in("intercom", "contacts");
    for (number, rows) in [(1, ADA), (2, BOB), (3, r#"[{"id":"1","updated_at":9,"name":"Ada L."}]"#)] {
        (&mut lake as &mut dyn Subject).commit(upsert(&contacts, pass(number), rows));
    }
    let page = include_str!("../../../docs/parquet.md");
    let (_, from) = page.split_once("SET VARIABLE lake = ").unwrap();
    let (sql, _) = from.split_once("```").unwrap();
    let sql = format!("SET VARIABLE lake = {sql}")
        .replace("s3://bucket/lake", lake.store().folder().to_str().unwrap());
    let connection = Connection::open_in_memory().unwrap();
    let (before, query) = sql.trim_end().trim_end_matches(';').rsplit_once(";\n").unwrap();
    connection.execute_batch(before).unwrap();
    let names = format!("SELECT string_agg(name, ', ' ORDER BY name) FROM ({query})");
    let found: String = connection.query_row(&names, [], |row| row.get(0)).unwrap();
    assert_eq!(found, "Ada L., Bob");
}

#[test]
fn replaced_files_go_after_a_while() {
    let mut lake = with_ada();
    let contacts = target("contacts");
    (&mut lake as &mut dyn Subject).commit(upsert(&contacts, pass(2), BOB));
    let rows = |store: &ObjectStore| store.names().iter().filter(|name| name.contains(".rows")).count();
    let store = lake.end_run();
    assert_eq!(rows(&store), 2, "the replaced one is there for those who read it");
    let path = store.folder().join("_ingest/manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut manifest: Value = serde_json::from_str(&text).unwrap();
    manifest["tables"][0]["replaced"][0]["at"] = "2026-01-01T00:00:00Z".into();
    std::fs::write(&path, manifest.to_string()).unwrap();
    let mut lake = InObjectStore::over(store);
    (&mut lake as &mut dyn Subject).commit(upsert(&target("tags"), pass(3), TAGS));
    assert_eq!(seen(&mut lake), ["1 Ada", "2 Bob"]);
    let store = lake.end_run();
    assert_eq!(rows(&store), 2, "one of contacts and one of tags");
    store.assert_nothing_left_behind();
}

/// Reads what a manifest names, long after another one has taken its place.
#[test]
fn who_follows_a_manifest_sees_its_version() {
    let mut lake = with_ada();
    let contacts = target("contacts");
    let mut versions = vec![(lake.store().files(&contacts).unwrap(), "Ada".to_owned())];
    for number in 2..9 {
        let row = format!(r#"[{{"id":"1","updated_at":{},"name":"v{number}"}}]"#, 10 + number);
        (&mut lake as &mut dyn Subject).commit(upsert(&contacts, pass(number), &row));
        versions.push((lake.store().files(&contacts).unwrap(), format!("v{number}")));
    }
    let connection = Connection::open_in_memory().unwrap();
    for (files, expected) in &versions {
        let sql = format!("SELECT count(*), any_value(name) FROM read_parquet({files})");
        let found: (u32, String) =
            connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(found, (1, expected.clone()));
    }
    // Nothing that a pattern for Parquet files would find, in which every version would be seen at once.
    assert!(lake.store().names().iter().all(|name| !name.ends_with(".parquet")));
    let changed = lake.store().requests();
    assert!(!changed.is_empty());
    (&mut lake as &mut dyn Subject).commit(upsert(
        &contacts,
        pass(20),
        r#"[{"id":"1","updated_at":18,"name":"v8"}]"#,
    ));
    let puts: Vec<String> =
        lake.store().requests().into_iter().filter(|asked| !asked.starts_with("GET")).collect();
    assert!(puts.is_empty(), "nothing changed, nothing is written: {puts:?}");
}
