//! What a connection may be called.

/// The subcommands, present or reserved: as connection names they would make a command line ambiguous.
pub const RESERVED_NAMES: [&str; 9] =
    ["run", "init", "check", "tables", "status", "demo", "sandbox", "completions", "help"];

/// Schemas that belong to the database or to this program. A source's name becomes a schema.
const RESERVED_SCHEMAS: [&str; 5] = ["_ingest", "information_schema", "pg_catalog", "system", "temp"];

/// Why a name is refused, and the way out. Neither repeats the name.
pub(crate) type Refusal = (String, &'static str);

/// Checks the name of a connection; the names of sources follow stricter rules, since they become schemas.
pub(crate) fn check(name: &str, is_source: bool) -> Result<(), Refusal> {
    const PLAIN: &str = "use letters, digits, _ and -";
    if name.is_empty() {
        return Err(("is empty".to_owned(), PLAIN));
    }
    if let Some(what) = name.chars().find_map(forbidden) {
        return Err((format!("holds {what}"), PLAIN));
    }
    if name.starts_with('-') {
        return Err(("starts with a dash, like an option".to_owned(), PLAIN));
    }
    if let Some(command) = RESERVED_NAMES.iter().find(|command| command.eq_ignore_ascii_case(name)) {
        return Err((format!("is the subcommand {command}"), "choose another name"));
    }
    if is_source
        && let Some(schema) = RESERVED_SCHEMAS.iter().find(|schema| schema.eq_ignore_ascii_case(name))
    {
        return Err((format!("is the reserved schema {schema}"), "choose another name"));
    }
    Ok(())
}

/// Checks what is to become a schema: a connection's name may, and nothing else.
pub fn check_schema(name: &str) -> Result<(), (String, &'static str)> {
    check(name, true)
}

/// The kind of a character that may not stand in a name: those that mean something in `<connection>.<table>`,
/// in paths, in URIs or in SQL, and those nobody can see.
fn forbidden(c: char) -> Option<&'static str> {
    match c {
        '.' => Some("a dot"),
        '/' | '\\' => Some("a slash"),
        '\'' | '"' | '`' => Some("a quote"),
        ':' => Some("a colon"),
        '*' => Some("a star"),
        '$' => Some("a $; names are not expanded"),
        c if c.is_whitespace() => Some("white space"),
        c if c.is_control() => Some("a control character"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, is_source, expected) in [
            ("intercom", true, None),
            ("Prod-EU_2", true, None),
            ("größe", true, None),
            ("temp", false, None),
            ("", true, Some("is empty")),
            ("a.b", true, Some("holds a dot")),
            ("a/b", false, Some("holds a slash")),
            ("a\\b", false, Some("holds a slash")),
            ("it's", true, Some("holds a quote")),
            ("\"a\"", true, Some("holds a quote")),
            ("duckdb:x", false, Some("holds a colon")),
            ("a*", true, Some("holds a star")),
            ("${NAME}", true, Some("holds a $; names are not expanded")),
            ("a b", true, Some("holds white space")),
            ("a\u{7}", true, Some("holds a control character")),
            ("-x", true, Some("starts with a dash, like an option")),
            ("status", false, Some("is the subcommand status")),
            ("Init", true, Some("is the subcommand init")),
            ("temp", true, Some("is the reserved schema temp")),
            ("_INGEST", true, Some("is the reserved schema _ingest")),
        ] {
            let refusal = check(name, is_source).err().map(|(message, _)| message);
            assert_eq!(refusal.as_deref(), expected, "{name:?}");
        }
    }
}
