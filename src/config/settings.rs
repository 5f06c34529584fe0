//! The values of one connection: expanded, then parsed, with the place of the value in every error.

use std::fmt;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::expand::{Expanded, Failure, expand};
use super::file::{Entry, Origin, Setting};
use crate::error::{Error, ErrorKind, Result};

/// The key whose value is a secret.
pub(crate) const ACCESS_TOKEN: &str = "access_token";
/// The variables that alone make a connection.
pub(crate) const TOKEN_VARIABLE: &str = "INTERCOM_ACCESS_TOKEN";
pub(crate) const REGION_VARIABLE: &str = "INTERCOM_REGION";

/// Reads the settings of one connection, or those at the top of the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings<'a> {
    pub(crate) origin: &'a Origin,
    pub(crate) environment: &'a Environment,
    pub(crate) entry: Option<&'a Entry>,
}

impl<'a> Settings<'a> {
    /// The expanded value of `key`, or `None` if the key is absent. A key with nothing after it, or with
    /// nothing left after expansion, is an error.
    pub(crate) fn text(&self, key: &str) -> Result<Option<String>> {
        self.find(key).map(|setting| Ok(self.expanded(setting)?.text)).transpose()
    }

    /// The expanded value of `key`, which has to be there.
    pub(crate) fn required(&self, key: &str) -> Result<String> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    /// The value of `key`, expanded and then parsed. What `parse` says must not repeat the value.
    pub(crate) fn parsed<T, E: fmt::Display>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        parse(&text).map(Some).map_err(|problem| self.refused(key, problem.to_string()))
    }

    /// The values of `key` for single tables, expanded and then parsed, each with its table.
    pub(crate) fn parsed_by_table<T, E: fmt::Display>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Vec<(&'static str, T)>> {
        let settings = self.entry.map(|entry| entry.settings.iter()).into_iter().flatten();
        let of_tables = settings.filter(|setting| setting.key == key);
        let parsed =
            of_tables.filter_map(|setting| Some((setting.table?, setting))).map(|(table, setting)| {
                let text = self.expanded(setting)?.text;
                let value = parse(&text).map_err(|problem| self.error(setting, problem.to_string()))?;
                Ok((table, value))
            });
        parsed.collect()
    }

    /// The value of `key` as a path, its `~` opened, relative ones below `base`; it has to be there.
    pub(crate) fn required_path(&self, key: &str, base: &Path) -> Result<PathBuf> {
        let setting = self.find(key).ok_or_else(|| self.missing(key))?;
        let expanded = self.expanded(setting)?;
        if expanded.text.starts_with('~') && !expanded.opens_as_written {
            return Err(self.error(setting, "starts with a ~ that comes from a variable").with_hint(
                "only a ~ written in the file is opened; let the variable hold the whole path, \
                 or write ./~ for a file of this name",
            ));
        }
        resolve_path(&expanded.text, base, self.environment.home_dir())
            .map_err(|message| self.error(setting, message))
    }

    /// An error at the value of `key`.
    pub(crate) fn refused(&self, key: &str, message: impl Into<String>) -> Error {
        match self.find(key) {
            Some(setting) => self.error(setting, message),
            None => self.missing(key),
        }
    }

    /// One setting's expanded value, which is not empty.
    pub(crate) fn expanded(&self, setting: &Setting) -> Result<Expanded> {
        let Some(text) = &setting.text else {
            return Err(self.error(setting, "has no value").with_hint("write one, or remove the key"));
        };
        let expanded = expand(text, self.environment).map_err(|failure| self.failed(setting, failure))?;
        if expanded.text.is_empty() {
            let when = if text.is_empty() { "is empty" } else { "is empty after expansion" };
            return Err(self.error(setting, when));
        }
        Ok(expanded)
    }

    /// An error at one setting: the place in the file, the connection, the key, then the message. Without a
    /// file, the variable the setting was made from is the place.
    pub(crate) fn error(&self, setting: &Setting, message: impl Into<String>) -> Error {
        let error = Error::new(ErrorKind::Config, message);
        let Origin::File(path) = self.origin else {
            let variable = if setting.key == ACCESS_TOKEN { TOKEN_VARIABLE } else { REGION_VARIABLE };
            return error.within(format!("environment variable {variable}"));
        };
        let error = error.within(match setting.table {
            Some(table) => format!("tables.{table}.{}", setting.key),
            None => setting.key.to_owned(),
        });
        let error = match self.entry {
            Some(entry) => error.within(format!("connection {}", entry.name)),
            None => error,
        };
        error.within(format!("{}:{}:{}", path.display(), setting.at.line, setting.at.column))
    }

    fn failed(&self, setting: &Setting, failure: Failure) -> Error {
        match failure {
            Failure::Misuse(misuse) => self.error(setting, misuse.message()).with_hint(misuse.hint()),
            Failure::Unset { doubtful: true, .. } if setting.key == ACCESS_TOKEN => self
                .error(
                    setting,
                    "a variable in it is not set (its name may be a part of the token, so it is not shown)",
                )
                .with_hint("a dollar sign is written $$"),
            Failure::Unset { name, .. } => self
                .error(setting, format!("environment variable {name} is not set"))
                .with_hint(format!("export {name}, or write ${{{name}:-default}}")),
            Failure::Unreadable(error) => {
                let message = error.to_string();
                self.error(setting, message)
            }
        }
    }

    fn missing(&self, key: &str) -> Error {
        match self.entry {
            Some(entry) => {
                self.origin.error(entry.at, format!("connection {}: {key} is missing", entry.name))
            }
            None => {
                Error::new(ErrorKind::Config, format!("{key} is missing")).within(self.origin.to_string())
            }
        }
    }

    fn find(&self, key: &str) -> Option<&'a Setting> {
        self.entry?.settings.iter().find(|setting| setting.key == key && setting.table.is_none())
    }
}

/// A path as typed by a person: `~` and `~/...` lead to the home folder, relative paths below `base`.
/// The message of a refusal does not repeat the path.
pub(crate) fn resolve_path(text: &str, base: &Path, home: Option<&Path>) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("the path is empty".to_owned());
    }
    if text.contains(char::is_control) {
        return Err("the path holds a control character".to_owned());
    }
    if text.contains("://") {
        return Err("expected a path in the local file system (a lake may also be at s3://, gs:// or az://)"
            .to_owned());
    }
    let opened = if text.starts_with('~') {
        let home = home.ok_or("~ leads nowhere: the home folder is not known")?;
        let home = home.to_str().ok_or("~ leads nowhere: the path of the home folder is not UTF-8 text")?;
        let opened = shellexpand::tilde_with_context(text, || Some(home));
        if opened == text {
            return Err("~ opens only as ~ or ~/...; write ./~ for a file of this name".to_owned());
        }
        opened
    } else {
        text.into()
    };
    // Collecting the components drops the dots of `./lake`.
    Ok(base.join(&*opened).components().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let (base, home) = (Path::new("/srv/project"), Some(Path::new("/home/ada")));
        for (text, expected) in [
            ("lake", "/srv/project/lake"),
            ("./lake", "/srv/project/lake"),
            ("./a/./b/", "/srv/project/a/b"),
            ("../lake", "/srv/project/../lake"),
            ("/srv/lake", "/srv/lake"),
            ("~", "/home/ada"),
            ("~/lake", "/home/ada/lake"),
            ("./~", "/srv/project/~"),
            ("a~b", "/srv/project/a~b"),
            ("a b:c#d$e", "/srv/project/a b:c#d$e"),
        ] {
            assert_eq!(resolve_path(text, base, home), Ok(PathBuf::from(expected)), "{text}");
        }
        for (text, home, message) in [
            ("", home, "the path is empty"),
            ("a\nb", home, "the path holds a control character"),
            (
                "file:///b/c",
                home,
                "expected a path in the local file system (a lake may also be at s3://, gs:// or az://)",
            ),
            ("~bob/x", home, "~ opens only as ~ or ~/...; write ./~ for a file of this name"),
            ("~/x", None, "~ leads nowhere: the home folder is not known"),
        ] {
            assert_eq!(resolve_path(text, base, home), Err(message.to_owned()), "{text}");
        }
    }
}
