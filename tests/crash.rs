//! Runs killed at any point.
