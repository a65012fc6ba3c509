//! How the terms look: a table for people, or one JSON object.
//!
//! Pure. Whoever may write beside the election can have written anything, so all of it is escaped here.

use super::terms::{End, Term};
use crate::asking::{Answer, Read, Tell};
use crate::exit;
use crate::history::{How, in_words};
use crate::json::{self, Object};
use crate::text::{escape, session, shown_name, spaced};
use jiff::Timestamp;
use std::time::{Duration, SystemTime};

const HEADINGS: [&str; 6] = ["TOKEN", "LEADER", "FROM (UTC)", "LED FOR", "ENDED BY", "NOBODY LED"];
/// What can have become of an elector that left no last word.
const NO_LAST_WORD: &str = "killed, machine or network";

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// The newest first.
    pub(super) terms: Vec<Term>,
    pub(super) read: Read,
}

impl Tell for Answer<Seen> {
    fn code(&self) -> u8 {
        if self.seen.is_ok() { exit::OK } else { exit::UNKNOWN }
    }

    fn text(&self) -> String {
        let election = escape(&self.election);
        match &self.seen {
            Err(unknown) => format!("{election}: unknown: {}\n", unknown.message),
            Ok(seen) if seen.terms.is_empty() => {
                format!("{election}: no term is written down; elector run does that\n")
            }
            Ok(seen) => table(&seen.terms),
        }
    }

    fn json(&self) -> String {
        let seen = self.seen.as_ref().ok();
        let terms = seen.map_or(&[][..], |seen| &seen.terms).iter().map(object);
        let read = seen.map_or_else(|| "null".into(), |seen| seen.read.json());
        let object = Object::default()
            .number("schema", 1)
            .text("election", &self.election)
            .text("scope", self.scope.word())
            .text("at", &format!("{:.3}", self.at))
            .raw("terms", &json::array(terms))
            .raw("read", &read)
            .raw("warnings", &json::array(self.warnings.iter().map(|warning| json::text(warning))));
        match &self.seen {
            Ok(_) => object.end() + "\n",
            Err(unknown) => object.raw("error", &unknown.json()).end() + "\n",
        }
    }
}

fn table(terms: &[Term]) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(terms.iter().map(row));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    if terms.iter().any(|term| term.end == End::Inferred) {
        out.push_str(
            "~ inferred: it left no last word, and its session outlives a leader by about its timeout\n",
        );
    }
    out
}

fn row(term: &Term) -> [String; 6] {
    let guess = if term.end == End::Inferred { "~" } else { "" };
    let length = |length: Option<Duration>| length.map(|length| format!("{guess}{}", spaced(length)));
    [
        term.token.to_string(),
        term.id.as_deref().map_or_else(|| "?".into(), shown_name),
        term.from.and_then(instant).map_or_else(|| "?".into(), |from| from.strftime("%F %T").to_string()),
        match term.end {
            End::Leads => "leads".into(),
            _ => length(term.led).unwrap_or_else(|| "?".into()),
        },
        match &term.end {
            End::Leads => String::new(),
            End::Told { how, detail } => in_words(how, detail),
            End::Inferred => in_words(&How::SessionExpired, NO_LAST_WORD),
            End::NotRecorded => "not written down".into(),
            End::Unreadable => "no record that can be read".into(),
        },
        length(term.nobody_led).unwrap_or_default(),
    ]
}

fn object(term: &Term) -> String {
    let time = |time: Option<SystemTime>| time.and_then(instant).map(|time| format!("{time:.3}"));
    let ended = |how: &str, detail: &str, inferred: bool| {
        let object = Object::default().text("how", how).text("detail", detail);
        object.raw("inferred", if inferred { "true" } else { "false" }).end()
    };
    let ended = match &term.end {
        End::Leads => "null".into(),
        End::Told { how, detail } => ended(how.word(), detail, false),
        End::Inferred => ended(How::SessionExpired.word(), NO_LAST_WORD, true),
        End::NotRecorded => ended("unknown", "not written down", false),
        End::Unreadable => ended("unknown", "no record that can be read", false),
    };
    Object::default()
        .text("token", &term.token.to_string())
        .optional("id", term.id.as_deref())
        .optional("session", term.session.map(session).as_deref())
        .optional("from", time(term.from).as_deref())
        .optional("until", time(term.until).as_deref())
        .raw("led_ms", &millis(term.led))
        .raw("ended", &ended)
        .raw("nobody_led_ms", &millis(term.nobody_led))
        .optional("containment", term.containment.as_deref())
        .end()
}

fn instant(time: SystemTime) -> Option<Timestamp> {
    Timestamp::try_from(time).ok()
}

fn millis(length: Option<Duration>) -> String {
    length.map_or_else(|| "null".into(), |length| length.as_millis().to_string())
}

#[cfg(test)]
#[path = "show_tests.rs"]
mod tests;
