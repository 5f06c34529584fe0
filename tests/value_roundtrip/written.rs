//! JSON as somebody wrote it: escapes, digits and white space included.

/// A value. Its text is not normalized in any way.
#[derive(Debug, Clone)]
pub(super) enum Json {
    /// `null`, a boolean or a number.
    Bare(String),
    /// A string.
    Text(Literal),
    /// A list.
    List(Vec<Json>, Gap),
    /// An object; names may repeat.
    Object(Vec<(Literal, Json)>, Gap),
    /// So many lists inside each other.
    Deep(usize),
}

/// White space between tokens.
pub(super) type Gap = &'static str;

/// The inside of a string literal, piece by piece.
#[derive(Debug, Clone, Default)]
pub(super) struct Literal(pub(super) Vec<Piece>);

/// One character, or one half of an escaped pair of surrogates.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// How it is written.
    pub(super) source: String,
    /// The UTF-16 units it stands for.
    pub(super) units: Vec<u16>,
}

impl Piece {
    /// A character as it is; it must not need an escape.
    pub(super) fn plain(c: char) -> Self {
        Self { source: c.into(), units: c.encode_utf16(&mut [0; 2]).to_vec() }
    }

    /// One unit, written as `\uXXXX`.
    pub(super) fn unit(unit: u16, upper: bool) -> Self {
        let source = if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
        Self { source, units: vec![unit] }
    }

    fn is_half(&self, halves: std::ops::RangeInclusive<u16>) -> bool {
        matches!(self.units[..], [unit] if halves.contains(&unit))
    }
}

impl Literal {
    /// Characters that need no escape.
    pub(super) fn plain(text: &str) -> Self {
        Self(text.chars().map(Piece::plain).collect())
    }

    /// The characters it stands for; half a pair is no character and becomes U+FFFD.
    pub(super) fn value(&self) -> String {
        let units = self.0.iter().flat_map(|piece| piece.units.iter().copied());
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    }

    /// The literal with its quotes; `sound` has `\ufffd` in the place of half a pair.
    fn source(&self, sound: bool) -> String {
        let mut text = String::from('"');
        let mut pieces = self.0.iter().peekable();
        while let Some(piece) = pieces.next() {
            let second = |next: &&Piece| next.is_half(0xDC00..=0xDFFF);
            if piece.is_half(0xD800..=0xDBFF)
                && let Some(next) = pieces.next_if(second)
            {
                text.push_str(&piece.source);
                text.push_str(&next.source);
            } else if sound && piece.is_half(0xD800..=0xDFFF) {
                text.push_str("\\ufffd");
            } else {
                text.push_str(&piece.source);
            }
        }
        text.push('"');
        text
    }
}

impl Json {
    /// A string of characters that need no escape.
    pub(super) fn text(text: &str) -> Self {
        Self::Text(Literal::plain(text))
    }

    /// The value as it is written.
    pub(super) fn source(&self) -> String {
        self.write(false)
    }

    /// The same with half pairs of surrogates replaced, for readers that refuse them.
    pub(super) fn sound_source(&self) -> String {
        self.write(true)
    }

    fn write(&self, sound: bool) -> String {
        match self {
            Self::Bare(text) => text.clone(),
            Self::Text(literal) => literal.source(sound),
            Self::List(values, gap) => {
                let values: Vec<_> = values.iter().map(|value| value.write(sound)).collect();
                format!("[{gap}{}{gap}]", values.join(&format!("{gap},{gap}")))
            }
            Self::Object(members, gap) => {
                let member = |(name, value): &(Literal, Self)| {
                    format!("{}{gap}:{gap}{}", name.source(sound), value.write(sound))
                };
                let members: Vec<_> = members.iter().map(member).collect();
                format!("{{{gap}{}{gap}}}", members.join(&format!("{gap},{gap}")))
            }
            Self::Deep(depth) => format!("{}{}", "[".repeat(*depth), "]".repeat(*depth)),
        }
    }
}
