//! What stands in the place of a file and is none: opening it may wait for ever, or do something else than reading.

use std::path::Path;

/// What a path leads to, in words, if that is neither a file nor a folder. Nothing is opened.
#[cfg(unix)]
pub(crate) fn special(path: &Path) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt;

    let kind = std::fs::metadata(path).ok()?.file_type();
    match kind {
        kind if kind.is_fifo() => Some(PIPE),
        kind if kind.is_socket() => Some("a socket"),
        kind if kind.is_char_device() || kind.is_block_device() => Some("a device"),
        _ => None,
    }
}

/// Elsewhere such things have names of their own.
#[cfg(not(unix))]
pub(crate) fn special(_path: &Path) -> Option<&'static str> {
    None
}

/// What a pipe is called.
pub(crate) const PIPE: &str = "a pipe";
