//! One candidate of one election.

use std::fmt;
use std::sync::Arc;

use elector_core::Timing;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::builder::Builder;
use crate::campaign::Campaign;
use crate::driver::{Command, Reach, Settings};
use crate::error::{CampaignError, StartError};
use crate::estate::Estate;
use crate::place::Place;
use crate::role::{Notice, Role};

/// Connects as one candidate of the election at `path`, with the defaults of [`Builder`]. `place` is an
/// ensemble's connect string, `zk1:2181,zk2:2181,zk3:2181/chroot`, or any [`Place`].
///
/// Waits until a server carries a session, without limit; cancelling it leaves nothing behind.
///
/// # Errors
/// See [`StartError`].
pub async fn connect(place: impl Into<Place>, path: &str) -> Result<Elector, StartError> {
    Elector::builder(place, path).connect().await
}

/// One candidate of one election, on a session of its own.
///
/// It reconnects by itself and replaces an expired session; both cost at most the place in the
/// queue, or the term. Dropping it withdraws a campaign and closes the session in the background,
/// once no [`Leadership`](crate::Leadership) of it is left.
pub struct Elector {
    handles: Handles,
}

/// The caller's ends of the driver's channels.
pub(crate) struct Handles {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) role: watch::Receiver<Role>,
    pub(crate) reach: watch::Receiver<Reach>,
    pub(crate) notices: broadcast::Sender<Notice>,
    pub(crate) estate: watch::Receiver<Option<Estate>>,
    pub(crate) timing: Timing,
    pub(crate) path: Arc<str>,
    pub(crate) id: Arc<str>,
}

impl Handles {
    pub(crate) fn new(
        settings: &Settings,
        commands: mpsc::Sender<Command>,
        role: watch::Receiver<Role>,
        reach: watch::Receiver<Reach>,
        notices: broadcast::Sender<Notice>,
        estate: watch::Receiver<Option<Estate>>,
    ) -> Handles {
        Handles {
            commands,
            role,
            reach,
            notices,
            estate,
            timing: settings.timing(),
            path: Arc::clone(&settings.path),
            id: Arc::clone(&settings.id),
        }
    }
}

impl Elector {
    pub(crate) fn new(handles: Handles) -> Elector {
        Elector { handles }
    }

    /// Options for a candidate of the election at `path`. `place` is an ensemble's connect string, or any
    /// [`Place`].
    pub fn builder(place: impl Into<Place>, path: &str) -> Builder {
        Builder::new(place.into(), path)
    }

    /// Enters the election and waits its turn. It contends from this call on, polled or not.
    ///
    /// An elector is one candidate: while a campaign of it is on, or a leadership not yet dropped,
    /// another campaign resolves to [`CampaignError::Busy`].
    pub fn campaign(&self) -> Campaign {
        let (reply, answer) = oneshot::channel();
        let role = self.handles.role.clone();
        match self.handles.commands.try_send(Command::Campaign { reply }) {
            Ok(()) => Campaign::new(answer, role),
            Err(mpsc::error::TrySendError::Full(_)) => Campaign::refused(CampaignError::Busy, role),
            Err(mpsc::error::TrySendError::Closed(_)) => Campaign::refused(CampaignError::Closed, role),
        }
    }

    /// The latest role, and its changes. A slow reader misses steps in between, never the last one,
    /// and holds up nobody. It says that this candidate leads before the campaign resolves.
    pub fn role(&self) -> watch::Receiver<Role> {
        self.handles.role.clone()
    }

    /// Notices from now on, for a log.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.handles.notices.subscribe()
    }

    /// What it takes to close the present session from another process, and its changes; none while there is no
    /// session. For a process that watches over this one.
    pub fn estate(&self) -> watch::Receiver<Option<Estate>> {
        self.handles.estate.clone()
    }

    /// Waits until a server carries a session; at once if one does.
    ///
    /// Cancel safe. While no server answers it goes on waiting.
    ///
    /// # Errors
    /// [`StartError::Failed`] for what no retry mends: credentials, or timeouts that the servers
    /// do not grant.
    pub async fn connected(&self) -> Result<(), StartError> {
        let mut reach = self.handles.reach.clone();
        loop {
            match &*reach.borrow_and_update() {
                Reach::Attached => return Ok(()),
                Reach::Failed(error) => return Err(error.clone().into()),
                Reach::Trying(_) => {}
            }
            if reach.changed().await.is_err() {
                return Err(CampaignError::Closed.into());
            }
        }
    }

    pub(crate) fn last_round(&self) -> Vec<(String, String)> {
        match &*self.handles.reach.borrow() {
            Reach::Trying(tried) => tried.clone(),
            _ => Vec::new(),
        }
    }

    /// The election's path.
    pub fn path(&self) -> &str {
        &self.handles.path
    }

    /// The name that others are shown.
    pub fn id(&self) -> &str {
        &self.handles.id
    }

    /// The periods and bounds that follow from the options, if the servers grant the timeout.
    pub fn timing(&self) -> Timing {
        self.handles.timing
    }

    /// Withdraws a campaign, waits until a leadership of it is dropped, and closes the session:
    /// nothing of this candidate is left in the ensemble when it returns, unless no server answered
    /// for as long as the session could live.
    ///
    /// Cancelling it leaves the rest to the driver.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.handles.commands.send(Command::Close { done }).await.is_ok() {
            let _driver_gone = closed.await;
        }
    }
}

impl fmt::Debug for Elector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elector")
            .field("path", &self.handles.path)
            .field("id", &self.handles.id)
            .field("role", &*self.handles.role.borrow())
            .finish_non_exhaustive()
    }
}
