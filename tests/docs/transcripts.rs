//! What `console` blocks show, against the program itself.
//!
//! Each page gets an empty folder, in which the commands of all its `console` blocks run in order. What stands
//! below a command has to be among the lines that it prints, in that order; lines may be left out where `...`
//! stands. Spaces, clocks and durations differ from run to run and are not compared.

use std::path::Path;
use std::process::Command;

use super::pages;

/// A line without what differs from run to run.
fn constant(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_unit = |at: usize| matches!(words.get(at), Some(&("s" | "min" | "h" | "d")));
    let is_number = |word: &str| word.parse::<f64>().is_ok();
    let mut constant = Vec::new();
    for (at, word) in words.iter().enumerate() {
        constant.push(match *word {
            word if is_number(word) && is_unit(at + 1) => "TIME",
            _ if at > 0 && is_unit(at) && is_number(words[at - 1]) => "UNIT",
            word if word.ends_with('Z') && word.matches(':').count() == 2 => "CLOCK",
            word => word,
        });
    }
    constant.join(" ")
}

fn printed(folder: &Path, command: &str) -> Vec<String> {
    let arguments: Vec<&str> = command.split_whitespace().skip(1).collect();
    let mut program = Command::new(env!("CARGO_BIN_EXE_ingest"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("INGEST_") || name.to_string_lossy().starts_with("INTERCOM_") {
            program.env_remove(name);
        }
    }
    program.args(arguments).current_dir(folder).env("HOME", folder).env_remove("XDG_CONFIG_HOME");
    let output = program.output().expect("the program runs");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command}\n{text}");
    text.lines().map(constant).filter(|line| !line.is_empty()).collect()
}

/// Compares a command's output with the lines shown below it.
fn compare(place: &str, command: &str, shown: &[&str], printed: &[String]) {
    let mut left = printed.iter();
    let mut may_skip = false;
    for line in shown.iter().map(|line| constant(line)).filter(|line| !line.is_empty()) {
        if line == "..." {
            may_skip = true;
            continue;
        }
        let next = if may_skip { left.find(|printed| **printed == line) } else { left.next() };
        let all = printed.join("\n");
        assert_eq!(next, Some(&line), "{place}: {command}\nshown:\n{line}\nprinted:\n{all}");
        may_skip = false;
    }
    assert!(may_skip || left.next().is_none(), "{place}: {command} prints more:\n{}", printed.join("\n"));
}

#[test]
fn transcripts_show_what_is_printed() {
    let mut commands = 0;
    for page in pages() {
        let folder = tempfile::tempdir().unwrap();
        for block in page.blocks().iter().filter(|block| block.language == "console") {
            let is_command = |line: &&str| line.starts_with("$ ");
            let starts: Vec<usize> =
                (0..block.lines.len()).filter(|at| is_command(&block.lines[*at])).collect();
            assert_eq!(starts.first(), Some(&0), "{}: a transcript begins with its command", page.name);
            for (position, start) in starts.iter().enumerate() {
                let end = starts.get(position + 1).copied().unwrap_or(block.lines.len());
                let command = block.lines[*start].trim_start_matches("$ ");
                assert!(command.starts_with("ingest "), "{}: {command}", page.name);
                compare(&page.name, command, &block.lines[start + 1..end], &printed(folder.path(), command));
                commands += 1;
            }
        }
    }
    assert!(commands > 0, "no transcript was found");
}

#[test]
fn clocks_and_durations_are_not_compared() {
    assert_eq!(
        constant("a  12  0.5 s  as of 2026-01-15 12:00:01Z"),
        constant("a 12 10.1 s as of 2026-01-15 12:00:00Z")
    );
    assert_ne!(constant("a  12  0.5 s"), constant("a  13  0.5 s"));
}
