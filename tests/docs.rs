//! Documentation and program agree.
//!
//! - `tables`: `docs/tables.md` says what the declarations say; `UPDATE_DOCS=1` writes it anew.
//! - `downstream`: what analysts' models read is declared, and the queries of `docs/downstream.md` run.
//! - `commands`: every command line, option and variable that is shown exists.
//! - `transcripts`: what `console` blocks show is what the program prints.
//! - `state_format`: the documents shown in `docs/state-format.md` are read as they stand there.
//! - `links`: links between pages lead somewhere.

mod commands;
mod downstream;
mod links;
mod state_format;
mod tables;
mod transcripts;

use std::fs;
use std::path::{Path, PathBuf};

/// One page of documentation.
struct Page {
    /// Path from the top of the repository, with slashes.
    name: String,
    text: String,
}

/// A fenced block of a page.
struct Block<'a> {
    /// The word after the fence; empty if there is none.
    language: &'a str,
    lines: Vec<&'a str>,
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page there is: at the top and below `docs`.
fn pages() -> Vec<Page> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = vec![top().join("docs")];
    let at_the_top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| top().join(name));
    files.extend(at_the_top);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of pages") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                files.push(path);
            }
        }
    }
    files.sort();
    files.into_iter().map(|path| Page::read(&path)).collect()
}

impl Page {
    fn read(path: &Path) -> Self {
        let name = path.strip_prefix(top()).expect("a page of the repository");
        let name = name.to_str().expect("UTF-8").replace('\\', "/");
        Self { name, text: fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())) }
    }

    fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        let mut open: Option<Block<'_>> = None;
        for line in self.text.lines() {
            match (line.trim_start().strip_prefix("```"), open.take()) {
                (Some(_), Some(block)) => blocks.push(block),
                (Some(language), None) => open = Some(Block { language, lines: Vec::new() }),
                (None, Some(mut block)) => {
                    block.lines.push(line);
                    open = Some(block);
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block without an end", self.name);
        blocks
    }

    /// The text outside of fenced blocks.
    fn prose(&self) -> String {
        self.text.split("```").step_by(2).collect::<Vec<_>>().join("\n")
    }

    /// What stands between backticks outside of fenced blocks.
    fn spans(&self) -> Vec<String> {
        self.prose().split('`').skip(1).step_by(2).map(|span| span.replace('\n', " ")).collect()
    }
}
