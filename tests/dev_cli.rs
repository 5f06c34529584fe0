//! The command line alone, while it is being worked on.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has to fail")]

mod cli;
mod support {
    pub(crate) mod binary;
}
