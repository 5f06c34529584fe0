//! The answers on file: what becomes of them, and that nothing of them is lost.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use ingest::batch::Shape;
use ingest::report::RunReport;
use ingest::source::intercom::tables::{self, TABLES};
use ingest::table::{Kind, TableSpec};
use serde_json::Value;

use super::answers::{self, Served, VERSIONS, Workspace};
use super::leaves::{Pool, leaves};
use super::reading::{self, Row};

/// All tables of a version, read from its files.
struct Recorded {
    version: &'static str,
    report: RunReport,
    tables: BTreeMap<&'static str, Vec<Row>>,
    served: Vec<Served>,
}

/// Read once, whichever test comes first.
static RECORDED: LazyLock<Vec<Recorded>> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    VERSIONS.iter().map(|version| runtime.block_on(record(version))).collect()
});

async fn record(version: &'static str) -> Recorded {
    let workspace = Workspace::start(version).await;
    let names: Vec<&str> = tables_of(version).map(|table| table.name).collect();
    let reading = reading::read(&workspace.server.base_url, version, &names).await;
    let tables = names.iter().copied().zip(reading.rows_of(&names)).collect();
    Recorded { version, report: reading.report, tables, served: workspace.served() }
}

fn tables_of(version: &str) -> impl Iterator<Item = &'static TableSpec> {
    let minor = reading::minor(version);
    TABLES.iter().copied().filter(move |table| table.since_minor <= minor)
}

#[test]
fn every_table_of_every_version_is_read_without_a_word() {
    for Recorded { version, report, tables, .. } in &*RECORDED {
        assert_eq!(report.exit_code(), 0, "{version}: {}", report.to_json());
        for table in &report.tables {
            assert_eq!(table.notes, Vec::<String>::new(), "{version} {}", table.table);
        }
        for (name, rows) in tables {
            assert!(!rows.is_empty(), "{version} {name}");
        }
    }
}

#[test]
fn documented_fields_have_columns_and_fit_them() {
    for Recorded { version, report, tables, .. } in &*RECORDED {
        for table in &report.tables {
            assert_eq!(table.shape, Shape::default(), "{version} {}", table.table);
            for row in &tables[table.table.as_str()] {
                assert_eq!(row.cell("_extra"), None, "{version} {}", table.table);
            }
        }
    }
}

#[test]
fn every_answer_on_file_is_asked_for() {
    for Recorded { version, served, .. } in &*RECORDED {
        let asked: HashSet<&str> = served.iter().map(|one| one.target.as_str()).collect();
        for key in answers::keys(version) {
            assert!(asked.contains(key.as_str()), "{version}: {key} is on file and nobody asks for it");
        }
    }
}

#[test]
fn every_version_becomes_the_expected_rows() {
    for table in TABLES {
        let mut text = String::new();
        let [first, others @ ..] = RECORDED.as_slice() else { unreachable!("there are versions") };
        let known = &first.tables[table.name];
        for row in known {
            text.push_str(&format!("{}\n", row.key(table)));
            for (name, kind, cell) in &row.0 {
                if let Some(cell) = cell {
                    text.push_str(&format!("  {name}: {}\n", in_one_line(*kind, cell)));
                }
            }
        }
        for other in others {
            text.push_str(&differences(table, known, other));
        }
        insta::with_settings!({
            snapshot_path => "../data/shapes/expected",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(table.name, text);
        });
    }
}

/// Where the rows of a version are others than those of the first one.
fn differences(table: &TableSpec, known: &[Row], other: &Recorded) -> String {
    let Some(rows) = other.tables.get(table.name) else {
        return format!("{}: no such table\n", other.version);
    };
    let mut text = String::new();
    let by_key = |rows: &[Row]| -> BTreeMap<String, Row> {
        rows.iter().map(|row| (row.key(table), row.clone())).collect()
    };
    let (known, rows) = (by_key(known), by_key(rows));
    for key in known.keys().filter(|key| !rows.contains_key(*key)) {
        text.push_str(&format!("{}: no row {key}\n", other.version));
    }
    for (key, row) in &rows {
        let Some(known) = known.get(key) else {
            text.push_str(&format!("{}: another row {key}\n", other.version));
            continue;
        };
        let mut cells = String::new();
        for ((name, kind, cell), (_, _, before)) in row.0.iter().zip(&known.0) {
            let said = |cell: &Option<String>| cell.as_deref().map(|cell| in_one_line(*kind, cell));
            if said(cell) != said(before) {
                let cell = said(cell).unwrap_or_else(|| "NULL".to_owned());
                cells.push_str(&format!("  {name}: {cell}\n"));
            }
        }
        if !cells.is_empty() {
            text.push_str(&format!("{}: {key}\n{cells}", other.version));
        }
    }
    text
}

/// What versions write in ways of their own, and mean the same by.
const SAME: &[(&str, &[&str])] = &[
    ("contacts", &["owner_id"]),
    ("conversations", &["admin_assignee_id", "team_assignee_id", "source_subject", "read", "state"]),
    (
        "tickets",
        &[
            "ticket_state_category",
            "ticket_state_internal_label",
            "ticket_state_external_label",
            "admin_assignee_id",
            "team_assignee_id",
        ],
    ),
    ("calls", &["initiated_at", "answered_at", "ended_at", "created_at", "updated_at", "admin_id"]),
    ("away_status_reasons", &["id", "label"]),
    ("data_attributes", &["model", "full_name", "id", "created_at", "admin_id"]),
    ("conversation_teammates", &["conversation_id", "admin_id"]),
    ("ticket_type_attributes", &["ticket_type_id", "id", "name"]),
    ("contact_companies", &["contact_id", "company_id"]),
];

#[test]
fn what_versions_only_write_in_another_way_is_stored_alike() {
    for (table, columns) in SAME {
        let cells = |recorded: &'static Recorded| -> Option<Vec<Vec<Option<&str>>>> {
            let rows = recorded.tables.get(table)?.iter();
            Some(rows.map(|row| columns.iter().map(|column| row.cell(column)).collect()).collect())
        };
        let known = cells(&RECORDED[0]);
        assert!(known.iter().flatten().flatten().any(Option::is_some), "{table}: nothing to compare");
        for other in &RECORDED[1..] {
            assert!(cells(other).is_none_or(|cells| Some(cells) == known), "{} {table}", other.version);
        }
    }
    let priorities = |recorded: &'static Recorded| -> Vec<Option<&str>> {
        recorded.tables["conversations"].iter().map(|row| row.cell("priority")).collect()
    };
    let (not, older) = (Some("not_priority"), Some("priority"));
    assert_eq!(priorities(&RECORDED[0]), [older, not, not]);
    assert_eq!(priorities(&RECORDED[1]), [older, not, not]);
    assert_eq!(priorities(&RECORDED[2]), [Some("urgent"), not, not]);
}

fn in_one_line(kind: Kind, cell: &str) -> String {
    match kind {
        Kind::Json => serde_json::from_str::<Value>(cell).expect("JSON").to_string(),
        _ => cell.replace('\n', "\\n"),
    }
}

/// Values of answers that stand in no row: table, path and value (any if empty), and why that is no loss.
const NOWHERE: &[(&str, &str, &str, &str)] = &[
    ("conversations", "conversation_parts.type", "", "it names the list"),
    ("tickets", "ticket_parts.type", "", "it names the list"),
    ("ticket_types", "ticket_type_attributes.type", "", "it names the list"),
    ("contact_notes", "contact.type", "", "it is always a contact, whose id is there"),
    ("conversations", "admin_assignee_id", "0", "it means nobody"),
    ("conversations", "team_assignee_id", "0", "it means nobody"),
    ("tickets", "admin_assignee_id", "0", "it means nobody"),
    ("tickets", "team_assignee_id", "0", "it means nobody"),
    ("articles", "author_id", "0", "it means nobody"),
    ("articles", "created_by_id", "0", "it means nobody"),
    ("internal_articles", "owner_id", "0", "it means nobody"),
    ("calls", "admin_id", "0", "it means nobody"),
    ("conversations", "priority", "none", "it is what older versions call not_priority"),
];

/// Columns in which no text and an empty text are the same.
const BODIES: &[&str] = &["body", "body_markdown", "html", "source.subject", "source.body"];

#[test]
fn no_value_of_an_answer_is_lost() {
    let mut unused: HashSet<_> = NOWHERE.iter().collect();
    for recorded in &*RECORDED {
        let mut checked = HashSet::new();
        for served in &recorded.served {
            for row in answers::rows(&served.body) {
                let row = answers::parsed(&row);
                for table in holders(served, &row) {
                    checked.insert(table.name);
                    check_kept(recorded, table, &row, &mut unused);
                }
            }
        }
        for table in tables_of(recorded.version).filter(|table| is_read_for_itself(table)) {
            assert!(
                checked.contains(table.name),
                "{}: nothing of {} was served",
                recorded.version,
                table.name
            );
        }
    }
    assert!(unused.is_empty(), "nothing of this kind is on file: {unused:?}");
}

/// The tables that have to hold all of a row.
fn holders(served: &Served, row: &Value) -> Vec<&'static TableSpec> {
    let mut names = vec![served.table];
    if served.table == "data_attributes" {
        match row["model"].as_str() {
            Some("contact") => names.push("contact_attributes"),
            Some("company") => names.push("company_attributes"),
            _ => {}
        }
    }
    names.into_iter().map(|name| tables::find(name).expect(name)).collect()
}

/// Whether whole answers become its rows, and not parts of those that other tables hold whole.
fn is_read_for_itself(table: &'static TableSpec) -> bool {
    table.lead().name == table.name && !table.name.starts_with("contact_")
        || table.name == "contact_attributes"
}

/// Fails unless every value of a served row stands in its stored row, or in those inside it where the value belongs
/// to them.
fn check_kept(
    recorded: &Recorded,
    table: &'static TableSpec,
    row: &Value,
    unused: &mut HashSet<&(&'static str, &'static str, &'static str, &'static str)>,
) {
    let version = recorded.version;
    let said =
        |key: &str| row[key].as_str().map(str::to_owned).or_else(|| row[key].as_i64().map(|n| n.to_string()));
    let is_it = |stored: &&Row| match table.name {
        "data_attributes" | "contact_attributes" | "company_attributes" => {
            stored.cell("full_name") == said("full_name").or_else(|| said("name")).as_deref()
                && stored.cell("id") == said("id").as_deref()
        }
        "away_status_reasons" => stored.cell("label") == said("label").as_deref(),
        "ip_allowlist" => true,
        "contact_notes" => stored.cell("note_id") == said("id").as_deref(),
        _ => stored.cell("id") == said("id").as_deref(),
    };
    let id = said("id").unwrap_or_default();
    let id = id.as_str();
    let mut own = Pool::of(recorded.tables[table.name].iter().filter(is_it));
    let inside = tables_of(version)
        .filter(|child| child.inside().is_some_and(|inside| inside.parent.name == table.name));
    let rows_inside = inside.flat_map(|child| {
        let of_parent = child.lead_key();
        recorded.tables[child.name].iter().filter(move |row| row.cell(&of_parent) == Some(id))
    });
    let rows_inside: Vec<&Row> = rows_inside.collect();
    let mut elsewhere = Pool::of(rows_inside.into_iter());
    for leaf in leaves(row) {
        let belongs_elsewhere = table.elsewhere.iter().any(|path| {
            leaf.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        let exception = NOWHERE.iter().find(|(of, path, value, _)| {
            *of == table.name && *path == leaf.path && (value.is_empty() || *value == leaf.text)
        });
        if exception.is_some() {
            unused.retain(|other| Some(*other) != exception);
            continue;
        }
        // The id of the parent once more, or how many rows there are, stands in the row itself.
        let is_kept = (belongs_elsewhere && elsewhere.take(&leaf.text)) || own.take(&leaf.text);
        let is_empty_body = leaf.text.is_empty() && BODIES.iter().any(|body| leaf.path.ends_with(body));
        assert!(
            is_kept || is_empty_body,
            "{version} {} {id}: {} = {:?} is lost",
            table.name,
            leaf.path,
            leaf.text
        );
    }
}
