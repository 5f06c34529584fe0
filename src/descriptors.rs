//! How many files the process may have open. Each request in flight takes one, and so do the files of destinations.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are kept back for files of destinations, standard streams and the runtime: a commit of a lake has a
/// dozen files open, DuckDB its file, its log and what it spills.
const KEPT_BACK: u64 = 40;
/// Requests that may be in flight however few descriptors there are.
const FEWEST: u64 = 4;
/// More than any run makes use of; some systems take a limit that is as high as it goes for an error.
const ENOUGH: u64 = 4_096;

/// Raises the limit as far as the process may, and as far as it is of use. Where that fails, the limit stays.
pub(crate) fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).ok();
    }
}

/// How many requests may be in flight at once, of those that are `wanted`.
pub(crate) fn connections(wanted: usize) -> usize {
    let Rlimit { current, .. } = getrlimit(Resource::Nofile);
    within(current, wanted)
}

fn within(limit: Option<u64>, wanted: usize) -> usize {
    let room = limit.map_or(u64::MAX, |limit| limit.saturating_sub(KEPT_BACK).max(FEWEST));
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_leave_descriptors_for_files() {
        for (limit, wanted, expected) in [
            (Some(64), 256, 24),
            (Some(256), 256, 216),
            (Some(256), 16, 16),
            (Some(4_096), 256, 256),
            (Some(20), 256, 4),
            (None, 256, 256),
        ] {
            assert_eq!(within(limit, wanted), expected, "{limit:?} {wanted}");
        }
    }
}
