//! What can be watched from outside: the latest role, and notices for a log.

use std::time::Duration;

use elector_core::{Lost, Token};

/// What a candidate is at this moment. Always the latest state, never an edge that could be missed;
/// as evidence for acting use [`Leadership::check`](crate::Leadership::check) instead.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// No campaign is on.
    Idle,
    /// On the way into the queue: connecting, or enrolling.
    Enrolling,
    /// In the queue.
    Waiting {
        /// How many contenders are known to be ahead.
        ahead: usize,
        /// How many contenders there are, as far as known.
        contenders: usize,
        /// The one right ahead, where [`Builder::name_neighbours`](crate::Builder::name_neighbours)
        /// asks for names and it has been read.
        behind: Option<Neighbour>,
    },
    /// Leading.
    Leading {
        /// The term's fencing token.
        token: Token,
    },
    /// Leading on what is left of the lease: no server is connected.
    Suspended {
        /// The term's fencing token.
        token: Token,
    },
    /// The term cannot be held; its work is being stopped.
    Stopping {
        /// The term's fencing token.
        token: Token,
        /// Why.
        why: Lost,
    },
    /// The elector was closed, or its driver ended.
    Closed,
}

/// The contender right ahead of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// The name that it shows to others: whatever it wrote into its znode. Not to be trusted.
    pub id: String,
    /// Its fencing token, should it lead.
    pub token: Token,
    /// Whether its znode goes with its session. One that does not stays until somebody deletes it, and nobody behind
    /// it leads until then.
    pub ephemeral: bool,
}

/// Something for a log. Notices are dropped, oldest first, for whoever does not read them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A server carries the session.
    Connected {
        /// The server as it was named.
        server: String,
        /// The session's id.
        session: i64,
        /// The timeout negotiated on this connection.
        timeout: Duration,
        /// Whether the session existed before.
        same_session: bool,
    },
    /// The connection is gone; another server is looked for.
    Disconnected {
        /// The server as it was named.
        server: String,
        /// Why, as a short fragment.
        cause: String,
        /// What is left until a leader's work is told to stop.
        remaining: Option<Duration>,
    },
    /// All servers were tried once more without success.
    Unreachable {
        /// Each server and what went wrong.
        tried: Vec<(String, String)>,
    },
    /// The session is over, and with it its place in the queue; a new one begins.
    SessionEnded {
        /// Why, as a short fragment.
        cause: String,
    },
    /// Something that the operator should mend.
    Warning(String),
}
