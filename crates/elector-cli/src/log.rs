//! What the command says while it works, on standard error: text for people, or one JSON object a line.
//!
//! Invariant: saying something never waits. Lines go through a bounded queue to a thread of their own, so that a
//! reader that stopped reading delays neither the election nor a kill; what does not fit is counted and told of
//! later. Text that came from other contenders must be escaped by whoever puts it into a message.

use crate::json::Object;
use crate::notify;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Lines that wait for a slow reader.
const MAX_LINES: usize = 1024;
/// How long the end of the process waits for a slow reader.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// What the options say about the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogOptions {
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    pub(crate) format: Format,
    pub(crate) color: Color,
}

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Only with `-v`.
    Debug,
    Info,
    Warn,
    Error,
}

/// What a line is about; part of the JSON interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    Connecting,
    Connected,
    Waiting,
    Leading,
    Suspended,
    Resumed,
    /// A stop that the election forces.
    Stopping,
    /// A stop that somebody asked this process for; the same event to a script.
    Asked,
    Lost,
    Resigned,
    Exited,
    /// `serve`: clients can come, and where.
    Serving,
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

impl About {
    fn name(self) -> &'static str {
        match self {
            About::Connecting => "connecting",
            About::Connected => "connected",
            About::Waiting => "waiting",
            About::Leading => "leading",
            About::Suspended => "suspended",
            About::Resumed => "resumed",
            About::Stopping | About::Asked => "stopping",
            About::Lost => "lost",
            About::Resigned => "resigned",
            About::Exited => "exited",
            About::Serving => "serving",
            About::Error => "error",
        }
    }

    /// Whether a line of text names the election in front: what is about the connection or this process does not.
    fn names_election(self) -> bool {
        let of_the_process =
            [About::Connecting, About::Connected, About::Asked, About::Serving, About::Error];
        !of_the_process.contains(&self)
    }
}

/// One thing to say.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) level: Level,
    pub(crate) about: About,
    /// The term that it is about, if any.
    pub(crate) token: Option<String>,
    pub(crate) message: String,
}

/// How lines look; pure, so that it can be tested.
#[derive(Debug, Clone)]
struct Style {
    format: Format,
    /// A time stamp in front: neither a terminal nor the journal brings its own sense of time.
    stamp: bool,
    color: bool,
    /// What it is all about, and who says it: none where the process is no contender.
    election: Option<String>,
    id: Option<String>,
}

impl Style {
    fn line(&self, entry: &Entry, at: &str, address: Option<&str>) -> String {
        match self.format {
            Format::Json => self.json(entry, at, address),
            Format::Text => self.text(entry, at),
        }
    }

    fn json(&self, entry: &Entry, at: &str, address: Option<&str>) -> String {
        let members = [
            ("at", Some(at)),
            ("level", Some(entry.level.name())),
            ("event", Some(entry.about.name())),
            ("election", self.election.as_deref()),
            ("id", self.id.as_deref()),
            ("token", entry.token.as_deref()),
            ("address", address),
            ("message", Some(&entry.message)),
        ];
        let there = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
        there.fold(Object::default(), |object, (name, value)| object.text(name, value)).end() + "\n"
    }

    fn text(&self, entry: &Entry, at: &str) -> String {
        let stamp = if self.stamp { format!("{at} ") } else { String::new() };
        let election = match &self.election {
            Some(election) if entry.about.names_election() => format!("{election}: "),
            _ => String::new(),
        };
        let (word, color) = match entry.level {
            Level::Error => ("", "31"),
            Level::Warn => ("warning: ", "33"),
            Level::Info | Level::Debug => ("", ""),
        };
        // A message of several lines, such as an arithmetic, stays one entry with its lines set in.
        let message = entry.message.trim_end().replace('\n', "\n  ");
        let said = format!("elector: {election}{word}{message}");
        match self.color && !color.is_empty() {
            true => format!("{stamp}\u{1b}[{color}m{said}\u{1b}[0m\n"),
            false => format!("{stamp}{said}\n"),
        }
    }
}

/// The log of one process.
#[derive(Debug)]
pub(crate) struct Log {
    lines: Option<SyncSender<String>>,
    /// Only the end looks at it; the lock is what lets threads share the log.
    finished: Mutex<Receiver<()>>,
    lost: Arc<AtomicU64>,
    style: Style,
    least: Level,
}

impl Log {
    /// The log of a contender. Starts the writing thread.
    pub(crate) fn new(options: LogOptions, election: &str, id: &str) -> std::io::Result<Log> {
        Self::start(options, Some(election.to_string()), Some(id.to_string()))
    }

    /// The log of somebody who looks at an election. Starts the writing thread.
    pub(crate) fn of_an_observer(options: LogOptions, election: &str) -> std::io::Result<Log> {
        Self::start(options, Some(election.to_string()), None)
    }

    /// The log of a process that is no contender. Starts the writing thread.
    pub(crate) fn of_a_server(options: LogOptions) -> std::io::Result<Log> {
        Self::start(options, None, None)
    }

    fn start(options: LogOptions, election: Option<String>, id: Option<String>) -> std::io::Result<Log> {
        let terminal = std::io::stderr().is_terminal();
        let style = Style {
            format: options.format,
            stamp: !terminal && !is_journal(),
            color: colored(options.color, terminal),
            election,
            id,
        };
        let least = match options {
            LogOptions { quiet: true, .. } => Level::Warn,
            LogOptions { verbose: true, .. } => Level::Debug,
            _ => Level::Info,
        };
        let (lines, queue) = sync_channel(MAX_LINES);
        let (done, finished) = sync_channel(1);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lost);
        std::thread::Builder::new().name("log".into()).spawn(move || {
            write_out(&queue, &counter);
            let _ = done.send(());
        })?;
        Ok(Log { lines: Some(lines), finished: Mutex::new(finished), lost, style, least })
    }

    /// Says it, if the options want it said.
    pub(crate) fn say(&self, entry: &Entry) {
        self.say_of(entry, None);
    }

    /// The same, with the address that it is about for those who read JSON.
    pub(crate) fn say_of(&self, entry: &Entry, address: Option<&str>) {
        // What went wrong is in the log; a service's status is what it does.
        if entry.level != Level::Debug && entry.about != About::Error {
            notify::show(&entry.message);
        }
        if (entry.level as u8) < self.least as u8 {
            return;
        }
        let line = self.style.line(entry, &now(), address);
        if let Some(lines) = &self.lines
            && lines.try_send(line).is_err()
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.lines = None;
        if let Ok(finished) = self.finished.get_mut() {
            let _ = finished.recv_timeout(FLUSH_LIMIT);
        }
    }
}

/// The present moment as it stands in logs and answers: UTC, to the millisecond.
pub(crate) fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

fn write_out(queue: &Receiver<String>, lost: &AtomicU64) {
    let mut stderr = std::io::stderr();
    for line in queue {
        // A reader that went away is no reason to stop working.
        let _ = stderr.write_all(line.as_bytes());
        let missing = lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let _ = writeln!(stderr, "elector: {missing} lines were left out: nobody read them in time");
        }
    }
}

/// Whether what goes to a terminal, or not to one, is to be coloured.
pub(crate) fn colored(color: Color, terminal: bool) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// Whether standard error goes to systemd's journal, which stamps each line itself.
fn is_journal() -> bool {
    let Some(named) = std::env::var_os("JOURNAL_STREAM") else { return false };
    let Ok(own) = std::fs::metadata("/proc/self/fd/2") else { return false };
    named.to_str() == Some(&format!("{}:{}", own.dev(), own.ino()))
}

/// Says something before or without a log: a usage error or an answer's failure.
pub(crate) fn complain(message: &str) {
    complain_in(Format::Text, message);
}

/// The same in the log's form, so that whoever reads JSON need not read anything else.
pub(crate) fn complain_in(format: Format, message: &str) {
    let line = match format {
        Format::Text => format!("elector: {message}\n"),
        Format::Json => {
            let object = Object::default().text("at", &now()).text("level", Level::Error.name());
            object.text("event", About::Error.name()).text("message", message).end() + "\n"
        }
    };
    let line: Arc<str> = line.into();
    let (tell, written) = sync_channel(1);
    // A reader that stopped reading must not keep the process from ending.
    let shared = Arc::clone(&line);
    let writer = std::thread::Builder::new().spawn(move || {
        let _ = std::io::stderr().write_all(shared.as_bytes());
        let _ = tell.send(());
    });
    match writer {
        Ok(_) => drop(written.recv_timeout(FLUSH_LIMIT)),
        // Where the system gives no thread, that is most likely what is to be said.
        Err(_) => drop(std::io::stderr().write_all(line.as_bytes())),
    }
}

/// Says what is doubtful but no reason to stop, before or without a log.
pub(crate) fn warn(warnings: &[String]) {
    for warning in warnings {
        complain(&format!("warning: {warning}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(format: Format) -> Style {
        Style {
            format,
            stamp: false,
            color: false,
            election: Some("/billing".into()),
            id: Some("web2:4711".into()),
        }
    }

    fn entry(level: Level, about: About, message: &str) -> Entry {
        Entry { level, about, token: Some("4294967388".into()), message: message.into() }
    }

    const AT: &str = "2026-11-22T09:14:02.113Z";

    #[test]
    fn text_names_the_election_where_it_is_about_it() {
        let style = style(Format::Text);
        assert_eq!(
            style.line(&entry(Level::Info, About::Waiting, "waiting"), AT, None),
            "elector: /billing: waiting\n"
        );
        assert_eq!(
            style.line(&entry(Level::Info, About::Connecting, "connecting to zk1:2181"), AT, None),
            "elector: connecting to zk1:2181\n"
        );
        assert_eq!(
            style.line(&entry(Level::Warn, About::Error, "a\nb"), AT, None),
            "elector: warning: a\n  b\n"
        );
    }

    #[test]
    fn stamps_and_colours_surround_the_line() {
        let style = Style { stamp: true, color: true, ..style(Format::Text) };
        assert_eq!(
            style.line(&entry(Level::Error, About::Error, "no"), AT, None),
            "2026-11-22T09:14:02.113Z \u{1b}[31melector: no\u{1b}[0m\n"
        );
        assert_eq!(
            style.line(&entry(Level::Info, About::Lost, "x"), AT, None),
            "2026-11-22T09:14:02.113Z elector: /billing: x\n"
        );
    }

    #[test]
    fn json_is_one_object_a_line_with_its_fields_in_order() {
        let line = style(Format::Json).line(&entry(Level::Info, About::Leading, "a \"b\"\n\u{1b}"), AT, None);
        assert_eq!(line.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        let start = format!("{{\"at\":\"{AT}\",\"level\":\"info\",\"event\":\"leading\",\"election\":");
        assert!(line.starts_with(&start), "{line}");
        assert_eq!(value["token"], "4294967388");
        assert_eq!(value["message"], "a \"b\"\n\u{1b}");
        assert_eq!(value["election"], "/billing");
    }

    #[test]
    fn the_present_is_written_in_utc_with_milliseconds() {
        let now = now();
        assert_eq!(now.len(), AT.len(), "{now}");
        assert!(now.ends_with('Z'));
    }
}
