//! How much of the rate budget the client uses, measured against a sandbox in another process.
//!
//! `cargo bench --bench rate_limit [-- SECONDS [LIMIT [LATENCY_MS]]]` prints a line for each limit, latency and second
//! client: the share of what was available that the client got in every full window (least and mean), its answers 429,
//! what the second client got of the whole budget, and requests in flight. The first and the last window are not
//! full and do not count; windows are those of the server, and so are all counts: they come from its log.
//!
//! The second client has connections of its own and the same token. It wants half of the budget, steadily or in bursts,
//! and sends whatever the first one does.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use ingest::client::{Backoff, Call, Client, ClientSettings};
use ingest::config::secret::Secret;
use ingest::progress::TableProgress;
use ingest::sandbox::{RateLimit, Sandbox, Settings};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

const WINDOW: Duration = Duration::from_secs(10);
/// Tasks that always want to send.
const TASKS: usize = 400;
/// Tables they belong to.
const TABLES: usize = 8;
const OURS: &str = "/tags?by=first";
const OTHERS: &str = "/tags?by=second";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Second {
    None,
    Steady,
    /// A twentieth of the budget at once, every second.
    Ticking,
    /// Half of the budget at once, in the middle of every window.
    AtOnce,
}

/// What became of a window.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    ours: u32,
    refused: u32,
    others: u32,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let number = |place: usize| args.get(place).and_then(|arg| arg.parse::<u64>().ok());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if args.first().is_some_and(|arg| arg == "serve") {
        runtime.block_on(serve(number(1).unwrap_or(166), number(2).unwrap_or(0)));
        return;
    }
    println!(
        "{:>5}  {:>7}  {:>10}  {:>7}  {:>7}  {:>7}  {:>6}  {:>8}  {:>9}  {:>5}",
        "limit",
        "latency",
        "second",
        "windows",
        "least %",
        "mean %",
        "429 %",
        "others %",
        "in flight",
        "CPU %"
    );
    for limit in [166, 1_666] {
        for latency in [20, 150, 600] {
            for second in [Second::None, Second::Steady, Second::Ticking, Second::AtOnce] {
                let is_wanted = number(1).is_none_or(|typed| typed == limit)
                    && number(2).is_none_or(|typed| typed == latency);
                if is_wanted {
                    runtime.block_on(measure(limit, latency, second, number(0).unwrap_or(60)));
                }
            }
        }
    }
}

async fn measure(limit: u64, latency: u64, second: Second, seconds: u64) {
    let served = Served::start(limit, latency);
    let client = client(&served.base_url);
    let before = cpu_time();
    let began = Instant::now();
    let tables: Vec<TableProgress> = (0..TABLES).map(|_| TableProgress::silent()).collect();
    let tasks = tables.iter().cycle().take(TASKS).map(|table| {
        let client = client.on_behalf_of(table.clone());
        tokio::spawn(async move {
            loop {
                client.send(|_| Call::get(OURS)).await.expect("an answer");
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let other = tokio::spawn(second_client(served.base_url.clone(), limit, second));
    let mut most = 0;
    while began.elapsed() < Duration::from_secs(seconds) {
        most = most.max(client.pace().in_flight);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let cpu = cpu_time().saturating_sub(before).as_secs_f64() * 100.0 / began.elapsed().as_secs_f64();
    other.abort();
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    let windows = served.stop();
    let full = windows.get(1..windows.len().saturating_sub(1)).unwrap_or_default();
    let share = |window: &Window| percent(window.ours, u32::try_from(limit).unwrap_or(1) - window.others);
    let sum = |of: fn(&Window) -> u32| full.iter().map(of).sum::<u32>();
    let windows = f64::from(u32::try_from(full.len()).unwrap_or(0));
    println!(
        "{limit:>5}  {:>7}  {:>10}  {windows:>7}  {:>7.1}  {:>7.1}  {:>6.2}  {:>8.1}  {most:>9}  {cpu:>5.1}",
        format!("{latency} ms"),
        format!("{second:?}"),
        full.iter().map(share).fold(100.0, f64::min),
        full.iter().map(share).sum::<f64>() / windows,
        percent(sum(|window| window.refused), sum(|window| window.ours + window.refused)),
        f64::from(sum(|window| window.others)) * 100.0
            / windows
            / f64::from(u32::try_from(limit).unwrap_or(1)),
    );
}

fn percent(part: u32, whole: u32) -> f64 {
    f64::from(part) * 100.0 / f64::from(whole.max(1))
}

fn client(base_url: &str) -> Client {
    let settings = ClientSettings {
        base_url: base_url.to_owned(),
        token: Secret::new(Settings::default().token),
        api_version: "2.14".to_owned(),
        rate_limit: None,
        concurrency: 256,
        patience: Duration::from_secs(30),
        backoff: Backoff::default(),
    };
    Client::new(settings, TableProgress::silent()).expect("a client")
}

/// Sends at its own pace, whatever is answered.
async fn second_client(base_url: String, limit: u64, second: Second) {
    let half = u32::try_from(limit / 2).unwrap_or(1);
    let (requests, every, first) = match second {
        Second::None => return,
        Second::Steady => (1, WINDOW / half, Duration::ZERO),
        Second::Ticking => (half / 10, WINDOW / 10, Duration::ZERO),
        Second::AtOnce => (half, WINDOW, WINDOW / 2),
    };
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let url = format!("{base_url}{OTHERS}");
    let mut next = tokio::time::interval_at(tokio::time::Instant::now() + first, every);
    loop {
        next.tick().await;
        for _ in 0..requests {
            let request = http.get(&url).bearer_auth(Settings::default().token);
            let request = request.header("intercom-version", "2.14");
            tokio::spawn(async move { request.send().await.is_ok() });
        }
    }
}

/// CPU time of this process, the second client included.
fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("usage of this process");
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}

/// Serves until standard input ends, then prints what became of each window.
async fn serve(limit: u64, latency: u64) {
    let rate_limit = RateLimit { requests: u32::try_from(limit).unwrap_or(u32::MAX), per: WINDOW };
    let settings = Settings {
        rate_limit: Some(rate_limit),
        latency: Duration::from_millis(latency),
        ..Settings::default()
    };
    let sandbox = Sandbox::start(settings).await.expect("the sandbox starts");
    println!("{}", sandbox.base_url());
    let wait = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    wait.await.expect("standard input is read").expect("standard input ends");
    let mut windows: BTreeMap<i64, Window> = BTreeMap::new();
    for record in sandbox.requests() {
        let window = windows.entry(record.at.as_second().div_euclid(10)).or_default();
        match (record.path_and_query == OURS, record.status == 429) {
            (true, false) => window.ours += 1,
            (true, true) => window.refused += 1,
            (false, false) => window.others += 1,
            (false, true) => {}
        }
    }
    for Window { ours, refused, others } in windows.values() {
        println!("{ours} {refused} {others}");
    }
    std::io::stdout().flush().expect("standard output is there");
}

/// A sandbox in another process.
struct Served {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    base_url: String,
}

impl Served {
    fn start(limit: u64, latency: u64) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut process = Command::new(program)
            .args(["serve", &limit.to_string(), &latency.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the sandbox starts");
        let stdin = process.stdin.take().expect("stdin is piped");
        let mut stdout = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let mut base_url = String::new();
        stdout.read_line(&mut base_url).expect("the sandbox says where it is");
        Self { process, stdin, stdout, base_url: base_url.trim().to_owned() }
    }

    fn stop(mut self) -> Vec<Window> {
        drop(self.stdin);
        let lines = self.stdout.lines().map(|line| line.expect("the sandbox tells"));
        let windows = lines.map(|line| {
            let counts: Vec<u32> = line.split(' ').filter_map(|count| count.parse().ok()).collect();
            Window { ours: counts[0], refused: counts[1], others: counts[2] }
        });
        let windows = windows.collect();
        self.process.wait().expect("the sandbox ends");
        windows
    }
}
