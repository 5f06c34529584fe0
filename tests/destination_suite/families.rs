//! What becomes of rows when the row that they stand inside is gone.

use ingest::destination::TableCommit;
use ingest::error::ErrorKind;
use ingest::state::{StateChange, TableState};

use super::ledger::{entry, noted, noting};
use crate::support::tables::{Subject, batch, gone, inside, of, pass, tally, target, upsert};

pub(super) fn links_go_with_their_parents(subject: &mut dyn Subject) {
    let links = target("contact_companies");
    subject.commit(inside(&links, pass(1), &[of("a", 1, "x y"), of("b", 1, "x"), of("c", 1, "x")]));
    assert_eq!(tally(&subject.commit(gone(&links, 2, &["a", "c", "c", "unknown"]))), "3 removed, 1 live");
    assert_eq!(subject.see(&links, "contact_id company_id"), ["b x"]);
    // Rows of the same commit too: they were read before the parent was found to be gone.
    let mut both = inside(&links, pass(3), &[of("b", 2, "x y"), of("d", 1, "x")]);
    both.stamps = gone(&links, 3, &["b"]).stamps;
    subject.commit(both);
    assert_eq!(subject.see(&links, "contact_id company_id"), ["d x"]);
}

/// What was said in a conversation stays, like the conversation itself.
pub(super) fn parts_are_stamped_with_their_parents(subject: &mut dyn Subject) {
    for (table, parent) in [("conversation_parts", "conversation_id"), ("ticket_parts", "ticket_id")] {
        let parts = target(table);
        subject.commit(inside(&parts, pass(1), &[of("a", 1, "1 2"), of("b", 1, "3"), of("c", 1, "4")]));
        // Keys of parts are not those of their parents.
        assert_eq!(tally(&subject.commit(gone(&parts, 2, &["a", "c", "3"]))), "3 stamped, 1 live", "{table}");
        let seen = subject.see(&parts, &format!("{parent} id _deleted_at"));
        assert_eq!(seen, ["a 1 2000", "a 2 2000", "b 3 -", "c 4 2000"], "{table}");
        assert_eq!(tally(&subject.commit(gone(&parts, 3, &["a", "b"]))), "1 stamped", "{table}");
        // Those that are shown again are there again.
        let again = subject.commit(inside(&parts, pass(4), &[of("a", 2, "2 5")]));
        assert_eq!(tally(&again), "1 new, 1 changed, 2 live", "{table}");
        let seen = subject.see(&parts, "id _deleted_at");
        assert_eq!(seen, ["1 2000", "2 -", "3 3000", "4 2000", "5 -"], "{table}");
    }
}

/// Entries that are no objects: ids by themselves.
pub(super) fn rows_inside_a_swapped_table_are_swapped(subject: &mut dyn Subject) {
    let admins = target("team_admins");
    let whole = |number, teams: &[_]| TableCommit {
        scope: ingest::destination::Scope::All,
        ..inside(&admins, pass(number), teams)
    };
    subject.commit(whole(1, &[of("1", 0, "").with(vec!["7", "8"]), of("2", 0, "").with(vec!["7"])]));
    let done = subject.commit(whole(2, &[of("2", 0, "").with(vec!["7", "9"])]));
    assert_eq!(tally(&done), "1 new, 1 unchanged, 2 removed, 2 live");
    assert_eq!(subject.see(&admins, "team_id admin_id"), ["2 7", "2 9"]);
}

pub(super) fn every_live_parent_is_named_once(subject: &mut dyn Subject) {
    let live = |subject: &mut dyn Subject, table| subject.live_keys(&target(table));
    assert!(live(subject, "conversation_parts").is_empty());
    for table in ["conversation_parts", "conversation_tags", "contact_companies", "ticket_parts"] {
        subject.commit(inside(
            &target(table),
            pass(1),
            &[of("a", 1, "1 2 3"), of("b", 1, "4"), of("c", 1, "5")],
        ));
        assert_eq!(live(subject, table), ["a", "b", "c"], "{table}");
        subject.commit(gone(&target(table), 2, &["c"]));
        assert_eq!(live(subject, table), ["a", "b"], "{table}");
    }
    // One row that is still there is enough.
    subject.commit(inside(&target("conversation_parts"), pass(3), &[of("c", 2, "6")]));
    assert_eq!(live(subject, "conversation_parts"), ["a", "b", "c"]);
}

/// Parts, links and notes of a family land with its states, or not at all.
pub(super) fn a_family_lands_together_or_not_at_all(subject: &mut dyn Subject) {
    let (conversations, tags, parts) =
        (target("conversations"), target("conversation_tags"), target("conversation_parts"));
    let state = |expected, word: &str| {
        let state = TableState { checkpoint: Some(pass(7)), ..TableState::new(word, "2.14", "00ff".into()) };
        Some(StateChange { expected, state })
    };
    let family = |number: i64, expected, word: &str, name: &str, ids: &str, total| {
        let row = format!(r#"[{{"id":"a","updated_at":{number},"title":"{name}"}}]"#);
        let entries = vec![entry("a", number, total, 2)];
        [
            TableCommit { state: state(expected, word), ..upsert(&conversations, pass(number), &row) },
            TableCommit {
                state: state(expected, word),
                ..inside(&tags, pass(number), &[of("a", number, ids)])
            },
            TableCommit {
                state: state(expected, word),
                ..noting(inside(&parts, pass(number), &[of("a", number, ids)]), entries)
            },
        ]
    };
    let seen = |subject: &mut dyn Subject| {
        let stored =
            subject.destination().load(&[conversations.clone(), tags.clone(), parts.clone()]).unwrap();
        let words: Vec<_> =
            stored.into_iter().flatten().map(|stored| (stored.revision, stored.state.workspace)).collect();
        (
            subject.see(&conversations, "title parts_truncated parts_total_count _deleted_at"),
            subject.see(&tags, "tag_id"),
            subject.see(&parts, "id _deleted_at"),
            noted(subject, &parts),
            words,
        )
    };
    subject.destination().commit(&family(1, None, "first", "one", "x y", Some(2))).unwrap();
    let before = seen(subject);
    assert_eq!(before.0, ["one false 2 -"]);
    // A batch that does not fit, and a state that somebody else changed: both come last.
    let mut broken = family(2, Some(1), "lost", "two", "y z", Some(5));
    broken[2].batches.push(batch(target("teams").table, pass(2), r#"[{"id":"no part"}]"#));
    broken[2].owners.push(Vec::new());
    let mut conflicting = family(2, Some(1), "lost", "two", "y z", Some(5));
    conflicting[2].state = state(Some(3), "lost");
    conflicting[1].stamps = gone(&tags, 2, &["a"]).stamps;
    conflicting[2].stamps = gone(&parts, 2, &["a"]).stamps;
    for (commits, kind) in [(broken, ErrorKind::Destination), (conflicting, ErrorKind::Conflict)] {
        let error = subject.destination().commit(&commits).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(seen(subject), before, "{kind:?}");
    }
    subject.destination().commit(&family(2, Some(1), "second", "two", "y z", Some(5))).unwrap();
    let after = seen(subject);
    assert_eq!((after.0, after.1), (vec!["two true 5 -".into()], vec!["y".into(), "z".into()]));
    assert_eq!(after.2, ["x -", "y -", "z -"]);
    assert_eq!(after.4, [(2, "second".to_owned()), (2, "second".into()), (2, "second".into())]);
}
