//! The allocator of the process.

use std::ffi::{c_int, c_long};

/// Serves every allocation, those of DuckDB included: the feature `override` puts it in the place of the system's.
///
/// A load makes and drops blocks of some megabytes all the time. The allocator of GNU/Linux gives them back to the system,
/// which then has to clear them anew: a tenth of the processor's time of a load (`docs/decisions/0018-decoding.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long freed memory is kept for whoever needs some next, in milliseconds; ten times that where it is free in large
/// pieces. Left to itself mimalloc keeps it for 10 and 100, and a commit of a large load has to be given anew what the one
/// before has just given back.
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

    /// Only the C header names the number. Beside it stand `eager_commit_delay` and `use_numa_nodes`, which nobody else
    /// has these values between.
    #[test]
    fn what_is_set_is_the_delay_of_purging() {
        let around = || [PURGE_DELAY - 1, PURGE_DELAY, PURGE_DELAY + 1].map(|option| mi_option_get(option));
        assert_eq!(around(), [1, 10, 0]);
        set_up();
        assert_eq!(around(), [1, KEPT_FOR, 0]);
    }
}
