//! What is noted about parents whose rows are asked for one parent at a time.

use ingest::destination::{TableCommit, Target};
use ingest::ledger::Entry;
use ingest::state::{StateChange, TableState};
use jiff::Timestamp;

use crate::support::tables::{Subject, gone, inside, nothing, of, pass, target, target_in, upsert};

/// One object that was read in the pass whose number is its version.
pub(super) fn entry(key: &str, version: i64, total: Option<i64>, shown: i64) -> Entry {
    Entry {
        key: key.into(),
        version: Some(version * 1_000_000),
        stated: Some(shown),
        total,
        shown,
        fetched_at: pass(version),
    }
}

pub(super) fn noting(commit: TableCommit, entries: Vec<Entry>) -> TableCommit {
    TableCommit { entries, ..commit }
}

/// A commit that saves the first state of a table: without one, nothing that is noted counts.
pub(super) fn beginning(target: &Target) -> TableCommit {
    let state = TableState::new("ab12cd34", "2.14", target.table.fingerprint());
    TableCommit { state: Some(StateChange { expected: None, state }), ..nothing(target) }
}

/// Everything that was noted, by the keys.
pub(super) fn noted(subject: &mut dyn Subject, target: &Target) -> Vec<Entry> {
    let mut entries = Vec::new();
    subject.destination().entries(target, &mut |entry| entries.push(entry)).unwrap();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries
}

pub(super) fn what_was_noted_is_read_back(subject: &mut dyn Subject) {
    let parts = target("conversation_parts");
    assert_eq!(noted(subject, &parts), []);
    subject.commit(beginning(&parts));
    let moment = |text: &str| text.parse::<Timestamp>().unwrap();
    let all = vec![
        Entry { fetched_at: moment("2026-01-02T03:04:05.678901Z"), ..entry("a", 1_700_000, Some(520), 500) },
        Entry { version: Some(-1), ..entry("b", 0, None, 0) },
        Entry { version: None, stated: None, ..entry("it's \"quoted\"", 5, Some(i64::MAX), 7) },
    ];
    subject.commit(noting(inside(&parts, pass(1), &[of("a", 1, "1")]), all.clone()));
    assert_eq!(noted(subject, &parts), all);
    // Entries come without rows too, and nothing else takes them away.
    let more = entry("c", 9, Some(0), 0);
    subject.commit(noting(nothing(&parts), vec![more.clone()]));
    subject.commit(inside(&parts, pass(2), &[of("a", 2, "1 2")]));
    assert_eq!(noted(subject, &parts), [&all[..2], &[more], &all[2..]].concat());
}

/// An object that was not found says nothing about how many rows it has.
pub(super) fn the_last_word_about_a_parent_counts(subject: &mut dyn Subject) {
    let parts = target("conversation_parts");
    let (first, second) = (entry("a", 3, Some(9), 8), entry("a", 2, Some(4), 4));
    let other = entry("b", 1, Some(1), 1);
    let in_one_commit = |entries: Vec<Entry>| noting(nothing(&parts), entries);
    subject.commit(beginning(&parts));
    subject.commit(in_one_commit(vec![first.clone(), other.clone(), second.clone()]));
    assert_eq!(noted(subject, &parts), [second, other.clone()]);
    let not_found = |key, version| Entry { stated: Some(6), ..entry(key, version, None, 0) };
    // Noted before in another commit, in the same one, and never.
    subject.commit(in_one_commit(vec![first]));
    subject.commit(in_one_commit(vec![not_found("a", 4), other, not_found("b", 5), not_found("c", 6)]));
    assert_eq!(
        noted(subject, &parts),
        [
            Entry { total: Some(9), shown: 8, ..not_found("a", 4) },
            Entry { total: Some(1), shown: 1, ..not_found("b", 5) },
            not_found("c", 6),
        ]
    );
    subject.commit(in_one_commit(vec![not_found("d", 7), entry("d", 8, Some(2), 2)]));
    assert_eq!(noted(subject, &parts)[3], entry("d", 8, Some(2), 2));
}

pub(super) fn notes_belong_to_a_schema_and_a_table(subject: &mut dyn Subject) {
    let places = [("crm", "conversation_parts"), ("crm", "ticket_parts"), ("Other", "conversation_parts")];
    for (number, (schema, table)) in (1..).zip(places) {
        subject.commit(beginning(&target_in(schema, table)));
        subject.commit(noting(
            nothing(&target_in(schema, table)),
            vec![entry("a", number, Some(number), number)],
        ));
    }
    for (number, (schema, table)) in (1..).zip(places) {
        assert_eq!(
            noted(subject, &target_in(schema, table)),
            [entry("a", number, Some(number), number)],
            "{schema}.{table}"
        );
    }
    let shouted = target_in("OTHER", "conversation_parts");
    subject.commit(noting(nothing(&shouted), vec![entry("a", 8, Some(8), 8)]));
    assert_eq!(noted(subject, &target_in("other", "conversation_parts")), [entry("a", 8, Some(8), 8)]);
    assert_eq!(noted(subject, &target("conversation_parts")).len(), 1);
    assert_eq!(noted(subject, &target_in("other", "ticket_parts")), []);
}

/// Rows, and what is noted about them, may come in any order and in any commits.
pub(super) fn missing_parts_are_told_in_the_parents_row_whatever_came_first(subject: &mut dyn Subject) {
    for (lead, table) in [("conversations", "conversation_parts"), ("tickets", "ticket_parts")] {
        let (lead, parts) = (target(lead), target(table));
        let row = |id: &str, number| {
            upsert(&lead, pass(number), &format!(r#"[{{"id":"{id}","updated_at":{number}}}]"#))
        };
        let note = |id: &str, number, total| noting(nothing(&parts), vec![entry(id, number, total, 2)]);
        subject.commit(row("1 stored before", 1));
        subject.commit(note("1 stored before", 1, Some(3)));
        subject.destination().commit(&[row("2 at once", 1), note("2 at once", 1, Some(2))]).unwrap();
        subject.commit(note("3 stored after", 1, Some(7)));
        subject.commit(row("3 stored after", 1));
        subject.commit(row("4 not said", 1));
        subject.commit(note("4 not said", 1, None));
        subject.commit(row("5 never read", 1));
        // Together with a row that was there before.
        subject
            .destination()
            .commit(&[row("1 stored before", 2), row("6 new", 2), note("6 new", 2, Some(4))])
            .unwrap();
        let seen = |subject: &mut dyn Subject| subject.see(&lead, "id parts_truncated parts_total_count");
        assert_eq!(
            seen(subject),
            [
                "1 stored before true 3",
                "2 at once false 2",
                "3 stored after true 7",
                "4 not said - -",
                "5 never read - -",
                "6 new true 4",
            ]
        );
        // A later word takes the place of the earlier one, if it says anything.
        subject.commit(noting(
            nothing(&parts),
            vec![entry("1 stored before", 3, Some(2), 2), entry("3 stored after", 3, None, 0)],
        ));
        let seen = seen(subject);
        assert_eq!((&*seen[0], &*seen[2]), ("1 stored before false 2", "3 stored after true 7"));
    }
}

pub(super) fn what_is_told_of_parts_is_left_alone_by_later_rows_of_the_parent(subject: &mut dyn Subject) {
    let (conversations, parts) = (target("conversations"), target("conversation_parts"));
    let row = |number, updated: i64, title: &str| {
        upsert(
            &conversations,
            pass(number),
            &format!(r#"[{{"id":"a","updated_at":{updated},"title":"{title}"}}]"#),
        )
    };
    let seen = |subject: &mut dyn Subject| {
        subject.see(&conversations, "title parts_truncated parts_total_count _ingested_at")
    };
    subject
        .destination()
        .commit(&[row(1, 5, "one"), noting(nothing(&parts), vec![entry("a", 1, Some(3), 2)])])
        .unwrap();
    assert_eq!(seen(subject), ["one true 3 1000"]);
    for (number, updated, title, expected) in [
        (2, 6, "newer", "newer true 3 2000"),
        (3, 4, "older", "newer true 3 2000"),
        (4, 6, "newer", "newer true 3 2000"),
        (5, 6, "equally new", "equally new true 3 5000"),
    ] {
        subject.commit(row(number, updated, title));
        assert_eq!(seen(subject), [expected]);
    }
    subject.commit(gone(&conversations, 6, &["a"]));
    subject.commit(row(7, 6, "equally new"));
    assert_eq!(seen(subject), ["equally new true 3 5000"]);
    // A row that is told of its parts has not changed itself.
    let done = subject
        .destination()
        .commit(&[row(8, 6, "equally new"), noting(nothing(&parts), vec![entry("a", 8, Some(2), 2)])]);
    assert_eq!((done.unwrap()[0].unchanged, seen(subject)), (1, vec!["equally new false 2 5000".to_owned()]));
}

/// A parent that is back has its rows read again, so that they are there again too; what it was known to have
/// is still told meanwhile.
pub(super) fn what_was_noted_of_a_parent_that_is_gone_settles_nothing(subject: &mut dyn Subject) {
    let (conversations, parts) = (target("conversations"), target("conversation_parts"));
    let (a, b) = (entry("a", 1, Some(3), 2), entry("b", 1, Some(2), 2));
    let rows = upsert(&conversations, pass(1), r#"[{"id":"a","updated_at":1},{"id":"b","updated_at":1}]"#);
    let of_parts =
        noting(inside(&parts, pass(1), &[of("a", 1, "1 2"), of("b", 1, "3 4")]), vec![a.clone(), b.clone()]);
    subject.commit(beginning(&parts));
    subject.destination().commit(&[rows, of_parts]).unwrap();
    subject.destination().commit(&[gone(&conversations, 2, &["a"]), gone(&parts, 2, &["a"])]).unwrap();
    assert_eq!(noted(subject, &parts), [Entry { version: None, ..a }, b]);
    let seen = subject.see(&conversations, "id parts_truncated parts_total_count");
    assert_eq!(seen, ["a true 3", "b false 2"]);
}

/// Rows may be missing that no state vouches for, also where the state was deleted by hand.
pub(super) fn without_a_state_nothing_that_was_noted_counts(subject: &mut dyn Subject) {
    let parts = target("conversation_parts");
    let (a, b, c) = (entry("a", 1, Some(1), 1), entry("b", 1, Some(1), 1), entry("c", 1, Some(1), 1));
    subject.commit(noting(inside(&parts, pass(1), &[of("a", 1, "1")]), vec![a]));
    assert_eq!(noted(subject, &parts), []);
    // What comes with the first state counts, and nothing from before.
    subject.commit(noting(beginning(&parts), vec![b.clone()]));
    assert_eq!(noted(subject, &parts), std::slice::from_ref(&b));
    subject.commit(noting(nothing(&parts), vec![c.clone()]));
    assert_eq!(noted(subject, &parts), [b, c]);
}
