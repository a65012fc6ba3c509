//! One server, as far as an election goes: the children of its path, sessions, one-shot watches, and the
//! requests that outlived their connection.
//!
//! A model, because a search keeps millions of states and compares them: what it answers and tells is compared
//! with the embedded server's own state by `tests/exhaust.rs`. Its zxids count creates and writes only, so that
//! courses which differ in nothing else meet again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use elector_core::{Answer, Change, Refusal, Request, RequestId};

/// A znode of the election.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Node {
    /// The session that made it.
    pub owner: i64,
    /// When it was made.
    pub czxid: i64,
    /// When it was last written.
    pub mzxid: i64,
}

/// Kinds of watches, in the order in which a server tells of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Also tells of writes.
    Data,
    /// Tells of the znode's end only, since no contender has children.
    Child,
}

/// What a contender's session sends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Packet {
    /// A request of the candidate.
    Ask(RequestId, Request),
    /// The watches that were set on an earlier connection, and up to when all is known of them.
    Restore {
        /// The znodes.
        names: Vec<(Kind, String)>,
        /// The highest zxid up to which everything was told.
        known_at: i64,
    },
    /// The end of the session.
    Close,
}

/// What the server sends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Frame {
    /// The answer to a request, and how far the server was.
    Reply {
        /// The request.
        id: RequestId,
        /// The answer.
        outcome: Result<Answer, Refusal>,
        /// The server's last zxid.
        zxid: i64,
    },
    /// The watches are set again.
    Restored {
        /// The server's last zxid.
        zxid: i64,
    },
    /// A watch fired.
    Event {
        /// The znode.
        name: String,
        /// What happened to it.
        change: Change,
    },
    /// The session was closed as it was asked for.
    Closed,
    /// The server has hung up.
    Hangup,
}

/// Frames, and the contender for which each is.
pub type Sent = Vec<(usize, Frame)>;

/// What a request to watch sets.
pub(crate) fn kinds(nearest: Option<&String>, others: &[String]) -> Vec<(Kind, String)> {
    let nearest = nearest.map(|name| (Kind::Data, name.clone()));
    nearest.into_iter().chain(others.iter().map(|name| (Kind::Child, name.clone()))).collect()
}

/// The server's state.
#[derive(Debug, Clone, Hash)]
pub struct Server {
    nodes: BTreeMap<String, Node>,
    parent: bool,
    next_number: u32,
    zxid: i64,
    sessions: BTreeSet<i64>,
    /// On what, and by whose connection.
    watches: BTreeSet<(Kind, String, usize)>,
    /// Writes that were on their way when their connection died, by contender, with their session.
    late: Vec<VecDeque<(i64, Request)>>,
}

impl Server {
    /// A server without the election path, for so many contenders.
    pub fn new(contenders: usize) -> Server {
        Server {
            nodes: BTreeMap::new(),
            parent: false,
            next_number: 0,
            zxid: 1,
            sessions: BTreeSet::new(),
            watches: BTreeSet::new(),
            late: vec![VecDeque::new(); contenders],
        }
    }

    /// All znodes, in the order in which they were made.
    pub fn in_order(&self) -> Vec<(&str, &Node)> {
        let mut all: Vec<_> = self.nodes.iter().map(|(name, node)| (name.as_str(), node)).collect();
        all.sort_by_key(|(_, node)| node.czxid);
        all
    }

    /// The znode that is entitled to lead.
    pub fn lowest(&self) -> Option<&Node> {
        self.nodes.values().min_by_key(|node| node.czxid)
    }

    /// How many znodes this session owns.
    pub fn owned_by(&self, session: i64) -> usize {
        self.nodes.values().filter(|node| node.owner == session).count()
    }

    /// Creations and writes so far.
    pub fn zxid(&self) -> i64 {
        self.zxid
    }

    pub(crate) fn has_session(&self, session: i64) -> bool {
        self.sessions.contains(&session)
    }

    pub(crate) fn has_parent(&self) -> bool {
        self.parent
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether anything of this contender is still on its way from a dead connection.
    pub(crate) fn has_late(&self, seat: usize) -> bool {
        !self.late[seat].is_empty()
    }

    /// Whether a create of this contender may still arrive.
    pub(crate) fn has_late_create(&self, seat: usize) -> bool {
        self.late[seat].iter().any(|(_, request)| matches!(request, Request::Create { .. }))
    }

    /// A new session.
    pub fn open_session(&mut self, session: i64) {
        self.sessions.insert(session);
    }

    /// Takes the next packet of a contender's connection.
    pub fn take(&mut self, seat: usize, session: i64, packet: Packet) -> Sent {
        let mut sent = Sent::new();
        match packet {
            Packet::Ask(id, request) => {
                if let Request::Watch { nearest, others } = &request {
                    self.watch(seat, &kinds(nearest.as_ref(), others), i64::MAX, &mut sent);
                }
                let outcome = self.answer(seat, session, &request, &mut sent);
                sent.push((seat, Frame::Reply { id, outcome, zxid: self.zxid }));
            }
            Packet::Restore { names, known_at } => {
                self.watch(seat, &names, known_at, &mut sent);
                sent.push((seat, Frame::Restored { zxid: self.zxid }));
            }
            Packet::Close => {
                self.end_session(session, &mut sent);
                sent.push((seat, Frame::Closed));
                self.disconnect(seat);
            }
        }
        sent
    }

    /// A contender's connection is gone. Of what was on its way, `late` may still arrive.
    pub fn disconnect(&mut self, seat: usize) {
        self.watches.retain(|(.., watcher)| *watcher != seat);
    }

    pub(crate) fn keep_late(&mut self, seat: usize, session: i64, packets: impl Iterator<Item = Packet>) {
        let writes = packets.filter_map(|packet| match packet {
            Packet::Ask(_, request @ (Request::Create { .. } | Request::Delete { .. })) => Some(request),
            _ => None,
        });
        self.late[seat].extend(writes.map(|request| (session, request)));
    }

    /// The oldest of what was left of a dead connection arrives; nobody hears the answer.
    pub fn take_late(&mut self, seat: usize) -> (Option<Request>, Sent) {
        let mut sent = Sent::new();
        let late = self.late[seat].pop_front();
        if let Some((session, request)) = &late {
            let _unheard = self.answer(seat, *session, request, &mut sent);
        }
        (late.map(|(_, request)| request), sent)
    }

    pub(crate) fn lose_late(&mut self, seat: usize) {
        self.late[seat].clear();
    }

    /// The session is closed or expired, and everything of it is gone.
    pub fn end_session(&mut self, session: i64, sent: &mut Sent) {
        self.sessions.remove(&session);
        for late in &mut self.late {
            late.retain(|(owner, _)| *owner != session);
        }
        let owned = self.nodes.iter().filter(|(_, node)| node.owner == session);
        let owned: Vec<String> = owned.map(|(name, _)| name.clone()).collect();
        for name in owned {
            self.delete(&name, sent);
        }
    }

    /// Deletes a znode, whoever asks for it; whether it was there.
    pub fn delete(&mut self, name: &str, sent: &mut Sent) -> bool {
        let was_there = self.nodes.remove(name).is_some();
        if was_there {
            self.fire(name, Change::Deleted, sent);
        }
        was_there
    }

    /// Somebody else writes to a znode.
    pub fn touch(&mut self, name: &str, sent: &mut Sent) {
        self.zxid += 1;
        if let Some(node) = self.nodes.get_mut(name) {
            node.mzxid = self.zxid;
            self.fire(name, Change::Touched, sent);
        }
    }

    /// The election path is removed, which must be empty; its numbers will begin again.
    pub fn reap(&mut self) {
        (self.parent, self.next_number) = (false, 0);
    }

    fn fire(&mut self, name: &str, change: Change, sent: &mut Sent) {
        // Whoever has both kinds is told once.
        let mut told = BTreeSet::new();
        self.watches.retain(|(kind, watched, seat)| {
            let fires = watched == name && (*kind == Kind::Data || change == Change::Deleted);
            if fires && told.insert(*seat) {
                sent.push((*seat, Frame::Event { name: name.to_owned(), change }));
            }
            !fires
        });
    }

    /// As setWatches does it: what happened since is told in place of the watch.
    fn watch(&mut self, seat: usize, names: &[(Kind, String)], since: i64, sent: &mut Sent) {
        for (kind, name) in names {
            let missed = match self.nodes.get(name) {
                None => Some(Change::Deleted),
                Some(node) => {
                    // Its children's last change is its own creation.
                    let changed = if *kind == Kind::Data { node.mzxid } else { node.czxid };
                    (changed > since).then_some(Change::Touched)
                }
            };
            match missed {
                Some(change) => sent.push((seat, Frame::Event { name: name.clone(), change })),
                None => {
                    self.watches.insert((*kind, name.clone(), seat));
                }
            }
        }
    }

    fn answer(
        &mut self,
        seat: usize,
        session: i64,
        request: &Request,
        sent: &mut Sent,
    ) -> Result<Answer, Refusal> {
        match request {
            Request::EnsureParents => {
                self.parent = true;
                Ok(Answer::Done)
            }
            Request::Create { name } => self.create(session, name),
            Request::List { .. } if !self.parent => Err(Refusal::NoNode),
            Request::List { .. } => Ok(Answer::Listed(self.nodes.keys().cloned().collect())),
            Request::Read { name, watch } => {
                let node = self.nodes.get(name).ok_or(Refusal::NoNode)?;
                if *watch {
                    self.watches.insert((Kind::Data, name.clone(), seat));
                }
                Ok(Answer::Node { czxid: node.czxid, owner: node.owner })
            }
            Request::Probe { name } if !self.nodes.contains_key(name) => Err(Refusal::NoNode),
            Request::Delete { name } if !self.delete(name, sent) => Err(Refusal::NoNode),
            Request::Probe { .. } | Request::Delete { .. } | Request::Sync | Request::Watch { .. } => {
                Ok(Answer::Done)
            }
        }
    }

    /// Sequential, except for the path itself, which layout `single` makes.
    fn create(&mut self, owner: i64, stem: &str) -> Result<Answer, Refusal> {
        if !self.parent {
            return Err(Refusal::NoNode);
        }
        let name = if stem.is_empty() { String::new() } else { format!("{stem}{:010}", self.next_number) };
        if self.nodes.contains_key(&name) {
            return Err(Refusal::NodeExists);
        }
        self.next_number += 1;
        self.zxid += 1;
        let czxid = self.zxid;
        self.nodes.insert(name.clone(), Node { owner, czxid, mzxid: czxid });
        Ok(Answer::Created { name, czxid, owner })
    }
}
