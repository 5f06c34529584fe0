//! The one error type that crosses module borders: what failed, where, and what to do about it.
//!
//! The [`ErrorKind`] drives decisions (exit code, retry of a table), the message is for the person at the
//! terminal, the hint is the way out. Messages name positions, types and counts, never row values or tokens. Each part
//! of an error is one line, made fit to be printed ([`printable`]) as it is put in, whoever wrote the names in it.

use std::fmt;
use std::sync::Arc;

use crate::printable;

/// Shorthand used all over the crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an error was caused by.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
type SharedError = Arc<dyn std::error::Error + Send + Sync>;

/// What went wrong, as far as anything is decided by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The command line cannot be carried out as typed.
    Usage,
    /// `connections.yml` or the environment is wrong, or the workspace is another one than before.
    Config,
    /// The token is refused as a whole.
    Auth,
    /// The token lacks one permission.
    Permission,
    /// No answer, or no complete answer, after all retries.
    Network,
    /// The API answered something it never should, or an error that no retry cures.
    Api,
    /// An answer that does not have the shape of the table, or a pass that cannot be proven complete.
    Data,
    /// The destination cannot be read or written.
    Destination,
    /// Another run, or a reader, holds the destination.
    Locked,
    /// Somebody else changed a table's state in the middle of the run.
    Conflict,
    /// The time that the run was given is over.
    TimedOut,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl ErrorKind {
    /// The process exit code for this kind alone; [`worst`] orders several.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage | Self::Config => 2,
            Self::Auth | Self::Permission => 3,
            Self::Destination => 4,
            Self::Locked | Self::Conflict => 75,
            Self::Network | Self::Api | Self::Data | Self::TimedOut => 1,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// Whether something could not be read, though the token and the destination are sound and nobody stopped it.
    pub fn is_of_source(self) -> bool {
        matches!(self, Self::Permission | Self::Network | Self::Api | Self::Data)
    }
}

/// The exit code where several hold: signals first, then 2, 75, 4, 3, 1; 0 for none.
pub fn worst(codes: impl IntoIterator<Item = u8>) -> u8 {
    const ORDER: [u8; 7] = [130, 143, 2, 75, 4, 3, 1];
    let codes: Vec<u8> = codes.into_iter().collect();
    ORDER.into_iter().find(|code| codes.contains(code)).unwrap_or(0)
}

/// A failure with everything a person needs to act on it.
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    context: Vec<String>,
    hint: Option<String>,
    source: Option<SharedError>,
}

impl Error {
    /// `message`: lower case, no full stop, the noun and its value first.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = printable::line(&message.into());
        Self { kind, message, context: Vec::new(), hint: None, source: None }
    }

    /// Adds the way out, shown on a line of its own.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(printable::line(&hint.into()));
        self
    }

    /// Keeps the cause; it is rendered once, as "caused by", and never repeated in the message.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Puts where it happened in front of the message: `table contacts: page 3: ...`.
    #[must_use]
    pub fn within(mut self, place: impl Into<String>) -> Self {
        self.context.push(printable::line(&place.into()));
        self
    }

    /// What the failure means for exit code and retries.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The way out, if one is known.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The headline, the chain of causes and the hint, each on its own line, without a final newline.
    pub fn render(&self) -> String {
        let mut text = format!("error: {self}");
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(&format!("\n  caused by: {}", printable::line(&error.to_string())));
            cause = error.source();
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\n  hint: {hint}"));
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in self.context.iter().rev() {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.render())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_code_wins_in_the_documented_order() {
        assert_eq!(worst([]), 0);
        assert_eq!(worst([1, 3]), 3);
        assert_eq!(worst([3, 4, 1]), 4);
        assert_eq!(worst([4, 75]), 75);
        assert_eq!(worst([75, 2]), 2);
        assert_eq!(worst([1, 130, 4]), 130);
    }

    #[test]
    fn nothing_in_an_error_forges_a_line_or_moves_the_cursor() {
        let odd = |part: &str| format!("{part}\u{1b}[2J\u{202e}\nerror: forged");
        let error = Error::new(ErrorKind::Data, odd("message"))
            .within(odd("place"))
            .with_source(std::io::Error::other(odd("cause")))
            .with_hint(odd("hint"));
        let shown = ["place", "message", "cause", "hint"].map(|part| format!("{part}[2J error: forged"));
        let [place, message, cause, hint] = &shown;
        assert_eq!(error.to_string(), format!("{place}: {message}"));
        assert_eq!(error.hint(), Some(hint.as_str()));
        assert_eq!(
            error.render(),
            format!("error: {place}: {message}\n  caused by: {cause}\n  hint: {hint}")
        );
    }

    #[test]
    fn a_rendered_error_says_where_why_and_what_to_do_once_each() {
        let error = Error::new(ErrorKind::Data, "page without records")
            .within("page 3")
            .within("table contacts")
            .with_source(std::io::Error::other("cut short"))
            .with_hint("run again");
        assert_eq!(
            error.render(),
            "error: table contacts: page 3: page without records\n  caused by: cut short\n  hint: run again"
        );
    }
}
