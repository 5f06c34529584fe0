//! Custom attributes with types, beside the tables that hold them as JSON.

use ingest::destination::TableCommit;
use ingest::state::{StateChange, TableState};

use crate::support::tables::{InDuckDb, Subject, by_hand, nothing, pass, replace, target, target_in, upsert};

const COLUMNS: &str = "SELECT column_name || ' ' || data_type FROM duckdb_columns()
     WHERE schema_name = 'crm' AND table_name = 'contacts_custom' ORDER BY column_index";

/// Custom attributes of contacts: names and types.
fn declared(number: i64, attributes: &[(&str, &str)]) -> TableCommit {
    let row = |(at, (name, data_type)): (usize, &(&str, &str))| {
        format!(
            r#"{{"type":"data_attribute","id":{at},"model":"contact","name":"{name}",
                "full_name":"custom_attributes.{name}","data_type":"{data_type}","custom":true,"created_at":{at}}}"#
        )
    };
    let rows: Vec<String> = attributes.iter().enumerate().map(row).collect();
    replace(&target("data_attributes"), pass(number), &format!("[{}]", rows.join(",")))
}

fn contacts(number: i64) -> TableCommit {
    let rows = r#"[{"id":"1","custom_attributes":{"plan":"gold","seats":12,"trial":true,"since":1571672154,"rate":1.5}},
                   {"id":"2","custom_attributes":{"plan":7,"seats":"a dozen","trial":"yes","since":"soon"}},
                   {"id":"3","custom_attributes":{}},
                   {"id":"4"}]"#;
    upsert(&target("contacts"), pass(number), rows)
}

fn column(file: &mut InDuckDb, sql: &str) -> Vec<String> {
    file.query(sql).into_iter().map(|mut row| row.remove(0).unwrap_or_else(|| "-".into())).collect()
}

fn values(file: &mut InDuckDb, column_sql: &str) -> Vec<String> {
    column(file, &format!("SELECT ({column_sql})::VARCHAR FROM crm.contacts_custom ORDER BY id"))
}

const TYPED: &[(&str, &str)] =
    &[("plan", "string"), ("seats", "integer"), ("trial", "boolean"), ("since", "date"), ("rate", "float")];

#[test]
fn attributes_are_typed_columns_whatever_came_first() {
    for order in ["at once", "objects first", "declarations first"] {
        let mut file = InDuckDb::fresh();
        let (objects, declarations) = (contacts(1), declared(1, TYPED));
        match order {
            "at once" => file.destination().commit(&[objects, declarations]).map(drop),
            "objects first" => {
                file.destination().commit(&[objects]).unwrap();
                file.destination().commit(&[declarations]).map(drop)
            }
            _ => {
                file.destination().commit(&[declarations]).unwrap();
                file.destination().commit(&[objects]).map(drop)
            }
        }
        .unwrap();
        assert_eq!(
            column(&mut file, COLUMNS),
            [
                "id VARCHAR",
                "plan VARCHAR",
                "seats BIGINT",
                "trial BOOLEAN",
                "since TIMESTAMP WITH TIME ZONE",
                "rate DOUBLE"
            ],
            "{order}"
        );
        assert_eq!(values(&mut file, "plan"), ["gold", "7", "-", "-"], "{order}");
        assert_eq!(values(&mut file, "seats"), ["12", "-", "-", "-"], "{order}");
        assert_eq!(values(&mut file, "trial"), ["true", "-", "-", "-"], "{order}");
        assert_eq!(values(&mut file, "epoch_us(since)"), ["1571672154000000", "-", "-", "-"], "{order}");
        // What does not fit stays where it came from.
        let kept = "SELECT custom_attributes->>'seats' FROM crm.contacts ORDER BY id";
        assert_eq!(column(&mut file, kept), ["12", "a dozen", "-", "-"], "{order}");
        // Rows that come later are in it without anything else being done.
        let more = r#"[{"id":"5","custom_attributes":{"seats":5}}]"#;
        file.destination().commit(&[upsert(&target("contacts"), pass(2), more)]).unwrap();
        assert_eq!(values(&mut file, "seats"), ["12", "-", "-", "-", "5"], "{order}");
    }
}

#[test]
fn a_changed_declaration_changes_the_view() {
    let mut file = InDuckDb::fresh();
    file.destination().commit(&[contacts(1), declared(1, &[("seats", "integer")])]).unwrap();
    for (number, attributes, expected) in [
        (2, &[("seats", "string")][..], &["id VARCHAR", "seats VARCHAR"][..]),
        (3, &[("seats", "string"), ("plan", "string")], &["id VARCHAR", "seats VARCHAR", "plan VARCHAR"]),
        (4, &[("plan", "string")], &["id VARCHAR", "plan VARCHAR"]),
        (5, &[], &["id VARCHAR"]),
    ] {
        file.destination().commit(&[declared(number, attributes)]).unwrap();
        assert_eq!(column(&mut file, COLUMNS), expected);
    }
}

/// A person's own views and tables of that name are worth no row, and no row is worth them.
#[test]
fn what_stands_in_the_way_of_a_view_stays_and_fails_no_commit() {
    for theirs in [
        "CREATE VIEW crm.contacts_custom AS SELECT 1 AS mine",
        "CREATE TABLE crm.contacts_custom AS SELECT 1 AS mine",
    ] {
        let mut file = InDuckDb::with(&format!("CREATE SCHEMA crm; {theirs}"));
        let companies = upsert(&target("companies"), pass(1), r#"[{"id":"1","custom_attributes":{}}]"#);
        let done = file.destination().commit(&[contacts(1), companies, declared(1, TYPED)]).unwrap();
        assert_eq!((done[0].new, done[2].new), (4, 5), "{theirs}");
        assert_eq!(column(&mut file, "SELECT mine::VARCHAR FROM crm.contacts_custom"), ["1"], "{theirs}");
        assert_eq!(column(&mut file, "SELECT id FROM crm.companies_custom"), ["1"], "{theirs}");
        assert_eq!(column(&mut file, "SELECT id FROM crm.contacts ORDER BY id"), ["1", "2", "3", "4"]);
        // Once it is out of the way the next change makes it.
        file.destination().rest();
        let kind = if theirs.contains("VIEW") { "VIEW" } else { "TABLE" };
        by_hand(file.path(), &format!("ALTER {kind} crm.contacts_custom RENAME TO mine"));
        file.destination().commit(&[declared(2, &[("seats", "integer")])]).unwrap();
        assert_eq!(column(&mut file, COLUMNS), ["id VARCHAR", "seats BIGINT"], "{theirs}");
        assert_eq!(column(&mut file, "SELECT mine::VARCHAR FROM crm.mine"), ["1"], "{theirs}");
    }
}

#[test]
fn schemas_have_views_of_their_own() {
    let mut file = InDuckDb::fresh();
    let there = |mut commit: TableCommit| {
        commit.target = target_in("it's \"other\"", commit.target.table.name);
        commit
    };
    file.destination()
        .commit(&[
            contacts(1),
            declared(1, &[("seats", "integer")]),
            there(contacts(1)),
            there(declared(1, TYPED)),
        ])
        .unwrap();
    assert_eq!(column(&mut file, COLUMNS), ["id VARCHAR", "seats BIGINT"]);
    let rates = "SELECT rate::VARCHAR FROM \"it's \"\"other\"\"\".contacts_custom ORDER BY id";
    assert_eq!(column(&mut file, rates), ["1.5", "-", "-", "-"]);
}

/// At the end of each pass, also of one that brought nothing new: a person may have dropped the view, or the
/// file may come from a version that made none.
#[test]
fn a_missing_view_is_made_again_at_the_end_of_a_pass() {
    let mut file = InDuckDb::fresh();
    file.destination().commit(&[contacts(1), declared(1, TYPED)]).unwrap();
    file.destination().rest();
    by_hand(file.path(), "DROP VIEW crm.contacts_custom");
    let state = TableState::new("w0rkspac", "2.14", String::new());
    let end =
        TableCommit { state: Some(StateChange { expected: None, state }), ..nothing(&target("contacts")) };
    file.destination().commit(&[end]).unwrap();
    assert_eq!(values(&mut file, "seats"), ["12", "-", "-", "-"]);
}

#[test]
fn an_object_without_rows_has_a_view_too() {
    let mut file = InDuckDb::fresh();
    file.destination().commit(&[declared(1, TYPED)]).unwrap();
    let state = TableState::new("w0rkspac", "2.14", String::new());
    let end =
        TableCommit { state: Some(StateChange { expected: None, state }), ..nothing(&target("contacts")) };
    file.destination().commit(&[end]).unwrap();
    assert_eq!(column(&mut file, "SELECT plan FROM crm.contacts_custom"), Vec::<String>::new());
    assert_eq!(column(&mut file, COLUMNS).len(), 6);
}
