//! A model of three ZooKeeper servers, with what hurts in practice.
//!
//! A follower answers reads and pings by itself, from what it has applied, also when it is cut off from its
//! peers; it tells the quorum leader of the sessions it heard from only each half tick. A quorum leader that
//! is cut off goes on for a while: it takes sessions back, answers reads, pings and sync, and commits
//! nothing. A session is taken back by the word of whoever leads, without a quorum and outside the order of
//! proposals. A new quorum leader gives every session a full timeout, the one it was created with; what the
//! one before it had proposed may or may not be carried out. Zxids never go back, and a server that is behind
//! what a client has seen hangs up on it.
//!
//! `tree` is the data, `server` one server's side of its connections, `quorum` proposals, `sessions` the leader's
//! table of them, `epochs` who leads. Nothing here knows of contenders.

mod epochs;
mod quorum;
mod server;
mod sessions;
mod tree;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use zk_wire::Request;

use crate::service::{Cause, Conn};
pub(crate) use quorum::Quorum;
use server::{Link, Server};
pub(crate) use tree::Tree;
use tree::{Answer, Change};

/// Servers of the ensemble.
pub(crate) const SERVERS: usize = 3;
/// So many ticks a server goes on without hearing from its peers.
const SYNC_LIMIT: u64 = 5;

/// The whole ensemble.
pub(crate) struct Ensemble {
    /// Nanoseconds.
    tick: u64,
    servers: Vec<Server>,
    links: BTreeMap<Conn, Link>,
    /// What is committed, in order. Servers apply it one after the other.
    log: Vec<Rc<Txn>>,
    quorum: Quorum,
    /// The least timeout that each server grants, in milliseconds.
    least_ms: [i32; SERVERS],
    /// The longest timeout that any server grants unless its least is more, in milliseconds.
    most_ms: i32,
    /// Of each server. Like those of real servers, two sessions that differ in their server only have ids that differ
    /// in the highest byte only.
    last_sessions: [i64; SERVERS],
}

/// One proposal.
#[derive(Debug)]
pub(crate) struct Txn {
    zxid: i64,
    change: Change,
    answer: Answer,
    /// Who asked: the server, the connection and the request's number.
    origin: Option<(usize, Conn, i32)>,
    cause: Cause,
}

/// Who asked the quorum leader for something, and what its server took for the epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    server: usize,
    conn: Conn,
    xid: i32,
    session: i64,
    epoch: u64,
}

/// Something that an ensemble, or a lone server, has planned.
#[derive(Debug)]
pub(crate) enum Later {
    /// A write reaches the quorum leader.
    Propose { from: Asker, request: Request },
    /// A new session is asked for.
    Open { from: Asker, timeout_ms: i32 },
    /// A server has applied what a sync waited for.
    CaughtUp { from: Asker, path: String },
    /// The oldest proposal is acknowledged by a quorum.
    Commit { epoch: u64 },
    /// A server applies the log up to here.
    Apply { server: usize, up_to: usize },
    /// A server tells the quorum leader whom it heard from.
    Report { server: usize },
    /// A session may be due.
    Expire { session: i64, epoch: u64 },
    /// Whoever leads this server is asked whether a session lives.
    Revalidate { from: Asker, timeout_ms: i32 },
    /// A server has been without its peers for too long.
    GiveUp { server: usize, epoch: u64 },
    /// The others have noticed that nobody leads them.
    Notice { epoch: u64 },
    /// An election may be over.
    Elect { epoch: u64 },
    /// A server that is back follows again.
    Rejoin { server: usize },
    /// A lone server: what was written is on disk, and what depends on it goes out.
    Synced { life: u64 },
    /// A lone server: is any session due?
    Sweep { life: u64 },
    /// A lone server: another process opens its directory.
    Start { life: u64 },
}

impl Ensemble {
    /// An ensemble whose first leader is at work. `least_ms` are the servers' minimal session timeouts, `most_ms`
    /// the maximal one.
    pub(crate) fn new(tick: u64, leader: usize, least_ms: [i32; SERVERS], most_ms: i32) -> Ensemble {
        let servers = (0..SERVERS).map(|_| Server::following(1)).collect();
        Ensemble {
            tick,
            servers,
            links: BTreeMap::new(),
            log: Vec::new(),
            quorum: Quorum::new(leader),
            least_ms,
            most_ms,
            last_sessions: [0x1000; SERVERS],
        }
    }

    /// The first reports of the followers.
    pub(crate) fn start(&self) -> Vec<(u64, Later)> {
        (0..SERVERS).map(|server| (self.tick / 2, Later::Report { server })).collect()
    }

    /// What the quorum has committed.
    pub(crate) fn tree(&self) -> &Tree {
        &self.quorum.committed
    }

    pub(crate) fn leader(&self) -> Option<usize> {
        self.quorum.leader
    }

    /// Whether somebody who connects to this server finds it listening.
    pub(crate) fn is_listening(&self, server: usize) -> bool {
        self.servers[server].is_serving()
    }

    /// The session of a connection, for those who forge its end.
    pub(crate) fn session_of(&self, conn: Conn) -> Option<i64> {
        self.links.get(&conn).and_then(|link| link.session)
    }

    /// The same where the client was told that it has it, and the quorum hears of it.
    pub(crate) fn lively_session_of(&self, conn: Conn, now: u64) -> Option<i64> {
        let session = self.links.get(&conn).filter(|link| link.attached)?.session?;
        self.quorum.hears_of(session, now).then_some(session)
    }
}

/// A proposal on its way to the quorum.
#[derive(Debug, Default)]
pub(crate) struct InFlight(VecDeque<Rc<Txn>>);

/// Paths that a connection waits to hear of.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    data: BTreeSet<String>,
    child: BTreeSet<String>,
}
