//! How a process ended and what it wrote, made ready to be looked at.

use std::fmt;
use std::path::Path;
use std::process::ExitStatus;

use super::{OTHER_TOKEN, Project, TOKEN};

/// How a process ended and what it wrote. Displayed for snapshots, with what differs from run to run replaced.
pub(crate) struct Finished {
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// As written.
    pub(crate) stdout: String,
    /// As written.
    pub(crate) stderr: String,
    places: Vec<(String, &'static str)>,
}

impl Finished {
    pub(super) fn of(project: &Project, status: ExitStatus, stdout: String, stderr: String) -> Self {
        for token in [TOKEN, OTHER_TOKEN] {
            assert!(!stdout.contains(token), "a token on stdout: {stdout}");
            assert!(!stderr.contains(token), "a token on stderr: {stderr}");
        }
        for text in [&stdout, &stderr] {
            let raw = text.chars().find(|c| is_raw(*c));
            assert!(raw.is_none(), "{raw:?} in {text:?}");
        }
        let shown = |path: &Path| path.to_str().unwrap().to_owned();
        let places = vec![
            (shown(&project.path), "[DIR]"),
            (shown(project.dir.path()), "[DIR]"),
            ("Library/Application Support".to_owned(), ".config"),
        ];
        Self { code: status.code(), stdout, stderr, places }
    }

    /// The lines of stderr in alphabetical order, where tables that are read together report in any order.
    pub(crate) fn sorted(mut self) -> Self {
        let mut lines: Vec<&str> = self.stderr.split_inclusive('\n').collect();
        lines.sort_unstable();
        self.stderr = lines.concat();
        self
    }

    /// stdout as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e} in {}{}", self.stdout, self.stderr))
    }

    /// Panics, with everything it wrote, unless it ended with this code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }
}

/// What must not be printed: what a terminal acts on, what turns text around, what nobody sees.
fn is_raw(c: char) -> bool {
    let is_mark =
        matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    (c.is_control() && c != '\n') || is_mark || matches!(c, '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        let mut text = format!("exit code: {code}\n");
        for (name, written) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !written.is_empty() {
                text.push_str(&format!("----- {name} -----\n{written}"));
            }
        }
        for (place, name) in &self.places {
            text = text.replace(place, name);
        }
        f.write_str(&text)
    }
}

/// What differs from run to run, and what stands for it in snapshots.
pub(crate) const FILTERS: &[(&str, &str)] = &[
    (r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "[INSTANT]"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "[INSTANT]"),
    // Times in a table, with the spaces that keep its columns straight.
    (r"requests +time  ", "requests  time  "),
    (r" +\d+\.\d s  ", "  [TIME]  "),
    (r"\[INSTANT\] +\d+ (s|min|h|d)  ", "[INSTANT]  [AGE]  "),
    (r"complete as of +age  ", "complete as of  age  "),
    (r"is \d+ s (ahead of|behind)", "is [SECONDS] s ahead of"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00", "[INSTANT]"),
    // Follows from how many seconds of simulated time have passed.
    (r"(?m)^(closed|open|snoozed)( +\d+)  [\d.]+$", "$1$2  [MINUTES]"),
    // Their numbers are the platform's.
    (r"\(os error \d+\)", "(os error [N])"),
    (r"elapsed=[\d.]+.s", "elapsed=[TIME]"),
    (r"PID \d+", "PID [PID]"),
    (r"process \d+", "process [PID]"),
    (r"ingest \d+\.\d+\.\d+", "ingest [VERSION]"),
];

/// Compares a [`Finished`] process with an inline snapshot.
macro_rules! assert_shows {
    ($finished:expr, @$snapshot:literal) => {
        insta::with_settings!({ filters => $crate::support::binary::FILTERS.to_vec() }, {
            insta::assert_snapshot!($finished.to_string(), @$snapshot);
        })
    };
}
pub(crate) use assert_shows;
