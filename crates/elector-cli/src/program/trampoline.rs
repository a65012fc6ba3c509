//! The step between the warden's fork and the program: the same binary under a private name.
//!
//! A parent-death signal can be asked for only by the process that is to get it, and `exec` keeps it. Doing that
//! between fork and exec would need unsafe code; doing it in a fresh process of this binary needs none. The
//! trampoline starts no thread, opens nothing that stays, and becomes the program under the same process id.
//!
//! The warden has one wait for the next term, so that a program's first instruction comes one `execve` after the word
//! to start it. Invariant: until that word it holds nothing but the program's standard streams, and it ends with the
//! warden or with the warden's handle on it. A signal that it gets meanwhile does to it what it does to any process;
//! the warden starts another one.

use super::link::{self, Received, Request};
use super::timer::timespec;
use crate::exit;
use crate::signals::hear_everything;
use elector_teeth::{Tooth, bites};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::set_parent_process_death_signal;
use rustix::process::{Pid, PidfdFlags, Signal, getppid, pidfd_open, pidfd_send_signal};
use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// `argv[0]` of a trampoline. No shell passes it by accident.
const NAME: &str = "elector (starting a program)";
/// The same of one that waits for the word.
const WAITING: &str = "elector (waiting to start a program)";

/// Whether this process was started as a trampoline.
pub(crate) fn is_trampoline(argv0: Option<&OsString>) -> bool {
    argv0.is_some_and(|name| name == NAME || name == WAITING)
}

/// A command that becomes `file`, called `name`, and that the kernel kills when the *thread* that starts it ends.
pub(crate) fn bound_command(file: &Path, name: &OsStr) -> Command {
    let mut command = trampoline(NAME);
    command.arg(file).arg(name);
    command
}

fn trampoline(called: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(called).arg(std::process::id().to_string());
    command
}

/// A trampoline that waits for its term, or is ended by the drop of this.
#[derive(Debug)]
pub(super) struct Waiting {
    pid: Pid,
    /// None where the system has no such handles.
    handle: Option<OwnedFd>,
    line: OwnedFd,
}

impl Waiting {
    /// Starts one as a group of its own, with `program` being the file, its name and its arguments. The calling
    /// *thread* must live as long as the program: the kernel takes its end for the parent's death.
    pub(super) fn start(program: &[OsString], stdin: BorrowedFd<'_>) -> io::Result<Waiting> {
        let (line, theirs) = link::pair()?;
        link::greet(line.as_fd(), &[stdin])?;
        let mut command = trampoline(WAITING);
        let child = command.args(program).stdin(Stdio::from(theirs)).process_group(0).spawn()?;
        // The warden reaps by process id; the standard library's handle has no duty that its drop would leave undone.
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the system gave no process id"))?;
        Ok(Waiting { pid, handle: pidfd_open(pid, PidfdFlags::empty()).ok(), line })
    }

    /// Has it become the program, with this token; its process id and a handle on it. An error means that it is dead.
    pub(super) fn go(self, token: u64) -> io::Result<(Pid, Option<OwnedFd>)> {
        link::ask(&self.line, Request::Start { token })?;
        if let Some(handle) = &self.handle {
            // One that somebody has stopped meanwhile would be a leader's program that does not run.
            let _ = pidfd_send_signal(handle, Signal::CONT);
        }
        Ok((self.pid, self.handle))
    }

    /// Kills it, and waits for its end at most so long.
    pub(super) fn kill(self, limit: Duration) {
        if let Some(handle) = &self.handle {
            let _ = pidfd_send_signal(handle, Signal::KILL);
            let _ = poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&timespec(limit)));
        }
    }
}

/// Becomes the program, or says why not: 127 where it is not there, 126 otherwise.
pub(crate) fn enter(mut words: impl Iterator<Item = OsString>) -> ExitCode {
    let waits = words.next().is_some_and(|called| called == WAITING);
    let expected = words.next().and_then(|pid| pid.to_str()?.parse::<i32>().ok());
    let (Some(expected), Some(file), Some(name)) = (expected, words.next(), words.next()) else {
        return ExitCode::from(exit::USAGE);
    };
    let dies_with_its_parent = (!bites(Tooth::NoParentDeathSignal)).then_some(Signal::KILL);
    if let Err(error) = set_parent_process_death_signal(dies_with_its_parent) {
        return refuse(&name, &io::Error::from(error));
    }
    // A parent that died before the line above sends no signal any more.
    if getppid().is_none_or(|parent| parent.as_raw_nonzero().get() != expected) {
        return ExitCode::from(exit::FAILURE);
    }
    let become_it = || {
        let mut program = Program::new(file, &name, words)?;
        if waits && !program.wait_for_its_term()? {
            return Ok(ExitCode::from(exit::OK));
        }
        program.execute().map(|never| match never {})
    };
    become_it().unwrap_or_else(|error: io::Error| refuse(&name, &error))
}

/// All that `execve` takes.
struct Program {
    file: CString,
    words: Vec<CString>,
    environment: Vec<CString>,
}

impl Program {
    fn new(file: OsString, name: &OsString, args: impl Iterator<Item = OsString>) -> io::Result<Program> {
        hear_everything()?;
        Ok(Program {
            file: text(file)?,
            words: std::iter::once(name.clone()).chain(args).map(text).collect::<io::Result<_>>()?,
            environment: std::env::vars_os()
                .map(|(name, value)| variable(name, &value))
                .collect::<io::Result<_>>()?,
        })
    }

    /// Takes the program's own standard input and its token. False where there will be no term.
    fn wait_for_its_term(&mut self) -> io::Result<bool> {
        let line = rustix::stdio::stdin();
        let Some(stdin) = link::be_greeted(line)?.pop() else { return Ok(false) };
        let token = loop {
            match link::take_request(line) {
                Received::Message(Request::Start { token }) => break token,
                Received::Message(_) | Received::Nothing => {}
                Received::Closed => return Ok(false),
            }
            let _ = poll(&mut [PollFd::new(&line, PollFlags::IN)], None);
        };
        self.environment.retain(|variable| !variable.to_bytes().starts_with(b"ELECTOR_TOKEN="));
        self.environment.push(variable("ELECTOR_TOKEN".into(), token.to_string().as_ref())?);
        rustix::stdio::dup2_stdin(stdin)?;
        Ok(true)
    }

    /// `execve` itself: what is called `exec` elsewhere hands a file that it cannot execute to a shell.
    fn execute(self) -> io::Result<Infallible> {
        Ok(nix::unistd::execve(&self.file, &self.words, &self.environment)?)
    }
}

fn text(word: OsString) -> io::Result<CString> {
    CString::new(word.into_vec()).map_err(io::Error::other)
}

fn variable(mut name: OsString, value: &OsStr) -> io::Result<CString> {
    name.push("=");
    name.push(value);
    text(name)
}

fn refuse(name: &OsString, error: &io::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "elector: {}: cannot be executed: {error}", name.to_string_lossy());
    let missing = error.kind() == io::ErrorKind::NotFound;
    ExitCode::from(if missing { exit::NOT_FOUND } else { exit::NOT_EXECUTABLE })
}
