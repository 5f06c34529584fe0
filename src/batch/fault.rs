//! What is wrong with text that should be JSON.

use std::fmt;

/// In which way text is not what it should be; where, [`Scanner::locate`](super::Scanner::locate) knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It ends early.
    Cut,
    /// It is no JSON.
    Syntax,
    /// It is JSON, but something else than what should stand here.
    Shape,
    /// It is a list of more entries, or of more rows, than can be taken in one answer.
    Endless,
}

/// Text that is not what it should be. Says where, and never quotes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// In which way.
    pub fault: Fault,
    /// From 1.
    pub line: usize,
    /// In bytes, from 1.
    pub column: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = match self.fault {
            Fault::Cut => "cut short",
            Fault::Syntax => "bad JSON",
            Fault::Shape => "unexpected shape",
            Fault::Endless => "too many entries",
        };
        write!(f, "{fault} at line {} column {}", self.line, self.column)
    }
}

impl std::error::Error for Malformed {}
