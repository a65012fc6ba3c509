//! What a server is started with, and what it says of itself while it runs.

use std::fmt;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zk_wire::frame;

use crate::journal;
use crate::snapshotter::SnapshotError;
use crate::state::{Farewell, Limits};

/// Everything a server can be told. The default is Apache's defaults, in memory.
#[derive(Debug, Clone)]
pub struct Config {
    /// Session timeouts, and the bounds of the tree.
    pub limits: Limits,
    /// Where the journal is; `None` keeps all in memory.
    pub storage: Option<Storage>,
    /// Connections at a time; further ones are closed at once. Fewer if the process may not open so many
    /// files: some descriptors are left to the journal and to the rest of the process.
    pub connections: usize,
    /// Connections at a time from one address; those over unix sockets count as one.
    pub connections_per_address: usize,
    /// The longest request frame, in bytes.
    pub frame_bytes: usize,
    /// How often containers without children are looked for.
    pub container_check: Duration,
    /// What identifies the present boot of the machine. If it is not the one on record, all sessions end at
    /// the start: whoever held them cannot have survived. `None` keeps them.
    pub boot: Option<String>,
    /// Hears what the server has to say to those who look after it.
    pub notices: Notices,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            storage: None,
            connections: 2000,
            connections_per_address: 1000,
            frame_bytes: frame::DEFAULT_LIMIT,
            container_check: Duration::from_secs(60),
            boot: None,
            notices: Notices::default(),
        }
    }
}

/// Where a journal is kept.
#[derive(Debug, Clone)]
pub struct Storage {
    /// Its directory, made if it is not there, and for this server alone.
    pub directory: PathBuf,
    /// When segments end and snapshots are taken.
    pub limits: journal::Limits,
}

impl Storage {
    /// A journal in this directory, with the usual limits.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), limits: journal::Limits::default() }
    }
}

/// Where clients come in. Bound by the caller, who decides on addresses and permissions.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket. Its clients count as coming from 127.0.0.1.
    Unix(UnixListener),
}

/// Something to be told to those who look after the server. Printed, it is one line.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The log ended in a torn write, which was cut off: nothing that was acknowledged.
    Cut(journal::Cut),
    /// A snapshot is damaged; an older one serves.
    DamagedSnapshot(journal::Damage),
    /// A snapshot could not be stored. Nothing is lost, but the log grows.
    NoSnapshot(SnapshotError),
    /// A connection ended for a reason that somebody may want to know.
    Ended {
        /// The client.
        peer: String,
        /// Why.
        why: Ended,
    },
    /// Connections cannot be accepted at the moment.
    NoAccept(std::io::Error),
    /// Clients are turned away because there are as many as there may be. Told once, then once a minute.
    Full(Ended),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(cut) => write!(f, "{cut}"),
            Self::DamagedSnapshot(damage) => write!(f, "a snapshot is passed over: {damage}"),
            Self::NoSnapshot(error) => write!(f, "no snapshot was stored: {error}"),
            Self::Ended { peer, why } => write!(f, "connection of {peer} ended: {why}"),
            Self::NoAccept(error) => write!(f, "cannot accept connections at the moment: {error}"),
            Self::Full(why) => write!(f, "clients are turned away: {why}"),
        }
    }
}

/// Why the server ended a connection, if it was not the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// By decision of the state.
    #[error("{0}")]
    Farewell(#[from] Farewell),
    /// It does not read what is sent to it.
    #[error("it left {0} bytes unread")]
    Slow(usize),
    /// No handshake in time, or the rest of a long frame did not come.
    #[error("nothing came in time")]
    Late,
    /// Not ZooKeeper's protocol; the text says what it may be.
    #[error("{0}")]
    Foreign(&'static str),
    /// More connections than there may be.
    #[error("too many connections")]
    TooMany,
}

/// Takes notices; see [`Config::notices`]. Called on the server's threads: it must not block.
#[derive(Clone)]
pub struct Notices(Arc<dyn Fn(Notice) + Send + Sync>);

impl Notices {
    /// Calls `hear` for each notice.
    pub fn new(hear: impl Fn(Notice) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    pub(crate) fn tell(&self, notice: Notice) {
        (self.0)(notice);
    }

    pub(crate) fn ended(&self, peer: &str, why: impl Into<Ended>) {
        self.tell(Notice::Ended { peer: peer.to_owned(), why: why.into() });
    }
}

impl Default for Notices {
    /// Nobody hears them.
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notices")
    }
}
