//! Command lines, options and variables in the pages, against the declaration of the command line.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::CommandFactory;
use clap::error::ErrorKind;
use ingest::cli::{self, Cli};

use super::{Page, pages};

/// The arguments of every `ingest` in a line as a shell, a crontab or `cargo run` would start it.
fn invocations(line: &str) -> Vec<Vec<String>> {
    let line = line.trim().trim_start_matches("$ ");
    let line = line.split(" #").next().unwrap_or_default();
    let mut found = Vec::new();
    for command in line.split(['|', ';']).flat_map(|part| part.split("&&")) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let is_assignment = |word: &&str| word.split_once('=').is_some_and(|(name, _)| is_variable(name));
        let words = &words[words.iter().take_while(|word| is_assignment(word)).count()..];
        let arguments = match words {
            ["ingest", arguments @ ..] => arguments,
            ["cargo", "run", options @ ..] => match options.iter().position(|word| *word == "--") {
                Some(at) => &options[at + 1..],
                None => continue,
            },
            _ => continue,
        };
        let typed = arguments.iter().take_while(|word| !word.contains('>') && !word.starts_with("2&"));
        found.push(typed.map(|word| word.replace(['\'', '"'], "")).collect());
    }
    found
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Every command line of a page, from its blocks and from its text.
fn command_lines(page: &Page) -> Vec<Vec<String>> {
    let shells = ["sh", "console", "text", "crontab"];
    let blocks = page.blocks();
    let lines = blocks.iter().filter(|block| shells.contains(&block.language)).flat_map(|block| &block.lines);
    let spans = page.spans();
    lines.copied().chain(spans.iter().map(String::as_str)).flat_map(invocations).collect()
}

#[test]
fn command_lines_are_taken_out_of_their_surroundings() {
    for (line, expected) in [
        ("$ ingest status   # how fresh", vec!["status"]),
        ("INGEST_TO=lake ingest intercom", vec!["intercom"]),
        ("*/15 * * * * cd /srv/crm && ingest intercom -q >>ingest.log 2>&1", vec!["intercom", "-q"]),
        ("cargo run --release -- demo", vec!["demo"]),
        ("ingest intercom.'*' | jq .", vec!["intercom.*"]),
    ] {
        assert_eq!(invocations(line), [expected], "{line}");
    }
    assert!(invocations("cargo test --release").is_empty());
    assert!(invocations("rows that ingest merges").is_empty());
}

#[test]
fn every_command_line_shown_is_accepted() {
    let mut checked = 0;
    for page in pages() {
        for arguments in command_lines(&page) {
            // The name of the program alone, as in a sentence about it.
            if arguments.is_empty() {
                continue;
            }
            let typed =
                std::iter::once("ingest").chain(arguments.iter().map(String::as_str)).map(OsString::from);
            if let Err(error) = cli::parse(typed) {
                let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
                assert!(is_answer, "{}: ingest {}\n{error}", page.name, arguments.join(" "));
            }
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} command lines were found");
}

/// Options of cargo that pages speak of by themselves.
const OF_CARGO: &[&str] = &["release"];

#[test]
fn every_option_shown_exists() {
    let command = Cli::command();
    let of_all = std::iter::once(&command).chain(command.get_subcommands());
    let known: BTreeSet<&str> =
        of_all.flat_map(clap::Command::get_arguments).filter_map(clap::Arg::get_long).collect();
    for page in pages() {
        for span in page.spans() {
            let Some(option) = span.strip_prefix("--") else { continue };
            let name = option.split([' ', '=', '[']).next().unwrap_or_default();
            assert!(known.contains(name) || OF_CARGO.contains(&name), "{}: `{span}`", page.name);
        }
    }
}

#[test]
fn every_variable_shown_is_read_and_every_one_read_is_shown() {
    let command = Cli::command();
    let of_all = std::iter::once(&command).chain(command.get_subcommands());
    let twins = of_all.flat_map(clap::Command::get_arguments).filter_map(|arg| arg.get_env()?.to_str());
    let known: BTreeSet<String> = twins.map(str::to_owned).collect();
    let mut shown = BTreeSet::new();
    for page in pages() {
        let words = page.text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|word| word.len() > "INGEST_".len() && word.starts_with("INGEST_")) {
            assert!(known.contains(word), "{}: {word}", page.name);
            shown.insert(word.to_owned());
        }
    }
    assert_eq!(shown, known, "variables that no page mentions");
}
