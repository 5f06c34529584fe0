//! The query language of searches: `{field, operator, value}` and groups of them joined by AND or OR.
//!
//! Everything is checked while it is read: field, operator for that field's type, JSON type of the value, depth
//! and size of groups. What is left is a [`Filter`] that only has to be asked about rows.

use std::ops::Range;

use jiff::tz::TimeZone;
use serde_json::Value;

use super::day;
use super::errors::ApiError;
use super::fields::{FieldKind, Path, Subject};
use super::probe::Probe;
use super::settings::Comparison;

/// Filters one AND or OR may join.
const MAX_FILTERS: usize = 15;
/// Groups inside each other, the outermost included.
const MAX_DEPTH: usize = 2;

/// An operator, as far as it decides anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Equal,
    NotEqual,
    In,
    NotIn,
    Greater,
    Lower,
    GreaterOrEqual,
    LowerOrEqual,
    Contains,
    NotContains,
    StartsWith,
    EndsWith,
}

impl Op {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "=" => Self::Equal,
            "!=" => Self::NotEqual,
            "IN" => Self::In,
            "NIN" => Self::NotIn,
            ">" => Self::Greater,
            "<" => Self::Lower,
            ">=" => Self::GreaterOrEqual,
            "<=" => Self::LowerOrEqual,
            "~" => Self::Contains,
            "!~" => Self::NotContains,
            "^" => Self::StartsWith,
            "$" => Self::EndsWith,
            _ => return None,
        })
    }

    /// Matches what the operator without the negation does not.
    fn negates(self) -> bool {
        matches!(self, Self::NotEqual | Self::NotIn | Self::NotContains)
    }

    fn orders(self) -> bool {
        matches!(self, Self::Greater | Self::Lower | Self::GreaterOrEqual | Self::LowerOrEqual)
    }

    fn takes_list(self) -> bool {
        matches!(self, Self::In | Self::NotIn)
    }

    fn for_kind(self, kind: FieldKind, by_day: bool) -> bool {
        let equality = matches!(self, Self::Equal | Self::NotEqual);
        match kind {
            FieldKind::Date if by_day => matches!(self, Self::Equal | Self::Greater | Self::Lower),
            FieldKind::Tag | FieldKind::Segment => equality,
            FieldKind::Flag | FieldKind::Category => equality || self.takes_list(),
            FieldKind::Date | FieldKind::Integer => equality || self.takes_list() || self.orders(),
            FieldKind::Text | FieldKind::Words | FieldKind::Owner => !self.orders(),
        }
    }
}

/// What the workspace and the API version decide about a query.
#[derive(Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) zone: &'a TimeZone,
    pub(crate) comparison: Comparison,
    /// From 2.16 a contact's owner is text.
    pub(crate) owner_is_text: bool,
}

/// A checked query.
#[derive(Debug)]
pub(crate) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    One { path: Path, test: Test },
}

/// What is asked of one field. A row without the value only passes a negated test, and never one about dates.
#[derive(Debug)]
pub(crate) enum Test {
    Seconds { matched: Vec<Range<i64>>, negated: bool },
    Number { op: Op, values: Vec<f64> },
    Text { op: Op, values: Vec<String> },
    Words { op: Op, words: Vec<String> },
    Flag { op: Op, values: Vec<bool> },
    Tag { op: Op, ids: Vec<String> },
    Segment { op: Op, ids: Vec<String> },
}

impl Filter {
    /// Reads `query` as a search of `subject`.
    pub(crate) fn read(query: &Value, subject: &Subject, rules: &Rules<'_>) -> Result<Self, ApiError> {
        Self::read_at(query, subject, rules, 1)
    }

    fn read_at(query: &Value, subject: &Subject, rules: &Rules<'_>, depth: usize) -> Result<Self, ApiError> {
        let Some(members) = query.as_object() else {
            return Err(ApiError::invalid("a filter must be an object"));
        };
        let operator = members.get("operator").and_then(Value::as_str).unwrap_or_default();
        let value = members.get("value").ok_or_else(|| ApiError::invalid("value is a required parameter"))?;
        if !matches!(operator, "AND" | "OR") {
            let name = members.get("field").and_then(Value::as_str);
            let name = name.ok_or_else(|| ApiError::invalid("field is a required parameter"))?;
            return Self::read_one(name, operator, value, subject, rules);
        }
        if members.contains_key("field") {
            return Err(ApiError::invalid("a group has no field"));
        }
        if depth > MAX_DEPTH {
            return Err(ApiError::invalid(format!("filters nested deeper than {MAX_DEPTH} levels")));
        }
        let parts = value.as_array().ok_or_else(|| ApiError::invalid("value of a group must be an array"))?;
        if parts.is_empty() || parts.len() > MAX_FILTERS {
            return Err(ApiError::invalid(format!("a group joins 1 to {MAX_FILTERS} filters")));
        }
        let parts = parts
            .iter()
            .map(|part| Self::read_at(part, subject, rules, depth + 1))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(if operator == "AND" { Self::All(parts) } else { Self::Any(parts) })
    }

    fn read_one(
        name: &str,
        operator: &str,
        value: &Value,
        subject: &Subject,
        rules: &Rules<'_>,
    ) -> Result<Self, ApiError> {
        let (kind, path) = subject.find(name).ok_or_else(|| ApiError::field(name))?;
        let kind = match kind {
            FieldKind::Owner if !rules.owner_is_text => FieldKind::Integer,
            other => other,
        };
        let op = Op::read(operator)
            .filter(|op| op.for_kind(kind, subject.by_day))
            .ok_or_else(|| ApiError::invalid(format!("operator '{operator}' is not valid for {name}")))?;
        let wrong_type = || ApiError::invalid(format!("value of {name} has the wrong type"));
        let values = if op.takes_list() {
            value.as_array().filter(|list| !list.is_empty()).ok_or_else(wrong_type)?.iter().collect()
        } else {
            vec![value]
        };
        let test = match kind {
            FieldKind::Date => Self::dates(op, &values, subject.by_day, rules),
            FieldKind::Integer => all(&values, integer).map(|values| Test::Number { op, values }),
            FieldKind::Text | FieldKind::Owner => all(&values, text).map(|values| Test::Text { op, values }),
            FieldKind::Category => all(&values, category).map(|values| Test::Text { op, values }),
            FieldKind::Words => all(&values, |value| text(value).map(|word| word.to_lowercase()))
                .map(|words| Test::Words { op, words }),
            FieldKind::Flag => all(&values, Value::as_bool).map(|values| Test::Flag { op, values }),
            FieldKind::Tag => all(&values, text).map(|ids| Test::Tag { op, ids }),
            FieldKind::Segment => all(&values, text).map(|ids| Test::Segment { op, ids }),
        };
        Ok(Self::One { path, test: test.ok_or_else(wrong_type)? })
    }

    fn dates(op: Op, values: &[&Value], by_day: bool, rules: &Rules<'_>) -> Option<Test> {
        let matched = all(values, |value| {
            let second = value.as_i64()?;
            if by_day {
                day::matched_seconds(op, second, rules.zone)
            } else {
                Some(compared_seconds(op, second, rules.comparison))
            }
        })?;
        Some(Test::Seconds { matched, negated: op.negates() })
    }

    /// The seconds between which the date at `path` has to lie, if the filter asks for nothing else.
    pub(crate) fn span(&self, path: &Path) -> Option<Range<i64>> {
        match self {
            Self::One { path: asked, test: Test::Seconds { matched, negated: false } } if asked == path => {
                match matched.as_slice() {
                    [range] => Some(range.clone()),
                    _ => None,
                }
            }
            Self::All(parts) => parts.iter().try_fold(i64::MIN..i64::MAX, |all, part| {
                let part = part.span(path)?;
                Some(all.start.max(part.start)..all.end.min(part.end))
            }),
            _ => None,
        }
    }

    /// Whether the row is wanted.
    pub(crate) fn accepts(&self, row: &Probe<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.accepts(row)),
            Self::Any(parts) => parts.iter().any(|part| part.accepts(row)),
            Self::One { path, test } => test.accepts(row, path),
        }
    }
}

/// The seconds matched where dates are compared by second.
fn compared_seconds(op: Op, value: i64, comparison: Comparison) -> Range<i64> {
    let next = value.saturating_add(1);
    let inclusive = comparison == Comparison::Inclusive;
    match op {
        Op::Greater if !inclusive => next..i64::MAX,
        Op::Greater | Op::GreaterOrEqual => value..i64::MAX,
        Op::Lower if !inclusive => i64::MIN..value,
        Op::Lower | Op::LowerOrEqual => i64::MIN..next,
        _ => value..next,
    }
}

impl Test {
    fn accepts(&self, row: &Probe<'_>, path: &Path) -> bool {
        match self {
            Self::Seconds { matched, negated } => row
                .second(path)
                .is_some_and(|second| matched.iter().any(|range| range.contains(&second)) != *negated),
            Self::Number { op, values } => either(*op, &row.values(path), |found| {
                found.as_f64().is_some_and(|found| values.iter().any(|value| op.holds(found, *value)))
            }),
            Self::Text { op, values } => either(*op, &row.values(path), |found| {
                Probe::text(found)
                    .is_some_and(|found| values.iter().any(|value| op.holds_text(&found, value)))
            }),
            Self::Words { op, words } => either(*op, &row.values(path), |found| {
                let found = Probe::text(found).unwrap_or_default().to_lowercase();
                let mut parts = found.split(|c: char| !c.is_alphanumeric());
                parts.any(|part| words.iter().any(|word| word == part))
            }),
            Self::Flag { op, values } => either(*op, &row.values(path), |found| {
                found.as_bool().is_some_and(|found| values.contains(&found))
            }),
            Self::Tag { op, ids } => {
                row.tags().iter().any(|tag| ids.iter().any(|id| **tag == **id)) != op.negates()
            }
            Self::Segment { op, ids } => {
                row.segments().iter().any(|segment| ids.iter().any(|id| **segment == **id)) != op.negates()
            }
        }
    }
}

impl Op {
    fn holds(self, found: f64, value: f64) -> bool {
        match self {
            Self::Greater => found > value,
            Self::Lower => found < value,
            Self::GreaterOrEqual => found >= value,
            Self::LowerOrEqual => found <= value,
            _ => found.total_cmp(&value).is_eq(),
        }
    }

    fn holds_text(self, found: &str, value: &str) -> bool {
        match self {
            Self::Contains | Self::NotContains => found.to_lowercase().contains(&value.to_lowercase()),
            Self::StartsWith => found.to_lowercase().starts_with(&value.to_lowercase()),
            Self::EndsWith => found.to_lowercase().ends_with(&value.to_lowercase()),
            _ => found == value,
        }
    }
}

/// Whether any value passes; for a negating operator, whether none does.
fn either(op: Op, values: &[&Value], passes: impl Fn(&Value) -> bool) -> bool {
    values.iter().any(|value| passes(value)) != op.negates()
}

fn all<T>(values: &[&Value], read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    values.iter().map(|value| read(value)).collect()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The category as rows show it.
fn category(value: &Value) -> Option<String> {
    let shown = match value.as_str()? {
        "request" => "Customer",
        "task" => "Back-office",
        "tracker" => "Tracker",
        _ => return None,
    };
    Some(shown.to_owned())
}

fn integer(value: &Value) -> Option<f64> {
    value.as_i64()?;
    value.as_f64()
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
