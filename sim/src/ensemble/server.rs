//! One server's side of its connections: requests in their order, reads of its own, watches.
//!
//! Invariant: on one connection answers come in the order of requests (pings apart), and the event of a
//! change comes before any answer that shows it.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use zk_wire::{ConnectRequest, ErrorCode, EventKind, Request, RequestHeader, Response, op, xid};

use super::{Answer, Asker, Change, Ensemble, Later, Tree, Txn, Watched};
use crate::MS;
use crate::record::{Sight, What};
use crate::service::{Conn, Down, Sink, password};

/// What a server is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It follows, or is, the leader of this epoch, or was when it last heard from it.
    Serving(u64),
    /// It has no leader and no clients.
    Looking,
    Down,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) standing: Standing,
    /// It cannot reach its peers.
    pub(crate) cut: bool,
    /// What waits to pass between it and its quorum leader, in order, while nothing does since it was cut off.
    pub(crate) held: Option<Vec<Later>>,
    pub(crate) applied: usize,
    pub(crate) tree: Tree,
    /// Sessions heard from since the last report.
    pub(crate) touched: BTreeSet<i64>,
    /// It applies what it is told so much later.
    pub(crate) lag: u64,
    /// When the last of what it was told is applied.
    pub(crate) applied_at: u64,
    /// When the last of what it forwarded reaches the quorum leader.
    forwarded_at: u64,
}

/// A connection, as its server knows it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) server: usize,
    pub(crate) session: Option<i64>,
    greeted: bool,
    /// The server has told the client that it has its session.
    pub(crate) attached: bool,
    queue: VecDeque<Waiting>,
    watched: Watched,
}

#[derive(Debug)]
struct Waiting {
    xid: i32,
    op: i32,
    state: State,
}

#[derive(Debug)]
enum State {
    /// A read: answered when its turn comes.
    Read(Request),
    /// A write that is on its way.
    Sent,
    Done(Result<Response, ErrorCode>, i64),
    /// A new session that is on its way.
    Greeting,
}

impl Server {
    pub(crate) fn following(epoch: u64) -> Server {
        Server {
            standing: Standing::Serving(epoch),
            cut: false,
            held: None,
            applied: 0,
            tree: Tree::default(),
            touched: BTreeSet::new(),
            lag: 0,
            applied_at: 0,
            forwarded_at: 0,
        }
    }

    pub(crate) fn is_serving(&self) -> bool {
        matches!(self.standing, Standing::Serving(_))
    }

    /// The connection to its quorum leader is another one now, or none: what was to pass on it is gone.
    pub(super) fn forget_leader(&mut self) {
        self.touched.clear();
        self.held = None;
    }

    pub(crate) fn epoch(&self) -> u64 {
        match self.standing {
            Standing::Serving(epoch) => epoch,
            Standing::Looking | Standing::Down => 0,
        }
    }
}

impl Ensemble {
    /// A connection was made.
    pub(crate) fn open(&mut self, conn: Conn, server: usize, sink: &mut Sink<'_>) {
        if !self.servers[server].is_serving() {
            return sink.down.push((conn, Down::Hangup));
        }
        let (queue, watched) = (VecDeque::new(), Watched::default());
        self.links
            .insert(conn, Link { server, session: None, greeted: false, attached: false, queue, watched });
    }

    /// The client's end of it is gone.
    pub(crate) fn closed(&mut self, conn: Conn) {
        self.links.remove(&conn);
    }

    pub(super) fn hang_up(&mut self, conn: Conn, sink: &mut Sink<'_>) {
        if self.links.remove(&conn).is_some() {
            sink.down.push((conn, Down::Hangup));
        }
    }

    /// The server has no business with clients any more.
    pub(super) fn drop_clients(&mut self, server: usize, sink: &mut Sink<'_>) {
        let all = self.links.iter().filter(|(_, link)| link.server == server);
        for conn in all.map(|(conn, _)| *conn).collect::<Vec<_>>() {
            self.hang_up(conn, sink);
        }
        self.servers[server].forget_leader();
    }

    /// A frame of a client.
    pub(crate) fn receive(&mut self, conn: Conn, frame: &[u8], sink: &mut Sink<'_>) {
        let Some(link) = self.links.get(&conn) else { return };
        if !link.greeted {
            return match ConnectRequest::decode(frame) {
                Ok(request) => self.greet(conn, &request, sink),
                Err(_) => self.hang_up(conn, sink),
            };
        }
        let (server, session) = (link.server, link.session.unwrap_or(0));
        self.heard_from(server, session, sink);
        let Ok((header, body)) = RequestHeader::decode(frame) else { return self.hang_up(conn, sink) };
        let Ok(request) = Request::decode(header.op, body) else { return self.hang_up(conn, sink) };
        let zxid = self.servers[server].tree.zxid;
        match request {
            Request::Ping => {
                if self.is_alone(server) {
                    sink.saw(Sight::AlonePing);
                }
                sink.reply(conn, xid::PING, zxid, &Ok(Response::Empty));
            }
            Request::Create { .. }
            | Request::Create2 { .. }
            | Request::Delete { .. }
            | Request::SetData { .. }
            | Request::Multi(_)
            | Request::Sync { .. }
            | Request::Close => {
                self.wait(conn, header, State::Sent);
                let epoch = self.servers[server].epoch();
                let from = Asker { server, conn, xid: header.xid, session, epoch };
                self.forward(from, sink, |from| Later::Propose { from, request });
            }
            read => {
                self.wait(conn, header, State::Read(read));
                self.answer_what_can_be(conn, sink);
            }
        }
    }

    fn wait(&mut self, conn: Conn, header: RequestHeader, state: State) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.queue.push_back(Waiting { xid: header.xid, op: header.op, state });
        }
    }

    fn greet(&mut self, conn: Conn, request: &ConnectRequest, sink: &mut Sink<'_>) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        let server = link.server;
        if request.last_zxid_seen > self.servers[server].tree.zxid {
            sink.saw(Sight::Behind);
            return self.hang_up(conn, sink);
        }
        link.greeted = true;
        let timeout_ms =
            request.timeout_ms.clamp(self.least_ms[server], self.most_ms.max(self.least_ms[server]));
        let epoch = self.servers[server].epoch();
        let session = request.session_id;
        if session != 0 {
            if request.password.expose() != password(session) {
                sink.connected(conn, 0, 0);
                return self.hang_up(conn, sink);
            }
            link.session = Some(session);
            let from = Asker { server, conn, xid: 0, session, epoch };
            return self.forward(from, sink, |from| Later::Revalidate { from, timeout_ms });
        }
        self.last_sessions[server] += 1;
        let session = (server as i64 + 1) << 56 | self.last_sessions[server];
        link.session = Some(session);
        link.queue.push_back(Waiting { xid: 0, op: op::CLOSE, state: State::Greeting });
        let from = Asker { server, conn, xid: 0, session, epoch };
        self.forward(from, sink, |from| Later::Open { from, timeout_ms });
    }

    /// Asks the quorum leader for something, in order.
    fn forward(&mut self, from: Asker, sink: &mut Sink<'_>, what: impl FnOnce(Asker) -> Later) {
        let way = if self.quorum.leads(from.server, from.epoch) { 0 } else { sink.random.ms(0, 4) };
        let at = &mut self.servers[from.server].forwarded_at;
        *at = (*at).max(sink.now + way);
        sink.later.push((*at, what(from)));
    }

    /// Whoever leads has judged a session that was asked for; 0 if it is gone.
    pub(super) fn revalidated(&mut self, conn: Conn, session: i64, timeout_ms: i32, sink: &mut Sink<'_>) {
        if timeout_ms == 0 {
            sink.connected(conn, 0, 0);
            return self.hang_up(conn, sink);
        }
        let Some(link) = self.links.get(&conn) else { return };
        // The server's own earlier connection of this session goes.
        let same = |l: &Link| l.server == link.server && l.session == Some(session);
        let before: Vec<Conn> = self
            .links
            .iter()
            .filter(|(other, l)| **other != conn && same(l))
            .map(|(other, _)| *other)
            .collect();
        for other in before {
            self.hang_up(other, sink);
        }
        if let Some(link) = self.links.get_mut(&conn) {
            link.attached = true;
        }
        sink.connected(conn, session, timeout_ms);
    }

    /// Answers from the front of the queue as far as answers are there.
    pub(super) fn answer_what_can_be(&mut self, conn: Conn, sink: &mut Sink<'_>) {
        let Some(alone) = self.links.get(&conn).map(|link| self.is_alone(link.server)) else { return };
        while let Some(link) = self.links.get_mut(&conn) {
            let tree = &self.servers[link.server].tree;
            let Some(front) = link.queue.front() else { return };
            let closes = front.op == op::CLOSE;
            let (xid, outcome, zxid) = match &front.state {
                State::Sent | State::Greeting => return,
                State::Done(outcome, zxid) => (front.xid, outcome.clone(), *zxid),
                State::Read(request) => {
                    let outcome = tree.read(request);
                    if tree.zxid < self.quorum.committed.zxid {
                        sink.saw(Sight::StaleRead);
                    }
                    if alone {
                        sink.saw(Sight::AloneRead);
                    }
                    link.watched.remember(request, &outcome, tree, conn, sink);
                    (front.xid, outcome, tree.zxid)
                }
            };
            link.queue.pop_front();
            sink.reply(conn, xid, zxid, &outcome);
            if closes {
                self.hang_up(conn, sink);
            }
        }
    }

    /// The answer to a write or a sync of this connection, whose turn may not have come.
    pub(super) fn settle(
        &mut self,
        conn: Conn,
        xid: i32,
        outcome: Result<Response, ErrorCode>,
        zxid: i64,
        sink: &mut Sink<'_>,
    ) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        let sent = |waiting: &&mut Waiting| waiting.xid == xid && matches!(waiting.state, State::Sent);
        if let Some(waiting) = link.queue.iter_mut().find(sent) {
            waiting.state = State::Done(outcome, zxid);
        }
        self.answer_what_can_be(conn, sink);
    }

    /// A server takes in what was committed.
    pub(super) fn apply(&mut self, server: usize, up_to: usize, sink: &mut Sink<'_>) {
        while self.servers[server].applied < up_to.min(self.log.len()) {
            let at = self.servers[server].applied;
            let txn = Rc::clone(&self.log[at]);
            let at_server = &mut self.servers[server];
            at_server.applied += 1;
            let events = at_server.tree.apply(txn.zxid, &txn.change);
            self.tell_watchers(server, &events, sink);
            self.answer_here(server, &txn, sink);
            if let Change::Close { session } = txn.change {
                let of_it =
                    self.links.iter().filter(|(_, l)| l.server == server && l.session == Some(session));
                for conn in of_it.map(|(conn, _)| *conn).collect::<Vec<_>>() {
                    self.hang_up(conn, sink);
                }
            }
        }
    }

    fn answer_here(&mut self, server: usize, txn: &Txn, sink: &mut Sink<'_>) {
        let Some((origin, conn, xid)) = txn.origin else { return };
        if origin != server {
            return;
        }
        if let Change::Open { session, timeout_ms } = txn.change {
            let Some(link) = self.links.get_mut(&conn) else { return };
            if matches!(link.queue.front().map(|w| &w.state), Some(State::Greeting)) {
                link.queue.pop_front();
                link.attached = true;
                sink.note(What::SessionMade, session as u64, timeout_ms as u64);
                sink.connected(conn, session, timeout_ms);
            }
            return;
        }
        let outcome = self.servers[server].tree.answer(&txn.answer);
        self.settle(conn, xid, outcome, txn.zxid, sink);
    }

    fn tell_watchers(&mut self, server: usize, events: &[(EventKind, String)], sink: &mut Sink<'_>) {
        for (kind, path) in events {
            for (conn, link) in self.links.iter_mut().filter(|(_, link)| link.server == server) {
                if link.watched.fire(*kind, path) {
                    sink.event(*conn, *kind, path);
                }
            }
        }
    }
}

impl Watched {
    fn remember(
        &mut self,
        request: &Request,
        outcome: &Result<Response, ErrorCode>,
        tree: &Tree,
        conn: Conn,
        sink: &mut Sink<'_>,
    ) {
        match request {
            Request::Exists { path, watch: true } => {
                self.data.insert(path.clone());
            }
            Request::GetData { path, watch: true } if outcome.is_ok() => {
                self.data.insert(path.clone());
            }
            Request::GetChildren { path, watch: true } | Request::GetChildren2 { path, watch: true }
                if outcome.is_ok() =>
            {
                self.child.insert(path.clone());
            }
            Request::SetWatches { relative_zxid, data, exist, child } => {
                for path in data {
                    match tree.missed(path, *relative_zxid) {
                        Some(kind) => sink.event(conn, kind, path),
                        None => {
                            self.data.insert(path.clone());
                        }
                    }
                }
                for path in exist {
                    if tree.node(path).is_some() {
                        sink.event(conn, EventKind::Created, path);
                    } else {
                        self.data.insert(path.clone());
                    }
                }
                for path in child {
                    match tree.missed_by_child_watch(path, *relative_zxid) {
                        Some(kind) => sink.event(conn, kind, path),
                        None => {
                            self.child.insert(path.clone());
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn fire(&mut self, kind: EventKind, path: &str) -> bool {
        match kind {
            EventKind::Created | EventKind::DataChanged => self.data.remove(path),
            EventKind::Deleted => self.data.remove(path) | self.child.remove(path),
            EventKind::ChildrenChanged => self.child.remove(path),
            EventKind::None | EventKind::Unknown(_) => false,
        }
    }
}

impl Ensemble {
    /// Whether no quorum stands behind what this server says.
    fn is_alone(&self, server: usize) -> bool {
        self.servers[server].cut || self.quorum.leader.is_none()
    }

    /// A client's packet keeps its session: at once where the leader itself takes it, else with the next
    /// report.
    fn heard_from(&mut self, server: usize, session: i64, sink: &mut Sink<'_>) {
        if self.quorum.leads(server, self.servers[server].epoch()) {
            self.quorum.touch(server, session, sink);
        } else {
            self.servers[server].touched.insert(session);
        }
    }

    /// The next report of a follower: the leader pings each half tick, and its pings may be late.
    pub(super) fn report(&mut self, server: usize, sink: &mut Sink<'_>) {
        self.tell_of_sessions(server, sink);
        let half = self.tick / 2;
        let next = (sink.now / half + 1) * half + sink.random.below(250 * MS);
        sink.later.push((next, Later::Report { server }));
    }

    /// A ping of the leader reaches a follower, which answers with the sessions that it heard from.
    pub(super) fn tell_of_sessions(&mut self, server: usize, sink: &mut Sink<'_>) {
        let at = &mut self.servers[server];
        if self.quorum.leader.is_some() && !at.cut && at.standing == Standing::Serving(self.quorum.epoch) {
            for session in std::mem::take(&mut at.touched) {
                self.quorum.touch_quietly(server, session, sink);
            }
        }
    }

    /// A sync is done.
    pub(super) fn caught_up(&mut self, from: Asker, path: String, sink: &mut Sink<'_>) {
        let zxid = self.servers[from.server].tree.zxid;
        self.settle(from.conn, from.xid, Ok(Response::Synced { path }), zxid, sink);
    }
}

/// What a write is answered with that its quorum leader has judged.
pub(super) fn txn(zxid: i64, change: Change, answer: Answer) -> Txn {
    Txn { zxid, change, answer, origin: None, cause: crate::service::Cause::Asked }
}
