//! Time, network and faults; and the checks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use elector_core::{Answer, Input, Layout, Margins, Output, Request, SessionEnd, Token};

use crate::ensemble::{Ensemble, Frame, Packet};
use crate::peer::{Peer, Pending, Told};

/// Reproducible random numbers (the splitmix64 sequence).
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

#[derive(Debug, Clone)]
enum Happening {
    /// The peer looks at its clock and its socket.
    Poll(usize),
    /// It sends a ConnectRequest.
    Connect(usize),
    /// The ConnectRequest reaches a server.
    Attach {
        connection: u64,
        peer: usize,
    },
    Up(u64, Packet),
    Down(u64, Frame),
    /// The server has reported to the quorum leader that it heard from the session.
    Touch(u64),
    Expire(i64),
    /// The connection breaks.
    Break(u64),
    Withdraw(usize, Told),
    Trouble,
}

pub(crate) struct World {
    seed: u64,
    now: u64,
    random: Random,
    happenings: BTreeMap<(u64, u64), Happening>,
    counted: u64,
    ensemble: Ensemble,
    peers: Vec<Peer>,
    timeout: u64,
    connections: u64,
    troubled: bool,
    /// Creation zxids of the znodes that an operator deleted.
    deposed: BTreeSet<i64>,
    tokens: BTreeSet<Token>,
    pub(crate) lost: usize,
    pub(crate) lost_creates: usize,
    trace: Vec<String>,
}

impl World {
    pub(crate) fn new(layout: Layout, seed: u64) -> World {
        let mut random = Random(seed);
        let timeout = [6_000, 10_000][random.below(2) as usize];
        let early = Duration::from_millis([0, 1_500][random.below(2) as usize]);
        let margins = Margins { ensemble_tick: None, early };
        let count = 2 + random.below(3) as usize;
        let peers = (0..count).map(|_| Peer::new(layout, timeout, margins, &mut random)).collect();
        let mut world = World {
            seed,
            now: 0,
            random,
            happenings: BTreeMap::new(),
            counted: 0,
            ensemble: Ensemble::default(),
            peers,
            timeout,
            connections: 0,
            troubled: true,
            deposed: BTreeSet::new(),
            tokens: BTreeSet::new(),
            lost: 0,
            lost_creates: 0,
            trace: Vec::new(),
        };
        for peer in 0..count {
            world.at(0, Happening::Poll(peer));
            world.within(0, 2_000, Happening::Connect(peer));
        }
        world.at(3_000, Happening::Trouble);
        world
    }

    pub(crate) fn run(&mut self, duration: u64) {
        let end = self.now + duration;
        while let Some(next) = self.happenings.first_entry().filter(|next| next.key().0 <= end) {
            self.now = next.key().0;
            let happening = next.remove();
            self.happen(happening);
            self.check();
        }
        self.now = end;
    }

    pub(crate) fn end_of_trouble(&mut self) {
        self.note("-- no more trouble".to_owned());
        self.troubled = false;
        for connection in self.ensemble.connections.values_mut() {
            connection.slow = 0;
        }
        for peer in 0..self.peers.len() {
            self.peers[peer].unreachable_until = 0;
            self.peers[peer].wants = true;
            if self.peers[peer].resting {
                self.peers[peer].pending.push_back(Pending::Tell(Input::Campaign));
            }
            self.poll_soon(peer);
        }
    }

    pub(crate) fn everybody_withdraws(&mut self) {
        self.note("-- everybody withdraws".to_owned());
        for peer in 0..self.peers.len() {
            self.peers[peer].wants = false;
            self.withdraw(peer);
        }
    }

    pub(crate) fn terms(&self) -> usize {
        self.tokens.len()
    }

    pub(crate) fn trace(&self) -> String {
        let from = self.trace.len().saturating_sub(400);
        self.trace[from..].join("\n")
    }

    // The checks.

    /// What holds at every true time: whoever is within a term has the lowest live znode, so no two
    /// are; except one whose znode an operator has deleted, who cannot know it yet.
    fn check(&self) {
        for peer in 0..self.peers.len() {
            let Some(token) = self.peers[peer].term(self.now) else { continue };
            let lowest = self.ensemble.tree.lowest().map(|node| node.czxid);
            if lowest != Some(token.as_i64()) && !self.deposed.contains(&token.as_i64()) {
                self.fail(format!("{peer} is within term {token}, but the lowest znode is {lowest:?}"));
            }
        }
    }

    /// What holds after each of a candidate's steps: no leading without a live deadline.
    fn check_deadline(&self, peer: usize) {
        let Peer { told, candidate, .. } = &self.peers[peer];
        let live = candidate.deadlines().is_some_and(|d| self.peers[peer].local(self.now) < d.term);
        if matches!(told, Told::Leading(_)) && !live {
            self.fail(format!("{peer} leads without a live deadline"));
        }
    }

    fn check_token(&mut self, token: Token) {
        let highest = self.tokens.last().copied();
        if !self.tokens.insert(token) {
            self.fail(format!("a second term for {token}"));
        }
        if highest > Some(token) && !self.deposed.contains(&token.as_i64()) {
            self.fail(format!("{token} after {highest:?}"));
        }
    }

    pub(crate) fn check_that_one_leads(&self) {
        let leaders = self.peers.iter().filter(|peer| matches!(peer.told, Told::Leading(_))).count();
        if leaders != 1 {
            self.fail(format!("{leaders} lead in the end"));
        }
    }

    pub(crate) fn check_that_nothing_is_left(&self) {
        if !self.ensemble.tree.nodes.is_empty() || self.peers.iter().any(|peer| !peer.resting) {
            self.fail(format!("left behind: {:?}", self.ensemble.tree.nodes));
        }
    }

    fn fail(&self, what: String) -> ! {
        panic!("{}\n{:>9}: {what}\nseed {}", self.trace(), self.now, self.seed)
    }

    // Happenings.

    fn at(&mut self, time: u64, happening: Happening) {
        self.counted += 1;
        self.happenings.insert((time, self.counted), happening);
    }

    fn within(&mut self, from: u64, to: u64, happening: Happening) {
        let time = self.now + from + self.random.below(to - from);
        self.at(time, happening);
    }

    fn poll_soon(&mut self, peer: usize) {
        self.at(self.now.max(self.peers[peer].paused_until), Happening::Poll(peer));
    }

    fn note(&mut self, what: String) {
        self.trace.push(format!("{:>9}: {what}", self.now));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Poll(peer) => self.poll(peer),
            Happening::Connect(peer) => self.connect(peer),
            Happening::Attach { connection, peer } => self.attach(connection, peer),
            Happening::Up(connection, packet) => self.reach_server(connection, packet),
            Happening::Down(connection, frame) => {
                let Some(open) = self.ensemble.connections.get(&connection).filter(|c| c.open) else {
                    return;
                };
                let peer = open.peer;
                self.peers[peer].inbox.push_back((connection, frame));
                self.poll_soon(peer);
            }
            Happening::Touch(connection) => {
                let connection = &self.ensemble.connections[&connection];
                let session = connection.session;
                if connection.cut.is_none() {
                    self.touch(session);
                }
            }
            Happening::Expire(session) => {
                let touched = self.ensemble.sessions.get(&session);
                if touched.is_some_and(|touched| touched + self.timeout <= self.now) {
                    self.note(format!("session {session} expires"));
                    self.change(|ensemble, sent| ensemble.end_session(session, sent));
                    let open = |c: &crate::ensemble::Connection| c.session == session && c.cut.is_none();
                    let all = self.ensemble.connections.iter();
                    let closed: Vec<u64> = all.filter(|(_, c)| open(c)).map(|(number, _)| *number).collect();
                    for connection in closed {
                        self.within(1, 50, Happening::Break(connection));
                    }
                }
            }
            Happening::Break(connection) => {
                if let Some(open) = self.ensemble.connections.get(&connection).filter(|c| c.open) {
                    let peer = open.peer;
                    let closed_by_server = self.random.one_in(4); // as far as the peer can tell
                    self.lose_connection(peer, closed_by_server);
                }
            }
            Happening::Withdraw(peer, told) => {
                if self.peers[peer].told == told {
                    self.withdraw(peer);
                }
            }
            Happening::Trouble => self.trouble(),
        }
    }

    fn touch(&mut self, session: i64) {
        if let Some(touched) = self.ensemble.sessions.get_mut(&session) {
            *touched = self.now;
            self.at(self.now + self.timeout, Happening::Expire(session));
        }
    }

    /// Changes the tree, and sends whatever follows.
    fn change(&mut self, how: impl FnOnce(&mut Ensemble, &mut Vec<(u64, Frame)>)) {
        let mut sent = Vec::new();
        how(&mut self.ensemble, &mut sent);
        self.send_down(sent);
    }

    fn send_down(&mut self, sent: Vec<(u64, Frame)>) {
        for (connection, frame) in sent {
            let delay = 1 + self.random.below(20);
            let channel = self.ensemble.connections.get_mut(&connection).unwrap();
            channel.down = channel.down.max(self.now + delay + channel.slow);
            let at = channel.down;
            self.at(at, Happening::Down(connection, frame));
        }
    }

    fn reach_server(&mut self, connection: u64, packet: Packet) {
        // A follower tells the quorum leader within half a tick and what pings may be late.
        let lag = self.timeout / 4 + 200;
        self.within(0, lag, Happening::Touch(connection));
        let sent = self.ensemble.take(connection, packet);
        self.send_down(sent);
    }

    // The network, as the peers see it.

    fn connect(&mut self, peer: usize) {
        let Peer { connection, paused_until, unreachable_until, .. } = self.peers[peer];
        if connection.is_some() {
            return;
        }
        if paused_until > self.now {
            return self.at(paused_until, Happening::Connect(peer));
        }
        if unreachable_until > self.now {
            return self.within(200, 500, Happening::Connect(peer));
        }
        self.connections += 1;
        let connection = self.connections;
        let now = self.now;
        let who = &mut self.peers[peer];
        who.connection = Some(connection);
        who.connect_sent = who.local(now);
        who.last_heard = now;
        // Its own session id, or that of the session to be opened.
        self.ensemble.connect(connection, peer, who.session.unwrap_or(0), false);
        self.within(1, 300, Happening::Attach { connection, peer });
        self.poll_soon(peer);
    }

    fn attach(&mut self, connection: u64, peer: usize) {
        let asked = self.ensemble.connections[&connection].session;
        let deposed = self.troubled && asked != 0 && self.random.one_in(8);
        if deposed {
            // Answered without a quorum, also for a session that is no more.
            self.ensemble.connect(connection, peer, asked, true);
            self.within(1, 8_000, Happening::Break(connection));
        } else if asked == 0 {
            let session = self.ensemble.open_session(self.now);
            self.ensemble.connect(connection, peer, session, false);
            self.touch(session);
        } else if self.ensemble.sessions.contains_key(&asked) {
            self.touch(asked);
        } else {
            return self.send_down(vec![(connection, Frame::Expired)]);
        }
        let session = self.ensemble.connections[&connection].session;
        // The peer may have given this attempt up meanwhile.
        let current = self.peers[peer].connection == Some(connection);
        self.ensemble.connections.get_mut(&connection).unwrap().open = current;
        self.send_down(vec![(connection, Frame::Connected { session })]);
    }

    fn send_up(&mut self, peer: usize, packet: Packet) {
        let Some(connection) = self.peers[peer].connection else {
            self.fail(format!("{peer} sends {packet:?} without a connection"))
        };
        let delay = 1 + self.random.below(20);
        let channel = self.ensemble.connections.get_mut(&connection).unwrap();
        channel.up = channel.up.max(self.now + delay + channel.slow);
        let at = channel.up;
        self.at(at, Happening::Up(connection, packet));
        self.peers[peer].last_sent = self.now;
    }

    /// Some of what was sent may still arrive, even after the next connection was made.
    fn lose_connection(&mut self, peer: usize, closed_by_server: bool) {
        let Some(connection) = self.peers[peer].connection else { return };
        self.note(format!("{peer} loses connection {connection}"));
        self.ensemble.connections.get_mut(&connection).unwrap().open = false;
        let late = self.random.below(3_000);
        let mut arrives = true;
        let under_way: Vec<(u64, u64)> = self
            .happenings
            .iter()
            .filter(|(_, happening)| matches!(happening, Happening::Up(on, _) if *on == connection))
            .map(|(key, _)| *key)
            .collect();
        for key in under_way {
            let Some(Happening::Up(_, packet)) = self.happenings.remove(&key) else { continue };
            arrives &= !self.random.one_in(3);
            if matches!(packet, Packet::Ask(_, Request::Create { .. })) {
                self.lost_creates += 1;
            }
            if arrives && !matches!(packet, Packet::Close) {
                self.at(key.0 + late, Happening::Up(connection, packet));
            }
        }
        self.peers[peer].detach(closed_by_server);
        let hurried = self.peers[peer].candidate.pace(self.peers[peer].local(self.now)).hurry_until.is_some();
        let (from, to) = if hurried { (10, 250) } else { (500, 1_000) };
        self.within(from, to, Happening::Connect(peer));
        self.poll_soon(peer);
    }

    // A peer's turn.

    fn poll(&mut self, peer: usize) {
        if self.peers[peer].paused_until > self.now {
            return self.poll_soon(peer);
        }
        let mut told = false;
        loop {
            if let Some(pending) = self.peers[peer].pending.pop_front() {
                match pending {
                    Pending::Tell(input) => self.feed(peer, input),
                    Pending::Gone { closed_by_server } => self.gone(peer, closed_by_server),
                }
            } else if let Some((connection, frame)) = self.peers[peer].inbox.pop_front() {
                if self.peers[peer].connection == Some(connection) {
                    self.receive(peer, connection, frame);
                }
            } else if std::mem::take(&mut told) {
                self.feed(peer, Input::Drained);
                continue;
            } else {
                break;
            }
            told = true;
        }
        let wake = |who: &Peer, now| who.candidate.next_wake(who.local(now)).map(|at| who.true_time(at));
        if wake(&self.peers[peer], self.now).is_some_and(|at| at <= self.now) {
            self.feed(peer, Input::Wake);
        }
        self.keep_alive(peer);
        let who = &self.peers[peer];
        let regular = self.now + if who.connection.is_some() { 250 } else { 1_000 };
        let next = wake(who, self.now).unwrap_or(regular).clamp(self.now + 1, regular);
        let due = if who.pending.is_empty() { next } else { self.now };
        // One poll at a time: those ahead of it are superseded by it.
        self.happenings.retain(|_, happening| !matches!(happening, Happening::Poll(other) if *other == peer));
        self.at(due, Happening::Poll(peer));
    }

    fn keep_alive(&mut self, peer: usize) {
        let who = &self.peers[peer];
        if who.connection.is_none() {
            return;
        }
        let patience = if who.attached { self.timeout * 2 / 3 } else { 1_000 };
        if who.last_heard + patience < self.now {
            return self.lose_connection(peer, false);
        }
        let pace = who.candidate.pace(who.local(self.now)).ping_every;
        let every = pace.map_or(self.timeout / 3, |every| every.as_millis() as u64);
        if who.attached && who.last_sent + every <= self.now {
            let sent = who.local(self.now);
            self.peers[peer].pings.push_back(sent);
            self.send_up(peer, Packet::Ping);
        }
    }

    fn receive(&mut self, peer: usize, connection: u64, frame: Frame) {
        let who = &mut self.peers[peer];
        who.last_heard = self.now;
        let received = who.local(self.now);
        match frame {
            Frame::Connected { session } => {
                who.attached = true;
                who.session = Some(session);
                let (connect_sent, closing) = (who.connect_sent, who.closing);
                let timeout = Duration::from_millis(self.timeout);
                self.feed(peer, Input::Attached { connection, session, timeout, connect_sent });
                if closing {
                    self.send_up(peer, Packet::Close);
                }
                let names: Vec<String> = self.peers[peer].watches.iter().cloned().collect();
                if names.is_empty() {
                    self.feed(peer, Input::Restored { connection });
                } else if self.peers[peer].attached {
                    self.send_up(peer, Packet::SetWatches { names });
                }
            }
            Frame::Restored => self.feed(peer, Input::Restored { connection }),
            Frame::Expired => self.session_ends(peer, SessionEnd::Expired),
            Frame::Closed => self.session_ends(peer, SessionEnd::Closed),
            Frame::Event { name, change } => {
                who.watches.remove(&name);
                self.feed(peer, Input::Event { name, change });
            }
            Frame::Pong => {
                if let Some(sent) = who.pings.pop_front() {
                    self.feed(peer, Input::Pong { connection, sent, received });
                }
            }
            Frame::Reply { id, zxid, outcome } => {
                let Some(sent) = who.asked.remove(&id).flatten() else { return };
                // Only a read that found something leaves a watch behind.
                if let Ok(Answer::Node { .. }) = outcome {
                    who.watches.insert(String::new());
                }
                self.feed(peer, Input::Reply { id, connection, sent, received, zxid, outcome });
            }
        }
    }

    fn session_ends(&mut self, peer: usize, end: SessionEnd) {
        self.note(format!("{peer} hears that its session is over: {end:?}"));
        if let Some(connection) = self.peers[peer].connection {
            self.ensemble.connections.get_mut(&connection).unwrap().open = false;
        }
        let who = &mut self.peers[peer];
        who.detach(false);
        (who.session, who.closing) = (None, false);
        who.watches.clear();
        who.pending.push_back(Pending::Tell(Input::SessionEnded(end)));
        self.within(10, 500, Happening::Connect(peer));
    }

    fn gone(&mut self, peer: usize, closed_by_server: bool) {
        for (id, sent) in std::mem::take(&mut self.peers[peer].asked) {
            self.feed(peer, Input::Unanswered { id, sent: sent.is_some() });
        }
        if !self.peers[peer].asked.is_empty() {
            self.fail(format!("{peer} asks on a connection that is ending"));
        }
        self.feed(peer, Input::Detached { closed_by_server });
    }

    fn feed(&mut self, peer: usize, input: Input) {
        let now = self.peers[peer].local(self.now);
        if !matches!(input, Input::Drained | Input::Wake | Input::Pong { .. }) {
            self.note(format!("{peer} < {input:?}"));
        }
        self.peers[peer].candidate.step(now, input);
        while let Some(output) = self.peers[peer].candidate.next_output() {
            if !matches!(output, Output::Send(_, Request::Probe { .. })) {
                self.note(format!("{peer}   > {output:?}"));
            }
            self.perform(peer, output);
        }
        self.check_deadline(peer);
    }

    fn perform(&mut self, peer: usize, output: Output) {
        match output {
            Output::Send(id, request) => {
                let who = &mut self.peers[peer];
                let connected = who.connection.is_some();
                let sent = connected.then(|| who.local(self.now));
                who.asked.insert(id, sent);
                if connected {
                    if self.troubled && matches!(request, Request::Create { .. }) && self.random.one_in(3) {
                        let connection = who.connection.unwrap_or_default();
                        self.within(0, 60, Happening::Break(connection));
                    }
                    let who = &mut self.peers[peer];
                    if let Request::Watch { names, .. } = &request {
                        who.watches.extend(names.iter().cloned());
                    }
                    self.send_up(peer, Packet::Ask(id, request));
                } else if !who.pending.iter().any(|next| matches!(next, Pending::Gone { .. })) {
                    self.fail(format!("{peer} asks though it knows of no connection"));
                }
            }
            Output::Lead { token } => {
                self.check_token(token);
                self.peers[peer].told = Told::Leading(token);
                if self.troubled {
                    self.within(500, 30_000, Happening::Withdraw(peer, Told::Leading(token)));
                }
            }
            Output::Stopping { token, .. } => {
                self.peers[peer].told = Told::Stopping(token);
                self.within(1, 2_000, Happening::Withdraw(peer, Told::Stopping(token)));
            }
            Output::Lost { .. } => {
                self.lost += 1;
                self.peers[peer].told = Told::Nothing;
                self.within(1, 500, Happening::Withdraw(peer, Told::Nothing));
            }
            Output::GiveUpConnection => self.lose_connection(peer, false),
            Output::CloseSession => {
                self.peers[peer].closing = true;
                if self.peers[peer].attached {
                    self.send_up(peer, Packet::Close);
                }
            }
            Output::Left => {
                self.peers[peer].resting = true;
                if self.peers[peer].wants {
                    self.peers[peer].pending.push_back(Pending::Tell(Input::Campaign));
                    self.peers[peer].resting = false;
                }
            }
            Output::Fail(error) => self.fail(format!("{peer} fails: {error}")),
            Output::Warn(_) => {}
        }
    }

    fn withdraw(&mut self, peer: usize) {
        self.peers[peer].told = Told::Nothing;
        self.peers[peer].resting = false;
        self.peers[peer].pending.push_back(Pending::Tell(Input::Withdraw));
        self.poll_soon(peer);
    }

    // Faults.

    fn trouble(&mut self) {
        if !self.troubled {
            return;
        }
        self.within(50, 2_500, Happening::Trouble);
        let peer = self.random.below(self.peers.len() as u64) as usize;
        let connection = self.peers[peer].connection;
        let while_ = self.random.below(15_000);
        match self.random.below(16) {
            0..4 => {
                let closed_by_server = self.random.one_in(4);
                self.lose_connection(peer, closed_by_server);
            }
            4..6 => {
                self.note(format!("{peer} cannot reach anybody for {while_}"));
                self.peers[peer].unreachable_until = self.now + while_;
                self.lose_connection(peer, false);
            }
            6..8 => {
                self.note(format!("{peer} pauses for {while_}"));
                self.peers[peer].paused_until = self.now + while_;
            }
            8..11 => {
                let Some(connection) = connection else { return };
                self.note(format!("the server of connection {connection} is cut off"));
                let tree = self.ensemble.tree.clone();
                self.ensemble.connections.get_mut(&connection).unwrap().cut.get_or_insert(tree);
                self.at(self.now + while_, Happening::Break(connection));
            }
            11..13 => {
                let Some(connection) = connection else { return };
                self.ensemble.connections.get_mut(&connection).unwrap().slow = while_ / 8;
            }
            13 => self.meddle(),
            14 => self.withdraw(peer),
            _ => self.ensemble.tree.reap(),
        }
    }

    /// An operator deletes a znode, or writes to it.
    fn meddle(&mut self) {
        let count = self.ensemble.tree.nodes.len() as u64;
        if count == 0 {
            return;
        }
        let at = self.random.below(count) as usize;
        let Some((name, node)) = self.ensemble.tree.nodes.iter().nth(at) else { return };
        let (name, czxid) = (name.clone(), node.czxid);
        if self.random.one_in(2) {
            self.note(format!("an operator deletes {name:?} ({czxid})"));
            self.deposed.insert(czxid);
            self.change(|ensemble, sent| ensemble.delete(&name, sent));
        } else {
            self.change(|ensemble, sent| ensemble.touch(&name, sent));
        }
    }
}
