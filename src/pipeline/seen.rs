//! Which keys a pass has shown.

use std::sync::OnceLock;

/// Keys for which memory is taken at once.
const CHUNK: usize = 8192;

/// The hashes of the keys that a pass has shown: eight bytes each, which grow without being moved. A pass shows many, and
/// hardly ever is one looked for; so they are only put in order by who looks first.
#[derive(Debug, Default)]
pub(super) struct Seen {
    chunks: Vec<Vec<u64>>,
    sorted: OnceLock<Vec<u64>>,
}

impl Seen {
    /// Notes keys.
    pub(super) fn extend(&mut self, mut keys: &[u64]) {
        self.sorted.take();
        while !keys.is_empty() {
            if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
                self.chunks.push(Vec::with_capacity(CHUNK));
            }
            let Some(chunk) = self.chunks.last_mut() else { return };
            let (now, later) = keys.split_at(keys.len().min(CHUNK - chunk.len()));
            chunk.extend_from_slice(now);
            keys = later;
        }
    }

    /// Whether no key was noted.
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Whether a key with this hash was noted.
    pub(super) fn contains(&self, key: u64) -> bool {
        let sorted = self.sorted.get_or_init(|| {
            let mut all = self.chunks.concat();
            all.sort_unstable();
            all
        });
        sorted.binary_search(&key).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_found_whenever_it_came() {
        let mut seen = Seen::default();
        assert!(!seen.contains(0));
        let hash = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let keys: Vec<u64> = (0..3 * CHUNK as u64 + 5).map(hash).collect();
        for some in keys.chunks(150) {
            seen.extend(some);
        }
        assert!(keys.iter().all(|key| seen.contains(*key)));
        let others = 4 * CHUNK as u64..5 * CHUNK as u64;
        assert!(!others.clone().any(|number| seen.contains(hash(number))));
        seen.extend(&[hash(others.start), hash(others.start)]);
        assert!(seen.contains(hash(others.start)) && seen.contains(keys[0]));
    }
}
