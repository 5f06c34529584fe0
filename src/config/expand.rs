//! Variables inside a value: `${VAR}`, `$VAR`, `${VAR:-default}`, `$<VAR>`, and `$$` for a dollar.
//!
//! One scan from left to right over the text of one parsed value. What a variable brings in is never looked
//! at again, so a token may hold any character, and no value can add a key, a line or a further variable.
//! No error repeats any text but a variable's name.

use std::borrow::Cow;

use super::environment::Environment;
use crate::error::Error;

/// A piece of a value, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Plain text; `$$` has become `$`.
    Literal(&'a str),
    /// A variable.
    Reference(Reference<'a>),
}

/// A variable, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference<'a> {
    /// Its name: a letter or `_`, then letters, digits and `_`, all ASCII.
    pub(crate) name: &'a str,
    /// The text after `:-`, with `$$` resolved.
    pub(crate) default: Option<Cow<'a, str>>,
    /// Written as `$VAR`, which may also be a dollar inside a password.
    pub(crate) bare: bool,
}

/// What is wrong with a dollar sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misuse {
    /// `$` and then nothing a name can start with.
    LoneDollar,
    /// `${` without `}`, or `$<` without `>`.
    Unclosed,
    /// Something between the brackets that is neither a name nor a name with a default.
    Malformed,
    /// A `$` in a default.
    Nested,
}

impl Misuse {
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::LoneDollar => "a $ that no variable name follows",
            Self::Unclosed => "a variable whose closing bracket is missing",
            Self::Malformed => "a variable that is neither ${VAR}, ${VAR:-default} nor $<VAR>",
            Self::Nested => "a variable inside the default of another",
        }
    }

    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Nested => "a default is taken as it is written; a dollar sign in it is written $$",
            Self::LoneDollar | Self::Unclosed | Self::Malformed => "a dollar sign is written $$",
        }
    }
}

/// A value after expansion.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Expanded {
    /// The whole text.
    pub(crate) text: String,
    /// Whether the first character stands in the file, rather than in a variable.
    pub(crate) opens_as_written: bool,
}

/// Why a value could not be expanded.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The text is wrong.
    Misuse(Misuse),
    /// A variable is not set and has no default.
    Unset {
        /// Its name.
        name: String,
        /// It may be a part of a literal token rather than a name: `$name` with other text around it.
        doubtful: bool,
    },
    /// The environment refuses to give it.
    Unreadable(Error),
}

impl From<Misuse> for Failure {
    fn from(misuse: Misuse) -> Self {
        Self::Misuse(misuse)
    }
}

/// Takes a value apart without looking anything up.
pub(crate) fn scan(text: &str) -> Result<Vec<Piece<'_>>, Misuse> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        if !before.is_empty() {
            pieces.push(Piece::Literal(before));
        }
        let (piece, remainder) = dollar(after)?;
        pieces.push(piece);
        rest = remainder;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest));
    }
    Ok(pieces)
}

/// What a `$` followed by `after` means, and what is left behind it.
fn dollar(after: &str) -> Result<(Piece<'_>, &str), Misuse> {
    if let Some(rest) = after.strip_prefix('$') {
        return Ok((Piece::Literal("$"), rest));
    }
    if let Some(inside) = after.strip_prefix('{') {
        let (inside, rest) = inside.split_once('}').ok_or(Misuse::Unclosed)?;
        return Ok((Piece::Reference(braced(inside)?), rest));
    }
    if let Some(inside) = after.strip_prefix('<') {
        let (inside, rest) = inside.split_once('>').ok_or(Misuse::Unclosed)?;
        let (name, nothing) = split_name(inside);
        if name.is_empty() || !nothing.is_empty() {
            return Err(Misuse::Malformed);
        }
        return Ok((Piece::Reference(Reference { name, default: None, bare: false }), rest));
    }
    match split_name(after) {
        ("", _) => Err(Misuse::LoneDollar),
        (name, rest) => Ok((Piece::Reference(Reference { name, default: None, bare: true }), rest)),
    }
}

fn braced(inside: &str) -> Result<Reference<'_>, Misuse> {
    let (name, rest) = split_name(inside);
    if name.is_empty() {
        return Err(Misuse::Malformed);
    }
    if rest.is_empty() {
        return Ok(Reference { name, default: None, bare: false });
    }
    let default = rest.strip_prefix(":-").ok_or(Misuse::Malformed)?;
    if default.replace("$$", "").contains('$') {
        return Err(Misuse::Nested);
    }
    let default = if default.contains('$') { default.replace("$$", "$").into() } else { default.into() };
    Ok(Reference { name, default: Some(default), bare: false })
}

/// The variable name `text` starts with, possibly empty, and what follows it.
fn split_name(text: &str) -> (&str, &str) {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    text.split_at(if starts { end } else { 0 })
}

/// Fills in every variable of one value. For `${VAR:-default}` a variable that is empty counts as unset.
pub(crate) fn expand(text: &str, environment: &Environment) -> Result<Expanded, Failure> {
    let pieces = scan(text)?;
    let alone = pieces.len() == 1;
    let mut expanded = Expanded { text: String::new(), opens_as_written: true };
    for piece in &pieces {
        let (addition, as_written) = match piece {
            Piece::Literal(literal) => (Cow::Borrowed(*literal), true),
            Piece::Reference(reference) => evaluate(reference, alone, environment)?,
        };
        if expanded.text.is_empty() {
            expanded.opens_as_written = as_written;
        }
        expanded.text.push_str(&addition);
    }
    Ok(expanded)
}

/// The text a variable stands for, and whether that text is its default.
fn evaluate<'a>(
    reference: &Reference<'a>,
    alone: bool,
    environment: &Environment,
) -> Result<(Cow<'a, str>, bool), Failure> {
    let Reference { name, default, bare } = reference;
    let value = environment.get(name).map_err(Failure::Unreadable)?;
    let value = value.filter(|value| default.is_none() || !value.is_empty());
    // The scan above has refused everything shellexpand is lenient about; one reference at a time, there is
    // nothing left for it to guess.
    let written = match default {
        Some(default) => format!("${{{name}:-{default}}}"),
        None => format!("${{{name}}}"),
    };
    let text = shellexpand::env_with_context(&written, |_| value.map(Some).ok_or(()))
        .map_err(|_| Failure::Unset { name: (*name).to_owned(), doubtful: *bare && !alone })?;
    Ok((Cow::Owned(text.into_owned()), value.is_none()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn environment() -> Environment {
        Environment::from_pairs([
            ("A", "alpha"),
            ("B_2", "beta"),
            ("EMPTY", ""),
            ("NASTY", "x: y # $A ${A} $$ }\n- 'z'\""),
            ("TILDE", "~/x"),
            ("_", "underscore"),
        ])
    }

    #[test]
    fn references_and_their_values() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("${A}", "alpha"),
            ("$A", "alpha"),
            ("$<A>", "alpha"),
            ("$$", "$"),
            ("$$A", "$A"),
            ("$$${A}", "$alpha"),
            ("$$$$", "$$"),
            ("a$$", "a$"),
            ("x${A}y${B_2}z", "xalphaybetaz"),
            ("$A$B_2", "alphabeta"),
            ("$A-$B_2.x", "alpha-beta.x"),
            ("$Aé", "alphaé"),
            ("$_", "underscore"),
            ("${A}}", "alpha}"),
            ("{$A}", "{alpha}"),
            ("${EMPTY}", ""),
            ("[$EMPTY]", "[]"),
            ("${A:-d}", "alpha"),
            ("${EMPTY:-d}", "d"),
            ("${NO:-d}", "d"),
            ("${NO:-}", ""),
            ("${NO:-a:-b}", "a:-b"),
            ("${NO:-{x}", "{x"),
            ("${NO:-it's # : \"}", "it's # : \""),
            ("${NO:-a$$b}", "a$b"),
            ("${NO:-$$A}", "$A"),
            ("${NO:-$${A}}", "${A}"),
            ("${NO:-~/d}", "~/d"),
            ("${NASTY}", "x: y # $A ${A} $$ }\n- 'z'\""),
            ("$NASTY$A", "x: y # $A ${A} $$ }\n- 'z'\"alpha"),
            ("${NASTY:-d}", "x: y # $A ${A} $$ }\n- 'z'\""),
        ] {
            let expanded = expand(text, &environment()).map(|expanded| expanded.text);
            assert_eq!(expanded.ok().as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn where_the_first_character_stands() {
        for (text, as_written) in [
            ("~/x", true),
            ("${TILDE}", false),
            ("${EMPTY}~/x", true),
            ("${NO:-~/x}", true),
            ("${A:-~/x}", false),
            ("~${A}", true),
        ] {
            let expanded = expand(text, &environment()).map(|expanded| expanded.opens_as_written);
            assert_eq!(expanded.ok(), Some(as_written), "{text}");
        }
    }

    #[test]
    fn dollars_that_are_refused() {
        for (text, misuse) in [
            ("$", Misuse::LoneDollar),
            ("a$", Misuse::LoneDollar),
            ("$$$", Misuse::LoneDollar),
            ("$1", Misuse::LoneDollar),
            ("$ A", Misuse::LoneDollar),
            ("$-", Misuse::LoneDollar),
            ("$é", Misuse::LoneDollar),
            ("$(A)", Misuse::LoneDollar),
            ("${A", Misuse::Unclosed),
            ("$<A", Misuse::Unclosed),
            ("${", Misuse::Unclosed),
            ("${}", Misuse::Malformed),
            ("${:-d}", Misuse::Malformed),
            ("${1A}", Misuse::Malformed),
            ("${A B}", Misuse::Malformed),
            ("${ A }", Misuse::Malformed),
            ("${A-d}", Misuse::Malformed),
            ("${A:=d}", Misuse::Malformed),
            ("${A:?d}", Misuse::Malformed),
            ("${A:+d}", Misuse::Malformed),
            ("${#A}", Misuse::Malformed),
            ("${$A}", Misuse::Malformed),
            ("$<>", Misuse::Malformed),
            ("$<A:-d>", Misuse::Malformed),
            ("${A:-${B_2}}", Misuse::Nested),
            ("${NO:-$A}", Misuse::Nested),
            ("${NO:-$}", Misuse::Nested),
            ("${NO:-$$$}", Misuse::Nested),
        ] {
            let failure = expand(text, &environment()).map(|expanded| expanded.text);
            assert!(matches!(failure, Err(Failure::Misuse(found)) if found == misuse), "{text}: {failure:?}");
        }
    }

    #[test]
    fn variables_that_are_not_set() {
        for (text, expected, expected_doubt) in [
            ("${NO}", "NO", false),
            ("$NO", "NO", false),
            ("$<NO>", "NO", false),
            ("x${NO}", "NO", false),
            ("x$NO", "NO", true),
            ("$A$NO", "NO", true),
        ] {
            let failure = expand(text, &environment()).map(|expanded| expanded.text);
            assert!(
                matches!(&failure, Err(Failure::Unset { name, doubtful })
                    if name == expected && *doubtful == expected_doubt),
                "{text}: {failure:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn text_without_a_dollar_is_unchanged(text in "[^$]*") {
            prop_assert_eq!(expand(&text, &environment()).map(|e| e.text).ok(), Some(text));
        }

        #[test]
        fn doubling_every_dollar_writes_any_text(text in any::<String>()) {
            let doubled = text.replace('$', "$$");
            prop_assert_eq!(expand(&doubled, &environment()).map(|e| e.text).ok(), Some(text));
        }

        #[test]
        fn any_value_of_a_variable_arrives_as_it_is(value in "[^\0]+", before in "[^$]*", after in "[^$]*") {
            let environment = Environment::from_pairs([("V", value.as_str())]);
            let expected = Some(format!("{before}{value}{after}"));
            for text in ["${V}", "${V:-d}", "$<V>"].map(|v| format!("{before}{v}{after}")) {
                prop_assert_eq!(expand(&text, &environment).map(|e| e.text).ok(), expected.clone());
            }
        }

        #[test]
        fn no_text_makes_the_scan_panic(text in "[$ {}<>:A-Zé-]*") {
            let pieces = scan(&text);
            prop_assert!(pieces.is_ok() || text.contains('$'));
        }
    }
}
