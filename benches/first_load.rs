//! The main job from end to end: contacts of 2 KB from a sandbox in another process into a DuckDB file.
//!
//! `cargo bench --bench first_load [-- ROWS...]` prints CPU time (user and system) and peak memory of the
//! client process alone, for a first load and for a second run with nothing changed.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;

const INGEST: &str = env!("CARGO_BIN_EXE_ingest");

fn main() {
    let typed: Vec<u32> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let sizes = if typed.is_empty() { vec![20_000] } else { typed };
    println!(
        "{:>10}  {:>12}  {:>8}  {:>8}  {:>8}  {:>10}",
        "rows", "run", "wall s", "CPU s", "peak MB", "rows/s"
    );
    for rows in sizes {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut sandbox = Served::start(rows);
        sandbox.configure(folder.path());
        for run in ["first load", "unchanged"] {
            let (wall, cpu, peak) = measured(folder.path());
            let per_second = f64::from(rows) / wall.as_secs_f64();
            println!(
                "{rows:>10}  {run:>12}  {:>8.2}  {:>8.2}  {peak:>8}  {per_second:>10.0}",
                wall.as_secs_f64(),
                cpu.as_secs_f64()
            );
        }
        sandbox.process.kill().expect("the sandbox runs");
        sandbox.process.wait().expect("the sandbox ends");
    }
}

/// Wall time, CPU time and peak memory in MB of one run of the client. The peak is that of the hungriest
/// child so far, so runs go from small to large.
fn measured(folder: &Path) -> (Duration, Duration, i64) {
    let before = children();
    let started = Instant::now();
    let status = Command::new(INGEST)
        .args(["intercom.contacts", "--progress", "off"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .status()
        .expect("the client starts");
    let wall = started.elapsed();
    assert!(status.success(), "the client ended with {status}");
    let after = children();
    (wall, cpu_time(&after).saturating_sub(cpu_time(&before)), after.max_rss() / 1024)
}

fn children() -> Usage {
    getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage of child processes")
}

fn cpu_time(usage: &Usage) -> Duration {
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
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

    fn configure(&mut self, folder: &Path) {
        let text = format!(
            "connections:\n  intercom:\n    - {{ name: intercom, access_token: sandbox-token, base_url: \"{}\" }}\n  \
             duckdb:\n    - {{ name: local, path: ./crm.duckdb }}\n",
            self.base_url
        );
        std::fs::write(folder.join("connections.yml"), text).expect("the folder can be written");
    }
}
