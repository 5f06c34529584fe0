//! Small repairs and readings of JSON source text.

use std::borrow::Cow;

/// The content of a JSON string literal, quotes included in `raw`.
///
/// Escapes are resolved; a lone surrogate, which is no character, becomes U+FFFD. `None` if `raw` is not a
/// string literal.
pub(super) fn unquote(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let sound = without_lone_surrogates(raw);
    serde_json::from_str::<String>(&sound).ok().map(Cow::Owned)
}

/// The same JSON text with each escaped lone surrogate replaced by `\ufffd`.
///
/// Parsers differ on such escapes (some accept what others refuse), and a stored value that its reader
/// refuses would fail whole queries.
pub(super) fn without_lone_surrogates(raw: &str) -> Cow<'_, str> {
    if !raw.contains("\\ud") && !raw.contains("\\uD") {
        return Cow::Borrowed(raw);
    }
    let bytes = raw.as_bytes();
    let mut sound = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            sound.push(bytes[at]);
            at += 1;
            continue;
        }
        match escaped_unit(bytes, at) {
            Some(0xD800..=0xDBFF) if matches!(escaped_unit(bytes, at + 6), Some(0xDC00..=0xDFFF)) => {
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
    String::from_utf8(sound).map_or(Cow::Borrowed(raw), Cow::Owned)
}

/// The UTF-16 unit of a `\uXXXX` escape that begins at `at`.
fn escaped_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at + 6)?;
    if escape.get(..2)? != b"\\u" {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(escape.get(2..)?).ok()?, 16).ok()
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
            ("12", None),
            ("null", None),
        ] {
            assert_eq!(unquote(raw).as_deref(), expected, "{raw}");
        }
    }
}
