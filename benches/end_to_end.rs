//! The main job from end to end: a workspace served by another process, at a set latency and rate, into a DuckDB file or
//! a lake.
//!
//! ```text
//! cargo bench --bench end_to_end                      every scenario, some minutes
//! cargo bench --bench end_to_end -- limit             those whose name begins so
//! cargo bench --bench end_to_end -- --contacts 200000 --latency 20ms --rate 1666/10s
//! ```
//!
//! What is printed of each run:
//! - `rows`: rows of the destination that are new or changed; `rows/s`: by wall time.
//! - `CPU s/100k`: CPU time, user and system, of the client process alone, for 100,000 of those rows.
//! - `peak MB`: the most memory that the client had in use.
//! - `requests`, `least`: requests sent, and the fewest that could bring the same: full pages, one request for each
//!   object, and three for the token, the changes meanwhile and the count at the end.
//! - `rate`: requests sent against those that the limit allows in this time at an even pace.
//! - `limit`: the least time that the limit and the latency leave against the time it took. The least time is that of
//!   the windows that the fewest requests take up, each used at once, and of five answers one after the other.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use ingest::sandbox::{Change, RateLimit, Sandbox, Settings};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::Value;

/// Rows of a full page.
const PAGE: u64 = 150;
/// Requests that every run of a searched table needs beside its pages: the token, what changed meanwhile, the count.
const AROUND: u64 = 3;

/// One workspace, how it answers, and what is read of it.
#[derive(Debug, Clone)]
struct Scenario {
    name: String,
    contacts: usize,
    conversations: usize,
    bytes: usize,
    latency: Duration,
    rate: (u32, Duration),
    tables: Vec<String>,
    /// Contacts that change before each further run. The first of these runs also reads again what had changed within
    /// the hour before the load; the second one only what is listed here.
    changes: Vec<u32>,
    /// Whether they are brought into a folder of Parquet files; then the newest ones change, as mostly happens.
    lake: bool,
}

fn scenarios() -> Vec<Scenario> {
    let rate = |requests| (requests, Duration::from_secs(10));
    let contacts = |name: &str, contacts, latency, requests| Scenario {
        name: name.to_owned(),
        contacts,
        conversations: 0,
        bytes: 2_000,
        latency: Duration::from_millis(latency),
        rate: rate(requests),
        tables: vec!["contacts".to_owned()],
        changes: Vec::new(),
        lake: false,
    };
    let parts = |name: &str, conversations, latency, requests| Scenario {
        conversations,
        tables: vec!["conversations".to_owned(), "conversation_parts".to_owned()],
        ..contacts(name, 100, latency, requests)
    };
    vec![
        contacts("limit 150ms 1666", 30_000, 150, 1_666),
        contacts("limit 600ms 1666", 30_000, 600, 1_666),
        contacts("limit 20ms 166", 30_000, 20, 166),
        contacts("limit 150ms 1666, many", 450_000, 150, 1_666),
        parts("parts 150ms 1666", 4_000, 150, 1_666),
        Scenario { changes: vec![0, 0, 300], ..contacts("cpu 100k", 100_000, 0, 100_000) },
        Scenario { changes: vec![0, 0, 300], ..contacts("cpu 1M", 1_000_000, 0, 100_000) },
        Scenario { changes: vec![0, 0, 300], ..contacts("change 1k", 1_000, 0, 100_000) },
        Scenario { bytes: 600, changes: vec![0, 0, 300], ..contacts("change 3M", 3_000_000, 0, 100_000) },
        Scenario { changes: vec![0, 300], lake: true, ..contacts("lake 100k", 100_000, 0, 100_000) },
        Scenario { changes: vec![0, 300], lake: true, ..contacts("lake 1M", 1_000_000, 0, 100_000) },
        Scenario {
            bytes: 600,
            changes: vec![0, 300],
            lake: true,
            ..contacts("lake 3M", 3_000_000, 0, 100_000)
        },
    ]
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.first().map(String::as_str) {
        Some("--serve") => serve(&args[1..]),
        Some("--measure") => measure(&args[1..]),
        _ => compare(&args),
    }
}

fn compare(args: &[String]) {
    let chosen: Vec<Scenario> = if args.iter().any(|arg| arg.starts_with("--")) {
        vec![typed(args)]
    } else {
        let is_chosen =
            |scenario: &Scenario| args.is_empty() || args.iter().any(|arg| scenario.name.starts_with(arg));
        scenarios().into_iter().filter(is_chosen).collect()
    };
    println!(
        "{:<24} {:<12} {:>9} {:>7} {:>9} {:>10} {:>7} {:>8} {:>8} {:>6} {:>6}",
        "scenario",
        "run",
        "rows",
        "wall s",
        "rows/s",
        "CPU s/100k",
        "peak MB",
        "requests",
        "least",
        "rate",
        "limit"
    );
    for scenario in chosen {
        run(&scenario);
    }
}

/// A scenario of one's own.
fn typed(args: &[String]) -> Scenario {
    let value = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
    let number =
        |name: &str, default: usize| value(name).map_or(default, |text| text.parse().expect("a number"));
    let latency = value("--latency").map_or("0ms", |text| text.as_str());
    let latency = latency.trim_end_matches("ms").parse().expect("a latency such as 150ms");
    let rate = value("--rate").map_or("1666/10s", |text| text.as_str());
    let (requests, seconds) = rate.split_once('/').expect("a rate such as 1666/10s");
    let seconds = seconds.trim_end_matches('s').parse().expect("a rate such as 1666/10s");
    let tables = value("--tables").map_or("contacts", |text| text.as_str());
    Scenario {
        name: "as typed".to_owned(),
        contacts: number("--contacts", 30_000),
        conversations: number("--conversations", 0),
        bytes: number("--bytes", 2_000),
        latency: Duration::from_millis(latency),
        rate: (requests.parse().expect("a rate such as 1666/10s"), Duration::from_secs(seconds)),
        tables: tables.split(',').map(str::to_owned).collect(),
        changes: value("--change").map(|text| text.parse().expect("a number")).into_iter().collect(),
        lake: args.iter().any(|arg| arg == "--lake"),
    }
}

fn run(scenario: &Scenario) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut server = Server::start(scenario);
    server.configure(folder.path(), scenario.lake);
    report(scenario, "first load", &measured(folder.path(), scenario), None);
    let mut files = files(folder.path());
    for change in &scenario.changes {
        server.change(*change, scenario.lake);
        let what = if *change == 0 { "unchanged".to_owned() } else { format!("{change} changed") };
        report(scenario, &what, &measured(folder.path(), scenario), Some(*change));
        let now = self::files(folder.path());
        if !now.is_empty() {
            println!("  {} of {} files written anew", now.difference(&files).count(), now.len());
        }
        files = now;
    }
}

/// The names of the files of contacts in a lake; of files that are written anew they are new.
fn files(folder: &Path) -> BTreeSet<OsString> {
    let listed = std::fs::read_dir(folder.join("lake/intercom/contacts")).into_iter().flatten().flatten();
    let names = listed.map(|found| found.file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".parquet")).collect()
}

/// What one run of the client took.
#[derive(Debug)]
struct Taken {
    wall: f64,
    cpu: f64,
    peak: i64,
    summary: Value,
}

fn report(scenario: &Scenario, run: &str, taken: &Taken, changed: Option<u32>) {
    let tables = taken.summary["tables"].as_array().cloned().unwrap_or_default();
    let sum = |path: &str| {
        tables.iter().map(|table| table.pointer(path).and_then(Value::as_u64).unwrap_or(0)).sum::<u64>()
    };
    for table in &tables {
        assert_eq!(table["outcome"], "complete", "{table}");
    }
    let rows = sum("/rows/new") + sum("/rows/changed");
    // What is asked before the tables' own requests: whose token it is.
    let requests = sum("/requests") + 1;
    let pages = |rows: usize| (rows as u64).div_ceil(PAGE).max(1);
    let least = AROUND
        + match changed {
            Some(_) => 0,
            None if scenario.conversations > 0 => {
                pages(scenario.conversations) + scenario.conversations as u64
            }
            None => pages(scenario.contacts),
        };
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let (rows_f, requests_f, least_f) = (rows as f64, requests as f64, least as f64);
    let (allowed, per) = (f64::from(scenario.rate.0), scenario.rate.1.as_secs_f64());
    let rate = requests_f / (allowed / per * taken.wall);
    let windows = ((least_f / allowed).ceil() - 1.0).max(0.0) * per;
    let bound = windows.max(5.0 * scenario.latency.as_secs_f64());
    let limit = if bound > 0.0 { format!("{:.0}%", 100.0 * bound / taken.wall) } else { "-".into() };
    println!(
        "{:<24} {:<12} {:>9} {:>7.2} {:>9.0} {:>10.2} {:>7} {:>8} {:>8} {:>5.0}% {:>6}",
        scenario.name,
        run,
        rows,
        taken.wall,
        rows_f / taken.wall,
        if rows == 0 { taken.cpu } else { taken.cpu / rows_f * 100_000.0 },
        taken.peak,
        requests,
        least,
        100.0 * rate,
        limit
    );
}

/// Runs the client in a process of its own, so that nothing else is counted.
fn measured(folder: &Path, scenario: &Scenario) -> Taken {
    let own = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(own);
    command.arg("--measure").args(scenario.tables.iter().map(|table| format!("intercom.{table}")));
    let output = command.current_dir(folder).stderr(Stdio::inherit()).output().expect("this program starts");
    let text = String::from_utf8(output.stdout).expect("text");
    let taken: Value = serde_json::from_str(&text).expect("a measurement");
    Taken {
        wall: taken["wall"].as_f64().unwrap_or_default(),
        cpu: taken["cpu"].as_f64().unwrap_or_default(),
        peak: taken["peak"].as_i64().unwrap_or_default(),
        summary: taken["summary"].clone(),
    }
}

/// Runs the client and prints what it took.
fn measure(tables: &[String]) {
    let started = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_ingest"))
        .args(tables)
        .args(["--progress", "off", "--output", "json"])
        .env("SANDBOX_TOKEN", "sandbox-token")
        .stderr(Stdio::inherit())
        .output()
        .expect("the client starts");
    let wall = started.elapsed().as_secs_f64();
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage of child processes");
    let micros = used.user_time().num_microseconds() + used.system_time().num_microseconds();
    let summary: Value = serde_json::from_slice(&output.stdout).expect("the client's summary");
    let cpu = Duration::from_micros(micros.unsigned_abs()).as_secs_f64();
    println!(
        "{}",
        serde_json::json!({ "wall": wall, "cpu": cpu, "peak": used.max_rss() / 1024, "summary": summary })
    );
}

/// A workspace in another process.
struct Server {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    base_url: String,
}

impl Server {
    fn start(scenario: &Scenario) -> Self {
        let own = std::env::current_exe().expect("this program has a path");
        let numbers = [
            scenario.contacts as u128,
            scenario.conversations as u128,
            scenario.bytes as u128,
            scenario.latency.as_millis(),
            u128::from(scenario.rate.0),
            scenario.rate.1.as_millis(),
        ];
        let mut process = Command::new(own)
            .arg("--serve")
            .args(numbers.iter().map(u128::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts");
        let orders = process.stdin.take().expect("stdin is piped");
        let mut base_url = String::new();
        let mut answers = BufReader::new(process.stdout.take().expect("stdout is piped"));
        answers.read_line(&mut base_url).expect("the server says where it is");
        Self { process, orders, answers, base_url: base_url.trim().to_owned() }
    }

    fn configure(&self, folder: &Path, lake: bool) {
        let (kind, path) = if lake { ("parquet", "./lake") } else { ("duckdb", "./crm.duckdb") };
        let text = format!(
            "connections:\n  intercom:\n    - {{ name: intercom, access_token: \"${{SANDBOX_TOKEN}}\", base_url: \"{}\" }}\n  \
             {kind}:\n    - {{ name: local, path: {path} }}\n",
            self.base_url
        );
        std::fs::write(folder.join("connections.yml"), text).expect("the folder can be written");
    }

    /// Lets two hours go by in which so many contacts change.
    fn change(&mut self, contacts: u32, are_newest: bool) {
        let which = if are_newest { "newest" } else { "some" };
        writeln!(self.orders, "{which} {contacts}").expect("the server listens");
        self.answers.read_line(&mut String::new()).expect("the server says when it is done");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Serves a workspace until it is killed, and carries out orders from stdin.
fn serve(args: &[String]) {
    let numbers: Vec<u64> = args.iter().map(|arg| arg.parse().expect("a number")).collect();
    let size = |at: usize| usize::try_from(numbers[at]).expect("a size");
    let settings = Settings {
        contacts: size(0),
        conversations: size(1),
        contact_bytes: size(2),
        latency: Duration::from_millis(numbers[3]),
        rate_limit: Some(RateLimit {
            requests: u32::try_from(numbers[4]).expect("a rate"),
            per: Duration::from_millis(numbers[5]),
        }),
        ..Settings::default()
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sandbox = runtime.block_on(Sandbox::start(settings)).expect("the sandbox listens");
    println!("{}", sandbox.base_url());
    for order in std::io::stdin().lines() {
        let order = order.expect("orders are text");
        let (which, count) = order.split_once(' ').expect("an order is two words");
        let (table, count) = ("contacts".to_owned(), count.parse().expect("a number"));
        sandbox.advance(Duration::from_secs(7_200));
        sandbox.change(match which {
            "newest" => Change::UpdateNewest { table, count },
            _ => Change::UpdateSome { table, count },
        });
        println!("done");
    }
    runtime.block_on(std::future::pending::<()>());
}
