//! How rows meet those already stored.

use ingest::destination::TableCommit;

use crate::support::tables::{Subject, batch, nothing, pass, tally, target, upsert};

pub(super) fn the_newer_the_equal_and_the_undated_row_wins(subject: &mut dyn Subject) {
    let contacts = target("contacts");
    let cases = [
        ("10", "11", "second"),
        ("10", "10.000001", "second"),
        ("10", "10", "second"),
        ("10", "9.999999", "first"),
        ("10", "-10", "first"),
        ("null", "9", "second"),
        ("10", "null", "second"),
        ("null", "null", "second"),
        (r#""unreadable""#, "9", "second"),
        ("10", r#""unreadable""#, "second"),
    ];
    let rows = |name: &str, date: &dyn Fn(&(&'static str, &'static str, &str)) -> &'static str| {
        let rows = cases
            .iter()
            .enumerate()
            .map(|(at, case)| format!(r#"{{"id":{},"name":"{name}","updated_at":{}}}"#, 10 + at, date(case)));
        format!("[{}]", rows.collect::<Vec<_>>().join(","))
    };
    subject.commit(upsert(&contacts, pass(1), &rows("first", &|case| case.0)));
    // A row ingested exactly at the limit is not older than it.
    let second = TableCommit {
        supersedes_before: pass(1),
        ..upsert(&contacts, pass(2), &rows("second", &|case| case.1))
    };
    assert_eq!(tally(&subject.commit(second)), "8 changed, 2 unchanged, 10 live");
    for (case, row) in cases.iter().zip(subject.see(&contacts, "name updated_at _ingested_at")) {
        let (date, ingested) = if case.2 == "second" { (case.1, "2000") } else { (case.0, "1000") };
        let date = if date.parse::<f64>().is_ok() { date } else { "-" };
        assert_eq!(row, format!("{} {date} {ingested}", case.2), "{case:?}");
    }
}

pub(super) fn a_date_that_moved_backwards_heals_once_the_stored_row_is_old_enough(subject: &mut dyn Subject) {
    let contacts = target("contacts");
    subject.commit(upsert(&contacts, pass(1), r#"[{"id":"1","name":"wrong","updated_at":900}]"#));
    let older = r#"[{"id":"1","name":"right","updated_at":100}]"#;
    let moment = |micros| pass(1).checked_add(jiff::SignedDuration::from_micros(micros)).unwrap();
    for (supersedes_before, expected) in [(moment(-1), "wrong"), (moment(0), "wrong"), (moment(1), "right")] {
        subject.commit(TableCommit { supersedes_before, ..upsert(&contacts, pass(3), older) });
        assert_eq!(subject.see(&contacts, "name"), [expected], "{supersedes_before}");
    }
    assert_eq!(subject.see(&contacts, "updated_at _ingested_at"), ["100 3000"]);
}

pub(super) fn unchanged_rows_are_counted_and_not_rewritten(subject: &mut dyn Subject) {
    let contacts = target("contacts");
    let rows = r#"[{"id":"1","name":"Ada","updated_at":5,"custom_attributes":{"n":0.10},"unknown":[1]},
                   {"id":"2","name":null,"updated_at":null,"has_hard_bounced":false}]"#;
    subject.commit(upsert(&contacts, pass(1), rows));
    let again = TableCommit { supersedes_before: pass(2), ..upsert(&contacts, pass(2), rows) };
    assert_eq!(tally(&subject.commit(again)), "2 unchanged, 2 live");
    assert_eq!(subject.see(&contacts, "id _ingested_at"), ["1 1000", "2 1000"]);
}

pub(super) fn any_difference_is_a_change(subject: &mut dyn Subject) {
    let contacts = target("contacts");
    let pairs = [
        (r#""name":"a""#, r#""name":"b""#),
        (r#""name":"""#, r#""name":null"#),
        (r#""name":"a""#, r#""name":"a ""#),
        (r#""name":"\u0000""#, r#""name":"\u0000x""#),
        (r#""name":"\u00e9""#, r#""name":"e\u0301""#),
        (r#""has_hard_bounced":false"#, r#""has_hard_bounced":null"#),
        (r#""created_at":1"#, r#""created_at":1.000001"#),
        (r#""custom_attributes":{"n":0.1}"#, r#""custom_attributes":{"n":0.10}"#),
        (r#""custom_attributes":{"a":1,"b":2}"#, r#""custom_attributes":{"b":2,"a":1}"#),
        (r#""custom_attributes":{}"#, r#""custom_attributes":{ }"#),
        (r#""unknown":12345678901234567890"#, r#""unknown":12345678901234567891"#),
    ];
    let rows = |pick: &dyn Fn(&(&'static str, &'static str)) -> &'static str| {
        let row = |(at, pair)| format!(r#"{{"id":{},"updated_at":7,{}}}"#, 10 + at, pick(pair));
        format!("[{}]", pairs.iter().enumerate().map(row).collect::<Vec<_>>().join(","))
    };
    subject.commit(upsert(&contacts, pass(1), &rows(&|pair| pair.0)));
    subject.commit(upsert(&contacts, pass(2), &rows(&|pair| pair.1)));
    for (pair, ingested) in pairs.iter().zip(subject.see(&contacts, "_ingested_at")) {
        assert_eq!(ingested, "2000", "{pair:?}");
    }
}

pub(super) fn one_row_per_key_is_left_of_a_commit(subject: &mut dyn Subject) {
    let contacts = target("contacts");
    let pages = [
        r#"[{"id":"1","updated_at":5,"name":"older"},{"id":"2","updated_at":5,"name":"early"}]"#,
        r#"[{"id":"1","updated_at":9,"name":"newest"},{"id":"1","updated_at":7,"name":"between"},
            {"id":"2","updated_at":5,"name":"late"}]"#,
        r#"[{"id":"3","name":"undated, early"},{"id":"3","name":"undated, late"}]"#,
    ];
    let commit = |number| TableCommit {
        batches: pages.iter().map(|page| batch(contacts.table, pass(number), page)).collect(),
        ..nothing(&contacts)
    };
    let expected = ["newest", "late", "undated, late"];
    assert_eq!(tally(&subject.commit(commit(1))), "3 new, 3 live");
    assert_eq!(subject.see(&contacts, "name"), expected);
    // Into a table that has rows another way is taken.
    assert_eq!(tally(&subject.commit(commit(2))), "3 unchanged, 3 live");
    let mut fourth = commit(3);
    fourth.batches.push(batch(contacts.table, pass(3), r#"[{"id":"4","name":"x"},{"id":"4","name":"y"}]"#));
    assert_eq!(tally(&subject.commit(fourth)), "1 new, 3 unchanged, 4 live");
    assert_eq!(subject.see(&contacts, "name")[3], "y");
}

pub(super) fn what_is_not_among_the_rows_stays(subject: &mut dyn Subject) {
    let contacts = target("contacts");
    subject.commit(upsert(&contacts, pass(1), r#"[{"id":"1","name":"a"},{"id":"2","name":"b"}]"#));
    let done = subject.commit(upsert(&contacts, pass(2), r#"[{"id":"3","name":"c"},{"id":"1","name":"d"}]"#));
    assert_eq!(tally(&done), "1 new, 1 changed, 3 live");
    assert_eq!(subject.see(&contacts, "id name"), ["1 d", "2 b", "3 c"]);
}

pub(super) fn a_commit_without_rows_changes_nothing(subject: &mut dyn Subject) {
    let contacts = target("contacts");
    subject.commit(upsert(&contacts, pass(1), r#"[{"id":"1","name":"a"}]"#));
    assert_eq!(tally(&subject.commit(nothing(&contacts))), "1 live");
    assert_eq!(tally(&subject.commit(upsert(&contacts, pass(2), "[]"))), "1 live");
    assert_eq!(subject.see(&contacts, "id name _ingested_at"), ["1 a 1000"]);
}
