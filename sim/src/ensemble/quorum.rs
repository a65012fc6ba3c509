//! Proposals, the sessions' table, and who leads.
//!
//! Invariant: what a quorum has acknowledged is in the log for ever, and zxids rise over all epochs. The one
//! that leads without a quorum (`Deposed`) changes nothing but its own table.

use std::collections::BTreeMap;
use std::rc::Rc;

use zk_wire::Request;

use super::server::{Standing, txn};
use super::{Answer, Asker, Change, Ensemble, InFlight, Later, SERVERS, SYNC_LIMIT, Tree};
use crate::MS;
use crate::record::{Sight, What};
use crate::service::{Cause, Conn, Sink};

/// What leading takes.
pub(crate) struct Quorum {
    pub(crate) leader: Option<usize>,
    pub(crate) epoch: u64,
    pub(crate) committed: Tree,
    /// The committed with all that is proposed.
    head: Tree,
    in_flight: InFlight,
    committing_at: u64,
    sessions: BTreeMap<i64, Seat>,
    /// Servers that lead nobody but do not know it yet.
    deposed: BTreeMap<usize, Deposed>,
    /// An election is under way for this epoch.
    electing: u64,
}

/// A session in its leader's table.
#[derive(Debug, Clone)]
struct Seat {
    /// The timeout in force, in nanoseconds.
    timeout: u64,
    deadline: u64,
    /// A shorter one that its client may not have heard of yet: it takes force with the first word of that
    /// connection. That such an answer is lost, where the servers' limits differ, the guarantees exclude.
    shrinks_to: Option<u64>,
    /// The server that may write for it.
    owner: usize,
}

impl Seat {
    /// Its client was heard through this server.
    fn touch(&mut self, server: usize, now: u64) {
        if self.owner == server {
            self.timeout = self.shrinks_to.take().unwrap_or(self.timeout);
        }
        self.deadline = now + self.timeout;
    }
}

/// One that leads nobody but does not know it yet.
struct Deposed {
    epoch: u64,
    sessions: BTreeMap<i64, Seat>,
}

impl Quorum {
    /// Whether it hears of this session's client, so that no deposed leader alone answers that.
    pub(super) fn hears_of(&self, session: i64, now: u64) -> bool {
        self.sessions.get(&session).is_some_and(|seat| seat.deadline >= now + seat.timeout / 2)
    }

    pub(crate) fn new(leader: usize) -> Quorum {
        let mut tree = Tree::default();
        tree.zxid = 1 << 32;
        Quorum {
            leader: Some(leader),
            epoch: 1,
            committed: tree.clone(),
            head: tree,
            in_flight: InFlight::default(),
            committing_at: 0,
            sessions: BTreeMap::new(),
            deposed: BTreeMap::new(),
            electing: 0,
        }
    }

    /// Whether this server takes itself for the leader of this epoch.
    pub(crate) fn leads(&self, server: usize, epoch: u64) -> bool {
        (self.leader == Some(server) && self.epoch == epoch) || self.is_deposed(server, epoch)
    }

    fn is_deposed(&self, server: usize, epoch: u64) -> bool {
        self.deposed.get(&server).is_some_and(|d| d.epoch == epoch)
    }

    /// A leader, deposed or not, heard from the session itself.
    pub(crate) fn touch(&mut self, server: usize, session: i64, sink: &mut Sink<'_>) {
        match self.deposed.get_mut(&server) {
            Some(deposed) => {
                if let Some(seat) = deposed.sessions.get_mut(&session) {
                    seat.touch(server, sink.now);
                }
            }
            None => self.touch_quietly(server, session, sink),
        }
    }

    pub(crate) fn touch_quietly(&mut self, server: usize, session: i64, sink: &mut Sink<'_>) {
        let epoch = self.epoch;
        if let Some(seat) = self.sessions.get_mut(&session) {
            seat.touch(server, sink.now);
            sink.after(seat.timeout, Later::Expire { session, epoch });
        }
    }
}

impl Ensemble {
    /// Something planned has come about.
    pub(crate) fn happen(&mut self, later: Later, sink: &mut Sink<'_>) {
        let Some(later) = self.hold_up(later) else { return };
        match later {
            Later::Open { from, timeout_ms } => self.propose_open(from, timeout_ms, sink),
            Later::Propose { from, request } => self.propose_write(from, request, sink),
            Later::CaughtUp { server, conn, xid, path, .. } => self.caught_up(server, conn, xid, path, sink),
            Later::Commit { epoch } => self.commit(epoch, sink),
            Later::Apply { server, up_to } => {
                if self.is_fed(server) {
                    self.apply(server, up_to, sink);
                }
            }
            Later::Report { server } => self.report(server, sink),
            Later::Expire { session, epoch } => self.expire(session, epoch, sink),
            Later::Revalidate { from, timeout_ms } => self.revalidate(from, timeout_ms, sink),
            Later::GiveUp { server, epoch } => {
                let alone = self.servers[server].cut || self.quorum.leader.is_none();
                if self.servers[server].epoch() == epoch && (alone || epoch < self.quorum.epoch) {
                    self.give_up(server, sink);
                }
            }
            Later::Notice { epoch } => self.notice(epoch, sink),
            Later::Elect { epoch } => self.elect(epoch, sink),
            Later::Rejoin { server } => self.rejoin(server, sink),
            Later::Synced { .. } | Later::Sweep { .. } | Later::Start { .. } => {}
        }
    }

    /// Whether the quorum leader's words reach this server.
    fn is_fed(&self, server: usize) -> bool {
        let at = &self.servers[server];
        self.quorum.leader.is_some() && !at.cut && at.standing == Standing::Serving(self.quorum.epoch)
    }

    /// Keeps back what passes between the quorum leader and a server that was cut off from it while neither has
    /// noticed: it is one connection, on which nothing is lost while it lasts.
    fn hold_up(&mut self, later: Later) -> Option<Later> {
        let (server, epoch) = match &later {
            Later::Propose { from, .. } | Later::Open { from, .. } | Later::Revalidate { from, .. } => {
                (from.server, from.epoch)
            }
            Later::CaughtUp { server, epoch, .. } => (*server, *epoch),
            _ => return Some(later),
        };
        let leads = self.quorum.leads(server, epoch);
        let at = &mut self.servers[server];
        if leads || !at.held_up || at.standing != Standing::Serving(epoch) {
            return Some(later);
        }
        at.held.push(later);
        None
    }

    fn propose_write(&mut self, from: Asker, request: Request, sink: &mut Sink<'_>) {
        let Asker { server, conn, xid, session, epoch } = from;
        if let Request::Sync { path } = request {
            // One that only takes itself for the leader answers at once, for nothing is outstanding.
            if self.quorum.is_deposed(server, epoch) {
                sink.saw(Sight::AloneSync);
                self.caught_up(server, conn, xid, path, sink);
            } else if self.reaches_leader(server, epoch) {
                let up_to = self.log.len();
                let then = self.deliver(server, up_to, sink);
                sink.later.push((then, Later::CaughtUp { server, epoch, conn, xid, path }));
            }
            return;
        }
        if !self.reaches_leader(server, epoch) {
            return; // lost on the way, or never to be committed
        }
        match self.quorum.sessions.get(&session) {
            Some(seat) if seat.owner == server => {}
            // Moved, or over: the old server learns it and hangs up.
            _ => return self.hang_up(conn, sink),
        }
        let (change, answer) = self.quorum.head.judge(request, session);
        self.propose(change, answer, Some((server, conn, xid)), Cause::Asked, sink);
    }

    fn reaches_leader(&self, server: usize, epoch: u64) -> bool {
        self.quorum.epoch == epoch && self.is_fed(server)
    }

    fn propose_open(&mut self, from: Asker, timeout_ms: i32, sink: &mut Sink<'_>) {
        let Asker { server, conn, xid, session, epoch } = from;
        if self.reaches_leader(server, epoch) {
            let timeout = timeout_ms as u64 * MS;
            let seat = Seat { timeout, deadline: sink.now + timeout, shrinks_to: None, owner: server };
            self.quorum.sessions.insert(session, seat);
            sink.after(timeout, Later::Expire { session, epoch });
            let change = Change::Open { session, timeout_ms };
            self.propose(change, Answer::Done, Some((server, conn, xid)), Cause::Asked, sink);
        }
    }

    fn propose(
        &mut self,
        change: Change,
        answer: Answer,
        origin: Option<(usize, Conn, i32)>,
        cause: Cause,
        sink: &mut Sink<'_>,
    ) {
        let quorum = &mut self.quorum;
        let zxid = quorum.head.zxid + 1;
        quorum.head.apply(zxid, &change);
        if let Change::Close { session } = change {
            quorum.sessions.remove(&session);
        }
        let mut txn = txn(zxid, change, answer);
        (txn.origin, txn.cause) = (origin, cause);
        quorum.in_flight.0.push_back(Rc::new(txn));
        quorum.committing_at = quorum.committing_at.max(sink.now + sink.random.ms(1, 8));
        sink.later.push((quorum.committing_at, Later::Commit { epoch: quorum.epoch }));
    }

    /// An operator, or somebody else's client, changes something.
    pub(crate) fn meddle(&mut self, request: Request, session: i64, sink: &mut Sink<'_>) {
        if self.quorum.leader.is_none() {
            return;
        }
        let (change, answer) = self.quorum.head.judge(request, session);
        self.propose(change, answer, None, Cause::Meddled, sink);
    }

    fn commit(&mut self, epoch: u64, sink: &mut Sink<'_>) {
        if self.quorum.epoch != epoch || self.quorum.leader.is_none() {
            return;
        }
        let Some(txn) = self.quorum.in_flight.0.pop_front() else { return };
        self.log_it(&txn, sink);
        self.log.push(txn);
        let up_to = self.log.len();
        for server in 0..SERVERS {
            if self.is_fed(server) {
                self.deliver(server, up_to, sink);
            }
        }
    }

    fn log_it(&mut self, txn: &super::Txn, sink: &mut Sink<'_>) {
        let committed = &mut self.quorum.committed;
        let gone = match &txn.change {
            Change::Delete { path } => committed.node(path).map(|node| node.czxid).into_iter().collect(),
            Change::Close { session } => {
                sink.note(What::SessionOver, *session as u64, txn.cause as u64);
                committed.owned(*session).into_iter().map(|(_, czxid)| czxid).collect()
            }
            _ => Vec::new(),
        };
        if let Change::Create { owner, .. } = &txn.change
            && *owner != 0
        {
            sink.note(What::Enrolled, txn.zxid as u64, *owner as u64);
        }
        for czxid in &gone {
            sink.note(What::Gone, *czxid as u64, txn.cause as u64);
        }
        sink.gone.extend(gone.into_iter().map(|czxid| (czxid, txn.cause)));
        committed.apply(txn.zxid, &txn.change);
    }

    /// The leader applies at once, the others a little later, in order. Returns when.
    fn deliver(&mut self, server: usize, up_to: usize, sink: &mut Sink<'_>) -> u64 {
        let own = self.quorum.leader == Some(server);
        let at = &mut self.servers[server];
        let way = if own { 0 } else { sink.random.ms(0, 6) + at.lag };
        at.applied_at = at.applied_at.max(sink.now + way);
        sink.later.push((at.applied_at, Later::Apply { server, up_to }));
        at.applied_at
    }

    // Sessions.

    fn expire(&mut self, session: i64, epoch: u64, sink: &mut Sink<'_>) {
        if self.quorum.epoch != epoch || self.quorum.leader.is_none() {
            return;
        }
        let due = self.quorum.sessions.get(&session).is_some_and(|seat| seat.deadline <= sink.now);
        if due {
            if self.servers.iter().any(|server| server.touched.contains(&session)) {
                sink.saw(Sight::EndedUnreported);
            }
            self.propose(Change::Close { session }, Answer::Done, None, Cause::Expired, sink);
        }
    }

    /// A session is taken back on the word of the one that this server follows; no quorum is asked.
    fn revalidate(&mut self, from: Asker, timeout_ms: i32, sink: &mut Sink<'_>) {
        let Asker { server, conn, session, epoch, .. } = from;
        let reaches = self.reaches_leader(server, epoch);
        let table = match self.quorum.deposed.get_mut(&server) {
            Some(deposed) if deposed.epoch == epoch => {
                if deposed.sessions.contains_key(&session) {
                    sink.saw(Sight::AloneAttach);
                }
                &mut deposed.sessions
            }
            _ if reaches => &mut self.quorum.sessions,
            _ => return,
        };
        let Some(seat) = table.get_mut(&session) else {
            return self.revalidated(conn, session, 0, sink);
        };
        let timeout = timeout_ms as u64 * MS;
        seat.shrinks_to = (timeout < seat.timeout).then_some(timeout);
        seat.timeout = seat.timeout.max(timeout);
        seat.deadline = sink.now + seat.timeout;
        if seat.owner != server && seat.owner != usize::MAX {
            sink.saw(Sight::Moved);
        }
        seat.owner = server;
        // What it was heard of before is no word of this connection.
        self.servers[server].touched.remove(&session);
        sink.after(seat.timeout, Later::Expire { session, epoch });
        self.revalidated(conn, session, timeout_ms, sink);
    }

    // Who leads.

    /// Cuts a server off from its peers, or ends that.
    pub(crate) fn cut(&mut self, server: usize, sink: &mut Sink<'_>) {
        (self.servers[server].cut, self.servers[server].held_up) = (true, true);
        let epoch = self.servers[server].epoch();
        let patience = sink.random.below(SYNC_LIMIT * self.tick);
        sink.after(patience, Later::GiveUp { server, epoch });
        if self.quorum.leader == Some(server) {
            self.depose(server, sink);
        } else if self.reachable() * 2 <= SERVERS {
            self.lose_quorum(sink);
        }
    }

    pub(crate) fn heal(&mut self, server: usize, sink: &mut Sink<'_>) {
        self.servers[server].cut = false;
        // The pings that were held up come first, before anything that is committed from now on.
        self.tell_of_sessions(server, sink);
        let way = sink.random.ms(50, 500);
        sink.after(way, Later::Rejoin { server });
    }

    pub(crate) fn crash(&mut self, server: usize, sink: &mut Sink<'_>) {
        self.drop_clients(server, sink);
        self.servers[server].standing = Standing::Down;
        self.quorum.deposed.remove(&server);
        if self.quorum.leader == Some(server) {
            // Its connections end with it: the others see that at once.
            self.quorum.leader = None;
            let way = sink.random.ms(10, 300);
            sink.after(way, Later::Notice { epoch: self.quorum.epoch });
        } else if self.reachable() * 2 <= SERVERS {
            self.lose_quorum(sink);
        }
    }

    pub(crate) fn restart(&mut self, server: usize, sink: &mut Sink<'_>) {
        if self.servers[server].standing == Standing::Down {
            self.servers[server].standing = Standing::Looking;
            let way = sink.random.ms(100, 800);
            sink.after(way, Later::Rejoin { server });
        }
    }

    /// A follower applies so much later from now on.
    pub(crate) fn slow_down(&mut self, server: usize, lag: u64) {
        self.servers[server].lag = lag;
    }

    /// Nothing keeps the servers apart any more: those who wait for a leader that has none learn it now.
    pub(crate) fn calm_down(&mut self, sink: &mut Sink<'_>) {
        if self.quorum.leader.is_none() {
            let way = sink.random.ms(10, 300);
            sink.after(way, Later::Notice { epoch: self.quorum.epoch });
        }
        for (server, Deposed { epoch, .. }) in &self.quorum.deposed {
            let (server, epoch) = (*server, *epoch);
            let way = sink.random.ms(10, 300);
            sink.after(way, Later::GiveUp { server, epoch });
        }
    }

    fn reachable(&self) -> usize {
        self.servers.iter().filter(|s| !s.cut && s.standing != Standing::Down).count()
    }

    fn lose_quorum(&mut self, sink: &mut Sink<'_>) {
        if let Some(leader) = self.quorum.leader {
            let epoch = self.quorum.epoch;
            let patience = sink.random.below(SYNC_LIMIT * self.tick);
            sink.after(patience, Later::GiveUp { server: leader, epoch });
            self.depose(leader, sink);
        }
    }

    /// The leader does not lead any more, and does not know it.
    fn depose(&mut self, server: usize, sink: &mut Sink<'_>) {
        let (epoch, sessions) = (self.quorum.epoch, self.quorum.sessions.clone());
        self.quorum.deposed.insert(server, Deposed { epoch, sessions });
        sink.note(What::Deposed, server as u64, epoch);
        self.quorum.leader = None;
        let longest = SYNC_LIMIT * self.tick;
        let way = if sink.random.one_in(2) { sink.random.ms(20, 300) } else { sink.random.below(longest) };
        sink.after(way, Later::Notice { epoch: self.quorum.epoch });
    }

    /// Those who followed look for another one.
    fn notice(&mut self, epoch: u64, sink: &mut Sink<'_>) {
        for server in 0..SERVERS {
            if self.servers[server].epoch() == epoch && !self.quorum.is_deposed(server, epoch) {
                self.give_up(server, sink);
            }
        }
        if self.quorum.leader.is_none() && self.quorum.epoch == epoch {
            self.call_election(sink);
        }
    }

    fn give_up(&mut self, server: usize, sink: &mut Sink<'_>) {
        self.drop_clients(server, sink);
        self.servers[server].standing = Standing::Looking;
        if let Some(deposed) = self.quorum.deposed.remove(&server) {
            // Those who still wait for its word see its connections end.
            let way = sink.random.ms(10, 300);
            sink.after(way, Later::Notice { epoch: deposed.epoch });
        }
        if !self.servers[server].cut {
            let way = sink.random.ms(50, 400);
            sink.after(way, Later::Rejoin { server });
        }
    }

    fn call_election(&mut self, sink: &mut Sink<'_>) {
        self.quorum.electing = self.quorum.epoch + 1;
        let way = sink.random.ms(100, 1_200);
        sink.after(way, Later::Elect { epoch: self.quorum.electing });
    }

    fn elect(&mut self, epoch: u64, sink: &mut Sink<'_>) {
        let able = |s: &super::Server| !s.cut && s.standing == Standing::Looking;
        let able: Vec<usize> = (0..SERVERS).filter(|s| able(&self.servers[*s])).collect();
        // Nobody leads twice in one epoch: of two elections that were called at a time one comes too late.
        let is_called = self.quorum.electing == epoch && self.quorum.epoch < epoch;
        if self.quorum.leader.is_some() || !is_called || able.len() * 2 <= SERVERS {
            return;
        }
        // Of what was proposed, the first few may have reached the one that is elected.
        let kept = sink.random.below(self.quorum.in_flight.0.len() as u64 + 1);
        let proposed: Vec<_> = std::mem::take(&mut self.quorum.in_flight.0).into_iter().collect();
        (kept as usize..proposed.len()).for_each(|_| sink.saw(Sight::ProposalLost));
        for txn in proposed.into_iter().take(kept as usize) {
            sink.saw(Sight::ProposalKept);
            self.log_it(&txn, sink);
            self.log.push(txn);
        }
        let leader = sink.random.pick(&able);
        let quorum = &mut self.quorum;
        quorum.epoch = epoch;
        quorum.leader = Some(leader);
        quorum.committed.zxid = ((epoch as i64) << 32).max(quorum.committed.zxid);
        quorum.head = quorum.committed.clone();
        quorum.committing_at = sink.now;
        let before = std::mem::take(&mut quorum.sessions);
        let sessions = quorum.committed.sessions.iter();
        quorum.sessions = sessions
            .map(|(session, created_ms)| {
                let timeout = *created_ms as u64 * MS;
                if before.get(session).is_some_and(|seat| seat.timeout != timeout) {
                    sink.saw(Sight::CreatedTimeout);
                }
                sink.later.push((sink.now + timeout, Later::Expire { session: *session, epoch }));
                (
                    *session,
                    Seat { timeout, deadline: sink.now + timeout, shrinks_to: None, owner: usize::MAX },
                )
            })
            .collect();
        sink.note(What::QuorumLeader, leader as u64, epoch);
        for server in able {
            self.serve(server, sink);
        }
    }

    fn serve(&mut self, server: usize, sink: &mut Sink<'_>) {
        self.servers[server].standing = Standing::Serving(self.quorum.epoch);
        self.servers[server].forget_leader();
        self.apply(server, self.log.len(), sink);
        let zxid = self.quorum.committed.zxid;
        if self.servers[server].applied == self.log.len() {
            self.servers[server].tree.zxid = zxid;
        }
    }

    /// A server that has its peers again: follows, or calls for an election.
    fn rejoin(&mut self, server: usize, sink: &mut Sink<'_>) {
        let at = &self.servers[server];
        if at.cut || at.standing == Standing::Down {
            return;
        }
        match self.quorum.leader {
            // It was back before it had noticed anything: what it missed comes now.
            Some(_) if at.standing == Standing::Serving(self.quorum.epoch) => {
                let then = self.deliver(server, self.log.len(), sink);
                self.servers[server].held_up = false;
                let held = std::mem::take(&mut self.servers[server].held);
                for later in held {
                    sink.saw(Sight::HeldUp);
                    // An answer comes behind what was committed before it.
                    let at = if matches!(later, Later::CaughtUp { .. }) { then } else { sink.now };
                    sink.later.push((at, later));
                }
            }
            Some(_) => {
                if at.is_serving() {
                    self.give_up(server, sink);
                } else {
                    self.serve(server, sink);
                }
            }
            None => {
                // A deposed one that hears its peers again learns at once that they have left it.
                if at.is_serving() {
                    self.give_up(server, sink);
                }
                self.call_election(sink);
            }
        }
    }
}
