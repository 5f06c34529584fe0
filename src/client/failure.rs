//! Calls that did not get what they asked for.

use std::fmt;
use std::time::Duration;

use super::Call;
use super::body::BodyError;
use crate::error::{Error, ErrorKind};
use crate::printable;
use crate::trust::{distrust, root};

/// Why a call has no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// Method and path.
    call: String,
    cause: Cause,
    /// Attempts that came before this one.
    earlier: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cause {
    Refused(Refusal),
    /// No connection was made: the request was certainly not carried out.
    Unreachable(String),
    /// The server could not prove that it is who it should be: nothing was sent to it.
    Untrusted(String),
    /// The request may have been carried out, but no complete answer came.
    Broken(String),
    /// A success status whose body is no JSON.
    NotJson(String),
    /// A success status with a body of more than these many bytes.
    TooLarge(usize),
    /// The same, where the memory for these many bytes is taken by other answers.
    NoRoom(usize),
}

/// A complete answer with an error status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Intercom's error code, where the body has one.
    pub code: Option<String>,
    /// Intercom's words, shortened and without the token.
    pub message: Option<String>,
    /// How long the server asks to wait.
    pub wait: Option<Duration>,
    /// Where the object is to be found now, by its id.
    pub canonical: Option<String>,
}

impl Refusal {
    /// Reads an error body, whose shape is not reliable: any part of it may be missing.
    pub(super) fn read(status: u16, body: &[u8], wait: Option<Duration>, token: &str) -> Self {
        let parsed: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let first = parsed.get("errors").map(|errors| errors.get(0).unwrap_or(errors));
        let text = |key: &str| {
            let short = printable::name(&printable::masked(first?.get(key)?.as_str()?, &[token]));
            (!short.is_empty()).then_some(short)
        };
        Self { status, code: text("code"), message: text("message"), wait, canonical: None }
    }
}

impl CallError {
    pub(super) fn refused(call: String, refusal: Refusal) -> Self {
        Self { call, cause: Cause::Refused(refusal), earlier: 0 }
    }

    pub(super) fn broken(call: String, error: &reqwest::Error) -> Self {
        let words = printable::name(&root(error));
        let cause = if error.is_timeout() {
            Cause::Broken("no answer in time".into())
        } else if distrust(&words).is_some() {
            Cause::Untrusted(words)
        } else if error.is_connect() {
            Cause::Unreachable(words)
        } else {
            Cause::Broken(words)
        };
        Self { call, cause, earlier: 0 }
    }

    pub(super) fn without_body(call: &Call, error: BodyError) -> Self {
        let cause = match error {
            BodyError::Broken(error) => return Self::broken(call.describe(), &error),
            BodyError::TooSlow { bytes, elapsed } => {
                Cause::Broken(format!("{bytes} bytes in {} s", elapsed.as_secs()))
            }
            BodyError::TooLarge => Cause::TooLarge(call.largest),
            BodyError::NoRoom(bytes) => Cause::NoRoom(bytes),
        };
        Self { call: call.describe(), cause, earlier: 0 }
    }

    pub(super) fn not_json(call: String, what: &str) -> Self {
        Self { call, cause: Cause::NotJson(what.into()), earlier: 0 }
    }

    pub(super) fn tried(mut self, earlier: u32) -> Self {
        self.earlier = earlier;
        self
    }

    /// The error answer, if there was one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.cause {
            Cause::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// The HTTP status of the error answer.
    pub fn status(&self) -> Option<u16> {
        self.refusal().map(|refusal| refusal.status)
    }

    /// The id under which the object is to be found now, where the answer says so.
    pub fn canonical(&self) -> Option<String> {
        self.refusal().and_then(|refusal| refusal.canonical.clone())
    }

    /// Whether Intercom gave this error code.
    pub fn has_code(&self, code: &str) -> bool {
        self.refusal().and_then(|refusal| refusal.code.as_deref()) == Some(code)
    }

    /// Whether another scroll over companies is open, in any of the ways in which that has been reported.
    pub fn says_scroll_exists(&self) -> bool {
        let says =
            |refusal: &Refusal| refusal.message.as_ref().is_some_and(|m| m.contains("scroll already exists"));
        self.has_code("scroll_exists") || self.status() == Some(423) || self.refusal().is_some_and(says)
    }

    /// Whether no connection could be made at all.
    pub fn is_unreachable(&self) -> bool {
        matches!(self.cause, Cause::Unreachable(_))
    }

    /// Whether the server's certificate is wrong, or of somebody unknown here.
    pub fn is_untrusted(&self) -> bool {
        matches!(self.cause, Cause::Untrusted(_))
    }

    /// Whether success was answered with a body that is no JSON.
    pub fn is_not_json(&self) -> bool {
        matches!(self.cause, Cause::NotJson(_))
    }

    /// Whether success was answered with more than is read. The same call is answered with as much again.
    pub fn is_too_large(&self) -> bool {
        matches!(self.cause, Cause::TooLarge(_))
    }

    /// The bytes for which there was no room beside other answers, if it is that.
    pub(super) fn lacks_room(&self) -> Option<usize> {
        match self.cause {
            Cause::NoRoom(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// For people; the kind follows from the status.
    pub fn into_error(self) -> Error {
        let kind = match &self.cause {
            Cause::Refused(refusal) => match refusal.status {
                401 => ErrorKind::Auth,
                402 | 403 => ErrorKind::Permission,
                408 | 429 | 500.. => ErrorKind::Network,
                _ => ErrorKind::Api,
            },
            Cause::Untrusted(words) => distrust(words).map_or(ErrorKind::Network, |(kind, _)| kind),
            Cause::Unreachable(_) | Cause::Broken(_) => ErrorKind::Network,
            Cause::NotJson(_) | Cause::NoRoom(_) => ErrorKind::Data,
            Cause::TooLarge(_) => ErrorKind::Api,
        };
        let error = Error::new(kind, self.to_string());
        match (&self.cause, kind) {
            (Cause::Untrusted(words), _) => match distrust(words) {
                Some((_, hint)) => error.with_hint(hint),
                None => error,
            },
            (Cause::Unreachable(_), _) => error.with_hint("check the network, proxy settings and base_url"),
            (Cause::TooLarge(_), _) => error.with_hint(
                "nothing that is asked for is so large: look what answers there (base_url, a proxy), with -vv for each request",
            ),
            (_, ErrorKind::Network) => error.with_hint("run again later; nothing is lost"),
            _ => error,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.call)?;
        match &self.cause {
            Cause::Refused(refusal) => {
                write!(f, "answered {}", refusal.status)?;
                if let Some(code) = &refusal.code {
                    write!(f, " {code}")?;
                }
                if let Some(message) = &refusal.message {
                    write!(f, " ({message})")?;
                }
            }
            Cause::Unreachable(words) => write!(f, "cannot connect ({words})")?,
            Cause::Untrusted(words) => write!(f, "the server cannot be trusted ({words})")?,
            Cause::Broken(words) => write!(f, "no complete answer ({words})")?,
            Cause::NotJson(what) => f.write_str(what)?,
            Cause::TooLarge(bytes) => write!(f, "an answer of more than {} MB", bytes >> 20)?,
            Cause::NoRoom(_) => f.write_str("no memory for the answer beside others")?,
        }
        if self.earlier > 0 { write!(f, ", after {} attempts", self.earlier + 1) } else { Ok(()) }
    }
}

impl std::error::Error for CallError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_the_cut_would_leave_half_of_is_not_shown() {
        let message = format!("{}s3cret", "x".repeat(printable::LONGEST_NAME - 3));
        let body = serde_json::json!({ "errors": [{ "message": message }] }).to_string();
        let refusal = Refusal::read(401, body.as_bytes(), None, "s3cret");
        assert_eq!(refusal.message, Some(format!("{}***", "x".repeat(printable::LONGEST_NAME - 3))));
    }

    #[test]
    fn error_bodies_are_read_defensively_and_never_show_the_token() {
        for (body, expected) in [
            (r#"{"errors":[{"code":"unauthorized","message":"no"}]}"#, "answered 401 unauthorized (no)"),
            (r#"{"errors":{"code":"odd"}}"#, "answered 401 odd"),
            (r#"{"errors":[]}"#, "answered 401"),
            ("<html>", "answered 401"),
            (r#"{"errors":[{"message":"bad token s3cret"}]}"#, "answered 401 (bad token ***)"),
            // Split by what is not printed.
            (
                r#"{"errors":[{"message":"bad s3\u0007cr\u200bet!","code":"s\n3cret"}]}"#,
                "answered 401 *** (bad ***!)",
            ),
            (
                "{\"errors\":[{\"code\":\"a\\u001b[2J\\nerror: b\u{9b}\u{202e}\u{2028}c\"}]}",
                "answered 401 a[2J error: b c",
            ),
        ] {
            let refusal = Refusal::read(401, body.as_bytes(), None, "s3cret");
            let error = CallError::refused("GET /me".into(), refusal);
            assert_eq!(error.to_string(), format!("GET /me: {expected}"));
        }
    }
}
