//! Rows of the declared tables, whole and odd.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::TimestampMicrosecondType;

use super::*;
use crate::source::intercom::tables;

fn decode(table: &str, rows: &str) -> Result<(RecordBatch, Shape), String> {
    let spec = tables::find(table).expect("table");
    let decoder = Decoder::new(Layout::new(spec));
    let mut page = decoder.rows(8);
    page.push_list(rows).map_err(|e| e.to_string())?;
    page.finish(Timestamp::UNIX_EPOCH).map_err(|e| e.to_string())
}

fn cell<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> Option<&'a str> {
    let array = batch.column_by_name(column).expect(column).as_string::<i32>();
    array.is_valid(row).then(|| array.value(row))
}

#[test]
fn nested_scalars_get_their_own_columns_and_lists_stay_json() {
    let (batch, shape) = decode(
        "contacts",
        r#"[{"type":"contact","id":5,"location":{"type":"location","country":"Ireland"},
             "custom_attributes":{"b":12345678901234567890,"a":0.10},"created_at":1}]"#,
    )
    .unwrap();
    assert_eq!(cell(&batch, "id", 0), Some("5"));
    assert_eq!(cell(&batch, "location_country", 0), Some("Ireland"));
    assert_eq!(cell(&batch, "custom_attributes", 0), Some(r#"{"b":12345678901234567890,"a":0.10}"#));
    let created = batch.column_by_name("created_at").unwrap().as_primitive::<TimestampMicrosecondType>();
    assert_eq!(created.value(0), 1_000_000);
    assert_eq!(shape, Shape::default());
}

#[test]
fn what_no_column_takes_is_kept_and_counted() {
    let (batch, shape) = decode(
        "contacts",
        r#"[{"id":"a","new":{"x":1},"location":{"planet":"Mars"},"created_at":"soon","has_hard_bounced":[1]},
            {"id":"b","location":"Dublin","name":"x","name":"y"}]"#,
    )
    .unwrap();
    assert_eq!(
        cell(&batch, "_extra", 0),
        Some(r#"{"new":{"x":1},"location.planet":"Mars","created_at":"soon","has_hard_bounced":[1]}"#)
    );
    assert_eq!(cell(&batch, "_extra", 1), Some(r#"{"location":"Dublin","name":"y"}"#));
    assert_eq!(cell(&batch, "name", 1), Some("x"));
    let counted = |map: &BTreeMap<String, u64>| map.keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(counted(&shape.unknown), "location.planet new");
    assert_eq!(counted(&shape.misfits), "created_at has_hard_bounced location name");
}

#[test]
fn null_takes_no_column_and_another_place_only_an_empty_one() {
    for (row, expected, misfits) in [
        (r#""name":null,"name":"x""#, ["-", "x", "x", "-"], ""),
        (r#""name":"x","full_name":null"#, ["-", "x", "x", "-"], ""),
        (r#""full_name":"y","name":"x""#, ["-", "x", "y", "-"], ""),
        (r#""name":"x","name":"y""#, ["-", "x", "x", r#"{"name":"y"}"#], "name"),
        (r#""type":[1],"name":"x""#, ["-", "x", "x", r#"{"type":[1]}"#], "type"),
    ] {
        let row = format!(r#"[{{"model":"m",{row}}}]"#);
        let (batch, shape) = decode("data_attributes", &row).unwrap();
        let found = ["type", "name", "full_name", "_extra"].map(|name| cell(&batch, name, 0).unwrap_or("-"));
        assert_eq!(found, expected, "{row}");
        assert_eq!(shape.misfits.into_keys().collect::<Vec<_>>().join(" "), misfits, "{row}");
    }
}

#[test]
fn what_another_place_says_beside_a_column_is_kept_if_it_says_something_else() {
    for (row, expected, extra) in [
        (r#""ticket_state":"a""#, ["a", "-"], "-"),
        (r#""ticket_state":{"category":"a"}"#, ["a", "-"], "-"),
        (r#""ticket_state":[1]"#, ["-", "-"], r#"{"ticket_state":[1]}"#),
        (r#""ticket_state_internal_label":"x","ticket_state":{"internal_label":"x"}"#, ["-", "x"], "-"),
        (
            r#""ticket_state_internal_label":"x","ticket_state":{"internal_label":"y"}"#,
            ["-", "y"],
            r#"{"ticket_state_internal_label":"x"}"#,
        ),
    ] {
        // The row before has what this one may lack.
        let other = r#"{"id":"0","ticket_state":{"category":"z","internal_label":"z"}}"#;
        let row = format!(r#"[{other},{{"id":"1",{row}}}]"#);
        let (batch, shape) = decode("tickets", &row).unwrap();
        let found = ["ticket_state_category", "ticket_state_internal_label"]
            .map(|name| cell(&batch, name, 1).unwrap_or("-"));
        assert_eq!(found, expected, "{row}");
        assert_eq!(cell(&batch, "_extra", 1).unwrap_or("-"), extra, "{row}");
        assert_eq!(shape.misfits.len(), usize::from(extra != "-"), "{row}");
    }
}

#[test]
fn a_row_that_is_no_object_fails_the_page() {
    for (rows, message) in [
        (r#"[{"id":"a"},"b"]"#, "unexpected shape"),
        (r#"[{"id":"a"},null]"#, "unexpected shape"),
        (r#"{"id":"a"}"#, "unexpected shape"),
        (r#"[{"id":"a"}"#, "cut short"),
    ] {
        let error = decode("contacts", rows).unwrap_err();
        assert!(error.contains(message), "{rows}: {error}");
    }
}

#[test]
fn rows_without_a_key_are_kept_beside_the_others_unless_they_are_most() {
    let (batch, shape) =
        decode("contacts", r#"[{"id":"a"},{"name":"b"},{"id":{"x":1}},{"id":null},{"id":"c"}]"#).unwrap();
    assert_eq!((cell(&batch, "id", 0), cell(&batch, "id", 1), batch.num_rows()), (Some("a"), Some("c"), 2));
    let kept = shape.keyless.kept.iter().map(|reject| format!("{} {}", reject.place, reject.row));
    assert_eq!(
        kept.collect::<Vec<_>>(),
        [r#"[1] {"name":"b"}"#, r#"[2] {"id":{"x":1}}"#, r#"[3] {"id":null}"#]
    );
    let with = |with: usize, without: usize| {
        let rows = (0..with).map(|id| format!(r#"{{"id":"{id}"}}"#));
        let rows: Vec<String> = rows.chain((0..without).map(|_| "{}".to_owned())).collect();
        decode("contacts", &format!("[{}]", rows.join(",")))
            .map(|(batch, shape)| (batch.num_rows(), shape.keyless.count))
    };
    assert_eq!(with(0, 10), Ok((0, 10)));
    assert_eq!(with(11, 11), Ok((11, 11)));
    assert_eq!(with(10, 12), Err("12 of 22 rows have no id".to_owned()));
}

#[test]
fn an_empty_list_still_has_every_column() {
    let (batch, _) = decode("contacts", "[]").unwrap();
    assert_eq!(batch.num_rows(), 0);
    assert_eq!(batch.schema(), tables::find("contacts").unwrap().schema());
}

#[test]
fn only_required_key_columns_must_be_there() {
    let built_in = r#"[{"model":"contact","full_name":"name"}]"#;
    assert_eq!(decode("data_attributes", built_in).unwrap().0.num_rows(), 1);
    let (batch, shape) = decode("data_attributes", r#"[{"model":"contact","id":1}]"#).unwrap();
    assert_eq!((batch.num_rows(), shape.keyless.count), (0, 1));
}
