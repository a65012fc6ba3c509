//! What is proposed and committed, and what passes between the quorum leader and its followers.
//!
//! Invariant: what a quorum has acknowledged is in the log for ever, and zxids rise over all epochs. What passes
//! between two servers comes in order, late perhaps, or their connection ends and with it those of their clients.

use std::collections::BTreeMap;
use std::rc::Rc;

use zk_wire::Request;

use super::server::{Standing, txn};
use super::sessions::Seat;
use super::{Answer, Asker, Change, Ensemble, InFlight, Later, SERVERS, Tree};
use crate::MS;
use crate::record::{Sight, What};
use crate::service::{Cause, Conn, Sink};

/// What leading takes.
pub(crate) struct Quorum {
    pub(crate) leader: Option<usize>,
    pub(crate) epoch: u64,
    pub(crate) committed: Tree,
    /// The committed with all that is proposed.
    pub(super) head: Tree,
    pub(super) in_flight: InFlight,
    pub(super) committing_at: u64,
    pub(super) sessions: BTreeMap<i64, Seat>,
    /// Servers that lead nobody but do not know it yet.
    pub(super) deposed: BTreeMap<usize, Deposed>,
    /// An election is under way for this epoch.
    pub(super) electing: u64,
}

/// One that leads nobody but does not know it yet.
pub(super) struct Deposed {
    pub(super) epoch: u64,
    pub(super) sessions: BTreeMap<i64, Seat>,
}

impl Quorum {
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

    pub(super) fn is_deposed(&self, server: usize, epoch: u64) -> bool {
        self.deposed.get(&server).is_some_and(|d| d.epoch == epoch)
    }
}

impl Ensemble {
    /// Something planned has come about.
    pub(crate) fn happen(&mut self, later: Later, sink: &mut Sink<'_>) {
        let Some(later) = self.hold_up(later) else { return };
        match later {
            Later::Open { from, timeout_ms } => self.propose_open(from, timeout_ms, sink),
            Later::Propose { from, request } => self.propose_write(from, request, sink),
            Later::CaughtUp { from, path } => self.caught_up(from, path, sink),
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
        let (Later::Propose { from, .. }
        | Later::Open { from, .. }
        | Later::Revalidate { from, .. }
        | Later::CaughtUp { from, .. }) = &later
        else {
            return Some(later);
        };
        let leads = self.quorum.leads(from.server, from.epoch);
        let at = &mut self.servers[from.server];
        match &mut at.held {
            Some(held) if !leads && at.standing == Standing::Serving(from.epoch) => held.push(later),
            _ => return Some(later),
        }
        None
    }

    fn propose_write(&mut self, from: Asker, request: Request, sink: &mut Sink<'_>) {
        let Asker { server, conn, xid, session, epoch } = from;
        if let Request::Sync { path } = request {
            // One that only takes itself for the leader answers at once, for nothing is outstanding.
            if self.quorum.is_deposed(server, epoch) {
                sink.saw(Sight::AloneSync);
                self.caught_up(from, path, sink);
            } else if self.reaches_leader(server, epoch) {
                let up_to = self.log.len();
                let then = self.deliver(server, up_to, sink);
                sink.later.push((then, Later::CaughtUp { from, path }));
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

    pub(super) fn reaches_leader(&self, server: usize, epoch: u64) -> bool {
        self.quorum.epoch == epoch && self.is_fed(server)
    }

    fn propose_open(&mut self, from: Asker, timeout_ms: i32, sink: &mut Sink<'_>) {
        let Asker { server, conn, xid, session, epoch } = from;
        if self.reaches_leader(server, epoch) {
            let timeout = timeout_ms as u64 * MS;
            self.quorum.sessions.insert(session, Seat::new(timeout, server, sink.now));
            sink.after(timeout, Later::Expire { session, epoch });
            let change = Change::Open { session, timeout_ms };
            self.propose(change, Answer::Done, Some((server, conn, xid)), Cause::Asked, sink);
        }
    }

    pub(super) fn propose(
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

    pub(super) fn log_it(&mut self, txn: &super::Txn, sink: &mut Sink<'_>) {
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
    pub(super) fn deliver(&mut self, server: usize, up_to: usize, sink: &mut Sink<'_>) -> u64 {
        let own = self.quorum.leader == Some(server);
        let at = &mut self.servers[server];
        let way = if own { 0 } else { sink.random.ms(0, 6) + at.lag };
        at.applied_at = at.applied_at.max(sink.now + way);
        sink.later.push((at.applied_at, Later::Apply { server, up_to }));
        at.applied_at
    }
}
