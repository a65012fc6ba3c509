//! Closing the session of a supervisor that is dead or stopped: the same binary once more, under a private name.
//!
//! It reads the estate from its standard input, closes the session, notes that in the election's history, and ends; it
//! prints nothing. It touches only a session that carries this one candidate, which is the only kind that leaves an
//! estate.

use super::shared::EstateFile;
use crate::exit;
use crate::history;
use elector::Estate;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroize;

/// `argv[0]` of a closer.
const NAME: &str = "elector (closing a session)";
/// For connecting, credentials and the close together. What is not closed by then ends by its timeout.
const LIMIT: Duration = Duration::from_secs(2);

/// Whether this process was started as a closer.
pub(crate) fn is_closer(argv0: Option<&OsString>) -> bool {
    argv0.is_some_and(|name| name == NAME)
}

/// Starts a closer; nobody waits for it.
pub(super) fn spawn(estate: EstateFile) -> io::Result<()> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(NAME).process_group(0);
    // It must not keep anybody waiting who reads the program's output to its end.
    command.stdin(Stdio::from(estate.into_file())).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop)
}

/// Closes the session.
pub(crate) fn enter() -> ExitCode {
    match close() {
        Some(()) => ExitCode::from(exit::OK),
        None => ExitCode::from(exit::FAILURE),
    }
}

fn close() -> Option<()> {
    let file = io::stdin().as_fd().try_clone_to_owned().ok()?;
    let mut bytes = EstateFile::over(File::from(file)).read()?;
    let estate = Estate::from_bytes(&bytes);
    bytes.zeroize();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let closed = runtime.block_on(async {
        let (estate, began) = (estate?, Instant::now());
        tokio::time::timeout(LIMIT, estate.close()).await.ok()?;
        let noted = history::note_the_killed(&estate, began);
        // For people only, and there may be no history.
        let _ = tokio::time::timeout(history::NOTE_LIMIT, noted).await;
        Some(())
    });
    // A look-up of a name that hangs in the system's resolver must not hold up the end.
    runtime.shutdown_background();
    closed
}
