//! One JSON value, still text, read for one kind of column. Pure; see the tables of cases below.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;

use super::json_text;
use super::scan::Raw;

/// What a value means for a column of some kind.
#[derive(Debug, PartialEq)]
pub(super) enum Reading<T> {
    /// JSON null, or what the kind counts as nothing.
    Null,
    /// A value that fits.
    Value(T),
    /// A value that does not fit; its original belongs into `_extra`.
    Misfit,
}

const MICROS: i64 = 1_000_000;
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
/// 0001-01-01T00:00:00Z to the last microsecond of 9999. Later moments load into DuckDB and fail when they
/// are read.
const YEARS: RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// Text: strings as they are; numbers and booleans by their digits and words.
pub(super) fn text(raw: Raw<'_>) -> Reading<Cow<'_, str>> {
    match raw.text.as_bytes().first() {
        Some(b'"') => json_text::unquote(raw).map_or(Reading::Misfit, Reading::Value),
        Some(b'n') => Reading::Null,
        Some(b'{' | b'[') | None => Reading::Misfit,
        Some(_) => Reading::Value(Cow::Borrowed(raw.text)),
    }
}

/// Text that means nothing when empty.
pub(super) fn body(raw: Raw<'_>) -> Reading<Cow<'_, str>> {
    match text(raw) {
        Reading::Value(value) if value.is_empty() => Reading::Null,
        reading => reading,
    }
}

/// The id of another object: 0, "0" and "" mean that there is none.
pub(super) fn reference(raw: Raw<'_>) -> Reading<Cow<'_, str>> {
    match text(raw) {
        Reading::Value(value) if value.is_empty() || value == "0" => Reading::Null,
        reading => reading,
    }
}

/// Text out of a vocabulary: what is stored for a word in `spellings`, and any other word as it is.
pub(super) fn word<'r>(raw: Raw<'r>, spellings: &[(&str, &'static str)]) -> Reading<Cow<'r, str>> {
    match text(raw) {
        Reading::Value(value) => match spellings.iter().find(|(said, _)| *said == value) {
            Some((_, stored)) => Reading::Value(Cow::Borrowed(stored)),
            None => Reading::Value(value),
        },
        reading => reading,
    }
}

/// A JSON value as its own text.
pub(super) fn json(raw: Raw<'_>) -> Reading<Cow<'_, str>> {
    if raw.text == "null" { Reading::Null } else { Reading::Value(json_text::without_lone_surrogates(raw)) }
}

/// A whole number of 64 bits, written as a number or as text, with a fraction only if it is zero.
pub(super) fn integer(raw: Raw<'_>) -> Reading<i64> {
    read_number(raw, |digits| {
        digits.parse().ok().or_else(|| {
            let (whole, fraction) = digits.split_once('.')?;
            let is_zero = !fraction.is_empty() && fraction.bytes().all(|b| b == b'0');
            if is_zero { whole.parse().ok() } else { None }
        })
    })
}

/// A double, written as a number or as text.
pub(super) fn float(raw: Raw<'_>) -> Reading<f64> {
    read_number(raw, |digits| {
        let numeric = digits.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        digits.parse::<f64>().ok().filter(|value| numeric && value.is_finite())
    })
}

/// A boolean, also as the words "true" and "false".
pub(super) fn boolean(raw: Raw<'_>) -> Reading<bool> {
    match raw.text {
        "true" | "\"true\"" => Reading::Value(true),
        "false" | "\"false\"" => Reading::Value(false),
        "null" => Reading::Null,
        _ => Reading::Misfit,
    }
}

/// Microseconds since the epoch, from epoch seconds (number or text) or ISO 8601 text with an offset.
pub(super) fn timestamp(raw: Raw<'_>) -> Reading<i64> {
    match read_number(raw, epoch_micros) {
        Reading::Misfit => {}
        reading => return reading,
    }
    let moment = json_text::unquote(raw).and_then(|text| iso_micros(&text));
    moment.map_or(Reading::Misfit, Reading::Value)
}

/// Applies `parse` to the digits of a number or of a string that holds one.
fn read_number<T>(raw: Raw<'_>, parse: impl Fn(&str) -> Option<T>) -> Reading<T> {
    match raw.text.as_bytes().first() {
        Some(b'n') => Reading::Null,
        Some(b'"') => {
            let digits = json_text::unquote(raw);
            digits.and_then(|digits| parse(digits.trim())).map_or(Reading::Misfit, Reading::Value)
        }
        Some(b'-' | b'0'..=b'9') => parse(raw.text).map_or(Reading::Misfit, Reading::Value),
        _ => Reading::Misfit,
    }
}

/// Epoch seconds in decimal digits, to the microsecond, within the years 0001 to 9999.
fn epoch_micros(digits: &str) -> Option<i64> {
    let in_years = |moment: &i64| YEARS.contains(moment);
    if let Ok(seconds) = digits.parse::<i64>() {
        return seconds.checked_mul(MICROS).filter(in_years);
    }
    let (whole, fraction) = digits.split_once('.')?;
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut micros: i64 = 0;
    for place in 0..6 {
        let digit = fraction.as_bytes().get(place).map_or(0, |b| i64::from(b - b'0'));
        micros = micros * 10 + digit;
    }
    let signed = if whole.starts_with('-') { -micros } else { micros };
    seconds.checked_mul(MICROS)?.checked_add(signed).filter(in_years)
}

/// ISO 8601 text with an offset, to the microsecond, within the years 0001 to 9999. Read piece by piece,
/// since jiff's `Timestamp` ends a day before the year 9999 does.
fn iso_micros(text: &str) -> Option<i64> {
    let pieces = Pieces::parse(text).ok()?;
    let local = pieces.date().to_datetime(pieces.time()?).duration_since(EPOCH);
    let moment =
        local.checked_sub(SignedDuration::from_secs(pieces.to_numeric_offset()?.seconds().into()))?;
    i64::try_from(moment.as_micros()).ok().filter(|moment| YEARS.contains(moment))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<T>(value: T) -> Reading<T> {
        Reading::Value(value)
    }

    #[test]
    fn texts() {
        let owned = |s: &'static str| value(Cow::Borrowed(s));
        for (raw, expected) in [
            (r#""a""#, owned("a")),
            (r#""""#, owned("")),
            ("12345678901234567890", owned("12345678901234567890")),
            ("1.50", owned("1.50")),
            ("true", owned("true")),
            ("null", Reading::Null),
            ("[1]", Reading::Misfit),
            ("{}", Reading::Misfit),
        ] {
            assert_eq!(text(raw.into()), expected, "{raw}");
        }
        assert_eq!(body(r#""""#.into()), Reading::Null);
        assert_eq!(reference("0".into()), Reading::Null);
        assert_eq!(reference(r#""0""#.into()), Reading::Null);
        assert_eq!(reference("123".into()), owned("123"));
        let spellings = [("none", "not_priority")];
        assert_eq!(word(r#""none""#.into(), &spellings), owned("not_priority"));
        assert_eq!(word(r#""urgent""#.into(), &spellings), owned("urgent"));
    }

    #[test]
    fn integers() {
        for (raw, expected) in [
            ("12", value(12)),
            ("-12", value(-12)),
            (r#""12""#, value(12)),
            (r#"" 12 ""#, value(12)),
            ("12.0", value(12)),
            ("9223372036854775807", value(i64::MAX)),
            ("-9223372036854775808", value(i64::MIN)),
            ("9223372036854775808", Reading::Misfit),
            ("12345678901234567890", Reading::Misfit),
            ("12.5", Reading::Misfit),
            ("1e3", Reading::Misfit),
            (r#""twelve""#, Reading::Misfit),
            (r#""""#, Reading::Misfit),
            ("true", Reading::Misfit),
            ("[]", Reading::Misfit),
            ("null", Reading::Null),
        ] {
            assert_eq!(integer(raw.into()), expected, "{raw}");
        }
    }

    #[test]
    fn floats_and_booleans() {
        assert_eq!(float("1.25".into()), value(1.25));
        assert_eq!(float(r#""-2e3""#.into()), value(-2000.0));
        assert_eq!(float("1e999".into()), Reading::Misfit);
        assert_eq!(float(r#""inf""#.into()), Reading::Misfit);
        assert_eq!(boolean("true".into()), value(true));
        assert_eq!(boolean(r#""false""#.into()), value(false));
        assert_eq!(boolean("1".into()), Reading::Misfit);
    }

    #[test]
    fn timestamps() {
        for (raw, expected) in [
            ("0", value(0)),
            ("1571672154", value(1_571_672_154_000_000)),
            (r#""1571672154""#, value(1_571_672_154_000_000)),
            ("1571672154.25", value(1_571_672_154_250_000)),
            ("1571672154.1234567", value(1_571_672_154_123_456)),
            ("-1.5", value(-1_500_000)),
            ("-0.5", value(-500_000)),
            (r#""2019-10-21T15:35:54Z""#, value(1_571_672_154_000_000)),
            (r#""2019-10-21T17:35:54.5+02:00""#, value(1_571_672_154_500_000)),
            ("253402300799", value(253_402_300_799_000_000)),
            (r#""9999-12-31T23:59:59.9999999Z""#, value(253_402_300_799_999_999)),
            (r#""9999-12-31T23:59:59-00:01""#, Reading::Misfit),
            ("253402300800", Reading::Misfit),
            ("-62135596800", value(-62_135_596_800_000_000)),
            ("-62135596800.5", Reading::Misfit),
            (r#""0000-12-31T23:59:59.5Z""#, Reading::Misfit),
            ("-62135596801", Reading::Misfit),
            ("1571672154000", Reading::Misfit),
            (r#""2019-10-21""#, Reading::Misfit),
            (r#""soon""#, Reading::Misfit),
            ("true", Reading::Misfit),
            ("null", Reading::Null),
        ] {
            assert_eq!(timestamp(raw.into()), expected, "{raw}");
        }
    }
}
