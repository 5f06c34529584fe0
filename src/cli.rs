//! What was typed. No I/O beyond the environment twins of options.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{ArgAction, BoolishValueParser, StyledStr, Styles};
use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;

use crate::config::{Rate, parse_duration, parse_instant, parse_rate};
use crate::printable;

const EXAMPLES: &str = "\
Examples:
  ingest init                                write a commented connections.yml
  ingest check                               try token, region, permissions and destination
  ingest intercom.contacts                   one table into ./ingest.duckdb
  ingest intercom                            every table of the connection
  ingest intercom.contacts --to duckdb:./crm.duckdb
  ingest intercom --to local --to lake       read once, write to both
  ingest demo                                see it work without an account

A table is written <connection>.<table>; <connection> alone means all of its tables. The connection \
may be given by its name or, if there is only one of them, by its type.

Exit codes: 0 every table is complete, 1 a table failed or ran out of time, 2 usage or configuration, \
3 authentication or permission, 4 destination, 75 another run or a reader holds the destination (try again), \
130 interrupted, 143 terminated.";

/// Bring an Intercom workspace into DuckDB or Parquet, incrementally and completely.
#[derive(Debug, Parser)]
#[command(
    name = "ingest",
    version,
    about,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true,
    override_usage = "ingest [OPTIONS] <TABLE>...\n       ingest <COMMAND>",
    max_term_width = 100,
    styles = Styles::plain()
)]
pub struct Cli {
    /// The command; reading tables if there is none.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What to read.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The commands beside reading tables.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read tables (the default command, spelled out for scripts)
    Run(RunArgs),
    /// Write a commented connections.yml to start from
    Init(InitArgs),
    /// Try the connection: token, region, permission of each table, clock, destination
    Check(CheckArgs),
    /// List the tables of a connection with key, strategy, permission and endpoint
    Tables(TablesArgs),
    /// Show what a destination holds: rows, freshness and the last runs
    Status(StatusArgs),
    /// See it all work against a built-in workspace, without an account
    Demo(DemoArgs),
    /// Serve the built-in workspace on loopback, for other programs and for benchmarks
    Sandbox(SandboxArgs),
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct CommonArgs {
    /// File with the connections [default: ./connections.yml, then the user's configuration folder]
    #[arg(long, value_name = "FILE", env = "INGEST_CONFIG")]
    pub config: Option<PathBuf>,
    /// Say more on stderr; twice for every request
    #[arg(short, long, action = ArgAction::Count, env = "INGEST_VERBOSE")]
    pub verbose: u8,
    /// Say nothing on stderr but errors and warnings about exposed secrets
    #[arg(short, long, env = "INGEST_QUIET")]
    pub quiet: bool,
}

/// How a result is printed on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How progress is shown on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    /// Live on a terminal, plain elsewhere.
    Auto,
    /// A line now and then.
    Plain,
    /// Nothing.
    Off,
}

/// Reading tables.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Tables to read, by connection.
    #[arg(
        value_name = "TABLE",
        required = true,
        help = "Tables to read, each as <connection>.<table>, or <connection> for all of its tables"
    )]
    pub tables: Vec<String>,
    /// Destination: a name from connections.yml, duckdb:PATH, parquet:PATH or the URL of a bucket; several times to write to each [default: as configured]
    #[arg(long, value_name = "DESTINATION", env = "INGEST_TO")]
    pub to: Vec<String>,
    /// Read everything again, not just what changed
    #[arg(long, conflicts_with_all = ["interval_start", "interval_end", "limit"])]
    pub full_refresh: bool,
    /// Merge only rows updated at or after this date or moment (RFC 3339); moves no checkpoint
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    pub interval_start: Option<Timestamp>,
    /// Merge only rows updated before this date or moment (RFC 3339); moves no checkpoint
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    pub interval_end: Option<Timestamp>,
    /// Merge at most this many rows of each table, for a first look; moves no checkpoint
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Leave out tables that are complete as of less than this ago
    #[arg(long, value_name = "TIME", value_parser = duration,
          conflicts_with_all = ["full_refresh", "interval_start", "interval_end", "limit"])]
    pub if_older_than: Option<Duration>,
    /// Say what would be asked, and read and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Schema in the destination [default: the connection's name]
    #[arg(long, value_name = "NAME", env = "INGEST_SCHEMA")]
    pub schema: Option<String>,
    /// Most requests in flight at once; how many there are follows the latency
    #[arg(long, value_name = "N", env = "INGEST_CONCURRENCY", default_value = "256",
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,
    /// Ceiling below what the API allows, such as 100/10s
    #[arg(long, value_name = "N/TIME", env = "INGEST_RATE_LIMIT", value_parser = rate)]
    pub rate_limit: Option<Rate>,
    /// Wait for another run or a reader of the destination, at most this long (without a value: 1h)
    #[arg(long, value_name = "TIME", env = "INGEST_WAIT", value_parser = duration,
          num_args = 0..=1, require_equals = true, default_missing_value = "1h")]
    pub wait: Option<Duration>,
    /// Stop after this time, such as 50m, and save what is complete; the next run goes on from there
    #[arg(long, value_name = "TIME", env = "INGEST_TIMEOUT", value_parser = positive_duration)]
    pub timeout: Option<Duration>,
    /// How progress is shown on stderr
    #[arg(long, value_name = "MODE", env = "INGEST_PROGRESS", default_value = "auto")]
    pub progress: ProgressMode,
    /// How the summary is printed on stdout
    #[arg(long, value_name = "FORMAT", env = "INGEST_OUTPUT", default_value = "text")]
    pub output: Output,
    /// Options of every command.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Writing a configuration.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// Replace an existing file
    #[arg(long)]
    pub force: bool,
    /// Options of every command.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Trying a connection.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Connection to try [default: all of them]
    #[arg(value_name = "CONNECTION")]
    pub connection: Option<String>,
    /// Destination to try, as for reading tables
    #[arg(long, value_name = "DESTINATION", env = "INGEST_TO")]
    pub to: Vec<String>,
    /// Options of every command.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Listing tables.
#[derive(Debug, Clone, Args)]
pub struct TablesArgs {
    /// Connection whose tables to list
    #[arg(value_name = "CONNECTION")]
    pub connection: Option<String>,
    /// List the columns of each table
    #[arg(long)]
    pub columns: bool,
    /// How the list is printed
    #[arg(long, value_name = "FORMAT", env = "INGEST_OUTPUT", default_value = "text")]
    pub output: Output,
    /// Options of every command.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Showing a destination.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Connection whose tables to show [default: all in the destination]
    #[arg(value_name = "CONNECTION")]
    pub connection: Option<String>,
    /// Destination to show, as for reading tables
    #[arg(long, value_name = "DESTINATION", env = "INGEST_TO")]
    pub to: Vec<String>,
    /// How the status is printed
    #[arg(long, value_name = "FORMAT", env = "INGEST_OUTPUT", default_value = "text")]
    pub output: Output,
    /// Options of every command.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// The demonstration.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Database to write; that of an earlier demonstration is replaced, any other file is left alone
    #[arg(long, value_name = "PATH", default_value = "demo.duckdb")]
    pub path: PathBuf,
}

/// Serving the built-in workspace.
#[derive(Debug, Clone, Args)]
pub struct SandboxArgs {
    /// Port on loopback; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value = "8080")]
    pub port: u16,
    /// Delay of every answer
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = duration)]
    pub latency: Duration,
    /// Requests allowed per time, as the rate headers say; "none" for no limit and no headers
    #[arg(long, value_name = "N/TIME", default_value = "1666/10s")]
    pub rate_limit: String,
    /// Token to accept
    #[arg(long, value_name = "TOKEN", default_value = "sandbox-token")]
    pub token: String,
    /// Seed of the data
    #[arg(long, value_name = "N", default_value = "1")]
    pub seed: u64,
    /// Contacts in the workspace
    #[arg(long, value_name = "N")]
    pub contacts: Option<usize>,
    /// Companies in the workspace
    #[arg(long, value_name = "N")]
    pub companies: Option<usize>,
    /// Conversations in the workspace
    #[arg(long, value_name = "N")]
    pub conversations: Option<usize>,
    /// Articles in the workspace
    #[arg(long, value_name = "N")]
    pub articles: Option<usize>,
    /// Approximate size of a contact in bytes
    #[arg(long, value_name = "BYTES")]
    pub contact_bytes: Option<usize>,
    /// Time zone of the workspace, by which contact search cuts days
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub time_zone: String,
    /// How late changes become visible to searches
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub index_lag: Duration,
    /// Compare inclusively in conversation search
    #[arg(long)]
    pub inclusive: bool,
    /// Answer uncompressed
    #[arg(long)]
    pub no_gzip: bool,
    /// Simulated time at the start [default: a fixed day, so that answers repeat]
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    pub clock: Option<Timestamp>,
}

fn instant(text: &str) -> Result<Timestamp, String> {
    parse_instant(text).map_err(|e| e.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|e| e.to_string())
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    duration(text)
        .and_then(|time| if time.is_zero() { Err("expected some time".to_owned()) } else { Ok(time) })
}

fn rate(text: &str) -> Result<Rate, String> {
    parse_rate(text).map_err(|e| e.to_string())
}

/// Parses a command line, program name included. What was typed is fit to be printed where the error repeats it.
pub fn parse(typed: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    parse_typed(typed).map_err(cleaned)
}

fn parse_typed(typed: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let command = without_empty_twins(Cli::command());
    let arranged = subcommand_first(&command, typed.into_iter().collect());
    let is_named = arranged
        .get(1)
        .and_then(|word| word.to_str())
        .is_some_and(|word| command.find_subcommand(word).is_some());
    // The options beside a subcommand are those for reading tables, whose twins are not its concern.
    let command = if is_named { command.mut_args(|arg| arg.env(None::<&'static str>)) } else { command };
    Cli::from_arg_matches(&command.try_get_matches_from(arranged)?)
}

/// The error, whose names and values are one line each.
fn cleaned(mut error: clap::Error) -> clap::Error {
    let styled = |text: &StyledStr| StyledStr::from(printable::line(&text.to_string()));
    let changed: Vec<(ContextKind, ContextValue)> = error
        .context()
        // Ours, and on two lines.
        .filter(|(kind, _)| *kind != ContextKind::Usage)
        .filter_map(|(kind, value)| {
            let value = match value {
                ContextValue::String(text) => ContextValue::String(printable::name(text)),
                ContextValue::Strings(texts) => {
                    ContextValue::Strings(texts.iter().map(|text| printable::name(text)).collect())
                }
                ContextValue::StyledStr(text) => ContextValue::StyledStr(styled(text)),
                ContextValue::StyledStrs(texts) => {
                    ContextValue::StyledStrs(texts.iter().map(styled).collect())
                }
                _ => return None,
            };
            Some((kind, value))
        })
        .collect();
    for (kind, value) in changed {
        error.insert(kind, value);
    }
    error
}

/// An environment twin that is set to nothing counts as unset; booleans also take 1 and 0. A value that is not fit to be
/// printed is not shown in the help.
fn without_empty_twins(command: clap::Command) -> clap::Command {
    let tidy = |arg: clap::Arg| {
        let is_empty =
            arg.get_env().is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
        let arg = if matches!(arg.get_action(), ArgAction::SetTrue) && arg.get_env().is_some() {
            arg.value_parser(BoolishValueParser::new())
        } else {
            arg
        };
        let is_odd = arg.get_env().and_then(std::env::var_os).is_some_and(|value| {
            let value = value.to_string_lossy();
            printable::name(&value) != value
        });
        if is_empty { arg.env(None::<&'static str>) } else { arg.hide_env_values(is_odd) }
    };
    command.mut_args(tidy).mut_subcommands(without_empty_twins)
}

/// Moves a subcommand in front of options that were typed before it, so that each of them has one home.
fn subcommand_first(command: &clap::Command, mut typed: Vec<OsString>) -> Vec<OsString> {
    let mut at = 1;
    while let Some(word) = typed.get(at).and_then(|word| word.to_str()) {
        if word == "--" {
            break;
        }
        if !word.starts_with('-') || word == "-" {
            if command.find_subcommand(word).is_some() {
                let word = typed.remove(at);
                typed.insert(1, word);
            }
            break;
        }
        at += if takes_next_word(command, word) { 2 } else { 1 };
    }
    typed
}

/// Whether the option has its value in the word after it, in whichever command it belongs to.
fn takes_next_word(command: &clap::Command, word: &str) -> bool {
    let Some(name) = word.strip_prefix("--") else { return false };
    let commands = std::iter::once(command).chain(command.get_subcommands());
    commands.flat_map(clap::Command::get_arguments).any(|arg| {
        arg.get_long() == Some(name) && arg.get_action().takes_values() && !arg.is_require_equals_set()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arranged(typed: &str) -> String {
        let words = typed.split(' ').map(OsString::from).collect();
        let arranged = subcommand_first(&Cli::command(), words);
        arranged.iter().filter_map(|word| word.to_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_declaration_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_may_stand_before_a_command() {
        for (typed, expected) in [
            ("ingest --config x status", "ingest status --config x"),
            ("ingest --config=x -v tables intercom", "ingest tables --config=x -v intercom"),
            ("ingest --wait status", "ingest status --wait"),
            ("ingest --to status intercom.contacts", "ingest --to status intercom.contacts"),
            ("ingest intercom.contacts status", "ingest intercom.contacts status"),
            ("ingest -- status", "ingest -- status"),
            ("ingest", "ingest"),
        ] {
            assert_eq!(arranged(typed), expected);
        }
    }

    #[test]
    fn tables_are_the_default_command() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let cli = parse(words("ingest intercom.contacts intercom.tags --limit 5")).unwrap();
        assert!(cli.command.is_none());
        assert_eq!((cli.run.tables.len(), cli.run.limit), (2, Some(5)));
        let spelled = parse(words("ingest --limit 5 run intercom.contacts")).unwrap();
        assert!(matches!(spelled.command, Some(Command::Run(run)) if run.limit == Some(5)));
        assert!(parse(words("ingest intercom.contacts --full-refresh --limit 5")).is_err());
        for (time, expected) in [("90s", Some(90)), ("1h30m", Some(5_400)), ("0s", None), ("soon", None)] {
            let typed = parse(words(&format!("ingest intercom --timeout {time}"))).ok();
            let timeout = typed.and_then(|cli| cli.run.timeout).map(|timeout| timeout.as_secs());
            assert_eq!(timeout, expected, "{time}");
        }
    }
}
