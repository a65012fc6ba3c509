//! What goes into a candidate and what comes out of it.

use std::time::Duration;

use crate::error::{Error, Lost, Warning};
use crate::moment::Moment;
use crate::token::Token;

/// Names one request of a candidate; never used twice by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Something that a candidate wants asked. Names are children of the election path; the empty
/// name is the election path itself (layout `single`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Request {
    /// Create whatever is missing of the path under which znodes are made.
    EnsureParents,
    /// create2 of an ephemeral znode with this name, sequential except in layout `single`;
    /// answered with [`Answer::Created`].
    Create {
        /// The name, or its part before the sequence number.
        name: String,
    },
    /// getChildren2 without a watch; answered with [`Answer::Listed`].
    List {
        /// A check of what is believed, which nothing waits for.
        audit: bool,
    },
    /// sync on the election path.
    Sync,
    /// setWatches with the highest relativeZxid: a watch on each name, telling of those that are gone
    /// already. Of writes before it nothing is told, else one that came after the list would be told again
    /// and again instead of the watch being set.
    ///
    /// Servers tell of a deletion in the order of the kinds of watches. So whoever is next in line has the
    /// one data watch on the znode right ahead, and hears of its end before those who need not hurry.
    Watch {
        /// The znode right ahead: a data watch.
        nearest: Option<String>,
        /// Others whose end matters, our own among them: child watches, though none has children.
        others: Vec<String>,
    },
    /// getData, with a data watch if asked; answered with [`Answer::Node`].
    Read {
        /// The znode to be read.
        name: String,
        /// Whether to be told of its next change.
        watch: bool,
    },
    /// `multi{check(name, -1)}`: a quorum transaction that changes nothing. Where one server is alone and
    /// answers reads in order with writes, a read of the znode, whose answer is as good as a quorum's.
    Probe {
        /// Our own znode.
        name: String,
    },
    /// delete, whatever the version.
    Delete {
        /// One of our own znodes.
        name: String,
    },
}

impl Request {
    /// Whether its acknowledgement shows that a quorum stands behind the answer.
    pub(crate) fn is_transaction(&self) -> bool {
        matches!(self, Request::Create { .. } | Request::Probe { .. } | Request::Delete { .. })
    }

    /// Whether `outcome` shows that a quorum has dealt with the request. Transactions that are refused
    /// for what is there, or is not, go through the quorum too.
    pub(crate) fn is_proved_by(&self, outcome: &Result<Answer, Refusal>) -> bool {
        // Not the permissions: a server may be set up to check them by itself.
        let by_quorum = |refusal: &Refusal| {
            matches!(refusal, Refusal::NoNode | Refusal::NodeExists | Refusal::NoChildrenForEphemerals)
        };
        self.is_transaction() && outcome.as_ref().map_or_else(by_quorum, |_| true)
    }
}

/// A good reply.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The znode was made.
    Created {
        /// Its name with the sequence number.
        name: String,
        /// Its creation zxid.
        czxid: i64,
        /// The session that owns it.
        owner: i64,
    },
    /// The names of all children of the election path.
    Listed(Vec<String>),
    /// The znode is there.
    Node {
        /// Its creation zxid.
        czxid: i64,
        /// The session that owns it; 0 if it is not ephemeral.
        owner: i64,
    },
    /// Nothing but the acknowledgement.
    Done,
}

/// A reply that refuses the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No such znode (or parent).
    NoNode,
    /// The znode is there already.
    NodeExists,
    /// The parent is ephemeral.
    NoChildrenForEphemerals,
    /// An access control list is in the way.
    NoAuth,
    /// The access control list that we asked for is not valid.
    InvalidAcl,
    /// Any other code of the server.
    Code(i32),
}

/// What happened to a watched znode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// It is gone.
    Deleted,
    /// Its data or children were written, or it was made: the one-shot watch is used up.
    Touched,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionEnd {
    /// The servers have expired it.
    Expired,
    /// The servers refused our credentials. Final.
    AuthFailed,
    /// A server answered with another session than ours.
    Replaced,
    /// We closed it and were answered.
    Closed,
}

/// Whether a leader goes on while its lease lasts when no server is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnDisconnect {
    /// Lead on until the deadline.
    #[default]
    Hold,
    /// Stop at once.
    Stop,
}

/// What a candidate is told. Everything from one read of the socket is told one by one, in order,
/// and then [`Input::Drained`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// The application wants to lead. Only for a candidate at rest: new, or after [`Output::Left`].
    Campaign,
    /// The application's work has stopped, or it no longer wants to lead: leave nothing behind.
    Withdraw,
    /// A connection has a session on it.
    Attached {
        /// Counts connections; never the same twice.
        connection: u64,
        /// The session's id.
        session: i64,
        /// The timeout that this connection negotiated.
        timeout: Duration,
        /// The clock before the ConnectRequest went out.
        connect_sent: Moment,
        /// The server had just closed a connection of this session, and takes it back at the first
        /// try, as when somebody else uses the session.
        taken_back: bool,
    },
    /// Credentials and watches of an earlier connection are in force again.
    Restored {
        /// The connection on which they are.
        connection: u64,
    },
    /// The connection is gone; each request without an answer was told before this.
    Detached,
    /// The session is over, with all its znodes and watches.
    SessionEnded(SessionEnd),
    /// A request was answered.
    Reply {
        /// The request.
        id: RequestId,
        /// The connection that carried both.
        connection: u64,
        /// The clock before the request went out.
        sent: Moment,
        /// The clock when the reply was read.
        received: Moment,
        /// The answer, or the refusal.
        outcome: Result<Answer, Refusal>,
    },
    /// A request's connection ended before the answer.
    Unanswered {
        /// The request.
        id: RequestId,
        /// Whether any of it may have reached a server.
        sent: bool,
    },
    /// A ping was answered.
    Pong {
        /// The connection.
        connection: u64,
        /// The clock before it went out.
        sent: Moment,
        /// The clock when the answer was read.
        received: Moment,
    },
    /// A data watch fired.
    Event {
        /// The child's name, or the empty name.
        name: String,
        /// What happened to it.
        change: Change,
    },
    /// No complete frame is left in the receive buffer: now decide.
    Drained,
    /// The wake-up named by [`crate::Candidate::next_wake`], or any other occasion.
    Wake,
}

/// What a candidate wants done.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Output {
    /// Send this request on the present connection.
    Send(RequestId, Request),
    /// A term begins.
    Lead {
        /// Its number.
        token: Token,
    },
    /// The term cannot be held: stop the work, it must be gone by the deadline.
    Stopping {
        /// The term.
        token: Token,
        /// Why.
        why: Lost,
    },
    /// The term is over, now. Whatever still works for it is too late.
    Lost {
        /// The term.
        token: Token,
        /// Why.
        why: Lost,
    },
    /// The connection does not answer: give it up and try the next server.
    GiveUpConnection,
    /// Close the session, again and again until it is answered or the session is known gone.
    CloseSession,
    /// After [`Input::Withdraw`] or [`Output::Fail`]: nothing of ours is left in the election.
    Left,
    /// No retry can mend this. The candidate withdraws by itself.
    Fail(Error),
    /// Something that the operator should know.
    Warn(Warning),
}
