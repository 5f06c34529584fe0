//! What is stored reads as these values, in DuckDB itself.

use ::duckdb::types::Value;

use super::super::refresh;
use super::{COLUMNS, ask, declare, store, texts, workspace};

#[test]
fn values_that_fit_and_values_that_do_not() {
    let micros = Value::BigInt;
    let text = |text: &str| Value::Text(text.to_owned());
    let connection = workspace(&["contacts", "data_attributes"]);
    for (data_type, raw, expected) in [
        ("string", r#""gold""#, text("gold")),
        ("string", r#""""#, text("")),
        ("string", r#""null""#, text("null")),
        ("string", r#""{}""#, text("{}")),
        ("string", r#""a\"b\\ \u00e9""#, text("a\"b\\ é")),
        ("string", "12345678901234567890", text("12345678901234567890")),
        ("string", "true", text("true")),
        ("string", "null", Value::Null),
        ("string", "[1]", Value::Null),
        ("string", "{}", Value::Null),
        ("list", r#""Billing""#, text("Billing")),
        ("integer", "12", Value::BigInt(12)),
        ("integer", "-12", Value::BigInt(-12)),
        ("integer", r#""12""#, Value::BigInt(12)),
        ("integer", r#"" 12 ""#, Value::BigInt(12)),
        ("integer", "12.0", Value::BigInt(12)),
        ("integer", "9007199254740993", Value::BigInt(9_007_199_254_740_993)),
        ("integer", "9007199254740993.0", Value::Null),
        ("integer", "9223372036854775807", Value::BigInt(i64::MAX)),
        ("integer", "-9223372036854775808", Value::BigInt(i64::MIN)),
        ("integer", "9223372036854775808", Value::Null),
        ("integer", "123456789012345678901234567890", Value::Null),
        ("integer", "1.5", Value::Null),
        ("integer", r#""1.5""#, Value::Null),
        ("integer", r#""1_000""#, Value::Null),
        ("integer", r#""0x10""#, Value::Null),
        ("integer", r#""twelve""#, Value::Null),
        ("integer", r#""""#, Value::Null),
        ("integer", "true", Value::Null),
        ("integer", "[12]", Value::Null),
        ("integer", "null", Value::Null),
        ("float", "1.25", Value::Double(1.25)),
        ("float", "0.30000000000000004", Value::Double(0.300_000_000_000_000_04)),
        ("float", "7", Value::Double(7.0)),
        ("float", r#""-2e3""#, Value::Double(-2000.0)),
        ("float", "1.7976931348623157e308", Value::Double(f64::MAX)),
        ("float", "5e-324", Value::Double(5e-324)),
        ("float", "1e999", Value::Null),
        ("float", r#""-1e999""#, Value::Null),
        ("float", r#""nan""#, Value::Null),
        ("float", r#""inf""#, Value::Null),
        ("float", r#""12,5""#, Value::Null),
        ("float", r#""""#, Value::Null),
        ("float", "false", Value::Null),
        ("decimal", "12.50", Value::Double(12.5)),
        ("boolean", "true", Value::Boolean(true)),
        ("boolean", r#""false""#, Value::Boolean(false)),
        ("boolean", "1", Value::Null),
        ("boolean", r#""TRUE""#, Value::Null),
        ("boolean", r#""""#, Value::Null),
        ("boolean", "null", Value::Null),
        ("date", "0", micros(0)),
        ("date", "1571672154", micros(1_571_672_154_000_000)),
        ("date", r#""1571672154""#, micros(1_571_672_154_000_000)),
        ("date", "1571672154.25", micros(1_571_672_154_250_000)),
        ("date", "-0.5", micros(-500_000)),
        ("date", r#""2019-10-21T15:35:54Z""#, micros(1_571_672_154_000_000)),
        ("date", r#""2019-10-21 15:35:54.5Z""#, micros(1_571_672_154_500_000)),
        ("datetime", r#""2019-10-21T17:35:54.5+02:00""#, micros(1_571_672_154_500_000)),
        ("datetime", r#""2019-10-21T10:05:54-05:30""#, micros(1_571_672_154_000_000)),
        ("date", r#""2019-10-21""#, micros(1_571_616_000_000_000)),
        ("date", r#""2019-10-21T15:35:54""#, Value::Null),
        ("date", r#""2019-02-30""#, Value::Null),
        ("date", r#""2019-10-21T15:35:54+99:00""#, Value::Null),
        ("date", r#""2019-10-21T15:35:54 Europe/Berlin""#, Value::Null),
        ("date", "-62135596800", micros(-62_135_596_800_000_000)),
        ("date", "-62135596801", Value::Null),
        ("date", "253402300799", micros(253_402_300_799_000_000)),
        ("date", "253402300800", Value::Null),
        ("date", r#""9999-12-31T23:59:59-00:01""#, Value::Null),
        ("date", r#""0000-12-31""#, Value::Null),
        ("date", "1571672154000", Value::Null),
        ("date", "1e300", Value::Null),
        ("date", r#""infinity""#, Value::Null),
        ("date", r#""epoch""#, Value::Null),
        ("date", r#""soon""#, Value::Null),
        ("date", "true", Value::Null),
        ("relationship", r#"{"type":"list","instances":[]}"#, text(r#"{"type":"list","instances":[]}"#)),
        ("files", "[1,2]", text("[1,2]")),
        ("", r#""a""#, text(r#""a""#)),
        ("files", "null", Value::Null),
    ] {
        connection.execute_batch("DELETE FROM crm.contacts; DELETE FROM crm.data_attributes").unwrap();
        declare(&connection, "data_attributes", "contact", "x", data_type);
        store(&connection, "contacts", "1", &format!(r#"{{"x":{raw}}}"#));
        assert!(refresh(&connection, "crm", true).unwrap().is_empty());
        let shown = if data_type.starts_with("date") { "epoch_us(x)" } else { "x" };
        let found = ask(&connection, &format!("SELECT {shown} FROM crm.contacts_custom"));
        assert_eq!(found, [expected], "{data_type} {raw}");
    }
}

#[test]
fn rows_without_the_attribute_are_there_too() {
    let connection = workspace(&["contacts", "data_attributes"]);
    for (name, data_type) in
        [("a", "string"), ("b", "integer"), ("c", "float"), ("d", "boolean"), ("e", "date"), ("f", "other")]
    {
        declare(&connection, "data_attributes", "contact", name, data_type);
    }
    declare(&connection, "data_attributes", "company", "theirs", "string");
    refresh(&connection, "crm", true).unwrap();
    assert_eq!(
        texts(&connection, COLUMNS),
        [
            "id VARCHAR",
            "a VARCHAR",
            "b BIGINT",
            "c DOUBLE",
            "d BOOLEAN",
            "e TIMESTAMP WITH TIME ZONE",
            "f JSON"
        ]
    );
    store(&connection, "contacts", "1", "{}");
    store(&connection, "contacts", "2", "null");
    store(&connection, "contacts", "3", "\"x\"");
    connection.execute_batch("INSERT INTO crm.contacts VALUES ('4', NULL)").unwrap();
    let empty =
        "SELECT count(*) FROM crm.contacts_custom WHERE coalesce(a, b::VARCHAR, c::VARCHAR, f) IS NULL
                 AND d IS NULL AND e IS NULL";
    assert_eq!(ask(&connection, empty), [Value::BigInt(4)]);
}

#[test]
fn every_name_finds_its_own_value() {
    let names = [
        "plain",
        "with blank",
        " ",
        "a.b",
        "$",
        "$.a",
        "$x",
        "*",
        "**",
        "[*]",
        "[0]",
        "a[0]",
        "0",
        "-1",
        "-",
        "#",
        "#-1",
        "?",
        "/",
        "//",
        "a/b",
        "~",
        "~0",
        "~1",
        "a~b",
        "it's",
        "''",
        "a\"b",
        "\"",
        "\"\"",
        "a\".\"b",
        "\\",
        "a\\",
        "a\\b",
        "\\\"",
        "\\u0041",
        "a\nb",
        "a\tb",
        "a;b",
        "--",
        "/*",
        "%",
        "?1",
        "$1",
        ":a",
        "{",
        "}",
        ",",
        "select",
        "null",
        "id",
        "ID",
        "custom_attributes",
        "lists",
        "read_values",
        "list_0",
        "list_1",
        "value_0",
        "value_1",
        "value_51",
        "crm",
        "contacts",
        "Plan",
        "plan",
        "PLAN_2",
        "é",
        "É",
        "e\u{301}",
        "日本語",
        "😀",
        "👨\u{200d}👩",
        "\u{202e}x",
        "\u{feff}",
        "\u{1}",
        "ß",
        "ẞ",
        "İ",
        "K",
        "",
    ];
    let connection = workspace(&["contacts", "contact_attributes"]);
    let mut row = serde_json::Map::new();
    for (at, name) in names.iter().enumerate() {
        declare(&connection, "contact_attributes", "contact", name, "string");
        row.insert((*name).to_owned(), format!("value of {at}").into());
    }
    store(&connection, "contacts", "1", &serde_json::Value::from(row).to_string());
    refresh(&connection, "crm", true).unwrap();
    let mut statement = connection.prepare("SELECT * FROM crm.contacts_custom").unwrap();
    let values: Vec<Vec<String>> = statement
        .query_map([], |row| (0..=names.len()).map(|at| row.get(at)).collect())
        .unwrap()
        .collect::<::duckdb::Result<_>>()
        .unwrap();
    let expected: Vec<String> = (0..names.len()).map(|at| format!("value of {at}")).collect();
    assert_eq!(values[0][0], "1");
    assert_eq!(values[0][1..], expected);
}

#[test]
fn a_hundred_attributes_are_read_in_parts() {
    let connection = workspace(&["contacts", "data_attributes"]);
    let mut row = serde_json::Map::new();
    for at in 0..100 {
        declare(&connection, "data_attributes", "contact", &format!("number {at}"), "integer");
        row.insert(format!("number {at}"), at.into());
    }
    store(&connection, "contacts", "1", &serde_json::Value::from(row).to_string());
    refresh(&connection, "crm", true).unwrap();
    for at in [0, 15, 16, 31, 32, 99] {
        let found = ask(&connection, &format!("SELECT \"number {at}\" FROM crm.contacts_custom"));
        assert_eq!(found, [Value::BigInt(at)]);
    }
}
