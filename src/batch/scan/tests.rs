//! What is JSON, what is not, and where that is told.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

/// The whole text as one value.
fn whole(text: &str) -> Result<Raw<'_>, Malformed> {
    Scanner::read_all(text, Scanner::value)
}

#[test]
fn values_keep_their_text() {
    for (text, has_escape) in [
        ("null", false),
        ("-0.10e+5", false),
        (r#""""#, false),
        (r#""eight ché""#, false),
        (r#""\ud83d\"""#, true),
        ("{}", false),
        ("[ ]", false),
        (r#"{ "a" : [1, {"b":"x"}] , "c":{} }"#, false),
        (r#"{"a":[{"\n":1}],"b":2}"#, true),
    ] {
        let padded = format!(" \r\n\t{text} ");
        let raw = whole(&padded).unwrap();
        assert_eq!((raw.text, raw.has_escape), (text, has_escape));
    }
}

#[test]
fn what_is_no_json_is_told_with_its_place() {
    for (text, fault, column) in [
        ("", Fault::Cut, 1),
        ("nul", Fault::Cut, 4),
        ("nulL", Fault::Syntax, 4),
        ("-", Fault::Cut, 2),
        ("01", Fault::Syntax, 2),
        ("1.", Fault::Cut, 3),
        ("1e+x", Fault::Syntax, 4),
        (".5", Fault::Syntax, 1),
        (r#""abc"#, Fault::Cut, 5),
        (r#""abcdefgh"#, Fault::Cut, 10),
        ("\"a\u{1}\"", Fault::Syntax, 3),
        (r#""\x""#, Fault::Syntax, 3),
        (r#""\u00g0""#, Fault::Syntax, 6),
        ("[1,]", Fault::Syntax, 4),
        ("[1 2]", Fault::Syntax, 4),
        ("[1}", Fault::Syntax, 3),
        ("[[1]", Fault::Cut, 5),
        (r#"{"a":1,}"#, Fault::Syntax, 8),
        (r#"{"a" 1}"#, Fault::Syntax, 6),
        ("{1:1}", Fault::Syntax, 2),
        ("1 2", Fault::Syntax, 3),
        ("\u{feff}1", Fault::Syntax, 1),
    ] {
        let malformed = whole(text).unwrap_err();
        assert_eq!((malformed.fault, malformed.line, malformed.column), (fault, 1, column), "{text}");
    }
    let below = whole("{\n \"a\": [\n  tru\n]}").unwrap_err();
    assert_eq!((below.fault, below.line, below.column), (Fault::Syntax, 3, 6));
}

#[test]
fn something_else_than_what_should_stand_there_is_told_apart_from_no_json() {
    for (text, fault) in [("7", Fault::Shape), ("{}", Fault::Shape), ("{", Fault::Cut), ("x", Fault::Syntax)]
    {
        assert_eq!(Scanner::new(text).open_list().unwrap_err(), fault, "{text}");
    }
}

#[test]
fn no_depth_is_too_deep() {
    for depth in [63, 64, 65, 128, 129, 200_000] {
        let opened: String = (0..depth).map(|at| if at % 3 == 0 { "{\"a\":" } else { "[" }).collect();
        let closed: String = (0..depth).rev().map(|at| if at % 3 == 0 { "}" } else { "]" }).collect();
        assert!(whole(&format!("{opened}1{closed}")).is_ok(), "{depth}");
        assert_eq!(whole(&format!("{opened}1")).unwrap_err().fault, Fault::Cut, "{depth}");
        assert_eq!(whole(&format!("{opened}1{closed}]")).unwrap_err().fault, Fault::Syntax, "{depth}");
    }
}

proptest! {
    /// JSON with a few bytes put in, taken out or exchanged is still JSON for both readers, or for neither.
    #[test]
    fn what_is_json_is_json_for_another_reader_too(
        edits in prop::collection::vec((0..10_000_usize, 0..3_u8, 0..EDITS.len()), 0..4),
    ) {
        let mut text: Vec<char> = TEXT.chars().collect();
        for (at, edit, with) in edits {
            let at = at % text.len();
            match edit {
                0 => text.insert(at, EDITS[with]),
                1 => text[at] = EDITS[with],
                _ => drop(text.remove(at)),
            }
        }
        let text: String = text.into_iter().collect();
        let theirs = serde_json::from_str::<&RawValue>(&text).map(RawValue::get);
        prop_assert_eq!(whole(&text).ok().map(|raw| raw.text), theirs.ok(), "{}", text);
    }
}

const TEXT: &str =
    r#"{"a":[1,-0.5,1e3,null,true,false,"",{}],"é\u00e9\n":{"b":"long enough for a word","c":[[]]},"d":0}"#;
const EDITS: [char; 20] = [
    '"', '\\', '{', '}', '[', ']', ',', ':', '0', '7', '-', '.', 'e', '+', 'u', 'n', ' ', '\n', 'é', '\u{1}',
];
