//! `ingest init`: a commented connections.yml to start from.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{print, setup};
use crate::cli::InitArgs;
use crate::config::TEMPLATE;
use crate::error::{Error, ErrorKind, Result};
use crate::printable;
use crate::special::special;

/// Writes the file; never over an existing one unless told to.
pub(super) fn init(args: &InitArgs) -> Result<u8> {
    setup::logging(&args.common);
    let path = args.common.config.clone().unwrap_or_else(|| PathBuf::from("connections.yml"));
    write(&path, args.force)?;
    print(&format!(
        "wrote {}\nnext: export INTERCOM_ACCESS_TOKEN=..., then: ingest check\n",
        printable::line(&path.display().to_string())
    ))?;
    Ok(0)
}

fn write(path: &Path, force: bool) -> Result<()> {
    if let Some(kind) = special(path) {
        let message = format!("{} is {kind}, not a file", path.display());
        return Err(Error::new(ErrorKind::Config, message).with_hint("name another file with --config"));
    }
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    // It will hold tokens, or the names of variables that do.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let unwritable = |error: std::io::Error| {
        Error::new(ErrorKind::Config, format!("{} cannot be written", path.display())).with_source(error)
    };
    let mut file = options.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::new(ErrorKind::Config, format!("{} exists already", path.display()))
                .with_hint("edit it, or replace it with --force")
        }
        std::io::ErrorKind::NotFound => unwritable(error).with_hint("create its folder first"),
        _ => unwritable(error),
    })?;
    // A file that is replaced keeps the permissions it had.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)).map_err(unwritable)?;
    file.write_all(TEMPLATE.as_bytes()).map_err(unwritable)
}
