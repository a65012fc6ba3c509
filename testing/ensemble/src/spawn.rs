//! Starting child processes that cannot outlive this process.
//!
//! Invariant: whatever is started here dies when its [`Owned`] is dropped, and also when the whole test process
//! is killed with SIGKILL. The second half rests on the kernel's parent-death signal, which is sent when the
//! *thread* that started the child ends. Test threads end early, so one thread that never ends starts everything.
//! Used by the servers, the foreign peers and anybody who tests a program (see [`crate::LineProcess`]).

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a child may take until a signal that cannot be refused has shown its effect.
const SIGNAL_LIMIT: Duration = Duration::from_secs(10);

type Job = (Command, Sender<io::Result<Child>>);

/// A command that is killed by the kernel when this process ends, in a process group of its own.
///
/// `setpriv` sets the parent-death signal and then becomes the program, so that the child's pid is the program's.
/// The child gets no `ELECTOR_…` variable of this process: those are meant for the tests, and the project's own
/// command would read them or warn of them.
pub fn bound_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command.process_group(0);
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.as_encoded_bytes().starts_with(b"ELECTOR_")) {
        command.env_remove(name);
    }
    command
}

/// Starts `command` (made by [`bound_command`]) from the thread that lives as long as this process.
///
/// # Errors
/// What [`Command::spawn`] returns; a program that `setpriv` cannot find shows only as the child's exit status 127.
pub fn spawn(command: Command) -> io::Result<Owned> {
    let (answer, result) = channel();
    spawner()
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .send((command, answer))
        .map_err(|_| io::Error::other("the spawning thread is gone"))?;
    let child = result.recv().map_err(|_| io::Error::other("the spawning thread is gone"))??;
    Ok(Owned { child, ended: None })
}

fn spawner() -> &'static Mutex<Sender<Job>> {
    static SPAWNER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    SPAWNER.get_or_init(|| {
        let (jobs, inbox) = channel::<Job>();
        std::thread::Builder::new()
            .name("spawner".into())
            .spawn(move || {
                for (mut command, answer) in inbox {
                    // The asker waits for the answer, so a closed channel cannot happen before it is sent.
                    let _ = answer.send(command.spawn());
                }
            })
            .expect("a thread can be started");
        Mutex::new(jobs)
    })
}

/// A child process that is killed and reaped when this value is dropped.
pub struct Owned {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Owned {
    /// The process id; never reused by the kernel while this value lives and has not reaped the child.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The child with its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The exit status, if the child has ended.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("waitpid on an own child");
        }
        self.ended
    }

    /// Waits until the child has ended, at most `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + limit;
        while self.try_wait().is_none() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.ended
    }

    /// Sends a signal; does nothing once the child has been reaped.
    pub fn signal(&mut self, signal: Signal) {
        if self.try_wait().is_none() {
            let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a pid is positive");
            kill_process(pid, signal).expect("an own child that is not reaped can be signalled");
        }
    }

    /// SIGKILL, and waits until the process is gone.
    ///
    /// # Panics
    /// When the kernel does not end it within ten seconds.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        assert!(self.wait(SIGNAL_LIMIT).is_some(), "pid {} survived SIGKILL", self.pid());
    }

    /// SIGSTOP, and waits until the kernel shows the process as stopped.
    ///
    /// # Panics
    /// When it has ended, or is not stopped within ten seconds.
    pub fn stop(&mut self) {
        self.signal(Signal::STOP);
        let end = Instant::now() + SIGNAL_LIMIT;
        while self.state() != Some('T') {
            assert!(self.try_wait().is_none(), "pid {} ended while being stopped", self.pid());
            assert!(Instant::now() < end, "pid {} does not stop", self.pid());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// SIGCONT.
    pub fn cont(&mut self) {
        self.signal(Signal::CONT);
    }

    /// The state letter in `/proc/PID/stat`: R, S, D, T, Z.
    fn state(&self) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).ok()?;
        // The name in parentheses may hold anything, so the fields count from the last parenthesis.
        stat.rsplit_once(')')?.1.trim_start().chars().next()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if self.try_wait().is_none() {
            // No assertion here: this also runs while a failed test unwinds.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl fmt::Debug for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owned").field("pid", &self.pid()).field("ended", &self.ended).finish()
    }
}
