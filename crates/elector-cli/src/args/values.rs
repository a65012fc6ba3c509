//! Single values: what may stand behind an option, and what is said where it may not.
//!
//! Every refusal is a fragment that names what is wrong and how to mend it, on one line; the caller puts the
//! option or variable in front. Values are shown escaped, since they may hold anything.

use super::duration;
use super::nearest::nearest;
use crate::text::escape;
use std::ffi::OsStr;
use std::time::Duration;

/// The longest id. It is read by every contender and fits one line.
pub(crate) const MAX_ID_BYTES: usize = 255;

/// One value with the place that it came from, such as `--stop-grace` or `ELECTOR_STOP_GRACE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given<'a> {
    pub(crate) value: &'a OsStr,
    pub(crate) from: String,
}

impl<'a> Given<'a> {
    /// The value as text.
    pub(crate) fn text(&self) -> Result<&'a str, String> {
        self.value.to_str().ok_or_else(|| format!("{}: not valid UTF-8", self.from))
    }

    /// The value as a duration between `least` and `most`.
    pub(crate) fn duration(&self, least: Duration, most: Duration) -> Result<Duration, String> {
        let text = self.text()?;
        duration::parse(text, least, most).map_err(|rule| self.refuse(text, &rule))
    }

    /// One of the `names`.
    pub(crate) fn choice<'n>(&self, names: &[&'n str]) -> Result<&'n str, String> {
        let text = self.text()?;
        if let Some(name) = names.iter().find(|name| **name == text) {
            return Ok(name);
        }
        let meant = nearest(text, names.iter().copied());
        let hint = meant.map_or_else(String::new, |name| format!(" (did you mean {name}?)"));
        Err(self.refuse(text, &format!("allowed is {}{hint}", names.join(", "))))
    }

    /// A switch in the environment.
    pub(crate) fn switch(&self) -> Result<bool, String> {
        match self.text()? {
            "1" | "true" | "yes" | "on" => Ok(true),
            "0" | "false" | "no" | "off" => Ok(false),
            text => Err(self.refuse(text, "allowed is 1 or 0")),
        }
    }

    /// An exit status.
    pub(crate) fn exit_code(&self) -> Result<u8, String> {
        let text = self.text()?;
        text.parse().map_err(|_| self.refuse(text, "an exit status is a number from 0 to 255"))
    }

    /// The line for a refused value.
    pub(crate) fn refuse(&self, text: &str, rule: &str) -> String {
        format!("{} {}: {rule}", self.from, quoted(text))
    }
}

fn quoted(text: &str) -> String {
    if text.is_empty() { "\"\"".into() } else { escape(text) }
}

/// Checks the name shown to others.
pub(crate) fn id(id: &str) -> Result<(), String> {
    if id.is_empty() {
        return Err("an id must not be empty".into());
    }
    if id.len() > MAX_ID_BYTES {
        return Err(format!("an id has at most {MAX_ID_BYTES} bytes, this one has {}", id.len()));
    }
    match id.chars().position(char::is_control) {
        Some(at) => Err(format!("an id has no control characters; there is one at position {at}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(value: &str) -> Given<'_> {
        Given { value: OsStr::new(value), from: "--x".into() }
    }

    #[test]
    fn ids_are_one_readable_line() {
        for good in ["web1:812", "a b", "é", "x"] {
            assert_eq!(id(good), Ok(()), "{good}");
        }
        for (bad, rule) in [("", "empty"), ("a\nb", "position 1"), ("\u{1b}", "control")] {
            assert!(id(bad).is_err_and(|error| error.contains(rule)), "{bad:?}");
        }
        assert!(id(&"x".repeat(10_240)).is_err_and(|error| error.contains("255")));
    }

    #[test]
    fn a_refusal_names_place_value_and_rule_on_one_line() {
        let error = given("hodl").choice(&["hold", "stop"]).expect_err("no such name");
        assert_eq!(error, "--x hodl: allowed is hold, stop (did you mean hold?)");
        for bad in ["", "-1", "256", "x", "1\n2"] {
            let error = given(bad).exit_code().expect_err(bad);
            assert!(error.starts_with("--x ") && !error.contains('\n'), "{error}");
        }
        assert_eq!(
            given("").exit_code().expect_err("empty"),
            "--x \"\": an exit status is a number from 0 to 255"
        );
        assert_eq!(given("yes").switch(), Ok(true));
        assert!(given("maybe").switch().is_err());
    }
}
