//! The program that runs only while we lead: started, stopped, and reaped with all that it started.
//!
//! Three processes of this binary take part. The *supervisor* is `elector run` itself and holds a [`Keeper`]. The
//! *warden* (`warden`) stands between it and the program, owns the program's whole tree, and acts on the deadline by
//! itself; it is there before the turn comes. The *trampoline* (`trampoline`) becomes the program. A fourth, the
//! *closer* (`closer`), ends the session of a supervisor that is dead or stopped.
//!
//! Invariant: [`Event::Gone`] and [`Event::Abandoned`] are told only when the kernel has no process of the tree any
//! more, and a program whose deadline has passed is being killed, whatever the supervisor does meanwhile.
//!
//! The module is synchronous and knows nothing of elections or tokio (the closer apart). Only `run` and `main` may
//! call it; what it knows of process trees serves `demo` as well.

mod child;
mod closer;
mod containment;
mod deadline;
mod keeper;
mod link;
mod lookup;
mod shared;
mod signal;
mod sweep;
mod timer;
mod trampoline;
mod tree;
mod warden;

pub(crate) use containment::Containment;
pub(crate) use keeper::Keeper;
pub(crate) use lookup::{NotRunnable, find};
pub(crate) use signal::{name as signal_name, parse as parse_signal};
pub(crate) use trampoline::bound_command;
pub(crate) use tree::{Process, descendants, descendants_of, hidden, kill as kill_all, signal_all};

use elector::LeaseClock;
use rustix::process::Signal;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What to start, and how to stop it; the same for each term.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    /// The file to execute, as [`find`] gave it: with a slash in it, so that nothing is searched again.
    pub(crate) file: PathBuf,
    /// The name as the user typed it, which becomes `argv[0]`.
    pub(crate) name: OsString,
    /// The arguments after the name.
    pub(crate) args: Vec<OsString>,
    /// Variables set over the inherited environment.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// Variables taken out of the inherited environment.
    pub(crate) env_remove: Vec<OsString>,
    /// Give `/dev/null` instead of our own standard input.
    pub(crate) null_stdin: bool,
    /// The first signal of a stop.
    pub(crate) stop_signal: Signal,
    /// How long what the program left behind has to end after the program itself ended unasked.
    pub(crate) leftover_grace: Duration,
    /// What deadlines are counted on.
    pub(crate) clock: LeaseClock,
}

/// The work of this process, where it was started as one of the helpers above; `words` is the whole command line.
pub(crate) fn enter_helper(words: &[OsString]) -> Option<ExitCode> {
    let args = words.iter().skip(1).cloned();
    if trampoline::is_trampoline(words.first()) {
        Some(trampoline::enter(words.iter().cloned()))
    } else if warden::is_warden(words.first()) {
        Some(warden::enter(args))
    } else if closer::is_closer(words.first()) {
        Some(closer::enter())
    } else {
        None
    }
}

/// How a stop is to go. A later request can only make the end come sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The stop signal, and SIGKILL so much later.
    Within(Duration),
    /// SIGKILL at once.
    Now,
}

/// Why SIGKILL was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Killed {
    /// The grace of a stop had passed.
    Grace,
    /// The deadline word had passed.
    Deadline,
    /// A stop at once was asked for.
    Asked,
    /// The program had ended and left processes behind that were outside its group or outlived the grace.
    LeftBehind,
}

/// How the program itself ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It exited with this code.
    Code(u8),
    /// This signal ended it.
    Signal(i32),
    /// It is gone, and something else was told how: where SIGCHLD is ignored, the kernel itself.
    Unseen,
}

/// What the keeper tells, in this order for each start: `Started` or `NotStarted`; after `Started`, `Ended`;
/// perhaps `Stuck`; at last `Gone`. `Abandoned` can take the place of whatever is still to come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The process exists.
    Started {
        /// Its process id, which is also its process group.
        pid: i32,
    },
    /// Nothing was started, and nothing is running.
    NotStarted(NotStarted),
    /// The program itself has ended; others of its tree may be there still. How it ended comes with `Gone`.
    Ended,
    /// SIGKILL was sent long ago and something is still there, such as a process in an uninterruptible wait.
    Stuck {
        /// How many processes.
        left: usize,
    },
    /// Nothing of the tree is left, and all of it is reaped.
    Gone(Gone),
    /// The process that kept the program was killed or stopped by somebody. Nothing of the tree is left.
    Abandoned,
}

/// Why nothing was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotStarted {
    /// The deadline had passed already, or a stop came before the start.
    TooLate,
    /// The system refused, for want of memory or processes.
    Failed(String),
}

/// The end of a whole tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone {
    /// How the program itself ended.
    pub(crate) ended: Ended,
    /// Why SIGKILL was sent to the program itself, if it was still there then.
    pub(crate) killed: Option<Killed>,
    /// From the first signal of a stop until all was gone; `None` where no signal was needed.
    pub(crate) stopping_took: Option<Duration>,
    /// When nothing was left any more, on the clock of the deadlines.
    pub(crate) at: Duration,
}
