//! What the program says about itself.

use crate::support::binary::{Project, assert_shows};

#[test]
fn help_fits_on_a_page() {
    assert_shows!(Project::empty().ingest(&["-h"]).run(), @r"
    exit code: 0
    ----- stdout -----
    Brings an Intercom workspace into DuckDB or Parquet, incrementally and completely

    Usage: ingest [OPTIONS] <TABLE>...
           ingest <COMMAND>

    Commands:
      run      Read tables (the default command, spelled out for scripts)
      init     Write a commented connections.yml to start from
      check    Try the connection: token, region, permission of each table, clock, destination
      tables   List the tables of a connection with key, strategy, permission and endpoint
      status   Show what a destination holds: rows, freshness and the last runs
      demo     See it all work against a built-in workspace, without an account
      sandbox  Serve the built-in workspace on loopback, for other programs and for benchmarks
      help     Print this message or the help of the given subcommand(s)

    Arguments:
      <TABLE>...  Tables to read, each as <connection>.<table>, or <connection> for all of its tables

    Options:
          --to <DESTINATION>       Destination: a name from connections.yml, duckdb:PATH, parquet:PATH
                                   or the URL of a bucket; several times to write to each [default: as
                                   configured] [env: INGEST_TO=]
          --full-refresh           Read everything again, not just what changed
          --interval-start <WHEN>  Merge only rows updated at or after this date or moment (RFC 3339);
                                   moves no checkpoint
          --interval-end <WHEN>    Merge only rows updated before this date or moment (RFC 3339); moves
                                   no checkpoint
          --limit <ROWS>           Merge at most this many rows of each table, for a first look; moves
                                   no checkpoint
          --if-older-than <TIME>   Leave out tables that are complete as of less than this ago
          --dry-run                Say what would be asked, and read and write nothing
          --schema <NAME>          Schema in the destination [default: the connection's name] [env:
                                   INGEST_SCHEMA=]
          --concurrency <N>        Most requests in flight at once; how many there are follows the
                                   latency [env: INGEST_CONCURRENCY=] [default: 256]
          --rate-limit <N/TIME>    Ceiling below what the API allows, such as 100/10s [env:
                                   INGEST_RATE_LIMIT=]
          --wait[=<TIME>]          Wait for another run or a reader of the destination, at most this
                                   long (without a value: 1h) [env: INGEST_WAIT=]
          --timeout <TIME>         Stop after this time, such as 50m, and save what is complete; the
                                   next run goes on from there [env: INGEST_TIMEOUT=]
          --progress <MODE>        How progress is shown on stderr [env: INGEST_PROGRESS=] [default:
                                   auto] [possible values: auto, plain, off]
          --output <FORMAT>        How the summary is printed on stdout [env: INGEST_OUTPUT=] [default:
                                   text] [possible values: text, json]
          --config <FILE>          File with the connections [default: ./connections.yml, then the
                                   user's configuration folder] [env: INGEST_CONFIG=]
      -v, --verbose...             Say more on stderr; twice for every request [env: INGEST_VERBOSE=]
      -q, --quiet                  Say nothing on stderr but errors and warnings about exposed secrets
                                   [env: INGEST_QUIET=]
      -h, --help                   Print help (see more with '--help')
      -V, --version                Print version

    Examples:
      ingest init                                write a commented connections.yml
      ingest check                               try token, region, permissions and destination
      ingest intercom.contacts                   one table into ./ingest.duckdb
      ingest intercom                            every table of the connection
      ingest intercom.contacts --to duckdb:./crm.duckdb
      ingest intercom --to local --to lake       read once, write to both
      ingest demo                                see it work without an account

    A table is written <connection>.<table>; <connection> alone means all of its tables. The connection
    may be given by its name or, if there is only one of them, by its type.

    Exit codes: 0 every table is complete, 1 a table failed or ran out of time, 2 usage or
    configuration, 3 authentication or permission, 4 destination, 75 another run or a reader holds the
    destination (try again), 130 interrupted, 143 terminated.
    ");
}

#[test]
fn help_of_reading_tables_explains_every_option_and_its_environment_twin() {
    assert_shows!(Project::empty().ingest(&["run", "--help"]).run(), @r"
    exit code: 0
    ----- stdout -----
    Read tables (the default command, spelled out for scripts)

    Usage: ingest run [OPTIONS] <TABLE>...

    Arguments:
      <TABLE>...
              Tables to read, each as <connection>.<table>, or <connection> for all of its tables

    Options:
          --to <DESTINATION>
              Destination: a name from connections.yml, duckdb:PATH, parquet:PATH or the URL of a
              bucket; several times to write to each [default: as configured]
              
              [env: INGEST_TO=]

          --full-refresh
              Read everything again, not just what changed

          --interval-start <WHEN>
              Merge only rows updated at or after this date or moment (RFC 3339); moves no checkpoint

          --interval-end <WHEN>
              Merge only rows updated before this date or moment (RFC 3339); moves no checkpoint

          --limit <ROWS>
              Merge at most this many rows of each table, for a first look; moves no checkpoint

          --if-older-than <TIME>
              Leave out tables that are complete as of less than this ago

          --dry-run
              Say what would be asked, and read and write nothing

          --schema <NAME>
              Schema in the destination [default: the connection's name]
              
              [env: INGEST_SCHEMA=]

          --concurrency <N>
              Most requests in flight at once; how many there are follows the latency
              
              [env: INGEST_CONCURRENCY=]
              [default: 256]

          --rate-limit <N/TIME>
              Ceiling below what the API allows, such as 100/10s
              
              [env: INGEST_RATE_LIMIT=]

          --wait[=<TIME>]
              Wait for another run or a reader of the destination, at most this long (without a value:
              1h)
              
              [env: INGEST_WAIT=]

          --timeout <TIME>
              Stop after this time, such as 50m, and save what is complete; the next run goes on from
              there
              
              [env: INGEST_TIMEOUT=]

          --progress <MODE>
              How progress is shown on stderr

              Possible values:
              - auto:  Live on a terminal, plain elsewhere
              - plain: A line now and then
              - off:   Nothing
              
              [env: INGEST_PROGRESS=]
              [default: auto]

          --output <FORMAT>
              How the summary is printed on stdout

              Possible values:
              - text: For people
              - json: For programs
              
              [env: INGEST_OUTPUT=]
              [default: text]

          --config <FILE>
              File with the connections [default: ./connections.yml, then the user's configuration
              folder]
              
              [env: INGEST_CONFIG=]

      -v, --verbose...
              Say more on stderr; twice for every request
              
              [env: INGEST_VERBOSE=]

      -q, --quiet
              Say nothing on stderr but errors and warnings about exposed secrets
              
              [env: INGEST_QUIET=]

      -h, --help
              Print help (see a summary with '-h')
    ");
}

#[test]
fn every_command_has_help_on_stdout() {
    let project = Project::empty();
    for command in ["run", "init", "check", "tables", "status", "demo", "sandbox"] {
        let help = project.ingest(&[command, "--help"]).run().exits(0);
        assert!(help.stdout.contains(&format!("Usage: ingest {command}")), "{help}");
        assert!(help.stderr.is_empty(), "{help}");
        assert_eq!(project.ingest(&["help", command]).run().exits(0).stdout, help.stdout);
    }
}

#[test]
fn no_help_is_wider_than_a_terminal() {
    let project = Project::empty();
    for arguments in [&["--help"][..], &["run", "--help"], &["sandbox", "--help"]] {
        let help = project.ingest(arguments).run().exits(0);
        let widest = help.stdout.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{help}");
    }
}

#[test]
fn version() {
    let project = Project::empty();
    let version = project.ingest(&["--version"]).run();
    assert_shows!(version, @r"
    exit code: 0
    ----- stdout -----
    ingest [VERSION]
    ");
    assert_eq!(project.ingest(&["-V"]).run().exits(0).stdout, version.stdout);
}

#[test]
fn nothing_typed_shows_the_help_and_is_no_success() {
    let project = Project::empty();
    let nothing = project.ingest(&[]).run().exits(2);
    assert_eq!(nothing.stdout, "");
    assert_eq!(nothing.stderr, project.ingest(&["-h"]).run().stdout);
}
