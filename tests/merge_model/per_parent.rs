//! The same for rows inside others, whose parents' lists are whole or not.

use std::collections::BTreeMap;

use ingest::destination::{Committed, Scope, TableCommit};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::support::tables::{
    InDuckDb, InMemory, InSmallFiles, Of, Subject, Target, Underway, gone, inside, nothing, of, pass, tally,
    target, upsert,
};

/// What one parent shows: its links, with a value each.
#[derive(Debug, Clone, PartialEq, Eq)]
struct List {
    parent: u8,
    version: Option<i64>,
    is_whole: bool,
    links: BTreeMap<u8, u8>,
}

/// One commit.
#[derive(Debug, Clone)]
struct Step {
    pages: Vec<Vec<List>>,
    /// Number of the pass.
    began: i64,
    /// Whether the rows of the parents land with their links.
    with_parents: bool,
    gone: Vec<u8>,
    /// The parents whose links are left, if that is said.
    only: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Model {
    /// When each stored parent changed.
    parents: BTreeMap<u8, Option<i64>>,
    /// By parent and link: the value, and the pass that wrote it.
    links: BTreeMap<(u8, u8), (u8, i64)>,
}

impl Model {
    /// Carries out a step; what [`tally`] should say of the links.
    fn apply(&mut self, step: &Step) -> String {
        let mut lists: BTreeMap<u8, &List> = BTreeMap::new();
        for list in step.pages.iter().flatten() {
            let kept = lists.entry(list.parent).or_insert(list);
            if takes_the_place(list, kept) {
                *kept = list;
            }
        }
        if step.with_parents {
            self.store_parents(step);
            lists.retain(|parent, list| !is_older(list.version, self.parents[parent]));
        }
        let mut done = Committed::default();
        let before = self.links.len();
        self.links.retain(|(parent, link), _| {
            lists.get(parent).is_none_or(|list| !list.is_whole || list.links.contains_key(link))
        });
        done.removed += (before - self.links.len()) as u64;
        for list in lists.values() {
            for (link, value) in &list.links {
                match self.links.insert((list.parent, *link), (*value, step.began)) {
                    None => done.new += 1,
                    Some((stored, _)) if stored != *value => done.changed += 1,
                    Some(stored) => {
                        self.links.insert((list.parent, *link), stored);
                        done.unchanged += 1;
                    }
                }
            }
        }
        let before = self.links.len();
        if let Some(only) = &step.only {
            self.links.retain(|(parent, _), _| only.contains(parent));
        }
        self.links.retain(|(parent, _), _| !step.gone.contains(parent));
        done.removed += (before - self.links.len()) as u64;
        done.live = self.links.len() as u64;
        tally(&done)
    }

    /// Of one parent's rows the newest counts, unless the stored one is newer.
    fn store_parents(&mut self, step: &Step) {
        let mut arrived: BTreeMap<u8, Option<i64>> = BTreeMap::new();
        for list in step.pages.iter().flatten() {
            let kept = arrived.entry(list.parent).or_insert(list.version);
            if !is_older(list.version, *kept) {
                *kept = list.version;
            }
        }
        for (parent, version) in arrived {
            let stored = self.parents.entry(parent).or_insert(version);
            if !is_older(version, *stored) {
                *stored = version;
            }
        }
    }

    /// What should be seen in [`COLUMNS`].
    fn lines(&self) -> Vec<String> {
        let line = |((parent, link), (value, began)): (&(u8, u8), &(u8, i64))| {
            format!("{parent} {link} {value} {}", 1000 * began)
        };
        self.links.iter().map(line).collect()
    }
}

/// Without a date, neither is.
fn is_older(version: Option<i64>, than: Option<i64>) -> bool {
    matches!((version, than), (Some(version), Some(than)) if version < than)
}

fn takes_the_place(list: &List, of: &List) -> bool {
    let is_less = list.version == of.version && of.is_whole && !list.is_whole;
    !is_older(list.version, of.version) && !is_less
}

const COLUMNS: &str = "conversation_id tag_id tag_name _ingested_at";

fn targets() -> (Target, Target) {
    (target("conversations"), target("conversation_tags"))
}

fn commit(step: &Step) -> Vec<TableCommit> {
    let (conversations, tags) = targets();
    let mut links = nothing(&tags);
    let mut parents = nothing(&conversations);
    for page in &step.pages {
        let keys: Vec<String> = page.iter().map(|list| list.parent.to_string()).collect();
        let rows: Vec<Vec<String>> = page.iter().map(rows_of).collect();
        let lists: Vec<Of<'_>> =
            page.iter().zip(&keys).zip(&rows).map(|((list, key), rows)| show(list, key, rows)).collect();
        let page_of_links = inside(&tags, pass(step.began), &lists);
        links.batches.extend(page_of_links.batches);
        links.owners.extend(page_of_links.owners);
        let row = |list: &List| {
            let version = list.version.map_or("null".to_owned(), |version| version.to_string());
            format!(r#"{{"id":"{}","updated_at":{version}}}"#, list.parent)
        };
        let rows: Vec<String> = page.iter().map(row).collect();
        let page_of_parents = upsert(&conversations, pass(step.began), &format!("[{}]", rows.join(",")));
        parents.batches.extend(page_of_parents.batches);
    }
    let keys: Vec<String> = step.gone.iter().map(u8::to_string).collect();
    links.stamps = gone(&tags, step.began, &keys.iter().map(String::as_str).collect::<Vec<_>>()).stamps;
    if let Some(only) = &step.only {
        links.scope = Scope::Parents(only.iter().map(u8::to_string).collect());
    }
    if step.with_parents { vec![parents, links] } else { vec![links] }
}

fn rows_of(list: &List) -> Vec<String> {
    list.links.iter().map(|(link, value)| format!(r#"{{"id":"{link}","name":"{value}"}}"#)).collect()
}

fn show<'r>(list: &List, key: &'r str, rows: &'r [String]) -> Of<'r> {
    let shown = of(key, list.version.unwrap_or_default(), "").with(rows.iter().map(String::as_str).collect());
    let shown = if list.is_whole { shown } else { shown.in_part() };
    if list.version.is_some() { shown } else { shown.undated() }
}

/// Carries out the steps, comparing all counts and, at the end, all rows with the model's.
fn follow(subject: &mut dyn Subject, steps: &[Step]) {
    let mut model = Model::default();
    for (number, step) in steps.iter().enumerate() {
        let expected = model.apply(step);
        let done = subject.destination().commit(&commit(step)).expect("a commit");
        assert_eq!(done.last().map(tally), Some(expected), "step {number}");
    }
    assert_eq!(subject.see(&targets().1, COLUMNS), model.lines());
}

/// Few parents, links and dates, so that every kind of meeting happens.
fn step() -> impl Strategy<Value = Step> {
    let list = (
        0..4_u8,
        proptest::option::weighted(0.8, 0..5_i64),
        prop::bool::weighted(0.8),
        btree_map(0..4_u8, 0..2_u8, 0..4),
    );
    let list = list.prop_map(|(parent, version, is_whole, links)| List { parent, version, is_whole, links });
    let gone = prop_oneof![4 => Just(Vec::new()), 1 => vec(0..4_u8, 1..3)];
    let only = proptest::option::weighted(0.15, vec(0..4_u8, 0..3));
    (vec(vec(list, 0..4), 0..3), 0..9_i64, prop::bool::weighted(0.7), gone, only)
        .prop_map(|(pages, began, with_parents, gone, only)| Step { pages, began, with_parents, gone, only })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_lists_in_memory_equal_a_map(steps in vec(step(), 1..10)) {
        follow(&mut InMemory::fresh(), &steps);
    }
}

/// All versions of some parents' lists, each twice, in any order and cut into commits anywhere.
fn any_replay() -> impl Strategy<Value = Vec<Step>> {
    let histories = vec(vec(btree_map(0..6_u8, 0..3_u8, 0..5), 1..5), 1..4);
    let lists = histories.prop_map(|histories| {
        let mut lists = Vec::new();
        for (parent, history) in (0..).zip(histories) {
            for (version, links) in (1..).zip(history) {
                lists.push(List { parent, version: Some(version), is_whole: true, links });
            }
        }
        [lists.clone(), lists].concat()
    });
    (lists.prop_flat_map(|lists| Just(lists).prop_shuffle()), 1..7_usize).prop_map(|(lists, size)| {
        let step = |lists: &[List]| Step {
            pages: vec![lists.to_vec()],
            began: 1,
            with_parents: true,
            gone: Vec::new(),
            only: None,
        };
        lists.chunks(size).map(step).collect()
    })
}

fn ends_with_the_newest(subject: &mut dyn Subject, steps: &[Step]) {
    let mut newest: BTreeMap<u8, &List> = BTreeMap::new();
    for list in steps.iter().flat_map(|step| &step.pages).flatten() {
        let kept = newest.entry(list.parent).or_insert(list);
        if list.version > kept.version {
            *kept = list;
        }
    }
    for step in steps {
        subject.destination().commit(&commit(step)).expect("a commit");
    }
    let expected: Vec<String> = newest
        .values()
        .flat_map(|list| list.links.iter().map(|(link, value)| format!("{} {link} {value}", list.parent)))
        .collect();
    assert_eq!(subject.see(&targets().1, "conversation_id tag_id tag_name"), expected);
}

proptest! {
    // Each commit opens and closes the file: fewer cases.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_lists_in_duckdb_equal_a_map_and_the_reference(steps in vec(step(), 1..7)) {
        let (mut in_memory, mut in_duckdb) = (InMemory::fresh(), InDuckDb::fresh());
        follow(&mut in_memory, &steps);
        follow(&mut in_duckdb, &steps);
        let (_, tags) = targets();
        prop_assert_eq!(in_duckdb.rows(&tags), in_memory.rows(&tags));
    }

    #[test]
    fn any_lists_in_parquet_equal_a_map_and_the_reference(steps in vec(step(), 1..7)) {
        let (mut in_memory, mut in_small_files) = (InMemory::fresh(), InSmallFiles::fresh());
        follow(&mut in_memory, &steps);
        follow(&mut in_small_files, &steps);
        let (_, tags) = targets();
        prop_assert_eq!(in_small_files.rows(&tags), in_memory.rows(&tags));
        let mut underway = Underway::fresh();
        follow(&mut underway, &steps);
        prop_assert_eq!(underway.rows(&tags), in_memory.rows(&tags));
    }

    #[test]
    fn any_replay_ends_with_the_newest_lists(steps in any_replay()) {
        ends_with_the_newest(&mut InMemory::fresh(), &steps);
        ends_with_the_newest(&mut InDuckDb::fresh(), &steps);
        ends_with_the_newest(&mut InSmallFiles::fresh(), &steps);
    }
}
