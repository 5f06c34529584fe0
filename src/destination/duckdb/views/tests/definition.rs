//! What is declared becomes these columns.

use super::super::definition::{Column, Declaration, Kind, columns, create_view};

/// A declaration that is in use and created at second `created_at`, which is its id too.
fn declared(key: &str, data_type: &str, created_at: i64) -> Declaration {
    Declaration {
        id: Some(created_at.to_string()),
        name: Some(key.rsplit('.').next().unwrap().to_owned()),
        full_name: Some(format!("custom_attributes.{key}")),
        data_type: Some(data_type.to_owned()),
        archived: false,
        created_at: Some(created_at * 1_000_000),
        seen: (None, None),
    }
}

fn archived(declaration: Declaration) -> Declaration {
    Declaration { archived: true, ..declaration }
}

fn named(columns: &[Column]) -> Vec<(&str, &str, Kind)> {
    columns.iter().map(|column| (column.name.as_str(), column.key.as_str(), column.kind)).collect()
}

#[test]
fn names_are_the_attributes_own_and_the_older_keeps_its_name() {
    let mut all = vec![
        declared("plan", "string", 3),
        declared("Plan", "string", 1),
        declared("plan_2", "string", 4),
        declared("ID", "string", 2),
        declared("is.beta", "boolean", 5),
        declared("", "string", 6),
        declared("a\0b", "string", 7),
    ];
    let expected = [
        ("Plan", "Plan", Kind::Text),
        ("ID_2", "ID", Kind::Text),
        ("plan_2", "plan", Kind::Text),
        ("plan_2_2", "plan_2", Kind::Text),
        ("is.beta", "is.beta", Kind::Boolean),
        ("_", "", Kind::Text),
    ];
    assert_eq!(named(&columns(all.clone())), expected);
    // A new one, whatever its name, renames none of the others, and neither does taking one out of use.
    all.push(declared("PLAN", "string", 8));
    all[1] = archived(all[1].clone());
    let names: Vec<String> = columns(all).into_iter().map(|column| column.name).collect();
    assert_eq!(names, ["ID_2", "plan_2", "plan_2_2", "is.beta", "_", "PLAN_3", "Plan"]);
}

#[test]
fn names_that_are_one_to_duckdb_are_numbered_without_gaps() {
    // The letters of one word in every combination of cases, and what the numbers could be taken by.
    let cases = (0..64_u32).map(|bits| {
        let letters = "abcdef".chars().enumerate();
        letters
            .map(|(at, c)| if bits >> at & 1 == 1 { c.to_ascii_uppercase() } else { c })
            .collect::<String>()
    });
    let keys = cases.chain(["abcdef_2", "ABCDEF_65", "abcdef_2_2"].map(str::to_owned));
    let all: Vec<Declaration> = keys.zip(1..).map(|(key, at)| declared(&key, "string", at)).collect();
    let names: Vec<String> = columns(all).into_iter().map(|column| column.name.to_lowercase()).collect();
    let numbered = (2..=64).map(|count| format!("abcdef_{count}"));
    let rest = ["abcdef_2_2", "abcdef_65", "abcdef_2_2_2"].map(str::to_owned);
    assert_eq!(names, std::iter::once("abcdef".to_owned()).chain(numbered).chain(rest).collect::<Vec<_>>());
}

/// Otherwise all columns of a kind have one hash in DuckDB, which then compares each of them with each.
#[test]
fn what_is_made_of_a_value_mentions_it_an_odd_number_of_times() {
    use Kind::{Boolean, Float, Integer, Json, Moment, Text};
    for kind in [Text, Integer, Float, Boolean, Moment, Json] {
        for made in [kind.read("VALUE"), kind.show("VALUE")] {
            assert_eq!(made.matches("VALUE").count() % 2, 1, "{kind:?}: {made}");
        }
    }
}

#[test]
fn declarations_of_one_key_make_one_column() {
    for (all, kind) in [
        (vec![declared("seats", "integer", 1), archived(declared("seats", "string", 2))], Kind::Integer),
        (vec![archived(declared("seats", "string", 1)), declared("seats", "integer", 2)], Kind::Integer),
        (vec![declared("seats", "string", 1), declared("seats", "integer", 2)], Kind::Integer),
        (
            vec![archived(declared("seats", "string", 1)), archived(declared("seats", "float", 2))],
            Kind::Float,
        ),
        (
            // The same declaration, read twice: what was read later holds.
            vec![
                Declaration { seen: (Some(9), Some(1)), ..declared("seats", "boolean", 1) },
                Declaration { seen: (Some(5), Some(7)), ..declared("seats", "string", 1) },
            ],
            Kind::Boolean,
        ),
    ] {
        assert_eq!(named(&columns(all)), [("seats", "seats", kind)]);
    }
}

#[test]
fn a_declaration_without_a_full_name_goes_by_its_name() {
    let plain = Declaration { full_name: None, ..declared("Topic", "list", 1) };
    let bare = Declaration { full_name: Some("Ref".into()), ..declared("Ref", "relationship", 2) };
    let neither = Declaration { full_name: None, name: None, ..declared("x", "string", 3) };
    let found = columns(vec![plain, bare, neither]);
    assert_eq!(named(&found), [("Topic", "Topic", Kind::Text), ("Ref", "Ref", Kind::Json)]);
}

#[test]
fn the_view_of_two_attributes() {
    let sql = create_view(
        "crm",
        "contacts",
        "contacts_custom",
        &columns(vec![declared("it's a/b~c \"d\"", "string", 1), declared("is.beta", "boolean", 2)]),
    );
    let expected = r#"CREATE OR REPLACE VIEW "crm"."contacts_custom" AS
SELECT "id", value_0 AS "it's a/b~c ""d""", value_1 AS "is.beta"
FROM (SELECT "id",
CASE WHEN list_0[1] IS NOT NULL AND json_type(list_0[1]) NOT IN ('ARRAY', 'OBJECT') THEN json_extract_string(list_0[1], '$') END AS value_0,
CASE WHEN list_0[2] IS NULL THEN NULL WHEN json_extract_string(list_0[2], '$') = 'true' THEN true WHEN json_extract_string(list_0[2], '$') = 'false' THEN false END AS value_1
FROM (SELECT "id", json_extract(custom_attributes, ['/it''s a~1b~0c "d"', '/is.beta']) AS list_0
FROM "crm"."contacts") AS lists) AS read_values"#;
    assert_eq!(sql, expected);
}
