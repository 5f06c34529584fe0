//! The tests of the documentation alone.
mod docs;
