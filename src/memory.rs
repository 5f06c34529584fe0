//! The allocator of the process.

use std::ffi::{c_int, c_long};

/// Serves every allocation, those of DuckDB included: the feature `override` puts it in the place of the system's.
///
/// A load makes and drops blocks of some megabytes all the time. The allocator of GNU/Linux gives them back to the system,
/// which then has to clear them anew: a tenth of the processor's time of a load (`docs/decisions/0018-decoding.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long freed memory is kept for whoever needs some next, in milliseconds. Left to itself mimalloc keeps it for 10,
/// and a commit of a large load begins with memory that the one before has just given back.
const KEPT_FOR: c_long = 1_000;
/// `mi_option_purge_delay` of mimalloc 2.
const PURGE_DELAY: c_int = 15;

#[expect(
    unsafe_code,
    reason = "the one setting for which no crate has a safe function; numbers go in, nothing comes back"
)]
unsafe extern "C" {
    safe fn mi_option_set_default(option: c_int, value: c_long);
    #[cfg(test)]
    safe fn mi_option_get(option: c_int) -> c_long;
}

/// Sets the allocator up, at the start of the process. What `MIMALLOC_PURGE_DELAY` says goes first.
pub(crate) fn set_up() {
    mi_option_set_default(PURGE_DELAY, KEPT_FOR);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number is not in any Rust header: what it stands for is known by the value that mimalloc gives it.
    #[test]
    fn what_is_set_is_the_delay_of_purging() {
        let before = mi_option_get(PURGE_DELAY);
        set_up();
        assert!(before == 10 || before == KEPT_FOR, "{before}");
        assert_eq!(mi_option_get(PURGE_DELAY), KEPT_FOR);
    }
}
