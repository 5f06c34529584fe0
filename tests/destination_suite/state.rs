//! States, saved together with the rows they describe, or not at all.

use ingest::destination::{TableCommit, Target};
use ingest::error::ErrorKind;
use ingest::state::{Refresh, StateChange, Stored, TableState};
use ingest::window::{DateField, Window};

use crate::support::tables::{Subject, batch, nothing, pass, replace, target, target_in, upsert};

fn state(word: &str) -> TableState {
    TableState { checkpoint: Some(pass(7)), ..TableState::new(word, "2.14", "00ff".into()) }
}

/// Rows together with a state.
pub(super) fn saving(rows: TableCommit, expected: Option<u64>, word: &str) -> TableCommit {
    TableCommit { state: Some(StateChange { expected, state: state(word) }), ..rows }
}

fn revision(subject: &mut dyn Subject, target: &Target) -> Option<(u64, String)> {
    let stored = subject.destination().load(std::slice::from_ref(target)).unwrap().remove(0);
    stored.map(|stored| (stored.revision, stored.state.workspace))
}

pub(super) fn what_was_saved_is_loaded(subject: &mut dyn Subject) {
    let (contacts, tags) = (target("contacts"), target("tags"));
    let refresh = Refresh {
        started_at: pass(1),
        closes_from: pass(2),
        by: DateField::CreatedAt,
        start: Some(pass(0)),
        whole: true,
        anew: true,
        remaining: vec![Window { from: None, to: Some(-5) }, Window { from: Some(7), to: None }],
    };
    let full = TableState {
        proven_from: Some(pass(3)),
        refreshed_at: Some("2026-01-02T03:04:05.678901Z".parse().unwrap()),
        refresh: Some(refresh),
        shortfalls: 2,
        ..state("it's \"quoted\" \u{0} größe")
    };
    let change = StateChange { expected: None, state: full.clone() };
    let done = subject.commit(TableCommit { state: Some(change), ..nothing(&contacts) });
    assert_eq!(done.revision, Some(1));
    let loaded = subject.destination().load(&[tags, contacts.clone()]).unwrap();
    assert_eq!(loaded, [None, Some(Stored { revision: 1, state: full })]);
    // The next change names the revision and replaces the whole state.
    let bare = TableState::new("w", "2.14", String::new());
    let change = StateChange { expected: Some(1), state: bare.clone() };
    assert_eq!(subject.commit(TableCommit { state: Some(change), ..nothing(&contacts) }).revision, Some(2));
    let loaded = subject.destination().load(&[contacts]).unwrap();
    assert_eq!(loaded, [Some(Stored { revision: 2, state: bare })]);
}

pub(super) fn states_belong_to_a_schema_and_a_table(subject: &mut dyn Subject) {
    for (schema, table) in [("crm", "contacts"), ("crm", "tags"), ("other", "contacts")] {
        let target = target_in(schema, table);
        subject.commit(saving(nothing(&target), None, &format!("{schema} {table}")));
    }
    let found = |subject: &mut dyn Subject, schema, table| revision(subject, &target_in(schema, table));
    assert_eq!(found(subject, "crm", "contacts"), Some((1, "crm contacts".into())));
    assert_eq!(found(subject, "crm", "tags"), Some((1, "crm tags".into())));
    assert_eq!(found(subject, "Other", "contacts"), Some((1, "other contacts".into())));
    assert_eq!(found(subject, "other", "tags"), None);
    // Schemas are the same whatever the case of their letters, also for the next change.
    let done = subject.commit(saving(nothing(&target_in("CRM", "contacts")), Some(1), "again"));
    assert_eq!(done.revision, Some(2));
    assert_eq!(found(subject, "crm", "contacts"), Some((2, "again".into())));
    assert_eq!(found(subject, "crm", "tags"), Some((1, "crm tags".into())));
}

pub(super) fn a_commit_without_a_state_keeps_the_stored_one(subject: &mut dyn Subject) {
    let tags = target("tags");
    subject.commit(saving(upsert(&tags, pass(1), r#"[{"id":"1"}]"#), None, "w"));
    let done = subject.commit(upsert(&tags, pass(2), r#"[{"id":"2"}]"#));
    assert_eq!(done.revision, None);
    assert_eq!(revision(subject, &tags), Some((1, "w".into())));
    assert_eq!(subject.see(&tags, "id"), ["1", "2"]);
}

pub(super) fn a_state_that_somebody_else_changed_is_not_overwritten(subject: &mut dyn Subject) {
    let (contacts, tags, teams) = (target("contacts"), target("tags"), target("teams"));
    subject.commit(saving(upsert(&tags, pass(1), r#"[{"id":"1","name":"a"}]"#), None, "w"));
    subject.commit(saving(nothing(&tags), Some(1), "w2"));
    let change = r#"[{"id":"1","name":"b"},{"id":"2"}]"#;
    for (expected, table) in [(None, &tags), (Some(1), &tags), (Some(3), &tags), (Some(1), &teams)] {
        // The conflict comes last, when everything else seems done.
        let commits = [
            saving(upsert(&contacts, pass(2), r#"[{"id":"1"}]"#), None, "new"),
            upsert(&tags, pass(2), change),
            saving(replace(table, pass(2), "[]"), expected, "lost"),
        ];
        let error = subject.destination().commit(&commits).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{expected:?}: {error}");
        assert!(error.to_string().contains(table.table.name), "{error}");
        assert_eq!(subject.see(&tags, "id name _ingested_at"), ["1 a 1000"], "{expected:?}");
        assert_eq!(subject.rows(&contacts), None, "{expected:?}");
        assert_eq!(revision(subject, &contacts), None, "{expected:?}");
        assert_eq!(revision(subject, &tags), Some((2, "w2".into())), "{expected:?}");
    }
    assert_eq!(subject.commit(saving(upsert(&tags, pass(2), change), Some(2), "w3")).revision, Some(3));
}

/// The write succeeded and its answer was lost: whoever sends it again is told, and nothing is done twice.
pub(super) fn a_commit_whose_answer_was_lost_cannot_be_repeated(subject: &mut dyn Subject) {
    let tags = target("tags");
    let commit = || [saving(upsert(&tags, pass(1), r#"[{"id":"1"}]"#), None, "w")];
    subject.destination().commit(&commit()).unwrap();
    let error = subject.destination().commit(&commit()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(revision(subject, &tags), Some((1, "w".into())));
    assert_eq!(subject.see(&tags, "id"), ["1"]);
}

pub(super) fn an_error_in_the_middle_leaves_everything_as_it_was(subject: &mut dyn Subject) {
    let (contacts, tags, teams) = (target("contacts"), target("tags"), target("teams"));
    subject.commit(saving(upsert(&contacts, pass(1), r#"[{"id":"1","name":"a"}]"#), None, "w"));
    let mut broken = upsert(&tags, pass(2), r#"[{"id":"1"}]"#);
    broken.batches.push(batch(contacts.table, pass(2), r#"[{"id":"not a tag"}]"#));
    let commits = [
        saving(upsert(&contacts, pass(2), r#"[{"id":"1","name":"b"},{"id":"2"}]"#), Some(1), "lost"),
        broken,
        upsert(&teams, pass(2), r#"[{"id":"1"}]"#),
    ];
    let error = subject.destination().commit(&commits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Destination);
    assert_eq!(subject.see(&contacts, "id name _ingested_at"), ["1 a 1000"]);
    assert_eq!(revision(subject, &contacts), Some((1, "w".into())));
    assert_eq!((subject.rows(&tags), subject.rows(&teams)), (None, None));
    // The destination still works.
    let [first, _, last] = commits;
    subject.destination().commit(&[first, last]).unwrap();
    assert_eq!(subject.see(&contacts, "id name"), ["1 b", "2 -"]);
    assert_eq!(revision(subject, &contacts), Some((2, "lost".into())));
}
