//! The thread that owns the program.
//!
//! Purpose: start it, watch it, stop it, and say when nothing of it is left. Invariants: one tree at a time;
//! the thread never blocks but in its own `poll`, so that no full pipe or stuck runtime delays a kill; once a
//! tree is being killed no later word of the supervisor brings it back. The thread lives as long as the process,
//! since its end would be the parent's death to the program.

use super::deadline::DeadlineWord;
use super::tree::{self, Process};
use super::{Ended, Event, Gone, Killed, NotStarted, Spec, Stop, trampoline};
use elector::LeaseClock;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, pidfd_open};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags};
use rustix::time::{timerfd_create, timerfd_settime};
use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

/// Requests that wait for the keeper. It empties the queue at each wake-up, so only a flood of forwarded signals
/// can fill it; those are dropped then, as the kernel itself merges signals.
const MAX_REQUESTS: usize = 64;
/// How often orphans that came to us are reaped while the program runs.
const REAP_EVERY: Duration = Duration::from_secs(1);
/// Between two looks at the tree while it is being stopped or killed.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The same once `STUCK_AFTER` has passed.
const LOOK_SELDOM: Duration = Duration::from_millis(200);
/// So long after the first SIGKILL a process that is still there is told of.
const STUCK_AFTER: Duration = Duration::from_secs(2);

enum Request {
    Start(Box<Spec>, Arc<DeadlineWord>),
    Stop(Stop),
    Forward(Signal),
}

/// The supervisor's end: requests go in, events come out through the function given to [`Keeper::new`].
#[derive(Debug)]
pub(crate) struct Keeper {
    requests: SyncSender<Request>,
    wake: Arc<OwnedFd>,
}

impl Keeper {
    /// Makes this process the reaper of its descendants and starts the thread, which judges deadlines by `clock`.
    /// `tell` is called on it and must not block.
    pub(crate) fn new(clock: LeaseClock, tell: impl Fn(Event) + Send + 'static) -> io::Result<Keeper> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let timer = timerfd_create(timer_clock(clock), TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let (sender, requests) = sync_channel(MAX_REQUESTS);
        let before = tree::descendants(&HashSet::new()).into_iter().collect();
        let inner = Inner {
            clock,
            tell: Box::new(tell),
            wake: Arc::clone(&wake),
            timer,
            requests,
            before,
            term: None,
        };
        std::thread::Builder::new().name("keeper".into()).spawn(move || inner.run())?;
        Ok(Keeper { requests: sender, wake })
    }

    /// Starts the program, unless the deadline has passed already. May be called when no tree is there.
    pub(crate) fn start(&self, spec: Spec, deadline: Arc<DeadlineWord>) {
        self.send(Request::Start(Box::new(spec), deadline));
    }

    /// Stops the tree; without one this does nothing.
    pub(crate) fn stop(&self, stop: Stop) {
        self.send(Request::Stop(stop));
    }

    /// Hands a signal on to the program's group.
    pub(crate) fn forward(&self, signal: Signal) {
        let _ = self.requests.try_send(Request::Forward(signal));
        self.ring();
    }

    fn send(&self, request: Request) {
        // The receiver lives as long as the process and never waits for us, so this ends at once.
        let _ = self.requests.send(request);
        self.ring();
    }

    fn ring(&self) {
        // A full counter means that the keeper is being woken already.
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
    }
}

struct Inner {
    clock: LeaseClock,
    tell: Box<dyn Fn(Event) + Send>,
    wake: Arc<OwnedFd>,
    timer: OwnedFd,
    requests: Receiver<Request>,
    /// Descendants that were there before us, which are no part of any program of ours.
    before: HashSet<Process>,
    term: Option<Term>,
}

/// One tree, from its start until it is gone.
struct Term {
    pid: Pid,
    handle: Option<OwnedFd>,
    deadline: Arc<DeadlineWord>,
    stop_signal: Signal,
    leftover_grace: Duration,
    ended: Option<Ended>,
    /// Why SIGKILL was sent while the program itself was there.
    killed: Option<Killed>,
    /// When the first signal of a stop was sent.
    stopping_since: Option<Duration>,
    phase: Phase,
    /// Looks at an empty tree in a row. Where the kernel cannot tell that no child is left (others were there
    /// before us), one look could miss a process that was born while we read.
    empty_looks: u32,
    stuck_told: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// The stop signal was sent; SIGKILL at this instant.
    Stopping {
        kill_at: Duration,
    },
    Killing {
        since: Duration,
    },
}

impl Inner {
    fn run(mut self) {
        loop {
            // After any pause the clock comes first, then the requests, then what has ended.
            self.judge_deadline();
            if !self.take_requests() && self.term.is_none() {
                return self.park();
            }
            let no_child_left = self.reap();
            self.advance(no_child_left);
            self.sleep();
        }
    }

    /// The supervisor's end is gone, so the process is about to end; until then the thread must stay.
    fn park(&self) {
        loop {
            std::thread::park();
        }
    }

    fn judge_deadline(&mut self) {
        let now = self.clock.now();
        if let Some(term) = &mut self.term
            && !matches!(term.phase, Phase::Killing { .. })
            && term.deadline.passed(now)
        {
            term.kill(Killed::Deadline, now);
        }
    }

    /// Whether the supervisor's end is still there.
    fn take_requests(&mut self) -> bool {
        loop {
            match self.requests.try_recv() {
                Ok(Request::Start(spec, deadline)) => self.start(&spec, deadline),
                Ok(Request::Stop(stop)) => {
                    if let Some(term) = &mut self.term {
                        term.stop(stop, self.clock.now());
                    }
                }
                Ok(Request::Forward(signal)) => {
                    if let Some(term) = &self.term {
                        term.signal_group(signal);
                    }
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn start(&mut self, spec: &Spec, deadline: Arc<DeadlineWord>) {
        assert!(self.term.is_none(), "one tree at a time");
        if deadline.passed(self.clock.now()) {
            return (self.tell)(Event::NotStarted(NotStarted::TooLate));
        }
        let started = trampoline::spawn(spec).and_then(|pid| {
            Pid::from_raw(pid).ok_or_else(|| io::Error::other("the system gave process id 0"))
        });
        let pid = match started {
            Ok(pid) => pid,
            Err(error) => return (self.tell)(Event::NotStarted(NotStarted::Failed(error.to_string()))),
        };
        self.term = Some(Term {
            pid,
            handle: pidfd_open(pid, PidfdFlags::empty()).ok(),
            deadline,
            stop_signal: spec.stop_signal,
            leftover_grace: spec.leftover_grace,
            ended: None,
            killed: None,
            stopping_since: None,
            phase: Phase::Running,
            empty_looks: 0,
            stuck_told: false,
        });
        (self.tell)(Event::Started { pid: pid.as_raw_nonzero().get() });
    }

    /// Reaps whatever has ended, orphans included. True where no child is left at all.
    fn reap(&mut self) -> bool {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => self.reaped(pid, status),
                Ok(None) => return false,
                Err(Errno::INTR) => {}
                Err(_) => return true,
            }
        }
    }

    fn reaped(&mut self, pid: Pid, status: WaitStatus) {
        let Some(term) = self.term.as_mut().filter(|term| term.pid == pid) else { return };
        let ended = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Ended::Code(u8::try_from(code & 0xff).unwrap_or(u8::MAX)),
            (None, Some(signal)) => Ended::Signal(signal),
            // Stopped or continued: not asked for and no end.
            (None, None) => return,
        };
        term.ended = Some(ended);
        (self.tell)(Event::Ended);
    }

    /// Moves the stop of a tree on, and tells when it is gone.
    fn advance(&mut self, no_child_left: bool) {
        let now = self.clock.now();
        let Some(term) = &mut self.term else { return };
        if let Phase::Stopping { kill_at } = term.phase
            && now >= kill_at
        {
            term.kill(Killed::Grace, now);
        }
        let Some(ended) = term.ended else {
            if let Phase::Killing { since } = term.phase {
                let left = tree::descendants(&self.before);
                term.kill_again(&left);
                Self::tell_stuck(&*self.tell, term, since, now, left.len());
            }
            return;
        };
        let left = if no_child_left { Vec::new() } else { tree::descendants(&self.before) };
        if left.is_empty() {
            term.empty_looks += 1;
            if no_child_left || (!self.before.is_empty() && term.empty_looks >= 2) {
                let stopping_took = term.stopping_since.map(|since| now.saturating_sub(since));
                let gone = Gone { ended, killed: term.killed, stopping_took };
                self.term = None;
                (self.tell)(Event::Gone(gone));
            }
            return;
        }
        term.empty_looks = 0;
        term.stop_leftovers(&left, now);
        if let Phase::Killing { since } = term.phase {
            term.kill_again(&left);
            Self::tell_stuck(&*self.tell, term, since, now, left.len());
        }
    }

    fn tell_stuck(tell: &dyn Fn(Event), term: &mut Term, since: Duration, now: Duration, left: usize) {
        if left > 0 && !term.stuck_told && now.saturating_sub(since) >= STUCK_AFTER {
            term.stuck_told = true;
            tell(Event::Stuck { left });
        }
    }

    /// Waits for a request, the program's end, or the next instant at which something is due.
    fn sleep(&self) {
        let due = self.term.as_ref().map(|term| term.next_look(self.clock.now()));
        let value = due.unwrap_or(Duration::ZERO);
        // An all-zero value disarms; a due instant is never zero, since the clock began long before us.
        let spec = Itimerspec {
            it_interval: timespec(Duration::ZERO),
            it_value: timespec(if due.is_some() { value.max(Duration::from_nanos(1)) } else { value }),
        };
        let armed = timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &spec).is_ok();
        let mut fds = vec![PollFd::new(&*self.wake, PollFlags::IN), PollFd::new(&self.timer, PollFlags::IN)];
        let alive = self.term.as_ref().filter(|term| term.ended.is_none());
        if let Some(handle) = alive.and_then(|term| term.handle.as_ref()) {
            fds.push(PollFd::new(handle, PollFlags::IN));
        }
        // Without a timer, or without a handle on the program, looking often takes their place.
        let blind = !armed || alive.is_some_and(|term| term.handle.is_none());
        let limit = timespec(LOOK_EVERY);
        let _ = poll(&mut fds, blind.then_some(&limit));
        let mut counter = [0u8; 8];
        let _ = rustix::io::read(&*self.wake, &mut counter);
        let _ = rustix::io::read(&self.timer, &mut counter);
    }
}

impl Term {
    fn stop(&mut self, stop: Stop, now: Duration) {
        match (stop, self.phase) {
            (_, Phase::Killing { .. }) => {}
            (Stop::Now, _) => self.kill(Killed::Asked, now),
            (Stop::Within(grace), Phase::Running) => {
                self.begin(now, grace);
            }
            (Stop::Within(grace), Phase::Stopping { kill_at }) => {
                self.phase = Phase::Stopping { kill_at: kill_at.min(now.saturating_add(grace)) };
            }
        }
    }

    fn begin(&mut self, now: Duration, grace: Duration) {
        self.stopping_since.get_or_insert(now);
        self.phase = Phase::Stopping { kill_at: now.saturating_add(grace) };
        self.signal_group(self.stop_signal);
        // A program that somebody paused would never see the signal.
        self.signal_group(Signal::CONT);
    }

    /// The program has ended and `left` is still there: its group gets the stop signal and its grace, and what
    /// left the group is killed, since nobody can ask it to end.
    fn stop_leftovers(&mut self, left: &[Process], now: Duration) {
        let group = self.pid.as_raw_nonzero().get();
        let in_group = left.iter().any(|process| process.group == group);
        match self.phase {
            Phase::Killing { .. } => {}
            Phase::Running if in_group => {
                self.begin(now, self.leftover_grace);
                let _ = rustix::process::kill_process_group(self.pid, self.stop_signal);
            }
            Phase::Stopping { .. } if in_group => {}
            Phase::Running | Phase::Stopping { .. } => self.kill(Killed::LeftBehind, now),
        }
    }

    fn kill(&mut self, why: Killed, now: Duration) {
        self.stopping_since.get_or_insert(now);
        self.phase = Phase::Killing { since: now };
        if self.ended.is_none() {
            self.killed = Some(why);
        }
        self.signal_group(Signal::KILL);
    }

    fn kill_again(&self, left: &[Process]) {
        self.signal_group(Signal::KILL);
        let group = self.pid.as_raw_nonzero().get();
        if self.ended.is_some() && left.iter().any(|process| process.group == group) {
            // Its members keep the number from being given to a stranger.
            let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        }
        tree::kill(left);
    }

    /// Signals the group while the program itself is not reaped: until then the number is surely its own.
    fn signal_group(&self, signal: Signal) {
        if self.ended.is_none() {
            let _ = rustix::process::kill_process_group(self.pid, signal);
        }
    }

    fn next_look(&self, now: Duration) -> Duration {
        let soon = now.saturating_add(LOOK_EVERY);
        match self.phase {
            Phase::Killing { since } if now.saturating_sub(since) < STUCK_AFTER => soon,
            Phase::Killing { .. } => now.saturating_add(LOOK_SELDOM),
            _ if self.ended.is_some() => soon,
            Phase::Stopping { kill_at } => kill_at.min(self.deadline.get()),
            Phase::Running => self.deadline.get().min(now.saturating_add(REAP_EVERY)),
        }
    }
}

/// The timer that goes by this clock.
fn timer_clock(clock: LeaseClock) -> TimerfdClockId {
    match clock {
        LeaseClock::Boot => TimerfdClockId::Boottime,
        LeaseClock::Monotonic => TimerfdClockId::Monotonic,
    }
}

fn timespec(duration: Duration) -> rustix::time::Timespec {
    rustix::time::Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
