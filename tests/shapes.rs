//! Shapes of answers: those on file, as versions of the API give them, and those that drift away from them.
//!
//! `tests/data/shapes/2.14` has an answer for every table, envelope included, with invented values; the folders of
//! the other versions have those that look different there. What has to come of them stands in `expected`, a file
//! per table: the rows of 2.14 without what is NULL, and where the rows of other versions differ.
//!
//! - `answers`: the files, served over HTTP.
//! - `reading`: a run over them, and the rows it leaves.
//! - `leaves`: what a piece of JSON says, value by value, found without the crate's decoder.
//! - `recorded`: the answers on file become the expected rows, and nothing of them is lost.
//! - `fields`: values that change their type, fields that nobody declared, fields that are missing.
//! - `lists`: lists inside rows that are not what they should be, and rows without a key.
//! - `summary`: what a run says of all that.

mod answers;
mod fields;
mod leaves;
mod lists;
mod reading;
mod recorded;
mod summary;
