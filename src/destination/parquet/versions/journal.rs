//! What was decided to be published, and what is next on the way there.
//!
//! Every version holds an empty file whose name says its id. So the folders themselves tell how far a publication came, and going on
//! from any point is the same as beginning: look at both places, do the one next thing, look again.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::disk::{Disk, Exchange, failed};
use crate::error::{Error, ErrorKind, Result};

/// How the file in each version begins whose name ends in its id. There is nothing in the file: tools that read all
/// of a folder skip files that start with a dot, or those that are empty.
pub(in super::super) const MARKER: &str = ".version-";

/// One table's next version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The table's folder, in the lake.
    pub(super) live: String,
    /// The version that is to be there, and the name of its folder until then.
    pub(super) id: String,
    /// The version that it was made from.
    pub(super) replaces: Option<String>,
}

/// What is at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing, or an empty folder.
    Nothing,
    /// A version with this id.
    Version(String),
    /// Something that was not made here, and is nobody's to remove.
    Foreign(&'static str),
}

impl Seen {
    /// Looks at a place.
    pub(super) fn at(place: &Path) -> Result<Self> {
        let unreadable = |error| failed(place, "read", error);
        let kind = match place.symlink_metadata() {
            Ok(metadata) => metadata.file_type(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::Nothing),
            Err(error) => return Err(unreadable(error)),
        };
        if kind.is_symlink() {
            return Ok(Self::Foreign("a symbolic link"));
        }
        if !kind.is_dir() {
            return Ok(Self::Foreign("not a folder"));
        }
        let (mut is_empty, mut ids) = (true, Vec::new());
        for entry in std::fs::read_dir(place).map_err(unreadable)? {
            is_empty = false;
            let name = entry.map_err(unreadable)?.file_name();
            ids.extend(name.to_str().and_then(|name| name.strip_prefix(MARKER)).map(str::to_owned));
        }
        Ok(match (ids.pop(), ids.is_empty()) {
            (Some(id), true) => Self::Version(id),
            (Some(_), false) => Self::Foreign("a folder with files of several versions"),
            (None, _) if is_empty => Self::Nothing,
            (None, _) => Self::Foreign("a folder that was not made by ingest"),
        })
    }
}

/// One thing to do on the way from a decision to its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The next version goes where nothing is.
    Place,
    /// It changes places with the current one.
    Exchange,
    /// The current one makes room, because the two cannot change places.
    MakeRoom,
    /// What was replaced leaves the place of the next version.
    SetAside,
}

/// The next thing to do for a table, by what is at both places; `None` once it is done. An error, in words, where
/// somebody else put something in the table's place.
pub(super) fn next(
    entry: &Entry,
    live: &Seen,
    draft: &Seen,
    way: Exchange,
) -> Result<Option<Step>, &'static str> {
    let is_next = |seen: &Seen| matches!(seen, Seen::Version(id) if *id == entry.id);
    match draft {
        // Published; if the table is not there any more, or another one, then by somebody's wish.
        Seen::Nothing => Ok(None),
        _ if !is_next(draft) || is_next(live) => Ok(Some(Step::SetAside)),
        _ => match live {
            Seen::Nothing => Ok(Some(Step::Place)),
            Seen::Foreign(what) => Err(what),
            Seen::Version(id) if Some(id) != entry.replaces.as_ref() => {
                Err("another version than the one that was to be replaced")
            }
            Seen::Version(_) => Ok(Some(match way {
                Exchange::Atomic => Step::Exchange,
                Exchange::TwoRenames => Step::MakeRoom,
            })),
        },
    }
}

/// A decision that outlives the process.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    format: u32,
    tables: Vec<Entry>,
}

const FORMAT: u32 = 1;

/// Writes down what is to be published, for good.
pub(super) fn write(disk: &Disk, file: &Path, tables: &[Entry]) -> Result<()> {
    let journal = Journal { format: FORMAT, tables: tables.to_vec() };
    let text = serde_json::to_string_pretty(&journal).map_err(|error| {
        Error::new(ErrorKind::Destination, format!("{} cannot be put in words", file.display()))
            .with_source(error)
    })?;
    disk.write_whole(file, &text)
}

/// What was decided and not yet reported as done.
pub(super) fn read(file: &Path) -> Result<Option<Vec<Entry>>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(file, "read", error)),
    };
    let journal: Journal = serde_json::from_str(&text).map_err(|error| {
        Error::new(ErrorKind::Destination, format!("{} cannot be understood", file.display()))
            .with_source(error)
            .with_hint(
                "it says how to finish a run that was cut short; if its tables read well, remove the file, and they \
                 go on from what they hold",
            )
    })?;
    if journal.format != FORMAT {
        let message = format!("{} has format {}, not {FORMAT}", file.display(), journal.format);
        return Err(Error::new(ErrorKind::Destination, message)
            .with_hint("run the release of ingest once more that wrote it"));
    }
    Ok(Some(journal.tables))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(id: &str) -> Seen {
        Seen::Version(id.into())
    }

    #[test]
    fn the_next_step_follows_from_what_is_at_both_places() {
        use Exchange::{Atomic, TwoRenames};
        let foreign = || Seen::Foreign("a symbolic link");
        let changed = "another version than the one that was to be replaced";
        for (live, draft, way, expected) in [
            // Begun.
            (Seen::Nothing, version("2"), Atomic, Ok(Some(Step::Place))),
            (Seen::Nothing, version("2"), TwoRenames, Ok(Some(Step::Place))),
            (version("1"), version("2"), Atomic, Ok(Some(Step::Exchange))),
            (version("1"), version("2"), TwoRenames, Ok(Some(Step::MakeRoom))),
            // On the way.
            (version("2"), version("1"), Atomic, Ok(Some(Step::SetAside))),
            (version("2"), foreign(), Atomic, Ok(Some(Step::SetAside))),
            // Done.
            (version("2"), Seen::Nothing, Atomic, Ok(None)),
            (version("2"), Seen::Nothing, TwoRenames, Ok(None)),
            // Somebody else was there.
            (foreign(), version("2"), Atomic, Err("a symbolic link")),
            (version("7"), version("2"), Atomic, Err(changed)),
            (version("7"), version("2"), TwoRenames, Err(changed)),
            (version("2"), version("2"), Atomic, Ok(Some(Step::SetAside))),
            (Seen::Nothing, Seen::Nothing, Atomic, Ok(None)),
            (version("7"), Seen::Nothing, Atomic, Ok(None)),
            (foreign(), version("1"), Atomic, Ok(Some(Step::SetAside))),
        ] {
            let entry = Entry { live: "a/b".into(), id: "2".into(), replaces: Some("1".into()) };
            assert_eq!(next(&entry, &live, &draft, way), expected, "{live:?} and {draft:?}, {way:?}");
        }
        let first = Entry { live: "a/b".into(), id: "2".into(), replaces: None };
        assert_eq!(next(&first, &version("1"), &version("2"), Atomic), Err(changed));
    }

    #[test]
    fn places_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        for name in ["empty", "version", "foreign", "mixed"] {
            std::fs::create_dir(place(name)).unwrap();
        }
        for file in ["version/.version-1", "mixed/.version-1", "mixed/.version-2"] {
            std::fs::write(place(file), "").unwrap();
        }
        std::fs::write(place("foreign").join("rows.parquet"), "").unwrap();
        std::fs::write(place("file"), "").unwrap();
        for (name, expected) in [
            ("missing", Seen::Nothing),
            ("empty", Seen::Nothing),
            ("version", version("1")),
            ("foreign", Seen::Foreign("a folder that was not made by ingest")),
            ("mixed", Seen::Foreign("a folder with files of several versions")),
            ("file", Seen::Foreign("not a folder")),
        ] {
            assert_eq!(Seen::at(&place(name)).unwrap(), expected, "{name}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(place("version"), place("link")).unwrap();
            assert_eq!(Seen::at(&place("link")).unwrap(), Seen::Foreign("a symbolic link"));
        }
    }

    #[test]
    fn a_journal_reads_back_and_a_strange_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("journal.json");
        assert_eq!(read(&file).unwrap(), None);
        let tables = [("a/b", Some("1")), ("c%2Fd/e", None)].map(|(live, replaces)| Entry {
            live: live.into(),
            id: "2".into(),
            replaces: replaces.map(Into::into),
        });
        write(&Disk::default(), &file, &tables).unwrap();
        assert_eq!(read(&file).unwrap().as_deref(), Some(&tables[..]));
        for (text, expected) in
            [("{\"format\"", "cannot be understood"), ("{\"format\":2,\"tables\":[]}", "has format 2, not 1")]
        {
            std::fs::write(&file, text).unwrap();
            let error = read(&file).unwrap_err();
            assert!(error.to_string().ends_with(expected) && error.hint().is_some(), "{error:?}");
        }
    }
}
