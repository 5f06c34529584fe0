//! How deep a value is nested, and in what.

/// Which of the lists and objects that are open are objects.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    pub(super) depth: usize,
    /// The innermost ones, up to 64; the last one lowest.
    inner: u64,
    /// The others, 64 by 64.
    outer: Vec<u64>,
}

impl Nesting {
    pub(super) fn enter(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.inner);
        }
        self.inner = self.inner << 1 | u64::from(is_object);
        self.depth += 1;
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
        self.inner >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.inner = self.outer.pop().unwrap_or_default();
        }
    }

    pub(super) fn is_object(&self) -> bool {
        self.inner & 1 == 1
    }

    pub(super) fn closing(&self) -> u8 {
        if self.is_object() { b'}' } else { b']' }
    }
}
