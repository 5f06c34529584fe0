//! Runs cut short at any point, run again.

mod commits;
mod killed;
mod resumed;
mod several;
