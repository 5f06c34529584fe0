//! JSON text, walked over once from left to right.
//!
//! Every byte that is passed has been checked: what [`Scanner::value`] returns is JSON, with its digits, escapes and
//! spaces as they came. Nesting costs no stack, however deep. Pure; see the tables of cases below.

mod nesting;
#[cfg(test)]
mod tests;

use super::fault::{Fault, Malformed};
use super::json_text;
use nesting::Nesting;

/// The most entries of a list that are told apart: what is kept of each may be many times as large as its text.
const MOST_ENTRIES: usize = 1 << 20;

/// One JSON value as text, without spaces around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw<'t> {
    pub(super) text: &'t str,
    /// Whether there is a backslash anywhere in it.
    pub(super) has_escape: bool,
}

impl<'t> From<&'t str> for Raw<'t> {
    fn from(text: &'t str) -> Self {
        Self { text, has_escape: text.contains('\\') }
    }
}

/// A place in JSON text.
#[derive(Debug)]
pub struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    /// At the beginning of `text`.
    pub fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// The first byte of what comes next, after any space.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at).copied() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                first => return first,
            }
        }
    }

    /// Steps over the next value; its text, without space around it.
    pub fn skip(&mut self) -> Result<&'t str, Fault> {
        self.value().map(|raw| raw.text)
    }

    /// Nothing but space may come next.
    pub fn end(&mut self) -> Result<(), Fault> {
        if self.peek().is_none() { Ok(()) } else { Err(self.syntax()) }
    }

    /// Steps over the bracket that opens a list; whether there is an entry in it.
    pub fn open_list(&mut self) -> Result<bool, Fault> {
        self.open(b'[', b']')
    }

    /// Steps over the bracket that opens an object; whether there is a member in it.
    pub fn open_object(&mut self) -> Result<bool, Fault> {
        self.open(b'{', b'}')
    }

    /// Steps over what follows an entry; whether that is another entry.
    #[inline]
    pub fn next_entry(&mut self) -> Result<bool, Fault> {
        self.next(b']')
    }

    /// Steps over what follows a member; whether that is another member.
    #[inline]
    pub fn next_member(&mut self) -> Result<bool, Fault> {
        self.next(b'}')
    }

    /// Steps over the name of a member and the colon after it.
    pub fn name(&mut self) -> Result<std::borrow::Cow<'t, str>, Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.syntax());
        }
        let raw = self.value()?;
        self.skip_colon()?;
        Ok(json_text::unquote(raw).unwrap_or_default())
    }

    /// Steps over the name of a member and the colon after it if that is exactly what is `written` next.
    #[inline]
    pub(super) fn passes_name(&mut self, written: &str) -> bool {
        self.peek();
        self.passes(written)
    }

    /// Steps over the next value.
    pub(super) fn value(&mut self) -> Result<Raw<'t>, Fault> {
        let first = self.peek();
        let start = self.at;
        let has_escape = match first {
            Some(b'"') => self.skip_text()?,
            Some(b'{' | b'[') => self.skip_nested()?,
            first => {
                self.skip_scalar(first)?;
                false
            }
        };
        Ok(Raw { text: self.since(start), has_escape })
    }

    /// Steps over null, if that comes next.
    #[inline]
    pub(super) fn passes_null(&mut self) -> Result<bool, Fault> {
        let is_null = self.peek() == Some(b'n');
        if is_null {
            self.skip_word("null")?;
        }
        Ok(is_null)
    }

    /// Steps over the next value by way of `read`, which must do so; its text.
    pub fn spanning(&mut self, read: impl FnOnce(&mut Self) -> Result<(), Fault>) -> Result<&'t str, Fault> {
        self.peek();
        let start = self.at;
        read(self)?;
        Ok(self.since(start))
    }

    /// Reads all of `text` by way of `read`.
    pub fn read_all<T>(
        text: &'t str,
        read: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Malformed> {
        let mut scan = Self::new(text);
        let done = read(&mut scan).and_then(|done| scan.end().map(|()| done));
        done.map_err(|fault| scan.locate(fault))
    }

    /// Reads all of `list`, entry by entry by way of `read`.
    pub fn read_list(
        list: &'t str,
        mut read: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Malformed> {
        Self::read_all(list, |scan| scan.each_entry(&mut read))
    }

    /// Reads the entries of the list that comes next by way of `read`, a million of them at most.
    pub fn each_entry(&mut self, mut read: impl FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut is_more = self.open_list()?;
        let mut left = MOST_ENTRIES;
        while is_more {
            left = left.checked_sub(1).ok_or(Fault::Endless)?;
            read(self)?;
            is_more = self.next_entry()?;
        }
        Ok(())
    }

    /// A fault that was just met, with its place.
    #[cold]
    pub fn locate(&self, fault: Fault) -> Malformed {
        let before = self.text.as_bytes().get(..self.at).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        Malformed { fault, line, column }
    }

    /// That something else should stand here, if what stands here is JSON at all.
    #[cold]
    fn unexpected(&mut self) -> Fault {
        self.peek();
        let start = self.at;
        match self.value() {
            Ok(_) => {
                self.at = start;
                Fault::Shape
            }
            Err(fault) => fault,
        }
    }

    #[inline]
    fn since(&self, start: usize) -> &'t str {
        // Both ends are beside bytes of ASCII, so that this is never empty for want of a boundary.
        self.text.get(start..self.at).unwrap_or_default()
    }

    #[inline]
    fn open(&mut self, opening: u8, closing: u8) -> Result<bool, Fault> {
        if self.peek() != Some(opening) {
            return Err(self.unexpected());
        }
        self.at += 1;
        if self.peek() == Some(closing) {
            self.at += 1;
            return Ok(false);
        }
        Ok(true)
    }

    #[inline]
    fn next(&mut self, closing: u8) -> Result<bool, Fault> {
        let next = self.peek();
        if next != Some(b',') && next != Some(closing) {
            return Err(self.syntax());
        }
        self.at += 1;
        Ok(next == Some(b','))
    }

    /// A list or an object; whether there is an escape in it.
    fn skip_nested(&mut self) -> Result<bool, Fault> {
        let mut nesting = Nesting::default();
        let (mut has_escape, mut is_name) = (false, false);
        loop {
            match self.peek() {
                Some(b'"') => {
                    has_escape |= self.skip_text()?;
                    if is_name {
                        self.skip_colon()?;
                        is_name = false;
                        continue;
                    }
                }
                Some(_) if is_name => return Err(Fault::Syntax),
                Some(b'{') => {
                    nesting.enter(true);
                    is_name = self.open_object()?;
                    if is_name {
                        continue;
                    }
                    nesting.leave();
                }
                Some(b'[') => {
                    nesting.enter(false);
                    if self.open_list()? {
                        continue;
                    }
                    nesting.leave();
                }
                first => self.skip_scalar(first)?,
            }
            // A value has ended here, and with it as many as it was the last one in.
            while nesting.depth > 0 && !self.next(nesting.closing())? {
                nesting.leave();
            }
            if nesting.depth == 0 {
                return Ok(has_escape);
            }
            is_name = nesting.is_object();
        }
    }

    #[inline]
    fn skip_colon(&mut self) -> Result<(), Fault> {
        if self.peek() != Some(b':') {
            return Err(self.syntax());
        }
        self.at += 1;
        Ok(())
    }

    /// A number, a boolean or null.
    #[inline]
    fn skip_scalar(&mut self, first: Option<u8>) -> Result<(), Fault> {
        match first {
            Some(b'-' | b'0'..=b'9') => self.skip_number(),
            Some(b'n') => self.skip_word("null"),
            Some(b't') => self.skip_word("true"),
            Some(b'f') => self.skip_word("false"),
            _ => Err(self.syntax()),
        }
    }

    #[inline]
    fn passes(&mut self, text: &str) -> bool {
        let rest = self.rest();
        let is_it = rest.starts_with(text.as_bytes());
        if is_it {
            self.at += text.len();
        }
        is_it
    }

    #[inline]
    fn skip_word(&mut self, word: &str) -> Result<(), Fault> {
        if self.passes(word) { Ok(()) } else { Err(self.misspelt(word)) }
    }

    #[cold]
    fn misspelt(&mut self, word: &str) -> Fault {
        let rest = self.rest();
        self.at += rest.iter().zip(word.bytes()).take_while(|(a, b)| **a == *b).count();
        self.syntax()
    }

    fn skip_number(&mut self) -> Result<(), Fault> {
        let bytes = self.text.as_bytes();
        self.at += usize::from(bytes.get(self.at) == Some(&b'-'));
        if bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
            if bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
                return Err(self.syntax());
            }
        } else {
            self.skip_digits()?;
        }
        if bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.skip_digits()?;
        }
        if let Some(b'e' | b'E') = bytes.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(bytes.get(self.at), Some(b'+' | b'-')));
            self.skip_digits()?;
        }
        Ok(())
    }

    #[inline]
    fn skip_digits(&mut self) -> Result<(), Fault> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        while bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { Err(self.syntax()) } else { Ok(()) }
    }

    /// A text in quotes; whether there is an escape in it.
    #[inline]
    fn skip_text(&mut self) -> Result<bool, Fault> {
        self.at += 1;
        let rest = self.rest();
        let length = plain_length(rest);
        self.at += length;
        if rest.get(length) == Some(&b'"') {
            self.at += 1;
            return Ok(false);
        }
        self.skip_escapes()
    }

    /// The rest of a text, from its first byte that does not stand for itself.
    #[inline(never)]
    fn skip_escapes(&mut self) -> Result<bool, Fault> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(true);
                }
                Some(b'\\') => self.skip_escape()?,
                _ => return Err(self.syntax()),
            }
            self.at += plain_length(self.rest());
        }
    }

    #[inline]
    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn skip_escape(&mut self) -> Result<(), Fault> {
        let bytes = self.text.as_bytes();
        self.at += 1;
        match bytes.get(self.at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !bytes.get(self.at).is_some_and(u8::is_ascii_hexdigit) {
                        return Err(self.syntax());
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.syntax()),
        }
        Ok(())
    }

    /// That the byte here cannot stand here, or that there is none.
    fn syntax(&self) -> Fault {
        if self.at < self.text.len() { Fault::Syntax } else { Fault::Cut }
    }
}

/// How many bytes stand for themselves: up to a quote, a backslash, a control character, or the end.
///
/// Eight bytes at a time: a byte below 0x80 is marked if it is less than what is subtracted from it. With one bit turned,
/// the quote comes to lie right above the control characters. A borrow only marks bytes above one that is marked rightly.
#[inline(never)]
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    let (words, end) = bytes.as_chunks::<8>();
    let mut length = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let quote_or_control = (word ^ (ONES << 1)).wrapping_sub(ONES * 0x21);
        let backslash = (word ^ BACKSLASHES).wrapping_sub(ONES);
        let marks = (quote_or_control | backslash) & !word & HIGH;
        if marks != 0 {
            return length + marks.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    length + plain_length_of_end(end)
}

/// The same for the last bytes of all.
#[cold]
fn plain_length_of_end(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1F)).count()
}
