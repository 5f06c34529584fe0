//! Tables that are read whole and swapped.

use crate::support::tables::{Subject, nothing, pass, replace, tally, target, upsert};

pub(super) fn the_rows_of_a_pass_are_the_table(subject: &mut dyn Subject) {
    let tags = target("tags");
    let first = r#"[{"id":"1","name":"one"},{"id":"2","name":"two"},{"id":"3","name":"three"}]"#;
    assert_eq!(tally(&subject.commit(replace(&tags, pass(1), first))), "3 new, 3 live");
    let second = r#"[{"id":"4","name":"four"},{"id":"3","name":"three"},{"id":"2","name":"zwei"}]"#;
    let done = subject.commit(replace(&tags, pass(2), second));
    assert_eq!(tally(&done), "1 new, 1 changed, 1 unchanged, 1 removed, 3 live");
    assert_eq!(subject.see(&tags, "id name _ingested_at"), ["2 zwei 2000", "3 three 1000", "4 four 2000"]);
}

pub(super) fn an_emptied_list_empties_the_table(subject: &mut dyn Subject) {
    let tags = target("tags");
    subject.commit(replace(&tags, pass(1), r#"[{"id":"1"},{"id":"2"}]"#));
    assert_eq!(tally(&subject.commit(replace(&tags, pass(2), "[]"))), "2 removed");
    assert_eq!(subject.rows(&tags), Some(Vec::new()));
    // Also without a single page, and when there is nothing left to remove.
    subject.commit(replace(&tags, pass(3), r#"[{"id":"1"}]"#));
    let without_pages =
        || ingest::destination::TableCommit { batches: Vec::new(), ..replace(&tags, pass(4), "[]") };
    assert_eq!(tally(&subject.commit(without_pages())), "1 removed");
    assert_eq!(tally(&subject.commit(without_pages())), "");
    assert_eq!(subject.rows(&tags), Some(Vec::new()));
}

/// A name repeats within a model and between models, and built-in attributes have no id.
pub(super) fn keys_of_three_parts_may_hold_null(subject: &mut dyn Subject) {
    let attributes = target("data_attributes");
    let row = |model: &str, full_name: &str, id: &str, label: &str| {
        let name = full_name.rsplit('.').next().unwrap();
        format!(
            r#"{{"model":"{model}","full_name":"{full_name}","name":"{name}","id":{id},"label":"{label}"}}"#
        )
    };
    let list = |rows: &[String]| format!("[{}]", rows.join(","));
    let mut rows = vec![
        row("contact", "name", "null", "a"),
        row("contact", "companies.name", "null", "b"),
        row("company", "name", "null", "c"),
        row("contact", "name", "7", "d"),
        row("contact", "name", "8", "e"),
        row("contact", "name", r#""""#, "f"),
    ];
    assert_eq!(tally(&subject.commit(replace(&attributes, pass(1), &list(&rows)))), "6 new, 6 live");
    assert_eq!(tally(&subject.commit(replace(&attributes, pass(2), &list(&rows)))), "6 unchanged, 6 live");
    rows[0] = row("contact", "name", "null", "A");
    rows.remove(3);
    let done = subject.commit(replace(&attributes, pass(3), &list(&rows)));
    assert_eq!(tally(&done), "1 changed, 4 unchanged, 1 removed, 5 live");
    assert_eq!(
        subject.see(&attributes, "model full_name label id"),
        [
            "company name c -",
            "contact companies.name b -",
            "contact name A -",
            "contact name f ",
            "contact name e 8",
        ]
    );
    // A key with NULL repeats like any other.
    let twice = list(&[row("contact", "name", "null", "x"), row("contact", "name", "null", "y")]);
    assert_eq!(tally(&subject.commit(replace(&attributes, pass(4), &twice))), "1 changed, 4 removed, 1 live");
    assert_eq!(subject.see(&attributes, "label"), ["y"]);
}

pub(super) fn rows_of_a_part_of_the_pass_only_merge(subject: &mut dyn Subject) {
    let tags = target("tags");
    subject.commit(upsert(&tags, pass(1), r#"[{"id":"1","name":"one"},{"id":"2","name":"two"}]"#));
    let done =
        subject.commit(upsert(&tags, pass(2), r#"[{"id":"2","name":"zwei"},{"id":"3","name":"drei"}]"#));
    assert_eq!(tally(&done), "1 new, 1 changed, 3 live");
    assert_eq!(tally(&subject.commit(nothing(&tags))), "3 live");
    assert_eq!(subject.see(&tags, "id name"), ["1 one", "2 zwei", "3 drei"]);
}
