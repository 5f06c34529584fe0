mod destination_suite;
mod merge_model;
mod state_compat;
mod support {
    pub(crate) mod tables;
}
mod value_roundtrip;
