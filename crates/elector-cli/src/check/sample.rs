//! How long the program takes to stop, found out by starting and stopping it once.
//!
//! Invariant: whatever becomes of the check, the program's process group is killed when the [`Sample`] goes.

use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long it runs before it is stopped: a program that is still starting stops otherwise.
const SETTLE: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What became of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It ended before it was stopped.
    EndedItself(ExitStatus),
    /// So long after the signal it was gone.
    Stopped(Duration),
    /// It was still there at the end of the grace, and was killed.
    Killed,
}

/// A started program.
struct Sample {
    child: Child,
    group: Option<Pid>,
}

impl Sample {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            let _it_may_be_gone = kill_process_group(group, signal);
        }
    }

    async fn ends_within(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ended_either_way = self.child.wait();
    }
}

/// Runs the program for a moment, in a process group of its own, and stops it.
pub(super) async fn take(
    file: &Path,
    program: &[OsString],
    signal: Signal,
    grace: Duration,
) -> io::Result<Outcome> {
    let mut command = Command::new(file);
    command.arg0(&program[0]).args(&program[1..]).stdin(Stdio::null()).process_group(0);
    // Standard output is the report's.
    command.stdout(io::stderr());
    let child = command.spawn()?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let mut sample = Sample { child, group };
    if let Some(status) = sample.ends_within(SETTLE).await? {
        return Ok(Outcome::EndedItself(status));
    }
    let asked = Instant::now();
    sample.signal(signal);
    Ok(match sample.ends_within(grace).await? {
        Some(_) => Outcome::Stopped(asked.elapsed()),
        None => Outcome::Killed,
    })
}
