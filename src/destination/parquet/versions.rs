//! Versions of a table: built aside, published in one step.
