//! Values from JSON through Arrow into DuckDB and back.
//!
//! Rows of any shape are written as text, and an oracle that follows the documentation of the kinds of
//! columns says what must be found. The oracle shares no code with the decoder.

mod generate;
mod oracle;
mod written;

use std::collections::BTreeMap;
use std::fmt;

use ingest::table::{DELETED_AT, EXTRA, INGESTED_AT, Kind, MERGED_INTO, PARTS_TOTAL, PARTS_TRUNCATED};
use proptest::prelude::*;
use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::support::tables::{InDuckDb, InParquet, Subject, Target, pass, tally, target, upsert};
use oracle::{DoesNotFit, Expected};
use written::{Json, Literal};

fn list(rows: &[Json]) -> String {
    format!("[{}]", rows.iter().map(Json::source).collect::<Vec<_>>().join(", "))
}

/// Writes the rows in two commits, since the first takes another way than those that find rows, and then
/// all of them again.
fn comes_back(target: &Target, rows: &[Json]) {
    let mut file = InDuckDb::fresh();
    comes_back_from(&mut file, target, rows);
    readable(&mut file, target, rows);
    comes_back_from(&mut InParquet::fresh(), target, rows);
}

fn comes_back_from(subject: &mut dyn Subject, target: &Target, rows: &[Json]) {
    let (first, second) = rows.split_at(rows.len() / 2);
    subject.commit(upsert(target, pass(1), &list(first)));
    subject.commit(upsert(target, pass(1), &list(second)));
    let again = subject.commit(upsert(target, pass(2), &list(rows)));
    assert_eq!(tally(&again), format!("{0} unchanged, {0} live", rows.len()));

    let key = |row: &BTreeMap<String, Option<String>>| {
        target.table.key.iter().map(|part| row[part.name].clone()).collect::<Vec<_>>()
    };
    let mut found: BTreeMap<_, _> =
        subject.rows(target).unwrap().into_iter().map(|row| (key(&row), row)).collect();
    for row in rows {
        let Expected { columns, extra } = oracle::expect(target.table, row);
        let mut stored =
            found.remove(&key(&columns)).unwrap_or_else(|| panic!("no row for {}", row.source()));
        assert_eq!(stored.remove(INGESTED_AT), Some(Some("1000".into())));
        // Not of the row: nothing was said about it.
        for column in [DELETED_AT, MERGED_INTO, PARTS_TRUNCATED, PARTS_TOTAL] {
            assert_eq!(stored.remove(column).flatten(), None, "{column}");
        }
        let stored_extra = stored.remove(EXTRA).unwrap();
        assert_eq!(stored, columns, "{}", row.source());
        assert_eq!(members(stored_extra.as_deref()), extra, "{}", row.source());
    }
    assert!(found.is_empty(), "{found:?}");
}

/// An object's members with their values as they are written, in their order, repeated ones too.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, String)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            members.push((name, value.get().to_owned()));
        }
        Ok(members)
    }
}

/// What `_extra` holds; NULL is nothing.
fn members(extra: Option<&str>) -> Vec<(String, String)> {
    let Some(extra) = extra else { return Vec::new() };
    let members = serde_json::Deserializer::from_str(extra).deserialize_map(Members).expect(extra);
    assert!(!members.is_empty(), "an empty object instead of NULL");
    members
}

/// What is stored as JSON is JSON for DuckDB too, all the way down, and can be asked.
fn readable(file: &mut InDuckDb, target: &Target, rows: &[Json]) {
    let stored = target.table.stored_columns();
    let json = stored.iter().filter(|column| column.kind == Kind::Json).map(|column| &column.name);
    let refused = json.map(|name| {
        format!(
            "CASE WHEN NOT json_valid({name}) OR {name} IS NOT NULL
                   AND (json_type({name}) IS NULL OR json_extract({name}, '$') IS NULL) THEN '{name}' END"
        )
    });
    let refused = refused.collect::<Vec<_>>().join(", ");
    let table = target.table.name;
    let refused =
        file.query(&format!("SELECT concat_ws(' ', {refused}) AS names FROM crm.{table} WHERE names <> ''"));
    assert!(refused.is_empty(), "{refused:?}");
    // The names of what was kept, as DuckDB reads them.
    let mut expected: Vec<String> =
        rows.iter().flat_map(|row| oracle::expect(target.table, row).extra).map(|(name, _)| name).collect();
    let names = format!("SELECT unnest(json_keys({EXTRA})) FROM crm.{table}");
    let mut names: Vec<String> =
        file.query(&names).into_iter().map(|mut row| row.remove(0).unwrap()).collect();
    expected.sort();
    names.sort();
    assert_eq!(names, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn contacts_come_back_as_they_were_written(rows in generate::rows("contacts")) {
        comes_back(&target("contacts"), &rows);
    }

    #[test]
    fn conversations_come_back_as_they_were_written(rows in generate::rows("conversations")) {
        comes_back(&target("conversations"), &rows);
    }

    #[test]
    fn tickets_come_back_as_they_were_written(rows in generate::rows("tickets")) {
        comes_back(&target("tickets"), &rows);
    }

    #[test]
    fn data_attributes_come_back_as_they_were_written(rows in generate::rows("data_attributes")) {
        comes_back(&target("data_attributes"), &rows);
    }
}

/// Chance finds the edges of a kind too seldom: here each meets every kind of column.
#[test]
fn every_edge_fits_its_column_or_is_kept() {
    for (table, paths) in [
        ("contacts", &["name", "owner_id", "has_hard_bounced", "created_at", "custom_attributes"][..]),
        ("conversations", &["source.body", "statistics.count_reopens", "source.author.is_ai_answer"]),
    ] {
        let mut rows = Vec::new();
        for path in paths {
            for edge in generate::edges() {
                let nested = path
                    .rsplit('.')
                    .fold(edge, |value, name| Json::Object(vec![(Literal::plain(name), value)], ""));
                let Json::Object(mut members, gap) = nested else { unreachable!() };
                members.push((Literal::plain("id"), Json::Bare(rows.len().to_string())));
                rows.push(Json::Object(members, gap));
            }
        }
        comes_back(&target(table), &rows);
    }
}

/// Where API versions put a value elsewhere, and what becomes of what stands in both places.
#[test]
fn a_value_in_another_place_is_taken_or_kept_but_never_lost() {
    for (table, row, columns, extra) in [
        ("data_attributes", r#""model":"contact","name":"a","full_name":"b""#, "- contact a b", "-"),
        ("data_attributes", r#""type":"t","model":"contact","name":"a""#, "t contact a a", "-"),
        (
            "data_attributes",
            r#""type":"conversation_attribute","name":"a","model":null,"full_name":null"#,
            "conversation_attribute conversation a a",
            "-",
        ),
        ("data_attributes", r#""name":null,"name":"a","model":"m","name":"b""#, "- m a a", r#"{"name":"b"}"#),
        ("tickets", r#""id":1,"ticket_state":"submitted""#, "- submitted - -", "-"),
        ("tickets", r#""id":1,"ticket_state":{"category":"c","id":2}"#, "2 c - -", "-"),
        (
            "tickets",
            r#""id":1,"ticket_state":"a","ticket_state":{"category":"c"}"#,
            "- c - -",
            r#"{"ticket_state":"a"}"#,
        ),
        ("tickets", r#""id":1,"ticket_state":[1]"#, "- - - -", r#"{"ticket_state":[1]}"#),
        ("tickets", r#""id":1,"ticket_state":null,"ticket_state_internal_label":"i""#, "- - i -", "-"),
        (
            "tickets",
            r#""id":1,"ticket_state_internal_label":"i","ticket_state":{"internal_label":"i"}"#,
            "- - i -",
            "-",
        ),
        (
            "tickets",
            r#""id":1,"ticket_state_external_label":"e","ticket_state":{"external_label":"f"}"#,
            "- - - f",
            r#"{"ticket_state_external_label":"e"}"#,
        ),
    ] {
        let mut file = InDuckDb::fresh();
        let subject: &mut dyn Subject = &mut file;
        let target = target(table);
        subject.commit(upsert(&target, pass(1), &format!("[{{{row}}}]")));
        let names = match table {
            "tickets" => {
                "ticket_state_id ticket_state_category ticket_state_internal_label ticket_state_external_label"
            }
            _ => "type model name full_name",
        };
        assert_eq!(subject.see(&target, names), [columns], "{row}");
        assert_eq!(subject.see(&target, EXTRA), [extra], "{row}");
    }
}

/// The oracle is code too: what it says of plain cases is written out here.
#[test]
fn the_oracle_reads_plain_values_plainly() {
    use Kind::{Body, Boolean, Integer, Reference, Text, Timestamp};
    let fits = |text: &str| Ok(Some(text.to_owned()));
    for (kind, raw, expected) in [
        (Text, r#""a""#, fits("a")),
        (Text, "1.50", fits("1.50")),
        (Text, "true", fits("true")),
        (Text, "null", Ok(None)),
        (Text, "[]", Err(DoesNotFit)),
        (Body, r#""""#, Ok(None)),
        (Reference, "0", Ok(None)),
        (Reference, "10", fits("10")),
        (Integer, r#""12""#, fits("12")),
        (Integer, "12.00", fits("12")),
        (Integer, "12.5", Err(DoesNotFit)),
        (Integer, "9223372036854775808", Err(DoesNotFit)),
        (Boolean, "true", fits("true")),
        (Boolean, "1", Err(DoesNotFit)),
        (Timestamp, "1571672154.25", fits("1571672154.25")),
        (Timestamp, r#""1571672154""#, fits("1571672154")),
        (Timestamp, r#""2019-10-21T15:35:54Z""#, fits("1571672154")),
        (Timestamp, r#""9999-12-31T23:59:59.999999Z""#, fits("253402300799.999999")),
        (Timestamp, "253402300800", Err(DoesNotFit)),
        (Timestamp, "-62135596800.5", Err(DoesNotFit)),
        (Timestamp, r#""soon""#, Err(DoesNotFit)),
    ] {
        let value = if let Some(text) = raw.strip_prefix('"') {
            Json::text(text.strip_suffix('"').unwrap())
        } else if raw == "[]" {
            Json::List(Vec::new(), "")
        } else {
            Json::Bare(raw.into())
        };
        assert_eq!(oracle::read(kind, &value), expected, "{kind:?} {raw}");
    }
}
