//! What the documentation promises of a value, in the plainest code there is.

use std::collections::BTreeMap;

use ingest::table::{Kind, TableSpec};

use super::generate::ISO;
use super::written::Json;
use crate::support::tables::seconds;

/// What must be found of a row.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// The declared columns as text; moments as epoch seconds.
    pub(super) columns: BTreeMap<String, Option<String>>,
    /// Dotted paths and original texts of what no column took, in the order of the row.
    pub(super) extra: Vec<(String, String)>,
}

/// Reads a row by the declaration of its table.
pub(super) fn expect(table: &TableSpec, row: &Json) -> Expected {
    let mut found = BTreeMap::new();
    let mut extra = Vec::new();
    object(table, &[], row, &mut found, &mut extra);
    let columns = table.columns.iter().map(|column| {
        let value = found.remove(column.path).flatten();
        (column.path.replace('.', "_"), value)
    });
    Expected { columns: columns.collect(), extra }
}

fn object(
    table: &TableSpec,
    above: &[String],
    value: &Json,
    found: &mut BTreeMap<&'static str, Option<String>>,
    extra: &mut Vec<(String, String)>,
) {
    let Json::Object(members, _) = value else { panic!("not an object") };
    for (name, value) in members {
        let mut keys = above.to_vec();
        keys.push(name.value());
        let mut kept = || extra.push((keys.join("."), value.sound_source()));
        // A name with a dot in it is one key and leads nowhere.
        let column =
            table.columns.iter().find(|column| column.path.split('.').eq(keys.iter().map(String::as_str)));
        let leads_to_columns = table.columns.iter().any(|column| {
            let path: Vec<&str> = column.path.split('.').collect();
            path.len() > keys.len() && path.iter().zip(&keys).all(|(part, key)| part == key)
        });
        match column {
            // The first of repeated fields counts, also when it holds nothing.
            Some(column) if found.contains_key(column.path) => kept(),
            Some(column) => {
                let reading = read(column.kind, value);
                if reading == Err(DoesNotFit) {
                    kept();
                }
                found.insert(column.path, reading.unwrap_or_default());
            }
            None if leads_to_columns => match value {
                Json::Object(..) => object(table, &keys, value, found, extra),
                Json::Bare(text) if text == "null" => {}
                _ => kept(),
            },
            None => kept(),
        }
    }
}

/// Why a column stays empty although there is a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DoesNotFit;

/// What a value means for a kind of column; `None` for nothing.
pub(super) fn read(kind: Kind, value: &Json) -> Result<Option<String>, DoesNotFit> {
    if matches!(value, Json::Bare(text) if text == "null") {
        return Ok(None);
    }
    if kind == Kind::Json {
        return Ok(Some(value.sound_source()));
    }
    let text = match value {
        Json::Bare(text) => text.clone(),
        Json::Text(literal) => literal.value(),
        Json::List(..) | Json::Object(..) | Json::Deep(_) => return Err(DoesNotFit),
    };
    let fitting = match kind {
        Kind::Text => Some(text),
        Kind::Word(spellings) => {
            let stored = spellings.iter().find(|(word, _)| *word == text).map(|(_, stored)| *stored);
            Some(stored.map_or(text, str::to_owned))
        }
        Kind::Body => return Ok((!text.is_empty()).then_some(text)),
        Kind::Reference => return Ok((text != "0" && !text.is_empty()).then_some(text)),
        Kind::Boolean => matches!(&*text, "true" | "false").then_some(text),
        Kind::Integer => integer(&text),
        Kind::Timestamp => moment(&text),
        Kind::Float | Kind::Json => unreachable!("no column of the tables tried here"),
    };
    fitting.map(Some).ok_or(DoesNotFit)
}

struct Decimal {
    is_negative: bool,
    whole: i128,
    fraction: String,
}

/// Digits, with a sign and a fraction perhaps, and nothing else. An exponent is not read.
fn decimal(text: &str) -> Option<Decimal> {
    let text = text.trim();
    let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || whole.len() > 30 {
        return None;
    }
    Some(Decimal { is_negative, whole: whole.parse().ok()?, fraction: fraction.to_owned() })
}

/// A whole number of 64 bits; a fraction may only be zero.
fn integer(text: &str) -> Option<String> {
    let Decimal { is_negative, whole, fraction } = decimal(text)?;
    let value = i64::try_from(if is_negative { -whole } else { whole }).ok()?;
    fraction.bytes().all(|digit| digit == b'0').then(|| value.to_string())
}

/// Epoch seconds or ISO 8601, cut to microseconds, in the years 0001 to 9999.
fn moment(text: &str) -> Option<String> {
    let micros = if let Some((_, micros)) = ISO.iter().find(|(iso, _)| *iso == text) {
        i128::from(*micros)
    } else {
        let Decimal { is_negative, whole, fraction } = decimal(text)?;
        let six: String = fraction.chars().chain("000000".chars()).take(6).collect();
        let micros = whole * 1_000_000 + six.parse::<i128>().ok()?;
        if is_negative { -micros } else { micros }
    };
    let years = -62_135_596_800_000_000..253_402_300_800_000_000;
    years.contains(&micros).then(|| seconds(i64::try_from(micros).expect("within the years")))
}
