//! When a view is made, replaced or left alone.

use ::duckdb::types::Value;

use super::super::{concerns, refresh};
use super::{COLUMNS, ask, declare, store, texts, workspace};

#[test]
fn a_view_is_replaced_when_its_declarations_change_and_only_then() {
    let connection = workspace(&["contacts", "data_attributes"]);
    let made = || ask(&connection, "SELECT view_oid FROM duckdb_views() WHERE view_name = 'contacts_custom'");
    let refresh = || {
        connection.execute_batch("BEGIN TRANSACTION").unwrap();
        assert!(refresh(&connection, "crm", true).unwrap().is_empty());
        connection.execute_batch("COMMIT").unwrap();
    };
    refresh();
    assert_eq!(texts(&connection, COLUMNS), ["id VARCHAR"]);
    let first = made();
    refresh();
    assert_eq!(made(), first);
    declare(&connection, "data_attributes", "contact", "seats", "integer");
    refresh();
    assert_ne!(made(), first);
    assert_eq!(texts(&connection, COLUMNS), ["id VARCHAR", "seats BIGINT"]);
    connection.execute_batch("UPDATE crm.data_attributes SET data_type = 'string'").unwrap();
    // The table may grow and rows may change beneath a view.
    connection.execute_batch("ALTER TABLE crm.contacts ADD COLUMN email VARCHAR").unwrap();
    let second = made();
    refresh();
    assert_eq!(texts(&connection, COLUMNS), ["id VARCHAR", "seats VARCHAR"]);
    assert_ne!(made(), second);
    connection.execute_batch("DROP VIEW crm.contacts_custom").unwrap();
    refresh();
    assert_eq!(texts(&connection, COLUMNS), ["id VARCHAR", "seats VARCHAR"]);
    // Whoever drops the table has it back, and the view with it, when it is loaded again.
    connection.execute_batch("DROP TABLE crm.contacts").unwrap();
    refresh();
    connection.execute_batch("CREATE TABLE crm.contacts (id VARCHAR, custom_attributes JSON)").unwrap();
    refresh();
    store(&connection, "contacts", "1", r#"{"seats":"two"}"#);
    assert_eq!(texts(&connection, "SELECT seats FROM crm.contacts_custom"), ["two"]);
}

#[test]
fn where_nothing_has_changed_a_view_is_told_by_its_columns() {
    let connection = workspace(&["contacts", "data_attributes"]);
    let again = |has_changed| assert!(refresh(&connection, "crm", has_changed).unwrap().is_empty());
    again(false);
    assert_eq!(texts(&connection, COLUMNS), ["id VARCHAR"], "it was missing");
    // A run that was killed between the rows and the view, and one that found nothing new.
    for kind in ["string", "integer", "float", "boolean", "date", "odd"] {
        declare(&connection, "data_attributes", "contact", &format!("of {kind}"), kind);
    }
    again(false);
    let columns = [
        "id VARCHAR",
        "of string VARCHAR",
        "of integer BIGINT",
        "of float DOUBLE",
        "of boolean BOOLEAN",
        "of date TIMESTAMP WITH TIME ZONE",
        "of odd JSON",
    ];
    assert_eq!(texts(&connection, COLUMNS), columns);
    let made = || ask(&connection, "SELECT view_oid FROM duckdb_views() WHERE view_name = 'contacts_custom'");
    let first = made();
    again(false);
    assert_eq!(made(), first);
    // The same columns by another definition, as an earlier release might have made them.
    connection.execute_batch("COMMENT ON VIEW crm.contacts_custom IS 'made by ingest: of old'").unwrap();
    again(false);
    assert_eq!(made(), first);
    again(true);
    assert_ne!(made(), first);
}

#[test]
fn where_nothing_has_changed_a_view_of_many_columns_is_told_by_its_comment() {
    let connection = workspace(&["contacts", "data_attributes"]);
    connection
        .execute_batch(
            "INSERT INTO crm.data_attributes BY NAME
             SELECT n::VARCHAR AS id, 'contact' AS model, 'custom_attributes.of ' || n AS full_name,
                    ['string', 'integer', 'float', 'boolean', 'date', 'odd'][1 + n % 6] AS data_type,
                    true AS custom, to_timestamp(n) AS created_at FROM range(100) AS numbers(n)",
        )
        .unwrap();
    let again = |has_changed| assert!(refresh(&connection, "crm", has_changed).unwrap().is_empty());
    let made = || ask(&connection, "SELECT view_oid FROM duckdb_views() WHERE view_name = 'contacts_custom'");
    again(false);
    let first = made();
    assert_eq!(texts(&connection, COLUMNS).len(), 101);
    again(false);
    assert_eq!(made(), first);
    connection.execute_batch("COMMENT ON VIEW crm.contacts_custom IS 'made by ingest: of old'").unwrap();
    again(false);
    assert_ne!(made(), first);
    let attributes: Vec<String> = (0..100).map(|n| format!("\"of {n}\":{n}")).collect();
    store(&connection, "contacts", "1", &format!("{{{}}}", attributes.join(",")));
    let sql =
        "SELECT concat_ws(' ', \"of 96\", \"of 97\", \"of 98\", \"of 99\", epoch_us(\"of 94\"), \"of 95\")
         FROM crm.contacts_custom";
    assert_eq!(texts(&connection, sql), ["96 97 98.0 94000000 95"]);
}

#[test]
fn what_others_made_is_left_alone() {
    for theirs in [
        "CREATE VIEW crm.contacts_custom AS SELECT 1 AS mine",
        "CREATE TABLE crm.contacts_custom (mine BIGINT)",
        "CREATE VIEW crm.Contacts_Custom AS SELECT 1 AS mine; COMMENT ON VIEW crm.contacts_custom IS 'mine'",
    ] {
        let connection = workspace(&["contacts", "companies", "data_attributes"]);
        connection.execute_batch(theirs).unwrap();
        for has_changed in [true, false] {
            connection.execute_batch("BEGIN TRANSACTION").unwrap();
            let notes = refresh(&connection, "crm", has_changed).unwrap();
            connection.execute_batch("COMMIT").unwrap();
            assert_eq!(
                notes,
                ["crm.contacts_custom was not made by ingest and is left alone; rename it to have one made"]
            );
        }
        assert_eq!(
            ask(&connection, "SELECT count(mine) >= 0 FROM crm.contacts_custom"),
            [Value::Boolean(true)]
        );
        assert_eq!(ask(&connection, "SELECT count(id) FROM crm.companies_custom"), [Value::BigInt(0)]);
    }
    // Ours, replaced by theirs, has lost its comment.
    let connection = workspace(&["contacts", "data_attributes"]);
    refresh(&connection, "crm", true).unwrap();
    connection.execute_batch("CREATE OR REPLACE VIEW crm.contacts_custom AS SELECT 1 AS mine").unwrap();
    assert_eq!(refresh(&connection, "crm", true).unwrap().len(), 1);
}

#[test]
fn any_of_the_lists_of_declarations_will_do() {
    let views = "SELECT view_name FROM duckdb_views() WHERE schema_name = 'crm' ORDER BY 1";
    let objects = ["contacts", "companies", "conversations"];
    for (lists, expected) in [
        (vec![], vec![]),
        (vec!["contact_attributes"], vec!["contacts_custom"]),
        (vec!["company_attributes"], vec!["companies_custom"]),
        (vec!["data_attributes"], vec!["companies_custom", "contacts_custom", "conversations_custom"]),
    ] {
        let connection = workspace(&[&objects[..], &lists[..]].concat());
        refresh(&connection, "crm", true).unwrap();
        assert_eq!(texts(&connection, views), expected, "{lists:?}");
    }
    // Both, read at different times: what is in either is there, once.
    let connection = workspace(&["contacts", "data_attributes", "contact_attributes"]);
    declare(&connection, "data_attributes", "contact", "seats", "integer");
    declare(&connection, "contact_attributes", "contact", "seats", "integer");
    declare(&connection, "contact_attributes", "contact", "plan", "string");
    refresh(&connection, "crm", true).unwrap();
    assert_eq!(texts(&connection, COLUMNS), ["id VARCHAR", "seats BIGINT", "plan VARCHAR"]);
    refresh(&connection, "elsewhere", true).unwrap();
}

#[test]
fn tables_of_the_same_names_with_other_columns_are_not_read() {
    let connection = workspace(&["data_attributes"]);
    connection
        .execute_batch("CREATE TABLE crm.contacts (id BIGINT); CREATE VIEW crm.companies AS SELECT 1 AS id")
        .unwrap();
    connection.execute_batch("CREATE TABLE crm.contact_attributes (name VARCHAR)").unwrap();
    refresh(&connection, "crm", true).unwrap();
    assert!(texts(&connection, COLUMNS).is_empty());
}

#[test]
fn built_in_attributes_have_columns_elsewhere() {
    let connection = workspace(&["contacts", "data_attributes"]);
    connection
        .execute_batch(
            "INSERT INTO crm.data_attributes BY NAME
             SELECT 'contact' AS model, 'email' AS name, 'email' AS full_name, 'string' AS data_type, false AS custom",
        )
        .unwrap();
    refresh(&connection, "crm", true).unwrap();
    assert_eq!(texts(&connection, COLUMNS), ["id VARCHAR"]);
}

/// Since 2.16 the list of conversation attributes is of its own kind, and says neither `custom` nor a full name.
#[test]
fn attributes_of_conversations_are_custom_without_saying_so() {
    let connection = workspace(&["conversations", "data_attributes"]);
    connection
        .execute_batch(
            "INSERT INTO crm.data_attributes BY NAME
             SELECT 'conversation_attribute' AS type, '7' AS id, 'conversation' AS model, 'Urgency' AS name,
                    'Urgency' AS full_name, 'integer' AS data_type",
        )
        .unwrap();
    store(&connection, "conversations", "1", r#"{"Urgency":"3"}"#);
    refresh(&connection, "crm", true).unwrap();
    assert_eq!(ask(&connection, "SELECT \"Urgency\" FROM crm.conversations_custom"), [Value::BigInt(3)]);
}

#[test]
fn only_objects_and_their_declarations_concern_views() {
    for (table, expected) in [
        ("contacts", true),
        ("companies", true),
        ("conversations", true),
        ("data_attributes", true),
        ("contact_attributes", true),
        ("company_attributes", true),
        ("tags", false),
    ] {
        assert_eq!(concerns(table), expected, "{table}");
    }
}
