//! Any replay, repetition or reordering of rows against a plain map.
