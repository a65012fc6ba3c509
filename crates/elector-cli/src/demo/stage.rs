//! The demo's server and contenders, and what may be done to them.
//!
//! Purpose: keep the story and the processes in step. Invariant: when [`Stage::clear`] has returned, no process
//! that the demo started is left, and no control group of theirs. All of it belongs on the main thread, to which the
//! contenders are bound.

use super::contender::{Contender, Heard, SESSION_TIMEOUT};
use super::heard::Said;
use super::story::{Blow, Doing, Duty, IDS, Story, Tone};
use crate::program::{Containment, Process, descendants, kill_all};
use crate::signals::{Asked, Signals};
use rustix::io::Errno;
use rustix::process::{Signal, WaitOptions, getpid, set_child_subreaper, wait};
use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};
use zk_embedded::{Config, Listener, Server};

/// What was heard and not looked at yet. Contenders wait when it is full.
const MAX_HEARD: usize = 1024;
/// How often ends, due times and the screen are looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long the end waits for what was killed; what is left then is in an uninterruptible wait.
const CLEAR_LIMIT: Duration = Duration::from_secs(5);

/// What came next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Something was heard, and the story knows it.
    Heard,
    /// Some time has passed.
    Tick,
    /// A signal to end.
    End(Signal),
}

/// Everything that runs.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) story: Story,
    pub(super) address: SocketAddr,
    contenders: [Option<Contender>; IDS.len()],
    lives: [u32; IDS.len()],
    tell: mpsc::Sender<Heard>,
    heard: mpsc::Receiver<Heard>,
    signals: Signals,
    tick: Interval,
    /// Children that whoever started us had before, which are no business of ours.
    before: HashSet<Process>,
    server: Server,
}

impl Stage {
    /// Starts the server and the first contender. Needs a tokio runtime on the main thread.
    pub(super) fn set() -> io::Result<Stage> {
        let begun = Instant::now();
        // Whatever a contender leaves behind becomes our child, and can be found.
        set_child_subreaper(Some(getpid()))?;
        let before = descendants(&HashSet::new()).into_iter().collect();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let mut config = Config::default();
        config.limits.min_timeout_ms = i32::try_from(SESSION_TIMEOUT.as_millis()).unwrap_or(i32::MAX);
        let server = Server::start(config, vec![Listener::Tcp(listener)]).map_err(io::Error::other)?;
        let (tell, heard) = mpsc::channel(MAX_HEARD);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stage = Stage {
            story: Story::new(begun),
            address,
            contenders: [const { None }; IDS.len()],
            lives: [0; IDS.len()],
            tell,
            heard,
            signals: Signals::new()?,
            tick,
            before,
            server,
        };
        let text = format!("a ZooKeeper server runs in this process, at {address}");
        stage.story.tell(begun, Tone::Plain, text);
        stage.start(0)?;
        Ok(stage)
    }

    /// Waits for the next thing, and does what is due. Cancel safe.
    pub(super) async fn next(&mut self) -> io::Result<Next> {
        let next = tokio::select! {
            biased;
            asked = self.signals.next() => match asked {
                Asked::Stop(signal) | Asked::Forward(signal @ (Signal::HUP | Signal::QUIT)) => Next::End(signal),
                Asked::Pause => {
                    let text = "Ctrl-Z is refused: a paused server keeps its clients waiting".to_string();
                    self.story.tell(Instant::now(), Tone::Plain, text);
                    Next::Heard
                }
                Asked::Forward(_) => Next::Tick,
            },
            Some(heard) = self.heard.recv() => {
                // The rest of an earlier life says nothing about the present one, but its writes arrive.
                if heard.life == self.lives[heard.who] || matches!(heard.said, Said::Wrote { .. }) {
                    self.story.hear(heard.who, heard.said, heard.at);
                }
                Next::Heard
            }
            _ = self.tick.tick() => Next::Tick,
        };
        self.reap();
        self.attend()?;
        Ok(next)
    }

    /// Kills the leader with all that it started.
    pub(super) fn kill_leader(&mut self) {
        let Some(who) = self.leader() else { return };
        self.story.struck(who, Blow::Kill, Instant::now());
        if let Some(contender) = &self.contenders[who] {
            contender.kill();
        }
    }

    /// Freezes the leader, or lets the one go on that is frozen.
    pub(super) fn freeze_or_resume(&mut self) {
        if let Some(who) = self.story.frozen() {
            return self.resume(who);
        }
        let Some(who) = self.leader() else { return };
        self.story.struck(who, Blow::Freeze, Instant::now());
        if let Some(contender) = &self.contenders[who] {
            contender.freeze();
        }
    }

    /// Asks the leader to hand over.
    pub(super) fn stop_leader(&mut self) {
        let Some(who) = self.leader() else { return };
        self.story.struck(who, Blow::Stop, Instant::now());
        if let Some(contender) = &self.contenders[who] {
            contender.ask_to_stop();
        }
    }

    fn leader(&mut self) -> Option<usize> {
        let leader = self.story.leader();
        if leader.is_none() {
            self.story.nobody_leads(Instant::now());
        }
        leader
    }

    fn resume(&mut self, who: usize) {
        self.story.resumed(who, Instant::now());
        if let Some(contender) = &self.contenders[who] {
            contender.resume();
        }
    }

    fn start(&mut self, who: usize) -> io::Result<()> {
        self.lives[who] += 1;
        let life = (who, self.lives[who]);
        self.contenders[who] = Some(Contender::start(self.address, IDS[who], life, &self.tell)?);
        self.story.started(who);
        Ok(())
    }

    /// Does what is due. At the start each comes when the one before it has its place, so that their order is
    /// the one that is expected.
    fn attend(&mut self) -> io::Result<()> {
        while let Some((who, duty)) = self.story.due(Instant::now()) {
            match duty {
                Duty::Start => self.start(who)?,
                Duty::Resume => self.resume(who),
            }
        }
        let new = self.lives.iter().position(|life| *life == 0);
        if let Some(who) = new.filter(|who| self.story.seen(who - 1).doing != Doing::Enrolling) {
            self.start(who)?;
        }
        Ok(())
    }

    /// Takes note of those that have ended.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let who = self.contenders.iter().position(|one| one.as_ref().is_some_and(|one| one.pid() == pid));
            if let Some(who) = who {
                self.contenders[who] = None;
                self.story.ended(who, status.exit_status(), Instant::now());
            }
        }
    }

    /// Ends everything.
    pub(super) fn clear(self) {
        let until = Instant::now() + CLEAR_LIMIT;
        // A listener that waits for room must not keep a pipe open.
        drop(self.heard);
        loop {
            let left = descendants(&self.before);
            kill_all(&left);
            let no_child = loop {
                match wait(WaitOptions::NOHANG) {
                    Ok(Some(_)) | Err(Errno::INTR) => {}
                    Ok(None) => break false,
                    Err(_) => break true,
                }
            };
            if no_child || (left.is_empty() && !self.before.is_empty()) || Instant::now() >= until {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        // Those that were killed could not remove their groups.
        Containment::clear_away();
        self.server.stop();
    }
}
