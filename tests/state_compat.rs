//! Stored states of every version.
