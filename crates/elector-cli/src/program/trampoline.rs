//! The step between our fork and the program: the same binary under a private name.
//!
//! A parent-death signal can be asked for only by the process that is to get it, and `exec` keeps it. Doing that
//! between fork and exec would need unsafe code; doing it in a fresh process of this binary needs none. The
//! trampoline starts no thread, opens nothing, and becomes the program under the same process id.

use super::Spec;
use crate::exit;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

/// `argv[0]` of a trampoline. No shell passes it by accident.
const NAME: &str = "elector (starting a program)";

/// Whether this process was started as a trampoline.
pub(crate) fn is_trampoline(argv0: Option<&OsString>) -> bool {
    argv0.is_some_and(|name| name == NAME)
}

/// Starts the trampoline for `spec` as a group of its own. The calling *thread* must live as long as the program:
/// the kernel takes its end for the parent's death.
pub(super) fn spawn(spec: &Spec) -> io::Result<i32> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(NAME).arg(std::process::id().to_string());
    command.arg(&spec.file).arg(&spec.name).args(&spec.args);
    command.envs(spec.env.iter().map(|(name, value)| (name, value)));
    for name in &spec.env_remove {
        command.env_remove(name);
    }
    if spec.null_stdin {
        command.stdin(Stdio::null());
    }
    let child = command.process_group(0).spawn()?;
    // The keeper reaps by process id; the handle has no duty that its drop would leave undone.
    i32::try_from(child.id()).map_err(io::Error::other)
}

/// Becomes the program, or says why not: 127 where it is not there, 126 otherwise.
pub(crate) fn enter(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let expected = args.next().and_then(|pid| pid.to_str()?.parse::<i32>().ok());
    let (Some(expected), Some(file), Some(name)) = (expected, args.next(), args.next()) else {
        return ExitCode::from(exit::USAGE);
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return refuse(&name, &io::Error::from(error));
    }
    // A parent that died before the line above sends no signal any more.
    if getppid().is_none_or(|parent| parent.as_raw_nonzero().get() != expected) {
        return ExitCode::from(exit::FAILURE);
    }
    let error = Command::new(file).arg0(&name).args(args).exec();
    refuse(&name, &error)
}

fn refuse(name: &OsString, error: &io::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "elector: {}: cannot be executed: {error}", name.to_string_lossy());
    let missing = error.kind() == io::ErrorKind::NotFound;
    ExitCode::from(if missing { exit::NOT_FOUND } else { exit::NOT_EXECUTABLE })
}
