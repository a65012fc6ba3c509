//! The program that the contenders run: it writes a line with its fencing token ten times a second.
//!
//! It is the same binary under a private name, so that the demo needs nothing else on the machine. Its standard
//! output, inherited through `elector run`, is the way to the demo's storage; when that is gone it ends.

use crate::exit;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// What a contender is given to execute: this very binary.
pub(super) const FILE: &str = "/proc/self/exe";
/// Its only argument. Together with the file's name nobody types it by accident.
pub(super) const WORD: &str = "the demo's program";
/// Between two writes: a hand-over of milliseconds is seen by the first of the next term, not by the pace.
const EVERY: Duration = Duration::from_millis(100);

/// Whether this process was started as the demo's program.
pub(crate) fn is_worker(words: &[OsString]) -> bool {
    matches!(words, [file, word] if file == FILE && word == WORD)
}

/// Works until it is killed or nobody reads any more.
pub(crate) fn work() -> ExitCode {
    let token = std::env::var("ELECTOR_TOKEN").unwrap_or_default();
    let mut storage = std::io::stdout();
    for number in 1u64.. {
        if writeln!(storage, "{token} {number}").is_err() {
            break;
        }
        std::thread::sleep(EVERY);
    }
    ExitCode::from(exit::FAILURE)
}
