//! What the documentation promises of a value, in the plainest code there is.

use std::collections::BTreeMap;

use ingest::table::{Column, Kind, TableSpec};

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
pub(super) fn expect(table: &'static TableSpec, row: &Json) -> Expected {
    let mut reading = Reading { table, found: BTreeMap::new(), extra: Vec::new(), aside: Vec::new() };
    reading.object(&[], row);
    reading.fall_back();
    let Reading { mut found, extra, .. } = reading;
    let columns = table.columns.iter().map(|column| {
        let name = column.name();
        let value = found.remove(&name).flatten();
        (name, value)
    });
    Expected { columns: columns.collect(), extra }
}

struct Reading {
    table: &'static TableSpec,
    /// What was found for columns, if only that it does not fit.
    found: BTreeMap<String, Option<String>>,
    extra: Vec<(String, String)>,
    /// Values for columns that may find none of their own, with the paths of those that no other column takes.
    aside: Vec<(&'static Column, Json, Option<String>)>,
}

impl Reading {
    fn object(&mut self, above: &[String], value: &Json) {
        let Json::Object(members, _) = value else { panic!("not an object") };
        for (name, value) in members {
            let mut keys = above.to_vec();
            keys.push(name.value());
            self.member(&keys, value);
        }
    }

    fn member(&mut self, keys: &[String], value: &Json) {
        // A name with a dot in it is one key and leads nowhere.
        let is_here = |place: &str| place.split('.').eq(keys.iter().map(String::as_str));
        let is_inside = |place: &&str| {
            let place: Vec<&str> = place.split('.').collect();
            place.len() > keys.len() && place.iter().zip(keys).all(|(part, key)| part == key)
        };
        let path = keys.join(".");
        let columns = self.table.columns;
        let own = columns.iter().find(|column| is_here(column.path));
        let fallback_of: Vec<_> =
            columns.iter().filter(|column| column.also_at.iter().any(|place| is_here(place))).collect();
        let is_elsewhere = self.table.elsewhere.iter().any(|place| is_here(place));
        if super::generate::places(self.table).any(|(place, _)| is_inside(&place)) {
            match value {
                Json::Object(..) => return self.object(keys, value),
                value if is_null(value) => return,
                _ => {}
            }
        }
        if own.is_none() && fallback_of.is_empty() && !is_elsewhere {
            self.extra.push((path, value.sound_source()));
            return;
        }
        // Null takes no column, and there is nothing of it to keep.
        if is_null(value) {
            return;
        }
        if let Some(column) = own {
            let reading = read(column.kind, value);
            // The first of repeated fields counts.
            let is_repeated = self.found.contains_key(&column.name());
            if is_repeated || reading == Err(DoesNotFit) {
                self.extra.push((path.clone(), value.sound_source()));
            }
            if !is_repeated {
                self.found.insert(column.name(), reading.unwrap_or_default());
            }
        }
        let path = own.is_none().then_some(path);
        self.aside.extend(fallback_of.into_iter().map(|column| (column, value.clone(), path.clone())));
    }

    /// What was put aside counts where nothing else was found; what says something else is not lost.
    fn fall_back(&mut self) {
        for (column, value, path) in std::mem::take(&mut self.aside) {
            let reading = read(column.kind, &value);
            let is_said = match self.found.get(&column.name()) {
                Some(found) => reading == Ok(Some(found.clone().unwrap_or_default())),
                None => reading.is_ok(),
            };
            self.found.entry(column.name()).or_insert_with(|| reading.unwrap_or_default());
            if let Some(path) = path.filter(|_| !is_said) {
                self.extra.push((path, value.sound_source()));
            }
        }
    }
}

fn is_null(value: &Json) -> bool {
    matches!(value, Json::Bare(text) if text == "null")
}

/// Why a column stays empty although there is a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DoesNotFit;

/// What a value means for a kind of column; `None` for nothing.
pub(super) fn read(kind: Kind, value: &Json) -> Result<Option<String>, DoesNotFit> {
    if is_null(value) {
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
