//! The body of an answer, within bounds: how large it may be, how slowly it may come, and how much memory all answers
//! may take together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// The largest answer that is read, unpacked; what all large ones may take together.
pub const LARGEST: usize = 256 << 20;
/// What is read of an answer that refuses something: the words are at its beginning.
const LARGEST_REFUSAL: usize = 64 << 10;
/// What each answer may take without its being counted. Nearly all are smaller.
const UNCOUNTED: usize = 1 << 20;
/// What is kept free for an answer of unknown size that was given up for want of room, so that this happens a few times
/// at most.
const LEAST_ROOM: usize = 32 << 20;
/// Bytes a second that have to come on average once an answer has been on its way for as long as silence is borne.
const SLOWEST: f64 = 1024.0;
/// No answer may take longer than so many times that, whatever comes of it: an hour of 90 s.
const MOST_PATIENCE: u32 = 40;

/// Why there is no body.
#[derive(Debug)]
pub(super) enum BodyError {
    Broken(reqwest::Error),
    TooSlow {
        bytes: usize,
        elapsed: Duration,
    },
    TooLarge,
    /// Other answers take the memory. Room for these many bytes is worth having before it is asked for again.
    NoRoom(usize),
}

impl BodyError {
    /// Whether the server or the line is to blame.
    pub(super) fn is_trouble(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::TooSlow { .. })
    }
}

/// Memory for large answers, shared by whatever talks to one connection; clones share it.
///
/// Whoever finds that there is none left gives up the answer and asks again once there is: an answer that is left lying
/// in the middle would hold up all others that come over the same connection (HTTP/2).
#[derive(Debug, Clone)]
pub(super) struct Memory(Arc<Semaphore>);

/// What one answer takes of it, until dropped.
#[derive(Debug)]
pub(super) struct Taken {
    of: Memory,
    permit: Option<OwnedSemaphorePermit>,
    /// Whether the answer is read even where there is no room for it.
    is_pressing: bool,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(units(LARGEST) as usize)))
    }

    /// Nothing as yet. An answer that is `pressing`, since it cannot be asked for again, takes more than there is.
    pub(super) fn nothing(&self, is_pressing: bool) -> Taken {
        Taken { of: self.clone(), permit: None, is_pressing }
    }

    /// Waits until there is room for an answer of these many bytes. Nothing may be held meanwhile that others need.
    pub(super) async fn room_for(&self, bytes: usize) -> Taken {
        let units = counted(bytes.min(LARGEST));
        // The semaphore is never closed.
        let permit = Arc::clone(&self.0).acquire_many_owned(units).await.ok();
        Taken { of: self.clone(), permit, is_pressing: false }
    }
}

impl Taken {
    /// Makes it enough for these many bytes; false if there is no room for them.
    fn cover(&mut self, bytes: usize) -> bool {
        let has = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let lacking = counted(bytes).saturating_sub(u32::try_from(has).unwrap_or(u32::MAX));
        if lacking == 0 {
            return true;
        }
        match Arc::clone(&self.of.0).try_acquire_many_owned(lacking) {
            Ok(more) => {
                match &mut self.permit {
                    Some(permit) => permit.merge(more),
                    none => *none = Some(more),
                }
                true
            }
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => self.is_pressing,
        }
    }

    /// Whether it is anything.
    pub(super) fn is_some(&self) -> bool {
        self.permit.is_some()
    }
}

/// Kilobytes, the unit in which memory is counted.
fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

/// What an answer of these many bytes takes.
fn counted(bytes: usize) -> u32 {
    units(bytes.saturating_sub(UNCOUNTED))
}

/// Whether an answer of which these many bytes have come is not worth waiting for any longer: `patience` is how long
/// silence is borne. Pure.
fn is_too_slow(bytes: usize, elapsed: Duration, patience: Duration) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "no answer is so large")]
    let rate = bytes as f64 / elapsed.as_secs_f64().max(f64::EPSILON);
    elapsed > patience.saturating_mul(MOST_PATIENCE) || (elapsed > patience && rate < SLOWEST)
}

/// The body, unpacked, of at most `largest` bytes, and of memory what it takes.
pub(super) async fn read(
    mut response: Response,
    largest: usize,
    patience: Duration,
    taken: &mut Taken,
) -> Result<Bytes, BodyError> {
    let began = Instant::now();
    // Unknown where the answer comes packed.
    let length = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    if length > largest {
        return Err(BodyError::TooLarge);
    }
    let mut body: Vec<u8> = Vec::with_capacity(length.min(UNCOUNTED));
    while let Some(piece) = response.chunk().await.map_err(BodyError::Broken)? {
        let needed = body.len() + piece.len();
        if needed > largest {
            return Err(BodyError::TooLarge);
        }
        if needed > UNCOUNTED && needed > body.capacity() {
            let twice = needed.saturating_mul(2).min(largest);
            let wanted = if length >= needed { length.min(twice) } else { twice };
            if !taken.cover(wanted) {
                let worth_having = if length >= needed { length } else { (2 * wanted).max(LEAST_ROOM) };
                return Err(BodyError::NoRoom(worth_having));
            }
            body.reserve_exact(wanted - body.len());
        }
        body.extend_from_slice(&piece);
        let elapsed = began.elapsed();
        if is_too_slow(body.len(), elapsed, patience) {
            return Err(BodyError::TooSlow { bytes: body.len(), elapsed });
        }
    }
    Ok(body.into())
}

/// The beginning of the body of an answer whose status says enough: as much as has come when it ends, in whatever way.
pub(super) async fn read_beginning(mut response: Response, patience: Duration) -> Vec<u8> {
    let began = Instant::now();
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        let left = LARGEST_REFUSAL - body.len();
        body.extend_from_slice(piece.get(..left).unwrap_or(&piece));
        if body.len() == LARGEST_REFUSAL || began.elapsed() > patience {
            break;
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1 << 20;

    #[test]
    fn an_answer_that_drips_is_given_up_and_one_that_flows_is_not() {
        let patience = Duration::from_secs(90);
        for (bytes, seconds, expected) in [
            // Nobody is judged by the first moments.
            (0, 0, false),
            (1, 90, false),
            (45, 91, true),
            (92 << 10, 91, false),
            (90 << 10, 91, true),
            // A hundred megabytes over a line of 56 kB/s take half an hour.
            (100 * MB, 1_800, false),
            (100 * MB, 3_600, false),
            (100 * MB, 3_601, true),
        ] {
            let elapsed = Duration::from_secs(seconds);
            assert_eq!(is_too_slow(bytes, elapsed, patience), expected, "{bytes} bytes in {seconds} s");
        }
    }

    #[test]
    fn small_answers_are_not_counted_and_large_ones_share_what_there_is() {
        let memory = Memory::new();
        let mut small: Vec<Taken> = (0..1_000).map(|_| memory.nothing(false)).collect();
        assert!(small.iter_mut().all(|taken| taken.cover(MB)));
        let mut one = memory.nothing(false);
        assert!(one.cover(100 * MB) && one.cover(50 * MB) && one.cover(200 * MB));
        let mut other = memory.nothing(false);
        assert!(!other.cover(59 * MB), "199 of 256 are taken");
        assert!(other.cover(58 * MB));
        assert!(memory.nothing(true).cover(LARGEST), "what cannot be asked for again is read all the same");
        drop(one);
        assert!(other.cover(200 * MB));
    }

    #[tokio::test]
    async fn room_that_was_waited_for_is_there_and_the_largest_answer_gets_it() {
        let memory = Memory::new();
        let mut other = memory.nothing(false);
        assert!(other.cover(101 * MB));
        let mut waiting = Box::pin(memory.room_for(2 * LARGEST));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        drop(other);
        let mut taken = waiting.await;
        assert!(taken.cover(LARGEST));
    }
}
