//! What a session is told at its start, and the bounds of all it keeps.
//!
//! Purpose: one place for the knobs and the named limits. Invariant: a [`Config`] never shows a secret
//! when printed.

use std::time::Duration;

use zk_wire::Secret;

use crate::connect_string::ConnectString;

/// The session timeout asked for unless the caller says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// The shortest timeout that is asked for or believed: below it the session would only ping.
pub const SHORTEST_TIMEOUT: Duration = Duration::from_millis(100);
/// The longest timeout that is asked for.
pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);
/// A server whose minimum lies above what we ask may answer more, up to this many times more...
pub const TIMEOUT_GROWTH: u32 = 20;
/// ...or up to this, whichever is longer. What lies above is nonsense and is not believed.
pub const PLAUSIBLE_TIMEOUT: Duration = Duration::from_secs(600);

/// Requests that may wait for their answers at a time; Apache's server stops reading at as many.
pub const MAX_OUTSTANDING: usize = 1000;
/// Bytes of requests that may wait for the socket; a request that would pass it is refused.
pub const MAX_UNWRITTEN: usize = 4 << 20;
/// The longest request frame that a server with default settings reads.
pub const MAX_REQUEST: usize = zk_wire::frame::DEFAULT_LIMIT;
/// The longest reply accepted unless the caller says otherwise: some 50,000 contenders in one list.
pub const DEFAULT_REPLY_LIMIT: usize = 4 << 20;
/// An answer to the connect request has 37 bytes; one longer than this is not read.
pub const MAX_CONNECT_ANSWER: usize = 1024;
/// Bytes of watched paths that are remembered; a request that would pass it is refused.
pub const MAX_WATCH_BYTES: usize = 4 << 20;
/// Watches are set again in frames below this, which every server's limit allows.
pub const MAX_RESTORE_FRAME: usize = 128 << 10;
/// Bytes read for one batch of happenings, beyond what completes a single long frame.
pub const MAX_BATCH_BYTES: usize = 256 << 10;
/// Events on paths that nobody watches that one connection may send before it is given up.
pub const MAX_UNASKED_EVENTS: u32 = 1000;
/// Addresses of one host that are tried.
pub const MAX_ADDRESSES: usize = 16;

/// Calls of a [`Client`](crate::Client) that may wait until the session is attached; further callers wait for room.
pub const MAX_WAITING: usize = 64;
/// Calls of a [`Client`](crate::Client) that may wait for the server's answer.
pub const MAX_CALLS: usize = 256;
/// Events kept for a receiver of a [`Client`](crate::Client) that is slow; it is told how many it missed.
pub const MAX_EVENTS: usize = 1024;

/// What a session needs to know before it connects.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the ensemble is.
    pub servers: ConnectString,
    /// One of these servers, as in `host:port`, that is tried before all others: one that is known to answer.
    pub first: Option<String>,
    /// The session timeout to ask for; the servers may answer another. Taken into
    /// [`SHORTEST_TIMEOUT`]..=[`LONGEST_TIMEOUT`].
    pub timeout: Duration,
    /// Given to the server on each connection before anything else.
    pub credentials: Vec<Credential>,
    /// The longest reply frame in bytes; a longer one ends the connection.
    pub reply_limit: usize,
}

impl Config {
    /// The defaults for these servers.
    pub fn new(servers: ConnectString) -> Self {
        Self {
            servers,
            first: None,
            timeout: DEFAULT_TIMEOUT,
            credentials: Vec::new(),
            reply_limit: DEFAULT_REPLY_LIMIT,
        }
    }

    pub(crate) fn asked_timeout(&self) -> Duration {
        self.timeout.clamp(SHORTEST_TIMEOUT, LONGEST_TIMEOUT)
    }

    /// Whether a server may have meant this timeout.
    pub(crate) fn plausible(&self, negotiated: Duration) -> bool {
        let longest = (self.asked_timeout() * TIMEOUT_GROWTH).max(PLAUSIBLE_TIMEOUT);
        (SHORTEST_TIMEOUT..=longest).contains(&negotiated)
    }
}

/// A scheme and its secret, as in `digest` and `user:password`. Printing it hides the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Such as `digest`. SASL is not supported.
    pub scheme: String,
    /// What the scheme wants.
    pub auth: Secret,
}

impl Credential {
    /// A credential of this scheme.
    pub fn new(scheme: impl Into<String>, auth: impl Into<Vec<u8>>) -> Self {
        Self { scheme: scheme.into(), auth: Secret::from(auth.into()) }
    }
}

/// How eagerly the session works; may change at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// A ping goes when nothing was sent for so long and no answer is outstanding; `None` is a third of the
    /// session timeout. Never more rarely than that third.
    pub ping_every: Option<Duration>,
    /// How soon a lost connection is wanted back.
    pub urgency: Urgency,
}

/// How soon a lost connection is wanted back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Urgency {
    /// Attempts begin half a second to a second apart, or as soon as the one before has failed.
    #[default]
    Relaxed,
    /// Something ends at this time on the session's clock: attempts are short and come quickly until
    /// then, and relaxed afterwards.
    Until(Duration),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_configuration_hides_the_secret() {
        let mut config = Config::new("h".parse().expect("well formed"));
        config.credentials.push(Credential::new("digest", "user:secret"));
        let shown = format!("{config:?}");
        assert!(shown.contains("digest") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn absurd_timeouts_are_not_believed() {
        let config = Config::new("h".parse().expect("well formed"));
        for good in [1, 4, 10, 40, 200, 600] {
            assert!(config.plausible(Duration::from_secs(good)), "{good}");
        }
        for bad in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(i32::MAX as u64)] {
            assert!(!config.plausible(bad), "{bad:?}");
        }
    }
}
