//! The quorum's state: one tree, its sessions, and the connections that servers hold for them.

use std::collections::{BTreeMap, BTreeSet};

use elector_core::{Answer, Change, Refusal, Request, RequestId};

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) owner: i64,
    pub(crate) czxid: i64,
}

/// The children of the election path; in layout `single` the path itself, by its empty name.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) zxid: i64,
    parent: bool,
    next_number: u32,
}

/// What a server tells a client.
#[derive(Debug, Clone)]
pub(crate) enum Frame {
    Connected { session: i64 },
    Expired,
    Restored,
    Closed,
    Reply { id: RequestId, outcome: Result<Answer, Refusal> },
    Event { name: String, change: Change },
    Pong,
}

/// What a client tells a server.
#[derive(Debug, Clone)]
pub(crate) enum Packet {
    Ask(RequestId, Request),
    SetWatches { names: Vec<String> },
    Ping,
    Close,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: usize,
    pub(crate) session: i64,
    /// The client has not abandoned it.
    pub(crate) open: bool,
    /// The server is cut off from its peers and sees this state for ever.
    pub(crate) cut: Option<Tree>,
    watches: BTreeSet<String>,
    /// Both directions keep their order.
    pub(crate) up: u64,
    pub(crate) down: u64,
    /// Every frame takes so much longer.
    pub(crate) slow: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Ensemble {
    pub(crate) tree: Tree,
    /// Live sessions, and when the quorum leader last heard of each.
    pub(crate) sessions: BTreeMap<i64, u64>,
    pub(crate) connections: BTreeMap<u64, Connection>,
    last_session: i64,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree { nodes: BTreeMap::new(), zxid: 1 << 32, parent: false, next_number: 0 }
    }
}

impl Tree {
    pub(crate) fn lowest(&self) -> Option<&Node> {
        // Sequence numbers and creation zxids agree.
        self.nodes.values().min_by_key(|node| node.czxid)
    }

    /// An empty container goes away, and its numbers begin again.
    pub(crate) fn reap(&mut self) {
        if self.nodes.is_empty() {
            (self.parent, self.next_number) = (false, 0);
        }
    }

    fn read(&self, request: &Request) -> Option<Result<Answer, Refusal>> {
        Some(match request {
            Request::List { .. } if self.parent => Ok(Answer::Listed(self.nodes.keys().cloned().collect())),
            Request::List { .. } => Err(Refusal::NoNode),
            Request::Read { name, .. } => match self.nodes.get(name) {
                Some(node) => Ok(Answer::Node { czxid: node.czxid, owner: node.owner }),
                None => Err(Refusal::NoNode),
            },
            Request::Watch { .. } => Ok(Answer::Done),
            _ => return None,
        })
    }
}

impl Ensemble {
    pub(crate) fn connection(&mut self, number: u64) -> &mut Connection {
        self.connections.get_mut(&number).expect("every connection ever made is kept")
    }

    pub(crate) fn open_session(&mut self, now: u64) -> i64 {
        self.last_session += 1;
        self.sessions.insert(self.last_session, now);
        self.last_session
    }

    pub(crate) fn connect(&mut self, connection: u64, peer: usize, session: i64, cut: bool) {
        let cut = cut.then(|| self.tree.clone());
        let (watches, up, down, slow) = (BTreeSet::new(), 0, 0, 0);
        let opened = Connection { peer, session, open: true, cut, watches, up, down, slow };
        self.connections.insert(connection, opened);
    }

    /// A packet has reached the server. Returns what it sends, to whom, in order.
    pub(crate) fn take(&mut self, connection: u64, packet: Packet) -> Vec<(u64, Frame)> {
        let mut sent = Vec::new();
        match packet {
            Packet::Ping => sent.push((connection, Frame::Pong)),
            Packet::SetWatches { names } => {
                self.watch(connection, &names, &mut sent);
                sent.push((connection, Frame::Restored));
            }
            Packet::Close => {
                if self.connections[&connection].cut.is_none() {
                    let session = self.connections[&connection].session;
                    self.end_session(session, &mut sent);
                    sent.push((connection, Frame::Closed));
                }
            }
            Packet::Ask(id, request) => {
                if let Request::Watch { nearest, others } = &request {
                    let names: Vec<_> = nearest.iter().chain(others).cloned().collect();
                    self.watch(connection, &names, &mut sent);
                }
                if let Some(outcome) = self.answer(connection, &request, &mut sent) {
                    sent.push((connection, Frame::Reply { id, outcome }));
                }
            }
        }
        sent
    }

    fn view(&self, connection: u64) -> &Tree {
        self.connections[&connection].cut.as_ref().unwrap_or(&self.tree)
    }

    /// As `setWatches` does it: what is gone already is told before its reply.
    fn watch(&mut self, connection: u64, names: &[String], sent: &mut Vec<(u64, Frame)>) {
        for name in names {
            if self.view(connection).nodes.contains_key(name) {
                self.connection(connection).watches.insert(name.clone());
            } else {
                sent.push((connection, Frame::Event { name: name.clone(), change: Change::Deleted }));
            }
        }
    }

    fn answer(
        &mut self,
        connection: u64,
        request: &Request,
        sent: &mut Vec<(u64, Frame)>,
    ) -> Option<Result<Answer, Refusal>> {
        if let Some(outcome) = self.view(connection).read(request) {
            if let (Request::Read { name, watch: true }, Ok(_)) = (request, &outcome) {
                self.connection(connection).watches.insert(name.clone());
            }
            return Some(outcome);
        }
        let Connection { session, cut, .. } = &self.connections[&connection];
        if cut.is_some() || !self.sessions.contains_key(session) {
            return None; // no quorum, or a session that the server is about to hang up on
        }
        let owner = *session;
        let tree = &mut self.tree;
        if !matches!(request, Request::Sync) {
            tree.zxid += 1;
        }
        let gone = |there: bool| if there { Ok(Answer::Done) } else { Err(Refusal::NoNode) };
        Some(match request {
            Request::EnsureParents => {
                tree.parent = true;
                Ok(Answer::Done)
            }
            Request::Create { .. } if !tree.parent => Err(Refusal::NoNode),
            Request::Create { name } if name.is_empty() && tree.nodes.contains_key("") => {
                Err(Refusal::NodeExists)
            }
            Request::Create { name } => {
                let name =
                    if name.is_empty() { String::new() } else { format!("{name}{:010}", tree.next_number) };
                tree.next_number += 1;
                let czxid = tree.zxid;
                tree.nodes.insert(name.clone(), Node { owner, czxid });
                Ok(Answer::Created { name, czxid, owner })
            }
            Request::Probe { name } => gone(tree.nodes.contains_key(name)),
            Request::Delete { name } => {
                let there = tree.nodes.contains_key(name);
                self.delete(name, sent);
                gone(there)
            }
            _ => Ok(Answer::Done),
        })
    }

    pub(crate) fn delete(&mut self, name: &str, sent: &mut Vec<(u64, Frame)>) {
        if self.tree.nodes.remove(name).is_none() {
            return;
        }
        for (number, connection) in &mut self.connections {
            if connection.cut.is_none() && connection.watches.remove(name) {
                sent.push((*number, Frame::Event { name: name.to_owned(), change: Change::Deleted }));
            }
        }
    }

    /// A write by somebody else to a znode's data.
    pub(crate) fn touch(&mut self, name: &str, sent: &mut Vec<(u64, Frame)>) {
        for (number, connection) in &mut self.connections {
            if connection.cut.is_none() && connection.watches.remove(name) {
                sent.push((*number, Frame::Event { name: name.to_owned(), change: Change::Touched }));
            }
        }
    }

    /// The session is closed or expired, and everything of its is gone.
    pub(crate) fn end_session(&mut self, session: i64, sent: &mut Vec<(u64, Frame)>) {
        if self.sessions.remove(&session).is_some() {
            self.tree.zxid += 1;
            let owned: Vec<String> = self
                .tree
                .nodes
                .iter()
                .filter(|(_, node)| node.owner == session)
                .map(|(name, _)| name.clone())
                .collect();
            for name in owned {
                self.delete(&name, sent);
            }
        }
    }
}
