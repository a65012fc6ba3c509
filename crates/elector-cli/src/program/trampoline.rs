//! The step between the warden's fork and the program: the same binary under a private name.
//!
//! A parent-death signal can be asked for only by the process that is to get it, and `exec` keeps it. Doing that
//! between fork and exec would need unsafe code; doing it in a fresh process of this binary needs none. The
//! trampoline starts no thread, opens nothing that stays, and becomes the program under the same process id.

use crate::exit;
use crate::signals::hear_everything;
use elector_teeth::{Tooth, bites};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// `argv[0]` of a trampoline. No shell passes it by accident.
const NAME: &str = "elector (starting a program)";

/// Whether this process was started as a trampoline.
pub(crate) fn is_trampoline(argv0: Option<&OsString>) -> bool {
    argv0.is_some_and(|name| name == NAME)
}

/// A command that becomes `file`, called `name`, and that the kernel kills when the *thread* that starts it ends.
pub(crate) fn bound_command(file: &Path, name: &OsStr) -> Command {
    let mut command = trampoline();
    command.arg(file).arg(name);
    command
}

/// Starts the trampoline as a group of its own, with `program` being the file, its name and its arguments. The
/// calling *thread* must live as long as the program: the kernel takes its end for the parent's death.
pub(super) fn spawn(program: &[OsString], token: u64, stdin: OwnedFd) -> io::Result<i32> {
    let mut command = trampoline();
    command.args(program).env("ELECTOR_TOKEN", token.to_string()).stdin(Stdio::from(stdin));
    let child = command.process_group(0).spawn()?;
    // The warden reaps by process id; the handle has no duty that its drop would leave undone.
    i32::try_from(child.id()).map_err(io::Error::other)
}

/// A trampoline; the file, its name and its arguments follow.
fn trampoline() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(NAME).arg(std::process::id().to_string());
    command
}

/// Becomes the program, or says why not: 127 where it is not there, 126 otherwise.
pub(crate) fn enter(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let expected = args.next().and_then(|pid| pid.to_str()?.parse::<i32>().ok());
    let (Some(expected), Some(file), Some(name)) = (expected, args.next(), args.next()) else {
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
    match become_program(file, &name, args) {
        Ok(never) => match never {},
        Err(error) => refuse(&name, &error),
    }
}

/// `execve` itself: what is called `exec` elsewhere hands a file that it cannot execute to a shell.
fn become_program(
    file: OsString,
    name: &OsString,
    args: impl Iterator<Item = OsString>,
) -> io::Result<Infallible> {
    hear_everything()?;
    let text = |word: OsString| CString::new(word.into_vec()).map_err(io::Error::other);
    let words = std::iter::once(name.clone()).chain(args).map(text).collect::<io::Result<Vec<_>>>()?;
    let variable = |(mut name, value): (OsString, OsString)| {
        name.push("=");
        name.push(value);
        text(name)
    };
    let environment = std::env::vars_os().map(variable).collect::<io::Result<Vec<_>>>()?;
    Ok(nix::unistd::execve(&text(file)?, &words, &environment)?)
}

fn refuse(name: &OsString, error: &io::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "elector: {}: cannot be executed: {error}", name.to_string_lossy());
    let missing = error.kind() == io::ErrorKind::NotFound;
    ExitCode::from(if missing { exit::NOT_FOUND } else { exit::NOT_EXECUTABLE })
}
