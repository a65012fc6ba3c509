//! The warden: a small process between supervisor and program, which owns the program's whole tree.
//!
//! Purpose: the program never outlives its leadership, also where the supervisor is killed, stopped or starved; and
//! a dead supervisor's session is closed at once, so that the next one need not wait for its end. Invariants: one
//! thread, which blocks in its own `poll` alone and looks at the clock first after it; once a tree is being killed
//! nothing brings it back, and a term whose deadline has passed never gets a program again; no signal ends or stops
//! it but KILL and STOP; the program inherits none of its descriptors.

use super::child::{Child, Progress};
use super::containment::Group;
use super::deadline::DeadlineView;
use super::link::{self, Received, Request};
use super::shared::EstateFile;
use super::trampoline::Waiting;
use super::{Event, Killed, NotStarted, Spec, closer, timer};
use crate::exit;
use crate::signals::hear_nothing;
use elector::LeaseClock;
use elector_teeth::{Tooth, bites};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};
use rustix::process::{set_child_subreaper, set_parent_process_death_signal};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// `argv[0]` of a warden.
const NAME: &str = "elector (keeping a program)";
/// A supervisor that wrote no deadline for so long is stopped or starved: it writes ten times a second.
const SILENT_AFTER: Duration = Duration::from_secs(1);
/// From the end of a program until another one is prepared for: by then an elector whose run is over is gone.
const PREPARE_AFTER: Duration = Duration::from_millis(100);
/// How long the end waits for that of a trampoline without a program, which keeps the control group from being removed.
const DISMISS_LIMIT: Duration = Duration::from_millis(100);

/// Whether this process was started as a warden.
pub(crate) fn is_warden(argv0: Option<&OsString>) -> bool {
    argv0.is_some_and(|name| name == NAME)
}

/// Starts a warden in a process group of its own, so that the terminal's signals pass it by. `socket` is its end of
/// the line, over which the descriptors follow.
pub(super) fn spawn(spec: &Spec, group: Option<&Group>, socket: OwnedFd) -> io::Result<Pid> {
    let clock = match spec.clock {
        LeaseClock::Boot => "boot",
        LeaseClock::Monotonic => "monotonic",
    };
    let mut command = Command::new("/proc/self/exe");
    command.arg0(NAME).arg(clock).arg(spec.stop_signal.as_raw().to_string());
    command.arg(spec.leftover_grace.as_nanos().to_string());
    command.arg(group.map_or(OsStr::new(""), |group| group.path().as_os_str()));
    command.arg(&spec.file).arg(&spec.name).args(&spec.args);
    command.envs(spec.env.iter().map(|(name, value)| (name, value)));
    for name in &spec.env_remove {
        command.env_remove(name);
    }
    let child = command.stdin(Stdio::from(socket)).process_group(0).spawn()?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    Pid::from_raw(pid).ok_or_else(|| io::Error::other("the system gave process id 0"))
}

/// Keeps programs until the supervisor is gone.
pub(crate) fn enter(args: impl Iterator<Item = OsString>) -> ExitCode {
    // What it cannot even say has no reader: the supervisor sees the end and tells of it.
    match Warden::new(args) {
        Some(warden) => warden.run(),
        None => ExitCode::from(exit::USAGE),
    }
}

struct Warden {
    clock: LeaseClock,
    stop_signal: Signal,
    leftover_grace: Duration,
    /// The file, the name and the arguments.
    program: Vec<OsString>,
    deadline: DeadlineView,
    estate: EstateFile,
    stdin: OwnedFd,
    group: Option<Group>,
    timer: OwnedFd,
    /// What becomes the next program; there is none while a program is there.
    waiting: Option<Waiting>,
    /// When to prepare for the next term, where that is to be done.
    prepare_at: Option<Duration>,
    child: Option<Child>,
    /// No term up to this token gets a program again.
    spent: Option<u64>,
    /// The supervisor's end of the line is gone, and so is the supervisor.
    alone: bool,
}

impl Warden {
    fn new(mut args: impl Iterator<Item = OsString>) -> Option<Warden> {
        hear_nothing().ok()?;
        set_child_subreaper(Some(rustix::process::getpid())).ok()?;
        // A warden that somebody stopped goes on when the supervisor dies, and then sees that it is gone.
        set_parent_process_death_signal(Some(Signal::CONT)).ok()?;
        let clock = match args.next()?.to_str()? {
            "boot" => LeaseClock::Boot,
            "monotonic" => LeaseClock::Monotonic,
            _ => return None,
        };
        let stop_signal = Signal::from_named_raw(args.next()?.to_str()?.parse().ok()?)?;
        let leftover_grace = Duration::from_nanos(args.next()?.to_str()?.parse().ok()?);
        let group = PathBuf::from(args.next()?);
        let mut descriptors = link::be_greeted(socket()).ok()?.into_iter();
        let deadline = DeadlineView::new(File::from(descriptors.next()?));
        let estate = EstateFile::over(File::from(descriptors.next()?));
        let stdin = descriptors.next()?;
        let group = descriptors.next().map(|lock| Group::over(group, File::from(lock)));
        let mut warden = Warden {
            clock,
            stop_signal,
            leftover_grace,
            program: args.collect(),
            deadline,
            estate,
            stdin,
            group,
            timer: timer::create(clock).ok()?,
            waiting: None,
            prepare_at: None,
            child: None,
            spent: None,
            alone: false,
        };
        warden.prepare();
        Some(warden)
    }

    /// Does ahead of the next term whatever a start takes. What fails now fails at the start again, and is told then.
    fn prepare(&mut self) {
        self.prepare_at = None;
        let held = self.group.as_ref().map_or(Ok(()), Group::enter);
        self.waiting = held.and_then(|()| Waiting::start(&self.program, self.stdin.as_fd())).ok();
    }

    fn run(mut self) -> ExitCode {
        loop {
            // After any pause the clock comes first, then the requests, then what has ended.
            self.judge_deadline();
            self.take_requests();
            let no_child_left = self.reap();
            self.advance(no_child_left);
            if self.alone && self.child.is_none() {
                return self.wind_up();
            }
            if self.prepare_at.is_some_and(|at| self.clock.now() >= at) {
                self.prepare();
            }
            self.sleep();
        }
    }

    fn judge_deadline(&mut self) {
        let Some(child) = &mut self.child else { return };
        // The word first: whatever the clock shows afterwards is later.
        let deadline = self.deadline.read().deadline(child.token);
        let now = self.clock.now();
        if now >= deadline {
            self.spent = self.spent.max(Some(child.token));
            if !child.is_being_killed() && !bites(Tooth::DeadlineLeftToElector) {
                child.kill(Killed::Deadline, now);
            }
        }
    }

    fn take_requests(&mut self) {
        while !self.alone {
            match link::take_request(socket()) {
                Received::Message(Request::Start { token }) => self.start(token),
                Received::Message(Request::Stop(stop)) => {
                    if let Some(child) = &mut self.child {
                        child.stop(stop, self.clock.now());
                    }
                }
                Received::Message(Request::Forward(signal)) => {
                    if let Some(child) = &self.child {
                        child.signal_group(signal);
                    }
                }
                Received::Nothing => return,
                Received::Closed => self.be_alone(),
            }
        }
    }

    fn be_alone(&mut self) {
        self.alone = true;
        if bites(Tooth::ClosedBeforeGone) {
            self.close_session();
        }
        let now = self.clock.now();
        let goes_on = bites(Tooth::ElectorsEndIgnored);
        if let Some(child) = self.child.as_mut().filter(|child| !child.is_being_killed() && !goes_on) {
            child.kill(Killed::Asked, now);
        }
    }

    fn start(&mut self, token: u64) {
        if self.child.is_some() {
            return self.tell(&Event::NotStarted(NotStarted::Failed("a program is there already".into())));
        }
        let deadline = self.deadline.read().deadline(token);
        let late = self.clock.now() >= deadline && !bites(Tooth::LateStart);
        let spent = self.spent.is_some_and(|spent| token <= spent) && !bites(Tooth::SpentTermRevived);
        if late || spent {
            return self.tell(&Event::NotStarted(NotStarted::TooLate));
        }
        let (pid, handle) = match self.launch(token) {
            Ok(launched) => launched,
            Err(error) => return self.tell(&Event::NotStarted(NotStarted::Failed(error.to_string()))),
        };
        self.child = Some(Child::new(token, pid, handle, self.stop_signal, self.leftover_grace));
        self.tell(&Event::Started { pid: pid.as_raw_nonzero().get() });
    }

    /// Starts the program, by another trampoline where somebody killed the one that waited.
    fn launch(&mut self, token: u64) -> io::Result<(Pid, Option<OwnedFd>)> {
        self.prepare_at = None;
        if let Some(group) = &self.group {
            let tell = |error| io::Error::other(format!("{}: {error}", group.path().display()));
            group.enter().map_err(tell)?;
        }
        match self.waiting.take().map(|waiting| waiting.go(token)) {
            Some(Ok(launched)) => Ok(launched),
            _ => Waiting::start(&self.program, self.stdin.as_fd())?.go(token),
        }
    }

    /// Reaps whatever has ended, orphans included. True where no child is left at all.
    fn reap(&mut self) -> bool {
        let no_child_left = self.reap_seen();
        if self.child.as_mut().is_some_and(Child::note_unseen_end) {
            self.tell(&Event::Ended);
        }
        no_child_left
    }

    fn reap_seen(&mut self) -> bool {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let child = self.child.as_mut().filter(|child| child.pid == pid);
                    if child.is_some_and(|child| child.note_end(status)) {
                        self.tell(&Event::Ended);
                    }
                }
                Ok(None) => return false,
                Err(Errno::INTR) => {}
                Err(_) => return true,
            }
        }
    }

    fn advance(&mut self, no_child_left: bool) {
        let now = self.clock.now();
        let Some(child) = &mut self.child else { return };
        match child.advance(now, no_child_left, self.group.as_ref()) {
            Progress::There => {}
            Progress::Tell(event) => self.tell(&event),
            Progress::Gone(gone) => {
                self.child = None;
                self.tell(&Event::Gone(gone));
                let silent = now.saturating_sub(self.deadline.read().written()) >= SILENT_AFTER;
                if gone.killed == Some(Killed::Deadline) && silent {
                    self.close_session();
                }
                self.prepare_at = Some(now.saturating_add(PREPARE_AFTER));
            }
        }
    }

    /// The supervisor is gone, and nothing of the program is left.
    fn wind_up(mut self) -> ExitCode {
        if let Some(waiting) = self.waiting.take() {
            waiting.kill(DISMISS_LIMIT);
        }
        if let Some(group) = &self.group {
            group.remove();
        }
        self.close_session();
        ExitCode::from(exit::OK)
    }

    /// Has the session closed by a process of its own, on a copy of what is left for that: nothing here ever waits
    /// for a server, and a supervisor that comes back later may leave another estate meanwhile.
    fn close_session(&self) {
        if let Some(estate) = self.estate.copy() {
            // Failing that costs the others no more than the session's timeout.
            let _ = closer::spawn(estate);
        }
    }

    /// A supervisor that does not read any more is stopped or gone, and needs no word.
    fn tell(&self, event: &Event) {
        let _ = link::tell(socket(), event);
    }

    /// Waits for a request, the program's end, or the next instant at which something is due.
    fn sleep(&mut self) {
        let now = self.clock.now();
        let due = self.child.as_ref().map(|child| {
            let deadline = self.deadline.read().deadline(child.token);
            child.next_look(now, deadline)
        });
        let due = due.or(self.prepare_at);
        let armed = timer::set(&self.timer, due).is_ok();
        let line = socket();
        let mut fds = vec![PollFd::new(&self.timer, PollFlags::IN)];
        if !self.alone {
            fds.push(PollFd::new(&line, PollFlags::IN));
        }
        let living = self.child.as_ref().filter(|child| child.ended.is_none());
        if let Some(handle) = living.and_then(|child| child.handle.as_ref()) {
            fds.push(PollFd::new(handle, PollFlags::IN));
        }
        // Without a timer, or without a handle on the program, looking often takes their place.
        let blind = !armed || living.is_some_and(|child| child.handle.is_none());
        let limit = timer::timespec(super::child::LOOK_EVERY);
        let _ = poll(&mut fds, blind.then_some(&limit));
        timer::clear(&self.timer);
    }
}

/// Our end of the line to the supervisor.
fn socket() -> BorrowedFd<'static> {
    rustix::stdio::stdin()
}
