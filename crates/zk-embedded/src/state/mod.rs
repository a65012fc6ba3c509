//! All that the server knows, and all its decisions: pure, without I/O, clock, thread or randomness.
//!
//! Time, passwords and connections are passed in; records for the journal, answers and events come out as
//! [`Effects`]. Invariant: [`State::replay`] of the records, in their order and from the same beginning,
//! gives the same tree, sessions and zxid as the requests gave that made them; both go through one
//! `apply`. The caller's duty: no output may leave the process before the records of its call, and of all
//! calls before it, are on disk.
//!
//! Called by the pipeline's one thread, and by simulations.

mod acl;
mod change;
mod digest;
mod handshake;
mod node;
mod prepare;
mod read;
mod request;
mod sessions;
mod snapshot;
mod tree;
mod watches;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use elector_teeth::{Tooth, bites};
use zk_wire::{ConnectResponse, ErrorCode, Response, Stat, WatchEvent, perms};

use self::acl::Identity;
use self::change::{Change, Txn, Write};
use self::sessions::Sessions;
use self::tree::{Tree, Trigger};
use self::watches::Watches;

pub use self::change::ReplayError;
pub use self::digest::digest_id;
pub use self::watches::{WATCH_OVERHEAD, WatchLimits};

/// Bytes of a session's password.
pub const PASSWORD: usize = change::PASSWORD;

/// A connection, as the caller numbers them; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// The time of a call, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970, for stats and session ids only. It may jump.
    pub wall_ms: i64,
    /// Since a fixed origin of the caller's, never falling: expiry goes by this one.
    pub elapsed: Duration,
}

/// What a server is set to, and the bounds of what it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The shortest session timeout granted, in ms.
    pub min_timeout_ms: i32,
    /// The longest session timeout granted, in ms.
    pub max_timeout_ms: i32,
    /// Nodes in the tree.
    pub nodes: usize,
    /// Bytes of paths, data and access control lists in the tree.
    pub bytes: usize,
    /// Bytes of one transaction, at most a quarter of what the journal takes as one record.
    pub transaction_bytes: usize,
    /// Sessions at a time.
    pub sessions: usize,
    /// Credentials that one connection may present.
    pub identities: usize,
    /// Watches.
    pub watches: WatchLimits,
    /// The `digest` id that passes every check: `super:` and what `digest_id` makes of the password.
    pub superuser: Option<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            min_timeout_ms: 4_000,
            max_timeout_ms: 40_000,
            nodes: 1_000_000,
            bytes: 256 << 20,
            transaction_bytes: 4 << 20,
            sessions: 10_000,
            identities: 32,
            watches: WatchLimits::default(),
            superuser: None,
        }
    }
}

/// What a call brings about, in the order in which it is to be written and sent.
#[derive(Debug, Default, PartialEq)]
pub struct Effects {
    /// For the journal: zxid and record.
    pub records: Vec<(i64, Vec<u8>)>,
    /// For the connections, once the records are on disk.
    pub outputs: Vec<(ConnectionId, Output)>,
}

/// Something for a connection.
#[derive(Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are the protocol's")]
pub enum Output {
    /// The answer to the handshake. Requests may follow if its timeout is not 0.
    Connected(ConnectResponse),
    /// The answer to a request.
    Reply { xid: i32, zxid: i64, outcome: Result<Response, ErrorCode> },
    /// Something that was watched for. Of no request.
    Event { zxid: i64, event: Arc<WatchEvent> },
    /// Nothing more will come: what was sent before goes out, then the connection is to be closed.
    Hangup(Farewell),
}

/// Why the server ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Farewell {
    /// The client closed its session.
    #[error("session closed")]
    Closed,
    /// The session was silent for too long, or was ended by hand.
    #[error("session expired")]
    Expired,
    /// The session goes on over another connection.
    #[error("session taken over by another connection")]
    TakenOver,
    /// The session asked for is not there, or the password is not its.
    #[error("no such session")]
    NoSession,
    /// The client has seen what this server has not: it comes from another server.
    #[error("client has seen zxid 0x{theirs:x}, this server is at 0x{ours:x}")]
    Ahead {
        /// The client's.
        theirs: i64,
        /// The server's.
        ours: i64,
    },
    /// A handshake where a request should be, or the other way round.
    #[error("handshake out of place")]
    Misplaced,
    /// Credentials that the server does not take.
    #[error("credentials refused")]
    AuthFailed,
    /// A request of no known type.
    #[error("unknown type of request: {0}")]
    UnknownRequest(i32),
    /// The watches of one connection, or of all, take more than they may.
    #[error("too many watches")]
    TooManyWatches,
    /// An answer longer than any may be, in bytes.
    #[error("the answer has {0} bytes")]
    LongAnswer(usize),
    /// As many sessions as there may be.
    #[error("too many sessions")]
    TooManySessions,
}

/// The server's state.
#[derive(Debug)]
pub struct State {
    tree: Tree,
    sessions: Sessions,
    watches: Watches,
    connections: HashMap<ConnectionId, Connection>,
    last_zxid: i64,
    /// The boot of the machine in which the sessions were made; empty if nobody said.
    boot: String,
    limits: Limits,
}

/// What is known of a connection.
#[derive(Debug)]
struct Connection {
    session: Option<i64>,
    identities: Vec<Identity>,
}

/// What a transaction did.
struct Applied {
    triggers: Vec<Trigger>,
    /// The stat of each write's node right after it; zeros where there is none.
    stats: Vec<Stat>,
}

impl State {
    /// The state of a new data directory. Its zxids begin after `last_zxid`, which should lie above
    /// everything that another data directory in this place has ever given out: the Unix time in seconds is
    /// a good guess.
    #[must_use]
    pub fn new(limits: Limits, last_zxid: i64) -> Self {
        Self {
            tree: Tree::new(),
            sessions: Sessions::default(),
            watches: Watches::new(limits.watches),
            connections: HashMap::new(),
            last_zxid,
            boot: String::new(),
            limits,
        }
    }

    /// Applies a record of the journal. After an error the state is of no further use.
    pub fn replay(&mut self, zxid: i64, record: &[u8]) -> Result<(), ReplayError> {
        self.apply(&Txn::decode(zxid, record)?).map(drop)
    }

    /// Gives every session a full timeout from now: to be called once, after the replay.
    pub fn revive(&mut self, now: Moment) {
        self.sessions.revive(now.elapsed);
    }

    /// The machine was booted anew since the sessions were made: those who held them cannot come back.
    pub fn begin_boot(&mut self, id: &str, now: Moment, effects: &mut Effects) {
        if self.boot == id {
            return;
        }
        for session in self.sessions.ids() {
            self.commit(Change::CloseSession { session }, now, effects);
        }
        self.commit(Change::Boot { id: id.to_owned() }, now, effects);
    }

    /// The last zxid given out.
    #[must_use]
    pub fn last_zxid(&self) -> i64 {
        self.last_zxid
    }

    /// A connection was accepted.
    pub fn open(&mut self, connection: ConnectionId, address: IpAddr) {
        let identities = vec![Identity::address(address)];
        self.connections.insert(connection, Connection { session: None, identities });
    }

    /// A connection is gone. Its session waits for the next one.
    pub fn close(&mut self, connection: ConnectionId) {
        self.watches.close(connection);
        if let Some(session) = self.connections.remove(&connection).and_then(|known| known.session) {
            self.sessions.unbind(session);
        }
    }

    /// The session of a connection was heard of at this time.
    pub fn touch(&mut self, connection: ConnectionId, at: Duration) {
        if let Some(session) = self.session_of(connection) {
            self.sessions.touch(session, at);
        }
    }

    /// When the next session may be due; it is not if it was heard of in the meantime.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.sessions.next_deadline()
    }

    /// The server itself stood still for so long: nobody is to lose a session for that. All that was heard
    /// must have been told by [`State::touch`] before.
    pub fn extend_deadlines(&mut self, by: Duration) {
        self.sessions.extend(by);
    }

    /// Ends all sessions that are due.
    pub fn expire(&mut self, now: Moment, effects: &mut Effects) {
        for session in self.sessions.due(now.elapsed) {
            self.expire_session(session, now, effects);
        }
    }

    /// Ends a session as if it had been silent for too long; whether it was there.
    pub fn expire_session(&mut self, session: i64, now: Moment, effects: &mut Effects) -> bool {
        let Some(known) = self.sessions.get(session) else { return false };
        // Its connection first: it is to hear nothing of the end of its own session.
        if let Some(connection) = known.connection {
            self.hang_up(connection, Farewell::Expired, effects);
        }
        self.commit(Change::CloseSession { session }, now, effects);
        true
    }

    /// Deletes containers whose last child has gone.
    pub fn delete_spent_containers(&mut self, now: Moment, effects: &mut Effects) {
        let spent: Vec<String> = self.tree.spent_containers().map(str::to_owned).collect();
        for path in spent {
            self.commit(Change::Write(Write::Delete { path }), now, effects);
        }
    }

    /// All ephemeral nodes, in the order of their paths: path, creation zxid and session. For simulations,
    /// which compare what a client believes with what is there.
    #[must_use]
    pub fn ephemerals(&self) -> Vec<(&str, i64, i64)> {
        let owned = self.sessions.ids().into_iter();
        let owned = owned.flat_map(|id| self.tree.ephemerals_of(id).map(move |path| (path, id)));
        let known = owned.filter_map(|(path, id)| Some((path, self.tree.get(path)?.czxid, id)));
        let mut all: Vec<_> = known.collect();
        all.sort_unstable();
        all
    }

    /// Counts, for those who look after the server.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            nodes: self.tree.len(),
            ephemerals: self.tree.ephemeral_count(),
            bytes: self.tree.weight(),
            watches: self.watches.count(),
            sessions: self.sessions.len(),
            connections: self.connections.len(),
        }
    }

    fn session_of(&self, connection: ConnectionId) -> Option<i64> {
        self.connections.get(&connection)?.session
    }

    fn identities(&self, connection: ConnectionId) -> &[Identity] {
        self.connections.get(&connection).map_or(&[], |known| &known.identities)
    }

    /// Forgets the connection and has it closed.
    fn hang_up(&mut self, connection: ConnectionId, why: Farewell, effects: &mut Effects) {
        self.close(connection);
        effects.outputs.push((connection, Output::Hangup(why)));
    }

    /// Gives the change the next zxid, records it, applies it, and tells whoever waited for it.
    fn commit(&mut self, change: Change, now: Moment, effects: &mut Effects) -> Applied {
        let txn = Txn { zxid: self.last_zxid + 1, time: now.wall_ms, change };
        effects.records.push((txn.zxid, txn.encode()));
        let mut applied = self.apply(&txn).expect("it was prepared against this state");
        for trigger in std::mem::take(&mut applied.triggers) {
            self.tell(trigger, effects);
        }
        applied
    }

    /// The one way in which a state changes.
    fn apply(&mut self, txn: &Txn) -> Result<Applied, ReplayError> {
        if txn.zxid != self.last_zxid + 1 {
            return Err(ReplayError::Misfit("its zxid is not the next one"));
        }
        let mut applied = Applied { triggers: Vec::new(), stats: Vec::new() };
        match &txn.change {
            Change::Refused(_) => {}
            Change::Write(write) => self.apply_write(write, txn, &mut applied)?,
            Change::Multi(writes) => {
                for write in writes {
                    self.apply_write(write, txn, &mut applied)?;
                }
            }
            Change::OpenSession { session, timeout_ms, password } => {
                self.sessions.open(*session, *timeout_ms, *password);
            }
            Change::CloseSession { session } => {
                let own: Vec<String> = self.tree.ephemerals_of(*session).map(str::to_owned).collect();
                for path in own {
                    if bites(Tooth::EphemeralsStay) {
                        break;
                    }
                    self.apply_write(&Write::Delete { path }, txn, &mut applied)?;
                }
                self.sessions.close(*session).ok_or(NO_SESSION)?;
                if bites(Tooth::WatchersNotTold) {
                    applied.triggers.clear();
                }
            }
            Change::ExtendTimeout { session, timeout_ms } => {
                if !self.sessions.set_recorded(*session, *timeout_ms) {
                    return Err(NO_SESSION);
                }
            }
            Change::Boot { id } => self.boot.clone_from(id),
        }
        self.last_zxid = txn.zxid;
        Ok(applied)
    }

    fn apply_write(&mut self, write: &Write, txn: &Txn, applied: &mut Applied) -> Result<(), ReplayError> {
        self.tree.apply(write, txn.zxid, txn.time, &mut applied.triggers)?;
        let stat = match write {
            Write::Create { path, .. } | Write::SetData { path, .. } | Write::SetAcl { path, .. } => {
                self.tree.get(path).map(node::Node::stat)
            }
            Write::Delete { .. } | Write::Check => None,
        };
        applied.stats.push(stat.unwrap_or_default());
        Ok(())
    }

    /// Sends an event to everybody who waited for it and may read the node.
    fn tell(&mut self, trigger: Trigger, effects: &mut Effects) {
        let hear = self.watches.fire(trigger.kind, &trigger.path);
        let event = event(trigger.kind, trigger.path);
        for connection in hear {
            if acl::permits(&trigger.acl, perms::READ, self.identities(connection)) {
                let event = Arc::clone(&event);
                effects.outputs.push((connection, Output::Event { zxid: self.last_zxid, event }));
            }
        }
    }
}

const NO_SESSION: ReplayError = ReplayError::Misfit("a session is changed that is not there");

/// One event, for however many.
fn event(kind: zk_wire::EventKind, path: String) -> Arc<WatchEvent> {
    Arc::new(WatchEvent { kind, state: WatchEvent::SYNC_CONNECTED, path })
}

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Nodes, the root once.
    pub nodes: usize,
    /// Ephemeral nodes.
    pub ephemerals: usize,
    /// Bytes of paths, data and access control lists.
    pub bytes: usize,
    /// Watches of all kinds.
    pub watches: usize,
    /// Live sessions.
    pub sessions: usize,
    /// Connections that are being served.
    pub connections: usize,
}

#[cfg(test)]
mod tests;
