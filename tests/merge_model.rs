//! Any replay, repetition or reordering of rows against a plain map.
//!
//! The model is the rule in words: of one commit's rows the newest counts, and of equally new ones the one
//! that came last; it replaces the stored one unless that is newer and was ingested by a pass as recent.

mod per_parent;

use std::collections::BTreeMap;
use std::ops::Range;

use ingest::destination::{Scope, Stamp, TableCommit};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::tables::{
    InDuckDb, InMemory, InParquet, InSmallFiles, Subject, Target, Underway, batch, nothing, pass, tally,
    target,
};

/// One version of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    key: u8,
    updated: Option<i64>,
    name: u8,
}

/// One commit.
#[derive(Debug, Clone)]
struct Step {
    pages: Vec<Vec<Row>>,
    /// Number of the pass, which need not grow.
    began: i64,
    gone: Vec<u8>,
    whole: bool,
}

/// Stored rows lose against those of a pass that began more passes later than this.
const LAG: i64 = 2;

#[derive(Debug, Default)]
struct Model {
    rows: BTreeMap<u8, Stored>,
}

#[derive(Debug)]
struct Stored {
    row: Row,
    ingested: i64,
    gone: Option<i64>,
}

impl Model {
    /// Carries out a step; what [`tally`] should say.
    fn apply(&mut self, step: &Step) -> String {
        let mut arrived: BTreeMap<u8, &Row> = BTreeMap::new();
        for row in step.pages.iter().flatten() {
            let kept = arrived.entry(row.key).or_insert(row);
            if is_not_older(row, kept) {
                *kept = row;
            }
        }
        let (mut new, mut changed, mut unchanged, mut stamped) = (0, 0, 0, 0);
        let before = self.rows.len();
        if step.whole {
            self.rows.retain(|key, _| arrived.contains_key(key));
        }
        let removed = before - self.rows.len();
        for (key, row) in arrived {
            let newcomer = || Stored { row: row.clone(), ingested: step.began, gone: None };
            let Some(stored) = self.rows.get_mut(&key) else {
                self.rows.insert(key, newcomer());
                new += 1;
                continue;
            };
            let wins = is_not_older(row, &stored.row) || stored.ingested < step.began - LAG;
            let was_gone = stored.gone.take().is_some();
            if wins && stored.row != *row {
                *stored = newcomer();
                changed += 1;
            } else if was_gone {
                changed += 1;
            } else {
                unchanged += 1;
            }
        }
        for key in &step.gone {
            if let Some(stored) = self.rows.get_mut(key).filter(|stored| stored.gone.is_none()) {
                stored.gone = Some(step.began);
                stamped += 1;
            }
        }
        let live = self.rows.values().filter(|stored| stored.gone.is_none()).count();
        let counts = [
            (new, "new"),
            (changed, "changed"),
            (unchanged, "unchanged"),
            (removed, "removed"),
            (stamped, "stamped"),
            (live, "live"),
        ];
        let words =
            counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
        words.collect::<Vec<_>>().join(", ")
    }

    /// What should be seen in [`COLUMNS`].
    fn lines(&self) -> Vec<String> {
        let shown = |number: Option<i64>| number.map_or("-".to_owned(), |number| number.to_string());
        let line = |stored: &Stored| {
            let Row { key, updated, name } = &stored.row;
            let gone = stored.gone.map(|number| 1000 * number);
            format!("{key} {name} {} {} {}", shown(*updated), 1000 * stored.ingested, shown(gone))
        };
        self.rows.values().map(line).collect()
    }
}

/// A row without a date may be newer than any other, and any other newer than it.
fn is_not_older(row: &Row, than: &Row) -> bool {
    match (row.updated, than.updated) {
        (Some(date), Some(other)) => date >= other,
        _ => true,
    }
}

const COLUMNS: &str = "id name updated_at _ingested_at _deleted_at";

fn commit(target: &Target, step: &Step) -> TableCommit {
    let began = pass(step.began);
    let page = |rows: &Vec<Row>| {
        let rows = rows.iter().map(|Row { key, updated, name }| {
            let updated = updated.map_or("null".to_owned(), |date| date.to_string());
            format!(r#"{{"id":{key},"name":"{name}","updated_at":{updated}}}"#)
        });
        batch(target.table, began, &format!("[{}]", rows.collect::<Vec<_>>().join(",")))
    };
    TableCommit {
        batches: step.pages.iter().map(page).collect(),
        scope: if step.whole { Scope::All } else { Scope::Some },
        supersedes_before: pass(step.began - LAG),
        stamps: step
            .gone
            .iter()
            .map(|key| Stamp { key: key.to_string(), deleted_at: began, merged_into: None })
            .collect(),
        ..nothing(target)
    }
}

/// Carries out the steps, comparing all counts and, at the end, all rows with the model's.
fn follow(subject: &mut dyn Subject, steps: &[Step]) {
    let contacts = target("contacts");
    let mut model = Model::default();
    for (number, step) in steps.iter().enumerate() {
        let expected = model.apply(step);
        assert_eq!(tally(&subject.commit(commit(&contacts, step))), expected, "step {number}");
    }
    assert_eq!(subject.see(&contacts, COLUMNS), model.lines());
}

/// Few keys, dates and values, so that every kind of meeting happens.
fn step() -> impl Strategy<Value = Step> {
    step_of(0..5)
}

/// The same with these keys.
fn step_of(keys: Range<u8>) -> impl Strategy<Value = Step> {
    let row = (keys.clone(), proptest::option::weighted(0.8, 0..5_i64), 0..3_u8);
    let row = row.prop_map(|(key, updated, name)| Row { key, updated, name });
    let gone = prop_oneof![3 => Just(Vec::new()), 1 => vec(keys, 1..3)];
    (vec(vec(row, 0..5), 0..3), 0..9_i64, gone, prop::bool::weighted(0.1))
        .prop_map(|(pages, began, gone, whole)| Step { pages, began, gone, whole })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_commits_in_memory_equal_a_map(steps in vec(step(), 1..10)) {
        follow(&mut InMemory::fresh(), &steps);
    }
}

/// All versions of some rows, each twice, in any order and cut into commits anywhere. A later version has a
/// later date, and the name says which it is.
fn any_replay() -> impl Strategy<Value = Vec<Step>> {
    let versions = vec(1..6_i64, 1..5).prop_map(|counts| {
        let rows = counts.into_iter().zip(0..).flat_map(|(count, key)| {
            (0..count).map(move |version| Row {
                key,
                updated: Some(version),
                name: u8::try_from(version).unwrap(),
            })
        });
        let rows: Vec<Row> = rows.collect();
        [rows.clone(), rows].concat()
    });
    (versions.prop_flat_map(|rows| Just(rows).prop_shuffle()), 2..8_usize).prop_map(|(rows, size)| {
        let step =
            |rows: &[Row]| Step { pages: vec![rows.to_vec()], began: 1, gone: Vec::new(), whole: false };
        rows.chunks(size).map(step).collect()
    })
}

fn ends_with_the_newest(subject: &mut dyn Subject, steps: &[Step]) {
    let mut newest: BTreeMap<u8, u8> = BTreeMap::new();
    for row in steps.iter().flat_map(|step| &step.pages).flatten() {
        let name = newest.entry(row.key).or_default();
        *name = row.name.max(*name);
    }
    let contacts = target("contacts");
    for step in steps {
        subject.commit(commit(&contacts, step));
    }
    let expected: Vec<String> = newest.iter().map(|(key, name)| format!("{key} {name}")).collect();
    assert_eq!(subject.see(&contacts, "id name"), expected);
}

proptest! {
    // Each commit opens and closes the file: fewer cases.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_commits_in_duckdb_equal_a_map_and_the_reference(steps in vec(step(), 1..7)) {
        let (mut in_memory, mut in_duckdb) = (InMemory::fresh(), InDuckDb::fresh());
        follow(&mut in_memory, &steps);
        follow(&mut in_duckdb, &steps);
        let contacts = target("contacts");
        prop_assert_eq!(in_duckdb.rows(&contacts), in_memory.rows(&contacts));
    }

    #[test]
    fn any_commits_in_parquet_equal_a_map_and_the_reference(steps in vec(step(), 1..7)) {
        let (mut in_memory, mut in_parquet, mut in_small_files) =
            (InMemory::fresh(), InParquet::fresh(), InSmallFiles::fresh());
        follow(&mut in_memory, &steps);
        follow(&mut in_parquet, &steps);
        follow(&mut in_small_files, &steps);
        let contacts = target("contacts");
        prop_assert_eq!(in_parquet.rows(&contacts), in_memory.rows(&contacts));
        prop_assert_eq!(in_small_files.rows(&contacts), in_memory.rows(&contacts));
    }

    #[test]
    fn any_commits_of_a_refresh_under_way_equal_a_map(steps in vec(step_of(10..100), 4..16)) {
        let (mut in_memory, mut underway) = (InMemory::fresh(), Underway::fresh());
        // A first commit with many keys, into which later ones fall.
        let row = |key| Row { key, updated: Some(0), name: 0 };
        let pages = vec![(10..100).step_by(3).map(row).collect()];
        let first = Step { pages, began: 4, gone: Vec::new(), whole: false };
        let steps = [vec![first], steps].concat();
        follow(&mut in_memory, &steps);
        follow(&mut underway, &steps);
        let contacts = target("contacts");
        prop_assert_eq!(underway.rows(&contacts), in_memory.rows(&contacts));
    }

    #[test]
    fn any_replay_ends_with_the_newest_rows(steps in any_replay()) {
        ends_with_the_newest(&mut InMemory::fresh(), &steps);
        ends_with_the_newest(&mut InDuckDb::fresh(), &steps);
        ends_with_the_newest(&mut InSmallFiles::fresh(), &steps);
    }
}
