//! What the demo hears from its contenders: the JSON log of `elector run`, and the writes of their programs.
//!
//! Pure: lines in, meaning out. Lines that mean nothing here yield nothing; no line can make the demo fail.

use crate::text;
use serde_json::Value;

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It has a new session, and no place yet.
    Enrolling,
    /// It is in the queue, behind somebody.
    Waiting,
    /// It leads and has started its program.
    Leading { token: u64 },
    /// Its program is being stopped.
    Stopping,
    /// Its term was lost, and nothing of its program is left.
    Lost,
    /// It has given its place up.
    Resigned,
    /// Its program sends a write to the storage.
    Wrote { token: u64 },
    /// Something that should not happen in a demo; in its own words.
    Trouble(String),
}

/// A line of the log.
pub(super) fn log_line(line: &str) -> Option<Said> {
    let line = line.trim_end();
    let Ok(value) = serde_json::from_str::<Value>(line) else {
        // A refusal before the log began is plain text.
        return (!line.is_empty()).then(|| Said::Trouble(text::escape(line)));
    };
    let member = |name: &str| value.get(name).and_then(Value::as_str);
    let message = || text::escape(member("message").unwrap_or_default());
    Some(match (member("level")?, member("event")?) {
        ("error", _) => Said::Trouble(message()),
        (_, "connected") if !message().contains("same session") => Said::Enrolling,
        (_, "waiting") => Said::Waiting,
        (_, "leading") => Said::Leading { token: member("token")?.parse().ok()? },
        (_, "stopping") => Said::Stopping,
        (_, "lost") => Said::Lost,
        (_, "resigned") => Said::Resigned,
        _ => return None,
    })
}

/// A line of the program: its token and the number of its write.
pub(super) fn program_line(line: &str) -> Option<Said> {
    let (token, number) = line.trim_end().split_once(' ')?;
    number.parse::<u64>().ok()?;
    Some(Said::Wrote { token: token.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_log_are_understood() {
        let line = |level, event| {
            log_line(&format!(
                "{{\"level\":\"{level}\",\"event\":\"{event}\",\"token\":\"42\",\"message\":\"a\\u001b\"}}\n"
            ))
        };
        assert_eq!(line("info", "leading"), Some(Said::Leading { token: 42 }));
        assert_eq!(line("warn", "lost"), Some(Said::Lost));
        assert_eq!(line("info", "connected"), Some(Said::Enrolling));
        assert_eq!(line("info", "connecting"), None);
        let again = r#"{"level":"info","event":"connected","message":"connected to a:1, same session"}"#;
        assert_eq!(log_line(again), None);
        assert_eq!(line("error", "error"), Some(Said::Trouble("a\\u{1b}".into())));
        assert_eq!(log_line("elector: no\n"), Some(Said::Trouble("elector: no".into())));
        for odd in ["", "{}", "[1]", "{\"level\":\"info\",\"event\":\"leading\",\"token\":\"x\"}"] {
            assert_eq!(log_line(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_torn_write_is_none() {
        assert_eq!(program_line("42 7\n"), Some(Said::Wrote { token: 42 }));
        for odd in ["", "42", "42 ", " 7", "-1 7", "42 x"] {
            assert_eq!(program_line(odd), None, "{odd}");
        }
    }
}
