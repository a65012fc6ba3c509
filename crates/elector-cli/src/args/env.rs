//! The environment as a second place for options: `ELECTOR_` and the option's name.
//!
//! It is read once, as a value, so that everything below can be tested without touching the real one. A nested
//! elector does not take over the identity that the outer one gave to its program.

use super::nearest::nearest;
use std::ffi::{OsStr, OsString};

const PREFIX: &str = "ELECTOR_";
/// What an outer elector gives to its program. It is no setting of ours.
const GIVEN: [&str; 3] = ["ELECTOR_ID", "ELECTOR_ELECTION", "ELECTOR_TOKEN"];

/// The `ELECTOR_*` variables in force.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    variables: Vec<(String, OsString)>,
}

impl Environment {
    /// Those of `all` that begin with `ELECTOR_`.
    pub(crate) fn new(all: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
        let ours = all.into_iter().filter_map(|(name, value)| {
            let name = name.to_str().filter(|name| name.starts_with(PREFIX))?.to_string();
            Some((name, value))
        });
        let mut variables: Vec<(String, OsString)> = ours.collect();
        variables.sort();
        // Whoever has a token was started by an elector.
        let nested = variables.iter().any(|(name, _)| name == "ELECTOR_TOKEN");
        if nested {
            variables.retain(|(name, _)| !GIVEN.contains(&name.as_str()));
        }
        Environment { variables }
    }

    /// The variable for a long option, named without its dashes.
    pub(crate) fn get(&self, option: &str) -> Option<&OsStr> {
        let name = variable(option);
        self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_os_str())
    }

    /// One line for each variable that no option reads. Values are not shown: one may be a password.
    pub(crate) fn unknown(&self, options: &[&str]) -> Vec<String> {
        let known: Vec<String> = options.iter().map(|option| variable(option)).collect();
        let unknown = self.variables.iter().filter(|(name, _)| !known.contains(name));
        // What all of them begin with says nothing about how near two are.
        let own = |name: &str| name.trim_start_matches(PREFIX).to_string();
        let names: Vec<String> = known.iter().map(|name| own(name)).collect();
        let line = |name: &str| match nearest(&own(name), names.iter().map(String::as_str)) {
            Some(meant) => format!("{name} is not a variable of elector; did you mean {PREFIX}{meant}?"),
            None => format!("{name} is not a variable of elector and is ignored"),
        };
        unknown.map(|(name, _)| line(&crate::text::escape(name))).collect()
    }
}

/// `stop-grace` is read from `ELECTOR_STOP_GRACE`.
pub(crate) fn variable(option: &str) -> String {
    format!("{PREFIX}{}", option.to_ascii_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment::new(pairs.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn an_inherited_identity_is_ignored_but_other_settings_pass() {
        let nested = environment(&[
            ("ELECTOR_TOKEN", "42"),
            ("ELECTOR_ID", "outer"),
            ("ELECTOR_ELECTION", "/outer"),
            ("ELECTOR_ZOOKEEPER", "zk1"),
        ]);
        assert_eq!(nested.get("id"), None);
        assert_eq!(nested.get("zookeeper"), Some(OsStr::new("zk1")));
        assert!(nested.unknown(&["zookeeper", "id"]).is_empty());

        let own = environment(&[("ELECTOR_ID", "mine")]);
        assert_eq!(own.get("id"), Some(OsStr::new("mine")));
    }

    #[test]
    fn a_misspelt_variable_is_told_of_without_its_value() {
        let env =
            environment(&[("ELECTOR_ZOKEEPER", "zk1"), ("ELECTOR_PASSWORD", "hunter2"), ("PATH", "/bin")]);
        let lines = env.unknown(&["zookeeper", "id", "on-exit", "acl"]);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains("ELECTOR_PASSWORD") && !lines[0].contains("hunter2"), "{lines:?}");
        assert!(lines[0].ends_with("is ignored"), "nothing is near: {lines:?}");
        assert!(lines[1].contains("did you mean ELECTOR_ZOOKEEPER?"), "{lines:?}");
    }
}
