//! Destinations, values and states alone, while they are being worked on.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has to fail")]

mod destination_suite;
mod merge_model;
mod state_compat;
mod support {
    pub(crate) mod tables;
}
mod value_roundtrip;
