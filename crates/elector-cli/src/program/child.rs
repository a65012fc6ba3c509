//! One start of the program, from its birth until nothing of it is left: what to signal, and when to look again.
//!
//! Only the warden calls this. Invariant: once the tree is being killed nothing brings it back; a signal goes to the
//! program's group only while its number is surely its own.

use super::containment::Group;
use super::tree::{self, Process};
use super::{Ended, Event, Gone, Killed, Stop};
use elector_teeth::{Tooth, bites};
use rustix::process::{Pid, Signal, WaitStatus, kill_process_group};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How often orphans that came to us are reaped while the program runs, and a shrunken deadline is noticed.
const REAP_EVERY: Duration = Duration::from_secs(1);
/// Between two looks at the tree while it is being stopped or killed.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The same once `STUCK_AFTER` has passed.
pub(super) const LOOK_SELDOM: Duration = Duration::from_millis(200);
/// So long after the first SIGKILL a process that is still there is told of.
pub(super) const STUCK_AFTER: Duration = Duration::from_secs(2);

/// The program and all that came of it.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) token: u64,
    pub(super) pid: Pid,
    /// Readable when the program itself has ended.
    pub(super) handle: Option<OwnedFd>,
    stop_signal: Signal,
    leftover_grace: Duration,
    pub(super) ended: Option<Ended>,
    /// Why SIGKILL was sent while the program itself was there.
    killed: Option<Killed>,
    /// When the first signal of a stop was sent.
    stopping_since: Option<Duration>,
    phase: Phase,
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

/// What the looks at a tree led to.
pub(super) enum Progress {
    /// It is there.
    There,
    /// Say this; it is there.
    Tell(Event),
    Gone(Gone),
}

impl Child {
    pub(super) fn new(
        token: u64,
        pid: Pid,
        handle: Option<OwnedFd>,
        stop_signal: Signal,
        leftover_grace: Duration,
    ) -> Child {
        Child {
            token,
            pid,
            handle,
            stop_signal,
            leftover_grace,
            ended: None,
            killed: None,
            stopping_since: None,
            phase: Phase::Running,
            stuck_told: false,
        }
    }

    pub(super) fn is_being_killed(&self) -> bool {
        matches!(self.phase, Phase::Killing { .. })
    }

    pub(super) fn stop(&mut self, stop: Stop, now: Duration) {
        match (stop, self.phase) {
            (_, Phase::Killing { .. }) => {}
            (Stop::Now, _) => self.kill(Killed::Asked, now),
            (Stop::Within(grace), Phase::Running) => {
                self.begin(now, grace);
            }
            (Stop::Within(grace), Phase::Stopping { kill_at }) => {
                let earlier = if bites(Tooth::StopProlonged) { Duration::MAX } else { kill_at };
                self.phase = Phase::Stopping { kill_at: earlier.min(now.saturating_add(grace)) };
            }
        }
    }

    pub(super) fn kill(&mut self, why: Killed, now: Duration) {
        self.stopping_since.get_or_insert(now);
        self.phase = Phase::Killing { since: now };
        if self.ended.is_none() {
            self.killed = Some(why);
        }
        self.signal_group(Signal::KILL);
    }

    /// Signals the group while the program itself is not reaped: until then the number is surely its own.
    pub(super) fn signal_group(&self, signal: Signal) {
        if self.ended.is_none() {
            let _ = kill_process_group(self.pid, signal);
        }
    }

    /// Notes how the program itself ended. False where this tells of no end.
    pub(super) fn note_end(&mut self, status: WaitStatus) -> bool {
        self.ended = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Some(Ended::Code(u8::try_from(code & 0xff).unwrap_or(u8::MAX))),
            (None, Some(signal)) => Some(Ended::Signal(signal)),
            // Stopped or continued: not asked for and no end.
            (None, None) => None,
        };
        self.ended.is_some()
    }

    /// Notes an end of which the kernel will never tell us. False where there is none, or it is noted already.
    pub(super) fn note_unseen_end(&mut self) -> bool {
        let unseen = self.ended.is_none() && tree::is_no_child(self.pid);
        if unseen {
            self.ended = Some(Ended::Unseen);
        }
        unseen
    }

    /// Moves a stop on. `no_child_left` is the kernel's word that the warden has no child at all.
    pub(super) fn advance(&mut self, now: Duration, no_child_left: bool, group: Option<&Group>) -> Progress {
        if let Phase::Stopping { kill_at } = self.phase
            && now >= kill_at
            && !bites(Tooth::GraceWithoutEnd)
        {
            self.kill(Killed::Grace, now);
        }
        let Some(ended) = self.ended else {
            return match self.phase {
                Phase::Killing { since } => {
                    self.kill_again(&tree::descendants(&[].into()), group, since, now)
                }
                _ => Progress::There,
            };
        };
        let nothing_left = no_child_left && group.is_none_or(Group::is_empty);
        if nothing_left || bites(Tooth::ProgramsEndIsAll) {
            let stopping_took = self.stopping_since.map(|since| now.saturating_sub(since));
            return Progress::Gone(Gone { ended, killed: self.killed, stopping_took, at: now });
        }
        if no_child_left && !self.is_being_killed() {
            // Somebody was moved into the group from elsewhere. No look at the tree finds them, and the kernel
            // tells nobody of their end.
            self.kill(Killed::LeftBehind, now);
        }
        let left = tree::descendants(&[].into());
        self.stop_leftovers(&left, now);
        match self.phase {
            Phase::Killing { since } => self.kill_again(&left, group, since, now),
            _ => Progress::There,
        }
    }

    /// When to look again at the latest, with the deadline at this instant.
    pub(super) fn next_look(&self, now: Duration, deadline: Duration) -> Duration {
        let deadline = if bites(Tooth::DeadlineNotAwaited) { Duration::MAX } else { deadline };
        let soon = now.saturating_add(LOOK_EVERY);
        match self.phase {
            Phase::Killing { since } if now.saturating_sub(since) < STUCK_AFTER => soon,
            Phase::Killing { .. } => now.saturating_add(LOOK_SELDOM),
            _ if self.ended.is_some() => soon,
            Phase::Stopping { kill_at } => kill_at.min(deadline),
            Phase::Running => deadline.min(now.saturating_add(REAP_EVERY)),
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
                let _ = kill_process_group(self.pid, self.stop_signal);
            }
            Phase::Stopping { .. } if in_group => {}
            // Zombies on their way to us are found by the next look.
            Phase::Running | Phase::Stopping { .. } if left.is_empty() => {}
            Phase::Running | Phase::Stopping { .. } => self.kill(Killed::LeftBehind, now),
        }
    }

    fn kill_again(
        &mut self,
        left: &[Process],
        group: Option<&Group>,
        since: Duration,
        now: Duration,
    ) -> Progress {
        if bites(Tooth::TreeKilledLate) && now.saturating_sub(since) < STUCK_AFTER {
            return Progress::There;
        }
        if let Some(group) = group {
            group.kill();
        }
        self.signal_group(Signal::KILL);
        let number = self.pid.as_raw_nonzero().get();
        if self.ended.is_some() && left.iter().any(|process| process.group == number) {
            // Its members keep the number from being given to a stranger.
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
        tree::kill(left);
        if left.is_empty() || self.stuck_told || now.saturating_sub(since) < STUCK_AFTER {
            return Progress::There;
        }
        self.stuck_told = true;
        Progress::Tell(Event::Stuck { left: left.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::WaitOptions;

    fn child(pid: u32) -> Child {
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        Child::new(1, pid, None, Signal::TERM, Duration::ZERO)
    }

    #[test]
    fn an_end_that_somebody_else_reaped_is_noted_once() {
        let mut process = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let mut child = child(process.id());
        assert!(!child.note_unseen_end(), "it runs");
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(child.note_unseen_end() && child.ended == Some(Ended::Unseen));
        assert!(!child.note_unseen_end(), "noted already");
    }

    #[test]
    fn an_end_that_is_still_to_be_reaped_is_not_unseen() {
        let mut process = std::process::Command::new("true").spawn().unwrap();
        let mut child = child(process.id());
        let status = loop {
            assert!(!child.note_unseen_end());
            if let Ok(Some((_, status))) = rustix::process::waitpid(Some(child.pid), WaitOptions::NOHANG) {
                break status;
            }
            std::thread::sleep(LOOK_EVERY);
        };
        assert!(child.note_end(status) && child.ended == Some(Ended::Code(0)));
        assert!(!child.note_unseen_end());
        let _reaped_above = process.try_wait();
    }
}
