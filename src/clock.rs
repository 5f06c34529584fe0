//! The local clock. Read at the edges, once per pass or run, and handed on.

use jiff::Timestamp;

/// The local time.
#[expect(clippy::disallowed_methods, reason = "the one sanctioned place")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
