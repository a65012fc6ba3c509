//! Which paths can hold an election.

use zk_session::wire::{self, PathError};

/// The longest election path in bytes: names below it must still fit everywhere.
const LONGEST: usize = 1024;

/// Why a path cannot hold an election.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ElectionPathError {
    /// ZooKeeper would refuse it; the text names the position.
    #[error("bad election path {path:?}: {error}")]
    Malformed {
        /// What was given, shortened.
        path: String,
        /// What is wrong, and where.
        error: String,
    },
    /// The root, or ZooKeeper's own subtree.
    #[error("bad election path {0:?}: reserved; use a path of your own such as /billing")]
    Reserved(String),
    /// Our own metadata live in paths that end so.
    #[error("bad election path {0:?}: names ending in .ctl are kept for elector's own data")]
    Control(String),
    /// More than 1024 bytes.
    #[error("bad election path: {0} bytes long, at most {LONGEST} are allowed")]
    TooLong(usize),
}

pub(crate) fn validate(path: &str) -> Result<(), ElectionPathError> {
    if path.len() > LONGEST {
        return Err(ElectionPathError::TooLong(path.len()));
    }
    wire::path::validate(path).map_err(|error: PathError| ElectionPathError::Malformed {
        path: path.chars().take(80).collect(),
        error: error.to_string(),
    })?;
    if path == "/" || path == "/zookeeper" || path.starts_with("/zookeeper/") {
        return Err(ElectionPathError::Reserved(path.to_owned()));
    }
    if path.split('/').any(|segment| segment.ends_with(".ctl")) {
        return Err(ElectionPathError::Control(path.to_owned()));
    }
    Ok(())
}

/// The path above `path`, the root for a path right below it.
pub(crate) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(at) if at > 0 => &path[..at],
        _ => "/",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_says_why() {
        for (path, word) in [
            ("", "empty"),
            ("billing", "/"),
            ("/a//b", "empty"),
            ("/a/../b", ".."),
            ("/a/", "/"),
            ("/", "reserved"),
            ("/zookeeper", "reserved"),
            ("/zookeeper/quota", "reserved"),
            ("/a.ctl", ".ctl"),
            ("/a.ctl/b", ".ctl"),
        ] {
            let error = validate(path).unwrap_err().to_string();
            assert!(error.contains(word), "{path:?}: {error}");
        }
        assert!(validate(&format!("/{}", "a".repeat(1024))).is_err());
        assert_eq!(validate("/zookeepers/billing"), Ok(()));
    }

    #[test]
    fn the_parent_of_a_path() {
        assert_eq!(parent("/a/b"), "/a");
        assert_eq!(parent("/a"), "/");
    }
}
