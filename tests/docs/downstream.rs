//! `docs/downstream.md`: what it names is declared, and its queries run and mean what it says.

use duckdb::{Config, Connection};
use ingest::source::intercom::tables::TABLES;

use super::{Page, top};

fn page() -> Page {
    Page::read(&top().join("docs/downstream.md"))
}

/// What stands between backticks.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The cells of every row of every table, the heads left out.
fn rows(prose: &str) -> Vec<Vec<&str>> {
    let lines = prose.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    let rows = lines.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    rows.filter(|cells| !matches!(cells.get(1), Some(&("column" | "---")))).collect()
}

fn is_table(name: &str) -> bool {
    TABLES.iter().any(|table| table.name == name)
}

/// Whether `column`, written with its table, is among the stored ones.
fn is_stored(column: &str) -> bool {
    let Some((table, name)) = column.split_once('.') else { return false };
    let spec = TABLES.iter().find(|spec| spec.name == table);
    spec.is_some_and(|spec| spec.stored_columns().iter().any(|stored| stored.name == name))
}

#[test]
fn every_column_that_models_read_is_declared_or_computed() {
    let prose = page().prose();
    let mut missing = Vec::new();
    let mut checked = 0;
    for row in rows(&prose) {
        let [read, found, _] = row[..] else { panic!("not three cells: {row:?}") };
        let mut columns = spans(found).peekable();
        assert!(columns.peek().is_some() || found == "computed", "{read}: {found}");
        for column in columns {
            checked += 1;
            if !is_stored(column) {
                missing.push(column);
            }
        }
    }
    assert!(missing.is_empty(), "not declared: {}", missing.join(", "));
    assert!(checked > 120, "only {checked} columns were found");
}

#[test]
fn every_table_in_a_heading_is_declared() {
    let prose = page().prose();
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let named: Vec<&str> = headings.flat_map(spans).collect();
    let missing: Vec<&str> = named.iter().copied().filter(|name| !is_table(name)).collect();
    assert!(missing.is_empty(), "not declared: {}", missing.join(", "));
    assert!(named.len() > 15, "only {} tables were found", named.len());
}

/// A database with every table, empty, in the schema of a connection that is named `intercom`.
fn with_tables() -> Connection {
    // Only what is built in, so that the queries need no extension of whoever runs them.
    let config = Config::default().enable_autoload_extension(false).expect("an option of DuckDB");
    let connection = Connection::open_in_memory_with_flags(config).expect("a database in memory");
    connection.execute_batch("CREATE SCHEMA intercom").expect("a schema");
    for table in TABLES {
        let stored = table.stored_columns();
        let columns: Vec<String> =
            stored.iter().map(|column| format!("\"{}\" {}", column.name, column.kind.sql())).collect();
        let sql = format!("CREATE TABLE intercom.\"{}\" ({})", table.name, columns.join(", "));
        connection.execute_batch(&sql).unwrap_or_else(|e| panic!("{}: {e}", table.name));
    }
    connection
}

/// Runs the page's queries in their order and says how many there are.
fn run_queries(connection: &Connection) -> usize {
    let page = page();
    let blocks = page.blocks();
    let queries: Vec<_> = blocks.iter().filter(|block| block.language == "sql").collect();
    for query in &queries {
        let sql = query.lines.join("\n");
        connection.execute_batch(&sql).unwrap_or_else(|e| panic!("{e}\n{sql}"));
    }
    queries.len()
}

/// The only column of a query's answer.
fn answer(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap_or_else(|e| panic!("{e}\n{sql}"));
    let rows = statement.query_map([], |row| row.get(0)).unwrap_or_else(|e| panic!("{e}\n{sql}"));
    rows.map(|row| row.expect("a text")).collect()
}

/// A conversation with all kinds of parts, one that nobody answered, one that is gone, and one that a contact
/// closed; times are seconds after the conversation's beginning.
const INVENTED: &str = "
    INSERT INTO intercom.conversations BY NAME
    SELECT id, state, to_timestamp(1700000000) AS created_at, rating AS conversation_rating_rating,
        to_timestamp(gone) AS _deleted_at
    FROM (VALUES ('1', 'closed', 4, NULL), ('2', 'open', NULL, NULL), ('3', 'closed', 1, 1700005000),
        ('4', 'closed', NULL, NULL)) AS t(id, state, rating, gone);

    INSERT INTO intercom.conversation_parts BY NAME
    SELECT id, conversation_id, part_type, body, author_type, author_id, assigned_to_type, assigned_to_id,
        to_timestamp(1700000000 + seconds) AS created_at
    FROM (VALUES
        ('10', '1', 'note', 'between us', 'admin', '7', NULL, NULL, 30),
        ('11', '1', 'comment', 'an answer', 'bot', '9', NULL, NULL, 40),
        ('12', '1', 'assignment', NULL, 'admin', '7', 'team', '5', 60),
        ('13', '1', 'comment', 'hello', 'admin', '7', NULL, NULL, 150),
        ('14', '1', 'close', NULL, 'admin', '7', NULL, NULL, 600),
        ('15', '1', 'comment', 'one more thing', 'user', 'c1', NULL, NULL, 1200),
        ('16', '1', 'assign_and_reopen', 'I am here', 'admin', '8', 'admin', '8', 1260),
        ('17', '1', 'close', NULL, 'admin', '8', NULL, NULL, 1800),
        ('30', '3', 'close', NULL, 'admin', '7', NULL, NULL, 60),
        ('40', '4', 'close', NULL, 'user', 'c2', NULL, NULL, 90)
    ) AS t(id, conversation_id, part_type, body, author_type, author_id, assigned_to_type, assigned_to_id, seconds);
";

#[test]
fn every_query_runs_over_empty_tables() {
    assert!(run_queries(&with_tables()) >= 5);
}

#[test]
fn the_metrics_are_what_the_parts_say() {
    let connection = with_tables();
    run_queries(&connection);
    connection.execute_batch(INVENTED).unwrap();
    let metrics = "
        SELECT concat_ws(' ', conversation_id, parts, assignments, reopens,
            coalesce(minutes_to_first_assignment::VARCHAR, '-'), coalesce(minutes_to_first_response::VARCHAR, '-'),
            coalesce(minutes_to_first_close::VARCHAR, '-'), coalesce(minutes_to_last_close::VARCHAR, '-'),
            coalesce(last_team_id, '-'), coalesce(last_close_by_admin_id, '-'), coalesce(rating::VARCHAR, '-'))
        FROM reports.conversation_metrics ORDER BY conversation_id";
    let expected = ["1 8 2 1 1.0 2.5 10.0 30.0 5 8 4", "2 0 0 0 - - - - - - -", "4 1 0 0 - - 1.5 1.5 - - -"];
    assert_eq!(answer(&connection, metrics), expected);
}

#[test]
fn only_rows_that_are_not_gone_are_the_present_version() {
    let connection = with_tables();
    run_queries(&connection);
    connection.execute_batch(INVENTED).unwrap();
    let versions = "
        SELECT concat_ws(' ', id, _fivetran_active, created_at, coalesce(_fivetran_end::VARCHAR, '-'))
        FROM fivetran.conversation_history ORDER BY id";
    let expected = [
        "1 true 2023-11-14 22:13:20 -",
        "2 true 2023-11-14 22:13:20 -",
        "3 false 2023-11-14 22:13:20 2023-11-14 23:36:40",
        "4 true 2023-11-14 22:13:20 -",
    ];
    assert_eq!(answer(&connection, versions), expected);
}
