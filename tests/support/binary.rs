//! Running the real binary.
