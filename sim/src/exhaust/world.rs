//! Contenders and one server at one point of one course of events, and the ways in which it may go on.
//!
//! Invariant: whatever may happen next is one of [`World::actions`], and an action taken in equal worlds gives
//! equal worlds. So a course is its list of actions, and worlds with one fingerprint need be searched once.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use elector_core::{Input, Layout, SessionEnd, Token};

use super::scope::{Budget, Fault, Scope};
use super::seat::{App, Seat, TIMEOUT, Told};
use super::server::{Frame, Packet, Sent, Server};
use super::tell::{self, Log};

/// What may happen next. The number is a contender's, or a znode's place in the order of their making.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A contender campaigns for the first time.
    Begin(u8),
    /// Its session connects.
    Attach(u8),
    /// The server takes its next packet.
    Serve(u8),
    /// It reads one frame and decides.
    Read(u8),
    /// It reads all frames that are there, and only then decides.
    ReadAll(u8),
    /// It is woken at the moment that it asked for.
    Wake(u8),
    /// Its application has stopped the work of a term that is lost, or ends.
    Release(u8),
    /// What was left of its dead connection arrives: the oldest of it.
    ServeLate(u8),
    /// What was left of its dead connection never arrives.
    LoseLate(u8),
    /// A fault.
    Fault(Fault, u8),
}

impl Action {
    /// Whether it happens by itself sooner or later, so that nothing rests while it is to come.
    pub(crate) fn is_due(self) -> bool {
        !matches!(self, Action::Fault(..) | Action::Begin(_))
    }
}

/// Part of a world, shared with all worlds in which it is the same.
#[derive(Debug, Clone)]
struct Part<T> {
    value: Arc<T>,
    /// Its hash, once somebody has asked.
    hash: Option<u64>,
}

impl<T: Hash> Part<T> {
    fn new(value: T) -> Part<T> {
        Part { value: Arc::new(value), hash: None }
    }

    fn hash(&mut self) -> u64 {
        *self.hash.get_or_insert_with(|| hash_of(&*self.value))
    }
}

impl<T> Deref for Part<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Clone> DerefMut for Part<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.hash = None;
        Arc::make_mut(&mut self.value)
    }
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// What has gone wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong(pub String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that decides how it may go on.
#[derive(Debug, Clone)]
pub struct World {
    layout: Layout,
    seats: Vec<Part<Seat>>,
    server: Part<Server>,
    left: Budget,
    /// Znodes that somebody else has done away with: who leads for one cannot know it yet.
    deposed: BTreeSet<i64>,
    /// The highest token of all terms.
    highest: i64,
}

impl World {
    /// Where the search of this scope begins.
    pub fn new(scope: &Scope) -> World {
        let seats = (0..scope.contenders).map(|who| Part::new(Seat::new(who, scope.layout)));
        World {
            layout: scope.layout,
            seats: seats.collect(),
            server: Part::new(Server::new(scope.contenders)),
            left: Budget::of(&scope.faults),
            deposed: BTreeSet::new(),
            highest: 0,
        }
    }

    /// What tells it from all worlds that may go on otherwise, but for a collision of 64 bits.
    pub fn fingerprint(&mut self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for seat in &mut self.seats {
            seat.hash().hash(&mut hasher);
        }
        (self.server.hash(), self.left, &self.deposed, self.highest).hash(&mut hasher);
        hasher.finish()
    }

    /// The server, as it is.
    pub fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter().map(|seat| &**seat)
    }

    /// How many znodes each who wants to lead has when all is well.
    pub(crate) fn znodes_each(&self, leads: bool) -> usize {
        usize::from(self.layout != Layout::Single || leads)
    }

    pub(crate) fn without_faults(&mut self) {
        self.left = Budget::default();
    }

    // What may happen next.

    /// All that may happen next.
    pub fn actions(&self) -> Vec<Action> {
        let mut all = Vec::with_capacity(32);
        for (at, seat) in self.seats.iter().enumerate() {
            self.due(at, seat, &mut all);
        }
        // They are alike until they begin, so the first to begin may as well be the first.
        if let Some(next) = self.seats.iter().position(|seat| !seat.begun) {
            all.push(Action::Begin(next as u8));
        }
        for fault in Fault::ALL.into_iter().filter(|fault| self.left.has(*fault)) {
            let count = match fault {
                Fault::Wipe | Fault::WipeBackwards | Fault::Reap => 1,
                Fault::Delete | Fault::Touch => self.server.in_order().len(),
                _ => self.seats.len(),
            };
            let possible = (0..count).filter(|at| self.is_possible(fault, *at));
            all.extend(possible.map(|at| Action::Fault(fault, at as u8)));
        }
        all
    }

    fn due(&self, at: usize, seat: &Seat, all: &mut Vec<Action>) {
        let number = at as u8;
        match &seat.link {
            Some(link) => {
                if !link.up.is_empty() && !link.hung_up {
                    all.push(Action::Serve(number));
                }
                if !link.down.is_empty() {
                    all.push(Action::Read(number));
                }
                if link.down.len() > 1 {
                    all.push(Action::ReadAll(number));
                }
            }
            None if seat.begun => all.push(Action::Attach(number)),
            None => {}
        }
        if seat.wakes_in().is_some_and(|time| time.is_zero()) {
            all.push(Action::Wake(number));
        }
        if matches!(seat.app, App::Stopping(_) | App::Lost(_)) {
            all.push(Action::Release(number));
        }
        if self.server.has_late(at) {
            all.extend([Action::ServeLate(number), Action::LoseLate(number)]);
        }
    }

    fn is_possible(&self, fault: Fault, at: usize) -> bool {
        let seat = self.seats.get(at);
        let seat = || seat.expect("faults of contenders are counted by them");
        match fault {
            Fault::Break => seat().link.is_some(),
            Fault::BreakUnsent => {
                let asks = |packet: &Packet| matches!(packet, Packet::Ask(..));
                seat().link.as_ref().is_some_and(|link| link.up.iter().any(asks))
            }
            Fault::Expire | Fault::Close => seat().session.is_some_and(|id| self.server.has_session(id)),
            Fault::Delete | Fault::Touch => true,
            Fault::Wipe => self.server.has_parent() && !self.server.is_empty(),
            Fault::WipeBackwards => self.server.in_order().len() > 1,
            Fault::Reap => self.server.has_parent() && self.server.is_empty(),
            Fault::Resign | Fault::Quit => {
                matches!(seat().app, App::Campaigning | App::Leading(_) | App::Stopping(_))
            }
            Fault::Sleep => seat().begun,
            Fault::Doze => seat().acts().is_some(),
            Fault::Wait => seat().wakes_in().is_some_and(|time| !time.is_zero()),
        }
    }

    // How it goes on.

    /// Goes on by one action, which must be one of [`World::actions`].
    pub fn act(&mut self, action: Action, log: &mut Log) -> Result<(), Wrong> {
        let mut told = Vec::new();
        log.note(|| tell::action(action, self));
        let who = match action {
            Action::Begin(at) | Action::Attach(at) | Action::Serve(at) | Action::Read(at) => at,
            Action::ReadAll(at) | Action::Wake(at) | Action::Release(at) => at,
            Action::ServeLate(at) | Action::LoseLate(at) | Action::Fault(_, at) => at,
        };
        let at = usize::from(who);
        match action {
            Action::Begin(_) => self.seats[at].campaign(&mut told, log),
            Action::Attach(_) => self.attach(at, &mut told, log),
            Action::Serve(_) => self.serve(at),
            Action::Read(_) => self.seats[at].read(true, &mut told, log),
            Action::ReadAll(_) => self.read_all(at, &mut told, log),
            Action::Wake(_) => self.seats[at].step(Input::Wake, &mut told, log),
            Action::Release(_) => self.seats[at].withdraw(true, &mut told, log),
            Action::ServeLate(_) => {
                let (_, sent) = self.server.take_late(at);
                self.deliver(sent);
            }
            Action::LoseLate(_) => self.server.lose_late(at),
            Action::Fault(fault, _) => {
                self.left.take(fault);
                self.suffer(fault, at, &mut told, log);
            }
        }
        self.hear(at, told, log)?;
        self.judge()
    }

    fn attach(&mut self, at: usize, told: &mut Vec<Told>, log: &mut Log) {
        let seat = &mut self.seats[at];
        match seat.session {
            Some(session) if !self.server.has_session(session) => {
                log.note(|| format!("    the server does not know session {session} any more"));
                seat.session_over(SessionEnd::Expired, told, log);
                seat.step(Input::Drained, told, log);
            }
            Some(session) => seat.attach(session, told, log),
            None => {
                let session = seat.next_session();
                self.server.open_session(session);
                seat.attach(session, told, log);
            }
        }
    }

    fn serve(&mut self, at: usize) {
        let seat = &mut self.seats[at];
        let packet = seat.link.as_mut().and_then(|link| link.up.pop_front());
        if let (Some(packet), Some(session)) = (packet, seat.session) {
            let sent = self.server.take(at, session, packet);
            self.deliver(sent);
        }
    }

    fn read_all(&mut self, at: usize, told: &mut Vec<Told>, log: &mut Log) {
        let waiting = |seat: &Seat| seat.link.as_ref().map_or(0, |link| link.down.len());
        while waiting(&self.seats[at]) > 0 && !told.contains(&Told::GivesUp) {
            let last = waiting(&self.seats[at]) == 1;
            self.seats[at].read(last, told, log);
        }
    }

    fn deliver(&mut self, sent: Sent) {
        for (at, frame) in sent {
            if let Some(link) = &mut self.seats[at].link {
                link.down.push_back(frame);
            }
        }
    }

    fn suffer(&mut self, fault: Fault, at: usize, told: &mut Vec<Told>, log: &mut Log) {
        match fault {
            Fault::Break => self.disconnect(at, true, told, log),
            Fault::BreakUnsent => self.disconnect(at, false, told, log),
            Fault::Expire => {
                self.seats[at].let_time_pass(TIMEOUT);
                self.end_session(at);
            }
            Fault::Close => {
                self.depose(|seat, owner| seat.session == Some(owner), at);
                self.end_session(at);
            }
            Fault::Delete => self.delete_some(|nth| nth == at, false),
            Fault::Wipe | Fault::WipeBackwards => {
                self.delete_some(|_| true, fault == Fault::WipeBackwards);
                self.server.reap();
            }
            Fault::Reap => self.server.reap(),
            Fault::Touch => {
                let name = self.server.in_order()[at].0.to_owned();
                let mut sent = Sent::new();
                self.server.touch(&name, &mut sent);
                self.deliver(sent);
            }
            Fault::Resign => self.seats[at].withdraw(true, told, log),
            Fault::Quit => self.seats[at].withdraw(false, told, log),
            Fault::Sleep => self.seats[at].let_time_pass(TIMEOUT),
            Fault::Doze => self.seats[at].doze(),
            Fault::Wait => {
                let time = self.seats[at].wakes_in().unwrap_or_default();
                self.seats[at].let_time_pass(time);
                self.seats[at].step(Input::Wake, told, log);
            }
        }
    }

    fn disconnect(&mut self, at: usize, sent: bool, told: &mut Vec<Told>, log: &mut Log) {
        let unread = self.seats[at].detach(sent, told, log);
        self.server.disconnect(at);
        if let Some(session) = self.seats[at].session.filter(|id| self.server.has_session(*id)) {
            self.server.keep_late(at, session, unread.into_iter());
        }
    }

    fn end_session(&mut self, at: usize) {
        self.server.disconnect(at);
        let mut sent = Sent::new();
        if let Some(session) = self.seats[at].session {
            self.server.end_session(session, &mut sent);
        }
        self.deliver(sent);
        if let Some(link) = &mut self.seats[at].link {
            link.down.push_back(Frame::Hangup);
            link.hung_up = true;
        }
    }

    fn depose(&mut self, which: impl Fn(&Seat, i64) -> bool, at: usize) {
        let nodes = self.server.in_order();
        let gone = nodes.into_iter().filter(|(_, node)| which(&self.seats[at], node.owner));
        let gone: Vec<i64> = gone.map(|(_, node)| node.czxid).collect();
        self.deposed.extend(gone);
    }

    fn delete_some(&mut self, which: impl Fn(usize) -> bool, backwards: bool) {
        let nodes = self.server.in_order().into_iter().enumerate().filter(|(nth, _)| which(*nth));
        let mut gone: Vec<_> = nodes.map(|(_, (name, node))| (name.to_owned(), node.czxid)).collect();
        if backwards {
            gone.reverse();
        }
        let mut sent = Sent::new();
        for (name, czxid) in gone {
            self.deposed.insert(czxid);
            self.server.delete(&name, &mut sent);
        }
        self.deliver(sent);
    }

    /// Time goes on for everybody, until somebody wants to be woken; none wants to be.
    pub(crate) fn pass_time(&mut self) -> Option<std::time::Duration> {
        let time = self.seats.iter().filter_map(|seat| seat.wakes_in()).min()?;
        for seat in &mut self.seats {
            seat.let_time_pass(time);
        }
        Some(time)
    }

    /// Everybody gives up for good.
    pub(crate) fn all_quit(&mut self, log: &mut Log) -> Result<(), Wrong> {
        for at in 0..self.seats.len() {
            if self.seats[at].wants_to_lead() {
                let mut told = Vec::new();
                log.note(|| format!("c{at} withdraws"));
                self.seats[at].withdraw(false, &mut told, log);
                self.hear(at, told, log)?;
            }
        }
        Ok(())
    }

    // What must hold.

    fn hear(&mut self, at: usize, told: Vec<Told>, log: &mut Log) -> Result<(), Wrong> {
        for one in told {
            match one {
                Told::Wrong(what) => return Err(Wrong(what)),
                Told::Leads(token) => self.promoted(at, token)?,
                Told::Left => self.has_left(at)?,
                Told::GivesUp => {
                    let mut told = Vec::new();
                    self.disconnect(at, true, &mut told, log);
                    self.hear(at, told, log)?;
                }
            }
        }
        Ok(())
    }

    fn promoted(&mut self, at: usize, token: Token) -> Result<(), Wrong> {
        let seat = &self.seats[at];
        if seat.candidate.deadlines().is_none_or(|deadlines| deadlines.term <= seat.now()) {
            return Err(Wrong(format!("c{at} was told to lead for term {token} without a live deadline")));
        }
        if token.as_i64() <= self.highest && !self.deposed.contains(&token.as_i64()) {
            return Err(Wrong(format!("c{at} leads for term {token} after term {}", self.highest)));
        }
        self.highest = self.highest.max(token.as_i64());
        Ok(())
    }

    /// Nothing is there and nothing can come of a contender that has left.
    fn has_left(&self, at: usize) -> Result<(), Wrong> {
        let seat = &self.seats[at];
        if let Some((_, node)) = self.server.in_order().iter().find(|(_, node)| seat.had_session(node.owner))
        {
            return Err(Wrong(format!("c{at} has left, and its znode of czxid {} is there", node.czxid)));
        }
        if self.server.has_late_create(at) {
            return Err(Wrong(format!("c{at} has left, and a create of its may still arrive")));
        }
        Ok(())
    }

    /// What must hold at every moment.
    fn judge(&mut self) -> Result<(), Wrong> {
        let lowest = self.server.lowest().map(|node| node.czxid);
        for at in 0..self.seats.len() {
            let seat = &self.seats[at];
            let over = seat.over;
            match (seat.acts(), seat.term()) {
                (Some(token), _) if token.as_i64() <= over => {
                    return Err(Wrong(format!("c{at} would act again for term {token}, which was over")));
                }
                (Some(token), _)
                    if lowest != Some(token.as_i64()) && !self.deposed.contains(&token.as_i64()) =>
                {
                    return Err(self.usurped(at, token, lowest));
                }
                (None, Some(token)) if token.as_i64() > over => self.seats[at].over = token.as_i64(),
                _ => {}
            }
        }
        Ok(())
    }

    /// What must hold where nothing is on its way: who leads has the lowest znode, whatever operators have done.
    pub(crate) fn judge_at_rest(&self) -> Result<(), Wrong> {
        let lowest = self.server.lowest().map(|node| node.czxid);
        for (at, seat) in self.seats.iter().enumerate() {
            if let Some(token) = seat.acts().filter(|token| lowest != Some(token.as_i64())) {
                return Err(Wrong(format!(
                    "c{at} acts for term {token}, and will not hear that its znode is gone"
                )));
            }
        }
        Ok(())
    }

    fn usurped(&self, at: usize, token: Token, lowest: Option<i64>) -> Wrong {
        let other = |seat: &Seat| seat.acts().filter(|other| *other != token);
        let other = self.seats.iter().position(|seat| other(seat).is_some());
        Wrong(match (other, lowest) {
            (Some(other), _) => format!("c{at} would act for term {token} while c{other} leads as well"),
            (None, Some(lowest)) => {
                format!("c{at} would act for term {token}, and the lowest znode is that of czxid {lowest}")
            }
            (None, None) => format!("c{at} would act for term {token}, and no znode is there"),
        })
    }
}
