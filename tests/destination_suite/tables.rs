//! Which tables there are, and what they look like.

use ingest::source::intercom::tables::TABLES;

use crate::support::tables::{Subject, nothing, pass, tally, target, target_in, upsert};

pub(super) fn a_table_without_rows_has_every_column_with_its_type(subject: &mut dyn Subject) {
    for table in TABLES {
        let target = target(table.name);
        assert_eq!(tally(&subject.commit(nothing(&target))), "", "{}", table.name);
        assert_eq!(subject.rows(&target), Some(Vec::new()), "{}", table.name);
        let Some(found) = subject.columns(&target) else { continue };
        let declared: Vec<_> = table
            .stored_columns()
            .into_iter()
            .map(|column| (column.name, subject.sql_type(column.kind).to_owned()))
            .collect();
        assert_eq!(found, declared, "{}", table.name);
    }
}

pub(super) fn several_tables_land_in_one_commit(subject: &mut dyn Subject) {
    let (contacts, tags) = (target("contacts"), target("tags"));
    let commits = [
        upsert(&contacts, pass(1), r#"[{"id":"1","name":"Ada"}]"#),
        upsert(&tags, pass(1), r#"[{"id":"1"},{"id":"2"}]"#),
    ];
    let done = subject.destination().commit(&commits).unwrap();
    assert_eq!(done.iter().map(tally).collect::<Vec<_>>(), ["1 new, 1 live", "2 new, 2 live"]);
    assert_eq!(subject.see(&contacts, "id name"), ["1 Ada"]);
    assert_eq!(subject.see(&tags, "id name"), ["1 -", "2 -"]);
}

pub(super) fn schemas_are_told_apart_whatever_their_names_hold(subject: &mut dyn Subject) {
    let names = [
        "crm",
        "select",
        "Two Words",
        r#"quo"ted"#,
        "it's",
        "a.b",
        "größe",
        "x; DROP SCHEMA crm; --",
        "main",
    ];
    for (number, name) in names.iter().enumerate() {
        let target = target_in(name, "tags");
        let done = subject.commit(upsert(&target, pass(1), &format!(r#"[{{"id":"{number}"}}]"#)));
        assert_eq!(tally(&done), "1 new, 1 live", "{name}");
    }
    for (number, name) in names.iter().enumerate() {
        assert_eq!(subject.see(&target_in(name, "tags"), "id"), [number.to_string()], "{name}");
    }
    // The same schema in other letters is the same schema.
    let done = subject.commit(upsert(&target_in("CRM", "tags"), pass(1), r#"[{"id":"new"}]"#));
    assert_eq!(tally(&done), "1 new, 2 live");
    assert_eq!(subject.see(&target("tags"), "id"), ["0", "new"]);
}

pub(super) fn nothing_is_found_where_nothing_was_written(subject: &mut dyn Subject) {
    let (contacts, tags) = (target("contacts"), target("tags"));
    let empty = |subject: &mut dyn Subject| {
        assert_eq!(subject.destination().load(&[contacts.clone(), tags.clone()]).unwrap(), [None, None]);
        assert_eq!(subject.live_keys(&contacts), Vec::<String>::new());
        assert_eq!(subject.rows(&contacts), None);
    };
    empty(subject);
    subject.commit(nothing(&target("companies")));
    empty(subject);
}

/// More rows than any block size on the way.
pub(super) fn thousands_of_rows_are_counted_exactly(subject: &mut dyn Subject) {
    let contacts = target("contacts");
    let rows = |ids: std::ops::Range<u32>, name: &dyn Fn(u32) -> &'static str| {
        let row = |id| format!(r#"{{"id":{id},"updated_at":1,"name":"{}"}}"#, name(id));
        format!("[{}]", ids.map(row).collect::<Vec<_>>().join(","))
    };
    let done = subject.commit(upsert(&contacts, pass(1), &rows(0..5000, &|_| "first")));
    assert_eq!(tally(&done), "5000 new, 5000 live");
    let second = rows(1000..7000, &|id| if id % 2 == 0 { "second" } else { "first" });
    let done = subject.commit(upsert(&contacts, pass(2), &second));
    assert_eq!(tally(&done), "2000 new, 2000 changed, 2000 unchanged, 7000 live");
    let names = subject.see(&contacts, "name");
    assert_eq!(names.iter().filter(|name| *name == "second").count(), 3000);
}
