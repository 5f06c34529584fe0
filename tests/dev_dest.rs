mod destination_suite;
mod merge_model;
mod state_compat;
mod support;
mod value_roundtrip;
