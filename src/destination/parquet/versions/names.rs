//! Which folder a schema or a table is, and which schema a folder is.
//!
//! Only ASCII stays as it is. Beyond it file systems disagree about which names are one: some take `é` in its two
//! spellings, or `ſ` and `s`, for the same, and some hand out another spelling than they were given.

use std::path::{Path, PathBuf};

use super::disk::failed;
use crate::error::Result;

/// The folder of a table, whether or not it is there. A schema has the folder that already stands for it ignoring
/// case, else one of its own; table names are taken as they are.
///
/// In a lake that cannot be listed a schema is taken to have its own folder; whoever uses that is told why not.
pub(in crate::destination::parquet) fn folder_of(lake: &Path, schema: &str, table: &str) -> PathBuf {
    find_folder(lake, schema, table).unwrap_or_else(|_| lake.join(encode(schema)).join(encode(table)))
}

/// The same where it has to be certain.
pub(super) fn find_folder(lake: &Path, schema: &str, table: &str) -> Result<PathBuf> {
    let encoded = encode(schema);
    let own = lake.join(&encoded);
    if own.is_dir() {
        return Ok(own.join(encode(table)));
    }
    let found = schemas(lake)?;
    Ok(chosen(&found, schema).map_or(own, Path::to_owned).join(encode(table)))
}

/// The folder that stands for a schema. Of several, put there by hand, it is the one spelled as given, else the first.
fn chosen<'a>(found: &'a [(String, PathBuf)], schema: &str) -> Option<&'a Path> {
    let lower = schema.to_lowercase();
    let matching = found.iter().filter(|(name, _)| name.to_lowercase() == lower);
    matching.min_by_key(|(name, _)| name != schema).map(|(_, path)| path.as_path())
}

/// The schemas of a lake and their folders, by name. Folders that tools skip, starting with `_` or `.`, are none; a
/// lake that does not exist has none.
pub(in crate::destination::parquet) fn schemas(lake: &Path) -> Result<Vec<(String, PathBuf)>> {
    let unreadable = |error| failed(lake, "read", error);
    let entries = match std::fs::read_dir(lake) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if !name.starts_with(['_', '.']) && path.is_dir() {
            found.push((decode(name), path));
        }
    }
    found.sort();
    Ok(found)
}

/// A name as one component of a path: ASCII letters, digits, `-`, and further on `_` and `.`, stand for themselves,
/// every other byte is `%` and two hexadecimal digits, and the empty name is `%`. Names that differ by more than case
/// give folders that differ by more than case.
pub(in crate::destination::parquet) fn encode(name: &str) -> String {
    if name.is_empty() {
        return "%".to_owned();
    }
    let mut text = String::with_capacity(name.len());
    for (position, byte) in name.bytes().enumerate() {
        let is_plain =
            byte.is_ascii_alphanumeric() || byte == b'-' || (position > 0 && matches!(byte, b'_' | b'.'));
        if is_plain {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// The name that a folder stands for. One that was not made by [`encode`] stands for what it says, as far as it says
/// anything.
pub(super) fn decode(folder: &str) -> String {
    if folder == "%" {
        return String::new();
    }
    let mut bytes = Vec::with_capacity(folder.len());
    let mut rest = folder.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let escaped = match behind {
            [high, low, ..] if first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            bytes.push(high << 4 | low);
            rest = &behind[2..];
        } else {
            bytes.push(first);
            rest = behind;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| folder.to_owned())
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_become_folders_that_no_tool_skips_or_misreads() {
        for (name, folder) in [
            ("intercom", "intercom"),
            ("Intercom_eu-2", "Intercom_eu-2"),
            ("v1.2", "v1.2"),
            ("", "%"),
            (".", "%2E"),
            ("..", "%2E."),
            ("_ingest", "%5Fingest"),
            (".hidden", "%2Ehidden"),
            ("a/b", "a%2Fb"),
            ("../../etc", "%2E.%2F..%2Fetc"),
            ("year=2024", "year%3D2024"),
            ("100%", "100%25"),
            ("%41", "%2541"),
            ("trailing ", "trailing%20"),
            ("line\nbreak\0", "line%0Abreak%00"),
            ("müller", "m%C3%BCller"),
            ("*?[a]", "%2A%3F%5Ba%5D"),
        ] {
            assert_eq!(encode(name), folder, "{name:?}");
            assert_eq!(decode(folder), name, "{folder:?}");
        }
    }

    #[test]
    fn folders_made_by_hand_stand_for_what_they_say() {
        for (folder, name) in
            [("my schema", "my schema"), ("müller", "müller"), ("100%", "100%"), ("%4", "%4"), ("%FF", "%FF")]
        {
            assert_eq!(decode(folder), name);
        }
    }

    proptest! {
        #[test]
        fn names_come_back_and_stay_within_one_component(name in any::<String>()) {
            let folder = encode(&name);
            prop_assert_eq!(decode(&folder), name);
            prop_assert!(!folder.is_empty() && !folder.starts_with(['_', '.']));
            let is_harmless = |b: u8| b.is_ascii_alphanumeric() || b"-_.%".contains(&b);
            prop_assert!(folder.bytes().all(is_harmless));
        }

        #[test]
        fn distinct_names_get_folders_distinct_without_case(
            one in "[aAbB%_./ é0]{0,4}", other in "[aAbB%_./ é0]{0,4}"
        ) {
            let are_one = encode(&one).to_lowercase() == encode(&other).to_lowercase();
            prop_assert!(!are_one || one.to_lowercase() == other.to_lowercase());
        }
    }

    fn lake_with(folders: &[&str]) -> tempfile::TempDir {
        let lake = tempfile::tempdir().unwrap();
        for folder in folders {
            std::fs::create_dir(lake.path().join(folder)).unwrap();
        }
        lake
    }

    #[test]
    fn an_existing_schema_is_found_whatever_its_case() {
        for (folders, schema, expected) in [
            (&[][..], "Shop", "Shop"),
            (&["other"], "Shop", "Shop"),
            (&["SHOP"], "shop", "SHOP"),
            (&["m%C3%9CLLER"], "Müller", "m%C3%9CLLER"),
            (&["%2541"], "A", "A"),
            (&["a b"], "A b", "a b"),
            (&["a b", "a%20b"], "a b", "a%20b"),
        ] {
            let lake = lake_with(folders);
            let expected = lake.path().join(expected).join("contacts");
            assert_eq!(folder_of(lake.path(), schema, "contacts"), expected, "{schema} among {folders:?}");
        }
    }

    #[test]
    fn of_several_spellings_the_one_asked_for_comes_first() {
        for (names, schema, expected) in [
            (&["A B", "a b"][..], "a b", Some("a b")),
            (&["A B", "A b"], "a b", Some("A B")),
            (&["A", "b"], "a b", None),
        ] {
            let found: Vec<(String, PathBuf)> =
                names.iter().map(|&name| (name.into(), name.into())).collect();
            assert_eq!(chosen(&found, schema), expected.map(Path::new), "{schema} among {names:?}");
        }
    }

    #[test]
    fn schemas_are_the_folders_that_tools_see() {
        let lake = lake_with(&["b", "A", "x%2Fy", "_hidden", ".git"]);
        std::fs::write(lake.path().join("notes"), "").unwrap();
        let names: Vec<String> = schemas(lake.path()).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["A", "b", "x/y"]);
        assert_eq!(schemas(&lake.path().join("missing")).unwrap(), []);
        let error = schemas(&lake.path().join("notes")).unwrap_err();
        assert!(error.to_string().contains("notes"), "{error}");
    }
}
