//! A server with any rule for dates, many cursors, answers in any order: every row comes, and proofs are true.

use proptest::prelude::*;

use super::super::page_size::PageSize;
use super::super::sequence::{Envelope, Sequence};
use super::*;
use crate::source::{Order, Proof};
use crate::window::DAY;

const NOW: i64 = 1_768_478_400;

fn seen(first: i64, at: i64, total: u64) -> Seen {
    Seen { first: Some(first), at: Some(at), total: Some(total), rows: 150, ended: false }
}

fn everything() -> Cuts {
    Cuts::new(&[(Window::default(), Until::new(None))], NOW)
}

#[test]
fn a_table_of_few_pages_is_not_cut() {
    let mut cuts = everything();
    assert!(cuts.take(0, seen(NOW - 100 * DAY, NOW - 99 * DAY, 4_499)));
    assert_eq!(cuts.next(64), None);
}

#[test]
fn no_more_than_a_tenth_of_the_pages_goes_into_cuts() {
    let mut cuts = everything();
    cuts.take(0, seen(NOW - 1000 * DAY, NOW - 995 * DAY, 30_000));
    let mut made = Vec::new();
    while let Some(cut) = cuts.next(64) {
        made.push(cut);
        let rows = u64::try_from((NOW - cut.after) / DAY * 30).unwrap();
        assert!(cuts.take(cut.id, seen(cut.after + 5, cut.after + 5 * DAY, rows)), "{cut:?}");
    }
    assert_eq!(made.len(), 18, "200 pages: 20 requests more, of which two count");
    made.sort_by_key(|cut| cut.after);
    let widest = made.windows(2).map(|pair| pair[1].after - pair[0].after).max().unwrap();
    assert!(widest <= 130 * DAY, "{} days", widest / DAY);
}

#[test]
fn unanswered_cuts_are_few_while_nothing_is_known_of_how_dense_rows_are() {
    let mut cuts = everything();
    assert_eq!(cuts.next(64), None, "nothing is known at all");
    cuts.take(0, seen(NOW - 1000 * DAY, NOW - 995 * DAY, 300_000));
    let first: Vec<Cut> = std::iter::from_fn(|| cuts.next(64)).collect();
    assert_eq!(first.len(), CUTS_AHEAD);
    cuts.take(first[0].id, seen(first[0].after + 1, first[0].after + DAY, 150_000));
    assert_eq!(std::iter::from_fn(|| cuts.next(64)).count(), CUTS_AHEAD + 1);
    assert_eq!(std::iter::from_fn(|| cuts.next(3)).count(), 0, "no more than are wanted");
}

#[test]
fn a_cut_behind_which_there_is_nothing_is_not_tried_again() {
    let mut cuts = everything();
    cuts.take(0, seen(NOW - 1000 * DAY, NOW - 995 * DAY, 30_000));
    let cut = cuts.next(2).unwrap();
    let empty = Seen { first: None, at: None, total: Some(0), rows: 0, ended: true };
    assert!(!cuts.take(cut.id, empty));
    let next = cuts.next(2).unwrap();
    assert!(next.after < cut.after, "{next:?}");
}

#[test]
fn as_many_cursors_as_the_rate_is_worth() {
    let ms = |ms| Some(Duration::from_millis(ms));
    let alike = |latency| Latency { typical: latency, shortest: latency };
    let apart = |typical, shortest| Latency { typical: ms(typical), shortest: ms(shortest) };
    for (pages, (left, rate), latency, most, expected) in [
        // All that is left fits into the window: as many as there is work for.
        (100, (1_600, 166.6), alike(ms(150)), 64, 64),
        (100, (1_600, 166.6), alike(ms(150)), 256, 91),
        (100, (1_600, 166.6), apart(150, 90), 256, 91),
        (100, (1_600, 166.6), alike(ms(3)), 256, 3),
        (5_000, (100_000, 10_000.0), alike(ms(5)), 256, 4),
        // Answers that wait for each other.
        (5_000, (100_000, 10_000.0), apart(300, 2), 256, 4),
        (100, (1_600, 166.6), apart(300, 60), 256, 73),
        (100, (1_600, 166.6), apart(600, 20), 256, 121),
        (5_000, (1_600, 166.6), alike(ms(150)), 64, 31),
        (5_000, (1_600, 166.6), alike(ms(600)), 200, 121),
        // The rate holds requests up: however much latencies differ, it is to be used.
        (5_000, (1_600, 166.6), apart(600, 20), 200, 121),
        (5_000, (160, 16.6), alike(ms(150)), 64, 4),
        (5_000, (160, 16.6), alike(ms(20)), 64, 2),
        (5_000, (160, 16.6), alike(ms(20)), 1, 1),
        (5_000, (160, 16.6), alike(None), 64, 21),
    ] {
        assert_eq!(
            cursors_wanted(pages, (left, rate), latency, most),
            expected,
            "{pages} {left} {latency:?}"
        );
    }
}

/// How the server understands `>`.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// Later seconds.
    After,
    /// This second and later ones.
    From,
    /// By milliseconds that nobody shows: some of the rows of this second.
    SomeOfSecond,
    /// From the next midnight on, so many hours east.
    NextDay(i64),
    /// From the midnight before, so many hours east.
    ThisDay(i64),
}

impl Rule {
    fn shows(self, id: u64, date: i64, after: i64) -> bool {
        match self {
            Self::After => date > after,
            Self::From => date >= after,
            Self::SomeOfSecond => date > after || (date == after && id.is_multiple_of(2)),
            Self::NextDay(hours) => {
                (date + hours * 3600).div_euclid(DAY) > (after + hours * 3600).div_euclid(DAY)
            }
            Self::ThisDay(hours) => {
                (date + hours * 3600).div_euclid(DAY) >= (after + hours * 3600).div_euclid(DAY)
            }
        }
    }
}

struct Cursor {
    id: usize,
    after: Option<i64>,
    /// The dates from which its rows are handed out.
    from: Option<i64>,
    place: usize,
    sequence: Sequence,
    until: Until,
    is_first: bool,
}

/// Reads everything and returns how often each row came and what was proven, in the order of the answers that
/// `turns` chooses.
fn run(dates: &[i64], rule: Rule, per_page: usize, turns: &[usize]) -> Result<(), TestCaseError> {
    let mut rows: Vec<(i64, u64)> = dates.iter().zip(0..).map(|(date, id)| (*date, id)).collect();
    rows.sort_unstable();
    let until = Until::new(None);
    let mut cuts = Cuts::new(&[(Window::default(), until.clone())], NOW);
    let sequence = |from: Option<i64>, until: &Until| {
        let sequence = Sequence::new(Order::OldestFirst, (from, until.clone()), true, NOW);
        if from.is_some() { sequence.beginning_with_its_first_row() } else { sequence }
    };
    let mut running = vec![Cursor {
        id: 0,
        after: None,
        from: None,
        place: 0,
        sequence: sequence(None, &until),
        until,
        is_first: true,
    }];
    let mut came = vec![0; rows.len()];
    let mut turn = turns.iter().copied().cycle();
    let mut requests = 0;
    while !running.is_empty() {
        let mut cursor = running.swap_remove(turn.next().unwrap() % running.len());
        let shown: Vec<(i64, u64)> = rows
            .iter()
            .copied()
            .filter(|(date, id)| cursor.after.is_none_or(|after| rule.shows(*id, *date, after)))
            .collect();
        let page: Vec<(i64, u64)> = shown.iter().copied().skip(cursor.place).take(per_page).collect();
        requests += 1;
        cursor.place += page.len();
        let has_more = cursor.place < shown.len();
        let next = has_more.then(|| format!("{}-{}", cursor.id, cursor.place));
        let keys: Vec<u64> = page.iter().map(|(_, id)| *id).collect();
        let dates: Vec<Option<i64>> = page.iter().map(|(date, _)| Some(*date)).collect();
        let first = dates.first().copied().flatten();
        if let (true, Some(_), Some(first)) = (cursor.is_first, cursor.after, first) {
            cursor.sequence.begin_at(first + 1);
            cursor.from = Some(first + 1);
        }
        let keeps = Window { from: cursor.from, to: cursor.until.get() };
        for (date, id) in &page {
            came[usize::try_from(*id).unwrap()] += usize::from(keeps.contains(Some(*date)));
        }
        let total = Some(shown.len() as u64);
        let envelope = Envelope { keys: &keys, next: next.as_deref(), total };
        let step = cursor.sequence.take(envelope, &dates).unwrap();
        if let Proof::Covered(window) = step.proof {
            for (date, id) in &rows {
                let has_come = came[usize::try_from(*id).unwrap()] > 0;
                prop_assert!(has_come || !window.contains(Some(*date)), "{date} is not in {window:?}");
            }
        }
        let seen =
            Seen { first, at: cursor.sequence.at(), total, rows: keys.len() as u64, ended: step.ended };
        cursor.is_first = false;
        if cuts.take(cursor.id, seen) {
            running.push(cursor);
        }
        while let Some(cut) = cuts.next(40) {
            let until = Until::new(None);
            cuts.ends_at(cut.id, until.clone());
            let sequence = sequence(Some(cut.after), &until);
            running.push(Cursor {
                id: cut.id,
                after: Some(cut.after),
                from: Some(cut.after),
                place: 0,
                sequence,
                until,
                is_first: true,
            });
        }
    }
    prop_assert!(came.iter().all(|times| *times > 0), "{came:?}");
    let pages = rows.len().div_ceil(per_page).max(1);
    prop_assert!(requests <= pages + pages / 10 + 2, "{requests} requests for {pages} pages");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_row_comes_whatever_the_rule_and_whoever_answers_first(
        days in 1i64..400,
        clumps in prop::collection::vec((0.0f64..1.0, 1usize..900), 1..40),
        rule in prop_oneof![
            Just(Rule::After), Just(Rule::From), Just(Rule::SomeOfSecond),
            (-12i64..15).prop_map(Rule::NextDay), (-12i64..15).prop_map(Rule::ThisDay),
        ],
        turns in prop::collection::vec(0usize..1000, 1..50),
    ) {
        let start = NOW - days * DAY;
        let mut dates = Vec::new();
        for (share, rows) in clumps {
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "any second will do")]
            let at = start + (share * (days * DAY) as f64) as i64;
            // Some share a second, some a day, some a week.
            let spread = [1, 60, DAY, 7 * DAY][rows % 4];
            dates.extend((0..rows).map(|row| (at + i64::try_from(row).unwrap() * 977 % spread).min(NOW - 1)));
        }
        run(&dates, rule, PageSize::default().rows(), &turns)?;
    }
}
