//! Files that are there and that the manifest does not name, and files that it names and that are not there.

use std::collections::{HashMap, HashSet};

use super::bucket::Bucket;
use super::document::{Document, Entry};
use super::folder;
use crate::destination::parquet::file;
use crate::destination::parquet::manifest::Manifest;
use crate::destination::parquet::versions::encode;
use crate::error::{Error, ErrorKind, Result};

/// Files of killed runs. They go once nobody can come to need them.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// Folders of schemas that were looked at.
    seen: HashSet<String>,
    files: Vec<String>,
}

impl Leftovers {
    /// Looks into the folder of a schema, unless that was done.
    pub(super) fn look_at(&mut self, bucket: &Bucket, document: &Document, schema: &str) -> Result<()> {
        let folder = encode(schema);
        if !self.seen.contains(&folder) {
            let there = bucket.list(&folder)?;
            self.take(folder, there.into_keys(), document);
        }
        Ok(())
    }

    fn take(&mut self, folder: String, there: impl Iterator<Item = String>, document: &Document) {
        let named: HashSet<&str> = document.tables.iter().flat_map(Entry::names).collect();
        let is_left = |name: &String| {
            name.contains("/_files/") && generation(name).is_some() && !named.contains(name.as_str())
        };
        self.files.extend(there.filter(is_left));
        self.seen.insert(folder);
    }

    /// Takes out those of no use to anybody: no manifest names them, and none can name them any more, as another
    /// version has taken the place of the one that they were written for.
    pub(super) fn of_the_past(&mut self, document: &Document) -> Vec<String> {
        let is_past = |name: &mut String| {
            let of_it = |entry: &&Entry| name.starts_with(&folder(&entry.schema, &entry.table));
            let entry = document.tables.iter().find(of_it);
            entry.zip(generation(name)).is_some_and(|(entry, own)| own <= entry.manifest.generation)
        };
        self.files.extract_if(.., is_past).collect()
    }
}

/// The version that a file was written for, by its name.
fn generation(name: &str) -> Option<u64> {
    let own = name.rsplit('/').next()?;
    own.split('-').next()?.parse().ok()
}

/// Compares the files that are there with those that the manifest names. A table all of whose files are gone was
/// removed by somebody, and is taken out of `document`. What is wrong with other tables, by schema in lower case and
/// name; and files that nobody needs go.
pub(super) fn compare(
    bucket: &Bucket,
    document: &mut Document,
    leftovers: &mut Leftovers,
) -> Result<HashMap<(String, String), Error>> {
    let schemas: HashSet<String> = document.tables.iter().map(|entry| encode(&entry.schema)).collect();
    let mut there: HashMap<String, u64> = HashMap::new();
    for schema in &schemas {
        there.extend(bucket.list(schema)?);
    }
    let is_gone = |manifest: &Manifest| {
        manifest.all_files().next().is_some()
            && !manifest.all_files().any(|file| there.contains_key(&file.name))
    };
    for entry in document.tables.iter().filter(|entry| is_gone(&entry.manifest)) {
        // Not everything that answers to a listing lists what is there.
        for file in entry.manifest.all_files().take(1) {
            if bucket.size(&file.name)?.is_some() {
                let message = format!("{} is there and is not listed", bucket.shown(&file.name));
                return Err(Error::new(ErrorKind::Destination, message)
                    .with_hint("the key needs to list everything below the folder of the lake"));
            }
        }
    }
    document.tables.retain(|entry| !is_gone(&entry.manifest));
    let mut broken = HashMap::new();
    for entry in &document.tables {
        let wrong = entry.manifest.all_files().find(|file| there.get(&file.name) != Some(&file.bytes));
        let Some(wrong) = wrong else { continue };
        let shown = bucket.shown(&wrong.name);
        let error = if there.contains_key(&wrong.name) {
            file::changed(&shown)
        } else {
            Error::new(ErrorKind::Destination, format!("{shown} is not there")).with_hint(file::GONE)
        };
        broken.insert((entry.schema.to_lowercase(), entry.table.clone()), error);
    }
    for schema in schemas {
        let here = format!("{schema}/");
        leftovers.take(schema, there.keys().filter(|name| name.starts_with(&here)).cloned(), document);
    }
    remove(bucket, &leftovers.of_the_past(document));
    Ok(broken)
}

/// Removes files that nobody needs, now or in a later run.
pub(super) fn remove(bucket: &Bucket, names: &[String]) {
    if let Err(error) = bucket.delete(names) {
        tracing::warn!(%error, "files that are no longer needed stay for now");
    }
}
