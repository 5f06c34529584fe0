//! `docs/tables.md`, which is rendered from the declarations.

use std::fmt::Write;
use std::fs;

use ingest::source::intercom::tables::TABLES;
use ingest::table::{Column, Endpoint, Inside, Kind, List, More, TableSpec, WriteDisposition};

use super::top;

const INTRODUCTION: &str = "\
<!-- Written by `UPDATE_DOCS=1 cargo test --release docs`; change the declarations in src/source/intercom/tables. -->

# Tables

`ingest tables` lists what this page shows, and `ingest tables --columns` its columns. Every table lands in a schema
that is named like its connection: `intercom.contacts`, say.

## What holds for all of them

**Columns** are declared, in the order of Intercom's published contract for API 2.14, and exist whether or not a row
has a value: an empty table has its types, too. The value of a nested field stands in a column whose name is the path
joined with `_`: `location.country` becomes `location_country`. Every column may be NULL. One table shape serves the
API versions 2.11 to 2.16; what a version does not have is NULL. A column that somebody dropped comes back empty, and
`--full-refresh` fills it for all rows; a table that was dropped is loaded anew by itself.

| type | what it holds |
|---|---|
| `VARCHAR` | text; numbers and booleans by their digits and words. Ids are text, whatever type arrives |
| `BIGINT` | a whole number of 64 bits, also from text (`\"12\"`) or with an empty fraction (`12.0`) |
| `DOUBLE` | a double, also from text |
| `BOOLEAN` | a boolean, also from the words `\"true\"` and `\"false\"` |
| `TIMESTAMP WITH TIME ZONE` | a moment in UTC, to the microsecond, from epoch seconds (number or text) or from ISO 8601 text with an offset; years 0001 to 9999. Text in other columns is never guessed to be a date |
| `JSON` | a list or an open map as it arrived: every digit, keys in their order. In Parquet files it is text (`VARCHAR`), which DuckDB asks in the same way: `custom_attributes->>'plan'` |

**NULL** stands for JSON `null` and for a field that is not there. An empty text is an empty text, except in the
columns marked \"empty is NULL\". In columns marked \"0 is NULL\", which refer to another object, `0`, `\"0\"` and empty
text mean that there is none.

**`_extra`** is one JSON object with everything that no column could take, and NULL if there was nothing: fields that
are not declared, and values that do not fit their column, which is NULL then. Keys are paths with dots, on one level:
`_extra->>'location.planet'`. A row is never dropped for its shape; the summary of a run counts what went into
`_extra` and why. A row without its key is the exception: it fails the page.

**`_ingested_at`** is the start, by the server's clock, of the pass that last wrote the row.

**\"From\"** says where in a row a value stands. \"Or\" names a further place, where some API versions put it. \"Of the
conversation: `id`\" is a value of the row that this one stands inside of, or of the group that it belongs to. Where
versions have different words for one thing, the word that is stored is given: `\"none\"` becomes `\"not_priority\"`.

**Tables that are not always read.** One with \"API: from 2.14\" is not there for an older `api_version`: `ingest intercom`
leaves it out and says so, and naming it is a mistake. One that is read \"only when named\" costs a request for every row
in every run, or needs a permission that few tokens have, and is not part of `ingest intercom`.

## How rows come and go

**Strategies**: `merge` inserts new keys and updates known ones: the newer row wins, and a row just read wins over one
stored by an earlier pass. Nothing is removed. `replace` makes the table equal to the answer; keys that are no longer
in it are removed, in the same transaction. `replace per parent` does so for one parent, or one group, at a time: the
rows of a conversation, say, become those that its newest version has. If the list of a parent could not be had whole,
its old rows stay.

**Tables inside others** come with the rows of that table, in the same requests; together they are read once, and each
is complete as of a moment of its own. \"Read\" says what is asked for beside them. A table inside another can be read
without it.

**Links** (`contact_tags` and the like) name two rows by their ids. They are read as far as Intercom knows them, not
only the first ten that a contact shows. Who has a tag or is in a segment is asked tag by tag and segment by segment in
every run, since neither moves a contact's `updated_at`; of large ones the number of members is asked for first, and
[a day may pass](connections.md#how-often-tables-are-read) until it is seen that some came while as many went.
`contact_companies`, `contact_subscriptions` and
`contact_notes` follow the contact: what changes without moving its `updated_at` arrives with the next refresh. The id of
another row is always that row's `id`: `contact_companies.company_id` is `companies.id`, and not `companies.company_id`,
which is your own; in the same way `ticket_parts.ticket_id` is `tickets.id`, and not the number that people see. Links
leave out what their entries say beyond their columns; it stands in the other table. What a row of
`contact_subscriptions` means follows from `subscription_types.consent_type`: with `opt_in` the contact opted in, with
`opt_out` it opted out; what was left as it was is not there. Where Intercom shows only some links of a row and has no
address for the others, what it shows is added, nothing is removed, and the run says so.

**Parts** are what happened in a conversation or on a ticket. Intercom shows the newest 500 of them, so parts are only
ever added and updated; those that were read earlier stay. In `conversations` and `tickets`, `parts_total_count` is how
many there are by Intercom's own count, and `parts_truncated` whether that is more than were shown the last time; both
are NULL until the parts have been read. The object of a conversation is asked for when the conversation has changed
since, or states another number of parts; `_ingest.ledger` keeps what is needed to know
([state-format.md](state-format.md)).

**`_deleted_at`**, in merge tables, is the moment at which a row was found to be gone, and NULL for all others. The row
itself stays. A row is only stamped when it was missing from a complete reading *and* its own address, asked for it
alone, answers 404 or 410. For contacts, conversations and tickets such a reading is a refresh that began and ended in
the same run, without a `start_date`; for tables that are read whole in every run, each run is one. If more than 100
rows and more than 1 % of the table are missing at once, none is stamped and the run says so. Conversations are not
stamped while those that are tickets are hidden from the token. The parts of what is stamped are stamped with it, and
the links that are read with it are removed; links that are read with other rows, such as the `conversation_contacts`
of a contact that is gone, stay until those are read. A row that is seen again loses its stamp.

**`_merged_into`**, in `contacts`, is the id of the contact that a stamped one was merged into, where Intercom says so
(from API 2.16; older versions only say that the contact is not there). After several merges it is the contact that is
still there.

## Custom attributes

Contacts, companies and conversations have their custom attributes as JSON, in `custom_attributes`. Beside each of the
three stands a view, `contacts_custom`, `companies_custom` and `conversations_custom`, with `id` and one column for each
attribute that the workspace declares, under the attribute's name and with its type. With attributes called `Plan Tier`
and `seats`, say:

```sql
SELECT c.email, a.\"Plan Tier\", a.seats
FROM intercom.contacts AS c JOIN intercom.contacts_custom AS a USING (id)
WHERE c._deleted_at IS NULL;
```

| declared as | column |
|---|---|
| `string`, `list` | `VARCHAR` |
| `integer` | `BIGINT` |
| `float`, `decimal` | `DOUBLE` |
| `boolean` | `BOOLEAN` |
| `date`, `datetime` | `TIMESTAMP WITH TIME ZONE` |
| anything else | `JSON` |

A value that does not fit is NULL there and stays in the JSON. Of names that differ in nothing but case, the younger
gets `_2`. Archived attributes come last. The views are made once the table and the declarations (`data_attributes`, or
`contact_attributes` and `company_attributes`) have been read, and made anew when the declarations change. A table or
view of that name that `ingest` did not make is left alone.
";

fn render() -> String {
    let mut page = INTRODUCTION.to_owned();
    for table in TABLES {
        page.push_str(&section(table));
    }
    page
}

fn section(table: &'static TableSpec) -> String {
    let mut text = format!("\n## {}\n\n", table.name);
    let mut line = |what: &str, value: &str| writeln!(text, "- {what}: {value}").expect("text");
    line("key", &key(table));
    line("cursor", &table.cursor.map_or_else(|| "none".to_owned(), |cursor| format!("`{cursor}`")));
    line("strategy", table.disposition.as_str());
    line("endpoint", &endpoint(table));
    line("read", &way(table));
    line("rows that are gone", &gone(table));
    line("permission", &format!("\"{}\"", table.permissions().replace(", ", "\", \"")));
    if let Some(hidden) = table.hidden {
        line("hidden", &format!("{}, without \"{}\"", hidden.what, hidden.permission));
    }
    if table.since_minor > 0 {
        line("API", &format!("from 2.{}", table.since_minor));
    }
    text.push_str("\n| column | type | from |\n|---|---|---|\n");
    let declared = table.columns.iter().map(|column| origin(table, column));
    let filled = table.filled.iter().map(|_| format!("`{}`", table.filled_by.unwrap_or_default()));
    let from = declared.chain(filled).chain(std::iter::repeat("ingest".to_owned()));
    for (column, from) in table.stored_columns().iter().zip(from) {
        writeln!(text, "| `{}` | {} | {from} |", column.name, column.kind.sql()).expect("text");
    }
    text
}

fn key(table: &TableSpec) -> String {
    let part = |key: &ingest::table::KeyColumn| {
        if key.optional { format!("`{}` (may be NULL)", key.name) } else { format!("`{}`", key.name) }
    };
    table.key.iter().map(part).collect::<Vec<_>>().join(", ")
}

fn endpoint(table: &TableSpec) -> String {
    let shown = table.endpoint.describe();
    let Endpoint::Lists { lists, .. } = table.endpoint else {
        return match shown.split_once(", ") {
            None if table.inside().is_some_and(|inside| inside.more == More::Nothing) => shown,
            None => format!("`{shown}`"),
            Some((inside, beside)) => {
                format!("{inside}, `{}` where cut", beside.trim_end_matches(" where cut"))
            }
        };
    };
    let query = |list: &List| {
        let path = format!("`GET {}`", list.path);
        match (list.from_minor, list.until_minor) {
            (0, u8::MAX) => path,
            (from, u8::MAX) => format!("{path} (from API 2.{from})"),
            (_, until) => format!("{path} (up to API 2.{until})"),
        }
    };
    lists.iter().map(query).collect::<Vec<_>>().join(", ")
}

fn way(table: &'static TableSpec) -> String {
    let way = match table.endpoint {
        Endpoint::Search { .. } => {
            "by search: whole at first and whenever a refresh is due, else what changed since the last run"
                .into()
        }
        Endpoint::Log { .. } => {
            "by windows of time: whole at first, else what came since the last run".into()
        }
        Endpoint::Scroll { .. } => "whole in every run, by a scroll".into(),
        Endpoint::Pages { .. } => "whole in every run, page by page".into(),
        Endpoint::Lists { .. } => "whole in every run".into(),
        Endpoint::Sweep { groups, .. } => {
            format!(
                "in every run, one search for each of the {}, more for large ones that have changed",
                groups.name
            )
        }
        Endpoint::Inside(inside) => inside_way(&inside),
    };
    if table.opt_in { format!("{way}; only when named") } else { way }
}

fn inside_way(inside: &Inside) -> String {
    let parents = inside.parent.name;
    let lists: Vec<String> = inside.lists.iter().map(|list| format!("`{list}`")).collect();
    let lists = lists.join(" and ");
    match inside.more {
        More::Nothing => format!("from {lists} of the {parents}, without a request of its own"),
        More::WhereCut(_) => {
            format!("from {lists} of the {parents}; one request where that shows only some")
        }
        More::WhereAny(_) => format!("one request for each of the {parents} with anything in {lists}"),
        More::Always(_) => format!("one request for each of the {parents}"),
        More::Object { stated } => {
            let which = if stated.is_some() { " that has changed since it was last asked for" } else { "" };
            format!("from {lists} of the object, one request for each of the {parents}{which}")
        }
    }
}

fn gone(table: &'static TableSpec) -> String {
    let whole = matches!(table.lead().endpoint, Endpoint::Search { .. });
    let when = if whole { "after a whole refresh" } else { "in every run" };
    match (table.disposition, table.object, table.inside()) {
        (WriteDisposition::Merge, Some(object), _) => {
            format!("stamped {when}, each confirmed by `GET {object}/{{id}}`")
        }
        (WriteDisposition::Merge, None, Some(inside)) => {
            format!("stamped with their {}", singular(inside.parent.name))
        }
        (WriteDisposition::Merge, None, None) => "stay".into(),
        (WriteDisposition::PerParent { .. }, _, Some(inside)) => {
            let parent = singular(inside.parent.name);
            format!("removed when their {parent} has been read, and with it")
        }
        (WriteDisposition::Replace, ..) | (WriteDisposition::PerParent { .. }, _, None) => "removed".into(),
    }
}

/// One of the things that a table is named after.
fn singular(table: &str) -> String {
    let name = table.strip_suffix("ies").map(|stem| format!("{stem}y"));
    name.or_else(|| table.strip_suffix('s').map(str::to_owned)).unwrap_or_default().replace('_', " ")
}

fn origin(table: &'static TableSpec, column: &Column) -> String {
    let mut from =
        if column.path.is_empty() { "the entry itself".into() } else { format!("`{}`", column.path) };
    if column.of_parent {
        let parent = table.groups().unwrap_or(table.lead());
        from = format!("of the {}: {from}", singular(parent.name));
    }
    for place in column.also_at {
        write!(from, ", or `{place}`").expect("text");
    }
    match column.kind {
        Kind::Body => from.push_str(", empty is NULL"),
        Kind::Reference => from.push_str(", 0 is NULL"),
        Kind::Word(spellings) => {
            for (said, stored) in spellings {
                write!(from, ", `\"{said}\"` becomes `\"{stored}\"`").expect("text");
            }
        }
        _ => {}
    }
    from
}

#[test]
fn the_page_of_tables_says_what_the_declarations_say() {
    let path = top().join("docs/tables.md");
    let page = render();
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let difference = page.lines().zip(written.lines()).find(|(new, old)| new != old);
    assert!(
        page == written,
        "docs/tables.md is out of date (UPDATE_DOCS=1 writes it anew); first difference: {difference:?}"
    );
}

#[test]
fn a_key_of_extra_is_asked_for_as_the_page_says() {
    let connection = duckdb::Connection::open_in_memory().unwrap();
    let sql =
        r#"SELECT _extra->>'location.planet' FROM (SELECT '{"location.planet":"Mars"}'::JSON AS _extra)"#;
    let planet: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(planet, "Mars");
}
