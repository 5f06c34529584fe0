//! Pages into record batches, one thread. The throughput is that of the JSON text.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ingest::batch::{Decoder, Embedded, Layout, Members, ParentValues, Scanner};
use ingest::sandbox::{Sandbox, Settings};
use ingest::source::intercom::tables;
use jiff::Timestamp;

const ROWS: usize = 150;
/// Tables inside conversations whose rows stand in the pages of the search.
const INSIDE: [&str; 3] = ["conversation_contacts", "conversation_tags", "conversation_teammates"];

fn decode(criterion: &mut Criterion) {
    let settings =
        Settings { contacts: ROWS, conversations: ROWS, contact_bytes: 2000, ..Settings::default() };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sandbox = runtime.block_on(Sandbox::start(settings)).expect("a sandbox");
    let page = |table: &str| format!("[{}]", sandbox.truth_text(table).join(","));
    alone(criterion, "contacts of 2 KB", "contacts", &page("contacts"));
    alone(criterion, "parts with escapes", "conversation_parts", &escaped_parts());
    with_children(criterion, &page("conversations"));
}

/// Rows of one table.
fn alone(criterion: &mut Criterion, what: &str, table: &str, page: &str) {
    let table = tables::find(table).expect("a table");
    let decoder = Decoder::new(Layout::new(table));
    let parent = match table.inside() {
        Some(inside) => Embedded::new(table, inside).values_of_id("1"),
        None => ParentValues::default(),
    };
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function(what, |bencher| {
        bencher.iter(|| {
            let mut rows = decoder.rows(ROWS);
            Scanner::read_list(black_box(page), |scan| rows.read(scan, &parent, None, String::new).map(drop))
                .expect("JSON");
            rows.finish(Timestamp::UNIX_EPOCH).expect("rows with keys")
        });
    });
    group.finish();
}

/// Conversations, and the rows of three tables inside them.
fn with_children(criterion: &mut Criterion, page: &str) {
    let decoder = Decoder::new(Layout::new(tables::find("conversations").expect("a table")));
    let child = |name: &&str| {
        let table = tables::find(name).expect("a table");
        Embedded::new(table, table.inside().expect("inside"))
    };
    let children: Vec<Embedded> = INSIDE.iter().map(child).collect();
    let mut keys: Vec<&'static str> = children.iter().flat_map(Embedded::first_keys).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function("conversations with tags, contacts and teammates", |bencher| {
        bencher.iter(|| {
            let mut rows = decoder.rows(ROWS);
            let mut inside: Vec<_> = children.iter().map(|child| child.rows(ROWS)).collect();
            let mut parents = Vec::new();
            Scanner::read_list(black_box(page), |scan| {
                let mut members = Members::under(&keys);
                rows.read(scan, &ParentValues::default(), Some(&mut members), String::new)?;
                parents.push(members);
                Ok(())
            })
            .expect("JSON");
            for parent in &parents {
                for (child, rows) in children.iter().zip(&mut inside) {
                    child.take(parent, &child.find(parent), rows).expect("entries");
                }
            }
            let batches = std::iter::once(rows).chain(inside);
            batches
                .map(|rows| rows.finish(Timestamp::UNIX_EPOCH).expect("rows with keys"))
                .collect::<Vec<_>>()
        });
    });
    group.finish();
}

/// Parts whose bodies are HTML as other programs write it: escaped, and not in English.
fn escaped_parts() -> String {
    let line = r#"<p class=\"intro\">Gr\u00fc\u00dfe aus Köln,\n東京 \ud83d\ude00 \u003cb\u003ewith\u003c\/b\u003e \"quotes\"</p>"#;
    let body = line.repeat(16);
    let part = |id: usize| {
        format!(
            r#"{{"type":"conversation_part","id":"{id}","part_type":"comment","body":"{body}","created_at":1700000000,"author":{{"type":"admin","id":"7","name":"Zoë"}},"attachments":[],"redacted":false}}"#
        )
    };
    let parts: Vec<String> = (0..ROWS).map(part).collect();
    format!("[{}]", parts.join(","))
}

criterion_group!(benches, decode);
criterion_main!(benches);
