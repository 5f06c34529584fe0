//! Small repairs and readings of JSON source text.

use std::borrow::Cow;

use super::scan::Raw;

/// The content of a JSON string literal, quotes included in `raw`.
///
/// Escapes are resolved; a lone surrogate, which is no character, becomes U+FFFD. `None` if `raw` is not a
/// string literal.
pub(super) fn unquote(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    let inner = raw.text.strip_prefix('"')?.strip_suffix('"')?;
    if raw.has_escape { unescaped(inner).map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

fn unescaped(inner: &str) -> Option<String> {
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut after = escape.chars();
        match after.next()? {
            'u' => {
                let (character, length) = escaped_character(escape.as_bytes())?;
                text.push(character);
                rest = escape.get(length..)?;
                continue;
            }
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            itself @ ('"' | '\\' | '/') => text.push(itself),
            _ => return None,
        }
        rest = after.as_str();
    }
    text.push_str(rest);
    Some(text)
}

/// The character that an escape, given without its backslash, stands for, and the bytes of it. It may take a second
/// escape.
fn escaped_character(escape: &[u8]) -> Option<(char, usize)> {
    let unit = escaped_unit(escape, 0)?;
    let low = escape.get(5).filter(|byte| **byte == b'\\').and_then(|_| escaped_unit(escape, 6));
    match (unit, low) {
        (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
            let both = 0x1_0000 + ((u32::from(unit) - 0xD800) << 10) + (u32::from(low) - 0xDC00);
            Some((char::from_u32(both)?, 11))
        }
        _ => Some((char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER), 5)),
    }
}

/// The same JSON text with each escaped lone surrogate replaced by `\ufffd`.
///
/// Parsers differ on such escapes (some accept what others refuse), and a stored value that its reader
/// refuses would fail whole queries.
pub(super) fn without_lone_surrogates(raw: Raw<'_>) -> Cow<'_, str> {
    let text = raw.text;
    if !raw.has_escape || !text.contains("\\ud") && !text.contains("\\uD") {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut sound = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            sound.push(bytes[at]);
            at += 1;
            continue;
        }
        match escaped_unit(bytes, at + 1) {
            Some(0xD800..=0xDBFF) if is_low_surrogate(bytes, at + 6) => {
                sound.extend_from_slice(&bytes[at..at + 12]);
                at += 12;
            }
            Some(0xD800..=0xDFFF) => {
                sound.extend_from_slice(b"\\ufffd");
                at += 6;
            }
            Some(_) => {
                sound.extend_from_slice(&bytes[at..at + 6]);
                at += 6;
            }
            None => {
                let end = (at + 2).min(bytes.len());
                sound.extend_from_slice(&bytes[at..end]);
                at = end;
            }
        }
    }
    String::from_utf8(sound).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Whether the second half of a pair is escaped at `at`.
fn is_low_surrogate(bytes: &[u8], at: usize) -> bool {
    bytes.get(at) == Some(&b'\\') && matches!(escaped_unit(bytes, at + 1), Some(0xDC00..=0xDFFF))
}

/// The UTF-16 unit of a `\uXXXX` escape whose `u` is at `at`.
fn escaped_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let [b'u', digits @ ..] = bytes.get(at..at + 5)? else { return None };
    digits.iter().try_fold(0, |unit, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        u16::try_from(digit).ok().map(|digit| unit << 4 | digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_unquoted() {
        for (raw, expected) in [
            (r#""plain""#, Some("plain")),
            (r#""""#, Some("")),
            (r#""a\"b\\c\n""#, Some("a\"b\\c\n")),
            (r#""\u00e9\ud83d\ude00""#, Some("é😀")),
            (r#""\ud83d""#, Some("\u{fffd}")),
            (r#""\\ud83d""#, Some("\\ud83d")),
            (r#""\ude00\ud83d x""#, Some("\u{fffd}\u{fffd} x")),
            (r#""\ud83d\\ude00""#, Some("\u{fffd}\\ude00")),
            (r#""\ud83d\u0041\/\b\f\r\t""#, Some("\u{fffd}A/\u{8}\u{c}\r\t")),
            (r#""\u00""#, None),
            (r#""\u+0ff""#, None),
            (r#""\x""#, None),
            ("12", None),
            ("null", None),
        ] {
            assert_eq!(unquote(raw.into()).as_deref(), expected, "{raw}");
        }
    }
    #[test]
    fn json_keeps_every_escape_but_those_of_half_a_character() {
        for (raw, expected) in [
            (r#"{"a":"\u00e9\ud83d\ude00\n"}"#, r#"{"a":"\u00e9\ud83d\ude00\n"}"#),
            (r#"["\ud83d","\uDE00x"]"#, r#"["\ufffd","\ufffdx"]"#),
            (r#"["\\ud83d","\ud83d\\ude00"]"#, r#"["\\ud83d","\ufffd\\ude00"]"#),
            (r#"["\ud83d\ud83d\ude00"]"#, r#"["\ufffd\ud83d\ude00"]"#),
        ] {
            assert_eq!(without_lone_surrogates(raw.into()), expected, "{raw}");
        }
    }
}
