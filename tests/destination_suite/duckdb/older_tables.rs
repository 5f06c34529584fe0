//! Tables that were there before: made by an older version, by hand, or something else by the same name.

use ingest::destination::TableCommit;
use ingest::error::ErrorKind;
use ingest::state::{StateChange, TableState};
use ingest::table::{DELETED_AT, EXTRA, INGESTED_AT, MERGED_INTO};

use super::super::ledger::{beginning, entry, noted, noting};
use crate::support::tables::{
    InDuckDb, Subject, by_hand, inside, nothing, of, pass, replace, tally, target, upsert,
};

/// Values land by the names of the columns, whatever their order.
#[test]
fn missing_columns_are_added_and_others_kept() {
    let mut file = InDuckDb::with(
        "CREATE SCHEMA CRM;
         CREATE TABLE CRM.Contacts (
             note VARCHAR, name VARCHAR, updated_at TIMESTAMP WITH TIME ZONE, email VARCHAR, ID VARCHAR, score INTEGER);
         INSERT INTO crm.contacts VALUES
             ('mine', 'Ada', to_timestamp(5), 'ada@example.com', '1', 10),
             ('mine too', 'Bob', to_timestamp(9), NULL, '2', 20);",
    );
    let subject: &mut dyn Subject = &mut file;
    let contacts = target("contacts");
    let rows = r#"[{"id":"1","updated_at":6,"name":"Ada L.","email":"ada@example.org","role":"user","new":1},
                   {"id":"3","updated_at":1,"name":"Cy","phone":"+1","custom_attributes":{"a":1}}]"#;
    assert_eq!(tally(&subject.commit(upsert(&contacts, pass(1), rows))), "1 new, 1 changed, 3 live");
    assert_eq!(
        subject.see(&contacts, "id name email role phone updated_at _extra custom_attributes"),
        [
            r#"1 Ada L. ada@example.org user - 6 {"new":1} -"#,
            "2 Bob - - - 9 - -",
            r#"3 Cy - - +1 1 - {"a":1}"#,
        ]
    );
    let mine =
        |note: Option<&str>, score: Option<&str>| vec![note.map(str::to_owned), score.map(str::to_owned)];
    assert_eq!(
        file.query("SELECT note, score::VARCHAR FROM crm.contacts ORDER BY id"),
        [mine(Some("mine"), Some("10")), mine(Some("mine too"), Some("20")), mine(None, None),]
    );
    let names: Vec<String> = file
        .query("SELECT column_name FROM duckdb_columns() WHERE table_name = 'Contacts' ORDER BY column_index")
        .into_iter()
        .map(|mut row| row.remove(0).unwrap())
        .collect();
    assert_eq!(names[..6], ["note", "name", "updated_at", "email", "ID", "score"]);
    assert_eq!(names[names.len() - 4..], [EXTRA, INGESTED_AT, DELETED_AT, MERGED_INTO]);
    assert_eq!(names.len(), contacts.table.stored_columns().len() + 2);
}

/// A row that nobody ingested yields, whatever its date: its `_ingested_at` is NULL.
#[test]
fn rows_from_elsewhere_give_way() {
    let mut file = InDuckDb::with(
        "CREATE SCHEMA crm; CREATE TABLE crm.contacts (id VARCHAR, updated_at TIMESTAMP WITH TIME ZONE, name VARCHAR);
         INSERT INTO crm.contacts VALUES ('1', to_timestamp(9), 'imported');",
    );
    let subject: &mut dyn Subject = &mut file;
    let contacts = target("contacts");
    subject.commit(upsert(&contacts, pass(1), r#"[{"id":"1","updated_at":5,"name":"read"}]"#));
    assert_eq!(subject.see(&contacts, "name updated_at _ingested_at"), ["read 5 1000"]);
}

#[test]
fn the_columns_of_people_survive_a_swap_where_their_rows_do() {
    let mut file = InDuckDb::with(
        "CREATE SCHEMA crm; CREATE TABLE crm.tags (colour VARCHAR, id VARCHAR);
         INSERT INTO crm.tags VALUES ('red', '1'), ('blue', '2');",
    );
    let subject: &mut dyn Subject = &mut file;
    let done = subject.commit(replace(&target("tags"), pass(1), r#"[{"id":"2","name":"two"},{"id":"3"}]"#));
    assert_eq!(tally(&done), "1 new, 1 changed, 1 removed, 2 live");
    let row = |id: &str, colour: Option<&str>| vec![Some(id.to_owned()), colour.map(str::to_owned)];
    assert_eq!(
        file.query("SELECT id, colour FROM crm.tags ORDER BY id"),
        [row("2", Some("blue")), row("3", None)]
    );
}

/// What a commit cannot do to a table of somebody else's making fails as a whole, and says nothing of rows.
#[test]
fn a_table_that_cannot_take_the_rows_fails_the_commit() {
    let all_columns = |change: &str| {
        let columns = target("contacts").table.stored_columns();
        let columns: Vec<_> =
            columns.iter().map(|c| format!("NULL::{} AS {}", c.kind.sql(), c.name)).collect();
        format!("CREATE SCHEMA crm; CREATE {change} crm.contacts AS SELECT {} LIMIT 0", columns.join(", "))
    };
    for (case, sql, word) in [
        (
            "a view with few columns",
            "CREATE SCHEMA crm; CREATE VIEW crm.contacts AS SELECT '1' AS id".into(),
            "view",
        ),
        ("a view with all columns", all_columns("VIEW"), "view"),
        (
            "a column of another type",
            "CREATE SCHEMA crm; CREATE TABLE crm.contacts (id VARCHAR, name INTEGER)".into(),
            "",
        ),
        (
            "a required column of theirs",
            format!(
                "{}; ALTER TABLE crm.contacts ADD COLUMN note VARCHAR; ALTER TABLE crm.contacts ALTER note SET NOT NULL",
                all_columns("TABLE")
            ),
            "",
        ),
    ] {
        let mut file = InDuckDb::with(&sql);
        let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'crm' ORDER BY 1";
        let before = (file.query(tables), file.query("SELECT * FROM crm.contacts"));
        for rows in [r#"[{"id":"1","name":"Secret"}]"#, r#"[{"id":"1","name":"Secret"},{"id":"2"}]"#] {
            let commits = [
                upsert(&target("tags"), pass(1), r#"[{"id":"1"}]"#),
                upsert(&target("contacts"), pass(1), rows),
            ];
            let error = file.destination().commit(&commits).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Destination, "{case}");
            let shown = error.render();
            assert!(shown.contains("contacts") && shown.contains(word), "{case}: {shown}");
            assert!(!shown.contains("Secret"), "{case}: {shown}");
            assert_eq!((file.query(tables), file.query("SELECT * FROM crm.contacts")), before, "{case}");
        }
        // Others are not affected.
        file.destination().commit(&[nothing(&target("tags"))]).unwrap();
    }
}

/// A table of parents that is not part of the commit may be older than what is told of their parts.
#[test]
fn what_is_missing_is_told_in_a_table_that_had_no_column_for_it() {
    let mut file = InDuckDb::with(
        "CREATE SCHEMA crm; CREATE TABLE crm.conversations (id VARCHAR, note VARCHAR);
         INSERT INTO crm.conversations VALUES ('a', 'mine'), ('b', NULL);",
    );
    let subject: &mut dyn Subject = &mut file;
    let parts = target("conversation_parts");
    subject.commit(noting(inside(&parts, pass(1), &[of("a", 1, "1 2")]), vec![entry("a", 1, Some(3), 2)]));
    assert_eq!(
        subject.see(&target("conversations"), "id parts_truncated parts_total_count"),
        ["a true 3", "b - -"]
    );
}

/// Whoever drops parts to have them loaded again has not dropped what was noted of them.
#[test]
fn the_notes_about_a_dropped_table_settle_nothing() {
    let mut file = InDuckDb::fresh();
    let subject: &mut dyn Subject = &mut file;
    let parts = target("conversation_parts");
    subject.commit(beginning(&parts));
    subject.commit(noting(inside(&parts, pass(1), &[of("a", 1, "1")]), vec![entry("a", 1, Some(1), 1)]));
    assert_eq!(noted(subject, &parts).len(), 1);
    file.destination().rest();
    by_hand(file.path(), "DROP TABLE crm.conversation_parts");
    assert_eq!(noted(&mut file, &parts), []);
}

/// Whoever drops a table wants it loaded again: what was proven of its rows no longer holds.
#[test]
fn the_state_of_a_dropped_table_proves_nothing() {
    let mut file = InDuckDb::fresh();
    let (contacts, tags) = (target("contacts"), target("tags"));
    let known = TableState {
        checkpoint: Some(pass(7)),
        refreshed_at: Some(pass(6)),
        ..TableState::new("w0rkspac", "2.14", "00ff".into())
    };
    let saving = |target, expected| TableCommit {
        state: Some(StateChange { expected, state: known.clone() }),
        ..upsert(target, pass(1), r#"[{"id":"1"}]"#)
    };
    file.destination().commit(&[saving(&contacts, None), saving(&tags, None)]).unwrap();
    file.destination().rest();
    by_hand(file.path(), "DROP TABLE crm.contacts");
    let stored = file.destination().load(&[contacts.clone(), tags.clone()]).unwrap();
    let [Some(dropped), Some(kept)] = &stored[..] else { panic!("{stored:?}") };
    assert_eq!((kept.revision, &kept.state), (1, &known));
    assert_eq!((dropped.state.checkpoint, dropped.state.refreshed_at), (None, None));
    assert_eq!(dropped.state.workspace, "w0rkspac", "another workspace is still refused");
    // The next change still names the revision that is stored.
    let done = file.destination().commit(&[saving(&contacts, Some(dropped.revision))]).unwrap();
    assert_eq!((done[0].new, done[0].revision), (1, Some(2)));
}

/// A table that is dropped in the middle of a run must not end as complete with the few rows that came after.
#[test]
fn a_table_that_is_dropped_while_a_run_goes_on_ends_the_run_for_it() {
    let mut file = InDuckDb::fresh();
    let contacts = target("contacts");
    let known = TableState { checkpoint: Some(pass(7)), ..TableState::new("w", "2.14", "c".into()) };
    let first = StateChange { expected: None, state: known.clone() };
    let saved =
        TableCommit { state: Some(first), ..upsert(&contacts, pass(1), r#"[{"id":"a"},{"id":"b"}]"#) };
    file.destination().commit(&[saved]).unwrap();
    let targets = std::slice::from_ref(&contacts);
    let revision = file.destination().load(targets).unwrap()[0].as_ref().map(|stored| stored.revision);
    file.destination().rest();
    by_hand(file.path(), "DROP TABLE crm.contacts");
    let next = StateChange { expected: revision, state: known };
    let commit = TableCommit { state: Some(next), ..upsert(&contacts, pass(8), r#"[{"id":"c"}]"#) };
    let error = file.destination().commit(&[commit]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let stored = file.destination().load(targets).unwrap().remove(0).unwrap();
    assert_eq!(stored.state.checkpoint, None, "the next run loads it anew");
}
