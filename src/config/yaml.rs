//! A YAML document as a tree in which every node knows where it stands.
//!
//! Nothing is interpreted here: numbers, booleans and the like are kept as they are written (`2.10` stays
//! `2.10`), and what they mean is decided by whoever asks for them. Syntax errors and duplicate keys are
//! found here, with line and column; their messages never show a line of the document, which may hold a token.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::NonFiniteFloatPolicy;
use serde_yaml::{Error as YamlError, Location, Spanned};

/// Line and column, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

impl From<Location> for Position {
    fn from(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

/// One node, at the place where its text is written (for an alias: where the anchor is).
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) value: Value,
}

/// What a node holds.
pub(crate) enum Value {
    /// Nothing, or `null`, or `~`.
    Null,
    /// Any scalar, as written, with quotes and escapes resolved.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the document; its keys are different from each other.
    Map(Vec<(Node, Node)>),
}

impl Value {
    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Text(_) => "a single value",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Any text may be a literal token.
        f.write_str(self.kind())
    }
}

/// Why a document could not be read; `at` is missing where the parser knows no place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) at: Option<Position>,
    pub(crate) message: String,
}

/// Parses one document. An empty one is a `Null`.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let options = serde_yaml::options! {
        // Snippets would show the offending line, token and all.
        with_snippet: false,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
    };
    let raw: Spanned<Raw> = serde_yaml::from_str_with_options(text, options).map_err(|e| describe(&e))?;
    located(raw, text)
}

fn describe(error: &YamlError) -> SyntaxError {
    let error = error.without_snippet();
    let location = error.location();
    let message = match error {
        YamlError::DuplicateMappingKey { .. } => "the same key twice in one mapping".to_owned(),
        YamlError::MultipleDocuments { .. } => "more than one YAML document".to_owned(),
        // These would repeat the value.
        YamlError::SerdeInvalidType { .. } | YamlError::SerdeInvalidValue { .. } => {
            "a value that is not understood".to_owned()
        }
        other => {
            let text = other.to_string();
            let place = location.map(|at| format!(" at line {}, column {}", at.line(), at.column()));
            match place.and_then(|place| text.strip_suffix(&place).map(str::to_owned)) {
                Some(message) => message,
                None => text,
            }
        }
    };
    SyntaxError { at: location.map(Position::from), message }
}

/// The tree as the parser hands it over. It gives numbers and the like as values, not as text; their text is
/// fetched afterwards from the document, by their span.
enum Raw {
    Null,
    Text(String),
    Unquoted,
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

fn located(raw: Spanned<Raw>, text: &str) -> Result<Node, SyntaxError> {
    let at = Position::from(raw.defined);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Text(text) => Value::Text(text),
        Raw::Unquoted => Value::Text(written(raw.defined, text).ok_or_else(|| SyntaxError {
            at: Some(at),
            message: "a value whose text cannot be found again; put it in quotes".to_owned(),
        })?),
        Raw::List(items) => {
            Value::List(items.into_iter().map(|item| located(item, text)).collect::<Result<_, _>>()?)
        }
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| Ok((located(key, text)?, located(value, text)?)))
                .collect::<Result<_, _>>()?,
        ),
    };
    Ok(Node { at, value })
}

fn written(location: Location, text: &str) -> Option<String> {
    let start = usize::try_from(location.span().byte_offset()?).ok()?;
    let length = usize::try_from(location.span().byte_len()?).ok()?;
    Some(text.get(start..start.checked_add(length)?)?.to_owned())
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML node")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Unquoted)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Unquoted)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Unquoted)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Unquoted)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A compact picture of a tree: `text@line:column`, lists in brackets, mappings in braces.
    fn picture(node: &Node) -> String {
        let at = format!("@{}:{}", node.at.line, node.at.column);
        match &node.value {
            Value::Null => format!("null{at}"),
            Value::Text(text) => format!("{text:?}{at}"),
            Value::List(items) => format!("[{}]", items.iter().map(picture).collect::<Vec<_>>().join(" ")),
            Value::Map(entries) => {
                let entries: Vec<_> =
                    entries.iter().map(|(k, v)| format!("{}={}", picture(k), picture(v))).collect();
                format!("{{{}}}", entries.join(" "))
            }
        }
    }

    #[test]
    fn scalars_keep_the_text_they_are_written_with() {
        for (text, expected) in [
            ("v: 2.10", r#"{"v"@1:1="2.10"@1:4}"#),
            ("v: 007", r#"{"v"@1:1="007"@1:4}"#),
            ("v: 0x1F", r#"{"v"@1:1="0x1F"@1:4}"#),
            ("v: 1e999", r#"{"v"@1:1="1e999"@1:4}"#),
            ("v: .nan", r#"{"v"@1:1=".nan"@1:4}"#),
            ("v: on", r#"{"v"@1:1="on"@1:4}"#),
            ("v: 99999999999999999999999", r#"{"v"@1:1="99999999999999999999999"@1:4}"#),
            ("v: '2.10'", r#"{"v"@1:1="2.10"@1:4}"#),
            (r#"v: "a\tb""#, r#"{"v"@1:1="a\tb"@1:4}"#),
            ("v: a:b#c", r#"{"v"@1:1="a:b#c"@1:4}"#),
            ("v: a #c", r#"{"v"@1:1="a"@1:4}"#),
            ("v:", r#"{"v"@1:1=null@1:2}"#),
            ("v: ~", r#"{"v"@1:1=null@1:4}"#),
            ("v: '~'", r#"{"v"@1:1="~"@1:4}"#),
            ("v: ~/data", r#"{"v"@1:1="~/data"@1:4}"#),
            ("v: |\n  é\n  5", r#"{"v"@1:1="é\n5\n"@2:3}"#),
            ("\u{feff}é: 5\r\nw: 6\r\n", r#"{"é"@1:1="5"@1:4 "w"@2:1="6"@2:4}"#),
            ("- [x, 5]\n- {a: &n 7, b: *n}", r#"[["x"@1:4 "5"@1:7] {"a"@2:4="7"@2:10 "b"@2:13="7"@2:10}]"#),
            (
                "a: &d {x: 1}\nb: {<<: *d, y: 2}",
                r#"{"a"@1:1={"x"@1:8="1"@1:11} "b"@2:1={"y"@2:13="2"@2:16 "x"@1:8="1"@1:11}}"#,
            ),
            ("", "null@1:1"),
            ("# only a comment\n", "null@2:1"),
        ] {
            assert_eq!(parse(text).map(|node| picture(&node)), Ok(expected.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_place_and_without_its_text() {
        for (text, line, column, message) in [
            ("a: 1\na: 2", 2, 1, "the same key twice in one mapping"),
            ("1: x\n0x1: y", 2, 1, "the same key twice in one mapping"),
            ("a: s3cr3t: x", 1, 10, "mapping values are not allowed in this context"),
            ("a: \"\\q s3cr3t\"", 1, 4, "while parsing a quoted scalar, found unknown escape character"),
            ("a:\n\ts3cr3t: 1", 2, 2, "tabs disallowed within this context (block indentation)"),
            ("a: *s3cr3t", 1, 4, "alias references unknown anchor"),
            ("a: &x [*x]", 1, 8, "recursive references require weak recursion types"),
            ("a: !!int s3cr3t", 1, 10, "invalid u64"),
            ("a: 1\n---\nb: 2", 3, 1, "more than one YAML document"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(
                error,
                SyntaxError { at: Some(Position { line, column }), message: message.to_owned() },
                "{text:?}"
            );
        }
    }

    #[test]
    fn debug_shows_no_text() {
        let node = parse("[s3cr3t, {k3y: s3cr3t}]").unwrap();
        assert!(!format!("{node:?}").contains('3'), "{node:?}");
    }
}
