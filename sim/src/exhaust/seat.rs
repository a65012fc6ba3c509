//! One contender: the real candidate, what its session keeps for it, and the application above it.
//!
//! The session's part is what `zk-session` does, no more: requests go out in order, a lost connection tells of
//! each without an answer, watches are set again before anything else, a close is sent until it is answered.

use std::cell::Cell;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use elector_core::{
    Candidate, Change, Entropy, Input, Layout, Margins, Moment, OnDisconnect, Output, Request, RequestId,
    SessionEnd, Token,
};

use super::server::{Frame, Kind, Packet, kinds};
use super::tell::{self, Log};

/// The session timeout that is asked for and granted.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// Between the end of a term and the moment from which nobody may act for it.
const EARLY: Duration = Duration::from_millis(1_500);
/// All random numbers are multiples of this, which makes every jitter zero.
pub(crate) const NO_JITTER: u64 = 21_000;

thread_local! {
    /// What the candidate that is being moved would draw. Outside of it, so that clones need not agree on it.
    static DRAWN: Cell<u64> = const { Cell::new(0) };
}

/// What the application does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum App {
    /// Nothing.
    Resting,
    /// It waits for its turn.
    Campaigning,
    /// It works for this term.
    Leading(Token),
    /// It was told to stop its work.
    Stopping(Token),
    /// It was told that the term is over.
    Lost(Token),
    /// Its work has stopped; when nothing is left of the term it may campaign again.
    Leaving { again: bool },
}

/// A connection, as both ends see it.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Link {
    number: u64,
    pub(crate) up: VecDeque<Packet>,
    pub(crate) down: VecDeque<Frame>,
    /// Requests without an answer, when each went out, and what its answer does to the watches.
    waiting: VecDeque<(RequestId, Moment, Effect)>,
    /// The server has hung up and reads no more.
    pub(crate) hung_up: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Effect {
    None,
    Watches,
    Watch(String),
}

/// What others must know of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Leads(Token),
    Left,
    GivesUp,
    Wrong(String),
}

#[derive(Debug, Clone, Hash)]
pub(crate) struct Seat {
    who: usize,
    pub(crate) candidate: Candidate,
    pub(crate) app: App,
    /// Milliseconds on its own clock.
    clock: u64,
    /// The moment at which it wanted to be woken has come.
    rings: bool,
    pub(crate) begun: bool,
    creates: u64,
    connections: u64,
    sessions: i64,
    pub(crate) session: Option<i64>,
    pub(crate) link: Option<Link>,
    closing: bool,
    /// The watches that the session would set again, and the zxid up to which all is known of them.
    watches: BTreeSet<(Kind, String)>,
    known_at: i64,
    unanswered_watches: u8,
    /// The newest term that nobody acted for once.
    pub(crate) over: i64,
}

impl Seat {
    pub(crate) fn new(who: usize, layout: Layout) -> Seat {
        let entropy = Entropy::new(|| DRAWN.get());
        let margins = Margins { ensemble_tick: None, early: EARLY };
        Seat {
            who,
            candidate: Candidate::new(layout, TIMEOUT, margins, OnDisconnect::Hold, entropy),
            app: App::Resting,
            clock: 100_000,
            rings: false,
            begun: false,
            creates: 0,
            connections: 0,
            sessions: 0,
            session: None,
            link: None,
            closing: false,
            watches: BTreeSet::new(),
            known_at: 0,
            unanswered_watches: 0,
            over: 0,
        }
    }

    pub(crate) fn now(&self) -> Moment {
        Moment::from_origin(Duration::from_millis(self.clock))
    }

    /// The term for which its work may run now, as `check()` would say.
    pub(crate) fn acts(&self) -> Option<Token> {
        match self.app {
            App::Leading(token) | App::Stopping(token) => {
                self.candidate.deadlines().filter(|deadlines| self.now() < deadlines.safe).map(|_| token)
            }
            _ => None,
        }
    }

    /// The term that its application knows of.
    pub(crate) fn term(&self) -> Option<Token> {
        match self.app {
            App::Leading(token) | App::Stopping(token) | App::Lost(token) => Some(token),
            _ => None,
        }
    }

    /// Whether this session is or was this contender's.
    pub(crate) fn had_session(&self, session: i64) -> bool {
        session / 100 == self.who as i64 + 1
    }

    pub(crate) fn wants_to_lead(&self) -> bool {
        !matches!(self.app, App::Resting | App::Leaving { again: false })
    }

    /// When it wants to be woken, as time from now.
    pub(crate) fn wakes_in(&self) -> Option<Duration> {
        let asked = self.candidate.next_wake(self.now()).map(|at| at.since(self.now()));
        if self.rings { Some(Duration::ZERO) } else { asked }
    }

    pub(crate) fn let_time_pass(&mut self, time: Duration) {
        self.rings = self.wakes_in().is_some_and(|asked| asked <= time);
        // Rounded up, so that what was waited for has come.
        self.clock += time.as_micros().div_ceil(1_000) as u64;
    }

    /// Its clock goes on to the moment when the work of its term must be told to stop.
    pub(crate) fn doze(&mut self) {
        if let Some(deadlines) = self.candidate.deadlines() {
            self.let_time_pass(deadlines.term.since(self.now()));
        }
    }

    // The application.

    pub(crate) fn campaign(&mut self, told: &mut Vec<Told>, log: &mut Log) {
        self.begun = true;
        self.app = App::Campaigning;
        self.step(Input::Campaign, told, log);
    }

    pub(crate) fn withdraw(&mut self, again: bool, told: &mut Vec<Told>, log: &mut Log) {
        self.app = App::Leaving { again };
        self.step(Input::Withdraw, told, log);
    }

    // The session.

    /// The number of the session that would be the next.
    pub(crate) fn next_session(&self) -> i64 {
        (self.who as i64 + 1) * 100 + self.sessions + 1
    }

    /// A server has taken the session, or made a new one.
    pub(crate) fn attach(&mut self, session: i64, told: &mut Vec<Told>, log: &mut Log) {
        if self.session.is_none() {
            self.sessions += 1;
            self.session = Some(session);
        }
        self.connections += 1;
        let connection = self.connections;
        let mut up = VecDeque::new();
        let restores = !self.closing && !self.watches.is_empty();
        if self.closing {
            up.push_back(Packet::Close);
        } else if restores {
            let names = self.watches.iter().cloned().collect();
            up.push_back(Packet::Restore { names, known_at: self.known_at });
        }
        self.unanswered_watches = u8::from(restores);
        let (down, waiting) = (VecDeque::new(), VecDeque::new());
        self.link = Some(Link { number: connection, up, down, waiting, hung_up: false });
        let (timeout, connect_sent) = (TIMEOUT, self.now());
        let attached = Input::Attached { connection, session, timeout, connect_sent, taken_back: false };
        self.step(attached, told, log);
        if !restores && !self.closing {
            self.step(Input::Restored { connection }, told, log);
        }
        self.step(Input::Drained, told, log);
    }

    /// The session is known to be over.
    pub(crate) fn session_over(&mut self, end: SessionEnd, told: &mut Vec<Told>, log: &mut Log) {
        let end = if self.closing { SessionEnd::Closed } else { end };
        (self.session, self.link, self.closing) = (None, None, false);
        self.watches.clear();
        self.unanswered_watches = 0;
        self.step(Input::SessionEnded(end), told, log);
        if let Some(token) = self.acts() {
            told.push(Told::Wrong(format!(
                "c{} acts for term {token} though it knows that its session is over",
                self.who
            )));
        }
    }

    /// The connection is gone. `sent`: whether what the server has not read may have reached it. Returns that.
    pub(crate) fn detach(&mut self, sent: bool, told: &mut Vec<Told>, log: &mut Log) -> VecDeque<Packet> {
        let Some(link) = self.link.take() else { return VecDeque::new() };
        let unread = link.up.iter().filter(|packet| matches!(packet, Packet::Ask(..))).count();
        let handed = link.waiting.len().saturating_sub(if sent { 0 } else { unread });
        for (at, (id, _, _)) in link.waiting.into_iter().enumerate() {
            self.step(Input::Unanswered { id, sent: at < handed }, told, log);
        }
        self.step(Input::Detached, told, log);
        if sent { link.up } else { VecDeque::new() }
    }

    /// Reads one frame; then, if `drained`, decides.
    pub(crate) fn read(&mut self, drained: bool, told: &mut Vec<Told>, log: &mut Log) {
        let Some(link) = &mut self.link else { return };
        let Some(frame) = link.down.pop_front() else { return };
        log.note(|| format!("c{} reads: {}", self.who, tell::frame(&frame)));
        match frame {
            Frame::Reply { id, outcome, zxid } => {
                let (number, waiting) = (link.number, link.waiting.pop_front());
                let Some((_, sent, effect)) = waiting.filter(|(oldest, ..)| *oldest == id) else {
                    return told.push(Told::Wrong("an answer comes out of order".to_owned()));
                };
                match (effect, &outcome) {
                    (Effect::Watches, _) => self.unanswered_watches -= 1,
                    (Effect::Watch(name), Ok(_)) => {
                        self.watches.insert((Kind::Data, name));
                    }
                    _ => {}
                }
                self.knows(zxid);
                let received = self.now();
                self.step(Input::Reply { id, connection: number, sent, received, outcome }, told, log);
            }
            Frame::Restored { zxid } => {
                let connection = link.number;
                self.unanswered_watches -= 1;
                self.knows(zxid);
                self.step(Input::Restored { connection }, told, log);
            }
            Frame::Event { name, change } => self.event(name, change, told, log),
            Frame::Closed => self.session_over(SessionEnd::Closed, told, log),
            Frame::Hangup => {
                self.detach(true, told, log);
            }
        }
        if drained {
            self.step(Input::Drained, told, log);
        }
    }

    fn event(&mut self, name: String, change: Change, told: &mut Vec<Told>, log: &mut Log) {
        self.watches.retain(|(kind, watched)| {
            *watched != name || (*kind == Kind::Child && change == Change::Touched)
        });
        let own = change == Change::Deleted && self.candidate.own_name() == Some(&*name);
        self.step(Input::Event { name, change }, told, log);
        if let Some(token) = self.acts().filter(|_| own) {
            let what = format!("c{} acts for term {token} though it knows that its znode is gone", self.who);
            told.push(Told::Wrong(what));
        }
    }

    /// All that happened to watched znodes up to this zxid was told.
    fn knows(&mut self, zxid: i64) {
        if self.unanswered_watches == 0 {
            self.known_at = self.known_at.max(zxid);
        }
    }

    // The candidate.

    /// One input, then all that follows from it.
    pub(crate) fn step(&mut self, input: Input, told: &mut Vec<Told>, log: &mut Log) {
        self.rings = false;
        DRAWN.set(((self.who as u64 + 1) * 256 + self.creates + 1) * NO_JITTER);
        self.candidate.step(self.now(), input);
        while let Some(output) = self.candidate.next_output() {
            self.act(output, told, log);
        }
    }

    fn act(&mut self, output: Output, told: &mut Vec<Told>, log: &mut Log) {
        let who = self.who;
        match output {
            Output::Send(id, request) => {
                log.note(|| format!("    c{who} asks: {}", tell::request(&request)));
                self.send(id, request, told);
            }
            Output::Lead { token } => {
                log.note(|| format!("    c{who} LEADS with token {token}"));
                self.app = App::Leading(token);
                told.push(Told::Leads(token));
            }
            Output::Stopping { token, why } => {
                log.note(|| format!("    c{who} is to stop its work for term {token}: {why}"));
                self.app = App::Stopping(token);
            }
            Output::Lost { token, why } => {
                log.note(|| format!("    c{who} has lost term {token}: {why}"));
                self.app = App::Lost(token);
            }
            Output::GiveUpConnection => {
                log.note(|| format!("    c{who} gives its connection up"));
                told.push(Told::GivesUp);
            }
            Output::CloseSession => {
                log.note(|| format!("    c{who} closes its session"));
                self.closing = true;
                if let Some(link) = &mut self.link {
                    link.up.push_back(Packet::Close);
                }
            }
            Output::Left => {
                log.note(|| format!("    c{who} has left"));
                let again = self.app == App::Leaving { again: true };
                self.app = App::Resting;
                told.push(Told::Left);
                if again {
                    self.campaign(told, log);
                }
            }
            Output::Fail(error) => told.push(Told::Wrong(format!("c{who} fails: {error}"))),
            Output::Warn(warning) => log.note(|| format!("    c{who} warns: {warning}")),
        }
    }

    fn send(&mut self, id: RequestId, request: Request, told: &mut Vec<Told>) {
        let now = self.now();
        let Some(link) = &mut self.link else {
            return told.push(Told::Wrong(format!("c{} asks without a connection", self.who)));
        };
        let effect = match &request {
            Request::Create { .. } => {
                self.creates += 1;
                Effect::None
            }
            Request::Watch { nearest, others } => {
                self.watches.extend(kinds(nearest.as_ref(), others));
                self.unanswered_watches += 1;
                Effect::Watches
            }
            Request::Read { name, watch: true } => Effect::Watch(name.clone()),
            _ => Effect::None,
        };
        link.waiting.push_back((id, now, effect));
        link.up.push_back(Packet::Ask(id, request));
    }
}
