//! Merging against a plain map.
