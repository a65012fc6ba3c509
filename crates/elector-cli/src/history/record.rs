//! One term's record: what its leader, and only its leader or the processes beside it, say about it.
//!
//! Times are not written: wall clocks of machines differ. A record tells how long before its own creation the term
//! began, and how long before its last change it ended; the servers' clock says when these were. How long it led is
//! measured where it led. Reading takes anything: whoever may write there can have written it.

use crate::json::Object;
use crate::text::{self, escape};
use elector::{Record, Token};
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// The form that is written, and the only one that is read.
const SCHEMA: u64 = 1;
/// As much of another contender's name as is kept: written with escapes it must leave room in the record.
const MAX_NAME: usize = 100;
/// Durations beyond this are nonsense.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86400);

/// What is told of a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) session: i64,
    /// How long the servers waited for a sign of life.
    pub(crate) timeout: Duration,
    /// What holds the program's processes together: `cgroup` or `process-group`.
    pub(crate) containment: Option<String>,
    /// From the term's beginning until the record was made.
    pub(crate) began_ago: Duration,
    /// Who led before, as seen from behind.
    pub(crate) behind: Option<Behind>,
    pub(crate) ended: Option<Ended>,
}

/// A leader that was seen ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) id: String,
    pub(crate) token: String,
}

/// How a term ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) how: How,
    /// More about it, such as the signal that was received.
    pub(crate) detail: String,
    /// How long it led, where somebody measured it.
    pub(crate) led: Option<Duration>,
    /// From the end until the record was changed for the last time.
    pub(crate) ago: Duration,
}

/// The kinds of endings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum How {
    Resigned,
    ProgramEnded,
    Deposed,
    SessionExpired,
    /// Without a connection or a quorum its program was gone before the lease ended.
    StoppedInTime,
    /// Its program was killed only when the lease had ended already, as after a pause of the whole machine.
    KilledLate,
    /// Elector itself was killed or stopped; the process beside it ended the program and the session.
    Killed,
    /// Elector could not go on, or could not start the program.
    Failed,
    /// Any other loss.
    Lost,
    /// A word that this version does not know.
    Other(String),
}

const WORDS: [(How, &str); 9] = [
    (How::Resigned, "resigned"),
    (How::ProgramEnded, "program-ended"),
    (How::Deposed, "deposed"),
    (How::SessionExpired, "session-expired"),
    (How::StoppedInTime, "stopped-in-time"),
    (How::KilledLate, "killed-late"),
    (How::Killed, "killed"),
    (How::Failed, "failed"),
    (How::Lost, "lost"),
];

impl How {
    /// The word in records and for scripts.
    pub(crate) fn word(&self) -> &str {
        match self {
            How::Other(word) => word,
            known => WORDS.iter().find(|(how, _)| how == known).map_or("lost", |(_, word)| word),
        }
    }

    fn read(word: &str) -> How {
        let known = WORDS.iter().find(|(_, known)| *known == word).map(|(how, _)| how.clone());
        known.unwrap_or_else(|| How::Other(shortened(word)))
    }
}

/// An ending for people, escaped.
pub(crate) fn in_words(how: &How, detail: &str) -> String {
    let what = match how {
        How::Resigned => "resigned",
        // The detail says it in full.
        How::ProgramEnded if !detail.is_empty() => return escape(detail),
        How::ProgramEnded => "program ended",
        How::Deposed => "deposed by deletion",
        How::SessionExpired => "session expired",
        How::StoppedInTime => "stopped in time",
        How::KilledLate => "killed late",
        How::Killed => "elector killed or stopped",
        How::Failed => "elector failed",
        How::Lost => "lost",
        How::Other(word) => &escape(word),
    };
    match detail.is_empty() {
        true => what.to_string(),
        false => format!("{what} ({})", escape(detail)),
    }
}

impl Told {
    /// The record's text.
    pub(crate) fn text(&self) -> String {
        let object = Object::default()
            .number("schema", SCHEMA)
            .text("id", &self.id)
            .text("session", &text::session(self.session))
            .number("timeout_ms", millis(self.timeout))
            .optional("containment", self.containment.as_deref())
            .number("began_ago_ms", millis(self.began_ago));
        let object = match &self.behind {
            Some(behind) => {
                let id = shortened(&behind.id);
                object.raw("behind", &Object::default().text("id", &id).text("token", &behind.token).end())
            }
            None => object,
        };
        match &self.ended {
            Some(ended) => object.raw("ended", &ended.json()),
            None => object,
        }
        .end()
    }

    /// Reads one; none where it is not of this form.
    pub(crate) fn read(text: &str) -> Option<Told> {
        let value: Value = serde_json::from_str(text).ok()?;
        if value["schema"] != SCHEMA {
            return None;
        }
        let name = |value: &Value| value.as_str().map(shortened);
        let behind = |value: &Value| Some(Behind { id: name(&value["id"])?, token: name(&value["token"])? });
        let session = value["session"].as_str().and_then(|hex| hex.strip_prefix("0x"));
        Some(Told {
            id: value["id"].as_str()?.chars().take(255).collect(),
            session: session.and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0).cast_signed(),
            timeout: duration(&value["timeout_ms"])?,
            containment: name(&value["containment"]),
            began_ago: duration(&value["began_ago_ms"])?,
            behind: behind(&value["behind"]),
            ended: Ended::read(&value["ended"]),
        })
    }
}

impl Ended {
    fn json(&self) -> String {
        let object = Object::default().text("how", self.how.word()).text("detail", &shortened(&self.detail));
        let object = match self.led {
            Some(led) => object.number("led_ms", millis(led)),
            None => object,
        };
        object.number("ago_ms", millis(self.ago)).end()
    }

    fn read(value: &Value) -> Option<Ended> {
        Some(Ended {
            how: How::read(value["how"].as_str()?),
            detail: value["detail"].as_str().map(shortened).unwrap_or_default(),
            led: duration(&value["led_ms"]),
            ago: duration(&value["ago_ms"])?,
        })
    }
}

/// A record as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) token: Token,
    /// None where it is not of our form.
    pub(crate) told: Option<Told>,
    created: SystemTime,
    changed: SystemTime,
}

impl Found {
    pub(crate) fn new(token: Token, text: Option<&str>, created: SystemTime, changed: SystemTime) -> Found {
        Found { token, told: text.and_then(Told::read), created, changed }
    }

    /// When the term began, by the servers' clock.
    pub(crate) fn began(&self) -> Option<SystemTime> {
        self.created.checked_sub(self.told.as_ref()?.began_ago)
    }

    /// When it ended, by the servers' clock; none where that is not told.
    pub(crate) fn over(&self) -> Option<SystemTime> {
        self.changed.checked_sub(self.told.as_ref()?.ended.as_ref()?.ago)
    }
}

impl From<&Record> for Found {
    fn from(record: &Record) -> Found {
        Found::new(record.token, record.text.as_deref(), record.created, record.changed)
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_NAME).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn duration(value: &Value) -> Option<Duration> {
    value.as_u64().map(Duration::from_millis).filter(|duration| *duration <= LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        Told {
            id: "web2:4711".into(),
            session: 0x0200_0a1b_2c3d_0004,
            timeout: Duration::from_secs(10),
            containment: Some("cgroup".into()),
            began_ago: Duration::from_millis(12),
            behind: Some(Behind { id: "web1:812".into(), token: "4294967310".into() }),
            ended: None,
        }
    }

    fn ended(how: How, detail: &str) -> Ended {
        Ended { how, detail: detail.into(), led: Some(Duration::from_secs(5)), ago: Duration::ZERO }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let mut record = told();
        assert_eq!(
            record.text(),
            "{\"schema\":1,\"id\":\"web2:4711\",\"session\":\"0x2000a1b2c3d0004\",\"timeout_ms\":10000,\
             \"containment\":\"cgroup\",\"began_ago_ms\":12,\
             \"behind\":{\"id\":\"web1:812\",\"token\":\"4294967310\"}}"
        );
        assert_eq!(Told::read(&record.text()), Some(record.clone()));
        for (how, _) in WORDS {
            record.ended = Some(ended(how, "TERM received"));
            assert_eq!(Told::read(&record.text()), Some(record.clone()));
        }
        record.session = -5;
        assert_eq!(Told::read(&record.text()).map(|record| record.session), Some(-5));
    }

    #[test]
    fn nonsense_and_newer_forms_are_none() {
        for text in ["", "{}", "null", "[1]", "\"x\"", "{\"schema\":2,\"id\":\"x\"}", "{\"schema\":1}"] {
            assert_eq!(Told::read(text), None, "{text}");
        }
        let absurd = told().text().replace(":12,", ":99999999999999999,");
        assert_eq!(Told::read(&absurd), None);
        assert_eq!(Told::read(&told().text().replace(":12,", ":-12,")), None);
    }

    /// Row W19: whatever others wrote fits, and cannot drive a terminal.
    #[test]
    fn hostile_names_fit_and_are_shown_escaped() {
        let hostile = "\u{e0041}".repeat(100_000);
        let mut record = Told { id: "\u{202e}".repeat(85), ..told() };
        record.behind = Some(Behind { id: hostile, token: "9223372036854775807".into() });
        record.ended = Some(ended(How::Resigned, &"\u{1b}".repeat(5000)));
        assert!(record.text().len() < 4096, "{}", record.text().len());
        assert_eq!(in_words(&How::Other("\u{1b}[2J".into()), "\n"), "\\u{1b}[2J (\\u{a})");
    }

    #[test]
    fn endings_in_words() {
        for (how, detail, shown) in [
            (How::Resigned, "TERM received", "resigned (TERM received)"),
            (How::ProgramEnded, "program ended with 3", "program ended with 3"),
            (How::Deposed, "", "deposed by deletion"),
            (How::SessionExpired, "machine or network", "session expired (machine or network)"),
            (How::StoppedInTime, "no quorum answered", "stopped in time (no quorum answered)"),
        ] {
            assert_eq!(in_words(&how, detail), shown);
        }
    }
}
