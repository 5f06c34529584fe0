//! From decoded batches to a merged DuckDB table: the write half of the main job, with nothing around it.
//!
//! `cargo bench --bench merge [-- ROWS [BIG]]` prints, for each way in which rows may meet those stored, the CPU
//! time (user and system) and the wall time of the commits, the peak memory of the process and the size of the
//! file. The rows come in batches of a page and are committed as often as a run commits them. Each line is a process
//! of its own, so that its peak is its own. `BIG` is the size of the larger table that 300 changed rows go into.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampMicrosecondType;
use ingest::batch::{Decoder, Layout};
use ingest::destination::duckdb::{DuckDb, Options};
use ingest::destination::{Committed, Destination, TableCommit, Target};
use ingest::pipeline::CommitEvery;
use ingest::progress::{Mode, Progress};
use ingest::sandbox::{Sandbox, Settings};
use ingest::source::intercom::tables;
use jiff::Timestamp;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// Rows of a page.
const PAGE: usize = 150;
/// Contacts that differ in more than key and dates; a multiple of [`PAGE`].
const INVENTED: usize = 6_000;
/// Rows that pages are joined to.
const CHUNK: usize = 2_048;
/// Changed rows that go into tables of different sizes.
const FEW: usize = 300;

/// How the rows meet those stored.
const WAYS: [&str; 5] = ["first load", "disjoint", "unchanged", "changed", "few changed"];

fn main() {
    let typed: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if let [way, rows] = typed.as_slice()
        && WAYS.contains(&way.as_str())
    {
        return measure(way, rows.parse().expect("a number of rows"));
    }
    let numbers: Vec<usize> = typed.iter().filter_map(|arg| arg.parse().ok()).collect();
    // Whole pages, so that all are alike.
    let rows = numbers.first().copied().unwrap_or(100_000).next_multiple_of(PAGE);
    let big = numbers.get(1).copied().unwrap_or(300_000);
    println!(
        "{:>12}  {:>10}  {:>8}  {:>8}  {:>14}  {:>8}  {:>8}",
        "rows", "into", "wall s", "CPU s", "CPU s per 100k", "peak MB", "file MB"
    );
    let lines = WAYS.into_iter().take(4).map(|way| (way, rows));
    for (way, rows) in lines.chain([("few changed", 1_000), ("few changed", big)]) {
        let program = std::env::current_exe().expect("a path of its own");
        let status = Command::new(program).args([way, &rows.to_string()]).status().expect("it starts");
        assert!(status.success(), "{way} ended with {status}");
    }
}

/// One line of the result.
fn measure(way: &str, rows: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("crm.duckdb");
    let feed = Feed::new();
    let mut database = Database::open(&path);
    if way != "first load" {
        database.write(&feed, (0..rows).step_by(PAGE).map(|first| (first, PAGE.min(rows - first))), 0);
        database.destination.rest();
    }
    database.spent = Duration::ZERO;
    database.done = Committed::default();
    let started = Instant::now();
    let (first, count, later) = match way {
        "disjoint" => (rows, rows, 0),
        "changed" => (0, rows, 60),
        "few changed" => (0, FEW, 60),
        _ => (0, rows, 0),
    };
    // Few changed rows stand all over the table.
    let stride = if way == "few changed" { rows / FEW } else { 1 };
    let pages: Vec<(usize, usize)> = if stride > 1 {
        (0..count).map(|at| (at * stride, 1)).collect()
    } else {
        (0..count).step_by(PAGE).map(|at| (first + at, PAGE.min(count - at))).collect()
    };
    database.write(&feed, pages.into_iter(), later);
    database.close();
    let wall = started.elapsed();
    let count = u32::try_from(count).expect("fewer rows than that");
    let expected = if matches!(way, "first load" | "disjoint") { database.done.new } else { 0 };
    let met = expected + database.done.changed + database.done.unchanged;
    assert_eq!(met, u64::from(count), "{way}: {:?}", database.done);
    let cpu = database.spent.as_secs_f64();
    println!(
        "{way:>12}  {:>10}  {:>8.2}  {cpu:>8.2}  {:>14.2}  {:>8}  {:>8}",
        if way == "first load" { 0 } else { rows },
        wall.as_secs_f64(),
        cpu * 100_000.0 / f64::from(count),
        usage().max_rss() / 1024,
        std::fs::metadata(&path).expect("the file is there").len() >> 20
    );
}

/// Where the rows go, and what that took.
struct Database {
    destination: DuckDb,
    target: Target,
    spent: Duration,
    done: Committed,
}

impl Database {
    fn open(path: &Path) -> Self {
        let progress = Progress::new(Mode::Off);
        let destination = DuckDb::begin(path, Options::default(), Duration::ZERO, progress).expect("a file");
        let target = Target { schema: "intercom".into(), table: table() };
        Self { destination, target, spent: Duration::ZERO, done: Committed::default() }
    }

    /// Commits pages, given by their first row and their length, as often as a run does.
    fn write(&mut self, feed: &Feed, pages: impl Iterator<Item = (usize, usize)>, later: i64) {
        let every = CommitEvery::default();
        let (mut batches, mut small) = (Vec::new(), Vec::new());
        let (mut rows, mut bytes) = (0, 0);
        for (first, length) in pages {
            let page = feed.page(first, length, later);
            let here = page.num_rows().min(every.rows - rows);
            small.push(page.slice(0, here));
            rows += here;
            // Pages are joined as they come, as the writer does.
            let is_full = rows >= every.rows;
            if is_full || small.iter().map(RecordBatch::num_rows).sum::<usize>() >= CHUNK {
                let before = cpu_time();
                let joined = concat_batches(small[0].schema_ref(), &small).expect("pages of one table");
                self.spent += cpu_time().saturating_sub(before);
                bytes += joined.get_array_memory_size();
                batches.push(joined);
                small.clear();
            }
            if is_full || bytes >= every.bytes {
                self.commit(std::mem::take(&mut batches));
                small.extend((here < page.num_rows()).then(|| page.slice(here, page.num_rows() - here)));
                (rows, bytes) = (page.num_rows() - here, 0);
            }
        }
        batches.append(&mut small);
        self.commit(batches);
    }

    /// Closing has its share in the work: what was only logged is written to its place.
    fn close(&mut self) {
        let before = cpu_time();
        self.destination.rest();
        self.spent += cpu_time().saturating_sub(before);
    }

    fn commit(&mut self, batches: Vec<RecordBatch>) {
        if batches.is_empty() {
            return;
        }
        let before = cpu_time();
        let commit = TableCommit { batches, ..TableCommit::to(self.target.clone(), Timestamp::MIN) };
        let done = self.destination.commit_and_forget(vec![commit]).expect("it commits");
        self.spent += cpu_time().saturating_sub(before);
        self.done.new += done[0].new;
        self.done.changed += done[0].changed;
        self.done.unchanged += done[0].unchanged;
    }
}

/// Any number of contacts: those that were invented again and again, with other keys and dates.
struct Feed {
    pages: Vec<RecordBatch>,
}

impl Feed {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let contacts = runtime.block_on(async {
            let settings = Settings { contacts: INVENTED, contact_bytes: 2000, ..Settings::default() };
            Sandbox::start(settings).await.expect("a sandbox").truth_text("contacts")
        });
        let decoder = Decoder::new(Layout::new(table()));
        let page = |contacts: &[String]| {
            let text = format!("[{}]", contacts.join(","));
            let mut rows = decoder.rows(contacts.len());
            rows.push_list(&text).expect("the sandbox speaks JSON");
            rows.finish(Timestamp::UNIX_EPOCH).expect("every contact has an id").0
        };
        Self { pages: contacts.chunks(PAGE).map(page).collect() }
    }

    /// `length` rows from the one with the number `first`, all invented ones `later` seconds younger.
    fn page(&self, first: usize, length: usize, later: i64) -> RecordBatch {
        let template = &self.pages[first / PAGE % self.pages.len()];
        let template = template.slice(first % PAGE, length.min(PAGE - first % PAGE));
        let schema = template.schema();
        let length = template.num_rows();
        let numbers = (first..first + length).map(|number| i64::try_from(number).expect("a row number"));
        let mut columns = template.columns().to_vec();
        for (at, field) in schema.fields().iter().enumerate() {
            let column: ArrayRef = match field.name().as_str() {
                "id" => {
                    Arc::new(numbers.clone().map(|n| Some(format!("65a{n:021x}"))).collect::<StringArray>())
                }
                "email" => {
                    Arc::new(numbers.clone().map(|n| Some(format!("p{n}@x.test"))).collect::<StringArray>())
                }
                "updated_at" => {
                    let moved =
                        columns[at].as_primitive::<TimestampMicrosecondType>().iter().zip(numbers.clone());
                    let moved = moved.map(|(moment, n)| Some(moment? + (n + later) * 1_000_000));
                    Arc::new(moved.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
                }
                _ => continue,
            };
            columns[at] = column;
        }
        // A copy of its own, as a decoded page is.
        let copies: Vec<ArrayRef> =
            columns.iter().map(|column| arrow::compute::concat(&[column]).expect("one column")).collect();
        RecordBatch::try_new(schema, copies).expect("columns of the same length")
    }
}

fn table() -> &'static ingest::table::TableSpec {
    tables::find("contacts").expect("contacts is a table")
}

fn usage() -> Usage {
    getrusage(UsageWho::RUSAGE_SELF).expect("usage of this process")
}

fn cpu_time() -> Duration {
    let usage = usage();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}
