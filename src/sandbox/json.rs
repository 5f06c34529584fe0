//! JSON as text: written member by member, taken apart and put together again without touching a digit.
//!
//! Rows live as text because that is what is served, and because parsing numbers and printing them again would
//! round the long ones.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A value that can be written as JSON.
pub(crate) trait Json {
    fn write(&self, out: &mut String);

    fn json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }
}

/// Text that already is JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'a>(pub(crate) &'a str);

impl Json for Raw<'_> {
    fn write(&self, out: &mut String) {
        out.push_str(self.0);
    }
}

impl Json for str {
    fn write(&self, out: &mut String) {
        out.push('"');
        for character in self.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
                other => out.push(other),
            }
        }
        out.push('"');
    }
}

impl Json for String {
    fn write(&self, out: &mut String) {
        self.as_str().write(out);
    }
}

impl Json for bool {
    fn write(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Json for $integer {
            fn write(&self, out: &mut String) {
                out.push_str(&self.to_string());
            }
        }
    )*};
}
integers!(i64, u64, u32, usize);

impl<T: Json + ?Sized> Json for &T {
    fn write(&self, out: &mut String) {
        (**self).write(out);
    }
}

impl<T: Json> Json for Option<T> {
    fn write(&self, out: &mut String) {
        match self {
            Some(value) => value.write(out),
            None => out.push_str("null"),
        }
    }
}

/// `null`, where no type says what is missing.
pub(crate) const NULL: Raw<'static> = Raw("null");

/// An object under construction; members stay in the order they were put.
#[derive(Debug)]
pub(crate) struct Object {
    text: String,
}

impl Object {
    pub(crate) fn new() -> Self {
        Self::with_capacity(64)
    }

    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push('{');
        Self { text }
    }

    pub(crate) fn put(&mut self, key: &str, value: impl Json) -> &mut Self {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        key.write(&mut self.text);
        self.text.push(':');
        value.write(&mut self.text);
        self
    }

    /// Bytes written so far.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn done(&mut self) -> String {
        let mut text = std::mem::take(&mut self.text);
        text.push('}');
        text
    }
}

/// `[a,b,c]` of values that already are JSON.
pub(crate) fn array<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let mut out = String::from("[");
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(item.as_ref());
    }
    out.push(']');
    out
}

/// The top-level members of an object, in order, their values untouched.
#[derive(Debug)]
pub(crate) struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// Takes `text` apart; anything but a JSON object has no members.
    pub(crate) fn of(text: &str) -> Self {
        struct Take;
        impl<'de> Visitor<'de> for Take {
            type Value = Vec<(String, Box<RawValue>)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(64);
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        Self(serde_json::Deserializer::from_str(text).deserialize_map(Take).unwrap_or_default())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.get())
    }

    pub(crate) fn integer(&self, key: &str) -> Option<i64> {
        self.get(key)?.parse().ok()
    }

    /// Replaces the member, or adds it at the end.
    pub(crate) fn set(&mut self, key: &str, value: impl Json) {
        let Ok(value) = RawValue::from_string(value.json()) else { return };
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some(member) => member.1 = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// Gives the member another key, in its place.
    pub(crate) fn rename(&mut self, key: &str, new: &str) {
        if let Some(member) = self.0.iter_mut().find(|(name, _)| name == key) {
            new.clone_into(&mut member.0);
        }
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.0.retain(|(name, _)| name != key);
    }

    pub(crate) fn text(&self) -> String {
        let mut object = Object::with_capacity(2_048);
        for (key, value) in &self.0 {
            object.put(key, Raw(value.get()));
        }
        object.done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_keep_their_order_and_escape_what_must_be() {
        let mut object = Object::new();
        object.put("b", 1_i64).put("a", "say \"hi\"\n\u{1}").put("c", None::<bool>).put("d", Raw("[1.10]"));
        assert_eq!(object.done(), "{\"b\":1,\"a\":\"say \\\"hi\\\"\\n\\u0001\",\"c\":null,\"d\":[1.10]}");
        assert_eq!(array(["1", "\"x\""]), "[1,\"x\"]");
        assert_eq!(Object::new().done(), "{}");
    }

    #[test]
    fn members_can_be_changed_without_touching_the_digits_of_others() {
        let mut members = Members::of(r#"{"n":98765432109876543210,"d":19.90,"name":"x"}"#);
        members.set("name", "y");
        members.set("new", true);
        members.remove("absent");
        assert_eq!(members.text(), r#"{"n":98765432109876543210,"d":19.90,"name":"y","new":true}"#);
        assert_eq!(members.get("d"), Some("19.90"));
        assert_eq!(Members::of("[]").text(), "{}");
    }
}
