//! One contender as processes: a real `elector run` of this binary and everything below it.
//!
//! Invariant: no contender survives the demo, however the demo ends. Each is bound to the demo's main thread by a
//! parent-death signal, and `elector run` binds its program to itself in turn; so all methods belong on that
//! thread. What a contender started is looked up when it is needed, since its depth is no business of ours.

use super::heard::{self, Said};
use super::worker;
use crate::program::{bound_command, descendants_of, signal_all};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long the others wait when a contender dies: short enough to watch, and long enough for its graces.
pub(super) const SESSION_TIMEOUT: Duration = Duration::from_secs(3);
/// The election of the demo.
pub(super) const ELECTION: &str = "/demo";
/// From the loss to SIGKILL: the program does not need longer.
const LOSS_GRACE: &str = "300ms";
/// Longer lines do not come from our own binary.
const MAX_LINE: u64 = 64 * 1024;
/// Looks for processes that were started while their parents were being stopped.
const MAX_LOOKS: usize = 10;

/// Something that a contender said.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) who: usize,
    /// In which of its lives it was said.
    pub(super) life: u32,
    pub(super) at: Instant,
    pub(super) said: Said,
}

/// A running contender.
#[derive(Debug)]
pub(super) struct Contender {
    pid: Pid,
}

impl Contender {
    /// Starts `elector run` against the server at `servers`. What it says goes into `tell`.
    pub(super) fn start(
        servers: SocketAddr,
        id: &str,
        (who, life): (usize, u32),
        tell: &mpsc::Sender<Heard>,
    ) -> io::Result<Contender> {
        let mut command = bound_command(Path::new(worker::FILE), OsStr::new("elector"));
        command.args(["run", "--zookeeper", &servers.to_string(), "--id", id]);
        command.args(["--session-timeout", &format!("{}ms", SESSION_TIMEOUT.as_millis())]);
        // One server touches a session itself, so no tick lies between a write and the touch.
        command.args(["--ensemble-tick", "0s", "--loss-grace", LOSS_GRACE, "--log-format", "json"]);
        command.args([ELECTION, "--", worker::FILE, worker::WORD]);
        // The demo shows the defaults, whatever is set for real elections.
        let foreign = |name: &OsStr| name.as_encoded_bytes().starts_with(b"ELECTOR_");
        for (name, _) in std::env::vars_os().filter(|(name, _)| foreign(name)) {
            command.env_remove(name);
        }
        command.env_remove("NOTIFY_SOCKET");
        // A group of its own: Ctrl-C is meant for the demo.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let contender = Contender { pid: pid.ok_or_else(|| io::Error::other("no process id"))? };
        let stamp = move |said| Heard { who, life, at: Instant::now(), said };
        if let (Some(log), Some(writes)) = (child.stderr.take(), child.stdout.take()) {
            listen(log, tell.clone(), move |line| heard::log_line(line).map(stamp))?;
            listen(writes, tell.clone(), move |line| heard::program_line(line).map(stamp))?;
        }
        Ok(contender)
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Asks for a planned stop.
    pub(super) fn ask_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops all of it where it stands, as a machine that is paused would.
    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
        let mut known = 0;
        for _ in 0..MAX_LOOKS {
            let below = descendants_of(self.pid);
            signal_all(&below, Signal::STOP);
            if below.len() == known {
                return;
            }
            known = below.len();
        }
    }

    /// Lets all of it go on.
    pub(super) fn resume(&self) {
        signal_all(&descendants_of(self.pid), Signal::CONT);
        self.signal(Signal::CONT);
    }

    /// SIGKILL to all of it, as if its machine lost its power: stopped first and killed from the leaves, so that
    /// none can still act on the end of another. (The kernel lets stopped children go on when their parent dies.)
    pub(super) fn kill(&self) {
        self.freeze();
        let mut below = descendants_of(self.pid);
        below.reverse();
        signal_all(&below, Signal::KILL);
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // It is ours and not reaped yet, so its number is nobody else's; if it has ended, nothing is to be done.
        let _ = kill_process(self.pid, signal);
    }
}

/// Hands on what is said in a pipe, until its end or the demo's.
fn listen(
    pipe: impl Read + Send + 'static,
    tell: mpsc::Sender<Heard>,
    understand: impl Fn(&str) -> Option<Heard> + Send + 'static,
) -> io::Result<()> {
    let mut reader = BufReader::new(pipe);
    let read_on = move || {
        let mut line = Vec::new();
        loop {
            line.clear();
            match reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if let Some(heard) = understand(&String::from_utf8_lossy(&line))
                && tell.blocking_send(heard).is_err()
            {
                return;
            }
        }
    };
    std::thread::Builder::new().name("listener".into()).spawn(read_on).map(drop)
}
