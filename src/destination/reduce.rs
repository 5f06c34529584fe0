//! One row per key. Pure.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::TimestampMicrosecondType;

use crate::batch::{Owner, filter};
use crate::table::TableSpec;

/// The rows of `batches` with one row per key: the one with the newest cursor, and of equal or unreadable
/// cursors the one that came last. Rows keep their order; batches without any are left out.
pub fn reduce(table: &TableSpec, mut batches: Vec<RecordBatch>) -> Vec<RecordBatch> {
    batches.retain(|batch| batch.num_rows() > 0);
    let keys: Vec<Vec<&StringArray>> =
        batches.iter().map(|batch| key_columns(table, batch).collect()).collect();
    let kept = if table.key.len() == 1 {
        // Nearly every table has one part: no list per row, then.
        newest(table, &batches, |batch, row| keys[batch].first().and_then(|column| text(column, row)))
    } else {
        newest(table, &batches, |batch, row| {
            keys[batch].iter().map(|column| text(column, row)).collect::<Vec<_>>()
        })
    };
    let Some(keep) = kept else { return batches };
    let mut batches: Vec<RecordBatch> =
        batches.iter().zip(&keep).map(|(batch, keep)| filter(batch, |row| keep[row])).collect();
    batches.retain(|batch| batch.num_rows() > 0);
    batches
}

/// Which rows are kept of each batch; `None` if no key comes twice.
fn newest<K: Eq + Hash>(
    table: &TableSpec,
    batches: &[RecordBatch],
    key: impl Fn(usize, usize) -> K,
) -> Option<Vec<Vec<bool>>> {
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    if !may_repeat(batches, rows, &key) {
        return None;
    }
    let cursors: Vec<Vec<Option<i64>>> = batches.iter().map(|batch| cursors(table, batch)).collect();
    let mut best: HashMap<K, (usize, usize)> = HashMap::with_capacity(rows);
    let mut is_repeated = false;
    for (number, batch) in batches.iter().enumerate() {
        for row in 0..batch.num_rows() {
            let here = (number, row);
            let kept = best.entry(key(number, row)).or_insert(here);
            if *kept == here {
                continue;
            }
            is_repeated = true;
            let stays = matches!(
                (cursors[kept.0][kept.1], cursors[number][row]),
                (Some(older), Some(newer)) if newer < older
            );
            if !stays {
                *kept = here;
            }
        }
    }
    if !is_repeated {
        return None;
    }
    let mut keep: Vec<Vec<bool>> = batches.iter().map(|batch| vec![false; batch.num_rows()]).collect();
    for (number, row) in best.into_values() {
        keep[number][row] = true;
    }
    Some(keep)
}

/// Whether two of the keys have the same hash. Hardly ever is a key there twice, and a list of hashes takes a quarter of
/// the memory of a map of keys.
fn may_repeat<K: Hash>(batches: &[RecordBatch], rows: usize, key: impl Fn(usize, usize) -> K) -> bool {
    let mut hashes = Vec::with_capacity(rows);
    for (number, batch) in batches.iter().enumerate() {
        hashes.extend((0..batch.num_rows()).map(|row| {
            let mut state = DefaultHasher::new();
            key(number, row).hash(&mut state);
            state.finish()
        }));
    }
    hashes.sort_unstable();
    hashes.windows(2).any(|two| two[0] == two[1])
}

/// The key columns, which are text.
fn key_columns<'b>(table: &TableSpec, batch: &'b RecordBatch) -> impl Iterator<Item = &'b StringArray> {
    table.key.iter().filter_map(|key| batch.column_by_name(key.name)?.as_string_opt::<i32>())
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

/// Rows of a table that is replaced per parent, one per key, and whose rows they are.
#[derive(Debug, Default)]
pub struct Reduced {
    /// The rows.
    pub batches: Vec<RecordBatch>,
    /// The parents, each once.
    pub parents: Vec<Parent>,
}

/// A parent whose rows a commit brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Its key.
    pub key: String,
    /// When it last changed, in microseconds since the epoch.
    pub version: Option<i64>,
    /// Whether these are all the rows it has.
    pub is_whole: bool,
}

/// The rows of each parent's newest version; of equal or unreadable versions the one that came last.
/// `owners` says for each batch whose rows it holds; rows beyond are left out.
pub fn reduce_per_parent(table: &TableSpec, batches: &[RecordBatch], owners: &[Vec<Owner>]) -> Reduced {
    let mut newest: HashMap<&str, (usize, usize)> = HashMap::new();
    for (number, owners_here) in owners.iter().enumerate() {
        for (at, owner) in owners_here.iter().enumerate() {
            let kept = newest.get(owner.key.as_str()).map(|(number, at)| &owners[*number][*at]);
            if !kept.is_some_and(|kept| outweighs(kept, owner)) {
                newest.insert(&owner.key, (number, at));
            }
        }
    }
    let mut kept = Vec::with_capacity(batches.len());
    let mut parents = Vec::with_capacity(newest.len());
    for (number, (batch, owners)) in batches.iter().zip(owners).enumerate() {
        let mut keep = vec![false; batch.num_rows()];
        let mut row = 0;
        for (at, owner) in owners.iter().enumerate() {
            let end = (row + owner.rows).min(keep.len());
            if newest.get(owner.key.as_str()) == Some(&(number, at)) {
                keep[row..end].fill(true);
                let Owner { version, is_whole, .. } = *owner;
                parents.push(Parent { key: owner.key.clone(), version, is_whole });
            }
            row = end;
        }
        kept.push(filter(batch, |row| keep[row]));
    }
    Reduced { batches: reduce(table, kept), parents }
}

/// Whether what came before counts more than what comes now: it is newer, or as new and whole.
fn outweighs(kept: &Owner, next: &Owner) -> bool {
    match (kept.version, next.version) {
        (Some(kept), Some(next)) if next < kept => true,
        (a, b) => a == b && kept.is_whole && !next.is_whole,
    }
}

fn cursors(table: &TableSpec, batch: &RecordBatch) -> Vec<Option<i64>> {
    match table.cursor.and_then(|cursor| batch.column_by_name(cursor)) {
        Some(column) => column.as_primitive::<TimestampMicrosecondType>().iter().collect(),
        None => vec![None; batch.num_rows()],
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::batch::{Decoder, Layout};
    use crate::source::intercom::tables;

    fn batch(table: &'static TableSpec, rows: &str) -> RecordBatch {
        let mut page = Decoder::new(Layout::new(table)).rows(4);
        page.push_list(rows).unwrap();
        page.finish(Timestamp::UNIX_EPOCH).unwrap().0
    }

    fn names(batches: &[RecordBatch]) -> Vec<String> {
        batches.iter().flat_map(names_of).collect()
    }

    fn names_of(batch: &RecordBatch) -> Vec<String> {
        batch
            .column_by_name("name")
            .unwrap()
            .as_string::<i32>()
            .iter()
            .map(|n| n.unwrap().to_owned())
            .collect()
    }

    #[test]
    fn the_newest_row_of_a_key_wins_and_of_equals_the_last() {
        let contacts = tables::find("contacts").unwrap();
        for (rows, expected) in [
            (r#"[{"id":"a","updated_at":2,"name":"x"},{"id":"a","updated_at":1,"name":"y"}]"#, vec!["x"]),
            (r#"[{"id":"a","updated_at":1,"name":"x"},{"id":"a","updated_at":1,"name":"y"}]"#, vec!["y"]),
            (r#"[{"id":"a","updated_at":9,"name":"x"},{"id":"a","name":"y"}]"#, vec!["y"]),
            (r#"[{"id":"a","name":"x"},{"id":"a","updated_at":1,"name":"y"}]"#, vec!["y"]),
            (
                r#"[{"id":"a","updated_at":1,"name":"x"},{"id":"b","updated_at":1,"name":"y"}]"#,
                vec!["x", "y"],
            ),
        ] {
            let reduced = reduce(contacts, vec![batch(contacts, rows)]);
            assert_eq!(names(&reduced), expected, "{rows}");
        }
    }

    #[test]
    fn every_part_of_a_key_counts() {
        let attributes = tables::find("data_attributes").unwrap();
        let rows = r#"[{"model":"contact","full_name":"name","name":"a"},{"model":"company","full_name":"name","name":"b"},
            {"model":"company","full_name":"plan.name","name":"c"},{"model":"company","full_name":"x","id":1,"name":"d"},
            {"model":"company","full_name":"x","id":2,"name":"e"},{"model":"company","full_name":"x","id":2,"name":"f"}]"#;
        let reduced = reduce(attributes, vec![batch(attributes, rows)]);
        assert_eq!(names(&reduced), ["a", "b", "c", "d", "f"]);
        assert!(reduce(attributes, Vec::new()).is_empty());
    }

    #[test]
    fn of_a_parent_that_comes_twice_the_newer_version_counts() {
        let links = tables::find("conversation_tags").unwrap();
        let owner = |version, rows| Owner { key: "c".into(), version, rows, is_whole: true };
        let link = |tag: &str| {
            let mut rows = Decoder::new(Layout::new(links)).rows(1);
            let inside = links.inside().unwrap();
            let parent = crate::batch::Embedded::new(links, inside).values_of_id("c");
            rows.push(&format!(r#"{{"id":"{tag}"}}"#), &parent, String::new).unwrap();
            rows.finish(Timestamp::UNIX_EPOCH).unwrap().0
        };
        for (first, second, expected) in [
            (Some(2), Some(1), "old"),
            (Some(1), Some(1), "new"),
            (Some(1), Some(2), "new"),
            (None, Some(1), "new"),
            (Some(9), None, "new"),
        ] {
            let owners = [vec![owner(first, 1)], vec![owner(second, 1)]];
            let reduced = reduce_per_parent(links, &[link("old"), link("new")], &owners);
            let tags: Vec<&str> = reduced
                .batches
                .iter()
                .flat_map(|batch| batch.column_by_name("tag_id").unwrap().as_string::<i32>().iter().flatten())
                .collect();
            assert_eq!(tags, [expected], "{first:?} {second:?}");
            assert_eq!(reduced.parents.len(), 1);
        }
        let owners = [vec![owner(Some(1), 1)], vec![owner(Some(2), 0)]];
        let reduced = reduce_per_parent(links, &[link("old"), link("new").slice(0, 0)], &owners);
        assert!(reduced.batches.is_empty(), "its last tag was taken away");
    }
}
