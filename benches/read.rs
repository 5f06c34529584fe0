//! The read half of a first load: contacts of 2 KB from a sandbox in another process into record batches, which are
//! dropped. What is left out is the destination.
//!
//! `cargo bench --bench read [-- ROWS... [readers=N] [gzip]]` prints CPU time (user and system) and peak memory of the
//! reading process alone. Several readers read the same table at the same time, each all of it; `gzip` asks for
//! compressed answers although they come over loopback.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use ingest::client::{Backoff, Client, ClientSettings};
use ingest::config::secret::Secret;
use ingest::progress::TableProgress;
use ingest::source::intercom::{Intercom, tables};
use ingest::source::{Ask, Order, Pass, Source, page_channel};
use ingest::window::{DateField, Window};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;

const INGEST: &str = env!("CARGO_BIN_EXE_ingest");

fn main() {
    let typed: Vec<String> = std::env::args().skip(1).collect();
    if let [command, base_url, readers] = typed.as_slice()
        && command == "reads"
    {
        return read(base_url, readers.parse().expect("a number of readers"));
    }
    let mut sizes: Vec<u32> = typed.iter().filter_map(|arg| arg.parse().ok()).collect();
    if sizes.is_empty() {
        sizes.push(20_000);
    }
    let readers = typed.iter().find_map(|arg| arg.strip_prefix("readers=")?.parse().ok()).unwrap_or(1);
    let gzip = typed.iter().any(|arg| arg == "gzip");
    println!(
        "{:>10}  {:>8}  {:>8}  {:>8}  {:>14}  {:>10}  {:>8}",
        "rows", "wall s", "user s", "system s", "CPU s per 100k", "rows/s", "peak MB"
    );
    for rows in sizes {
        let mut sandbox = Served::start(rows);
        // Packed answers are not asked for over loopback, which is not known by this name.
        let base_url = if gzip {
            sandbox.base_url.replace("127.0.0.1", "[::ffff:127.0.0.1]")
        } else {
            sandbox.base_url.clone()
        };
        let measured = Measured::of(&base_url, readers);
        let read = f64::from(rows * readers);
        let (user, system) = (measured.user.as_secs_f64(), measured.system.as_secs_f64());
        println!(
            "{:>10}  {:>8.2}  {user:>8.2}  {system:>8.2}  {:>14.3}  {:>10.0}  {:>8}",
            rows * readers,
            measured.wall.as_secs_f64(),
            (user + system) / read * 100_000.0,
            read / measured.wall.as_secs_f64(),
            measured.peak
        );
        sandbox.process.kill().expect("the sandbox runs");
        sandbox.process.wait().expect("the sandbox ends");
    }
}

/// Reads all contacts, as often at once as there are readers, and drops them.
fn read(base_url: &str, readers: usize) {
    let settings = ClientSettings {
        base_url: base_url.to_owned(),
        token: Secret::new("sandbox-token".to_owned()),
        api_version: "2.14".to_owned(),
        rate_limit: None,
        concurrency: 64,
        patience: Duration::from_secs(60),
        backoff: Backoff::default(),
    };
    // As the program has it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let progress = TableProgress::silent();
        let client = Client::new(settings, progress.clone()).expect("a client");
        let source = Intercom::new(client, 14, None);
        let rows: usize = try_join_all((0..readers).map(|_| read_once(&source, &progress)))
            .await
            .expect("contacts are read")
            .into_iter()
            .sum();
        assert!(rows > 0, "no contacts");
    });
}

async fn read_once(source: &Intercom, progress: &TableProgress) -> ingest::error::Result<usize> {
    let table = tables::find("contacts").expect("contacts is a table");
    let (sender, mut pages) = page_channel();
    let window = Window { from: None, to: None };
    let ask = Ask::dated(DateField::UpdatedAt, window, Order::OldestFirst);
    let began = source.identify(progress).await?.date.expect("the sandbox has a clock");
    let reading = source.read(Pass::alone(table, ask, began), sender, progress);
    let dropping = async {
        let mut rows = 0;
        while let Some(page) = pages.recv().await {
            for share in &page.shares {
                rows += share.as_ref().map_or(0, |share| share.batch.num_rows());
            }
        }
        rows
    };
    let (read, rows) = futures_util::future::join(reading, dropping).await;
    read.map(|()| rows)
}

/// What one run of the reading process took.
struct Measured {
    wall: Duration,
    user: Duration,
    system: Duration,
    /// In MB. That of the hungriest child so far, so runs go from small to large.
    peak: i64,
}

impl Measured {
    fn of(base_url: &str, readers: u32) -> Self {
        let before = children();
        let started = Instant::now();
        let status = Self::run(base_url, readers);
        let wall = started.elapsed();
        assert!(status.success(), "the reading process ended with {status}");
        let after = children();
        let micros =
            |usage: &Usage| (usage.user_time().num_microseconds(), usage.system_time().num_microseconds());
        let ((user, system), (user_before, system_before)) = (micros(&after), micros(&before));
        Self {
            wall,
            user: Duration::from_micros((user - user_before).unsigned_abs()),
            system: Duration::from_micros((system - system_before).unsigned_abs()),
            peak: after.max_rss() / 1024,
        }
    }

    fn run(base_url: &str, readers: u32) -> ExitStatus {
        let itself = std::env::current_exe().expect("a program");
        let reading = ["reads", base_url, &readers.to_string()];
        Command::new(itself).args(reading).status().expect("the reading process starts")
    }
}

fn children() -> Usage {
    getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage of child processes")
}

/// A sandbox in another process.
struct Served {
    process: Child,
    base_url: String,
}

impl Served {
    fn start(contacts: u32) -> Self {
        let contacts = contacts.to_string();
        let mut process = Command::new(INGEST)
            .args(["sandbox", "--port", "0", "--rate-limit", "100000/10s", "--contact-bytes", "2000"])
            .args(["--contacts", &contacts])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the sandbox starts");
        let mut base_url = String::new();
        let stdout = process.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut base_url).expect("the sandbox says where it is");
        Self { process, base_url: base_url.trim().to_owned() }
    }
}
