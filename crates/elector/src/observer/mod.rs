//! Every change of leader, seen from outside.
//!
//! Purpose: the caller's end of an observer, whose task is in `task` and whose judgement in
//! [`elector_core::observer`]. Invariant: what a caller reads late is late, never out of order, and what no
//! longer fits is replaced by its successor, which then says that there is a gap.

mod task;

use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use zk_session::{BootClock, Clock, Config, Connector, Credential, MonotonicClock, Session};
use zk_session::{TcpConnector, UnixConnector};

use crate::path;
use crate::place::{self, Place};
use crate::reader::{ContenderInfo, ReadError, SESSION_TIMEOUT};

/// Sightings that wait for a slow caller.
const SIGHTINGS: usize = 1024;

/// Sees each change of leader in one election, without taking part in it.
///
/// It costs its own connection, and the servers a read or two for each change of leader, whatever the number
/// of contenders. It is late by what a server is late: one that is cut off from its ensemble tells nothing new
/// until it notices, some ticks later, and then the view is [`View::Unknown`]. Who leads is the first in the queue;
/// its program may be starting, or stopping.
///
/// A task on the runtime of [`Observer::start`] keeps the connection; dropping the observer ends both.
///
/// ```no_run
/// use elector::{Observer, View};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut observer = Observer::start("zk1:2181,zk2:2181,zk3:2181", "/billing", Vec::new())?;
/// loop {
///     let sighting = observer.changed().await?;
///     if sighting.gap {
///         println!("others may have led in between");
///     }
///     match sighting.view {
///         View::Leader(leader) => println!("{} leads with token {}", leader.id, leader.token),
///         View::Vacant { .. } => println!("nobody leads"),
///         other => println!("not known: {other:?}"),
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Observer {
    sightings: mpsc::Receiver<Result<Sighting, ReadError>>,
    tried: watch::Receiver<Vec<(String, String)>>,
    latest: Option<Sighting>,
    ended: Option<ReadError>,
    task: JoinHandle<()>,
}

/// Who leads from some moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// When it was seen, by the wall clock of this machine: for people, not for ordering.
    pub at: SystemTime,
    /// What was seen.
    pub view: View,
    /// Somebody may have led since the sighting before who is not told of.
    pub gap: bool,
    /// The time since the sighting before; none for the first one.
    pub after: Option<Duration>,
}

/// What an [`Observer`] sees.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum View {
    /// This contender is the first in the queue.
    Leader(ContenderInfo),
    /// Nobody is in the queue, or who follows has not been seen yet.
    Vacant {
        /// Who led before, where that was seen.
        gone: Option<ContenderInfo>,
        /// Whether the election's path is there. A misspelt path looks like one where nobody ever contended.
        exists: bool,
    },
    /// No server tells.
    Unknown {
        /// Why, as a short fragment.
        why: String,
    },
}

impl Observer {
    /// Starts to observe the election at `path`, and goes on trying until a server is reached.
    ///
    /// Call it on a tokio runtime with time and I/O.
    ///
    /// # Errors
    /// [`ReadError::Servers`] or [`ReadError::Path`] for what can never work. Nothing was sent then.
    pub fn start(
        place: impl Into<Place>,
        path: &str,
        credentials: Vec<(String, Vec<u8>)>,
    ) -> Result<Observer, ReadError> {
        path::validate(path)?;
        let credentials =
            credentials.into_iter().map(|(scheme, auth)| Credential::new(scheme, auth)).collect();
        let config = |servers| Config { timeout: SESSION_TIMEOUT, credentials, ..Config::new(servers) };
        match place.into() {
            Place::Ensemble(servers) => {
                let servers = servers.parse().map_err(|error| ReadError::Servers(format!("{error}")))?;
                let session = Session::new(config(servers), TcpConnector, BootClock);
                Ok(Observer::over(session, path, task::Confirmation::ByQuorum))
            }
            Place::Local(socket) => {
                let config = config(place::only_server(&socket));
                let session = Session::new(config, UnixConnector::new(&socket), MonotonicClock);
                Ok(Observer::over(session, path, task::Confirmation::ByReading))
            }
        }
    }

    fn over<C: Connector, K: Clock>(
        session: Session<C, K>,
        path: &str,
        confirmation: task::Confirmation,
    ) -> Observer {
        let (sender, sightings) = mpsc::channel(SIGHTINGS);
        let (trying, tried) = watch::channel(Vec::new());
        let task = task::Task::new(session, path, confirmation, sender, trying);
        Observer { sightings, tried, latest: None, ended: None, task: tokio::spawn(task.run()) }
    }

    /// Waits for the next change and returns it. The first one comes as soon as a server has told who leads, or
    /// when all have been tried in vain.
    ///
    /// Lost connections are no errors: the view is then [`View::Unknown`] until a server is reached again.
    ///
    /// Cancel safe: a sighting is returned once or stays for the next call.
    ///
    /// # Errors
    /// What no retry can mend, and then again at each further call: [`ReadError::AuthFailed`],
    /// [`ReadError::NoPermission`], [`ReadError::Unreadable`]; [`ReadError::Interrupted`] if the runtime of the
    /// observer has ended.
    pub async fn changed(&mut self) -> Result<Sighting, ReadError> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        let gone = || Err(ReadError::Interrupted("the observer's runtime has ended".to_owned()));
        match self.sightings.recv().await.unwrap_or_else(gone) {
            Ok(sighting) => {
                self.latest = Some(sighting.clone());
                Ok(sighting)
            }
            Err(error) => {
                self.ended = Some(error.clone());
                Err(error)
            }
        }
    }

    /// The sighting that [`changed`](Observer::changed) returned last.
    pub fn latest(&self) -> Option<&Sighting> {
        self.latest.as_ref()
    }

    /// Each server and what went wrong there in the latest round of attempts; empty while one is connected.
    pub fn tried(&self) -> Vec<(String, String)> {
        self.tried.borrow().clone()
    }

    /// Closes the session. It owns nothing, so dropping the observer does no harm either; the session then ends
    /// a little later.
    pub async fn close(self) {
        drop(self.sightings);
        let _ended_either_way = self.task.await;
    }
}
