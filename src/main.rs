//! The `ingest` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ingest::commands::execute(std::env::args_os())
}
