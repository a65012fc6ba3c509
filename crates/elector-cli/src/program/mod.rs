//! The program that runs only while we lead: started, stopped, and reaped with all that it started.
//!
//! Purpose: one thread, the keeper, owns the program's whole process tree from its start until nothing of it is
//! left. Invariant: [`Event::Gone`] is sent only when the kernel has no process of the tree any more, and a
//! program whose deadline word has passed is being killed, whatever the rest of this process does meanwhile.
//!
//! The module is synchronous and knows nothing of elections (but the clock of their leases), sessions or tokio. Its interface is kept narrow
//! (a [`Spec`], a [`DeadlineWord`], stop requests, and events handed to a function), because a later version
//! moves it into a process of its own between supervisor and program. Only `run` may call it; what it knows of
//! process trees serves `demo` as well.

mod deadline;
mod keeper;
mod lookup;
mod signal;
mod trampoline;
mod tree;

pub(crate) use deadline::DeadlineWord;
pub(crate) use keeper::Keeper;
pub(crate) use lookup::{NotRunnable, find};
pub(crate) use signal::{name as signal_name, parse as parse_signal};
pub(crate) use trampoline::{bound_command, enter as enter_trampoline, is_trampoline};
pub(crate) use tree::{Process, descendants, descendants_of, kill as kill_all, signal_all};

use rustix::process::Signal;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// What to start.
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
}

/// What the keeper tells, in this order for each start: `Started` or `NotStarted`; after `Started`, `Ended`;
/// perhaps `Stuck`; at last `Gone`.
#[derive(Debug)]
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
}

/// Why nothing was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotStarted {
    /// The deadline had passed already.
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
}
