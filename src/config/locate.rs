//! Which file is read.

use std::path::{Path, PathBuf};

/// The name of the file, wherever it lies.
pub const FILE_NAME: &str = "connections.yml";

/// Where the configuration is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    /// The user named this file; it may be missing, which is an error.
    Typed(PathBuf),
    /// The first of the usual places that has one.
    Found(PathBuf),
    /// None of the usual places has one; these were looked at, in this order.
    Nowhere(Vec<PathBuf>),
}

/// Finds the configuration: the file that was typed, else `connections.yml` in the working directory, else
/// `ingest/connections.yml` in the user's configuration folder. Looks at the file system, reads nothing.
pub fn config_path(typed: Option<&Path>, working_dir: &Path, user_config_dir: Option<PathBuf>) -> Located {
    if let Some(typed) = typed {
        return Located::Typed(typed.to_owned());
    }
    let mut places = vec![working_dir.join(FILE_NAME)];
    places.extend(user_config_dir.map(|dir| dir.join("ingest").join(FILE_NAME)));
    match places.iter().find(|place| place.exists()) {
        Some(found) => Located::Found(found.clone()),
        None => Located::Nowhere(places),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_that_has_a_file_wins() {
        let (work, user) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let of_user = user.path().join("ingest").join(FILE_NAME);
        let of_project = work.path().join(FILE_NAME);
        let locate = |typed: Option<&Path>| config_path(typed, work.path(), Some(user.path().to_owned()));

        assert_eq!(locate(None), Located::Nowhere(vec![of_project.clone(), of_user.clone()]));
        assert_eq!(config_path(None, work.path(), None), Located::Nowhere(vec![of_project.clone()]));

        std::fs::create_dir(user.path().join("ingest")).unwrap();
        std::fs::write(&of_user, "").unwrap();
        assert_eq!(locate(None), Located::Found(of_user));

        std::fs::write(&of_project, "").unwrap();
        assert_eq!(locate(None), Located::Found(of_project));
        assert_eq!(locate(Some(Path::new("other.yml"))), Located::Typed("other.yml".into()));
    }
}
