//! Rows of a refresh that is under way: saved with each commit, and seen together.

use super::super::ledger::{beginning, entry, noted, noting};
use crate::support::tables::{Subject, Underway, inside, nothing, of, pass, tally, target, upsert};

/// Rows with keys from all over the table.
fn rows(from: usize, step: usize, count: usize) -> String {
    let row =
        |at| format!(r#"{{"id":"{:05}","updated_at":5,"name":"n{}"}}"#, from + step * at, from + step * at);
    format!("[{}]", (0..count).map(row).collect::<Vec<_>>().join(","))
}

#[test]
fn commits_from_all_over_the_table_wait_until_they_are_as_many_or_the_last() {
    let mut lake = Underway::fresh();
    let contacts = target("contacts");
    let subject: &mut dyn Subject = &mut lake;
    assert_eq!(tally(&subject.commit(upsert(&contacts, pass(1), &rows(0, 10, 900)))), "900 new, 900 live");
    // What waits is counted, found again, and named among the live keys.
    let done = subject.commit(upsert(&contacts, pass(1), &rows(1, 90, 100)));
    assert_eq!(tally(&done), "100 new, 1000 live");
    let again = subject.commit(upsert(&contacts, pass(1), &rows(1, 45, 200)));
    assert_eq!(tally(&again), "100 new, 100 unchanged, 1100 live");
    assert_eq!(subject.live_keys(&contacts).len(), 1_100);
    assert!(lake.waited >= 1, "{}", lake.waited);
    let subject: &mut dyn Subject = &mut lake;
    let seen = subject.see(&contacts, "id name");
    assert_eq!(seen.len(), 1_100);
    assert_eq!(seen[..3], ["00000 n0", "00001 n1", "00010 n10"]);
}

#[test]
fn a_row_that_waits_is_changed_stamped_and_replaced_like_any_other() {
    for change in ["newer", "gone"] {
        let mut lake = Underway::fresh();
        let contacts = target("contacts");
        let subject: &mut dyn Subject = &mut lake;
        subject.commit(upsert(&contacts, pass(1), &rows(0, 10, 900)));
        subject.commit(upsert(&contacts, pass(1), &rows(1, 90, 50)));
        assert_eq!(lake.waited, 1);
        let subject: &mut dyn Subject = &mut lake;
        let (done, expected) = if change == "newer" {
            let newer = r#"[{"id":"00091","updated_at":6,"name":"Ada"}]"#;
            (subject.commit(upsert(&contacts, pass(2), newer)), "1 changed, 950 live")
        } else {
            let stamps = crate::support::tables::gone(&contacts, 2, &["00091"]);
            (subject.commit(stamps), "1 stamped, 949 live")
        };
        assert_eq!(tally(&done), expected, "{change}");
        let seen = subject.see(&contacts, "id name _deleted_at");
        let row = seen.iter().find(|row| row.starts_with("00091")).unwrap();
        assert_eq!(row.as_str(), if change == "newer" { "00091 Ada -" } else { "00091 n91 2000" });
        assert_eq!(seen.len(), 950);
    }
}

/// What is told of the parts of conversations reaches those that wait.
#[test]
fn what_is_noted_of_parents_reaches_rows_that_wait() {
    let mut lake = Underway::fresh();
    let (conversations, parts) = (target("conversations"), target("conversation_parts"));
    let all = |from, step, count| {
        let row = |at| format!(r#"{{"id":"{:05}","updated_at":5}}"#, from + step * at);
        format!("[{}]", (0..count).map(row).collect::<Vec<_>>().join(","))
    };
    let subject: &mut dyn Subject = &mut lake;
    subject.commit(beginning(&parts));
    subject.commit(upsert(&conversations, pass(1), &all(0, 10, 900)));
    subject.commit(upsert(&conversations, pass(1), &all(1, 90, 50)));
    assert_eq!(lake.waited, 1);
    // What is noted of others is no reason to put everything together.
    let subject: &mut dyn Subject = &mut lake;
    let another = inside(&parts, pass(1), &[of("00095", 5, "x")]);
    subject.commit(noting(another, vec![entry("00095", 5, Some(1), 1)]));
    assert!(lake.has_waiting(&conversations));
    let subject: &mut dyn Subject = &mut lake;
    let of_one = inside(&parts, pass(1), &[of("00091", 5, "x")]);
    subject.commit(noting(of_one, vec![entry("00091", 5, Some(7), 1)]));
    assert_eq!(noted(subject, &parts).len(), 2);
    let seen = subject.see(&conversations, "id parts_total_count");
    assert_eq!(seen.len(), 950);
    assert!(seen.contains(&"00091 7".to_owned()), "{seen:?}");
}

#[test]
fn many_commits_are_put_together_on_the_way() {
    let mut lake = Underway::fresh();
    let contacts = target("contacts");
    let subject: &mut dyn Subject = &mut lake;
    subject.commit(upsert(&contacts, pass(1), &rows(0, 10, 2_000)));
    for number in 1..9 {
        let done = subject.commit(upsert(&contacts, pass(1), &rows(number, 100, 200)));
        assert_eq!(done.new, 200);
        assert_eq!(done.live, 2_000 + 200 * number as u64);
    }
    assert_eq!(subject.see(&contacts, "id").len(), 3_600);
    assert!(subject.destination().commit(&[nothing(&contacts)]).is_ok());
}
