//! Tables whose rows stand inside others: what one parent shows is all it has.

use ingest::destination::{Scope, TableCommit};

use crate::support::tables::{Subject, inside, nothing, of, pass, tally, target, upsert};

const LINK: &str = "conversation_id tag_id _ingested_at";

pub(super) fn a_link_that_is_gone_disappears_and_those_of_others_stay(subject: &mut dyn Subject) {
    let tags = target("conversation_tags");
    let first = inside(&tags, pass(1), &[of("a", 1, "x y"), of("b", 1, "x y")]);
    assert_eq!(tally(&subject.commit(first)), "4 new, 4 live");
    let second = inside(&tags, pass(2), &[of("a", 2, "y z")]);
    assert_eq!(tally(&subject.commit(second)), "1 new, 1 unchanged, 1 removed, 4 live");
    assert_eq!(subject.see(&tags, LINK), ["a y 1000", "a z 2000", "b x 1000", "b y 1000"]);
    // Into nothing but new keys another way is taken.
    let third = inside(&tags, pass(3), &[of("b", 2, "u v w")]);
    assert_eq!(tally(&subject.commit(third)), "3 new, 2 removed, 5 live");
    assert_eq!(subject.see(&tags, LINK), ["a y 1000", "a z 2000", "b u 3000", "b v 3000", "b w 3000"]);
}

pub(super) fn a_parent_without_links_loses_its_last_one(subject: &mut dyn Subject) {
    let tags = target("conversation_tags");
    subject.commit(inside(&tags, pass(1), &[of("a", 1, "x"), of("b", 1, "x")]));
    assert_eq!(tally(&subject.commit(inside(&tags, pass(2), &[of("a", 2, "")]))), "1 removed, 1 live");
    assert_eq!(subject.see(&tags, LINK), ["b x 1000"]);
    // Together with others that have some, and when there is none to lose.
    let done = subject.commit(inside(&tags, pass(3), &[of("a", 3, ""), of("b", 2, ""), of("c", 1, "y")]));
    assert_eq!(tally(&done), "1 new, 1 removed, 1 live");
    assert_eq!(subject.see(&tags, LINK), ["c y 3000"]);
}

/// The same parent on two pages: it changed while they were read, or the pages overlapped.
pub(super) fn of_a_parent_that_comes_twice_the_newest_version_counts(subject: &mut dyn Subject) {
    let tags = target("conversation_tags");
    let stored = [of("a", 1, "stored"), of("b", 1, "other")];
    for (case, first, second, expected) in [
        ("newer first", of("a", 9, "n"), of("a", 8, "o p"), "n"),
        ("newer last", of("a", 8, "o p"), of("a", 9, "n"), "n"),
        ("newer without any", of("a", 9, ""), of("a", 8, "o p"), ""),
        ("equally new", of("a", 9, "o p"), of("a", 9, "n"), "n"),
        ("equally new, in part first", of("a", 9, "o p").in_part(), of("a", 9, "n"), "n"),
        ("equally new, in part last", of("a", 9, "n"), of("a", 9, "o").in_part(), "n"),
        ("undated first", of("a", 9, "o p").undated(), of("a", 8, "n"), "n"),
        ("undated last", of("a", 9, "o p"), of("a", 8, "n").undated(), "n"),
    ] {
        for in_one_page in [true, false] {
            subject.commit(inside(&tags, pass(1), &stored));
            let mut commit = inside(&tags, pass(2), std::slice::from_ref(&first));
            let next = inside(&tags, pass(2), std::slice::from_ref(&second));
            if in_one_page {
                commit = inside(&tags, pass(2), &[first.clone(), second.clone()]);
            } else {
                commit.batches.extend(next.batches);
                commit.owners.extend(next.owners);
            }
            subject.commit(commit);
            let mut expected: Vec<String> =
                expected.split_whitespace().map(|tag| format!("a {tag}")).collect();
            expected.push("b other".into());
            assert_eq!(subject.see(&tags, "conversation_id tag_id"), expected, "{case}");
        }
    }
}

/// What is stored of a parent came with its row: an older list must not undo it.
pub(super) fn a_parent_whose_stored_row_is_newer_keeps_its_links(subject: &mut dyn Subject) {
    let (conversations, tags) = (target("conversations"), target("conversation_tags"));
    let parents = |number, versions: [i64; 3]| {
        let row = |(id, version)| format!(r#"{{"id":"{id}","updated_at":{version}}}"#);
        let rows: Vec<String> = ["a", "b", "c"].into_iter().zip(versions).map(row).collect();
        upsert(&conversations, pass(number), &format!("[{}]", rows.join(",")))
    };
    let links = inside(&tags, pass(1), &[of("a", 20, "x y"), of("b", 20, "x y"), of("c", 20, "x y")]);
    subject.destination().commit(&[parents(1, [20, 20, 20]), links]).unwrap();
    let late = inside(&tags, pass(2), &[of("a", 19, "z"), of("b", 20, "z"), of("c", 21, "")]);
    let done = subject.destination().commit(&[parents(2, [19, 20, 21]), late]).unwrap();
    assert_eq!(tally(&done[1]), "1 new, 4 removed, 3 live");
    assert_eq!(subject.see(&tags, LINK), ["a x 1000", "a y 1000", "b z 2000"]);
    // Not even what an older list adds, and not its last link either.
    let older = inside(&tags, pass(3), &[of("a", 19, "x y z"), of("b", 19, "")]);
    let done = subject.destination().commit(&[parents(3, [19, 19, 19]), older]).unwrap();
    assert_eq!(tally(&done[1]), "3 live");
    // A list whose parent says no date is taken as it is.
    let undated = inside(&tags, pass(4), &[of("a", 0, "w").undated()]);
    subject.destination().commit(&[parents(4, [19, 19, 19]), undated]).unwrap();
    assert_eq!(subject.see(&tags, LINK), ["a w 4000", "b z 2000"]);
    // Without its parents in the commit there is nothing to measure a list against.
    subject.commit(inside(&tags, pass(5), &[of("a", 1, "v")]));
    assert_eq!(subject.see(&tags, LINK), ["a v 5000", "b z 2000"]);
}

/// A parent's list may be all that could be had of it, without a word about the rest.
pub(super) fn a_list_that_is_not_whole_only_adds(subject: &mut dyn Subject) {
    let tags = target("conversation_tags");
    subject.commit(inside(&tags, pass(1), &[of("a", 1, "x y"), of("b", 1, "x")]));
    let done =
        subject.commit(inside(&tags, pass(2), &[of("a", 2, "y z").in_part(), of("b", 2, "").in_part()]));
    assert_eq!(tally(&done), "1 new, 1 unchanged, 4 live");
    assert_eq!(subject.see(&tags, LINK), ["a x 1000", "a y 1000", "a z 2000", "b x 1000"]);
}

/// At the end of a pass over all groups: those that were not among them are gone.
pub(super) fn links_of_parents_that_are_not_named_are_removed(subject: &mut dyn Subject) {
    let tags = target("contact_tags");
    let naming = |names: &[&str], commit: TableCommit| TableCommit {
        scope: Scope::Parents(names.iter().map(|name| (*name).to_owned()).collect()),
        ..commit
    };
    let first = inside(&tags, pass(1), &[of("x", 0, "1 2").undated(), of("y", 0, "1").undated()]);
    subject.commit(first);
    // A part of the pass was committed before; only the names speak of it.
    let rest = inside(&tags, pass(2), &[of("z", 0, "3").undated()]);
    assert_eq!(tally(&subject.commit(naming(&["x", "z", "empty"], rest))), "1 new, 1 removed, 3 live");
    assert_eq!(subject.see(&tags, "contact_id tag_id"), ["1 x", "2 x", "3 z"]);
    let done = subject.commit(naming(&["x", "z"], nothing(&tags)));
    assert_eq!(tally(&done), "3 live");
    let done = subject.commit(naming(&[], nothing(&tags)));
    assert_eq!(tally(&done), "3 removed");
    assert_eq!(subject.rows(&tags), Some(Vec::new()));
}

pub(super) fn equal_links_are_not_rewritten(subject: &mut dyn Subject) {
    let tags = target("conversation_tags");
    let link = |tag: &str, name: &str| format!(r#"{{"id":"{tag}","name":"{name}","applied_at":7}}"#);
    let (vip, new, renamed) = (link("1", "vip"), link("2", "new"), link("2", "renamed"));
    subject.commit(inside(&tags, pass(1), &[of("a", 1, "").with(vec![&vip, &new])]));
    let again = inside(&tags, pass(2), &[of("a", 2, "").with(vec![&new, &vip])]);
    assert_eq!(tally(&subject.commit(again)), "2 unchanged, 2 live");
    let changed = inside(&tags, pass(3), &[of("a", 3, "").with(vec![&renamed, &vip])]);
    assert_eq!(tally(&subject.commit(changed)), "1 changed, 1 unchanged, 2 live");
    let rows = subject.see(&tags, "tag_id tag_name applied_at _ingested_at");
    assert_eq!(rows, ["1 vip 7 1000", "2 renamed 7 3000"]);
}

/// Entries of two lists of a parent may be about the same thing.
pub(super) fn a_link_that_a_parent_names_twice_is_one(subject: &mut dyn Subject) {
    let tags = target("conversation_tags");
    let twice = || inside(&tags, pass(1), &[of("a", 1, "x y x"), of("b", 1, "x x")]);
    assert_eq!(tally(&subject.commit(twice())), "3 new, 3 live");
    assert_eq!(tally(&subject.commit(twice())), "3 unchanged, 3 live");
}
