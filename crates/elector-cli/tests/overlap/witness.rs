//! The checker: programs that write down who they are and when, and what is to be read from that.
//!
//! Invariant: it passes only where a hand-over took place, and the last line of each term is older than the first of
//! the next. Times are of CLOCK_MONOTONIC, which all processes of one machine share.

use crate::common::{Elector, LONG};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use zk_ensemble::{Onlooker, boot_time, monotonic_time};

/// Debian's, which the gate's set-up installs.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// Ignores TERM, forks twice, leaves its session, and writes from both ends of that.
const PROGRAM: &str = "
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
out = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
while True:
    line = '%s %d %d\\n' % (os.environ['ELECTOR_TOKEN'], os.getpid(), time.monotonic_ns())
    os.write(out, line.encode())
    time.sleep(0.005)
";

/// Names a folder in which the records stay, for `elector-sim picture --record FILE`.
pub(crate) const RECORDS: &str = "ELECTOR_RECORDS";

/// What all programs of one election write into, and what the test says of what it did to them.
pub(crate) struct Witness {
    _directory: tempfile::TempDir,
    file: PathBuf,
}

/// The terms that followed one another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// How many.
    pub(crate) count: usize,
    /// The shortest time from the last line of one to the first line of the next.
    pub(crate) least_gap: Duration,
}

/// What is wrong with what was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Fewer than two terms wrote, so that nothing is shown.
    NoHandOver,
    /// Two terms wrote at one time, for so long.
    Overlap(Duration),
}

impl Witness {
    pub(crate) fn new() -> Witness {
        let directory = tempfile::tempdir().expect("a folder");
        let file = match std::env::var_os(RECORDS) {
            Some(records) => PathBuf::from(records).join(format!("{}", monotonic_time().as_nanos())),
            None => directory.path().join("witness"),
        };
        fs::write(&file, "").expect("written");
        Witness { _directory: directory, file }
    }

    /// The command with the program that writes here.
    pub(crate) fn program(&self, elector: Elector) -> Elector {
        let file = self.file.to_str().expect("a plain path");
        // The program's own clock is always the machine's.
        elector.words("-- env -u LD_PRELOAD").word(PYTHON).word("-c").word(PROGRAM).word(file)
    }

    /// Writes down what the test does to whoever leads, now.
    pub(crate) fn note_fault(&self, words: &str) {
        self.note(monotonic_time(), &format!("fault {words}"));
    }

    /// Where records are kept, also writes down when the store was seen to have done away with this znode. Both
    /// clocks of the machine run alike as long as it is not suspended.
    pub(crate) fn watch_znode(&self, server: SocketAddr, election: &str) {
        if std::env::var_os(RECORDS).is_none() {
            return;
        }
        let mut onlooker = Onlooker::connect(server).expect("it serves");
        let znode = format!("{election}/{}", onlooker.children(election).expect("a list").remove(0));
        let token = onlooker.exists(&znode).expect("it answers").expect("it is there").czxid;
        let witness = Witness { _directory: tempfile::tempdir().expect("a folder"), file: self.file.clone() };
        std::thread::spawn(move || {
            let behind = boot_time().saturating_sub(monotonic_time());
            if let Some(seen) = onlooker.watch_gone(&znode, LONG).expect("it answers") {
                witness.note(seen.gone.saturating_sub(behind), &format!("gone {token}"));
            }
        });
    }

    fn note(&self, at: Duration, words: &str) {
        let mut file = OpenOptions::new().append(true).open(&self.file).expect("it is there");
        file.write_all(format!("# {} {words}\n", at.as_nanos()).as_bytes()).expect("written");
    }

    /// Waits until so many terms have written.
    pub(crate) fn until_terms(&self, count: usize) {
        let until = Instant::now() + LONG;
        while spans(&self.text()).len() < count {
            assert!(Instant::now() < until, "{:?}", spans(&self.text()));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The instant of the last line, whoever wrote it.
    pub(crate) fn last_act(&self) -> Duration {
        let last = spans(&self.text()).iter().map(|span| span.last).max();
        Duration::from_nanos(last.expect("somebody wrote"))
    }

    pub(crate) fn judge(&self) -> Result<Terms, Fault> {
        judge(&self.text())
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.file).expect("it is there")
    }
}

/// One term: its token, and its first and last instant in nanoseconds.
#[derive(Debug)]
struct Span {
    token: u64,
    first: u64,
    last: u64,
}

/// The terms in the order of their first lines.
fn spans(text: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    // The last line may be half written, and notes are for people.
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n') && !line.starts_with('#'));
    for line in whole {
        let numbers: Vec<u64> =
            line.split_ascii_whitespace().map(|word| word.parse().expect("a number")).collect();
        let [token, _pid, at] = numbers[..] else { panic!("three numbers: {line:?}") };
        match spans.iter_mut().find(|span| span.token == token) {
            Some(span) => (span.first, span.last) = (span.first.min(at), span.last.max(at)),
            None => spans.push(Span { token, first: at, last: at }),
        }
    }
    spans.sort_by_key(|span| span.first);
    spans
}

fn judge(text: &str) -> Result<Terms, Fault> {
    let spans = spans(text);
    let mut least_gap = Duration::MAX;
    let mut overlap = Duration::ZERO;
    for (at, span) in spans.iter().enumerate().skip(1) {
        let before = spans[..at].iter().map(|span| span.last).max().expect("one is before");
        match span.first.checked_sub(before) {
            Some(gap) if gap > 0 => least_gap = least_gap.min(Duration::from_nanos(gap)),
            _ => overlap = overlap.max(Duration::from_nanos(before.min(span.last) - span.first)),
        }
        assert!(spans[at - 1].token < span.token, "a later term with a lower token: {spans:?}");
    }
    match spans.len() {
        0 | 1 => Err(Fault::NoHandOver),
        _ if overlap > Duration::ZERO || least_gap == Duration::MAX => Err(Fault::Overlap(overlap)),
        count => Ok(Terms { count, least_gap }),
    }
}

#[test]
fn terms_one_after_the_other_pass() {
    let text = "1 10 1000\n1 11 1500\n# 1800 fault a word\n1 10 2000\n2 20 2700\n2 20 3000\n3 30 5000\n";
    assert_eq!(judge(text), Ok(Terms { count: 3, least_gap: Duration::from_nanos(700) }));
}

#[test]
fn without_a_hand_over_nothing_is_shown() {
    for text in ["", "1 10 1000\n1 11 1500\n", "1 10 1000\n2 20 20"] {
        assert_eq!(judge(text), Err(Fault::NoHandOver), "{text:?}");
    }
}

#[test]
fn tokens_that_interleave_are_a_failure() {
    for (text, overlap) in [
        ("1 10 1000\n2 20 1500\n1 11 1600\n2 20 1800\n", 100),
        // One of the first term's processes lives on through all of the third.
        ("1 10 1000\n2 20 3000\n2 20 4000\n1 11 3500\n3 30 5000\n", 500),
        ("1 10 1000\n2 20 1000\n", 0),
    ] {
        assert_eq!(judge(text), Err(Fault::Overlap(Duration::from_nanos(overlap))), "{text:?}");
    }
}
