//! Worlds of the sandbox, read and compared with its truth, cell by cell.

mod activity_logs;
mod at_once;
mod bad_objects;
mod bounded;
mod busy;
mod companies;
mod dates;
mod ends;
mod every_table;
mod histories;
mod large;
mod links;
mod moving;
mod parts;
mod random;
mod refresh;
mod seconds;
mod stamps;
mod start_date;
mod sweeps;
mod versions;
mod zones;
