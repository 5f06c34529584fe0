//! Where a large table is cut while it is read: what planning costs, and how well it divides the work.
//!
//! `cargo bench --bench windows [-- ROWS...]` plays a search whose rows lie evenly in time, or half of them in one day in a
//! hundred, and cursors that are answered in turn. It prints for each
//! - `pages`, `least`: pages that were asked for, and those that hold all rows;
//! - `cuts`: cursors that were opened beside the first; `at once`: how many were reading, on average;
//! - `CPU us/page`: CPU time of the planning for each page, that of playing the search included.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::collections::VecDeque;
use std::time::Duration;

use ingest::source::intercom::cuts::{Cuts, Latency, Seen, Until, cursors_wanted};
use ingest::window::Window;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

const PAGE: usize = 150;
const DAY: i64 = 86_400;
/// The span of time that the rows lie in, before [`NOW`].
const DAYS: i64 = 1_000;
const NOW: i64 = 1_768_478_400;
/// Requests left in a rate window and requests a second, of the higher limit; how long answers take.
const RATE: (u32, f64) = (0, 166.6);
const LATENCY: Duration = Duration::from_millis(600);

/// A cursor that reads on at the row with this index.
struct Cursor {
    id: usize,
    row: usize,
    until: Until,
}

struct Played {
    pages: u64,
    cuts: u64,
    /// Cursors that were reading, added up page by page.
    reading: u64,
}

fn main() {
    let typed: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let sizes = if typed.is_empty() { vec![30_000, 1_000_000, 10_000_000] } else { typed };
    println!(
        "{:>10}  {:<8}  {:>7}  {:>7}  {:>6}  {:>7}  {:>11}",
        "rows", "dates", "pages", "least", "cuts", "at once", "CPU us/page"
    );
    for rows in sizes {
        for (name, dates) in [("even", even(rows)), ("clumped", clumped(rows))] {
            let before = cpu_time();
            let Played { pages, cuts, reading } = play(&dates);
            let micros = (cpu_time() - before) * 1e6;
            #[expect(clippy::cast_precision_loss, reason = "far fewer than a double holds")]
            let (per_page, at_once) = (micros / pages as f64, reading as f64 / pages as f64);
            let least = rows.div_ceil(PAGE);
            println!(
                "{rows:>10}  {name:<8}  {pages:>7}  {least:>7}  {cuts:>6}  {at_once:>7.1}  {per_page:>11.2}"
            );
        }
    }
}

fn even(rows: usize) -> Vec<i64> {
    let seconds = DAYS * DAY;
    (0..rows).map(|row| NOW - seconds + share(seconds, row, rows)).collect()
}

/// Half of the rows within a hundredth of the time.
fn clumped(rows: usize) -> Vec<i64> {
    let (seconds, clump) = (DAYS * DAY, DAYS * DAY / 100);
    let thin = (0..rows / 2).map(|row| NOW - seconds + share(seconds, row, rows / 2));
    let thick = (rows / 2..rows).map(|row| NOW - seconds / 3 + share(clump, row - rows / 2, rows - rows / 2));
    let mut dates: Vec<i64> = thin.chain(thick).collect();
    dates.sort_unstable();
    dates
}

/// The part of `seconds` that `row` of `rows` is at.
fn share(seconds: i64, row: usize, rows: usize) -> i64 {
    seconds * i64::try_from(row).expect("few") / i64::try_from(rows).expect("few")
}

/// Reads everything: each cursor is answered once before any is answered again.
fn play(dates: &[i64]) -> Played {
    let until = Until::new(None);
    let mut cuts = Cuts::new(&[(Window::default(), until.clone())], NOW);
    let mut reading = VecDeque::from([Cursor { id: 0, row: 0, until }]);
    let mut played = Played { pages: 0, cuts: 0, reading: 0 };
    let latency = Latency { typical: Some(LATENCY), shortest: Some(LATENCY) };
    while let Some(mut cursor) = reading.pop_front() {
        played.pages += 1;
        played.reading += 1 + reading.len() as u64;
        let end = (cursor.row + PAGE).min(dates.len());
        let page = &dates[cursor.row..end];
        let total = Some((dates.len() - cursor.row) as u64);
        let (first, at) = (page.first().copied(), page.last().copied());
        cursor.row = end;
        let is_behind = |until| at.is_some_and(|at| at >= until);
        let ended = end == dates.len() || cursor.until.get().is_some_and(is_behind);
        if cuts.take(cursor.id, Seen { first, at, total, rows: page.len() as u64, ended }) {
            reading.push_back(cursor);
        }
        while let Some(cut) = cuts.next(cursors_wanted(cuts.pages_left(), RATE, latency, 256)) {
            played.cuts += 1;
            let until = Until::new(None);
            cuts.ends_at(cut.id, until.clone());
            let row = dates.partition_point(|date| *date <= cut.after);
            reading.push_back(Cursor { id: cut.id, row, until });
        }
    }
    played
}

fn cpu_time() -> f64 {
    let used = getrusage(UsageWho::RUSAGE_SELF).expect("getrusage");
    let micros = used.user_time().num_microseconds() + used.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).expect("time goes on")).as_secs_f64()
}
