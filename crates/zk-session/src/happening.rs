//! What a session tells its owner, and the words for how things end.
//!
//! Purpose: plain values; whoever drives a [`Session`](crate::Session) matches on them. Invariant: the
//! order in which a session returns them is the order in which they happened on the connection.

use std::fmt;
use std::time::Duration;

use zk_wire::{ErrorCode, PathError, Response, WatchEvent};

/// Names one submitted request; never used twice by one [`Session`](crate::Session).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {}", self.0)
    }
}

/// A connection that carries the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The server as the connect string names it.
    pub server: String,
    /// The session's id, never 0.
    pub session: i64,
    /// The timeout negotiated on this connection.
    pub timeout: Duration,
    /// The smallest timeout negotiated in this session's life: the one to reckon with.
    pub smallest_timeout: Duration,
    /// The clock before the ConnectRequest was handed to the socket.
    pub connect_sent: Duration,
    /// The clock when its answer had been read.
    pub received: Duration,
    /// Whether the session existed before.
    pub resumed: bool,
    /// This server had closed a young connection of the session without a word, and took the session back
    /// at the first try: so it is when somebody else uses the session, and hardly else.
    pub taken_back: bool,
    /// Counts the connections of this [`Session`](crate::Session) object, from 1.
    pub connection: u64,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A server carries the session. Requests may be submitted from now on.
    Attached(Attachment),
    /// Credentials were accepted and all watches are set again on this connection.
    Restored {
        /// That of [`Attachment::connection`].
        connection: u64,
    },
    /// The server answered a request.
    Reply {
        /// Which.
        id: RequestId,
        /// The clock when it was submitted, before any of its bytes were handed to the socket.
        sent: Duration,
        /// The clock when the answer had been read.
        received: Duration,
        /// The zxid of the answer; 0 or less where the server says nothing.
        zxid: i64,
        /// That of [`Attachment::timeout`].
        timeout: Duration,
        /// That of [`Attachment::connection`].
        connection: u64,
        /// The answer, or the code with which the server refused.
        outcome: Result<Response, ErrorCode>,
    },
    /// The connection ended before a request was answered. These come before their
    /// [`Detached`](Self::Detached), in the order of submission.
    Lost {
        /// Which.
        id: RequestId,
        /// Whether the server may have it.
        how: Lost,
    },
    /// A ping was answered.
    Pong {
        /// The clock before its bytes were handed to the socket.
        sent: Duration,
        /// The clock when the answer had been read.
        received: Duration,
        /// That of [`Attachment::connection`].
        connection: u64,
    },
    /// A watch fired.
    Event {
        /// Its path is seen from the chroot.
        event: WatchEvent,
        /// The zxid of the change; -1 where the server does not say (3.8, and all catching up).
        zxid: i64,
        /// Whether it came before [`Restored`](Self::Restored) on this connection: such events come in no
        /// order that means anything.
        restoring: bool,
    },
    /// The connection is gone; the session reconnects by itself.
    Detached {
        /// The server as the connect string names it.
        server: String,
        /// Why.
        cause: DetachCause,
    },
    /// One attempt to connect failed.
    Unreachable {
        /// The server as the connect string names it.
        server: String,
        /// What went wrong, for each address that was tried.
        error: String,
    },
    /// As many attempts in a row as there are servers have failed.
    RoundFailed {
        /// Each server and what went wrong.
        tried: Vec<(String, String)>,
    },
    /// The session is over. Nothing more happens until [`restart`](crate::Session::restart).
    Ended(SessionEnd),
}

/// How much is known of a request whose connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// None of its bytes were handed to the socket: the server does not have it.
    NotSent,
    /// The server may have carried it out, may do so later, or may never see it.
    OutcomeUnknown,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DetachCause {
    /// The server closed it.
    Closed,
    /// The system reported an error.
    Io(String),
    /// Nothing was received for so long, two thirds of the session timeout.
    Silent(Duration),
    /// For so long, two thirds of the session timeout, an answer was due and nothing was sent: the server may have
    /// counted the session as silent for as long, whatever else it told meanwhile. Less while the session closes.
    Unanswered(Duration),
    /// The server sent what no server may send.
    Protocol(String),
    /// The owner gave it up.
    GivenUp(String),
}

impl fmt::Display for DetachCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed by the server"),
            Self::Io(error) => f.write_str(error),
            Self::Silent(time) => write!(f, "nothing received for {}ms", time.as_millis()),
            Self::Unanswered(time) => write!(f, "no answer for {}ms", time.as_millis()),
            Self::Protocol(what) => write!(f, "protocol violated: {what}"),
            Self::GivenUp(why) => write!(f, "given up: {why}"),
        }
    }
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionEnd {
    /// The servers no longer know it: its ephemerals are gone.
    #[error("session expired")]
    Expired,
    /// A credential was refused. Another session would fare no better.
    #[error("credentials refused")]
    AuthFailed,
    /// A server answered with a session that is not ours; ours may be alive or not.
    #[error("session 0x{was:x} was replaced by 0x{now:x}")]
    Replaced {
        /// Our session's id.
        was: i64,
        /// The id in the answer.
        now: i64,
    },
    /// Nothing was heard of it for its whole timeout, though connect requests went out: it was given up, so
    /// that it can end. It may live on until then.
    #[error("session unheard for its whole timeout")]
    Unheard,
    /// It was closed by its owner, or ended while closing.
    #[error("session closed")]
    Closed,
}

/// Why a request was not taken. Nothing of it was or will be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSent {
    /// No server carries the session at present.
    #[error("not connected")]
    Detached,
    /// The session is being closed.
    #[error("session is closing")]
    Closing,
    /// Too many requests wait for answers, or too many bytes for the socket.
    #[error("too much outstanding")]
    Full,
    /// Servers with default settings hang up on a frame of this size.
    #[error("request too large: {0}")]
    TooLarge(#[from] zk_wire::FrameError),
    /// No more watches are remembered.
    #[error("too many watches")]
    TooManyWatches,
    /// A path that the server would refuse.
    #[error("bad path: {0}")]
    BadPath(#[from] PathError),
    /// Pings, credentials, closing and persistent watches are not for the owner to send.
    #[error("request not for use on a session")]
    Unsupported,
}
