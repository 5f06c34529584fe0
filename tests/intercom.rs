//! Worlds of the sandbox against its truth.
