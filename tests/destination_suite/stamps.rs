//! Rows that are gone from the source.

use ingest::destination::{Stamp, TableCommit, Target};

use crate::support::tables::{Subject, gone, nothing, pass, replace, tally, target, upsert};

fn three_contacts(subject: &mut dyn Subject) -> Target {
    let contacts = target("contacts");
    let rows = r#"[{"id":"1","updated_at":5,"name":"a"},{"id":"2","updated_at":5,"name":"b"},
                   {"id":"3","updated_at":5,"name":"c"}]"#;
    subject.commit(upsert(&contacts, pass(1), rows));
    contacts
}

pub(super) fn rows_found_to_be_gone_are_stamped(subject: &mut dyn Subject) {
    let contacts = three_contacts(subject);
    let done = subject.commit(gone(&contacts, 2, &["3", "1", "unknown"]));
    assert_eq!(tally(&done), "2 stamped, 1 live");
    let rows = subject.see(&contacts, "id name _deleted_at _ingested_at");
    assert_eq!(rows, ["1 a 2000 1000", "2 b - 1000", "3 c 2000 1000"]);
}

/// The stamp says when the row was found to be gone, which happens once.
pub(super) fn a_stamped_row_keeps_its_first_stamp(subject: &mut dyn Subject) {
    let contacts = three_contacts(subject);
    subject.commit(gone(&contacts, 2, &["1"]));
    assert_eq!(tally(&subject.commit(gone(&contacts, 3, &["1", "2", "2"]))), "1 stamped, 1 live");
    assert_eq!(subject.see(&contacts, "id _deleted_at"), ["1 2000", "2 3000", "3 -"]);
}

pub(super) fn a_row_seen_again_loses_its_stamp(subject: &mut dyn Subject) {
    let cases = [
        ("unchanged", r#"[{"id":"1","updated_at":5,"name":"a"}]"#, "a 5 1000"),
        ("older", r#"[{"id":"1","updated_at":4,"name":"old"}]"#, "a 5 1000"),
        ("newer and the same", r#"[{"id":"1","updated_at":6,"name":"a"}]"#, "a 6 4000"),
        ("newer and different", r#"[{"id":"1","updated_at":7,"name":"x"}]"#, "x 7 4000"),
    ];
    let contacts = three_contacts(subject);
    for (case, again, expected) in cases {
        subject.commit(gone(&contacts, 2, &["1"]));
        assert_eq!(tally(&subject.commit(upsert(&contacts, pass(4), again))), "1 changed, 3 live", "{case}");
        let row = subject.see(&contacts, "name updated_at _ingested_at _deleted_at").remove(0);
        assert_eq!(row, format!("{expected} -"), "{case}");
    }
    // Only what was seen: the others keep theirs.
    subject.commit(gone(&contacts, 5, &["1", "2"]));
    subject.commit(upsert(&contacts, pass(6), r#"[{"id":"2","updated_at":5,"name":"b"}]"#));
    assert_eq!(subject.see(&contacts, "id _deleted_at"), ["1 5000", "2 -", "3 -"].map(str::to_owned));
}

pub(super) fn live_keys_are_those_without_a_stamp(subject: &mut dyn Subject) {
    let contacts = three_contacts(subject);
    subject.commit(gone(&contacts, 2, &["2"]));
    assert_eq!(subject.live_keys(&contacts), ["1", "3"]);
    // A table that is replaced has no stamps: all its rows are live.
    let tags = target("tags");
    subject.commit(replace(&tags, pass(1), r#"[{"id":"x"},{"id":"y"}]"#));
    assert_eq!(subject.live_keys(&tags), ["x", "y"]);
}

pub(super) fn stamps_are_set_after_the_rows_of_the_same_commit(subject: &mut dyn Subject) {
    let contacts = target("contacts");
    let rows = r#"[{"id":"1","name":"a"},{"id":"2","name":"b"}]"#;
    let both = TableCommit { stamps: gone(&contacts, 1, &["2"]).stamps, ..upsert(&contacts, pass(1), rows) };
    assert_eq!(tally(&subject.commit(both)), "2 new, 1 stamped, 1 live");
    assert_eq!(subject.see(&contacts, "id _deleted_at"), ["1 -", "2 1000"]);
}

/// The row says where it went until it turns up again, whatever comes of it then.
pub(super) fn the_survivor_of_a_merge_is_named_until_the_row_is_seen_again(subject: &mut dyn Subject) {
    let contacts = three_contacts(subject);
    let stamp = |key: &str, survivor: Option<&str>| Stamp {
        key: key.into(),
        deleted_at: pass(2),
        merged_into: survivor.map(str::to_owned),
    };
    for again in [
        r#"[{"id":"1","updated_at":5,"name":"a"}]"#,
        r#"[{"id":"1","updated_at":4,"name":"older"}]"#,
        r#"[{"id":"1","updated_at":6,"name":"newer"}]"#,
    ] {
        let stamps = vec![stamp("1", Some("3")), stamp("2", None)];
        subject.commit(TableCommit { stamps, ..nothing(&contacts) });
        let stamped = ["1 2000 3", "2 2000 -", "3 - -"];
        assert_eq!(subject.see(&contacts, "id _deleted_at _merged_into"), stamped, "{again}");
        // A row that stays away keeps what was said of it.
        let later = vec![stamp("1", Some("2"))];
        assert_eq!(tally(&subject.commit(TableCommit { stamps: later, ..nothing(&contacts) })), "1 live");
        assert_eq!(subject.see(&contacts, "id _deleted_at _merged_into"), stamped, "{again}");
        let done = subject.commit(upsert(&contacts, pass(3), again));
        assert_eq!(tally(&done), "1 changed, 2 live", "{again}");
        let row = subject.see(&contacts, "id _deleted_at _merged_into").remove(0);
        assert_eq!(row, "1 - -", "{again}");
        subject.commit(upsert(&contacts, pass(3), r#"[{"id":"2","updated_at":5,"name":"b"}]"#));
    }
}
