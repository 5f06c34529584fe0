//! Versions that were replaced: they stay whole for a while, for readers that are in the middle of listing them.

use std::path::Path;

use super::disk::Disk;
use super::journal::Seen;
use crate::error::Result;

/// How long a replaced version stays at least, in milliseconds.
pub(super) const STAY: i64 = 60_000;

/// What becomes of something among the replaced versions.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Stays,
    /// By its name it was replaced in the future, so the clock was set back. It waits again, from now.
    WaitsAgain,
    Goes,
}

/// Decides by the name of the folder: milliseconds since 1970, a dash and a number. All else is not ours.
fn fate(name: &str, now: i64) -> Fate {
    let replaced = name.split_once('-').and_then(|(millis, _)| millis.parse::<i64>().ok());
    match replaced {
        Some(replaced) if replaced > now => Fate::WaitsAgain,
        Some(replaced) if now.saturating_sub(replaced) >= STAY => Fate::Goes,
        _ => Fate::Stays,
    }
}

/// Moves a replaced version out of the way. Who has it open does not notice; nobody else finds it.
pub(super) fn set_aside(disk: &Disk, version: &Path, old: &Path, now: i64) -> Result<()> {
    disk.make_folders(old, old.parent())?;
    let mut n = 0_u64;
    while old.join(format!("{now}-{n}")).exists() {
        n += 1;
    }
    disk.rename(version, &old.join(format!("{now}-{n}")))
}

/// Lets go of the versions that stayed long enough, as far as they are to be found.
pub(super) fn let_go(disk: &Disk, old: &Path, drafts: &Path, now: i64) -> Result<()> {
    for entry in std::fs::read_dir(old).into_iter().flatten().flatten() {
        let path = entry.path();
        match fate(&entry.file_name().to_string_lossy(), now) {
            Fate::WaitsAgain => set_aside(disk, &path, old, now)?,
            // What somebody else had put in a table's place is nobody's to remove.
            Fate::Goes if matches!(Seen::at(&path)?, Seen::Version(_)) => {
                disk.make_folders(drafts, drafts.parent())?;
                remove(disk, &path, drafts)?;
            }
            Fate::Goes | Fate::Stays => {}
        }
    }
    Ok(())
}

/// What is being removed is called so first: what a kill leaves of it is told from a version by its name.
const GOING: &str = "going-";

/// Removes a version, by way of `drafts`. What cannot be removed, such as files that a network drive keeps open, is tried
/// again when a run opens the lake.
pub(super) fn remove(disk: &Disk, version: &Path, drafts: &Path) -> Result<()> {
    let name = version.file_name().unwrap_or_default().to_string_lossy();
    let going = drafts.join(format!("{GOING}{name}"));
    disk.rename(version, &going)?;
    remove_now(disk, &going);
    Ok(())
}

fn remove_now(disk: &Disk, going: &Path) {
    if let Err(error) = disk.remove_all(going) {
        tracing::debug!(folder = %going.display(), %error, "left for the next run to remove");
    }
}

/// Clears the place of next versions after a kill: what was only begun goes, what was replaced is set aside.
pub(super) fn clear(disk: &Disk, drafts: &Path, old: &Path, now: i64) -> Result<()> {
    for entry in std::fs::read_dir(drafts).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(GOING) {
            remove_now(disk, &path);
            continue;
        }
        match Seen::at(&path)? {
            Seen::Version(id) if id == name => remove(disk, &path, drafts)?,
            Seen::Nothing => disk.remove_empty(&path),
            Seen::Version(_) | Seen::Foreign(_) => set_aside(disk, &path, old, now)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_goes_once_it_has_stayed() {
        for (name, now, expected) in [
            ("100000-0", 100_000, Fate::Stays),
            ("100000-0", 159_999, Fate::Stays),
            ("100000-0", 160_000, Fate::Goes),
            ("100000-17", i64::MAX, Fate::Goes),
            ("100000-0", 99_999, Fate::WaitsAgain),
            ("100000-0", 0, Fate::WaitsAgain),
            ("-5-0", 100_000, Fate::Stays),
            ("100000", 900_000, Fate::Stays),
            ("notes", 900_000, Fate::Stays),
            ("99999999999999999999-0", 900_000, Fate::Stays),
        ] {
            assert_eq!(fate(name, now), expected, "{name} at {now}");
        }
    }
}
