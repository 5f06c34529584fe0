//! Tables of cases for the budget, in steps of time.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Ten seconds from `reset` on, with `date` as the server's clock.
#[expect(clippy::unnecessary_wraps, reason = "an answer may come without them")]
fn headers(limit: u32, remaining: u32, reset: i64, date: i64) -> Option<RateHeaders> {
    Some(RateHeaders { limit, remaining, reset, date })
}

fn take_all(quota: &mut Quota, now: Instant) -> Vec<Number> {
    std::iter::from_fn(|| quota.take(Priority::First, now).ok()).take(10_000).collect()
}

fn take(quota: &mut Quota, requests: u32, now: Instant) {
    (0..requests).for_each(|_| assert!(quota.take(Priority::Normal, now).is_ok()));
}

#[test]
fn without_headers_166_requests_go_out_in_any_ten_seconds() {
    let start = Instant::now();
    let mut quota = Quota::new(None, start);
    let taken = take_all(&mut quota, start);
    assert_eq!(taken.len(), 166);
    let closed = Closed { until: start + SECOND * 10, used_up: true };
    assert_eq!(quota.take(Priority::Normal, start + SECOND * 4), Err(closed));
    for number in taken {
        quota.answered(number, None, false, start, start);
    }
    assert_eq!(take_all(&mut quota, start + SECOND * 10).len(), 166);
}

#[test]
fn headers_lead_and_requests_that_were_not_counted_yet_count() {
    let start = Instant::now();
    let mut quota = Quota::new(None, start);
    for _ in 0..3 {
        quota.take(Priority::Normal, start).unwrap();
    }
    quota.answered(1, headers(1_667, 1_000, 10, 3), false, start, start);
    assert_eq!((quota.left(start), take_all(&mut quota, start).len()), (998, 998));
    // Another client's requests show in what remains.
    quota.answered(2, headers(1_667, 5, 10, 5), false, start, start + SECOND * 2);
    assert_eq!(quota.left(start + SECOND * 2), 0);
}

#[test]
fn into_what_may_be_a_new_window_one_goes_ahead() {
    let start = Instant::now();
    let mut quota = Quota::new(None, start);
    quota.take(Priority::Normal, start).unwrap();
    quota.answered(1, headers(100, 0, 10, 7), false, start, start);
    let end = start + quota.to_end_of(10, start);
    assert!(end >= start + SECOND * 3 && end <= start + SECOND * 4, "{:?}", end - start);
    assert!(quota.take(Priority::Normal, start + SECOND * 3).is_err_and(|closed| closed.used_up));
    let scouts = take_all(&mut quota, end);
    assert_eq!(scouts.len(), 1);
    let told = end + SECOND / 10;
    quota.answered(scouts[0], headers(100, 99, 20, 10), false, end, told);
    assert_eq!(take_all(&mut quota, told).len(), 99);
    assert_eq!(quota.to_end_of(10, told), Duration::ZERO);
}

#[test]
fn a_server_that_no_longer_says_anything_stalls_nothing() {
    let start = Instant::now();
    let mut quota = Quota::new(None, start);
    quota.take(Priority::Normal, start).unwrap();
    quota.answered(1, headers(100, 0, 10, 7), false, start, start);
    let mut sent = 0;
    for tenth in 0..1_000_u32 {
        let now = start + SECOND * tenth / 10;
        for number in take_all(&mut quota, now) {
            sent += 1;
            quota.answered(number, None, false, now, now);
        }
    }
    assert!((900..=1_100).contains(&sent), "{sent}");
}

#[test]
fn clocks_that_are_wrong_or_set_back_stall_nothing() {
    for (name, reset, date) in [
        ("the end has passed", 100, 5_000),
        ("hours to go", 100_000, 5),
        ("no time to go", 100, 100),
        ("a second to go", 100, 99),
    ] {
        let start = Instant::now();
        let mut quota = Quota::new(None, start);
        quota.take(Priority::Normal, start).unwrap();
        quota.answered(1, headers(100, 0, reset, date), false, start, start);
        assert!(
            (0..=11).any(|second| quota.take(Priority::Normal, start + SECOND * second).is_ok()),
            "{name}"
        );
    }
    let start = Instant::now();
    let mut quota = Quota::new(None, start);
    quota.take(Priority::Normal, start).unwrap();
    quota.answered(1, headers(100, 50, 5_000, 4_995), false, start, start);
    let later = start + SECOND * 2;
    let number = quota.take(Priority::Normal, later).unwrap();
    quota.answered(number, headers(100, 70, 1_000, 995), false, later, later);
    assert_eq!(quota.left(later), 70);
}

#[test]
fn an_answer_that_was_overtaken_by_one_of_the_next_window_changes_nothing() {
    let start = Instant::now();
    let mut quota = Quota::new(None, start);
    take(&mut quota, 3, start);
    quota.answered(2, headers(100, 60, 20, 10), false, start, start);
    quota.answered(1, headers(100, 3, 10, 9), false, start, start);
    assert_eq!(quota.left(start), 59);
}

#[test]
fn the_allowance_may_change_at_any_time() {
    let start = Instant::now();
    let mut quota = Quota::new(None, start);
    take(&mut quota, 2, start);
    quota.answered(1, headers(100, 99, 10, 1), false, start, start);
    quota.answered(2, headers(1_000, 998, 10, 1), false, start, start);
    assert_eq!(quota.left(start), 998);
    assert!((quota.per_second() - 100.0).abs() < 1e-9);
}

#[test]
fn a_refusal_closes_the_window_whatever_it_says_remains() {
    let start = Instant::now();
    let mut quota = Quota::new(None, start);
    take(&mut quota, 2, start);
    quota.answered(1, headers(100, 99, 10, 1), false, start, start);
    quota.answered(2, headers(100, 98, 10, 1), true, start, start);
    assert_eq!(quota.left(start), 0);
    assert!(quota.take(Priority::First, start + SECOND).is_err_and(|closed| closed.used_up));
}

#[test]
fn the_ceiling_holds_below_what_the_headers_allow() {
    let start = Instant::now();
    let mut quota = Quota::new(Some((5, SECOND)), start);
    let taken = take_all(&mut quota, start);
    assert_eq!(taken.len(), 5);
    for number in taken {
        quota.answered(number, headers(1_000, 990, 10, 1), false, start, start);
    }
    assert_eq!(quota.take(Priority::First, start), Err(Closed { until: start + SECOND, used_up: true }));
    assert!((quota.per_second() - 5.0).abs() < 1e-9);
    assert_eq!(take_all(&mut quota, start + SECOND).len(), 5);
}

#[test]
fn a_part_is_spread_over_the_window_unless_somebody_is_in_a_hurry() {
    let start = Instant::now();
    let mut quota = Quota::new(None, start);
    quota.take(Priority::Normal, start).unwrap();
    quota.answered(1, headers(100, 99, 10, 0), false, start, start);
    let mut sent = 0;
    while quota.take(Priority::Normal, start).is_ok() {
        sent += 1;
    }
    assert!((79..=81).contains(&sent), "{sent}");
    assert!(quota.take(Priority::Normal, start).is_err_and(|closed| !closed.used_up));
    assert!(quota.take(Priority::First, start).is_ok());
}

#[test]
fn held_back_means_nothing_goes_out() {
    let start = Instant::now();
    let mut quota = Quota::new(None, start);
    quota.hold_back(start, SECOND * 2);
    quota.hold_back(start, SECOND);
    assert_eq!(quota.take(Priority::First, start), Err(Closed { until: start + SECOND * 2, used_up: true }));
    assert!(quota.take(Priority::Normal, start + SECOND * 2).is_ok());
}

#[test]
fn what_was_never_sent_costs_nothing_and_what_was_never_answered_does() {
    let start = Instant::now();
    let mut quota = Quota::new(None, start);
    take(&mut quota, 3, start);
    quota.answered(1, headers(100, 99, 10, 1), false, start, start);
    quota.give_back(2);
    assert_eq!(quota.left(start), 98);
    quota.unanswered(3);
    assert_eq!(quota.left(start), 98);
}

/// Whatever the headers say for ever, nobody waits for longer than a window may last; and nobody hammers at a closed door.
#[test]
fn headers_that_never_let_anything_through_are_asked_about_now_and_then() {
    const DATE: i64 = 1_768_478_400;
    let never = |_: i64| 4_102_444_800;
    let always_ahead = |date: i64| date + 3_600;
    let always_past = |date: i64| date - 3_600;
    let last = |_: i64| i64::MAX / 2;
    let resets: [fn(i64) -> i64; 4] = [never, always_ahead, always_past, last];
    for (at, reset) in resets.into_iter().enumerate() {
        let start = Instant::now();
        let mut quota = Quota::new(None, start);
        let (mut now, mut requests, mut longest) = (start, 0, Duration::ZERO);
        while now < start + SECOND * 3_600 {
            match quota.take(Priority::Normal, now) {
                Ok(number) => {
                    requests += 1;
                    let sent = now;
                    now += Duration::from_millis(50);
                    let date = DATE + i64::try_from((now - start).as_secs()).unwrap();
                    quota.answered(number, headers(166, 0, reset(date), date), false, sent, now);
                }
                Err(closed) => {
                    longest = longest.max(closed.until - now);
                    now = closed.until.max(now + Duration::from_millis(1));
                }
            }
        }
        assert!(longest <= SECOND * 61, "{at}: {longest:?}");
        assert!((60..=3_600).contains(&requests), "{at}: {requests} requests in an hour");
    }
}
