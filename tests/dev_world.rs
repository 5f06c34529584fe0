//! Worlds, faults and crashes alone, while they are being worked on.

mod crash;
mod faults;
mod intercom;
mod support {
    pub(crate) mod truth;
    pub(crate) mod world;
    pub(crate) mod wrapped;
}
