//! Pages of contacts into record batches, one thread. The throughput is that of the JSON text.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ingest::batch::{Decoder, Layout};
use ingest::sandbox::{Sandbox, Settings};
use ingest::source::intercom::tables;

const ROWS: usize = 150;

fn decode(criterion: &mut Criterion) {
    let table = tables::find("contacts").expect("contacts is a table");
    let decoder = Decoder::new(Layout::new(table));
    let page = format!("[{}]", contacts().join(","));
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function("a page of 150 contacts of 2 KB", |bencher| {
        bencher.iter(|| {
            let mut rows = decoder.rows(ROWS);
            rows.push_list(black_box(&page)).expect("the sandbox speaks JSON");
            rows.finish(jiff::Timestamp::UNIX_EPOCH).expect("every contact has an id")
        });
    });
    group.finish();
}

fn contacts() -> Vec<String> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let settings = Settings { contacts: ROWS, contact_bytes: 2000, ..Settings::default() };
        Sandbox::start(settings).await.expect("a sandbox").truth_text("contacts")
    })
}

criterion_group!(benches, decode);
criterion_main!(benches);
