//! The process environment, read once, in one place.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::proxy;
use crate::error::{Error, ErrorKind, Result};

/// A snapshot of the environment variables and of the two folders that are derived from them.
///
/// Everything that depends on the environment takes one of these, so tests never touch the real one.
/// Its `Debug` shows no values.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
    home_dir: Option<PathBuf>,
    config_dir: Option<PathBuf>,
}

impl Environment {
    /// The environment of this process as it is now. Variables whose *names* are not UTF-8 are left out.
    pub fn of_process() -> Self {
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        Self { variables, home_dir: dirs::home_dir(), config_dir: dirs::config_dir() }
    }

    /// An environment of exactly these variables. `HOME` and `XDG_CONFIG_HOME` stand for the user's folders.
    pub fn from_pairs<N: Into<String>, V: Into<OsString>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let variables: BTreeMap<String, OsString> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let home_dir = variables.get("HOME").map(PathBuf::from);
        let config_dir = variables.get("XDG_CONFIG_HOME").map(PathBuf::from);
        Self { variables, home_dir, config_dir }
    }

    /// The value of a variable; `None` if it is not set. A value that is not UTF-8 is an error that names
    /// the variable.
    pub fn get(&self, name: &str) -> Result<Option<&str>> {
        let Some(value) = self.variables.get(name) else { return Ok(None) };
        match value.to_str() {
            Some(value) => Ok(Some(value)),
            None => Err(Error::new(ErrorKind::Config, "not UTF-8 text")
                .within(format!("environment variable {name}"))),
        }
    }

    /// The value of a variable, whatever bytes it is of.
    pub fn raw(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(name).map(OsString::as_os_str)
    }

    /// Fails, naming the variable and nothing of its value, if one that says which proxy to use does not say it:
    /// requests would go out without one.
    pub fn check_proxies(&self) -> Result<()> {
        let value = |name: &str| Ok::<_, Error>(self.get(name)?.filter(|value| !value.is_empty()));
        for name in proxy::VARIABLES {
            let Some(found) = value(name)? else { continue };
            // Nothing is asked of it where there is another for all that is sent in secret.
            let is_idle = name.eq_ignore_ascii_case("ALL_PROXY")
                && (value("HTTPS_PROXY")?.is_some() || value("https_proxy")?.is_some());
            if is_idle && proxy::is_socks(found) {
                continue;
            }
            proxy::check(found).map_err(|expected| {
                Error::new(ErrorKind::Config, expected.to_string())
                    .within(format!("environment variable {name}"))
                    .with_hint("write http://HOST:PORT, or unset it to do without a proxy")
            })?;
        }
        Ok(())
    }

    /// The variables whose names begin so; those whose values are not UTF-8 are left out.
    pub fn starting_with<'e>(&'e self, prefix: &'e str) -> impl Iterator<Item = (&'e str, &'e str)> {
        let variables = self.variables.iter().filter(move |(name, _)| name.starts_with(prefix));
        variables.filter_map(|(name, value)| Some((name.as_str(), value.to_str()?)))
    }

    /// The user's home folder, where `~` leads.
    pub fn home_dir(&self) -> Option<&Path> {
        self.home_dir.as_deref()
    }

    /// The user's configuration folder (`~/.config`, `~/Library/Application Support`, ...).
    pub fn user_config_dir(&self) -> Option<&Path> {
        self.config_dir.as_deref()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.variables.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_set_unset_or_an_error_that_names_it() {
        let environment = Environment::from_pairs([("SET", "value"), ("EMPTY", ""), ("HOME", "/home/ada")]);
        assert_eq!(environment.get("SET").unwrap(), Some("value"));
        assert_eq!(environment.get("EMPTY").unwrap(), Some(""));
        assert_eq!(environment.get("UNSET").unwrap(), None);
        assert_eq!(environment.home_dir(), Some(Path::new("/home/ada")));
        assert_eq!(environment.user_config_dir(), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_text_is_refused_when_asked_for() {
        use std::os::unix::ffi::OsStringExt;
        let environment = Environment::from_pairs([("TOKEN", OsString::from_vec(vec![b'a', 0xFF]))]);
        let error = environment.get("TOKEN").unwrap_err();
        assert_eq!(error.render(), "error: environment variable TOKEN: not UTF-8 text");
    }

    #[test]
    fn a_proxy_that_is_none_is_refused_without_its_value() {
        for name in proxy::VARIABLES {
            let error =
                Environment::from_pairs([(name, "htp://ada:s3cret@proxy:8080")]).check_proxies().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().starts_with(&format!("environment variable {name}: expected ")));
            assert!(!error.render().contains("s3cret"), "{error:?}");
        }
        for pairs in [
            &[][..],
            &[("HTTPS_PROXY", ""), ("http_proxy", "http://ada:s3cret@proxy:8080")],
            &[("https_proxy", "http://proxy:8080"), ("ALL_PROXY", "socks5h://proxy:1080")],
        ] {
            Environment::from_pairs(pairs.iter().copied()).check_proxies().unwrap();
        }
    }

    #[test]
    fn debug_shows_no_values() {
        let environment = Environment::from_pairs([("TOKEN", "dG9rOg==")]);
        assert_eq!(format!("{environment:?}"), "Environment(1 variables)");
    }
}
