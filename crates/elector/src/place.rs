//! Where an election is held, and what follows from it.
//!
//! Purpose: the one place that knows what differs between an ensemble and one server on this machine; the
//! driver is handed the differences. Invariant: a place is never guessed. Contenders in different places
//! do not see each other, and each place has its own leader.

use std::path::{Path, PathBuf};
use std::time::Duration;

use elector_core::Margins;
use zk_session::{BootClock, Clock, ConnectString, HostPort, MonotonicClock};

use crate::builder::{DEFAULT_SESSION_TIMEOUT, LOCAL_SESSION_TIMEOUT};

/// Where an election is held. All contenders must name the same place: two places are two elections.
///
/// A connect string stands for an ensemble wherever a place is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A ZooKeeper ensemble, by its connect string: `zk1:2181,zk2:2181,zk3:2181/chroot`. A server that is
    /// alone on TCP counts as one too.
    Ensemble(String),
    /// The one server of this machine, by the path of its unix socket, at most 107 bytes long
    /// (`/proc/self/fd/N/name` reaches further). For a server that
    ///
    /// * expires sessions itself, by CLOCK_MONOTONIC, so that a suspended machine loses no leader;
    /// * answers reads in order with writes, and nothing that is not durable;
    /// * is replaced, if it dies, by one that has all it ever acknowledged, sessions included, and gives
    ///   each session its full timeout again; never before it is gone.
    ///
    /// `zk-embedded` is such a server; an ensemble's is not, also where it listens on a unix socket.
    ///
    /// A leader then proves that it is alive by reading its znode, so that whoever leads or waits
    /// writes nothing. Lost connections are wanted back quickly by everybody. The session timeout is 5 s
    /// unless [`session_timeout`](crate::Builder::session_timeout) says otherwise, and
    /// [`ensemble_tick`](crate::Builder::ensemble_tick) has no meaning.
    Local(PathBuf),
}

impl Place {
    /// The clock by which sessions live and leases end there.
    pub fn clock(&self) -> LeaseClock {
        match self {
            Place::Ensemble(_) => LeaseClock::Boot,
            Place::Local(_) => LeaseClock::Monotonic,
        }
    }

    pub(crate) fn default_timeout(&self) -> Duration {
        match self {
            Place::Ensemble(_) => DEFAULT_SESSION_TIMEOUT,
            Place::Local(_) => LOCAL_SESSION_TIMEOUT,
        }
    }

    /// The margins of a lease there, where these were asked for.
    pub(crate) fn margins(&self, asked: Margins) -> Margins {
        match self {
            Place::Ensemble(_) => asked,
            // One server hears from us directly and ends sessions itself.
            Place::Local(_) => Margins { ensemble_tick: Some(Duration::ZERO), ..asked },
        }
    }
}

impl From<&str> for Place {
    fn from(servers: &str) -> Place {
        Place::Ensemble(servers.to_owned())
    }
}

impl From<String> for Place {
    fn from(servers: String) -> Place {
        Place::Ensemble(servers)
    }
}

impl From<&String> for Place {
    fn from(servers: &String) -> Place {
        Place::Ensemble(servers.clone())
    }
}

/// What a [`Place`]'s leases are judged by: for whoever hands a deadline on to something that must look at
/// the clock by itself, such as another process of this machine.
///
/// A deadline is `clock.now() + leadership.remaining()`, the clock read first, and has passed when
/// `clock.now()` has reached it. Neither clock can be set; they differ in what they do while the machine
/// is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseClock {
    /// CLOCK_BOOTTIME, which goes on: an ensemble's servers do not sleep with us.
    Boot,
    /// CLOCK_MONOTONIC, which stands still: the server of this machine sleeps as we do.
    Monotonic,
}

impl LeaseClock {
    /// The time since an origin that is the same for all processes of this machine until it boots again.
    pub fn now(self) -> Duration {
        match self {
            LeaseClock::Boot => BootClock.now(),
            LeaseClock::Monotonic => MonotonicClock.now(),
        }
    }
}

/// How a session names the one server of this machine: its connector goes by the socket alone.
pub(crate) fn only_server(socket: &Path) -> ConnectString {
    let host = socket.display().to_string();
    ConnectString { hosts: vec![HostPort { host, port: zk_session::DEFAULT_PORT }], chroot: None }
}
