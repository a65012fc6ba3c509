//! Time, network and faults; and the checks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use elector_core::{Input, Layout, Margins, Request, Token};

use crate::ensemble::{Ensemble, Frame, Packet};
use crate::peer::{Peer, Pending, Told};

/// Reproducible random numbers (the splitmix64 sequence).
#[derive(Debug, Clone)]
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
pub(crate) enum Happening {
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
    /// The server is cut off from its peers.
    Cut(u64),
    /// The connection breaks.
    Break(u64),
    Withdraw(usize, Told),
    Trouble,
}

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) now: u64,
    pub(crate) random: Random,
    pub(crate) happenings: BTreeMap<(u64, u64), Happening>,
    pub(crate) counted: u64,
    pub(crate) ensemble: Ensemble,
    pub(crate) peers: Vec<Peer>,
    pub(crate) timeout: u64,
    pub(crate) connections: u64,
    pub(crate) troubled: bool,
    /// Creation zxids of the znodes that an operator deleted.
    pub(crate) deposed: BTreeSet<i64>,
    pub(crate) tokens: BTreeSet<Token>,
    pub(crate) lost: usize,
    pub(crate) lost_creates: usize,
    pub(crate) trace: Vec<String>,
}

impl World {
    /// Two to four candidates.
    pub(crate) fn new(layout: Layout, seed: u64) -> World {
        World::of(layout, seed, 2 + (seed % 3) as usize)
    }

    pub(crate) fn of(layout: Layout, seed: u64, count: usize) -> World {
        let mut random = Random(seed);
        let timeout = [6_000, 10_000][random.below(2) as usize];
        let early = Duration::from_millis([0, 1_500][random.below(2) as usize]);
        let margins = Margins { ensemble_tick: None, early };
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

    /// No faults, and nobody resigns.
    pub(crate) fn calm(mut self) -> World {
        self.troubled = false;
        self
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

    // Happenings.

    pub(crate) fn at(&mut self, time: u64, happening: Happening) {
        self.counted += 1;
        self.happenings.insert((time, self.counted), happening);
    }

    pub(crate) fn within(&mut self, from: u64, to: u64, happening: Happening) {
        let time = self.now + from + self.random.below(to - from);
        self.at(time, happening);
    }

    pub(crate) fn poll_soon(&mut self, peer: usize) {
        self.at(self.now.max(self.peers[peer].paused_until), Happening::Poll(peer));
    }

    pub(crate) fn note(&mut self, what: String) {
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
            Happening::Cut(connection) => {
                if self.troubled {
                    self.cut(connection);
                    self.within(1, 2 * self.timeout, Happening::Break(connection));
                }
            }
            Happening::Break(connection) => {
                if let Some(open) = self.ensemble.connections.get(&connection).filter(|c| c.open) {
                    let peer = open.peer;
                    self.lose_connection(peer);
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

    pub(crate) fn touch(&mut self, session: i64) {
        if let Some(touched) = self.ensemble.sessions.get_mut(&session) {
            *touched = self.now;
            self.at(self.now + self.timeout, Happening::Expire(session));
        }
    }

    /// Changes the tree, and sends whatever follows.
    pub(crate) fn change(&mut self, how: impl FnOnce(&mut Ensemble, &mut Vec<(u64, Frame)>)) {
        let mut sent = Vec::new();
        how(&mut self.ensemble, &mut sent);
        self.send_down(sent);
    }

    fn send_down(&mut self, sent: Vec<(u64, Frame)>) {
        for (connection, frame) in sent {
            let delay = 1 + self.random.below(20);
            let channel = self.ensemble.connection(connection);
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
        } else if asked == 0 || (self.troubled && self.random.one_in(40)) {
            // Some servers give another session without a word; the old one lives on for a while.
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
        self.ensemble.connection(connection).open = current;
        self.send_down(vec![(connection, Frame::Connected { session })]);
    }

    pub(crate) fn send_up(&mut self, peer: usize, packet: Packet) {
        let Some(connection) = self.peers[peer].connection else {
            self.fail(format!("{peer} sends {packet:?} without a connection"))
        };
        let delay = 1 + self.random.below(20);
        let channel = self.ensemble.connection(connection);
        channel.up = channel.up.max(self.now + delay + channel.slow);
        let at = channel.up;
        self.at(at, Happening::Up(connection, packet));
        self.peers[peer].last_sent = self.now;
    }

    /// Some of what was sent may still arrive, even after the next connection was made.
    pub(crate) fn lose_connection(&mut self, peer: usize) {
        let Some(connection) = self.peers[peer].connection else { return };
        self.note(format!("{peer} loses connection {connection}"));
        self.ensemble.connection(connection).open = false;
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
        self.peers[peer].detach();
        let hurried = self.peers[peer].candidate.pace(self.peers[peer].local(self.now)).hurry_until.is_some();
        let (from, to) = if hurried { (10, 250) } else { (500, 1_000) };
        self.within(from, to, Happening::Connect(peer));
        self.poll_soon(peer);
    }
}
