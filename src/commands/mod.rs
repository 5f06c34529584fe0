//! One file per command; [`execute`] is the whole program after `main`.

mod check;
mod demo;
mod destinations;
mod dry_run;
mod init;
mod read;
mod sandbox;
mod setup;
mod signals;
mod status;
mod tables;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use serde_json::Value;

use crate::cli::{self, Cli, Command};
use crate::destination::access;
use crate::error::{Error, ErrorKind, Result};
use crate::{descriptors, memory, printable};

/// Carries out a command line and says how the process ends.
pub fn execute(typed: impl IntoIterator<Item = OsString>) -> ExitCode {
    access::begin_private();
    signals::set_up();
    memory::set_up();
    descriptors::raise();
    let cli = match cli::parse(typed) {
        Ok(cli) => cli,
        Err(error) => {
            let text = error.render().to_string();
            // Help and version are data and go to stdout with code 0; clap knows which is which.
            if error.use_stderr() {
                say(text.trim_end());
            } else {
                drop(print(&text));
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let code = dispatch(cli).unwrap_or_else(|error| {
        report(&error);
        error.kind().exit_code()
    });
    memory::leave();
    ExitCode::from(code)
}

fn dispatch(cli: Cli) -> Result<u8> {
    match cli.command {
        None => read::read(&cli.run),
        Some(Command::Run(args)) => read::read(&args),
        Some(Command::Init(args)) => init::init(&args),
        Some(Command::Check(args)) => check::check(&args),
        Some(Command::Tables(args)) => tables::tables(&args),
        Some(Command::Status(args)) => status::status(&args),
        Some(Command::Demo(args)) => demo::demo(&args),
        Some(Command::Sandbox(args)) => sandbox::sandbox(&args),
    }
}

/// Writes lines of a result to stdout. A reader that has seen enough and closed the pipe is no error.
fn print(text: &str) -> Result<()> {
    write(&printable::lines(text))
}

/// Writes a result for programs to stdout, as [`print`] does.
fn print_json(value: &Value) -> Result<()> {
    write(&printable::json(value))
}

fn write(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(ErrorKind::Usage, "stdout cannot be written").with_source(error))
        }
        _ => Ok(()),
    }
}

/// Writes an error to stderr.
fn report(error: &Error) {
    say(&error.render());
}

/// Writes lines to stderr; if nobody reads it, there is nobody to tell.
fn say(text: &str) {
    drop(writeln!(std::io::stderr(), "{}", printable::lines(text)));
}
