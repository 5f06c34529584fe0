//! Worlds, faults and crashes alone, while they are being worked on.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has to fail")]

mod crash;
mod faults;
mod intercom;
mod support {
    pub(crate) mod truth;
    pub(crate) mod world;
    pub(crate) mod wrapped;
}
