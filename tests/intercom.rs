//! Worlds of the sandbox, read and compared with its truth, cell by cell.

mod bounded;
mod companies;
mod large;
mod moving;
mod random;
mod refresh;
mod seconds;
mod start_date;
mod versions;
mod zones;
