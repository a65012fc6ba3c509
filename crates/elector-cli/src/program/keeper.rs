//! The supervisor's side of the warden: starts it, hands on what is asked, tells what it tells, and takes its place
//! where it is killed or stopped.
//!
//! Invariants: for each start there is exactly one last word: `NotStarted`, `Gone`, or `Abandoned` once nothing of the
//! tree is left; a start that finds no warden waits for one, for one try and never past its deadline; callers are never
//! made to wait. A thread of its own watches, so that a stuck runtime delays nothing. It also reaps the orphans that
//! come to us, as the first process of a container has to.

use super::containment::Group;
use super::deadline::DeadlineWord;
use super::link::{self, Received, Request};
use super::shared::EstateFile;
use super::timer::timespec;
use super::tree::{self, Process};
use super::{Containment, Event, NotStarted, Spec, Stop, sweep, warden};
use elector::LeaseClock;
use elector_teeth::{Tooth, bites};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal};
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use zeroize::Zeroize;

/// How often we look whether the warden is stopped, and reap orphans.
const WATCH_EVERY: Duration = Duration::from_millis(400);
/// How often we look for what electors beside ours left that were killed together with their wardens. Their sessions
/// live longer, so nobody leads before it is gone.
const CLEAR_EVERY: Duration = Duration::from_secs(1);
/// Between two tries to start a warden.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// How long the end of the run waits for the warden's.
const END_LIMIT: Duration = Duration::from_secs(1);

/// The supervisor's handle. Its drop ends the warden, and with it whatever is there of a program.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    ended: Mutex<Receiver<()>>,
}

struct Shared {
    spec: Spec,
    word: DeadlineWord,
    estate: EstateFile,
    /// Set before the first warden is started.
    containment: OnceLock<Containment>,
    line: Mutex<Line>,
    /// Wakes the thread.
    wake: OwnedFd,
    tell: Box<dyn Fn(Event) + Send + Sync>,
}

/// The line to the warden of the moment.
enum Line {
    Up {
        socket: Arc<OwnedFd>,
        /// A start was asked for, and its last word has not come.
        busy: bool,
        /// It did not take a stop.
        deaf: bool,
    },
    /// There is no warden.
    Down {
        /// The token of a start that was asked for, and is sent on when the next one is there.
        wanted: Option<u64>,
    },
    /// The run is over.
    Over,
}

impl Keeper {
    /// Makes this process the reaper of its descendants and starts the thread that establishes the containment, starts
    /// the first warden and watches it. `ready` is told whether there is one; whoever waits for that before contending
    /// is not elected only to fail. Neither `tell` nor `ready` may block.
    pub(crate) fn new(
        spec: Spec,
        tell: impl Fn(Event) + Send + Sync + 'static,
        ready: impl FnOnce(io::Result<()>) + Send + 'static,
    ) -> io::Result<Keeper> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let shared = Arc::new(Shared {
            word: DeadlineWord::new(spec.clock)?,
            estate: EstateFile::new()?,
            spec,
            containment: OnceLock::new(),
            line: Mutex::new(Line::Down { wanted: None }),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            tell: Box::new(tell),
        });
        // What was there before us is no part of any program of ours.
        let before = tree::descendants(&HashSet::new()).into_iter().collect();
        let (done, ended) = sync_channel(1);
        let now = Instant::now();
        let shared_too = Arc::clone(&shared);
        let watch = Watch {
            shared: shared_too,
            before,
            warden: None,
            next_try: now,
            next_clearing: now + CLEAR_EVERY,
        };
        std::thread::Builder::new().name("keeper".into()).spawn(move || {
            // The thread starts the warden, so that its end and not that of a runtime's thread is the parent's death.
            watch.run(ready);
            let _ = done.send(());
        })?;
        Ok(Keeper { shared, ended: Mutex::new(ended) })
    }

    /// The clock of the deadlines.
    pub(crate) fn clock(&self) -> LeaseClock {
        self.shared.spec.clock
    }

    /// Moves the deadline of the term with this token to `at` on [`Keeper::clock`].
    pub(crate) fn renew(&self, token: u64, at: Duration) {
        self.shared.word.set(token, at);
    }

    /// Leaves what it takes to close our session, for when we no longer can; nothing, where it is empty.
    pub(crate) fn leave_estate(&self, mut estate: Vec<u8>) {
        self.shared.estate.leave(&estate);
        estate.zeroize();
    }

    /// Starts the program for the term with this token, unless its deadline has passed by then. Where the warden was
    /// killed just now, the next one gets to do it. May be called when no tree is there.
    pub(crate) fn start(&self, token: u64) {
        let mut line = self.shared.line();
        match &mut *line {
            Line::Up { socket, busy, .. } => match link::ask(&**socket, Request::Start { token }) {
                Ok(()) => *busy = true,
                Err(_) => {
                    *line = Line::Down { wanted: Some(token) };
                    self.shared.ring();
                }
            },
            Line::Down { wanted } => *wanted = Some(token),
            Line::Over => {
                drop(line);
                (self.shared.tell)(Event::NotStarted(NotStarted::Failed("the run is over".into())));
            }
        }
    }

    /// Stops the tree, or the start that waits for a warden; without either this does nothing.
    pub(crate) fn stop(&self, stop: Stop) {
        let mut line = self.shared.line();
        match &mut *line {
            Line::Up { socket, deaf, .. } => {
                if link::ask(&**socket, Request::Stop(stop)).is_err() {
                    // Who does not read is stopped, or dead already: the thread takes its place.
                    *deaf = true;
                    self.shared.ring();
                }
            }
            Line::Down { wanted } => {
                if wanted.take().is_some() {
                    drop(line);
                    (self.shared.tell)(Event::NotStarted(NotStarted::TooLate));
                }
            }
            Line::Over => {}
        }
    }

    /// Hands a signal on to the program's group. One that finds the line full is dropped, as the kernel itself merges
    /// signals.
    pub(crate) fn forward(&self, signal: Signal) {
        if let Line::Up { socket, .. } = &*self.shared.line() {
            let _ = link::ask(&**socket, Request::Forward(signal));
        }
    }

    /// What holds the program. Known once `ready` was called; before that this blocks.
    pub(crate) fn containment(&self) -> &Containment {
        self.shared.containment.wait()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        *self.shared.line() = Line::Over;
        self.shared.ring();
        if let Ok(ended) = self.ended.get_mut() {
            let _ = ended.recv_timeout(END_LIMIT);
        }
    }
}

impl Shared {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn group(&self) -> Option<&Group> {
        self.containment.get().and_then(Containment::group)
    }

    fn ring(&self) {
        // A full counter means that the thread is being woken already.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// A new warden with a line to it.
    fn start_warden(&self) -> io::Result<(Arc<OwnedFd>, Warden)> {
        let (ours, theirs) = link::pair()?;
        let stdin = match self.spec.null_stdin {
            true => OwnedFd::from(File::open("/dev/null")?),
            false => rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?,
        };
        let group = self.group();
        let mut descriptors = vec![self.word.descriptor(), self.estate.descriptor(), stdin.as_fd()];
        descriptors.extend(group.map(Group::descriptor));
        link::greet(ours.as_fd(), &descriptors)?;
        let pid = warden::spawn(&self.spec, group, theirs)?;
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        Ok((Arc::new(ours), Warden { pid, handle }))
    }
}

struct Warden {
    pid: Pid,
    handle: OwnedFd,
}

/// The thread that watches.
struct Watch {
    shared: Arc<Shared>,
    /// Descendants that were there before us.
    before: HashSet<Process>,
    warden: Option<Warden>,
    /// When the next warden may be started.
    next_try: Instant,
    /// When to look again for what dead electors left.
    next_clearing: Instant,
}

impl Watch {
    fn run(mut self, ready: impl FnOnce(io::Result<()>)) {
        // With this, what the dead had left until now is cleared away.
        self.shared.containment.get_or_init(Containment::establish);
        let started = self.start();
        let mut over = started.is_err();
        ready(started);
        while !over || self.warden.is_some() {
            self.sleep();
            self.silence_the_useless();
            if self.reap() {
                self.replace();
            }
            self.carry_events();
            let down = match &*self.shared.line() {
                Line::Up { .. } => false,
                Line::Down { .. } => self.warden.is_none(),
                Line::Over => {
                    over = true;
                    false
                }
            };
            if down && Instant::now() >= self.next_try {
                let _told_where_it_matters = self.start();
            }
            if Instant::now() >= self.next_clearing {
                self.shared.containment.wait().kill_what_the_dead_left();
                self.next_clearing = Instant::now() + CLEAR_EVERY;
            }
        }
    }

    /// Starts a warden, and hands it the start that waits for one. Where that cannot be, that start is over: a place is
    /// not held for long without a program.
    fn start(&mut self) -> io::Result<()> {
        self.next_try = Instant::now() + RESTART_PAUSE;
        let started = self.shared.start_warden();
        let mut line = self.shared.line();
        let Line::Down { wanted } = *line else {
            // The run is over meanwhile: the dropped socket ends the warden.
            self.warden = started.ok().map(|(_, warden)| warden);
            return Ok(());
        };
        *line = Line::Down { wanted: None };
        let (socket, warden) = match started {
            Ok(started) => started,
            Err(error) => {
                drop(line);
                if wanted.is_some() {
                    let why = format!("the process that keeps it could not be started: {error}");
                    (self.shared.tell)(Event::NotStarted(NotStarted::Failed(why)));
                }
                return Err(error);
            }
        };
        self.warden = Some(warden);
        match wanted.map(|token| link::ask(&*socket, Request::Start { token })) {
            // Killed already; the next one comes after the pause.
            Some(Err(_)) => {
                drop(line);
                (self.shared.tell)(Event::Abandoned);
            }
            asked => *line = Line::Up { socket, busy: asked.is_some(), deaf: false },
        }
        Ok(())
    }

    /// Waits for the warden's word or end, for a ring, or for the next look.
    fn sleep(&self) {
        let socket = match &*self.shared.line() {
            Line::Up { socket, .. } => Some(Arc::clone(socket)),
            _ => None,
        };
        let mut fds = vec![PollFd::new(&self.shared.wake, PollFlags::IN)];
        if let Some(socket) = &socket {
            fds.push(PollFd::new(&**socket, PollFlags::IN));
        }
        if let Some(warden) = &self.warden {
            fds.push(PollFd::new(&warden.handle, PollFlags::IN));
        }
        let limit = match self.warden {
            Some(_) => WATCH_EVERY,
            None => WATCH_EVERY.min(self.next_try.saturating_duration_since(Instant::now())),
        };
        let _ = poll(&mut fds, Some(&timespec(limit)));
        let mut counter = [0u8; 8];
        let _ = rustix::io::read(&self.shared.wake, &mut counter);
    }

    fn carry_events(&self) {
        loop {
            let event = {
                let mut line = self.shared.line();
                let Line::Up { socket, busy, .. } = &mut *line else { return };
                let Received::Message(event) = link::take_event(&**socket) else { return };
                *busy &= !matches!(event, Event::Gone(_) | Event::NotStarted(_));
                event
            };
            (self.shared.tell)(event);
        }
    }

    /// Reaps orphans and looks after the warden. True where it is no more; one that is stopped is killed.
    fn reap(&self) -> bool {
        self.reap_seen() || self.warden.as_ref().is_some_and(|warden| tree::is_no_child(warden.pid))
    }

    fn reap_seen(&self) -> bool {
        let mut lost = false;
        loop {
            match rustix::process::wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
                Ok(Some((pid, status))) => {
                    let Some(warden) = self.warden.as_ref().filter(|warden| warden.pid == pid) else {
                        continue;
                    };
                    if status.stopped() {
                        if bites(Tooth::StoppedKeeperLeft) {
                            continue;
                        }
                        // Its end is the parent's death to the program, and brings the others to us.
                        let _ = pidfd_send_signal(&warden.handle, Signal::KILL);
                    } else {
                        lost = true;
                    }
                }
                Ok(None) => return lost,
                Err(Errno::INTR) => {}
                Err(_) => return lost,
            }
        }
    }

    /// A warden that does not take a stop is killed, as one that is stopped is, and so is one whose line was cut.
    fn silence_the_useless(&self) {
        let useless = matches!(&*self.shared.line(), Line::Up { deaf: true, .. } | Line::Down { .. });
        if let Some(warden) = self.warden.as_ref().filter(|_| useless) {
            let _ = pidfd_send_signal(&warden.handle, Signal::KILL);
        }
    }

    /// The warden is no more: what it said counts, what it kept is ours to kill, and another one is wanted.
    fn replace(&mut self) {
        self.carry_events();
        self.warden = None;
        let (busy, over) = match &*self.shared.line() {
            Line::Up { busy, .. } => (*busy, false),
            Line::Down { .. } => (false, false),
            Line::Over => (true, true),
        };
        if busy && !bites(Tooth::OrphansLeft) {
            let tell_stuck = |left| (self.shared.tell)(Event::Stuck { left });
            sweep::all_below(&self.before, self.shared.group(), tell_stuck);
        }
        if over {
            return;
        }
        self.note_loss();
        if busy {
            // Before the last word, after which the next start may come at any time.
            let _told_by_the_next_start = self.start();
            (self.shared.tell)(Event::Abandoned);
        }
    }

    /// There is no line any more. A start that waits goes on waiting.
    fn note_loss(&self) {
        let mut line = self.shared.line();
        if let Line::Up { .. } = &*line {
            *line = Line::Down { wanted: None };
        }
    }
}
