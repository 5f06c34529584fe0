//! Waiting: whose turn it is, and what becomes of those who stop waiting.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

fn limiter(requests: u32, milliseconds: u64, concurrency: usize) -> Limiter {
    Limiter::new(Some((requests, Duration::from_millis(milliseconds))), concurrency)
}

fn is_ready(waiting: &mut std::pin::Pin<&mut impl Future<Output = Permit>>) -> Option<Permit> {
    match waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(permit) => Some(permit),
        Poll::Pending => None,
    }
}

#[tokio::test]
async fn a_call_that_goes_first_overtakes_those_that_wait() {
    let limiter = limiter(1, 60, 8);
    let progress = TableProgress::silent();
    drop(limiter.acquire(Priority::Normal, &progress).await);
    let order = Arc::new(Mutex::new(Vec::new()));
    let run = |name: &'static str, priority| {
        let (limiter, order, progress) = (limiter.clone(), Arc::clone(&order), progress.clone());
        async move {
            let permit = limiter.acquire(priority, &progress).await;
            order.lock().unwrap().push(name);
            drop(permit);
        }
    };
    tokio::join!(run("normal", Priority::Normal), run("first", Priority::First));
    assert_eq!(*order.lock().unwrap(), ["first", "normal"]);
}

#[tokio::test]
async fn tables_take_turns() {
    let limiter = limiter(1_000, 1_000, 1);
    let [huge, small] = [TableProgress::silent(), TableProgress::silent()];
    let busy = limiter.acquire(Priority::Normal, &huge).await;
    let mut of_huge: Vec<_> = (0..9).map(|_| Box::pin(limiter.acquire(Priority::Normal, &huge))).collect();
    for waiting in &mut of_huge {
        assert!(is_ready(&mut waiting.as_mut()).is_none());
    }
    let mut of_small = pin!(limiter.acquire(Priority::Normal, &small));
    assert!(is_ready(&mut of_small).is_none());
    assert_eq!((limiter.pace().waiting, limiter.pace().in_flight), (10, 1));
    drop(busy);
    drop(is_ready(&mut of_huge[0].as_mut()).expect("the first of the huge table"));
    assert!(is_ready(&mut of_huge[1].as_mut()).is_none());
    assert!(is_ready(&mut of_small).is_some());
}

#[tokio::test]
async fn whoever_stops_waiting_leaves_the_queue_and_takes_no_permit_along() {
    let limiter = limiter(3, 60_000, 1);
    let progress = TableProgress::silent();
    let busy = limiter.acquire(Priority::Normal, &progress).await;
    let mut granted = Box::pin(limiter.acquire(Priority::Normal, &progress));
    let mut given_up = Box::pin(limiter.acquire(Priority::First, &progress));
    let mut last = pin!(limiter.acquire(Priority::Normal, &progress));
    assert!(is_ready(&mut granted.as_mut()).is_none());
    assert!(is_ready(&mut given_up.as_mut()).is_none());
    assert!(is_ready(&mut last).is_none());
    drop(given_up);
    assert_eq!(limiter.pace().waiting, 2);
    // The permit is handed over, and nobody is there to take it any more.
    drop(busy);
    assert_eq!((limiter.pace().waiting, limiter.pace().in_flight), (1, 1));
    drop(granted);
    assert!(is_ready(&mut last).is_some());
}

#[tokio::test]
async fn a_call_that_goes_first_and_one_slot_do_not_block_each_other() {
    let limiter = limiter(10_000, 1_000, 1);
    let progress = TableProgress::silent();
    let calls = (0..60).map(|number| {
        let (limiter, progress) = (limiter.clone(), progress.clone());
        tokio::spawn(async move {
            let priority = if number % 3 == 0 { Priority::First } else { Priority::Normal };
            let mut permit = limiter.acquire(priority, &progress).await;
            tokio::task::yield_now().await;
            permit.answered(None, false, Instant::now());
            permit.done(1, Instant::now());
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    let pace = limiter.pace();
    assert_eq!((pace.in_flight, pace.waiting, pace.left), (0, 0, 106));
    assert!(pace.latency.is_some());
}

#[tokio::test]
async fn those_who_wait_for_time_to_pass_are_woken_by_it() {
    let limiter = limiter(1, 20, 8);
    let progress = TableProgress::silent();
    for _ in 0..3 {
        drop(limiter.acquire(Priority::Normal, &progress).await);
    }
    assert_eq!(limiter.pace().waiting, 0);
}

#[test]
fn one_limiter_serves_one_runtime_after_another() {
    let limiter = limiter(1, 30, 8);
    let progress = TableProgress::silent();
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            drop(limiter.acquire(Priority::Normal, &progress).await);
            let mut waiting = pin!(limiter.acquire(Priority::Normal, &progress));
            assert!(is_ready(&mut waiting).is_none());
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { drop(limiter.acquire(Priority::Normal, &progress).await) });
}
