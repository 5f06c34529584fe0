//! The allocator of the process.

/// Serves every allocation, those of DuckDB included: the feature `override` puts it in the place of the system's.
///
/// A load makes and drops blocks of some megabytes all the time. The allocator of GNU/Linux gives them back to the system,
/// which then has to clear them anew: a tenth of the processor's time of a load (`docs/decisions/0018-decoding.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
