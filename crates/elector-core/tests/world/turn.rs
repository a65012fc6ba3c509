//! A peer's turn: it reads its socket, steps its candidate, and does what that says.

use std::time::Duration;

use elector_core::{Answer, Input, Output, Request, SessionEnd};

use crate::ensemble::{Frame, Packet};
use crate::peer::{Peer, Pending, Told};
use crate::world::{Happening, World};

impl World {
    pub(crate) fn poll(&mut self, peer: usize) {
        if self.peers[peer].paused_until > self.now {
            return self.poll_soon(peer);
        }
        let mut told = false;
        loop {
            if let Some(pending) = self.peers[peer].pending.pop_front() {
                match pending {
                    Pending::Tell(input) => self.feed(peer, input),
                    Pending::Gone => self.gone(peer),
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
            if wake(&self.peers[peer], self.now).is_some_and(|at| at <= self.now) {
                self.fail(format!("{peer} wants to be woken again and again"));
            }
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
            return self.lose_connection(peer);
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
                if who.session.replace(session).is_some_and(|before| before != session) {
                    who.watches.clear();
                    who.closing = false;
                }
                let (connect_sent, closing) = (who.connect_sent, who.closing);
                let timeout = Duration::from_millis(self.timeout);
                let taken_back = self.random.one_in(8); // as far as the peer can tell
                self.feed(peer, Input::Attached { connection, session, timeout, connect_sent, taken_back });
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
            Frame::Reply { id, outcome } => {
                let Some(sent) = who.asked.remove(&id).flatten() else { return };
                // Only a read that found something leaves a watch behind.
                if let Ok(Answer::Node { .. }) = outcome {
                    who.watches.insert(String::new());
                }
                self.feed(peer, Input::Reply { id, connection, sent, received, outcome });
            }
        }
    }

    fn session_ends(&mut self, peer: usize, end: SessionEnd) {
        self.note(format!("{peer} hears that its session is over: {end:?}"));
        if let Some(connection) = self.peers[peer].connection {
            self.ensemble.connection(connection).open = false;
        }
        let who = &mut self.peers[peer];
        who.detach();
        (who.session, who.closing) = (None, false);
        who.watches.clear();
        who.pending.push_back(Pending::Tell(Input::SessionEnded(end)));
        self.within(10, 500, Happening::Connect(peer));
    }

    fn gone(&mut self, peer: usize) {
        for (id, sent) in std::mem::take(&mut self.peers[peer].asked) {
            self.feed(peer, Input::Unanswered { id, sent: sent.is_some() });
        }
        if !self.peers[peer].asked.is_empty() {
            self.fail(format!("{peer} asks on a connection that is ending"));
        }
        self.feed(peer, Input::Detached);
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
                    if let Request::Watch { nearest, others } = &request {
                        who.watches.extend(nearest.iter().chain(others).cloned());
                    }
                    self.send_up(peer, Packet::Ask(id, request));
                } else if !who.pending.iter().any(|next| matches!(next, Pending::Gone)) {
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
            Output::GiveUpConnection => self.lose_connection(peer),
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

    pub(crate) fn withdraw(&mut self, peer: usize) {
        self.peers[peer].told = Told::Nothing;
        self.peers[peer].resting = false;
        self.peers[peer].pending.push_back(Pending::Tell(Input::Withdraw));
        self.poll_soon(peer);
    }
}
