//! The `ingest` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ingest::memory::learn_block_size();
    ingest::commands::execute(std::env::args_os())
}
