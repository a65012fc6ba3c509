//! Signals by name, as `--stop-signal` takes them and the log prints them.

use rustix::process::Signal;

/// The signals that may stop a program, with their names. STOP and CONT are missing because they end nothing.
const NAMES: [(&str, Signal); 12] = [
    ("TERM", Signal::TERM),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("HUP", Signal::HUP),
    ("KILL", Signal::KILL),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("ALRM", Signal::ALARM),
    ("ABRT", Signal::ABORT),
    ("WINCH", Signal::WINCH),
    ("PIPE", Signal::PIPE),
    ("PWR", Signal::POWER),
];

/// The signal of a name (`TERM`, `SIGTERM`, `sigterm`) or a number that has a name here.
pub(crate) fn parse(text: &str) -> Option<Signal> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let found = NAMES.iter().find(|(known, signal)| *known == name || signal.as_raw().to_string() == name);
    found.map(|(_, signal)| *signal)
}

/// The name of a signal number without `SIG`, or the number.
pub(crate) fn name(number: i32) -> String {
    const OTHERS: [(&str, Signal); 8] = [
        ("SEGV", Signal::SEGV),
        ("BUS", Signal::BUS),
        ("ILL", Signal::ILL),
        ("FPE", Signal::FPE),
        ("TRAP", Signal::TRAP),
        ("SYS", Signal::SYS),
        ("XCPU", Signal::XCPU),
        ("XFSZ", Signal::XFSZ),
    ];
    let all = NAMES.iter().chain(OTHERS.iter());
    let found = all.into_iter().find(|(_, signal)| signal.as_raw() == number);
    found.map_or_else(|| number.to_string(), |(name, _)| (*name).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_prefixes_are_understood() {
        for text in ["TERM", "SIGTERM", "term", "15"] {
            assert_eq!(parse(text), Some(Signal::TERM), "{text}");
        }
        for text in ["", "SIG", "0", "-15", "STOP", "CONT", "TERMINATE", "99"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_have_names() {
        assert_eq!(name(9), "KILL");
        assert_eq!(name(11), "SEGV");
        assert_eq!(name(64), "64");
    }
}
