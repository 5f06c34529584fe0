//! What others wrote, made fit to be printed.
//!
//! Names of fields, workspaces, files and connections, the words of servers, databases and stores, what was typed: any of
//! it may hold codes that move the cursor, marks that turn text around, letters that nobody sees, a line break that
//! forges a line of ours, megabytes, or a secret that was sent along and comes back. So everything that was not written
//! here passes through [`cleaned`] before a person sees it, whether in a result, an error, a log line or on a bar.
//! [`Error`](crate::error::Error), tables, progress and log do that by themselves; whatever leaves the process passes
//! through [`lines`] or [`json`] once more, so that a place that forgot it shows nothing worse than a long name.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

use serde_json::Value;

/// The longest name, and the longest words of a server, in characters.
pub const LONGEST_NAME: usize = 200;
/// The longest line of an error, a note or a log, in characters: room for two paths of any length that is in use.
pub const LONGEST_LINE: usize = 4_000;
/// Secrets of fewer letters are not looked for: they would be found in the middle of words.
const SHORTEST_SECRET: usize = 8;
/// What stands for a secret.
const MASK: &str = "***";

/// What is never printed, by whatever way it comes back; see [`keep_secret`].
static SECRETS: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// From now on nothing printed by this process shows `secret`, as it is or as it stands in a URL. One of fewer than
/// eight characters is not looked for.
///
/// This is for all of the process, since it cannot be known whose log line, error or name a secret comes back in.
pub fn keep_secret(secret: &str) {
    let in_url: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
    for secret in [secret.to_owned(), in_url] {
        if secret.chars().count() >= SHORTEST_SECRET && !secrets.contains(&secret) {
            secrets.push(secret);
        }
    }
}

/// `text` on one line, without any letter that is not seen and without secrets: the first `longest` characters of it,
/// and an ellipsis if there are more.
pub fn cleaned(text: &str, longest: usize) -> String {
    let text = without_secrets(text);
    let mut shown = text.chars().filter_map(|c| if is_break(c) { Some(' ') } else { seen(c) });
    let mut line: String = shown.by_ref().take(longest).collect();
    if shown.next().is_some() {
        line.push('…');
    }
    line
}

/// A name, or the words of a server: [`cleaned`], of [`LONGEST_NAME`] characters at most.
pub fn name(text: &str) -> String {
    cleaned(text, LONGEST_NAME)
}

/// A line that was put together from words of ours and of others: [`cleaned`], of [`LONGEST_LINE`] characters at most.
pub fn line(text: &str) -> String {
    cleaned(text, LONGEST_LINE)
}

/// Lines that were put together here, of which each is clean already: their breaks stay, and whatever else is not seen
/// goes.
pub fn lines(text: &str) -> String {
    without_secrets(text).chars().filter_map(|c| if c == '\n' { Some(c) } else { seen(c) }).collect()
}

/// A value for programs, with a final newline. It is exact, but for secrets: what a terminal would act on or not show is
/// written as JSON's own escapes, which mean the same.
pub fn json(value: &Value) -> String {
    let text = format!("{:#}\n", told(value));
    let mut exact = String::with_capacity(text.len());
    for c in text.chars() {
        // Outside of strings JSON has no character that is not seen but the newline.
        if c == '\n' || !is_unseen(c) {
            exact.push(c);
        } else {
            let mut units = [0; 2];
            exact.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    exact
}

/// The value without secrets.
fn told(value: &Value) -> Value {
    let text = |text: &String| without_secrets(text).into_owned();
    match value {
        Value::String(words) => Value::String(text(words)),
        Value::Array(items) => Value::Array(items.iter().map(told).collect()),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (text(key), told(value))).collect())
        }
        plain => plain.clone(),
    }
}

/// `text` with `***` in place of each of these secrets, also where letters stand within it that cleaning takes out, or
/// white space. An empty secret is none.
pub fn masked<'t>(text: &'t str, secrets: &[impl AsRef<str>]) -> Cow<'t, str> {
    let mut text = Cow::Borrowed(text);
    for secret in secrets {
        let secret: String = secret.as_ref().chars().filter(|c| is_letter(*c)).collect();
        if secret.is_empty() {
            continue;
        }
        let letters: String = text.chars().filter(|c| is_letter(*c)).collect();
        let mut found = letters.match_indices(&secret).map(|(at, _)| at..at + secret.len()).peekable();
        if found.peek().is_none() {
            continue;
        }
        // Where `c` stands among the letters.
        let mut at = 0;
        let mut masked = String::with_capacity(text.len());
        for c in text.chars() {
            let is_letter = is_letter(c);
            while found.next_if(|place| place.end <= at).is_some() {}
            match found.peek().filter(|place| place.start <= at) {
                Some(place) if is_letter && place.start == at => masked.push_str(MASK),
                Some(place) if is_letter || place.start < at => {}
                _ => masked.push(c),
            }
            at += if is_letter { c.len_utf8() } else { 0 };
        }
        text = Cow::Owned(masked);
    }
    text
}

fn without_secrets(text: &str) -> Cow<'_, str> {
    let secrets = SECRETS.read().unwrap_or_else(PoisonError::into_inner);
    masked(text, &secrets)
}

/// Whether the character counts where a secret is looked for.
fn is_letter(c: char) -> bool {
    !is_unseen(c) && !c.is_whitespace()
}

fn seen(c: char) -> Option<char> {
    (!is_unseen(c)).then_some(c)
}

/// What begins a new line or cell somewhere.
fn is_break(c: char) -> bool {
    matches!(c, '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What a terminal acts on, or shows nothing of: control characters (C0, DEL, C1), marks of direction, line separators,
/// letters of no width, fillers, and tags. Variants of the letter before (U+FE00 to U+FE0F) are not among them: emoji
/// have them.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (text, expected) in [
            ("Plan Tier", "Plan Tier"),
            ("größe 👍\u{fe0f} 価格", "größe 👍\u{fe0f} 価格"),
            ("", ""),
            // Codes that colour, move and ask; as one byte in some terminals.
            ("a\u{1b}[31mb\u{7}\u{8}\u{0}", "a[31mb"),
            ("a\u{9b}31mb\u{7f}", "a31mb"),
            ("a\u{1b}]0;title\u{1b}\\b", "a]0;title\\b"),
            // Lines of ours, forged.
            ("x\nerror: y", "x error: y"),
            ("x\r\nerror: y\tz\u{b}\u{c}", "x  error: y z  "),
            ("x\u{85}y\u{2028}z\u{2029}", "x y z "),
            // Turned around, and of no width.
            ("\u{202e}abc\u{202c}\u{2066}d\u{2069}\u{200e}\u{200f}\u{61c}", "abcd"),
            (
                "\u{202a}\u{202b}\u{202d}\u{2067}\u{2068}i\u{200b}\u{200c}\u{200d}\u{2060}d\u{feff}\u{ad}",
                "id",
            ),
            ("a\u{e0041}\u{3164}\u{115f}\u{180e}\u{206a}\u{fff9}b", "ab"),
        ] {
            assert_eq!(name(text), expected, "{text:?}");
            assert_eq!(line(text), expected, "{text:?}");
            assert_eq!(name(&name(text)), name(text), "{text:?}");
        }
    }

    #[test]
    fn what_is_longer_than_its_bound_is_cut_after_it_was_cleaned() {
        for (text, longest, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "abc…"),
            ("ab\u{200b}c\u{1b}", 3, "abc"),
            ("ééé", 2, "éé…"),
            ("a", 0, "…"),
            ("", 0, ""),
        ] {
            assert_eq!(cleaned(text, longest), expected, "{text:?}");
        }
        assert_eq!(name(&"x".repeat(9_999)).chars().count(), LONGEST_NAME + 1);
        assert_eq!(line(&"x".repeat(9_999)).chars().count(), LONGEST_LINE + 1);
    }

    #[test]
    fn lines_of_ours_stay_lines() {
        assert_eq!(lines("error: a\u{1b}[2J\r\n  hint: b\u{2028}\tc\n"), "error: a[2J\n  hint: bc\n");
    }

    #[test]
    fn json_means_the_same_and_has_nothing_raw() {
        for text in ["a\u{1b}\n", "\u{9b}\u{7f}", "\u{202e}\u{2028}", "\u{e0041}é", "plain", "\\u001b\""] {
            let value = serde_json::json!({ text: [text] });
            let shown = json(&value);
            assert!(shown.chars().all(|c| c == '\n' || !is_unseen(c)), "{shown:?}");
            assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
        }
    }

    #[test]
    fn secrets_are_found_whatever_stands_between_their_letters() {
        let secrets = ["tok_en", "", "s3cr=t"];
        for (text, expected) in [
            ("no secret", "no secret"),
            ("bad token tok_en!", "bad token ***!"),
            ("tok_entok_en", "******"),
            ("tok\u{7}_en", "***"),
            ("\u{1b}t\u{200b}o\nk _\u{202e}e\u{0}n\u{1b}", "\u{1b}***\u{1b}"),
            ("tok_ tok_en tok", "tok_ *** tok"),
            ("tok_e", "tok_e"),
            ("é tok_en é s3cr=t é", "é *** é *** é"),
            ("tok_s3cr=ten", "tok_***en"),
        ] {
            assert_eq!(masked(text, &secrets), expected, "{text:?}");
        }
        // Secrets come back long after anybody knows where they went.
        keep_secret("Ab/9+kept=by=all");
        keep_secret("short");
        for (text, expected) in [
            ("x Ab/9+kept=by=all x short", "x *** x short"),
            ("sig=Ab%2F9%2Bkept%3Dby%3Dall", "sig=***"),
            ("Ab/9+ke\u{200b}pt\u{7}=by=all", "***"),
        ] {
            assert_eq!(name(text), expected);
            assert_eq!(lines(text), expected);
            assert_eq!(json(&Value::from(text)), format!("\"{expected}\"\n"));
        }
        // The cut comes last.
        let long = format!("{}Ab/9+kept=by=all", "x".repeat(LONGEST_NAME - 4));
        assert_eq!(name(&long), format!("{}***", "x".repeat(LONGEST_NAME - 4)));
    }
}
