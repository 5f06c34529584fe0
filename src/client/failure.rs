//! Calls that did not get what they asked for.

use std::fmt;
use std::time::Duration;

use super::Call;
use super::body::BodyError;
use crate::error::{Error, ErrorKind};

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
            let words = first?.get(key)?.as_str()?.replace(token, "***");
            let short: String = words.chars().filter(|c| !c.is_control()).take(200).collect();
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
        let words = innermost(error);
        let cause = if error.is_timeout() {
            Cause::Broken("no answer in time".into())
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
            Cause::Unreachable(_) | Cause::Broken(_) => ErrorKind::Network,
            Cause::NotJson(_) | Cause::NoRoom(_) => ErrorKind::Data,
            Cause::TooLarge(_) => ErrorKind::Api,
        };
        let error = Error::new(kind, self.to_string());
        match (&self.cause, kind) {
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
            Cause::Broken(words) => write!(f, "no complete answer ({words})")?,
            Cause::NotJson(what) => f.write_str(what)?,
            Cause::TooLarge(bytes) => write!(f, "an answer of more than {} MB", bytes >> 20)?,
            Cause::NoRoom(_) => f.write_str("no memory for the answer beside others")?,
        }
        if self.earlier > 0 { write!(f, ", after {} attempts", self.earlier + 1) } else { Ok(()) }
    }
}

impl std::error::Error for CallError {}

/// The root of the chain: what the operating system or the protocol said, without URLs.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_bodies_are_read_defensively_and_never_show_the_token() {
        for (body, expected) in [
            (r#"{"errors":[{"code":"unauthorized","message":"no"}]}"#, "answered 401 unauthorized (no)"),
            (r#"{"errors":{"code":"odd"}}"#, "answered 401 odd"),
            (r#"{"errors":[]}"#, "answered 401"),
            ("<html>", "answered 401"),
            (r#"{"errors":[{"message":"bad token s3cret"}]}"#, "answered 401 (bad token ***)"),
        ] {
            let refusal = Refusal::read(401, body.as_bytes(), None, "s3cret");
            let error = CallError::refused("GET /me".into(), refusal);
            assert_eq!(error.to_string(), format!("GET /me: {expected}"));
        }
    }
}
