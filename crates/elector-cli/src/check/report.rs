//! What `elector check` found, line by line, and what is to be mended first.

use crate::exit;
use std::fmt::Write;

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// Worth knowing; nothing has to be done.
    Note,
    /// To be mended, with the exit status that says so.
    Mend(u8),
}

#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Vec<(Verdict, String)>,
}

impl Report {
    pub(super) fn good(&mut self, text: impl Into<String>) {
        self.findings.push((Verdict::Good, text.into()));
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.findings.push((Verdict::Note, text.into()));
    }

    /// A matter of configuration, which a restart cannot mend.
    pub(super) fn mend(&mut self, text: impl Into<String>) {
        self.findings.push((Verdict::Mend(exit::USAGE), text.into()));
    }

    /// What could not be found out, since somebody did not answer.
    pub(super) fn unknown(&mut self, text: impl Into<String>) {
        self.findings.push((Verdict::Mend(exit::UNKNOWN), text.into()));
    }

    /// The exit status of the first thing to mend.
    pub(super) fn code(&self) -> u8 {
        self.first().map_or(exit::OK, |(code, _)| code)
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for (verdict, text) in &self.findings {
            let word = match verdict {
                Verdict::Good => "ok",
                Verdict::Note => "note",
                Verdict::Mend(_) => "mend",
            };
            let _ = writeln!(out, "{word:<5} {text}");
        }
        match self.first() {
            Some((_, text)) => drop(writeln!(out, "first to mend: {text}")),
            None => out.push_str("nothing to mend\n"),
        }
        out
    }

    fn first(&self) -> Option<(u8, &str)> {
        self.findings.iter().find_map(|(verdict, text)| match verdict {
            Verdict::Mend(code) => Some((*code, text.as_str())),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_thing_to_mend_is_named_last_and_gives_the_status() {
        let mut report = Report::default();
        report.good("a");
        assert_eq!((report.code(), report.text().as_str()), (0, "ok    a\nnothing to mend\n"));
        report.note("b");
        report.unknown("c");
        report.mend("d");
        assert_eq!(report.code(), 4);
        assert_eq!(report.text(), "ok    a\nnote  b\nmend  c\nmend  d\nfirst to mend: c\n");
    }
}
