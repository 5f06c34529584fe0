//! The allocator of the process.

use std::ffi::{c_int, c_long};

/// Serves every allocation, those of DuckDB included: the feature `override` puts it in the place of the system's.
///
/// A load makes and drops blocks of some megabytes all the time. The allocator of GNU/Linux gives them back to the system,
/// which then has to clear them anew: a tenth of the processor's time of a load (`docs/decisions/0018-decoding.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long freed memory is kept for whoever needs some next, in milliseconds. Left to itself mimalloc keeps it for 10, and
/// large pieces for 100: a commit of a large load then has to be given anew what the one before has just given back.
const KEPT_FOR: c_long = 100;
/// `mi_option_purge_delay` of mimalloc 2: the delay.
const PURGE_DELAY: c_int = 15;
/// `mi_option_arena_purge_mult`: how many times that for large pieces.
const ARENA_PURGE_MULT: c_int = 24;

#[expect(
    unsafe_code,
    reason = "the one setting for which no crate has a safe function; numbers go in, nothing comes back"
)]
unsafe extern "C" {
    safe fn mi_option_set_default(option: c_int, value: c_long);
    #[cfg(test)]
    safe fn mi_option_get(option: c_int) -> c_long;
}

/// Sets the allocator up, at the start of the process. What `MIMALLOC_PURGE_DELAY` and `MIMALLOC_ARENA_PURGE_MULT` say goes
/// first.
pub(crate) fn set_up() {
    mi_option_set_default(PURGE_DELAY, KEPT_FOR);
    mi_option_set_default(ARENA_PURGE_MULT, 1);
}

/// To be called last: the process takes all its memory with it, so that giving it back piece by piece before is for nothing.
pub(crate) fn leave() {
    mi_option_set_default(PURGE_DELAY, -1);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only the C header names the numbers. By the values that mimalloc gives them and their neighbours they are known.
    #[test]
    fn what_is_set_is_how_long_freed_memory_is_kept() {
        let around = |option| [option - 1, option, option + 1].map(|option| mi_option_get(option));
        assert_eq!(around(PURGE_DELAY), [1, 10, 0]);
        assert_eq!(around(ARENA_PURGE_MULT), [1 << 20, 10, 1]);
        set_up();
        assert_eq!(around(PURGE_DELAY), [1, KEPT_FOR, 0]);
        assert_eq!(around(ARENA_PURGE_MULT), [1 << 20, 1, 1]);
    }
}
